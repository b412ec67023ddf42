# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handle the control requests under ``/_sandbox/``, which :class:`sandbox.aws.control.AwsControl` sends.

Control requests use the same port as the AWS API. These requests need no authentication, because the server listens on
loopback only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from sandbox.aws.ageing import grow_older
from sandbox.aws.checkpoint import Checkpoints
from sandbox.aws.eks_tokens import RejectedToken, Target
from sandbox.aws.faults import FaultRule, FaultRuleError
from sandbox.aws.instruments import Instruments
from sandbox.aws.model import Response
from sandbox.aws.overlay import Overlay
from sandbox.aws.read_lag import LagRule, LagRuleError
from sandbox.aws.responses import json_response
from sandbox.aws.settings import CONTROL_PREFIX
from sandbox.aws.snapshot import snapshot

Arguments = Mapping[str, str]


class ControlError(Exception):
    """The error for an invalid control request. ``status`` is the HTTP status of the response."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ControlHandler:
    """The handler of control requests. Each control request has a method that returns the data of the JSON response."""

    def __init__(self, overlay: Overlay, instruments: Instruments) -> None:
        self._overlay = overlay
        self._instruments = instruments
        self._checkpoints = Checkpoints(overlay)
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
        except ControlError as error:
            return json_response({"error": str(error)}, error.status)
        except (FaultRuleError, TypeError, ValueError) as error:
            return json_response({"error": f"{method} {path}: {error}"}, 400)

    def _ready(self, _arguments: Arguments, _data: Any) -> Any:
        return {"ready": True, "auth": self._overlay.ministack.auth}

    def _counters(self, _arguments: Arguments, _data: Any) -> Any:
        return self._instruments.counters.snapshot()

    def _clear_counters(self, _arguments: Arguments, _data: Any) -> Any:
        self._instruments.counters.clear()
        return {}

    def _latency(self, _arguments: Arguments, data: Any) -> Any:
        self._instruments.latency_ms = _milliseconds(data)
        return {"ms": self._instruments.latency_ms}

    def _propagation(self, _arguments: Arguments, data: Any) -> Any:
        self._overlay.propagation.delay_ms = _milliseconds(data)
        return {"ms": self._overlay.propagation.delay_ms}

    def _rate_limit(self, _arguments: Arguments, data: Any) -> Any:
        self._instruments.rate_limit.set(float(data["per_second"]))
        return {"per_second": self._instruments.rate_limit.per_second}

    def _session_lifetime(self, _arguments: Arguments, data: Any) -> Any:
        seconds = float(data["s"])
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"s must be a number of at least 0: {data['s']!r}")
        self._overlay.assume_role.lifetime_s = seconds
        return {"s": seconds}

    def _show_read_lag(self, _arguments: Arguments, _data: Any) -> Any:
        return {"rules": self._overlay.read_lag.snapshot()}

    def _set_read_lag(self, _arguments: Arguments, data: Any) -> Any:
        if not isinstance(data, list):
            raise LagRuleError("read lags must be a list of rules")
        self._overlay.read_lag.set([LagRule.parse(rule) for rule in data])
        return {"rules": len(data)}

    def _show_faults(self, _arguments: Arguments, _data: Any) -> Any:
        return {"rules": self._instruments.faults.snapshot()}

    def _set_faults(self, _arguments: Arguments, data: Any) -> Any:
        if not isinstance(data, list):
            raise FaultRuleError("faults must be a list of rules")
        self._instruments.faults.set([FaultRule.parse(rule) for rule in data])
        return {"rules": len(data)}

    def _kubernetes(self, _arguments: Arguments, data: Any) -> Any:
        kubernetes = self._overlay.eks_state.kubernetes
        kubernetes.endpoint = str(data["endpoint"])
        kubernetes.certificate_authority_data = str(data["certificate_authority_data"])
        return {}

    def _patch_cluster(self, arguments: Arguments, data: Any) -> Any:
        account, region, cluster = _names(arguments, "account", "region", "cluster")
        record = self._overlay.eks_state.find_cluster(account, region, cluster)
        if record is None:
            raise ControlError(404, f"no cluster {cluster} in account {account}, {region}")
        record.update(data)
        record["_patched"] = sorted({*record.get("_patched", ()), *data})
        return {}

    def _patch_addon(self, arguments: Arguments, data: Any) -> Any:
        account, region, cluster, addon = _names(arguments, "account", "region", "cluster", "addon")
        record = self._overlay.eks_state.addon(account, region, cluster, addon)
        if record is None:
            raise ControlError(404, f"no add-on {addon} on cluster {cluster} in account {account}")
        record.update(data)
        return {}

    def _patch_association(self, arguments: Arguments, data: Any) -> Any:
        account, region, cluster, association_id = _names(
            arguments, "account", "region", "cluster", "association"
        )
        record = self._overlay.eks_state.association(account, region, cluster, association_id)
        if record is None:
            raise ControlError(404, f"no association {association_id} on cluster {cluster}")
        record.update(data)
        return {}

    def _patch_role(self, arguments: Arguments, data: Any) -> Any:
        account, name = _names(arguments, "account", "role")
        record = self._overlay.iam_state.role(account, name)
        if record is None:
            raise ControlError(404, f"no role {name} in account {account}")
        record.update(data)
        return {}

    def _associations(self, arguments: Arguments, _data: Any) -> Any:
        """Return the associations of a cluster, for the Pod Identity webhook of the embedded Kubernetes API server."""
        account, region, cluster = _names(arguments, "account", "region", "cluster")
        associations = self._overlay.eks_state.associations(account, region, cluster)
        return [
            {
                "namespace": record["namespace"],
                "service_account": record["serviceAccount"],
            }
            for record in associations.by_id.values()
        ]

    def _token_review(self, arguments: Arguments, data: Any) -> Any:
        """Return the user of a bearer token, or the reason why it is rejected, for the embedded Kubernetes API server."""
        target = Target(*_names(arguments, "account", "region", "cluster", "sts_host"))
        try:
            user = self._overlay.token_review.user(str(data["token"]), target)
        except RejectedToken as error:
            return {"refused": str(error)}
        return {"name": user.name, "groups": list(user.groups)}

    def _age(self, arguments: Arguments, data: Any) -> Any:
        (account,) = _names(arguments, "account")
        grow_older(self._overlay.ministack, self._overlay.eks_state, account, float(data["s"]))
        return {}

    def _state(self, arguments: Arguments, _data: Any) -> Any:
        return snapshot(self._overlay, *_names(arguments, "account"))

    def _sessions(self, _arguments: Arguments, _data: Any) -> Any:
        return {
            "sessions": [
                {
                    "access_key_id": key,
                    "secret_access_key": session["SecretAccessKey"],
                    "session_token": session["SessionToken"],
                    "arn": session["Arn"],
                }
                for key, session in self._overlay.ministack.sessions().items()
            ]
        }

    def _tokens(self, _arguments: Arguments, _data: Any) -> Any:
        return {"tokens": self._overlay.token_review.tokens}

    def _save(self, _arguments: Arguments, data: Any) -> Any:
        self._checkpoints.save(str(data["name"]))
        return {}

    def _restore(self, _arguments: Arguments, data: Any) -> Any:
        name = str(data["name"])
        try:
            self._checkpoints.restore(name)
        except KeyError:
            raise ControlError(404, f"no checkpoint {name}") from None
        self._instruments.clear()
        return {}

    def _reset(self, _arguments: Arguments, _data: Any) -> Any:
        self._overlay.wipe()
        self._instruments.clear()
        return {}


def _names(arguments: Arguments, *names: str) -> tuple[str, ...]:
    missing = [name for name in names if name not in arguments]
    if missing:
        raise ControlError(400, f"missing in the query: {', '.join(missing)}")
    return tuple(arguments[name] for name in names)


def _milliseconds(data: Any) -> float:
    value = float(data["ms"])
    if not 0 <= value < float("inf"):
        raise ValueError(f"ms must be a number of at least 0: {data['ms']!r}")
    return value
