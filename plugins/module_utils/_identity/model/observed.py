# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observed state of AWS as plain data, and the age of resources by the clock of AWS. Pure.

The package ``read`` creates this state. Changes younger than YOUNG may still be missing in reads of IAM and EKS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from ..._findings.finding import WorkloadKey
from ..._policy.permissions.permissions import NamedPolicy
from .addons import ObservedAddon
from .associations import ObservedAssociation
from .cluster import Cluster
from .desired import Workload
from .errors import AwsError
from .policies import ObservedPolicy
from .roles import ObservedRole
from .targets import (
    Failure,
    Target,
    association_key,
    association_target,
    associations_target,
    policy_target,
    role_target,
)

# IAM and EKS are eventually consistent. The collection assumes that all replicas have changes that are older than this.
YOUNG = timedelta(minutes=5)


def calculate_age(moment: str, now: datetime | None) -> timedelta | None:
    """Return the age of a time in ISO 8601; None if it is unknown."""
    try:
        # The read may have started before the creation, so the age may be negative.
        return max(now - datetime.fromisoformat(moment), timedelta()) if now is not None else None
    except (TypeError, ValueError):
        return None


def is_new(created_at: str, now: datetime | None) -> bool:
    """Return whether a resource is younger than YOUNG by the clock of AWS, so that its creator may still be running."""
    age = calculate_age(created_at, now)
    return age is not None and age < YOUNG


Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """The policies that determine the permissions of a role."""

    identity: tuple[NamedPolicy, ...]
    boundary: NamedPolicy | None = None


@dataclass(frozen=True, slots=True)
class UnlistedAssociations:
    """The associations of workloads that the run does not list. Source: eks ListPodIdentityAssociations.

    ``keys`` are in alphabetical order. The associations of EKS add-ons are in ``addons`` instead. ``more`` is true if some pages
    of associations were not read. ``described`` has the associations that were read with all their fields, ``failed`` the
    associations that could not be read, and ``error`` the first error.
    """

    keys: tuple[WorkloadKey, ...] = ()
    addons: tuple[WorkloadKey, ...] = ()
    more: bool = False
    described: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failed: tuple[WorkloadKey, ...] = ()
    error: AwsError | None = None


@dataclass(frozen=True, slots=True)
class Inventory:
    """All associations of the cluster, and all roles and customer managed policies of the account, for a purge.

    ``policies`` has no documents, and the tags only of unattached policies and of policies of roles that a purge may delete.
    """

    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Sequence[ObservedRole] = ()
    policies: Mapping[str, ObservedPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Quotas of IAM in an account. None is a quota that was not read.

    ``attachments`` is the number of managed policies that a role may have, ``trust_policy`` the number of characters of a trust
    policy without white space.
    """

    attachments: int | None = None
    trust_policy: int | None = None


@dataclass(frozen=True)
class Observed:
    """The observed resources of the account and of the cluster of the run.

    A resource is "listed" if a workload of the run uses it. The value None means that the resource was read and does not exist.

    ``roles`` has the listed roles, and some other roles with the same policies, by lower-case name, because IAM names are
    case-insensitive.
    ``policies`` has the listed policies, and other policies of these roles whose tags a plan needs, by ARN.
    ``failures`` has the failed reads.
    ``bulk_denied`` is the message of AWS if the caller is not allowed to read all roles and policies at once (iam
    GetAccountAuthorizationDetails).
    ``documents`` has default versions of other policies, by ARN: from a bulk read, and of policies that a plan may detach.
    ``quotas`` has the quotas of the account. They are read only if a plan exceeds the default of a quota.
    ``unlisted`` has the unlisted associations; None if they were not read. The next two fields are empty then.
    ``unassociated`` has unlisted workloads that have no association, although the trust policy of a role of the run names them.
    ``former_roles`` has unlisted roles of associations that the run moves to another role or deletes, by lower-case name.
    ``inventory`` is read only for a purge.
    """

    cluster: Cluster
    roles: Mapping[str, ObservedRole | None] = field(default_factory=dict)
    policies: Mapping[str, ObservedPolicy | None] = field(default_factory=dict)
    associations: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    bulk_denied: str = ""
    documents: Mapping[str, Document] = field(default_factory=dict)
    quotas: Quotas = field(default_factory=Quotas)
    unlisted: UnlistedAssociations | None = None
    unassociated: frozenset[WorkloadKey] = frozenset()
    former_roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    inventory: Inventory | None = None

    # The class has no slots, because a cached property needs a __dict__.
    @cached_property
    def unread(self) -> Mapping[Target, Failure]:
        """Return the failed reads by target."""
        return {failure.target: failure for failure in reversed(self.failures)}

    @cached_property
    def resources(self) -> Mapping[Target, Any]:
        """Return the observed resources by the target of their read; None for a resource that does not exist."""
        return {
            **{role_target(name): role for name, role in self.roles.items()},
            **{policy_target(arn): policy for arn, policy in self.policies.items()},
            **{association_target(key): association for key, association in self.associations.items()},
        }

    def with_resources(self, resources: Mapping[Target, Any]) -> Observed:
        """Return a copy with other ``resources``. An association of the value None does not exist."""
        keys = {target: key for target in resources if (key := association_key(target)) is not None}
        return replace(
            self,
            roles={target.name: role for target, role in resources.items() if target.resource == "role"},
            policies={
                target.name: policy for target, policy in resources.items() if target.resource == "policy"
            },
            associations={key: resources[target] for target, key in keys.items() if resources[target]},
        )

    def association_failure(self, key: WorkloadKey) -> Failure | None:
        """Return the failed read of the association of a workload, or of the list of associations, or None."""
        return self.unread.get(associations_target(self.cluster.name)) or self.unread.get(
            association_target(key)
        )


@dataclass(frozen=True, slots=True)
class VerificationReads:
    """The data that only a verification reads.

    ``agent`` is the add-on of the EKS Pod Identity Agent; None if it is not installed.
    ``permissions`` has the policies that determine the permissions of a role, by lower-case role name. It omits roles for which
    no check needs all of these policies.
    ``targets`` has the trust policies of target roles, by role ARN. None means that the role does not exist.
    ``other_versions`` has, by policy ARN, the ID of a version with the desired document, if the default version has another
    document.
    ``inline`` has the inline policies of the workloads' roles, by lower-case role name and policy name.
    ``documents`` has the default versions of policies that a check needs, by policy ARN.
    ``associated`` has unlisted workloads with an association, if a desired association is missing.
    """

    agent: ObservedAddon | Failure | None = None
    permissions: Mapping[str, RolePermissions | Failure] = field(default_factory=dict)
    targets: Mapping[str, Document | Failure | None] = field(default_factory=dict)
    other_versions: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[str, Mapping[str, Document] | Failure] = field(default_factory=dict)
    documents: Mapping[str, Document | Failure] = field(default_factory=dict)
    associated: tuple[WorkloadKey, ...] = ()


def find_target_role(workload: Workload, observed: Observed) -> str:
    """Return the ARN of the desired target role, or of the present target role if the definition does not set one; or ""."""
    desired, association = workload.association.target_role_arn, observed.associations.get(workload.key)
    present = association.target_role_arn if association is not None else ""
    return present if desired is None else desired
