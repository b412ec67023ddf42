# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the rules of ownership and removal on a table of worlds and actions, against an oracle that knows only the rules.

A world has one workload, "default/app", with the role r and the policy p. A row changes one or two things of this world, such
as the owner of the role or a further statement in its trust policy, and then runs an action with an option.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    OTHER_CLUSTER,
    FakeAws,
    create_association,
    document,
    policy,
    policy_arn,
    role_arn,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.rules_world import (
    ME,
    NOBODY,
    OTHER,
    STATEMENTS,
    UNNAMED,
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
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.run.test_export import (
    export,
)

# The codes that report a reason. A row requires one of the codes.
CODES = {
    "not owned": "NOT_OWNED RESOURCE_KEPT",
    "shared": "OWNER_CHANGED POLICY_ATTACHED_EXTRA POLICY_USED_ELSEWHERE RESOURCE_KEPT ROLE_USED_ELSEWHERE",
    "statement": "TRUST_KEPT_FOR_OTHERS TRUST_STATEMENT_FOREIGN TRUST_WIDE TRUST_WIDER_THAN_ASKED",
    "scope": "TRUST_KEPT_FOR_OTHERS TRUST_WIDE TRUST_WIDER_THAN_ASKED",
    "extra policy": "POLICY_ATTACHED_EXTRA",
    "left": "RESOURCE_KEPT",
    "not attached": "POLICY_NOT_ATTACHED",
}


@dataclass(frozen=True)
class Case:
    """A row: the world before the action, the action, and an option of the run.

    ``owner`` is the owner of the role r, or "" if nothing exists yet. ``also`` is a further statement of its trust policy: the
    name of one of STATEMENTS, "second list" (another workload of this owner has the role), or "scope" (the list had the scope
    "namespace"). ``reference`` is the key by which the list names the role: "name", "arn", or "extend" for an ARN with
    ``extend_trust``. ``attached`` is whether the role has the policy p, ``elsewhere`` whether EC2 uses it, too.
    ``association`` is the owner of the association.
    """

    action: str
    option: str = ""
    owner: str = ME
    also: str = ""
    reference: str = "name"
    policy: str = ME
    attached: bool = True
    elsewhere: bool = False
    association: str = ME

    def __str__(self) -> str:
        values = ((name, getattr(self, name)) for name in Case.__match_args__[1:])
        changed = [f"{name}={value}" for name, value in values if value != getattr(Case, name)]
        return " ".join((self.action, *changed))


def rows(actions: str, **axes: tuple[Any, ...]) -> list[Case]:
    """Return a row for each combination of the actions and the values of the axes."""
    combined = product(actions.split(), *axes.values())
    return [Case(action, **dict(zip(axes, values, strict=True))) for action, *values in combined]


OWNERS = (ME, OTHER, NOBODY)
RUNS = ("", "force", "adopt")
ALSO = ("", "second list", "scope", "another Sid", "no Sid", "wide", "ec2", "deny")
CONVERGE, REMOVE = "apply edit drop limit move", "purge teardown"
TABLE = [
    *rows(f"apply {REMOVE}", owner=("",), policy=("", *OWNERS), option=RUNS),
    *rows(f"{CONVERGE} {REMOVE}", owner=OWNERS, also=ALSO, option=RUNS),
    *rows("drop", owner=OWNERS, also=ALSO, policy=OWNERS, option=("", "force", "purge_policies")),
    *rows(f"apply edit {REMOVE}", policy=OWNERS, elsewhere=(False, True), option=RUNS),
    *rows(f"apply move {REMOVE}", reference=("arn",), owner=OWNERS, also=("", "no Sid", "wide", "deny")),
    *rows(f"apply move {REMOVE}", reference=("extend",), owner=OWNERS, also=("", "another Sid", "deny")),
    *rows("apply", reference=("arn", "extend"), owner=(OTHER, NOBODY), attached=(False,)),
    *rows(f"apply move {REMOVE}", association=OWNERS, option=RUNS),
    *rows(f"apply edit drop limit {REMOVE}", owner=(UNNAMED,), option=RUNS),
]
# A role of another owner has no second list of this owner, and no statement with this owner's scope.
TABLE = [
    case
    for case in dict.fromkeys(TABLE)
    if case.owner in ("", ME) or case.also not in ("second list", "scope")
]


@dataclass(frozen=True)
class Role:
    """A role of the oracle. ``subjects`` are allowed by statements of this owner. ``statements`` are the other statements."""

    owner: str = ME
    subjects: frozenset[str] = frozenset()
    statements: frozenset[str] = frozenset()
    attached: frozenset[str] = frozenset()
    limited: bool = False

    @property
    def admitted(self) -> frozenset[str]:
        return self.subjects | lets_in(STATEMENTS[name] for name in self.statements)


@dataclass
class World:
    """The objects of the oracle. A policy is its owner and its action, an association its owner and its role."""

    roles: dict[str, Role] = field(default_factory=dict)
    policies: dict[str, tuple[str, str]] = field(default_factory=dict)
    associations: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, object]:
        """Return the facts as ``observe`` returns them."""
        facts: dict[str, object] = {}
        for name, role in self.roles.items():
            facts[f"role {name}"] = role.owner, role.limited
            facts[f"admitted by {name}"] = role.admitted
            facts[f"statements of {name}"] = role.statements
            facts[f"attached to {name}"] = role.attached
        facts |= {f"policy {name}": policy for name, policy in self.policies.items()}
        return facts | {f"association {name}": found for name, found in self.associations.items()}


# The oracle: the rules, for one workload


ROLE_FACTS = ("role r", "admitted by r", "statements of r", "attached to r")


@dataclass
class Oracle:
    """The expected result of a row.

    ``words`` has the keys of CODES that the run must report, ``role_words`` further keys if the role r still exists. ``refused``
    are the reasons why the run changes nothing. ``open`` has the prefixes of facts that the rules leave open, and ``red`` is
    None if they leave the verdict open. ``rules`` are the rules that decided.
    """

    case: Case
    world: World
    red: bool | None = False
    words: set[str] = field(default_factory=set)
    role_words: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    rules: set[int] = field(default_factory=set)

    def expect(self) -> Oracle:
        initial = copy.deepcopy(self.world)
        if self.case.action in ("purge", "teardown"):
            self._remove()
        else:
            self._converge()
        if self.refused:
            self.world, self.red, self.words = initial, True, self.refused
        return replace(self, words=set()) if "" in self.open else self

    def _tell(self, rule: int, word: str) -> None:
        self.rules.add(rule)
        self.words.add(word)

    def _refuse(self, rule: int, word: str) -> None:
        self.rules.add(rule)
        self.refused.add(word)

    def _leave_open(self, *prefixes: str) -> None:
        self.open |= set(prefixes)
        self.red = None

    def _mine(self, owner: str) -> bool:
        """Rule 2: a run changes resources of its owner, and with ``adopt`` all listed resources."""
        self.rules |= {2} if owner != ME else set()
        return owner == ME or self.case.option == "adopt"

    def _converge(self) -> None:
        case, world = self.case, self.world
        target = "s" if case.action == "move" else "r"
        entry = frozenset({"p"}) if case.action != "drop" else frozenset()
        former, shared = world.roles.get("r"), False
        if case.reference == "name" or target == "s":
            shared = self._named_role(target, entry)
        else:
            self._given_role(world.roles["r"])
        if target == "s" and former is not None and "app" in former.subjects:
            self._leave_role(former)
        if entry:
            self._policy("s3:PutObject" if case.action == "edit" else "s3:GetObject", shared)
        owner, role = world.associations.get("app", (ME, ""))
        if role != target and not self._mine(owner):
            self._refuse(2, "not owned")
        elif owner == ME or case.option == "adopt":
            world.associations["app"] = ME, target

    def _named_role(self, name: str, entry: frozenset[str]) -> bool:
        """Return whether the role allows other subjects than the workload after the run."""
        option, also, settings = self.case.option, self.case.also, self.case.action == "limit"
        role = self.world.roles.get(name, Role())
        if not self._mine(role.owner):
            # Used as it is if it matches.
            if settings or not entry <= role.attached or "app" not in role.admitted:
                self._refuse(2, "not owned")
            return bool(role.admitted - {"app"})
        adopted, forced = role.owner != ME, option == "force"
        if also == "scope" and name in self.world.roles:
            self._tell(4, "scope")
        if role.statements - {"deny", "app by hand"}:
            self._tell(4, "statement")
        # Force replaces a wider statement, and removes other statements except a Deny (rule 6).
        subjects = frozenset({"app"}) if also == "scope" and forced else role.subjects | {"app"}
        statements = role.statements & {"deny"} if forced else role.statements
        shared = bool(replace(role, subjects=subjects, statements=statements).admitted - {"app"})
        # Rule 5: other subjects may need the permissions. For a role of this owner, the rules do not mention adopt.
        takes = forced or adopted or not shared
        if option == "adopt" and not takes and (settings or role.attached - entry):
            self._leave_open("")
        elif settings and not takes:
            self._refuse(5, "shared")
        extra = role.attached - entry
        own_policies = {policy for policy, (owner, _action) in self.world.policies.items() if owner == ME}
        may_leave = extra if option == "purge_policies" else extra & own_policies
        leaving = may_leave if takes else frozenset()
        if extra - leaving:
            self._tell(5, "shared" if shared else "extra policy")
        if shared and (settings or leaving):
            self._tell(5, "shared")
        attached = role.attached - leaving | entry
        self.world.roles[name] = Role(ME, subjects, statements, attached, role.limited or settings)
        return shared

    def _given_role(self, role: Role) -> None:
        """Rule 3: in a role by ARN, a run only changes the statements of ``extend_trust``."""
        self.rules.add(3)
        if self.case.reference == "extend":
            self.world.roles["r"] = replace(role, subjects=role.subjects | {"app"})
        if "p" not in role.attached:
            self._tell(3, "not attached")
            self.red = True

    def _leave_role(self, role: Role) -> None:
        """Rules 3 and 4: remove the workload from the statement of its former role. A purge deletes the role later."""
        self.rules.add(4 if self.case.reference == "name" else 3)
        if self.case.also == "scope":
            self.open.add("admitted by r")
            return
        self.world.roles["r"] = role = replace(role, subjects=role.subjects - {"app"})
        if self.case.reference == "name" and not role.admitted:
            self._tell(4, "left")

    def _policy(self, action: str, shared: bool) -> None:
        """Rules 2 and 5: the document of an own policy is written if only roles of the run have it."""
        case, (owner, present) = self.case, self.world.policies.get("p", (ME, action))
        if not self._mine(owner):
            if present != action:
                self._refuse(2, "not owned")
            return
        if present != action and case.owner not in ("", ME) and not case.elsewhere:
            # A role of another owner has the policy, and the list names the role.
            self._leave_open("policy p")
        elif present != action and (case.elsewhere or shared):
            self._tell(5, "shared")
            if owner == ME and case.option == "adopt":
                self._leave_open("")
            elif owner == ME and case.option != "force":
                self._refuse(5, "shared")
        if owner != ME and case.elsewhere:
            self._tell(2, "shared")
        self.world.policies["p"] = ME, action

    def _remove(self) -> None:
        """Rule 8: a teardown removes the own objects of its workload, a purge all own objects."""
        case, world, teardown = self.case, self.world, self.case.action == "teardown"
        self.rules.add(8 if case.reference == "name" else 3)
        names = {"app"} if teardown else {"app", "web", "job"}
        for name in names & world.associations.keys():
            if world.associations[name][0] == ME:
                del world.associations[name]
            else:
                # The association still uses the role.
                self._leave_open(*ROLE_FACTS, "policy p", *([""] if teardown and case.option else []))
                self.words |= {"not owned"} if teardown else set()
        role = world.roles.get("r")
        if role is not None and (case.reference != "name" or role.owner == ME):
            world.roles["r"] = role = replace(role, subjects=role.subjects - names)
        if case.reference != "name":
            self._leave_open("policy p", *(ROLE_FACTS if case.owner == ME else ()))
            return
        if role is not None:
            self._remove_role(role, teardown)
        owner = world.policies.get("p", ("",))[0]
        if owner == ME and (case.elsewhere or "r" in world.roles):
            self._tell(8, "shared")
        elif owner == ME:
            del world.policies["p"]
        elif owner:
            self._keep_for_owner(teardown)

    def _remove_role(self, role: Role, teardown: bool) -> None:
        if role.owner != ME:
            self._keep_for_owner(teardown)
        elif (self.case.also == "scope" and teardown) or (role.admitted and self.case.option == "force"):
            self._leave_open("")
            self.role_words.add("shared")
        elif role.admitted:
            self._tell(8, "shared")
        elif self.world.policies["p"][0] == ME:
            del self.world.roles["r"]
        else:
            # A policy of another owner is attached to an unused role.
            self._leave_open(*ROLE_FACTS)

    def _keep_for_owner(self, named: bool) -> None:
        if named:
            self._tell(2, "not owned")
            if self.case.option == "adopt":
                self._leave_open("")


def make_list(case: Case) -> tuple[list[Raw], dict[str, Any]]:
    """Return the list of workloads of an action, and the options of its run."""
    role: Raw = {"name": "r"}
    if case.reference != "name":
        role = {"arn": role_arn("r"), "extend_trust": case.reference == "extend"}
    entry: Any = "p" if case.reference == "name" else {"arn": policy_arn("p")}
    options: dict[str, Any] = {case.option: True} if case.option else {}
    if case.action == "purge":
        return [workload("keeper", "keeper")], {**options, "purge": True}
    if case.action == "teardown":
        options["state"] = "absent"
    if case.action == "edit":
        entry = policy("p", "s3:PutObject")
    if case.action == "limit":
        role["permissions_boundary"] = policy_arn("limit")
    if case.action == "move":
        role = {"name": "s"}
    return [workload("app", role, *([] if case.action == "drop" else [entry]))], options


def imagined(case: Case) -> World:
    """Return the world of a row before the action, as the oracle sees it."""
    world = World({"machines": Role(NOBODY, statements=frozenset({"ec2"}))}, {"limit": (NOBODY, "*")})
    if case.elsewhere:
        world.roles["machines"] = replace(world.roles["machines"], attached=frozenset({"p"}))
    if case.policy:
        world.policies["p"] = case.policy, "s3:GetObject"
    if not case.owner:
        return world
    subjects = {"app", *{"second list": ["web"], "scope": ["web", "job"]}.get(case.also, [])}
    statements = {case.also} & STATEMENTS.keys()
    if case.reference != "name":
        subjects, statements = (
            subjects if case.reference == "extend" and case.attached else set(),
            statements | {"ec2"},
        )
    elif case.owner != ME:
        subjects = set()
    if case.reference == "arn" or (case.reference == "name" and case.owner != ME):
        statements |= {"app by hand"}
    attached = frozenset({"p"} if case.attached else ())
    world.roles["r"] = Role(case.owner, frozenset(subjects), frozenset(statements), attached)
    if case.attached:
        world.associations["app"] = case.association, "r"
    if case.also == "second list":
        world.associations["web"] = ME, "r"
    return world


@cache
def built(case: Case) -> Any:
    """Create the world of a row on the fake, by runs and by changes by hand. Return a backup of the account."""
    aws, world = account(), imagined(case)
    create_policy(aws, "limit", NOBODY, "*")
    create_role(aws, "machines", STATEMENTS["ec2"])
    if case.policy and (not case.owner or case.reference != "name"):
        create_policy(aws, "p", case.policy)
    statements = [STATEMENTS[name] for name in sorted(world.roles["r"].statements)] if case.owner else []
    if case.reference != "name":
        create_role(aws, "r", *statements, owner=case.owner, attached=["p"] if case.attached else [])
    if case.owner and case.attached:
        scope: dict[str, Any] = {"trust_scope": "namespace"} if case.also == "scope" else {}
        assert play(aws, *make_list(replace(case, action="apply"))[0], **scope).changes
    if case.also == "second list":
        assert play(aws, workload("web", "r", "p")).changes
    if case.owner and case.reference == "name":
        write_statements(aws, "r", *(read_statements(aws, "r") if case.owner == ME else ()), *statements)
    if case.owner:
        retag(aws.iam.roles["r"]["tags"], case.owner)
    if case.policy:
        retag(aws.iam.policies[policy_arn("p")]["tags"], case.policy)
    if case.elsewhere:
        aws.iam.roles["machines"]["attached"].append(policy_arn("p"))
    for row in aws.eks.associations.values():
        retag(row["tags"], case.association if row["serviceAccount"] == "app" else ME)
    assert observe(aws) == world.facts
    return aws.backup()


def parameters() -> list[Any]:
    return [pytest.param(case, id=str(case)) for case in dict.fromkeys(TABLE)]


def restored(case: Case) -> FakeAws:
    aws = account()
    aws.restore(built(replace(case, action="apply", option="")))
    return aws


@pytest.mark.parametrize("case", parameters())
def test_run_follows_the_rules(case: Case) -> None:
    aws, oracle = restored(case), Oracle(case, imagined(case)).expect()
    workloads, options = make_list(case)
    initial = aws.state()
    planned = play(aws, *workloads, check=True, **options)
    assert aws.state() == initial
    result = play(aws, *workloads, **options)
    expected, found = oracle.world.facts, observe(aws)
    names = {name for name in expected.keys() | found.keys() if not name.startswith((*oracle.open, "-"))}
    assert {name: found.get(name) for name in names} == {name: expected.get(name) for name in names}
    words = oracle.words | (oracle.role_words if "role r" in found else set())
    assert all(result.codes & {*CODES[word].split()} for word in words), result.text
    assert oracle.red in (None, result.red), result.text
    assert (planned.changes, planned.red, planned.codes) == (result.changes, result.red, result.codes)


# Situations in which a run once took, kept or widened something in silence. Further ones are rows of the table.

LISTED = workload("app", "my-role", "my-policy")
ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.mark.parametrize("kind", ["another Sid", "no Sid"])
@pytest.mark.parametrize("options", [{}, {"purge": True}, {"state": "absent"}], ids=str)
def test_manual_statement_for_another_cluster_is_kept(kind: str, options: dict[str, Any]) -> None:
    """A person lets another cluster in, with or without a Sid. The run names the statement."""
    aws = account()
    play(aws, LISTED)
    statement = {**STATEMENTS["another Sid"], "Sid": "OtherCluster"}
    if kind == "no Sid":
        del statement["Sid"]
    write_statements(aws, "my-role", *read_statements(aws, "my-role"), statement)
    result = play(aws, LISTED, **options)
    assert statement in read_statements(aws, "my-role")
    assert result.reports("my-role", OTHER_CLUSTER)


def test_two_clusters_with_one_role_by_accident_are_refused() -> None:
    aws = account()
    assert not play(aws, LISTED, owner=None).red
    initial = observe(aws)
    second = play(aws, LISTED, owner=None, cluster_name=OTHER_CLUSTER)
    assert second.red
    assert second.reports("my-role", CLUSTER)
    assert observe(aws) == initial


@pytest.mark.parametrize("owner", [NOBODY, OTHER])
@pytest.mark.parametrize(("name", "path"), [("my-policy", "/team/"), ("My-Policy", "/")])
def test_policy_with_another_path_or_letter_case_is_the_same(name: str, path: str, owner: str) -> None:
    aws = account()
    create_policy(aws, name, owner, path=path)
    planned = play(aws, LISTED, check=True)
    result = play(aws, LISTED)
    assert (planned.changes, planned.codes) == (result.changes, result.codes)
    assert "EntityAlreadyExists" not in result.codes
    assert result.reports(name) or observe(aws)["attached to my-role"] == {name}


@pytest.mark.parametrize("owner", [NOBODY, OTHER])
def test_adopt_reports_machines_with_the_policy(owner: str) -> None:
    aws = account()
    create_policy(aws, "my-policy", owner)
    create_role(aws, "machines", STATEMENTS["ec2"], attached=["my-policy"])
    entry = workload("app", "my-role", policy("my-policy", "s3:PutObject"))
    assert play(aws, entry).red
    result = play(aws, entry, adopt=True)
    assert observe(aws)["policy my-policy"] == ("blue", "s3:PutObject")
    assert result.reports("my-policy", "machines")


@pytest.mark.parametrize("scope", ["workload", "namespace"])
def test_adopted_workload_is_removed_by_its_new_owner(scope: str) -> None:
    aws = account()
    entry = workload("app", {"name": "my-role", "trust_scope": scope}, "my-policy")
    assert not play(aws, entry, owner=OTHER).red
    unchanged, [former] = aws.backup(), read_statements(aws, "my-role")
    assert not play(aws, entry, adopt=True).red
    [statement] = [part for part in read_statements(aws, "my-role") if part["Sid"] != former["Sid"]]
    assert {**statement, "Sid": ""} == {**former, "Sid": ""}
    assert not play(aws, entry, adopt=True).changes
    # The statement of a wider scope also admits workloads that the former owner may still list.
    assert (former in read_statements(aws, "my-role")) is (scope == "namespace")
    removal = play(aws, entry, state="absent")
    assert ("my-role" in aws.iam.roles) is (scope == "namespace"), removal.text
    aws.restore(unchanged)
    removal = play(aws, entry, state="absent", adopt=True)
    assert ("my-role" in aws.iam.roles) is (scope == "namespace"), removal.text


def test_purge_tags_keeps_the_tags_of_a_shared_role() -> None:
    aws = account()
    tagged = {"name": "my-role", "tags": {"team": "shop"}}
    play(aws, workload("app", tagged, "my-policy"), workload("web", tagged, "my-policy"))
    initial = aws.state()
    result = play(aws, LISTED, purge_tags=True)
    assert result.red
    assert result.reports("ROLE_USED_ELSEWHERE", "its tag team is shop, not none", "default/web")
    assert aws.state() == initial


def test_administrator_has_a_code_of_its_own() -> None:
    aws = account()
    play(aws, LISTED)
    harmless = create_policy(aws, "harmless")
    aws.iam.policies[ADMINISTRATOR] = {**aws.iam.policies[harmless], "versions": {"v1": document("*")}}
    codes = []
    for extra in (harmless, ADMINISTRATOR):
        aws.iam.roles["my-role"]["attached"] = [policy_arn("my-policy"), extra]
        result = play(aws, LISTED)
        assert result.reports("my-role", extra)
        codes.append(result.codes)
    assert codes[1] - codes[0]
    assert result.red


def test_role_without_policies_is_reported() -> None:
    assert play(account(), workload("app", "my-role")).reports("my-role")


def test_check_of_an_export_names_each_object_once() -> None:
    aws = account()
    play(aws, LISTED, owner=OTHER)
    for tags in (aws.iam.roles["my-role"]["tags"], aws.iam.policies[policy_arn("my-policy")]["tags"]):
        tags.clear()
    next(iter(aws.eks.associations.values()))["tags"].clear()
    result = play(aws, *export(aws)["workloads"], check=True)
    assert (result.changes, result.red) == ((), False)
    counts = Counter(
        line.partition(" ")[0] for line in result.text.splitlines() if "app" in line or "my-" in line
    )
    assert max(counts.values(), default=0) <= 1


WIDE = {"name": "my-role", "trust_scope": "namespace", "max_session_duration": 7200}
EDITED = policy("my-policy", "s3:PutObject")


def list_with_scope() -> FakeAws:
    aws = account()
    play(aws, workload("app", {"name": "my-role", "trust_scope": "namespace"}, "my-policy", "former"))
    return aws


def test_scope_of_the_list_does_not_prevent_its_changes() -> None:
    """A list with a wide scope changes a setting and a document, and drops a policy, without force."""
    aws = list_with_scope()
    # These associations do not use the role, or the statement does not allow them.
    create_association(aws, "web", "elsewhere")
    create_association(aws, "app", "my-role", "batch")
    result = play(aws, workload("app", WIDE, EDITED))
    assert (result.red, result.codes & {"ROLE_USED_ELSEWHERE", "POLICY_USED_ELSEWHERE"}) == (False, set())
    assert observe(aws)["attached to my-role"] == {"my-policy"}
    assert observe(aws)["policy my-policy"] == (ME, "s3:PutObject")
    assert aws.iam.roles["my-role"]["duration"] == 7200


@pytest.mark.parametrize("unread", [False, True])
def test_unlisted_user_of_a_scope_prevents_changes(unread: bool) -> None:
    """Another association of the namespace has the role, or a role that the run did not read: it may need the policies."""
    aws = list_with_scope()
    if unread:
        play(
            aws, *(workload(f"other-{number:02}", "elsewhere", "former") for number in range(11)), owner=OTHER
        )
    else:
        play(aws, workload("web", {"arn": role_arn("my-role")}))
    initial = observe(aws)
    result = play(aws, workload("app", WIDE, EDITED))
    assert result.red
    assert result.reports("ROLE_USED_ELSEWHERE", "default/other-" if unread else "default/web")
    assert observe(aws) == initial
    assert not play(aws, workload("app", WIDE, EDITED), force=["default/app"]).red
    assert observe(aws)["attached to my-role"] == {"my-policy"}


@pytest.mark.parametrize(
    ("force", "changes"),
    [(False, False), (["default/app"], False), (["default/app", "default/web"], True), (True, True)],
)
def test_force_is_for_all_listed_workloads_of_a_role(force: object, changes: bool) -> None:
    """A role of two listed workloads, which EC2 may use, too."""
    aws = account()
    entries = [workload(name, "my-role", "my-policy") for name in ("app", "web")]
    play(aws, *(workload(name, "my-role", "my-policy", "former") for name in ("app", "web")))
    write_statements(aws, "my-role", *read_statements(aws, "my-role"), STATEMENTS["ec2"])
    result = play(aws, *entries, force=force)
    assert (observe(aws)["attached to my-role"] == {"my-policy"}) is changes
    assert (STATEMENTS["ec2"] in read_statements(aws, "my-role")) is not changes
    assert result.reports("my-role", "ec2")


def test_force_for_one_workload_deletes_only_its_association() -> None:
    aws = account()
    entries = [workload(name, f"role-{name}") for name in ("app", "web")]
    play(aws, *entries)
    for row in aws.eks.associations.values():
        row["tags"].clear()
    play(aws, *entries, state="absent", force=["default/web"])
    assert [row["serviceAccount"] for row in aws.eks.associations.values()] == ["app"]


def test_document_of_a_policy_on_a_listed_role_of_another_owner_is_kept() -> None:
    """The other owner's role matches the list, so it is used. It is not a role of the run."""
    aws = account()
    play(aws, workload("job", "mine", "my-policy"))
    create_role(aws, "r", STATEMENTS["app by hand"], owner=OTHER, attached=["my-policy"])
    entries = workload("job", "mine", EDITED), workload("app", "r", EDITED)
    result = play(aws, *entries)
    assert result.red
    assert result.reports("POLICY_USED_ELSEWHERE", "role r")
    assert observe(aws)["policy my-policy"] == (ME, "s3:GetObject")
    assert not play(aws, *entries, force=True).red


@pytest.mark.parametrize("verify", [False, True])
@pytest.mark.parametrize("owner", [NOBODY, OTHER])
def test_listed_tags_of_matching_resources_of_another_owner_are_reported(owner: str, verify: bool) -> None:
    aws, tags = account(), {"team": "shop"}
    create_policy(aws, "my-policy", owner)
    create_role(aws, "my-role", STATEMENTS["app by hand"], owner=owner, attached=["my-policy"])
    play(aws, workload("app", {"name": "my-role"}, "my-policy"))
    retag(next(iter(aws.eks.associations.values()))["tags"], owner)
    initial = aws.state()
    role, tagged = {"name": "my-role", "tags": tags}, {**policy("my-policy"), "tags": tags}
    result = play(aws, workload("app", role, tagged, tags=tags), verify=verify)
    assert (result.red, aws.state()) == (False, initial)
    for kind, name in (("ROLE", "my-role"), ("POLICY", "my-policy"), ("ASSOCIATION", "default/app")):
        assert result.reports(f"{kind}_SETTINGS_DIFFER", name, "tag team is (none), not shop")


@pytest.mark.parametrize(("force", "text"), [(False, "They are kept"), (True, "the run removes")])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_wider_statement_in_a_role_by_arn_is_reported(state: str, force: bool, text: str) -> None:
    aws, role = account(), {"arn": role_arn("my-role"), "extend_trust": True}
    create_role(aws, "my-role", STATEMENTS["ec2"])
    play(aws, workload("app", {**role, "trust_scope": "namespace"}))
    result = play(aws, workload("app", role), state=state, force=force)
    if state == "present" and not force:
        result = play(aws, workload("app", role))
        assert result.changes == ()
    assert result.reports("TRUST_KEPT_FOR_OTHERS", "namespace default", text)
    assert ("web" in lets_in(read_statements(aws, "my-role"))) is not force


def test_findings_about_changes_of_the_first_round_are_kept() -> None:
    """A second round finds these changes complete. Each of them affects users outside the list."""

    def change(*conflicts: AwsError) -> Played:
        aws = list_with_scope()
        create_role(aws, "machines", STATEMENTS["ec2"], attached=["my-policy"])
        create_role(aws, "theirs", STATEMENTS["ec2"], owner=OTHER)
        write_statements(aws, "my-role", *read_statements(aws, "my-role"), STATEMENTS["ec2"])
        aws.fail_on("eks:CreatePodIdentityAssociation", *conflicts)
        entries = workload("app", {"name": "my-role"}, EDITED), workload("web", "theirs")
        return play(aws, *entries, force=True, adopt=True)

    expected = change()
    assert not expected.red
    assert expected.codes >= {
        "OWNER_CHANGED",
        "POLICY_USED_ELSEWHERE",
        "TRUST_KEPT_FOR_OTHERS",
        "TRUST_STATEMENT_FOREIGN",
    }
    result = change(classify("eks:CreatePodIdentityAssociation", "ResourceInUseException", "In use."))
    assert (result.changes, result.codes) == (expected.changes, expected.codes)


@pytest.mark.parametrize(("name", "path"), [("my-policy", "/team/"), ("My-Policy", "/")])
def test_own_policy_with_another_path_or_letter_case_is_changed_and_deleted(name: str, path: str) -> None:
    aws = account()
    arn = create_policy(aws, name, ME, path=path)
    result = play(aws, workload("app", "my-role", EDITED))
    assert not result.red
    assert result.reports("POLICY_DESCRIPTION_DIFFERS", arn)
    assert [*aws.iam.policies] == aws.iam.roles["my-role"]["attached"] == [arn]
    assert observe(aws)[f"policy {name}"] == (ME, "s3:PutObject")
    assert not play(aws, workload("app", "my-role", EDITED)).changes
    assert not play(aws, workload("app", "my-role", EDITED), state="absent").red
    assert not aws.iam.policies


ROLE_NAMES = [("my-role", "/team/"), ("My-Role", "/"), ("MY-ROLE", "/team/")]


@pytest.mark.parametrize(
    ("owner", "option", "red"),
    [
        (ME, {}, False),
        (OTHER, {"adopt": True}, False),
        (NOBODY, {"adopt": True}, False),
        (OTHER, {}, True),
        (NOBODY, {"force": True}, True),
    ],
)
@pytest.mark.parametrize(("name", "path"), ROLE_NAMES)
@pytest.mark.parametrize("count", [1, 20])
def test_role_with_another_path_or_letter_case_is_the_same(
    name: str, path: str, owner: str, option: dict[str, Any], red: bool, count: int
) -> None:
    """With 20 workloads, the roles are read in bulk."""
    aws, arn = account(), role_arn(f"{path}{name}".lstrip("/"))
    create_role(aws, name, STATEMENTS["deny"], owner=owner, path=path)
    others = [workload(f"other-{number}", f"other-{number}") for number in range(count - 1)]
    workloads = LISTED, *others
    planned = play(aws, *workloads, check=True, **option)
    result = play(aws, *workloads, **option)
    assert (planned.changes, planned.codes, planned.red) == (result.changes, result.codes, result.red)
    assert result.red is red
    found = {row["serviceAccount"]: row["roleArn"] for row in aws.eks.associations.values()}
    assert found.get("app") == (None if red else arn)
    assert result.row["workloads"][0]["role_arn"] == arn
    assert result.reports("NOT_OWNED" if red else "ROLE_NAME_DIFFERS", name)
    if red:
        return
    assert observe(aws)["attached to my-role"] == {"my-policy"}
    again = play(aws, *workloads)
    assert (again.changes, again.red) == ((), False)
    assert not play(aws, *workloads, state="absent").red
    assert (aws.iam.roles, aws.iam.policies, aws.eks.associations) == ({}, {}, {})


@pytest.mark.parametrize("options", [{"state": "absent"}, {"purge": True}], ids=str)
@pytest.mark.parametrize(("name", "path"), ROLE_NAMES)
def test_matching_role_with_another_path_or_letter_case_is_used(
    name: str, path: str, options: dict[str, Any]
) -> None:
    aws, arn = account(), role_arn(f"{path}{name}".lstrip("/"))
    create_role(aws, name, STATEMENTS["app by hand"], owner=OTHER, attached=["my-policy"], path=path)
    role = copy.deepcopy(aws.iam.roles["my-role"])
    create_policy(aws, "my-policy")
    result = play(aws, LISTED)
    assert result.changes == ("create association default/app",)
    assert not result.red
    (association,) = aws.eks.associations.values()
    assert association["roleArn"] == arn
    assert not play(aws, LISTED).changes
    gone = play(aws, *([LISTED] if "state" in options else [workload("keeper", "keeper")]), **options)
    assert not gone.red
    assert [row["serviceAccount"] for row in aws.eks.associations.values()] == (
        [] if "state" in options else ["keeper"]
    )
    assert aws.iam.roles["my-role"] == role


@pytest.mark.parametrize("options", [{}, {"force": True}, {"state": "absent"}], ids=str)
def test_policy_that_may_have_another_path_is_not_changed(options: dict[str, Any]) -> None:
    """The caller is not allowed to list policies, so a policy that was not found may exist under another path."""
    aws = account()
    create_policy(aws, "my-policy", ME, path="/team/")
    denied = classify("iam:ListPolicies", "AccessDenied", "is not authorized to perform: iam:ListPolicies")
    aws.fail_on("iam:ListPolicies", *[denied] * 99)
    initial = aws.state()
    planned, result = (play(aws, LISTED, check=check, **options) for check in (True, False))
    assert aws.state() == initial
    assert (planned.changes, planned.codes, planned.red) == (result.changes, result.codes, result.red)
    assert (result.changes, result.red) == ((), True)
    assert result.reports("AccessDenied", policy_arn("my-policy"), "iam:ListPolicies")
