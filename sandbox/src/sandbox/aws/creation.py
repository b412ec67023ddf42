# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the additional permissions that create requests need: for tags, and for a permissions boundary.

Tags need iam:TagRole, iam:TagPolicy or eks:TagResource (IAM User Guide, EKS User Guide). A permissions boundary probably
needs iam:PutRolePermissionsBoundary. AWS does not document which resource eks:TagResource applies to for a new association.
So in this emulation the caller needs eks:TagResource on both the cluster and the association: a policy that is sufficient
here is sufficient in AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sandbox.aws.authz import Authorizer
from sandbox.aws.eks_state import association_arn
from sandbox.aws.iam_form import Form
from sandbox.aws.model import Call


class Permission(NamedTuple):
    """An action on a resource, with the condition keys of the request."""

    action: str
    resource: str
    context: Mapping[str, str | list[str]]


def check_creation(authorizer: Authorizer, call: Call) -> None:
    """Check the additional permissions of a create request.

    Raise an access denied error for the first permission that the caller does not have.
    """
    if not call.operation.startswith("Create"):
        return
    for permission in _iam(call) if call.service == "iam" else _eks(call):
        authorizer.check(call, permission.action, permission.resource, permission.context)


def _iam(call: Call) -> list[Permission]:
    form = Form(call.account, call.body)
    kind, name, action = {
        "CreateRole": ("role", form.text("RoleName"), "iam:TagRole"),
        "CreatePolicy": ("policy", form.text("PolicyName"), "iam:TagPolicy"),
    }.get(call.operation, ("", "", ""))
    if not kind:
        return []
    arn = f"arn:aws:iam::{call.account}:{kind}{form.get('Path') or '/'}{name}"
    permissions = []
    if tags := form.tags():
        permissions.append(Permission(action, arn, _tag_context({tag["Key"]: tag["Value"] for tag in tags})))
    if kind == "role" and (boundary := form.get("PermissionsBoundary")):
        context = {"iam:PermissionsBoundary": boundary}
        permissions.append(Permission("iam:PutRolePermissionsBoundary", arn, context))
    return permissions


def _eks(call: Call) -> list[Permission]:
    request = call.data()
    tags = request.get("tags")
    if not tags:
        return []
    name = call.path_parts[0] if call.path_parts else request.get("name", "")
    cluster = f"arn:aws:eks:{call.region}:{call.account}:cluster/{name}"
    addon = f"arn:aws:eks:{call.region}:{call.account}:addon/{name}/{request.get('addonName', '')}/*"
    resources = {
        "CreateCluster": [cluster],
        "CreatePodIdentityAssociation": [cluster, association_arn(call.account, call.region, name, "*")],
        "CreateAddon": [addon],
    }.get(call.operation, [])
    return [Permission("eks:TagResource", resource, _tag_context(tags)) for resource in resources]


def _tag_context(tags: Mapping[str, str]) -> Mapping[str, str | list[str]]:
    return {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}
