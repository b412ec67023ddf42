# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test invariants of random worlds: two parties edit lists, people edit the account by hand, and runs have random options.

``WORLDS=2000`` in the environment tests more worlds, and ``--hypothesis-seed`` (``SEED=7 make unit``) selects other ones.
"""

from __future__ import annotations

import os
import random
from collections.abc import Collection, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import writer_of
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import build
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    CLUSTER_ARN,
    OTHER_CLUSTER,
    OTHER_CLUSTER_ARN,
    REGION,
    FakeAws,
    policy_arn,
    role_arn,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.rules_world import (
    ME,
    NOBODY,
    OTHER,
    STATEMENTS,
    AwsWithEvent,
    Killed,
    Played,
    Raw,
    account,
    create_policy,
    create_role,
    lets_in,
    observe,
    play,
    read_statements,
    retag,
    workload,
    write_statements,
)

WORLDS = int(os.environ.get("WORLDS", "300" if os.environ.get("TIER") == "release" else "80"))
ROLES, POLICIES = ("role-one", "role-two"), ("policy-one", "policy-two")
ACTIONS = ("s3:GetObject", "s3:PutObject")
GIVEN_ROLE, GIVEN_POLICY, BOUNDARY, QUARANTINE = "role-given", "policy-given", "policy-limit", "policy-deny"
ROLE_READS = ("iam:GetRole", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies")
POLICY_READS = ("iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListEntitiesForPolicy")
READS = (*ROLE_READS, *POLICY_READS, "eks:DescribePodIdentityAssociation")
Facts = Mapping[str, Any]
# By statement of another party: the subjects that it allows.
ADMITTED = {kind: lets_in([statement]) for kind, statement in STATEMENTS.items()}
# The owner and the cluster of each of two parties. Without an owner, the cluster is the owner.
PAIRS = (
    ((ME, CLUSTER), (ME, CLUSTER)),
    ((ME, CLUSTER), (OTHER, CLUSTER)),
    ((ME, CLUSTER), (ME, OTHER_CLUSTER)),
    ((None, CLUSTER), (None, OTHER_CLUSTER)),
)


@dataclass
class Party:
    """A team with a list of workloads. ``accounts`` are the service accounts that it may list, as in SUBJECTS."""

    owner: str | None
    cluster: str
    accounts: tuple[str, ...]
    workloads: list[Raw] = field(default_factory=list)
    scope: str | None = None

    @property
    def owner_name(self) -> str:
        return self.owner or f"{REGION}.{self.cluster}"

    def play(self, aws: Any, check: bool = False, **options: Any) -> Played:
        more = {"owner": self.owner, "cluster_name": self.cluster, "trust_scope": self.scope, **options}
        return play(aws, *self.workloads, check=check, **more)

    @property
    def subjects(self) -> dict[str, Raw]:
        """Return the listed workloads by subject."""
        prefix = "" if self.cluster == CLUSTER else "far "
        return {prefix + row["service_account"]: row for row in self.workloads}

    def rows(self, role: str) -> dict[str, Raw]:
        """Return the workloads that the list gives a role."""
        rows = self.subjects.items()
        return {name: row for name, row in rows if row["role"].get("name", GIVEN_ROLE) == role}

    def edit(self, chance: random.Random) -> None:
        """Write another list. Most workloads have the first role, so that they share it."""
        self.scope = chance.choice((None, None, None, "namespace", "cluster"))
        texts = {name: chance.choice(ACTIONS) for name in POLICIES}
        limits = {name: chance.choice((None, None, policy_arn(BOUNDARY))) for name in ROLES}
        extends = chance.random() < 0.5
        self.workloads = []
        for name in self.accounts:
            if chance.random() < 0.2:
                continue
            role_name = chance.choice((ROLES[0], *ROLES, GIVEN_ROLE))
            role: Raw = {"name": role_name}
            if limits.get(role_name):
                role["permissions_boundary"] = limits[role_name]
            policies: list[Any] = [
                build.policy(policy, texts[policy])
                for policy in chance.sample(POLICIES, chance.choice((0, 1, 1, 2)))
            ]
            if role_name == GIVEN_ROLE:
                role, policies = {"arn": role_arn(GIVEN_ROLE), "extend_trust": extends}, []
            if chance.random() < 0.3:
                policies.append({"arn": policy_arn(GIVEN_POLICY)})
            self.workloads.append(workload(name.removeprefix("far "), role, *policies))


EDITS = ("statement", "statement", "attach", "detach", "owner", "move", "delete", "ec2", "limit")


def edit_by_hand(aws: FakeAws, role: str, chance: random.Random) -> None:
    """Change the account as a person would: at random, but only where it is possible."""
    kind = chance.choice(EDITS)
    policies, associations = aws.iam.policies, aws.eks.associations
    attached = aws.iam.roles["machines" if kind == "ec2" else role]["attached"]
    arn = policy_arn(chance.choice((GIVEN_POLICY, QUARANTINE, *POLICIES)))
    if kind == "statement":
        present, added = read_statements(aws, role), STATEMENTS[chance.choice(sorted(STATEMENTS))]
        write_statements(aws, role, *(statement for statement in present if statement != added), added)
    elif kind in ("attach", "ec2") and arn in policies and arn not in attached:
        attached.append(arn)
    elif kind == "detach" and attached:
        attached.remove(chance.choice(attached))
    elif kind == "owner":
        tags = [found["tags"] for found in (aws.iam.roles[role], *policies.values(), *associations.values())]
        retag(chance.choice(tags), chance.choice((OTHER, NOBODY)))
    elif kind == "limit":
        aws.iam.roles[role]["boundary"] = policy_arn(BOUNDARY)
    elif kind == "move" and associations:
        chance.choice(list(associations.values()))["roleArn"] = aws.iam.roles[role]["Arn"]
    elif kind == "delete" and associations:
        del associations[chance.choice(list(associations))]


def new_account() -> FakeAws:
    aws = account()
    create_policy(aws, BOUNDARY, NOBODY, "*")
    create_policy(aws, GIVEN_POLICY)
    denying = create_policy(aws, QUARANTINE)
    aws.iam.policies[denying]["versions"]["v1"]["Statement"][0]["Effect"] = "Deny"
    create_role(aws, "machines", STATEMENTS["ec2"])
    create_role(aws, GIVEN_ROLE, STATEMENTS["ec2"], STATEMENTS["app by hand"], attached=[GIVEN_POLICY])
    return aws


def choose_options(chance: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, share in (("force", 0.15), ("adopt", 0.15), ("purge_policies", 0.1)):
        if chance.random() < share:
            options[name] = True
    kind = chance.random()
    if kind < 0.15:
        options["state"] = "absent"
    elif kind < 0.45:
        options |= {"purge": True, "purge_limit": "99"}
    return options


def begin_world(chance: random.Random) -> tuple[FakeAws, list[Party]]:
    """Return an account in which two parties have applied their first lists."""
    aws = new_account()
    first, second = chance.choice(PAIRS)
    far = second[1] == OTHER_CLUSTER
    parties = [Party(*first, ("app", "web")), Party(*second, ("far app",) if far else ("job",))]
    for party in parties:
        party.edit(chance)
        party.play(aws)
    return aws, parties


def prepare_step(
    aws: FakeAws, parties: list[Party], chance: random.Random
) -> tuple[Party, dict[str, Any]] | None:
    """Edit a list and the account. Return the party that runs next with its options, or None if it has nothing to remove."""
    party = chance.choice(parties)
    if chance.random() < 0.6:
        party.edit(chance)
    for _edit in range(chance.choice((0, 1, 1, 2))):
        present = [role for role in ROLES if role in aws.iam.roles]
        edit_by_hand(aws, chance.choice(present or [GIVEN_ROLE]), chance)
    options = choose_options(chance)
    return None if options.get("state") == "absent" and not party.workloads else (party, options)


@pytest.mark.parametrize("number", range(WORLDS))
def test_invariants_of_a_world(number: int, request: pytest.FixtureRequest) -> None:
    chance = random.Random(f"{request.config.getoption('hypothesis_seed') or 0} {number}")
    aws, parties = begin_world(chance)
    denies = chance.random() < 0.2
    if denies:
        operation = chance.choice(READS)
        aws.fail_on(operation, *[classify(operation, "AccessDenied", "not authorized")] * 9999)
    for _step in range(chance.choice((2, 2, 3))):
        if step := prepare_step(aws, parties, chance):
            check_step(aws, *step, chance, denies)


def check_step(
    aws: FakeAws, party: Party, options: dict[str, Any], chance: random.Random, denies: bool
) -> None:
    """Run a party's list, and check the invariants. The account is then as after the run."""
    start, state, initial = aws.backup(), aws.state(), {**observe(aws), **observe_others(aws, party)}
    planned = party.play(aws, check=True, **options)
    assert aws.state() == state, "check mode wrote"
    requests = len(aws.requests)
    result = party.play(aws, **options)
    requests = len(aws.requests) - requests
    final = observe(aws)
    # With a denied read, writes may fail, and the verification knows less about new resources than the prediction of check mode.
    plan, run = ((played.changes, played.red, played.codes) for played in (planned, result))
    assert denies or plan == run
    assert bool(result.changes) == (aws.state() != state), result.changes
    check_others(initial, final, party, options)
    if "changes" in result.row:
        # Otherwise the run ended before any change.
        check_named(initial, final, party, options, result)
    quick = {**options, "verify": False}
    again = party.play(aws, **quick)
    if options.get("purge"):
        # A purge keeps a role that its list has just left until the next purge. That may remove the obstacle of a failed run.
        deletes = all(change.startswith(("delete ", "detach ")) for change in again.changes)
        assert deletes or result.red, again.changes
        again = [party.play(aws, **quick) for _run in range(2)][-1]
    assert again.changes == ()
    # A denied read may prevent the run that follows a kill.
    if denies or not requests or chance.random() < 0.5:
        return
    settled = settled_facts(aws, party)
    aws.restore(start)
    with suppress(Killed):
        party.play(AwsWithEvent(aws, chance.randint(1, requests)), **quick)
    for _rerun in range(4 if options.get("purge") else 1):
        party.play(aws, **quick)
    assert settled_facts(aws, party) == settled


def settled_facts(aws: FakeAws, party: Party) -> dict[str, object]:
    """Return the facts without subjects of the party in roles that its list does not give them.

    After a kill, such a subject may remain in the trust policy of its former role until a purge.
    """
    facts: dict[str, Any] = observe(aws)
    for name, fact in facts.items():
        if name.startswith("admitted by "):
            facts[name] = fact - ({*party.accounts} - party.rows(name.removeprefix("admitted by ")).keys())
    return facts


def observe_others(aws: FakeAws, party: Party) -> dict[str, frozenset[str]]:
    """Return the subjects that statements allow, by role, without the statements for the scope of the party's list."""
    writer = writer_of(party.owner_name, CLUSTER_ARN if party.cluster == CLUSTER else OTHER_CLUSTER_ARN)
    tags = {"eks-cluster-arn"} | ({"kubernetes-namespace"} if party.scope == "namespace" else set())

    def is_listed(statement: Raw) -> bool:
        equals = statement.get("Condition", {}).get("StringEquals", {})
        found = {key.removeprefix("aws:RequestTag/") for key in equals if key.startswith("aws:RequestTag/")}
        return statement.get("Sid", "").startswith(f"EksPodIdentity{writer}") and found == tags

    return {
        f"others of {role}": lets_in(
            statement for statement in read_statements(aws, role) if not is_listed(statement)
        )
        for role in aws.iam.roles
    }


def uses(facts: Facts, subject: str, role: str) -> bool:
    association = facts.get(f"association {subject}")
    return isinstance(association, tuple) and association[1] == role


def check_others(initial: Facts, final: Facts, party: Party, options: Mapping[str, Any]) -> None:
    """Check that a run without ``adopt`` and ``force`` does not change resources and permissions of other parties."""
    free, owner = bool({"adopt", "force"} & options.keys()), party.owner_name
    # A purge also removes statements for namespaces and clusters, and so any subject of its cluster.
    purged = {"app", "web", "job"} if party.cluster == CLUSTER else {"far app"}
    may_leave = purged if options.get("purge") else {*party.accounts}
    for name, fact in initial.items():
        kind, _separator, role = name.partition(" ")
        free_of_kind = "adopt" in options or (kind == "association" and "force" in options)
        if kind in ("role", "policy", "association") and fact[0] != owner and not free_of_kind:
            assert final.get(name) == fact, f"{name} belongs to another owner"
        if kind != "role":
            continue
        names = f"attached to {role}", f"statements of {role}", f"admitted by {role}"
        attached, statements, admitted = (initial[name] for name in names)
        final_attached, final_statements, final_admitted = (final.get(name, frozenset()) for name in names)
        assert free_of_kind or fact[0] == owner or final_attached == attached, f"{role} has another owner"
        missing = statements - final_statements
        assert free or missing <= {"deny"}, f"{role} lost the statements {missing}"
        if name in final:
            assert "deny" not in missing, f"{role} lost a Deny"
            assert not {QUARANTINE} & attached - final_attached, f"{role} lost a denying policy"
            assert final[name][1] or not fact[1], f"{role} lost its permissions boundary"
        revoked = admitted - final_admitted - may_leave
        assert free or not revoked, f"{role} no longer lets in {revoked}"
        staying = admitted & final_admitted
        # In a purge, the list is the whole truth about its cluster.
        outside = staying - party.subjects.keys() - (may_leave if options.get("purge") else set())
        if party.scope:
            # The scope of the list allows further subjects. They use the role only if they have an association with it.
            named = initial[f"others of {role}"]
            outside = {subject for subject in outside if subject in named or uses(initial, subject, role)}
        if not free and outside:
            assert attached <= final_attached, f"others lost a policy of {role}"
            assert final[name][1] == fact[1], f"others got another boundary of {role}"
            for policy in attached:
                assert final[f"policy {policy}"][1] == initial[f"policy {policy}"][1], f"others lost {policy}"


LOSS = {
    "role role-one": (ME, False),
    "policy policy-one": (ME, ACTIONS[0]),
    "admitted by role-one": frozenset({"app", "job"}),
    "attached to role-one": frozenset({"policy-one"}),
    "statements of role-one": frozenset(),
    "others of role-one": frozenset({"app"}),
    "association app": (ME, ROLES[0]),
}


@pytest.mark.parametrize(
    ("more", "fails"),
    [
        pytest.param({}, False, id="subject of the scope of the list, without association"),
        pytest.param({"association job": (ME, ROLES[1])}, False, id="association with another role"),
        pytest.param({"association job": (OTHER, ROLES[0])}, True, id="association"),
        pytest.param({"others of role-one": frozenset({"app", "job"})}, True, id="statement"),
    ],
)
@pytest.mark.parametrize(
    "loss",
    [
        {"attached to role-one": frozenset()},
        {"policy policy-one": (ME, ACTIONS[1])},
        {"role role-one": (ME, True)},
    ],
    ids=["policy", "document", "boundary"],
)
def test_check_of_others_finds_their_losses(loss: Facts, more: Facts, fails: bool) -> None:
    """The list has only the workload "app" on a role, with the scope "namespace"."""
    party = Party(ME, CLUSTER, ("app",), [workload("app", ROLES[0])], "namespace")
    initial = {**LOSS, **more}
    with pytest.raises(AssertionError, match="others ") if fails else nullcontext():
        check_others(initial, {**initial, **loss}, party, {})


def check_named(
    initial: Facts, final: Facts, party: Party, options: Mapping[str, Any], result: Played
) -> None:
    """Check that a green run has done its list, and that a run names everything that it took or kept against the list."""
    for role in (*ROLES, GIVEN_ROLE):
        rows = party.rows(role)
        documents = {
            policy.get("name", GIVEN_POLICY): policy.get("document")
            for row in rows.values()
            for policy in row["policies"]
        }
        if options.get("state") == "absent":
            check_removed(final, role, rows, {*documents} - {GIVEN_POLICY}, result)
            continue
        owned = rows and role in ROLES and final.get(f"role {role}", ("",))[0] == party.owner_name
        if rows and not result.red:
            assert rows.keys() <= final[f"admitted by {role}"]
            assert {*documents} <= final[f"attached to {role}"]
            assert {final[f"association {name}"][1] for name in rows} == {role}
            for policy, document in documents.items():
                assert document in (None, build.document(final[f"policy {policy}"][1]))
            limited = any("permissions_boundary" in row["role"] for row in rows.values())
            assert final[f"role {role}"][1] or not (owned and limited)
        if not owned:
            continue
        for policy in final[f"attached to {role}"] - {*documents}:
            # If AWS denies a read, the run knows only the role.
            words = (role,) if "NOT_READABLE" in result.codes else (role, policy)
            assert result.reports(*words), f"{policy} stays attached to {role} in silence"
        wider = [
            kind for kind in final[f"statements of {role}"] if not ADMITTED[kind] <= party.subjects.keys()
        ]
        assert not wider or result.reports(role), f"{wider} of {role} stay in silence"
        missing = initial.get(f"statements of {role}", frozenset()) - final[f"statements of {role}"]
        assert not missing or result.reports(role), f"{missing} of {role} were removed in silence"


def check_removed(final: Facts, role: str, rows: Collection[str], policies: set[str], result: Played) -> None:
    """Check that a teardown has removed the objects of workloads, or names them."""
    names = {f"association {name}": name.removeprefix("far ") for name in rows}
    names |= {f"policy {policy}": policy for policy in policies}
    names |= {f"role {role}": role} if rows and role in ROLES else {}
    for fact, name in names.items():
        assert fact not in final or result.reports(name), f"{fact} stays in silence"


# A kill, and a run of another party, at each request of a run

APP = workload("app", ROLES[0], build.policy(POLICIES[0]))
WEB = workload("web", ROLES[0], build.policy(POLICIES[0]), build.policy(POLICIES[1]))
CHANGED = (
    workload("app", ROLES[1], build.policy(POLICIES[0], ACTIONS[1])),
    workload("web", ROLES[0], build.policy(POLICIES[0], ACTIONS[1])),
)
RUNS: dict[str, tuple[tuple[Raw, ...], dict[str, Any]]] = {
    "first run": ((APP, WEB), {"verify": False}),
    "change": (CHANGED, {"verify": False}),
    "purge": ((WEB,), {"purge": True, "verify": False}),
    "teardown": ((APP, WEB), {"state": "absent"}),
}


def prepared(name: str) -> FakeAws:
    aws = new_account()
    if name != "first run":
        assert not play(aws, APP, WEB, verify=False).red
    return aws


def count_requests(name: str) -> int:
    aws = prepared(name)
    initial = len(aws.requests)
    workloads, options = RUNS[name]
    assert not play(aws, *workloads, **options).red
    return len(aws.requests) - initial


@pytest.mark.parametrize("name", RUNS)
def test_next_run_completes_a_run_killed_at_any_request(name: str) -> None:
    workloads, options = RUNS[name]
    smooth = prepared(name)
    for _run in range(2):
        play(smooth, *workloads, **options)
    for number in range(1, count_requests(name) + 1):
        aws = prepared(name)
        with pytest.raises(Killed):
            play(AwsWithEvent(aws, number), *workloads, **options)
        for _run in range(2):
            assert not play(aws, *workloads, **options).red
        assert aws.state() == smooth.state(), f"killed at request {number}"


@pytest.mark.parametrize("name", ["first run", "change", "teardown"])
def test_second_list_is_complete_after_a_run_at_any_request(name: str) -> None:
    """Let a second list join the role, or take a policy, at each moment of a run. If one of the runs fails, it runs again."""
    workloads, options = RUNS[name]
    other = workload("job", ROLES[0], *((POLICIES[0],) if name != "change" else ()))
    for number in range(1, count_requests(name) + 1):
        aws = prepared(name)
        meeting: list[Played] = []
        event = partial(lambda aws, meeting: meeting.append(play(aws, other, verify=False)), aws, meeting)
        meeting_aws = AwsWithEvent(aws, number, event)
        meeting.append(play(meeting_aws, *workloads, **options))
        unseen = meeting_aws.moment == "UpdateAssumeRolePolicy"
        if name == "teardown" or unseen or meeting[0].red:
            # No request of IAM changes a trust policy only if it is unchanged. A teardown does not notice a run right before
            # it detaches a policy.
            meeting.append(play(aws, other))
        facts: Any = observe(aws)
        assert facts["association job"] == (ME, ROLES[0]), f"at request {number}"
        assert "job" in facts[f"admitted by {ROLES[0]}"], f"at request {number}"
        assert {policy["name"] for policy in other["policies"]} <= facts[f"attached to {ROLES[0]}"]
