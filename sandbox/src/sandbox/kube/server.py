# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTPS server on the loopback address. It uses the package hypercorn for the protocol.

This module accepts the connections, because hypercorn's function ``serve`` does not give access to the connections, which
fault rules may reset.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from sandbox.kube.reasons import send_reasons
from sandbox.kube.tls import ServerFiles

LOOPBACK = "127.0.0.1"
Peer = tuple[str, int]


class Connections:
    """The open connections, by the address and port of the client."""

    def __init__(self) -> None:
        self._writers: dict[Peer, asyncio.StreamWriter] = {}

    def add(self, writer: asyncio.StreamWriter) -> Peer:
        peer: Peer = writer.get_extra_info("peername")[:2]
        self._writers[peer] = writer
        return peer

    def remove(self, peer: Peer) -> None:
        self._writers.pop(peer, None)

    def reset(self, peer: Peer) -> None:
        """Close a connection with a TCP reset."""
        writer = self._writers.get(peer)
        if writer is not None:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    def abort_all(self) -> None:
        for writer in self._writers.values():
            writer.transport.abort()


async def serve(
    app: Any,
    port: int,
    files: ServerFiles,
    connections: Connections,
    on_ready: Callable[[int], None],
) -> None:
    """Serve an ASGI application until SIGTERM or SIGINT (see :func:`listen`)."""
    await listen(app, port, files, connections, stop_event(), on_ready)


def stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def listen(
    app: Any,
    port: int,
    files: ServerFiles,
    connections: Connections,
    stop: asyncio.Event,
    on_ready: Callable[[int], None],
) -> None:
    """Serve an ASGI application until ``stop`` is set.

    Port 0 means a free port. ``on_ready`` is called with the port as soon as the server accepts connections.
    """
    send_reasons()
    loop = asyncio.get_running_loop()
    config = Config()
    config.accesslog = None
    config.keep_alive_timeout = 600
    config.h11_max_incomplete_size = 1 << 20
    context = WorkerContext(None)
    wrapped = ASGIWrapper(app)

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = connections.add(writer)
        try:
            await TCPServer(wrapped, loop, config, context, {}, reader, writer)
        finally:
            connections.remove(peer)

    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.load_cert_chain(files.certificate, files.key)
    tls.set_alpn_protocols(["http/1.1"])
    server = await asyncio.start_server(connection, LOOPBACK, port, ssl=tls, backlog=512)
    on_ready(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    await context.terminated.set()
    connections.abort_all()
