# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Young resources of a workload: created or changed so recently that reads may not show the rest of it yet. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.cluster import Clusters
from ..model.desired import Desired, Workload
from ..model.names import is_aws_managed
from ..model.observed import YOUNG, Observed, age_of, is_young
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.rows import workload_text
from ..model.targets import association_target, associations_target, policy_target, role_target
from . import trust


@dataclass(frozen=True, slots=True)
class Young:
    """``name`` is like "role my-role"."""

    name: str
    age: timedelta

    @property
    def reason(self) -> str:
        """Why a read may be wrong, as the end of a sentence."""
        return (
            f"{self.name} was made or changed {self.age.total_seconds():.0f} s ago, and what AWS answers may be older "
            "than that."
        )

    @property
    def minutes_left(self) -> int:
        """Minutes until it is no longer young."""
        return math.ceil((YOUNG - self.age) / timedelta(minutes=1))


def youngest(workload: Workload, observed: Observed, only_ours: bool = False) -> Young | None:
    """The part of a workload that was made or changed last, where that was moments ago by the clock of AWS."""
    now = observed.account.answered_at
    young = [
        Young(name, age)
        for name, moment, ours in _moments(workload, observed)
        if (ours or not only_ours) and (age := age_of(moment, now)) is not None and is_young(age)
    ]
    return min(young, key=lambda candidate: (candidate.age, candidate.name), default=None)


def perhaps_unseen(desired: Desired, observed: Observed) -> list[Finding]:
    """What a removal does not find of workloads of which something is young: it may be there all the same."""
    findings = []
    for workload in desired.workloads:
        if not workload_text(workload.key) or workload.key in desired.unassociated:
            # A purge has found it by what is left of it, and has looked for its association.
            continue
        young = youngest(workload, observed, only_ours=True)
        missing = list(_missing(workload, observed)) if young else []
        if young is None or not missing:
            continue
        findings.append(
            Finding(
                Code.NOT_YET_VISIBLE,
                f"{' and '.join(missing)} cannot be seen, so nothing of that is removed. It may be there: {young.reason}",
                f"Run again in {in_minutes(young.minutes_left)}.",
                workload.key,
                raised_as="warning",
            )
        )
    return findings


def in_minutes(number: int) -> str:
    return f"{number} minute{'s' if number > 1 else ''}"


def _moments(workload: Workload, observed: Observed) -> Iterator[tuple[str, str, bool]]:
    """When the parts of a workload were made or changed, as far as AWS says it, and whether they are ours, as far as
    they are of this workload and not of others alone."""
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    if role is not None:
        lets_in = _may_let_in(observed.clusters, workload, role)
        yield f"role {role.name}", role.created_at, role.owned and lets_in
    for spec in workload.policies:
        policy = observed.policies.get(observed.account.policy_arn(spec))
        # When AWS changed a policy of its own says nothing of what was done in this account.
        if policy is not None and not is_aws_managed(policy.arn):
            ours = policy.owned and not _is_of_others(policy, workload, observed)
            yield f"policy {policy.name}", policy.changed_at, ours
    association = observed.associations.get(workload.key)
    if association is not None:
        name = f"association {association.association_id}"
        yield name, association.created_at, association.owned
        yield name, association.modified_at, association.owned


def _may_let_in(clusters: Clusters, workload: Workload, role: ObservedRole) -> bool:
    """Whether a role lets a workload in by a statement of ours, or by a trust policy that somebody wrote; a teardown
    that was carried out has taken ours away, also from a role that stays for others."""
    if workload.role is not None and workload.role.trust_policy is not None:
        return True
    keys = frozenset({workload.key})
    granted = trust.without(clusters, role.trust, keys, frozenset()) is not None
    return granted or trust.still_granted(clusters, role.trust, keys)


def _is_of_others(policy: ObservedPolicy, workload: Workload, observed: Observed) -> bool:
    """Whether a policy is there for others than the workload: for roles that are not its own, or are no more."""
    if not policy.attached_to or workload.role is None:
        return False
    name = workload.role.name.lower()
    if f"role {name}" not in {holder.lower() for holder in policy.attached_to}:
        return True
    # A role that holds the policy and is not seen may be one of which reads do not show the rest.
    role = observed.roles.get(name)
    return role is not None and not _may_let_in(observed.clusters, workload, role)


def _missing(workload: Workload, observed: Observed) -> Iterator[str]:
    """What this collection would have made for a workload and a look did not find, as in a sentence of that workload."""
    unread = observed.unread
    listing = associations_target(workload.key.cluster)
    if (
        workload.key not in observed.associations
        and not {listing, association_target(workload.key)} & unread.keys()
    ):
        yield "the association"
    role = workload.role
    if role is not None and not role.existing and observed.roles.get(role.name.lower(), role) is None:
        yield role_target(role.name).label
    for spec in workload.policies:
        arn = observed.account.policy_arn(spec)
        if spec.document is not None and observed.policies.get(arn, spec) is None:
            yield policy_target(arn).label
