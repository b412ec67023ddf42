# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became slower or faster: this tree and earlier commits do the same work in turn, from plan to teardown.

    sandbox run --fresh -- python benchmarks/compare.py HEAD~10
    sandbox run --fresh -- python benchmarks/compare.py --count 1000 v0.1.0 HEAD~10

Wants ``sandbox/src`` on the path. All trees use the environment and the sandbox of this one. What else the machine does
hits all of them alike, so ratios of one run can be trusted where figures of two days cannot.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from contenders import PLAYBOOK, Command, extra_variables, write
from measure import Measured, measure
from surroundings import ROOT, Surroundings, child_environment

COUNT = 1
ROUNDS = 5
LATENCY_MS = 40.0
HERE = "this tree"
# In this order each leaves what the next one needs.
PHASES = {
    "plan": ("site", "--check"),
    "first run": ("site",),
    "no change": ("site",),
    "verify": ("verify",),
    "teardown": ("teardown",),
}

Runs = dict[tuple[str, str], list[Measured]]


def is_commit(revision: str) -> bool:
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    return subprocess.run(asked, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode == 0


def tree_of(revision: str, folder: Path) -> Path:
    """The files of a commit, and a collections path that has them beside what this tree depends on."""
    tree = folder / revision.replace("/", "-")
    tree.mkdir()
    archive = folder / "archive.tar"
    subprocess.run(["git", "archive", "--output", str(archive), revision], cwd=ROOT, check=True)
    with tarfile.open(archive) as files:
        files.extractall(tree, filter="data")
    collections = tree / ".collections" / "ansible_collections"
    (collections / "workload_identity").mkdir(parents=True)
    (collections / "workload_identity" / "aws").symlink_to(tree)
    for namespace in ("amazon", "kubernetes"):
        (collections / namespace).symlink_to(ROOT / ".collections" / "ansible_collections" / namespace)
    return tree


def command(tree: Path, phase: str, file: Path) -> Command:
    playbook, *options = PHASES[phase]
    return [PLAYBOOK, tree / f"playbooks/{playbook}.yml", "-e", extra_variables(file), *options]


def measure_in_turn(
    around: Surroundings, trees: dict[str, Path], file: Path, rounds: int, latency: float
) -> Runs:
    """By phase and name of the tree."""
    measured: Runs = {}
    for _ in range(rounds):
        for name, tree in trees.items():
            around.empty(latency)
            for phase in PHASES:
                run = measure(command(tree, phase, file), tree, child_environment(tree))
                measured.setdefault((phase, name), []).append(run)
    return measured


def table(measured: Runs, names: Sequence[str]) -> Iterator[str]:
    """The least of all rounds: what disturbs a run makes it longer. Ratios are to the first tree."""
    yield f"{'phase':<10} {'tree':<20} {'wall s':>8} {'CPU s':>8} {'wall':>6} {'CPU':>6}"
    for phase in PHASES:
        first = _least(measured[phase, names[0]])
        for name in names:
            wall, cpu = _least(measured[phase, name])
            ratios = f"{wall / first[0]:>6.2f} {cpu / first[1]:>6.2f}"
            yield f"{phase:<10} {name:<20} {wall:>8.2f} {cpu:>8.2f} {ratios}"


def _least(runs: Sequence[Measured]) -> tuple[float, float]:
    return min(run.wall for run in runs), min(run.cpu for run in runs)


def main() -> int:
    parser = argparse.ArgumentParser(description="This tree and earlier commits, in turn.")
    parser.add_argument("revisions", nargs="+", help="commits; all ratios are to the first of them")
    parser.add_argument("--count", type=int, default=COUNT, help="how many workloads")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often each is measured")
    parser.add_argument("--latency", type=float, default=LATENCY_MS, help="ms that AWS takes for an answer")
    asked = parser.parse_args()
    if unknown := [revision for revision in asked.revisions if not is_commit(revision)]:
        parser.error(f"no commit of this repository: {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        trees = {revision: tree_of(revision, folder) for revision in asked.revisions}
        trees[HERE] = ROOT
        file = write(folder, asked.count)
        measured = measure_in_turn(Surroundings(), trees, file, asked.rounds, asked.latency)
    print("\n".join(table(measured, list(trees))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
