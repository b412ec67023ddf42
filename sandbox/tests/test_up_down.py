# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test `sandbox up`, `status`, `reset` and `down` with the embedded endpoints, also after a crash."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox.aws.control import AwsControl
from sandbox.kube.control import KubeControl
from sandbox.processes import ProcessIdentity

ACCOUNT = "111122223333"

Sandbox = Callable[..., subprocess.CompletedProcess[str]]
Report = Callable[[], dict[str, Any]]
Pids = Callable[[], dict[str, int]]
Alive = Callable[[], list[str]]


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def read_state(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return loaded


def aws_control(folder: Path) -> AwsControl:
    return AwsControl(f"http://127.0.0.1:{read_state(folder)['ports']['aws']}")


def kube_control(folder: Path) -> KubeControl:
    state = read_state(folder)
    endpoint = f"https://127.0.0.1:{state['ports']['kubernetes']}"
    return KubeControl(endpoint, folder / "kubernetes/ca.crt", state["token"])


def test_up_starts_and_describes_both_backends(sandbox: Sandbox, report: Report, state_folder: Path) -> None:
    up = sandbox("up")
    assert up.returncode == 0, up.stderr
    ports = read_state(state_folder)["ports"]
    assert up.stdout.splitlines() == [
        f"AWS: embedded model on http://127.0.0.1:{ports['aws']}, "
        f"account {ACCOUNT}; "
        f"Kubernetes: embedded emulator on https://127.0.0.1:{ports['kubernetes']}",
        "EKS cluster my-cluster is ACTIVE in us-west-2.",
        f"Use it: . {state_folder}/env.sh   Stop it: sandbox down",
    ]
    aws, kubernetes = report()["backends"]
    assert [aws["ready"], kubernetes["ready"]] == [True, True]
    assert [aws["requests"]["total"], kubernetes["requests"]["total"]] == [0, 0]


def test_up_creates_cluster_with_agent_role_and_endpoint(sandbox: Sandbox, state_folder: Path) -> None:
    up = sandbox("up", "--cluster", "blue", "--account", "444455556666", "--region", "eu-central-1", "--auth")
    assert up.returncode == 0, up.stderr
    state = aws_control(state_folder).state("444455556666")
    assert "blue-cluster-role" in json.dumps(state["roles"])
    assert "blue" in json.dumps(state["clusters"])
    assert "eks-pod-identity-agent" in json.dumps(state["addons"])
    endpoint = f"https://127.0.0.1:{read_state(state_folder)['ports']['kubernetes']}"
    described = sandbox("run", "--", sys.executable, "-c", DESCRIBE)
    assert json.loads(described.stdout) == {
        "status": "ACTIVE",
        "endpoint": endpoint,
        "authority": (state_folder / "kubernetes/ca.crt").read_text(),
    }


DESCRIBE = """
import base64, boto3, json, os
cluster = boto3.client("eks").describe_cluster(name=os.environ["SANDBOX_CLUSTER"])["cluster"]
authority = base64.b64decode(cluster["certificateAuthority"]["data"]).decode()
print(json.dumps(dict(status=cluster["status"], endpoint=cluster["endpoint"], authority=authority)))
"""


def test_second_up_reports_running_sandbox(sandbox: Sandbox, pids: Pids) -> None:
    first = sandbox("up")
    initial_pids = pids()
    second = sandbox("up")
    assert second.returncode == 0
    assert second.stdout.splitlines()[0].endswith("is already running.")
    assert second.stdout.splitlines()[1] == first.stdout.splitlines()[0]
    assert pids() == initial_pids


def test_up_with_other_settings_fails(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up", "--latency-ms", "5")
    assert sandbox("up", "--latency-ms", "5").returncode == 0
    for command in (["up", "--latency-ms", "9"], ["run", "--latency-ms", "9", "--", "true"]):
        again = sandbox(*command)
        assert again.returncode == 1
        assert again.stderr == (
            f"sandbox: The sandbox in {state_folder} is already running with other settings: "
            "latency_ms is 5, not 9.\n"
            "Stop it with `sandbox down`, or start another one with --state or `run --fresh`.\n"
        )


def test_concurrent_ups_start_one_sandbox(
    start_sandbox: Callable[..., subprocess.Popen[str]],
    report: Report,
    running_processes: Alive,
) -> None:
    processes = [start_sandbox("up"), start_sandbox("up")]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sum("is already running" in out for out, _ in outputs) == 1
    assert sum("Waiting for another sandbox command" in err for _, err in outputs) <= 1
    assert report()["up"]
    assert len(running_processes()) == 2


def test_down_leaves_no_process_and_no_secret(
    sandbox: Sandbox, running_processes: Alive, state_folder: Path
) -> None:
    sandbox("up")
    assert len(running_processes()) == 2
    first, second = sandbox("down"), sandbox("down")
    assert (first.returncode, first.stdout) == (0, f"The sandbox in {state_folder} is stopped.\n")
    assert (second.returncode, second.stdout) == (
        0,
        f"No sandbox is running in {state_folder}.\n",
    )
    assert running_processes() == []
    assert sorted(path.name for path in state_folder.iterdir()) == ["SANDBOX", "lock", "logs"]


def test_down_without_sandbox_creates_no_folder(sandbox: Sandbox, state_folder: Path) -> None:
    assert sandbox("down").returncode == 0
    assert not state_folder.exists()


@pytest.mark.parametrize("victim", ["aws", "kubernetes"])
def test_up_replaces_sandbox_with_killed_server(
    sandbox: Sandbox,
    report: Report,
    pids: Pids,
    running_processes: Alive,
    state_folder: Path,
    victim: str,
) -> None:
    sandbox("up")
    initial_pids = pids()
    identity = ProcessIdentity.find(initial_pids[victim])
    assert identity is not None
    os.kill(initial_pids[victim], signal.SIGKILL)
    assert identity.wait_for_exit(10)
    status = sandbox("status")
    assert status.returncode == 3
    assert status.stdout.splitlines()[0] == (
        f"The sandbox in {state_folder} is broken: {victim} died. `sandbox up` starts a new one."
    )
    env = sandbox("env")
    assert (env.returncode, env.stdout) == (1, "")
    assert f"is broken: {victim} has died." in env.stderr
    up = sandbox("up")
    other = ({"aws", "kubernetes"} - {victim}).pop()
    assert up.returncode == 0
    assert up.stderr == (f"Cleaning up an earlier sandbox: {victim} has died; stopping {other}.\n")
    assert report()["up"]
    assert not set(initial_pids.values()) & set(pids().values())
    assert len(running_processes()) == 2


def test_up_succeeds_after_killed_start(
    start_sandbox: Callable[..., subprocess.Popen[str]],
    sandbox: Sandbox,
    pids: Pids,
    running_processes: Alive,
) -> None:
    process = start_sandbox("up")
    while not pids():
        assert process.poll() is None
    process.kill()
    process.communicate()
    status = json.loads(sandbox("status", "--json").stdout)
    assert (status["condition"], status["busy"]) == ("interrupted", False)
    up = sandbox("up")
    assert up.returncode == 0
    assert up.stderr.startswith("Cleaning up an earlier sandbox: an earlier start was interrupted")
    assert len(running_processes()) == 2


def test_interrupted_start_stops_servers(
    start_sandbox: Callable[..., subprocess.Popen[str]], pids: Pids, running_processes: Alive
) -> None:
    process = start_sandbox("up")
    while not pids():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert running_processes() == []
    assert pids() == {}


def test_down_does_not_stop_process_with_reused_id(sandbox: Sandbox, state_folder: Path, pids: Pids) -> None:
    foreign = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    try:
        sandbox("up")
        aws = pids()["aws"]
        identity = ProcessIdentity.find(aws)
        assert identity is not None
        os.kill(aws, signal.SIGKILL)
        assert identity.wait_for_exit(10)
        # Simulate that the system has reused the process ID of the server for another program.
        ProcessIdentity(foreign.pid, identity.started).write(state_folder / "processes/aws.json")
        assert sandbox("status").returncode == 3
        assert sandbox("down").returncode == 0
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@pytest.mark.parametrize("option", ["--aws-port", "--kube-port"])
def test_busy_port_fails_the_start(
    sandbox: Sandbox, running_processes: Alive, busy_port: int, option: str
) -> None:
    up = sandbox("up", option, str(busy_port))
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr == (
        f"sandbox: Port {busy_port} on 127.0.0.1 is already in use by another program.\n"
        f"Omit {option} to use a free port, or choose another number.\n"
    )
    assert running_processes() == []


def test_port_option_is_used(sandbox: Sandbox, state_folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert sandbox("up", "--aws-port", str(free)).returncode == 0
    assert read_state(state_folder)["ports"]["aws"] == free


def test_reset_restores_initial_state(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up", "--kube-latency-ms", "1")
    aws, kube = aws_control(state_folder), kube_control(state_folder)
    initial_objects = {kind: len(objects) for kind, objects in kube.state()["objects"].items()}
    run = sandbox("run", "--", sys.executable, "-c", CREATE_RESOURCES)
    assert run.returncode == 0, run.stderr
    assert "mine" in json.dumps(aws.state(ACCOUNT))
    assert "mine" in json.dumps(kube.state())
    assert (aws.counters()["writes"], kube.counters()["writes"]) == (1, 1)
    aws.set_latency(60_000)
    aws.set_rate_limit(0.001)
    aws.set_kubernetes("https://127.0.0.2:6443", "bmV3")
    reset = sandbox("reset")
    assert reset.stdout.splitlines() == [
        "AWS: reset; cluster my-cluster recreated.",
        "Kubernetes: reset to a new cluster.",
    ]
    assert "mine" not in json.dumps(aws.state(ACCOUNT))
    assert "my-cluster" in json.dumps(aws.state(ACCOUNT)["clusters"])
    assert {kind: len(objects) for kind, objects in kube.state()["objects"].items()} == initial_objects
    assert (aws.counters()["total"], kube.counters()["total"]) == (0, 0)
    run = sandbox("run", "--", sys.executable, "-c", PRINT_ENDPOINT)
    assert run.stdout.strip() == f"https://127.0.0.1:{read_state(state_folder)['ports']['kubernetes']} True"


PRINT_ENDPOINT = """
import boto3
cluster = boto3.client("eks").describe_cluster(name="my-cluster")["cluster"]
print(cluster["endpoint"], len(cluster["certificateAuthority"]["data"]) > 100)
"""


CREATE_RESOURCES = """
import boto3, json
from kubernetes import client, config
statement = dict(Effect="Allow", Action="s3:GetObject", Resource="*")
document = json.dumps(dict(Version="2012-10-17", Statement=[statement]))
boto3.client("iam").create_policy(PolicyName="mine", PolicyDocument=document)
config.load_kube_config()
client.CoreV1Api().create_namespace(dict(metadata=dict(name="mine")))
"""


@pytest.mark.parametrize("command", ["reset", "env"])
def test_commands_without_sandbox_show_remedy(sandbox: Sandbox, state_folder: Path, command: str) -> None:
    result = sandbox(command)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"sandbox: No sandbox is running in {state_folder}.\nStart one with `sandbox up`.\n"
    )
    assert not state_folder.exists()


def test_status_without_a_sandbox(sandbox: Sandbox, state_folder: Path) -> None:
    status = sandbox("status")
    assert (status.returncode, status.stdout) == (
        3,
        f"No sandbox is running in {state_folder}. Start one with `sandbox up`.\n",
    )
    assert json.loads(sandbox("status", "--json").stdout)["up"] is False


def test_status_reports_hanging_server(sandbox: Sandbox, pids: Pids, report: Report) -> None:
    sandbox("up")
    os.kill(pids()["aws"], signal.SIGSTOP)
    status = sandbox("status")
    os.kill(pids()["aws"], signal.SIGCONT)
    assert status.returncode == 3
    lines = status.stdout.splitlines()
    assert lines[0].endswith("is running but does not respond. See `sandbox logs`.")
    assert lines[1].endswith(" (does not respond)")
    assert report()["up"]


def test_proxy_variables_are_ignored(sandbox: Sandbox) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    up = sandbox("up", **proxies)
    assert up.returncode == 0, up.stderr
    assert sandbox("status", **proxies).returncode == 0
    described = sandbox("run", "--", sys.executable, "-c", DESCRIBE, **proxies)
    assert json.loads(described.stdout)["status"] == "ACTIVE"


def test_env_and_env_sh_override_the_environment(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up")
    text = (state_folder / "env.sh").read_text()
    assert sandbox("env").stdout == text
    shell = subprocess.run(
        ["/bin/sh", "-c", f". {state_folder}/env.sh; env"],
        env={"AWS_PROFILE": "prod", "AWS_SESSION_TOKEN": "t", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    variables = dict(line.split("=", 1) for line in shell.stdout.splitlines())
    ports = read_state(state_folder)["ports"]
    assert variables["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{ports['aws']}"
    assert variables["AWS_ACCESS_KEY_ID"] == ACCOUNT
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-west-2"
    assert variables["AWS_EC2_METADATA_DISABLED"] == "true"
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) > 30
    assert variables["KUBECONFIG"] == f"{state_folder}/kubeconfig"
    assert variables["K8S_AUTH_KUBECONFIG"] == variables["KUBECONFIG"]
    assert variables["SANDBOX_STATE"] == str(state_folder)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & variables.keys()


def test_up_ignores_variables_of_stopped_sandbox(sandbox: Sandbox, state_folder: Path) -> None:
    variables = {"KUBECONFIG": f"{state_folder}/kubeconfig", "SANDBOX_AWS": "embedded"}
    up = sandbox("up", **variables)
    assert up.returncode == 0, up.stderr
    assert "Kubernetes: embedded emulator" in up.stdout


def test_logs_are_kept_after_down(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up")
    sandbox("down")
    logs = sandbox("logs").stdout
    assert f"==> {state_folder}/logs/aws.log\nembedded AWS ready on" in logs
    assert f"==> {state_folder}/logs/kubernetes.log\nKubernetes v" in logs
    assert "kubernetes.log" not in sandbox("logs", "aws").stdout
    wrong = sandbox("logs", "etcd")
    assert wrong.returncode == 1
    assert wrong.stderr == (
        f"sandbox: There is no log of 'etcd' in {state_folder}/logs.\nThere are logs of aws, kubernetes.\n"
    )


def test_cluster_creates_clusters_in_other_accounts_and_regions(sandbox: Sandbox, state_folder: Path) -> None:
    assert sandbox("up").returncode == 0
    options = ("--account", "444455556666", "--region", "eu-central-1")
    blue = sandbox("cluster", "blue", *options, "--tag", "stage=prod", "--no-agent", "--version", "1.33")
    assert (blue.returncode, blue.stdout, blue.stderr) == (
        0,
        "EKS cluster blue is ACTIVE in account 444455556666, eu-central-1.\n",
        "",
    )
    assert sandbox("cluster", "green", "--auto-mode").returncode == 0
    other_account = aws_control(state_folder).state("444455556666")
    cluster = other_account["clusters"]["eu-central-1/blue"]
    assert (cluster["tags"], cluster["version"]) == ({"stage": "prod"}, "1.33")
    assert other_account["addons"] == {}
    account = aws_control(state_folder).state(ACCOUNT)
    assert sorted(account["clusters"]) == ["us-west-2/green", "us-west-2/my-cluster"]
    assert account["clusters"]["us-west-2/green"]["computeConfig"] == {"enabled": True}
    assert "us-west-2/green/eks-pod-identity-agent" in account["addons"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("blue", "--account", "4444"), "sandbox: --account '4444' is not an account ID with 12 digits.\n"),
        (("blue", "--region", "moon"), "sandbox: --region 'moon' is not a region name.\n"),
    ],
)
def test_cluster_rejects_invalid_options(sandbox: Sandbox, arguments: tuple[str, ...], message: str) -> None:
    assert sandbox("up").returncode == 0
    result = sandbox("cluster", *arguments)
    assert (result.returncode, result.stderr) == (1, message)
