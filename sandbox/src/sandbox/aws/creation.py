# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a caller has to be allowed beside the creation itself: to tag, and to set a boundary.

Whoever creates something with tags tags it: iam:TagRole, iam:TagPolicy, eks:TagResource (IAM user
guide, EKS user guide). A role's boundary at its creation is taken to need
iam:PutRolePermissionsBoundary. On which resource eks:TagResource is asked for an association that
has no ARN yet is not documented: it is asked on the cluster and on the association, so that a
policy that suffices here suffices there. Add-ons are asked as the add-on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sandbox.aws.authz import Authorizer
from sandbox.aws.eks_state import association_arn
from sandbox.aws.iam_form import Form
from sandbox.aws.model import Call


class Needed(NamedTuple):
    action: str
    resource: str
    context: Mapping[str, str | list[str]]


def check_creation(authorizer: Authorizer, call: Call) -> None:
    """Raise the refusal of the first thing the caller may not do."""
    if not call.operation.startswith("Create"):
        return
    for needed in _iam(call) if call.service == "iam" else _eks(call):
        authorizer.check(call, needed.action, needed.resource, needed.context)


def _iam(call: Call) -> list[Needed]:
    form = Form(call.account, call.body)
    kind, name, action = {
        "CreateRole": ("role", form.text("RoleName"), "iam:TagRole"),
        "CreatePolicy": ("policy", form.text("PolicyName"), "iam:TagPolicy"),
    }.get(call.operation, ("", "", ""))
    if not kind:
        return []
    arn = f"arn:aws:iam::{call.account}:{kind}{form.get('Path') or '/'}{name}"
    needed = []
    if tags := form.tags():
        needed.append(Needed(action, arn, _requested({tag["Key"]: tag["Value"] for tag in tags})))
    if kind == "role" and (boundary := form.get("PermissionsBoundary")):
        context = {"iam:PermissionsBoundary": boundary}
        needed.append(Needed("iam:PutRolePermissionsBoundary", arn, context))
    return needed


def _eks(call: Call) -> list[Needed]:
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
    return [Needed("eks:TagResource", resource, _requested(tags)) for resource in resources]


def _requested(tags: Mapping[str, str]) -> Mapping[str, str | list[str]]:
    return {"aws:TagKeys": list(tags), **{f"aws:RequestTag/{key}": value for key, value in tags.items()}}
