# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill only ansible-playbook. Its child processes must stop and exit, and the next run must complete the state.

An interrupted runtime proof must not leave a Job.
"""

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
from kubernetes.client import BatchV1Api, CoreV1Api
from kubernetes.config import new_client_from_config
from sandbox.kube.control import KubeControl

from .conftest import CORES, new_sandbox, run
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
# A run sends the first operation for all workloads before it sends the second operation.
ROLE, ASSOCIATION = "iam:CreateRole", "eks:CreatePodIdentityAssociation"
# The maximum time in seconds to wait for a condition.
LONG = 60
# The latency of AWS in milliseconds, so that the run is killed before it ends.
LATENCY = 1000


def call_sandbox(url: str, path: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}/_sandbox/{path}", data, method="PUT" if data else "GET")
    with urllib.request.urlopen(request, timeout=LONG) as answer:
        return json.load(answer)


def count_requests(url: str, operation: str) -> int:
    counts: dict[str, int] = call_sandbox(url, "counters")["operations"]
    return counts.get(operation, 0)


def started_from(mark: str) -> list[int]:
    """Return the IDs of all processes that have ``mark`` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in environment:
            found.append(int(path.parent.name))
    return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < end, "timeout"
        time.sleep(0.05)


def kill_when(
    due: Callable[[], bool], command: Sequence[object], env: Mapping[str, str], folder: Path
) -> None:
    """Start ansible-playbook, kill only this process once ``due`` returns true, and wait until its child processes end."""
    mark = f"STARTED_BY={folder}"
    killed = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env={**env, "STARTED_BY": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(due)
    assert set(started_from(mark)) > {killed.pid}
    killed.send_signal(signal.SIGKILL)
    killed.wait(LONG)
    until(lambda: started_from(mark) == [])


def site(venv: Path, folder: Path) -> Sequence[object]:
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": WORKLOADS}
    (folder / "workloads.yml").write_text(json.dumps(variables), encoding="utf-8")
    return [venv / "bin" / "ansible-playbook", SITE, "-e", "@workloads.yml"]


@pytest.mark.parametrize("core", CORES)
def test_killed_run_stops_aws_requests(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], sandbox: Mapping[str, str], short: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    url, command = sandbox["AWS_ENDPOINT_URL"], site(venv, short)
    call_sandbox(url, "latency", {"ms": LATENCY})
    kill_when(lambda: count_requests(url, ROLE) > 0, command, {**env, **sandbox}, short)
    assert count_requests(url, ASSOCIATION) < len(WORKLOADS)

    call_sandbox(url, "latency", {"ms": 0})
    assert recap(run(command, {**env, **sandbox}, short).stdout)["failed"] == 0
    assert (count_requests(url, ROLE), count_requests(url, ASSOCIATION)) == (len(WORKLOADS), len(WORKLOADS))


@pytest.mark.release
@pytest.mark.parametrize("core", CORES[-1:])
def test_killed_run_stops_kubernetes_requests(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], short: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    # The latency gives the test time to kill the run: eight threads write 15 objects each, with three requests for an object.
    with new_sandbox("--kube-latency-ms", "200") as sandbox:
        client = new_client_from_config(sandbox["KUBECONFIG"])

        def accounts() -> int:
            items = CoreV1Api(client).list_namespaced_service_account("default").items
            return len([item for item in items if item.metadata.name.startswith("app-")])

        command = site(venv, short)
        kill_when(lambda: accounts() > 0, command, {**env, **sandbox}, short)
        assert accounts() < len(WORKLOADS)
        assert recap(run(command, {**env, **sandbox}, short).stdout)["failed"] == 0
        assert accounts() == len(WORKLOADS)


PROOF = {
    "pod_identity_cluster_name": "my-cluster",
    "pod_identity_workloads": WORKLOADS[:2],
    "pod_identity_runtime_proof": True,
    "pod_identity_proof_image": "image",
    # The Pods of the proof remain pending until the timeout.
    "pod_identity_patience": 10 * LONG,
    "pod_identity_proof_impossible": "",
}


def interrupt_proof(
    venv: Path, env: Mapping[str, str], folder: Path, batch: BatchV1Api, interrupt: Callable[[int], None]
) -> subprocess.CompletedProcess[str]:
    """Start ansible-playbook with a runtime proof, interrupt it when the Jobs of the proof exist, and wait for its end."""
    (folder / "proof.yml").write_text(json.dumps(PROOF), encoding="utf-8")
    # A new session has a separate process group, as a command in a terminal has.
    started = subprocess.Popen(
        [venv / "bin" / "ansible-playbook", SITE, "-e", "@proof.yml"],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(batch.list_job_for_all_namespaces().items) == len(PROOF["pod_identity_workloads"]))
    interrupt(started.pid)
    _output, errors = started.communicate(timeout=LONG)
    return subprocess.CompletedProcess(started.args, started.returncode, "", errors)


def press_ctrl_c(process: int) -> None:
    """Send SIGINT to the whole process group, as Ctrl-C in a terminal does."""
    os.killpg(process, signal.SIGINT)


def terminate(process: int) -> None:
    os.kill(process, signal.SIGTERM)


@pytest.mark.release
@pytest.mark.parametrize("interrupt", [press_ctrl_c, terminate])
@pytest.mark.parametrize("core", CORES[-1:])
def test_interrupted_proof_leaves_no_job(
    core: str,
    interrupt: Callable[[int], None],
    cores: Mapping[str, tuple[Path, Mapping[str, str]]],
    short: Path,
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    with new_sandbox("--kube-controllers") as sandbox:
        batch = BatchV1Api(new_client_from_config(sandbox["KUBECONFIG"]))
        done = interrupt_proof(venv, {**env, **sandbox}, short, batch, interrupt)
        assert "Job" not in done.stderr
        until(lambda: batch.list_job_for_all_namespaces().items == [])


@pytest.mark.release
@pytest.mark.parametrize("core", CORES[-1:])
def test_interrupted_proof_names_remaining_jobs(
    core: str, cores: Mapping[str, tuple[Path, Mapping[str, str]]], short: Path
) -> None:
    if core not in cores:
        pytest.skip(f"no Python here that ansible-core {core} runs on")
    venv, env = cores[core]
    with new_sandbox("--kube-controllers") as sandbox:
        client = new_client_from_config(sandbox["KUBECONFIG"])
        settings = client.configuration
        token = settings.api_key["BearerToken"].removeprefix("Bearer ")
        control = KubeControl(settings.host, Path(settings.ssl_ca_cert), token)
        control.set_faults([{"operation": "delete jobs", "kind": "access_denied"}])
        batch = BatchV1Api(client)
        done = interrupt_proof(venv, {**env, **sandbox}, short, batch, press_ctrl_c)
        jobs = batch.list_job_for_all_namespaces().items
        label = f"workload-identity/proof={jobs[0].metadata.labels['workload-identity/proof']}"
        assert (
            "my-cluster: the run was interrupted, and 2 Jobs of the runtime proof may still exist ("
            in done.stderr
        )
        assert all(f"default/{job.metadata.name}" in done.stderr for job in jobs)
        assert f"To delete them now: kubectl delete jobs -n default -l {label}\n" in done.stderr
