# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The observed state of AWS as plain data, and the age of resources by the clock of AWS. Pure.

``read`` builds it. Reads of IAM and EKS may be stale by the age that counts as young.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from ..._findings.finding import WorkloadKey
from .associations import ObservedAssociation
from .cluster import Account, Cluster, Clusters
from .desired import Workload
from .errors import AwsError
from .policies import ObservedPolicy
from .roles import ObservedRole
from .targets import Target

# IAM and EKS are eventually consistent; what is older than this has been propagated.
YOUNG = timedelta(minutes=5)


def age_of(moment: str, now: datetime | None) -> timedelta | None:
    """How long ago a moment in ISO 8601 was; None when that is not known."""
    try:
        age = now - datetime.fromisoformat(moment) if now is not None else None
    except (TypeError, ValueError):
        return None
    # What was made while it was being looked at is not from the future.
    return max(age, timedelta()) if age is not None else None


def is_new(created_at: str, now: datetime | None) -> bool:
    """Return whether something is so new, by the clock of AWS, that the run which created it may still be at work."""
    return is_young(age_of(created_at, now))


def is_young(age: timedelta | None) -> bool:
    return age is not None and age < YOUNG


Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Agent:
    """The add-on eks-pod-identity-agent. Source: eks DescribeAddon.

    ``status`` is empty when the cluster has no such add-on. ``issues`` are code and message.
    """

    status: str = ""
    version: str = ""
    issues: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RolePermissions:
    """The policies that decide what a role is allowed to do: name and document each. Source: iam."""

    identity: tuple[tuple[str, Document], ...]
    boundary: tuple[str, Document] | None = None


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """Something that could not be read; workloads that need it are left alone."""

    target: Target
    error: AwsError


@dataclass(frozen=True, slots=True)
class UnlistedAssociations:
    """The associations of a cluster that the list of a run does not have. Source: eks ListPodIdentityAssociations.

    ``keys`` are in alphabetical order, without those that an EKS add-on owns, which are in ``addons``. ``more`` says that
    EKS has further pages, which were not read. ``described`` are the associations that were read in full, ``failed`` those that
    could not be, and ``error`` is the first refusal.
    """

    keys: tuple[WorkloadKey, ...] = ()
    addons: tuple[WorkloadKey, ...] = ()
    more: bool = False
    described: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failed: tuple[WorkloadKey, ...] = ()
    error: AwsError | None = None

    def __contains__(self, key: WorkloadKey) -> bool:
        return key in self.keys or key in self.addons

    def has_described(self, reach: Reach) -> bool:
        """Return whether all associations of a reach were read in full."""
        rest = {*self.keys, *self.addons} - self.described.keys()
        if self.more or self.error is not None:
            return False
        return not any(reach.includes(Reach(key.cluster, key.namespace)) for key in rest)


@dataclass(frozen=True, slots=True, order=True)
class Reach:
    """The associations of a cluster, by the cluster part of their keys, or of one namespace of it."""

    cluster: str
    namespace: str = ""

    def includes(self, other: Reach) -> bool:
        """Return whether all associations of the other reach belong to this one."""
        return self.cluster == other.cluster and self.namespace in ("", other.namespace)


@dataclass(frozen=True, slots=True)
class OutsideAssociations:
    """Associations of workloads outside the run, read where a change could take something from them.

    ``reaches`` have been read. Of those in ``errors`` at least one association is unknown.
    """

    reaches: frozenset[Reach] = frozenset()
    associations: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    errors: Mapping[Reach, AwsError] = field(default_factory=dict)

    def has_read(self, reach: Reach) -> bool:
        """Return whether the associations of a reach have been read, or could not be."""
        return any(read.includes(reach) for read in self.reaches)

    def error_of(self, reach: Reach) -> AwsError | None:
        """Return why associations of a reach are not known; None where all of them are, or were not looked for."""
        return next((error for read, error in self.errors.items() if read.includes(reach)), None)


@dataclass(frozen=True)
class Observed:
    """The account and the clusters, as far as the wanted workloads touch them.

    A key that is present with None was looked for and is not there. ``roles`` is by lower-case name
    (IAM tells role names apart without regard to case), ``policies`` by ARN. ``role_users`` says
    which associations of these clusters use a role's ARN (in lower case), also as their target role; it is whole only for
    removals. ``bulk_denied`` is the refusal of AWS when the caller is not allowed to read in bulk, so that
    everything was read one by one.
    ``documents`` holds the default versions, by ARN, of other policies that came with what was read. ``attachment_quota`` is
    how many policies a role may have; None when it was not asked for, or the caller is not told. ``unlisted`` is by what keys of
    workloads call the cluster, and empty where only some workloads were looked at; then so is ``unassociated``: workloads
    that the run does not list, that a role of it lets in, and that have no association. ``unlisted_roles`` are roles that the
    run does not list, by lower-case name: those that its associations are to leave, and all of a bulk read. ``outside``
    is empty unless a plan asked for it.
    """

    clusters: Clusters
    roles: Mapping[str, ObservedRole | None] = field(default_factory=dict)
    policies: Mapping[str, ObservedPolicy | None] = field(default_factory=dict)
    associations: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    role_users: Mapping[str, tuple[WorkloadKey, ...]] = field(default_factory=dict)
    failures: tuple[ReadFailure, ...] = ()
    bulk_denied: str = ""
    documents: Mapping[str, Document] = field(default_factory=dict)
    attachment_quota: int | None = None
    unlisted: Mapping[str, UnlistedAssociations] = field(default_factory=dict)
    unassociated: frozenset[WorkloadKey] = frozenset()
    unlisted_roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    outside: OutsideAssociations = field(default_factory=OutsideAssociations)

    # Not slots: what is asked for each workload is indexed once.
    @cached_property
    def unread(self) -> Mapping[Target, ReadFailure]:
        """What could not be read, by what it is."""
        return {failure.target: failure for failure in reversed(self.failures)}

    @cached_property
    def unread_clusters(self) -> frozenset[str]:
        """The clusters, by what keys of workloads call them, of which no association could be read."""
        return frozenset(target.name for target in self.unread if target.resource == "associations")

    @property
    def account(self) -> Account:
        return self.clusters.account

    @cached_property
    def outside_associations(self) -> Mapping[WorkloadKey, ObservedAssociation]:
        """The associations outside the run that were read, for whatever reason."""
        described = {key: found for part in self.unlisted.values() for key, found in part.described.items()}
        return {**described, **self.outside.associations}

    def has_read_outside(self, reach: Reach) -> bool:
        """Return whether the associations of a reach outside the run have been read, or could not be."""
        unlisted = self.unlisted.get(reach.cluster)
        return self.outside.has_read(reach) or (unlisted is not None and unlisted.has_described(reach))

    def users_outside(self, role_arn: str, listed: Collection[WorkloadKey]) -> list[ObservedAssociation]:
        """Return the associations with a role, also as their target role, whose workloads the run does not list."""
        arn, known = role_arn.lower(), {**self.outside_associations, **self.associations}
        return [
            known[key]
            for key in sorted(known)
            if key not in listed and arn in {used.lower() for used in known[key].roles}
        ]

    def cluster_of(self, key: WorkloadKey) -> Cluster:
        """The cluster of a workload; KeyError where it could not be read."""
        return self.clusters.of(key)


@dataclass(frozen=True, slots=True)
class VerificationReads:
    """What only the verification needs, beside what was observed.

    ``agents`` is by what keys of workloads call the cluster, ``permissions`` by lower-case role name, and ``targets`` (trust
    policies of target roles) by ARN; a target role that is not there is None. ``other_versions`` names, by policy ARN, a version
    that says what is wanted but is not the default. ``inline`` has the inline policies, by name, of the workloads' roles,
    by lower-case name of the role; ``documents`` policies by ARN, as far as something turns on them.
    ``others`` are service accounts with an association, read where one that is wanted has none.
    """

    agents: Mapping[str, Agent | ReadFailure] = field(default_factory=dict)
    permissions: Mapping[str, RolePermissions | ReadFailure] = field(default_factory=dict)
    targets: Mapping[str, Document | ReadFailure | None] = field(default_factory=dict)
    other_versions: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[str, Mapping[str, Document] | ReadFailure] = field(default_factory=dict)
    documents: Mapping[str, Document | ReadFailure] = field(default_factory=dict)
    others: tuple[WorkloadKey, ...] = ()


def target_of(workload: Workload, observed: Observed) -> str:
    """The target role's ARN as wanted, or as it is when nothing is said; empty without one."""
    wanted = workload.association.target_role_arn
    if wanted is not None:
        return wanted
    association = observed.associations.get(workload.key)
    return association.target_role_arn if association is not None else ""
