# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that the benchmark compares. Each creates the resources of N workloads in an empty account, then reads them."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surroundings import ROOT, Surroundings
from workloads import workloads, write_workloads

HERE = Path(__file__).resolve().parent
PYTHON = Path(sys.executable)
PLAYBOOK = PYTHON.parent / "ansible-playbook"

# The names of the contenders in the table of results.
SITE = "site.yml"
CLI = "guide's aws CLI sequence"
LOOPS = "amazon.aws in loops"

Command = list[str | Path]
# The trust policy of the guide.
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
            }
        ],
    }
)

# The playbook and the options of each phase. The order matters: a phase starts with the resources that the previous phase left.
PHASES: Mapping[str, tuple[str, ...]] = {
    "plan": ("site", "--check"),
    "first run": ("site",),
    "no change": ("site",),
    "verify": ("verify",),
    "teardown": ("teardown",),
}


@dataclass(frozen=True, slots=True)
class Contender:
    """A program to measure.

    ``phases`` returns the command of each phase, for a scratch folder and a number of workloads. With a ``limit``, figures for
    more workloads are extrapolated.
    """

    name: str
    phases: Callable[[Surroundings, Path, int], Mapping[str, Command]]
    limit: int | None = None


def contenders() -> tuple[list[Contender], list[str]]:
    """Return the contenders that can run on this machine, and notes on the others."""
    found = [Contender(SITE, _site)]
    if (aws := aws_cli()) is None:
        return found, [f"Not measured, because the aws CLI is not installed: {CLI}; {LOOPS}."]
    return [*found, _cli(aws), _loops(aws)], []


def aws_cli() -> str | None:
    """Return the path of the AWS CLI: /usr/bin/aws if it exists, otherwise the first ``aws`` on the PATH, or None."""
    system = Path("/usr/bin/aws")
    return str(system) if system.exists() else shutil.which("aws")


def _site(_around: Surroundings, scratch: Path, count: int) -> Mapping[str, Command]:
    variables = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads_from": [str(write_workloads(scratch, count))],
    }
    return {
        phase: [PLAYBOOK, ROOT / f"playbooks/{play}.yml", "-e", json.dumps(variables), *options]
        for phase, (play, *options) in PHASES.items()
    }


def _loops(aws: str) -> Contender:
    def phases(around: Surroundings, scratch: Path, count: int) -> Mapping[str, Command]:
        variables = {
            "benchmark_file": str(write_workloads(scratch, count)),
            "benchmark_trust": TRUST,
            "benchmark_account": around.account,
            "benchmark_cluster": around.cluster,
            "benchmark_aws": aws,
        }
        return {"first run": [PLAYBOOK, HERE / "plays/amazon_aws.yml", "-e", json.dumps(variables)]}

    return Contender(LOOPS, phases, limit=10)


def _cli(aws: str) -> Contender:
    def phases(around: Surroundings, scratch: Path, count: int) -> Mapping[str, Command]:
        script = scratch / f"guide-{count}.sh"
        lines = [
            f"{shlex.join(command)} >/dev/null"
            for workload in workloads(count)
            for command in _guide_commands(aws, around.account, around.cluster, workload)
        ]
        script.write_text("\n".join(["set -euo pipefail", *lines, ""]), encoding="utf-8")
        return {"first run": ["bash", script]}

    return Contender(CLI, phases, limit=10)


def _guide_commands(aws: str, account: str, cluster: str, workload: dict[str, Any]) -> Iterator[list[str]]:
    """Yield the AWS CLI commands of the EKS User Guide for one workload, which create resources and then read them."""
    policy = workload["policies"][0]
    name = ["--role-name", workload["role"]["name"]]
    arn = ["--policy-arn", f"arn:aws:iam::{account}:policy/{policy['name']}"]
    key = ["--cluster-name", cluster, "--namespace", workload["namespace"]]
    key += ["--service-account", workload["service_account"]]
    role_arn = f"arn:aws:iam::{account}:role/{workload['role']['name']}"
    iam, eks = [aws, "iam"], [aws, "eks"]
    document = ["--policy-document", json.dumps(policy["document"])]
    yield [*iam, "create-policy", "--policy-name", policy["name"], *document]
    yield [*iam, "create-role", *name, "--assume-role-policy-document", TRUST]
    yield [*iam, "attach-role-policy", *name, *arn]
    yield [*eks, "create-pod-identity-association", "--role-arn", role_arn, *key]
    yield [*iam, "get-role", *name, "--query", "Role.AssumeRolePolicyDocument"]
    yield [*iam, "list-attached-role-policies", *name]
    yield [*iam, "get-policy", *arn]
    yield [*iam, "get-policy-version", *arn, "--version-id", "v1"]
    yield [*eks, "list-pod-identity-associations", *key]
    yield [aws, "sts", "get-caller-identity"]
