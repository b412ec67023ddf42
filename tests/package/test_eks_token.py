# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job without kubeconfig: with what the collection declares alone, by callers that a cluster knows and does not
know, and without a trace of its secrets."""

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
from ansible_collections.workload_identity.aws.tests.secrets.watch import PREFIX, Watch, found, issued, loud
from sandbox.aws.control import AwsControl
from sandbox.kube.control import KubeControl

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
    """The installed collection and the sandbox, with no kubeconfig given, and a home without one."""
    home = tmp_path / "home"
    home.mkdir()
    env = {**installed, **sandbox, "HOME": str(home)}
    return {name: value for name, value in env.items() if name not in KUBECONFIG}


@dataclass(frozen=True)
class Aws:
    """The embedded AWS as its account's root."""

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
        """The variables of a session of ROLE, which is made."""
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
        given = (issued[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
        return dict(zip((*KEYS, "AWS_SESSION_TOKEN"), given, strict=True))

    def let_in(self, principal: str, *groups: str) -> None:
        self.client("eks").create_access_entry(
            clusterName=CLUSTER, principalArn=principal, kubernetesGroups=list(groups)
        )


@pytest.fixture
def aws(sandbox: Mapping[str, str]) -> Aws:
    return Aws(sandbox)


def failing(env: Mapping[str, str], cwd: Path, *more: str) -> str:
    """What a run of site.yml prints that fails."""
    command = [VENV / "bin" / "ansible-playbook", "workload_identity.aws.site", "-e", f"@{GUIDE}", *more]
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=dict(env), check=False, capture_output=True, text=True
    )
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def declared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of Ansible and what requirements.txt of the collection names, with the versions of the others."""
    folder = tmp_path_factory.mktemp("declared") / "venv"
    python = VENV / "bin" / "python"
    run([UV, "venv", "--quiet", "--python", python, folder], clean_environment(), ROOT)
    command = [UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", "ansible-core"]
    constraints = ROOT / "requirements" / "run.txt"
    run([*command, "-r", ROOT / "requirements.txt", "-c", constraints], clean_environment(), ROOT)
    return folder


@pytest.fixture(scope="module")
def path_without_clients(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH with what the system has, except kubectl and aws."""
    folder = tmp_path_factory.mktemp("bin")
    for place in map(Path, ("/bin", "/usr/bin")):
        for program in place.iterdir():
            link = folder / program.name
            if program.name not in ("kubectl", "aws") and not link.is_symlink():
                link.symlink_to(program)
    assert shutil.which("kubectl", path=str(folder)) is None
    assert shutil.which("aws", path=str(folder)) is None
    return str(folder)


def test_nothing_but_what_the_collection_declares_is_needed(
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


def test_the_oldest_versions_make_tokens_too(
    cores: Mapping[str, tuple[Path, Mapping[str, str]]], bare: Mapping[str, str], tmp_path: Path
) -> None:
    if "2.17" not in cores:
        pytest.skip("no Python here that ansible-core 2.17 runs on")
    oldest, there = cores["2.17"]
    env = {**bare, **{name: there[name] for name in ("ANSIBLE_COLLECTIONS_PATH", "ANSIBLE_HOME")}}
    for name, head in (("site", "Done"), ("teardown", "Teardown done")):
        assert f"{head}: 5 changes." in playbook(name, oldest, env, tmp_path)


def test_a_caller_without_access_entry_is_told_how_to_make_one(
    bare: Mapping[str, str], aws: Aws, tmp_path: Path
) -> None:
    env = {**bare, **aws.session()}
    output = " ".join(failing(env, tmp_path).split())
    assert f"{HEAD} The token is that of {SESSION}. The cluster has no access entry for {ROLE}" in output
    command = (
        f"aws eks create-access-entry --cluster-name {CLUSTER} --region us-west-2 --principal-arn {ROLE}"
    )
    assert f"{command} --kubernetes-groups pod-identity-operators" in output
    assert "Nothing was changed." in output
    # What it says is enough: with the entry the job runs.
    aws.let_in(ROLE, "pod-identity-operators")
    assert "Done: 5 changes." in playbook("site", VENV, env, tmp_path)


def test_what_only_lies_there_is_not_used(
    sandbox: Mapping[str, str], bare: Mapping[str, str], tmp_path: Path
) -> None:
    """~/.kube/config is of another cluster here: nothing listens where it leads."""
    own = Path(bare["HOME"]) / ".kube" / "config"
    own.parent.mkdir()
    text = Path(sandbox["KUBECONFIG"]).read_text(encoding="utf-8")
    config = json.loads(text)
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    own.write_text(json.dumps(config), encoding="utf-8")
    env = {**bare}
    assert "Done: 5 changes." in playbook("site", VENV, env, tmp_path)
    assert "was not reached, as nothing listens at its endpoint" in " ".join(
        failing(env, tmp_path, "-e", "pod_identity_kube_auth=kubeconfig").split()
    )


def test_a_token_beside_a_kubeconfig_is_refused_before_aws_is_asked(
    bare: Mapping[str, str], tmp_path: Path
) -> None:
    output = failing(
        {**bare},
        tmp_path,
        "-e",
        "pod_identity_kube_auth=eks",
        "-e",
        "pod_identity_kubeconfig=/none",
    )
    problem = "pod_identity_kube_auth: eks takes no kubeconfig; leave it or pod_identity_kubeconfig out. Nothing was changed."
    assert problem in " ".join(output.split())


def test_a_profile_beside_access_keys_is_refused_by_the_names_of_the_role(
    bare: Mapping[str, str], tmp_path: Path
) -> None:
    """Also where the token needs AWS before the module does."""
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "of-nobody"}
    output = failing({**bare, **keys}, tmp_path, "-e", "pod_identity_profile=other")
    assert (
        "a profile (pod_identity_profile, AWS_PROFILE) and access keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
        "AWS_SESSION_TOKEN) are both set, but only one of them can be used. Remove the profile, or unset the variables of the "
        "access keys. Nothing was changed."
    ) in " ".join(output.split())


PROBE = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.command: "true {{ lookup('workload_identity.aws.eks_token', 'my-cluster') }}"
"""


def test_no_secret_is_left_anywhere(bare: Mapping[str, str], aws: Aws, tmp_path: Path, short: Path) -> None:
    """A run that AWX could make, as loud as can be: its screen, log, events, artifacts, diffs and files of modules."""
    keys = aws.session()
    aws.let_in(ROLE)
    folder, job, kept = short / "loud", short / "job", short / "kept"
    credentials = tmp_path / "credentials"
    lines = ["[default]", *(f"{name.lower()}={value}" for name, value in keys.items())]
    credentials.write_text("\n".join(lines), encoding="utf-8")
    watch = Watch(kept, folder, job)
    env = {**bare, **loud(folder), **watch.environment, "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    env = {name: value for name, value in env.items() if name not in KEYS}
    env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    for path in (kept, job / "env", job / "project"):
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
    # It looked where it matters: at the log and the events.
    names = {path.name for path in watch.seen()}
    assert {"ansible.log", "stdout"} <= names
    assert any(
        b"my-service-account" in text for path, text in watch.seen().items() if "job_events" in path.parts
    )
    secrets = issued(AwsControl(bare["AWS_ENDPOINT_URL"]))
    assert {keys["AWS_SECRET_ACCESS_KEY"], keys["AWS_SESSION_TOKEN"]} <= set(secrets)
    assert list(found(secrets, texts)) == []


def test_a_secret_that_is_given_away_would_be_found(
    bare: Mapping[str, str], tmp_path: Path, short: Path
) -> None:
    """In a log, and in the file of a module that is gone when the run is over."""
    folder, kept = short / "loud", short / "kept"
    kept.mkdir()
    (tmp_path / "probe.yml").write_text(PROBE, encoding="utf-8")
    watch = Watch(kept, folder)
    env = {**bare, **loud(folder), **watch.environment, "ANSIBLE_KEEP_REMOTE_FILES": "false"}
    run([VENV / "bin" / "ansible-playbook", "-vvvv", tmp_path / "probe.yml"], env, tmp_path)
    given_away = {
        path.relative_to(short): text for path, text in watch.seen().items() if PREFIX.encode() in text
    }
    assert Path("loud/ansible.log") in given_away
    assert any(path.parts[0] == "kept" for path in given_away), given_away


def test_nothing_is_left_after_an_interruption(bare: Mapping[str, str], tmp_path: Path) -> None:
    """Ctrl-C while the Kubernetes API has the service account of a Job's run."""
    state = Path(bare["SANDBOX_STATE"])
    config = json.loads((state / "kubeconfig").read_text(encoding="utf-8"))
    control = KubeControl(
        config["clusters"][0]["cluster"]["server"],
        state / "kubernetes" / "ca.crt",
        config["users"][0]["user"]["token"],
    )
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
        # As a terminal does it, to all of the foreground.
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert [path for path in temporary.rglob("*") if path.is_file()] == []
