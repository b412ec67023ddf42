# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test properties that all policies have, and compare the evaluator with a simple reference evaluator on small policies."""

from __future__ import annotations

import copy
import fnmatch
import itertools
import json
import os
from urllib.parse import quote

from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.canonical import (
    display,
    normalise,
    same_meaning,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.context import (
    UNKNOWN_VALUE,
    Context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.match import (
    Cover,
    Glob,
    tokenize,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import check_policy
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import check_trust
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The number of random documents of each test.
EXAMPLES = int(os.environ.get("SOUNDNESS_EXAMPLES", "150" if os.environ.get("TIER") == "release" else "40"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
KEYS = ("t:one", "t:two")
# The values of a key that the policies in this file distinguish. The empty tuple means that the key is absent.
DOMAIN: tuple[tuple[str, ...], ...] = (("a",), ("ab",), ("b",), ("bb",), ("~",), ())
PATTERNS = ("a", "b", "ab", "a*", "*b", "?", "*", "${t:two}", "${t:one}x")

operators = st.sampled_from(
    [
        prefix + base + suffix
        for base in ("StringEquals", "StringNotEquals", "StringLike", "StringNotLike")
        for prefix in ("", "ForAllValues:", "ForAnyValue:")
        for suffix in ("", "IfExists")
    ]
)
blocks = st.dictionaries(
    operators,
    st.dictionaries(
        st.sampled_from(KEYS), st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2), min_size=1
    ),
    max_size=2,
)
nulls = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(["true", "false"]), min_size=1)


@st.composite
def conditions(draw):
    block = dict(draw(blocks))
    if draw(st.integers(0, 4)) == 0:
        block["Null"] = draw(nulls)
    return block


statements = st.builds(
    lambda effect, action, resource, block: {
        "Effect": effect,
        "Action": action,
        "Resource": resource,
        **({"Condition": block} if block else {}),
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.sampled_from(["s3:GetObject", "s3:*", "S3:get*", "ec2:RunInstances", "*"]),
    st.sampled_from(
        ["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/a", "arn:aws:s3:::c/${t:one}", "arn:aws:s3:::b/${t:one}"]
    ),
    conditions(),
)
policies = st.lists(statements, min_size=1, max_size=3).map(
    lambda given_statements: {"Version": "2012-10-17", "Statement": given_statements}
)
RESOURCE = "arn:aws:s3:::b/a"


def verdict(document, keys=None, resource=RESOURCE):
    layer = Layer("identity", build_rules(parse_policy(document)))
    context = Context(keys or {}, default=UNKNOWN_VALUE)
    return evaluate((layer,), Request("s3:GetObject", resource), context)


def plain_allows(document, keys, action="s3:getobject", resource=RESOURCE):
    """Evaluate a request exactly as AWS documents it. All keys of the request are known."""
    allowed = False
    for statement in document["Statement"]:
        if not plain_matches(statement, "Action", action, lambda value: value.lower()):
            continue
        if not plain_matches(statement, "Resource", resource, lambda value: plain_fill(value, keys)):
            continue
        block = statement.get("Condition", {})
        if all(
            plain_holds(operator, keys[key], values, keys)
            for operator, lines in block.items()
            for key, values in lines.items()
        ):
            if statement["Effect"] == "Deny":
                return False
            allowed = True
    return allowed


def plain_matches(statement, element, text, read):
    """Return whether an element of a statement, such as Action or NotAction, matches a text."""
    name = element if element in statement else f"Not{element}"
    values = statement[name] if isinstance(statement[name], list) else [statement[name]]
    filled = [value for value in map(read, values) if value is not None]
    return any(fnmatch.fnmatchcase(text, value) for value in filled) is (name == element)


def plain_fill(text, keys, pattern=True):
    for key in KEYS:
        name = "${" + key + "}"
        if name in text:
            if len(keys[key]) != 1:
                return None
            value = keys[key][0]
            if pattern:  # * and ? in the value of a variable are not wildcards
                value = value.replace("*", "[*]").replace("?", "[?]")
            text = text.replace(name, value)
    return text


def plain_holds(operator, actual, values, keys):
    if operator == "Null":
        return ("true" if not actual else "false") == values
    quantifier, _, rest = operator.rpartition(":")
    if_exists = rest.endswith("IfExists")
    base = rest.removesuffix("IfExists")
    negated = "Not" in base
    if not actual:
        return if_exists or quantifier == "ForAllValues" or (negated and not quantifier)
    like = "Like" in base
    filled = [text for text in (plain_fill(v, keys, like) for v in values) if text is not None]
    if quantifier:  # set operators ignore empty values
        actual = [value for value in actual if value]
    matched = [
        any(fnmatch.fnmatchcase(value, text) if like else value == text for text in filled)
        for value in actual
    ]
    if quantifier == "ForAllValues":
        return all(result is not negated for result in matched)
    if quantifier == "ForAnyValue":
        return any(result is not negated for result in matched)
    return any(matched) is not negated


def completions():
    for states in itertools.product(DOMAIN, repeat=len(KEYS)):
        yield dict(zip(KEYS, states, strict=True))


@SETTINGS
@given(policies)
def test_known_keys_match_reference_evaluator(document):
    for keys in completions():
        assert (verdict(document, keys).decision == "allowed") is plain_allows(document, keys)


@SETTINGS
@given(policies)
def test_definite_decision_holds_for_all_values(document):
    found = verdict(document)
    answers = {plain_allows(document, keys) for keys in completions()}
    if found.decision == "conditional":
        assert found.conditional_on
    else:
        assert answers == {found.decision == "allowed"}


# Patterns of actions and objects, and all actions and objects that they distinguish.
ACTION_PATTERNS = ("s3:GetObject", "s3:Get*", "s3:Put*", "s3:*", "*")
ACTIONS = ("s3:getobject", "s3:getx", "s3:putobject", "s3:delete")
OBJECT_PATTERNS = (
    "*",
    "a",
    "b",
    "ab",
    "a*",
    "*b",
    "?",
    "??",
    "a*b",
    "?*",
    "${t:one}",
    "${t:one}*",
    "a${t:two}",
)
OBJECTS = tuple(
    "".join(letters) for length in range(5) for letters in itertools.product("abx", repeat=length)
)
wild_statements = st.builds(
    lambda effect, action, actions, resource, objects, block: {
        "Effect": effect,
        action: actions,
        resource: [f"arn:aws:s3:::b/{name}" for name in objects],
        **({"Condition": block} if block else {}),
    },
    st.sampled_from(["Allow", "Allow", "Deny"]),
    st.sampled_from(["Action", "Action", "Action", "NotAction"]),
    st.lists(st.sampled_from(ACTION_PATTERNS), min_size=1, max_size=2),
    st.sampled_from(["Resource", "Resource", "NotResource"]),
    st.lists(st.sampled_from(OBJECT_PATTERNS), min_size=1, max_size=2),
    st.one_of(st.just({}), st.just({}), blocks),
)
wild_policies = st.lists(wild_statements, min_size=1, max_size=4).map(
    lambda given_statements: {"Version": "2012-10-17", "Statement": given_statements}
)
DOMAIN_OF_OBJECTS = (("a",), ("ab",), ("bb",), ())


@SETTINGS
@given(
    st.lists(wild_policies, min_size=1, max_size=2),
    st.sampled_from(["s3:GetObject", "s3:Get*", "s3:*"]),
    st.sampled_from(["*", "a", "a*", "?", "*b", "a*b"]),
)
def test_decision_on_a_wildcard_holds_for_all_its_requests_and_all_values(documents, action, objects):
    layers = [
        Layer(f"layer {number}", build_rules(parse_policy(document)))
        for number, document in enumerate(documents)
    ]
    requested = f"arn:aws:s3:::b/{objects}"
    found = evaluate(layers, Request(action, requested), Context(default=UNKNOWN_VALUE))
    if found.decision == "conditional" and not found.allows_part:
        return
    requests = [
        (name, f"arn:aws:s3:::b/{text}")
        for name in ACTIONS
        for text in OBJECTS
        if fnmatch.fnmatchcase(name, action.lower())
        and fnmatch.fnmatchcase(f"arn:aws:s3:::b/{text}", requested)
    ]
    for states in itertools.product(DOMAIN_OF_OBJECTS, repeat=len(KEYS)):
        keys = dict(zip(KEYS, states, strict=True))
        allowed = [
            all(plain_allows(document, keys, name, resource) for document in documents)
            for name, resource in requests
        ]
        if found.allowed:
            assert all(allowed)
        elif found.denied:
            assert not any(allowed)
        else:
            assert any(allowed)
            assert found.decision == "conditional" or not all(allowed)


@SETTINGS
@given(policies, statements)
def test_adding_a_deny_never_allows_more(document, statement):
    more = copy.deepcopy(document)
    more["Statement"].append({**statement, "Effect": "Deny"})
    original, found = verdict(document), verdict(more)
    assert found.denied or not original.denied
    assert original.allowed or not found.allowed


@SETTINGS
@given(policies, statements)
def test_adding_an_allow_never_allows_less(document, statement):
    more = copy.deepcopy(document)
    more["Statement"].append({**statement, "Effect": "Allow"})
    original, found = verdict(document), verdict(more)
    assert found.allowed or not original.allowed
    assert original.denied or not found.denied


@SETTINGS
@given(policies)
def test_normal_form_is_idempotent_and_keeps_verdict(document):
    normal = normalise(document)
    assert normalise(normal) == normal
    assert same_meaning(document, normal)
    assert same_meaning(document, display(document))
    assert verdict(document).decision == verdict(normal).decision


@SETTINGS
@given(policies, st.randoms(use_true_random=False))
def test_spelling_does_not_change_verdict(document, random):
    other = copy.deepcopy(document)
    random.shuffle(other["Statement"])
    for index, statement in enumerate(other["Statement"]):
        statement["Sid"] = f"S{index}"
        statement["Action"] = [statement["Action"].upper(), statement["Action"]]
    assert same_meaning(document, other)
    assert same_meaning(document, json.dumps(other))
    assert same_meaning(document, quote(json.dumps(other)))
    assert verdict(document).decision == verdict(other).decision


texts = st.text(alphabet="ab", max_size=6)
globs = st.text(alphabet="ab*?", max_size=6)


def glob(text):
    return Glob(tokenize(text, variables=False, wildcards=True))


@SETTINGS
@given(globs, texts)
def test_wildcards_match_fnmatch(pattern, text):
    assert glob(pattern).matches(text) is fnmatch.fnmatchcase(text, pattern)


@SETTINGS
@given(globs, globs, texts)
def test_covering_and_overlapping(first, second, text):
    if glob(first).covers(second, True) is Cover.ALL and glob(second).matches(text):
        assert glob(first).matches(text)
    if glob(first).covers(second, True) is Cover.NONE:
        assert not (glob(first).matches(text) and glob(second).matches(text))


MY_CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
trust_statements = st.builds(
    lambda effect, principal, action, block: {
        "Effect": effect,
        "Principal": principal,
        "Action": action,
        **({"Condition": block} if block else {}),
    },
    st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
    st.sampled_from(
        [
            "*",
            {"AWS": "111122223333"},
            {"Service": "pods.eks.amazonaws.com"},
            {"Service": ["ec2.amazonaws.com", "eks.amazonaws.com"]},
            {"Federated": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.example"},
        ]
    ),
    st.sampled_from(["sts:AssumeRole", "sts:*", ["sts:AssumeRole", "sts:TagSession"], "sts:TagSession"]),
    st.sampled_from(
        [
            {},
            {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "default"}},
            {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "other"}},
            {"StringLike": {"aws:RequestTag/kubernetes-pod-name": "web-*"}},
            {"StringNotEquals": {"aws:SourceAccount": "111122223333"}},
            {"StringEquals": {"aws:SourceOrgId": "${aws:ResourceOrgId}"}},
            {"Bool": {"aws:PrincipalIsAWSService": "true"}},
            {"Null": {"aws:TagKeys": "true"}},
            {"StringEquals": {"sts:ExternalId": "x"}},
            {"StringEquals": {"aws:RequestTag/eks-cluster-arn": MY_CLUSTER}},
            {"StringLike": {"aws:RequestTag/eks-cluster-arn": "arn:aws:eks:*:cluster/my-*"}},
            {"StringEquals": {"aws:RequestTag/eks-cluster-name": "my-cluster"}},
        ]
    ),
)
trusts = st.lists(trust_statements, min_size=1, max_size=3).map(
    lambda given_statements: {"Version": "2012-10-17", "Statement": given_statements}
)
subjects = st.builds(
    Subject,
    cluster_arn=st.sampled_from([None, MY_CLUSTER]),
    namespace=st.sampled_from([None, "default"]),
    service_account=st.sampled_from([None, "my-service-account"]),
    session_tags=st.booleans(),
)


@SETTINGS
@given(trusts, subjects)
def test_suggestion_makes_the_role_usable(document, subject):
    found = check_policy(document, subject)
    if found.verdict.usable != "no":
        assert found.suggestion is None
        return
    assert any(finding.severity == "error" for finding in found.verdict.findings)
    if found.suggestion is not None:
        assert check_trust(found.suggestion.trust_policy, subject).usable == "yes"
        assert found.suggestion.storable.answer != "no"


STRANGERS = [
    Subject(cluster, namespace, name, session_tags=tagged)
    for cluster in (MY_CLUSTER, "arn:aws:eks:us-west-2:111122223333:cluster/other")
    for namespace in ("default", "other")
    for name in ("my-service-account", "other")
    for tagged in (True, False)
]


@SETTINGS
@given(trusts)
def test_suggestion_lets_in_only_the_workload(document):
    workload = STRANGERS[0]
    suggestion = check_policy(document, workload).suggestion
    if suggestion is not None:
        for stranger in STRANGERS[1:]:
            original = check_trust(document, stranger).usable
            assert check_trust(suggestion.trust_policy, stranger).usable == original


@SETTINGS
@given(trusts, subjects)
def test_severities_belong_to_code(document, subject):
    findings = check_trust(document, subject).findings
    assert [found for found in findings if found.severity not in found.code.severities] == []


@SETTINGS
@given(trusts, subjects)
def test_usable_requires_both_actions_together(document, subject):
    found = check_trust(document, subject)
    if found.usable == "yes":
        assert (found.assume_role, found.tag_session) == ("allowed", "allowed")
    if "denied" in (found.assume_role, found.tag_session):
        assert found.usable == "no"
    assert bool(found.conditional_on) is (found.usable == "conditional")
