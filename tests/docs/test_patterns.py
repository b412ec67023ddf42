# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test docs/patterns.md: its examples, and patterns for 300 service accounts in 40 namespaces."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from support import BIN, COLLECTIONS, ROOT, Sandbox, blocks, environment

PAGE = ROOT / "docs" / "patterns.md"
PREPARE = """
import json, sys
from kubernetes import client, config
config.load_kube_config()
core = client.CoreV1Api()
for row in json.load(sys.stdin):
    metadata = {"name": row["namespace"], "labels": row.get("namespace_labels", {})}
    if row["namespace"] not in [item.metadata.name for item in core.list_namespace().items]:
        core.create_namespace({"metadata": metadata})
    if row.get("delete"):
        core.delete_namespaced_service_account(row["name"], row["namespace"])
    else:
        account = {"name": row["name"], "labels": row.get("labels", {})}
        core.create_namespaced_service_account(row["namespace"], {"metadata": account})
"""


class Cluster:
    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        (folder / "prepare.py").write_text(PREPARE, encoding="utf-8")

    def prepare(self, *rows: dict[str, object]) -> None:
        (self.folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
        done = self.sandbox.run("bash", "-ec", f"{BIN}/python prepare.py <rows.json", cwd=self.folder)
        assert done.returncode == 0, done.stdout

    def play(self, name: str, variables: object, *options: str) -> subprocess.CompletedProcess[str]:
        path = self.folder / "variables.yml"
        path.write_text(yaml.safe_dump(variables), encoding="utf-8")
        command = ("ansible-playbook", f"workload_identity.aws.{name}", "-e", f"@{path}", *options)
        return self.sandbox.run(*command, cwd=self.folder)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    sandbox = Sandbox(environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--pod-identity-webhook")
    yield Cluster(sandbox, folder)
    sandbox.down()


def changes(run: subprocess.CompletedProcess[str]) -> int:
    found = re.search(r"(?:Done|done|Plan|plan): (\d+) change", run.stdout)
    assert found, run.stdout
    return int(found[1])


def test_examples_of_the_page(cluster: Cluster) -> None:
    [patterns] = (yaml.safe_load(block.text) for block in blocks(PAGE, "yaml"))
    cluster.prepare(
        {"namespace": "team-a", "name": "web-shop"},
        {"namespace": "team-b", "name": "web-shop"},
        {
            "namespace": "shop",
            "namespace_labels": {"tenant": "yes"},
            "name": "q",
            "labels": {"queue": "orders"},
        },
    )
    plan = cluster.play("site", patterns, "--check")
    assert plan.returncode == 0, plan.stdout
    [text] = [block.text for block in blocks(PAGE, "text")]
    for line in text.splitlines():
        assert line.strip() in plan.stdout
    run = cluster.play("site", patterns)
    assert (run.returncode, changes(run)) == (0, changes(plan)), run.stdout
    torn_down = cluster.play("teardown", patterns)
    assert torn_down.returncode == 0, torn_down.stdout
    assert torn_down.stdout.count("delete association") == 3


def test_every_invalid_selector_is_reported_with_its_place(cluster: Cluster) -> None:
    row = {"namespace": "*", "service_account": "x", "role": {"name": "r"}}
    rows = [
        {**row, "namespace_selector": "tenant in yes"},
        row,
        {**row, "service_account": "y", "service_account_selector": "a=b=c"},
    ]
    run = cluster.play("site", {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": rows})
    assert run.returncode == 2
    text = " ".join(run.stdout.split())
    assert "2 problems in the input; nothing was changed:" in text
    assert (
        "- pod_identity_workloads[0] (*/x): namespace_selector 'tenant in yes' is not a valid label selector: "
        in text
    )
    assert (
        "- pod_identity_workloads[2] (*/y): service_account_selector 'a=b=c' is not a valid label selector: "
        in text
    )
