# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan trust policies, report the principals that they allow, and check whether workloads can use their roles. Pure.

A grant is the scope of a managed trust statement: one workload, a namespace, a cluster, or all clusters of the account. A
managed statement is exactly as this collection writes it; every other statement is unmanaged. A pattern
(``role.trust_patterns``) is the scope of a managed statement that compares namespace and service account with wildcards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.request import SERVICE, Subject
from ..._policy.language.document import document_statements
from ..._policy.trust.principals import find_guests
from ..._policy.trust.statements import (
    PatternGrant,
    TrustGrant,
    closed_for,
    covered,
    foreign_denies,
    grant_for,
    join_statements,
    read_grants,
    read_pattern,
    trust_policy,
    widest,
    with_grants,
)
from ..._policy.trust.trust import (
    Denial,
    TrustVerdict,
    check_trust,
    find_denials,
    limits_clusters,
    prepare_trust,
)
from ..model.associations import ObservedAssociation
from ..model.cluster import Cluster, Clusters
from ..model.desired import Options, Workload
from ..model.errors import listed
from ..model.observed import Document
from ..model.roles import ObservedRole, RoleSpec, TrustScope
from ..model.targets import Failure, trust_target

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
    clusters: Clusters, role: RoleSpec, options: Options, users: Iterable[Workload]
) -> set[TrustGrant]:
    """Return the grants that the workloads of a role need.

    A workload whose trust scope is "workload" needs no grant if a pattern of the role includes it.
    """
    return {
        grant_for(
            effective_scope(role, options, workload),
            clusters.account.account_id,
            clusters.of_workload(workload.key).arn,
            workload.key.namespace,
            workload.key.service_account,
        )
        for workload in users
        if not (_is_included(workload) and effective_scope(role, options, workload) == "workload")
    }


def desired_trust(
    clusters: Clusters,
    role: RoleSpec,
    options: Options,
    users: Sequence[Workload],
    keys: frozenset[WorkloadKey],
    present: Mapping[str, object] | None,
) -> Mapping[str, object]:
    """Return the desired trust policy of a managed role.

    It allows ``users``, and keeps grants to workloads outside the run, statements for principals other than EKS Pod Identity,
    and every Deny. If the input has ``role.trust_policy``, that is the whole policy, except that an unmanaged Deny is removed
    only with ``force``.

    :arg keys: all workloads of the run.
    :arg present: the trust policy in IAM, or None for a new role.
    """
    if role.trust_policy is not None:
        denies = foreign_denies(present or {}, role.trust_policy)
        return role.trust_policy if options.force or not denies else _with_denies(role.trust_policy, denies)
    unmanaged: list[object] = []
    patterns = [grant.statement() for grant in _desired_patterns(clusters, users)]
    # Grants to workloads outside the run are added after widest(), so that they remain if a wider grant is revoked later.
    grants = widest(desired_grants(clusters, role, options, users))
    if present is not None:
        grants |= outside_grants(clusters, present, keys)
        unmanaged = [*foreign_statements(present), *_outside_patterns(clusters, present, keys)]
    granted = trust_policy(grants)
    if not (unmanaged or patterns):
        return granted
    return with_grants(granted, [*(entry for entry in unmanaged if entry not in patterns), *patterns], grants)


def _is_included(workload: Workload) -> bool:
    return workload.role is not None and workload.role.includes(workload.key)


def _desired_patterns(clusters: Clusters, users: Sequence[Workload]) -> list[PatternGrant]:
    """Return the grants that the patterns of a role need: one for each pattern and each cluster with workloads of the role."""
    patterns = {
        (clusters.of_workload(workload.key).arn, names)
        for workload in users
        if workload.role is not None and _is_included(workload)
        for names in workload.role.trust_patterns
    }
    account_id = clusters.account.account_id
    return [PatternGrant(account_id, arn, *names) for arn, names in sorted(patterns)]


def _outside_patterns(
    clusters: Clusters, present: Mapping[str, object], keys: frozenset[WorkloadKey]
) -> list[object]:
    """Return the statements whose pattern includes no workload of the run. A run for another list has probably added them."""
    _grants, rest = read_grants(present)
    return [
        statement
        for statement in rest
        if (grant := read_pattern(statement)) is not None and not _matching(grant, clusters, keys)
    ]


def _matching(grant: PatternGrant, clusters: Clusters, keys: Iterable[WorkloadKey]) -> list[WorkloadKey]:
    """Return the workloads among ``keys`` that a pattern includes."""
    cluster = clusters.with_arn(grant.cluster_arn)
    return [
        key
        for key in keys
        if cluster is not None
        and key.cluster == cluster.name
        and grant.includes(key.namespace, key.service_account)
    ]


def _with_denies(
    document: Mapping[str, object], denies: Iterable[Mapping[str, object]]
) -> Mapping[str, object]:
    return {**document, "Statement": join_statements(denies, document_statements(document))}


def outside_grants(
    clusters: Clusters, present: Mapping[str, object], keys: frozenset[WorkloadKey]
) -> set[TrustGrant]:
    """Return the managed grants to workloads outside the run.

    These are grants to workloads that are not in ``keys``, to namespaces without a workload in ``keys``, and for other clusters.
    Grants for the whole account, or for one of ``clusters`` as a whole, are not returned, because they may belong to the run.

    :arg clusters: the clusters of the run with workloads that use the role.
    :arg present: the trust policy in IAM.
    :arg keys: the workloads of the run.
    """
    grants, _others = read_grants(present)
    return {grant for grant in grants if _of_others(grant, clusters, keys)}


def _of_others(grant: TrustGrant, clusters: Clusters, keys: frozenset[WorkloadKey]) -> bool:
    cluster = clusters.with_arn(grant.cluster_arn)
    if cluster is None:
        return bool(grant.cluster_arn)
    if grant.service_account:
        return WorkloadKey(cluster.name, grant.namespace, grant.service_account) not in keys
    return bool(grant.namespace) and not _in_reach(grant, cluster, keys)


def may_allow_cluster(cluster_name: str, present: Mapping[str, object]) -> bool:
    """Return whether a trust policy may allow workloads of a cluster whose name is known, but not its account and region."""
    grants, rest = read_grants(present)
    return any(grant.cluster_arn.rpartition("/")[2] in ("", cluster_name) for grant in grants) or any(
        isinstance(statement, Mapping) and not _names_others(statement) for statement in rest
    )


def union_trust(present: Mapping[str, object], desired: Mapping[str, object]) -> Mapping[str, object]:
    """Merge two trust policies. The result has the Allow statements of both, and the Deny statements of ``present``.

    A grant in both policies remains even if a wider grant covers it, because the wider grant may be revoked later.
    """
    grants, rest = read_grants(present)
    new_grants, new_others = read_grants(desired)
    kept_grants = {grant for grant in grants if grant in new_grants or not covered(grant, new_grants)}
    joining = {grant for grant in new_grants if grant in grants or not covered(grant, grants)}
    allowed = [statement for statement in new_others if is_allow(statement) and statement not in rest]
    return with_grants(desired, join_statements(rest, allowed), kept_grants | joining)


def is_allow(statement: object) -> bool:
    return isinstance(statement, Mapping) and statement.get("Effect") == "Allow"


def foreign_statements(
    present: Mapping[str, object], desired: Mapping[str, object] | None = None
) -> list[Mapping[str, object]]:
    """Return the unmanaged statements that allow principals other than EKS Pod Identity, and all unmanaged Deny statements.

    :arg desired: ``role.trust_policy`` of the input. Its statements are left out, because the user listed them.
    """
    _grants, rest = read_grants(present)
    _desired_grants, desired_statements = read_grants(desired or {})
    return [
        statement
        for statement in rest
        if isinstance(statement, Mapping)
        and statement not in desired_statements
        and (_names_others(statement) or not is_allow(statement))
    ]


def foreign_principals(
    present: Mapping[str, object], desired: Mapping[str, object] | None = None
) -> list[str]:
    """Describe the principals that unmanaged statements allow, other than EKS Pod Identity, for a message."""
    return describe_principals(_foreign_names(present, desired))


def _foreign_names(present: Mapping[str, object], desired: Mapping[str, object] | None = None) -> set[str]:
    """Return the principals that unmanaged statements allow, other than EKS Pod Identity."""
    statements = foreign_statements(present, desired)
    return {
        name for statement in statements if is_allow(statement) for name in read_principals(statement)
    } - {SERVICE}


def describe_principals(names: Iterable[str]) -> list[str]:
    return [f"{name} (by the trust policy)" for name in sorted(names)]


def _names_others(statement: Mapping[str, object]) -> bool:
    names = read_principals(statement)
    return not names or bool(names - {SERVICE})


def read_principals(statement: Mapping[str, object]) -> set[str]:
    """Return the principals of a statement; empty if it has NotPrincipal instead."""
    principal = statement.get("Principal", {})
    values = principal.values() if isinstance(principal, Mapping) else [principal]
    lists = (value if isinstance(value, list) else [value] for value in values)
    return {str(name) for names in lists for name in names}


def extended_trust(
    clusters: Clusters,
    role: RoleSpec,
    options: Options,
    users: Sequence[Workload],
    present: Mapping[str, object],
) -> Mapping[str, object]:
    """Return the trust policy of an existing role, with grants for the workloads added to its grants and unmanaged statements."""
    grants, rest = read_grants(present)
    new_grants = widest(desired_grants(clusters, role, options, users))
    return with_grants(present, rest, grants | {grant for grant in new_grants if not covered(grant, grants)})


def revoke_grants(
    clusters: Clusters,
    present: Mapping[str, object],
    removed: frozenset[WorkloadKey],
    staying: frozenset[WorkloadKey],
) -> Mapping[str, object] | None:
    """Return a trust policy without the managed grants to removed workloads, or None if no grant is revoked.

    A grant for a namespace or cluster, and a pattern, is revoked only if it allows none of the workloads in ``staying``. A grant
    for the whole account is never revoked.
    """
    grants, rest = read_grants(present)
    revoked = {grant for grant in grants if _is_revoked(grant, clusters, removed, staying)}
    left = [
        statement
        for statement in rest
        if (pattern := read_pattern(statement)) is None
        or _matching(pattern, clusters, staying)
        or not _matching(pattern, clusters, removed)
    ]
    if not revoked and len(left) == len(rest):
        return None
    return with_grants(present, left, grants - revoked)


def _is_revoked(
    grant: TrustGrant, clusters: Clusters, removed: frozenset[WorkloadKey], staying: frozenset[WorkloadKey]
) -> bool:
    cluster = clusters.with_arn(grant.cluster_arn)
    if cluster is None:
        return False
    if grant.service_account:
        return WorkloadKey(cluster.name, grant.namespace, grant.service_account) in removed
    in_reach = _in_reach(grant, cluster, staying)
    return not in_reach and bool(_in_reach(grant, cluster, removed))


def _in_reach(grant: TrustGrant, cluster: Cluster, keys: Iterable[WorkloadKey]) -> list[WorkloadKey]:
    """Return the workloads among ``keys`` that a grant for a cluster or namespace allows."""
    return [key for key in keys if key.cluster == cluster.name and grant.namespace in ("", key.namespace)]


def is_still_granted(
    clusters: Clusters, present: Mapping[str, object], removed: frozenset[WorkloadKey]
) -> bool:
    """Return whether a pattern, or a managed grant for a namespace, cluster or account, still allows a removed workload."""
    grants, rest = read_grants(present)
    patterns = filter(None, map(read_pattern, rest))
    if any(_matching(pattern, clusters, removed) for pattern in patterns):
        return True
    return any(
        not grant.cluster_arn
        or (
            not grant.service_account
            and (cluster := clusters.with_arn(grant.cluster_arn)) is not None
            and _in_reach(grant, cluster, removed)
        )
        for grant in grants
    )


def is_limited_to(clusters: Clusters, present: Mapping[str, object]) -> bool:
    """Return whether the Allow statements of a trust policy certainly allow workloads of these clusters only."""
    grants, rest = read_grants(present)
    patterns = [(statement, read_pattern(statement)) for statement in rest if is_allow(statement)]
    arns = {grant.cluster_arn for grant in grants}
    arns |= {pattern.cluster_arn for _statement, pattern in patterns if pattern is not None}
    unmanaged = [statement for statement, pattern in patterns if pattern is None]
    if unmanaged:
        trust = prepare_trust({**present, "Statement": unmanaged})
        if not limits_clusters(trust, {cluster.arn for cluster in clusters.members.values()}):
            return False
    elif not arns:
        arns = {closed_for(present)}
    return all(clusters.with_arn(arn) is not None for arn in arns)


def grants_elsewhere(clusters: Clusters, present: Mapping[str, object]) -> list[str]:
    """Return the managed grants for other clusters, as text: ARN of the cluster, namespace and service account."""
    grants, _others = read_grants(present)
    return sorted(
        "/".join(part for part in (grant.cluster_arn, grant.namespace, grant.service_account) if part)
        for grant in grants
        if grant.cluster_arn and clusters.with_arn(grant.cluster_arn) is None
    )


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


def find_foreign_access(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """Report the principals other than EKS Pod Identity that a trust policy allows.

    Principals in other accounts share one finding, and all other principals another finding. The principal "*" is left out,
    because ``find_public_access`` reports it.
    """
    unmanaged = foreign_statements(role.trust)
    rules = prepare_trust({**role.trust, "Statement": unmanaged}).rules if unmanaged else ()
    guests = [guest for guest in find_guests(rules, role.arn.split(":")[4]) if guest.name != "*"]
    names = {guest.name for guest in guests}
    other_account_names = {guest.name for guest in guests if guest.kind in ("other account", "everyone")}
    if other_account_names:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"the trust policy of role {role.name} also allows principals in other accounts, which are not part of the role's "
            f"configuration: {listed(sorted(other_account_names), 10)}. {_KEPT}",
            "Remove those statements from the trust policy. If these principals must use the role, too, set the "
            "whole trust policy as role.trust_policy, or accept the finding for all workloads with pod_identity_ignore: "
            "[TRUST_STATEMENT_FOREIGN] in the Ansible role.",
            key,
            raised_as="error",
        )
    if names - other_account_names:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"the trust policy of role {role.name} also allows principals that are not part of the role's configuration: "
            f"{listed(sorted(names - other_account_names), 10)}. {_KEPT}",
            _REMEDY,
            key,
        )


_KEPT = "Statements that this collection did not write are kept."
_REMEDY = "Remove those statements from the trust policy if they are unused, or set the whole trust policy as role.trust_policy."


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
    clusters: Clusters,
    users: Sequence[Workload],
    trust: Mapping[str, object],
    role_arn: str,
) -> list[Failure]:
    """Return a failure for each workload that certainly cannot use the role with this trust policy."""
    failures = []
    for workload in users:
        disabled = bool(workload.association.disable_session_tags)
        subject = trust_subject(clusters.of_workload(workload.key), workload.key, role_arn, disabled)
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


def is_shut_out(
    workload: Workload, association: ObservedAssociation | None, role: ObservedRole | None, clusters: Clusters
) -> bool:
    """Return whether a workload cannot use its role without session tags, which its association has turned off.

    The trust policy must certainly not allow the workload without session tags, and the workload must not set
    ``disable_session_tags``.
    """
    if association is None or not association.disable_session_tags or role is None:
        return False
    if workload.association.disable_session_tags is not None or workload.key not in clusters:
        return False
    if association.role_arn.lower() != role.arn.lower():
        return False
    subject = trust_subject(clusters.of_workload(workload.key), workload.key, role.arn, disabled=True)
    return check_trust(role.trust, subject).usable == "no"


def usable_without_denies(trust: Document, desired: Document | None, subject: Subject) -> str:
    """Return whether the workload could use the role if the unmanaged Deny statements were removed.

    :arg desired: ``role.trust_policy`` of the input, or None. Its Deny statements count as managed.
    :returns: "yes", "no" or "conditional".
    """
    denies = foreign_denies(trust, desired)
    stored = trust["Statement"]
    statements = [
        statement
        for statement in (stored if isinstance(stored, list) else [stored])
        if statement not in denies
    ]
    return check_trust({**trust, "Statement": statements}, subject).usable if statements else "no"


def find_restrictions(
    role_arn: str, trust: Document, desired: Document | None, subjects: Mapping[WorkloadKey, Subject]
) -> list[Finding]:
    """Return one finding for each unmanaged Deny statement of a trust policy, about the workload that it affects most.

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
            present = worst.get(denial.label)
            if present is None or _rank(finding) < _rank(present):
                worst[denial.label] = finding
    return list(worst.values())


def _restriction(role_arn: str, denial: Denial, together: bool, is_input: bool, key: WorkloadKey) -> Finding:
    """Return the finding about a Deny statement.

    :arg together: the workload cannot use the role, but could use it if all unmanaged Deny statements were removed.
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


def _rank(finding: Finding) -> int:
    return _WORST_FIRST.index(finding.severity)


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
