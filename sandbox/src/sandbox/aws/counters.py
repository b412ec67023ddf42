# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count API requests, for tests and benchmarks."""

from __future__ import annotations

from collections import Counter
from typing import Any

READ_PREFIXES = ("Get", "List", "Describe", "Simulate")
# These operations count as reads, because they change no resource.
READ_OPERATIONS = frozenset(
    {
        "sts:AssumeRole",
        "sts:AssumeRoleWithWebIdentity",
        "sts:DecodeAuthorizationMessage",
        "eks-auth:AssumeRoleForPodIdentity",
        "iam:GenerateServiceLastAccessedDetails",
    }
)


def is_read(operation: str) -> bool:
    """Return whether an operation such as ``iam:GetRole`` counts as a read."""
    name = operation.partition(":")[2]
    return name.startswith(READ_PREFIXES) or operation in READ_OPERATIONS


class Counters:
    """The numbers of requests by account and operation, responses by status, faults by kind, and connections.

    Requests that fail because of a fault rule are included.
    """

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str]] = Counter()
        self._statuses: Counter[int] = Counter()
        self._faults: Counter[str] = Counter()
        self._connections = 0

    def request(self, account: str, operation: str) -> None:
        self._requests[(account, operation)] += 1

    def response(self, status: int) -> None:
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
        """Return the numbers as data for JSON (see :meth:`sandbox.aws.control.AwsControl.counters`)."""
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
