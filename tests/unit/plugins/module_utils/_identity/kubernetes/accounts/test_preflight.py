# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read and planned before anything is changed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPurgeScope,
    Preflight,
    TaskState,
    describe_plan,
    parse_preflight,
    preflight_row,
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
    Object,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ServiceAccountSpec,
    Workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeCluster,
)


def item(name: str, namespace: str = "shop", ours: bool = False) -> dict[str, object]:
    labels = dict(MANAGED_BY_LABELS) if ours else {}
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}}


API = Workload(build.KEY, None)
LATE = Workload(
    WorkloadKey(build.CLUSTER, "batch", "late"),
    None,
    service_account=ServiceAccountSpec(create_namespace=True),
)
DENIED = Listing(error=ApiError(403, "no"))
ACCOUNTS = Listing([item("default"), item("api"), item("old", ours=True), item("old", "other", ours=True)])


def preflight_of(
    workloads: list[Workload], state: TaskState, purge: AccountPurgeScope | None, **lists: Listing
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
        ([API], "present", AccountPurgeScope(), ["list ServiceAccount"]),
        ([], "present", None, ["list ServiceAccount"]),
    ],
    ids=[
        "one namespace",
        "a new namespace",
        "removal",
        "verification",
        "verification of what is there",
        "purge",
        "no workloads",
    ],
)
def test_only_what_matters_is_read(
    workloads: list[Workload], state: TaskState, purge: AccountPurgeScope | None, log: list[str]
) -> None:
    assert preflight_of(workloads, state, purge)[1] == log


@pytest.mark.parametrize(
    ("state", "purge", "lines", "problems"),
    [
        ("present", None, ["apply Namespace batch", "apply ServiceAccount batch/late"], 0),
        (
            "present",
            AccountPurgeScope(["shop"]),
            [
                "apply Namespace batch",
                "apply ServiceAccount batch/late",
                "remove ServiceAccount shop/old",
            ],
            0,
        ),
        (
            "present",
            AccountPurgeScope(limit=1),
            [
                "apply Namespace batch",
                "apply ServiceAccount batch/late",
                "remove ServiceAccount shop/old",
                "remove ServiceAccount other/old",
            ],
            1,
        ),
        ("absent", AccountPurgeScope(), [], 0),
        ("verify", None, [], 0),
    ],
)
def test_the_plan(state: TaskState, purge: AccountPurgeScope | None, lines: list[str], problems: int) -> None:
    preflight, _log = preflight_of([API, LATE], state, purge)
    assert isinstance(preflight, Preflight)
    assert describe_plan(preflight.plan, removes=False) == lines
    assert len(preflight.plan.problems) == problems
    # What later steps need of the cluster is what concerns the workloads.
    assert (list(preflight.accounts), preflight.namespaces) == ([build.KEY], {"shop"})


def test_a_namespace_without_service_accounts_may_exist() -> None:
    workloads = [Workload(WorkloadKey(build.CLUSTER, "empty", "api"), None)]
    preflight, _log = preflight_of(
        workloads, "present", None, Namespace=Listing([{"metadata": {"name": "empty"}}])
    )
    assert isinstance(preflight, Preflight)
    assert preflight.plan.refused == []


@pytest.mark.parametrize(
    ("kind", "listing"),
    [("ServiceAccount", DENIED), ("Namespace", Listing(error=ApiError(0, "no")))],
)
def test_what_cannot_be_listed_is_an_error(kind: str, listing: Listing) -> None:
    error, _log = preflight_of([LATE], "present", None, **{kind: listing})
    assert error == listing.error


def test_namespaces_that_may_not_be_listed_stop_nobody_else() -> None:
    preflight, _log = preflight_of([API, LATE], "present", None, Namespace=DENIED)
    assert isinstance(preflight, Preflight)
    assert [(finding.code, str(finding.workload)) for finding in preflight.plan.refused] == [
        ("KUBERNETES_NOT_READABLE", "batch/late")
    ]


SINCE = "is being deleted (since 2026-03-10T09:00:00Z), with everything in it."


def condition(status: str, message: str) -> Object:
    return {"type": "NamespaceFinalizersRemaining", "status": status, "message": message}


@pytest.mark.parametrize(
    ("metadata", "conditions", "text"),
    [
        ({}, [], SINCE),
        ({"finalizers": ["example.com/keep"]}, [], f"{SINCE} It waits for: finalizer example.com/keep."),
        (
            {},
            [
                condition("False", "All legacy kube types successfully parsed"),
                condition(
                    "True",
                    "Some content in the namespace has finalizers remaining: example.com/wait in 1 resource instances",
                ),
            ],
            f"{SINCE} It waits for: Some content in the namespace has finalizers remaining: example.com/wait in 1 resource "
            "instances.",
        ),
    ],
    ids=["nothing known", "a finalizer of its own", "finalizers of objects in it"],
)
def test_a_namespace_that_is_being_deleted_names_what_it_waits_for(
    metadata: Object, conditions: list[Object], text: str
) -> None:
    namespace = {
        "metadata": {"name": "batch", "deletionTimestamp": "2026-03-10T09:00:00Z", **metadata},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Terminating", "conditions": conditions},
    }
    for state in ("present", "verify"):
        preflight, _log = preflight_of([API, LATE], state, None, Namespace=Listing([namespace]))
        assert isinstance(preflight, Preflight)
        assert parse_preflight(preflight_row(preflight), build.CLUSTER).going == {"batch": text}
        refused = [(finding.code, finding.message) for finding in preflight.plan.refused]
        assert refused == ([("NAMESPACE_GOING", f"namespace batch {text}")] if state == "present" else [])


def test_a_namespace_that_is_being_deleted_does_not_stop_a_removal() -> None:
    preflight, log = preflight_of([API, LATE], "absent", None)
    assert isinstance(preflight, Preflight)
    assert (list(preflight.plan.refused), log) == ([], ["list ServiceAccount"])


def test_one_task_hands_it_to_another() -> None:
    preflight, _log = preflight_of([API, LATE], "present", AccountPurgeScope())
    assert isinstance(preflight, Preflight)
    row = json.loads(json.dumps(preflight_row(preflight)))
    parsed = parse_preflight(row, build.CLUSTER)
    assert parsed.accounts == preflight.accounts
    assert set(parsed.namespaces) == set(preflight.namespaces)
    assert describe_plan(parsed.plan, removes=False) == describe_plan(preflight.plan, removes=False)
    assert (parsed.plan.manifests, parsed.plan.waiting) == (preflight.plan.manifests, preflight.plan.waiting)
