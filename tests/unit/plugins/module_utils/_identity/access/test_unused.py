# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the detection of unused roles, services and actions. Without data from IAM, the verdict is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.unused import (
    ServicesVerdict,
    UseJudge,
    UseVerdict,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    RoleFacts,
    RoleUse,
)

NOW = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
JUDGE = UseJudge(NOW, 90)
OLD, OLDER, NEW = "2026-08-01T00:00:00Z", "2025-01-01T00:00:00+00:00", "2026-11-28T00:00:00+00:00"
NO_RECORD = "has no recorded use in the tracking period of IAM, which is at most 400 days"

# A case has the use of a role (None if it was not read), and the expected verdict.
ROLES: Mapping[str, tuple[RoleUse | None, UseVerdict]] = {
    "used": (RoleUse(OLDER, NEW), UseVerdict("used", "was last used on 2026-11-28")),
    "a young role that was used": (RoleUse(NEW, NEW), UseVerdict("used", "was last used on 2026-11-28")),
    "used without a date of creation": (RoleUse("", NEW), UseVerdict("used", "was last used on 2026-11-28")),
    "used long ago": (
        RoleUse(OLDER, OLD),
        UseVerdict("unused", "was last used on 2026-08-01, more than 90 days ago"),
    ),
    "exactly 90 days ago": (
        RoleUse(OLDER, (NOW - timedelta(days=90)).isoformat()),
        UseVerdict("used", "was last used on 2026-08-31"),
    ),
    "no record": (RoleUse(OLDER, ""), UseVerdict("unused", NO_RECORD)),
    "no record of a young role": (RoleUse(NEW, ""), UseVerdict("unknown", "is younger than 90 days")),
    "a role of exactly 90 days": (
        RoleUse((NOW - timedelta(days=90)).isoformat(), ""),
        UseVerdict("unknown", "is younger than 90 days"),
    ),
    "no date of creation": (
        RoleUse("", ""),
        UseVerdict("unknown", "has no creation date in the IAM response"),
    ),
    "no time in the response": (
        RoleUse(OLDER, None),
        UseVerdict("unknown", "has no record of its last use in the IAM response"),
    ),
    "not read": (None, UseVerdict("unknown", "could not be read")),
}


def role(use: RoleUse | None) -> RoleFacts:
    return RoleFacts("arn:aws:iam::111122223333:role/api", "read", use=use)


@pytest.mark.parametrize("case", ROLES)
def test_verdict_on_a_role(case: str) -> None:
    use, expected = ROLES[case]
    assert JUDGE.judge_role(role(use)) == expected


# A case has the use of a role, the services that the effective permissions allow, the services that the policies name, and the
# expected verdict.
SERVICES: Mapping[str, tuple[RoleUse, str, tuple[str, ...], ServicesVerdict]] = {
    "used": (RoleUse(OLDER, NEW, {"s3": NEW}), "s3", ("s3",), ServicesVerdict()),
    "used long ago": (RoleUse(OLDER, NEW, {"s3": OLD}), "s3", ("s3",), ServicesVerdict(("s3",))),
    "no record": (
        RoleUse(OLDER, NEW, {"s3": "", "sqs": NEW}),
        "s3 sqs",
        ("s3", "sqs"),
        ServicesVerdict(("s3",)),
    ),
    "a service that a boundary denies": (
        RoleUse(OLDER, NEW, {"s3": "", "sqs": ""}),
        "s3",
        ("s3",),
        ServicesVerdict(("s3",)),
    ),
    "a service that IAM does not report": (
        RoleUse(OLDER, NEW, {"s3": NEW}),
        "s3 new",
        ("new", "s3"),
        ServicesVerdict((), ("new",)),
    ),
    "all services": (RoleUse(OLDER, NEW, {"ec2": "", "s3": NEW}), "ec2 s3", (), ServicesVerdict(("ec2",))),
    "a young role": (
        RoleUse(NEW, NEW, {"s3": ""}),
        "s3",
        ("s3",),
        ServicesVerdict(
            unknown="A role that is younger than 90 days may be too new to have used all services that it needs."
        ),
    ),
    "denied": (
        RoleUse(OLDER, NEW, None, "iam:GenerateServiceLastAccessedDetails: AccessDenied"),
        "s3",
        ("s3",),
        ServicesVerdict(unknown="iam:GenerateServiceLastAccessedDetails: AccessDenied"),
    ),
    "no action is tracked": (
        RoleUse(OLDER, NEW, {"s3": NEW}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(),
    ),
    "a used action": (
        RoleUse(OLDER, NEW, {"s3": NEW}, actions={"s3:CreateBucket": NEW}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(),
    ),
    "an action used long ago, and one without a record": (
        RoleUse(OLDER, NEW, {"s3": NEW}, actions={"s3:PutBucketTagging": "", "s3:CreateBucket": OLD}),
        "s3 s3:CreateBucket s3:PutBucketTagging",
        ("s3",),
        ServicesVerdict(actions=("s3:CreateBucket", "s3:PutBucketTagging")),
    ),
    "an action used exactly 90 days ago": (
        RoleUse(OLDER, NEW, {"s3": NEW}, actions={"s3:CreateBucket": (NOW - timedelta(days=90)).isoformat()}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(),
    ),
    "an action that the policies do not allow": (
        RoleUse(OLDER, NEW, {"s3": NEW}, actions={"s3:CreateBucket": "", "s3:DeleteBucket": ""}),
        "s3 s3:DeleteBucket",
        ("s3",),
        ServicesVerdict(actions=("s3:DeleteBucket",)),
    ),
    "actions of an unused service": (
        RoleUse(OLDER, NEW, {"s3": "", "sqs": NEW}, actions={"s3:CreateBucket": "", "sqs:CreateQueue": ""}),
        "s3 s3:CreateBucket sqs sqs:CreateQueue",
        ("s3", "sqs"),
        ServicesVerdict(("s3",), actions=("sqs:CreateQueue",)),
    ),
    "actions of a service that IAM does not report": (
        RoleUse(OLDER, NEW, {}, actions={"s3:CreateBucket": ""}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(unrecorded=("s3",)),
    ),
    "actions of a young role": (
        RoleUse(NEW, NEW, {"s3": NEW}, actions={"s3:CreateBucket": ""}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(
            unknown="A role that is younger than 90 days may be too new to have used all services that it needs."
        ),
    ),
    "actions of a role without a date of creation": (
        RoleUse("", NEW, {"s3": NEW}, actions={"s3:CreateBucket": ""}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(
            unknown="A role that has no creation date in the IAM response may be too new to have used all services that it needs."
        ),
    ),
    "actions without services": (
        RoleUse(OLDER, NEW, None, "iam:GetServiceLastAccessedDetails: AccessDenied", {"s3:CreateBucket": ""}),
        "s3 s3:CreateBucket",
        ("s3",),
        ServicesVerdict(unknown="iam:GetServiceLastAccessedDetails: AccessDenied"),
    ),
    "not read": (
        RoleUse(OLDER, NEW),
        "s3",
        ("s3",),
        ServicesVerdict(unknown="The service last accessed data was not read from IAM."),
    ),
}


@pytest.mark.parametrize("case", SERVICES)
def test_verdict_on_services(case: str) -> None:
    use, allowed, named, expected = SERVICES[case]
    assert JUDGE.judge_services(use, allowed.split().__contains__, named) == expected
