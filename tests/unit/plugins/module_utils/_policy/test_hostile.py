# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that documents which are slow to evaluate get a verdict or a located error in limited time."""

from __future__ import annotations

import itertools
import json
import sys

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    Subject,
    pod_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.canonical import (
    normalise,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
    parse_policy,
    to_json,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.match import (
    Glob,
    tokenize,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    Required,
    check_permission,
    permission_layers,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck))
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


def nested(depth):
    inner: object = "x"
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def cyclic():
    document: dict[str, object] = {"Version": "2012-10-17"}
    document["Statement"] = [document]
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[" * 100_000, "nested more than 32 levels deep"),
        ('{"a":' * 20_000, "nested more than 32 levels deep"),
        ('{"a":' * 300_000, "the document has 1,500,000 characters; the maximum is 400,000"),
        ("%7B" * 100_000, "not JSON"),
        ('{"Statement": ' + "[" * 32 + "]" * 32 + "}", "nested more than 32 levels deep"),
        ('{"Statement": ' + "[" * 31 + "]" * 31 + "}", "Statement 1: must be an object, got a list"),
        ({"Statement": nested(30)}, "Statement 1: unknown element 'a'"),
        ({"Statement": nested(31)}, "nested more than 32 levels deep"),
        ({"Statement": nested(100_000)}, "nested more than 32 levels deep"),
        (cyclic(), "nested more than 32 levels deep"),
        ({"Statement": ["x" * 2_000_000]}, "the document has too many characters; the maximum is 400,000"),
        ({"Statement": [0] * 199_995}, "Statement 1: must be an object, got a number"),
        ({"Statement": [0] * 199_996}, "the document has too many characters; the maximum is 400,000"),
        ({"Statement": {1: 2}}, "the key 1 must be text"),
        ('{"Version": ' + "9" * 5_000 + "}", "a number has more than 4,000 digits"),
        ('{"Statement": "\\ud800"}', "Statement 1: must be an object, got text"),
        ("\x00{}", "not JSON"),
    ],
    ids=range(17),
)
def test_rejects_large_documents(document, message):
    with pytest.raises(PolicyError, match=message):
        parse_policy(document)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 20_000, "a" * 5_000),
        ("a?" * 5_000 + "b", "a" * 10_000),
        ("*" + "a?" * 2_000 + "b*", "a" * 10_000),
        ("*" * 100_000 + "b", "a" * 100_000),
        ("?*" * 10_000 + "b", "a" * 30_000),
    ],
    ids=["stars", "question marks", "one long chunk", "a run of stars", "alternating"],
)
def test_many_wildcards_take_bounded_time(pattern, text):
    assert Glob(tokenize(pattern, variables=True, wildcards=True)).matches(text) is False


NAMESPACE = "aws:RequestTag/kubernetes-namespace"


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {NAMESPACE: "*a" * 150_000}},
        {"StringLike": {NAMESPACE: "*" + "a?" * 150_000 + "b*"}},
        {"StringEqualsIgnoreCase": {NAMESPACE: ["a" * 150_000, "b" * 150_000]}},
        {"StringLike": {NAMESPACE: [f"${{aws:RequestTag/kubernetes-pod-name}}*{n}" for n in range(4_000)]}},
        {"ArnLike": {"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:*:*:cluster/" + "*a" * 100_000}},
    ],
    ids=["stars", "a long chunk", "letter case", "variables", "an ARN"],
)
def test_long_patterns_are_conditional(condition):
    document = {"Version": "2012-10-17", "Statement": {**TRUST, "Condition": condition}}
    found = check_trust(document, Subject())
    assert found.usable == "conditional"
    (keys,) = condition.values()
    assert set(keys) <= set(found.conditional_on)


def test_no_suggestion_for_long_trust_policy():
    further = {**TRUST, "Sid": "A", "Principal": {"Service": "ec2.amazonaws.com"}}
    found = check_policy({"Version": "2012-10-17", "Statement": [further] * 4_000}, Subject())
    assert (found.verdict.usable, found.storable.answer, found.suggestion) == ("no", "no", None)


@pytest.mark.parametrize("number", [10**5000, -(10**5000)], ids=["positive", "negative"])
def test_rejects_integer_with_many_digits(number):
    statement = {**TRUST, "Condition": {"NumericEquals": {"sts:DurationSeconds": number}}}
    with pytest.raises(PolicyError, match=r"^a number has more than 4,000 digits$"):
        parse_policy({"Version": "2012-10-17", "Statement": statement}, "trust")


def test_many_dollar_signs_take_bounded_time():
    assert len(tokenize("${" * 60_000, variables=True, wildcards=True)) == 1


def test_many_statements_with_many_unknown_keys_get_a_verdict():
    statements = [
        {
            **TRUST,
            "Effect": "Deny" if number % 3 else "Allow",
            "Condition": {
                "StringNotLike": {f"aws:ResourceTag/k{number % 17}": [f"*{number}*", "a?b*"]},
                "StringLike": {f"aws:ResourceTag/k{(number + 5) % 17}": f"*{number}${{aws:ResourceTag/z}}*"},
            },
        }
        for number in range(120)
    ]
    found = check_trust({"Version": "2012-10-17", "Statement": statements}, Subject())
    assert found.usable in ("no", "conditional")


def test_contradictions_over_many_keys_are_bounded():
    pairs = itertools.combinations([f"t:k{number}" for number in range(12)], 2)
    statements = [
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {first: f"${{{second}}}"}},
        }
        for first, second in pairs
    ]
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}, *statements],
    }
    found = check_permission(
        permission_layers([NamedPolicy("p", document)]), Required("s3:GetObject"), pod_context()
    )
    assert found.decision == "conditional"


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
elements = st.sampled_from(
    [
        "Version",
        "Statement",
        "Sid",
        "Effect",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Principal",
        "NotPrincipal",
        "Condition",
        "Id",
    ]
)
statements = st.dictionaries(
    elements, anything | st.sampled_from(["Allow", "Deny", "*", "s3:*", {"AWS": "*"}]), max_size=6
)
documents = st.dictionaries(elements, anything | st.lists(statements, max_size=3), max_size=4) | anything


@SETTINGS
@given(documents, st.sampled_from(["identity", "trust"]))
def test_any_document_is_parsed_or_rejected(document, kind):
    try:
        parsed = parse_policy(document, kind)
    except PolicyError:
        return
    assert normalise(document, kind) == normalise(parsed, kind)
    assert parse_policy(to_json(document), kind).statements == parsed.statements


@SETTINGS
@given(st.text(max_size=200) | st.text(alphabet='{}[]":,aStatement% ', max_size=200))
def test_any_text_is_parsed_or_rejected(text):
    with pytest.raises(PolicyError):
        parse_policy(text)


@SETTINGS
@given(anything)
def test_any_condition_value_is_parsed_or_rejected(value):
    document = {"Version": "2012-10-17", "Statement": {**TRUST, "Condition": {"StringLike": value}}}
    try:
        found = check_trust(document, Subject())
    except PolicyError as error:
        message = str(error)
    else:
        message = f"Statement 1: Condition is {found.usable}"
        json.dumps(found.as_dict())
    assert message.startswith("Statement 1: Condition")


def test_recursion_limit_is_unchanged():
    limit = sys.getrecursionlimit()
    with pytest.raises(PolicyError):
        parse_policy("[" * 50_000)
    assert sys.getrecursionlimit() == limit


def test_many_large_policies_are_refused():
    resources = [f"arn:aws:s3:::b/*{number}*a*" for number in range(4_000)]
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": resources}
    document = to_json({"Version": "2012-10-17", "Statement": statement})
    with pytest.raises(PolicyError) as caught:
        permission_layers([NamedPolicy(f"p{number}", document) for number in range(10)])
    assert str(caught.value) == (
        f"10 policies have {10 * len(document):,} characters together; the maximum is 400,000"
    )
