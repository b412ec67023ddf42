# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The API server: it authenticates and authorizes requests, and applies fault rules."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from sandbox.control_client import CONTROL_PREFIX
from sandbox.faults import EMPTY200, HTML200, RESET_BEFORE, STALL
from sandbox.http import Connection, Request, Response
from sandbox.kube.authentication import Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.control_routes import ControlRoutes
from sandbox.kube.controllers import Controllers
from sandbox.kube.discovery import (
    api_group_list,
    api_resource_list,
    api_versions,
    version_info,
)
from sandbox.kube.errors import ApiError, bad_request, path_not_found, unsupported_media_type
from sandbox.kube.faults import Instruments, api_error
from sandbox.kube.jsontree import Json
from sandbox.kube.patch import APPLY, PATCHES
from sandbox.kube.rbac import Attributes, denied
from sandbox.kube.target import Target, parse_target
from sandbox.kube.tls import ServerFiles
from sandbox.proxy_page import HTML_TYPE, PROXY_PAGE

JSON = "application/json"
VERSION = "v1.36.2"
RECONCILE_SECONDS = 0.05
TICK_SECONDS = 0.05


class ApiServer:
    """The API server of a cluster."""

    def __init__(
        self, new_cluster: Callable[[], Cluster], authenticator: Authenticator, *, controllers: bool = False
    ) -> None:
        self._new_cluster = new_cluster
        self.cluster = new_cluster()
        self.authenticator = authenticator
        self.instruments = Instruments()
        self._control = ControlRoutes(self)
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

    async def respond(self, request: Request, connection: Connection) -> None:
        if request.path.startswith(CONTROL_PREFIX):
            status, answer = self._control.handle(request)
            await connection.send(json_response(answer, status).encoded())
            return
        if self._controllers and self._controller_task is None:
            self._controller_task = asyncio.create_task(self._tick())
        try:
            response = await self._handle(request, connection)
        except ApiError as error:
            response = error_response(error)
        if response is not None:
            await connection.send(response.encoded())

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

    async def _handle(self, request: Request, connection: Connection) -> Response | None:
        """Return the response to a request, or None after a fault that resets the connection."""
        query, cluster = request.parameters(), self.cluster
        if request.path in ("/healthz", "/livez", "/readyz"):
            return Response(200, {"Content-Type": "text/plain"}, b"ok")
        target = parse_target(cluster.table, request.method, request.path, query)
        verb = target.verb if target else request.method.lower()
        subject = target.subject if target else request.path
        rule = self.instruments.count(verb, subject, dry_run="dryRun" in query)
        if self.instruments.latency:
            await asyncio.sleep(self.instruments.latency)
        if rule is None:
            return self._respond(request, cluster, target, query)
        rtype = target.rtype if target else None
        error = api_error(rule, f"{verb} {subject}", rtype, _object_name(request, target))
        if error is not None:
            raise error
        if rule.kind == HTML200:
            return Response(200, {"Content-Type": HTML_TYPE}, PROXY_PAGE)
        if rule.kind == EMPTY200:
            return Response(200, {}, b"")
        if rule.kind == RESET_BEFORE:
            connection.reset()
            return None
        response = self._respond(request, cluster, target, query)
        if rule.kind == STALL:
            await asyncio.sleep(rule.seconds)
            return response
        connection.reset()
        return None

    def _respond(
        self, request: Request, cluster: Cluster, target: Target | None, query: Mapping[str, str]
    ) -> Response:
        user = self.authenticator.authenticate(request.headers)
        if target is None:
            attributes = Attributes(verb=request.method.lower(), path=request.path)
        else:
            attributes = target.attributes()
        if not cluster.authorizer.allows(user, attributes):
            raise denied(user, attributes, target.rtype if target else None)
        if target is None:
            return discovery_response(cluster, request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip() or JSON
        outcome = cluster.handle(
            target,
            query,
            content_type=content_type,
            body=_parsed(request.body, content_type, patch=target.verb == "patch"),
            agent=request.headers.get("user-agent", ""),
        )
        self._schedule_reconcile(cluster)
        return json_response(outcome.obj, 201 if outcome.created else 200)


def tls_context(files: ServerFiles) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(files.certificate, files.key)
    tls.set_alpn_protocols(["http/1.1"])
    return tls


def _parsed(raw: bytes, content_type: str, *, patch: bool) -> Any:
    """Return the object or patch in a body, or None for an empty body.

    Raise ApiError 415 for an unsupported media type, or 400 for a syntax error.
    """
    if not raw:
        return None
    accepted = PATCHES if patch else (JSON,)
    if content_type not in accepted:
        raise unsupported_media_type(accepted)
    try:
        return yaml.safe_load(raw) if content_type == APPLY else json.loads(raw)
    except (ValueError, yaml.YAMLError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error


def _object_name(request: Request, target: Target | None) -> str:
    """Return the name of the object from the path, or from the body of a create request, or ""."""
    if target is None or target.name:
        return target.name if target else ""
    try:
        return str(json.loads(request.body or b"{}")["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""


def json_response(body: Json, status: int = 200) -> Response:
    content = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return Response(status, {"Content-Type": JSON}, content)


def error_response(error: ApiError) -> Response:
    if error.code == 429:
        # As in Kubernetes, this response is plain text: API Priority and Fairness writes it before the API server
        # handles the request.
        headers = {"Content-Type": "text/plain", **dict(error.headers)}
        return Response(429, headers, f"{error.message}\n".encode())
    return json_response(error.status(), error.code)


def discovery_response(cluster: Cluster, request: Request) -> Response:
    """Return the response to a discovery request. Raise ApiError 404 for an unknown path."""
    table = cluster.table
    document: Json | None = None
    match request.path.strip("/").split("/"):
        case ["version"]:
            document = version_info(VERSION, eks=cluster.webhook.enabled)
        case ["api"]:
            document = api_versions()
        case ["apis"]:
            document = api_group_list(table)
        case ["api", version]:
            document = api_resource_list(table, "", version)
        case ["apis", group, version]:
            document = api_resource_list(table, group, version)
    if document is None:
        raise path_not_found()
    return json_response(document)
