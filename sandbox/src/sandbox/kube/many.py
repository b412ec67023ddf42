# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.kube.many``: serve the Kubernetes APIs of many clusters in one process.

Each cluster has a separate port, certificate authority and kubeconfig. With ``--eks-auth``, each cluster accepts the
bearer tokens of an EKS cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from sandbox.http import HOST, serve, stop_event
from sandbox.kube.app import ApiServer, tls_context
from sandbox.kube.authentication import ADMIN, Authenticator, Review, review_token
from sandbox.kube.cluster import Cluster
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.resources import resource_table
from sandbox.kube.tls import ServerFiles, ensure_server_files


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube.many", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="folder of NAME/ca.crt and NAME/kubeconfig"
    )
    parser.add_argument("--token", required=True, help="bearer token of the administrator of all clusters")
    parser.add_argument("--latency-ms", type=float, default=0, help="delay of every response")
    parser.add_argument("--eks-auth", metavar="URL", help="control request that reviews EKS bearer tokens")
    parser.add_argument(
        "names",
        nargs="+",
        metavar="NAME[=ACCOUNT/REGION/CLUSTER]",
        help="name of a cluster; with --eks-auth, the EKS cluster whose tokens it accepts",
    )
    return parser.parse_args(arguments)


def token_reviewer(url: str, identifier: str) -> Review:
    """Return a function that checks bearer tokens for the EKS cluster with the identifier ``ACCOUNT/REGION/CLUSTER``."""
    account, region, cluster = identifier.split("/")
    query = {"account": account, "region": region, "cluster": cluster, "sts_host": urlsplit(url).netloc}
    return partial(review_token, f"{url}?{urlencode(query)}")


class _Api:
    """The API server of one cluster."""

    def __init__(self, folder: Path, token: str, latency_ms: float, review: Review | None) -> None:
        self.folder = folder
        self.token = token
        self.files: ServerFiles = ensure_server_files(folder)
        authority = self.files.ca.read_text(encoding="ascii")

        def new_cluster() -> Cluster:
            return Cluster(resource_table(), root_ca=authority)

        self._server = ApiServer(new_cluster, Authenticator({token: ADMIN}, review))
        self._server.instruments.latency = latency_ms / 1000
        self.endpoint = ""

    async def serve(self, stop: asyncio.Event, ready: asyncio.Semaphore) -> None:
        def on_ready(port: int) -> None:
            self.endpoint = f"https://{HOST}:{port}"
            authority = self.files.ca.read_text(encoding="ascii")
            write_kubeconfig(self.folder / "kubeconfig", self.endpoint, authority, self.token)
            ready.release()

        await serve(self._server.respond, 0, stop, on_ready, tls=tls_context(self.files))


async def serve_all(apis: dict[str, _Api]) -> None:
    """Serve all clusters until SIGTERM or SIGINT.

    Print the endpoints of the clusters as JSON as soon as all of them are ready.
    """
    stop = stop_event()
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
        name, _, identifier = text.partition("=")
        review = token_reviewer(options.eks_auth, identifier) if options.eks_auth else None
        apis[name] = _Api(options.folder / name, options.token, options.latency_ms, review)
    asyncio.run(serve_all(apis))


if __name__ == "__main__":
    main()
