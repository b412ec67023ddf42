# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Convert stored records to elements of responses. Policy documents in responses are URL-encoded."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from sandbox.aws.iam_state import IamState
from sandbox.aws.model import Record

NodeData = dict[str, Any]


def encoded(document: str) -> str:
    return quote(document, safe="")


def boundary(arn: str | None) -> NodeData | None:
    if not arn:
        return None
    return {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": arn}


def role_summary(role: Record) -> NodeData:
    """Return a role as ListRoles does: without tags, permissions boundary and last use."""
    return {
        "Path": role["Path"],
        "RoleName": role["RoleName"],
        "RoleId": role["RoleId"],
        "Arn": role["Arn"],
        "CreateDate": role["CreateDate"],
        "AssumeRolePolicyDocument": encoded(role["AssumeRolePolicyDocument"]),
        "Description": role["Description"],
        "MaxSessionDuration": role["MaxSessionDuration"],
    }


def role_full(role: Record) -> NodeData:
    """Return a role as GetRole does, with all members."""
    return {
        **role_summary(role),
        "PermissionsBoundary": boundary(role["PermissionsBoundary"]),
        "Tags": role["Tags"] or None,
        "RoleLastUsed": role.get("RoleLastUsed", {}),
    }


def role_created(role: Record) -> NodeData:
    """Return a role as CreateRole does: without description, session duration and last use."""
    node = role_full(role)
    for name in ("Description", "MaxSessionDuration", "RoleLastUsed"):
        del node[name]
    return node


def instance_profile(state: IamState, account: str, profile: Record) -> NodeData:
    names = ("Path", "InstanceProfileName", "InstanceProfileId", "Arn", "CreateDate")
    roles = (state.role(account, name) for name in profile["Roles"])
    return {
        **{name: profile[name] for name in names},
        "Roles": [role_summary(role) for role in roles if role is not None],
    }


def policy_summary(state: IamState, account: str, policy: Record) -> NodeData:
    """Return a policy as ListPolicies does: without description and tags."""
    arn = policy["Arn"]
    return {
        "PolicyName": policy["PolicyName"],
        "PolicyId": policy["PolicyId"],
        "Arn": arn,
        "Path": policy["Path"],
        "DefaultVersionId": policy["DefaultVersionId"],
        "AttachmentCount": state.attachment_count(account, policy),
        "PermissionsBoundaryUsageCount": state.boundary_count(account, arn),
        "IsAttachable": True,
        "CreateDate": policy["CreateDate"],
        "UpdateDate": policy["UpdateDate"],
    }


def policy_full(state: IamState, account: str, policy: Record) -> NodeData:
    """Return a policy as GetPolicy does, with all members."""
    return {
        **policy_summary(state, account, policy),
        "Description": policy["Description"] or None,
        "Tags": policy["Tags"],
    }


def version(record: Record, *, document: bool) -> NodeData:
    return {
        "Document": encoded(record["Document"]) if document else None,
        "VersionId": record["VersionId"],
        "IsDefaultVersion": record["IsDefaultVersion"],
        "CreateDate": record["CreateDate"],
    }


def attached(arn: str) -> NodeData:
    return {"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn}
