# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.filter.pod_identity import FilterModule
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.service_accounts import (
    MANAGED_BY_LABEL,
    MANAGED_BY_LABEL_VALUE,
    OWNER_LABEL,
)

FILTERS = FilterModule().filters()
OURS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
WORKLOADS = [{"namespace": "default", "service_account": "app"}]


def account(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": "default", "name": name}
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


def test_the_filters_have_their_names() -> None:
    assert set(FILTERS) == {
        "pod_identity_cannot_list",
        "pod_identity_kubernetes_plan",
        "pod_identity_report",
    }


@pytest.mark.parametrize(
    ("arguments", "options", "plan"),
    [
        pytest.param(
            ([account("default")],),
            {},
            {"definitions": [account("app", OURS)], "namespaces_unknown": False},
            id="present",
        ),
        pytest.param(
            ([account("app", OURS)],),
            {"state": "absent"},
            {"definitions": [account("app")], "namespaces_unknown": False},
            id="absent",
        ),
        pytest.param(
            ([],),
            {"create_namespaces": True},
            {
                "definitions": [
                    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "labels": OURS}}
                ],
                "waiting": [account("app", OURS)],
                "namespaces_unknown": True,
            },
            id="namespaces are not known yet",
        ),
        pytest.param(
            ([], [{"kind": "Namespace", "metadata": {"name": "default"}}]),
            {},
            {"definitions": [account("app", OURS)], "namespaces_unknown": False},
            id="namespaces are known",
        ),
        pytest.param(
            ([account("app", OURS), account("old", OURS)],),
            {"purge": True},
            {"stale": [account("old")], "namespaces_unknown": False},
            id="purge",
        ),
        pytest.param(
            ([account("app", OURS), account("old", {**OURS, OWNER_LABEL: "5"})],),
            {"purge": "true", "purge_limit": "1", "purge_namespaces": "default,x", "owner": 5},
            {
                "definitions": [account("app", {**OURS, OWNER_LABEL: "5"})],
                "stale": [account("old")],
                "namespaces_unknown": False,
            },
            id="purge, options from a command line",
        ),
        pytest.param(
            ([account("old", OURS)],),
            {"purge": "false", "create_service_accounts": "false"},
            {
                "problems": [
                    "workload default/app: service account app does not exist in namespace default and "
                    "create_service_account is false. Create it first, or let it be created."
                ],
                "namespaces_unknown": False,
            },
            id="no purge and nothing made, as text",
        ),
        pytest.param(
            ([account("app", OURS), account("old", OURS)],),
            {},
            {"namespaces_unknown": False},
            id="no purge",
        ),
    ],
)
def test_the_kubernetes_plan_is_plain_data(
    arguments: tuple[Any, ...], options: dict[str, Any], plan: dict[str, Any]
) -> None:
    empty: dict[str, Any] = {"definitions": [], "waiting": [], "stale": [], "problems": [], "findings": []}
    assert FILTERS["pod_identity_kubernetes_plan"](WORKLOADS, *arguments, **options) == {**empty, **plan}


def test_a_removal_purges_nothing() -> None:
    plan = FILTERS["pod_identity_kubernetes_plan"](
        WORKLOADS, [account("old", OURS)], state="absent", purge=True
    )
    assert (plan["definitions"], plan["stale"]) == ([], [])


def test_a_removal_without_the_cluster_leaves_the_service_accounts() -> None:
    removed = {
        "findings": [{"code": "CLUSTER_MISSING"}],
        "failures": [],
        "cluster_arn": "arn:aws:eks:us-west-2:111122223333:cluster/my-clustr",
    }
    plan = FILTERS["pod_identity_kubernetes_plan"](
        WORKLOADS, [account("app", OURS)], state="absent", removed=removed
    )
    assert (plan["definitions"], [one["code"] for one in plan["findings"]]) == ([], ["SERVICE_ACCOUNTS_STAY"])


def test_a_report_of_a_plan_says_that_nothing_was_changed() -> None:
    change: dict[str, Any] = {
        "resource": "role",
        "name": "r",
        "action": "create",
        "before": None,
        "after": {},
    }
    result = {"changes": [change], "workloads": [], "findings": [], "failures": [], "state": "present"}
    report = FILTERS["pod_identity_report"](result, [], {"definitions": [account("app")]}, check_mode=True)
    assert report["lines"][:3] == [
        "Plan: 2 changes; nothing was changed.",
        "  create role r",
        "  apply ServiceAccount default/app",
    ]
    assert (report["failed"], report["failure"], report["summary"]["changes"]) == (False, "", 2)


def test_a_report_of_a_failure_tells_it_first() -> None:
    result = {
        "changes": [],
        "workloads": [],
        "findings": [],
        "failures": [
            {
                "workload": "default/app",
                "resource": "role",
                "name": "r",
                "action": "create",
                "error_code": "LimitExceeded",
                "message": "iam:CreateRole: Too many.",
                "remedy": "Ask for more.",
            }
        ],
        "msg": "What failed.",
        "state": "present",
    }
    report = FILTERS["pod_identity_report"](result, [], {})
    assert (report["failed"], report["failure"]) == (True, "What failed.")
