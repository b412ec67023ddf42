# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
    check_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    ServiceAccount,
)

KEY, WEB = (WorkloadKey("my-cluster", "shop", name) for name in ("api", "web"))
PRESENT = {KEY: ServiceAccount(KEY, {"team": "others"}, {"note": "x"})}
TERMINATING = {KEY: ServiceAccount(KEY, is_terminating=True)}


@pytest.mark.parametrize(
    ("accounts", "namespaces", "message"),
    [
        ({}, (), "namespace shop does not exist."),
        ({}, None, "service account api does not exist in namespace shop."),
        ({}, ("shop",), "service account api does not exist in namespace shop."),
        ({WEB: ServiceAccount(WEB)}, (), "service account api does not exist in namespace shop."),
    ],
    ids=["no namespace", "namespaces could not be read", "no service account", "another service account"],
)
def test_missing_namespace_or_service_account_fails(
    accounts: Mapping[WorkloadKey, ServiceAccount], namespaces: Collection[str] | None, message: str
) -> None:
    check = check_account(KEY, Preflight(accounts, namespaces))
    assert (check.status, [finding.message for finding in check.findings]) == ("fail", [message])


def test_remedy_for_a_terminating_service_account_has_its_names() -> None:
    [finding] = check_account(KEY, Preflight(TERMINATING, ("shop",))).findings
    assert finding.code == "BEING_DELETED"
    assert finding.remedy == (
        "Have the controllers that set the finalizers remove them. Then apply the workload, which creates the service "
        "account again. To see the finalizers: kubectl get serviceaccount api -n shop -o yaml"
    )


def test_differing_label_and_annotation_show_both_values() -> None:
    desired = {KEY: ServiceAccount(KEY, {"team": "payments"}, {"note": "x", "more": "y"})}
    check = check_account(KEY, Preflight(PRESENT, ("shop",), desired=desired))
    assert (check.status, check.findings[0].message) == (
        "warning",
        "service account api in namespace shop differs from its configuration: label team is others, not payments; "
        "annotation more is (none), not y.",
    )
