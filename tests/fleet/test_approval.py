# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that an apply makes only the changes of its approved plan, in clusters of one account that share a role."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    running_fleet,
    workload,
)
from ansible_collections.workload_identity.aws.tests.fleet.slices import start_here

ACCOUNT, WEST = "111122223333", "us-west-2"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
READ = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
PLACES = tuple(ClusterHost(name, name, ACCOUNT, WEST) for name in ("blue", "green"))
REMEDY = "Have a new plan approved, or add NOT_APPROVED to pod_identity_ignore to make these changes too."


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFixture]:
    with running_fleet(tmp_path_factory.mktemp("approval"), PLACES) as ready:
        yield ready


@pytest.fixture
def fleet(clusters: FleetFixture) -> FleetFixture:
    clusters.reset()
    clusters.host_variables.clear()
    shared = {**workload("app", "shared"), "policies": [{"arn": READ}, document("s3:GetObject")]}
    single = workload("own-{{ inventory_hostname }}", "own-{{ inventory_hostname }}")
    clusters.variables = {"pod_identity_workloads": [shared, single]}
    return clusters


def document(*actions: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"name": "shared", "document": {"Version": "2012-10-17", "Statement": [statement]}}


def plan(fleet: FleetFixture, folder: Path, **variables: Any) -> str:
    """Plan all clusters. Return the pattern of the report files."""
    planned = fleet.play(
        "fleet",
        "--check",
        pod_identity_report_file=str(folder / "{{ inventory_hostname }}.json"),
        **variables,
    )
    assert planned.code == 0, planned.output
    fleet.writes()
    return str(folder / "*.json")


def test_unchanged_list_is_applied(fleet: FleetFixture, tmp_path: Path) -> None:
    """Both clusters plan to create the shared role and its policy. The later cluster only adds its trust."""
    approved = plan(fleet, tmp_path)
    made = fleet.play("fleet", pod_identity_approved=approved)
    assert made.code == 0, made.output
    assert fleet.roles(ACCOUNT) == ["own-blue", "own-green", "shared"]
    fleet.writes()
    again = fleet.play("site", pod_identity_approved=approved)
    assert (again.code, fleet.writes()) == (0, 0), again.output
    assert "blue: the approved plan has all changes of this run\n" in again.output


def test_longer_list_is_refused_for_its_cluster(fleet: FleetFixture, tmp_path: Path) -> None:
    approved = plan(fleet, tmp_path)
    longer = [
        {**workload("own-blue", "own-blue"), "policies": [{"arn": ADMIN}]},
        workload("later", "own-blue"),
    ]
    fleet.host_variables["blue"] = {"pod_identity_workloads": longer}
    made = fleet.play("fleet", pod_identity_approved=approved)
    assert made.code == 2
    assert f"  - new: attach policy {ADMIN} to role own-blue\n" in made.output
    assert (
        "  - new: create association default/later: role arn:aws:iam::111122223333:role/own-blue\n"
        in made.output
    )
    assert "  - new: apply ServiceAccount default/later\n" in made.output
    assert f"  {REMEDY}\n  Nothing was changed.\n" in made.output
    assert fleet.associations(PLACES[0]) == []
    assert fleet.roles(ACCOUNT) == ["own-green", "shared"]
    report = str(tmp_path / "{{ inventory_hostname }}.made")
    accepts = {"pod_identity_ignore": ["NOT_APPROVED"], "pod_identity_report_file": report}
    accepted = fleet.play("fleet", pod_identity_approved=approved, **accepts)
    assert accepted.code == 0, accepted.output
    [finding] = [
        row
        for row in json.loads((tmp_path / "blue.made").read_text())["findings"]
        if row["code"] == "NOT_APPROVED"
    ]
    assert f"new: attach policy {ADMIN} to role own-blue; new: " in finding["message"]
    assert fleet.roles(ACCOUNT) == ["own-blue", "own-green", "shared"]


@pytest.mark.release
def test_workflow_applies_only_approved_changes(fleet: FleetFixture, tmp_path: Path) -> None:
    """Run the jobs of an AWX workflow: plan in two slices, plan report, and converge of a list that has grown in the meantime."""
    artifacts: dict[str, Any] = {}
    for host in ("blue", "green"):
        _output, found = start_here(fleet, tmp_path / f"plan-{host}", [host], check=True).end()
        artifacts |= found
    hosts = ["blue", "green"]
    report = "workload_identity.aws.report"
    page, _none = start_here(fleet, tmp_path / "page", hosts, report, check=True, **artifacts).end()
    assert "2 of 2 clusters planned, 0 failed; nothing was changed." in page
    for line in (
        f"    attach policy {READ} to role shared",
        "    create role own-blue",
        "    create association default/own-green: role arn:aws:iam::111122223333:role/own-green",
    ):
        assert line in page
    events = (tmp_path / "page").glob("artifacts/slice/job_events/*-*.json")
    assert (
        max(len(json.loads(path.read_text(encoding="utf-8"))["stdout"].encode()) for path in events) <= 1024
    )

    single = {**workload("own-blue", "own-blue"), "policies": [{"arn": ADMIN}]}
    fleet.host_variables["blue"] = {"pod_identity_workloads": [single]}
    bound = {**artifacts, "pod_identity_approved": "artifacts"}
    fleet.writes()
    _output, made = start_here(fleet, tmp_path / "converge", hosts, **bound).end(code=2)
    assert fleet.associations(PLACES[0]) == []
    assert len(fleet.associations(PLACES[1])) == 2
    end, _none = start_here(fleet, tmp_path / "end", hosts, report, **{**artifacts, **made}).end(code=2)
    assert "1 of 2 clusters done, 1 failed." in end
    assert f"- new: attach policy {ADMIN} to role own-blue" in end

    for name in ("audit", "export"):
        job = start_here(fleet, tmp_path / name, ["green"], f"workload_identity.aws.{name}", awx_job_id=7)
        page, found = job.end()
        assert "own-green" in str(found[f"eks_pod_identity_{name}"])
        assert "own-green" in page

    _output, planned = start_here(fleet, tmp_path / "admin", ["blue"], check=True).end()
    admin, _none = start_here(fleet, tmp_path / "of-admin", ["blue"], report, check=True, **planned).end()
    assert f"attach policy {ADMIN} to role own-blue" in admin
    assert "warning POLICY_ADMINISTERS default/own-blue" in admin
