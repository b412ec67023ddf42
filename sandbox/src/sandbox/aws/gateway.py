# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ASGI application: it passes control requests to the control handler, and API requests to ministack.

The application also counts API requests, delays them, and applies the rate limit and the fault rules.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sandbox.aws.control_handler import ControlHandler
from sandbox.aws.distortion import EMPTY_RESPONSE, PROXY_RESPONSE, delay, repeat_pages, trickle, truncate
from sandbox.aws.faults import (
    EMPTY200,
    ENDLESS_PAGES,
    HTML200,
    RESET_AFTER,
    RESET_BEFORE,
    STALL,
    THROTTLE,
    TRICKLE,
    FaultRule,
    api_error,
)
from sandbox.aws.instruments import Instruments
from sandbox.aws.model import Response
from sandbox.aws.operations import route, signed_scope, target
from sandbox.aws.overlay import Overlay
from sandbox.aws.responses import error_response, json_response
from sandbox.aws.settings import CONTROL_PREFIX

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# The path of ministack's control requests. The gateway does not accept these requests, because they would not affect the
# overlay.
_MINISTACK_PREFIX = "/_ministack/"
_NO_LINGER = struct.pack("ii", 1, 0)
PROXY_RESPONSES = {HTML200: PROXY_RESPONSE, EMPTY200: EMPTY_RESPONSE}


class Gateway:
    """The ASGI application of the embedded AWS. A process has one instance."""

    def __init__(self, overlay: Overlay, *, latency_ms: float) -> None:
        self.instruments = Instruments(latency_ms)
        self._overlay = overlay
        self._control = ControlHandler(overlay, self.instruments)

    async def serve(self, scope: Message, receive: Receive, send: Send, writer: asyncio.StreamWriter) -> None:
        """Serve a request. ``writer`` is its connection, which a fault may reset."""
        if scope["type"] != "http":
            return
        body = await _read(receive)
        if body is None:
            return
        if scope["path"].startswith(_MINISTACK_PREFIX):
            await _send(send, json_response({"error": f"use {CONTROL_PREFIX} instead"}, 404))
            return
        if scope["path"].startswith(CONTROL_PREFIX):
            query = scope["query_string"].decode()
            await _send(send, self._control.handle(scope["method"], scope["path"], query, body))
            return
        await self._serve_api(scope, body, send, writer)

    async def _serve_api(self, scope: Message, body: bytes, send: Send, writer: asyncio.StreamWriter) -> None:
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"]
        signed = signed_scope(headers, query.decode("latin-1"))
        # Only STS accepts requests without a signature, for example AssumeRoleWithWebIdentity.
        service = signed.service or "sts"
        name = target(headers) or route(service, scope["method"], scope["path"], body or query).operation
        operation = f"{service}:{name}"
        account = self._overlay.caller_account(signed.access_key_id)
        self.instruments.counters.request(account, operation)
        accepted = self.instruments.rate_limit.take()
        if self.instruments.latency_ms:
            await asyncio.sleep(self.instruments.latency_ms / 1000)
        rule = (
            self.instruments.faults.pick(account, signed.region, operation)
            if accepted
            else FaultRule(THROTTLE)
        )
        if rule is None:
            await self._forward(scope, body, self._counting(send))
            return
        self.instruments.counters.fault(rule.kind)
        await self._fail(rule, service, account, operation, scope, body, send, writer)

    async def _fail(
        self,
        rule: FaultRule,
        service: str,
        account: str,
        operation: str,
        scope: Message,
        body: bytes,
        send: Send,
        writer: asyncio.StreamWriter,
    ) -> None:
        error = api_error(rule, service, account, operation)
        if error is not None:
            self.instruments.counters.response(error.status)
            await _send(send, error_response(service, error))
        elif rule.kind in PROXY_RESPONSES:
            self.instruments.counters.response(200)
            await _send(send, PROXY_RESPONSES[rule.kind])
        elif rule.kind == RESET_BEFORE:
            _reset(writer)
        elif rule.kind == RESET_AFTER:
            await self._forward(scope, body, _discard)
            _reset(writer)
        else:
            distorted = _distorted(rule, send, service, operation)
            await self._forward(scope, body, self._counting(distorted))

    async def _forward(self, scope: Message, body: bytes, send: Send) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await self._overlay.ministack.app.app(scope, receive, send)

    def _counting(self, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.instruments.counters.response(message["status"])
            await send(message)

        return counted


async def _read(receive: Receive) -> bytes | None:
    """Return the complete body of a request, or None if the client has disconnected."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _send(send: Send, response: Response) -> None:
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    await send(
        {
            "type": "http.response.start",
            "status": response.status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": False})


def _distorted(rule: FaultRule, send: Send, service: str, operation: str) -> Send:
    if rule.kind == STALL:
        return delay(send, rule.seconds)
    if rule.kind == TRICKLE:
        return trickle(send, rule.seconds)
    if rule.kind == ENDLESS_PAGES:
        return repeat_pages(send, service, operation)
    return truncate(send)


async def _discard(message: Message) -> None:
    """Ignore a message of a response that no client receives."""


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close the connection with a TCP reset."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
