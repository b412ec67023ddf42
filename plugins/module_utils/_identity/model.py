# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the user asked for, as plain data. Built by ``parse``, checked there; nothing here talks to AWS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TrustScope = Literal["workload", "namespace", "cluster", "account", "none"]

TRUST_SCOPES: tuple[TrustScope, ...] = ("workload", "namespace", "cluster", "account", "none")

# The tag that says a resource is ours: teardown removes nothing that lacks it.
OWNER_TAG = "workload-identity/managed-by"
OWNER_VALUE = "workload_identity.aws"
# Whose it is among those who use this collection: a purge for one owner touches nothing of another.
OWNER_NAME_TAG = "workload-identity/owner"
# The ARN of the cluster that a policy was made for. A role's trust policy tells as much; a policy has
# nothing else that says which purge it concerns once it is attached to nothing.
CLUSTER_TAG = "workload-identity/cluster"


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """Which service account; together with the cluster it is the identity of an association."""

    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """A permissions policy: one that we make (``name`` and ``document``) or an existing one (``arn``).

    ``path``, ``description`` and ``tags`` belong to a policy that we make. ``description`` cannot be
    changed after creation (IAM has no operation for it).
    """

    name: str = ""
    document: Mapping[str, object] | None = None
    path: str = "/"
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str | None = None


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """An IAM role: one that we make (``name``) or an existing one (``arn``), used as it is.

    ``max_session_duration`` is in seconds. ``None`` means not given: a value set elsewhere stays.
    ``permissions_boundary`` as an empty string removes the boundary.
    """

    name: str
    arn: str | None = None
    path: str = "/"
    description: str | None = None
    permissions_boundary: str | None = None
    max_session_duration: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    trust_scope: TrustScope | None = None
    trust_policy: Mapping[str, object] | None = None
    extend_trust: bool = False

    @property
    def existing(self) -> bool:
        return self.arn is not None


@dataclass(frozen=True, slots=True)
class RequiredPermission:
    """What the Pod must be allowed to do; judged by the verification."""

    action: str
    resource: str
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AssociationSpec:
    """The parameters of an association. ``None`` means not given: what is there stays.

    ``target_role_arn`` and ``session_policy`` as an empty value remove what is there.
    """

    target_role_arn: str | None = None
    disable_session_tags: bool | None = None
    session_policy: Mapping[str, object] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """One service account and what it needs, end to end."""

    key: WorkloadKey
    role: RoleSpec | None
    policies: tuple[PolicySpec, ...] = ()
    association: AssociationSpec = field(default_factory=AssociationSpec)
    required_permissions: tuple[RequiredPermission, ...] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for the whole run."""

    trust_scope: TrustScope | None = None
    purge_tags: bool = False
    purge_policies: bool = False
    adopt: bool = False
    force: bool = False
    trust_policy_size_limit: int = 2048


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that one run is to bring about on one cluster."""

    cluster_name: str
    workloads: tuple[Workload, ...]
    options: Options = field(default_factory=Options)


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster and the account behind the credentials, as observed.

    ``version`` is like "1.33", ``platform_version`` like "eks.4"; ``auto_mode`` is EKS Auto Mode.
    Sources: eks DescribeCluster, sts GetCallerIdentity.
    """

    name: str
    arn: str
    account_id: str
    region: str
    partition: str
    status: str = "ACTIVE"
    caller_arn: str = ""
    version: str = ""
    platform_version: str = ""
    auto_mode: bool = False

    def policy_arn(self, spec: PolicySpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:policy{spec.path}{spec.name}"

    def role_arn(self, spec: RoleSpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:role{spec.path}{spec.name}"
