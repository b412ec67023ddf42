# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.service_accounts import (
    MANAGED_BY_LABEL,
    MANAGED_BY_LABEL_VALUE,
    OWNER_LABEL,
    KubernetesPlan,
    described,
    found_after,
    namespaces_unknown,
    plan_absent,
    plan_present,
    plan_purge,
)

OURS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}


def account(
    name: str = "app",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": namespace, "name": name}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def workload(name: str = "app", namespace: str = "default", **more: Any) -> dict[str, Any]:
    return {"namespace": namespace, "service_account": name, **more}


def new_namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": OURS}}


def test_a_missing_service_account_is_made_and_is_ours() -> None:
    plan = plan_present([workload()], [], [NAMESPACE])
    assert plan == KubernetesPlan(definitions=[account(labels=OURS)])


def test_one_that_is_as_wanted_costs_no_request() -> None:
    assert plan_present([workload()], [account(labels=OURS)], []) == KubernetesPlan()


def test_labels_and_annotations_are_given() -> None:
    asked = workload(service_account_labels={"a": "1"}, service_account_annotations={"b": "2"})
    plan = plan_present([asked], [], [NAMESPACE])
    assert plan.definitions == [account(labels={"a": "1", **OURS}, annotations={"b": "2"})]


@pytest.mark.parametrize(
    ("labels", "annotations"),
    [({}, {"b": "2"}), ({"a": "0"}, {"b": "2"}), ({"a": "1"}, {}), ({"a": "1"}, {"b": "0"})],
)
def test_what_differs_is_set(labels: dict[str, str], annotations: dict[str, str]) -> None:
    asked = workload(service_account_labels={"a": "1"}, service_account_annotations={"b": "2"})
    plan = plan_present([asked], [account(labels=labels, annotations=annotations)], [])
    assert plan.definitions == [account(labels={"a": "1"}, annotations={"b": "2"})]


def test_one_of_somebody_does_not_become_ours() -> None:
    theirs = account(labels={"app.kubernetes.io/managed-by": "Helm"})
    assert plan_present([workload()], [theirs], []) == KubernetesPlan()
    asked = workload(service_account_labels={"a": "1"})
    assert plan_present([asked], [theirs], []).definitions == [account(labels={"a": "1"})]


def test_ours_are_marked_with_their_owner() -> None:
    plan = plan_present([workload()], [], [NAMESPACE], owner="team-a")
    assert plan.definitions == [account(labels={**OURS, OWNER_LABEL: "team-a"})]


def test_labels_that_are_no_mapping_are_left_to_those_who_check_input() -> None:
    asked = workload(service_account_labels="a", service_account_annotations=["b"])
    assert plan_present([asked], [account()], []) == KubernetesPlan()


def test_more_labels_than_asked_for_stay() -> None:
    assert plan_present([workload()], [account(labels={**OURS, "x": "y"}, annotations={"z": "z"})], []) == (
        KubernetesPlan()
    )


def test_a_missing_namespace_is_a_problem() -> None:
    plan = plan_present([workload(namespace="batch")], [], [NAMESPACE])
    assert plan == KubernetesPlan(
        problems=[
            "workload batch/app: namespace batch does not exist. Create it, or set create_namespace: "
            "true for the "
            "workload (pod_identity_create_namespaces for all)."
        ]
    )


@pytest.mark.parametrize(
    ("more", "default"),
    [({}, True), ({"create_namespace": True}, False), ({"create_namespace": "yes"}, False)],
    ids=["for all", "for one", "as text"],
)
def test_a_missing_namespace_is_made_when_asked_and_its_service_account_waits(
    more: dict[str, Any], default: bool
) -> None:
    asked = [workload(namespace="batch", **more), workload("web", namespace="batch", **more)]
    plan = plan_present(asked, [], [NAMESPACE], create_namespaces=default)
    assert plan == KubernetesPlan(
        definitions=[new_namespace("batch")],
        waiting=[account(namespace="batch", labels=OURS), account("web", "batch", OURS)],
    )


@pytest.mark.parametrize("more", [{}, {"create_namespace": False}])
def test_a_namespace_that_one_workload_makes_is_there_for_the_others(more: dict[str, Any]) -> None:
    asked = [workload("web", namespace="batch", **more), workload(namespace="batch", create_namespace=True)]
    for listed in (asked, asked[::-1]):
        plan = plan_present(listed, [], [NAMESPACE])
        assert (plan.definitions, plan.problems) == ([new_namespace("batch")], [])
        assert sorted(one["metadata"]["name"] for one in plan.waiting) == ["app", "web"]


def test_one_workload_may_be_left_out() -> None:
    asked = workload(namespace="batch", create_namespace=False)
    plan = plan_present([asked], [], [], create_namespaces=True)
    assert [problem.split(".")[0] for problem in plan.problems] == [
        "workload batch/app: namespace batch does not exist"
    ]


def test_a_namespace_with_a_service_account_is_there() -> None:
    plan = plan_present([workload("new")], [account("old")], [])
    assert plan == KubernetesPlan(definitions=[account("new", labels=OURS)])


@pytest.mark.parametrize(
    ("more", "default"),
    [({}, False), ({"create_service_account": False}, True), ({"create_service_account": "no"}, True)],
)
def test_a_service_account_that_must_not_be_made_is_a_problem(more: dict[str, Any], default: bool) -> None:
    plan = plan_present([workload(**more)], [], [NAMESPACE], create_service_accounts=default)
    assert plan == KubernetesPlan(
        problems=[
            "workload default/app: service account app does not exist in namespace default and "
            "create_service_account is false. Create it first, or let it be created."
        ]
    )


@pytest.mark.parametrize("raw", [{"service_account": "app"}, {"namespace": "default"}, {"namespace": None}])
def test_a_workload_without_a_name_is_left_to_those_who_check_input(raw: dict[str, Any]) -> None:
    assert plan_present([raw], [], [NAMESPACE]) == KubernetesPlan()


# Removal


def test_only_ours_are_removed() -> None:
    there = [account("app", labels=OURS), account("theirs"), account("other", labels=OURS)]
    asked = [workload("app"), workload("theirs"), workload("gone")]
    assert plan_absent(asked, there) == KubernetesPlan(definitions=[account("app")])


def test_a_purge_takes_what_is_ours_and_not_listed() -> None:
    there = [
        account("app", labels=OURS),
        account("old", labels=OURS),
        account("old", "batch", labels=OURS),
        account("theirs"),
    ]
    assert plan_purge([workload("app")], there).stale == [account("old"), account("old", "batch")]
    assert plan_purge([workload("app")], there, ["batch"]).stale == [account("old", "batch")]


def test_a_purge_leaves_those_of_other_owners() -> None:
    there = [
        account("a", labels={**OURS, OWNER_LABEL: "a"}),
        account("b", labels={**OURS, OWNER_LABEL: "b"}),
        account("c", labels=OURS),
    ]
    assert plan_purge([], there, owner="a").stale == [account("a")]


def test_a_removal_that_failed_in_aws_leaves_its_service_account() -> None:
    there = [account("app", labels=OURS), account("bad", labels=OURS), account("theirs")]
    failures = [{"workload": f"default/{name}"} for name in ("bad", "bad", "theirs")]
    plan = plan_absent([workload("app"), workload("bad"), workload("theirs")], there, {"failures": failures})
    assert plan == KubernetesPlan(
        definitions=[account("app")],
        findings=[
            {
                "code": "SERVICE_ACCOUNTS_WAIT",
                "severity": "warning",
                "workload": "",
                "message": "the service accounts of workloads that could not be removed in AWS stay: "
                "default/bad.",
                "remedy": "Resolve those failures and run again, which removes them.",
            }
        ],
    )


NO_CLUSTER = {
    "findings": [{"code": "CLUSTER_MISSING"}],
    "cluster_arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-clustr",
}


def test_without_the_cluster_no_service_account_goes() -> None:
    there = [account("app", labels=OURS), account("web", labels=OURS), account("theirs")]
    plan = plan_absent([workload("app"), workload("web"), workload("theirs")], there, NO_CLUSTER)
    assert plan == KubernetesPlan(
        findings=[
            {
                "code": "SERVICE_ACCOUNTS_STAY",
                "severity": "error",
                "workload": "",
                "message": "EKS has no cluster my-clustr in account 111122223333, region us-west-2, yet the "
                "Kubernetes API of the kubeconfig answers and has service accounts that were made for these "
                "workloads (default/app, default/web). They stay: it may be the API of another cluster.",
                "remedy": "Check pod_identity_cluster_name, the AWS account and the region, and that the "
                "kubeconfig is of the same cluster, and run again. If that cluster is gone, remove the rest "
                "with the module eks_pod_identity and state: absent.",
            }
        ]
    )


def test_without_the_cluster_and_its_service_accounts_there_is_nothing_to_say() -> None:
    assert plan_absent([workload("app")], [account("theirs")], NO_CLUSTER) == KubernetesPlan()


def test_a_purge_of_nothing_is_within_any_limit() -> None:
    assert plan_purge([], [], limit=0) == KubernetesPlan()


def test_a_purge_has_a_limit() -> None:
    there = [account(f"s{number:02}", labels=OURS) for number in range(11)]
    assert plan_purge([], there, limit=11).problems == []
    names = ", ".join(f"default/s{number:02}" for number in range(11))
    assert plan_purge([], there).problems == [
        f"purge would remove 11 service accounts that are not listed ({names}), but "
        "pod_identity_purge_limit is "
        "10. Check that the list is complete, or raise it to 11."
    ]


# What there is, in words


@pytest.mark.parametrize(
    ("there", "answer"),
    [([], True), ([account("x", "batch")], True), ([account("default")], False)],
)
def test_namespaces_are_looked_at_only_when_they_may_be_missing(
    there: list[dict[str, Any]], answer: bool
) -> None:
    assert namespaces_unknown([workload()], there) is answer


def test_what_there_is_afterwards() -> None:
    plan = {"definitions": [new_namespace("batch"), account("new")], "waiting": [account("late", "batch")]}
    assert found_after([account("old")], plan).keys() == {
        ("default", "old"),
        ("default", "new"),
        ("batch", "late"),
    }
    assert found_after([], {}) == {}


def test_a_line_for_each_object() -> None:
    plan = {
        "definitions": [new_namespace("batch"), account()],
        "waiting": [account("late", "batch")],
        "stale": [account("old")],
    }
    assert described(plan, "present") == [
        "apply Namespace batch",
        "apply ServiceAccount default/app",
        "apply ServiceAccount batch/late",
        "remove ServiceAccount default/old",
    ]
    assert described({"definitions": [account()]}, "absent") == ["remove ServiceAccount default/app"]
