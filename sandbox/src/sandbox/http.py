# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests and responses, and a small HTTP server on the loopback address."""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

HOST = "127.0.0.1"
BACKLOG = 1024
HEADERS_SIZE = 2**18
_NO_LINGER = struct.pack("ii", 1, 0)


class Response(NamedTuple):
    """An HTTP response: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def encoded(self) -> bytes:
        head = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n"
        # Clients measure ages of resources by the clock of AWS.
        headers = {**self.headers, "Date": formatdate(usegmt=True), "Content-Length": str(len(self.body))}
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return head.encode("latin-1") + b"\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. ``path`` and ``query`` are as in the request line; the names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.query, keep_blank_values=True))


class Connection:
    """The connection of a client, which a fault may reset."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def reset(self) -> None:
        connection = self._writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()

    @property
    def closed(self) -> bool:
        return self._writer.transport.is_closing()


Respond = Callable[[Request, Connection], Awaitable[None]]


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def serve(
    respond: Respond,
    port: int,
    stop: asyncio.Event,
    on_ready: Callable[[int], None],
    *,
    tls: ssl.SSLContext | None = None,
    connected: Callable[[], None] = lambda: None,
) -> None:
    """Serve until ``stop`` is set. Call ``on_ready`` with the port as soon as the server accepts connections."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        connected()
        connection = Connection(writer)
        try:
            while not connection.closed and (request := await _read(reader)) is not None:
                await respond(request, connection)
        except (
            ConnectionError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            asyncio.CancelledError,
        ):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, HOST, port, backlog=BACKLOG, limit=HEADERS_SIZE, ssl=tls)
    on_ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for task in list(tasks):
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """Read a request, or return None if the client has closed the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _version = first.split(" ")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)
