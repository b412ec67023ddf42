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
    sandbox = Sandbox(folder / "state", environment(COLLECTIONS, home=folder / "home"))
    sandbox.up("--kube", "embedded", "--pod-identity-webhook")
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


@pytest.mark.release
def test_three_hundred_service_accounts_in_forty_namespaces(cluster: Cluster) -> None:
    accounts: list[dict[str, object]] = [
        {
            "namespace": f"many-{number % 40:02d}",
            "namespace_labels": {"kind": "many"},
            "name": f"{('web', 'job', 'api')[number % 3]}-{number:03d}",
        }
        for number in range(300)
    ]
    cluster.prepare(*accounts)
    policies = [{"arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}]
    entries = [
        {
            "namespace": "many-*",
            "service_account": "web-*",
            "role": {"name": "many-web"},
            "policies": policies,
        },
        {
            "namespace": "many-*",
            "service_account": "job-*",
            "role": {"name": "many-jobs"},
            "policies": policies,
        },
        {
            "namespace": "*",
            "namespace_selector": "kind=many",
            "service_account": "api-*",
            "role": {"name": "many-api", "trust_scope": "cluster"},
            "policies": policies,
        },
    ]
    variables = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads": entries,
        "pod_identity_owner": "many",
    }
    plan = cluster.play("site", variables, "--check")
    assert (plan.returncode, changes(plan)) == (0, 306), plan.stdout
    run = cluster.play("site", variables)
    assert (run.returncode, changes(run)) == (0, 306), run.stdout
    assert "Verified: 300 workloads; 300 pass." in run.stdout
    assert changes(cluster.play("site", variables)) == 0
    cluster.prepare({"namespace": "many-07", "name": "web-new"})
    added = cluster.play("site", variables)
    assert (added.returncode, changes(added)) == (0, 1), added.stdout
    assert "create association many-07/web-new (from many-*/web-*)" in added.stdout
    cluster.prepare({"namespace": "many-07", "name": "web-new", "delete": True})
    purged = cluster.play("site", variables, "-e", "pod_identity_purge=true")
    assert (purged.returncode, changes(purged)) == (0, 1), purged.stdout
    assert "delete association many-07/web-new" in purged.stdout
    # With a narrower pattern, the run purges the other associations, and the trust policy no longer allows their service
    # accounts.
    entries[0] = {**entries[0], "namespace": "many-0*"}
    narrowed = cluster.play("site", variables, "-e", "pod_identity_purge=true pod_identity_purge_limit=100")
    assert narrowed.returncode == 0, narrowed.stdout
    assert narrowed.stdout.count("delete association") > 20
    torn_down = cluster.play("teardown", variables)
    assert torn_down.returncode == 0, torn_down.stdout
    assert re.search(r"delete \d+ associations, 2 roles\.", torn_down.stdout), torn_down.stdout
    # The trust scope of this role is the cluster, so it may have further users.
    assert "role/many-api is kept" in torn_down.stdout


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


@pytest.mark.release
@pytest.mark.parametrize(("play", "options"), [("site", ["--check"]), ("verify", [])])
def test_remedy_for_a_missing_role(cluster: Cluster, play: str, options: list[str]) -> None:
    arn = "arn:aws:iam::111122223333:role/gone"
    if play == "site":
        cluster.prepare({"namespace": "missing", "name": "listed"})
    variables = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads": [
            {"namespace": "missing", "service_account": "list*", "role": {"arn": arn}}
        ],
    }
    run = cluster.play(play, variables, *options)
    assert run.returncode == 2
    text = " ".join(run.stdout.split())
    assert (
        "Correct the ARN in pod_identity_workloads[0] (missing/list*), or set role.name instead of role.arn to create the role."
    ) in text


@pytest.mark.release
def test_service_account_of_two_entries_fails_alone(cluster: Cluster) -> None:
    cluster.prepare({"namespace": "twice", "name": "web-a"}, {"namespace": "twice", "name": "web-b"})
    pattern: dict[str, object] = {"namespace": "twice", "service_account": "web-*", "role": {"name": "twice"}}
    named_entry = {"namespace": "twice", "service_account": "web-b", "role": {"name": "twice-own"}}
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": [named_entry]}
    conflicting = {**variables, "pod_identity_workloads": [pattern, named_entry]}
    assert cluster.play("site", variables).returncode == 0
    places = (
        "PATTERN_CONFLICT twice/web-b: {}service account twice/web-b matches 2 entries of the list: pod_identity_workloads[1] "
        "(twice/web-b), pod_identity_workloads[0] (twice/web-*)."
    )
    options = ("-e", "pod_identity_purge=true")
    for play, action, more in (
        ("site", "update association twice/web-b: ", options),
        ("verify", "", ()),
        ("teardown", "delete association twice/web-b: ", ()),
    ):
        run = cluster.play(play, conflicting, *more)
        assert run.returncode == 2, run.stdout
        assert places.format(action) in " ".join(run.stdout.split())
        created = "create association twice/web-a (from twice/web-*)" in run.stdout
        assert created is (play == "site")
    assert changes(cluster.play("site", variables)) == 0
    assert cluster.play("teardown", variables).returncode == 0


def test_modules_refuse_patterns(cluster: Cluster) -> None:
    arguments = {
        "cluster_name": "my-cluster",
        "workloads": [{"namespace": "team-*", "service_account": "x", "role": {"name": "r"}}],
    }
    command = (
        "ansible",
        "localhost",
        "-m",
        "workload_identity.aws.eks_pod_identity",
        "-a",
        json.dumps(arguments),
    )
    run = cluster.sandbox.run(*command, cwd=cluster.folder)
    assert run.returncode == 2
    assert (
        "workloads[0] (team-*/x): namespace 'team-*' is a pattern. Only the Ansible role pod_identity accepts patterns and "
        "selectors, because it reads the service accounts of the cluster. List the service accounts by name here, or use the "
        "role."
    ) in " ".join(run.stdout.split())
