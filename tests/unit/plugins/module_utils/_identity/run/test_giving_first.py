# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Nothing is taken away before what replaces it is there, whatever fails, and wherever a run ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import run_with_purge
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    OTHER_CLUSTER,
    REGION,
    Clock,
    FakeAws,
    desired,
    document,
    engine,
    given_policy,
    policy,
    policy_arn,
    run,
    run_fleet,
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
    """Looks at what every workload is allowed to do after each request."""

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


def access(aws: FakeAws) -> Access:
    """Who is allowed what: by the association, the trust policy of its role, and what is attached to that."""
    allowed: Access = set()
    for association in aws.eks.associations.values():
        role = aws.iam.roles.get(association["roleArn"].split("/")[-1].lower())
        if role is None or not any(lets_in(statement, association) for statement in trust_of(role)):
            continue
        place = _place(association)
        for arn in role["attached"]:
            found = aws.iam.policies[arn]
            for statement in found["versions"][found["default"]]["Statement"]:
                allowed |= {
                    (place, action) for action in statement["Action"] if _in_session(action, association)
                }
    return allowed


def asked_for(wanted: Desired) -> Access:
    """What the workloads' own policies give. A role that is shared gives more, which its other users asked for: where their
    cluster cannot be read, nobody does."""
    return {
        ((workload.key.cluster, workload.key.namespace, workload.key.service_account), action)
        for workload in wanted.workloads
        for spec in workload.policies
        for statement in (spec.document or {})["Statement"]
        for action in statement["Action"]
    }


def _place(association: Mapping[str, Any]) -> Place:
    return association["clusterName"], association["namespace"], association["serviceAccount"]


def _in_session(action: str, association: Mapping[str, Any]) -> bool:
    policy = association.get("policy")
    return not policy or any(action in one["Action"] for one in json.loads(policy)["Statement"])


def trust_of(role: Mapping[str, Any]) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = json.loads(role["trust"])["Statement"]
    return statements


def lets_in(statement: Mapping[str, Any], association: Mapping[str, Any]) -> bool:
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
    """A document with a statement for each action."""
    listed = [document(action)["Statement"][0] for action in actions]
    return {"Version": "2012-10-17", "Statement": listed}


@st.composite
def lists(draw: Callable[..., Any]) -> Desired:
    """Up to three workloads that share roles and policies of ours. A statement may be in any of the policies."""
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
    """Two workloads and two policies, between which statements, policies and workloads move."""
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


def _attempt(aws: FakeAws, wanted: Desired, purge: bool) -> None:
    # A read that everything depends on may fail.
    with contextlib.suppress(AwsError):
        if len({one.key.cluster for one in wanted.workloads}) > 1:
            run_fleet(aws, wanted)
        elif purge:
            run_with_purge(engine(aws, wanted), wanted, PurgeScope(limit=9), check_mode=False)
        else:
            run(aws, wanted)


def identifiers(aws: FakeAws) -> dict[Place, str]:
    return {_place(one): name for name, one in aws.eks.associations.items()}


def spread(wanted: Desired, elsewhere: Sequence[bool]) -> Desired:
    """The same, with the workloads of which that is said in the other cluster."""
    workloads = tuple(
        replace(one, key=replace(one.key, cluster=OTHER_CLUSTER)) if other else one
        for one, other in zip(wanted.workloads, elsewhere, strict=False)
    )
    return replace(wanted, workloads=workloads)


def disturb(before: Desired, wanted: Desired, purge: bool, own: bool = False) -> None:
    """Run it with each request failing, and each write lost: nobody may lose what both the old and the wanted state allow, after
    any request, which is wherever a run is killed. With ``own``, of what they asked for themselves."""
    aws = Watched()
    _attempt(aws, before, purge=False)
    old, backup, kept = access(aws), aws.backup(), identifiers(aws)
    sent = len(aws.requests)
    _attempt(aws, wanted, purge)
    ended = len(aws.requests)
    # A purge may need another run for what the first one freed.
    for _ in range(2):
        _attempt(aws, wanted, purge)
    requests = [name for name, _parameters in aws.requests[sent:ended]]
    # EKS takes a session policy away only with its association: docs/ownership.md names that gap. At the end of a run, it is
    # there again.
    replaced = {
        place for place, identifier in identifiers(aws).items() if kept.get(place, identifier) != identifier
    }
    held = old & access(aws)
    if own:
        held &= asked_for(wanted)
    aws.floor = {one for one in held if one[0] not in replaced}
    reads = [number for number, name in enumerate(requests, 1) if name.split(":")[1].startswith(READS)]
    writes = [number for number, _name in enumerate(requests, 1) if number not in reads]
    disturbances: list[tuple[AwsError, bool]] = [(DENIED, False), (BUSY, False), (LOST, True)]
    aws.restore(backup)
    _attempt(aws, wanted, purge)
    assert aws.missing == []
    for number in range(1, len(requests) + 1):
        for error, late in disturbances if number in writes else disturbances[:1]:
            aws.restore(backup)
            aws.fail_at(number, error, late)
            _attempt(aws, wanted, purge)
            assert aws.missing == [], (requests[number - 1], error.code, late)
            assert held <= access(aws), (requests[number - 1], error.code, late)
    for name in sorted(set(requests)):
        aws.restore(backup)
        aws.heal()
        aws.fail_on(name, *[DENIED] * 20)
        _attempt(aws, wanted, purge)
        assert aws.missing == [], f"{name} is denied"
        assert held <= access(aws), f"{name} is denied"


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@settings(SLOW, max_examples=15)
@given(before=lists(), wanted=lists(), purge=st.booleans())
def test_nobody_loses_what_both_the_old_and_the_wanted_state_allow(
    before: Desired, wanted: Desired, purge: bool
) -> None:
    disturb(before, wanted, purge)


@settings(SLOW, max_examples=25)
@given(before=moves(), wanted=moves(), purge=st.booleans())
def test_nobody_loses_a_statement_that_moves(before: Desired, wanted: Desired, purge: bool) -> None:
    disturb(before, wanted, purge)


@settings(SLOW, max_examples=15)
@given(
    before=st.one_of(lists(), moves()),
    wanted=st.one_of(lists(), moves()),
    places=st.lists(st.booleans(), min_size=3, max_size=3),
)
def test_nobody_loses_anything_in_a_run_over_several_clusters(
    before: Desired, wanted: Desired, places: list[bool]
) -> None:
    """Where one of the clusters cannot be read as well, which a request that fails makes of it."""
    disturb(spread(before, places), spread(wanted, places), purge=False, own=True)


def listed(**roles: tuple[str, dict[str, str]]) -> Desired:
    """By service account its role, and the policies that it lists with the first letters of what each allows."""
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
    ("before", "wanted"),
    [
        pytest.param(
            listed(app=("blue", {"one": "sk", "two": "t"})),
            listed(app=("blue", {"one": "st", "two": "k"})),
            id="two documents exchange statements",
        ),
        pytest.param(
            listed(app=("blue", {"one": "sk"}), web=("blue", {"one": "sk"})),
            listed(app=("blue", {"one": "s"}), web=("green", {"two": "k"})),
            id="a workload leaves with the statement that goes",
        ),
        pytest.param(
            listed(app=("blue", {"one": "sk"}), web=("blue", {"one": "sk"})),
            listed(app=("blue", {"one": "st"}), web=("green", {"two": "k"})),
            id="a workload leaves a policy that also gains",
        ),
        pytest.param(
            listed(app=("blue", {"one": "sk"}), web=("green", {"one": "sk"})),
            listed(app=("blue", {"two": "k"}), web=("green", {"one": "s"})),
            id="a role leaves a policy that loses",
        ),
        pytest.param(
            listed(app=("blue", {"one": "s"}), web=("green", {"one": "s"})),
            listed(app=("blue", {"one": "k"}), web=("blue", {"two": "s", "one": "k"})),
            id="a policy is exchanged while a role is left by its last workload",
        ),
        pytest.param(
            listed(app=("green", {"one": "t", "two": "s"})),
            listed(app=("green", {"one": "s"}), web=("green", {"one": "s", "two": "st"})),
            id="a statement moves to a policy that another workload lists",
        ),
    ],
)
@pytest.mark.parametrize("purge", [False, True])
def test_nobody_loses_what_moves(before: Desired, wanted: Desired, purge: bool) -> None:
    disturb(before, wanted, purge)


def rows(failures: tuple[Failure, ...]) -> list[tuple[str, str, str, str]]:
    return [
        (" ".join(map(str, one.workloads)), one.target.label, one.error_code, one.message) for one in failures
    ]


@pytest.mark.parametrize("operation", ["iam:CreatePolicy", "iam:AttachRolePolicy"])
def test_a_policy_stays_attached_until_its_successor_is(operation: str) -> None:
    aws = FakeAws()
    run(aws, desired(workload(policies=[policy("old")])))
    aws.fail_on(operation, DENIED)
    made = run(aws, desired(workload(policies=[policy("new")])))
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("old")]
    assert "iam:DetachRolePolicy" not in aws.writes
    kept = [one for one in rows(made.failures) if one[1].endswith("policy/old")]
    code = "SKIPPED" if operation == "iam:CreatePolicy" else "AccessDenied"
    assert kept == [
        (
            "default/app",
            f"attachment my-role {policy_arn('old')}",
            "SKIPPED",
            f"not done, because the attach of attachment my-role {policy_arn('new')} failed ({code}). "
            "Until then the resource is kept.",
        )
    ]


def test_a_successor_that_is_refused_already_in_the_plan_keeps_the_policy_for_all_who_share_the_role() -> (
    None
):
    aws = FakeAws()
    run(aws, desired(workload("one", policies=[policy("old")]), workload("two", policies=[])))
    given_policy(aws, "new", "kms:Decrypt")
    made = run(aws, desired(workload("one", policies=[policy("new")]), workload("two", policies=[])))
    assert aws.iam.roles["my-role"]["attached"] == [policy_arn("old")]
    assert [(one[0], one[2]) for one in rows(made.failures)] == [
        ("default/one", "POLICY_NOT_OWNED"),
        ("default/one", "SKIPPED"),
    ]
    assert made.failures[1].message == (
        f"not done: the resource is kept, because attachment my-role {policy_arn('new')} was skipped for failed workloads."
    )


def moved(aws: FakeAws) -> Desired:
    """Two workloads share a role; one is to move to another."""
    run(aws, desired(workload("one"), workload("two")))
    return desired(workload("one"), workload("two", role={"name": "other"}))


def test_a_role_lets_a_workload_in_until_its_association_names_the_next_one() -> None:
    aws = FakeAws()
    made = run(aws, moved(aws))
    assert made.failures == ()
    assert aws.writes[-2:] == ["eks:UpdatePodIdentityAssociation", "iam:UpdateAssumeRolePolicy"]
    assert "two" not in aws.iam.roles["my-role"]["trust"]


@pytest.mark.parametrize(
    "operation", ["iam:CreateRole", "iam:AttachRolePolicy", "eks:UpdatePodIdentityAssociation"]
)
def test_a_role_lets_a_workload_in_that_could_not_leave(operation: str) -> None:
    aws = FakeAws()
    wanted = moved(aws)
    aws.fail_on(operation, DENIED)
    made = run(aws, wanted)
    assert "two" in aws.iam.roles["my-role"]["trust"]
    kept = [one for one in made.failures if one.target.resource == "trust_policy"]
    assert [(str(*one.workloads), one.error_code) for one in kept] == [("default/two", "SKIPPED")]
    assert kept[0].message.endswith(" Until then the resource is kept.")
    assert run(aws, wanted).failures == ()
    assert "two" not in aws.iam.roles["my-role"]["trust"]


def test_a_role_that_one_joins_while_another_leaves_is_first_wider_and_then_narrower() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two", role={"name": "other"})))
    made = run(aws, desired(workload("one", role={"name": "other"}), workload("two")))
    assert made.failures == ()
    trusts = [
        (asked["RoleName"], "one" in asked["PolicyDocument"], "two" in asked["PolicyDocument"])
        for asked in aws.parameters("iam:UpdateAssumeRolePolicy")
    ]
    assert trusts == [
        ("my-role", True, True),
        ("other", True, True),
        ("my-role", False, True),
        ("other", True, False),
    ]


def test_the_wider_trust_policy_on_the_way_keeps_the_grants_of_others() -> None:
    """A wider grant of ours may go again; then only their own lets them in."""
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two"), workload("unlisted")))
    wanted = desired(workload("one"), workload("two", role={"name": "other"}), trust_scope="namespace")
    aws.fail_on("eks:UpdatePodIdentityAssociation", *[DENIED] * 9)
    run(aws, wanted)
    assert "unlisted" in aws.iam.roles["my-role"]["trust"]
    aws.heal()
    assert run(aws, wanted).failures == ()
    assert "unlisted" in aws.iam.roles["my-role"]["trust"]


def test_a_trust_policy_that_is_too_long_on_the_way_is_refused() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two", role={"name": "other"})))
    wanted = desired(workload("one", role={"name": "other"}), workload("two"), trust_policy_size_limit=450)
    made = run(aws, wanted)
    assert made.done == ()
    assert [(str(*one.workloads), one.error_code, one.message, one.remedy) for one in made.failures] == [
        (
            f"default/{joining}",
            "TRUST_POLICY_TOO_LONG",
            f"the trust policy of role {name} would have 456 characters while it allows both the workloads that leave the role "
            "and the workloads that join it; 450 are allowed.",
            "Let the workloads leave in one run and the others join in the next, use a wider trust_scope for "
            "this role, or request an increase of the quota 'Role trust policy length' and set ⟨trust_policy_size_limit⟩.",
        )
        for joining, name in (("one", "other"), ("two", "my-role"))
    ]


FULL = classify("test:Injected", "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")
LISTED = [policy(f"p{number}") for number in range(10)]


def full_role(*successors: str, aws: FakeAws | None = None) -> tuple[FakeAws, Desired]:
    """A role with ten policies, and a list that swaps the first of them for the successors."""
    aws = aws or FakeAws()
    run(aws, desired(workload(policies=LISTED)))
    aws.requests.clear()
    return aws, desired(workload(policies=[*map(policy, successors), *LISTED[len(successors) :]]))


def attached(aws: FakeAws) -> list[str]:
    return sorted(arn.split("/")[-1] for arn in aws.iam.roles["my-role"]["attached"])


def attachments(aws: FakeAws) -> list[str]:
    """The requests about attachments, like "Attach p1"."""
    return [
        f"{name.split(':')[1].removesuffix('RolePolicy')} {parameters['PolicyArn'].split('/')[-1]}"
        for name, parameters in aws.requests
        if name in ("iam:AttachRolePolicy", "iam:DetachRolePolicy")
    ]


def test_a_swap_on_a_full_role_is_one_change_that_names_both_policies() -> None:
    aws, wanted = full_role("new")
    made = run(aws, wanted)
    assert made.failures == ()
    (swap,) = [done.change for done in made.done if done.change.target.resource == "attachment"]
    assert (swap.action, swap.target, swap.before, swap.after) == (
        "replace",
        attachment_target("my-role", policy_arn("new")),
        {"role": "my-role", "policy": policy_arn("p0")},
        {"role": "my-role", "policy": policy_arn("new")},
    )
    assert run(aws, wanted).done == ()


def test_a_swap_proves_both_attachments_before_it_detaches_anything() -> None:
    """IAM authorizes a request before it counts: the quota is the answer to a caller who is allowed."""
    aws, wanted = full_role("a-new", "z-new")
    run(aws, wanted)
    assert attachments(aws) == [
        *("Attach a-new", "Attach p0", "Detach p0", "Attach a-new"),
        *("Attach z-new", "Attach p1", "Detach p1", "Attach z-new"),
    ]


def test_a_caller_who_cannot_attach_detaches_nothing_and_stops_at_the_first_swap() -> None:
    aws, wanted = full_role("a-new", "b-new", "c-new")
    before = attached(aws)
    aws.fail_on("iam:AttachRolePolicy", *[DENIED] * 20)
    made = run(aws, wanted)
    assert (attached(aws), attachments(aws)) == (before, ["Attach a-new"])
    assert [(one.target.policy_arn, one.error_code, one.message) for one in made.failures] == [
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
                f"not done, because the replace of attachment my-role {policy_arn('a-new')} failed (AccessDenied).",
            )
            for name in ("b-new", "c-new")
        ),
    ]
    assert not any(one.partly for one in made.failures)
    aws.heal()
    assert run(aws, wanted).failures == ()


def test_a_policy_that_cannot_be_attached_again_is_not_detached() -> None:
    """The permission to attach may depend on the policy (iam:PolicyARN)."""
    aws, wanted = full_role("new")
    before = attached(aws)
    aws.fail_on("iam:AttachRolePolicy", FULL, DENIED)
    (failure,) = run(aws, wanted).failures
    assert (attached(aws), attachments(aws)) == (before, ["Attach new", "Attach p0"])
    assert failure.error_code == "AccessDenied"
    assert failure.message.startswith(
        f"test:Injected: not authorized. {policy_arn('p0')} is still attached: "
    )


def test_a_policy_comes_back_when_its_successor_is_refused_after_all() -> None:
    aws, wanted = full_role("a-new", "b-new", "c-new")
    # The first swap is granted. In the second one, both proofs are granted, and the attachment is refused.
    granted = iter([FULL, None, None, FULL, None, DENIED])
    attach = aws.iam.AttachRolePolicy

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if error := next(granted, None):
            raise error
        return attach(parameters)

    aws.replace("iam:AttachRolePolicy", answer)
    made = run(aws, wanted)
    assert attached(aws) == ["a-new", *(f"p{number}" for number in range(1, 10))]
    refused, skipped = made.failures
    assert (refused.target.policy_arn, refused.error_code, refused.partly) == (
        policy_arn("b-new"),
        "AccessDenied",
        False,
    )
    assert refused.message == (
        f"test:Injected: not authorized. {policy_arn('p1')} had made room for it, and was attached again."
    )
    assert (skipped.target.policy_arn, skipped.error_code) == (policy_arn("c-new"), "SKIPPED")
    assert [done.change.target.policy_arn for done in made.done if done.change.action == "replace"] == [
        policy_arn("a-new")
    ]


def test_a_policy_that_cannot_come_back_is_told() -> None:
    aws, wanted = full_role("new")
    aws.fail_on("iam:AttachRolePolicy", FULL, FULL, DENIED, DENIED)
    (failure,) = run(aws, wanted).failures
    assert attached(aws) == [f"p{number}" for number in range(1, 10)]
    assert failure.partly
    assert failure.message == (
        f"test:Injected: not authorized. {policy_arn('p0')} had made room for it, and could not be attached "
        "again: test:Injected: not authorized."
    )


def test_a_quota_that_is_counted_late_is_waited_for_while_a_policy_is_off() -> None:
    aws, wanted = full_role("new")
    aws.fail_on("iam:AttachRolePolicy", FULL, FULL, FULL, FULL)
    clock = Clock()
    assert run(aws, wanted, clock=clock).failures == ()
    assert "new" in attached(aws)
    assert clock.pauses[:2] == [0.5, 1]


def test_a_place_that_another_process_takes_is_told_with_what_is_missing() -> None:
    aws, wanted = full_role("new")
    detach = aws.iam.DetachRolePolicy

    def taken(parameters: Mapping[str, Any]) -> dict[str, Any]:
        detach(parameters)
        aws.iam.roles["my-role"]["attached"].append("arn:aws:iam::aws:policy/Foreign")
        return {}

    aws.replace("iam:DetachRolePolicy", taken)
    (failure,) = run(aws, wanted).failures
    assert (failure.error_code, failure.partly) == ("LimitExceeded", True)
    assert f"{policy_arn('p0')} had made room for it, and could not be attached again" in failure.message


def test_a_role_with_room_after_all_loses_nothing_for_a_moment() -> None:
    """The account's quota may be higher: then the proof is the attachment."""
    aws, wanted = full_role("new")
    attach = aws.iam.AttachRolePolicy

    def roomy(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if len(aws.iam.roles["my-role"]["attached"]) == 10:
            aws.iam.roles["my-role"]["attached"].append(parameters["PolicyArn"])
            return {}
        return attach(parameters)

    aws.replace("iam:AttachRolePolicy", roomy)
    assert run(aws, wanted).failures == ()
    assert attachments(aws) == ["Attach new", "Detach p0"]
    assert attached(aws) == ["new", *(f"p{number}" for number in range(1, 10))]


def test_a_role_with_room_after_all_is_told_where_nothing_can_be_detached() -> None:
    aws, wanted = full_role("new")
    aws.replace("iam:AttachRolePolicy", lambda _parameters: {})
    aws.fail_on("iam:DetachRolePolicy", DENIED)
    (failure,) = run(aws, wanted).failures
    assert failure.partly
    assert failure.message == ("test:Injected: not authorized. Done before it: iam:AttachRolePolicy.")


def test_a_swap_of_what_is_detached_already_attaches_its_successor() -> None:
    aws, wanted = full_role("new")
    aws.before("iam:DetachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].remove(policy_arn("p0")))
    assert run(aws, wanted).failures == ()
    assert "new" in attached(aws)


def test_a_role_that_another_process_fills_meanwhile_is_looked_at_again() -> None:
    """Room was counted, so the attachment comes first; the second look finds that it takes a swap."""
    aws = FakeAws()
    run(aws, desired(workload(policies=LISTED[:9])))
    arn = given_policy(aws, "foreign")
    aws.before("iam:AttachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].append(arn))
    wanted = desired(workload(policies=[policy("new"), *LISTED[1:9]]))
    aws.requests.clear()
    assert run(aws, wanted).failures == ()
    assert attachments(aws) == ["Attach new", "Attach new", "Attach p0", "Detach p0", "Attach new"]
    assert attached(aws) == ["foreign", "new", *(f"p{number}" for number in range(1, 9))]


def test_a_role_that_another_process_fills_for_good_has_the_failure_of_its_quota() -> None:
    aws = FakeAws()
    run(aws, desired(workload(policies=LISTED[:9])))
    arn = given_policy(aws, "foreign")
    aws.before("iam:AttachRolePolicy", lambda: aws.iam.roles["my-role"]["attached"].append(arn))
    (failure,) = run(aws, desired(workload(policies=LISTED))).failures
    assert failure.error_code == "ROLE_POLICIES_OVER_QUOTA"


class Stepped(FakeAws):
    """Keep all that is there after each request; do something at one of them, or fail all of its kind from it on."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, tuple[Any, ...]]] = []
        self.at = 0
        self.action: Callable[[], object] | None = None
        self.lasting: AwsError | None = None
        self.failing = ""
        self.state_now = self.backup()

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if len(self.steps) + 1 == self.at:
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
        """Begin anew from a state, with nothing that disturbs."""
        self.restore(state)
        self.heal()
        self.steps.clear()
        self.at, self.action, self.lasting, self.failing = 0, None, None, ""


def full_role_and_successors() -> tuple[Stepped, Desired]:
    """A full role, and three more policies that are there already: three swaps are all that is to do."""
    aws = Stepped()
    _, wanted = full_role(*THREE, aws=aws)
    run(aws, wanted)
    aws.iam.roles["my-role"]["attached"] = [policy_arn(f"p{number}") for number in range(10)]
    return aws, wanted


THREE = ("a-new", "b-new", "c-new")
SWAPPED = [*THREE, *(f"p{number}" for number in range(3, 10))]


def missing(state: tuple[Any, ...]) -> int:
    """How many of the three pairs have neither policy attached."""
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
def test_no_swap_misses_more_than_one_policy_and_none_at_its_end(error: AwsError, how: str) -> None:
    """Whichever request fails. Where attaching is refused from between two attachments on, one stays off, and is told."""
    aws, wanted = full_role_and_successors()
    backup = aws.backup()
    aws.begin(backup)
    run(aws, wanted)
    operations = [operation for operation, _state in aws.steps]
    for number, operation in enumerate(operations, 1):
        if operation.startswith(READS):
            continue
        aws.begin(backup)
        if how == "to the end":
            aws.at, aws.lasting = number, error
        else:
            aws.fail_at(number, error, how == "after it took effect")
        failures: tuple[Failure, ...] = ()
        with contextlib.suppress(AwsError):
            failures = run(aws, wanted).failures
        assert max(missing(state) for _operation, state in aws.steps) <= 1, (number, operation)
        left = missing(aws.backup())
        assert left <= (how == "to the end"), (number, operation)
        assert left <= sum(failure.partly for failure in failures), (number, operation)
        aws.begin(aws.backup())
        assert run(aws, wanted).failures == (), (number, operation)
        assert attached(aws) == SWAPPED


def test_a_run_that_is_killed_between_two_attachments_is_completed_by_the_next() -> None:
    aws, wanted = full_role_and_successors()
    aws.begin(aws.backup())
    run(aws, wanted)
    left = list(aws.steps)
    assert sorted({missing(state) for _operation, state in left}) == [0, 1]
    for operation, state in left:
        aws.begin(state)
        assert run(aws, wanted).failures == (), operation
        assert attached(aws) == SWAPPED


def test_a_signal_does_not_come_between_two_attachments() -> None:
    aws, wanted = full_role_and_successors()
    backup = aws.backup()
    aws.begin(backup)
    run(aws, wanted)
    count = len(aws.steps)
    ends = set()
    for number in range(1, count + 1):
        aws.begin(backup)
        with stoppable() as stop, contextlib.suppress(Interrupted):
            aws.at, aws.action = number, partial(stop.end, "SIGTERM")
            run(aws, wanted)
        assert missing(aws.backup()) == 0, number
        ends.add(len([name for name in attached(aws) if name in THREE]))
    assert ends == {0, 1, 2, 3}


def test_a_policy_keeps_a_statement_until_the_policy_that_it_moves_to_is_attached() -> None:
    both = {"name": "both", "document": {"Version": "2012-10-17", "Statement": []}}
    one, two = (document(action)["Statement"][0] for action in ("s3:GetObject", "sqs:SendMessage"))
    wide = {**both, "document": {"Version": "2012-10-17", "Statement": [one, two]}}
    narrow = {**both, "document": {"Version": "2012-10-17", "Statement": [one]}}
    aws = Watched()
    run(aws, desired(workload(policies=[wide])))
    aws.floor = access(aws)
    wanted = desired(workload(policies=[narrow, policy("moved", "sqs:SendMessage")]))
    aws.fail_on("iam:AttachRolePolicy", DENIED)
    made = run(aws, wanted)
    assert [one.target.display for one in made.failures if one.error_code == "SKIPPED"] == [
        f"policy {policy_arn('both')}"
    ]
    assert run(aws, wanted).failures == ()
    assert aws.missing == []
    assert run(aws, wanted).done == ()
