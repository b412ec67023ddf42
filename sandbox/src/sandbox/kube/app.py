# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API over HTTP (ASGI): authentication, authorization, faults, and the form of answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.kube import faults, openapi, protobuf
from sandbox.kube.authentication import Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.control_routes import ControlRoutes
from sandbox.kube.discovery import (
    AGGREGATED,
    aggregated,
    api_group,
    api_group_list,
    api_resource_list,
    api_versions,
    version_info,
)
from sandbox.kube.errors import ApiError, bad_request, path_not_found
from sandbox.kube.jsontree import Json
from sandbox.kube.patch import APPLY
from sandbox.kube.rbac import Attributes, User, denied
from sandbox.kube.streaming import WatchOptions, watch_response
from sandbox.kube.tables import as_table, wants_table
from sandbox.kube.target import Target, parse_target

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
VERSION = "v1.36.2"
SETTLE_SECONDS = 0.05
Abort = Callable[[Request], None]


class ApiServer:
    """``abort`` drops the connection of a request without an answer."""

    def __init__(
        self,
        new_cluster: Callable[[], Cluster],
        authenticator: Authenticator,
        abort: Abort,
    ) -> None:
        self._new_cluster = new_cluster
        self.cluster = new_cluster()
        self.authenticator = authenticator
        self.instruments = faults.Instruments()
        self._abort = abort

    def reset(self) -> None:
        """A new cluster, and nothing left of counters, faults and latency."""
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
        try:
            return await self._handle(request)
        except ApiError as error:
            return error_response(error)

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
        if due is not None and due not in (faults.RESET_BEFORE, faults.RESET_AFTER):
            raise faults.fault_answer(due, f"{verb} {subject}")
        if due == faults.RESET_BEFORE:
            self._abort(request)
            return Response()
        response = await self._answer(request, cluster, target, query)
        if due == faults.RESET_AFTER:
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
        if target is None:
            return discovery_response(cluster, request)
        if target.verb == "watch":
            form = answer_form(target, request.headers.get("accept", ""), query)
            return watch_response(cluster, target, WatchOptions.parse(query), query, form)
        if target.subresource == "log":
            return PlainTextResponse(cluster.log(target, query))
        return await self._resource_response(request, cluster, target, query, user)

    async def _resource_response(
        self,
        request: Request,
        cluster: Cluster,
        target: Target,
        query: Mapping[str, str],
        user: User,
    ) -> Response:
        content_type = request.headers.get("content-type", "application/json").partition(";")[0]
        body = parse_body(await request.body(), content_type)
        outcome = cluster.answer(
            target,
            query,
            user,
            content_type=content_type.strip(),
            body=body,
            agent=request.headers.get("user-agent", ""),
        )
        if not cluster.deleter.is_settled:
            asyncio.get_running_loop().call_later(SETTLE_SECONDS, cluster.deleter.settle)
        if target.verb in ("get", "list"):
            form = answer_form(target, request.headers.get("accept", ""), query)
            return json_response(form(outcome.obj))
        status = 201 if outcome.created else 200
        headers = [("warning", f"299 - {json.dumps(text)}") for text in outcome.warnings]
        return json_response(outcome.obj, status, headers)


def answer_form(target: Target, accept: str, query: Mapping[str, str]) -> Callable[[Json], Json]:
    """How the client wants objects: as a table (kubectl get), or as they are."""
    if not wants_table(accept):
        return lambda obj: obj
    include = query.get("includeObject", "")
    return lambda obj: as_table(target.rtype, obj, include, datetime.now(timezone.utc))


def parse_body(raw: bytes, content_type: str) -> Any:
    """JSON, YAML (server-side apply) or protobuf (kubectl create); None for no body."""
    if not raw:
        return None
    if content_type.strip() == protobuf.CONTENT_TYPE:
        return protobuf.decode(raw)
    try:
        if content_type.strip() in (APPLY, "application/yaml"):
            return yaml.safe_load(raw)
        return json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def json_response(body: Json, status: int = 200, headers: list[tuple[str, str]] | None = None) -> Response:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    response = Response(content, status, media_type="application/json")
    for name, value in headers or []:
        response.headers.append(name, value)
    return response


def error_response(error: ApiError) -> Response:
    if error.code == 429:
        # API Priority and Fairness answers plain text.
        return PlainTextResponse(f"{error.message}\n", 429, {"Retry-After": "1"})
    return json_response(error.status(), error.code)


def discovery_response(cluster: Cluster, request: Request) -> Response:
    """Everything that is no resource."""
    path, table = request.url.path.rstrip("/"), cluster.table
    parts = path.strip("/").split("/")
    found: Json | None = None
    if path in ("/api", "/apis") and _wants_aggregated(request.headers.get("accept", "")):
        response = json_response(aggregated(table, core=path == "/api"))
        response.headers["content-type"] = AGGREGATED
        response.headers["vary"] = "Accept"
        return response
    if parts == ["openapi", "v2"] and openapi.ACCEPTED_PROTOBUF_V2 in request.headers.get("accept", ""):
        return Response(openapi.protobuf_v2(), media_type=openapi.PROTOBUF_V2)
    match parts:
        case ["version"]:
            found = version_info(VERSION)
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
        case ["openapi", "v2"]:
            found = openapi.document_v2(table)
        case ["openapi", "v3"]:
            found = openapi.index_v3(table)
        case ["openapi", "v3", "api", version]:
            found = openapi.document_v3(table, "", version)
        case ["openapi", "v3", "apis", group, version]:
            found = openapi.document_v3(table, group, version)
    if found is None:
        raise path_not_found()
    return json_response(found)


def _wants_aggregated(accept: str) -> bool:
    return any(
        "as=APIGroupDiscoveryList" in choice and "v=v2" in choice.replace(" ", "").split(";")
        for choice in accept.split(",")
    )
