# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The faults that the tests inject into requests to AWS."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

READS = ("Get", "List", "Describe")


@dataclass(frozen=True)
class Fault:
    """A fault of the sandbox.

    The fault affects one request. With ``lasts`` it also affects later requests of the operation, and with ``seconds`` all
    requests for that time. A run should succeed despite a fault that ``passes``. ``to`` selects the operations. Without
    TIER=release in the environment, tests apply ``sampled`` faults to only a part of the operations.
    """

    label: str
    kind: str
    passes: bool = True
    lasts: bool = False
    to: Literal["all", "lists", "reads", "writes"] = "all"
    seconds: float = 0
    sampled: bool = False

    def strikes(self, operation: str) -> bool:
        name = operation.partition(":")[2]
        if self.to == "lists":
            return name.startswith("List") or name == "GetAccountAuthorizationDetails"
        return self.to == "all" or name.startswith(READS) == (self.to == "reads")

    def rule(self, operation: str, stall_seconds: float, scale: float) -> dict[str, Any]:
        """Return the fault rule for the sandbox, which the test must set immediately before the request.

        The duration of the fault is multiplied by ``scale``.
        """
        rule: dict[str, Any] = {"kind": self.kind}
        if self.kind == "stall":
            rule["seconds"] = stall_seconds
        if self.seconds:
            return {**rule, "duration_ms": self.seconds * 1000 * scale}
        return {**rule, "operation": operation, **({} if self.lasts else {"nth": 1})}


FAULTS = (
    Fault("throttled once", "throttle"),
    Fault("throttled for 10 s", "throttle", seconds=10, sampled=True),
    Fault("500", "error500", sampled=True),
    Fault("503", "error503", sampled=True),
    Fault("dropped before it took effect", "reset_before"),
    Fault("answer lost", "reset_after"),
    Fault("answer cut off", "malformed", sampled=True),
    Fault("answer stalls", "stall"),
    Fault("web page with 200", "html200", sampled=True),
    Fault("nothing with 200", "empty200", sampled=True),
    Fault("404 to a write", "not_found", to="writes"),
    Fault("409 to a write", "conflict", to="writes"),
    Fault("404 to a read", "not_found", passes=False, to="reads"),
    Fault("409 to a read", "conflict", passes=False, to="reads", sampled=True),
    Fault("access denied", "access_denied", passes=False),
    Fault("pages without end", "endless_pages", passes=False, lasts=True, to="lists"),
    Fault("throttled to the end", "throttle", passes=False, lasts=True, sampled=True),
    Fault("500 to the end", "error500", passes=False, lasts=True, sampled=True),
    Fault("dropped to the end", "reset_before", passes=False, lasts=True, sampled=True),
    Fault("answers lost to the end", "reset_after", passes=False, lasts=True, sampled=True),
    Fault("answers stall to the end", "stall", passes=False, lasts=True, sampled=True),
    Fault("web page to the end", "html200", passes=False, lasts=True, sampled=True),
    Fault("404 to writes to the end", "not_found", passes=False, lasts=True, sampled=True, to="writes"),
    Fault("409 to writes to the end", "conflict", passes=False, lasts=True, sampled=True, to="writes"),
)
