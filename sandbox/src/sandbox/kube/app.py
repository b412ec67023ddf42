# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over HTTP (ASGI): authentication, authorization, faults, and the form of answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.kube import faults
from sandbox.kube.authentication import Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.control_routes import ControlRoutes
from sandbox.kube.controllers import Controllers
from sandbox.kube.discovery import (
    api_group,
    api_group_list,
    api_resource_list,
    api_versions,
    version_info,
)
from sandbox.kube.errors import ApiError, path_not_found
from sandbox.kube.jsontree import Json
from sandbox.kube.negotiation import check_acceptable, media_type, parse_body
from sandbox.kube.rbac import Attributes, User, denied
from sandbox.kube.streaming import WatchOptions, watch_response
from sandbox.kube.target import Target, parse_target
from sandbox.proxy_page import HTML_TYPE, PROXY_PAGE

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
VERSION = "v1.36.2"
SETTLE_SECONDS = 0.05
TICK_SECONDS = 0.2
STALL_SECONDS = 5.0
Abort = Callable[[Request], None]


class ApiServer:
    """``abort`` drops the connection of a request without an answer."""

    def __init__(
        self,
        new_cluster: Callable[[], Cluster],
        authenticator: Authenticator,
        abort: Abort,
        *,
        controllers: bool = False,
    ) -> None:
        self._new_cluster = new_cluster
        self.cluster = new_cluster()
        self.authenticator = authenticator
        self.instruments = faults.Instruments()
        self._abort = abort
        self._controllers = controllers
        self._ticking: asyncio.Task[None] | None = None
        self._settling: asyncio.TimerHandle | None = None

    def reset(self) -> None:
        """A new cluster, and nothing left of counters, faults and latency."""
        if self._settling is not None:
            self._settling.cancel()
        old = self.cluster
        self.cluster = self._new_cluster()
        self.instruments.clear()
        old.store.events.close()

    def app(self) -> Starlette:
        control = ControlRoutes(self)
        return Starlette(
            routes=[
                Route("/_sandbox/{name}", control.handle, methods=METHODS),
                Route("/{path:path}", self.handle, methods=METHODS),
            ]
        )

    async def handle(self, request: Request) -> Response:
        # Whatever is answered before the request has come whole closes its connection, perhaps at the
        # moment at which the client sends the next one.
        await request.body()
        if self._controllers and self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())
        try:
            return await self._handle(request)
        except ApiError as error:
            return error_response(error)

    async def _tick(self) -> None:
        """Controllers work as long as the server does; of a new cluster from its start on."""
        while True:
            cluster = self.cluster
            Controllers(cluster.operations, cluster.deleter).tick()
            await asyncio.sleep(TICK_SECONDS)

    def _settle_later(self, cluster: Cluster) -> None:
        """Controllers act a moment after the request, and when something ends by itself."""
        wait = cluster.deleter.wait()
        if wait is None:
            return
        loop = asyncio.get_running_loop()
        moment = loop.time() + max(wait, SETTLE_SECONDS)
        if self._settling is not None and not self._settling.cancelled():
            if self._settling.when() <= moment:
                return
            self._settling.cancel()
        self._settling = loop.call_at(moment, self._settle, cluster)

    def _settle(self, cluster: Cluster) -> None:
        self._settling = None
        cluster.deleter.settle()
        self._settle_later(cluster)

    async def _handle(self, request: Request) -> Response:
        path, query = request.url.path, dict(request.query_params)
        if path in ("/healthz", "/livez", "/readyz"):
            return PlainTextResponse("ok")
        cluster = self.cluster
        target = parse_target(cluster.table, request.method, path, query)
        verb = target.verb if target else request.method.lower()
        subject = target.subject if target else path
        due = self.instruments.count(verb, subject, dry_run="dryRun" in query)
        if self.instruments.latency:
            await asyncio.sleep(self.instruments.latency)
        if due is None:
            return await self._answer(request, cluster, target, query)
        rtype = target.rtype if target else None
        error = faults.fault_answer(due, f"{verb} {subject}", rtype, await _name_of(request, target))
        if error is not None:
            raise error
        if due.kind == faults.HTML200:
            return Response(PROXY_PAGE, 200, {"Content-Type": HTML_TYPE})
        if due.kind == faults.EMPTY200:
            return Response(b"", 200)
        if due.kind == faults.RESET_BEFORE:
            self._abort(request)
            return Response()
        response = await self._answer(request, cluster, target, query)
        if due.kind == faults.STALL:
            await asyncio.sleep(STALL_SECONDS if due.seconds is None else due.seconds)
        else:
            self._abort(request)
        return response

    async def _answer(
        self, request: Request, cluster: Cluster, target: Target | None, query: Mapping[str, str]
    ) -> Response:
        user = self.authenticator.user_of(request.headers, cluster.authorizer)
        if target is None:
            asked = Attributes(verb=request.method.lower(), path=request.url.path)
        else:
            asked = target.attributes()
        if not cluster.authorizer.allows(user, asked):
            raise denied(user, asked, target.rtype if target else None)
        if target is not None and target.subresource == "log":
            return PlainTextResponse(cluster.log(target, query))
        check_acceptable(request.headers.get("accept", ""))
        if target is None:
            return discovery_response(cluster, request)
        if target.verb == "watch":
            return watch_response(cluster, target, WatchOptions.parse(query), query)
        return await self._resource_response(request, cluster, target, query, user)

    async def _resource_response(
        self,
        request: Request,
        cluster: Cluster,
        target: Target,
        query: Mapping[str, str],
        user: User,
    ) -> Response:
        content_type = media_type(request.headers.get("content-type", ""))
        body = parse_body(await request.body(), content_type, patch=target.verb == "patch")
        outcome = cluster.answer(
            target,
            query,
            user,
            content_type=content_type,
            body=body,
            agent=request.headers.get("user-agent", ""),
        )
        self._settle_later(cluster)
        status = 201 if outcome.created else 200
        headers = [("warning", f"299 - {json.dumps(text)}") for text in outcome.warnings]
        return json_response(outcome.obj, status, headers)


async def _name_of(request: Request, target: Target | None) -> str:
    """The object a request is about; that of a create is in its body."""
    if target is None or target.name:
        return target.name if target else ""
    try:
        body = json.loads(await request.body() or b"{}")
        return str(body["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""


def json_response(body: Json, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    response = Response(content, status, media_type="application/json")
    for name, value in headers or []:
        response.headers.append(name, value)
    return response


def error_response(error: ApiError) -> Response:
    if error.code == 429:
        # API Priority and Fairness answers plain text.
        return PlainTextResponse(f"{error.message}\n", 429, dict(error.headers))
    return json_response(error.status(), error.code)


def discovery_response(cluster: Cluster, request: Request) -> Response:
    """Everything that is no resource."""
    table = cluster.table
    parts = request.url.path.strip("/").split("/")
    found: Json | None = None
    match parts:
        case ["version"]:
            found = version_info(VERSION, eks=cluster.is_eks)
        case ["api"]:
            found = api_versions(request.url.netloc)
        case ["apis"]:
            found = api_group_list(table)
        case ["api", version]:
            found = api_resource_list(table, "", version)
        case ["apis", group]:
            found = api_group(table, group)
        case ["apis", group, version]:
            found = api_resource_list(table, group, version)
    if found is None:
        raise path_not_found()
    return json_response(found)
