# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this project promises of its speed, beside what was measured. Ratios are those of one run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from contenders import CLI, ENGINE, FLOOR, PROCESS, SITE
from store import Results, Row

LATENCY = 40


@dataclass(frozen=True, slots=True)
class Target:
    what: str
    wanted: str
    found: str
    reached: bool

    @property
    def verdict(self) -> str:
        return "reached" if self.reached else "**missed**"


def targets(results: Results) -> list[Target]:
    """Those that the results can answer."""
    return [
        *_against_peers(results, 50),
        *_no_change(results, 1000),
        *_limited(results),
        *_memory(results),
        *_growth(results),
    ]


def _against_peers(results: Results, count: int) -> Iterator[Target]:
    where = f"N = {count}, {LATENCY} ms"
    if found := results.ratios(CLI, SITE, count, LATENCY):
        yield _least(f"{where}: CLI sequence / site.yml, wall", 40, median(found))
    for who, limit in ((SITE, 3), (PROCESS, 1.3), (ENGINE, 1.3)):
        if found := results.ratios(who, FLOOR, count, LATENCY):
            yield _most(f"{where}: {who} / floor, wall{_rounds(found)}", limit, median(found))


def _no_change(results: Results, count: int) -> Iterator[Target]:
    first = results.row(SITE, count, LATENCY)
    again = results.row(SITE, count, LATENCY, "no change")
    if again:
        what = f"N = {count}, no change: AWS requests a workload"
        yield _most(what, 1.1, again.requests / count)
        writes = sum(
            number
            for name, number in again.kubernetes.items()
            if name.split()[0] in ("create", "update", "patch", "delete", "apply")
        )
        yield _most(f"N = {count}, no change: Kubernetes writes", 0, writes)
        yield _most(f"N = {count}, no change: Kubernetes requests", 10, again.kube_requests)
    if walls := [one.walls for one in results.rounds if {"first run", "no change"} <= set(one.walls)]:
        found = [one["no change"] / one["first run"] for one in walls]
    else:
        found = [again.wall / first.wall] if first and again else []
    if found:
        what = f"N = {count}, {LATENCY} ms: no-change run / first run, wall{_rounds(found)}"
        yield _most(what, 1 / 3, median(found))
    if verified := results.row(SITE, 500, LATENCY, "verify"):
        yield _most("N = 500, verify: AWS requests a workload", 1.2, verified.requests / 500)


def _rounds(found: Sequence[float]) -> str:
    return f", median of {len(found)} rounds" if len(found) > 1 else ""


def _limited(results: Results) -> Iterator[Target]:
    for one in results.limited:
        what = f"N = {one.workloads}, {one.per_second} requests a second: site.yml / what the limit demands"
        yield _most(what, 1.15, one.wall / one.demanded)


def _memory(results: Results) -> Iterator[Target]:
    found = [row.memory for row in results.rows if row.who == SITE and row.workloads == 5000]
    if found:
        yield _most("N = 5000: peak memory of the process tree, MB", 500, max(found))


def _growth(results: Results) -> Iterator[Target]:
    """From 500 to 5,000: the exponent of the growth; 1 is linear, and more than 1.05 is worse."""
    for who, phase in (
        (SITE, "first run"),
        (SITE, "no change"),
        (SITE, "verify"),
        (SITE, "plan (check mode)"),
    ):
        small, large = (results.row(who, count, LATENCY, phase) for count in (500, 5000))
        if small and large:
            what = f"{who}, {phase}, N = 500 to 5000: growth exponent of CPU"
            yield _most(what, 1.05, _exponent(small, large))
    small, large = (results.row(ENGINE, count, LATENCY) for count in (500, 5000))
    if small and large:
        times = large.parts["plan"] / small.parts["plan"]
        yield _most("engine, plan alone, N = 500 to 5000: growth exponent", 1.05, math.log10(times))


def _exponent(small: Row, large: Row) -> float:
    return math.log(large.cpu / small.cpu) / math.log(large.workloads / small.workloads)


def _most(what: str, limit: float, found: float) -> Target:
    return Target(what, f"at most {limit:.3g}", f"{found:.3g}", found <= limit)


def _least(what: str, limit: float, found: float) -> Target:
    return Target(what, f"at least {limit:.3g}", f"{found:.3g}", found >= limit)
