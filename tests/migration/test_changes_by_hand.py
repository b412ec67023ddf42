# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test migrations and rollbacks after changes by other means, and after errors.

A run must not succeed if a service account has lost its access, and each problem must be in its report.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_run as role_run
from ansible_collections.workload_identity.aws.tests.migration.estate import (
    CLUSTER,
    Estate,
    Json,
    delete_association,
)
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene

NAMESPACE = "aws:RequestTag/kubernetes-namespace"
AGENT = "eks-pod-identity-agent"
ONLY = ("shop/app-00", "shop/one", "shop/two")


def set_trust(estate: Estate, role: str, statements: list[Json]) -> None:
    document = {"Version": "2012-10-17", "Statement": statements}
    estate.iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))


def with_condition(statement: Json, key: str, value: str) -> Json:
    condition = statement["Condition"]
    return {
        **statement,
        "Condition": {**condition, "StringEquals": {**condition["StringEquals"], key: value}},
    }


def named(findings: Any) -> set[tuple[str, str, str]]:
    return {(str(item.workload), item.code.value, item.severity) for item in findings}


def test_finished_service_account_without_access_fails(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.harness.run(step="finish", only=ONLY)
    (statement,) = scene.estate.trust("app-00")
    set_trust(scene.estate, "app-00", [with_condition(statement, NAMESPACE, "shopp")])
    for step in ("inventory", "restart", "finish"):
        report = scene.harness.run(step=step, only=ONLY)
        assert report.changes == []
        assert ("shop/app-00", "TRUST_NOT_USABLE", "error") in named(report.all_findings)
        assert ("shop/app-00" in report.failure) == (step != "inventory")


def test_association_deleted_after_the_restart_is_an_error(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.harness.run(step="restart", only=ONLY)
    delete_association(scene.estate, "app-00")
    report = scene.harness.run(step="inventory", only=ONLY)
    assert ("shop/app-00", "ASSOCIATION_MISSING", "error") in named(report.all_findings)
    assert scene.harness.run(step="restart", only=ONLY).failure == ""
    scene.oracle.check("the next run")
    assert scene.oracle.problems == []


def test_rollback_restores_a_service_account_without_association(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    start = scene.estate.snapshot()
    scene.harness.run(step="finish", only=ONLY)
    delete_association(scene.estate, "two")
    found = scene.harness.run(step="inventory")
    assert ("shop/two", "ASSOCIATION_MISSING", "error") in named(found.all_findings)
    plan = scene.harness.run(rollback=True, check_mode=True)
    report = scene.harness.run(rollback=True)
    for made in (plan, report):
        assert [group.name for group in made.groups] == ["interrupted", "canary", "group 1"]
    assert (report.failure, scene.estate.snapshot()) == ("", start)


@pytest.mark.parametrize(
    ("only", "text"),
    [
        (
            (),
            "A rollback finds the service accounts in the tags of all roles, and these could not be read at once",
        ),
        (
            ("shop/app-00",),
            "no service account shop/app-00 uses IRSA or was migrated, .* iam:GetAccountAuthorizationDetails",
        ),
    ],
)
def test_rollback_without_the_tags_of_all_roles(
    new_scene: Callable[..., Scene], only: tuple[str, ...], text: str
) -> None:
    scene = new_scene(1)
    scene.harness.run(step="finish", only=ONLY)
    delete_association(scene.estate, "app-00")
    scene.aws.set_faults([{"operation": "iam:GetAccountAuthorizationDetails", "kind": "access_denied"}])
    with pytest.raises(AssertionError, match=text):
        scene.harness.run(rollback=True, only=only)
    assert scene.harness.writes == []


@pytest.mark.release
def test_rollback_keeps_an_association_with_another_role(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.harness.run(step="finish", only=ONLY)
    (item,) = scene.estate.eks.list_pod_identity_associations(
        clusterName=CLUSTER, serviceAccount="two", namespace="shop"
    )["associations"]
    other = scene.estate.role("new", scene.estate.trust("shared")[-1])
    identity = {"clusterName": CLUSTER, "associationId": item["associationId"]}
    scene.estate.eks.update_pod_identity_association(**identity, roleArn=other)
    report = scene.harness.run(rollback=True)
    assert report.failure == ""
    assert {str(item.key): item.stage for item in report.migrants}["shop/two"] == "associated"
    assert ("shop/two", "MIGRATION_OTHER_ASSOCIATION", "warning") in named(report.all_findings)
    found = scene.estate.eks.describe_pod_identity_association(**identity)["association"]
    assert found["roleArn"] == other
    assert "eks.amazonaws.com/role-arn" not in scene.estate.annotations("two")
    assert scene.estate.snapshot()["associations"] == ["shop/two"]


@pytest.mark.parametrize("step", ["restart", "finish"])
def test_refused_restart_concerns_only_its_service_account(
    new_scene: Callable[..., Scene], step: str
) -> None:
    scene = new_scene(1)
    scene.kube.set_faults([{"operation": "patch daemonsets", "kind": "access_denied"}])
    report = scene.harness.run(step=step, only=ONLY, batch=1)
    stages = {str(item.key): item.stage for item in report.migrants}
    last = "restarted" if step == "restart" else "finished"
    assert stages == {"shop/app-00": last, "shop/one": last, "shop/two": "associated"}
    assert [row["name"] for row in report.failures] == ["shop/two"]
    scene.oracle.check("the run", is_final=True)
    assert scene.oracle.problems == []
    scene.kube.set_faults([])
    assert scene.harness.run(step=step, only=ONLY).failure == ""


def test_refused_restart_of_the_canary_ends_the_run(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.kube.set_faults([{"operation": "patch deployments", "kind": "access_denied"}])
    report = scene.harness.run(step="restart", only=ONLY)
    assert [group.name for group in report.groups] == ["canary", "group 1"]
    assert "shop/app-00 failed as canary. No other service account was changed." in report.failure
    assert scene.estate.snapshot()["associations"] == ["shop/app-00"]


@pytest.mark.release
def test_refused_restart_of_a_rollback_gets_its_association_back(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    start = scene.estate.snapshot()
    scene.harness.run(step="finish", only=ONLY)
    scene.oracle.check("the step finish")
    scene.kube.set_faults([{"operation": "patch daemonsets", "kind": "access_denied"}])
    report = scene.harness.run(scene.checking(), rollback=True, batch=1)
    scene.oracle.check("the rollback", is_final=True)
    assert scene.oracle.problems == []
    assert "shop/two" in scene.estate.snapshot()["associations"]
    assert "shop/two" in {row["name"] for row in report.failures}
    scene.kube.set_faults([])
    assert scene.harness.run(rollback=True).failure == ""
    assert scene.estate.snapshot() == start


@pytest.mark.release
@pytest.mark.parametrize("is_named", [False, True])
def test_rollback_leaves_a_paused_deployment_unless_it_is_named(
    new_scene: Callable[..., Scene], is_named: bool
) -> None:
    scene = new_scene(1)
    scene.harness.run(step="finish", only=ONLY)
    scene.estate.pause("app-00")
    names = {"only": ("shop/app-00",)} if is_named else {}
    report = scene.harness.run(rollback=True, values={"restart_timeout": 4}, **names)
    if is_named:
        assert scene.estate.snapshot()["associations"] == ["shop/one", "shop/two"]
        return
    assert ("shop/app-00", "MIGRATION_PODS_HELD", "error") in named(report.all_findings)
    assert "shop/app-00" in report.failure
    assert scene.estate.snapshot()["associations"] == ["shop/app-00"]
    scene.oracle.check("the rollback", is_final=True)
    assert scene.oracle.problems == []
    scene.estate.pause("app-00", is_paused=False)
    assert scene.harness.run(rollback=True).failure == ""


@pytest.mark.release
@pytest.mark.parametrize("check_mode", [True, False])
def test_rollback_keeps_an_association_with_a_narrowed_irsa_statement(
    new_scene: Callable[..., Scene], check_mode: bool
) -> None:
    scene = new_scene(1)
    scene.harness.run(step="restart", only=ONLY)
    irsa, statement = scene.estate.trust("app-00")
    narrow = with_condition(irsa, "aws:PrincipalTag/x", "y")
    set_trust(scene.estate, "app-00", [narrow, statement])
    report = scene.harness.run(rollback=True, check_mode=check_mode, only=ONLY)
    assert ("shop/app-00", "MIGRATION_NOT_TRUSTED", "error") in named(report.all_findings)
    assert "shop/app-00" in report.failure
    if not check_mode:
        assert scene.estate.snapshot()["associations"] == ["shop/app-00"]
        set_trust(scene.estate, "app-00", [irsa, statement])
        assert scene.harness.run(rollback=True, only=ONLY).failure == ""
        scene.oracle.check("the next rollback")
        assert scene.oracle.problems == []


def test_error_after_the_first_change_is_in_the_report(
    new_scene: Callable[..., Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(1)
    read, reads = role_run.read_irsa, []

    def fail_later(*arguments: Any, **options: Any) -> Any:
        reads.append(arguments)
        return read(*arguments, **options) if len(reads) < 2 else ApiError(503, "the API server is busy")

    monkeypatch.setattr(role_run, "read_irsa", fail_later)
    report = scene.harness.run(step="restart", only=ONLY)
    assert "update trust policy app-00 (trust policy)" in "\n".join(report.changes)
    assert report.failure.startswith(f"The migration of cluster {CLUSTER} (account")
    assert "could not be listed: the API server is busy" in report.failure


@pytest.mark.release
def test_migration_installs_a_missing_agent(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(1)
    scene.estate.eks.delete_addon(clusterName=CLUSTER, addonName=AGENT)
    for node in ("n1", "n2"):
        scene.estate.kubernetes.send(
            "DELETE", f"/api/v1/namespaces/kube-system/pods/eks-pod-identity-agent-{node}"
        )
    plan = scene.harness.run(step="restart", only=ONLY, check_mode=True)
    assert plan.failure == ""
    assert f"create add-on {AGENT}" in plan.changes
    assert any(change.startswith("create association shop/app-00") for change in plan.changes)
    # In the sandbox, an add-on has no Pods, so create them.
    report = scene.harness.run(step="restart", only=ONLY)
    assert report.changes == [f"create add-on {AGENT}"]
    assert report.failure.startswith("3 of 3 service accounts")
    assert ("shop/app-00", "ASSOCIATION_WOULD_BREAK", "error") in named(report.all_findings)
    for node in ("n1", "n2"):
        scene.estate.agent(node)
    assert scene.harness.run(step="restart", only=ONLY).failure == ""


@pytest.mark.parametrize(
    "steps",
    [
        "finish rollback",
        pytest.param("associate finish rollback restart finish", marks=pytest.mark.release),
        pytest.param("associate restart rollback", marks=pytest.mark.release),
    ],
)
def test_plan_has_the_changes_of_the_run(new_scene: Callable[..., Scene], steps: str) -> None:
    scene = new_scene(1)
    for step in steps.split():
        options = {"rollback": True} if step == "rollback" else {"step": step}
        # Without a canary, a run also gives both service accounts of a shared role their statements in one change.
        plan = scene.harness.run(only=(*ONLY, "shop/chain"), canary=0, check_mode=True, **options)
        # In check mode, the patches of service accounts are dry runs.
        assert [name for name in scene.harness.writes if not name.startswith("patch ")] == []
        run = scene.harness.run(only=(*ONLY, "shop/chain"), canary=0, **options)
        assert sorted(plan.changes) == sorted(run.changes)
