# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handle the control requests under ``/_sandbox/``, which :class:`sandbox.aws.control.AwsControl` sends.

Control requests use the same port as the AWS API. These requests need no authentication, because the server listens on
loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qs

from sandbox.aws.api import Api
from sandbox.aws.eks_tokens import RejectedToken, Target, TokenReview
from sandbox.aws.faults import KINDS
from sandbox.aws.instruments import Instruments
from sandbox.aws.protocol import json_response
from sandbox.aws.read_lag import LagRule, LagRuleError
from sandbox.aws.snapshot import snapshot
from sandbox.control_client import CONTROL_PREFIX
from sandbox.faults import FaultRule, FaultRuleError
from sandbox.http import Response

Arguments = Mapping[str, str]
SUBNETS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]
CLUSTER_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}


class InvalidRequest(Exception):
    """The error for an invalid control request. ``status`` is the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlHandler:
    """The handler of control requests. Each control request has a method that returns the data of the JSON response."""

    def __init__(self, api: Api, instruments: Instruments) -> None:
        self._cloud = api.cloud
        self._read_lag = api.read_lag
        self._token_reviewer = TokenReview(api.cloud)
        self._instruments = instruments
        self._routes: Mapping[tuple[str, str], Callable[[Arguments, Any], Any]] = {
            ("GET", "ready"): self._ready,
            ("GET", "counters"): self._counters,
            ("DELETE", "counters"): self._clear_counters,
            ("PUT", "latency"): self._latency,
            ("PUT", "propagation"): self._propagation,
            ("PUT", "rate-limit"): self._rate_limit,
            ("PUT", "session-lifetime"): self._session_lifetime,
            ("GET", "read-lag"): self._show_read_lag,
            ("PUT", "read-lag"): self._set_read_lag,
            ("GET", "faults"): self._show_faults,
            ("PUT", "faults"): self._set_faults,
            ("PUT", "kubernetes"): self._kubernetes,
            ("POST", "cluster"): self._create_cluster,
            ("PATCH", "cluster"): self._patch_cluster,
            ("PATCH", "addon"): self._patch_addon,
            ("PATCH", "association"): self._patch_association,
            ("PATCH", "role"): self._patch_role,
            ("POST", "age"): self._age,
            ("GET", "associations"): self._associations,
            ("POST", "token-review"): self._token_review,
            ("GET", "state"): self._state,
            ("GET", "sessions"): self._sessions,
            ("GET", "tokens"): self._tokens,
            ("PUT", "checkpoint"): self._save,
            ("POST", "restore"): self._restore,
            ("POST", "reset"): self._reset,
        }

    def handle(self, method: str, path: str, query: str, body: bytes) -> Response:
        handler = self._routes.get((method, path.removeprefix(CONTROL_PREFIX)))
        if handler is None:
            return json_response({"error": f"no control request {method} {path}"}, 404)
        arguments = {name: values[0] for name, values in parse_qs(query).items()}
        try:
            return json_response(handler(arguments, json.loads(body or b"null")))
        except InvalidRequest as error:
            return json_response({"error": str(error)}, error.status)
        except (FaultRuleError, TypeError, ValueError) as error:
            return json_response({"error": f"{method} {path}: {error}"}, 400)

    def _ready(self, _arguments: Arguments, _data: Any) -> Any:
        return {"ready": True, "auth": self._cloud.settings.auth}

    def _counters(self, _arguments: Arguments, _data: Any) -> Any:
        return self._instruments.counters.snapshot()

    def _clear_counters(self, _arguments: Arguments, _data: Any) -> Any:
        self._instruments.counters.clear()
        return {}

    def _latency(self, _arguments: Arguments, data: Any) -> Any:
        self._instruments.latency_ms = _milliseconds(data)
        return {"ms": self._instruments.latency_ms}

    def _propagation(self, _arguments: Arguments, data: Any) -> Any:
        self._cloud.settings.propagation_ms = _milliseconds(data)
        return {"ms": self._cloud.settings.propagation_ms}

    def _rate_limit(self, _arguments: Arguments, data: Any) -> Any:
        self._instruments.rate_limit.set(float(data["per_second"]))
        return {"per_second": self._instruments.rate_limit.per_second}

    def _session_lifetime(self, _arguments: Arguments, data: Any) -> Any:
        seconds = float(data["s"])
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"s must be a number of at least 0: {data['s']!r}")
        self._cloud.settings.lifetime_s = seconds
        return {"s": seconds}

    def _show_read_lag(self, _arguments: Arguments, _data: Any) -> Any:
        return {"rules": self._read_lag.snapshot()}

    def _set_read_lag(self, _arguments: Arguments, data: Any) -> Any:
        if not isinstance(data, list):
            raise LagRuleError("read lags must be a list of rules")
        self._read_lag.set([LagRule.parse(rule) for rule in data])
        return {"rules": len(data)}

    def _show_faults(self, _arguments: Arguments, _data: Any) -> Any:
        return {"rules": self._instruments.faults.snapshot()}

    def _set_faults(self, _arguments: Arguments, data: Any) -> Any:
        if not isinstance(data, list):
            raise FaultRuleError("faults must be a list of rules")
        self._instruments.faults.set([FaultRule.parse(rule, KINDS) for rule in data])
        return {"rules": len(data)}

    def _kubernetes(self, _arguments: Arguments, data: Any) -> Any:
        self._cloud.settings.endpoint = str(data["endpoint"])
        self._cloud.settings.authority = str(data["certificate_authority_data"])
        return {}

    def _create_cluster(self, arguments: Arguments, data: Any) -> Any:
        """Create an EKS cluster as the root user of an account, with its role, unless it exists. Requests are not counted."""
        account_id, region = _names(arguments, "account", "region")
        account, name = self._cloud.account(account_id), str(data["name"])
        eks, role = account.eks(region), f"{name}-cluster-role"[:64]
        if role.lower() not in account.iam.roles:
            account.iam.CreateRole({"RoleName": role, "AssumeRolePolicyDocument": json.dumps(CLUSTER_TRUST)})
        if name not in eks.clusters:
            eks.caller = f"arn:aws:iam::{account_id}:root"
            eks.strict = False
            request = {
                "name": name,
                "roleArn": account.iam.arn("role", "/", role),
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

    def _patch_cluster(self, arguments: Arguments, data: Any) -> Any:
        account, region, name = _names(arguments, "account", "region", "cluster")
        cluster = self._cloud.account(account).eks(region).clusters.get(name)
        _patch(cluster, data, f"cluster {name} in account {account}, {region}")
        if cluster is not None:
            cluster["_patched"] = sorted({*cluster.get("_patched", ()), *data})
        return {}

    def _patch_addon(self, arguments: Arguments, data: Any) -> Any:
        account, region, cluster, name = _names(arguments, "account", "region", "cluster", "addon")
        addon = self._cloud.account(account).eks(region).addons.get((cluster, name))
        return _patch(addon, data, f"add-on {name} on cluster {cluster} in account {account}")

    def _patch_association(self, arguments: Arguments, data: Any) -> Any:
        account, region, cluster, name = _names(arguments, "account", "region", "cluster", "association")
        association = self._cloud.account(account).eks(region).associations.get(name)
        return _patch(association, data, f"association {name} on cluster {cluster}")

    def _patch_role(self, arguments: Arguments, data: Any) -> Any:
        account, name = _names(arguments, "account", "role")
        if moment := data.get("RoleLastUsed", {}).get("LastUsedDate"):
            data = {
                **data,
                "RoleLastUsed": {**data["RoleLastUsed"], "LastUsedDate": datetime.fromisoformat(moment)},
            }
        role = self._cloud.account(account).iam.roles.get(name.lower())
        return _patch(role, data, f"role {name} in account {account}")

    def _associations(self, arguments: Arguments, _data: Any) -> Any:
        """Return the associations of a cluster, for the Pod Identity webhook of the embedded Kubernetes API server."""
        account, region, cluster = _names(arguments, "account", "region", "cluster")
        return [
            {"namespace": record["namespace"], "service_account": record["serviceAccount"]}
            for record in self._cloud.account(account).eks(region).associations.values()
            if record["clusterName"] == cluster
        ]

    def _token_review(self, arguments: Arguments, data: Any) -> Any:
        """Return the user of a bearer token, or the reason why it is rejected, for the embedded Kubernetes API server."""
        target = Target(*_names(arguments, "account", "region", "cluster", "sts_host"))
        try:
            user = self._token_reviewer.user(str(data["token"]), target)
        except RejectedToken as error:
            return {"refused": str(error)}
        return {"name": user.name, "groups": list(user.groups)}

    def _age(self, arguments: Arguments, data: Any) -> Any:
        (account,) = _names(arguments, "account")
        self._cloud.grow_older(account, float(data["s"]))
        return {}

    def _state(self, arguments: Arguments, _data: Any) -> Any:
        return snapshot(self._cloud.account(*_names(arguments, "account")))

    def _sessions(self, _arguments: Arguments, _data: Any) -> Any:
        return {
            "sessions": [
                {
                    "access_key_id": key,
                    "secret_access_key": session.secret,
                    "session_token": session.token,
                    "arn": session.arn,
                }
                for key, session in self._cloud.sessions.items()
            ]
        }

    def _tokens(self, _arguments: Arguments, _data: Any) -> Any:
        return {"tokens": self._token_reviewer.tokens}

    def _save(self, _arguments: Arguments, data: Any) -> Any:
        self._cloud.save(str(data["name"]))
        return {}

    def _restore(self, _arguments: Arguments, data: Any) -> Any:
        name = str(data["name"])
        try:
            self._cloud.restore(name)
        except KeyError:
            raise InvalidRequest(404, f"no checkpoint {name}") from None
        self._read_lag.set(())
        self._instruments.clear()
        return {}

    def _reset(self, _arguments: Arguments, _data: Any) -> Any:
        self._read_lag.set(())
        self._cloud.wipe()
        self._token_reviewer.clear()
        self._instruments.clear()
        return {}


def _patch(record: dict[str, Any] | None, data: Mapping[str, Any], label: str) -> Any:
    """Set members of a record. Times are seconds since the epoch."""
    if record is None:
        raise InvalidRequest(404, f"no {label}")
    for name, value in data.items():
        is_time = name.endswith("At") and isinstance(value, (int, float))
        record[name] = datetime.fromtimestamp(value, timezone.utc) if is_time else value
    return {}


def _names(arguments: Arguments, *names: str) -> tuple[str, ...]:
    missing = [name for name in names if name not in arguments]
    if missing:
        raise InvalidRequest(400, f"missing in the query: {', '.join(missing)}")
    return tuple(arguments[name] for name in names)


def _milliseconds(data: Any) -> float:
    value = float(data["ms"])
    if not 0 <= value < float("inf"):
        raise ValueError(f"ms must be a number of at least 0: {data['ms']!r}")
    return value
