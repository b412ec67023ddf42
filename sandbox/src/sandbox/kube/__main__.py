# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.kube``: serve embedded Kubernetes APIs on the loopback address.

Without names, serve the API of one cluster, and print its address when it is ready. With names, serve a cluster for each in one
process, and print the addresses as JSON; each has its own folder with certificate authority and kubeconfig.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from sandbox.http import HOST, serve, stop_event
from sandbox.kube.app import VERSION, ApiServer, tls_context
from sandbox.kube.authentication import ADMIN, Authenticator, Review, parse_user, review_token
from sandbox.kube.cluster import Cluster
from sandbox.kube.kubeconfig import write_kubeconfig
from sandbox.kube.rbac import User
from sandbox.kube.resources import resource_table
from sandbox.kube.tls import create_server_files
from sandbox.kube.webhook import fetch_associations


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube", description=__doc__)
    add = parser.add_argument
    add("--port", type=int, default=0, help="port; 0 (default) means a free one")
    add(
        "--cert-dir",
        type=Path,
        required=True,
        help="folder of ca.crt, tls.crt and tls.key, or of one for each name",
    )
    add("--token", required=True, help="bearer token of the administrator")
    add(
        "--user",
        action="append",
        default=[],
        metavar="NAME:TOKEN:GROUP1,GROUP2",
        help="another user; write %%3A for a colon in NAME",
    )
    add("--rbac", action="store_true", help="enforce roles and bindings")
    add("--controllers", action="store_true", help="emulate Deployments, Jobs and other controllers")
    add("--pod-identity-webhook", action="store_true", help="emulate the EKS Pod Identity webhook")
    add("--associations", metavar="URL", help="control request that lists EKS associations")
    add("--eks-auth", metavar="URL", help="control request that reviews EKS bearer tokens")
    add("--latency-ms", type=float, default=0, help="delay of every response")
    add(
        "names",
        nargs="*",
        metavar="NAME[=ACCOUNT/REGION/CLUSTER]",
        help="name of a cluster; with --eks-auth, the EKS cluster whose tokens it accepts",
    )
    return parser.parse_args(arguments)


class _Api:
    """The API server of one cluster."""

    def __init__(self, options: argparse.Namespace, folder: Path, review: Review | None) -> None:
        self._files = create_server_files(folder)
        users: Mapping[str, User] = {options.token: ADMIN, **dict(map(parse_user, options.user))}

        def new_cluster() -> Cluster:
            return Cluster(
                resource_table(),
                rbac=options.rbac,
                pod_identity_webhook=options.pod_identity_webhook,
                follow=partial(fetch_associations, options.associations) if options.associations else None,
            )

        authenticator = Authenticator(users, review)
        self._server = ApiServer(new_cluster, authenticator, controllers=options.controllers)
        self._server.instruments.latency = options.latency_ms / 1000

    async def serve(self, port: int, stop: asyncio.Event, on_ready: Callable[[int], None]) -> None:
        await serve(self._server.respond, port, stop, on_ready, tls=tls_context(self._files))


async def _serve(options: argparse.Namespace) -> None:
    stop, ready, endpoints = stop_event(), asyncio.Event(), dict[str, str]()
    names = [text.partition("=")[::2] for text in options.names] or [("", "")]

    def on_ready(name: str, port: int) -> None:
        folder = options.cert_dir / name
        endpoints[name] = f"https://{HOST}:{port}"
        authority = (folder / "ca.crt").read_text(encoding="ascii")
        write_kubeconfig(folder / "kubeconfig", endpoints[name], authority, options.token)
        if len(endpoints) == len(names):
            ready.set()

    tasks = []
    for name, identifier in names:
        review = (
            partial(review_token, _review_url(options.eks_auth, identifier)) if options.eks_auth else None
        )
        api = _Api(options, options.cert_dir / name, review)
        tasks.append(asyncio.create_task(api.serve(options.port, stop, partial(on_ready, name))))
    await ready.wait()
    one = f"Kubernetes {VERSION} emulator ready on {endpoints.get('')}"
    print(json.dumps({name: endpoints[name] for name, _ in names}) if options.names else one, flush=True)
    await asyncio.gather(*tasks)


def _review_url(url: str, identifier: str) -> str:
    """Return the control request that reviews tokens for the EKS cluster with the identifier ``ACCOUNT/REGION/CLUSTER``."""
    if not identifier:
        return url
    account, region, cluster = identifier.split("/")
    query = {"account": account, "region": region, "cluster": cluster, "sts_host": urlsplit(url).netloc}
    return f"{url}?{urlencode(query)}"


def main() -> None:
    options = parse_arguments()
    asyncio.run(_serve(options))


if __name__ == "__main__":
    main()
