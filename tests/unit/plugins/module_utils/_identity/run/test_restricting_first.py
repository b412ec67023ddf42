# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restrictions are written before grants, and lifted after grants were taken away: at no moment does a session have a permission
that neither the old nor the new state gives it, whatever write fails, and wherever a run ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    given_policy,
    policy_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    BUSY,
    READS,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.test_giving_first import (
    lets_in,
    trust_of,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

DENIED = classify("test:Injected", "AccessDenied", "not authorized")
ACTIONS = ("s3:GetObject", "sqs:SendMessage", "kms:Decrypt")
POLICIES = ("one", "two", "three")
ROLES = ("blue", "green")
# Permissions: service account and action.
Access = set[tuple[str, str]]
Actions = frozenset[str]
# Permissions boundaries that the account has, the widest first.
BOUNDARIES: Mapping[str, tuple[str, ...]] = {"wide": ACTIONS[:2], "narrow": ACTIONS[:1]}


def statements(document: Mapping[str, Any], effect: str) -> set[str]:
    return {
        action
        for statement in document["Statement"]
        if statement["Effect"] == effect
        for action in statement["Action"]
    }


def access(aws: FakeAws) -> Access:
    """By the association, the trust policy of its role, what is attached to that, its boundary and the session policy."""
    allowed: Access = set()
    for association in aws.eks.associations.values():
        role = aws.iam.roles.get(association["roleArn"].split("/")[-1].lower())
        if role is None or not any(
            one["Effect"] == "Allow" and lets_in(one, association) for one in trust_of(role)
        ):
            continue
        documents = [document_of(aws, arn) for arn in role["attached"]]
        actions = {action for document in documents for action in statements(document, "Allow")}
        actions -= {action for document in documents for action in statements(document, "Deny")}
        limits = [document_of(aws, role["boundary"])] if role["boundary"] else []
        limits += [json.loads(association["policy"])] if association.get("policy") else []
        for limit in limits:
            actions &= statements(limit, "Allow")
        allowed |= {(association["serviceAccount"], action) for action in actions}
    return allowed


def document_of(aws: FakeAws, arn: str) -> Mapping[str, Any]:
    held = aws.iam.policies[arn]
    document: Mapping[str, Any] = held["versions"][held["default"]]
    return document


class Ceiling(FakeAws):
    """Looks at what every workload is allowed to do after each request."""

    def __init__(self) -> None:
        super().__init__()
        self.most: Access | None = None
        self.exceeding: list[tuple[str, Access]] = []
        for name, actions in BOUNDARIES.items():
            given_policy(self, name, *actions)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return super().call(service, operation, parameters)
        finally:
            if self.most is not None and (more := access(self) - self.most):
                self.exceeding.append((operation, more))


def attempt(aws: FakeAws, wanted: Desired) -> None:
    # A read that everything depends on may fail.
    with contextlib.suppress(AwsError):
        run(aws, wanted)


def disturb(before: Desired, wanted: Desired, reads_fail: bool = True) -> None:
    """Run it with each request failing, and each write lost."""
    aws = Ceiling()
    attempt(aws, before)
    old, backup = access(aws), aws.backup()
    sent = len(aws.requests)
    attempt(aws, wanted)
    requests = [name for name, _parameters in aws.requests[sent:]]
    attempt(aws, wanted)
    aws.most = old | access(aws)
    disturbances: list[tuple[AwsError, bool]] = [(DENIED, False), (BUSY, False), (BUSY, True)]
    aws.restore(backup)
    attempt(aws, wanted)
    assert aws.exceeding == []
    for number, name in enumerate(requests, 1):
        reads = name.split(":")[1].startswith(READS)
        for error, late in disturbances[:reads_fail] if reads else disturbances:
            aws.restore(backup)
            aws.fail_at(number, error, late)
            attempt(aws, wanted)
            assert aws.exceeding == [], (name, error.code, late)
    for name in sorted(set(requests)):
        if name.split(":")[1].startswith(READS) and not reads_fail:
            continue
        aws.restore(backup)
        aws.heal()
        aws.fail_on(name, *[DENIED] * 20)
        attempt(aws, wanted)
        assert aws.exceeding == [], f"{name} is denied"


@dataclass(frozen=True, slots=True)
class State:
    """A list of workloads. ``policies`` has by name the allowed and denied actions; ``listed`` has by service account its
    policies, ``sessions`` its session policy."""

    roles: Mapping[str, str]
    policies: Mapping[str, tuple[Actions, Actions]]
    listed: Mapping[str, Actions]
    sessions: Mapping[str, Actions | None]
    boundaries: Mapping[str, str | None]
    scope: str
    tags: bool

    def desired(self) -> Desired:
        rows = []
        for service_account, role in self.roles.items():
            boundary = self.boundaries[role]
            session = self.sessions[service_account]
            spec = {"name": role, "trust_scope": self.scope}
            spec["permissions_boundary"] = policy_arn(boundary) if boundary else ""
            more: dict[str, Any] = {}
            if not self.tags:
                more = {"disable_session_tags": True, "session_policy": content(session) if session else ""}
            policies = [
                {"name": name, "document": content(*self.policies[name])}
                for name in sorted(self.listed[service_account])
            ]
            rows.append(workload(service_account, role=spec, policies=policies, **more))
        return desired(*rows)


def content(allowed: Iterable[str], denied: Iterable[str] = ()) -> dict[str, Any]:
    """A document with a statement for each action."""
    listed = [("Allow", action) for action in sorted(allowed)] + [
        ("Deny", action) for action in sorted(denied)
    ]
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": [action], "Resource": "*"} for effect, action in listed],
    }


def some(of: Iterable[str], least: int = 0) -> st.SearchStrategy[Actions]:
    names = sorted(of)
    return st.frozensets(st.sampled_from(names), min_size=least) if names else st.just(frozenset())


def none_or(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | of


@st.composite
def pairs(draw: Callable[..., Any], joining: bool = True) -> tuple[State, State]:
    """A state, and one in which grants have only become more, and restrictions too."""
    tags = draw(st.booleans())
    names = draw(st.lists(st.sampled_from(["app", "web", "job"]), min_size=1, unique=True))
    roles = {name: draw(st.sampled_from(ROLES)) for name in names}
    old_policies, new_policies = {}, {}
    for name in POLICIES:
        # Of two policies that each allow what the other one denies, neither can be attached first.
        only_denies = draw(st.booleans())
        allowed, denied = (
            (frozenset[str](), draw(some(ACTIONS, 1)))
            if only_denies
            else (draw(some(ACTIONS, 1)), frozenset[str]())
        )
        new_policies[name] = (allowed, denied)
        old_policies[name] = (draw(some(allowed, bool(allowed))), draw(some(denied, bool(denied))))
    listed = {name: draw(some(POLICIES)) for name in names}
    # One boundary in the place of another counts as a restriction, whatever it allows.
    boundary = draw(st.sampled_from(sorted(BOUNDARIES)))
    bounded = {role: sorted(draw(st.tuples(st.booleans(), st.booleans()))) for role in ROLES}
    sessions = {name: draw(none_or(some(ACTIONS, 1))) for name in names}
    scope = draw(st.sampled_from(["workload", "namespace", "cluster"])) if tags else "account"
    new = State(
        roles,
        new_policies,
        listed,
        sessions,
        {role: boundary if bounded[role][1] else None for role in ROLES},
        scope,
        tags,
    )
    present = draw(st.lists(st.sampled_from(names), min_size=1, unique=True)) if joining else names
    wider = draw(some(ACTIONS))
    old = State(
        {name: role for name, role in roles.items() if name in present},
        old_policies,
        {name: draw(some(listed[name])) for name in names},
        {
            name: session | wider if session and draw(st.booleans()) else None
            for name, session in sessions.items()
        },
        {role: boundary if bounded[role][0] else None for role in ROLES},
        draw(st.sampled_from([scope, "cluster"])) if tags else scope,
        tags,
    )
    return old, new


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


NONE: Actions = frozenset()
DECRYPT, BOTH = frozenset({"kms:Decrypt"}), frozenset({"kms:Decrypt", "s3:GetObject"})
# Found by chance: the policy whose Deny becomes wider cannot be read.
UNREAD_DENY = tuple(
    State(
        roles,
        {"one": (NONE, denied), "two": (DECRYPT, NONE), "three": (allowed, NONE)},
        {"app": frozenset({"one"}), "web": NONE, "job": listed},
        dict.fromkeys(("app", "web", "job")),
        dict.fromkeys(ROLES),
        "account",
        False,
    )
    for roles, denied, allowed, listed in (
        ({"app": "blue"}, DECRYPT, DECRYPT, NONE),
        (dict.fromkeys(("app", "web", "job"), "blue"), BOTH, BOTH, frozenset({"three"})),
    )
)


@settings(SLOW, max_examples=40)
@given(pair=pairs())
@example(pair=UNREAD_DENY)
def test_no_grant_comes_before_a_restriction(pair: tuple[State, State]) -> None:
    old, new = pair
    disturb(old.desired(), new.desired())


@settings(SLOW, max_examples=40)
@given(pair=pairs(joining=False))
def test_no_restriction_is_lifted_before_grants_are_taken(pair: tuple[State, State]) -> None:
    new, old = pair
    disturb(old.desired(), new.desired(), reads_fail=False)


@settings(SLOW, max_examples=40)
@given(first=pairs(joining=False), second=pairs(joining=False))
def test_documents_that_allow_and_deny_other_actions_never_allow_more_between(
    first: tuple[State, State], second: tuple[State, State]
) -> None:
    (_, old), (_, new) = first, second
    disturb(old.desired(), replace(old, policies=new.policies).desired(), reads_fail=False)


def listed(
    policies: Mapping[str, tuple[str, str]] | None = None, names: Iterable[str] = ("app",), **more: Any
) -> Desired:
    """Workloads that share a role. ``policies`` has by name the first letters of the allowed and denied actions."""
    letters = dict(zip("sqk", ACTIONS, strict=True))
    documents = [
        {
            "name": name,
            "document": content(map(letters.__getitem__, allowed), map(letters.__getitem__, denied)),
        }
        for name, (allowed, denied) in (policies or {"one": ("s", "")}).items()
    ]
    role = {"name": "blue", **more.pop("role", {})}
    roles = more.pop("roles", {})
    options = {name: more.pop(name) for name in ("purge_policies", "force") if name in more}
    return desired(
        *(workload(name, role=roles.get(name, role), policies=documents, **more) for name in names), **options
    )


NARROW = {"permissions_boundary": policy_arn("narrow")}
GREEN = {"name": "green"}
UNTAGGED = {"role": {"trust_scope": "account"}, "disable_session_tags": True}
READ_ONLY = content(["s3:GetObject"])


@pytest.mark.parametrize(
    ("before", "wanted", "operation", "refused"),
    [
        pytest.param(
            listed(),
            listed({"one": ("s", ""), "two": ("q", "")}, role=NARROW),
            "iam:PutRolePermissionsBoundary",
            "update of role blue",
            id="a boundary, and a policy is attached",
        ),
        pytest.param(
            listed(),
            listed({"one": ("sq", "")}, role=NARROW),
            "iam:PutRolePermissionsBoundary",
            "update of role blue",
            id="a boundary, and a document allows more",
        ),
        pytest.param(
            listed(),
            listed({"one": ("s", ""), "two": ("sqk", ""), "zero": ("s", "k")}),
            "iam:AttachRolePolicy",
            f"attach of attachment blue {policy_arn('zero')}",
            id="a policy that denies is attached, and one that allows",
        ),
        pytest.param(
            listed({"one": ("s", ""), "two": ("q", "")}),
            listed({"one": ("s", "k"), "two": ("qk", "")}),
            "iam:CreatePolicyVersion",
            f"update of policy {policy_arn('one')}",
            id="a document denies more, and another one allows it",
        ),
        pytest.param(
            listed(**UNTAGGED),
            listed({"one": ("s", ""), "two": ("q", "")}, session_policy=READ_ONLY, **UNTAGGED),
            "eks:UpdatePodIdentityAssociation",
            "update of association default/app",
            id="a session policy, and a policy is attached",
        ),
        pytest.param(
            listed(role={"trust_scope": "cluster"}),
            listed({"one": ("s", ""), "two": ("q", "")}),
            "iam:UpdateAssumeRolePolicy",
            "update of trust_policy blue",
            id="a narrower trust policy, and a policy is attached",
        ),
    ],
)
def test_a_grant_does_not_follow_a_restriction_that_is_refused(
    before: Desired, wanted: Desired, operation: str, refused: str
) -> None:
    aws = Ceiling()
    run(aws, before)
    attached = list(aws.iam.roles["blue"]["attached"])
    old, backup = access(aws), aws.backup()
    assert run(aws, wanted).failures == ()
    aws.most = old | access(aws)
    aws.restore(backup)
    aws.fail_on(operation, *[DENIED] * 20)
    made = run(aws, wanted)
    assert aws.exceeding == []
    assert access(aws) == old
    assert aws.iam.roles["blue"]["attached"] == attached
    skipped = [failure.message for failure in made.failures if failure.error_code == "SKIPPED"]
    assert f"not done, because the {refused} failed (AccessDenied)." in skipped
    aws.heal()
    assert run(aws, wanted).failures == ()
    assert run(aws, wanted).done == ()


def test_a_grant_waits_for_a_trust_policy_that_an_association_still_needs() -> None:
    """One workload leaves the role, which then becomes narrower, and only then gets a policy."""
    aws = Ceiling()
    both = ("app", "web")
    run(aws, listed(names=both))
    wanted = listed({"one": ("s", ""), "two": ("q", "")}, names=both, roles={"web": GREEN})
    sent = len(aws.requests)
    made = run(aws, wanted)
    assert made.failures == ()
    writes = [
        (name.split(":")[1], asked.get("RoleName", ""), str(asked.get("PolicyArn", "")).rpartition("/")[2])
        for name, asked in aws.requests[sent:]
        if name in aws.writes
    ]
    assert writes == [
        ("CreatePolicy", "", ""),
        ("CreateRole", "green", ""),
        ("AttachRolePolicy", "green", "one"),
        ("AttachRolePolicy", "green", "two"),
        ("UpdatePodIdentityAssociation", "", ""),
        ("UpdateAssumeRolePolicy", "blue", ""),
        ("AttachRolePolicy", "blue", "two"),
    ]


def test_a_grant_is_left_out_while_a_workload_could_not_leave_the_role() -> None:
    aws = Ceiling()
    both = ("app", "web")
    run(aws, listed(names=both))
    aws.fail_on("eks:UpdatePodIdentityAssociation", DENIED)
    made = run(aws, listed({"one": ("s", ""), "two": ("q", "")}, names=both, roles={"web": GREEN}))
    assert aws.iam.roles["blue"]["attached"] == [policy_arn("one")]
    assert "web" in aws.iam.roles["blue"]["trust"]
    assert {
        (str(failure.workloads[0]), failure.target.label, failure.error_code) for failure in made.failures
    } == {
        ("default/web", "association default/web", "AccessDenied"),
        ("default/web", "trust_policy blue", "SKIPPED"),
        ("default/app", f"attachment blue {policy_arn('two')}", "SKIPPED"),
    }


@pytest.mark.parametrize(
    ("before", "wanted", "operation"),
    [
        pytest.param(
            listed({"one": ("sq", ""), "two": ("s", "q")}),
            listed({"one": ("s", "")}),
            "iam:CreatePolicyVersion",
            id="a policy that denies leaves, and a document allows less",
        ),
        pytest.param(
            listed({"one": ("sq", "q"), "two": ("q", "")}),
            listed({"one": ("sq", "")}),
            "iam:DetachRolePolicy",
            id="a document denies less, and a policy leaves",
        ),
        pytest.param(
            listed({"one": ("s", ""), "two": ("q", "")}, role=NARROW),
            listed({"one": ("s", "")}, role={"permissions_boundary": ""}),
            "iam:DetachRolePolicy",
            id="a boundary goes, and a policy leaves",
        ),
        pytest.param(
            listed({"one": ("s", ""), "two": ("q", "")}, session_policy=READ_ONLY, **UNTAGGED),
            listed({"one": ("s", "")}, session_policy="", purge_policies=True, force=True, **UNTAGGED),
            "iam:DetachRolePolicy",
            id="a session policy goes, and a policy leaves",
        ),
    ],
)
def test_a_restriction_is_not_lifted_while_a_grant_could_not_be_taken(
    before: Desired, wanted: Desired, operation: str
) -> None:
    aws = Ceiling()
    run(aws, before)
    old, backup = access(aws), aws.backup()
    assert run(aws, wanted).failures == ()
    aws.most = old | access(aws)
    aws.restore(backup)
    aws.fail_on(operation, *[DENIED] * 20)
    made = run(aws, wanted)
    assert aws.exceeding == []
    assert [failure for failure in made.failures if failure.error_code == "SKIPPED"]
    aws.heal()
    assert run(aws, wanted).failures == ()
    assert run(aws, wanted).done == ()


def test_a_grant_does_not_follow_where_a_restriction_is_not_even_planned() -> None:
    """The policy that denies cannot be made: one of the name is there, and was not made here."""
    aws = Ceiling()
    run(aws, listed())
    given_policy(aws, "zero", "s3:GetObject")
    both = desired(
        workload("app", role={"name": "blue"}, policies=[{"name": "one", "document": content(ACTIONS[:1])}]),
        workload(
            "web",
            role={"name": "blue"},
            policies=[
                {"name": "two", "document": content(ACTIONS)},
                {"name": "zero", "document": content(ACTIONS[:1], ACTIONS[1:])},
            ],
        ),
    )
    made = run(aws, both)
    assert aws.iam.roles["blue"]["attached"] == [policy_arn("one")]
    assert [failure.error_code for failure in made.failures if failure.target.name == policy_arn("zero")] == [
        "POLICY_NOT_OWNED"
    ]


def test_a_document_that_denies_and_allows_alone_changes_at_once() -> None:
    aws = Ceiling()
    run(aws, listed())
    sent = len(aws.writes)
    assert run(aws, listed({"one": ("sq", "k")})).failures == ()
    assert aws.writes[sent:] == ["iam:CreatePolicyVersion"]
