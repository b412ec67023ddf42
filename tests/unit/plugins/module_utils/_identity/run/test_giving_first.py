# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run creates replacements before it removes permissions, even if a request fails or the run ends early."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import (
    Interrupted,
    stoppable,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    attachment_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.purge import run_with_purge
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    REGION,
    Clock,
    FakeAws,
    create_policy,
    desired,
    document,
    engine,
    policy,
    policy_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    BUSY,
    READS,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DENIED = classify("test:Injected", "AccessDenied", "not authorized")
LOST = BUSY.amended(BUSY.text, outcome_unknown=True)
POLICIES = ("one", "two", "three")
ACTIONS = ("s3:GetObject", "sqs:SendMessage", "kms:Decrypt")
PLACES = [("default", "app"), ("default", "web"), ("batch", "app")]
Place = tuple[str, str, str]
Access = set[tuple[Place, str]]


class Watched(FakeAws):
    """A fake AWS that records in ``missing`` the actions in ``floor`` that workloads may not perform after a request."""

    def __init__(self) -> None:
        super().__init__()
        self.floor: Access = set()
        self.missing: list[tuple[str, Access]] = []

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return super().call(service, operation, parameters)
        finally:
            if missing := self.floor - access(self):
                self.missing.append((operation, missing))


def access(aws: FakeAws, ignored: Collection[str] = ()) -> Access:
    """Return the actions that each workload may perform, by its association, its role's trust policy and the attached policies.

    The policies with the ARNs ``ignored`` do not count.
    """
    allowed: Access = set()
    for association in aws.eks.associations.values():
        role = aws.iam.roles.get(association["roleArn"].split("/")[-1].lower())
        if role is None or not any(allows(statement, association) for statement in trust_statements(role)):
            continue
        place = _place(association)
        for arn in set(role["attached"]).difference(ignored):
            for statement in default_document(aws, arn)["Statement"]:
                allowed |= {
                    (place, action) for action in statement["Action"] if _in_session(action, association)
                }
    return allowed


def default_document(aws: FakeAws, arn: str) -> Any:
    found = aws.iam.policies[arn]
    return found["versions"][found["default"]]


def unlisted_changes(aws: FakeAws, spec: Desired, documents: Mapping[str, Any]) -> set[str]:
    """Return the ARNs of attached policies whose document has changed, although no workload of their role lists them.

    A role can keep such a policy, for example because its users cannot be listed. Other lists then decide about the document of
    the policy, so its permissions are not guaranteed to the users of this role.
    """
    listed: set[tuple[str, str]] = {
        (workload.role.name, policy_arn(listed_policy.name))
        for workload in spec.workloads
        for listed_policy in workload.policies
    }
    return {
        arn
        for name, role in aws.iam.roles.items()
        for arn in role["attached"]
        if (name, arn) not in listed and default_document(aws, arn) != documents.get(arn)
    }


def _place(association: Mapping[str, Any]) -> Place:
    return association["clusterName"], association["namespace"], association["serviceAccount"]


def _in_session(action: str, association: Mapping[str, Any]) -> bool:
    policy = association.get("policy")
    return not policy or any(action in statement["Action"] for statement in json.loads(policy)["Statement"])


def trust_statements(role: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(role["trust"])["Statement"]
    return statements


def allows(statement: Mapping[str, Any], association: Mapping[str, Any]) -> bool:
    context = {"aws:SourceAccount": ACCOUNT}
    if not association["disableSessionTags"]:
        context |= {
            "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{association['clusterName']}",
            "aws:RequestTag/kubernetes-namespace": association["namespace"],
            "aws:RequestTag/kubernetes-service-account": association["serviceAccount"],
        }
    equals = statement.get("Condition", {}).get("StringEquals", {})
    return all(
        context.get(key) in (value if isinstance(value, list) else [value]) for key, value in equals.items()
    )


def statements(*actions: str) -> dict[str, Any]:
    """Return a policy document with an Allow statement for each action."""
    parts = [document(action)["Statement"][0] for action in actions]
    return {"Version": "2012-10-17", "Statement": parts}


@st.composite
def lists(draw: Callable[..., Any]) -> Desired:
    """Draw up to three workloads, which may share managed roles and policies. Each policy allows random actions."""
    documents = {
        name: statements(*draw(st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True)))
        for name in POLICIES
    }
    workloads = []
    for namespace, service_account in draw(st.lists(st.sampled_from(PLACES), min_size=1, unique=True)):
        chosen = draw(st.lists(st.sampled_from(POLICIES), max_size=2, unique=True))
        raw = workload(
            service_account,
            namespace,
            role={"name": draw(st.sampled_from(["blue", "green"]))},
            policies=[{"name": name, "document": documents[name]} for name in chosen],
            disable_session_tags=draw(st.sampled_from([None, None, False, True])),
        )
        workloads.append(raw)
    return desired(
        *workloads,
        trust_scope=draw(st.sampled_from([None, None, "namespace", "cluster", "account"])),
        purge_policies=draw(st.booleans()),
    )


@st.composite
def moves(draw: Callable[..., Any]) -> Desired:
    """Draw one or two workloads without session tags, each with one or two policies and a role that trusts the account."""
    documents = {
        name: statements(*draw(st.lists(st.sampled_from(ACTIONS), min_size=1, unique=True)))
        for name in POLICIES[:2]
    }
    workloads = [
        workload(
            service_account,
            role={"name": draw(st.sampled_from(["blue", "green"])), "trust_scope": "account"},
            policies=[
                {"name": name, "document": documents[name]}
                for name in draw(st.lists(st.sampled_from(POLICIES[:2]), min_size=1, unique=True))
            ],
            disable_session_tags=True,
            session_policy=draw(st.sampled_from([None, "", statements(*ACTIONS[:2])])),
        )
        for service_account in ("app", "web")
    ]
    return desired(*workloads[: draw(st.sampled_from([1, 2, 2]))], purge_policies=draw(st.booleans()))


def _attempt(aws: FakeAws, spec: Desired, purge: bool) -> None:
    # The injected error may fail a read that every run needs; then the run raises the error.
    with contextlib.suppress(AwsError):
        if purge:
            run_with_purge(engine(aws, spec), spec, PurgeScope(limit=9), check_mode=False)
        else:
            run(aws, spec)


def identifiers(aws: FakeAws) -> dict[Place, str]:
    return {_place(association): name for name, association in aws.eks.associations.items()}


def disturb(initial: Desired, spec: Desired, purge: bool) -> None:
    """Fail one request at a time, and lose the response of one write at a time.

    After each request, because a run may be killed there, check that every workload has the actions that both the old and the
    desired state allow.
    """
    aws = Watched()
    _attempt(aws, initial, purge=False)
    old, backup, initial_identifiers = access(aws), aws.backup(), identifiers(aws)
    documents = {arn: default_document(aws, arn) for arn in aws.iam.policies}
    sent = len(aws.requests)
    _attempt(aws, spec, purge)
    ended = len(aws.requests)
    # A purge may need another run for resources that the first run has released.
    for _ in range(2):
        _attempt(aws, spec, purge)
    requests = [name for name, _parameters in aws.requests[sent:ended]]
    # EKS removes a session policy only if the association is replaced. Until then the workload has no association, as
    # docs/ownership.md describes. At the end of a run the association exists again.
    replaced = {
        place
        for place, identifier in identifiers(aws).items()
        if initial_identifiers.get(place, identifier) != identifier
    }
    guaranteed = old & access(aws, ignored=unlisted_changes(aws, spec, documents))
    aws.floor = {access_ for access_ in guaranteed if access_[0] not in replaced}
    reads = [number for number, name in enumerate(requests, 1) if name.split(":")[1].startswith(READS)]
    writes = [number for number, _name in enumerate(requests, 1) if number not in reads]
    disturbances: list[tuple[AwsError, bool]] = [(DENIED, False), (BUSY, False), (LOST, True)]
    aws.restore(backup)
    _attempt(aws, spec, purge)
    assert aws.missing == []
    for number in range(1, len(requests) + 1):
        for error, late in disturbances if number in writes else disturbances[:1]:
            aws.restore(backup)
            aws.fail_at(number, error, late)
            _attempt(aws, spec, purge)
            assert aws.missing == [], (requests[number - 1], error.code, late)
            assert guaranteed <= access(aws), (requests[number - 1], error.code, late)
    for name in sorted(set(requests)):
        aws.restore(backup)
        aws.clear_faults()
        aws.fail_on(name, *[DENIED] * 20)
        _attempt(aws, spec, purge)
        assert aws.missing == [], f"{name} is denied"
        assert guaranteed <= access(aws), f"{name} is denied"


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(SLOW, max_examples=15)
@given(initial=lists(), spec=lists(), purge=st.booleans())
def test_shared_permissions_are_never_lost(initial: Desired, spec: Desired, purge: bool) -> None:
    disturb(initial, spec, purge)


@settings(SLOW, max_examples=25)
@given(initial=moves(), spec=moves(), purge=st.booleans())
def test_moved_statements_are_never_lost(initial: Desired, spec: Desired, purge: bool) -> None:
    disturb(initial, spec, purge)


def workloads_of_roles(**roles: tuple[str, dict[str, str]]) -> Desired:
    """Return workloads by name, each with a role and policies. A policy is a text with a letter for each allowed action."""
    letters = dict(zip("skt", ("s3:GetObject", "kms:Decrypt", "sqs:SendMessage"), strict=True))
    return desired(
        *(
            workload(
                name,
                role={"name": role},
                policies=[
                    {"name": policy_name, "document": statements(*(letters[letter] for letter in allowed))}
                    for policy_name, allowed in policies.items()
                ],
            )
            for name, (role, policies) in roles.items()
        )
    )


@pytest.mark.parametrize(
    ("initial", "spec"),
    [
        pytest.param(
            workloads_of_roles(app=("blue", {"one": "sk", "two": "t"})),
            workloads_of_roles(app=("blue", {"one": "st", "two": "k"})),
            id="two documents exchange statements",
        ),
        pytest.param(
            workloads_of_roles(app=("blue", {"one": "sk"}), web=("blue", {"one": "sk"})),
            workloads_of_roles(app=("blue", {"one": "s"}), web=("green", {"two": "k"})),
            id="a workload leaves with a removed statement",
        ),
        pytest.param(
            workloads_of_roles(app=("blue", {"one": "sk"}), web=("blue", {"one": "sk"})),
            workloads_of_roles(app=("blue", {"one": "st"}), web=("green", {"two": "k"})),
            id="a workload leaves a policy that gains a statement",
        ),
        pytest.param(
            workloads_of_roles(app=("blue", {"one": "sk"}), web=("green", {"one": "sk"})),
            workloads_of_roles(app=("blue", {"two": "k"}), web=("green", {"one": "s"})),
            id="a policy that loses a statement is detached from a role",
        ),
        pytest.param(
            workloads_of_roles(app=("blue", {"one": "s"}), web=("green", {"one": "s"})),
            workloads_of_roles(app=("blue", {"one": "k"}), web=("blue", {"two": "s", "one": "k"})),
            id="a policy is exchanged while a role is left by its last workload",
        ),
        pytest.param(
            workloads_of_roles(app=("green", {"one": "t", "two": "s"})),
            workloads_of_roles(app=("green", {"one": "s"}), web=("green", {"one": "s", "two": "st"})),
            id="a statement moves to a policy that another workload lists",
        ),
        pytest.param(
            workloads_of_roles(app=("blue", {"two": "st"}), web=("green", {"one": "s"})),
            desired(
                workload("app", role={"name": "green"}, policies=[], disable_session_tags=True),
                workload(
                    "web",
                    role={"name": "blue"},
                    policies=[{"name": "one", "document": statements("sqs:SendMessage")}],
                ),
            ),
            id="a workload joins a role that keeps an unlisted policy",
        ),
    ],
)
@pytest.mark.parametrize("purge", [False, True])
def test_listed_moves_never_lose_permissions(initial: Desired, spec: Desired, purge: bool) -> None:
    disturb(initial, spec, purge)


def rows(failures: tuple[Failure, ...]) -> list[tuple[str, str, str, str]]:
    return [
        (" ".join(map(str, failure.workloads)), failure.target.label, failure.error_code, failure.message)
        for failure in failures
    ]


@pytest.mark.parametrize("operation", ["iam:CreatePolicy", "iam:AttachRolePolicy"])
def test_policy_is_kept_until_its_replacement_is_attached(operation: str) -> None:
    aws = FakeAws()
    run(aws, desired(workload(policies=[policy("old")])))
    aws.fail_on(operation, DENIED)
    outcome = run(aws, desired(workload(policies=[policy("new")])))
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("old")]
    assert "iam:DetachRolePolicy" not in aws.writes
    remaining = [row for row in rows(outcome.failures) if row[1].endswith("policy/old")]
    code = "SKIPPED" if operation == "iam:CreatePolicy" else "AccessDenied"
    assert remaining == [
        (
            "default/app",
            f"attachment my-role {policy_arn('old')}",
            "SKIPPED",
            f"not done, because creating the attachment of policy {policy_arn('new')} to role my-role failed ({code}). "
            "Until the run succeeds, the resource is not changed.",
        )
    ]


def test_failed_replacement_in_the_plan_keeps_the_policy_of_a_shared_role() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one", policies=[policy("old")]), workload("two", policies=[])))
    create_policy(aws, "new", "kms:Decrypt")
    outcome = run(aws, desired(workload("one", policies=[policy("new")]), workload("two", policies=[])))
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("old")]
    assert [(row[0], row[2]) for row in rows(outcome.failures)] == [
        ("default/one", "NOT_OWNED"),
        ("default/one", "SKIPPED"),
    ]
    assert outcome.failures[1].message == (
        f"not done: it depends on the attachment of policy {policy_arn('new')} to role my-role, which is unchanged because of "
        "other failures."
    )


def moved(aws: FakeAws) -> Desired:
    """Create two workloads that share a role. Return a desired state in which one of them has another role."""
    run(aws, desired(workload("one"), workload("two")))
    return desired(workload("one"), workload("two", role={"name": "other"}))


def test_role_trusts_a_workload_until_its_association_changes() -> None:
    aws = FakeAws()
    outcome = run(aws, moved(aws))
    assert outcome.failures == ()
    assert aws.writes[-2:] == ["eks:UpdatePodIdentityAssociation", "iam:UpdateAssumeRolePolicy"]
    assert "two" not in aws.iam.roles["my-role"]["trust"]


@pytest.mark.parametrize(
    "operation", ["iam:CreateRole", "iam:AttachRolePolicy", "eks:UpdatePodIdentityAssociation"]
)
def test_role_trusts_a_workload_after_a_failed_move(operation: str) -> None:
    aws = FakeAws()
    spec = moved(aws)
    aws.fail_on(operation, DENIED)
    outcome = run(aws, spec)
    assert "two" in aws.iam.roles["my-role"]["trust"]
    remaining = [failure for failure in outcome.failures if failure.target.resource == "trust_policy"]
    assert [(str(*failure.workloads), failure.error_code) for failure in remaining] == [
        ("default/two", "SKIPPED")
    ]
    assert remaining[0].message.endswith(" Until the run succeeds, the resource is not changed.")
    assert run(aws, spec).failures == ()
    assert "two" not in aws.iam.roles["my-role"]["trust"]


def test_trust_policies_widen_before_they_narrow() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two", role={"name": "other"})))
    outcome = run(aws, desired(workload("one", role={"name": "other"}), workload("two")))
    assert outcome.failures == ()
    trusts = [
        (request["RoleName"], "one" in request["PolicyDocument"], "two" in request["PolicyDocument"])
        for request in aws.parameters("iam:UpdateAssumeRolePolicy")
    ]
    assert trusts == [
        ("my-role", True, True),
        ("other", True, True),
        ("my-role", False, True),
        ("other", True, False),
    ]


def test_interim_trust_policy_keeps_other_grants() -> None:
    """Check that a wide statement does not replace the statements of other workloads, because it may be removed later."""
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two"), workload("unlisted")))
    spec = desired(workload("one"), workload("two", role={"name": "other"}), trust_scope="namespace")
    aws.fail_on("eks:UpdatePodIdentityAssociation", *[DENIED] * 9)
    run(aws, spec)
    assert "unlisted" in aws.iam.roles["my-role"]["trust"]
    aws.clear_faults()
    assert run(aws, spec).failures == ()
    assert "unlisted" in aws.iam.roles["my-role"]["trust"]


def test_too_long_interim_trust_policy_fails() -> None:
    aws = FakeAws()
    other = {"name": "other"}
    names_of_roles = [[f"service-account-{role}-{number}" for number in range(50)] for role in ("one", "two")]
    first, second = names_of_roles
    run(aws, desired(*map(workload, second), *(workload(name, role=other) for name in first)))
    spec = desired(*map(workload, first), *(workload(name, role=other) for name in second))
    outcome = run(aws, spec)
    assert outcome.done == ()
    assert {(failure.error_code, failure.message, failure.remedy) for failure in outcome.failures} == {
        (
            "TRUST_POLICY_TOO_LONG",
            f"the trust policy of role {name} would have 2924 characters while it allows the users of both the present and "
            "the desired trust policy; 2048 are allowed.",
            "Let workloads leave the role in one run and others join it in the next, use a wider trust_scope for "
            "this role, or request an increase of the quota 'Role trust policy length'.",
        )
        for name in ("other", "my-role")
    }


FULL = classify("test:Injected", "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")
LISTED = [policy(f"p{number}") for number in range(10)]


def full_role(*successors: str, aws: FakeAws | None = None) -> tuple[FakeAws, Desired]:
    """Create a role with ten policies, which is the quota. Return a desired state that replaces the first policies with
    ``successors``."""
    aws = aws or FakeAws()
    run(aws, desired(workload(policies=LISTED)))
    aws.requests.clear()
    return aws, desired(workload(policies=[*map(policy, successors), *LISTED[len(successors) :]]))


def attached(aws: FakeAws) -> list[str]:
    return sorted(arn.split("/")[-1] for arn in aws.iam.roles["my-role"]["attached"])


def attachments(aws: FakeAws) -> list[str]:
    """Return the requests that attach or detach a policy, such as "Attach p1"."""
    return [
        f"{name.split(':')[1].removesuffix('RolePolicy')} {parameters['PolicyArn'].split('/')[-1]}"
        for name, parameters in aws.requests
        if name in ("iam:AttachRolePolicy", "iam:DetachRolePolicy")
    ]


def test_swap_on_a_full_role_is_one_change() -> None:
    aws, spec = full_role("new")
    outcome = run(aws, spec)
    assert outcome.failures == ()
    (swap,) = [done.change for done in outcome.done if done.change.target.resource == "attachment"]
    assert (swap.action, swap.target, swap.before, swap.after) == (
        "replace",
        attachment_target("my-role", policy_arn("new")),
        {"role": "my-role", "policy": policy_arn("p0")},
        {"role": "my-role", "policy": policy_arn("new")},
    )
    assert run(aws, spec).done == ()


def test_swap_tests_both_attachments_before_the_detachment() -> None:
    """IAM checks the permission before the quota, so a quota error shows that the caller may attach the policy."""
    aws, spec = full_role("a-new", "z-new")
    run(aws, spec)
    assert attachments(aws) == [
        *("Attach a-new", "Attach p0", "Detach p0", "Attach a-new"),
        *("Attach z-new", "Attach p1", "Detach p1", "Attach z-new"),
    ]


def test_denied_attachment_stops_at_the_first_swap() -> None:
    aws, spec = full_role("a-new", "b-new", "c-new")
    initial = attached(aws)
    aws.fail_on("iam:AttachRolePolicy", *[DENIED] * 20)
    outcome = run(aws, spec)
    assert (attached(aws), attachments(aws)) == (initial, ["Attach a-new"])
    assert [
        (failure.target.policy_arn, failure.error_code, failure.message) for failure in outcome.failures
    ] == [
        (
            policy_arn("a-new"),
            "AccessDenied",
            f"test:Injected: not authorized. {policy_arn('p0')} is still attached: it is detached only after a proof that both "
            "policies can be attached.",
        ),
        *(
            (
                policy_arn(name),
                "SKIPPED",
                f"not done, because creating the attachment of policy {policy_arn('a-new')} to role my-role failed "
                "(AccessDenied).",
            )
            for name in ("b-new", "c-new")
        ),
    ]
    assert not any(failure.partly for failure in outcome.failures)
    aws.clear_faults()
    assert run(aws, spec).failures == ()


def test_policy_without_permission_to_attach_is_not_detached() -> None:
    """Check that the run does not detach a policy that it could not attach again: the permission may depend on the policy."""
    aws, spec = full_role("new")
    initial = attached(aws)
    aws.fail_on("iam:AttachRolePolicy", FULL, DENIED)
    (failure,) = run(aws, spec).failures
    assert (attached(aws), attachments(aws)) == (initial, ["Attach new", "Attach p0"])
    assert failure.error_code == "AccessDenied"
    assert failure.message.startswith(
        f"test:Injected: not authorized. {policy_arn('p0')} is still attached: "
    )


def test_rejected_attachment_restores_the_policy() -> None:
    aws, spec = full_role("a-new", "b-new", "c-new")
    # The first replacement succeeds. In the second one, the caller has the permissions, but the attachment fails.
    granted = iter([FULL, None, None, FULL, None, DENIED])
    attach = aws.iam.AttachRolePolicy

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if error := next(granted, None):
            raise error
        return attach(parameters)

    aws.replace("iam:AttachRolePolicy", answer)
    outcome = run(aws, spec)
    assert attached(aws) == ["a-new", *(f"p{number}" for number in range(1, 10))]
    refused, skipped = outcome.failures
    assert (refused.target.policy_arn, refused.error_code, refused.partly) == (
        policy_arn("b-new"),
        "AccessDenied",
        False,
    )
    assert refused.message == (
        f"test:Injected: not authorized. {policy_arn('p1')} was detached to make room for the new policy, and "
        "was attached again."
    )
    assert (skipped.target.policy_arn, skipped.error_code) == (policy_arn("c-new"), "SKIPPED")
    assert [done.change.target.policy_arn for done in outcome.done if done.change.action == "replace"] == [
        policy_arn("a-new")
    ]


def test_failed_restoration_is_reported() -> None:
    aws, spec = full_role("new")
    aws.fail_on("iam:AttachRolePolicy", FULL, FULL, DENIED, DENIED)
    (failure,) = run(aws, spec).failures
    assert attached(aws) == [f"p{number}" for number in range(1, 10)]
    assert failure.partly
    assert failure.message == (
        f"test:Injected: not authorized. {policy_arn('p0')} was detached to make room for the new policy, and "
        "could not be attached "
        "again: test:Injected: not authorized."
    )


def test_swap_waits_for_a_late_quota_count() -> None:
    aws, spec = full_role("new")
    aws.fail_on("iam:AttachRolePolicy", FULL, FULL, FULL, FULL)
    clock = Clock()
    assert run(aws, spec, clock=clock).failures == ()
    assert "new" in attached(aws)
    assert clock.pauses[:2] == [0.5, 1]


def test_concurrent_attachment_is_reported_with_the_missing_policy() -> None:
    aws, spec = full_role("new")
    detach = aws.iam.DetachRolePolicy

    def detach_and_fill(parameters: Mapping[str, Any]) -> dict[str, Any]:
        detach(parameters)
        aws.iam.roles["my-role"]["attached"].append("arn:aws:iam::aws:policy/Foreign")
        return {}

    aws.replace("iam:DetachRolePolicy", detach_and_fill)
    (failure,) = run(aws, spec).failures
    assert (failure.error_code, failure.partly) == ("LimitExceeded", True)
    assert (
        f"{policy_arn('p0')} was detached to make room for the new policy, and could not be attached again"
        in failure.message
    )


def test_swap_on_a_role_with_room_attaches_before_the_detachment() -> None:
    """Raise the quota of the account. Then the request that tests the permission already attaches the new policy."""
    aws, spec = full_role("new")
    attach = aws.iam.AttachRolePolicy

    def roomy(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if len(aws.iam.roles["my-role"]["attached"]) == 10:
            aws.iam.roles["my-role"]["attached"].append(parameters["PolicyArn"])
            return {}
        return attach(parameters)

    aws.replace("iam:AttachRolePolicy", roomy)
    assert run(aws, spec).failures == ()
    assert attachments(aws) == ["Attach new", "Detach p0"]
    assert attached(aws) == ["new", *(f"p{number}" for number in range(1, 10))]


def test_denied_detachment_on_a_role_with_room_is_partial() -> None:
    aws, spec = full_role("new")
    aws.replace("iam:AttachRolePolicy", lambda _parameters: {})
    aws.fail_on("iam:DetachRolePolicy", DENIED)
    (failure,) = run(aws, spec).failures
    assert failure.partly
    assert failure.message == (
        "test:Injected: not authorized. Done before the failure: iam:AttachRolePolicy."
    )


def test_swap_of_a_detached_policy_attaches_its_replacement() -> None:
    aws, spec = full_role("new")
    aws.before_request(
        "iam:DetachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].remove(policy_arn("p0"))
    )
    assert run(aws, spec).failures == ()
    assert "new" in attached(aws)


def test_concurrently_filled_role_is_planned_again() -> None:
    """Attach a policy by hand during the run. The first plan only attaches a policy; the second plan must first detach another
    one."""
    aws = FakeAws()
    run(aws, desired(workload(policies=LISTED[:9])))
    arn = create_policy(aws, "foreign")
    aws.before_request("iam:AttachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].append(arn))
    spec = desired(workload(policies=[policy("new"), *LISTED[1:9]]))
    aws.requests.clear()
    assert run(aws, spec).failures == ()
    assert attachments(aws) == ["Attach new", "Attach new", "Attach p0", "Detach p0", "Attach new"]
    assert attached(aws) == ["foreign", "new", *(f"p{number}" for number in range(1, 9))]


def test_permanently_filled_role_fails_for_its_quota() -> None:
    aws = FakeAws()
    run(aws, desired(workload(policies=LISTED[:9])))
    arn = create_policy(aws, "foreign")
    aws.before_request("iam:AttachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].append(arn))
    (failure,) = run(aws, desired(workload(policies=LISTED))).failures
    assert failure.error_code == "ROLE_POLICIES_OVER_QUOTA"


class Stepped(FakeAws):
    """A fake AWS that records the state after each request. At one request, it runs an action or starts to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, tuple[Any, ...]]] = []
        self.fault_number = 0
        self.action: Callable[[], object] | None = None
        self.lasting: AwsError | None = None
        self.failing = ""
        self.state_now = self.backup()

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if len(self.steps) + 1 == self.fault_number:
            self.failing = operation if self.lasting else ""
            if self.action is not None:
                self.action()
        try:
            if operation == self.failing and self.lasting is not None:
                raise self.lasting
            return super().call(service, operation, parameters)
        finally:
            if not operation.startswith(READS) or not self.steps:
                self.state_now = self.backup()
            self.steps.append((operation, self.state_now))

    def begin(self, state: tuple[Any, ...]) -> None:
        """Restore a state, and remove all faults."""
        self.restore(state)
        self.clear_faults()
        self.steps.clear()
        self.fault_number, self.action, self.lasting, self.failing = 0, None, None, ""


def full_role_with_three_swaps() -> tuple[Stepped, Desired]:
    """Create a role with ten policies and three unattached policies. Return a desired state that replaces three of the ten."""
    aws = Stepped()
    _, spec = full_role(*THREE, aws=aws)
    run(aws, spec)
    aws.iam.roles["my-role"]["attached"] = [policy_arn(f"p{number}") for number in range(10)]
    return aws, spec


THREE = ("a-new", "b-new", "c-new")
SWAPPED = [*THREE, *(f"p{number}" for number in range(3, 10))]


def missing(state: tuple[Any, ...]) -> int:
    """Return the number of replacements for which neither the old nor the new policy is attached."""
    present = set(state[0]["my-role"]["attached"])
    return sum(
        present.isdisjoint((policy_arn(f"p{number}"), policy_arn(name))) for number, name in enumerate(THREE)
    )


@pytest.mark.parametrize(
    ("error", "how"),
    [
        *((error, how) for error in (DENIED, BUSY, FULL, LOST) for how in ("once", "to the end")),
        (LOST, "after it took effect"),
    ],
    ids=lambda value: value.code if isinstance(value, AwsError) else value,
)
def test_swaps_never_miss_more_than_one_policy(error: AwsError, how: str) -> None:
    """Fail one request at a time. If all later attachments fail as well, one policy may be missing, and must be reported."""
    aws, spec = full_role_with_three_swaps()
    backup = aws.backup()
    aws.begin(backup)
    run(aws, spec)
    operations = [operation for operation, _state in aws.steps]
    for number, operation in enumerate(operations, 1):
        if operation.startswith(READS):
            continue
        aws.begin(backup)
        if how == "to the end":
            aws.fault_number, aws.lasting = number, error
        else:
            aws.fail_at(number, error, how == "after it took effect")
        failures: tuple[Failure, ...] = ()
        with contextlib.suppress(AwsError):
            failures = run(aws, spec).failures
        assert max(missing(state) for _operation, state in aws.steps) <= 1, (number, operation)
        remaining = missing(aws.backup())
        assert remaining <= (how == "to the end"), (number, operation)
        assert remaining <= sum(failure.partly for failure in failures), (number, operation)
        aws.begin(aws.backup())
        assert run(aws, spec).failures == (), (number, operation)
        assert attached(aws) == SWAPPED


def test_rerun_completes_a_run_killed_during_a_swap() -> None:
    aws, spec = full_role_with_three_swaps()
    aws.begin(aws.backup())
    run(aws, spec)
    remaining = list(aws.steps)
    assert sorted({missing(state) for _operation, state in remaining}) == [0, 1]
    for operation, state in remaining:
        aws.begin(state)
        assert run(aws, spec).failures == (), operation
        assert attached(aws) == SWAPPED


def test_signal_does_not_interrupt_a_swap() -> None:
    aws, spec = full_role_with_three_swaps()
    backup = aws.backup()
    aws.begin(backup)
    run(aws, spec)
    count = len(aws.steps)
    ends = set()
    for number in range(1, count + 1):
        aws.begin(backup)
        with stoppable() as stop, contextlib.suppress(Interrupted):
            aws.fault_number, aws.action = number, partial(stop.end, "SIGTERM")
            run(aws, spec)
        assert missing(aws.backup()) == 0, number
        ends.add(len([name for name in attached(aws) if name in THREE]))
    assert ends == {0, 1, 2, 3}


def test_policy_keeps_a_statement_until_its_new_policy_is_attached() -> None:
    shrinking = {"name": "both", "document": {"Version": "2012-10-17", "Statement": []}}
    first, second = (document(action)["Statement"][0] for action in ("s3:GetObject", "sqs:SendMessage"))
    wide = {**shrinking, "document": {"Version": "2012-10-17", "Statement": [first, second]}}
    narrow = {**shrinking, "document": {"Version": "2012-10-17", "Statement": [first]}}
    aws = Watched()
    run(aws, desired(workload(policies=[wide])))
    aws.floor = access(aws)
    spec = desired(workload(policies=[narrow, policy("moved", "sqs:SendMessage")]))
    aws.fail_on("iam:AttachRolePolicy", DENIED)
    outcome = run(aws, spec)
    assert [failure.target.display for failure in outcome.failures if failure.error_code == "SKIPPED"] == [
        f"policy {policy_arn('both')}"
    ]
    assert run(aws, spec).failures == ()
    assert aws.missing == []
    assert run(aws, spec).done == ()
