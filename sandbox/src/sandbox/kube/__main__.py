# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m sandbox.kube``: serve the embedded Kubernetes API on a port of the loopback address."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from pathlib import Path

from sandbox.http import HOST, serve, stop_event
from sandbox.kube.app import VERSION, ApiServer, tls_context
from sandbox.kube.authentication import ADMIN, Authenticator, parse_user, review_token
from sandbox.kube.cluster import Cluster
from sandbox.kube.resources import resource_table
from sandbox.kube.tls import ensure_server_files
from sandbox.kube.webhook import fetch_associations


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.kube", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port; 0 (default) means a free one")
    parser.add_argument("--cert-dir", type=Path, required=True, help="folder of ca.crt, tls.crt and tls.key")
    parser.add_argument("--token", required=True, help="bearer token of the administrator")
    parser.add_argument(
        "--user",
        action="append",
        default=[],
        metavar="NAME:TOKEN:GROUP1,GROUP2",
        help="another user; write %%3A for a colon in NAME",
    )
    parser.add_argument("--rbac", action="store_true", help="enforce roles and bindings")
    parser.add_argument(
        "--controllers",
        action="store_true",
        help="emulate Deployments, Jobs and other controllers",
    )
    parser.add_argument(
        "--pod-identity-webhook",
        action="store_true",
        help="emulate the EKS Pod Identity webhook",
    )
    parser.add_argument("--associations", metavar="URL", help="control request that lists EKS associations")
    parser.add_argument("--eks-auth", metavar="URL", help="control request that reviews EKS bearer tokens")
    return parser.parse_args(arguments)


def main() -> None:
    options = parse_arguments()
    files = ensure_server_files(options.cert_dir)
    users = {options.token: ADMIN}
    for text in options.user:
        token, user = parse_user(text)
        users[token] = user

    def new_cluster() -> Cluster:
        return Cluster(
            resource_table(),
            rbac=options.rbac,
            pod_identity_webhook=options.pod_identity_webhook,
            follow=partial(fetch_associations, options.associations) if options.associations else None,
            root_ca=files.ca.read_text(encoding="ascii"),
        )

    review = partial(review_token, options.eks_auth) if options.eks_auth else None
    server = ApiServer(new_cluster, Authenticator(users, review), controllers=options.controllers)

    def on_ready(port: int) -> None:
        print(f"Kubernetes {VERSION} emulator ready on https://{HOST}:{port}", flush=True)

    async def run() -> None:
        await serve(server.respond, options.port, stop_event(), on_ready, tls=tls_context(files))

    asyncio.run(run())


if __name__ == "__main__":
    main()
