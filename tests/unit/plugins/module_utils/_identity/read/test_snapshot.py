# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test bulk reads of an account, also if the endpoint returns pages without end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import PolicySpec
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    BULK_THRESHOLD,
    Snapshot,
    read_account,
    read_snapshot,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    create_role,
    policy_arn,
)

ENDLESS = [
    pytest.param({"IsTruncated": True, "Marker": "same"}, 2, id="the same page again"),
    pytest.param({"IsTruncated": True}, 1, id="no token for the next page"),
]


def endless(more: Mapping[str, Any]) -> FakeAws:
    aws = FakeAws()

    def answer(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert len(aws.requests) < 100
        return {"RoleDetailList": [], "Policies": [], **more}

    aws.replace("iam:GetAccountAuthorizationDetails", answer)
    return aws


@pytest.mark.parametrize(("more", "requests"), ENDLESS)
def test_endless_pages_of_an_account_raise(more: dict[str, Any], requests: int) -> None:
    aws = endless(more)
    with pytest.raises(AwsError) as caught:
        read_account(aws)
    assert (caught.value.operation, caught.value.code) == ("iam:GetAccountAuthorizationDetails", MALFORMED)
    assert len(aws.requests) == requests


@pytest.mark.parametrize(("more", "requests"), ENDLESS)
def test_endless_pages_give_no_snapshot(more: dict[str, Any], requests: int) -> None:
    aws = endless(more)
    assert read_snapshot(aws, BULK_THRESHOLD) == Snapshot()
    assert len(aws.requests) == requests


def test_snapshot_stops_at_its_budget() -> None:
    aws = FakeAws()

    def answer(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {"RoleDetailList": [], "IsTruncated": True, "Marker": str(len(aws.requests))}

    aws.replace("iam:GetAccountAuthorizationDetails", answer)
    assert not read_snapshot(aws, BULK_THRESHOLD).complete
    assert len(aws.requests) == BULK_THRESHOLD // 2


def test_policy_is_missing_only_in_a_complete_snapshot() -> None:
    specs = {arn: PolicySpec(arn=arn) for arn in ("arn:aws:iam::aws:policy/A", policy_arn("gone"))}
    assert Snapshot(complete=True).find_policies(specs, None) == {policy_arn("gone"): None}
    assert Snapshot().find_policies(specs, None) == {}


def test_role_in_one_of_two_lists_is_not_missing() -> None:
    aws = FakeAws()
    create_role(aws, "my-role")
    listed = aws.iam.ListRoles({})
    create_role(aws, "new")
    aws.replace("iam:ListRoles", lambda _parameters: listed)
    found = read_snapshot(aws, BULK_THRESHOLD, role_details=True).find_roles(("my-role", "new"))
    assert found.keys() == {"my-role"}
