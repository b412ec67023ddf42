# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible itself costs: its start, a task, and bringing a module to where it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median

from contenders import MODULE, PLAYBOOK, Command, playbook, write
from first_request import PAIRS, measure_in_turn
from measure import measure
from store import Cost
from surroundings import ROOT, Surroundings, child_environment
from workloads import workloads

TASKS = 20
HANDED_OVER = 1000


def overhead(around: Surroundings, scratch: Path) -> list[Cost]:
    """Measured against an empty account without delay."""
    around.empty(0)
    none, many = _wall_of_tasks(scratch, 0), _wall_of_tasks(scratch, TASKS)
    found = [
        Cost("an empty play, from start to end", round(none, 2), "s"),
        Cost("a task that does nothing", round(1000 * (many - none) / TASKS), "ms"),
        Cost("imports of the module eks_pod_identity", round(_imports(), 2), "s"),
    ]
    found += [Cost(f"payload of the module {name}", size, "kB") for name, size in _payloads(scratch).items()]
    return [*found, *_handing_over(scratch), *_first_requests(around, scratch)]


def _wall_of_tasks(scratch: Path, count: int) -> float:
    task = {"name": "Do nothing", "ansible.builtin.assert": {"that": True, "quiet": True}}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task] * count}
    path = scratch / "nothing.json"
    path.write_text(json.dumps([play]), encoding="utf-8")
    return min(measure([PLAYBOOK, path], ROOT, child_environment()).wall for _ in range(3))


def _imports() -> float:
    def wall(code: str) -> float:
        return min(measure([sys.executable, "-c", code], ROOT, child_environment()).wall for _ in range(3))

    return wall(f"import {MODULE}") - wall("pass")


def _payloads(scratch: Path) -> dict[str, int]:
    """kB of what Ansible sends for a module, found where it was told to leave it."""
    folder = scratch / "remote"
    variables = {
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_workloads_from": [str(write(scratch, 1))],
    }
    keep = {"ANSIBLE_KEEP_REMOTE_FILES": "true", "ANSIBLE_REMOTE_TMP": str(folder)}
    command: Command = [PLAYBOOK, ROOT / "playbooks/site.yml", "-e", json.dumps(variables)]
    measure(command, ROOT, {**child_environment(), **keep})
    sizes = {path.stem.removeprefix("AnsiballZ_"): path.stat().st_size for path in folder.glob("*/Ansi*.py")}
    return {name: round(size / 1000) for name, size in sorted(sizes.items())}


def _handing_over(scratch: Path) -> list[Cost]:
    """The same plan with the list in a file that the modules read, and as a variable."""
    file = write(scratch, HANDED_OVER)
    variables = {"pod_identity_cluster_name": "my-cluster", "pod_identity_workloads": workloads(HANDED_OVER)}
    variable_file = scratch / "variables.json"
    variable_file.write_text(json.dumps(variables), encoding="utf-8")
    by_variable: Command = [PLAYBOOK, ROOT / "playbooks/site.yml", "--check", "-e", f"@{variable_file}"]
    what = f"plan for N = {HANDED_OVER}, the list"
    return [
        Cost(f"{what} read from a file", round(_wall(playbook("site", file, "--check")), 1), "s"),
        Cost(f"{what} given as a variable", round(_wall(by_variable), 1), "s"),
    ]


def _first_requests(around: Surroundings, scratch: Path) -> list[Cost]:
    """How long AWS waits for a play with many workloads."""
    measured = measure_in_turn(around, [ROOT], scratch, HANDED_OVER, PAIRS)
    what = f"start of site.yml to its first AWS request, N = {HANDED_OVER}, the list"
    return [
        Cost(f"{what} {way}, median of {PAIRS}", round(median(seconds), 2), "s")
        for (way, _tree), seconds in measured.items()
    ]


def _wall(command: Command) -> float:
    return measure(command, ROOT, child_environment()).wall
