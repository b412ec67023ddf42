# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long AWS waits for site.yml: from the start of ansible-playbook to its first request, in check mode.

    sandbox run --fresh -- python benchmarks/first_request.py
    sandbox run --fresh -- python benchmarks/first_request.py ../another-tree

Wants ``sandbox/src`` on the path. With another tree of this project, set up like this one, both are measured in turn.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from contenders import PLAYBOOK, Command, write
from measure import CommandFailed
from surroundings import ROOT, Surroundings, child_environment
from workloads import workloads

COUNT = 1000
PAIRS = 5
# Seconds between two looks at the counters.
PAUSE = 0.01

BY_FILE = "read from a file"
BY_VARIABLE = "given as a variable"


def ways(scratch: Path, count: int) -> dict[str, Mapping[str, object]]:
    """Extra variables for each way to give the workloads."""
    by_file = {"pod_identity_workloads_from": [str(write(scratch, count))]}
    return {BY_FILE: by_file, BY_VARIABLE: {"pod_identity_workloads": workloads(count)}}


def command(root: Path, scratch: Path, variables: Mapping[str, object]) -> Command:
    path = scratch / "variables.json"
    path.write_text(json.dumps({"pod_identity_cluster_name": "my-cluster", **variables}), encoding="utf-8")
    return [PLAYBOOK, root / "playbooks/site.yml", "--check", "-e", f"@{path}"]


def first_request(around: Surroundings, asked: Command, root: Path = ROOT) -> float:
    """Seconds until AWS gets a first request. The play runs to its end all the same."""
    around.start_counting()
    with tempfile.TemporaryFile("w+") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in asked],
            cwd=root,
            env=child_environment(root),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        while not around.counted_aws() and process.poll() is None:
            time.sleep(PAUSE)
        seconds = time.perf_counter() - started
        if process.wait():
            output.seek(0)
            raise CommandFailed(f"{asked[1]} ended with {process.returncode}:\n{output.read()[-3000:]}")
    return seconds


def measure_in_turn(
    around: Surroundings, trees: Sequence[Path], scratch: Path, count: int, pairs: int
) -> dict[tuple[str, Path], list[float]]:
    """Seconds by way and tree. What else the machine does hits all trees alike."""
    around.empty(0)
    measured: dict[tuple[str, Path], list[float]] = {}
    for _ in range(pairs):
        for way, variables in ways(scratch, count).items():
            for tree in trees:
                seconds = first_request(around, command(tree, scratch, variables), tree)
                measured.setdefault((way, tree), []).append(seconds)
    return measured


def main() -> int:
    parser = argparse.ArgumentParser(description="Time from the start of site.yml to the first AWS request.")
    parser.add_argument("trees", type=Path, nargs="*", help="other trees of this project, to compare")
    parser.add_argument("--count", type=int, default=COUNT, help="how many workloads")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how often each is measured")
    asked = parser.parse_args()
    trees = [*(tree.resolve() for tree in asked.trees), ROOT]
    with tempfile.TemporaryDirectory() as scratch:
        measured = measure_in_turn(Surroundings(), trees, Path(scratch), asked.count, asked.pairs)
    for (way, tree), seconds in measured.items():
        shown = ", ".join(f"{value:.2f}" for value in seconds)
        print(f"{asked.count} workloads, {way}, {tree.name}: {median(seconds):.2f} s (median of {shown})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
