# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which workloads can perform an action if the policies of some workloads are unknown."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import Context
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    IDENTITY,
    Holder,
    NamedPolicy,
    Required,
    permission_layers,
    who_can,
)

ASKED = Required("s3:GetObject", "arn:aws:s3:::b/k")


def document(effect="Allow", action="s3:*", **more):
    return {
        "Version": "2012-10-17",
        "Statement": {"Effect": effect, "Action": action, "Resource": "*", **more},
    }


def holder(name, *documents, unknown=(), session=None):
    identity = [NamedPolicy(f"p{index}", document) for index, document in enumerate(documents)]
    layers = permission_layers(identity, None, NamedPolicy("session policy", session) if session else None)
    return Holder(name, layers, Context(), tuple(unknown))


UNKNOWN = [(IDENTITY, "arn:p")]
CONDITION = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
OPPOSITE = {"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}}
CASES = [
    ("an Allow", holder("w", document()), "allowed", (), ()),
    ("no Allow", holder("w", document(action="ec2:*")), "implicit_deny", (), ()),
    ("a condition", holder("w", document(**CONDITION)), "conditional", ("aws:SourceVpc",), ()),
    ("nothing known", holder("w", unknown=UNKNOWN), "unknown", (), ("arn:p",)),
    ("an Allow beside what may deny", holder("w", document(), unknown=UNKNOWN), "unknown", (), ("arn:p",)),
    ("a Deny stays", holder("w", document("Deny"), unknown=UNKNOWN), "explicit_deny", (), ()),
    (
        "a Deny under a condition",
        holder("w", document("Deny", **CONDITION), unknown=UNKNOWN),
        "unknown",
        (),
        ("arn:p",),
    ),
    (
        "conditions that contradict each other",
        holder("w", document(**CONDITION), session=document(**OPPOSITE)),
        "implicit_deny",
        (),
        (),
    ),
    (
        "an unknown policy beside conditions that contradict each other",
        holder("w", document(**CONDITION), unknown=UNKNOWN, session=document(**OPPOSITE)),
        "unknown",
        (),
        ("arn:p",),
    ),
    (
        "another layer lacks an Allow",
        holder("w", unknown=UNKNOWN, session=document(action="ec2:*")),
        "implicit_deny",
        (),
        (),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_definite_only_if_unknown_policies_cannot_change_it(case):
    _name, workload, decision, keys, unknown = case
    (row,) = who_can([workload], ASKED)
    assert (row.name, row.decision, row.conditional_on, row.unknown) == ("w", decision, keys, unknown)


def test_rows_keep_order():
    rows = who_can([holder("b", document()), holder("a", document("Deny"))], ASKED)
    assert [(row.name, row.decision) for row in rows] == [("b", "allowed"), ("a", "explicit_deny")]
    assert rows[0].as_dict() == {
        "workload": "b",
        "decision": "allowed",
        "statements": [{"policy": "p0", "statement": "Statement 1", "effect": "Allow"}],
        "conditional_on": [],
        "unknown": [],
        "message": "s3:GetObject on arn:aws:s3:::b/k is allowed by Statement 1 of p0.",
    }
