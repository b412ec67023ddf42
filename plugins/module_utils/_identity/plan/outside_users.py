# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the users of a role outside a run: no run takes anything from them. Pure.

Grants name some of them. Associations show the others, as far as the statement is for clusters of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.request import SERVICE
from ..._policy.trust.statements import TrustGrant, read_grants
from ..model.cluster import Clusters
from ..model.errors import listed, sentence
from ..model.observed import Observed, ObservedRole, Reach
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
    failed = describe_failures(observed, reaches)
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


def describe_failures(observed: Observed, reaches: Iterable[Reach]) -> dict[str, str]:
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
