# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stale reads: IAM and EKS are eventually consistent, and a read may show what was some time ago.

Reads of a kind are answered from a replica that lags; writes act on the present. What EKS sees of
a role when it is handed one is another matter, :class:`sandbox.aws.passing.Propagation`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.changes import Change
from sandbox.aws.eks_state import EksState
from sandbox.aws.iam_attachments import not_attachable
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_policies import find_policy
from sandbox.aws.iam_roles import find_role
from sandbox.aws.iam_state import AWS_MANAGED_PREFIX, IamState
from sandbox.aws.model import Call
from sandbox.aws.passing import RolePassing
from sandbox.aws.replica import Replica, present

SERVICES = ("iam", "eks")
READS = ("Get", "List", "Describe")
LONGEST_MS = 600_000
_MEMBERS = frozenset(("ms", "operations", "replicas", "writes"))


class LagRuleError(ValueError):
    """A rule that says something this endpoint does not understand."""


@dataclass(frozen=True, slots=True)
class LagRule:
    """How late the reads of one kind are.

    Attributes:
        ms: they show what was so many milliseconds ago; 0 is the present.
        operations: shell pattern on names such as ``iam:GetRole``.
        replicas: 1, all reads are late; 2, of an operation's reads in one account every second
            one is, the first is not.
        writes: IAM's writes fail with NoSuchEntity, too, on what a read would not show.
    """

    ms: float
    operations: str = "*"
    replicas: int = 1
    writes: bool = False

    @classmethod
    def parse(cls, data: Any) -> LagRule:
        if not isinstance(data, Mapping):
            raise LagRuleError(f"a read lag is an object, not {data!r}")
        unknown = sorted(data.keys() - _MEMBERS)
        if unknown:
            raise LagRuleError(f"unknown member of a read lag: {', '.join(unknown)}")
        ms = data.get("ms")
        if isinstance(ms, bool) or not isinstance(ms, (int, float)) or not 0 <= ms <= LONGEST_MS:
            raise LagRuleError(f"ms must be a number from 0 to {LONGEST_MS}: {ms!r}")
        if data.get("replicas", 1) not in (1, 2):
            raise LagRuleError(f"replicas must be 1 or 2: {data['replicas']!r}")
        return cls(**data)


class ReadLag:
    """The rules in force and the replicas they need. The first rule that matches decides."""

    def __init__(self, iam: IamState, eks: EksState, passing: RolePassing) -> None:
        self._iam = iam
        self._eks = eks
        self._passing = passing
        self._rules: list[LagRule] = []
        self._replicas: dict[float, Replica] = {}
        self._asked: Counter[tuple[str, str]] = Counter()

    def set(self, rules: Iterable[LagRule]) -> None:
        """Start over with other rules: everything that is there now is seen."""
        self._rules = list(rules)
        self._asked.clear()
        self._replicas = {
            ms: Replica(self._iam, self._eks, self._passing, ms / 1000)
            for ms in {rule.ms for rule in self._rules if rule.ms}
        }
        for touched in (self._iam.touched, self._eks.touched):
            touched.noting = bool(self._replicas)
            touched.take()

    def snapshot(self) -> list[dict[str, Any]]:
        return [asdict(rule) for rule in self._rules]

    def replica(self, call: Call) -> Replica | None:
        """Who answers a read; None where the present does."""
        if call.service not in SERVICES or not call.operation.startswith(READS):
            return None
        return self._chosen(call, writes=False)

    def check_write(self, call: Call) -> None:
        """Raise ``NoSuchEntity`` where a write is to meet a replica that lacks what it is about."""
        if call.service != "iam" or call.operation.startswith((*READS, "Create")):
            return
        replica = self._chosen(call, writes=True)
        if replica is None:
            return
        form = Form(call.account, call.body)
        name, arn = form.get("RoleName"), form.get("PolicyArn")
        if name is not None and self._iam.role(call.account, name) is not None:
            find_role(replica.iam_state, form)
        if arn is None or arn.startswith(AWS_MANAGED_PREFIX) or not self._iam.policy(call.account, arn):
            return
        if call.operation == "AttachRolePolicy" and replica.iam_state.policy(call.account, arn) is None:
            raise not_attachable(arn)
        find_policy(replica.iam_state, form)

    def record(self, call: Call) -> None:
        """Hand what the request may have changed to the replicas."""
        if not self._replicas:
            return
        if call.service == "iam" and (arn := Form(call.account, call.body).get("PolicyArn")):
            # ministack counts the policies of users and groups without looking here.
            self._iam.policy(call.account, arn)
        for key in (*self._iam.touched.take(), *self._eks.touched.take()):
            change = Change.of(key, present(self._iam, self._eks, key))
            for replica in self._replicas.values():
                replica.add(change)

    def _chosen(self, call: Call, *, writes: bool) -> Replica | None:
        operation = f"{call.service}:{call.operation}"
        for rule in self._rules:
            if (not writes or rule.writes) and fnmatchcase(operation, rule.operations):
                break
        else:
            return None
        if rule.replicas > 1:
            self._asked[(call.account, operation)] += 1
            if self._asked[(call.account, operation)] % rule.replicas:
                return None
        replica = self._replicas.get(rule.ms)
        if replica is not None:
            replica.advance()
        return replica
