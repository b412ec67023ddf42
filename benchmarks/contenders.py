# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compared: each contender is a command that makes N workloads from nothing and reads them back."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from boto3_threads import TRUST
from guide_cli import write_script
from surroundings import ROOT, Surroundings, child_environment
from workloads import workloads, write_workloads

HERE = Path(__file__).resolve().parent
PYTHON = Path(sys.executable)
PLAYBOOK = PYTHON.parent / "ansible-playbook"
MODULE = "ansible_collections.workload_identity.aws.plugins.modules.eks_pod_identity"
THREADS = 16

# Names, as the tables show them.
SITE = "site.yml"
PLAY = "module, one-task play"
PROCESS = "module, own process"
ENGINE = "engine, in-process"
CLI = "guide's aws CLI sequence"
LOOPS = "amazon.aws in loops"
ONE_THREAD = "boto3, 1 thread"
FLOOR = f"boto3, {THREADS} threads"

Command = list[str | Path]


@dataclass(frozen=True, slots=True)
class Contender:
    """``command`` makes it from a scratch folder and N. ``grows``: so slow that a large N may be
    extrapolated."""

    name: str
    command: Callable[[Surroundings, Path, int], Command]
    grows: bool = False


def contenders() -> tuple[list[Contender], list[str]]:
    """Those that can run here, and notes on those that cannot."""
    found = [
        Contender(FLOOR, lambda around, scratch, count: _boto3(around, scratch, count, THREADS)),
        Contender(ONE_THREAD, lambda around, scratch, count: _boto3(around, scratch, count, 1)),
        Contender(ENGINE, engine_call),
        Contender(PROCESS, module_process),
        Contender(PLAY, _one_task),
        Contender(SITE, lambda _around, scratch, count: playbook("site", write(scratch, count))),
    ]
    aws = aws_cli()
    if aws is None:
        return found, [
            f"The aws CLI is not on the PATH, so '{CLI}' and '{LOOPS}' (which needs it, too) are left out."
        ]
    found.append(Contender(CLI, lambda around, scratch, count: _cli(aws, around, scratch, count), True))
    found.append(Contender(LOOPS, lambda around, scratch, count: _loops(aws, around, scratch, count), True))
    return found, []


def aws_cli() -> str | None:
    """Version 2 where it is installed by the system, else what the PATH has."""
    system = Path("/usr/bin/aws")
    return str(system) if system.exists() else shutil.which("aws")


def write(scratch: Path, count: int, changed: int = 0) -> Path:
    return write_workloads(scratch / f"workloads-{count}-{changed}.json", count, changed)


def playbook(name: str, path: Path, *options: str) -> Command:
    """A playbook of the collection on workloads that it reads from a file."""
    return _play(ROOT / f"playbooks/{name}.yml", path, *options)


def module_process(around: Surroundings, scratch: Path, count: int) -> Command:
    """The module as Ansible would run it, without Ansible: interpreter, imports, work, result."""
    path = scratch / "arguments.json"
    command: Command = [PYTHON, HERE / "module_arguments.py", write(scratch, count), around.cluster, path]
    subprocess.run(list(map(str, command)), check=True, env=child_environment())
    return [PYTHON, "-m", MODULE, path]


def engine_call(around: Surroundings, scratch: Path, count: int) -> Command:
    return [PYTHON, HERE / "engine_call.py", write(scratch, count), around.cluster, around.region]


def _one_task(_around: Surroundings, scratch: Path, count: int) -> Command:
    return _play(HERE / "plays/engine.yml", write(scratch, count))


def _boto3(around: Surroundings, scratch: Path, count: int, threads: int) -> Command:
    return [PYTHON, HERE / "boto3_threads.py", write(scratch, count), around.cluster, str(threads)]


def _cli(aws: str, around: Surroundings, scratch: Path, count: int) -> Command:
    script = scratch / f"guide-{count}.sh"
    return ["bash", write_script(script, aws, around.account, around.cluster, workloads(count))]


def _loops(aws: str, around: Surroundings, scratch: Path, count: int) -> Command:
    variables = {
        "benchmark_file": str(write(scratch, count)),
        "benchmark_trust": TRUST,
        "benchmark_account": around.account,
        "benchmark_cluster": around.cluster,
        "benchmark_aws": aws,
    }
    return [PLAYBOOK, HERE / "plays/amazon_aws.yml", "-e", json.dumps(variables)]


def extra_variables(path: Path) -> str:
    """Those of a playbook of the collection on workloads that it reads from a file, as one argument."""
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads_from": [str(path)]}
    return json.dumps(variables)


def _play(play: Path, path: Path, *options: str) -> Command:
    return [PLAYBOOK, play, "-e", extra_variables(path), *options]
