# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counters, latency and injected faults of the API."""

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
_ANSWERS = ("throttle", "error500", "error503", "access_denied", "not_found", "conflict")
KINDS = (*_ANSWERS, RESET_BEFORE, RESET_AFTER, STALL, HTML200, EMPTY200)
LONGEST_SECONDS = 120
READ_VERBS = ("get", "list", "watch")
_MEMBERS = frozenset(("operation", "kind", "nth", "every", "times", "seconds"))


class FaultRuleError(ValueError):
    """A rule that says something this server does not understand."""


@dataclass(frozen=True, slots=True)
class FaultRule:
    """Fails some of the requests that match.

    Attributes:
        operation: shell pattern on names such as ``create serviceaccounts``.
        kind: one of KINDS. Done are the requests of ``reset_after`` (answered with a reset) and
            ``stall`` (answered late); not done are all others, ``html200`` (a proxy's page) and
            ``empty200`` among them. ``conflict`` is AlreadyExists to a create, else Conflict.
        nth: fail the n-th matching request only, counted from 1 since the rules were set.
        every: fail every k-th matching request.
        times: fail at most so many; without bound when not given.
        seconds: how late the answer of ``stall`` begins; Retry-After of ``throttle``.
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
        if seconds is not None and (
            not isinstance(seconds, (int, float)) or not 0 < seconds <= LONGEST_SECONDS
        ):
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
        self._seen = 0
        self._fired = 0

    def strikes(self, operation: str) -> bool:
        """Counts a matching request; True where it is one that the rule fails."""
        rule = self.rule
        if not fnmatchcase(operation, rule.operation):
            return False
        self._seen += 1
        if rule.nth is not None and self._seen != rule.nth:
            return False
        if rule.every is not None and self._seen % rule.every:
            return False
        if rule.times is not None and self._fired >= rule.times:
            return False
        self._fired += 1
        return True


class Instruments:
    """What tests read and set while the server runs; ``latency`` in seconds."""

    def __init__(self) -> None:
        self.latency = 0.0
        self._requests: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[str] = Counter()
        self._armed: list[_Armed] = []

    def clear(self) -> None:
        self.latency = 0.0
        self._armed = []
        self.clear_counters()

    def clear_counters(self) -> None:
        self._requests.clear()
        self._faults.clear()

    def set_rules(self, rules: Sequence[FaultRule]) -> None:
        self._armed = [_Armed(rule) for rule in rules]

    def count(self, verb: str, subject: str, *, dry_run: bool) -> FaultRule | None:
        """Counts a request and gives the rule that strikes it, if any.

        Every matching rule counts the request; the first that strikes decides.
        """
        operation = f"{verb} {subject}"
        self._requests[_class_of(verb, subject, dry_run), operation] += 1
        struck = [armed.rule for armed in self._armed if armed.strikes(operation)]
        if not struck:
            return None
        self._faults[struck[0].kind] += 1
        return struck[0]

    def counters(self) -> Json:
        """total, reads, writes, dry_runs, operations {``create pods``: n},
        dry_run_operations and faults {kind: n}; ``operations`` leaves dry runs out."""
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


def _class_of(verb: str, subject: str, dry_run: bool) -> str:
    # Reviews are created, but they store nothing.
    if verb in READ_VERBS or subject.endswith("reviews"):
        return "reads"
    return "dry_runs" if dry_run else "writes"


def fault_answer(rule: FaultRule, operation: str, rtype: ResourceType | None, name: str) -> ApiError | None:
    """The error that a rule answers with; None for faults of the transport.

    ``rtype`` is None where the request is on no resource, ``name`` empty where it names no object.
    """
    kind = rule.kind
    if kind not in _ANSWERS:
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
