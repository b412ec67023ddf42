# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Edit trust policies by statement, report the principals that they allow, and check whether workloads can use their roles. Pure.

A marked statement has a Sid that names its writer: the owner of a run, and a cluster. A run writes and removes only statements
with its own Sids. Every other statement is foreign: it is kept, and reported if it allows more than the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeGuard

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.pods import SERVICE, Subject
from ..._policy.language.document import PolicyDocument, document_statements
from ..._policy.trust.principals import find_guests
from ..._policy.trust.statements import (
    TrustGrant,
    closed,
    foreign_denies,
    join_statements,
    read_grants,
    read_statement,
    trust_policy,
    widest,
    with_grants,
    writer_of,
)
from ..._policy.trust.trust import Denial, TrustVerdict, check_trust, find_denials, prepare_trust
from ..model.cluster import Cluster
from ..model.desired import Options, Workload
from ..model.errors import listed
from ..model.names import is_own
from ..model.observed import Document, Observed
from ..model.roles import ObservedRole, RoleSpec, TrustScope
from ..model.shared import named_workloads, own_grants
from ..model.targets import Failure, trust_target
from .scene import Scene

# The trust scopes whose conditions compare session tags.
TAGGED_SCOPES = ("workload", "namespace", "cluster")


def effective_scope(role: RoleSpec, options: Options, workload: Workload) -> TrustScope:
    """Return the trust scope of one workload: the scope of its role, otherwise the scope of the run, otherwise the default
    scope.

    Without session tags the scope is at least "account", because a trust policy cannot distinguish the workloads of an account.
    """
    stated = role.trust_scope or options.trust_scope
    if workload.association.disable_session_tags and stated in (None, *TAGGED_SCOPES):
        return "account"
    return stated or "workload"


def desired_grants(
    cluster: Cluster, role: RoleSpec, options: Options, users: Iterable[Workload]
) -> set[TrustGrant]:
    """Return the grants that the workloads of a role need, without those that another one includes.

    A workload whose trust scope is "workload" needs no grant if a pattern of the role includes it; the pattern is a grant then.
    """
    account_id, grants = cluster.account_id, set[TrustGrant]()
    for workload in users:
        scope, arn = effective_scope(role, options, workload), cluster.arn
        names = [(workload.key.namespace, workload.key.service_account)]
        if scope == "workload" and workload.role is not None and workload.role.includes(workload.key):
            names = list(workload.role.trust_patterns)
        for namespace, name in names:
            parts = (namespace, name) if name != "*" else (namespace,) if namespace != "*" else ()
            length = {"anyone_in_account": 0, "account": 1, "cluster": 2, "namespace": 3, "workload": 4}[
                scope
            ]
            grant = TrustGrant(*(account_id, arn, *parts)[:length])
            grants.add(replace(grant, writer=writer_of(options.owner, grant.cluster_arn)))
    return widest(grants)


@dataclass(frozen=True, slots=True)
class TrustPlan:
    """The edit of a trust policy: ``present``, ``granted`` with the new statements, and ``final`` without the removed ones.

    ``wide`` has the statements of the owner that allow more than the list, and ``foreign`` the other statements that allow more
    than the list. They are kept, or with ``forced`` removed. ``other_users`` describes the principals that ``final`` allows,
    except the listed workloads of the role: with other users, the role is shared. A listed scope counts by its unlisted
    associations.
    """

    present: Document
    granted: Document
    final: Document
    wide: tuple[TrustGrant, ...] = ()
    foreign: tuple[Mapping[str, object], ...] = ()
    other_users: tuple[str, ...] = ()
    forced: bool = False


def edit_trust(
    scene: Scene,
    spec: RoleSpec | None,
    users: Sequence[Workload],
    role: ObservedRole | None,
    closes: bool,
    forced: bool,
    former: Collection[TrustGrant] = (),
) -> TrustPlan:
    """Return the edit of the trust policy of a role.

    :arg spec: the listed role, or None for a role that only loses statements.
    :arg users: the listed workloads of the role.
    :arg forced: whether ``force`` is set for the workloads of the role.
    :arg closes: whether a trust policy without an Allow statement gets a statement that does not match any request. Otherwise
        its last statements are kept, because IAM requires one.
    :arg former: grants of the owner that are removed from the trust policy with their workloads.
    """
    options, cluster = scene.options, scene.observed.cluster
    present: Document = role.trust if role is not None else {}
    if spec is not None and spec.trust_policy is not None:
        denies = [] if forced else foreign_denies(present, spec.trust_policy)
        whole = spec.trust_policy
        if denies:
            joined = join_statements(denies, document_statements(whole))
            whole = PolicyDocument({**whole, "Statement": joined})
        return TrustPlan(present, whole, whole, other_users=_find_other_users(scene, role, whole, ()))
    writes = spec is not None and (spec.extend_trust or not spec.existing)
    desired = (
        desired_grants(cluster, spec, options, users) if spec is not None and writes else set[TrustGrant]()
    )
    if role is None:
        new = trust_policy(desired)
        return TrustPlan(present, new, new)
    grants, rest = read_grants(present)
    owned, arn = own_grants(cluster, options.owner, present), role.arn
    # With adopt, the statements of other owners about the listed workloads count as own in the listed roles.
    owned |= {
        grant
        for grant in grants
        if role.name.lower() in scene.listed_names and scene.is_one_of(scene.adopted, grant)
    }
    users_of_role = scene.listed_with(arn)
    sharers = [user for key, user in scene.desired.unselected.items() if key in users_of_role]
    desired |= owned & desired_grants(cluster, spec, options, sharers) if spec is not None else set()
    leaving = {
        grant
        for grant in owned - desired
        if grant in former
        or replace(grant, writer=writer_of(options.owner, grant.cluster_arn)) in desired
        or any(scene.leaves(key, arn) for key in named_workloads(cluster, [grant]))
    }
    # Without extend_trust, the statements of an earlier run may be what lets the workloads use a role given by its ARN.
    wide = {grant for grant in owned - desired - leaving if not grant.is_single and (spec is None or writes)}
    # A statement of the scope ``account`` is for several clusters.
    removed = {grant for grant in wide if forced or (scene.everything and grant.cluster_arn)}
    foreign = [entry for entry in rest if is_allow(entry) and not scene.allows_only(users_of_role, entry)]
    listed_by_name = spec is not None and not spec.existing
    reported = wide if forced else wide - removed
    clears = forced and listed_by_name and (is_own(role.tags, options.owner) or options.adopt)
    remaining = [entry for entry in rest if not (clears and entry in foreign)]
    granted = with_grants(present, rest, grants | desired) if desired - grants else present
    final: Document = with_grants(present, remaining, (grants | desired) - leaving - removed)
    if closes:
        final = closed(final, cluster.arn)
    elif not final.get("Statement"):
        final = granted
    # The users of a scope of the cluster are its unlisted associations; the users of a wider scope are unknown.
    scopes = {grant for grant in desired if grant.cluster_arn and not grant.is_single}
    other_users = _find_other_users(scene, role, final, scopes)
    return TrustPlan(present, granted, final, tuple(sorted(reported)), tuple(foreign), other_users, forced)


def _find_other_users(
    scene: Scene, role: ObservedRole | None, trust: Document, scopes: Collection[TrustGrant]
) -> tuple[str, ...]:
    if role is None:
        return ()
    grants, rest = read_grants(trust)
    users = scene.listed_with(role.arn)
    names = [
        describe_grant(grant)
        for grant in sorted(grants)
        if grant not in scopes and not scene.is_one_of(users, grant)
    ]
    for statement in rest:
        if is_allow(statement) and not scene.allows_only(users, statement):
            names += describe_statement(statement)
    return tuple(dict.fromkeys([*names, *scene.find_unlisted_users(role, scopes)]))


def describe_grant(grant: TrustGrant) -> str:
    """Describe the workload, namespace or cluster that a grant of a trust policy allows, for a message."""
    cluster = grant.cluster_arn.rpartition("/")[2]
    if grant.service_account:
        return f"{cluster} {grant.namespace}/{grant.service_account}"
    if grant.namespace:
        return f"namespace {grant.namespace} of cluster {cluster}"
    if cluster:
        return f"cluster {cluster}"
    return (
        "every cluster of the account" if grant.account_id else "every cluster (a statement has no condition)"
    )


def describe_statement(statement: Mapping[str, object]) -> list[str]:
    """Describe the principals that a foreign statement allows."""
    names, grants = read_principals(statement), read_statement(statement)
    sid = f" (statement {statement['Sid']})" if statement.get("Sid") else ""
    pods = [f"workloads that a foreign statement allows{sid}"] if not names - {SERVICE} else []
    if grants is not None:
        pods = [f"{describe_grant(grant)}{sid}" for grant in sorted(grants)]
    return [*pods, *(f"{name} (by the trust policy)" for name in sorted(names - {SERVICE}))]


def is_allow(statement: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(statement, Mapping) and statement.get("Effect") == "Allow"


def foreign_statements(trust: Document) -> list[Mapping[str, object]]:
    """Return the statements of a trust policy that no run has written."""
    _grants, rest = read_grants(trust)
    return [statement for statement in rest if isinstance(statement, Mapping)]


def read_principals(statement: Mapping[str, object]) -> set[str]:
    """Return the principals of a statement; empty if it has NotPrincipal instead."""
    principal = statement.get("Principal", {})
    values = principal.values() if isinstance(principal, Mapping) else [principal]
    lists = (value if isinstance(value, list) else [value] for value in values)
    return {str(name) for names in lists for name in names}


def find_public_access(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """Report each statement of the trust policy that allows every principal of every account."""
    for lint in prepare_trust(role.trust).lints:
        if lint.code == Code.TRUST_OPEN_TO_EVERYONE:
            yield Finding(
                lint.code,
                f"the trust policy of role {role.arn} allows everyone: {lint.message}",
                "Remove the statement from the trust policy, or limit it to named principals.",
                key,
                raised_as=lint.raised_as,
            )


def find_foreign_access(
    role: ObservedRole,
    key: WorkloadKey,
    statements: Iterable[Mapping[str, object]],
    forced: bool = False,
) -> Iterator[Finding]:
    """Report the foreign statements of a trust policy that allow more than the list.

    Principals in other accounts share one finding, and all others another finding. The principal "*" is left out, because
    ``find_public_access`` reports it.

    :arg statements: the statements to report.
    :arg forced: whether the run removes the statements.
    """
    outcome = _REMOVED if forced else _KEPT
    allowing = [statement for statement in statements if is_allow(statement)]
    rules = prepare_trust({**role.trust, "Statement": allowing}).rules if allowing else ()
    guests = [guest for guest in find_guests(rules, role.arn.split(":")[4]) if guest.name != "*"]
    names = {guest.name for guest in guests}
    other_account_names = {guest.name for guest in guests if guest.kind in ("other account", "everyone")}
    pods = [
        text
        for statement in allowing
        if read_principals(statement) == {SERVICE}
        for text in describe_statement(statement)
    ]
    if other_account_names:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"the trust policy of role {role.name} also allows principals in other accounts, which are not part of the role's "
            f"configuration: {listed(sorted(other_account_names), 10)}. {outcome}",
            "Remove those statements from the trust policy. If these principals must use the role, too, set the "
            "whole trust policy as role.trust_policy, or accept the finding for all workloads with pod_identity_ignore: "
            "[TRUST_STATEMENT_FOREIGN] in the Ansible role.",
            key,
            raised_as="error",
        )
    if principals := [*sorted(names - other_account_names), *pods]:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"the trust policy of role {role.name} also allows principals that are not part of the role's configuration: "
            f"{listed(principals, 10)}. {outcome}",
            _REMEDY,
            key,
        )


def find_kept_scopes(role: ObservedRole, key: WorkloadKey, edit: TrustPlan) -> list[Finding]:
    """Report the statements of the owner that allow more than the list and are kept. Return at most one finding."""
    if not edit.wide:
        return []
    names = listed(map(describe_grant, edit.wide), 5)
    return [
        Finding(
            Code.TRUST_KEPT_FOR_OTHERS,
            f"the trust policy of role {role.arn} has statements of an earlier run with a wider trust_scope, for {names}. "
            f"{_REMOVED if edit.forced else 'They are kept, because others may need them.'}",
            "If they are not needed, set ⟨force⟩: true, which removes them. Otherwise set the wider trust_scope.",
            key,
        )
    ]


_KEPT = "Statements that this collection did not write are kept."
_REMOVED = "With ⟨force⟩: true, the run removes these statements."
_REMEDY = (
    "Remove those statements from the trust policy if they are unused, which ⟨force⟩: true does, or set the whole trust policy "
    "as role.trust_policy."
)


_LIFT = (
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To remove the "
    "statement, edit the trust policy of the role."
)
_FORCE = "Or set ⟨force⟩: true for one run, which writes role.trust_policy unchanged."
_WORST_FIRST: tuple[Severity, ...] = ("error", "warning", "info")
_EFFECTS: Mapping[Severity, str] = {
    "error": "prevents the workload from using the role",
    "warning": "may prevent the workload from using the role",
    "info": "does not affect the workload",
}


def trust_subject(cluster: Cluster, key: WorkloadKey, role_arn: str, disabled: bool) -> Subject:
    """Return the request context with which EKS Pod Identity assumes the role for a workload.

    :arg disabled: the association has session tags turned off.
    """
    return Subject(
        cluster_arn=cluster.arn,
        namespace=key.namespace,
        service_account=key.service_account,
        account_id=cluster.account_id,
        partition=cluster.partition,
        role_arn=role_arn,
        session_tags=not disabled,
    )


def trust_failures(
    cluster: Cluster,
    users: Sequence[Workload],
    trust: Mapping[str, object],
    role_arn: str,
) -> list[Failure]:
    """Return a failure for each workload that certainly cannot use the role with this trust policy."""
    failures = []
    for workload in users:
        disabled = bool(workload.association.disable_session_tags)
        subject = trust_subject(cluster, workload.key, role_arn, disabled)
        verdict = check_trust(trust, subject)
        if verdict.usable == "no":
            failures.append(
                Failure(
                    (workload.key,),
                    trust_target(role_arn),
                    "read",
                    Code.TRUST_NOT_USABLE,
                    f"role {role_arn} cannot be used by {workload.key}: {reasons(verdict)}",
                    input_trust_remedy(workload)
                    or (_LIFT if usable_without_denies(trust, None, subject) != "no" else "")
                    or "Correct the trust policy, or set role.extend_trust: true to add the statement of this collection.",
                )
            )
    return failures


def is_shut_out(workload: Workload, observed: Observed) -> bool:
    """Return whether a workload cannot use its role without session tags, which its association has turned off.

    The trust policy must certainly not allow the workload without session tags, and the workload must not set
    ``disable_session_tags``.
    """
    association = observed.associations.get(workload.key)
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    if association is None or not association.disable_session_tags or role is None:
        return False
    is_set = workload.association.disable_session_tags is not None
    if is_set or association.role_arn.lower() != role.arn.lower():
        return False
    subject = trust_subject(observed.cluster, workload.key, role.arn, disabled=True)
    return check_trust(role.trust, subject).usable == "no"


def usable_without_denies(trust: Document, desired: Document | None, subject: Subject) -> str:
    """Return whether the workload could use the role if the foreign Deny statements were removed.

    :arg desired: ``role.trust_policy`` of the input, or None. Its Deny statements count as managed.
    :returns: "yes", "no" or "conditional".
    """
    denies = foreign_denies(trust, desired)
    statements = [statement for statement in document_statements(trust) if statement not in denies]
    return check_trust({**trust, "Statement": statements}, subject).usable if statements else "no"


def find_restrictions(
    role_arn: str, trust: Document, desired: Document | None, subjects: Mapping[WorkloadKey, Subject]
) -> list[Finding]:
    """Return one finding for each foreign Deny statement of a trust policy, about the workload that it affects most.

    :arg desired: ``role.trust_policy`` of the input, or None. Its Deny statements count as managed.
    :arg subjects: the request context of each workload of the role.
    """
    denies = foreign_denies(trust, desired)
    if not denies:
        return []
    prepared = prepare_trust(trust)
    worst: dict[str, Finding] = {}
    for key, subject in subjects.items():
        usable = check_trust(prepared, subject).usable
        together = usable == "no" and usable_without_denies(trust, desired, subject) != "no"
        for denial in find_denials(prepared, subject):
            if denial.statement not in denies:
                continue
            finding = _restriction(role_arn, denial, together, desired is not None, key)
            worst[denial.label] = min(
                (worst.get(denial.label, finding), finding),
                key=lambda found: _WORST_FIRST.index(found.severity),
            )
    return list(worst.values())


def _restriction(role_arn: str, denial: Denial, together: bool, is_input: bool, key: WorkloadKey) -> Finding:
    """Return the finding about a Deny statement.

    :arg together: the workload cannot use the role, but could use it if all foreign Deny statements were removed.
    :arg is_input: the input has ``role.trust_policy``.
    """
    severity: Severity = "error" if denial.applies or (denial.applies is None and together) else "warning"
    if denial.applies is False:
        severity = "info"
    return Finding(
        Code.ROLE_RESTRICTED,
        f"{denial.label} of the trust policy of role {role_arn} {denial.text}, which {_EFFECTS[severity]}. "
        "This collection did not write that statement, and keeps it.",
        f"{_LIFT} {_FORCE}" if is_input else _LIFT,
        key,
        denial.label,
        raised_as=severity,
    )


def input_trust_remedy(workload: Workload) -> str:
    """Return the remedy if the trust policy is ``role.trust_policy`` of the input, or "" if it is not."""
    if workload.role is None or workload.role.trust_policy is None:
        return ""
    return (
        "Correct role.trust_policy, and apply the workload; or leave role.trust_policy out, so that this collection writes the "
        "trust policy for the workloads of the role."
    )


def reasons(verdict: TrustVerdict) -> str:
    """Return the reasons why a role cannot be used, as sentences in one line."""
    errors = [
        finding.message
        for finding in verdict.findings
        if finding.severity == "error" and finding.code != Code.TRUST_OPEN_TO_EVERYONE
    ]
    return " ".join(errors) or "its trust policy does not allow EKS Pod Identity."
