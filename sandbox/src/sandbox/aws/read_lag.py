# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate the eventual consistency of IAM and EKS: reads may return an older state. Writes use the current state.

While there are rules, a copy of an account is kept after each of its writes. The delay until EKS sees a role is separate.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.model.accounts import Account
from sandbox.aws.model.tables import frozen, thawed

READS = ("Get", "List", "Describe")
MAX_MS = 600_000


class LagRuleError(ValueError):
    """The error for an invalid read lag rule."""


@dataclass(frozen=True, slots=True)
class LagRule:
    """A read lag rule. The reads that match the rule return an older state.

    Attributes:
        ms: the age of that state in milliseconds.
        operations: shell pattern for the operations, such as ``iam:GetRole`` or ``iam:Get*``.
        replicas: 1 applies the rule to all matching reads. 2 emulates two replicas of which one is current: for each account
            and operation, the rule applies to every second read.
    """

    ms: float
    operations: str = "*"
    replicas: int = 1

    @classmethod
    def parse(cls, data: Any) -> LagRule:
        ms = data.get("ms")
        if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 0 <= ms <= MAX_MS:
            raise LagRuleError(f"ms must be a number from 0 to {MAX_MS}: {ms!r}")
        if data.get("replicas", 1) not in (1, 2):
            raise LagRuleError(f"replicas must be 1 or 2: {data['replicas']!r}")
        return cls(**data)


class _State:
    """The tables of an account at a time. They are copied back only for the first read that needs them."""

    def __init__(self, moment: float, account: Account) -> None:
        self.moment = moment
        self._data = frozen(account.tables())
        self._tables: Any = None

    @property
    def tables(self) -> Any:
        if self._tables is None:
            self._tables = thawed(self._data)
        return self._tables


class ReadLag:
    """The read lag rules, of which the first one that matches a read applies, and the states of the accounts since then."""

    def __init__(self) -> None:
        self._rules: list[LagRule] = []
        self._states: dict[str, list[_State]] = {}
        self._reads: Counter[tuple[str, str]] = Counter()

    def set(self, rules: Iterable[LagRule]) -> None:
        """Replace the rules. Reads show all resources that exist now; only changes after this call are delayed."""
        self._rules = list(rules)
        self._states.clear()
        self._reads.clear()

    def tables(self, account_id: str, operation: str) -> Any:
        """Return the tables that a read must see, or None for the current ones."""
        if not operation.partition(":")[2].startswith(READS):
            return None
        rule = next((rule for rule in self._rules if fnmatchcase(operation, rule.operations)), None)
        if rule is None:
            return None
        if rule.replicas > 1:
            self._reads[account_id, operation] += 1
            if self._reads[account_id, operation] % rule.replicas:
                return None
        horizon = time.monotonic() - rule.ms / 1000
        past = [state for state in self._states.get(account_id, ()) if state.moment <= horizon]
        return past[-1].tables if past else None

    def before_write(self, account: Account) -> None:
        if self._rules:
            self._states.setdefault(account.iam.account_id, [_State(float("-inf"), account)])

    def after_write(self, account: Account) -> None:
        if self._rules:
            self._states[account.iam.account_id].append(_State(time.monotonic(), account))
