# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The data for an access report from AWS and Kubernetes: roles with their policies, associations, service accounts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..._findings.finding import WorkloadKey
from .associations import ObservedAssociation
from .cluster import Cluster
from .migration import IrsaAccount, PodCredentials
from .observed import Document

# The layer of a policy that could not be read.
PolicyLayer = Literal["identity", "boundary"]


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """The options of an access report.

    ``file``, ``json`` and ``csv`` are the files to write, ``previous`` is the JSON file of an earlier report; each is "" if it is
    not wanted. ``namespaces`` limits the report; it is empty for all namespaces.
    """

    file: str = ""
    json: str = ""
    csv: str = ""
    previous: str = ""
    namespaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role with the policies that determine its permissions, each as (name, document).

    ``state`` is "missing" for a role that does not exist, and "unread" for a role of another account, or a role that the caller
    must not read. ``unread`` has the policies whose documents could not be read.
    """

    arn: str
    state: Literal["read", "missing", "unread"]
    trust: Document | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[tuple[str, Document], ...] = ()
    boundary: tuple[str, Document] | None = None
    unread: tuple[tuple[PolicyLayer, str], ...] = ()
    attached: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """The service accounts of a cluster with credentials for AWS, and the roles of its account, by their lower-case ARNs.

    ``accounts`` are existing service accounts with an association, with IRSA, or with credentials in a Pod template.
    ``configured`` are the roles in the ConfigMap of the webhook, ``own_roles`` the roles that Pod templates set, by the owner of
    the template. ``complete`` is true if ``roles`` has all roles of the account. ``error`` is the reason why the cluster could
    not be read, or "". ``notes`` are sentences about reads that failed.
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
