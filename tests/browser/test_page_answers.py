# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the decisions of the page with the decisions of the collection, for random fleets."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.answers import (
    answer_from_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import RoleFacts
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.actions import (
    ActionIndex,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    Required,
)

from ..unit.plugins.module_utils._identity.access.facts import (
    ACCOUNT,
    associate,
    irsa_trust,
    make_facts,
    make_role,
    pod_identity_trust,
    policy_arn,
    role_arn,
    wide_trust,
)
from .conftest import Page

Show = Callable[..., Page]
SEED = int(os.environ.get("SEED", "0"))
WORKLOADS = 60

ACTIONS = (
    *("s3:GetObject", "s3:Get*", "s3:*", "*", "S3:getobject", "s3:Put?bject", "s3:ListBucket"),
    *("sqs:*", "sqs:SendMessage", "kms:Decrypt"),
)
# The value of aws:userid is unknown, and the requests do not have aws:username.
RESOURCES = (
    *(
        "*",
        "arn:aws:s3:::a/*",
        "arn:aws:s3:::a",
        "arn:aws:s3:::*",
        "arn:aws:s3:::b*/x",
        "arn:aws:s3:::a/${*}",
    ),
    "arn:aws:s3:::${aws:PrincipalTag/kubernetes-namespace}/*",
    "arn:aws:s3:::a/${aws:PrincipalTag/Team}/*",
    "arn:aws:s3:::a/${aws:username}/*",
    "arn:aws:s3:::b/${aws:username, 'none'}/*",
    "arn:aws:s3:::a/${aws:userid}",
    "arn:aws:s3:::c/${aws:userid, 'none'}/*",
    "arn:${aws:partition}:s3:::a/*",
    f"arn:aws:sqs:*:{ACCOUNT}:q",
    "arn:aws:sqs:*",
)
# The page treats comparisons of the same key with different values as independent. So here, each key with an unknown value is
# always compared with the same value.
CONDITIONS: Sequence[Mapping[str, Mapping[str, str]]] = (
    {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
    {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
    {"StringNotEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
    {"StringEqualsIfExists": {"aws:SourceVpce": "vpce-1"}},
    {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Null": {"aws:ViaAWSService": "true"}},
    {"Null": {"aws:ViaAWSService": "false"}},
    {"ForAnyValue:StringEquals": {"example:Unknown": "x"}},
    {"StringLike": {"s3:prefix": "${aws:PrincipalTag/Team}/*"}},
    {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "shop"}},
    {"StringNotEquals": {"aws:PrincipalTag/Team": "red"}},
    {"StringEquals": {"aws:PrincipalTag/Team": "${aws:PrincipalTag/kubernetes-namespace}"}},
    {"StringEquals": {"aws:SourceVpc": "vpc-1", "aws:PrincipalTag/Team": "red"}},
    {"Null": {"aws:FederatedProvider": "true"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"Bool": {"aws:MultiFactorAuthPresent": "true"}},
)
REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::a/x"),
    ("s3:GetObject", "arn:aws:s3:::shop/x"),
    ("s3:GetObject", "arn:aws:s3:::a/red/x"),
    ("s3:GetObject", "arn:aws:s3:::b/none/x"),
    ("s3:GetObject", "arn:aws:s3:::c/none/x"),
    ("S3:PUTOBJECT", "arn:aws:s3:::b1/x"),
    ("s3:PutObject", "arn:aws:s3:::a/y"),
    ("s3:ListBucket", "arn:aws:s3:::a"),
    ("s3:ListAllMyBuckets", "*"),
    ("sqs:SendMessage", f"arn:aws:sqs:eu-central-1:{ACCOUNT}:q"),
    ("sqs:SendMessage", f"arn:aws:sqs:eu-central-1:{ACCOUNT}:r"),
    ("sqs:ListQueues", "*"),
    ("kms:Decrypt", f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1"),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/x"),
    ("example:NoSuchAction", "arn:aws:example:::x"),
)
WILDCARD_REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::a/*"),
    ("s3:*", "arn:aws:s3:::a/x"),
    ("*", "arn:aws:s3:::a/x"),
    ("s3:Get*", "arn:aws:s3:::*"),
    ("s?s:SendMessage", f"arn:aws:sqs:*:{ACCOUNT}:q"),
)
DECISIONS = {
    "allowed": "yes",
    "implicit_deny": "no",
    "explicit_deny": "no",
    "conditional": "depends",
    "unknown": "unknown",
}


def random_document(draw: random.Random) -> dict[str, Any]:
    statements = []
    for _place in range(draw.randint(1, 4)):
        action = draw.choice(("Action", "Action", "Action", "NotAction"))
        resource = draw.choice(("Resource", "Resource", "Resource", "NotResource"))
        statement: dict[str, Any] = {
            "Effect": draw.choice(("Allow", "Allow", "Allow", "Deny")),
            action: draw.sample(ACTIONS, draw.randint(1, 2)),
            resource: draw.sample(RESOURCES, draw.randint(1, 3)),
        }
        if draw.random() < 0.4:
            statement["Condition"] = draw.choice(CONDITIONS)
        statements.append(statement)
    return {"Version": draw.choice(("2012-10-17",) * 4 + ("2008-10-17",)), "Statement": statements}


def random_report(seed: int) -> dict[str, Any]:
    """Return a report about random workloads, policies and credentials, as parsed from JSON."""
    draw = random.Random(seed)
    roles, associations, annotated, pods = [], [], {}, {}
    for place in range(WORKLOADS):
        name = f"w{place}"
        has_irsa = draw.random() < 0.25
        trust = irsa_trust(name) if has_irsa else draw.choice((wide_trust(), pod_identity_trust(name)))
        if place % 20 == 7:
            trust = pod_identity_trust("another")
        role = make_role(
            name,
            trust=trust,
            policies=tuple(
                (policy_arn(f"{name}-{number}"), random_document(draw))
                for number in range(draw.randint(1, 2))
            ),
            boundary=(policy_arn(f"{name}-limit"), random_document(draw)) if draw.random() < 0.3 else None,
            unread=draw.choice(((),) * 6 + ((("identity", "arn:p"),), (("boundary", "arn:b"),))),
            tags=draw.choice(({}, {"Team": "red"})),
        )
        roles.append(RoleFacts(role.arn, "missing") if place % 20 == 8 else role)
        if place % 20 == 9:
            pods[name] = PodCredentials(templates={f"Deployment shop/{name}": ("AWS_ACCESS_KEY_ID",)})
        if has_irsa:
            annotated[name] = role_arn(name)
        else:
            session = random_document(draw) if draw.random() < 0.2 else None
            tags_off = draw.random() < 0.3
            associations.append(associate(name, session_policy=session, disable_session_tags=tags_off))
    facts = make_facts(roles, associations, annotated, pods=pods)
    report = build_report([facts], ActionIndex(), datetime(2026, 11, 29, tzinfo=timezone.utc))
    loaded: dict[str, Any] = json.loads(json.dumps(report))
    return loaded


def both_decisions(
    page: Page, report: Mapping[str, Any], action: str, resource: str
) -> Iterator[tuple[str, str, str]]:
    """Yield for each workload its name, the decision of the page and the decision of the collection."""
    rows = page.run("return accessReport.answer(...arguments).rows", action, resource)
    holdings = answer_from_report(report, Required(action, resource))
    for row, holding in zip(rows, holdings, strict=True):
        yield holding.name, row["decision"], DECISIONS[holding.decision]


@pytest.mark.parametrize("seed", range(SEED, SEED + 4))
def test_decisions_are_equal(show: Show, seed: int) -> None:
    report = random_report(seed)
    page = show(report)
    seen: Counter[str] = Counter()
    for action, resource in REQUESTS:
        for name, decision, expected in both_decisions(page, report, action, resource):
            assert decision == expected, (seed, name, action, resource)
            seen[decision] += 1
    assert sum(seen.values()) == WORKLOADS * len(REQUESTS)
    assert min(seen[decision] for decision in DECISIONS.values()) > 20


@pytest.mark.parametrize("seed", range(SEED, SEED + 2))
def test_decisions_with_wildcards_do_not_contradict(show: Show, seed: int) -> None:
    """Use requests with wildcards. If only a part of such a request is allowed, the page returns "depends"."""
    report = random_report(seed)
    page = show(report)
    for action, resource in WILDCARD_REQUESTS:
        for name, decision, expected in both_decisions(page, report, action, resource):
            assert decision in {expected, "depends", "unknown"}, (seed, name, action, resource)
            assert decision != "unknown" or expected in {"unknown", "no"}, (seed, name, action, resource)
