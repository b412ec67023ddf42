# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application of the API server: it authenticates and authorizes requests, and applies fault rules."""

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
from sandbox.kube.rbac import Attributes, denied
from sandbox.kube.target import Target, parse_target
from sandbox.proxy_page import HTML_TYPE, PROXY_PAGE

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
VERSION = "v1.36.2"
RECONCILE_SECONDS = 0.05
TICK_SECONDS = 0.2
STALL_SECONDS = 5.0
Abort = Callable[[Request], None]


class ApiServer:
    """The API server. ``abort`` closes the connection of a request with a TCP reset."""

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
        self._controller_task: asyncio.Task[None] | None = None
        self._reconciling: asyncio.TimerHandle | None = None

    def reset(self) -> None:
        """Replace the cluster with a new cluster, and clear counters, fault rules and latency."""
        if self._reconciling is not None:
            self._reconciling.cancel()
            self._reconciling = None
        self.cluster = self._new_cluster()
        self.instruments.clear()

    def app(self) -> Starlette:
        control = ControlRoutes(self)
        return Starlette(
            routes=[
                Route("/_sandbox/{name}", control.handle, methods=METHODS),
                Route("/{path:path}", self.handle, methods=METHODS),
            ]
        )

    async def handle(self, request: Request) -> Response:
        # Read the whole request first. A response to an incomplete request would close the connection, and the next
        # request of the client could fail.
        await request.body()
        if self._controllers and self._controller_task is None:
            self._controller_task = asyncio.create_task(self._tick())
        try:
            return await self._handle(request)
        except ApiError as error:
            return error_response(error)

    async def _tick(self) -> None:
        """Run the controllers at regular intervals."""
        cluster: Cluster | None = None
        while True:
            if cluster is not self.cluster:
                cluster = self.cluster
                controllers = Controllers(cluster.operations, cluster.deleter)
            controllers.tick()
            await asyncio.sleep(TICK_SECONDS)

    def _schedule_reconcile(self, cluster: Cluster) -> None:
        """Let garbage collection run shortly after the request, as in a real cluster."""
        if cluster.deleter.pending and self._reconciling is None:
            loop = asyncio.get_running_loop()
            self._reconciling = loop.call_later(RECONCILE_SECONDS, self._reconcile, cluster)

    def _reconcile(self, cluster: Cluster) -> None:
        self._reconciling = None
        cluster.deleter.reconcile()

    async def _handle(self, request: Request) -> Response:
        path, query = request.url.path, dict(request.query_params)
        if path in ("/healthz", "/livez", "/readyz"):
            return PlainTextResponse("ok")
        cluster = self.cluster
        target = parse_target(cluster.table, request.method, path, query)
        verb = target.verb if target else request.method.lower()
        subject = target.subject if target else path
        rule = self.instruments.count(verb, subject, dry_run="dryRun" in query)
        if self.instruments.latency:
            await asyncio.sleep(self.instruments.latency)
        if rule is None:
            return await self._respond(request, cluster, target, query)
        rtype = target.rtype if target else None
        error = faults.api_error(rule, f"{verb} {subject}", rtype, await _object_name(request, target))
        if error is not None:
            raise error
        if rule.kind == faults.HTML200:
            return Response(PROXY_PAGE, 200, {"Content-Type": HTML_TYPE})
        if rule.kind == faults.EMPTY200:
            return Response(b"", 200)
        if rule.kind == faults.RESET_BEFORE:
            self._abort(request)
            return Response()
        response = await self._respond(request, cluster, target, query)
        if rule.kind == faults.STALL:
            await asyncio.sleep(STALL_SECONDS if rule.seconds is None else rule.seconds)
        else:
            self._abort(request)
        return response

    async def _respond(
        self, request: Request, cluster: Cluster, target: Target | None, query: Mapping[str, str]
    ) -> Response:
        user = self.authenticator.authenticate(request.headers)
        if target is None:
            attributes = Attributes(verb=request.method.lower(), path=request.url.path)
        else:
            attributes = target.attributes()
        if not cluster.authorizer.allows(user, attributes):
            raise denied(user, attributes, target.rtype if target else None)
        check_acceptable(request.headers.get("accept", ""))
        if target is None:
            return discovery_response(cluster, request)
        return await self._resource_response(request, cluster, target, query)

    async def _resource_response(
        self,
        request: Request,
        cluster: Cluster,
        target: Target,
        query: Mapping[str, str],
    ) -> Response:
        content_type = media_type(request.headers.get("content-type", ""))
        body = parse_body(await request.body(), content_type, patch=target.verb == "patch")
        outcome = cluster.handle(
            target,
            query,
            content_type=content_type,
            body=body,
            agent=request.headers.get("user-agent", ""),
        )
        self._schedule_reconcile(cluster)
        status = 201 if outcome.created else 200
        headers = [("warning", f"299 - {json.dumps(text)}") for text in outcome.warnings]
        return json_response(outcome.obj, status, headers)


async def _object_name(request: Request, target: Target | None) -> str:
    """Return the name of the object from the path, or from the body of a create request, or ""."""
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
        # As in Kubernetes, this response is plain text: API Priority and Fairness writes it before the API server
        # handles the request.
        return PlainTextResponse(f"{error.message}\n", 429, dict(error.headers))
    return json_response(error.status(), error.code)


def discovery_response(cluster: Cluster, request: Request) -> Response:
    """Return the response to a discovery request. Raise ApiError 404 for an unknown path."""
    table = cluster.table
    parts = request.url.path.strip("/").split("/")
    document: Json | None = None
    match parts:
        case ["version"]:
            document = version_info(VERSION, eks=cluster.webhook.enabled)
        case ["api"]:
            document = api_versions(request.url.netloc)
        case ["apis"]:
            document = api_group_list(table)
        case ["api", version]:
            document = api_resource_list(table, "", version)
        case ["apis", group]:
            document = api_group(table, group)
        case ["apis", group, version]:
            document = api_resource_list(table, group, version)
    if document is None:
        raise path_not_found()
    return json_response(document)
