# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of API requests, so that tests and benchmarks can say what a run asked of AWS."""

from __future__ import annotations

from collections import Counter
from typing import Any

READ_PREFIXES = ("Get", "List", "Describe", "Simulate")
# These change nothing in the account, though their names do not say so.
READ_OPERATIONS = frozenset(
    {
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:DecodeAuthorizationMessage",
        "eks-auth:AssumeRoleForPodIdentity",
    }
)


def is_read(operation: str) -> bool:
    """True where an operation such as ``iam:GetRole`` changes nothing in the account."""
    name = operation.partition(":")[2]
    return name.startswith(READ_PREFIXES) or operation in READ_OPERATIONS


class Counters:
    """Requests by operation, by account and operation, and by the status they were answered with.

    A request that a fault rule answered counts like any other and is counted in ``faults`` too.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._connections = 0

    def request(self, account: str, operation: str) -> None:
        self._requests[(account, operation)] += 1

    def answer(self, status: int) -> None:
        self._statuses[status] += 1

    def fault(self, kind: str) -> None:
        self._faults[kind] += 1

    def connection(self) -> None:
        self._connections += 1

    def clear(self) -> None:
        self._requests.clear()
        self._statuses.clear()
        self._faults.clear()
        self._connections = 0

    def snapshot(self) -> dict[str, Any]:
        """The counts as JSON data: total, reads, writes, operations, accounts, statuses, …"""
        operations: Counter[str] = Counter()
        accounts: dict[str, dict[str, int]] = {}
        for (account, operation), count in sorted(self._requests.items()):
            operations[operation] += count
            accounts.setdefault(account, {})[operation] = count
        total = operations.total()
        reads = sum(count for operation, count in operations.items() if is_read(operation))
        return {
            "total": total,
            "reads": reads,
            "writes": total - reads,
            "operations": dict(sorted(operations.items())),
            "accounts": accounts,
            "statuses": {str(status): n for status, n in sorted(self._statuses.items())},
            "faults": dict(sorted(self._faults.items())),
            "connections": self._connections,
        }
