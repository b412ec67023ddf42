# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operations for attached and inline policies of roles, ListEntitiesForPolicy and ListInstanceProfilesForRole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.aws import iam_limits, iam_nodes
from sandbox.aws.iam_documents import check_identity_policy
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import encode, marker, max_items, page
from sandbox.aws.iam_policies import find_policy
from sandbox.aws.iam_roles import find_role
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node


class Attachments:
    """The operations for the policies of roles.

    Each operation is a method that returns the result element of the response.
    """

    def __init__(self, state: IamState) -> None:
        self._state = state

    def attach_role_policy(self, form: Form) -> None:
        role = find_role(self._state, form)
        arn = form.required("PolicyArn")
        policy = self._state.policy(form.account, arn)
        if policy is None:
            raise not_attachable(arn)
        attached = role["AttachedPolicies"]
        if arn not in attached and len(attached) >= iam_limits.ATTACHED_POLICIES:
            raise iam_limits.exceeded("PoliciesPerRole", iam_limits.ATTACHED_POLICIES)
        self._state.attach(form.account, role, policy)

    def detach_role_policy(self, form: Form) -> None:
        role = find_role(self._state, form)
        arn = form.required("PolicyArn")
        policy = self._state.policy(form.account, arn)
        if policy is None or arn not in role["AttachedPolicies"]:
            raise ApiError(404, "NoSuchEntity", f"Policy {arn} was not found.")
        self._state.detach(form.account, role, policy)

    def list_attached_role_policies(self, form: Form) -> Node:
        role = find_role(self._state, form)
        prefix = form.get("PathPrefix") or "/"
        arns = (
            (arn, arn)
            for arn in role["AttachedPolicies"]
            if ("/" + arn.partition(":policy/")[2]).startswith(prefix)
        )
        return page(form, "AttachedPolicies", arns, iam_nodes.attached)

    def put_role_policy(self, form: Form) -> None:
        role = find_role(self._state, form)
        name = form.required("PolicyName")
        iam_limits.check_name(name, "policyName", 128)
        document = form.required("PolicyDocument")
        check_identity_policy(document, managed=False)
        documents = {**role["InlinePolicies"], name: document}
        iam_limits.check_inline_size(role, documents.values())
        role["InlinePolicies"] = documents

    def get_role_policy(self, form: Form) -> Node:
        role = find_role(self._state, form)
        name = form.required("PolicyName")
        document = _inline(role, name)
        return {
            "RoleName": role["RoleName"],
            "PolicyName": name,
            "PolicyDocument": iam_nodes.encoded(document),
        }

    def delete_role_policy(self, form: Form) -> None:
        role = find_role(self._state, form)
        name = form.required("PolicyName")
        _inline(role, name)
        del role["InlinePolicies"][name]

    def list_role_policies(self, form: Form) -> Node:
        role = find_role(self._state, form)
        names = ((name, name) for name in role["InlinePolicies"])
        return page(form, "PolicyNames", names, str)

    def list_instance_profiles_for_role(self, form: Form) -> Node:
        role = find_role(self._state, form)
        profiles = self._state.ministack.instance_profiles.items(form.account)
        holders = ((name, profile) for name, profile in profiles if role["RoleName"] in profile["Roles"])
        return page(
            form,
            "InstanceProfiles",
            holders,
            lambda profile: iam_nodes.instance_profile(self._state, form.account, profile),
        )

    def list_entities_for_policy(self, form: Form) -> Node:
        """Return a page of the groups, then the roles, then the users that use a policy."""
        arn = find_policy(self._state, form)["Arn"]
        limit = max_items(form)
        last = marker(form)
        entities = sorted(self._policy_entities(form, arn), key=lambda entity: entity[:2])
        rest = [entity for entity in entities if last is None or f"{entity[0]} {entity[1]}" > last]
        lists: dict[str, list[Node]] = {"PolicyGroups": [], "PolicyRoles": [], "PolicyUsers": []}
        for kind, name, unique_id in rest[:limit]:
            lists[f"Policy{kind}s"].append({f"{kind}Name": name, f"{kind}Id": unique_id})
        truncated = len(rest) > limit
        result: dict[str, Any] = {**lists, "IsTruncated": truncated}
        if truncated:
            kind, name, _ = rest[limit - 1]
            result["Marker"] = encode(f"{kind} {name}")
        return result

    def _policy_entities(self, form: Form, arn: str) -> Iterator[tuple[str, str, str]]:
        ministack = self._state.ministack
        prefix = form.get("PathPrefix") or "/"
        usage = form.get("PolicyUsageFilter")
        kinds = {"": ("Group", "Role", "User")}.get(form.text("EntityFilter"), (form.text("EntityFilter"),))
        key = (form.account, arn)
        names: dict[str, None] = {}
        if usage != "PermissionsBoundary":
            names.update(self._state.attached_roles.get(key, {}))
        if usage != "PermissionsPolicy":
            names.update(self._state.bounded_roles.get(key, {}))
        roles = [(name, ministack.roles.get(form.account, name)) for name in names]
        for kind, records in (
            ("Group", ministack.groups.items(form.account)),
            ("Role", [(name, role) for name, role in roles if role is not None]),
            ("User", ministack.users.items(form.account)),
        ):
            if kind not in kinds:
                continue
            for name, record in records:
                if record["Path"].startswith(prefix) and (kind == "Role" or _uses(record, arn, usage)):
                    yield kind, name, record[f"{kind}Id"]


def not_attachable(arn: str) -> ApiError:
    return ApiError(404, "NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")


def _uses(record: Record, arn: str, usage: str | None) -> bool:
    attached = usage != "PermissionsBoundary" and arn in record.get("AttachedPolicies", ())
    bounded = usage != "PermissionsPolicy" and record.get("PermissionsBoundary") == arn
    return attached or bounded


def _inline(role: Record, name: str) -> str:
    document: str | None = role["InlinePolicies"].get(name)
    if document is None:
        raise ApiError(404, "NoSuchEntity", f"The role policy with name {name} cannot be found.")
    return document
