# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operation GetAccountAuthorizationDetails: all users, groups, roles and policies of an account, in pages.

As in AWS, its roles have no description or session duration, and its policies have no tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import nsmallest
from typing import Any

from sandbox.aws import iam_nodes
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_paging import encode, marker, max_items
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import Record
from sandbox.aws.responses import Node

_LISTS = {"1": "UserDetailList", "2": "GroupDetailList", "3": "RoleDetailList", "4": "Policies"}


class AccountDetails:
    """The operation GetAccountAuthorizationDetails."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def get_account_authorization_details(self, form: Form) -> Node:
        limit = max_items(form)
        last = marker(form) or ""
        chosen: list[tuple[str, Record]] = []
        for kind, table in self._tables(form):
            # The first character of the marker is a key of _LISTS. The page starts in this list.
            if kind < last[:1] or len(chosen) > limit:
                continue
            rest = ((kind + key, record) for key, record in table if kind + key > last)
            chosen += nsmallest(limit + 1 - len(chosen), rest, key=lambda entry: entry[0])
        lists: dict[str, list[Node]] = {name: [] for name in _LISTS.values()}
        show = self._renderers(form.account)
        for key, record in chosen[:limit]:
            lists[_LISTS[key[0]]].append(show[key[0]](record))
        truncated = len(chosen) > limit
        result: dict[str, Any] = {**lists, "IsTruncated": truncated}
        if truncated:
            result["Marker"] = encode(chosen[limit - 1][0])
        return result

    def _tables(self, form: Form) -> list[tuple[str, list[tuple[str, Record]]]]:
        """Return the requested lists in page order: pairs of a key of _LISTS and the (name or ARN, record) items of its list."""
        ministack = self._state.ministack
        account = form.account
        kinds = set(form.members("Filter"))
        policies: list[tuple[str, Record]] = []
        if not kinds or "LocalManagedPolicy" in kinds:
            policies += ministack.policies.items(account)
        if not kinds or "AWSManagedPolicy" in kinds:
            counts = ministack.aws_managed_attachments.items()
            used = [arn for (owner, arn), count in counts if owner == account and count]
            policies += [(arn, ministack.aws_managed_policies[arn]) for arn in used]
        entities = (
            ("1", "User", ministack.users),
            ("2", "Group", ministack.groups),
            ("3", "Role", ministack.roles),
        )
        tables = [
            (kind, table.items(account)) for kind, name, table in entities if not kinds or name in kinds
        ]
        return [*tables, ("4", policies)]

    def _renderers(self, account: str) -> Mapping[str, Callable[[Record], Node]]:
        ministack = self._state.ministack
        profiles: dict[str, list[Record]] = {}
        for _, profile in ministack.instance_profiles.items(account):
            for name in profile["Roles"]:
                profiles.setdefault(name, []).append(profile)
        return {
            "1": lambda user: {
                **_entity("User", user, ministack.user_inline_policies.get(account, user["UserName"])),
                "GroupList": [
                    name
                    for name, group in ministack.groups.items(account)
                    if user["UserName"] in group["Users"]
                ],
                "PermissionsBoundary": iam_nodes.boundary(user.get("PermissionsBoundary")),
                "Tags": user["Tags"],
            },
            "2": lambda group: _entity(
                "Group", group, ministack.group_inline_policies.get(account, group["GroupName"])
            ),
            "3": lambda role: {
                **_entity("Role", role, role["InlinePolicies"]),
                "AssumeRolePolicyDocument": iam_nodes.encoded(role["AssumeRolePolicyDocument"]),
                "InstanceProfileList": [
                    iam_nodes.instance_profile(self._state, account, profile)
                    for profile in profiles.get(role["RoleName"], ())
                ],
                "PermissionsBoundary": iam_nodes.boundary(role["PermissionsBoundary"]),
                "Tags": role["Tags"],
                "RoleLastUsed": role.get("RoleLastUsed", {}),
            },
            "4": lambda policy: {
                **iam_nodes.policy_summary(self._state, account, policy),
                "Description": policy["Description"] or None,
                "PolicyVersionList": [
                    iam_nodes.version(version, document=True) for version in policy["Versions"].values()
                ],
            },
        }


def _entity(kind: str, record: Record, inline: Mapping[str, str] | None) -> dict[str, Any]:
    return {
        "Path": record["Path"],
        f"{kind}Name": record[f"{kind}Name"],
        f"{kind}Id": record[f"{kind}Id"],
        "Arn": record["Arn"],
        "CreateDate": record["CreateDate"],
        f"{kind}PolicyList": [
            {"PolicyName": name, "PolicyDocument": iam_nodes.encoded(document)}
            for name, document in (inline or {}).items()
        ],
        "AttachedManagedPolicies": [iam_nodes.attached(arn) for arn in record.get("AttachedPolicies", ())],
    }
