# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pod Identity associations: definition, observed state, the attributes that a run updates, decoding of API responses. Pure.

Sources: eks CreatePodIdentityAssociation, UpdatePodIdentityAssociation, DescribePodIdentityAssociation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..._findings.finding import WorkloadKey
from ..._policy.language.document import PolicyDocument, to_json
from .attributes import Attribute, decode_attributes, decode_document, decode_time


@dataclass(frozen=True, slots=True)
class AssociationSpec:
    """The definition of an association.

    ``None`` accepts any present value; an empty ``target_role_arn`` or ``session_policy`` removes the present value.
    ``role_arn`` is set for an association that a run changes without its role.
    """

    target_role_arn: str | None = None
    disable_session_tags: bool | None = None
    session_policy: PolicyDocument | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    role_arn: str = ""


@dataclass(frozen=True, slots=True)
class ObservedAssociation:
    """A pod identity association. Source: eks DescribePodIdentityAssociation.

    ``created_at`` and ``modified_at`` are in ISO 8601.
    """

    key: WorkloadKey
    association_id: str
    association_arn: str
    role_arn: str
    target_role_arn: str = ""
    disable_session_tags: bool = False
    session_policy: Mapping[str, object] | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    owner_arn: str = ""
    external_id: str = ""
    created_at: str = ""
    modified_at: str = ""

    @property
    def addon(self) -> str:
        """Return the name of the EKS add-on that owns the association, or ""."""
        _arn, _separator, path = self.owner_arn.partition(":addon/")
        return path.split("/")[1] if "/" in path else ""

    @property
    def roles(self) -> frozenset[str]:
        """Return the ARNs of the association's role and target role."""
        return frozenset(filter(None, (self.role_arn, self.target_role_arn)))


ASSOCIATION_ROLE = Attribute("role_arn", "roleArn")
TARGET_ROLE = Attribute("target_role_arn", "targetRoleArn", removal="''")
# EKS cannot remove a session policy from an association.
ASSOCIATION_SESSION_POLICY = Attribute(
    "session_policy", "policy", decode_document, to_json, document="session"
)
ASSOCIATION_SETTINGS = (
    TARGET_ROLE,
    Attribute("disable_session_tags", "disableSessionTags", bool, removal="false"),
    ASSOCIATION_SESSION_POLICY,
)
ASSOCIATION_ATTRIBUTES = (
    ASSOCIATION_ROLE,
    *ASSOCIATION_SETTINGS,
    Attribute("tags", "tags", lambda tags: dict(tags or {}), dict),
)


def decode_association(response: Mapping[str, Any]) -> ObservedAssociation:
    """Decode an association."""
    return ObservedAssociation(
        key=WorkloadKey(response["clusterName"], response["namespace"], response["serviceAccount"]),
        association_id=response["associationId"],
        association_arn=response["associationArn"],
        owner_arn=response.get("ownerArn") or "",
        external_id=response.get("externalId") or "",
        created_at=decode_time(response.get("createdAt")),
        modified_at=decode_time(response.get("modifiedAt")),
        **decode_attributes(ASSOCIATION_ATTRIBUTES, response),
    )
