# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads from files: both halves act on the same ones, and what is wrong with them is one clear error."""

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
    path.write_text(yaml.safe_dump([workload(one) for one in workloads]), encoding="utf-8")
    return path


def given(*paths: str) -> list[str]:
    return [
        "-e",
        json.dumps({"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads_from": paths}),
    ]


def state(sandbox: Sandbox) -> list[list[str]]:
    """The service accounts that have an association, and those that there are in Kubernetes."""
    done = sandbox.run(ROOT / ".venv" / "bin" / "python", "-c", STATE)
    assert done.returncode == 0, done.stdout
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def clean(sandbox: Sandbox) -> Sandbox:
    sandbox.reset()
    return sandbox


def test_the_folder_of_the_example_is_found_where_ansible_was_started(clean: Sandbox, tmp_path: Path) -> None:
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


def test_a_playbook_of_ones_own_has_its_files_beside_it(clean: Sandbox, tmp_path: Path) -> None:
    write(tmp_path / "plays" / "teams", "a.yml", "one")
    roles = [{"role": "workload_identity.aws.pod_identity"}]
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "roles": roles}
    module = {"cluster_name": "my-cluster", "workloads_from": "teams/a.yml", "state": "absent"}
    alone = {**play, "tasks": [{"workload_identity.aws.eks_pod_identity": module}], "roles": []}
    for one in (play, alone):
        one["vars"] = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    for name, one in (("play.yml", play), ("alone.yml", alone)):
        (tmp_path / "plays" / name).write_text(yaml.safe_dump([one]), encoding="utf-8")
    done = clean.run("ansible-playbook", "plays/play.yml", *given("teams/"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [["one"], ["one"]]
    done = clean.run("ansible-playbook", "plays/alone.yml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert state(clean) == [[], ["one"]]
    write(tmp_path / "teams", "a.yml", "two")
    for name in ("play.yml", "alone.yml"):
        done = clean.run("ansible-playbook", f"plays/{name}", *given("teams/"), cwd=tmp_path)
        assert done.returncode == 2, done.stdout
        assert "exists twice, beside the playbook (" in done.stdout
        assert "Nothing was changed." in done.stdout
    assert state(clean) == [[], ["one"]]


@pytest.mark.parametrize(
    ("playbook", "text", "said"),
    [
        (SITE, "- hello\n", "a.yml line 1: must be a mapping, got text. Nothing was changed."),
        (
            TEARDOWN,
            "workloads: []\nworkloads: []\n",
            "line 2: key 'workloads' is given twice, first on line 1;",
        ),
        (
            SITE,
            "- {namespace: default, service_account: 2001-99-99}\n",
            "a.yml line 1: '2001-99-99' is not a valid timestamp,",
        ),
        (TEARDOWN, "", "a.yml line 1: holds no workloads; write [] for an empty list. Nothing was changed."),
    ],
)
def test_a_wrong_file_fails_one_task_with_what_is_wrong(
    clean: Sandbox, tmp_path: Path, playbook: str, text: str, said: str
) -> None:
    write(tmp_path, "ok.yml", "one")
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    done = clean.run("ansible-playbook", playbook, *given("a.yml", "ok.yml"), cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert done.stdout.count("Origin: ") <= 1
    assert "Traceback" not in done.stdout
    failed = done.stdout.split("FAILED! => ", 1)[1].splitlines()[0]
    assert said in json.loads(failed)["msg"]
    assert "Nothing was changed." in json.loads(failed)["msg"]
    assert state(clean) == [[], []]
