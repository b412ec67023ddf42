# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Detect resources that changed so recently that IAM and EKS, which are eventually consistent, may return older data. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.names import is_aws_managed, is_own
from ..model.observed import YOUNG, Observed, calculate_age, is_young
from ..model.roles import ObservedRole
from ..model.shared import own_grants
from ..model.targets import association_target, associations_target, policy_target, role_target


@dataclass(frozen=True, slots=True)
class RecentChange:
    """A recent change of a resource. ``name`` is the type and name of the resource, like "role my-role"."""

    name: str
    age: timedelta

    @property
    def reason(self) -> str:
        """Return the reason why reads may be stale, as the end of a sentence."""
        return (
            f"{self.name} was created or changed {self.age.total_seconds():.0f} s ago, "
            "and AWS may still return its former state."
        )

    @property
    def minutes_left(self) -> int:
        """Return the number of minutes until reads are reliable, rounded up."""
        return math.ceil((YOUNG - self.age) / timedelta(minutes=1))


def latest_change(workload: Workload, observed: Observed, owner: str | None = None) -> RecentChange | None:
    """Return the most recent change of a workload's resources, or None if no change is recent.

    Ages are measured by the clock of AWS.

    :arg owner: ignore resources that this owner does not manage for the workload, or None to ignore none.
    """
    now = observed.cluster.answered_at
    recent = [
        RecentChange(name, age)
        for name, moment, is_managed in _moments(workload, observed, owner or "")
        if (is_managed or owner is None) and (age := calculate_age(moment, now)) is not None and is_young(age)
    ]
    return min(recent, key=lambda candidate: (candidate.age, candidate.name), default=None)


def find_possibly_unseen(desired: Desired, observed: Observed) -> list[Finding]:
    """Report the resources that a removal does not find, but that may exist because the workload changed recently."""
    findings = []
    for workload in desired.workloads:
        change = latest_change(workload, observed, desired.options.owner)
        missing = list(_missing(workload, observed)) if change else []
        if change is None or not missing:
            continue
        pronoun = "it" if len(missing) == 1 else "them"
        findings.append(
            Finding(
                Code.NOT_YET_VISIBLE,
                f"this run did not find {' and '.join(missing)}, but may have missed {pronoun}: {change.reason}",
                f"Run again in {in_minutes(change.minutes_left)}.",
                workload.key,
                raised_as="warning",
            )
        )
    return findings


def in_minutes(number: int) -> str:
    """Return a number of minutes as text, like "2 minutes"."""
    return f"{number} minute{'s' if number > 1 else ''}"


def _moments(workload: Workload, observed: Observed, owner: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, time of the last change in ISO 8601, is_managed) for each resource of a workload.

    ``is_managed``: this collection manages the resource for this workload.
    """
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    if role is not None:
        is_managed = is_own(role.tags, owner) and _allows(observed.cluster, workload, role, owner)
        yield f"role {role.name}", role.created_at, is_managed
    for spec in workload.policies:
        policy = observed.policies.get(observed.cluster.policy_arn(spec))
        # A change of an AWS managed policy is not a change of this account.
        if policy is not None and not is_aws_managed(policy.arn):
            # A policy with a user belongs to a complete workload, or to another one.
            is_managed = is_own(policy.tags or {}, owner) and not policy.attached_to
            yield f"policy {policy.name}", policy.changed_at, is_managed
    association = observed.associations.get(workload.key)
    if association is not None:
        name = f"association {association.association_id}"
        yield name, association.created_at, association.marked
        yield name, association.modified_at, association.marked


def _allows(cluster: Cluster, workload: Workload, role: ObservedRole, owner: str) -> bool:
    """Return whether a statement of the owner allows a workload. Return True also if the input has ``role.trust_policy``.

    A teardown removes the statement even if the role is kept for other workloads. So a role without a statement for the
    workload is not a resource that a teardown of the workload would still have to remove.
    """
    if workload.role is not None and workload.role.trust_policy is not None:
        return True
    key = workload.key
    return any(
        grant.includes(cluster.arn, key.namespace, key.service_account)
        for grant in own_grants(cluster, owner, role.trust)
    )


def _missing(workload: Workload, observed: Observed) -> Iterator[str]:
    """Yield a description of each resource of a workload that was not found and that this collection would have created."""
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
        arn = observed.cluster.policy_arn(spec)
        if spec.document is not None and observed.policies.get(arn, spec) is None:
            yield policy_target(arn).label
