# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the role awx_fleet creates its objects in AWX from one file of variables, and removes them.

With CONTROLLER_HOST (and CONTROLLER_OAUTH_TOKEN) in the environment, the tests use that AWX. It must have an organization
Default, and AWX_TEST_PROJECT_URL must be a Git repository with the content of examples/awx/project. Without CONTROLLER_HOST, the
tests use the emulator.
"""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from emulator import Controller
from target import ROOT, Target

VENV = ROOT / ".venv" / "bin"
VARIABLES = ROOT / "examples" / "awx" / "awx.yml"
SECRET = "not-a-secret-access-key-of-anybody-0"
ABSENT = {"awx_fleet_state": "absent"}
MARK = "Managed by workload_identity.aws.awx_fleet."


def play(target: Target, folder: Path, *options: str, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Run the playbook awx with the example's file of variables and with ``extra`` variables."""
    if "AWX_TEST_PROJECT_URL" in os.environ:
        extra["awx_fleet_project_url"] = os.environ["AWX_TEST_PROJECT_URL"]
    (folder / "extra.yml").write_text(yaml.safe_dump(extra), encoding="utf-8")
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "CONTROLLER_"))
    }
    env = {
        **inherited,
        **target.env,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_PIPELINING": "1",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    command = [
        VENV / "ansible-playbook",
        "workload_identity.aws.awx",
        "-e",
        f"@{VARIABLES}",
        "-e",
        "@extra.yml",
    ]
    return subprocess.run(
        [*map(str, command), *options],
        cwd=folder,
        env=env,
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )


def recap(done: subprocess.CompletedProcess[str]) -> Mapping[str, int]:
    assert done.returncode == 0, done.stdout + done.stderr
    line = done.stdout.rpartition("PLAY RECAP")[2]
    return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line)}


def changed(done: subprocess.CompletedProcess[str]) -> int:
    return recap(done)["changed"]


def message(done: subprocess.CompletedProcess[str]) -> str:
    """Return the message of the failed task, on one line."""
    assert done.returncode != 0, done.stdout
    found = re.search(
        r'"msg": "((?:[^"\\]|\\.)*)"', done.stdout.partition("fatal: [localhost]")[2] or done.stdout
    )
    assert found is not None, done.stdout + done.stderr
    return found.group(1).replace('\\"', '"')


@pytest.mark.release
def test_creates_changes_and_removes_objects(controller: Target, tmp_path: Path) -> None:
    world = controller.emulator
    named = make_named(world) if world else {}
    initial = snapshot(world)
    planned = play(controller, tmp_path, "--check", **named)
    assert "These objects would be created: EKS Pod Identity: kubeconfig, " in planned.stdout
    assert changed(planned) == 1
    assert world is None or world.writes == []

    done = play(controller, tmp_path, "-vvvv", **named)
    assert changed(done) > 10
    assert SECRET not in done.stdout + done.stderr
    if world:
        assert_created(world)
        assert_named(world)

    # Seven variables differ from the first run, and each of them changes one object.
    different = {
        **named,
        "awx_fleet_job_slice_count": "3",
        "awx_fleet_approval_timeout": 3600,
        "awx_fleet_verify_schedule": "",
        "awx_fleet_job_timeout": 7200,
        "awx_fleet_labels": ["platform"],
        "awx_fleet_inventory_source_vars": {"EKS_CLUSTERS_REQUIRE_ALL": "true"},
        "awx_fleet_constructed": [{"name": "canary", "condition": "'canary' in group_names"}],
    }
    assert changed(play(controller, tmp_path, **different)) == 7
    assert changed(play(controller, tmp_path, "--check", **different)) == 0

    assert changed(play(controller, tmp_path, **ABSENT)) > 5
    assert changed(play(controller, tmp_path, **ABSENT)) == 0
    assert snapshot(world) == initial
    assert world is None or galaxy_credentials(world) == ["Private hub", "Ansible Galaxy"]


def snapshot(world: Controller | None) -> dict[str, set[int]] | None:
    return {kind: set(rows) for kind, rows in world.objects.items()} if world else None


def assert_created(world: Controller) -> None:
    names = {
        row["id"]: row["name"] for rows in world.objects.values() for row in rows.values() if "name" in row
    }
    templates = {row["name"].partition(": ")[2]: row for row in world.objects["job_templates"].values()}
    assert {
        name: (row["playbook"], row["job_type"], row["job_slice_count"]) for name, row in templates.items()
    } == {
        "plan": ("fleet.yml", "check", 4),
        "converge": ("fleet.yml", "run", 4),
        "verify": ("verify.yml", "run", 4),
        "report": ("report.yml", "run", 1),
        "plan report": ("report.yml", "check", 1),
        "audit": ("audit.yml", "run", 1),
        "export": ("export.yml", "run", 1),
        "migrate": ("migrate.yml", "run", 1),
        "plan teardown": ("fleet.yml", "check", 4),
        "take down": ("fleet.yml", "run", 4),
        "site": ("site.yml", "run", 1),
        "teardown": ("teardown.yml", "run", 1),
    }
    # Jobs on localhost do not prompt for a limit and an inventory. The report gets both from the workflow, so that it knows the
    # hosts that must report.
    for prompt in ("ask_limit_on_launch", "ask_inventory_on_launch"):
        assert {name for name, row in templates.items() if row[prompt]} == {
            *("plan", "plan report", "converge", "verify", "report", "plan teardown", "take down", "audit")
        }
    removes = {"pod_identity_state": "absent"}
    assert {name: json.loads(row["extra_vars"] or "{}") for name, row in templates.items()} == {
        **{
            name: {"pod_identity_hosts": "all"}
            for name in ("plan", "plan report", "converge", "verify", "report", "audit")
        },
        **{name: {"pod_identity_hosts": "all", **removes} for name in ("plan teardown", "take down")},
        **{name: {} for name in ("site", "teardown", "export", "migrate")},
    }
    # The jobs of a workflow with an approval make only the changes of its plan.
    assert {
        row["name"].partition(": ")[2]: row["extra_vars"]
        for row in world.objects["workflow_job_templates"].values()
    } == {
        "plan, approve, converge, verify": '{"pod_identity_approved": "artifacts"}',
        "verify and report": "{}",
        "plan, approve, take down": '{"pod_identity_approved": "artifacts"}',
    }
    assert {name: [names[number] for number in row["_credentials"]] for name, row in templates.items()} == {
        name: ["AWS for EKS", "EKS Pod Identity: eu-central-1"] for name in templates
    }
    secret = world.secrets[world.named("credentials", "AWS for EKS")["id"]]
    assert secret == {"password": SECRET}
    no_links: dict[str, list[str]] = {"success": [], "always": [], "failure": []}
    sync = {"sync again": no_links}
    nodes, links = workflow_nodes(world, "EKS Pod Identity: plan, approve, converge, verify")
    assert links == {
        **sync,
        # The jobs run even if the sync of the inventory fails. If the second sync fails as well, the workflow fails.
        "sync": {**no_links, "always": ["plan"], "failure": ["sync again"]},
        # The approval follows even a failed plan: a failed cluster, or a slice without hosts, must not stop the other clusters.
        "plan": {**no_links, "always": ["plan report"]},
        "plan report": {**no_links, "always": ["approve"]},
        "approve": {**no_links, "success": ["converge"], "failure": ["report"]},
        "converge": {**no_links, "always": ["verify"]},
        "verify": {**no_links, "always": ["report"]},
        "report": no_links,
    }
    assert workflow_nodes(world, "EKS Pod Identity: verify and report")[1] == {
        **sync,
        "sync": {**no_links, "always": ["verify"], "failure": ["sync again"]},
        "verify": {**no_links, "always": ["report"]},
        "report": no_links,
    }
    assert workflow_nodes(world, "EKS Pod Identity: plan, approve, take down")[1] == {
        **sync,
        "sync": {**no_links, "always": ["plan"], "failure": ["sync again"]},
        "plan": {**no_links, "always": ["plan report"]},
        "plan report": {**no_links, "always": ["approve"]},
        "approve": {**no_links, "success": ["take down"], "failure": ["report"]},
        "take down": {**no_links, "always": ["report"]},
        "report": no_links,
    }
    source = world.named("inventory_sources", "EKS Pod Identity: clusters")
    assert {nodes[name]["unified_job_template"] for name in ("sync", "sync again")} == {source["id"]}
    assert source["update_on_launch"] is False
    [scheduled] = world.objects["schedules"].values()
    assert names[scheduled["unified_job_template"]] == "EKS Pod Identity: verify and report"
    assert names[nodes["approve"]["unified_job_template"]] == "EKS Pod Identity: apply the plan?"
    kubeconfig = world.named("credential_types", "EKS Pod Identity: kubeconfig")["injectors"]
    assert kubeconfig == {
        "file": {"template.kubeconfig": "{{ kubeconfig }}"},
        "env": {"K8S_AUTH_KUBECONFIG": "{{ tower.filename.kubeconfig }}"},
    }
    region = world.named("credential_types", "EKS Pod Identity: AWS region")["injectors"]
    assert region == {"env": {"AWS_REGION": "{{ region }}"}}
    assert (source["source"], source["source_path"]) == ("scm", "inventory/fleet.eks_clusters.yml")
    assert galaxy_credentials(world) == ["Private hub", "Ansible Galaxy"]


def galaxy_credentials(world: Controller) -> list[str]:
    numbers = world.named("organizations", "Default")["_galaxy_credentials"]
    return [world.objects["credentials"][number]["name"] for number in numbers]


def make_named(world: Controller) -> dict[str, list[str]]:
    """Create the objects that variables of the role name, and another Galaxy credential. Return these variables."""
    kind = world.named("credential_types", "Ansible Galaxy/Automation Hub API Token")["id"]
    hub = world.create("credentials", {"name": "Private hub", "credential_type": kind})
    world.named("organizations", "Default")["_galaxy_credentials"].append(hub["id"])
    organization = world.named("organizations", "Default")["id"]
    for kind, name in (
        ("teams", "Operators"),
        ("teams", "Reviewers"),
        ("notification_templates", "On call"),
        ("instance_groups", "Near EKS"),
    ):
        world.create(
            kind, {"name": name, **({} if kind == "instance_groups" else {"organization": organization})}
        )
    world.writes.clear()
    return {
        "awx_fleet_execute_teams": ["Operators"],
        "awx_fleet_approve_teams": ["Reviewers"],
        "awx_fleet_notifications": ["On call"],
        "awx_fleet_instance_groups": ["Near EKS"],
    }


def assert_named(world: Controller) -> None:
    """Check that the templates have the teams, notifications and instance groups that the variables name."""
    templates = {row["name"].partition(": ")[2]: row for row in world.objects["job_templates"].values()}
    near = world.named("instance_groups", "Near EKS")["id"]
    assert {row["_instance_groups"][0] for row in templates.values()} == {near}
    notified = {name for name, row in templates.items() if row["_notification_templates_error"]}
    assert notified == {"verify", "report"}
    workflows = world.objects["workflow_job_templates"].values()
    approvals = [row["_notification_templates_approvals"] for row in workflows]
    assert approvals == [[world.named("notification_templates", "On call")["id"]]] * 3
    # Teams may not execute the templates that make changes, except through the approval in a workflow.
    harmless = [
        templates[name]
        for name in ("plan", "plan report", "verify", "report", "plan teardown", "audit", "export")
    ]
    operators, reviewers = (world.named("teams", name)["id"] for name in ("Operators", "Reviewers"))
    assert world.teams == {
        **{10 * row["id"]: {operators} for row in (*harmless, *workflows)},
        **{10 * row["id"] + 1: {reviewers} for row in workflows},
    }


def workflow_nodes(
    world: Controller, workflow: str
) -> tuple[dict[str, Any], dict[str, dict[str, list[str]]]]:
    """Return the nodes of a workflow by identifier, and the identifiers of the nodes that follow each node."""
    number = world.named("workflow_job_templates", workflow)["id"]
    nodes = {
        row["identifier"]: row
        for row in world.objects["workflow_job_template_nodes"].values()
        if row["workflow_job_template"] == number
    }
    steps = {row["id"]: name for name, row in nodes.items()}
    links = {
        name: {
            kind: [steps[number] for number in row[f"_{kind}_nodes"]]
            for kind in ("success", "always", "failure")
        }
        for name, row in nodes.items()
    }
    return nodes, links


@pytest.mark.release
def test_repairs_settings_made_by_hand(controller: Target, tmp_path: Path) -> None:
    world = controller.emulator
    if world is None:
        pytest.skip("needs the emulator's state")
    assert changed(play(controller, tmp_path)) > 10
    initial = copy.deepcopy(world.objects)
    world.named("job_templates", "EKS Pod Identity: verify").update(limit="blue", verbosity=3)
    world.named("job_templates", "EKS Pod Identity: converge").update(
        skip_tags="always", job_tags="none", ask_tags_on_launch=True
    )
    world.named("workflow_job_templates", "EKS Pod Identity: plan, approve, converge, verify").update(
        extra_vars="{}", limit="blue"
    )
    inventory = world.create("inventories", {"name": "canary", "organization": 1})["id"]
    world.named("schedules", "EKS Pod Identity: verify").update(
        enabled=False, limit="blue", inventory=inventory
    )
    node = next(
        row
        for row in world.objects["workflow_job_template_nodes"].values()
        if row["identifier"] == "converge"
    )
    node["limit"] = "blue"
    assert message(play(controller, tmp_path)) == (
        'The workflow "EKS Pod Identity: plan, approve, converge, verify" has nodes with a limit, an inventory or variables that '
        "this role did not set: converge. Clear the prompts of these nodes in AWX, and run again. All other settings are as "
        "configured."
    )
    node["limit"] = None
    world.remove("inventories", inventory)
    assert world.objects == initial
    assert changed(play(controller, tmp_path)) == 0


@pytest.mark.release
def test_repeats_failed_update_of_project(controller: Target, tmp_path: Path) -> None:
    world = controller.emulator
    if world is None:
        pytest.skip("needs the emulator's state")
    world.reachable = False
    organization = world.named("organizations", "Default")["id"]
    name = "EKS Pod Identity: project"
    number = world.create(
        "projects", {"name": name, "description": MARK, "organization": organization, "scm_revision": ""}
    )["id"]
    end = (
        f" See the output of its job {number}. Correct awx_fleet_project_url, awx_fleet_project_branch or the files of the "
        "repository, and run again."
    )
    assert message(play(controller, tmp_path)) == f'The update of the project "{name}" is failed.{end}'
    world.reachable = True
    # The first run has changed the project and the objects before it. This run updates the project, and nine tasks follow.
    assert changed(play(controller, tmp_path)) == 10
    world.playbooks = tuple(path for path in world.playbooks if path != "audit.yml")
    assert message(play(controller, tmp_path)) == f'The project "{name}" lacks audit.yml.{end}'


@pytest.mark.release
def test_keeps_unmanaged_objects(controller: Target, tmp_path: Path) -> None:
    world = controller.emulator
    if world is None:
        pytest.skip("needs the emulator's state")
    organization = world.named("organizations", "Default")["id"]
    unmanaged = world.create(
        "inventories", {"name": "EKS Pod Identity: clusters", "organization": organization}
    )
    world.writes.clear()
    assert message(play(controller, tmp_path)) == (
        "AWX already has these objects, but their descriptions lack the mark of this role: "
        "EKS Pod Identity: clusters. Nothing was changed. Choose another awx_fleet_name (for a credential, another name in "
        "awx_fleet_credentials), or rename or delete these objects. To let the role manage an object, add this mark to its "
        f"description: {MARK}"
    )
    done = play(controller, tmp_path, **ABSENT)
    assert (
        "Kept, because the description has no mark of this role: EKS Pod Identity: clusters." in done.stdout
    )
    assert changed(done) == 0
    assert world.writes == []
    assert unmanaged["id"] in world.objects["inventories"]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param(
            {"awx_fleet_organization": "Platform"},
            'AWX has no organization "Platform", or this user cannot see it. Correct awx_fleet_organization, or create the '
            "organization; this role does not create or delete organizations. Nothing was changed.",
            id="organization",
        ),
        pytest.param(
            {"awx_fleet_project_credential": "Git"},
            'AWX has no credentials named "Git" that this user can see; exactly one is needed. Correct the name, create the '
            "credential in AWX, or set its inputs in awx_fleet_credentials. Nothing was changed.",
            id="credential",
            marks=pytest.mark.release,
        ),
        pytest.param(
            {"awx_fleet_region_type": "Region"},
            'AWX has no credential type "Region" that this user can see. Correct awx_fleet_kubeconfig_type or '
            "awx_fleet_region_type, or create the credential type. Nothing was changed.",
            id="credential type",
            marks=pytest.mark.release,
        ),
        pytest.param(
            {"awx_fleet_approve_teams": ["Platform"]},
            'AWX has no team "Platform" that this user can see. Correct awx_fleet_execute_teams or awx_fleet_approve_teams, or '
            "create the team. Nothing was changed.",
            id="team",
            marks=pytest.mark.release,
        ),
    ],
)
def test_missing_objects_are_named(
    controller: Target, tmp_path: Path, extra: dict[str, Any], expected: str
) -> None:
    assert message(play(controller, tmp_path, "--check", **extra)) == expected
    assert controller.emulator is None or controller.emulator.writes == []


def test_rejects_unknown_variable(controller: Target, tmp_path: Path) -> None:
    found = message(play(controller, tmp_path, awx_fleet_slice_count=2))
    assert found.startswith("awx_fleet_slice_count: unknown variable. The variables of the role are ")
    assert "awx_fleet_job_slice_count" in found
    assert found.endswith("Nothing was changed.")
