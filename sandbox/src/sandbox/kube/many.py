# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.kube.many``: Kubernetes APIs of many clusters in one process.

Each has a port, a certificate authority and a kubeconfig of its own, so that none can be taken for another. With
``--eks-auth`` each also takes the tokens of the cluster of EKS that it stands for.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request

from sandbox.kube.app import ApiServer
from sandbox.kube.authentication import ADMIN, Authenticator, Review, review_at
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
    parser.add_argument(
        "--eks-auth", metavar="URL", help="who says whose a token of EKS is; without it there are none"
    )
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME[=ACCOUNT/REGION/CLUSTER]",
        help="of a cluster, and the one of EKS whose tokens it takes",
    )
    return parser.parse_args(arguments)


def review_of(url: str, place: str) -> Review:
    """Asks the embedded AWS whose a token is at the cluster ``ACCOUNT/REGION/CLUSTER``."""
    account, region, cluster = place.split("/")
    where = {"account": account, "region": region, "cluster": cluster, "sts_host": urlsplit(url).netloc}
    return partial(review_at, f"{url}?{urlencode(where)}")


class _Api:
    """The Kubernetes API of one cluster."""

    def __init__(self, folder: Path, token: str, latency_ms: float, review: Review | None) -> None:
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

        self._server = ApiServer(new_cluster, Authenticator({token: ADMIN}, review), self._abort)
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
    apis = {}
    for text in options.names:
        name, _, place = text.partition("=")
        review = review_of(options.eks_auth, place) if options.eks_auth else None
        apis[name] = _Api(options.folder / name, options.token, options.latency_ms, review)
    asyncio.run(serve_all(apis))


if __name__ == "__main__":
    main()
