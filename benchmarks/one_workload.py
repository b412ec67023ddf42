# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One workload, whole processes: site.yml beside the vendor guide's sequence of aws CLI commands.

Both do the same on the same sandbox, in turn, and both are undone outside the measured time. The CLI
sequence has no Kubernetes half (kubectl is left out); site.yml has, and asserts what it verified.

    make bench                       or, for more rounds:
    .venv-sandbox/bin/sandbox run --fresh -- .venv/bin/python benchmarks/one_workload.py 5

Prints JSON. Wants the aws CLI on the PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CLUSTER = "my-cluster"
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject",'
    '"Resource":"arn:aws:s3:::my-pod-secrets-bucket"}]}'
)
TRUST = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"AllowEksAuthToAssumeRoleForPodIdentity","Effect":"Allow",'
    '"Principal":{"Service":"pods.eks.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession"]}]}'
)


def guide_sequence(aws: str, account: str) -> list[list[str]]:
    """The requests of the guide for the AWS half: create, then its five confirmations."""
    arn = f"arn:aws:iam::{account}:policy/my-policy"
    role = f"arn:aws:iam::{account}:role/my-role"
    key = ["--cluster-name", CLUSTER, "--namespace", "default", "--service-account", "my-service-account"]
    return [
        [aws, "iam", "create-policy", "--policy-name", "my-policy", "--policy-document", POLICY],
        [
            *(aws, "iam", "create-role", "--role-name", "my-role", "--assume-role-policy-document", TRUST),
            *("--description", "my-role-description"),
        ],
        [aws, "iam", "attach-role-policy", "--role-name", "my-role", f"--policy-arn={arn}"],
        [aws, "eks", "create-pod-identity-association", "--role-arn", role, *key],
        [aws, "iam", "get-role", "--role-name", "my-role", "--query", "Role.AssumeRolePolicyDocument"],
        [aws, "iam", "list-attached-role-policies", "--role-name", "my-role"],
        [aws, "iam", "get-policy", "--policy-arn", arn],
        [aws, "iam", "get-policy-version", "--policy-arn", arn, "--version-id", "v1"],
        [aws, "eks", "list-pod-identity-associations", *key],
        [aws, "sts", "get-caller-identity"],
    ]


def quiet(command: Sequence[str | Path]) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def measured(commands: Sequence[Sequence[str | Path]]) -> tuple[float, float]:
    """Wall seconds and CPU seconds of whole processes, one after the other."""
    before, started = os.times(), time.perf_counter()
    for command in commands:
        quiet(command)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, cpu


def undo_cli(aws: str, account: str) -> None:
    arn = f"arn:aws:iam::{account}:policy/my-policy"
    with tempfile.TemporaryFile("w+") as out:
        listed = [aws, "eks", "list-pod-identity-associations", "--cluster-name", CLUSTER]
        subprocess.run(
            [*listed, "--query", "associations[].associationId", "--output", "text"], check=True, stdout=out
        )
        out.seek(0)
        for one in out.read().split():
            quiet(
                [
                    *(aws, "eks", "delete-pod-identity-association", "--cluster-name", CLUSTER),
                    *("--association-id", one),
                ]
            )
    quiet([aws, "iam", "detach-role-policy", "--role-name", "my-role", "--policy-arn", arn])
    quiet([aws, "iam", "delete-role", "--role-name", "my-role"])
    quiet([aws, "iam", "delete-policy", "--policy-arn", arn])


def main() -> int:
    aws = shutil.which("aws")
    if aws is None:
        print("The aws CLI is not on the PATH; it is what is compared with.", file=sys.stderr)
        return 2
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    account = os.environ["AWS_ACCESS_KEY_ID"]
    ansible = Path(sys.executable).parent / "ansible-playbook"
    ours: list[list[str | Path]] = [[ansible, "playbooks/site.yml", "-e", "@examples/guide.yml"]]
    teardown: list[str | Path] = [ansible, "playbooks/teardown.yml", "-e", "@examples/guide.yml"]
    figures: dict[str, list[tuple[float, float]]] = {"cli": [], "site": []}
    for _ in range(rounds):
        figures["cli"].append(measured(guide_sequence(aws, account)))
        undo_cli(aws, account)
        figures["site"].append(measured(ours))
        quiet(teardown)
    print(json.dumps(summary(aws, figures), indent=2))
    return 0


def summary(aws: str, figures: dict[str, list[tuple[float, float]]]) -> dict[str, object]:
    version = subprocess.run([aws, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    ratios = [site[0] / cli[0] for cli, site in zip(figures["cli"], figures["site"], strict=True)]
    result: dict[str, object] = {"aws_cli": version, "rounds": len(ratios)}
    for name, values in figures.items():
        result[name] = {
            "wall_s": round(statistics.median(wall for wall, _ in values), 2),
            "cpu_s": round(statistics.median(cpu for _, cpu in values), 2),
        }
    result["wall_ratio_site_to_cli"] = round(statistics.median(ratios), 2)
    return result


if __name__ == "__main__":
    raise SystemExit(main())
