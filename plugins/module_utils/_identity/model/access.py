# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that an access report evaluates: clusters with their service accounts, and roles with their policies. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from ..._findings.finding import WorkloadKey
from .associations import ObservedAssociation
from .cluster import Cluster
from .migration import IrsaAccount, PodCredentials
from .observed import Document

# IAM records the use of roles and services for this number of days.
TRACKED_DAYS = 400
# The use of a policy by a role: as an identity policy, or as the permissions boundary.
PolicyLayer = Literal["identity", "boundary"]


@dataclass(frozen=True, slots=True)
class AccessQuestion:
    """The question which service accounts may perform an action on a resource. Both may have wildcards."""

    action: str
    resource: str

    def __str__(self) -> str:
        return f"{self.action} on {self.resource}"


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """The options of an access report.

    ``file`` (HTML), ``json`` and ``csv`` are the paths of the files to write, or "" to write no such file. ``only`` (shell
    patterns of "namespace/name") limits the report to some service accounts. ``unused_days`` is the number of days without a use
    after which the report has a risk for a role, service or action, or None for no such risks. ``questions`` are the questions
    that the report answers.
    """

    file: str = ""
    json: str = ""
    csv: str = ""
    only: tuple[str, ...] = ()
    unused_days: int | None = None
    questions: tuple[AccessQuestion, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleUse:
    """The use of a role by anyone, as IAM has recorded it. Times are in ISO 8601.

    ``created_at`` is the time at which the role was created, or "" if it is unknown. ``last`` is the time of the last request, ""
    if IAM has not recorded a request in its tracking period, and None if it is unknown. ``services`` has the time of the last
    request to each service that the policies of the role allow, by the prefix of the service, such as "s3", and ``actions`` for
    each action that IAM tracks, such as "s3:CreateBucket". The time is "" if no request is recorded. If the services were not
    read, ``services`` is None; ``unread`` is the reason if the read failed.
    """

    created_at: str = ""
    last: str | None = None
    services: Mapping[str, str] | None = None
    unread: str = ""
    actions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeRoles:
    """The IAM roles of the nodes that EKS manages in a cluster: nodes of managed node groups and of EKS Auto Mode.

    ``sources`` has, by the ARN of a role, the node groups that use the role, such as "node group a", and "EKS Auto Mode" if its
    nodes use the role. ``unread`` is "", or the error of a denied request, such as "eks:ListNodegroups: AccessDeniedException";
    then ``sources`` may be incomplete.
    """

    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: str = ""


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role with its trust policy, its identity policies and its permissions boundary.

    ``state`` is "missing" for a role that does not exist, and "unread" for a role of another account, or a role that the caller
    is not allowed to read. ``policies`` are the attached and inline policies. Like ``boundary``, they are pairs of a name (for
    managed policies the ARN) and a document. ``unread`` has the policies that could not be read, as pairs of a layer and a name.
    ``attached`` has the ARNs of the attached policies. ``use`` is None if the role was not read.
    """

    arn: str
    state: Literal["read", "missing", "unread"]
    trust: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[tuple[str, Document], ...] = ()
    boundary: tuple[str, Document] | None = None
    unread: tuple[tuple[PolicyLayer, str], ...] = ()
    attached: tuple[str, ...] = ()
    use: RoleUse | None = None


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The data of one cluster for an access report. Mappings by WorkloadKey omit service accounts without a value.

    ``cluster`` is None if the cluster could not be read; ``error`` is then the reason, otherwise "". ``accounts`` are existing
    service accounts with an association, with IRSA, or with credentials in a Pod template. ``configured`` has the ARNs of the
    roles in the ConfigMap of the IRSA webhook. ``own_roles`` has the ARNs of the roles that Pod templates set, by the owner of
    the template. ``roles`` are the roles of the account of the cluster, by lower-case ARN, and ``complete`` is true if these are
    all roles of the account. ``notes`` are sentences about other reads that failed. ``nodes`` is None if the roles of the nodes
    were not read.
    """

    name: str
    cluster: Cluster | None = None
    associations: Mapping[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    accounts: Mapping[WorkloadKey, IrsaAccount] = field(default_factory=dict)
    configured: Mapping[WorkloadKey, str] = field(default_factory=dict)
    own_roles: Mapping[WorkloadKey, Mapping[str, str]] = field(default_factory=dict)
    pods: Mapping[WorkloadKey, PodCredentials] = field(default_factory=dict)
    roles: Mapping[str, RoleFacts] = field(default_factory=dict)
    complete: bool = False
    notes: tuple[str, ...] = ()
    error: str = ""
    nodes: NodeRoles | None = None

    def service_accounts(self, only: Collection[str] = ()) -> Iterator[WorkloadKey]:
        """Yield the service accounts that match a pattern, by default all, ordered by namespace and name."""
        for key in sorted({*self.associations, *self.accounts, *self.configured}):
            if not only or any(fnmatchcase(str(key), pattern) for pattern in only):
                yield key

    def irsa_role(self, key: WorkloadKey) -> str:
        """Return the ARN of the IRSA role of a service account, from its annotation or the ConfigMap of the webhook, or ""."""
        account = self.accounts.get(key)
        return (account.role_arn if account is not None else "") or self.configured.get(key, "")

    def own_arns(self, key: WorkloadKey) -> set[str]:
        """Return the ARNs of the roles of a service account: from IRSA, from Pod templates and from its association.

        The result does not contain the target role of the association.
        """
        association = self.associations.get(key)
        arns = {self.irsa_role(key), *self.own_roles.get(key, {}).values()}
        return (arns | ({association.role_arn} if association is not None else set())) - {""}
