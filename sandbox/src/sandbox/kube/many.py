# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.kube.many``: Kubernetes APIs of many clusters in one process.

Each has a port, a certificate authority and a kubeconfig of its own, so that none can be taken for another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from starlette.requests import Request

from sandbox.kube.app import ApiServer
from sandbox.kube.authentication import ADMIN, Authenticator
from sandbox.kube.cluster import Cluster
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.resources import resource_table
from sandbox.kube.server import LOOPBACK, Connections, listen, until_signalled
from sandbox.kube.tls import ServerFiles, ensure_server_files


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube.many", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for NAME/ca.crt and NAME/kubeconfig")
    parser.add_argument("--token", required=True, help="the administrator's bearer token, of all of them")
    parser.add_argument("--latency-ms", type=float, default=0, help="delay of every answer")
    parser.add_argument("names", nargs="+", metavar="NAME", help="of a cluster")
    return parser.parse_args(arguments)


class _Api:
    """The Kubernetes API of one cluster."""

    def __init__(self, folder: Path, token: str, latency_ms: float) -> None:
        self.folder = folder
        self.token = token
        self.files: ServerFiles = ensure_server_files(folder)
        self._connections = Connections()
        authority = self.files.ca.read_text(encoding="ascii")

        def new_cluster() -> Cluster:
            return Cluster(
                resource_table(),
                rbac=False,
                pod_identity_webhook=False,
                webhook_delays=(0.0,),
                follow=None,
                root_ca=authority,
            )

        self._server = ApiServer(new_cluster, Authenticator({token: ADMIN}), self._abort)
        self._server.instruments.latency = latency_ms / 1000
        self.endpoint = ""

    def _abort(self, request: Request) -> None:
        client = request.client
        if client is not None:
            self._connections.reset((client.host, client.port))

    async def serve(self, stop: asyncio.Event, ready: asyncio.Semaphore) -> None:
        def on_ready(port: int) -> None:
            self.endpoint = f"https://{LOOPBACK}:{port}"
            authority = self.files.ca.read_text(encoding="ascii")
            write_kubeconfig(self.folder / "kubeconfig", self.endpoint, authority, self.token)
            ready.release()

        await listen(self._server.app(), 0, self.files, self._connections, stop, on_ready)


async def serve_all(apis: dict[str, _Api]) -> None:
    """Print the endpoints, as JSON by name, once all take connections; serve until SIGTERM or SIGINT."""
    stop = until_signalled()
    ready = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(api.serve(stop, ready)) for api in apis.values()]
    for _ in tasks:
        await ready.acquire()
    print(json.dumps({name: api.endpoint for name, api in apis.items()}), flush=True)
    await asyncio.gather(*tasks)


def main() -> None:
    options = parse_arguments()
    apis = {name: _Api(options.folder / name, options.token, options.latency_ms) for name in options.names}
    asyncio.run(serve_all(apis))


if __name__ == "__main__":
    main()
