# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test workloads in files: AWS and Kubernetes get the same workloads, and an invalid file causes one clear error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import ROOT, Sandbox, blocks

SITE = "workload_identity.aws.site"
TEARDOWN = "workload_identity.aws.teardown"
STATE = """
import boto3, json
from kubernetes import client, config
config.load_kube_config()
found = boto3.client("eks").list_pod_identity_associations(clusterName="my-cluster")["associations"]
accounts = client.CoreV1Api().list_namespaced_service_account("default").items
print(json.dumps([sorted(one["serviceAccount"] for one in found),
                  sorted(one.metadata.name for one in accounts if one.metadata.name != "default")]))
"""


def workload(name: str) -> dict[str, Any]:
    return {"namespace": "default", "service_account": name, "role": {"name": name}}


def write(folder: Path, name: str, *workloads: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(yaml.safe_dump([workload(account) for account in workloads]), encoding="utf-8")
    return path


def variables(*paths: str) -> list[str]:
    return [
        "-e",
        json.dumps({"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads_from": paths}),
    ]


def state(sandbox: Sandbox) -> list[list[str]]:
    """Return two lists: the service accounts with an association, and the service accounts in Kubernetes."""
    done = sandbox.run(ROOT / ".venv" / "bin" / "python", "-c", STATE)
    assert done.returncode == 0, done.stdout
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def clean(sandbox: Sandbox) -> Sandbox:
    sandbox.reset()
    return sandbox


def test_paths_are_relative_to_working_directory(clean: Sandbox, tmp_path: Path) -> None:
    example = next(
        block.text
        for block in blocks(ROOT / "docs" / "workloads.md", "yaml")
        if "workloads_from" in block.text
    )
    (tmp_path / "vars.yml").write_text(example, encoding="utf-8")
    write(tmp_path / "workloads", "a.yml", "one")
    write(tmp_path / "workloads", "b.YML", "two")
    done = clean.run("ansible-playbook", SITE, "-e", "@vars.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [["one", "two"], ["one", "two"]]
    done = clean.run("ansible-playbook", TEARDOWN, "-e", "@vars.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [[], []]


@pytest.mark.release
def test_paths_are_relative_to_playbook(clean: Sandbox, tmp_path: Path) -> None:
    write(tmp_path / "plays" / "teams", "a.yml", "one")
    roles = [{"role": "workload_identity.aws.pod_identity"}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": roles}
    module = {"cluster_name": "my-cluster", "workloads_from": "teams/a.yml", "state": "absent"}
    module_play = {**play, "tasks": [{"workload_identity.aws.eks_pod_identity": module}], "roles": []}
    for content in (play, module_play):
        content["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    for name, content in (("play.yml", play), ("module.yml", module_play)):
        (tmp_path / "plays" / name).write_text(yaml.safe_dump([content]), encoding="utf-8")
    done = clean.run("ansible-playbook", "plays/play.yml", *variables("teams/"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [["one"], ["one"]]
    done = clean.run("ansible-playbook", "plays/module.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [[], ["one"]]
    write(tmp_path / "teams", "a.yml", "two")
    for name in ("play.yml", "module.yml"):
        done = clean.run("ansible-playbook", f"plays/{name}", *variables("teams/"), cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert "exists twice, next to the playbook (" in done.stdout
        assert "Nothing was changed." in done.stdout
    assert state(clean) == [[], ["one"]]
