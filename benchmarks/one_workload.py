# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long one workload takes with site.yml: a first run, and one that changes nothing.

    sandbox run --fresh -- python benchmarks/one_workload.py
    sandbox run --fresh -- python benchmarks/one_workload.py ../another-tree

Wants ``sandbox/src`` on the path. With another tree of this project, set up like this one, both are measured in turn.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median

from contenders import PLAYBOOK, Command, write
from measure import Measured, measure
from surroundings import ROOT, Surroundings, child_environment

PAIRS = 5
LATENCY_MS = 40.0
FIRST, NO_CHANGE = "first run", "no change"


def command(root: Path, scratch: Path) -> Command:
    variables = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads_from": [str(write(scratch, 1))],
    }
    return [PLAYBOOK, root / "playbooks/site.yml", "-e", json.dumps(variables)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description="site.yml for one workload: a first run, and one without change."
    )
    parser.add_argument("trees", type=Path, nargs="*", help="other trees of this project, to compare")
    parser.add_argument("--latency", type=float, default=LATENCY_MS, help="ms that AWS takes for an answer")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="how often each is measured")
    asked = parser.parse_args()
    trees = [*(tree.resolve() for tree in asked.trees), ROOT]
    around = Surroundings()
    measured: dict[tuple[str, Path], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(asked.pairs):
            for tree in trees:
                around.empty(asked.latency)
                for run in (FIRST, NO_CHANGE):
                    one = measure(command(tree, Path(scratch)), tree, child_environment(tree))
                    measured.setdefault((run, tree), []).append(one)
    for (run, tree), runs in measured.items():
        walls, processors = [one.wall for one in runs], [one.cpu for one in runs]
        shown = ", ".join(f"{wall:.2f}" for wall in walls)
        print(
            f"{run}, {tree.name}: {median(walls):.2f} s (least {min(walls):.2f}, CPU {median(processors):.2f}, "
            f"least {min(processors):.2f}; {shown})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
