# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IAM roles: definition, observed state, the attributes that a run updates, decoding of API responses. Pure.

Sources: iam CreateRole, UpdateRole, PutRolePermissionsBoundary, GetRole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from ..._findings.finding import WorkloadKey
from ..._policy.language.document import PolicyDocument, load_document, to_json
from .attributes import IAM_DESCRIPTION, IAM_TAGS, Attribute, decode_attributes, decode_document, decode_time

TrustScope = Literal["workload", "namespace", "cluster", "account", "anyone_in_account"]

TRUST_SCOPES: tuple[TrustScope, ...] = ("workload", "namespace", "cluster", "account", "anyone_in_account")


@dataclass(frozen=True, slots=True)
class RoleSpec:
    """The definition of an IAM role to create (``name``), or an existing role (``arn``).

    A run changes only the attachments of an existing role and, with ``extend_trust``, its trust policy.

    ``max_session_duration`` is in seconds. ``None`` accepts any present value. An empty ``permissions_boundary`` removes the
    boundary. ``trust_patterns`` are pairs of a namespace and a service account, in which "*" matches any text. For each pair
    and each cluster, the trust policy has a statement that allows the matching workloads. Clusters can have different patterns
    for the same role.
    """

    name: str
    arn: str | None = None
    path: str = "/"
    description: str | None = None
    permissions_boundary: str | None = None
    max_session_duration: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    trust_scope: TrustScope | None = None
    trust_policy: PolicyDocument | None = None
    extend_trust: bool = False
    trust_patterns: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    def includes(self, key: WorkloadKey) -> bool:
        """Return whether a workload matches one of ``trust_patterns``."""
        return any(
            fnmatchcase(key.namespace, namespace) and fnmatchcase(key.service_account, name)
            for namespace, name in self.trust_patterns
        )

    @property
    def existing(self) -> bool:
        return self.arn is not None


@dataclass(frozen=True, slots=True)
class ObservedRole:
    """An IAM role. Sources: iam GetRole, ListAttachedRolePolicies.

    ``attached`` has the ARNs of the attached policies. ``inline`` and ``instance_profiles`` are names, read in bulk or to delete
    the role. ``inline_documents`` is None if it was not read. ``created_at`` is in ISO 8601; IAM has no time of the last
    change. ``last_used`` is "" if IAM has recorded no use in
    its tracking period, and None if it is unknown.
    """

    name: str
    arn: str
    path: str
    trust: Mapping[str, object]
    description: str = ""
    max_session_duration: int = 3600
    permissions_boundary: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    attached: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    inline_documents: Mapping[str, Mapping[str, object]] | None = None
    instance_profiles: tuple[str, ...] = ()
    created_at: str = ""
    last_used: str | None = field(default=None, compare=False)


# UpdateRole sets these attributes together. GetAccountAuthorizationDetails does not return them, so a bulk read decodes them from
# ListRoles. Any other attribute that GetAccountAuthorizationDetails lacks would silently get its default in a bulk read.
ROLE_DETAILS = (
    IAM_DESCRIPTION,
    Attribute(
        "max_session_duration", "MaxSessionDuration", lambda value: int(value or 3600), limits_sessions=True
    ),
)
PERMISSIONS_BOUNDARY = Attribute(
    "permissions_boundary",
    "PermissionsBoundary",
    lambda value: str((value or {}).get("PermissionsBoundaryArn", "")),
    limits_sessions=True,
)
# The trust policy is planned separately: it changes in steps, and other runs may change it at the same time.
ROLE_SETTINGS = (*ROLE_DETAILS, PERMISSIONS_BOUNDARY)
TRUST_POLICY = Attribute(
    "trust_policy", "AssumeRolePolicyDocument", decode_document, to_json, field="trust", document="trust"
)
ROLE_ATTRIBUTES = (*ROLE_SETTINGS, TRUST_POLICY, IAM_TAGS)


def decode_role(response: Mapping[str, Any], attached: Iterable[Mapping[str, Any]]) -> ObservedRole:
    use = response.get("RoleLastUsed")
    return ObservedRole(
        name=response["RoleName"],
        arn=response["Arn"],
        path=response["Path"],
        attached=tuple(entry["PolicyArn"] for entry in attached),
        created_at=decode_time(response.get("CreateDate")),
        last_used=None if use is None else decode_time(use.get("LastUsedDate")),
        **decode_attributes(ROLE_ATTRIBUTES, response),
    )


def decode_role_detail(response: Mapping[str, Any]) -> ObservedRole:
    """Decode a role of GetAccountAuthorizationDetails, which returns no description and no session duration."""
    inline = {
        entry["PolicyName"]: load_document(entry["PolicyDocument"])
        for entry in response.get("RolePolicyList", ())
    }
    profiles = tuple(entry["InstanceProfileName"] for entry in response.get("InstanceProfileList", ()))
    return replace(
        decode_role(response, response.get("AttachedManagedPolicies", ())),
        inline=tuple(inline),
        inline_documents=inline,
        instance_profiles=profiles,
    )
