# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The vendor guide's sequence of aws CLI commands, once for each workload, as one bash script."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boto3_threads import TRUST


def write_script(
    path: Path, aws: str, account: str, cluster: str, workloads: Sequence[dict[str, Any]]
) -> Path:
    lines = ["set -euo pipefail"]
    for workload in workloads:
        lines += [
            f"{shlex.join(command)} >/dev/null" for command in guide_commands(aws, account, cluster, workload)
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def guide_commands(aws: str, account: str, cluster: str, workload: dict[str, Any]) -> list[list[str]]:
    """The AWS half of the guide for one workload: create, then confirm."""
    policy = workload["policies"][0]
    name = ["--role-name", workload["role"]["name"]]
    arn = ["--policy-arn", f"arn:aws:iam::{account}:policy/{policy['name']}"]
    key = ["--cluster-name", cluster, "--namespace", workload["namespace"]]
    key += ["--service-account", workload["service_account"]]
    role_arn = f"arn:aws:iam::{account}:role/{workload['role']['name']}"
    iam, eks = [aws, "iam"], [aws, "eks"]
    document = ["--policy-document", json.dumps(policy["document"])]
    return [
        [*iam, "create-policy", "--policy-name", policy["name"], *document],
        [*iam, "create-role", *name, "--assume-role-policy-document", TRUST],
        [*iam, "attach-role-policy", *name, *arn],
        [*eks, "create-pod-identity-association", "--role-arn", role_arn, *key],
        [*iam, "get-role", *name, "--query", "Role.AssumeRolePolicyDocument"],
        [*iam, "list-attached-role-policies", *name],
        [*iam, "get-policy", *arn],
        [*iam, "get-policy-version", *arn, "--version-id", "v1"],
        [*eks, "list-pod-identity-associations", *key],
        [aws, "sts", "get-caller-identity"],
    ]
