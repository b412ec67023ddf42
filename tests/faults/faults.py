# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which a request to AWS is disturbed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

READS = ("Get", "List", "Describe")


@dataclass(frozen=True)
class Fault:
    """``kind`` is the sandbox's. It strikes one request; with ``lasts`` that one and all later ones of its operation;
    with ``seconds`` all for so long.

    One that ``passes`` is got over within the run. ``to`` says which requests it strikes.
    """

    label: str
    kind: str
    passes: bool = True
    lasts: bool = False
    to: Literal["all", "lists", "reads", "writes"] = "all"
    seconds: float = 0
    alike: bool = False

    def strikes(self, operation: str) -> bool:
        name = operation.partition(":")[2]
        if self.to == "lists":
            return name.startswith("List") or name == "GetAccountAuthorizationDetails"
        return self.to == "all" or name.startswith(READS) == (self.to == "reads")

    def rule(self, operation: str, stall_seconds: float, scale: float) -> dict[str, Any]:
        """The rule for the sandbox, set immediately before the request. A second lasts ``scale`` seconds."""
        rule: dict[str, Any] = {"kind": self.kind}
        if self.kind == "stall":
            rule["seconds"] = stall_seconds
        if self.seconds:
            return {**rule, "duration_ms": self.seconds * 1000 * scale}
        return {**rule, "operation": operation, **({} if self.lasts else {"nth": 1})}


FAULTS = (
    Fault("throttled once", "throttle"),
    Fault("throttled for 10 s", "throttle", seconds=10, alike=True),
    Fault("500", "error500", alike=True),
    Fault("503", "error503", alike=True),
    Fault("dropped before it took effect", "reset_before"),
    Fault("answer lost", "reset_after"),
    Fault("answer cut off", "malformed", alike=True),
    Fault("answer stalls", "stall"),
    Fault("web page with 200", "html200", alike=True),
    Fault("nothing with 200", "empty200", alike=True),
    Fault("404 to a write", "not_found", to="writes"),
    Fault("409 to a write", "conflict", to="writes"),
    Fault("404 to a read", "not_found", passes=False, to="reads"),
    Fault("409 to a read", "conflict", passes=False, to="reads", alike=True),
    Fault("access denied", "access_denied", passes=False),
    Fault("pages without end", "endless_pages", passes=False, lasts=True, to="lists"),
    Fault("throttled to the end", "throttle", passes=False, lasts=True, alike=True),
    Fault("500 to the end", "error500", passes=False, lasts=True, alike=True),
    Fault("dropped to the end", "reset_before", passes=False, lasts=True, alike=True),
    Fault("answers lost to the end", "reset_after", passes=False, lasts=True, alike=True),
    Fault("answers stall to the end", "stall", passes=False, lasts=True, alike=True),
    Fault("web page to the end", "html200", passes=False, lasts=True, alike=True),
    Fault("404 to writes to the end", "not_found", passes=False, lasts=True, alike=True, to="writes"),
    Fault("409 to writes to the end", "conflict", passes=False, lasts=True, alike=True, to="writes"),
)
