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
        after = marker(form)
        entries = self._entries(form)
        rest = entries if after is None else [entry for entry in entries if entry[0] > after]
        chosen = nsmallest(limit + 1, rest, key=lambda entry: entry[0])
        shown: dict[str, list[Node]] = {name: [] for name in _LISTS.values()}
        show = self._renderers(form.account)
        for key, record in chosen[:limit]:
            shown[_LISTS[key[0]]].append(show[key[0]](record))
        truncated = len(chosen) > limit
        result: dict[str, Any] = {**shown, "IsTruncated": truncated}
        if truncated:
            result["Marker"] = encode(chosen[limit - 1][0])
        return result

    def _entries(self, form: Form) -> list[tuple[str, Record]]:
        """Everything asked for, keyed by kind and name."""
        stock = self._state.stock
        account = form.account
        wanted = set(form.members("Filter"))
        entries: list[tuple[str, Record]] = []
        tables = (("1", "User", stock.users), ("2", "Group", stock.groups), ("3", "Role", stock.roles))
        for kind, name, table in tables:
            if not wanted or name in wanted:
                entries += [(kind + key, record) for key, record in table.items(account)]
        if not wanted or "LocalManagedPolicy" in wanted:
            entries += [("4" + arn, policy) for arn, policy in stock.policies.items(account)]
        if not wanted or "AWSManagedPolicy" in wanted:
            used = [
                arn for (owner, arn), n in stock.aws_managed_attachments.items() if owner == account and n
            ]
            entries += [("4" + arn, stock.aws_managed_policies[arn]) for arn in used]
        return entries

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
                    self._profile(account, profile) for profile in profiles.get(role["RoleName"], ())
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

    def _profile(self, account: str, profile: Record) -> Node:
        names = ("Path", "InstanceProfileName", "InstanceProfileId", "Arn", "CreateDate")
        roles = (self._state.role(account, name) for name in profile["Roles"])
        return {
            **{name: profile[name] for name in names},
            "Roles": [iam_nodes.role_summary(role) for role in roles if role is not None],
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
