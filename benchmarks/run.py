# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure everything in one run, against one sandbox.

    make bench
    make bench PEERS="1 10" SCALE="500" LATENCY="40"

Writes the results as JSON after every measurement, and at the end the tables and the chart.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from contenders import (
    ENGINE,
    FLOOR,
    PROCESS,
    SITE,
    Command,
    Contender,
    aws_cli,
    contenders,
    engine_call,
    playbook,
    write,
)
from measure import measure
from overhead import overhead
from report import write_report
from store import Limited, Results, Round, Row, load, save
from surroundings import ROOT, Surroundings, child_environment

HERE = Path(__file__).resolve().parent
EXTRAPOLATE_ABOVE = 10
ROUNDS_OF = 50
AGAIN = 1000
LIMITED = 200
PER_SECOND = 20


class Bench:
    """One run of all measurements."""

    def __init__(self, results: Results, out: Path, scratch: Path) -> None:
        self.around = Surroundings()
        self.results = results
        self.out = out
        self.scratch = scratch

    def one(
        self,
        who: str,
        count: int,
        latency: int,
        phase: str,
        command: Command,
        parts: Mapping[str, float] | None = None,
    ) -> None:
        """``parts`` are those that were measured on their own."""
        self.around.start_counting()
        found = measure(command, ROOT, child_environment())
        requests = self.around.counted()
        row = Row(
            who=who,
            workloads=count,
            latency_ms=latency,
            phase=phase,
            wall=round(found.wall, 2),
            cpu=round(found.cpu, 2),
            memory=round(found.memory),
            tasks=found.tasks,
            aws=requests.aws,
            kubernetes=requests.kubernetes,
            parts={**_parts(found.output), **(parts or {})} if who == ENGINE else {},
        )
        self._keep(row)

    def peers(self, among: Sequence[Contender], counts: Sequence[int], latency: int, all_of_it: bool) -> None:
        """Every contender from nothing, in turn, for every N."""
        for count in counts:
            for contender in among:
                if self.results.row(contender.name, count, latency):
                    continue
                if contender.grows and count > EXTRAPOLATE_ABOVE and not all_of_it:
                    self._extrapolate(contender.name, count, latency)
                    continue
                self.around.empty(latency)
                command = contender.command(self.around, self.scratch, count)
                self.one(contender.name, count, latency, "first run", command)

    def rounds(self, among: Sequence[Contender], count: int, latency: int, times: int) -> None:
        """The quick contenders in turn, again and again: what else the machine does hits all alike."""
        quick = [one for one in among if one.name in (FLOOR, ENGINE, PROCESS, SITE)]
        for _ in range(times):
            walls = {}
            for contender in quick:
                self.around.empty(latency)
                command = contender.command(self.around, self.scratch, count)
                walls[contender.name] = round(measure(command, ROOT, child_environment()).wall, 2)
            self.results.rounds.append(Round(count, latency, walls))
            save(self.results, self.out)
            print(f"{latency:3} ms  {count} workloads: {walls}", flush=True)

    def again(self, count: int, latency: int, times: int) -> None:
        """A first run and one without changes, in turn, as often as is asked for."""
        for _ in range(times):
            self.around.empty(latency)
            command = playbook("site", write(self.scratch, count))
            walls = {
                phase: round(measure(command, ROOT, child_environment()).wall, 2)
                for phase in ("first run", "no change")
            }
            self.results.rounds.append(Round(count, latency, walls))
            save(self.results, self.out)
            print(f"{latency:3} ms  {count} workloads: {walls}", flush=True)

    def limited(self, count: int, latency: int, per_second: int) -> None:
        """A first run while AWS throttles."""
        self.around.empty(latency, per_second)
        self.around.start_counting()
        found = measure(playbook("site", write(self.scratch, count)), ROOT, child_environment())
        throttled = self.around.throttled()
        answered = sum(self.around.counted().aws.values()) - throttled
        limited = Limited(count, latency, per_second, round(found.wall, 2), answered, throttled)
        self.results.limited.append(limited)
        save(self.results, self.out)
        print(
            f"{latency:3} ms  {SITE:26} {count:5}  {per_second} requests a second {found.wall:8.2f} s wall, "
            f"{limited.demanded:.2f} s demanded, {answered} requests, {throttled} throttled",
            flush=True,
        )

    def scale(self, counts: Sequence[int], latency: int) -> None:
        """This collection alone, through all phases."""
        for count in counts:
            self.around.empty(latency)
            command = engine_call(self.around, self.scratch, count)
            plan = _parts(measure([*command, "plan"], ROOT, child_environment()).output)
            self.one(ENGINE, count, latency, "first run", command, plan)
            self.around.empty(latency)
            same, other = write(self.scratch, count), write(self.scratch, count, changed=1)
            self.one(SITE, count, latency, "plan (check mode)", playbook("site", same, "--check"))
            self.one(SITE, count, latency, "first run", playbook("site", same))
            self.one(SITE, count, latency, "no change", playbook("site", same))
            self.one(SITE, count, latency, "one change", playbook("site", other))
            self.one(SITE, count, latency, "verify", playbook("verify", other))
            self.one(SITE, count, latency, "teardown", playbook("teardown", other))

    def _extrapolate(self, who: str, count: int, latency: int) -> None:
        base = max(
            (row for row in self.results.rows if row.who == who and row.latency_ms == latency),
            key=lambda row: row.workloads,
            default=None,
        )
        if base is None:
            self.results.notes.append(f"{who} for {count}: nothing was measured to extrapolate from.")
            return
        times = count / base.workloads
        self._keep(
            Row(
                who=who,
                workloads=count,
                latency_ms=latency,
                phase=base.phase,
                wall=round(base.wall * times, 1),
                cpu=round(base.cpu * times, 1),
                memory=base.memory,
                tasks=base.tasks,
                aws={name: round(number * times) for name, number in base.aws.items()},
                kubernetes={},
                extrapolated_from=base.workloads,
            )
        )

    def _keep(self, row: Row) -> None:
        self.results.rows.append(row)
        save(self.results, self.out)
        note = f" (extrapolated from {row.extrapolated_from})" if row.extrapolated_from else ""
        print(
            f"{row.latency_ms:3} ms  {row.who:26} {row.workloads:5}  {row.phase:18} {row.wall:8.2f} s wall "
            f"{row.cpu:8.2f} s CPU {row.memory:6.0f} MB {row.requests:6} AWS {row.kube_requests:5} "
            f"Kubernetes requests{note}",
            flush=True,
        )


def _parts(output: str) -> dict[str, float]:
    parts: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return {name: round(seconds, 3) for name, seconds in parts.items()}


def about() -> dict[str, str]:
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    found = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "load average at the start": load,
        "python": platform.python_version(),
        **{name: version(name) for name in ("ansible-core", "boto3", "kubernetes")},
    }
    if (aws := aws_cli()) is not None:
        said = subprocess.run([aws, "--version"], check=True, capture_output=True, text=True).stdout
        found["aws CLI"] = said.split()[0].removeprefix("aws-cli/")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure this collection beside what people use today.")
    parser.add_argument("--peers", type=int, nargs="*", default=[1, 10, 50], help="N for all contenders")
    parser.add_argument("--scale", type=int, nargs="*", default=[500, 1000, 5000], help="N for ours alone")
    parser.add_argument("--latency", type=int, nargs="*", default=[0, 40], help="ms for each AWS request")
    parser.add_argument(
        "--measure-all",
        action="store_true",
        help=f"measure the slow contenders above N = {EXTRAPOLATE_ABOVE}, too",
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often comparisons are repeated")
    parser.add_argument(
        "--keep", action="store_true", help="measure only the contenders that the results lack"
    )
    parser.add_argument("--out", type=Path, default=HERE / "results.json")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    asked = parser.parse_args()
    among, notes = contenders()
    results = load(asked.out) if asked.keep else Results(about(), notes)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(results, asked.out, Path(scratch))
        for latency in asked.latency:
            bench.peers(among, asked.peers, latency, asked.measure_all)
        bench.rounds(among, ROUNDS_OF, max(asked.latency), asked.rounds)
        if asked.scale and asked.rounds:
            results.overhead[:] = overhead(bench.around, bench.scratch)
            bench.again(AGAIN, max(asked.latency), asked.rounds)
            bench.limited(LIMITED, max(asked.latency), PER_SECOND)
        # The answers that the targets ask for first.
        for latency in sorted(asked.latency, reverse=True):
            bench.scale(asked.scale, latency)
    write_report(results, asked.docs)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
