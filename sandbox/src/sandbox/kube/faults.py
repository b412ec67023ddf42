# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The counters, the latency and the faults of the API server."""

from __future__ import annotations

from collections import Counter

from sandbox.faults import ERRORS, STALL_SECONDS, FaultRule, Faults
from sandbox.kube.errors import ApiError, already_exists, modified, not_found, path_not_found
from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceType

READ_VERBS = ("get", "list")


class Instruments:
    """The counters, the latency (in seconds) and the fault rules of the API server."""

    def __init__(self) -> None:
        self.latency = 0.0
        self.faults = Faults()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[str] = Counter()

    def clear(self) -> None:
        self.latency = 0.0
        self.faults.set(())
        self.clear_counters()

    def clear_counters(self) -> None:
        self._requests.clear()
        self._faults.clear()

    def count(self, verb: str, subject: str, *, dry_run: bool) -> FaultRule | None:
        """Count a request, and return the fault rule that applies to it, or None."""
        operation = f"{verb} {subject}"
        self._requests[_request_class(verb, dry_run), operation] += 1
        rule = self.faults.pick(operation)
        if rule is not None:
            self._faults[rule.kind] += 1
        return rule

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
    if kind not in ERRORS:
        return None
    if kind == "throttle":
        wait = 1 if rule.seconds == STALL_SECONDS else max(1, round(rule.seconds))
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
