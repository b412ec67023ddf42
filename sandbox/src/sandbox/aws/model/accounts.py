# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All accounts, their regions and their principals. Every account and every region exists, and is empty at first."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from sandbox.aws.model.addons import EksWithAddons
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.evaluation import (
    ALLOW,
    DENY,
    NEITHER,
    Question,
    decide,
    global_context,
)
from sandbox.aws.model.managed_policies import MANAGED
from sandbox.aws.model.simulation import IamWithSimulator
from sandbox.aws.model.tables import Answer, frozen, move_dates, now, random_text, thawed

ACCOUNT_ID = re.compile(r"\d{12}")
UNKNOWN_ACCOUNT = "000000000000"
UNKNOWN_KEY = "The security token included in the request is invalid."


class Account:
    """An account: IAM, and EKS by region."""

    def __init__(self, account_id: str, settings: Settings, exists: Callable[[str], bool]) -> None:
        self.iam = IamWithSimulator(account_id, MANAGED)
        self.iam.exists_elsewhere = exists
        self.regions: dict[str, EksWithAddons] = {}
        self._settings = settings

    def eks(self, region: str) -> EksWithAddons:
        if region not in self.regions:
            self.regions[region] = Region(self.iam, self.iam.account_id, region, self._settings)
        return self.regions[region]

    def tables(self) -> tuple[Any, dict[str, Any]]:
        return self.iam.tables(), {region: eks.tables() for region, eks in self.regions.items()}

    def set_tables(self, tables: tuple[Any, dict[str, Any]]) -> None:
        self.iam.set_tables(tables[0])
        self.regions.clear()
        for region, each in tables[1].items():
            self.eks(region).set_tables(each)


class Region(EksWithAddons):
    """EKS of an account and region, with the settings of the endpoint."""

    def __init__(self, iam: IamWithSimulator, account_id: str, region: str, settings: Settings) -> None:
        super().__init__(iam, account_id, region)
        self._settings = settings

    def sees_before(self) -> datetime:
        return self.now() - timedelta(milliseconds=self._settings.propagation_ms)

    def DescribeCluster(self, request: Mapping[str, Any]) -> Answer:
        """Return a cluster with its Kubernetes API server, if the settings have one."""
        cluster = self.cluster(request["name"])
        return {"cluster": {**cluster, **self._settings.kubernetes.get(cluster["arn"], {})}}


@dataclass(slots=True)
class Settings:
    """The settings of a test: the time until EKS sees roles, the lifetime of sessions, and API servers by ARN of the cluster."""

    auth: bool = False
    propagation_ms: float = 0
    lifetime_s: float = 0
    kubernetes: dict[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """The temporary credentials of a role."""

    arn: str
    user_id: str
    role_arn: str
    secret: str
    token: str
    expires: float
    tags: Mapping[str, str] = field(default_factory=dict)
    policies: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. ``policies`` is None for a root user, who may do everything; each of ``limits`` must allow an action too."""

    arn: str
    user_id: str
    secret: str = ""
    policies: tuple[Any, ...] | None = None
    limits: tuple[tuple[Any, ...], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]

    def decide(self, action: str, resource: str, region: str, context: Mapping[str, Any]) -> str:
        if self.policies is None:
            return ALLOW
        known = {
            **global_context(self.arn, region, self.tags),
            "aws:resourceaccount": (resource.split(":") + [""] * 5)[4] or self.account,
            **{key.lower(): value for key, value in context.items()},
        }
        question = Question(action, resource, known)
        decisions = [decide(documents, question) for documents in (self.policies, *self.limits)]
        if DENY in decisions:
            return DENY
        return ALLOW if all(decisions) else NEITHER


class Cloud:
    """All accounts, and the sessions of their roles."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[str, Session] = {}
        self._checkpoints: dict[str, tuple[datetime, bytes]] = {}

    def account(self, account_id: str) -> Account:
        if account_id not in self.accounts:
            self.accounts[account_id] = Account(account_id, self.settings, self._exists)
        return self.accounts[account_id]

    def account_of(self, key: str) -> str:
        """Return the account of an access key, or "unknown". The secret key is not checked."""
        if ACCOUNT_ID.fullmatch(key):
            return key
        if key in self.sessions:
            return self.sessions[key].arn.split(":")[4]
        owners = [name for name, account in self.accounts.items() if key in account.iam.access_keys]
        return owners[0] if owners else "unknown"

    def principal(self, key: str, token: str, *, strict: bool) -> Principal:
        """Return the caller that an access key belongs to. Unless ``strict``, an unknown key is a root user.

        Raise a refusal for an unknown key, a wrong token or an expired session.
        """
        account_id = self.account_of(key)
        if key == account_id:
            return Principal(f"arn:aws:iam::{key}:root", key)
        if key in self.sessions:
            return self._of_session(self.sessions[key], token if strict else None)
        if account_id == "unknown":
            if strict:
                raise Refusal("InvalidClientTokenId", UNKNOWN_KEY, 403)
            return Principal(f"arn:aws:iam::{UNKNOWN_ACCOUNT}:root", UNKNOWN_ACCOUNT)
        iam = self.account(account_id).iam
        user = iam.users.get(iam.access_keys[key]["UserName"])
        if user is None:
            raise Refusal("InvalidClientTokenId", UNKNOWN_KEY, 403)
        limits = ((iam.default_document(user["boundary"]),),) if user["boundary"] else ()
        secret = iam.access_keys[key]["SecretAccessKey"]
        policies = tuple(iam.documents_of(user))
        return Principal(user["Arn"], user["UserId"], secret, policies, limits)

    def _exists(self, arn: str) -> bool:
        return self.account(arn.split(":")[4]).iam.entity_exists(arn)

    def role(self, arn: str) -> Answer | None:
        return self.account(arn.split(":")[4]).iam.role_of(arn)

    def role_of_session(self, arn: str) -> Answer | None:
        """Return the role of a session, or None for another caller."""
        if ":assumed-role/" not in arn:
            return None
        return self.account(arn.split(":")[4]).iam.roles.get(arn.split("/")[1].lower())

    def session_principal(self, session: Session) -> Principal:
        role = self.role(session.role_arn)
        if role is None:
            return Principal(session.arn, session.user_id, session.secret, ())
        iam = self.account(session.role_arn.split(":")[4]).iam
        limits = [] if session.policies is None else [session.policies]
        if role["boundary"]:
            limits.append((iam.default_document(role["boundary"]),))
        policies = tuple(iam.documents_of(role))
        return Principal(session.arn, session.user_id, session.secret, policies, tuple(limits), session.tags)

    def _of_session(self, session: Session, token: str | None) -> Principal:
        if token is not None and token != session.token:
            raise Refusal("InvalidClientTokenId", UNKNOWN_KEY, 403)
        if session.expires <= time.time():
            raise Refusal("ExpiredToken", "The security token included in the request is expired", 403)
        return self.session_principal(session)

    def new_session(
        self,
        role: Mapping[str, Any],
        name: str,
        seconds: float,
        tags: Mapping[str, str],
        policies: tuple[Any, ...] | None = None,
    ) -> tuple[str, Session]:
        """Create credentials of a role, which all services accept. Return the access key ID and the session."""
        account = role["Arn"].split(":")[4]
        session = Session(
            arn=f"arn:aws:sts::{account}:assumed-role/{role['RoleName']}/{name}",
            user_id=f"{role['RoleId']}:{name}",
            role_arn=role["Arn"],
            secret=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(96),
            expires=round(time.time()) + seconds if seconds >= 60 else time.time() + seconds,
            tags=dict(tags),
            policies=policies,
        )
        key = "ASIA" + random_text(16)
        self.sessions[key] = session
        return key, session

    # Copies of all accounts, for tests

    def save(self, name: str) -> None:
        tables = {account_id: account.tables() for account_id, account in self.accounts.items()}
        self._checkpoints[name] = now(), frozen((tables, self.sessions))

    def restore(self, name: str) -> None:
        """Restore a checkpoint. All resources have the same age as when it was saved. Raise KeyError if it does not exist."""
        moment, data = self._checkpoints[name]
        tables, self.sessions = thawed(data)
        self.accounts.clear()
        for account_id, each in tables.items():
            move_dates(each, now() - moment)
            self.account(account_id).set_tables(each)

    def wipe(self) -> None:
        self.accounts.clear()
        self.sessions.clear()

    def grow_older(self, account_id: str, seconds: float) -> None:
        """Move the dates of all resources of an account back."""
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"s must be a number of at least 0: {seconds!r}")
        move_dates(self.account(account_id).tables(), timedelta(seconds=-seconds))


def expiration(session: Session) -> datetime:
    return datetime.fromtimestamp(session.expires, timezone.utc)
