# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results as a page of the docs, with its chart.

report.py RESULTS.json DOCS_FOLDER
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from chart import Bar, Group, bar_chart
from contenders import CLI, ENGINE, FLOOR, LOOPS, ONE_THREAD, PLAY, PROCESS, SITE
from store import Results, Row, load
from targets import targets

ORDER = (CLI, LOOPS, ONE_THREAD, FLOOR, ENGINE, PROCESS, PLAY, SITE)
OURS = (ENGINE, PROCESS, PLAY, SITE)
PHASES = ("plan (check mode)", "first run", "no change", "one change", "verify", "teardown")
INTRO = """<!--
Copyright: (c) 2026, the workload_identity.aws authors
SPDX-License-Identifier: GPL-3.0-or-later
Written by benchmarks/report.py from benchmarks/results.json: change those.
-->
# Benchmarks

The same work by what people use today and by this collection: N workloads, each with a policy and a
role of its own, made from nothing and read back (the guide's five confirmations). One machine, against the
sandbox; every figure is that of the whole process with all that it starts.

![Wall time by contender](images/benchmarks.svg)

To repeat it, with the aws CLI version 2 installed (without it, what needs it is left out):

```console
$ make bench
$ make bench PEERS="1 10" SCALE="500" LATENCY="40"
```
"""
READING = """## How to read it

- **The endpoints are the [sandbox](../sandbox/README.md)**, on the same machine: it takes its share of the
  CPUs, so contenders that send many requests at once wait for it, too. Delays are added to AWS only: what slow answers of
  Kubernetes cost is in [architecture.md](architecture.md#why-it-is-so).
- **Single runs.** Other work on the machine shows as noise: compare within this page, and CPU rather than
  wall where a difference is small.
- **Kubernetes** is only in `site.yml`, `verify.yml` and `teardown.yml`: the others leave kubectl out.
- Memory is the peak of the proportional set size, summed over the process tree, looked at every 0.2 s.
- `boto3, 16 threads` is the floor: it creates without looking, waits for nothing, and reports nothing.
  Ours looks first, plans, tags, scopes the trust policies and verifies.
- `module, own process` is the engine's module as Ansible would start it, without Ansible;
  `engine, in-process` leaves the module's arguments and result out, too.
- A name with * is extrapolated from the largest N that was measured.
"""


def write_report(results: Results, docs: Path) -> None:
    """docs/benchmarks.md and docs/images/benchmarks.svg."""
    (docs / "images").mkdir(parents=True, exist_ok=True)
    (docs / "images/benchmarks.svg").write_text(_chart(results), encoding="utf-8")
    blocks = [INTRO, _about(results), *_targets(results), *_peers(results), *_scale(results)]
    blocks += [_rounds(results), _limited(results), _overhead(results), _engine(results)]
    blocks += [_operations(results), READING]
    (docs / "benchmarks.md").write_text("\n".join(block for block in blocks if block), encoding="utf-8")


def _about(results: Results) -> str:
    facts = "; ".join(f"{name} {value}" for name, value in results.about.items())
    notes = "".join(f"\n- {note}" for note in results.notes)
    return f"Measured: {facts}.\n{notes}\n"


def _targets(results: Results) -> list[str]:
    rows = [(one.what, one.wanted, one.found, one.verdict) for one in targets(results)]
    if not rows:
        return []
    return ["## Targets\n", _table(("target", "wanted", "measured", ""), rows)]


def _peers(results: Results) -> list[str]:
    blocks = []
    scaled = {row.workloads for row in results.rows if row.phase != "first run"}
    for latency in _latencies(results):
        rows = []
        for count in sorted({row.workloads for row in results.rows} - scaled):
            floor = results.row(FLOOR, count, latency)
            for who in ORDER:
                if row := results.row(who, count, latency):
                    times = f"{row.wall / floor.wall:.1f}" if floor else ""
                    rows.append((who + ("*" if row.extrapolated_from else ""), *_figures(row), times))
        if rows:
            head = ("who", "N", "wall s", "CPU s", "MB", "AWS requests", "Kubernetes requests", "tasks")
            blocks += [f"## All contenders, {latency} ms a request\n", _table((*head, "wall / floor"), rows)]
    return blocks


def _scale(results: Results) -> list[str]:
    blocks = []
    for latency in _latencies(results):
        rows = []
        for phase in PHASES:
            for count in sorted({row.workloads for row in results.rows if row.phase == "no change"}):
                if row := results.row(SITE, count, latency, phase):
                    each = f"{1000 * row.wall / count:.1f}"
                    rows.append((phase, *_figures(row), each))
        if rows:
            head = ("phase", "N", "wall s", "CPU s", "MB", "AWS requests", "Kubernetes requests", "tasks")
            blocks += [
                f"## This collection at scale, {latency} ms a request\n",
                _table((*head, "ms a workload"), rows),
            ]
    return blocks


def _rounds(results: Results) -> str:
    """The comparisons that were repeated, one line for each time."""
    rows = [
        (
            str(one.workloads),
            str(one.latency_ms),
            "; ".join(f"{name} {wall:.2f}" for name, wall in one.walls.items()),
        )
        for one in results.rounds
    ]
    if not rows:
        return ""
    return "## Again and again, wall seconds\n\n" + _table(("N", "ms a request", "measured in turn"), rows)


def _limited(results: Results) -> str:
    rows = [
        (
            str(one.workloads),
            str(one.per_second),
            f"{one.wall:.1f}",
            f"{one.demanded:.1f}",
            f"{one.wall / one.demanded:.2f}",
            str(one.requests),
            str(one.throttled),
        )
        for one in results.limited
    ]
    if not rows:
        return ""
    head = ("N", "requests a second", "wall s", "the limit demands s", "times", "answered", "throttled")
    return "## site.yml while AWS throttles, first run\n\n" + _table(head, rows)


def _overhead(results: Results) -> str:
    rows = [(one.what, f"{one.value:g} {one.unit}") for one in results.overhead]
    return "## What Ansible itself takes\n\n" + _table(("what", ""), rows) if rows else ""


def _engine(results: Results) -> str:
    found = [row for row in results.rows if row.parts]
    if not found:
        return ""
    names = list(found[0].parts)
    rows = [
        (str(row.latency_ms), str(row.workloads), *(f"{row.parts[name]:.2f}" for name in names))
        for row in found
    ]
    head = ("ms a request", "N", *names)
    return f"## The engine, part by part (first run, wall seconds)\n\n{_table(head, rows)}"


def _operations(results: Results) -> str:
    """AWS requests by operation, for the largest N of ours."""
    counts = [row.workloads for row in results.rows if row.phase == "no change"]
    if not counts:
        return ""
    count, latency = max(counts), _latencies(results)[-1]
    found = {phase: results.row(SITE, count, latency, phase) for phase in PHASES}
    shown = {phase: row for phase, row in found.items() if row is not None}
    names = sorted({name for row in shown.values() for name in row.aws})
    rows = [(name, *(str(row.aws.get(name, 0)) for row in shown.values())) for name in names]
    names = sorted({name for row in shown.values() for name in row.kubernetes})
    rows += [
        (f"Kubernetes: {name}", *(str(row.kubernetes.get(name, 0)) for row in shown.values()))
        for name in names
    ]
    return f"## Requests by operation, N = {count}\n\n{_table(('operation', *shown), rows)}"


def _figures(row: Row) -> tuple[str, ...]:
    return (
        f"{row.workloads}",
        f"{row.wall:.1f}",
        f"{row.cpu:.1f}",
        f"{row.memory:.0f}",
        f"{row.requests}",
        f"{row.kube_requests or '–'}",
        f"{row.tasks or '–'}",
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def _latencies(results: Results) -> list[int]:
    return sorted({row.latency_ms for row in results.rows})


def _chart(results: Results) -> str:
    latency = _latencies(results)[-1]
    groups = []
    scaled = sorted({row.workloads for row in results.rows if row.phase == "no change"})
    for count in sorted({row.workloads for row in results.rows} - set(scaled)):
        rows = [row for who in ORDER if (row := results.row(who, count, latency))]
        groups.append(Group(f"{count} workload{'' if count == 1 else 's'}, first run", _bars(rows)))
    for count in scaled:
        rows = [row for phase in PHASES if (row := results.row(SITE, count, latency, phase))]
        bars = [Bar(row.phase, row.wall, _peak(row), ours=True) for row in rows]
        groups.append(Group(f"{count} workloads, this collection", bars))
    return bar_chart(
        "Giving N service accounts an IAM role with EKS Pod Identity",
        f"Whole processes, {latency} ms a request to AWS; blue is this collection, dashed is extrapolated",
        groups,
    )


def _bars(rows: Iterable[Row]) -> list[Bar]:
    return [
        Bar(row.who, row.wall, _peak(row), ours=row.who in OURS, dashed=bool(row.extrapolated_from))
        for row in rows
    ]


def _peak(row: Row) -> str:
    return f"{row.memory:.0f} MB"


if __name__ == "__main__":
    write_report(load(Path(sys.argv[1])), Path(sys.argv[2]))
