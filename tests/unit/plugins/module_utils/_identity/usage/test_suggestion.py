# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test suggested policies: they allow every observed call that the present policies allow, and no other call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.usage import UsageForm
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.actions import (
    event_actions,
    is_unseen,
    service_of_source,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.grants import (
    RoleGrants,
    find_grants,
    grant_statements,
    use_request,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.suggestion import (
    LEGACY_VARIABLES,
    NO_CALL,
    NO_USE,
    TOO_WIDE,
    PolicySuggestion,
    SuggestionOptions,
    UsageProof,
    suggest_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.totals import (
    NO_RESOURCE,
    ActionUse,
    fitting_resources,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    Catalogue,
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
    permission_layers,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ROLE = "arn:aws:iam::111122223333:role/my-role"
KEY = "111122223333/my-role"
SUBJECT = Subject(
    cluster_arn="arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    namespace="shop",
    service_account="app",
    role_arn=ROLE,
)
ALL_SEEN = frozenset(("dynamodb", "s3", "sqs"))
TAG = {"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "shop"}}
VPC = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}


@cache
def load() -> Catalogue:
    found = load_catalogue()
    assert found is not None
    return found


@pytest.fixture
def catalogue() -> Catalogue:
    return load()


def statement(action: Any, resource: Any = "*", effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


def policy(*statements: Mapping[str, Any], version: str = "2012-10-17") -> dict[str, Any]:
    return {"Version": version, "Statement": list(statements)}


def grants(*documents: Mapping[str, Any], session: Mapping[str, Any] | None = None) -> RoleGrants:
    return RoleGrants(
        ROLE,
        tuple(NamedPolicy(f"policy-{index}", document) for index, document in enumerate(documents)),
        session=NamedPolicy("session policy", session) if session else None,
        subject=SUBJECT,
    )


def uses(*calls: tuple[str, str]) -> list[ActionUse]:
    found: dict[str, ActionUse] = {}
    for action, resource in calls:
        use = found.setdefault(action, ActionUse(action, KEY))
        use.count += 1
        use.resources[resource] = (1, "2026-11-20T00:00:00Z")
    return list(found.values())


def suggest(
    catalogue: Catalogue,
    role: RoleGrants,
    *calls: tuple[str, str],
    form: UsageForm = "policy",
    generalise: bool = False,
    keep_unseen: bool = True,
    seen: frozenset[str] = ALL_SEEN,
) -> PolicySuggestion:
    return suggest_policy(
        role, uses(*calls), SuggestionOptions(form, generalise, keep_unseen, seen), catalogue
    )


def read_statements(suggestion: PolicySuggestion) -> list[Any]:
    assert suggestion.document is not None, suggestion.notes
    content = suggestion.document["Statement"]
    assert isinstance(content, list)
    return content


A, B = "arn:aws:s3:::data/a", "arn:aws:s3:::data/b"
QUEUE = "arn:aws:sqs:us-west-2:111122223333:queue"
SECRET = "arn:aws:secretsmanager:us-west-2:111122223333:secret"


@pytest.mark.parametrize(
    ("documents", "calls", "expected"),
    [
        pytest.param(
            [policy(statement("s3:*"))],
            [("s3:GetObject", A), ("s3:GetObject", B), ("s3:PutObject", B)],
            [statement(["s3:GetObject"], [A]), statement(["s3:GetObject", "s3:PutObject"], [B])],
            id="resources as seen, grouped by their actions",
        ),
        pytest.param(
            [policy(statement("s3:GetObject", "arn:aws:s3:::data/*", Condition=VPC))],
            [("s3:GetObject", A)],
            [statement(["s3:GetObject"], [A], Condition=VPC)],
            id="conditions are kept",
        ),
        pytest.param(
            [policy(statement("s3:GetObject", Condition=VPC), statement("s3:Get*", "arn:aws:s3:::data/*"))],
            [("s3:GetObject", A)],
            [statement(["s3:GetObject"], [A])],
            id="a statement without conditions includes the others",
        ),
        pytest.param(
            [policy(statement("s3:*"), statement("s3:*", "arn:aws:s3:::secret/*", "Deny", Sid="Never"))],
            [("s3:GetObject", A)],
            [statement(["s3:GetObject"], [A]), statement("s3:*", "arn:aws:s3:::secret/*", "Deny")],
            id="Deny statements are copied",
        ),
        pytest.param(
            [policy(statement("sqs:*", QUEUE), statement("sqs:Send*", f"{QUEUE}-2"))],
            [("sqs:SendMessage", NO_RESOURCE)],
            [statement(["sqs:SendMessage"], [QUEUE, f"{QUEUE}-2"])],
            id="an event without resource keeps the present resources",
        ),
        pytest.param(
            [policy(statement("s3:GetObject", "arn:aws:s3:::${aws:SourceVpc}/*"))],
            [("s3:GetObject", A)],
            [statement(["s3:GetObject"], ["arn:aws:s3:::${aws:SourceVpc}/*"])],
            id="a variable that is unknown is kept",
        ),
        pytest.param(
            [
                policy(
                    statement("s3:GetObject", "arn:aws:s3:::${aws:SourceVpc}/*"),
                    statement("s3:*", Condition=VPC),
                )
            ],
            [("s3:GetObject", A)],
            [
                statement(["s3:GetObject"], ["arn:aws:s3:::${aws:SourceVpc}/*"]),
                statement(["s3:GetObject"], [A], Condition=VPC),
            ],
            id="a variable that is unknown is kept beside a condition",
        ),
        pytest.param(
            [policy(statement("s3:GetObject", "arn:aws:s3:::${aws:PrincipalTag/kubernetes-namespace}/*"))],
            [("s3:GetObject", "arn:aws:s3:::shop/a")],
            [statement(["s3:GetObject"], ["arn:aws:s3:::shop/a"])],
            id="a variable that is known is replaced",
        ),
        pytest.param(
            [policy(statement("s3:GetObject", "arn:aws:s3:::data/*"))],
            [("s3:GetObject", "arn:aws:s3:::data/a${*}b")],
            [statement(["s3:GetObject"], ["arn:aws:s3:::data/a${*}b"])],
            id="wildcards in names are escaped",
        ),
        pytest.param(
            [policy(statement("secretsmanager:GetSecretValue", f"{SECRET}:db-AbCdEf"))],
            [("secretsmanager:GetSecretValue", f"{SECRET}:db-??????")],
            [statement(["secretsmanager:GetSecretValue"], [f"{SECRET}:db-AbCdEf"])],
            id="a pattern that is granted in part keeps the present resources",
        ),
        pytest.param(
            [policy({"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::x"})],
            [("sqs:SendMessage", NO_RESOURCE)],
            [{"Effect": "Allow", "Action": ["sqs:SendMessage"], "NotResource": ["arn:aws:s3:::x"]}],
            id="NotResource is kept",
        ),
        pytest.param(
            [policy(statement(["s3:ListAllMyBuckets", "s3:ListBucket"]))],
            [("s3:ListAllMyBuckets", "*")],
            [statement(["s3:ListAllMyBuckets"], ["*"])],
            id="an action without resources",
        ),
    ],
)
def test_suggested_policy(
    catalogue: Catalogue,
    documents: Sequence[dict[str, Any]],
    calls: Sequence[tuple[str, str]],
    expected: list[dict[str, Any]],
) -> None:
    suggestion = suggest(catalogue, grants(*documents), *calls)
    assert read_statements(suggestion) == expected
    assert suggestion.proof.calls == len(calls)


def test_proof_counts_each_kind_of_call(catalogue: Catalogue) -> None:
    role = grants(
        policy(statement("s3:GetObject", "arn:aws:s3:::data/*"), statement("s3:PutObject", Condition=VPC))
    )
    calls = (
        ("s3:GetObject", A),
        ("s3:GetObject", NO_RESOURCE),
        ("s3:PutObject", A),
        ("sqs:SendMessage", QUEUE),
        ("sqs:ReceiveMessage", NO_RESOURCE),
    )
    suggestion = suggest(catalogue, role, *calls)
    other = (("sqs:SendMessage", QUEUE), ("sqs:ReceiveMessage", NO_RESOURCE))
    assert suggestion.proof == UsageProof(1, 1, 1, other)
    assert suggestion.proof.calls == 5


def test_removed_actions(catalogue: Catalogue) -> None:
    role = grants(
        policy(statement(["s3:GetObject", "s3:PutObject", "sqs:SendMessage"], ["arn:aws:s3:::data/*", QUEUE]))
    )
    suggestion = suggest(catalogue, role, ("s3:GetObject", A), ("sqs:SendMessage", QUEUE))
    assert [(item.pattern, item.unused) for item in suggestion.removed] == [
        ("s3:PutObject", ("s3:PutObject",))
    ]
    [narrowed] = suggestion.narrowed
    assert (narrowed.actions, narrowed.kept_resources) == (("s3:GetObject", "sqs:SendMessage"), (A, QUEUE))


def test_only_statements_that_lose_resources_are_narrowed(catalogue: Catalogue) -> None:
    role = grants(
        policy(statement("s3:GetObject", A), statement("s3:GetObject", [QUEUE, "arn:aws:s3:::more/*"]))
    )
    suggestion = suggest(catalogue, role, ("s3:GetObject", A), ("s3:GetObject", "arn:aws:s3:::more/a"))
    assert [(item.statement.label, item.kept_resources) for item in suggestion.narrowed] == [
        ("Statement 2", ("arn:aws:s3:::more/a",))
    ]


@pytest.mark.parametrize(
    ("keep", "seen", "expected"),
    [
        (True, ALL_SEEN, {"s3:GetObject", "iam:PassRole"}),
        (True, ALL_SEEN - {"sqs"}, {"s3:GetObject", "iam:PassRole", "sqs:SendMessage"}),
        (False, frozenset[str](), {"s3:GetObject"}),
    ],
)
def test_keeps_unseen_actions(
    catalogue: Catalogue, keep: bool, seen: frozenset[str], expected: set[str]
) -> None:
    actions = ["s3:GetObject", "iam:PassRole", "sqs:SendMessage", "sqs:PurgeQueue"]
    role = grants(policy(statement(actions)))
    suggestion = suggest(catalogue, role, ("s3:GetObject", A), keep_unseen=keep, seen=seen)
    assert {action for item in read_statements(suggestion) for action in item["Action"]} == expected
    lost = {action for item in suggestion.removed for action in (*item.unused, *item.unseen)}
    assert lost == set(actions) - expected


def test_keeps_patterns_of_unseen_actions(catalogue: Catalogue) -> None:
    role = grants(policy(statement(["kafka-cluster:*", "s3:GetObject"])))
    suggestion = suggest(catalogue, role, ("s3:GetObject", A))
    assert statement(["kafka-cluster:*"], ["*"]) in read_statements(suggestion)


@pytest.mark.parametrize("wide", [statement("*"), {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}])
def test_pattern_for_all_services_is_not_kept(catalogue: Catalogue, wide: dict[str, Any]) -> None:
    suggestion = suggest(catalogue, grants(policy(wide)), ("s3:GetObject", A))
    [note] = suggestion.notes
    pattern = "*" if "Action" in wide else "all actions except its NotAction"
    example = note.split("such as ")[1].split(". ")[0]
    assert note == TOO_WIDE.format(
        policy="policy-0", statement="Statement 1", pattern=pattern, example=example
    )
    assert read_statements(suggestion) == [statement(["s3:GetObject"], [A])]


def test_generalises_only_on_request_within_the_granted_pattern(catalogue: Catalogue) -> None:
    role = grants(
        policy(
            statement("s3:GetObject", ["arn:aws:s3:::data/*", "arn:aws:s3:::more/a", "arn:aws:s3:::more/b"])
        )
    )
    more = ("arn:aws:s3:::more/a", "arn:aws:s3:::more/b")
    calls = [("s3:GetObject", resource) for resource in (A, B, *more)]
    seen = suggest(catalogue, role, *calls)
    assert read_statements(seen) == [statement(["s3:GetObject"], [A, B, *more])]
    wide = suggest(catalogue, role, *calls, generalise=True)
    assert read_statements(wide) == [statement(["s3:GetObject"], ["arn:aws:s3:::data/*", *more])]
    assert wide.proof == UsageProof(4)


def test_session_policy(catalogue: Catalogue) -> None:
    """Check that a session policy omits the conditions of the role's policy, and includes calls that it does not allow."""
    role = grants(policy(statement("s3:*", Condition=VPC), statement("s3:*", "arn:aws:s3:::x", "Deny")))
    suggestion = suggest(
        catalogue, role, ("s3:GetObject", A), ("sqs:SendMessage", QUEUE), form="session_policy"
    )
    assert read_statements(suggestion) == [
        statement(["s3:GetObject"], [A]),
        statement(["sqs:SendMessage"], [QUEUE]),
    ]
    assert suggestion.proof == UsageProof(0, 1, 0, (("sqs:SendMessage", QUEUE),))


def test_new_session_policy_keeps_the_limits_of_the_present_one(catalogue: Catalogue) -> None:
    session = policy(statement("s3:*", Condition=VPC), statement("s3:*", "arn:aws:s3:::x", "Deny"))
    role = grants(policy(statement("*")), session=session)
    suggestion = suggest(catalogue, role, ("s3:GetObject", A), form="session_policy")
    assert read_statements(suggestion) == [
        statement(["s3:GetObject"], [A], Condition=VPC),
        statement("s3:*", "arn:aws:s3:::x", "Deny"),
    ]


def test_no_policy_without_use(catalogue: Catalogue) -> None:
    suggestion = suggest(catalogue, grants(policy(statement("sqs:PurgeQueue"))))
    assert (suggestion.document, suggestion.notes) == (None, (NO_CALL,))


def test_no_policy_for_calls_that_the_role_does_not_allow(catalogue: Catalogue) -> None:
    suggestion = suggest(catalogue, grants(policy(statement("sqs:PurgeQueue"))), ("s3:GetObject", A))
    assert (suggestion.document, suggestion.notes) == (None, (NO_USE,))


def test_no_policy_from_legacy_variables(catalogue: Catalogue) -> None:
    role = grants(policy(statement("s3:*", "arn:aws:s3:::${x}"), version="2008-10-17"))
    suggestion = suggest(catalogue, role, ("s3:GetObject", A))
    assert suggestion.document is None
    assert suggestion.notes == (LEGACY_VARIABLES.format(policy="policy-0"),)


def test_reports_excess_size(catalogue: Catalogue) -> None:
    calls = [("s3:GetObject", f"arn:aws:s3:::data/{index:0100d}") for index in range(100)]
    suggestion = suggest(catalogue, grants(policy(statement("s3:*"))), *calls)
    assert suggestion.refusals
    assert "6,144" in suggestion.refusals[0]


RESOURCES = (A, B, "arn:aws:s3:::data/sub/c", "arn:aws:s3:::other/a", "arn:aws:s3:::a${*}c/d")
ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
PATTERNS = (
    "*",
    "arn:aws:s3:::data/*",
    "arn:aws:s3:::data/a",
    "arn:aws:s3:::*/a",
    "arn:aws:s3:::${aws:SourceVpc}/*",
)
STATEMENTS = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(["Allow", "Allow", "Allow", "Deny"]),
        "Action": st.lists(
            st.sampled_from([*ACTIONS, "s3:*", "s3:Get*", "s3:P?tObject"]), min_size=1, max_size=2
        ),
    },
    optional={"Condition": st.sampled_from([TAG, VPC, {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}])},
).flatmap(
    lambda item: st.tuples(
        st.sampled_from(["Resource", "Resource", "NotResource"]),
        st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2),
    ).map(lambda pair: {**item, pair[0]: pair[1]})
)
POLICIES = st.lists(STATEMENTS, min_size=1, max_size=4).map(lambda items: policy(*items))
CALLS = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.sampled_from([*RESOURCES, NO_RESOURCE, "arn:aws:s3:::data/*"])),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(POLICIES, min_size=1, max_size=2),
    st.none() | POLICIES,
    CALLS,
    st.sampled_from(["policy", "session_policy"]),
    st.booleans(),
)
def test_suggestion_keeps_observed_calls_and_adds_none(
    documents: list[dict[str, Any]],
    session: dict[str, Any] | None,
    calls: list[tuple[str, str]],
    form: UsageForm,
    generalise: bool,
) -> None:
    role = grants(*documents, session=session)
    suggestion = suggest(load(), role, *calls, form=form, generalise=generalise)
    if suggestion.document is None:
        # There is no suggestion if the role allows none of the calls. A failed proof would be an error in this collection.
        assert not any("would not allow" in note for note in suggestion.notes), suggestion.notes
        return
    suggested = NamedPolicy("suggested", suggestion.document)
    layers = (
        permission_layers((suggested,), None, role.session)
        if form == "policy"
        else permission_layers(role.identity, None, suggested)
    )
    rank = {"explicit_deny": 0, "implicit_deny": 0, "conditional": 1, "allowed": 2}
    for action, resource in calls:
        if resource != NO_RESOURCE and (action, resource) not in suggestion.proof.elsewhere:
            old_rank = rank[role.decision(action, resource)]
            new_rank = rank[evaluate(layers, use_request(action, resource), role.context).decision]
            assert new_rank >= old_rank or "/*" in resource
    for action in ACTIONS:
        for resource in RESOURCES:
            old_rank = rank[role.decision(action, resource)]
            new_rank = rank[evaluate(layers, use_request(action, resource), role.context).decision]
            assert new_rank <= old_rank, (action, resource, suggestion.document)


@pytest.mark.parametrize(
    ("source", "name", "variant", "actions"),
    [
        ("s3", "GetObject", "", ("s3:GetObject",)),
        ("s3", "GetObject", "version", ("s3:GetObjectVersion",)),
        ("s3", "HeadObject", "version", ("s3:GetObjectVersion",)),
        ("s3", "ListObjectsV2", "", ("s3:ListBucket",)),
        ("s3", "ListBuckets", "", ("s3:ListAllMyBuckets",)),
        ("s3", "PutObject", "acl+tagging", ("s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging")),
        ("s3", "CopyObject (source)", "", ("s3:GetObject",)),
        ("s3", "GetBucketEncryption", "", ("s3:GetEncryptionConfiguration",)),
        ("lambda", "Invoke", "", ("lambda:InvokeFunction",)),
        ("lambda", "GetFunction20150331v2", "", ("lambda:GetFunction",)),
        ("cloudfront", "CreateInvalidation2020_05_31", "", ("cloudfront:CreateInvalidation",)),
        ("monitoring", "PutMetricData", "", ("cloudwatch:PutMetricData",)),
        ("kms", "ReEncrypt", "", ("kms:ReEncryptFrom", "kms:ReEncryptTo")),
        ("sqs", "SendMessageBatch", "", ("sqs:SendMessage",)),
        ("sts", "AssumeRole", "", ("sts:AssumeRole",)),
        ("dynamodb", "ExecuteStatement", "", ()),
        ("dynamodb", "TransactWriteItems", "", ()),
        ("s3", "GetObject20150331", "", ()),
        ("no-such-service", "GetObject", "", ()),
        ("s3", "*", "", ()),
        ("s3", "", "", ()),
    ],
)
def test_event_has_its_actions(
    catalogue: Catalogue, source: str, name: str, variant: str, actions: tuple[str, ...]
) -> None:
    assert event_actions(f"{source}.amazonaws.com", name, variant, catalogue) == actions


def test_all_actions_of_the_tables_exist(catalogue: Catalogue) -> None:
    from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage import actions

    tables = (actions._DATA, actions._UNRECORDED)
    table_actions = {
        f"{service}:{name}" for table in tables for service, names in table.items() for name in names
    }
    mapped = {action for found in actions._ACTIONS.values() for action in found}
    every = table_actions | mapped | set(actions._VERSIONED.values()) | set(actions._FURTHER.values())
    missing = {name for name in every if not name.endswith(":*") and catalogue.spelling(name) != name}
    assert missing == set()
    assert all(catalogue.service_actions(name) for table in tables for name in table)
    # A name that is also an action needs no row, and such a row would hide a mistake.
    assert {name for name in actions._ACTIONS if catalogue.spelling(name)} == set()


@pytest.mark.parametrize(
    ("action", "seen", "unseen"),
    [
        ("s3:GetObject", frozenset[str](), True),
        ("s3:GetObject", frozenset(("s3",)), False),
        ("s3:ListAllMyBuckets", frozenset[str](), False),
        ("iam:PassRole", ALL_SEEN, True),
        ("kafka-cluster:Connect", ALL_SEEN, True),
        ("kms:Decrypt", frozenset[str](), False),
    ],
)
def test_action_may_be_unseen(action: str, seen: frozenset[str], unseen: bool) -> None:
    assert is_unseen(action, seen) == unseen


def test_event_source_has_its_service() -> None:
    assert service_of_source("monitoring.amazonaws.com") == "cloudwatch"


@pytest.mark.parametrize(
    ("action", "arns", "resources"),
    [
        ("s3:GetObject", (A, "arn:aws:s3:::data"), [A]),
        ("s3:ListBucket", (A, "arn:aws:s3:::data"), ["arn:aws:s3:::data"]),
        ("s3:ListAllMyBuckets", (A,), ["*"]),
        ("s3:GetObject", ("*",), [NO_RESOURCE]),
        ("s3:GetObject", (), [NO_RESOURCE]),
        ("sqs:SendMessage", (A,), [NO_RESOURCE]),
    ],
)
def test_fitting_resources(
    catalogue: Catalogue, action: str, arns: tuple[str, ...], resources: list[str]
) -> None:
    assert fitting_resources(action, arns, catalogue) == resources


@pytest.mark.parametrize(
    ("granted", "pattern", "counts"),
    [
        (statement("s3:GetObject"), "s3:GetObject", (1, 0, 0)),
        (statement("s3:getobject"), "s3:getobject", (1, 0, 0)),
        (statement("sqs:Purge*"), "sqs:Purge*", (0, 1, 0)),
        (statement("iam:PassRole"), "iam:PassRole", (0, 0, 1)),
        (statement("no-such:Action"), "no-such:Action", (0, 1, 0)),
    ],
)
def test_grants(
    catalogue: Catalogue, granted: dict[str, Any], pattern: str, counts: tuple[int, int, int]
) -> None:
    found = grant_statements([NamedPolicy("p", policy(granted))])
    [grant] = find_grants(found, {"s3:GetObject"}, ALL_SEEN, catalogue)
    assert grant.pattern == pattern
    assert (len(grant.used), len(grant.unused), len(grant.unseen)) == counts


def test_grant_of_all_actions_counts_unused_actions(catalogue: Catalogue) -> None:
    found = grant_statements([NamedPolicy("p", policy(statement("*"), statement("s3:*", effect="Deny")))])
    [grant] = find_grants(found, {"s3:GetObject"}, ALL_SEEN, catalogue)
    assert grant.used == ("s3:GetObject",)
    assert len(grant.unused) > 10_000
