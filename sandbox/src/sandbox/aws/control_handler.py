# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handle the control requests under ``/_sandbox/``, which :class:`sandbox.aws.control.AwsControl` sends.

Control requests use the same port as the AWS API. These requests need no authentication, because the server listens on
loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs

from sandbox.aws.api import Api
from sandbox.aws.eks_tokens import RejectedToken, Target, TokenReview
from sandbox.aws.faults import KINDS
from sandbox.aws.instruments import Instruments
from sandbox.aws.model.accounts import Session
from sandbox.aws.protocol import json_response
from sandbox.aws.read_lag import LagRule
from sandbox.aws.snapshot import snapshot
from sandbox.control_client import CONTROL_PREFIX
from sandbox.faults import FaultRule
from sandbox.http import Response

Arguments = Mapping[str, str]
SUBNETS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]


class InvalidRequest(Exception):
    """The error for an invalid control request. ``status`` is the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlHandler:
    """The handler of control requests."""

    def __init__(self, api: Api, instruments: Instruments) -> None:
        self._cloud = api.cloud
        self._read_lag = api.read_lag
        self._reviewer = TokenReview(api.cloud)
        self._instruments = instruments

    def handle(self, method: str, path: str, query: str, body: bytes) -> Response:
        name = path.removeprefix(CONTROL_PREFIX)
        arguments = {key: values[0] for key, values in parse_qs(query).items()}
        try:
            data = json.loads(body or b"null")
            for part in (self._of_endpoint, self._of_resources):
                if (found := part(f"{method} {name}", arguments, data)) is not None:
                    return json_response(found)
        except InvalidRequest as error:
            return json_response({"error": str(error)}, error.status)
        except (AttributeError, TypeError, ValueError) as error:
            return json_response({"error": f"{method} {path}: {error}"}, 400)
        return json_response({"error": f"no control request {method} {path}"}, 404)

    def _of_endpoint(self, request: str, arguments: Arguments, data: Any) -> Any:
        """Handle a request about the endpoint: its counters, settings, faults, credentials and checkpoints."""
        settings, instruments = self._cloud.settings, self._instruments
        match request:
            case "GET counters":
                return instruments.counters.snapshot()
            case "DELETE counters":
                instruments.counters.clear()
            case "PUT latency":
                instruments.latency_ms = _number(data, "ms")
                return {"ms": instruments.latency_ms}
            case "PUT propagation":
                settings.propagation_ms = _number(data, "ms")
            case "PUT session-lifetime":
                settings.lifetime_s = _number(data, "s")
            case "PUT rate-limit":
                instruments.rate_limit.set(float(data["per_second"]))
            case "PUT read-lag":
                self._read_lag.set([LagRule.parse(rule) for rule in data])
                return {"rules": len(data)}
            case "PUT faults":
                instruments.faults.set([FaultRule.parse(rule, KINDS) for rule in data])
                return {"rules": len(data)}
            case "POST token-review":
                return self._review(arguments, str(data["token"]))
            case "GET tokens":
                return {"tokens": self._reviewer.tokens}
            case "GET sessions":
                return {"sessions": [_session(key, session) for key, session in self._cloud.sessions.items()]}
            case "PUT checkpoint":
                self._cloud.save(str(data["name"]))
            case "POST restore":
                self._restore(str(data["name"]))
            case "POST reset":
                self._cloud.wipe()
                self._reviewer.clear()
                self._clear()
            case _:
                return None
        return {}

    def _of_resources(self, request: str, arguments: Arguments, data: Any) -> Any:
        """Handle a request about the resources of an account."""
        match request:
            case "GET state":
                return snapshot(self._cloud.account(*_names(arguments, "account")))
            case "POST age":
                (account,) = _names(arguments, "account")
                self._cloud.grow_older(account, float(data["s"]))
                return {}
            case "POST cluster":
                return self._create_cluster(arguments, data)
            case "PATCH cluster" | "PATCH addon" | "PATCH association":
                return self._patch_eks(request.removeprefix("PATCH "), arguments, data)
            case "PUT kubernetes":
                account, region, name = _names(arguments, "account", "region", "cluster")
                arn = self._cloud.account(account).eks(region).arn("cluster", name)
                self._cloud.settings.kubernetes[arn] = dict(data)
                return {}
            case "GET associations":
                account, region, name = _names(arguments, "account", "region", "cluster")
                return [
                    {"namespace": record["namespace"], "service_account": record["serviceAccount"]}
                    for record in self._cloud.account(account).eks(region).associations.values()
                    if record["clusterName"] == name
                ]
        return None

    def _patch_eks(self, kind: str, arguments: Arguments, data: Mapping[str, Any]) -> Any:
        """Set members of a cluster, add-on or association. Times are seconds since the epoch."""
        account, region, cluster, name = _names(arguments, "account", "region", "cluster", kind)
        eks = self._cloud.account(account).eks(region)
        tables = {"cluster": eks.clusters.get(name), "addon": eks.addons.get((cluster, name))}
        record = {**tables, "association": eks.associations.get(name)}[kind]
        if record is None:
            raise InvalidRequest(404, f"no {kind} {name} on cluster {cluster} in account {account}, {region}")
        for member, value in data.items():
            is_time = member.endswith("At") and isinstance(value, (int, float))
            record[member] = datetime.fromtimestamp(value, timezone.utc) if is_time else value
        return {}

    def _create_cluster(self, arguments: Arguments, data: Any) -> Any:
        """Create an EKS cluster as the root user of an account, unless it exists. Requests are not counted."""
        account_id, region = _names(arguments, "account", "region")
        account, name = self._cloud.account(account_id), str(data["name"])
        eks = account.eks(region)
        if name not in eks.clusters:
            eks.caller = f"arn:aws:iam::{account_id}:root"
            eks.strict = False
            request = {
                "name": name,
                "roleArn": account.iam.arn("role", "/", f"{name}-cluster-role"),
                "resourcesVpcConfig": {"subnetIds": SUBNETS, "endpointPublicAccess": True},
                "accessConfig": {"authenticationMode": "API_AND_CONFIG_MAP"},
                "tags": dict(data["tags"]),
                **({"computeConfig": {"enabled": True}} if data["auto_mode"] else {}),
                **({"version": data["version"]} if data["version"] else {}),
            }
            eks.CreateCluster(request)
            if data["agent"]:
                eks.CreateAddon({"clusterName": name, "addonName": "eks-pod-identity-agent"})
        return {}

    def _review(self, arguments: Arguments, token: str) -> Any:
        """Return the user of a bearer token, or the reason why it is rejected, for the embedded Kubernetes API server."""
        target = Target(*_names(arguments, "account", "region", "cluster", "sts_host"))
        try:
            user = self._reviewer.user(token, target)
        except RejectedToken as error:
            return {"refused": str(error)}
        return {"name": user.name, "groups": list(user.groups)}

    def _restore(self, name: str) -> None:
        try:
            self._cloud.restore(name)
        except KeyError:
            raise InvalidRequest(404, f"no checkpoint {name}") from None
        self._clear()

    def _clear(self) -> None:
        self._read_lag.set(())
        self._instruments.clear()


def _session(key: str, session: Session) -> Any:
    keys = {"access_key_id": key, "secret_access_key": session.secret, "session_token": session.token}
    return {**keys, "arn": session.arn}


def _names(arguments: Arguments, *names: str) -> tuple[str, ...]:
    missing = [name for name in names if name not in arguments]
    if missing:
        raise InvalidRequest(400, f"missing in the query: {', '.join(missing)}")
    return tuple(arguments[name] for name in names)


def _number(data: Any, name: str) -> float:
    value = float(data[name])
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number of at least 0: {data[name]!r}")
    return value
