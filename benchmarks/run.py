# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the benchmarks, and print their results as one Markdown table.

    nox -s bench
    nox -s bench -- --only peers --counts 1 --rounds 1

Contenders are measured in turn, so that other load on the machine affects all of them. Their figures are medians of the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

from contenders import Command, Contender, aws_cli, contenders
from fleet import add_options, fleet_rows
from measure import HEAD, Row, measure
from policy_verdicts import verdict_rows
from surroundings import ROOT, Surroundings, child_environment

PARTS = ("peers", "fleet", "verdicts")


class Bench:
    """The measurements that use a single cluster."""

    def __init__(self, scratch: Path, latency: int) -> None:
        self.around = Surroundings()
        self.scratch = scratch
        self.latency = latency

    def peers(self, compared: list[Contender], counts: list[int], rounds: int) -> Iterator[Row]:
        """Yield a row for each contender, phase and number of workloads, with the medians of all rounds."""
        for count in counts:
            found: dict[str, list[Row]] = {}
            for _ in range(rounds):
                for contender in compared:
                    for row in self._phases(contender, count):
                        found.setdefault(row.name, []).append(row)
            yield from map(_median, found.values())

    def _phases(self, contender: Contender, count: int) -> Iterator[Row]:
        measured = count if contender.limit is None else min(count, contender.limit)
        self.around.empty(self.latency)
        for phase, command in contender.phases(self.around, self.scratch, measured).items():
            row = self._row(f"{contender.name}, {phase}", measured, command, child_environment())
            yield row if measured == count else _extrapolated(row, count, count / measured)

    def _row(self, name: str, count: int, command: Command, environment: Mapping[str, str]) -> Row:
        self.around.start_counting()
        run = measure(command, ROOT, environment)
        return Row(name, str(count), self.latency, run.wall, run.cpu, run.memory, *self.around.counted())


def _extrapolated(row: Row, count: int, times: float) -> Row:
    return replace(
        row,
        count=f"{count}*",
        wall=(row.wall or 0) * times,
        cpu=(row.cpu or 0) * times,
        aws=round((row.aws or 0) * times),
    )


def _median(rows: list[Row]) -> Row:
    return replace(
        rows[-1],
        wall=median(row.wall or 0 for row in rows),
        cpu=median(row.cpu or 0 for row in rows),
        memory=median(row.memory or 0 for row in rows),
    )


def about() -> str:
    """Return a line with the date, the machine, its load, and the versions of the software."""
    names = ("ansible-core", "boto3", "kubernetes")
    facts = [
        datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "load average at the start " + ", ".join(f"{value:.1f}" for value in os.getloadavg()),
        f"python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in names),
    ]
    if (aws := aws_cli()) is not None:
        printed = subprocess.run([aws, "--version"], check=True, capture_output=True, text=True).stdout
        facts.append(printed.split()[0].replace("/", " "))
    return "; ".join(facts)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to measure")
    add("--counts", type=int, nargs="+", default=[1, 50, 1000], help="numbers of workloads")
    add("--rounds", type=int, default=3, help="rounds of the peers; figures are medians")
    add("--latency", type=int, default=40, help="delay of each response of AWS and Kubernetes in ms")
    add_options(parser)
    options = parser.parse_args()
    compared, notes = contenders()
    print(f"Measured: {about()}.", *notes, "", _line(HEAD), _line(["---"] * len(HEAD)), sep="\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.latency)
        parts: dict[str, Callable[[], Iterator[Row]]] = {
            "peers": partial(bench.peers, compared, options.counts, options.rounds),
            "fleet": partial(fleet_rows, options),
            "verdicts": verdict_rows,
        }
        for part in options.only:
            for row in parts[part]():
                print(_line(row.cells()), flush=True)
    return 0


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
