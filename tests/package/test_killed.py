# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook is killed alone: what it started ends as well, in order, and the next run completes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from .conftest import CORES, run
from .test_main_job import recap

SITE = "workload_identity.aws.site"
WORKLOADS = [
    {
        "namespace": "default",
        "service_account": f"app-{number}",
        "role": {"name": f"app-{number}"},
        "policies": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
    }
    for number in range(60)
]
# Of these requests a run makes the one kind after the other, one for each workload.
ROLE, ASSOCIATION = "iam:CreateRole", "eks:CreatePodIdentityAssociation"
# Seconds in which something has to become true.
LONG = 60
# Milliseconds to an answer: a run that goes on has ten seconds to do before its last request.
LATENCY = 1000


def ask(url: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_sandbox/{path}", data, method="PUT" if data else "GET")
    with urllib.request.urlopen(request, timeout=LONG) as answer:
        return json.load(answer)


def made(url: str, operation: str) -> int:
    counts: dict[str, int] = ask(url, "counters")["operations"]
    return counts.get(operation, 0)


def started_from(folder: Path) -> list[str]:
    """The command lines of all processes that have a file of the folder in them."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text(encoding="utf-8", errors="replace").replace("\0", " ")
        except OSError:
            continue
        if str(folder) in line and int(path.parent.name) != os.getpid():
            lines.append(line)
    return lines


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


@pytest.mark.parametrize("core", CORES)
def test_no_run_goes_on_without_ansible(
    core: str,
    cores: Mapping[str, tuple[Path, Mapping[str, str]]],
    sandbox: Mapping[str, str],
    short: Path,
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    url = sandbox["AWS_ENDPOINT_URL"]
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": WORKLOADS}
    (short / "workloads.yml").write_text(json.dumps(variables), encoding="utf-8")
    command = [venv / "bin" / "ansible-playbook", SITE, "-e", "@workloads.yml"]
    started = short / "started"
    killed = subprocess.Popen(
        command,
        cwd=short,
        env={**env, **sandbox, "ANSIBLE_REMOTE_TMP": str(started)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    ask(url, "latency", {"ms": LATENCY})
    until(lambda: made(url, ROLE) > 0)
    assert started_from(started) != []
    killed.send_signal(signal.SIGKILL)
    killed.wait(LONG)
    until(lambda: started_from(started) == [])
    assert made(url, ASSOCIATION) < len(WORKLOADS)

    ask(url, "latency", {"ms": 0})
    assert recap(run(command, {**env, **sandbox}, short).stdout)["failed"] == 0
    assert (made(url, ROLE), made(url, ASSOCIATION)) == (len(WORKLOADS), len(WORKLOADS))
