# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handle the control requests under /_sandbox/ (see :class:`sandbox.kube.control.KubeControl`)."""

from __future__ import annotations

import json
from typing import Any, Protocol

from sandbox.faults import COMMON, FaultRule
from sandbox.http import Request
from sandbox.kube.authentication import Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import ApiError
from sandbox.kube.faults import Instruments
from sandbox.kube.jsontree import Json


class Controlled(Protocol):
    """The interface of the server that the control requests use."""

    cluster: Cluster
    instruments: Instruments
    authenticator: Authenticator

    def reset(self) -> None: ...


class ControlRoutes:
    """The handler of control requests.

    All control requests need the bearer token of an administrator.
    """

    def __init__(self, server: Controlled) -> None:
        self._server = server
        self._checkpoints: dict[str, Json] = {}

    def handle(self, request: Request) -> tuple[int, Json]:
        """Return the status and the body of the response to a control request."""
        name, method = request.path.rpartition("/")[2], request.method
        try:
            if not self._server.authenticator.is_admin(request.headers):
                return 403, {"error": "the control endpoints need an administrator's token"}
            result = self._execute(method, name, json.loads(request.body) if request.body else None)
        except ApiError as error:
            return error.code, {"error": error.message}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            return 400, {"error": f"{method} {name}: {error}"}
        if result is None:
            return 404, {"error": f"there is no control request {method} {name}"}
        return 200, result

    def _execute(self, method: str, name: str, body: Any) -> Json | None:
        server = self._server
        match method, name:
            case "GET", "counters":
                return server.instruments.counters()
            case "DELETE", "counters":
                server.instruments.clear_counters()
            case "PUT", "latency":
                server.instruments.latency = float(body["ms"]) / 1000
            case "PUT", "faults":
                server.instruments.faults.set([FaultRule.parse(item, COMMON) for item in body])
            case "PUT", "associations":
                server.cluster.webhook.associations = _pairs(body)
            case "PUT", "known_associations":
                known = body["pairs"]
                server.cluster.webhook.known = None if known is None else _pairs(known)
            case "PUT", "checkpoint":
                # The objects need not be copied, because stored objects never change.
                self._checkpoints[str(body["name"])] = server.cluster.snapshot()
            case "POST", "restore":
                snapshot = self._snapshot(str(body["name"]))
                server.reset()
                server.cluster.restore(snapshot)
            case "POST", "reset":
                server.reset()
            case "GET", "state":
                return server.cluster.snapshot()
            case _:
                return None
        return {}

    def _snapshot(self, name: str) -> Json:
        if name not in self._checkpoints:
            raise ApiError(404, "NotFound", f"there is no checkpoint {name}", {})
        return self._checkpoints[name]


def _pairs(items: Any) -> set[tuple[str, str]]:
    return {(str(item["namespace"]), str(item["service_account"])) for item in items}
