# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults on demand: which request fails, and how the failure looks on the wire."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.aws.model import ApiError
from sandbox.aws.responses import QUERY_SERVICES

THROTTLE = "throttle"
RESET_BEFORE = "reset_before"
RESET_AFTER = "reset_after"
MALFORMED = "malformed"
STALL = "stall"
TRICKLE = "trickle"
HTML200 = "html200"
EMPTY200 = "empty200"
ENDLESS_PAGES = "endless_pages"
_ANSWERS = (THROTTLE, "error500", "error503", "access_denied", "not_found", "conflict", "custom")
_NOT_AWS = (HTML200, EMPTY200)
_SLOW = (STALL, TRICKLE)
KINDS = (*_ANSWERS, RESET_BEFORE, RESET_AFTER, MALFORMED, *_SLOW, *_NOT_AWS, ENDLESS_PAGES)
LONGEST_SECONDS = 120
_SELECTORS = ("operation", "account", "region", "nth", "every", "times", "duration_ms")
_MEMBERS = frozenset(("kind", "code", "message", "status", "seconds", *_SELECTORS))


class FaultRuleError(ValueError):
    """A rule that says something this endpoint does not understand."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Fail some of the requests that match.

    Attributes:
        operation: shell pattern on names such as ``iam:CreateRole``.
        account: shell pattern on the caller's account ID.
        region: shell pattern on the region that the request is signed for.
        kind: one of KINDS. Done are the requests of ``reset_after`` (answered with a reset),
            ``malformed`` (half of the body), ``stall`` (answered late), ``trickle`` (answered byte
            by byte) and ``endless_pages`` (a list that names a next page for ever); not done are
            all others, ``html200`` (a proxy's page) and ``empty200`` among them.
        nth: fail the n-th matching request only, counted from 1 since the rules were set.
        every: fail every k-th matching request.
        times: fail at most so many; 1 where nth is given, else without bound.
        duration_ms: the rule ends so long after it was set.
        code, message, status: the answer of kind ``custom``.
        seconds: how late the answer of ``stall`` begins, how long the body of ``trickle`` takes.
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
    seconds: float = 5

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> FaultRule:
        unknown = sorted(data.keys() - _MEMBERS)
        if unknown:
            raise FaultRuleError(f"unknown member of a fault rule: {', '.join(unknown)}")
        if data.get("kind") not in KINDS:
            raise FaultRuleError(f"kind must be one of {', '.join(KINDS)}: {data.get('kind')!r}")
        if data["kind"] == "custom" and not data.get("code"):
            raise FaultRuleError("a fault rule of kind custom needs a code")
        seconds = data.get("seconds", 1)
        if not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST_SECONDS:
            raise FaultRuleError(f"seconds must be a number above 0 and up to {LONGEST_SECONDS}: {seconds!r}")
        for name in ("nth", "every", "times"):
            value = data.get(name)
            if value is not None and (not isinstance(value, int) or value < 1):
                raise FaultRuleError(f"{name} must be a whole number of at least 1: {value!r}")
        return cls(**data)


class _Armed:
    """A rule with its counts."""

    def __init__(self, rule: FaultRule) -> None:
        self.rule = rule
        self.since = time.monotonic()
        self.seen = 0
        self.fired = 0

    def selects(self, account: str, region: str, operation: str) -> bool:
        """Count the request where it matches; True where it is one the rule fails."""
        rule = self.rule
        wanted = ((operation, rule.operation), (account, rule.account), (region, rule.region))
        if not all(fnmatchcase(value, pattern) for value, pattern in wanted):
            return False
        if rule.duration_ms is not None:
            age_ms = (time.monotonic() - self.since) * 1000
            if age_ms > rule.duration_ms:
                return False
        self.seen += 1
        if rule.nth is not None and self.seen != rule.nth:
            return False
        if rule.every is not None and self.seen % rule.every:
            return False
        return rule.times is None or self.fired < rule.times


class Faults:
    """The rules in force. The first that fires decides; every matching rule counts the request."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []

    def set(self, rules: Iterable[FaultRule]) -> None:
        self._armed = [_Armed(rule) for rule in rules]

    def clear(self) -> None:
        self._armed = []

    def pick(self, account: str, region: str, operation: str) -> FaultRule | None:
        chosen: _Armed | None = None
        for armed in self._armed:
            if armed.selects(account, region, operation) and chosen is None:
                chosen = armed
        if chosen is None:
            return None
        chosen.fired += 1
        return chosen.rule

    def snapshot(self) -> list[dict[str, Any]]:
        return [
            {
                "operation": armed.rule.operation,
                "kind": armed.rule.kind,
                "seen": armed.seen,
                "fired": armed.fired,
            }
            for armed in self._armed
        ]


def answer(rule: FaultRule, service: str, account: str, operation: str) -> ApiError | None:
    """The error a rule answers with, as the service words it; None for faults of the transport."""
    query = service in QUERY_SERVICES
    if rule.kind == THROTTLE:
        if query:
            return ApiError(400, "Throttling", "Rate exceeded")
        return ApiError(429, "ThrottlingException", "Rate exceeded")
    if rule.kind == "error500":
        code = "ServiceFailure" if query else "ServerException"
        return ApiError(500, code, "Internal server error")
    if rule.kind == "error503":
        code = "ServiceUnavailable" if query else "ServiceUnavailableException"
        return ApiError(503, code, "Service is unavailable")
    if rule.kind == "access_denied":
        return ApiError(
            403,
            "AccessDenied" if query else "AccessDeniedException",
            f"User: arn:aws:iam::{account}:root is not authorized to perform: {operation} on "
            f"resource: * because no identity-based policy allows the {operation} action",
        )
    if rule.kind == "not_found":
        code = "NoSuchEntity" if query else "ResourceNotFoundException"
        return ApiError(404, code, "The requested entity cannot be found.")
    if rule.kind == "conflict":
        if query:
            message = "Another request is modifying this entity; wait a few minutes and try again."
            return ApiError(409, "ConcurrentModification", message)
        return ApiError(409, "ResourceInUseException", "The resource is in use.")
    if rule.kind == "custom":
        return ApiError(rule.status, rule.code, rule.message or rule.code)
    return None
