# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the collection's playbooks without a kubeconfig.

The playbooks need only the declared requirements, and do not write secrets to any file. If the cluster has no access entry for
the caller, they fail with a remedy.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from ansible_collections.workload_identity.aws.tests.secrets.watch import Watch, found, issued, loud
from sandbox.aws.control import AwsControl
from sandbox.client import kube_control

from .conftest import ROOT, VENV, clean_environment, run
from .test_main_job import GUIDE, playbook, recap

ACCOUNT = "111122223333"
CLUSTER = "my-cluster"
KUBECONFIG = ("KUBECONFIG", "K8S_AUTH_KUBECONFIG")
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
HEAD = f"The Kubernetes API of cluster {CLUSTER} (account {ACCOUNT}, region us-west-2) returned 401: Unauthorized."
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci/deployer"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/job-7"
UV = ROOT / ".cache" / "uv" / "bin" / "uv"


@pytest.fixture
def bare(installed: Mapping[str, str], sandbox: Mapping[str, str], tmp_path: Path) -> dict[str, str]:
    """Return the environment variables of the collection and the sandbox, but without a kubeconfig, and with an empty home
    folder."""
    home = tmp_path / "home"
    home.mkdir()
    env = {**installed, **sandbox, "HOME": str(home)}
    return {name: value for name, value in env.items() if name not in KUBECONFIG}


@dataclass(frozen=True)
class Aws:
    """The embedded AWS, used as the root user of the account."""

    environment: Mapping[str, str]

    def client(self, service: str) -> Any:
        keys = dict(
            zip(("aws_access_key_id", "aws_secret_access_key"), map(self.environment.get, KEYS), strict=True)
        )
        return boto3.client(
            service,
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            **keys,
        )

    def session(self) -> dict[str, str]:
        """Create the role ROLE, and assume it. Return the environment variables with the credentials of the session."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                }
            ],
        }
        self.client("iam").create_role(
            Path="/ci/", RoleName="deployer", AssumeRolePolicyDocument=json.dumps(trust)
        )
        issued = self.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="job-7")["Credentials"]
        credentials = (issued[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        return dict(zip((*KEYS, "AWS_SESSION_TOKEN"), credentials, strict=True))

    def add_access_entry(self, principal: str, *groups: str) -> None:
        self.client("eks").create_access_entry(
            clusterName=CLUSTER, principalArn=principal, kubernetesGroups=list(groups)
        )


@pytest.fixture
def aws(sandbox: Mapping[str, str]) -> Aws:
    return Aws(sandbox)


def failing(env: Mapping[str, str], cwd: Path, *more: str) -> str:
    """Run site.yml, which must fail, and return its output."""
    command = [VENV / "bin" / "ansible-playbook", "workload_identity.aws.site", "-e", f"@{GUIDE}", *more]
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=dict(env), check=False, capture_output=True, text=True
    )
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a virtual environment with ansible-core and the collection's requirements.txt, in the versions of other tests."""
    folder = tmp_path_factory.mktemp("declared") / "venv"
    python = VENV / "bin" / "python"
    run([UV, "venv", "--quiet", "--python", python, folder], clean_environment(), ROOT)
    command = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "ansible-core"]
    constraints = ROOT / "requirements" / "run.txt"
    run([*command, "-r", ROOT / "requirements.txt", "-c", constraints], clean_environment(), ROOT)
    return folder


@pytest.fixture(scope="module")
def path_without_clients(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH with the programs in /bin and /usr/bin, except kubectl and aws."""
    folder = tmp_path_factory.mktemp("bin")
    for place in map(Path, ("/bin", "/usr/bin")):
        for program in place.iterdir():
            link = folder / program.name
            if program.name not in ("kubectl", "aws") and not link.is_symlink():
                link.symlink_to(program)
    assert shutil.which("kubectl", path=str(folder)) is None
    assert shutil.which("aws", path=str(folder)) is None
    return str(folder)


@pytest.mark.release
def test_declared_requirements_suffice(
    declared: Path, path_without_clients: str, bare: Mapping[str, str], tmp_path: Path
) -> None:
    env = {**bare, "PATH": path_without_clients}
    first = playbook("site", declared, env, tmp_path)
    assert "Done: 5 changes." in first
    assert recap(first)["failed"] == 0
    again = playbook("site", declared, env, tmp_path)
    assert "Done: 0 changes." in again
    assert recap(again)["changed"] == 0
    verified = playbook("verify", declared, env, tmp_path)
    assert re.search(r"default/my-service-account +pass .*pass", verified)
    assert recap(verified)["changed"] == 0
    assert "Teardown done: 5 changes." in playbook("teardown", declared, env, tmp_path)


@pytest.mark.release
def test_oldest_versions_create_tokens(
    cores: Mapping[str, tuple[Path, Mapping[str, str]]], bare: Mapping[str, str], tmp_path: Path
) -> None:
    if "2.16" not in cores:
        pytest.skip("no Python here that ansible-core 2.16 runs on")
    oldest, core_env = cores["2.16"]
    env = {**bare, **{name: core_env[name] for name in ("ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME")}}
    for name, head in (("site", "Done"), ("teardown", "Teardown done")):
        assert f"{head}: 5 changes." in playbook(name, oldest, env, tmp_path)


def test_missing_access_entry_has_remedy(bare: Mapping[str, str], aws: Aws, tmp_path: Path) -> None:
    env = {**bare, **aws.session()}
    output = " ".join(failing(env, tmp_path).split())
    assert f"{HEAD} The token belongs to {SESSION}. The cluster has no access entry for {ROLE}" in output
    command = (
        f"aws eks create-access-entry --cluster-name {CLUSTER} --region us-west-2 --principal-arn {ROLE}"
    )
    assert f"{command} --kubernetes-groups pod-identity-operators" in output
    assert "Nothing was changed." in output
    # The remedy is sufficient: with the access entry, the job succeeds.
    aws.add_access_entry(ROLE, "pod-identity-operators")
    assert "Done: 5 changes." in playbook("site", VENV, env, tmp_path)


def test_default_kubeconfig_is_ignored(
    sandbox: Mapping[str, str], bare: Mapping[str, str], tmp_path: Path
) -> None:
    """Create ~/.kube/config with an unreachable server. The job must ignore this file unless a variable selects it."""
    path = Path(bare["HOME"]) / ".kube" / "config"
    path.parent.mkdir()
    text = Path(sandbox["KUBECONFIG"]).read_text(encoding="utf-8")
    config = json.loads(text)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    path.write_text(json.dumps(config), encoding="utf-8")
    env = {**bare}
    assert "Done: 5 changes." in playbook("site", VENV, env, tmp_path)
    assert "was not reached, as nothing listens at its endpoint" in " ".join(
        failing(env, tmp_path, "-e", "pod_identity_kube_auth=kubeconfig").split()
    )


@pytest.mark.release
def test_no_secret_is_written(bare: Mapping[str, str], aws: Aws, tmp_path: Path, short: Path) -> None:
    """Run jobs with full verbosity, and search their output, logs, events, artifacts, diffs and module files for secrets."""
    keys = aws.session()
    aws.add_access_entry(ROLE)
    folder, job, archive = short / "loud", short / "job", short / "archive"
    credentials = tmp_path / "credentials"
    lines = ["[default]", *(f"{name.lower()}={value}" for name, value in keys.items())]
    credentials.write_text("\n".join(lines), encoding="utf-8")
    watch = Watch(archive, folder, job)
    env = {**bare, **loud(folder), **watch.environment, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    env = {name: value for name, value in env.items() if name not in KEYS}
    env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    for path in (archive, job / "env", job / "project"):
        path.mkdir(parents=True)
    (job / "env" / "extravars").write_text(GUIDE.read_text(encoding="utf-8"), encoding="utf-8")
    printed: dict[Any, bytes] = {}
    for ident, more in (("first", []), ("plan", ["--check"]), ("down", [])):
        name = "teardown" if ident == "down" else "site"
        options = " ".join(["-vvvv", "--diff", *more])
        command = ["run", job, "-p", f"workload_identity.aws.{name}", "--ident", ident]
        command.append(f"--cmdline={options}")
        printed[ident] = run([VENV / "bin" / "ansible-runner", *command], env, tmp_path).stdout.encode()
    texts = {**watch.seen(), **printed}
    # The searched files include the log and the events; otherwise the search would prove nothing.
    names = {path.name for path in watch.seen()}
    assert {"ansible.log", "stdout"} <= names
    assert any(
        b"my-service-account" in text for path, text in watch.seen().items() if "job_events" in path.parts
    )
    secrets = issued(AwsControl(bare["AWS_ENDPOINT_URL"]))
    assert {keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"]} <= set(secrets)
    assert list(found(secrets, texts)) == []


@pytest.mark.release
def test_interrupted_run_leaves_no_files(bare: Mapping[str, str], tmp_path: Path) -> None:
    """Interrupt a run during a request to Kubernetes. Afterwards, no file may remain in the temporary folder."""
    control = kube_control(bare)
    control.set_faults([{"operation": "patch serviceaccounts", "kind": "stall", "seconds": 20}])
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {**bare, "ANSIBLE_LOCAL_TEMP": str(temporary), "ANSIBLE_REMOTE_TEMP": str(temporary)}
    command = [VENV / "bin" / "ansible-playbook", "workload_identity.aws.site", "-e", f"@{GUIDE}"]
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        while not control.counters()["operations"].get("patch serviceaccounts"):
            assert process.poll() is None
        assert list(temporary.rglob("eks-authority-*.crt"))
        # Ctrl-C in a terminal signals the whole process group.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
