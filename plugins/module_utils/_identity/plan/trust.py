# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Trust policies of roles: plan them, report whom they let in, and check them before anything is changed. Pure.

Also of roles whose trust policy is not managed here: can the workloads use them?
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.request import SERVICE, Subject
from ..._policy.trust.statements import (
    TrustGrant,
    closed_for,
    covered,
    foreign_denies,
    grant_for,
    join_statements,
    read_grants,
    trust_policy,
    widest,
    with_grants,
)
from ..._policy.trust.trust import Denial, TrustVerdict, check_trust, find_denials, prepare_trust
from ..model.associations import ObservedAssociation
from ..model.cluster import Cluster, Clusters
from ..model.desired import Options, Workload
from ..model.errors import listed
from ..model.observed import Document
from ..model.roles import ObservedRole, RoleSpec, TrustScope
from ..model.targets import Failure, trust_target

# The scopes whose conditions look at session tags.
TAGGED_SCOPES = ("workload", "namespace", "cluster")


def scope_of(role: RoleSpec, options: Options, workload: Workload) -> TrustScope:
    """The trust scope of one workload. Without session tags nothing narrower than the account can
    be told apart, so an unstated scope is then "account"."""
    stated = role.trust_scope or options.trust_scope
    if workload.association.disable_session_tags and stated in (None, *TAGGED_SCOPES):
        return "account"
    return stated or "workload"


def grants_of(
    clusters: Clusters, role: RoleSpec, options: Options, users: Iterable[Workload]
) -> set[TrustGrant]:
    return {
        grant_for(
            scope_of(role, options, workload),
            clusters.account.account_id,
            clusters.of(workload.key).arn,
            workload.key.namespace,
            workload.key.service_account,
        )
        for workload in users
    }


def wanted_trust(
    clusters: Clusters,
    role: RoleSpec,
    options: Options,
    users: Sequence[Workload],
    listed: frozenset[WorkloadKey],
    present: Mapping[str, object] | None,
) -> Mapping[str, object]:
    """The trust policy for a role that we make.

    What our own statements grant to workloads that this run does not list (of another cluster, or of
    another play) stays: they are somebody's, and this run knows nothing about them. So do statements for others
    than EKS Pod Identity, and every Deny. A trust policy that is given as a whole takes a Deny away only with ``force``.
    """
    if role.trust_policy is not None:
        denies = foreign_denies(present or {}, role.trust_policy)
        return role.trust_policy if options.force or not denies else _with_denies(role.trust_policy, denies)
    foreign: list[Mapping[str, object]] = []
    # What others were granted stays even where a wider grant of ours covers it: ours may go again.
    grants = widest(grants_of(clusters, role, options, users))
    if present is not None:
        grants |= grants_of_others(clusters, present, listed)
        foreign = foreign_statements(present)
    granted = trust_policy(grants)
    return with_grants(granted, foreign, grants) if foreign else granted


def _with_denies(
    document: Mapping[str, object], denies: Iterable[Mapping[str, object]]
) -> Mapping[str, object]:
    statements = document["Statement"]
    added = statements if isinstance(statements, list) else [statements]
    return {**document, "Statement": join_statements(denies, added)}


def grants_of_others(
    clusters: Clusters, present: Mapping[str, object], listed: frozenset[WorkloadKey]
) -> set[TrustGrant]:
    """What our own statements grant to workloads that a run does not list, as far as that can be told:
    a grant for the whole cluster or account may be its own. ``clusters`` are those whose workloads use the role: what
    another one has of it is nothing to this run, be it in it or not."""
    grants, _others = read_grants(present)
    return {grant for grant in grants if _of_others(grant, clusters, listed)}


def _of_others(grant: TrustGrant, clusters: Clusters, listed: frozenset[WorkloadKey]) -> bool:
    cluster = clusters.with_arn(grant.cluster_arn)
    if cluster is None:
        return bool(grant.cluster_arn)
    if grant.service_account:
        return WorkloadKey(cluster.key, grant.namespace, grant.service_account) not in listed
    return bool(grant.namespace) and not _in_reach(grant, cluster, listed)


def may_let_in(cluster_name: str, present: Mapping[str, object]) -> bool:
    """Whether a trust policy may let in workloads of a cluster, of which nothing but the name is known."""
    grants, others = read_grants(present)
    return any(grant.cluster_arn.rpartition("/")[2] in ("", cluster_name) for grant in grants) or any(
        isinstance(statement, Mapping) and not _names_others(statement) for statement in others
    )


def widened(present: Mapping[str, object], wanted: Mapping[str, object]) -> Mapping[str, object]:
    """A trust policy that lets in all whom either of two does, but for those whom the present one denies. A grant that
    both have stays, even where a wider one covers it: it may be of others, and the wider one may go again."""
    grants, others = read_grants(present)
    new_grants, new_others = read_grants(wanted)
    kept = {grant for grant in grants if grant in new_grants or not covered(grant, new_grants)}
    joining = {grant for grant in new_grants if grant in grants or not covered(grant, grants)}
    allowed = [statement for statement in new_others if is_allow(statement) and statement not in others]
    return with_grants(wanted, join_statements(others, allowed), kept | joining)


def is_allow(statement: object) -> bool:
    return isinstance(statement, Mapping) and statement.get("Effect") == "Allow"


def foreign_statements(
    present: Mapping[str, object], asked: Mapping[str, object] | None = None
) -> list[Mapping[str, object]]:
    """The statements for others than EKS Pod Identity and every Deny that was written elsewhere, but for those of a trust
    policy that was ``asked`` for."""
    _grants, others = read_grants(present)
    _asked_grants, known = read_grants(asked or {})
    return [
        statement
        for statement in others
        if isinstance(statement, Mapping)
        and statement not in known
        and (_names_others(statement) or not is_allow(statement))
    ]


def foreign_principals(present: Mapping[str, object], asked: Mapping[str, object] | None = None) -> list[str]:
    """Whom those statements let in, in words."""
    return in_words(_foreign_names(present, asked))


def _foreign_names(present: Mapping[str, object], asked: Mapping[str, object] | None = None) -> set[str]:
    """Whom those statements let in, as they name them."""
    statements = foreign_statements(present, asked)
    return {name for statement in statements if is_allow(statement) for name in principals_of(statement)} - {
        SERVICE
    }


def in_words(names: Iterable[str]) -> list[str]:
    return [f"{name} (by the trust policy)" for name in sorted(names)]


def _names_others(statement: Mapping[str, object]) -> bool:
    names = principals_of(statement)
    return not names or bool(names - {SERVICE})


def principals_of(statement: Mapping[str, object]) -> set[str]:
    """Empty when a statement says whom it is not for."""
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
    """An existing role's trust policy, with our statements added or renewed and all others kept."""
    grants, others = read_grants(present)
    wanted = widest(grants_of(clusters, role, options, users))
    return with_grants(present, others, grants | {grant for grant in wanted if not covered(grant, grants)})


def without(
    clusters: Clusters,
    present: Mapping[str, object],
    removed: frozenset[WorkloadKey],
    staying: frozenset[WorkloadKey],
) -> Mapping[str, object] | None:
    """A trust policy without our grants to removed workloads; None when it has no such grant.

    A grant for a namespace or the cluster goes when none of ``staying`` is left to use it.
    """
    grants, others = read_grants(present)
    gone = {grant for grant in grants if _is_gone(grant, clusters, removed, staying)}
    if not gone:
        return None
    return with_grants(present, others, grants - gone)


def _is_gone(
    grant: TrustGrant, clusters: Clusters, removed: frozenset[WorkloadKey], staying: frozenset[WorkloadKey]
) -> bool:
    cluster = clusters.with_arn(grant.cluster_arn)
    if cluster is None:
        return False
    if grant.service_account:
        return WorkloadKey(cluster.key, grant.namespace, grant.service_account) in removed
    in_reach = _in_reach(grant, cluster, staying)
    return not in_reach and bool(_in_reach(grant, cluster, removed))


def _in_reach(grant: TrustGrant, cluster: Cluster, keys: Iterable[WorkloadKey]) -> list[WorkloadKey]:
    """The workloads of a cluster that a grant for it, or for a namespace of it, lets in."""
    return [key for key in keys if key.cluster == cluster.key and grant.namespace in ("", key.namespace)]


def still_granted(clusters: Clusters, present: Mapping[str, object], removed: frozenset[WorkloadKey]) -> bool:
    """Whether statements of ours, wider than one workload, still let removed workloads in."""
    grants, _others = read_grants(present)
    return any(
        not grant.cluster_arn
        or (
            not grant.service_account
            and (cluster := clusters.with_arn(grant.cluster_arn)) is not None
            and _in_reach(grant, cluster, removed)
        )
        for grant in grants
    )


def tied_to(clusters: Clusters, present: Mapping[str, object]) -> bool:
    """Whether our own statements tie the role to these clusters, as far as they say anything."""
    grants, _others = read_grants(present)
    if not grants:
        return clusters.with_arn(closed_for(present)) is not None
    return all(clusters.with_arn(grant.cluster_arn) is not None for grant in grants)


def granted_elsewhere(clusters: Clusters, present: Mapping[str, object]) -> list[str]:
    """Whom our own statements let use the role in other clusters, which this run cannot see."""
    grants, _others = read_grants(present)
    return sorted(
        "/".join(part for part in (grant.cluster_arn, grant.namespace, grant.service_account) if part)
        for grant in grants
        if grant.cluster_arn and clusters.with_arn(grant.cluster_arn) is None
    )


_ACCOUNT_OF = re.compile(r"arn:[a-z0-9-]+:(?:iam|sts)::([^:]*):.*|(\d{12})", re.ASCII | re.DOTALL)


def everyone_let_in(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """Find statements open to every principal of every account."""
    for lint in prepare_trust(role.trust).lints:
        if lint.code == Code.TRUST_OPEN_TO_EVERYONE:
            yield Finding(
                lint.code,
                f"the trust policy of role {role.arn} lets in everyone: {lint.message}",
                "Remove the statement from the trust policy, or name in it who is to use the role.",
                key,
                raised_as=lint.raised_as,
            )


def others_let_in(role: ObservedRole, key: WorkloadKey) -> Iterator[Finding]:
    """Of the statements for others than EKS Pod Identity, but for those that name everyone."""
    names = _foreign_names(role.trust) - {"*"}
    strange = {name for name in names if _is_of_another_account(name, role)}
    if strange:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"role {role.name} also lets in {listed(in_words(strange), 10)}, which is of another account and was not "
            "asked for; those statements stay.",
            "Remove them from the trust policy. If the role is meant for that account too, give the whole trust policy as "
            "role.trust_policy; the role accepts it on all workloads with ⟨ignore⟩: [TRUST_STATEMENT_FOREIGN].",
            key,
            raised_as="error",
        )
    if names - strange:
        yield Finding(
            Code.TRUST_STATEMENT_FOREIGN,
            f"role {role.name} also lets in {listed(in_words(names - strange), 10)}, which was not asked for; those "
            "statements stay.",
            _REMEDY,
            key,
        )


_REMEDY = "Remove them from the trust policy when nothing needs them, or give the whole trust policy as role.trust_policy."


def _is_of_another_account(principal: str, role: ObservedRole) -> bool:
    """Services belong to none, nor does the unique ID that a deleted principal leaves behind."""
    match = _ACCOUNT_OF.fullmatch(principal)
    return match is not None and (match[1] or match[2]) != role.arn.split(":")[4]


_LIFT = (
    "Find out who added the statement and why (event UpdateAssumeRolePolicy of the role in CloudTrail). To lift it, remove it "
    "from the trust policy of the role."
)
_FORCE = "Or set ⟨force⟩: true for one run, which writes role.trust_policy as it is given."
_WORST_FIRST: tuple[Severity, ...] = ("error", "warning", "info")
_EFFECTS: Mapping[Severity, str] = {
    "error": "keeps the workload out",
    "warning": "may keep the workload out",
    "info": "does not concern the workload",
}


def subject_of(cluster: Cluster, key: WorkloadKey, role_arn: str, disabled: bool) -> Subject:
    """What is known of a workload's request. ``disabled``: session tags are turned off."""
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
    """A failure for each workload that the trust policy certainly keeps out."""
    failures = []
    for workload in users:
        disabled = bool(workload.association.disable_session_tags)
        subject = subject_of(clusters.of(workload.key), workload.key, role_arn, disabled)
        verdict = check_trust(trust, subject)
        if verdict.usable == "no":
            failures.append(
                Failure(
                    (workload.key,),
                    trust_target(role_arn),
                    "read",
                    Code.TRUST_NOT_USABLE,
                    f"role {role_arn} cannot be used by {workload.key}: {reasons(verdict)}",
                    given_trust_remedy(workload)
                    or (_LIFT if usable_without_denies(trust, None, subject) != "no" else "")
                    or "Have the trust policy corrected, or set role.extend_trust: true to have our statement added "
                    "to it.",
                )
            )
    return failures


def is_shut_out(
    workload: Workload, association: ObservedAssociation | None, role: ObservedRole | None, clusters: Clusters
) -> bool:
    """Return whether an association turns session tags off, which the workload does not ask for, and its role certainly cannot
    be used without them."""
    if association is None or not association.disable_session_tags or role is None:
        return False
    if workload.association.disable_session_tags is not None or workload.key not in clusters:
        return False
    if association.role_arn.lower() != role.arn.lower():
        return False
    subject = subject_of(clusters.of(workload.key), workload.key, role.arn, disabled=True)
    return check_trust(role.trust, subject).usable == "no"


def usable_without_denies(trust: Document, given: Document | None, subject: Subject) -> str:
    """Return whether the workload could use the role without the Deny statements that were written elsewhere: "yes", "no" or
    "conditional".

    :arg given: the trust policy that a user gives as a whole.
    """
    denies = foreign_denies(trust, given)
    stored = trust["Statement"]
    statements = [
        statement
        for statement in (stored if isinstance(stored, list) else [stored])
        if statement not in denies
    ]
    return check_trust({**trust, "Statement": statements}, subject).usable if statements else "no"


def find_restrictions(
    role_arn: str, trust: Document, given: Document | None, subjects: Mapping[WorkloadKey, Subject]
) -> list[Finding]:
    """Report each Deny statement of a trust policy that was written elsewhere, for the first workload that it concerns most.

    :arg given: the trust policy that a user gives as a whole.
    """
    denies = foreign_denies(trust, given)
    if not denies:
        return []
    prepared = prepare_trust(trust)
    worst: dict[str, Finding] = {}
    for key, subject in subjects.items():
        usable = check_trust(prepared, subject).usable
        together = usable == "no" and usable_without_denies(trust, given, subject) != "no"
        for denial in find_denials(prepared, subject):
            if denial.statement not in denies:
                continue
            finding = _restriction(role_arn, denial, together, given is not None, key)
            present = worst.get(denial.label)
            if present is None or _rank(finding) < _rank(present):
                worst[denial.label] = finding
    return list(worst.values())


def _restriction(role_arn: str, denial: Denial, together: bool, given: bool, key: WorkloadKey) -> Finding:
    """:arg together: the workload could use the role without all of these statements."""
    severity: Severity = "error" if denial.applies or (denial.applies is None and together) else "warning"
    if denial.applies is False:
        severity = "info"
    return Finding(
        Code.ROLE_RESTRICTED,
        f"{denial.label} of the trust policy of role {role_arn} {denial.text}, which {_EFFECTS[severity]}. It was not written by "
        "this collection, and stays.",
        f"{_LIFT} {_FORCE}" if given else _LIFT,
        key,
        denial.label,
        raised_as=severity,
    )


def _rank(finding: Finding) -> int:
    return _WORST_FIRST.index(finding.severity)


def given_trust_remedy(workload: Workload) -> str:
    """What to do where a user wrote the trust policy himself; "" where not."""
    if workload.role is None or workload.role.trust_policy is None:
        return ""
    return (
        "Correct role.trust_policy, and apply the workload; or leave it out, and the trust policy is written for the "
        "workloads of the role."
    )


def reasons(verdict: TrustVerdict) -> str:
    """The errors among the findings of a verdict that keep the workload out, in one line."""
    errors = [
        finding.message
        for finding in verdict.findings
        if finding.severity == "error" and finding.code != Code.TRUST_OPEN_TO_EVERYONE
    ]
    return " ".join(errors) or "its trust policy does not allow EKS Pod Identity."
