# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the page with the report, and each yes and no with the evaluation of the policies, for random fleets."""

from __future__ import annotations

import fnmatch
import itertools
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.effective import (
    AccessTables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.estate import (
    AccessEstate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.rules import ANSWERS
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessQuestion,
    ClusterFacts,
    RoleFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import Layer
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import Context
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.lints import (
    applies_to_objects,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    Required,
    check_permission,
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
QUESTION_ACTIONS = (
    *("s3:GetObject", "S3:PUTOBJECT", "s3:PutObject", "s3:ListBucket", "sqs:SendMessage", "kms:Decrypt"),
    *("iam:PassRole", "example:NoSuchAction"),
)
WILD_ACTIONS = ("s3:Get*", "s3:*", "*", "s?s:SendMessage", "s3:?etObject")
QUESTION_RESOURCES = (
    *("arn:aws:s3:::a/x", "arn:aws:s3:::shop/x", "arn:aws:s3:::a/red/x", "arn:aws:s3:::b/none/x"),
    *("arn:aws:s3:::c/none/x", "arn:aws:s3:::b1/x", "arn:aws:s3:::a", "arn:aws:example:::x"),
    f"arn:aws:sqs:eu-central-1:{ACCOUNT}:q",
    f"arn:aws:sqs:eu-central-1:{ACCOUNT}:r",
    f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1",
    f"arn:aws:iam::{ACCOUNT}:role/x",
)
WILD_RESOURCES = (
    *("*", "arn:aws:s3:::a/*", "arn:aws:s3:::*", "arn:aws:s3:::?/x", "arn:aws:s3:::*/none/*"),
    *("arn:aws:s3:::a/r?d/*", f"arn:aws:sqs:*:{ACCOUNT}:?", "arn:*:*:*:*:*"),
)
# The number of random questions: four reports with 520 questions each, of which the input rejects some.
REPORTS, QUESTIONS = 4, 520


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


def random_facts(seed: int) -> ClusterFacts:
    """Return a cluster with random workloads, policies and credentials."""
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
    return make_facts(roles, associations, annotated, pods=pods)


def make_report(facts: ClusterFacts, questions: Sequence[AccessQuestion]) -> dict[str, Any]:
    """Return the report of a cluster, as parsed from JSON."""
    time = datetime(2026, 11, 29, tzinfo=timezone.utc)
    report = build_report([facts], Catalogue(), time, questions=questions)
    loaded: dict[str, Any] = json.loads(json.dumps(report))
    return loaded


def random_questions(seed: int) -> list[AccessQuestion]:
    draw = random.Random(seed)
    found = dict.fromkeys(
        itertools.starmap(AccessQuestion, itertools.product(QUESTION_ACTIONS, QUESTION_RESOURCES))
    )
    while len(found) < QUESTIONS:
        action = random_wildcards(draw, QUESTION_ACTIONS, WILD_ACTIONS)
        found[AccessQuestion(action, random_wildcards(draw, QUESTION_RESOURCES, WILD_RESOURCES))] = None
    # The input rejects an action for objects on a bucket, and the page adds "/*".
    return [question for question in found if not applies_to_objects(question.action, question.resource)]


def random_wildcards(draw: random.Random, texts: Sequence[str], patterns: Sequence[str]) -> str:
    """Return a pattern, or a text with a wildcard in place of some characters after its last colon."""
    if draw.random() < 0.3:
        return draw.choice(patterns)
    text = draw.choice(texts)
    start = draw.randint(text.rindex(":") + 1, len(text) - 1)
    return f"{text[:start]}{draw.choice('*?')}{text[draw.randint(start, len(text)) :]}"


def includes(pattern: str, text: str) -> bool:
    """Return whether a question about ``pattern`` includes a request for ``text``. Each part of an ARN is a pattern."""
    parts = [pattern] if pattern == "*" else pattern.split(":", 5)
    return len(parts) == 1 or all(map(fnmatch.fnmatchcase, text.split(":", 5), parts))


class Evaluator:
    """The complete evaluation of the policies of a report, for requests without wildcards."""

    def __init__(self, facts: ClusterFacts) -> None:
        tables = AccessTables(Catalogue())
        estate = AccessEstate([facts], tables)
        self.members = estate.members
        self.layers: list[tuple[tuple[Layer, ...], Context] | None] = []
        for member in self.members:
            credential = member.role_credential
            role = estate.role(credential.effective_arn) if credential is not None else None
            if role is None or role.state != "read":
                self.layers.append(None)
                continue
            context = member.context(role)
            profile = tables.profile(role, context, credential.association if credential else None)
            self.layers.append((profile.layers, context))
        self._known: dict[tuple[int, str, str], str] = {}

    def decisions(self, place: int, question: Mapping[str, Any]) -> set[str]:
        """Return the decisions for requests that a question includes, for one workload."""
        layers = self.layers[place]
        if layers is None:
            return set()
        found = set()
        for action, resource in itertools.product(QUESTION_ACTIONS, QUESTION_RESOURCES):
            if includes(question["action"].lower(), action.lower()) and includes(
                question["resource"], resource
            ):
                key = place, action, resource
                if key not in self._known:
                    verdict = check_permission(layers[0], Required(action, resource), layers[1])
                    self._known[key] = verdict.decision
                found.add(self._known[key])
        return found


@pytest.mark.parametrize("seed", range(SEED, SEED + REPORTS))
def test_answers_are_equal_and_true(show: Show, seed: int) -> None:
    """Compare the page with the report, and each yes and no with the evaluation of the policies.

    Policies that could not be read are not a part of this evaluation: they can only make an answer unknown.
    """
    facts = random_facts(seed)
    report = make_report(facts, random_questions(seed))
    page = show(report)
    evaluator = Evaluator(facts)
    seen: Counter[str] = Counter()
    for question in report["questions"]:
        rows = page.run(
            "return accessReport.answer(...arguments).rows.map(({reason, ...row}) => row)",
            question["action"],
            question["resource"],
        )
        expected = [{"keys": [], "statements": [], **entry} for entry in question["answers"]]
        assert rows == expected, (seed, question["action"], question["resource"])
        for entry in question["answers"]:
            word = entry["answer"]
            seen[word] += 1
            decisions = evaluator.decisions(entry["workload"], question)
            place = seed, entry["workload"], question["action"], question["resource"]
            if word == "yes":
                assert decisions <= {"allowed"}, place
            usable = evaluator.members[entry["workload"]].credentials[0].usable
            if word == "no" and usable != "no":
                assert decisions <= {"implicit_deny", "explicit_deny"}, place
    assert sum(seen.values()) == WORKLOADS * len(report["questions"])
    assert min(seen[word] for word in ANSWERS) > 100, seen
    print(f"seed {seed}: {len(report['questions'])} questions for {WORKLOADS} workloads: {dict(seen)}")
