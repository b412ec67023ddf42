# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`up`, `status`, `reset` and `down` on the embedded endpoints, and what a crash leaves."""

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
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def state_of(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "state.json").read_text())
    return loaded


def aws_control(folder: Path) -> AwsControl:
    return AwsControl(f"http://127.0.0.1:{state_of(folder)['ports']['aws']}")


def kube_control(folder: Path) -> KubeControl:
    state = state_of(folder)
    endpoint = f"https://127.0.0.1:{state['ports']['kubernetes']}"
    return KubeControl(endpoint, folder / "kubernetes/ca.crt", state["token"])


def test_up_says_who_answers_and_both_do(sandbox: Sandbox, report: Report, state_folder: Path) -> None:
    up = sandbox("up")
    assert up.returncode == 0, up.stderr
    ports = state_of(state_folder)["ports"]
    assert up.stdout.splitlines() == [
        f"AWS: embedded (ministack with checks) on http://127.0.0.1:{ports['aws']}, "
        f"account {ACCOUNT}; "
        f"Kubernetes: embedded emulator on https://127.0.0.1:{ports['kubernetes']}",
        "EKS cluster my-cluster is ACTIVE in us-west-2.",
        f"Use it: . {state_folder}/env.sh   Stop it: sandbox down",
    ]
    aws, kubernetes = report()["backends"]
    assert [aws["ready"], kubernetes["ready"]] == [True, True]
    assert [aws["requests"]["total"], kubernetes["requests"]["total"]] == [0, 0]


def test_the_cluster_has_an_agent_a_role_and_the_address_of_the_api_server(
    sandbox: Sandbox, state_folder: Path
) -> None:
    up = sandbox("up", "--cluster", "blue", "--account", "444455556666", "--region", "eu-central-1", "--auth")
    assert up.returncode == 0, up.stderr
    state = aws_control(state_folder).state("444455556666")
    assert "blue-cluster-role" in json.dumps(state["roles"])
    assert "blue" in json.dumps(state["clusters"])
    assert "eks-pod-identity-agent" in json.dumps(state["addons"])
    endpoint = f"https://127.0.0.1:{state_of(state_folder)['ports']['kubernetes']}"
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


def test_up_twice_says_that_it_runs_already(sandbox: Sandbox, pids: Pids) -> None:
    first = sandbox("up")
    before = pids()
    second = sandbox("up")
    assert second.returncode == 0
    assert second.stdout.splitlines()[0].endswith("is already running.")
    assert second.stdout.splitlines()[1] == first.stdout.splitlines()[0]
    assert pids() == before


def test_up_with_other_settings_does_not_pretend(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up", "--latency-ms", "5")
    assert sandbox("up", "--latency-ms", "5").returncode == 0
    for command in (["up", "--latency-ms", "9"], ["run", "--latency-ms", "9", "--", "true"]):
        again = sandbox(*command)
        assert again.returncode == 1
        assert again.stderr == (
            f"sandbox: The sandbox in {state_folder} is already running with other settings: "
            "latency_ms is 5, not 9.\n"
            "Stop it with `sandbox down`, or use another one with --state or `run --fresh`.\n"
        )


def test_two_ups_at_once_make_one_sandbox(
    start_sandbox: Callable[..., subprocess.Popen[str]],
    report: Report,
    ours_alive: Alive,
) -> None:
    both = [start_sandbox("up"), start_sandbox("up")]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert sum("is already running" in out for out, _ in outputs) == 1
    assert sum("Waiting for another sandbox command" in err for _, err in outputs) <= 1
    assert report()["up"]
    assert len(ours_alive()) == 2


def test_down_twice_leaves_no_process_and_no_secret(
    sandbox: Sandbox, ours_alive: Alive, state_folder: Path
) -> None:
    sandbox("up")
    assert len(ours_alive()) == 2
    first, second = sandbox("down"), sandbox("down")
    assert (first.returncode, first.stdout) == (0, f"The sandbox in {state_folder} is stopped.\n")
    assert (second.returncode, second.stdout) == (
        0,
        f"No sandbox is running in {state_folder}.\n",
    )
    assert ours_alive() == []
    assert sorted(path.name for path in state_folder.iterdir()) == ["SANDBOX", "lock", "logs"]


def test_down_where_there_never_was_one_creates_nothing(sandbox: Sandbox, state_folder: Path) -> None:
    assert sandbox("down").returncode == 0
    assert not state_folder.exists()


@pytest.mark.parametrize("victim", ["aws", "kubernetes"])
def test_a_killed_server_is_reported_and_does_not_block_the_next_start(
    sandbox: Sandbox,
    report: Report,
    pids: Pids,
    ours_alive: Alive,
    state_folder: Path,
    victim: str,
) -> None:
    sandbox("up")
    before = pids()
    identity = ProcessIdentity.of(before[victim])
    assert identity is not None
    os.kill(before[victim], signal.SIGKILL)
    assert identity.wait_gone(10)
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
    assert up.stderr == (
        f"Clearing away what an earlier sandbox left: {victim} has died; stopping {other}.\n"
    )
    assert report()["up"]
    assert not set(before.values()) & set(pids().values())
    assert len(ours_alive()) == 2


def test_a_start_that_was_killed_does_not_block_the_next(
    start_sandbox: Callable[..., subprocess.Popen[str]],
    sandbox: Sandbox,
    pids: Pids,
    ours_alive: Alive,
) -> None:
    cut = start_sandbox("up")
    while not pids():
        assert cut.poll() is None
    cut.kill()
    cut.communicate()
    status = json.loads(sandbox("status", "--json").stdout)
    assert (status["condition"], status["busy"]) == ("interrupted", False)
    up = sandbox("up")
    assert up.returncode == 0
    assert up.stderr.startswith("Clearing away what an earlier sandbox left: an earlier start was cut short")
    assert len(ours_alive()) == 2


def test_a_start_that_is_interrupted_stops_what_it_started(
    start_sandbox: Callable[..., subprocess.Popen[str]], pids: Pids, ours_alive: Alive
) -> None:
    process = start_sandbox("up")
    while not pids():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert ours_alive() == []
    assert pids() == {}


def test_a_foreign_process_with_a_recorded_number_lives_on(
    sandbox: Sandbox, state_folder: Path, pids: Pids
) -> None:
    foreign = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    try:
        sandbox("up")
        aws = pids()["aws"]
        identity = ProcessIdentity.of(aws)
        assert identity is not None
        os.kill(aws, signal.SIGKILL)
        assert identity.wait_gone(10)
        # As if the system had given the number to another program since.
        ProcessIdentity(foreign.pid, identity.started).write(state_folder / "processes/aws.json")
        assert sandbox("status").returncode == 3
        assert sandbox("down").returncode == 0
        assert foreign.poll() is None
    finally:
        foreign.kill()
        foreign.wait()


@pytest.mark.parametrize("option", ["--aws-port", "--kube-port"])
def test_a_taken_port_is_named_and_nothing_starts(
    sandbox: Sandbox, ours_alive: Alive, taken_port: int, option: str
) -> None:
    up = sandbox("up", option, str(taken_port))
    assert (up.returncode, up.stdout) == (1, "")
    assert up.stderr == (
        f"sandbox: Port {taken_port} on 127.0.0.1 is already in use by another program.\n"
        f"Leave {option} out to have a free port chosen, or give another number.\n"
    )
    assert ours_alive() == []


def test_a_fixed_port_is_used(sandbox: Sandbox, state_folder: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
    assert sandbox("up", "--aws-port", str(free)).returncode == 0
    assert state_of(state_folder)["ports"]["aws"] == free


def test_reset_goes_back_to_the_first_state(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up", "--kube-latency-ms", "1")
    aws, kube = aws_control(state_folder), kube_control(state_folder)
    first_objects = {kind: len(objects) for kind, objects in kube.state()["objects"].items()}
    made = sandbox("run", "--", sys.executable, "-c", MAKE_THINGS)
    assert made.returncode == 0, made.stderr
    assert "mine" in json.dumps(aws.state(ACCOUNT))
    assert "mine" in json.dumps(kube.state())
    assert (aws.counters()["writes"], kube.counters()["writes"]) == (1, 1)
    aws.set_latency(60_000)
    aws.set_kubernetes("https://127.0.0.2:6443", "bmV3")
    reset = sandbox("reset")
    assert reset.stdout.splitlines() == [
        "AWS: emptied; cluster my-cluster created again.",
        "Kubernetes: emptied; as a new cluster is.",
    ]
    assert "mine" not in json.dumps(aws.state(ACCOUNT))
    assert "my-cluster" in json.dumps(aws.state(ACCOUNT)["clusters"])
    after = {kind: len(objects) for kind, objects in kube.state()["objects"].items()}
    assert after == first_objects
    assert (aws.counters()["total"], kube.counters()["total"]) == (0, 0)
    told = sandbox("run", "--", sys.executable, "-c", TELL_ENDPOINT)
    assert told.stdout.strip() == f"https://127.0.0.1:{state_of(state_folder)['ports']['kubernetes']} True"


TELL_ENDPOINT = """
import boto3
cluster = boto3.client("eks").describe_cluster(name="my-cluster")["cluster"]
print(cluster["endpoint"], len(cluster["certificateAuthority"]["data"]) > 100)
"""


def test_reads_are_late_after_up_and_after_reset(sandbox: Sandbox, state_folder: Path) -> None:
    """What `up` and `reset` make is old enough to be seen."""
    sandbox("up", "--read-lag-ms", "60000", "--clock-skew-s", "600")
    for _ in range(2):
        seen = sandbox("run", "--", sys.executable, "-c", LOOK)
        assert seen.stdout.split() == ["my-cluster", "True", "late"], seen.stderr
        sandbox("reset")
    aws_control(state_folder).set_read_lag(0)
    assert sandbox("reset").returncode == 0
    seen = sandbox("run", "--", sys.executable, "-c", LOOK)
    assert seen.stdout.split() == ["my-cluster", "True", "late"], seen.stderr


LOOK = """
import boto3, datetime, json
cluster = boto3.client("eks").describe_cluster(name="my-cluster")["cluster"]
ahead = cluster["createdAt"] - datetime.datetime.now(datetime.timezone.utc)
print(cluster["name"], ahead > datetime.timedelta(minutes=5))
iam = boto3.client("iam")
trust = dict(Effect="Allow", Principal=dict(Service="ec2.amazonaws.com"), Action="sts:AssumeRole")
iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(dict(Version="2012-10-17", Statement=[trust])))
try:
    iam.get_role(RoleName="r")
except iam.exceptions.NoSuchEntityException:
    print("late")
"""

MAKE_THINGS = """
import boto3, json
from kubernetes import client, config
statement = dict(Effect="Allow", Action="s3:GetObject", Resource="*")
document = json.dumps(dict(Version="2012-10-17", Statement=[statement]))
boto3.client("iam").create_policy(PolicyName="mine", PolicyDocument=document)
config.load_kube_config()
client.CoreV1Api().create_namespace(dict(metadata=dict(name="mine")))
"""


@pytest.mark.parametrize("command", ["reset", "env"])
def test_commands_that_need_a_sandbox_say_how_to_get_one(
    sandbox: Sandbox, state_folder: Path, command: str
) -> None:
    done = sandbox(command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
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


def test_status_with_a_server_that_hangs(sandbox: Sandbox, pids: Pids, report: Report) -> None:
    sandbox("up")
    os.kill(pids()["aws"], signal.SIGSTOP)
    status = sandbox("status")
    os.kill(pids()["aws"], signal.SIGCONT)
    assert status.returncode == 3
    lines = status.stdout.splitlines()
    assert lines[0].endswith("runs, but does not answer. See `sandbox logs`.")
    assert lines[1].endswith(" (does not answer)")
    assert report()["up"]


def test_a_proxy_of_the_environment_is_not_asked(sandbox: Sandbox) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    up = sandbox("up", **proxies)
    assert up.returncode == 0, up.stderr
    assert sandbox("status", **proxies).returncode == 0
    described = sandbox("run", "--", sys.executable, "-c", DESCRIBE, **proxies)
    assert json.loads(described.stdout)["status"] == "ACTIVE"


def test_env_sh_and_env_say_the_same_and_override_what_is_there(sandbox: Sandbox, state_folder: Path) -> None:
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
    ports = state_of(state_folder)["ports"]
    assert variables["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{ports['aws']}"
    assert variables["AWS_ACCESS_KEY_ID"] == ACCOUNT
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "us-west-2"
    assert variables["AWS_EC2_METADATA_DISABLED"] == "true"
    assert len(variables["AWS_SECRET_ACCESS_KEY"]) > 30
    assert variables["KUBECONFIG"] == f"{state_folder}/kubeconfig"
    assert variables["K8S_AUTH_KUBECONFIG"] == variables["KUBECONFIG"]
    assert variables["SANDBOX_STATE"] == str(state_folder)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & variables.keys()


def test_a_shell_with_the_variables_of_a_stopped_sandbox_can_start_again(
    sandbox: Sandbox, state_folder: Path
) -> None:
    left = {"KUBECONFIG": f"{state_folder}/kubeconfig", "SANDBOX_AWS": "embedded"}
    up = sandbox("up", **left)
    assert up.returncode == 0, up.stderr
    assert "Kubernetes: embedded emulator" in up.stdout


def test_the_logs_are_kept_after_down(sandbox: Sandbox, state_folder: Path) -> None:
    sandbox("up")
    sandbox("down")
    both = sandbox("logs").stdout
    assert f"==> {state_folder}/logs/aws.log\nembedded AWS ready on" in both
    assert f"==> {state_folder}/logs/kubernetes.log\nKubernetes v" in both
    assert "kubernetes.log" not in sandbox("logs", "aws").stdout
    wrong = sandbox("logs", "etcd")
    assert wrong.returncode == 1
    assert wrong.stderr == (
        f"sandbox: No log of 'etcd' in {state_folder}/logs.\nThere are logs of aws, kubernetes.\n"
    )


def test_more_clusters_in_other_accounts_and_regions(sandbox: Sandbox, state_folder: Path) -> None:
    assert sandbox("up").returncode == 0
    other = ("--account", "444455556666", "--region", "eu-central-1")
    blue = sandbox("cluster", "blue", *other, "--tag", "stage=prod", "--no-agent", "--version", "1.33")
    assert (blue.returncode, blue.stdout, blue.stderr) == (
        0,
        "EKS cluster blue is ACTIVE in account 444455556666, eu-central-1.\n",
        "",
    )
    assert sandbox("cluster", "green", "--auto-mode").returncode == 0
    there = aws_control(state_folder).state("444455556666")
    cluster = there["clusters"]["eu-central-1/blue"]
    assert (cluster["tags"], cluster["version"]) == ({"stage": "prod"}, "1.33")
    assert there["addons"] == {}
    here = aws_control(state_folder).state(ACCOUNT)
    assert sorted(here["clusters"]) == ["us-west-2/green", "us-west-2/my-cluster"]
    assert here["clusters"]["us-west-2/green"]["computeConfig"] == {"enabled": True}
    assert "us-west-2/green/eks-pod-identity-agent" in here["addons"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("blue", "--account", "4444"), "sandbox: --account '4444' is not an account ID of 12 digits.\n"),
        (("blue", "--region", "moon"), "sandbox: --region 'moon' is not the name of a region.\n"),
    ],
)
def test_a_cluster_that_cannot_be(sandbox: Sandbox, arguments: tuple[str, ...], message: str) -> None:
    assert sandbox("up").returncode == 0
    refused = sandbox("cluster", *arguments)
    assert (refused.returncode, refused.stderr) == (1, message)
