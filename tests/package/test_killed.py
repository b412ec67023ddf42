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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config

from .conftest import CORES, run, sandbox_in
from .test_main_job import recap

SITE = "workload_identity.aws.site"
WORKLOADS = [
    {
        "namespace": "default",
        "service_account": f"app-{number}",
        "role": {"name": f"app-{number}"},
        "policies": [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}],
    }
    for number in range(120)
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


def kill_when(
    due: Callable[[], bool], command: Sequence[object], env: Mapping[str, str], folder: Path
) -> None:
    """Start ansible-playbook, kill it alone once that is due, and wait until what it had started has ended."""
    started = folder / "started"
    killed = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**env, "ANSIBLE_REMOTE_TMP": str(started)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(due)
    assert started_from(started) != []
    killed.send_signal(signal.SIGKILL)
    killed.wait(LONG)
    until(lambda: started_from(started) == [])


def site(venv: Path, folder: Path) -> Sequence[object]:
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": WORKLOADS}
    (folder / "workloads.yml").write_text(json.dumps(variables), encoding="utf-8")
    return [venv / "bin" / "ansible-playbook", SITE, "-e", "@workloads.yml"]


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
    url, command = sandbox["AWS_ENDPOINT_URL"], site(venv, short)
    ask(url, "latency", {"ms": LATENCY})
    kill_when(lambda: made(url, ROLE) > 0, command, {**env, **sandbox}, short)
    assert made(url, ASSOCIATION) < len(WORKLOADS)

    ask(url, "latency", {"ms": 0})
    assert recap(run(command, {**env, **sandbox}, short).stdout)["failed"] == 0
    assert (made(url, ROLE), made(url, ASSOCIATION)) == (len(WORKLOADS), len(WORKLOADS))


@pytest.mark.parametrize("core", CORES)
def test_no_service_account_is_made_without_ansible(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], short: Path
) -> None:
    """They are made by the modules of kubernetes.core, which know nothing of it."""
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    # So many that several of them write at once.
    with sandbox_in(short / "sandbox", "--kube-latency-ms", "60") as sandbox:
        client = new_client_from_config(sandbox["KUBECONFIG"])

        def accounts() -> int:
            listed = CoreV1Api(client).list_namespaced_service_account("default").items
            return len([item for item in listed if item.metadata.name.startswith("app-")])

        command = site(venv, short)
        kill_when(lambda: accounts() > 0, command, {**env, **sandbox}, short)
        assert accounts() < len(WORKLOADS)
        assert recap(run(command, {**env, **sandbox}, short).stdout)["failed"] == 0
        assert accounts() == len(WORKLOADS)
