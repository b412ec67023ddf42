# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the command `sandbox run`: its environment, exit codes and signals, and the servers that it starts and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import boto3
import pytest
from kubernetes import client, config
from sandbox.client import aws_control, kube_control, reset, running
from sandbox.control_client import ControlError

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
OWN = {
    "AWS_PROFILE": "mine",
    "AWS_ENDPOINT_URL_IAM": "https://iam.example",
    "K8S_AUTH_HOST": "https://own.example",
    "NO_PROXY": "intranet.example",
    "KUBECONFIG": "/nowhere",
}


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SANDBOX, *arguments],
        env={**os.environ, **settings},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["run", "--", "true"], 0, "AWS: http://127.0.0.1:"),
        (["run", "--", "sh", "-c", "exit 7"], 7, "Kubernetes: embedded emulator on https://127.0.0.1:"),
        (["run", "--", "sh", "-c", "kill -TERM $$"], 128 + signal.SIGTERM, ""),
        (["run", "--", "no-such-command"], 127, "no-such-command: command not found"),
        (["run", "--", "/dev/null"], 126, "/dev/null: cannot be run: Permission denied"),
        (["run"], 2, "run needs a command, as in: sandbox run -- ansible-playbook site.yml"),
        (["run", "--kubebuilder", "--", "true"], 1, "KUBEBUILDER_ASSETS (/nowhere) has no program etcd."),
        (["up"], 2, "invalid choice: 'up'"),
    ],
)
def test_exit_code_and_message(arguments: list[str], code: int, text: str) -> None:
    done = run(*arguments, KUBEBUILDER_ASSETS="/nowhere")
    assert (done.returncode, text in done.stderr) == (code, True), done.stderr


def test_environment_leads_to_the_sandbox_and_hides_own_settings() -> None:
    options = ["--cluster", "blue", "--account", "444455556666", "--region", "eu-west-1"]
    done = run("run", *options, "--", "python3", "-c", SHOW, **OWN)
    variables = json.loads(done.stdout)
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL_IAM", "K8S_AUTH_HOST"} & variables.keys()
    assert variables["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"
    assert (variables["AWS_ACCESS_KEY_ID"], variables["AWS_REGION"]) == ("444455556666", "eu-west-1")
    assert variables["SANDBOX_CLUSTER"] == "blue"
    assert (
        variables["KUBECONFIG"]
        == variables["K8S_AUTH_KUBECONFIG"]
        == f"{variables['SANDBOX_STATE']}/kubeconfig"
    )
    assert not Path(variables["SANDBOX_STATE"]).exists(), "the folder is deleted at the end"


def test_servers_work_together_and_can_be_reset() -> None:
    with running(SANDBOX, "--rbac", "--kube-latency-ms", "1") as variables:
        keys = {"aws_access_key_id": variables["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "any-key"}
        place = {"endpoint_url": variables["AWS_ENDPOINT_URL"], "region_name": variables["AWS_REGION"]}
        eks, iam = (boto3.client(name, **keys, **place) for name in ("eks", "iam"))
        cluster = eks.describe_cluster(name="my-cluster")["cluster"]
        assert aws_control(variables).counters()["operations"] == {"eks:DescribeCluster": 1}
        assert eks.list_addons(clusterName="my-cluster")["addons"] == ["eks-pod-identity-agent"]
        api = client.CoreV1Api(config.new_client_from_config(variables["KUBECONFIG"]))
        assert cluster["endpoint"] == api.api_client.configuration.host
        aws_control(variables).create_cluster(keys["aws_access_key_id"], place["region_name"], "second")
        assert eks.describe_cluster(name="second")["cluster"]["endpoint"].endswith(".eks.amazonaws.com")
        api.create_namespace({"metadata": {"name": "mine"}})
        iam.create_user(UserName="someone")
        reset(variables)
        assert "namespaces" not in kube_control(variables).counters()["operations"]
        assert "mine" not in [item.metadata.name for item in api.list_namespace().items]
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            iam.get_user(UserName="someone")
        assert eks.list_clusters()["clusters"] == ["my-cluster"]


def responds(endpoint: str) -> bool:
    try:
        return bool(aws_control({"AWS_ENDPOINT_URL": endpoint}).counters())
    except ControlError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signal_reaches_the_command_and_ends_the_servers(number: signal.Signals) -> None:
    command = [SANDBOX, "run", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL; exec sleep 60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        process.send_signal(number)
        assert process.wait(20) == 128 + number
    assert not responds(endpoint)


def test_killed_command_leaves_no_server() -> None:
    command = [SANDBOX, "run", "--", "sh", "-c", "echo $AWS_ENDPOINT_URL; exec sleep 5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        assert responds(endpoint)
        process.kill()
    deadline = time.monotonic() + 10
    while responds(endpoint):
        assert time.monotonic() < deadline
