# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to ministack: its stores and the few functions the overlay builds on.

ministack keeps one dict a resource type, keyed by (account, key) or (account, region, key). The
overlay reads and writes those dicts directly: the scoped views that ministack itself uses walk
every account's records for each call.
"""

from __future__ import annotations

import copy
import hashlib
import os
import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple, cast

from sandbox.aws.model import Record

# The last two as ministack has them: for lists of regions, and of the accounts of an organization.
SERVICES = ("eks", "iam", "sts", "ec2", "organizations")


def _module(name: str) -> Any:
    """A module of ministack, which has no types."""
    return import_module(name)


class AccountTable:
    """Records of one type, one set an account."""

    def __init__(self, data: dict[tuple[str, str], Record]) -> None:
        self._data = data

    def get(self, account: str, key: str) -> Record | None:
        return self._data.get((account, key))

    def put(self, account: str, key: str, record: Record) -> None:
        self._data[(account, key)] = record

    def drop(self, account: str, key: str) -> None:
        self._data.pop((account, key), None)

    def everything(self) -> list[tuple[tuple[str, str], Record]]:
        return list(self._data.items())

    def items(self, account: str) -> list[tuple[str, Record]]:
        return [(key[1], value) for key, value in self._data.items() if key[0] == account]


class RegionTable:
    """Records of one type, one set an account and region."""

    def __init__(self, data: dict[tuple[str, str, str], Record]) -> None:
        self._data = data

    def get(self, account: str, region: str, key: str) -> Record | None:
        return self._data.get((account, region, key))

    def put(self, account: str, region: str, key: str, record: Record) -> None:
        self._data[(account, region, key)] = record

    def drop(self, account: str, region: str, key: str) -> None:
        self._data.pop((account, region, key), None)

    def items(self, account: str, region: str) -> list[tuple[str, Record]]:
        scope = (account, region)
        return [(key[2], value) for key, value in self.everything() if key[:2] == scope]

    def everything(self) -> list[tuple[tuple[str, str, str], Record]]:
        """All records, copied in one step: ministack writes EKS's from threads of its own."""
        return list(self._data.items())


class Signer(NamedTuple):
    """Whose access key a request was signed with."""

    arn: str
    secret_access_key: str
    is_root: bool


class Stock:
    """ministack, imported with the environment it needs.

    ministack reads its environment at import, so only one Stock a process makes sense.
    """

    def __init__(self, *, auth: bool) -> None:
        os.environ["AUTH"] = "true" if auth else "false"
        os.environ["SERVICES"] = ",".join(SERVICES)
        os.environ["LOG_LEVEL"] = "WARNING"
        # The caller's own credentials must not become somebody's here.
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SESSION_TOKEN", "PERSIST_STATE"):
            os.environ.pop(name, None)
        self.auth = auth
        self.app = _module("ministack.app")
        self.iam = _module("ministack.services.iam")
        self.eks = _module("ministack.services.eks")
        self.sts = _module("ministack.services.sts")
        self.evaluator = _module("ministack.core.iam_evaluator")
        self.actions = _module("ministack.core.iam_actions")
        self.tagging = _module("ministack.services.tagging")
        self._sigv4 = _module("ministack.core.sigv4")
        self._responses = _module("ministack.core.responses")
        self._router = _module("ministack.core.router")
        # The sandbox has its own Kubernetes; a container engine must never be asked for one.
        self.eks._docker_available = False

        self.users = AccountTable(self.iam._users._data)
        self.groups = AccountTable(self.iam._groups._data)
        self.roles = AccountTable(self.iam._roles._data)
        self.policies = AccountTable(self.iam._policies._data)
        self.instance_profiles = AccountTable(self.iam._instance_profiles._data)
        self.user_inline_policies = AccountTable(self.iam._user_inline_policies._data)
        self.group_inline_policies = AccountTable(self.iam._group_inline_policies._data)
        self.clusters = RegionTable(self.eks._clusters._data)
        self.addons = RegionTable(self.eks._addons._data)
        # How many identities of an account have one of AWS's own policies attached.
        self.aws_managed_attachments: dict[tuple[str, str], int] = (
            self.iam._aws_managed_attachment_counts._data
        )

    def without_records(self) -> Stock:
        """The same ministack, with tables of its own for what the overlay keeps; they are empty."""
        other = copy.copy(self)
        other.roles = AccountTable({})
        other.policies = AccountTable({})
        other.clusters = RegionTable({})
        other.addons = RegionTable({})
        other.aws_managed_attachments = {}
        return other

    @property
    def aws_managed_policies(self) -> dict[str, Record]:
        """AWS's own policies by ARN, the same for every account."""
        return cast("dict[str, Record]", self.iam._aws_managed_policies)

    def account(self) -> str:
        """The account of the request being served."""
        return cast(str, self._responses.get_account_id())

    def region(self) -> str:
        """The region of the request being served."""
        return cast(str, self._responses.get_region())

    def access_key_id(self, headers: Any, query: Any) -> str:
        """The access key the request was signed with, or an empty string."""
        return cast(str, self._router.extract_access_key_id(headers, query) or "")

    def caller(self, headers: Any, query: Any) -> Record:
        """Who signed a request: userArn, accountId, principalType, and with --auth principalKeys.

        With --auth ministack has refused requests of nobody before.
        """
        return cast(Record, self.sts._caller_identity(headers, query))

    def sessions(self) -> dict[str, Record]:
        """Temporary credentials by their access key ID; those that have expired go when more are made."""
        return dict(self.sts._sessions)

    def end_session(self, access_key_id: str, seconds: float) -> None:
        """Let a temporary access key expire so many seconds from now."""
        self.sts._sessions[access_key_id]["Expiration"] = time.time() + seconds

    def account_of_session(self, access_key_id: str) -> str | None:
        """The account of a temporary or user's access key; None where nobody has that key."""
        session = self.sts._sessions.get(access_key_id)
        if session is not None:
            return str(session["AccountId"])
        keys = self.iam._access_keys._data
        return next((account for account, key in keys if key == access_key_id), None)

    def signer(self, access_key_id: str, session_token: str) -> Signer | str:
        """Whose key it is, or in STS's words why it is nobody's (any more)."""
        account = access_key_id if access_key_id.isdecimal() else self.account_of_session(access_key_id)
        found = self.evaluator.resolve_credential(access_key_id, account or "", session_token or None)
        if isinstance(found, self.evaluator.CredentialResolutionError):
            return f"{found.code}: {found.message}"
        return Signer(str(found.principal_arn), str(found.secret_access_key), found.principal_type == "Root")

    def signature(
        self,
        secret: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        signed_headers: str,
        date: str,
        region: str,
    ) -> str:
        """That of a presigned GET of STS with these signed headers, by Signature Version 4."""
        request = self._sigv4.build_canonical_request(
            "GET", "/", headers, query, signed_headers, payload_hash=hashlib.sha256(b"").hexdigest()
        )
        text = self._sigv4.build_string_to_sign(date, date[:8], region, "sts", request)
        return str(self._sigv4.calculate_signature(secret, date[:8], region, "sts", text))

    def access_entry(self, account: str, region: str, cluster: str, principal: str) -> Record | None:
        entries = self.eks._access_entries
        return cast(
            "Record | None", entries.get_scoped(account, region, self.eks._ae_key(cluster, principal))
        )

    def access_policies(self, account: str, region: str, cluster: str, principal: str) -> set[str]:
        """The ARNs of the access policies that a principal has for the whole cluster."""
        associated = self.eks._access_policy_associations(cluster, account, region)
        return {
            str(policy)
            for owner, policy, association in associated
            if owner == principal and association["accessScope"]["type"] == "cluster"
        }

    def stores(self) -> list[dict[Any, Any]]:
        """ministack's own dicts of every account's resources, and its sessions. AWS's own policies never change."""
        kinds = (self._responses.AccountScopedDict, self._responses.AccountRegionScopedDict)
        members = [*vars(self.iam).values(), *vars(self.eks).values()]
        return [*(member._data for member in members if isinstance(member, kinds)), self.sts._sessions]

    def wipe(self) -> None:
        """Forget everything; AWS's own policies are seeded anew."""
        self.app._reset_all_state()
