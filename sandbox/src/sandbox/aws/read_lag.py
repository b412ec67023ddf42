# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stale reads, as in the eventually consistent IAM and EKS.

A replica with a lag serves the reads; writes use the current records. The delay until EKS sees a role is
:class:`sandbox.aws.passing.Propagation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.changes import Change
from sandbox.aws.eks_state import EksState
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import Call
from sandbox.aws.passing import RolePassing
from sandbox.aws.replica import Replica, current_record

SERVICES = ("iam", "eks")
READS = ("Get", "List", "Describe")
MAX_MS = 600_000
_MEMBERS = frozenset(("ms", "operations", "replicas"))


class LagRuleError(ValueError):
    """An invalid read lag rule."""


@dataclass(frozen=True, slots=True)
class LagRule:
    """The lag of some reads.

    Attributes:
        ms: the lag in milliseconds.
        operations: shell pattern for names such as ``iam:GetRole``.
        replicas: with 1 all reads are stale; with 2 every second read of an operation in an account is.
    """

    ms: float
    operations: str = "*"
    replicas: int = 1

    @classmethod
    def parse(cls, data: Any) -> LagRule:
        if not isinstance(data, Mapping):
            raise LagRuleError(f"a read lag is an object, not {data!r}")
        unknown = sorted(data.keys() - _MEMBERS)
        if unknown:
            raise LagRuleError(f"unknown member of a read lag: {', '.join(unknown)}")
        ms = data.get("ms")
        if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 0 <= ms <= MAX_MS:
            raise LagRuleError(f"ms must be a number from 0 to {MAX_MS}: {ms!r}")
        if data.get("replicas", 1) not in (1, 2):
            raise LagRuleError(f"replicas must be 1 or 2: {data['replicas']!r}")
        return cls(**data)


class ReadLag:
    """The read lag rules and their replicas. The first matching rule applies."""

    def __init__(self, iam: IamState, eks: EksState, passing: RolePassing) -> None:
        self._iam = iam
        self._eks = eks
        self._passing = passing
        self._rules: list[LagRule] = []
        self._replicas: dict[float, Replica] = {}
        self._reads: Counter[tuple[str, str]] = Counter()

    def set(self, rules: Iterable[LagRule]) -> None:
        """Replace the rules. All current records are visible."""
        self._rules = list(rules)
        self._reads.clear()
        self._replicas = {
            ms: Replica(self._iam, self._eks, self._passing, ms / 1000)
            for ms in {rule.ms for rule in self._rules if rule.ms}
        }
        for accessed in (self._iam.accessed, self._eks.accessed):
            accessed.enabled = bool(self._replicas)
            accessed.take()

    def snapshot(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self._rules]

    def replica(self, call: Call) -> Replica | None:
        """Return the replica that serves a read; None for the current records."""
        if call.service not in SERVICES or not call.operation.startswith(READS):
            return None
        operation = f"{call.service}:{call.operation}"
        rule = next((rule for rule in self._rules if fnmatchcase(operation, rule.operations)), None)
        if rule is None:
            return None
        if rule.replicas > 1:
            self._reads[(call.account, operation)] += 1
            if self._reads[(call.account, operation)] % rule.replicas:
                return None
        replica = self._replicas.get(rule.ms)
        if replica is not None:
            replica.advance()
        return replica

    def record(self, call: Call) -> None:
        """Add the changes of a request to the replicas."""
        if not self._replicas:
            return
        if call.service == "iam" and (arn := Form(call.account, call.body).get("PolicyArn")):
            # ministack attaches policies to users and groups without reading the policy here.
            self._iam.policy(call.account, arn)
        for key in (*self._iam.accessed.take(), *self._eks.accessed.take()):
            change = Change.copy(key, current_record(self._iam, self._eks, key))
            for replica in self._replicas.values():
                replica.add(change)
