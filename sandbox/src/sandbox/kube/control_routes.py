# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoints below /_sandbox/: what tests and the supervisor read and set."""

from __future__ import annotations

import json
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.kube.authentication import Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.errors import ApiError
from sandbox.kube.faults import FaultRule, Instruments
from sandbox.kube.jsontree import Json
from sandbox.kube.termination import Termination


class Controlled(Protocol):
    """The server as far as these endpoints steer it."""

    cluster: Cluster
    instruments: Instruments
    authenticator: Authenticator

    def reset(self) -> None: ...


class ControlRoutes:
    """GET ready is open; everything else takes an administrator's token."""

    def __init__(self, server: Controlled) -> None:
        self._server = server
        self._kept: dict[str, Json] = {}

    async def handle(self, request: Request) -> Response:
        name, method = request.path_params["name"], request.method
        raw = await request.body()
        if (method, name) == ("GET", "ready"):
            return JSONResponse({"ready": True})
        try:
            if not self._server.authenticator.is_admin(request.headers):
                return _refusal(403, "the control endpoints take an administrator's token")
            answer = self._do(method, name, json.loads(raw) if raw else None)
        except ApiError as error:
            return _refusal(error.code, error.message)
        except (KeyError, TypeError, ValueError) as error:
            return _refusal(400, f"{method} {name}: {error}")
        if answer is None:
            return _refusal(404, f"there is no {method} {name}")
        return JSONResponse(answer)

    def _do(self, method: str, name: str, body: Any) -> Json | None:
        server = self._server
        match method, name:
            case "GET", "counters":
                return server.instruments.counters()
            case "DELETE", "counters":
                server.instruments.clear_counters()
            case "PUT", "latency":
                server.instruments.latency = float(body["ms"]) / 1000
            case "PUT", "faults":
                server.instruments.set_rules([FaultRule.parse(item) for item in body])
            case "PUT", "associations":
                pairs = {(str(i["namespace"]), str(i["service_account"])) for i in body}
                server.cluster.webhook.associations = pairs
            case "PUT", "webhook":
                delays = [float(ms) / 1000 for ms in body.get("delays_ms") or [0]]
                server.cluster.set_webhook(bool(body["enabled"]), delays)
            case "PUT", "termination":
                given = (float(body.get(name) or 0) / 1000 for name in ("pod_ms", "namespace_ms"))
                server.cluster.deleter.termination = Termination(*given)
            case "POST", "compact":
                server.cluster.store.events.compact(server.cluster.store.version)
            case "PUT", "logs":
                server.cluster.logs = {
                    (i["namespace"], i["pod"], i.get("container", "")): i["text"] for i in body
                }
            case "PUT", "checkpoint":
                # Stored objects are never changed in place.
                self._kept[str(body["name"])] = server.cluster.snapshot()
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
        if name not in self._kept:
            raise ApiError(404, "NotFound", f"there is no checkpoint {name}", {})
        return self._kept[name]


def _refusal(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status)
