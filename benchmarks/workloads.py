# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The input of every contender: N workloads, each with its own policy and role."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAMESPACES = 20

Workload = dict[str, Any]


def workloads(count: int) -> list[Workload]:
    """Return ``count`` workloads, as the variable pod_identity_workloads has them."""
    return [
        {
            "namespace": f"team-{index % NAMESPACES}",
            "service_account": f"app-{index}",
            "role": {"name": f"app-{index}"},
            "policies": [{"name": f"app-{index}", "document": _document(index)}],
        }
        for index in range(count)
    ]


def namespaces() -> list[str]:
    """Return all namespaces that workloads can have."""
    return [f"team-{index}" for index in range(NAMESPACES)]


def write_workloads(folder: Path, count: int) -> Path:
    """Write ``count`` workloads to a JSON file for the variable pod_identity_workloads_from. Return its path."""
    path = folder / f"workloads-{count}.json"
    path.write_text(json.dumps(workloads(count)), encoding="utf-8")
    return path


def _document(index: int) -> dict[str, Any]:
    resource = f"arn:aws:s3:::my-pod-secrets-bucket/app-{index}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}],
    }
