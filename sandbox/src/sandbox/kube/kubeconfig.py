# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write kubeconfig files."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path


def write_kubeconfig(
    path: Path,
    server: str,
    ca_pem: str,
    token: str,
    *,
    name: str = "sandbox",
    user: str = "sandbox-admin",
    namespace: str = "default",
) -> None:
    """Write a kubeconfig with one cluster, user and context, atomically and with mode 0600.

    The file is JSON, which is valid YAML, so that PyYAML is not needed.
    """
    authority = base64.b64encode(ca_pem.encode("ascii")).decode("ascii")
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {"server": server, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "namespace": namespace, "user": user}}],
        "current-context": name,
        "preferences": {},
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
    os.replace(temporary, path)
