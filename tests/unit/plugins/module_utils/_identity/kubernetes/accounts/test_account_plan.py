# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPlan,
    Preflight,
    TaskState,
    drop_failed_workloads,
    plan_apply,
    plan_purge,
    plan_removal,
    read_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Listing,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    MANAGED_BY_LABELS,
    OWNER_LABEL,
    Object,
    ServiceAccount,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    MANAGED_BY_LABELS as MANAGED,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    PurgeScope,
    ServiceAccountSpec,
    Workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeCluster,
)

CLUSTER = "my-cluster"
EXISTING = {"default"}
Accounts = Mapping[WorkloadKey, ServiceAccount]


def manifest(
    name: str = "app",
    namespace: str = "default",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
) -> Object:
    metadata: dict[str, object] = {"namespace": namespace, "name": name}
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def account(
    name: str = "app",
    namespace: str = "default",
    labels: Any = (),
    annotations: Any = (),
    applied: Iterable[str] = (),
) -> Accounts:
    key = WorkloadKey(build.CLUSTER, namespace, name)
    return {key: ServiceAccount(key, dict(labels), dict(annotations), applied=frozenset(applied))}


def request(name: str = "app", namespace: str = "default", **more: Any) -> Workload:
    key = WorkloadKey(build.CLUSTER, namespace, name)
    return Workload(key, None, service_account=ServiceAccountSpec(**more))


def new_namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": MANAGED}}


CONFIGURED = request(labels={"a": "1"}, annotations={"b": "2"})


@pytest.mark.parametrize(
    ("workload", "accounts", "manifests"),
    [
        pytest.param(
            request(), {}, [manifest(labels=MANAGED)], id="missing service account is created as managed"
        ),
        pytest.param(request(), account(labels=MANAGED), [], id="matching service account is unchanged"),
        pytest.param(
            CONFIGURED,
            {},
            [manifest(labels={"a": "1", **MANAGED}, annotations={"b": "2"})],
            id="labels and annotations are set",
        ),
        pytest.param(
            CONFIGURED,
            account(labels={"a": "1"}, annotations={"b": "2"}),
            [],
            id="labels and annotations match",
        ),
        *(
            pytest.param(
                CONFIGURED,
                account(labels=labels, annotations=annotations),
                [manifest(labels={"a": "1"}, annotations={"b": "2"})],
                id=f"differing metadata is set: {labels} {annotations}",
            )
            for labels, annotations in (
                ({}, {"b": "2"}),
                ({"a": "0"}, {"b": "2"}),
                ({"a": "1"}, {}),
                ({"a": "1"}, {"b": "0"}),
            )
        ),
        pytest.param(
            request(),
            account(labels={"app.kubernetes.io/managed-by": "Helm"}),
            [],
            id="unmanaged service account stays unmanaged",
        ),
        pytest.param(
            request(labels={"a": "1"}),
            account(labels={"app.kubernetes.io/managed-by": "Helm"}),
            [manifest(labels={"a": "1"})],
            id="unmanaged service account gets only the configured labels",
        ),
        pytest.param(
            request(),
            account(labels={**MANAGED, "x": "y"}, annotations={"z": "z"}),
            [],
            id="additional labels are kept",
        ),
        pytest.param(
            request(),
            account(
                labels={**MANAGED, "x": "y"}, applied=["label x", *(f"label {name}" for name in MANAGED)]
            ),
            [manifest(labels=MANAGED)],
            id="label that is no longer listed is removed",
        ),
        pytest.param(
            request(labels={"a": "1"}),
            account(labels={"a": "1"}, annotations={"b": "2"}, applied=["label a", "annotation b"]),
            [manifest(labels={"a": "1"})],
            id="annotation that is no longer listed is removed from an unmanaged service account",
        ),
        pytest.param(
            request(),
            account(labels={**MANAGED, OWNER_LABEL: "shop", "x": "y"}, applied=["label x"]),
            [],
            id="labels of another owner are kept",
        ),
    ],
)
def test_apply_plan_has_manifests(workload: Workload, accounts: Accounts, manifests: list[Object]) -> None:
    assert plan_apply([workload], accounts, EXISTING) == AccountPlan(manifests, [], refused=[])


TEAM_B = {**MANAGED, OWNER_LABEL: "team-b"}


@pytest.mark.parametrize("owner", ["team-a", None])
def test_service_account_of_another_owner_is_refused(owner: str | None) -> None:
    workload = request(labels={"tier": "web"})
    plan = plan_apply([workload], account(labels=TEAM_B), EXISTING, owner)
    assert plan.manifests == []
    assert plan.refused == [
        Finding(
            Code.SERVICE_ACCOUNT_OTHER_OWNER,
            "service account app in namespace default belongs to owner 'team-b' (label workload-identity/owner), but "
            "this run would have to change it.",
            "Have that owner list the workload, or take over the service account with pod_identity_adopt: true.",
            WorkloadKey(build.CLUSTER, "default", "app"),
        )
    ]


@pytest.mark.parametrize(
    ("owner", "adopt", "removed"),
    [("team-a", False, False), (None, False, False), ("team-b", False, True), ("team-a", True, True)],
)
def test_removal_keeps_service_account_of_another_owner(
    owner: str | None, adopt: bool, removed: bool
) -> None:
    plan = plan_removal(account(labels=TEAM_B), build.parse_aws_result(RIGHT, CLUSTER), owner, adopt)
    assert bool(plan.removed) is removed
    assert [(finding.code.value, finding.message, finding.remedy) for finding in plan.findings] == (
        []
        if removed
        else [
            (
                "SERVICE_ACCOUNT_OTHER_OWNER",
                "service account app in namespace default belongs to owner 'team-b' (label workload-identity/owner), "
                "and is kept.",
                "Remove it in a run of this owner (pod_identity_owner), or with pod_identity_adopt: true.",
            )
        ]
    )


@pytest.mark.parametrize(
    ("labels", "adopt", "manifests"),
    [
        (TEAM_B, False, []),
        (MANAGED, False, []),
        (TEAM_B, True, [manifest(labels={**MANAGED, OWNER_LABEL: "team-a"})]),
    ],
    ids=["another owner", "the default owner", "adopt"],
)
def test_only_adopt_changes_the_owner(labels: dict[str, str], adopt: bool, manifests: list[Object]) -> None:
    plan = plan_apply([request()], account(labels=labels), EXISTING, "team-a", adopt)
    assert (plan.manifests, plan.refused) == (manifests, [])


def test_new_service_account_has_owner_label() -> None:
    plan = plan_apply([request()], {}, EXISTING, owner="team-a")
    assert plan.manifests == [manifest(labels={**MANAGED, OWNER_LABEL: "team-a"})]


TERMINATING = "is being deleted (since 2026-03-10T09:00:00Z), with everything in it."


def test_missing_namespace_refuses_only_its_workloads() -> None:
    workloads = [request(namespace="batch"), request()]
    assert plan_apply(workloads, {}, EXISTING) == AccountPlan(
        [manifest(labels=MANAGED)],
        [],
        refused=[
            Finding(
                Code.NAMESPACE_MISSING,
                "namespace batch does not exist.",
                "Create it, or set create_namespace: true for a workload in it (pod_identity_create_namespaces for all).",
                WorkloadKey(build.CLUSTER, "batch", "app"),
            )
        ],
    )


def test_terminating_namespace_refuses_only_its_workloads() -> None:
    workloads = [request(namespace="leaving", labels={"a": "1"}), request()]
    plan = plan_apply(workloads, {}, [*EXISTING, "leaving"], terminating={"leaving": TERMINATING})
    assert plan == AccountPlan(
        [manifest(labels=MANAGED)],
        [],
        refused=[
            Finding(
                Code.BEING_DELETED,
                "namespace leaving is being deleted (since 2026-03-10T09:00:00Z), with everything in it.",
                "Remove the workload from the list. Or wait until the namespace is deleted, recreate it, and apply the "
                "workload. To see what delays the deletion: kubectl get namespace leaving -o yaml",
                WorkloadKey(build.CLUSTER, "leaving", "app"),
            )
        ],
    )


def test_terminating_service_account_is_neither_applied_nor_deleted() -> None:
    accounts = {key: replace(found, is_terminating=True) for key, found in account(labels=MANAGED).items()}
    assert plan_apply([request(labels={"a": "1"})], accounts, EXISTING) == AccountPlan([], [], refused=[])
    assert plan_removal(accounts, build.parse_aws_result(RIGHT, CLUSTER)) == AccountPlan(
        removed=[], released=[], findings=[]
    )
    assert plan_purge([], accounts, None, PurgeScope()) == AccountPlan(removed=[], problems=[])


def test_missing_service_account_without_create_refuses_its_workload() -> None:
    assert plan_apply([request(create=False)], {}, EXISTING) == AccountPlan(
        [],
        [],
        refused=[
            Finding(
                Code.SERVICE_ACCOUNT_MISSING,
                "service account app does not exist in namespace default, and create_service_account is false.",
                "Create it first, or set create_service_account: true (pod_identity_create_service_accounts for all).",
                WorkloadKey(build.CLUSTER, "default", "app"),
            )
        ],
    )


def test_workloads_failed_in_aws_are_dropped() -> None:
    workloads = [
        request("one"),
        request("two", "batch", create_namespace=True),
        request("three", "new", create_namespace=True),
    ]
    plan = plan_apply(workloads, {}, EXISTING)
    failures = [{"workload": "default/one"}, {"workload": "batch/two"}]
    remaining = drop_failed_workloads(plan, build.parse_aws_result({**RIGHT, "failures": failures}, CLUSTER))
    assert remaining.manifests == [new_namespace("new")]
    assert [item["metadata"] for item in remaining.waiting] == [
        {"namespace": "new", "name": "three", "labels": dict(MANAGED)}
    ]
    assert [(finding.code.value, finding.message) for finding in remaining.findings] == [
        (
            "SERVICE_ACCOUNT_KEPT",
            "the service accounts of workloads that failed in AWS are not applied: default/one, batch/two.",
        )
    ]
    assert drop_failed_workloads(plan, build.parse_aws_result(RIGHT, CLUSTER)) == plan


# Tests of teardown plans

RIGHT = {"changes": [], "state": "absent"}


def test_failed_aws_removal_keeps_service_account() -> None:
    accounts = {**account("app", labels=MANAGED), **account("bad", labels=MANAGED), **account("theirs")}
    failures = [{"workload": f"default/{name}"} for name in ("bad", "bad", "theirs")]
    plan = plan_removal(accounts, build.parse_aws_result({**RIGHT, "failures": failures}, CLUSTER))
    assert plan.removed == [manifest("app")]
    assert [
        (finding.code, finding.severity, finding.workload, finding.message, finding.remedy)
        for finding in plan.findings
    ] == [
        (
            "SERVICE_ACCOUNT_KEPT",
            "warning",
            None,
            "the service accounts of these workloads are kept, because AWS still has resources of the workloads: default/bad.",
            "Resolve the failures and findings of the workloads and run again, which removes the service accounts.",
        )
    ]


NO_CLUSTER = {
    **RIGHT,
    "findings": [{"code": "CLUSTER_MISSING", "severity": "warning"}],
    "cluster_arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-clustr",
}


def test_missing_cluster_keeps_all_service_accounts() -> None:
    accounts = {**account("app", labels=MANAGED), **account("web", labels=MANAGED), **account("theirs")}
    plan = plan_removal(accounts, build.parse_aws_result(NO_CLUSTER, "my-clustr"))
    assert plan.removed == ()
    assert [
        (finding.code, finding.severity, finding.workload, finding.message, finding.remedy)
        for finding in plan.findings
    ] == [
        (
            "SERVICE_ACCOUNTS_STAY",
            "error",
            None,
            "EKS has no cluster my-clustr in account 111122223333, region us-west-2, but the Kubernetes API of the "
            "kubeconfig has managed service accounts of these workloads: default/app, default/web. They are kept, because "
            "that API may belong to another cluster.",
            "Check that pod_identity_cluster_name, the AWS account, the region and the kubeconfig belong to the same "
            "cluster. Then run again. If the cluster was deleted, remove the remaining AWS "
            "resources of the workloads with the module eks_pod_identity and state: absent.",
        )
    ]


def test_service_account_of_a_kept_association_is_kept() -> None:
    """Check that a teardown deletes the service account if only the role is kept, and releases one without the mark."""
    accounts = {**account("app", labels=MANAGED), **account("kept", labels=MANAGED), **account("theirs")}
    findings = [
        {"code": code, "severity": "warning", "workload": f"default/{name}"}
        for code, name in (("NOT_OWNED", "kept"), ("RESOURCE_KEPT", "app"))
    ]
    plan = plan_removal(accounts, build.parse_aws_result({**RIGHT, "findings": findings}, CLUSTER))
    assert (plan.removed, plan.released) == ([manifest("app")], [manifest("theirs")])
    assert [finding.code for finding in plan.findings] == ["SERVICE_ACCOUNT_KEPT"]


# Tests of purge plans


@pytest.mark.parametrize(
    ("owner", "removed"),
    [(None, [("old", "default"), ("old", "batch")]), ("a", [("owned", "default")]), ("b", [])],
)
def test_purge_deletes_unlisted_service_accounts_of_its_owner(
    owner: str | None, removed: list[tuple[str, str]]
) -> None:
    accounts = {
        **account("app", labels=MANAGED),
        **account("old", labels=MANAGED),
        **account("old", "batch", MANAGED),
        **account("owned", labels={**MANAGED, OWNER_LABEL: "a"}),
        **account("theirs"),
    }
    plan = plan_purge([request()], accounts, owner, PurgeScope(2))
    assert plan == AccountPlan(removed=[manifest(*name) for name in removed], problems=[])
    beyond = plan_purge([request()], accounts, None, PurgeScope(1)).problems
    assert beyond == [
        "purge would remove 2 service accounts that are not listed (default/old, batch/old), but "
        "pod_identity_purge_limit is 1. Check that the list is complete, or raise the limit to 2."
    ]


# Tests of the lines about a plan, and of the reads before the run in AWS


def item(name: str, namespace: str = "shop", managed: bool = False) -> dict[str, object]:
    labels = dict(MANAGED_BY_LABELS) if managed else {}
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}}


API = Workload(build.KEY, None)
LATE = Workload(
    WorkloadKey(build.CLUSTER, "batch", "late"),
    None,
    service_account=ServiceAccountSpec(create_namespace=True),
)
DENIED = Listing(error=ApiError(403, "no"))
ACCOUNTS = Listing(
    [item("default"), item("api"), item("old", managed=True), item("old", "other", managed=True)]
)


def read_preflight(
    workloads: list[Workload], state: TaskState, purge: PurgeScope | None, **lists: Listing
) -> tuple[Preflight | ApiError, list[str]]:
    cluster = FakeCluster({"ServiceAccount": ACCOUNTS, **lists})
    return read_accounts(cluster, workloads, build.CLUSTER, state, None, purge), cluster.log


@pytest.mark.parametrize(
    ("workloads", "state", "purge", "log"),
    [
        ([API], "present", None, ["list ServiceAccount shop"]),
        ([API, LATE], "present", None, ["list ServiceAccount", "list Namespace"]),
        ([API, LATE], "absent", None, ["list ServiceAccount"]),
        ([API, LATE], "verify", None, ["list ServiceAccount", "list Namespace"]),
        ([API], "verify", None, ["list ServiceAccount shop"]),
        ([API], "present", PurgeScope(), ["list ServiceAccount"]),
        ([], "present", None, ["list ServiceAccount"]),
    ],
    ids=["one namespace", "new namespace", "removal", "verification", "existing", "purge", "no workloads"],
)
def test_preflight_requests_depend_on_the_run(
    workloads: list[Workload], state: TaskState, purge: PurgeScope | None, log: list[str]
) -> None:
    assert read_preflight(workloads, state, purge)[1] == log


@pytest.mark.parametrize(
    ("state", "purge", "lines", "problems"),
    [
        ("present", None, ["apply Namespace batch", "apply ServiceAccount batch/late"], 0),
        (
            "present",
            PurgeScope(),
            [
                "apply Namespace batch",
                "apply ServiceAccount batch/late",
                "remove ServiceAccount shop/old",
                "remove ServiceAccount other/old",
            ],
            0,
        ),
        (
            "present",
            PurgeScope(limit=1),
            [
                "apply Namespace batch",
                "apply ServiceAccount batch/late",
                "remove ServiceAccount shop/old",
                "remove ServiceAccount other/old",
            ],
            1,
        ),
        ("absent", PurgeScope(), [], 0),
        ("verify", None, [], 0),
    ],
)
def test_preflight_plan_by_state(
    state: TaskState, purge: PurgeScope | None, lines: list[str], problems: int
) -> None:
    preflight, _log = read_preflight([API, LATE], state, purge)
    assert isinstance(preflight, Preflight)
    assert preflight.plan.lines == lines
    assert len(preflight.plan.problems) == problems
    # Service accounts and namespaces of other workloads are left out.
    assert (list(preflight.accounts), preflight.namespaces) == ([build.KEY], {"shop"})


def test_namespace_without_service_accounts_exists() -> None:
    workloads = [Workload(WorkloadKey(build.CLUSTER, "empty", "api"), None)]
    preflight, _log = read_preflight(
        workloads, "present", None, Namespace=Listing([{"metadata": {"name": "empty"}}])
    )
    assert isinstance(preflight, Preflight)
    assert preflight.plan.refused == []


@pytest.mark.parametrize(
    ("kind", "listing"), [("ServiceAccount", DENIED), ("Namespace", Listing(error=ApiError(0, "no")))]
)
def test_failed_list_is_returned(kind: str, listing: Listing) -> None:
    error, _log = read_preflight([LATE], "present", None, **{kind: listing})
    assert error == listing.error


def test_forbidden_namespace_list_refuses_only_affected_workloads() -> None:
    preflight, _log = read_preflight([API, LATE], "present", None, Namespace=DENIED)
    assert isinstance(preflight, Preflight)
    assert preflight.namespaces is None
    assert [(finding.code, str(finding.workload)) for finding in preflight.plan.refused] == [
        ("KUBERNETES_NOT_READABLE", "batch/late")
    ]


def test_terminating_namespace_refuses_its_workloads() -> None:
    text = "is being deleted (since 2026-03-10T09:00:00Z), with everything in it."
    namespace = {"metadata": {"name": "batch", "deletionTimestamp": "2026-03-10T09:00:00Z"}}
    for state in ("present", "verify"):
        preflight, _log = read_preflight([API, LATE], state, None, Namespace=Listing([namespace]))
        assert isinstance(preflight, Preflight)
        assert preflight.terminating == {"batch": text}
        refused = [(finding.code, finding.message) for finding in preflight.plan.refused]
        assert refused == ([("BEING_DELETED", f"namespace batch {text}")] if state == "present" else [])
