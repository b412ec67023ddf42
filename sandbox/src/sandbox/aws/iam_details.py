# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GetAccountAuthorizationDetails: everything IAM holds for an account, in pages.

The shapes are those of the API model, so a role's description and session duration and a policy's
tags are not in it.
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
    """The one operation; users, groups, roles and policies together make its pages."""

    def __init__(self, state: IamState) -> None:
        self._state = state

    def get_account_authorization_details(self, form: Form) -> Node:
        limit = max_items(form)
        after = marker(form) or ""
        chosen: list[tuple[str, Record]] = []
        for kind, table in self._tables(form):
            # A page that starts in a later list need not look at this one.
            if kind < after[:1] or len(chosen) > limit:
                continue
            rest = ((kind + key, record) for key, record in table if kind + key > after)
            chosen += nsmallest(limit + 1 - len(chosen), rest, key=lambda entry: entry[0])
        shown: dict[str, list[Node]] = {name: [] for name in _LISTS.values()}
        show = self._renderers(form.account)
        for key, record in chosen[:limit]:
            shown[_LISTS[key[0]]].append(show[key[0]](record))
        truncated = len(chosen) > limit
        result: dict[str, Any] = {**shown, "IsTruncated": truncated}
        if truncated:
            result["Marker"] = encode(chosen[limit - 1][0])
        return result

    def _tables(self, form: Form) -> list[tuple[str, list[tuple[str, Record]]]]:
        """What is asked for, in the order of the pages: a digit for the list, and its records by name."""
        stock = self._state.stock
        account = form.account
        wanted = set(form.members("Filter"))
        policies: list[tuple[str, Record]] = []
        if not wanted or "LocalManagedPolicy" in wanted:
            policies += stock.policies.items(account)
        if not wanted or "AWSManagedPolicy" in wanted:
            counts = stock.aws_managed_attachments.items()
            used = [arn for (owner, arn), count in counts if owner == account and count]
            policies += [(arn, stock.aws_managed_policies[arn]) for arn in used]
        entities = (("1", "User", stock.users), ("2", "Group", stock.groups), ("3", "Role", stock.roles))
        tables = [
            (kind, table.items(account)) for kind, name, table in entities if not wanted or name in wanted
        ]
        return [*tables, ("4", policies)]

    def _renderers(self, account: str) -> Mapping[str, Callable[[Record], Node]]:
        stock = self._state.stock
        profiles: dict[str, list[Record]] = {}
        for _, profile in stock.instance_profiles.items(account):
            for name in profile["Roles"]:
                profiles.setdefault(name, []).append(profile)
        return {
            "1": lambda user: {
                **_entity("User", user, stock.user_inline_policies.get(account, user["UserName"])),
                "GroupList": [
                    name for name, group in stock.groups.items(account) if user["UserName"] in group["Users"]
                ],
                "PermissionsBoundary": iam_nodes.boundary(user.get("PermissionsBoundary")),
                "Tags": user["Tags"],
            },
            "2": lambda group: _entity(
                "Group", group, stock.group_inline_policies.get(account, group["GroupName"])
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
                "RoleLastUsed": {},
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
