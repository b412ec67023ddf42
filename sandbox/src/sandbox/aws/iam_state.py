# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stored resources of IAM, with indexes, so that the time of a lookup does not grow with the number of resources."""

from __future__ import annotations

import secrets
import string
import time
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.changes import POLICY, ROLE, AccessedKeys
from sandbox.aws.changes import Key as ChangeKey
from sandbox.aws.ministack import Ministack
from sandbox.aws.model import Record

AWS_MANAGED_PREFIX = "arn:aws:iam::aws:policy/"
_ID_ALPHABET = string.ascii_uppercase + string.digits

Key = tuple[str, str]


def new_unique_id(prefix: str) -> str:
    """Return a new unique ID as in IAM: the prefix and 17 random characters."""
    return prefix + "".join(secrets.choice(_ID_ALPHABET) for _ in range(17))


@dataclass(slots=True)
class TrustHistory:
    """The trust policies that a role has had, the oldest first, each with the monotonic time of the change in seconds."""

    changes: list[tuple[float, str]] = field(default_factory=list)

    def add(self, document: str) -> None:
        self.changes.append((time.monotonic(), document))

    def visible(self, delay_ms: float) -> str | None:
        """Return the newest trust policy that is at least ``delay_ms`` old, or None if all are newer."""
        horizon = time.monotonic() - delay_ms / 1000
        visible: str | None = None
        for moment, document in self.changes:
            if moment > horizon:
                break
            visible = document
        return visible


class IamState:
    """The roles, policies and attachments of all accounts. ministack stores the records, this class the indexes."""

    def __init__(self, ministack: Ministack) -> None:
        self.ministack = ministack
        self.accessed = AccessedKeys()
        self.role_names: dict[Key, str] = {}
        self.policy_names: dict[Key, str] = {}
        self.attached_roles: dict[Key, dict[str, None]] = {}
        self.bounded_roles: dict[Key, dict[str, None]] = {}
        self.last_versions: dict[Key, int] = {}
        self.trust: dict[Key, TrustHistory] = {}

    def indexes(self) -> list[dict[Any, Any]]:
        names: list[dict[Any, Any]] = [self.role_names, self.policy_names, self.attached_roles]
        return [*names, self.bounded_roles, self.last_versions, self.trust]

    def clear(self) -> None:
        """Clear the indexes. :meth:`Ministack.wipe` deletes the records."""
        for index in self.indexes():
            index.clear()

    def role(self, account: str, name: str) -> Record | None:
        """Return the role with this name, or None if the role does not exist. Names are case-insensitive."""
        name = self.role_names.get((account, name.lower()), name)
        self.accessed.add(ChangeKey(ROLE, account, name))
        return self.ministack.roles.get(account, name)

    def policy(self, account: str, arn: str) -> Record | None:
        """Return a managed policy of the account or of AWS, or None."""
        if arn.startswith(AWS_MANAGED_PREFIX):
            return self.ministack.aws_managed_policies.get(arn)
        self.accessed.add(ChangeKey(POLICY, account, arn))
        return self.ministack.policies.get(account, arn)

    def add_role(self, account: str, role: Record) -> None:
        name = role["RoleName"]
        self.accessed.add(ChangeKey(ROLE, account, name))
        self.ministack.roles.put(account, name, role)
        self.role_names[(account, name.lower())] = name
        self.set_trust(account, role, role["AssumeRolePolicyDocument"])
        self.set_boundary(account, role, role["PermissionsBoundary"])

    def drop_role(self, account: str, role: Record) -> None:
        name = role["RoleName"]
        self.set_boundary(account, role, None)
        self.ministack.roles.drop(account, name)
        self.role_names.pop((account, name.lower()), None)
        self.trust.pop((account, name), None)

    def set_trust(self, account: str, role: Record, document: str) -> None:
        role["AssumeRolePolicyDocument"] = document
        self.trust.setdefault((account, role["RoleName"]), TrustHistory()).add(document)

    def set_boundary(self, account: str, role: Record, arn: str | None) -> None:
        name = role["RoleName"]
        if previous := role.get("PermissionsBoundary"):
            self.bounded_roles.get((account, previous), {}).pop(name, None)
        role["PermissionsBoundary"] = arn
        if arn:
            self.bounded_roles.setdefault((account, arn), {})[name] = None

    def add_policy(self, account: str, policy: Record) -> None:
        self.accessed.add(ChangeKey(POLICY, account, policy["Arn"]))
        self.ministack.policies.put(account, policy["Arn"], policy)
        self.policy_names[(account, policy["PolicyName"].lower())] = policy["Arn"]
        self.last_versions[(account, policy["Arn"])] = 1

    def drop_policy(self, account: str, policy: Record) -> None:
        self.ministack.policies.drop(account, policy["Arn"])
        self.policy_names.pop((account, policy["PolicyName"].lower()), None)
        self.last_versions.pop((account, policy["Arn"]), None)

    def attach(self, account: str, role: Record, policy: Record) -> None:
        arn = policy["Arn"]
        if arn in role["AttachedPolicies"]:
            return
        role["AttachedPolicies"].append(arn)
        self.attached_roles.setdefault((account, arn), {})[role["RoleName"]] = None
        self._count(account, policy, 1)

    def detach(self, account: str, role: Record, policy: Record) -> None:
        arn = policy["Arn"]
        role["AttachedPolicies"].remove(arn)
        self.attached_roles.get((account, arn), {}).pop(role["RoleName"], None)
        self._count(account, policy, -1)

    def attachment_count(self, account: str, policy: Record) -> int:
        """Return the number of roles, users and groups in the account that the policy is attached to."""
        if policy["Arn"].startswith(AWS_MANAGED_PREFIX):
            return self.ministack.aws_managed_attachments.get((account, policy["Arn"]), 0)
        return int(policy["AttachmentCount"])

    def boundary_count(self, account: str, arn: str) -> int:
        """Return the number of roles and users in the account that have the policy as permissions boundary."""
        users = self.ministack.users.items(account)
        bounded = [name for name, user in users if user.get("PermissionsBoundary") == arn]
        return len(self.bounded_roles.get((account, arn), ())) + len(bounded)

    def _count(self, account: str, policy: Record, change: int) -> None:
        arn = policy["Arn"]
        if arn.startswith(AWS_MANAGED_PREFIX):
            counts = self.ministack.aws_managed_attachments
            counts[(account, arn)] = counts.get((account, arn), 0) + change
        else:
            policy["AttachmentCount"] += change
