# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fault rules, for both emulators: they select requests that must fail, and the way in which they fail."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

THROTTLE = "throttle"
RESET_BEFORE = "reset_before"
RESET_AFTER = "reset_after"
STALL = "stall"
HTML200 = "html200"
EMPTY200 = "empty200"
ERRORS = (THROTTLE, "error500", "error503", "access_denied", "not_found", "conflict")
COMMON = (*ERRORS, RESET_BEFORE, RESET_AFTER, STALL, HTML200, EMPTY200)
MAX_SECONDS = 120
STALL_SECONDS = 5.0


class FaultRuleError(ValueError):
    """The error for an invalid fault rule."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A rule that makes some of the matching requests fail.

    Attributes:
        kind: the fault. With ``reset_after`` (the connection is reset), ``stall`` (the response is late), and with the kinds that
            damage a response, the request is executed before the fault. With the other kinds the request is not executed.
        operation: shell pattern for the operation, such as ``iam:CreateRole``, ``iam:*`` or ``create serviceaccounts``.
        account, region: shell patterns for the account of the caller and the region of the request (AWS).
        nth: fail only the n-th matching request, counted from 1.
        every: fail every n-th matching request.
        times: the maximum number of failures.
        duration_ms: the time in milliseconds after which the rule has no effect.
        code, message, status: the error of kind ``custom``.
        seconds: the delay for ``stall``, the time to send the body for ``trickle``, or Retry-After for ``throttle`` (Kubernetes).
    """

    kind: str
    operation: str = "*"
    account: str = "*"
    region: str = "*"
    nth: int | None = None
    every: int | None = None
    times: int | None = None
    duration_ms: float | None = None
    code: str = ""
    message: str = ""
    status: int = 400
    seconds: float = STALL_SECONDS

    @classmethod
    def parse(cls, data: Any, kinds: tuple[str, ...]) -> FaultRule:
        if data.get("kind") not in kinds:
            raise FaultRuleError(f"kind must be one of {', '.join(kinds)}: {data.get('kind')!r}")
        if data["kind"] == "custom" and not data.get("code"):
            raise FaultRuleError("a fault rule of kind custom needs a code")
        seconds = data.get("seconds", 1)
        if not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS:
            raise FaultRuleError(f"seconds must be a number above 0 and up to {MAX_SECONDS}: {seconds!r}")
        for name in ("nth", "every", "times"):
            value = data.get(name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise FaultRuleError(f"{name} must be a whole number of at least 1: {value!r}")
        return cls(**data)


class _ActiveRule:
    """A fault rule with the numbers of matching requests and of faults."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.since = time.monotonic()
        self.matches = 0
        self.fired = 0

    def selects(self, account: str, region: str, operation: str) -> bool:
        """Return whether the rule makes a request fail. Count the request if it matches, even if it does not fail."""
        rule = self.rule
        selectors = ((operation, rule.operation), (account, rule.account), (region, rule.region))
        if not all(fnmatchcase(value, pattern) for value, pattern in selectors):
            return False
        if rule.duration_ms is not None:
            age_ms = (time.monotonic() - self.since) * 1000
            if age_ms > rule.duration_ms:
                return False
        self.matches += 1
        if rule.nth is not None and self.matches != rule.nth:
            return False
        if rule.every is not None and self.matches % rule.every:
            return False
        return rule.times is None or self.fired < rule.times


class Faults:
    """The active fault rules. If several rules select a request, the first one applies."""

    def __init__(self) -> None:
        self._active: list[_ActiveRule] = []

    def set(self, rules: Iterable[FaultRule]) -> None:
        self._active = [_ActiveRule(rule) for rule in rules]

    def pick(self, operation: str, account: str = "", region: str = "") -> FaultRule | None:
        chosen: _ActiveRule | None = None
        for active in self._active:
            if active.selects(account, region, operation) and chosen is None:
                chosen = active
        if chosen is None:
            return None
        chosen.fired += 1
        return chosen.rule
