# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP server on the loopback address. It uses the package hypercorn for the protocol.

This module accepts the connections, because hypercorn's function ``serve`` does not give access to the connection, which
fault rules may reset.
"""

from __future__ import annotations

import asyncio
import signal
from functools import partial

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

from sandbox.aws.gateway import Gateway

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75
BACKLOG = 1024


async def serve(gateway: Gateway, port: int) -> None:
    """Serve until SIGTERM or SIGINT. Print one line as soon as the server accepts connections."""
    loop = asyncio.get_running_loop()
    config = Config()
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    context = WorkerContext(None)
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        task.add_done_callback(connections.discard)
        gateway.instruments.counters.connection()
        app = ASGIWrapper(partial(gateway.serve, writer=writer))
        await TCPServer(app, loop, config, context, {}, reader, writer)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await asyncio.start_server(connected, HOST, port, backlog=BACKLOG)
    address = server.sockets[0].getsockname()
    print(f"embedded AWS ready on http://{address[0]}:{address[1]}", flush=True)
    await stop.wait()
    server.close()
    for task in list(connections):
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
