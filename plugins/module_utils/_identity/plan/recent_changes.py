# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

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
from ..model.names import is_aws_managed, is_marked, is_own
from ..model.observed import YOUNG, Observed, calculate_age
from ..model.roles import ObservedRole
from ..model.shared import own_grants


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
        if (is_managed or owner is None) and (age := calculate_age(moment, now)) is not None and age < YOUNG
    ]
    return min(recent, key=lambda candidate: (candidate.age, candidate.name), default=None)


def find_possibly_unseen(desired: Desired, observed: Observed) -> list[Finding]:
    """Report the workloads of which a removal does not find all resources, if they changed recently and so may exist."""
    return [
        Finding(
            Code.NOT_YET_VISIBLE,
            f"this run did not find all resources of {workload.key}, but may have missed some: {change.reason}",
            f"Run again in {in_minutes(change.minutes_left)}.",
            workload.key,
            raised_as="warning",
        )
        for workload in desired.workloads
        if (change := latest_change(workload, observed, desired.options.owner)) is not None
        and not _is_complete(workload, observed)
    ]


def in_minutes(number: int) -> str:
    """Return a number of minutes as text, like "2 minutes"."""
    return f"{number} minute{'s' if number > 1 else ''}"


def _moments(workload: Workload, observed: Observed, owner: str) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, time of the last change in ISO 8601, is_managed) for each resource of a workload.

    ``is_managed``: this collection manages the resource for this workload.
    """
    spec = workload.role
    role = observed.roles.get(spec.name.lower()) if spec is not None else None
    if spec is not None and role is not None:
        # Another statement than those of the owner may allow the workload in ``role.trust_policy``.
        allows = spec.trust_policy is not None or _allows_workload(observed.cluster, workload, role, owner)
        is_managed = is_own(role.tags, owner) and allows
        yield f"role {role.name}", role.created_at, is_managed
    for policy_spec in workload.policies:
        policy = observed.policies.get(observed.cluster.policy_arn(policy_spec))
        # A change of an AWS managed policy is not a change of this account.
        if policy is not None and not is_aws_managed(policy.arn):
            # A policy with a user belongs to a complete workload, or to another one.
            is_managed = is_own(policy.tags or {}, owner) and not policy.attached_to
            yield f"policy {policy.name}", policy.changed_at, is_managed
    association = observed.associations.get(workload.key)
    if association is not None:
        name = f"association {association.association_id}"
        yield name, association.created_at, is_marked(association.tags)
        yield name, association.modified_at, is_marked(association.tags)


def _allows_workload(cluster: Cluster, workload: Workload, role: ObservedRole, owner: str) -> bool:
    """Return whether a statement of the owner allows a workload.

    A teardown removes the statement even if the role is kept for other workloads. So a role without a statement for the
    workload is not a resource that a teardown of the workload would still have to remove.
    """
    key = workload.key
    return any(
        grant.includes(cluster.arn, key.namespace, key.service_account)
        for grant in own_grants(cluster, owner, role.trust)
    )


def _is_complete(workload: Workload, observed: Observed) -> bool:
    """Return whether each resource that this collection would have created for a workload was found, or could not be read."""
    role, key = workload.role, workload.key
    created = {
        observed.cluster.policy_arn(spec): spec for spec in workload.policies if spec.document is not None
    }
    return (
        (key in observed.associations or observed.association_failure(key) is not None)
        and (role is None or role.existing or observed.roles.get(role.name.lower(), role) is not None)
        and all(observed.policies.get(arn, spec) is not None for arn, spec in created.items())
    )
