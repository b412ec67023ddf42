# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Managed policies: definition, observed state, the attributes that a run updates, decoding of API responses. Pure.

Sources: iam CreatePolicy, CreatePolicyVersion, GetPolicy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..._policy.language.document import PolicyDocument, to_json
from .attributes import IAM_DESCRIPTION, IAM_TAGS, Attribute, decode_attributes, decode_document, decode_time


@dataclass(frozen=True, slots=True)
class PresetScope:
    """The preset, a policy template of this collection, from which a document was built.

    ``partition``, ``account_id`` and ``region`` are the values in the document, each "" if the document does not have it.
    ``description`` is for a new policy without a description in the input. It is not compared with the description of an
    existing policy, because it changes with each version of the preset, and IAM cannot change a description.
    """

    name: str
    description: str = ""
    partition: str = ""
    account_id: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """The definition of a permissions policy to create (``name`` and ``document``), or an existing policy (``arn``).

    ``path``, ``description`` and ``tags`` are for a policy to create. ``preset`` is None for a document without a preset; it does
    not belong to the definition of the policy.
    """

    name: str = ""
    document: PolicyDocument | None = None
    path: str = "/"
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    arn: str | None = None
    preset: PresetScope | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A version of a managed policy, such as "v3". ``document`` is None if it was not read."""

    version_id: str
    is_default: bool
    document: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ObservedPolicy:
    """A managed policy. Source: iam GetPolicy, GetPolicyVersion, ListPolicyVersions.

    ``document`` is the default version; None if it was not read, for example for a policy that workloads list by its ARN.
    ``versions`` is empty if it was not read. ``user_count`` is the number of uses as permissions policy and as boundary; None if
    it is unknown. ``attached_to`` has the type and name of each user, role and group with the policy, like "role my-role". It is
    read to delete the policy, and for a change unless ``user_count`` shows that only roles of the run use the policy. ``tags``
    and ``description`` are None if they were not read. ``changed_at`` is the time when the latest version was created, in
    ISO 8601.
    """

    arn: str
    name: str
    default_version: str
    tags: Mapping[str, str] | None = field(default_factory=dict)
    description: str | None = ""
    document: Mapping[str, object] | None = None
    versions: tuple[PolicyVersion, ...] = ()
    attached_to: tuple[str, ...] = ()
    user_count: int | None = None
    changed_at: str = ""


DOCUMENT = Attribute("document", "PolicyDocument", decode_document, to_json, document="identity")
# IAM has no operation that changes the description.
POLICY_SETTINGS = (IAM_DESCRIPTION,)
# GetPolicy returns these attributes.
POLICY_DETAILS = (*POLICY_SETTINGS, IAM_TAGS)
POLICY_ATTRIBUTES = (DOCUMENT, *POLICY_DETAILS)


def decode_policy(response: Mapping[str, Any]) -> ObservedPolicy:
    # AWS does not always count the uses.
    attached, bounded = response.get("AttachmentCount"), response.get("PermissionsBoundaryUsageCount")
    return ObservedPolicy(
        arn=response["Arn"],
        name=response["PolicyName"],
        default_version=response["DefaultVersionId"],
        user_count=None if attached is None or bounded is None else int(attached) + int(bounded),
        changed_at=decode_time(response.get("UpdateDate") or response.get("CreateDate")),
        **decode_attributes(POLICY_DETAILS, response),
    )


def decode_version(response: Mapping[str, Any]) -> PolicyVersion:
    return PolicyVersion(
        response["VersionId"], bool(response["IsDefaultVersion"]), decode_document(response.get("Document"))
    )


def decode_policy_detail(response: Mapping[str, Any]) -> ObservedPolicy:
    """Decode a policy of GetAccountAuthorizationDetails, which returns all versions, but no description and no tags."""
    versions = tuple(map(decode_version, response.get("PolicyVersionList", ())))
    default = next((version.document for version in versions if version.is_default), None)
    unread: dict[str, Any] = {attribute.field or attribute.name: None for attribute in POLICY_DETAILS}
    return replace(decode_policy(response), document=default, versions=versions, **unread)
