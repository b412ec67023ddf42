# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that arrive otherwise than the service sent them: cut, late, slow, with pages for ever."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sandbox.aws.model import Response
from sandbox.aws.responses import QUERY_SERVICES
from sandbox.proxy_page import HTML_TYPE, PROXY_PAGE

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

PROXY_ANSWER = Response(200, {"Content-Type": HTML_TYPE}, PROXY_PAGE)
EMPTY_ANSWER = Response(200, {}, b"")
_TRUNCATED = re.compile(rb"<IsTruncated>(?:true|false)</IsTruncated>(?:<Marker>[^<]*</Marker>)?")


def halved(send: Send) -> Send:
    """The first half of the body under a matching length: whole HTTP, broken document."""
    return _with_body(send, lambda body: body[: len(body) // 2])


def endless(send: Send, service: str, operation: str) -> Send:
    """A next page for ever; what has no pages stays as it is.

    Each token differs, and sorts before everything, so the next page is the first one again.
    """

    def more(body: bytes) -> bytes:
        token = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().hex.encode())
        if service in QUERY_SERVICES:
            page = b"<IsTruncated>true</IsTruncated><Marker>" + token + b"</Marker>"
            return _TRUNCATED.sub(page, body)
        if not operation.partition(":")[2].startswith("List") or b'"tags"' in body:
            return body
        return json.dumps({**json.loads(body), "nextToken": token.decode()}).encode()

    return _with_body(send, more)


def late(send: Send, seconds: float) -> Send:
    """Nothing for so long, then the answer."""

    async def waiting(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return waiting


def trickling(send: Send, seconds: float) -> Send:
    """The body byte by byte, over so long."""

    async def slowly(message: Message) -> None:
        body = message.get("body", b"")
        for place in range(len(body)):
            await asyncio.sleep(seconds / len(body))
            await send({"type": message["type"], "body": body[place : place + 1], "more_body": True})
        await send({**message, "body": b""} if body else message)

    return slowly


def _with_body(send: Send, change: Callable[[bytes], bytes]) -> Send:
    """Another body, with the length that it has. Every answer here has its body in one piece."""
    start: list[Message] = []

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        body = change(message.get("body", b""))
        headers = [(k, v) for k, v in start[0]["headers"] if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**start[0], "headers": headers})
        await send({**message, "body": body})

    return changed
