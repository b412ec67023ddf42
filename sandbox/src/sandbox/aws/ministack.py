# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The interface to the package ministack: its stores, and the functions that the overlay uses.

ministack stores each type of resource in a dict with the keys (account, name) or (account, region, name). The overlay uses
these dicts directly. So the time to find a record by its key does not depend on the number of accounts.
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

# EC2 and Organizations are needed to list regions and accounts. ministack handles these services without the overlay.
SERVICES = ("eks", "iam", "sts", "ec2", "organizations")


def _module(name: str) -> Any:
    """Import a module of ministack as Any, because ministack has no type annotations."""
    return import_module(name)


class AccountTable:
    """A store of ministack for one type of resource, by account."""

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
    """A store of ministack for one type of resource, by account and region."""

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
        """Return all keys and records. The list is a copy, because threads of ministack may change the store."""
        return list(self._data.items())


class Signer(NamedTuple):
    """The principal that an access key belongs to, with its secret key."""

    arn: str
    secret_access_key: str
    is_root: bool


class Ministack:
    """The package ministack, configured and imported. A process can have only one instance, because importing
    ministack reads the environment.
    """

    def __init__(self, *, auth: bool) -> None:
        os.environ["AUTH"] = "true" if auth else "false"
        os.environ["SERVICES"] = ",".join(SERVICES)
        os.environ["LOG_LEVEL"] = "WARNING"
        # The user may have set these variables for real AWS, and ministack would use them.
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
        # Prevent ministack from starting a Kubernetes cluster in Docker.
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
        self.nodegroups = RegionTable(self.eks._nodegroups._data)
        # The number of roles, users and groups that each AWS managed policy is attached to, by account and policy ARN.
        self.aws_managed_attachments: dict[tuple[str, str], int] = (
            self.iam._aws_managed_attachment_counts._data
        )

    def without_records(self) -> Ministack:
        """Return a copy with empty stores of roles, policies, clusters and add-ons, and without attachment counts."""
        other = copy.copy(self)
        other.roles = AccountTable({})
        other.policies = AccountTable({})
        other.clusters = RegionTable({})
        other.addons = RegionTable({})
        other.aws_managed_attachments = {}
        return other

    @property
    def aws_managed_policies(self) -> dict[str, Record]:
        """Return the AWS managed policies by ARN. All accounts share these policies."""
        return cast("dict[str, Record]", self.iam._aws_managed_policies)

    def account(self) -> str:
        """Return the account ID of the current request."""
        return cast(str, self._responses.get_account_id())

    def region(self) -> str:
        """Return the region of the current request."""
        return cast(str, self._responses.get_region())

    def access_key_id(self, headers: Any, query: Any) -> str:
        """Return the access key ID of a request, or an empty string."""
        return cast(str, self._router.extract_access_key_id(headers, query) or "")

    def caller(self, headers: Any, query: Any) -> Record:
        """Return the caller of a request, with the keys userArn, accountId, principalType, and with --auth principalKeys."""
        return cast(Record, self.sts._caller_identity(headers, query))

    def sessions(self) -> dict[str, Record]:
        """Return the temporary credentials by access key ID. Some of them may have expired."""
        return dict(self.sts._sessions)

    def end_session(self, access_key_id: str, seconds: float) -> None:
        """Let temporary credentials expire after a number of seconds."""
        self.sts._sessions[access_key_id]["Expiration"] = time.time() + seconds

    def key_account(self, access_key_id: str) -> str | None:
        """Return the account of the session or user that an access key belongs to, or None if the key does not exist."""
        session = self.sts._sessions.get(access_key_id)
        if session is not None:
            return str(session["AccountId"])
        keys = self.iam._access_keys._data
        return next((account for account, key in keys if key == access_key_id), None)

    def signer(self, access_key_id: str, session_token: str) -> Signer | str:
        """Return the principal that an access key belongs to, or the error text of STS if the key or token is invalid."""
        account = access_key_id if access_key_id.isdecimal() else self.key_account(access_key_id)
        result = self.evaluator.resolve_credential(access_key_id, account or "", session_token or None)
        if isinstance(result, self.evaluator.CredentialResolutionError):
            return f"{result.code}: {result.message}"
        return Signer(
            str(result.principal_arn), str(result.secret_access_key), result.principal_type == "Root"
        )

    def signature(
        self,
        secret: str,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        signed_headers: str,
        date: str,
        region: str,
    ) -> str:
        """Calculate the signature (Signature Version 4) of a presigned GET request to STS."""
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
        """Return the ARNs of the EKS access policies that a principal has for the whole cluster."""
        associations = self.eks._access_policy_associations(cluster, account, region)
        return {
            str(policy)
            for owner, policy, association in associations
            if owner == principal and association["accessScope"]["type"] == "cluster"
        }

    def eks_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a resource of EKS, such as a node group, that ministack handles without the overlay."""
        return cast("Mapping[str, str]", self.eks._tags.get(arn, {}))

    def stores(self) -> list[dict[Any, Any]]:
        """Return the stores of IAM and EKS, and the sessions, but not the AWS managed policies, which no request changes."""
        kinds = (self._responses.AccountScopedDict, self._responses.AccountRegionScopedDict)
        members = [*vars(self.iam).values(), *vars(self.eks).values()]
        return [*(member._data for member in members if isinstance(member, kinds)), self.sts._sessions]

    def wipe(self) -> None:
        """Delete all resources, and create ministack's own AWS managed policies again."""
        self.app._reset_all_state()
