# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the finding about an Allow statement for every principal of every account.

It is an error, unless a condition or a Deny statement limits the accounts.
"""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import prepare_trust

ME = "arn:aws:iam::111122223333:role/me"


def allow(principal: object = "*", **condition: object) -> dict[str, object]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {**statement, "Condition": condition} if condition else statement


def deny(**more: object) -> dict[str, object]:
    return {"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole", **more}


def except_for(principal: object, **more: object) -> dict[str, object]:
    return {"Effect": "Deny", "NotPrincipal": principal, "Action": "*", **more}


NOT_OURS = {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}
CASES = [
    ("error", allow()),
    ("error", allow({"AWS": "*"})),
    ("error", allow({"AWS": ["*", ME]})),
    ("warning", allow(StringEquals={"aws:PrincipalOrgID": "o-1"})),
    ("warning", allow(StringEquals={"AWS:principalaccount": ["111122223333", "444455556666"]})),
    ("warning", allow(ArnLike={"aws:PrincipalArn": "arn:aws:iam::111122223333:role/*"})),
    ("warning", allow(**{"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    ("warning", allow(StringEquals={"sts:ExternalId": "x"})),
    ("error", allow(StringLike={"aws:PrincipalOrgID": "*"})),
    ("error", allow(StringLike={"aws:PrincipalOrgID": ["o-1", "o-*"]})),
    ("error", allow(ArnLike={"aws:PrincipalArn": "arn:aws:iam::*:role/me"})),
    ("error", allow(StringLike={"aws:PrincipalArn": "*"})),
    ("error", allow(StringEquals={"aws:PrincipalAccount": "${aws:PrincipalAccount}"})),
    ("error", allow(StringEqualsIfExists={"aws:PrincipalOrgID": "o-1"})),
    ("error", allow(**{"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    ("error", allow(StringNotEquals={"aws:PrincipalAccount": "111122223333"})),
    ("error", allow(Bool={"aws:SecureTransport": "true"})),
    # The caller chooses the values of these keys, so the conditions do not limit the accounts.
    (
        "error",
        allow(
            StringEquals={"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:us-east-1:111122223333:cluster/c"}
        ),
    ),
    ("error", allow(StringEquals={"aws:PrincipalTag/team": "a"})),
    ("error", allow(StringEquals={"sts:RoleSessionName": "a"})),
]


@pytest.mark.parametrize(("severity", "statement"), CASES)
def test_condition_on_account_lowers_severity(severity: str, statement: object) -> None:
    (found,) = prepare_trust({"Version": "2012-10-17", "Statement": [statement]}).lints
    assert (found.code, found.severity) == ("TRUST_OPEN_TO_EVERYONE", severity)


@pytest.mark.parametrize(
    ("severity", "denied"),
    [
        ("warning", deny(Condition=NOT_OURS)),
        ("warning", deny()),
        ("warning", deny(Principal={"AWS": "*"}, Action=["sts:*"], Condition=NOT_OURS)),
        ("warning", except_for({"AWS": ME})),
        ("error", except_for("*")),
        ("error", except_for({"AWS": ME}, Condition=NOT_OURS)),
        ("error", deny(Action="sts:TagSession", Condition=NOT_OURS)),
        ("error", deny(Principal={"AWS": ME})),
        ("error", deny(Condition={"StringEquals": {"aws:PrincipalOrgID": "o-1"}})),
        ("error", deny(Condition={**NOT_OURS, "ArnNotLike": {"aws:PrincipalArn": ME}})),
        ("error", deny(Condition={**NOT_OURS, "Bool": {"aws:SecureTransport": "false"}})),
        ("error", deny(Condition={"ForAnyValue:StringNotLike": {"aws:PrincipalOrgPaths": "o-1/*"}})),
    ],
)
def test_deny_for_other_accounts_lowers_severity(severity: str, denied: object) -> None:
    (found,) = prepare_trust({"Version": "2012-10-17", "Statement": [allow(), denied]}).lints
    assert (found.code, found.severity) == ("TRUST_OPEN_TO_EVERYONE", severity)
