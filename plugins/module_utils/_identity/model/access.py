# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The data for an access report from AWS and Kubernetes: roles with their policies, associations, service accounts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..._findings.finding import WorkloadKey
from .associations import ObservedAssociation
from .cluster import Cluster
from .migration import IrsaAccount, PodCredentials
from .observed import Document

# IAM records the use of roles and services for this number of days.
TRACKED_DAYS = 400
# The layer of a policy that could not be read.
PolicyLayer = Literal["identity", "boundary"]


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """The options of an access report.

    ``file``, ``json`` and ``csv`` are the paths of the files to write, or "" to write no such file. ``previous`` is the path of
    the JSON file of an earlier report, or "". ``namespaces`` limits the report; it is empty for all namespaces. ``unused_days``
    is the number of days without a use after which a role or service is a risk, or None if the report has no such risks.
    """

    file: str = ""
    json: str = ""
    csv: str = ""
    previous: str = ""
    namespaces: tuple[str, ...] = ()
    unused_days: int | None = None


@dataclass(frozen=True, slots=True)
class RoleUse:
    """The use of a role by anyone, as IAM has recorded it. Times are in ISO 8601.

    ``last`` is the time of the last request, "" if IAM has not recorded a request in its tracking period, and None if it is
    unknown. ``services`` has each service that the policies of the role allow, with the time of the last request to this service,
    or "". ``services`` is None if the times are unknown; ``unread`` is then the reason.
    """

    created_at: str = ""
    last: str | None = None
    services: Mapping[str, str] | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class NodeRoles:
    """The roles of the nodes of a cluster that EKS manages: in managed node groups, or by EKS Auto Mode.

    ``sources`` has, by ARN, the names of the node groups with the role, or "EKS Auto Mode". ``unread`` is "", or the error of a
    read that failed, so that roles may be missing.
    """

    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unread: str = ""


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role with the policies that determine its permissions, each as (name, document).

    ``state`` is "missing" for a role that does not exist, and "unread" for a role of another account, or a role that the caller
    is not allowed to read. ``unread`` has the policies whose documents could not be read, as (layer, ARN). ``attached`` has the
    ARNs of the attached policies. ``use`` is None if the role was not read.
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
    """The service accounts of a cluster with credentials for AWS, and the roles of its account, by their lower-case ARNs.

    ``accounts`` are existing service accounts with an association, with IRSA, or with credentials in a Pod template.
    ``configured`` are the roles in the ConfigMap of the IRSA webhook. ``own_roles`` are the roles that Pod templates set, by the
    owner of the template. ``pods`` has the Pods by the source of their credentials. ``complete`` is true if ``roles`` has all
    roles of the account. ``error`` is the reason why the cluster could not be read, or "". ``notes`` are sentences about reads
    that failed. ``nodes`` is None if the roles of nodes were not read.
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

    def service_accounts(self, namespaces: Collection[str] = ()) -> Iterator[WorkloadKey]:
        """Yield the service accounts in these namespaces, by default in all, ordered by namespace and name."""
        for key in sorted({*self.associations, *self.accounts, *self.configured}):
            if not namespaces or key.namespace in namespaces:
                yield key

    def annotated_role(self, key: WorkloadKey) -> str:
        """Return the ARN of the IRSA role of a service account, from its annotation or the ConfigMap of the webhook, or ""."""
        account = self.accounts.get(key)
        return (account.role_arn if account is not None else "") or self.configured.get(key, "")

    def own_arns(self, key: WorkloadKey) -> set[str]:
        """Return the ARNs of the roles that a service account gets by IRSA, Pod templates and its association.

        The target role of the association is not included.
        """
        association = self.associations.get(key)
        arns = {self.annotated_role(key), *self.own_roles.get(key, {}).values()}
        return (arns | ({association.role_arn} if association is not None else set())) - {""}
