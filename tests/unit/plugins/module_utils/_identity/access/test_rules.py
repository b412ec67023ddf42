# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the answers to questions: on the screen, in JSON and in CSV, and compared with the evaluation of the policies."""

from __future__ import annotations

import csv
import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import product
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.effective import (
    AccessTables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.estate import (
    AccessEstate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.output import (
    access_csv,
    access_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.rules import answer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessQuestion,
    ClusterFacts,
    RoleFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    PodCredentials,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import Request
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    Required,
    check_permission,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.access.facts import (
    ADMINISTRATOR,
    allow,
    associate,
    deny,
    document,
    irsa_trust,
    make_facts,
    make_role,
    policy_arn,
    role_arn,
    wide_trust,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 11, 29, 10, tzinfo=timezone.utc)
FROM_VPC = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
OBJECTS = "arn:aws:s3:::b/*"
TEAM = "${aws:PrincipalTag/Team}"
NAMESPACE = "${aws:PrincipalTag/kubernetes-namespace}"
USER = "${aws:userid}"


def ask(*parts: ClusterFacts, action: str = "s3:GetObject", resource: str = OBJECTS) -> dict[str, Any]:
    """Return the row of a question in the report of some clusters."""
    report = build_report(parts, Catalogue(), NOW, questions=[AccessQuestion(action, resource)])
    (row,) = report["questions"]
    assert isinstance(row, dict)
    return row


def single_answer(row: Mapping[str, Any]) -> tuple[str, ...]:
    (found,) = row["answers"]
    return found["answer"], *found.get("keys", ())


def ask_role(
    *statements: Mapping[str, Any], resource: str = OBJECTS, action: str = "s3:GetObject", **more: Any
) -> tuple[str, ...]:
    role = make_role("api", *statements, trust=wide_trust(), **more)
    return single_answer(ask(make_facts([role], [associate("api")]), action=action, resource=resource))


def except_for(resource: Any, effect: str = "Allow", action: Any = "s3:*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "NotResource": resource, **more}


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([allow("s3:*", OBJECTS)], ("yes",)),
        ([allow("s3:GetObject")], ("yes",)),
        ([allow("S3:Get*", "arn:aws:s3:::?/*")], ("yes",)),
        ([allow("s3:GetObject", "arn:aws:s3:::b/x/*")], ("part",)),
        ([allow("s3:GetObject", "arn:aws:s3:::b/x/*"), allow("s3:*", **FROM_VPC)], ("part", "aws:SourceVpc")),
        ([allow("s3:GetObject", OBJECTS, **FROM_VPC)], ("depends", "aws:SourceVpc")),
        ([allow("s3:GetObject", OBJECTS, **FROM_VPC), allow("s3:*", OBJECTS)], ("yes",)),
        ([allow("s3:GetObject", "arn:aws:s3:::c/*")], ("no",)),
        ([allow("s3:PutObject", OBJECTS)], ("no",)),
        ([], ("no",)),
        ([allow("*"), deny("s3:GetObject")], ("obtain", "iam:AttachRolePolicy")),
        ([allow("*"), deny("s3:GetObject", "arn:aws:s3:::b/x/*")], ("part",)),
        ([allow("*"), deny("s3:GetObject", **FROM_VPC)], ("depends", "aws:SourceVpc")),
        ([allow("*"), deny("s3:GetObject", "arn:aws:s3:::b/x/*", **FROM_VPC)], ("part", "aws:SourceVpc")),
        ([except_for("arn:aws:s3:::c/*")], ("yes",)),
        ([except_for("arn:aws:s3:::b/x/*")], ("part",)),
        ([except_for("arn:aws:s3:::b*")], ("no",)),
        ([allow("*"), except_for("arn:aws:s3:::c/*", "Deny")], ("obtain", "iam:AttachRolePolicy")),
        ([{"Effect": "Allow", "NotAction": "s3:Put*", "Resource": OBJECTS}], ("yes",)),
        ([{"Effect": "Allow", "NotAction": ["s3:*", "*"], "Resource": OBJECTS}], ("no",)),
        # Together they allow all, which no single rule shows. A variable of another action has no effect.
        (
            [
                except_for("arn:aws:s3:::b/x/*"),
                allow("s3:*", "arn:aws:s3:::b/x/*"),
                allow("s3:PutObject", f"arn:aws:s3:::b/{USER}/*"),
            ],
            ("part",),
        ),
        # Policy variables whose values are known, absent or unknown.
        ([allow("s3:*", f"arn:aws:s3:::{NAMESPACE}/*")], ("no",)),
        ([allow("s3:*", f"arn:aws:s3:::b/{NAMESPACE}/*")], ("part",)),
        ([allow("s3:*", f"arn:aws:s3:::b/{TEAM}/*")], ("no",)),
        ([allow("s3:*", f"arn:aws:s3:::b/{USER}/*")], ("depends", "aws:userid")),
        ([allow("s3:*", [f"arn:aws:s3:::b/{USER}/*", "arn:aws:s3:::b/x/*"])], ("part", "aws:userid")),
        ([allow("*"), deny("s3:*", f"arn:aws:s3:::b/{USER}")], ("depends", "aws:userid")),
        ([except_for(f"arn:aws:s3:::b/{USER}/*")], ("part", "aws:userid")),
        ([except_for([f"arn:aws:s3:::b/{USER}/*", "arn:aws:s3:::b/*"])], ("no",)),
        ([allow("*"), except_for(f"arn:aws:s3:::b/{USER}", "Deny")], ("depends", "aws:userid")),
        ([allow("s3:*", "arn:aws:s3:::${*}/*")], ("no",)),
        # Conditions whose keys are known.
        (
            [allow("s3:*", Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "shop"}})],
            ("yes",),
        ),
        (
            [allow("s3:*", Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "web"}})],
            ("no",),
        ),
        (
            [allow("s3:*", Condition={"StringLike": {"s3:prefix": f"{NAMESPACE}/*"}})],
            ("depends", "s3:prefix"),
        ),
    ],
)
def test_answers_for_objects(statements: Sequence[Mapping[str, Any]], expected: tuple[str, ...]) -> None:
    assert ask_role(*statements) == expected


@pytest.mark.parametrize(
    ("resource", "expected"),
    [("*", "yes"), (OBJECTS, "part"), (f"arn:aws:s3:::b/{USER}", "depends"), ("arn:aws:s3:::*", "part")],
)
def test_question_about_all_resources_finds_those_with_a_part(resource: str, expected: str) -> None:
    assert ask_role(allow("s3:*", resource), resource="*")[0] == expected


@pytest.mark.parametrize(
    ("action", "expected"), [("s3:Get*", "part"), ("s3:GetObject", "yes"), ("s3:Put*", "no"), ("*", "part")]
)
def test_actions_may_have_wildcards(action: str, expected: str) -> None:
    assert ask_role(allow(["s3:GetObject", "s3:GetObjectAcl"]), action=action)[0] == expected


def test_every_layer_must_allow() -> None:
    limit = policy_arn("limit")
    assert ask_role(allow("*"), boundary=(limit, document(allow("s3:*")))) == ("yes",)
    assert ask_role(allow("*"), boundary=(limit, document(allow("sqs:*")))) == ("no",)
    assert ask_role(allow("*"), boundary=(limit, document(allow("s3:*", **FROM_VPC)))) == (
        "depends",
        "aws:SourceVpc",
    )
    role = make_role("api", allow("*"), trust=wide_trust())
    session = document(allow("s3:GetObject", "arn:aws:s3:::b/x"))
    assert single_answer(ask(make_facts([role], [associate("api", session_policy=session)]))) == ("part",)
    # Missing parts of an ARN match nothing in a session policy.
    session = document(allow("s3:*", "arn:aws:s3"))
    assert single_answer(ask(make_facts([role], [associate("api", session_policy=session)]))) == ("no",)


def test_answers_without_policies() -> None:
    role = make_role("reader", allow("s3:*"), trust=wide_trust())
    uncertain = wide_trust()
    uncertain["Statement"][0]["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-pod-name"] = "x"
    roles = [
        role,
        make_role("unread", unread=(("identity", ADMINISTRATOR),)),
        make_role("denied", deny("s3:*"), unread=(("identity", ADMINISTRATOR),)),
        make_role("limited", allow("s3:*"), unread=(("boundary", "arn:b"),)),
        make_role("old", allow("s3:*"), trust=irsa_trust("old")),
        make_role("pod", allow("s3:*"), trust=uncertain),
        make_role("mine", allow("s3:*")),
        RoleFacts(role_arn("gone"), "missing"),
    ]
    names = ("reader", "unread", "denied", "limited", "pod", "gone", "elsewhere")
    facts = make_facts(
        roles,
        [*(associate(name) for name in names), associate("stranger", "mine")],
        {"old": role_arn("old"), "keys": ""},
        pods={
            "keys": PodCredentials(
                templates={"Deployment shop/keys": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
            )
        },
    )
    report = build_report([facts], Catalogue(), NOW, questions=[AccessQuestion("s3:GetObject", OBJECTS)])
    (row,) = report["questions"]
    found = {
        report["workloads"][entry["workload"]]["service_account"]: (entry["answer"], *entry.get("keys", ()))
        for entry in row["answers"]
    }
    assert found == {
        "denied": ("unknown", "unread roles arn:aws:iam::*:role/*"),
        "elsewhere": ("unknown",),
        "gone": ("no",),
        "keys": ("unknown",),
        "limited": ("unknown",),
        "old": ("yes",),
        "pod": ("depends", "use of the role"),
        "reader": ("yes",),
        "stranger": ("no",),
        "unread": ("unknown",),
    }
    assert row["counts"] == {"yes": 2, "part": 0, "depends": 1, "obtain": 0, "unknown": 5, "no": 2}


def test_answers_have_their_statements() -> None:
    role = make_role("api", allow("sqs:*"), allow("s3:*", OBJECTS), deny("s3:*", "arn:aws:s3:::b/x"))
    facts = make_facts([role], [associate("api")])
    (entry,) = ask(facts)["answers"]
    assert entry == {"workload": 0, "answer": "part", "statements": [[0, 1], [0, 2]]}
    (entry,) = ask(facts, resource="arn:aws:s3:::b/x")["answers"]
    assert entry == {"workload": 0, "answer": "no", "statements": [[0, 2]]}
    denied = make_role("api", allow("s3:*"), deny("s3:*", **FROM_VPC), deny("s3:*", "arn:aws:s3:::b/x"))
    (entry,) = ask(make_facts([denied], [associate("api")]), resource="arn:aws:s3:::b/x")["answers"]
    assert entry == {"workload": 0, "answer": "no", "statements": [[0, 2]]}


def two_clusters() -> list[ClusterFacts]:
    roles = [
        make_role("api", allow("s3:*", "arn:aws:s3:::b/x/*")),
        make_role("web", allow("s3:*", **FROM_VPC)),
        make_role("job", allow("sqs:*")),
    ]
    facts = make_facts(roles, [associate(role.arn.rpartition("/")[2]) for role in roles])
    return [facts, ClusterFacts("red", error="Denied.")]


def test_screen_has_everyone_who_may_read_a_part() -> None:
    question = AccessQuestion("s3:GetObject", OBJECTS)
    lines = access_lines(build_report(two_clusters(), Catalogue(), NOW, questions=[question]))
    first = lines.index(
        "s3:GetObject on arn:aws:s3:::b/*: 0 yes, 1 part, 1 depends, 0 obtain, 0 unknown, 1 no."
    )
    assert lines[first + 1 : first + 4] == [
        "- part: blue shop/api",
        "- depends: blue shop/web (aws:SourceVpc)",
        "- unknown: all service accounts of red, which could not be read",
    ]


def test_csv_has_a_column_for_each_question() -> None:
    questions = [AccessQuestion("s3:GetObject", OBJECTS), AccessQuestion("sqs:*", "*")]
    text = access_csv(build_report(two_clusters(), Catalogue(), NOW, questions=questions))
    rows = list(csv.DictReader(text.splitlines()))
    found = {
        row["service_account"]: (row["s3:GetObject on arn:aws:s3:::b/*"], row["sqs:* on *"]) for row in rows
    }
    assert found == {
        "api": ("part", "no"),
        "web": ("depends (aws:SourceVpc)", "no"),
        "job": ("no", "yes"),
        "": ("unknown", "unknown"),
    }
    assert (rows[-1]["cluster"], rows[-1]["access"]) == ("red", "unknown")


def test_rules_are_plain_patterns() -> None:
    role = make_role(
        "api",
        allow("S3:Get*", ["arn:aws:s3:::${*}/a\\b?", f"arn:aws:s3:::{NAMESPACE}/*"], **FROM_VPC),
        allow("sqs:SendMessage", ["arn:aws:sqs", "*"]),
        except_for(f"arn:aws:s3:::{USER}", "Deny"),
    )
    report = build_report([make_facts([role], [associate("api")])], Catalogue(), NOW)
    assert report["rules"] == [
        {
            "effect": "Allow",
            "actions": ["s3:get*"],
            "resources": ["arn:aws:s3:::\\*/a\\\\b?", "arn:aws:s3:::shop/*"],
            "keys": ["aws:SourceVpc"],
            "statement": [0, 0],
        },
        {"effect": "Allow", "actions": ["sqs:sendmessage"], "resources": ["*"], "statement": [0, 1]},
        {"effect": "Deny", "actions": ["s3:*"], "except_resources": ["arn:aws:s3:::*"], "statement": [0, 2]},
        {
            "effect": "Deny",
            "actions": ["s3:*"],
            "except_resources": [],
            "keys": ["aws:userid"],
            "statement": [0, 2],
        },
    ]
    (profile,) = report["profiles"]
    assert profile["layers"] == [{"name": "the policies of its role", "allow": [0, 1]}]
    assert profile["deny"] == [2, 3]


ACTIONS = ("s3:GetObject", "s3:Get*", "s3:*", "*", "s3:Put?bject", "sqs:*")
RESOURCES = (
    *("*", "arn:aws:s3:::a/*", "arn:aws:s3:::*", "arn:aws:s3:::b*/x", "arn:aws:sqs:*", "arn:aws:s3:::a/${*}"),
    f"arn:aws:s3:::{NAMESPACE}/*",
    f"arn:aws:s3:::a/{TEAM}/*",
    f"arn:aws:s3:::a/{USER}",
    "arn:aws:s3:::c/${aws:userid, 'none'}/*",
    "arn:${aws:partition}:s3:::a/*",
)
CONDITIONS: Sequence[Mapping[str, Any]] = (
    *({}, {}, {}),
    FROM_VPC,
    {"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}},
    {"Condition": {"StringEquals": {"aws:SourceVpc": "a"}, "StringNotEquals": {"aws:SourceVpc": "a"}}},
    {"Condition": {"StringNotEquals": {"aws:PrincipalTag/Team": "red"}}},
    {"Condition": {"StringLike": {"s3:prefix": f"{TEAM}/*"}}},
    {"Condition": {"Null": {"aws:FederatedProvider": "true"}}},
)
STATEMENTS = st.lists(
    st.builds(
        lambda effect, action, actions, resource, resources, condition: {
            "Effect": effect,
            action: actions,
            resource: resources,
            **condition,
        },
        st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        st.sampled_from(["Action", "Action", "Action", "NotAction"]),
        st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2, unique=True),
        st.sampled_from(["Resource", "Resource", "Resource", "NotResource"]),
        st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2, unique=True),
        st.sampled_from(CONDITIONS),
    ),
    min_size=1,
    max_size=3,
)
CONCRETE = tuple(
    product(
        ("s3:GetObject", "s3:PutObject", "sqs:SendMessage"),
        *(
            [
                (
                    *("arn:aws:s3:::a/x", "arn:aws:s3:::a/red/x", "arn:aws:s3:::shop/x", "arn:aws:s3:::bb/x"),
                    *("arn:aws:s3:::c/none/x", "arn:aws:sqs:eu-central-1:111122223333:q"),
                )
            ]
        ),
    )
)
QUESTIONS = (
    *CONCRETE,
    ("s3:GetObject", "*"),
    ("s3:*", "arn:aws:s3:::a/*"),
    ("*", "*"),
    ("s3:?et*", "arn:aws:s3:::*/x"),
)


def includes(pattern: str, text: str) -> bool:
    return fnmatch.fnmatchcase(text.lower(), pattern.lower())


@settings(max_examples=60, deadline=None)
@given(
    STATEMENTS,
    st.one_of(st.none(), STATEMENTS),
    st.one_of(st.none(), STATEMENTS),
    st.sampled_from([{}, {"Team": "red"}]),
)
def test_no_yes_and_no_is_refuted_by_the_policies(
    statements: list[dict[str, Any]],
    boundary: list[dict[str, Any]] | None,
    session: list[dict[str, Any]] | None,
    tags: dict[str, str],
) -> None:
    limit = (policy_arn("limit"), document(*boundary)) if boundary else None
    role = make_role("api", *statements, trust=wide_trust(), tags=tags, boundary=limit)
    association = associate("api", session_policy=document(*session) if session else None)
    tables = AccessTables(Catalogue())
    (member,) = AccessEstate([make_facts([role], [association])], tables).members
    context = member.context(role)
    profile = tables.profile(role, context, association)
    decisions = {
        request: check_permission(profile.layers, Required(*request), context).decision
        for request in CONCRETE
    }
    seen: Counter[str] = Counter()
    for action, resource in QUESTIONS:
        question = Request(action, resource)
        found = answer(profile.rules, lambda rule, question=question: rule.cover(question))
        seen[found.answer] += 1
        inside = {
            decision
            for (name, arn), decision in decisions.items()
            if includes(action, name) and includes(resource, arn)
        }
        if found.answer == "yes":
            assert inside <= {"allowed"}, (action, resource)
        if found.answer == "no":
            assert inside <= {"implicit_deny", "explicit_deny"}, (action, resource)
        if found.answer == "part" and (action, resource) in CONCRETE:
            raise AssertionError("A single request has no parts.")
    assert sum(seen.values()) == len(QUESTIONS)
