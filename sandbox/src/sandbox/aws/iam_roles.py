# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operations for roles, with their trust policies, permissions boundaries and tags."""

from __future__ import annotations

from sandbox.aws import iam_limits, iam_nodes
from sandbox.aws.clock import iam_time
from sandbox.aws.iam_documents import check_trust_policy
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import page
from sandbox.aws.iam_state import IamState, new_unique_id
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node


class Roles:
    """The operations for roles. Each operation is a method that returns the result element of the response."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def create_role(self, form: Form) -> Node:
        name = form.required("RoleName")
        iam_limits.check_name(name, "roleName", 64)
        path = form.get("Path") or "/"
        iam_limits.check_path(path)
        description = form.get("Description")
        iam_limits.check_description(description)
        duration = iam_limits.session_duration(form.get("MaxSessionDuration") or "3600")
        trust = form.required("AssumeRolePolicyDocument")
        self._check_trust(trust)
        tags = iam_limits.merge_tags([], form.tags(), "TagsPerRole")
        if (form.account, name.lower()) in self._state.role_names:
            raise ApiError(409, "EntityAlreadyExists", f"Role with name {name} already exists.")
        boundary = form.get("PermissionsBoundary") or None
        self._check_boundary(form.account, boundary)
        role: Record = {
            "RoleName": name,
            "Arn": f"arn:aws:iam::{form.account}:role{path}{name}",
            "RoleId": new_unique_id("AROA"),
            "CreateDate": iam_time(),
            "Path": path,
            "AssumeRolePolicyDocument": trust,
            "Description": description,
            "MaxSessionDuration": duration,
            "PermissionsBoundary": boundary,
            "AttachedPolicies": [],
            "InlinePolicies": {},
            "Tags": tags,
        }
        self._state.add_role(form.account, role)
        return {"Role": iam_nodes.role_created(role)}

    def get_role(self, form: Form) -> Node:
        return {"Role": iam_nodes.role_full(find_role(self._state, form))}

    def list_roles(self, form: Form) -> Node:
        prefix = form.get("PathPrefix") or "/"
        roles = self._state.ministack.roles.items(form.account)
        chosen = ((name, role) for name, role in roles if role["Path"].startswith(prefix))
        return page(form, "Roles", chosen, iam_nodes.role_summary)

    def update_role(self, form: Form) -> Node:
        role = find_role(self._state, form)
        description = form.get("Description")
        iam_limits.check_description(description)
        # Without MaxSessionDuration, IAM restores the default. Without Description, it keeps the description.
        duration = iam_limits.session_duration(form.get("MaxSessionDuration") or "3600")
        if description is not None:
            role["Description"] = description
        role["MaxSessionDuration"] = duration
        return {}

    def update_role_description(self, form: Form) -> Node:
        role = find_role(self._state, form)
        description = form.required("Description")
        iam_limits.check_description(description)
        role["Description"] = description
        return {"Role": iam_nodes.role_full(role)}

    def update_assume_role_policy(self, form: Form) -> None:
        role = find_role(self._state, form)
        trust = form.required("PolicyDocument")
        self._check_trust(trust)
        self._state.set_trust(form.account, role, trust)

    def delete_role(self, form: Form) -> None:
        role = find_role(self._state, form)
        profiles = self._state.ministack.instance_profiles.items(form.account)
        if any(role["RoleName"] in profile["Roles"] for _, profile in profiles):
            raise _conflict("must remove roles from instance profile first.")
        if role["AttachedPolicies"]:
            raise _conflict("must detach all policies first.")
        if role["InlinePolicies"]:
            raise _conflict("must delete policies first.")
        self._state.drop_role(form.account, role)

    def put_role_permissions_boundary(self, form: Form) -> None:
        role = find_role(self._state, form)
        boundary = form.required("PermissionsBoundary")
        self._check_boundary(form.account, boundary)
        self._state.set_boundary(form.account, role, boundary)

    def delete_role_permissions_boundary(self, form: Form) -> None:
        role = find_role(self._state, form)
        if not role["PermissionsBoundary"]:
            raise ApiError(
                404, "NoSuchEntity", f"Principal {role['RoleId']} does not have a permissions boundary."
            )
        self._state.set_boundary(form.account, role, None)

    def tag_role(self, form: Form) -> None:
        role = find_role(self._state, form)
        role["Tags"] = iam_limits.merge_tags(role["Tags"], form.tags(), "TagsPerRole")

    def untag_role(self, form: Form) -> None:
        role = find_role(self._state, form)
        role["Tags"] = iam_limits.remove_tags(role["Tags"], form.members("TagKeys"))

    def _check_trust(self, document: str) -> None:
        check_trust_policy(document, self._entity_exists)
        iam_limits.check_trust_size(document)

    def _entity_exists(self, arn: str) -> bool:
        _, _, _, _, account, resource = arn.split(":", 5)
        kind, _, path_and_name = resource.partition("/")
        name = path_and_name.rpartition("/")[2]
        table = self._state.ministack.roles if kind == "role" else self._state.ministack.users
        entity = table.get(account, name)
        return entity is not None and entity["Arn"] == arn

    def _check_boundary(self, account: str, arn: str | None) -> None:
        if arn is not None and self._state.policy(account, arn) is None:
            raise ApiError(404, "NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.")


def find_role(state: IamState, form: Form) -> Record:
    """Return the role that the parameter RoleName names, or raise ``NoSuchEntity``."""
    name = form.required("RoleName")
    role = state.role(form.account, name)
    if role is None:
        raise ApiError(404, "NoSuchEntity", f"The role with name {name} cannot be found.")
    return role


def _conflict(remedy: str) -> ApiError:
    return ApiError(409, "DeleteConflict", f"Cannot delete entity, {remedy}")
