# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operations for the versions of managed policies."""

from __future__ import annotations

from sandbox.aws import iam_limits, iam_nodes
from sandbox.aws.clock import iam_time
from sandbox.aws.iam_documents import check_identity_policy
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import page
from sandbox.aws.iam_policies import find_customer_policy, find_policy
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Record
from sandbox.aws.responses import Node


class Versions:
    """The operations for policy versions. Each operation is a method that returns the result element of the response."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def create_policy_version(self, form: Form) -> Node:
        policy = find_customer_policy(self._state, form, "iam:CreatePolicyVersion")
        document = form.required("PolicyDocument")
        check_identity_policy(document, managed=True)
        iam_limits.check_policy_size(document)
        if len(policy["Versions"]) >= iam_limits.POLICY_VERSIONS:
            raise ApiError(
                409,
                "LimitExceeded",
                f"A managed policy can have up to {iam_limits.POLICY_VERSIONS} versions. Before "
                "you create a new version, you must delete an existing version.",
            )
        key = (form.account, policy["Arn"])
        number = self._state.last_versions.get(key, 1) + 1
        self._state.last_versions[key] = number
        version_id = f"v{number}"
        policy["Versions"][version_id] = {
            "Document": document,
            "VersionId": version_id,
            "IsDefaultVersion": False,
            "CreateDate": iam_time(),
        }
        if form.flag("SetAsDefault"):
            _make_default(policy, version_id)
        policy["UpdateDate"] = iam_time()
        return {"PolicyVersion": iam_nodes.version(policy["Versions"][version_id], document=False)}

    def get_policy_version(self, form: Form) -> Node:
        policy = find_policy(self._state, form)
        return {"PolicyVersion": iam_nodes.version(_find_version(policy, form), document=True)}

    def list_policy_versions(self, form: Form) -> Node:
        policy = find_policy(self._state, form)
        # IAM lists the newest version first, so the sort key of the newest version must be the smallest.
        versions = (
            (f"{10**9 - int(version_id[1:]):09d}", version)
            for version_id, version in policy["Versions"].items()
        )
        return page(form, "Versions", versions, lambda version: iam_nodes.version(version, document=False))

    def set_default_policy_version(self, form: Form) -> None:
        policy = find_customer_policy(self._state, form, "iam:SetDefaultPolicyVersion")
        version = _find_version(policy, form)
        _make_default(policy, version["VersionId"])
        policy["UpdateDate"] = iam_time()

    def delete_policy_version(self, form: Form) -> None:
        policy = find_customer_policy(self._state, form, "iam:DeletePolicyVersion")
        version = _find_version(policy, form)
        if version["IsDefaultVersion"]:
            raise ApiError(409, "DeleteConflict", "Cannot delete the default version of a policy.")
        del policy["Versions"][version["VersionId"]]


def _find_version(policy: Record, form: Form) -> Record:
    version_id = form.required("VersionId")
    version: Record | None = policy["Versions"].get(version_id)
    if version is None:
        raise ApiError(
            404,
            "NoSuchEntity",
            f"Policy {policy['Arn']} version {version_id} does not exist or is not attachable.",
        )
    return version


def _make_default(policy: Record, version_id: str) -> None:
    for version in policy["Versions"].values():
        version["IsDefaultVersion"] = version["VersionId"] == version_id
    policy["DefaultVersionId"] = version_id
