# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test explanations of permissions: the effect of each statement, and documents that IAM rejects."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    storability,
    together,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.explanation import (
    explain,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    permission_layers,
    refusal_findings,
)

KEY = "arn:aws:s3:::b/x"
WEB = pod_context(Subject(namespace="web"))


def allow(action="s3:GetObject", resource="arn:aws:s3:::b/*", **more):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(**more):
    return {**allow(), "Effect": "Deny", **more}


def equals(**tags):
    keys = {f"aws:PrincipalTag/{name}": value for name, value in tags.items()}
    return {"Condition": {"StringEquals": keys}}


def policy(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def explained(statements, action="s3:GetObject", resource=KEY, boundary=None, session=None, context=WEB):
    layers = permission_layers(
        [NamedPolicy("mine.json", policy(*statements))],
        None if boundary is None else NamedPolicy("permissions boundary", policy(*boundary)),
        None if session is None else NamedPolicy("session policy", policy(*session)),
    )
    verdict = check_permission(layers, Required(action, resource), context)
    return verdict.decision, explain(layers, verdict.required, context)


REASONING = [
    ([allow()], {}, "allowed", ["Statement 1 of mine.json (Allow) applies."]),
    (
        [allow(Sid="Read"), deny(Sid="Stop")],
        {},
        "explicit_deny",
        [
            "Statement 2 (Sid 'Stop') of mine.json (Deny) applies.",
            "Statement 1 (Sid 'Read') of mine.json (Allow) applies.",
        ],
    ),
    (
        [allow(resource="arn:aws:s3:::b")],
        {},
        "implicit_deny",
        [
            "Statement 1 of mine.json (Allow) has the action, but not the resource: its Resource is 'arn:aws:s3:::b'."
        ],
    ),
    (
        [allow(resource="arn:aws:s3:::b/logs/*")],
        {"resource": "arn:aws:s3:::b/*"},
        "partly_allowed",
        [
            "Statement 1 of mine.json (Allow) has the action, but not all of the resources: its Resource is"
            " 'arn:aws:s3:::b/logs/*'."
        ],
    ),
    (
        [{"Effect": "Allow", "Action": "s3:*", "NotResource": KEY}],
        {},
        "implicit_deny",
        [
            f"Statement 1 of mine.json (Allow) has the action, but not the resource: its NotResource is '{KEY}'."
        ],
    ),
    (
        [allow(**equals(**{"kubernetes-namespace": "shop"}))],
        {},
        "implicit_deny",
        [
            "Statement 1 of mine.json (Allow) does not apply: it requires StringEquals"
            " aws:PrincipalTag/kubernetes-namespace 'shop', and the request has 'web'."
        ],
    ),
    (
        [allow(**equals(team="a"))],
        {},
        "conditional",
        [
            "Statement 1 of mine.json (Allow) applies to some requests: it depends on StringEquals aws:PrincipalTag/team 'a'."
        ],
    ),
    (
        [allow(Condition={"StringEquals": {"aws:SourceVpc": "a"}, "StringLike": {"aws:SourceVpc": "b*"}})],
        {},
        "implicit_deny",
        ["Statement 1 of mine.json (Allow) does not apply: no request meets all of its conditions."],
    ),
    (
        [allow(resource="arn:aws:s3:::b/${aws:PrincipalTag/team}")],
        {},
        "conditional",
        [
            "Statement 1 of mine.json (Allow) applies to some requests: it depends on the policy variables of its Resource."
        ],
    ),
    (
        [allow("s3:PutObject"), allow("ec2:*", "*"), {**deny(), "Action": "s3:ListBucket"}],
        {},
        "implicit_deny",
        ["No Allow statement in identity policies has the action, only 's3:PutObject' of the same service."],
    ),
    (
        [allow("ec2:*", "*")],
        {"action": "s3:Get*"},
        "implicit_deny",
        ["No Allow statement in identity policies has these actions."],
    ),
    (
        [allow()],
        {"boundary": [allow("ec2:*", "*")], "session": [allow()]},
        "implicit_deny",
        [
            "Statement 1 of mine.json (Allow) applies.",
            "No Allow statement in permissions boundary has the action.",
            "Statement 1 of session policy (Allow) applies.",
        ],
    ),
]


@pytest.mark.parametrize("case", REASONING, ids=lambda case: case[3][0][:70])
def test_reasoning_covers_each_statement(case):
    statements, more, decision, lines = case
    found, explanation = explained(statements, **more)
    assert (found, list(explanation)) == (decision, lines)


def test_one_statement_beyond_the_limit():
    _decision, explanation = explained([allow(resource=f"arn:aws:s3:::c{index}") for index in range(13)])
    assert explanation[-1] == "1 more statement has the action."


def test_combined_storability():
    good = ("good", storability(policy(allow()), "identity"))
    open_one = ("open", storability(policy(allow("s3:Get Object")), "identity"))
    bad = ("bad", storability(policy(allow("s3*:Get")), "identity"))
    assert together([]) == ("yes", [])
    assert together([good]) == ("yes", [])
    answer, rows = together([good, open_one])
    assert (answer, [row["policy"] for row in rows]) == ("unknown", ["open"])
    answer, rows = together([good, open_one, bad])
    assert (answer, [row["policy"] for row in rows]) == ("no", ["bad"])


def test_rejected_policy_is_a_finding():
    (finding,) = refusal_findings([("mine.json", storability(policy(allow("s3*:Get")), "identity"))])
    assert (finding.code, finding.severity) == ("PERMISSION_NOT_STORABLE", "error")
    assert finding.statement == "mine.json: Statement 1"
    assert finding.message == (
        "IAM rejects the document mine.json: Statement 1: the service prefix of the action 's3*:Get' may only have"
        " letters, digits and hyphens."
    )
    (whole,) = refusal_findings([("mine.json", storability("{", "identity"))])
    assert whole.statement == "mine.json"
