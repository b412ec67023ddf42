# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the users of a role or policy that are outside the run, because the run must not change their permissions. Pure.

The users of a role are the workloads and other principals that can assume it. A user is outside the run if the run does not
list it. The trust policy of the role names some users outside the run; others have an association in a cluster of the run.

The users of a policy are the roles, IAM users and groups that have it. A role belongs to the run if the run lists it, or if
only workloads of the run can use it. Source: iam ListEntitiesForPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.request import SERVICE
from ..._policy.trust.statements import TrustGrant, read_grants, read_pattern
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.errors import listed, sentence
from ..model.names import CLUSTER_TAG, may_change
from ..model.observed import Observed, Reach
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.shared import SharedRole
from ..model.targets import Failure, Target, role_target
from .trust import describe_principals, is_allow, outside_grants, read_principals

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OutsideUsers:
    """The users of a role outside the run. The object is true if such users exist or may exist.

    ``names`` describes the users that associations and trust statements name. ``unseen`` describes trust statements whose users
    cannot be listed, or their principals. ``unreadable`` describes associations whose read failed, and ``remedy`` is the remedy
    for the first failure. If all three descriptions are empty, ``unread`` has the clusters and namespaces whose associations must
    be read to be sure.
    """

    names: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unread: tuple[Reach, ...] = ()
    unreadable: tuple[str, ...] = ()
    remedy: str = ""

    def __bool__(self) -> bool:
        return bool(self.names or self.unseen or self.unread or self.unreadable)

    @property
    def description(self) -> str:
        """Return the end of a sentence about the role, like "has users outside this run (…)"; "" without users."""
        parts = [f"has users outside this run ({listed(self.names, _SHOWN)})"] if self.names else []
        rest = [*self.unseen, *self.unreadable]
        parts += [f"can be used by {listed(rest, _SHOWN)}"] if rest else []
        parts += ["might have users outside this run"] if self.unread and not parts else []
        return " and ".join(parts)


def find_outside_users(
    observed: Observed,
    clusters: Clusters,
    role: ObservedRole,
    trust: Mapping[str, object],
    keys: frozenset[WorkloadKey],
    vouched: bool = False,
) -> OutsideUsers:
    """Return the users of a role that are not in the run.

    :arg clusters: the clusters of the run with workloads that use the role.
    :arg trust: the trust policy that the role will have.
    :arg keys: the workloads of the run.
    :arg vouched: ignore users that cannot be listed. The caller is responsible for them.
    """
    grants, rest = read_grants(trust)
    foreign = outside_grants(clusters, trust, keys)
    names = {describe_grant(grant, observed.clusters) for grant in foreign}
    names |= {
        f"{association.key.cluster} {association.key}"
        for association in observed.users_outside(role.arn, keys)
    }
    unseen = [_describe_scope(grant) for grant in sorted(grants) if not grant.cluster_arn]
    patterns = [
        clusters.with_arn(pattern.cluster_arn) if (pattern := read_pattern(statement)) else None
        for statement in rest
    ]
    unseen += [
        text
        for statement, pattern in zip(rest, patterns, strict=True)
        if pattern is None
        for text in _describe_statement(statement)
    ]
    reaches = {Reach(cluster.name, "") for cluster in patterns if cluster is not None} | {
        Reach(cluster.name, grant.namespace)
        for grant in grants - foreign
        if not grant.service_account and (cluster := clusters.with_arn(grant.cluster_arn)) is not None
    }
    if unseen and vouched:
        unseen, reaches = [], reaches | set(map(Reach, observed.clusters.members))
    unread = [reach for reach in sorted(reaches) if not observed.has_read_outside(reach)]
    failed = describe_unread_users(observed, reaches)
    return OutsideUsers(
        tuple(sorted(names)),
        tuple(dict.fromkeys(unseen)),
        () if names or unseen or failed else tuple(unread),
        tuple(failed),
        next(iter(failed.values()), ""),
    )


def describe_grant(grant: TrustGrant, clusters: Clusters) -> str:
    """Describe the workload, namespace or cluster that a grant of a trust policy allows, for a message."""
    member = clusters.with_arn(grant.cluster_arn)
    cluster = member.name if member is not None else grant.cluster_arn.rpartition("/")[2]
    if grant.service_account:
        return f"{cluster} {grant.namespace}/{grant.service_account}"
    if grant.namespace:
        return f"namespace {grant.namespace} of cluster {cluster}"
    return f"cluster {cluster}" if cluster else _describe_scope(grant)


def _describe_scope(grant: TrustGrant) -> str:
    return (
        "every cluster of the account"
        if grant.account_id
        else "every cluster (a trust statement has no condition)"
    )


def _describe_statement(statement: object) -> list[str]:
    """Describe the principals that an unmanaged trust statement allows. Return an empty list for a Deny."""
    if not isinstance(statement, Mapping) or not is_allow(statement):
        return []
    names = read_principals(statement)
    sid = f" (statement {statement['Sid']})" if statement.get("Sid") else ""
    pods = [f"workloads that an unmanaged trust statement allows{sid}"] if not names - {SERVICE} else []
    return [*pods, *describe_principals(names - {SERVICE})]


def describe_unread_users(observed: Observed, reaches: Iterable[Reach]) -> dict[str, str]:
    """Describe the associations that could not be read, one text for each cluster.

    :arg reaches: the clusters and namespaces whose associations are needed.
    :returns: the descriptions, each with the remedy of the read error.
    """
    errors = {
        reach.cluster: error for reach in sorted(reaches) if (error := observed.outside.find_error(reach))
    }
    return {
        f"workloads of cluster {cluster} that could not be read ({error.operation}: {error.code}: {sentence(error.text)})": (
            error.remedy
        )
        for cluster, error in errors.items()
    }


class PolicyUsers:
    """An index of the users of all policies, built once for a plan.

    :arg all_shared: the roles of the run.
    :arg reaches: a set to which the methods add the associations that must be read to know all users of a role.
    """

    def __init__(
        self,
        desired: Desired,
        observed: Observed,
        all_shared: Sequence[SharedRole],
        reaches: set[Reach],
    ) -> None:
        self.observed, self.options, self.reaches = observed, desired.options, reaches
        self.keys = frozenset(workload.key for workload in desired.workloads)
        self.leaving = desired.leaving
        # The roles of the run that have a policy, attached or as permissions boundary, by the ARN of the policy.
        self.roles: dict[str, list[tuple[SharedRole, ObservedRole]]] = {}
        # The names, in lower case, of the roles of the run that exist.
        self.names: set[str] = set()
        # Workloads whose role could not be read. The plan has a failure for each of these workloads.
        self.failing: set[WorkloadKey] = set()
        for shared in all_shared:
            name = shared.spec.name.lower()
            if role_target(name) in observed.unread:
                self.failing.update(shared.keys)
            elif (role := observed.roles.get(name)) is not None:
                self.names.add(name)
                for arn in {*role.attached, role.permissions_boundary}:
                    self.roles.setdefault(arn, []).append((shared, role))

    def unread(self, policy: ObservedPolicy) -> Failure | None:
        """Return the failed read of the users of a policy (iam ListEntitiesForPolicy), or None."""
        return self.observed.unread.get(Target("users", policy.arn))

    def outside(self, policy: ObservedPolicy) -> list[str]:
        """Describe the users that a policy has outside the run, such as "role my-role"; an empty list without such users."""
        in_run = (self._describe_listed(policy, *pair) for pair in self.roles.get(policy.arn, ()))
        other_entities = map(self._describe_other, policy.attached_to)
        return [text for text in (*in_run, *other_entities) if text]

    def reason_to_share(self, policy: ObservedPolicy) -> str:
        """Return the reason, as a clause, why a policy without owner must not be tagged with the owner of the run, or "".

        There is a reason if the policy has, or may have, users outside the run: with the tag, runs for other owners could no
        longer change the policy.
        """
        if cluster := self._other_cluster(policy):
            return f"it was first created for cluster {cluster}, which is not part of this run"
        if (unread := self.unread(policy)) is not None:
            error = unread.error
            return f"its users could not be read ({error.operation}: {error.code}: {error.text})"
        users = self.outside(policy)
        return f"it has users outside this run ({listed(users, 5)})" if users else ""

    def _other_cluster(self, policy: ObservedPolicy) -> str:
        """Return the ARN of the cluster that the policy was created for, or "" if it is part of the run or unknown."""
        arn = (policy.tags or {}).get(CLUSTER_TAG, "")
        return arn if arn and self.observed.clusters.with_arn(arn) is None else ""

    def _describe_listed(self, policy: ObservedPolicy, shared: SharedRole, role: ObservedRole) -> str:
        """Describe a role of the run that has the policy, or return "" if only workloads of the run use the role.

        Always describe a role that the run does not manage and for which it does not list the policy.
        """
        arn = policy.arn
        listed_here = arn in shared.policy_users or arn == shared.spec.permissions_boundary
        managed = not shared.spec.existing and may_change(role.tags, self.options.owner, self.options.adopt)
        if not (listed_here or managed):
            return f"role {role.name} (this run does not list the policy for it)"
        clusters = self.observed.clusters.among(shared.keys)
        # Users in other clusters cannot be listed; the tag of the policy shows whether it was created for another cluster.
        vouched = not self._other_cluster(policy)
        users = find_outside_users(self.observed, clusters, role, role.trust, self.keys, vouched)
        return self._describe(role, users)

    def _describe_other(self, entity: str) -> str:
        """Describe an entity with the policy. Return "" for a role that belongs to the run, or that a purge deletes.

        :arg entity: type and name, like "role my-role" or "user my-user".
        """
        kind, _separator, name = entity.partition(" ")
        if kind != "role":
            return entity
        if name.lower() in self.names or name.lower() in self.leaving:
            return ""
        role = self.observed.roles.get(name.lower())
        if role is None:
            unread = role_target(name.lower()) in self.observed.unread
            return f"{entity} (could not be read)" if unread else entity
        users = find_outside_users(self.observed, self.observed.clusters, role, role.trust, self.keys)
        if may_change(role.tags, self.options.owner, adopt=False):
            return self._describe(role, users)
        return f"{entity}{_in_brackets(users)}"

    def _describe(self, role: ObservedRole, users: OutsideUsers) -> str:
        self.reaches.update(users.unread)
        return f"role {role.name}{_in_brackets(users)}" if users else ""


def _in_brackets(users: OutsideUsers) -> str:
    names = listed([*users.names, *users.unseen, *users.unreadable])
    return f" ({names})" if names else ""
