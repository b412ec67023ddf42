# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The work that every contender does: N workloads, each with a policy and a role of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAMESPACES = 20

Workload = dict[str, Any]


def workloads(count: int, changed: int = 0) -> list[Workload]:
    """``count`` workloads in the form of pod_identity_workloads; the first ``changed`` ones ask for
    another policy document than they otherwise would."""
    return [
        {
            "namespace": f"team-{index % NAMESPACES}",
            "service_account": f"app-{index}",
            "role": {"name": f"app-{index}"},
            "policies": [{"name": f"app-{index}", "document": _document(index, index < changed)}],
        }
        for index in range(count)
    ]


def namespaces() -> list[str]:
    """The namespaces of the workloads, which are there before: a cluster has its teams."""
    return [f"team-{index}" for index in range(NAMESPACES)]


def write_workloads(path: Path, count: int, changed: int = 0) -> Path:
    """A file for pod_identity_workloads_from, which is JSON."""
    path.write_text(json.dumps(workloads(count, changed)), encoding="utf-8")
    return path


def _document(index: int, changed: bool) -> dict[str, Any]:
    actions = ["s3:GetObject", "s3:PutObject"] if changed else ["s3:GetObject"]
    resource = f"arn:aws:s3:::my-pod-secrets-bucket/app-{index}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": actions, "Resource": resource}],
    }
