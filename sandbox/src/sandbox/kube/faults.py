# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters, the latency and the fault rules of the API server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.kube.errors import ApiError, already_exists, modified, not_found, path_not_found
from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType

RESET_BEFORE = "reset_before"
RESET_AFTER = "reset_after"
STALL = "stall"
HTML200 = "html200"
EMPTY200 = "empty200"
_ERRORS = ("throttle", "error500", "error503", "access_denied", "not_found", "conflict")
KINDS = (*_ERRORS, RESET_BEFORE, RESET_AFTER, STALL, HTML200, EMPTY200)
MAX_SECONDS = 120
READ_VERBS = ("get", "list")
_MEMBERS = frozenset(("operation", "kind", "nth", "every", "times", "seconds"))


class FaultRuleError(ValueError):
    """The error for an invalid fault rule."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """A rule that makes some of the matching requests fail.

    Attributes:
        kind: one of KINDS. With ``reset_after`` (the connection is reset) and ``stall`` (the response is late), the
            request is executed before the fault. With the other kinds the request is not executed. ``conflict`` is the
            error AlreadyExists for a create request.
        operation: shell pattern for the operation, such as ``create serviceaccounts`` or ``* pods``.
        nth: fail only the n-th matching request, counted from 1.
        every: fail every n-th matching request.
        times: the maximum number of failures.
        seconds: the delay for ``stall``, or the value of the header Retry-After for ``throttle``.
    """

    kind: str
    operation: str = "*"
    nth: int | None = None
    every: int | None = None
    times: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, data: Any) -> FaultRule:
        if not isinstance(data, Mapping):
            raise FaultRuleError(f"a fault rule is an object, not {data!r}")
        unknown = sorted(data.keys() - _MEMBERS)
        if unknown:
            raise FaultRuleError(f"unknown member of a fault rule: {', '.join(unknown)}")
        if data.get("kind") not in KINDS:
            raise FaultRuleError(f"kind must be one of {', '.join(KINDS)}: {data.get('kind')!r}")
        seconds = data.get("seconds")
        if seconds is not None and (not isinstance(seconds, (int, float)) or not 0 < seconds <= MAX_SECONDS):
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
        self._matches = 0
        self._fired = 0

    def fires(self, operation: str) -> bool:
        """Return whether the rule makes a request fail. Count the request if it matches, even if it does not fail."""
        rule = self.rule
        if not fnmatchcase(operation, rule.operation):
            return False
        self._matches += 1
        if rule.nth is not None and self._matches != rule.nth:
            return False
        if rule.every is not None and self._matches % rule.every:
            return False
        if rule.times is not None and self._fired >= rule.times:
            return False
        self._fired += 1
        return True


class Instruments:
    """The counters, the latency (in seconds) and the fault rules of the API server."""

    def __init__(self) -> None:
        self.latency = 0.0
        self._requests: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[str] = Counter()
        self._active: list[_ActiveRule] = []

    def clear(self) -> None:
        self.latency = 0.0
        self._active = []
        self.clear_counters()

    def clear_counters(self) -> None:
        self._requests.clear()
        self._faults.clear()

    def set_rules(self, rules: Sequence[FaultRule]) -> None:
        self._active = [_ActiveRule(rule) for rule in rules]

    def count(self, verb: str, subject: str, *, dry_run: bool) -> FaultRule | None:
        """Count a request, and return the fault rule that applies to it, or None.

        If several rules apply, the first one is used.
        """
        operation = f"{verb} {subject}"
        self._requests[_request_class(verb, dry_run), operation] += 1
        fired = [active.rule for active in self._active if active.fires(operation)]
        if not fired:
            return None
        self._faults[fired[0].kind] += 1
        return fired[0]

    def counters(self) -> Json:
        """Return the numbers as data for JSON (see :meth:`sandbox.kube.control.KubeControl.counters`)."""
        totals: Counter[str] = Counter()
        operations: Counter[str] = Counter()
        dry: Counter[str] = Counter()
        for (kind, operation), count in self._requests.items():
            totals[kind] += count
            (dry if kind == "dry_runs" else operations)[operation] += count
        return {
            "total": totals.total(),
            "reads": totals["reads"],
            "writes": totals["writes"],
            "dry_runs": totals["dry_runs"],
            "operations": dict(sorted(operations.items())),
            "dry_run_operations": dict(sorted(dry.items())),
            "faults": dict(sorted(self._faults.items())),
        }


def _request_class(verb: str, dry_run: bool) -> str:
    if verb in READ_VERBS:
        return "reads"
    return "dry_runs" if dry_run else "writes"


def api_error(rule: FaultRule, operation: str, rtype: ResourceType | None, name: str) -> ApiError | None:
    """Return the error response for a rule, or None if the kind is not an error response.

    ``rtype`` is None for a discovery request, ``name`` is empty for a request about several objects.
    """
    kind = rule.kind
    if kind not in _ERRORS:
        return None
    if kind == "throttle":
        wait = max(1, round(rule.seconds or 1))
        message = "Too many requests, please try again later."
        headers = [("Retry-After", str(wait))]
        return ApiError(429, "TooManyRequests", message, {"retryAfterSeconds": wait}, headers)
    if kind == "not_found":
        return path_not_found() if rtype is None else not_found(rtype, name)
    if kind == "conflict" and rtype is not None:
        return already_exists(rtype, name) if operation.startswith("create ") else modified(rtype, name)
    if kind == "conflict":
        return ApiError(409, "Conflict", "the request conflicts with another one", {})
    if kind == "error503":
        message = "the server is currently unable to handle the request"
        return ApiError(503, "ServiceUnavailable", message, {})
    if kind == "access_denied":
        return ApiError(403, "Forbidden", f'forbidden: injected fault on "{operation}"', {})
    return ApiError(500, "InternalError", "Internal error occurred: injected fault", {})
