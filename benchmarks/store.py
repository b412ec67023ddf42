# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, as JSON that a later run of the report reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. Seconds and MB; requests by operation; ``parts`` in seconds, where known.

    ``extrapolated_from`` is the N that was measured, when this one was not.
    """

    who: str
    workloads: int
    latency_ms: int
    phase: str
    wall: float
    cpu: float
    memory: float
    tasks: int
    aws: dict[str, int]
    kubernetes: dict[str, int]
    parts: dict[str, float] = field(default_factory=dict)
    extrapolated_from: int = 0

    @property
    def requests(self) -> int:
        return sum(self.aws.values())

    @property
    def kube_requests(self) -> int:
        return sum(self.kubernetes.values())


@dataclass(frozen=True, slots=True)
class Limited:
    """A first run while AWS took no more than ``per_second`` requests a second. ``requests`` is how many
    it answered, ``throttled`` how many it did not."""

    workloads: int
    latency_ms: int
    per_second: int
    wall: float
    requests: int
    throttled: int

    @property
    def demanded(self) -> float:
        """Seconds that the limit alone takes. The requests of the first second come at once."""
        return (self.requests - self.per_second) / self.per_second


@dataclass(frozen=True, slots=True)
class Round:
    """Wall seconds of contenders, or phases, measured one right after the other, by name."""

    workloads: int
    latency_ms: int
    walls: dict[str, float]


@dataclass(frozen=True, slots=True)
class Cost:
    """Something that Ansible itself takes."""

    what: str
    value: float
    unit: str


@dataclass(slots=True)
class Results:
    """``about`` says when, on what and with which versions; ``notes`` what was left out and why.

    ``rounds`` repeat the comparisons that noise would spoil."""

    about: dict[str, str]
    notes: list[str]
    rows: list[Row] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)
    limited: list[Limited] = field(default_factory=list)
    overhead: list[Cost] = field(default_factory=list)

    def row(self, who: str, workloads: int, latency_ms: int, phase: str = "first run") -> Row | None:
        return next(
            (
                row
                for row in self.rows
                if (row.who, row.workloads, row.latency_ms, row.phase) == (who, workloads, latency_ms, phase)
            ),
            None,
        )

    def ratios(self, who: str, other: str, workloads: int, latency_ms: int) -> list[float]:
        """Wall of ``who`` by wall of ``other``, of each round, or else of the two rows."""
        found = [
            one.walls[who] / one.walls[other]
            for one in self.rounds
            if (one.workloads, one.latency_ms) == (workloads, latency_ms) and {who, other} <= set(one.walls)
        ]
        row, base = self.row(who, workloads, latency_ms), self.row(other, workloads, latency_ms)
        return found or ([row.wall / base.wall] if row and base else [])


def save(results: Results, path: Path) -> None:
    path.write_text(json.dumps(asdict(results), indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> Results:
    raw = json.loads(path.read_text(encoding="utf-8"))
    rounds = [Round(**one) for one in raw["rounds"]]
    limited = [Limited(**one) for one in raw["limited"]]
    overhead = [Cost(**one) for one in raw.get("overhead", ())]
    return Results(raw["about"], raw["notes"], [Row(**row) for row in raw["rows"]], rounds, limited, overhead)
