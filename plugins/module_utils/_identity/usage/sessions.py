# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Join each event of a role with a service account, by the session of the event. Pure.

The event that starts a session has the session tags of the Pod, so service accounts with the same role can be distinguished. An
event whose session is unknown is only counted for its role.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from .events import CallKey, EventTotals, SessionStart, Tally, UsageScope, role_key

# The maximum number of chained sessions to follow. The limit also ends cycles in invalid input.
_LONGEST_CHAIN = 5
# The maximum number of resources of events whose session is unknown so far. Above this number, these events keep no resources.
MOST_WAITING = 200_000
# EKS Pod Identity shortens the names of cluster and Pod in the name of a session to this number of characters.
_NAME_PART = 10


class Unjoined(Enum):
    """The reason why events are not joined with a service account of the cluster. The values are texts for messages."""

    NO_SESSION = "the start of their session is not among the events"
    NO_TAGS = "their session has no session tags, and several service accounts can use the role"
    OTHER_CLUSTER = "their session belongs to another cluster"
    OTHER_CALLER = "a caller other than EKS Pod Identity or a service account started their session"


class AccountName(NamedTuple):
    """A service account of the cluster."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class UsageAssociation:
    """The association of a service account, with the ARNs of its role and its target role."""

    account: AccountName
    role_arn: str
    target_role_arn: str = ""
    session_tags: bool = True


@dataclass(frozen=True, slots=True)
class UsageCluster:
    """The cluster whose service accounts are reported. ``issuer`` is its OIDC issuer without https://."""

    name: str
    arn: str
    issuer: str = ""
    associations: Sequence[UsageAssociation] = ()


class AccountCallKey(NamedTuple):
    """The key of a ``Tally`` of a service account: the parts of ``CallKey``, with the service account instead of the session."""

    account: AccountName
    role: str
    source: str
    name: str
    variant: str
    denied: bool


@dataclass(slots=True)
class SessionCounts:
    """The sessions of a service account.

    ``kinds`` counts them by kind: "pod_identity", "irsa" and "chained". ``certain`` is False if at least one session has no
    session tags, and was joined because the service account is the only one with the role.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    pods: set[str] = field(default_factory=set)
    certain: bool = True


class UsageTotals:
    """The events of all files, added up by service account.

    ``calls`` has the tallies of service accounts, and ``unjoined`` the number of events without a service account, by
    role and reason. ``sessions`` is set by ``finish``, after which the other two are complete.
    """

    def __init__(self, cluster: UsageCluster, scope: UsageScope) -> None:
        self.cluster = cluster
        self.scope = scope
        self.calls: dict[AccountCallKey, Tally] = {}
        self.unjoined: Counter[tuple[str, Unjoined]] = Counter()
        self.sessions: dict[AccountName, SessionCounts] = {}
        self.read = EventTotals()
        self._by_access_key: dict[str, SessionStart] = {}
        self._by_principal: dict[str, SessionStart] = {}
        self._waiting: dict[CallKey, Tally] = {}
        self._waiting_resources = 0
        self._by_role: dict[str, list[UsageAssociation]] = {}
        for association in cluster.associations:
            self._by_role.setdefault(role_key(association.role_arn), []).append(association)

    def add(self, totals: EventTotals) -> None:
        """Add the totals of a file. Files may be added in any order."""
        read = self.read
        read.events += totals.events
        read.first = min(filter(None, (read.first, totals.first)), default="")
        read.last = max(read.last, totals.last)
        read.data_sources |= totals.data_sources
        read.refused += totals.refused
        read.last_refused = max(read.last_refused, totals.last_refused)
        read.problems += totals.problems
        for session in totals.sessions:
            if session.access_key:
                self._by_access_key[session.access_key] = session
            # Only EKS Pod Identity uses each session name only once. Other callers choose the name.
            if session.principal and session.kind == "pod_identity":
                self._by_principal[session.principal] = session
        for key, tally in totals.calls.items():
            if not self._join(key, tally):
                self._merge_waiting(key, tally)

    def finish(self) -> None:
        """Join the events that were read before the start of their session, and count the sessions."""
        for key, tally in self._waiting.items():
            if not self._join(key, tally):
                self.unjoined[key.role, Unjoined.NO_SESSION] += tally.count
        self._waiting.clear()
        known_sessions = (*self._by_access_key.values(), *self._by_principal.values())
        for session in {(item.access_key, item.principal): item for item in known_sessions}.values():
            owner = self._owner(session)
            if session.role not in self.scope.roles or not isinstance(owner, AccountName):
                continue
            counts = self.sessions.setdefault(owner, SessionCounts())
            counts.kinds[session.kind] += 1
            if session.pod:
                counts.pods.add(session.pod)
            if session.kind == "pod_identity" and not session.cluster_arn:
                counts.certain = False

    def _merge_waiting(self, key: CallKey, tally: Tally) -> None:
        waiting = self._waiting.setdefault(key, Tally())
        before_merge = len(waiting.resources)
        waiting.merge(tally)
        self._waiting_resources += len(waiting.resources) - before_merge
        if self._waiting_resources > max(MOST_WAITING, 2 * len(self._waiting)):
            for item in self._waiting.values():
                item.forget_resources()
            self._waiting_resources = len(self._waiting)

    def _join(self, key: CallKey, tally: Tally) -> bool:
        """Add a tally to its service account, or count it as unjoined. Return False if its session is unknown so far."""
        session = self._find((key.access_key, key.principal))
        owner = self._owner(session) if session else Unjoined.NO_SESSION
        if owner is Unjoined.NO_SESSION:
            return False
        if isinstance(owner, Unjoined):
            self.unjoined[key.role, owner] += tally.count
            return True
        account_key = AccountCallKey(owner, key.role, key.source, key.name, key.variant, key.denied)
        tally_so_far = self.calls.get(account_key)
        if tally_so_far is None:
            tally_so_far = self.calls[account_key] = Tally()
        tally_so_far.merge(tally)
        return True

    def _find(self, caller: tuple[str, str]) -> SessionStart | None:
        """Return the session of a caller, given as (access key, principal), or None if its start is not among the events.

        The access key identifies a session of any kind, the principal only a session of EKS Pod Identity.
        """
        access_key, principal = caller
        session = self._by_access_key.get(access_key) if access_key else None
        return session or (self._by_principal.get(principal) if principal else None)

    def _owner(self, session: SessionStart) -> AccountName | Unjoined:
        """Return the service account of a session, or the reason why its events are not joined with one."""
        for _link in range(_LONGEST_CHAIN):
            if session.kind != "chained":
                break
            source = self._find(session.source)
            if source is None:
                return Unjoined.NO_SESSION
            session = source
        cluster = self.cluster
        if session.kind == "irsa":
            if not cluster.issuer or session.issuer != cluster.issuer:
                return Unjoined.OTHER_CLUSTER
            return AccountName(session.namespace, session.service_account)
        if session.kind != "pod_identity":
            return Unjoined.OTHER_CALLER
        if session.cluster_arn:
            if session.cluster_arn != cluster.arn:
                return Unjoined.OTHER_CLUSTER
            return AccountName(session.namespace, session.service_account)
        if not session.name.startswith(f"eks-{cluster.name[:_NAME_PART]}-"):
            return Unjoined.OTHER_CLUSTER
        users = self._by_role.get(session.role, [])
        # If the association has session tags now, this session is older than the association, or another service account
        # started it.
        return users[0].account if len(users) == 1 and not users[0].session_tags else Unjoined.NO_TAGS


def usage_roles(associations: Iterable[UsageAssociation]) -> list[str]:
    """Return the ARNs of the roles and target roles of associations, without duplicates."""
    arns = (arn for item in associations for arn in (item.role_arn, item.target_role_arn) if arn)
    return list(dict.fromkeys(arns))


def count_unjoined(totals: UsageTotals) -> Mapping[str, Mapping[Unjoined, int]]:
    """Return the number of unjoined events by role and reason."""
    found: dict[str, dict[Unjoined, int]] = {}
    for (role, reason), count in sorted(
        totals.unjoined.items(), key=lambda item: (item[0][0], item[0][1].name)
    ):
        found.setdefault(role, {})[reason] = count
    return found
