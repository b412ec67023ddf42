# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulate the eventual consistency of IAM and EKS: reads may return an older state.

A replica, a copy of the resources that is behind by a certain time, serves these reads. Writes use the current state. The
delay until EKS sees a role is separate; see :class:`sandbox.aws.passing.Propagation`.
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
# This read is always current, because replicas do not have the jobs of GenerateServiceLastAccessedDetails.
CURRENT = "GetServiceLastAccessedDetails"
MAX_MS = 600_000
_MEMBERS = frozenset(("ms", "operations", "replicas"))


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
        if not isinstance(data, Mapping):
            raise LagRuleError(f"a read lag rule must be an object, not {data!r}")
        unknown = sorted(data.keys() - _MEMBERS)
        if unknown:
            raise LagRuleError(f"unknown member of a read lag rule: {', '.join(unknown)}")
        ms = data.get("ms")
        if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 0 <= ms <= MAX_MS:
            raise LagRuleError(f"ms must be a number from 0 to {MAX_MS}: {ms!r}")
        if data.get("replicas", 1) not in (1, 2):
            raise LagRuleError(f"replicas must be 1 or 2: {data['replicas']!r}")
        return cls(**data)


class ReadLag:
    """The read lag rules, and a replica for each different ``ms``. The first rule that matches a read applies."""

    def __init__(self, iam: IamState, eks: EksState, passing: RolePassing) -> None:
        self._iam = iam
        self._eks = eks
        self._passing = passing
        self._rules: list[LagRule] = []
        self._replicas: dict[float, Replica] = {}
        self._reads: Counter[tuple[str, str]] = Counter()

    def set(self, rules: Iterable[LagRule]) -> None:
        """Replace the rules. Reads show all resources that exist now; only changes after this call are delayed."""
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
        """Return the replica that must serve a request, or None to use the current state."""
        if call.service not in SERVICES or not call.operation.startswith(READS) or call.operation == CURRENT:
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
        """Pass the changes of a request on to all replicas."""
        if not self._replicas:
            return
        if call.service == "iam" and (arn := Form(call.account, call.body).get("PolicyArn")):
            # When ministack attaches a policy to a user or group, it changes the policy, and this class does not notice that.
            # Access the policy here, so that the policy counts as possibly changed.
            self._iam.policy(call.account, arn)
        for key in (*self._iam.accessed.take(), *self._eks.accessed.take()):
            change = Change.copy(key, current_record(self._iam, self._eks, key))
            for replica in self._replicas.values():
                replica.add(change)
