# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the users of a role or policy outside a run: no run takes anything from them, or gives them more. Pure.

Grants name some of them. Associations show the others, as far as the statement is for clusters of the run. A role is
part of the run where the run lists it, or where only workloads of the run may use it. Source: iam ListEntitiesForPolicy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.request import SERVICE
from ..._policy.trust.statements import TrustGrant, read_grants
from ..model.cluster import Clusters
from ..model.desired import Desired
from ..model.errors import listed, sentence
from ..model.names import CLUSTER_TAG, may_change
from ..model.observed import Observed, Reach, ReadFailure
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.shared import SharedRole
from ..model.targets import Target, role_target
from .trust import grants_of_others, in_words, is_allow, principals_of

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class OutsideUsers:
    """The users of a role that a run does not list.

    ``known`` are named by associations or grants. ``unseen`` describes statements whose users cannot be listed, and
    ``unread`` are the associations that have to be read where neither tells that there are users, ``unreadable`` describes those
    that could not be, and ``remedy`` is for them.
    """

    known: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    unread: tuple[Reach, ...] = ()
    unreadable: tuple[str, ...] = ()
    remedy: str = ""

    def __bool__(self) -> bool:
        return bool(self.known or self.unseen or self.unread or self.unreadable)

    @property
    def description(self) -> str:
        """Name the users in a clause with the role as its subject; "" where there are none."""
        parts = [f"has users outside this run ({listed(self.known, _SHOWN)})"] if self.known else []
        others = [*self.unseen, *self.unreadable]
        parts += [f"can be used by {listed(others, _SHOWN)}"] if others else []
        parts += ["may have users outside this run"] if self.unread and not parts else []
        return " and ".join(parts)


def find_outside_users(
    observed: Observed,
    clusters: Clusters,
    role: ObservedRole,
    trust: Mapping[str, object],
    keys: frozenset[WorkloadKey],
    vouched: bool = False,
) -> OutsideUsers:
    """Return the users of a role outside the run, whose workloads have these ``keys``.

    :arg clusters: the clusters whose workloads use the role.
    :arg trust: the trust policy that the run gives the role.
    :arg vouched: the caller knows that the role has no users except those that can be listed.
    """
    grants, others = read_grants(trust)
    foreign = grants_of_others(clusters, trust, keys)
    names = {describe_grant(grant, observed.clusters) for grant in foreign}
    names |= {
        f"{association.key.cluster} {association.key}"
        for association in observed.users_outside(role.arn, keys)
    }
    unseen = [_describe_scope(grant) for grant in sorted(grants) if not grant.cluster_arn]
    unseen += [text for statement in others for text in _describe_statement(statement)]
    reaches = {
        Reach(cluster.key, grant.namespace)
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
    """Name the workload, or all workloads, that a grant lets in. Clusters of the run have the name that it uses."""
    member = clusters.with_arn(grant.cluster_arn)
    cluster = member.key if member is not None else grant.cluster_arn.rpartition("/")[2]
    if grant.service_account:
        return f"{cluster} {grant.namespace}/{grant.service_account}"
    if grant.namespace:
        return f"namespace {grant.namespace} of cluster {cluster}"
    return f"cluster {cluster}" if cluster else _describe_scope(grant)


def _describe_scope(grant: TrustGrant) -> str:
    return (
        "every cluster of the account"
        if grant.account_id
        else "every cluster, as its trust statement has no condition"
    )


def _describe_statement(statement: object) -> list[str]:
    """Name those who are let in by a statement that was not written here."""
    if not isinstance(statement, Mapping) or not is_allow(statement):
        return []
    names = principals_of(statement)
    sid = f" (statement {statement['Sid']})" if statement.get("Sid") else ""
    pods = [f"workloads of a trust statement that was not written here{sid}"] if not names - {SERVICE} else []
    return [*pods, *in_words(names - {SERVICE})]


def describe_unread_users(observed: Observed, reaches: Iterable[Reach]) -> dict[str, str]:
    """Explain which associations of these reaches are not known, and why, each with a remedy."""
    errors = {
        reach.cluster: error for reach in sorted(reaches) if (error := observed.outside.error_of(reach))
    }
    return {
        f"workloads of cluster {cluster} that could not be read ({error.operation}: {error.code}: {sentence(error.text)})": (
            error.remedy
        )
        for cluster, error in errors.items()
    }


class PolicyUsers:
    """The users of policies, indexed once for a plan.

    :arg all_shared: the roles of the run.
    :arg reaches: gets the associations that have to be read before the users of a role are known.
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
        # The roles of the run by the ARN of what is attached to them or bounds them, and the names of those that were read.
        self.roles: dict[str, list[tuple[SharedRole, ObservedRole]]] = {}
        self.names: set[str] = set()
        # The workloads whose role could not be read, which fail.
        self.failing: set[WorkloadKey] = set()
        for shared in all_shared:
            name = shared.spec.name.lower()
            if role_target(name) in observed.unread:
                self.failing.update(shared.keys)
            elif (role := observed.roles.get(name)) is not None:
                self.names.add(name)
                for arn in {*role.attached, role.permissions_boundary}:
                    self.roles.setdefault(arn, []).append((shared, role))

    def unread(self, policy: ObservedPolicy) -> ReadFailure | None:
        return self.observed.unread.get(Target("users", policy.arn))

    def outside(self, policy: ObservedPolicy) -> list[str]:
        """Describe the users of a policy outside the run; empty where the run has them all."""
        in_run = (self._describe_listed(policy, *pair) for pair in self.roles.get(policy.arn, ()))
        others = map(self._describe_other, policy.attached_to)
        return [text for text in (*in_run, *others) if text]

    def reason_to_share(self, policy: ObservedPolicy) -> str:
        """Return why an owner's tag would shut out others; empty where the run has all users of the policy."""
        if cluster := self._other_cluster(policy):
            return f"it was first created for cluster {cluster}, which is not part of this run"
        if (unread := self.unread(policy)) is not None:
            error = unread.error
            return f"its users could not be read ({error.operation}: {error.code}: {error.text})"
        users = self.outside(policy)
        return f"it has users outside this run ({listed(users, 5)})" if users else ""

    def _other_cluster(self, policy: ObservedPolicy) -> str:
        """Return the ARN of the cluster that the policy was created for, where that is not part of the run."""
        arn = (policy.tags or {}).get(CLUSTER_TAG, "")
        return arn if arn and self.observed.clusters.with_arn(arn) is None else ""

    def _describe_listed(self, policy: ObservedPolicy, shared: SharedRole, role: ObservedRole) -> str:
        """Describe a role of the run that has other users, or for which the run does not list the policy."""
        arn = policy.arn
        listed_here = arn in shared.policy_users or arn == shared.spec.permissions_boundary
        managed = not shared.spec.existing and may_change(role.tags, self.options.owner, self.options.adopt)
        if not (listed_here or managed):
            return f"role {role.name}, for which this run does not list it"
        clusters = self.observed.clusters.among(shared.keys)
        # Where any cluster may use the role, other clusters cannot be seen; the policy tells whether it was created for one.
        vouched = not self._other_cluster(policy)
        users = find_outside_users(self.observed, clusters, role, role.trust, self.keys, vouched)
        return self._describe(role, users)

    def _describe_other(self, entity: str) -> str:
        """Describe an entity that the run does not list, unless only workloads of the run may use it."""
        kind, _separator, name = entity.partition(" ")
        if kind != "role":
            return entity
        if name.lower() in self.names or name.lower() in self.leaving:
            return ""
        role = self.observed.roles.get(name.lower())
        if role is None:
            unread = role_target(name.lower()) in self.observed.unread
            return f"{entity}, which could not be read" if unread else entity
        users = find_outside_users(self.observed, self.observed.clusters, role, role.trust, self.keys)
        if may_change(role.tags, self.options.owner, adopt=False):
            return self._describe(role, users)
        return f"{entity}{_in_brackets(users)}"

    def _describe(self, role: ObservedRole, users: OutsideUsers) -> str:
        self.reaches.update(users.unread)
        return f"role {role.name}{_in_brackets(users)}" if users else ""


def _in_brackets(users: OutsideUsers) -> str:
    names = listed([*users.known, *users.unseen, *users.unreadable])
    return f" ({names})" if names else ""
