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
from ..model.observed import Agent, ObservedAssociation, ObservedPolicy, ObservedRole, PolicyVersion
from ..model.rows import _Answer


def decode_policy(raw: _Answer) -> ObservedPolicy:
    return ObservedPolicy(
        arn=raw["Arn"],
        name=raw["PolicyName"],
        default_version=raw["DefaultVersionId"],
        tags=_tags(raw.get("Tags")),
        description=raw.get("Description") or "",
        user_count=_user_count(raw),
        changed_at=_changed_at(raw),
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
    boundary = raw.get("PermissionsBoundary") or {}
    return ObservedRole(
        name=raw["RoleName"],
        arn=raw["Arn"],
        path=raw["Path"],
        trust=load_document(raw["AssumeRolePolicyDocument"]),
        description=raw.get("Description") or "",
        max_session_duration=int(raw.get("MaxSessionDuration") or 3600),
        permissions_boundary=boundary.get("PermissionsBoundaryArn", ""),
        tags=_tags(raw.get("Tags")),
        attached=tuple(entry["PolicyArn"] for entry in attached),
        created_at=_time(raw.get("CreateDate")),
        role_id=str(raw.get("RoleId") or ""),
    )


def decode_role_detail(raw: _Answer) -> ObservedRole:
    """A role as GetAccountAuthorizationDetails returns it, without description and duration."""
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
    """A policy as GetAccountAuthorizationDetails returns it: with all versions, without tags and description."""
    versions = tuple(map(decode_version, raw.get("PolicyVersionList", ())))
    default = next((version for version in versions if version.is_default), None)
    return ObservedPolicy(
        arn=raw["Arn"],
        name=raw["PolicyName"],
        default_version=raw["DefaultVersionId"],
        tags=None,
        description=None,
        document=default.document if default else None,
        versions=versions,
        changed_at=_changed_at(raw),
    )


def decode_agent(raw: _Answer) -> Agent:
    """The add-on of the agent, with its health issues in words."""
    issues = (raw.get("health") or {}).get("issues") or ()
    return Agent(
        status=str(raw.get("status") or ""),
        version=str(raw.get("addonVersion") or ""),
        issues=tuple(f"{issue.get('code', '')}: {issue.get('message', '')}" for issue in issues),
    )


# Every field of an association that is read here.
_ASSOCIATION_FIELDS = frozenset(
    (
        "associationArn",
        "associationId",
        "clusterName",
        "createdAt",
        "disableSessionTags",
        "externalId",
        "modifiedAt",
        "namespace",
        "ownerArn",
        "policy",
        "roleArn",
        "serviceAccount",
        "tags",
        "targetRoleArn",
    )
)


def decode_association(raw: _Answer, cluster: str = "") -> ObservedAssociation:
    """``cluster`` is what keys of workloads call its cluster, where that is not its name."""
    session_policy = raw.get("policy")
    return ObservedAssociation(
        key=WorkloadKey(cluster or raw["clusterName"], raw["namespace"], raw["serviceAccount"]),
        association_id=raw["associationId"],
        association_arn=raw["associationArn"],
        role_arn=raw["roleArn"],
        target_role_arn=raw.get("targetRoleArn") or "",
        disable_session_tags=bool(raw.get("disableSessionTags")),
        session_policy=load_document(session_policy) if session_policy else None,
        tags=dict(raw.get("tags") or {}),
        owner_arn=raw.get("ownerArn") or "",
        external_id=raw.get("externalId") or "",
        created_at=_time(raw.get("createdAt")),
        modified_at=_time(raw.get("modifiedAt")),
        unknown={
            name: value
            for name, value in raw.items()
            if name not in _ASSOCIATION_FIELDS and value not in (None, "", {}, [])
        },
    )


def _tags(raw: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """IAM's list of Key and Value as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in raw or ()}


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
