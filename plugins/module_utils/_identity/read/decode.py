# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Decode responses of AWS, in the names and shapes of botocore, to the observed state. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ..._findings.finding import WorkloadKey
from ..._policy.language.document import load_document
from ..model.associations import ASSOCIATION_ATTRIBUTES, ObservedAssociation
from ..model.attributes import Attribute, decode_attributes
from ..model.observed import Agent
from ..model.policies import POLICY_DETAILS, ObservedPolicy, PolicyVersion
from ..model.roles import ROLE_ATTRIBUTES, ObservedRole
from ..model.rows import _Answer


def decode_policy(raw: _Answer) -> ObservedPolicy:
    return ObservedPolicy(
        arn=raw["Arn"],
        name=raw["PolicyName"],
        default_version=raw["DefaultVersionId"],
        user_count=_user_count(raw),
        changed_at=_changed_at(raw),
        **decode_attributes(POLICY_DETAILS, raw),
    )


def _user_count(raw: _Answer) -> int | None:
    """Count the uses as permissions policy and as boundary."""
    attached, bounded = raw.get("AttachmentCount"), raw.get("PermissionsBoundaryUsageCount")
    return None if attached is None or bounded is None else int(attached) + int(bounded)


def decode_version(raw: _Answer) -> PolicyVersion:
    document = raw.get("Document")
    return PolicyVersion(
        raw["VersionId"],
        bool(raw["IsDefaultVersion"]),
        load_document(document) if document is not None else None,
    )


def decode_role(raw: _Answer, attached: Iterable[_Answer]) -> ObservedRole:
    return ObservedRole(
        name=raw["RoleName"],
        arn=raw["Arn"],
        path=raw["Path"],
        attached=tuple(entry["PolicyArn"] for entry in attached),
        created_at=_time(raw.get("CreateDate")),
        role_id=str(raw.get("RoleId") or ""),
        **decode_attributes(ROLE_ATTRIBUTES, raw),
    )


def decode_role_detail(raw: _Answer) -> ObservedRole:
    """Decode a role of GetAccountAuthorizationDetails, without its details."""
    inline = {
        entry["PolicyName"]: load_document(entry["PolicyDocument"]) for entry in raw.get("RolePolicyList", ())
    }
    profiles = tuple(entry["InstanceProfileName"] for entry in raw.get("InstanceProfileList", ()))
    return replace(
        decode_role(raw, raw.get("AttachedManagedPolicies", ())),
        inline=tuple(inline),
        inline_documents=inline,
        instance_profiles=profiles,
    )


def decode_policy_detail(raw: _Answer) -> ObservedPolicy:
    """Decode a policy of GetAccountAuthorizationDetails: with all versions, without its details."""
    versions = tuple(map(decode_version, raw.get("PolicyVersionList", ())))
    default = next((version for version in versions if version.is_default), None)
    return ObservedPolicy(
        arn=raw["Arn"],
        name=raw["PolicyName"],
        default_version=raw["DefaultVersionId"],
        **_unread(POLICY_DETAILS),
        document=default.document if default else None,
        versions=versions,
        changed_at=_changed_at(raw),
    )


def _unread(attributes: Iterable[Attribute]) -> dict[str, Any]:
    return {attribute.field or attribute.name: None for attribute in attributes}


def decode_agent(raw: _Answer) -> Agent:
    """The add-on of the agent, with its health issues in words."""
    issues = (raw.get("health") or {}).get("issues") or ()
    return Agent(
        status=str(raw.get("status") or ""),
        version=str(raw.get("addonVersion") or ""),
        issues=tuple(f"{issue.get('code', '')}: {issue.get('message', '')}" for issue in issues),
    )


# The other fields of an association that are decoded.
_ASSOCIATION_IDENTITY = (
    "associationArn",
    "associationId",
    "clusterName",
    "createdAt",
    "externalId",
    "modifiedAt",
    "namespace",
    "ownerArn",
    "serviceAccount",
)
_ASSOCIATION_FIELDS = frozenset(
    (*_ASSOCIATION_IDENTITY, *(attribute.parameter for attribute in ASSOCIATION_ATTRIBUTES))
)


def decode_association(raw: _Answer, cluster: str = "") -> ObservedAssociation:
    """``cluster`` is what keys of workloads call its cluster, where that is not its name."""
    return ObservedAssociation(
        key=WorkloadKey(cluster or raw["clusterName"], raw["namespace"], raw["serviceAccount"]),
        association_id=raw["associationId"],
        association_arn=raw["associationArn"],
        owner_arn=raw.get("ownerArn") or "",
        external_id=raw.get("externalId") or "",
        created_at=_time(raw.get("createdAt")),
        modified_at=_time(raw.get("modifiedAt")),
        unknown={
            name: value
            for name, value in raw.items()
            if name not in _ASSOCIATION_FIELDS and value not in (None, "", {}, [])
        },
        **decode_attributes(ASSOCIATION_ATTRIBUTES, raw),
    )


def _changed_at(raw: _Answer) -> str:
    return _time(raw.get("UpdateDate") or raw.get("CreateDate"))


def _time(raw: object) -> str:
    return raw.isoformat() if isinstance(raw, datetime) else str(raw or "")


def answered_at(answer: Mapping[str, Any]) -> datetime | None:
    """When AWS answered, by its own clock; None when the answer does not say it. The clock here may be wrong."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError):
        return None
