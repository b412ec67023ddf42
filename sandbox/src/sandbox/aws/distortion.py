# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage responses as a faulty network or proxy would: truncate them, delay them, slow them down, or link pages in a loop.

Each function wraps the ASGI function ``send`` that writes a response.
"""

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

PROXY_RESPONSE = Response(200, {"Content-Type": HTML_TYPE}, PROXY_PAGE)
EMPTY_RESPONSE = Response(200, {}, b"")
_TRUNCATED = re.compile(rb"<IsTruncated>(?:true|false)</IsTruncated>(?:<Marker>[^<]*</Marker>)?")


def truncate(send: Send) -> Send:
    """Send only the first half of the body of a response.

    The header Content-Length has the length of that half, so the client does not notice the truncation.
    """
    return _with_body(send, lambda body: body[: len(body) // 2])


def repeat_pages(send: Send, service: str, operation: str) -> Send:
    """Add a token for the next page to every page of a list, even to the last one.

    Each token is unique, but selects the first page again: the key in the token sorts before the keys of all items.
    """

    def add_token(body: bytes) -> bytes:
        token = base64.urlsafe_b64encode(b"\0" + uuid.uuid4().hex.encode())
        if service in QUERY_SERVICES:
            page = b"<IsTruncated>true</IsTruncated><Marker>" + token + b"</Marker>"
            return _TRUNCATED.sub(page, body)
        if not operation.partition(":")[2].startswith("List") or b'"tags"' in body:
            return body
        return json.dumps({**json.loads(body), "nextToken": token.decode()}).encode()

    return _with_body(send, add_token)


def delay(send: Send, seconds: float) -> Send:
    """Send the response after a number of seconds."""

    async def delayed(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(seconds)
        await send(message)

    return delayed


def trickle(send: Send, seconds: float) -> Send:
    """Send the body of a response byte by byte, which takes ``seconds`` altogether."""

    async def trickled(message: Message) -> None:
        body = message.get("body", b"")
        for index in range(len(body)):
            await asyncio.sleep(seconds / len(body))
            await send({"type": message["type"], "body": body[index : index + 1], "more_body": True})
        await send({**message, "body": b""} if body else message)

    return trickled


def _with_body(send: Send, change: Callable[[bytes], bytes]) -> Send:
    """Replace the body and the header Content-Length.

    This relies on the fact that every response of the emulation has its body in one ASGI message.
    """
    start: list[Message] = []

    async def replaced(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.append(message)
            return
        body = change(message.get("body", b""))
        headers = [(k, v) for k, v in start[0]["headers"] if k.lower() != b"content-length"]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({**start[0], "headers": headers})
        await send({**message, "body": body})

    return replaced
