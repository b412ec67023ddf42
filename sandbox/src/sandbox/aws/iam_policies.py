# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operations for managed policies and their tags. For policy versions, see ``iam_versions``."""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.aws import iam_limits, iam_nodes
from sandbox.aws.clock import iam_time
from sandbox.aws.iam_documents import check_identity_policy
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import page
from sandbox.aws.iam_state import AWS_MANAGED_PREFIX, IamState, new_unique_id
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node


class Policies:
    """The operations for managed policies. Each operation is a method that returns the result element of the response."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def create_policy(self, form: Form) -> Node:
        name = form.required("PolicyName")
        iam_limits.check_name(name, "policyName", 128)
        path = form.get("Path") or "/"
        iam_limits.check_path(path)
        description = form.text("Description")
        iam_limits.check_description(description)
        document = form.required("PolicyDocument")
        check_identity_policy(document, managed=True)
        iam_limits.check_policy_size(document)
        tags = iam_limits.merge_tags([], form.tags(), "TagsPerPolicy")
        if (form.account, name.lower()) in self._state.policy_names:
            raise ApiError(
                409,
                "EntityAlreadyExists",
                f"A policy called {name} already exists. Duplicate names are not allowed.",
            )
        created = iam_time()
        policy: Record = {
            "PolicyName": name,
            "Arn": f"arn:aws:iam::{form.account}:policy{path}{name}",
            "PolicyId": new_unique_id("ANPA"),
            "CreateDate": created,
            "UpdateDate": created,
            "DefaultVersionId": "v1",
            "AttachmentCount": 0,
            "IsAttachable": True,
            "Path": path,
            "Description": description,
            "Tags": tags,
            "Versions": {
                "v1": {
                    "Document": document,
                    "VersionId": "v1",
                    "IsDefaultVersion": True,
                    "CreateDate": created,
                }
            },
        }
        self._state.add_policy(form.account, policy)
        node = iam_nodes.policy_summary(self._state, form.account, policy)
        return {"Policy": {**node, "Tags": tags or None}}

    def get_policy(self, form: Form) -> Node:
        policy = find_policy(self._state, form)
        return {"Policy": iam_nodes.policy_full(self._state, form.account, policy)}

    def list_policies(self, form: Form) -> Node:
        return page(
            form,
            "Policies",
            self._filter(form),
            lambda policy: iam_nodes.policy_summary(self._state, form.account, policy),
        )

    def delete_policy(self, form: Form) -> None:
        policy = find_customer_policy(self._state, form, "iam:DeletePolicy")
        arn = policy["Arn"]
        if policy["AttachmentCount"] or self._state.boundary_count(form.account, arn):
            raise ApiError(409, "DeleteConflict", "Cannot delete a policy attached to entities.")
        if len(policy["Versions"]) > 1:
            raise ApiError(
                409,
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must "
                "delete the policy's versions. The default version is deleted with the policy.",
            )
        self._state.drop_policy(form.account, policy)

    def tag_policy(self, form: Form) -> None:
        policy = find_customer_policy(self._state, form, "iam:TagPolicy")
        policy["Tags"] = iam_limits.merge_tags(policy["Tags"], form.tags(), "TagsPerPolicy")

    def untag_policy(self, form: Form) -> None:
        policy = find_customer_policy(self._state, form, "iam:UntagPolicy")
        policy["Tags"] = iam_limits.remove_tags(policy["Tags"], form.members("TagKeys"))

    def _filter(self, form: Form) -> Iterator[tuple[str, Record]]:
        scope = form.get("Scope") or "All"
        prefix = form.get("PathPrefix") or "/"
        usage = form.get("PolicyUsageFilter")
        policies: list[tuple[str, Record]] = []
        if scope != "AWS":
            policies += self._state.ministack.policies.items(form.account)
        if scope != "Local":
            policies += self._state.ministack.aws_managed_policies.items()
        for arn, policy in policies:
            if not policy["Path"].startswith(prefix):
                continue
            attached = self._state.attachment_count(form.account, policy) > 0
            if form.flag("OnlyAttached") and not attached:
                continue
            if usage == "PermissionsPolicy" and not attached:
                continue
            if usage == "PermissionsBoundary" and not self._state.boundary_count(form.account, arn):
                continue
            yield arn, policy


def find_policy(state: IamState, form: Form) -> Record:
    """Return the policy that the parameter PolicyArn names, or raise ``NoSuchEntity``."""
    arn = form.required("PolicyArn")
    policy = state.policy(form.account, arn)
    if policy is None:
        raise ApiError(404, "NoSuchEntity", f"Policy {arn} was not found.")
    return policy


def find_customer_policy(state: IamState, form: Form, action: str) -> Record:
    """Return the customer managed policy that a request changes.

    Raise ``AccessDenied`` for an AWS managed policy, which is read-only, or ``NoSuchEntity``.
    """
    arn = form.required("PolicyArn")
    if arn.startswith(AWS_MANAGED_PREFIX):
        raise ApiError(
            403,
            "AccessDenied",
            f"User: arn:aws:iam::{form.account}:root is not authorized to perform: {action} on "
            f"resource: policy {arn}",
        )
    return find_policy(state, form)
