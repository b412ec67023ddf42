# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.aws --port P``: serve the embedded AWS endpoint until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio

from sandbox.aws.gateway import Gateway
from sandbox.http import HOST, serve, stop_event


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port; 0 means a free one")
    parser.add_argument("--auth", action="store_true", help="check signatures and enforce IAM policies")
    parser.add_argument("--latency-ms", type=float, default=0, metavar="N", help="delay of each API response")
    options = parser.parse_args()
    gateway = Gateway(auth=options.auth, latency_ms=options.latency_ms)
    asyncio.run(_serve(gateway, options.port))


async def _serve(gateway: Gateway, port: int) -> None:
    def on_ready(chosen: int) -> None:
        print(f"embedded AWS ready on http://{HOST}:{chosen}", flush=True)

    connected = gateway.instruments.counters.connection
    await serve(gateway.respond, port, stop_event(), on_ready, connected=connected)


if __name__ == "__main__":
    main()
