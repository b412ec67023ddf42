# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read and planned before anything is changed."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.key import (
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    describe_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.preflight import (
    Preflight,
    PurgeScope,
    State,
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.ownership import (
    MANAGED_BY_LABELS,
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
    workloads: list[Workload], state: State, purge: PurgeScope | None, **lists: Listing
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
    workloads: list[Workload], state: State, purge: PurgeScope | None, log: list[str]
) -> None:
    assert preflight_of(workloads, state, purge)[1] == log


@pytest.mark.parametrize(
    ("state", "purge", "lines", "problems"),
    [
        ("present", None, ["apply Namespace batch", "apply ServiceAccount batch/late"], 0),
        (
            "present",
            PurgeScope(["shop"]),
            [
                "apply Namespace batch",
                "apply ServiceAccount batch/late",
                "remove ServiceAccount shop/old",
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
def test_the_plan(state: State, purge: PurgeScope | None, lines: list[str], problems: int) -> None:
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
    assert preflight.plan.problems == []


@pytest.mark.parametrize("kind", ["ServiceAccount", "Namespace"])
def test_what_cannot_be_listed_is_an_error(kind: str) -> None:
    error, _log = preflight_of([LATE], "present", None, **{kind: DENIED})
    assert error == ApiError(403, "no")


def test_one_task_hands_it_to_another() -> None:
    preflight, _log = preflight_of([API, LATE], "present", PurgeScope())
    assert isinstance(preflight, Preflight)
    row = json.loads(json.dumps(preflight_row(preflight)))
    parsed = parse_preflight(row, build.CLUSTER)
    assert parsed.accounts == preflight.accounts
    assert set(parsed.namespaces) == set(preflight.namespaces)
    assert describe_plan(parsed.plan, removes=False) == describe_plan(preflight.plan, removes=False)
    assert (parsed.plan.manifests, parsed.plan.waiting) == (preflight.plan.manifests, preflight.plan.waiting)
