# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Narrow the trust policy of a role, but keep the access of workloads that use the role and that the run does not list. Pure.

A grant is the scope of a managed trust statement. A wide grant allows more than one workload: a namespace, a cluster, or all
clusters of the account. If the desired trust policy lacks a wide grant of the present one, the grant may still have users
outside the run:

- A grant for all clusters is kept, because this run cannot list the users of the grant in other clusters.
- A grant for a cluster or namespace that workloads of the run use is replaced by the desired grants. Each user outside the
  run gets a separate statement.
- Any other wide grant was probably written by a run for another list, and is kept while a workload outside the run uses it.

With ``force`` all wide grants are replaced. Known users outside the run still get a statement each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.request import Subject
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import policy_size
from ..._policy.trust.statements import TrustGrant, covered, grant_for, read_grants, with_grants
from ..._policy.trust.trust import check_trust, is_usable, prepare_trust
from ..model.associations import ObservedAssociation
from ..model.cluster import Clusters
from ..model.desired import Options
from ..model.errors import listed
from ..model.observed import Observed, Reach, calculate_age
from ..model.roles import ObservedRole
from ..model.shared import SharedRole
from .outside_users import describe_grant, describe_unread_users
from .problems import trust_policy_limit
from .trust import is_allow, trust_subject, union_trust

_SHOWN = 5
# A tolerance for times of IAM and EKS: their clocks may differ, and their responses have whole seconds.
_CLOCK_TOLERANCE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """The trust policy that a role gets, with findings about grants that are kept.

    ``unread`` are the associations that must be read before a grant can be removed; until then ``trust`` keeps all grants.
    ``lost`` describes the users that would, or might, lose access through ``role.trust_policy`` of the input.
    """

    trust: Mapping[str, object]
    findings: tuple[Finding, ...] = ()
    unread: tuple[Reach, ...] = ()
    lost: tuple[str, ...] = ()


class _Narrowing:
    """A comparison of the present trust policy of a role with the desired trust policy.

    ``outside`` are the associations outside the run that use the role. ``covered`` are wide grants that the desired policy lacks
    but that a wider grant in it includes. ``dropped`` are the other wide grants that the desired policy lacks, and ``statements``
    the unmanaged Allow statements that it lacks.
    """

    def __init__(
        self,
        observed: Observed,
        options: Options,
        shared: SharedRole,
        role: ObservedRole,
        trust: Mapping[str, object],
        outside: list[ObservedAssociation],
    ) -> None:
        self.observed, self.options = observed, options
        self.shared, self.role, self.trust, self.outside = shared, role, trust, outside
        self.present, present_others = read_grants(role.trust)
        self.desired, self.rest = read_grants(trust)
        wide = {grant for grant in self.present - self.desired if not grant.service_account}
        # Keep grants that a wider grant includes. They allow no further workloads, and another run may need them after the wider
        # grant is revoked.
        self.covered = {grant for grant in wide if covered(grant, self.desired)}
        self.dropped = wide - self.covered
        self.statements = [
            statement for statement in present_others if is_allow(statement) and statement not in self.rest
        ]

    @property
    def unseen(self) -> set[TrustGrant]:
        """Return the dropped grants for all clusters of the account, which are kept because this run cannot list their users.

        Return none with ``force``, and none for a role that this collection does not manage yet.
        """
        vouched = self.options.force or not self.role.owned
        return set() if vouched else {grant for grant in self.dropped if not grant.cluster_arn}

    @property
    def reaches(self) -> set[Reach]:
        """Return the clusters and namespaces whose associations must be read to know the users who may lose access."""
        whole = self.shared.spec.trust_policy is not None
        dropped = self.dropped if whole else self.dropped - self.unseen
        return _reaches(self.observed.clusters, dropped, bool(self.statements))

    def has_only_outside_users(self, grant: TrustGrant, dependent_only: bool) -> bool:
        """Return whether a grant for a cluster or namespace has users outside the run, and no user in the run.

        Return False for a grant for all clusters, and with ``force``.

        :arg dependent_only: count a workload of the run only if it depends on this grant: its present association uses the role,
            and no grant that remains allows it.
        """
        if self.options.force or not grant.cluster_arn:
            return False
        if not any(self.covers(grant, user) for user in self.outside):
            return False
        if not dependent_only:
            exact_grants = (_exact_grant(self.observed.clusters, key) for key in self.shared.keys)
            return not any(covered(exact_grant, (grant,)) for exact_grant in exact_grants)
        rest = self.present & self.desired
        associations = (self.observed.associations.get(key) for key in self.shared.keys)
        return not any(
            self.covers(grant, user) and not covered(self.exact_grant(user), rest)
            for user in associations
            if user is not None and user.role_arn.lower() == self.role.arn.lower()
        )

    def covers(self, grant: TrustGrant, user: ObservedAssociation) -> bool:
        """Return whether a grant for a cluster or namespace allows a user.

        Return False for a user without session tags, because the grant compares session tags.
        """
        return not user.disable_session_tags and covered(self.exact_grant(user), (grant,))

    def exact_grant(self, user: ObservedAssociation) -> TrustGrant:
        return _exact_grant(self.observed.clusters, user.key)

    def with_grants(self, grants: Iterable[TrustGrant]) -> Mapping[str, object]:
        """Return the desired trust policy with further grants added."""
        return with_grants(self.trust, self.rest, {*self.desired, *grants})

    def lost_users(self, trust: Mapping[str, object]) -> list[ObservedAssociation]:
        """Return the users outside the run that would, or might, lose access if the trust policy became ``trust``."""
        clusters = self.observed.clusters
        present, following = _Admission(clusters, self.role.trust), _Admission(clusters, trust)
        return [user for user in self.outside if present.may_use(user) and not following.can_use(user)]

    def lost_grants(self, trust: Mapping[str, object]) -> list[str]:
        """Describe the grants to clusters outside the run that would, or might, end if the trust policy became ``trust``.

        The users of these grants cannot be listed.
        """
        clusters, account = self.observed.clusters, self.observed.account
        following = _Admission(clusters, trust)
        desired, _rest = read_grants(trust)
        return sorted(
            describe_grant(grant, clusters)
            for grant in self.present - desired
            if grant.cluster_arn and clusters.with_arn(grant.cluster_arn) is None
            if not following.admits(
                Subject(
                    grant.cluster_arn,
                    grant.namespace or None,
                    grant.service_account or None,
                    account.account_id,
                    partition=account.partition,
                    role_arn=self.role.arn,
                )
            )
        )


class _Admission:
    """The access that the Allow statements of a trust policy give to users.

    Deny statements are ignored: a Deny may be temporary, and users must be able to use the role again when the Deny is
    removed.
    """

    def __init__(self, clusters: Clusters, trust: Mapping[str, object]) -> None:
        self._clusters = clusters
        grants, rest = read_grants(trust)
        allowed = with_grants(trust, filter(is_allow, rest), grants)
        self._trust = prepare_trust(allowed) if allowed["Statement"] else None

    def can_use(self, user: ObservedAssociation) -> bool:
        """Return whether the trust policy certainly allows the user to assume the role."""
        return self.admits(self._subject(user))

    def admits(self, subject: Subject) -> bool:
        """Return whether the trust policy certainly allows a subject to assume the role."""
        return self._trust is not None and is_usable(self._trust, subject)

    def may_use(self, user: ObservedAssociation) -> bool:
        """Return whether the trust policy may allow the user to assume the role.

        Return True also if the result of a condition is unknown.
        """
        if self._trust is None:
            return False
        return self.can_use(user) or check_trust(self._trust, self._subject(user)).usable != "no"

    def _subject(self, user: ObservedAssociation) -> Subject:
        return trust_subject(
            self._clusters.of_workload(user.key), user.key, user.role_arn, user.disable_session_tags
        )


def _reaches(clusters: Clusters, grants: Iterable[TrustGrant], everywhere: bool) -> set[Reach]:
    """Return the clusters and namespaces of the run whose workloads these grants may allow; all clusters if ``everywhere``."""
    if everywhere or any(not grant.cluster_arn for grant in grants):
        return set(map(Reach, clusters.members))
    members = ((clusters.with_arn(grant.cluster_arn), grant.namespace) for grant in grants)
    return {Reach(cluster.name, namespace) for cluster, namespace in members if cluster is not None}


def narrow_trust(
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole,
    trust: Mapping[str, object],
    keys: frozenset[WorkloadKey],
) -> Narrowed:
    """Return the trust policy that a role gets. Users outside the run keep their access.

    ``role.trust_policy`` of the input is returned unchanged, with the users that would lose access in ``lost``.

    :arg trust: the desired trust policy (see ``desired_trust``).
    :arg keys: the workloads of the run.
    """
    if same_meaning(role.trust, trust, "trust"):
        return Narrowed(trust)
    outside = [
        association
        for association in observed.users_outside(role.arn, keys)
        if association.role_arn.lower() == role.arn.lower()
    ]
    narrowing = _Narrowing(observed, options, shared, role, trust, outside)
    reaches = sorted(narrowing.reaches)
    unread = tuple(reach for reach in reaches if not observed.has_read_outside(reach))
    failed = describe_unread_users(observed, reaches)
    if shared.spec.trust_policy is not None:
        lost = (*_names(narrowing.lost_users(trust)), *failed, *narrowing.lost_grants(trust))
        return Narrowed(trust, unread=unread, lost=lost)
    wide = union_trust(role.trust, trust)
    if unread:
        return Narrowed(wide, unread=unread)
    if failed:
        reason = f"the role can be used by {listed(failed)}"
        return Narrowed(wide, (_kept_wide(shared, role, reason, next(iter(failed.values()))),))
    # With dependent_only, more wide grants are kept, so that fewer users need a separate statement. Try this first.
    narrowed = _narrowed(narrowing, wide, dependent_only=True)
    return narrowed if narrowed.trust is not wide else _narrowed(narrowing, wide, dependent_only=False)


def _narrowed(narrowing: _Narrowing, wide: Mapping[str, object], dependent_only: bool) -> Narrowed:
    """Return the narrowed trust policy, with a statement for each user outside the run that would otherwise lose access.

    If no statement is possible for one of these users, or if the policy would be too long, return ``wide``.

    :arg wide: the trust policy that keeps all grants.
    :arg dependent_only: see ``has_only_outside_users``.
    """
    shared, role, limit = narrowing.shared, narrowing.role, trust_policy_limit(narrowing.observed)
    foreign = {
        grant
        for grant in narrowing.dropped - narrowing.unseen
        if narrowing.has_only_outside_users(grant, dependent_only)
    }
    kept_grants = narrowing.covered | narrowing.unseen | foreign
    lost = narrowing.lost_users(narrowing.with_grants(kept_grants))
    exact = {narrowing.exact_grant(user) for user in lost if not user.disable_session_tags}
    narrow = narrowing.with_grants(kept_grants | exact)
    if without_tags := narrowing.lost_users(narrow):
        return Narrowed(wide, (_kept_wide(shared, role, _needs_tags(without_tags)),))
    if (kept_grants or exact) and policy_size(narrow) > limit:
        return Narrowed(wide, (_kept_wide(shared, role, _too_long(narrow, limit)),))
    findings = [_keeps_grant(narrowing, grant) for grant in sorted(foreign)]
    findings += [_keeps_every_cluster(shared, role)] if narrowing.unseen else []
    findings += [_keeps_statement(shared, role, lost)] if lost else []
    return Narrowed(narrow, tuple(findings))


@dataclass(frozen=True, slots=True)
class LostUsers:
    """The users outside the run that lost access to a role through a change of its trust policy.

    ``grants`` are the grants that restore their access.
    """

    users: tuple[ObservedAssociation, ...]
    grants: frozenset[TrustGrant]


def narrowed_reaches(
    clusters: Clusters, old_trust: Mapping[str, object], new_trust: Mapping[str, object], everywhere: bool
) -> set[Reach]:
    """Return the clusters and namespaces of the run whose workloads may have lost access through a change of a trust policy.

    :arg everywhere: return all clusters of the run.
    """
    old_grants, old_rest = read_grants(old_trust)
    grants, rest = read_grants(new_trust)
    dropped = {grant for grant in old_grants if not grant.service_account and not covered(grant, grants)}
    statements = any(is_allow(statement) and statement not in rest for statement in old_rest)
    return _reaches(clusters, dropped, everywhere or statements)


def find_lost_users(
    clusters: Clusters,
    users: Iterable[ObservedAssociation],
    change: tuple[Mapping[str, object], Mapping[str, object]],
    present: Mapping[str, object],
    since: datetime | None,
) -> LostUsers:
    """Find the users of a role that lost access through a change of this run.

    :arg users: the associations outside the run that use the role.
    :arg change: the trust policies before and after the change, as this run knows them.
    :arg present: the trust policy in IAM now.
    :arg since: the time when this run read the trust policy, if it may have overwritten a later change by another run;
        otherwise None. The overwritten grants are unknown, but the other run created or changed associations after that
        time.
    """
    old_access, new_access, present_access = (_Admission(clusters, trust) for trust in (*change, present))
    lost = tuple(
        user
        for user in users
        if not present_access.can_use(user)
        and (
            (old_access.may_use(user) and not new_access.can_use(user))
            or (not user.disable_session_tags and _has_changed_since(user, since))
        )
    )
    grants = {_exact_grant(clusters, user.key) for user in lost if not user.disable_session_tags}
    if any(user.disable_session_tags for user in lost):
        grants |= {grant for grant in read_grants(change[0])[0] if not grant.cluster_arn}
    return LostUsers(lost, frozenset(grants))


def report_restored(role_arn: str, key: WorkloadKey, lost: LostUsers) -> Finding:
    """Return the finding about users outside the run whose access this run restored after a concurrent write."""
    return Finding(
        Code.TRUST_KEPT_FOR_OTHERS,
        f"another run changed the trust policy of role {role_arn}, or created an association, at the same time. These workloads "
        f"outside this run lost access to the role until this run restored it: {listed(_names(lost.users), _SHOWN)}.",
        "Verify those workloads. Run lists of workloads that share the role one after the other.",
        key,
    )


def _has_changed_since(user: ObservedAssociation, since: datetime | None) -> bool:
    """Return whether an association was created or changed after a time, or up to ``_CLOCK_TOLERANCE`` before it.

    Return False if ``since`` is None.
    """
    moments = [user.created_at, user.modified_at]
    ages = [calculate_age(moment, since) for moment in moments] if since is not None else []
    return any(age is not None and age <= _CLOCK_TOLERANCE for age in ages)


def _exact_grant(clusters: Clusters, key: WorkloadKey) -> TrustGrant:
    cluster = clusters.of_workload(key)
    return grant_for("workload", cluster.account_id, cluster.arn, key.namespace, key.service_account)


def _names(users: Iterable[ObservedAssociation]) -> tuple[str, ...]:
    return tuple(f"{user.key.cluster} {user.key}" for user in users)


def _keeps_statement(shared: SharedRole, role: ObservedRole, users: list[ObservedAssociation]) -> Finding:
    names = listed(_names(users), _SHOWN)
    return Finding(
        Code.TRUST_KEPT_FOR_OTHERS,
        f"the trust policy of role {role.arn} becomes narrower. These workloads outside this run use the role, and each "
        f"keeps access through a separate trust statement: {names}.",
        "List these workloads in this run, or give them a separate role; if they are unused, delete their associations.",
        shared.keys[0],
    )


def _keeps_grant(narrowing: _Narrowing, grant: TrustGrant) -> Finding:
    users = [user for user in narrowing.outside if narrowing.covers(grant, user)]
    principals = describe_grant(grant, narrowing.observed.clusters)
    return Finding(
        Code.TRUST_KEPT_FOR_OTHERS,
        f"role {narrowing.role.arn} can still be used by {principals}, because the trust policy has a statement that this "
        "run does not require. These workloads outside this run use the role through this statement: "
        f"{listed(_names(users), _SHOWN)}.",
        "Set the same trust_scope in all lists with the role. Or set ⟨force⟩: true, which removes the statement and gives "
        "these workloads separate statements.",
        narrowing.shared.keys[0],
    )


def _keeps_every_cluster(shared: SharedRole, role: ObservedRole) -> Finding:
    return Finding(
        Code.TRUST_KEPT_FOR_OTHERS,
        f"role {role.arn} can still be used from every cluster of the account, although this run does not "
        "require it. Clusters outside this run might use the role, and their associations cannot be read.",
        "If no other cluster uses the role, set ⟨force⟩: true, which narrows its trust policy. "
        "Workloads that use the role in clusters of this run get separate statements.",
        shared.keys[0],
    )


def _kept_wide(shared: SharedRole, role: ObservedRole, reason: str, remedy: str = "") -> Finding:
    return Finding(
        Code.TRUST_KEPT_FOR_OTHERS,
        f"the trust policy of role {role.arn} is kept wider than this run requires: {reason}.",
        remedy or "List the other users in this run, or give them a separate role.",
        shared.keys[0],
    )


def _needs_tags(users: list[ObservedAssociation]) -> str:
    return (
        f"workloads outside this run use the role without session tags ({listed(_names(users), _SHOWN)}), so the trust "
        "statement for them cannot be limited to single workloads"
    )


def _too_long(trust: Mapping[str, object], limit: int) -> str:
    return (
        f"with the statements that users outside this run need, the trust policy would have {policy_size(trust)} characters; "
        f"{limit} are allowed"
    )
