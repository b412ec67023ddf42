# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long fleet.yml takes for many clusters in two accounts and two regions, beside a run of site.yml for each.

    PYTHONPATH=.collections:sandbox/src:benchmarks python benchmarks/fleet.py
    PYTHONPATH=.collections:sandbox/src:benchmarks python benchmarks/fleet.py --clusters 10 --site-runs 2
    … python benchmarks/fleet.py --clusters 8 --site-runs 0 --forks 2 8 --slices 1 2 4

Slices are processes at the same time, each with --limit to its part of the clusters. Each cluster has a Kubernetes API of its
own in the sandbox. The aws CLI sequence of the guide is carried on from what benchmarks/results.json has of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.tests.fleet.scene import Place, Scene, scene, workload
from ansible_collections.workload_identity.aws.tests.fleet.slices import parts, start_here
from contenders import CLI, PLAYBOOK
from measure import Measured, measure
from surroundings import ROOT

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("us-west-2", "eu-central-1")


def places(count: int) -> list[Place]:
    """Clusters that take turns in accounts, and within an account in regions."""
    return [
        Place(f"c{number:03}", f"c{number:03}", ACCOUNTS[number % 2], REGIONS[number // 2 % 2])
        for number in range(count)
    ]


def command(
    fleet: Scene, playbook: str, hosts: str, forks: int, slices: int, **variables: Any
) -> list[str | Path]:
    extra = json.dumps({"pod_identity_hosts": hosts, **variables})
    inventory = str(fleet.inventory())
    one = [str(PLAYBOOK), f"workload_identity.aws.{playbook}", "-i", inventory, "-f", str(forks), "-e", extra]
    if slices == 1:
        return [*one]
    limits = shlex.join(",".join(part) for part in parts(fleet, slices))
    return [
        "bash",
        "-c",
        f"printf '%s\\n' {limits} | xargs -P {slices} -I LIMIT {shlex.join(one)} --limit LIMIT",
    ]


def play(
    fleet: Scene, name: str, playbook: str, hosts: str, forks: int, slices: int = 1, **variables: Any
) -> Measured:
    fleet.control.reset_counters()
    asked = command(fleet, playbook, hosts, forks, slices, **variables)
    one = measure(asked, fleet.folder, fleet.environment())
    operations = fleet.operations()
    kept = ", ".join(f"{operation} {number}" for operation, number in sorted(operations.items()))
    total = sum(operations.values())
    print(
        f"{name:45} {one.wall:6.1f} s wall, {one.cpu:6.1f} s CPU, {one.memory:5.0f} MB, "
        f"{total} requests to AWS ({kept})",
        flush=True,
    )
    return one


def artifact_bytes(fleet: Scene, folder: Path) -> int:
    """What a job of AWX leaves as the artifact of one cluster, as JSON."""
    _printed, artifacts = start_here(fleet, folder, [fleet.places[0].host]).end()
    [one] = [found for name, found in artifacts.items() if name.startswith("pod_identity_artifact_")]
    return len(json.dumps(one).encode("utf-8"))


def cli_seconds(workloads: int, latency_ms: float) -> tuple[float, int]:
    """What the CLI sequence takes for so many workloads, carried on from the largest number that was measured."""
    results = json.loads((ROOT / "benchmarks/results.json").read_text(encoding="utf-8"))
    rows = [row for row in results["rows"] if row["who"] == CLI and row["latency_ms"] == int(latency_ms)]
    largest = max(rows, key=lambda row: row["workloads"], default=None)
    if largest is None:
        return 0.0, 0
    return largest["wall"] * workloads / largest["workloads"], largest["workloads"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--clusters", type=int, default=40)
    add("--workloads", type=int, default=25, help="of each cluster")
    add("--latency", type=float, default=40, help="ms that AWS and Kubernetes take for an answer")
    add("--forks", type=int, nargs="+", default=[10], help="of each process; one measurement for each")
    add("--slices", type=int, nargs="+", default=[1], help="one measurement for each, with each of --forks")
    add(
        "--site-runs",
        type=int,
        default=4,
        help="runs of site.yml that are measured; the others are carried on",
    )
    asked = parser.parse_args()
    count = asked.clusters * asked.workloads
    print(f"{asked.clusters} clusters x {asked.workloads} workloads, {asked.latency:g} ms a request")
    print(f"load average at the start {', '.join(f'{one:.1f}' for one in os.getloadavg())}", flush=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder), places(asked.clusters), latency_ms=asked.latency) as fleet,
    ):
        names = [f"app{number:03}" for number in range(asked.workloads)]
        fleet.variables["pod_identity_workloads"] = [
            workload(name, f"{{{{ inventory_hostname }}}}-{name}") for name in names
        ]
        for slices in asked.slices:
            for forks in asked.forks:
                everybody = ("fleet", "fleet", forks, slices)
                name = f"fleet.yml, {slices} x {forks} forks"
                play(fleet, f"{name}, first run", *everybody)
                play(fleet, f"{name}, no change", *everybody)
                play(fleet, f"{name}, verify", *everybody, pod_identity_verify_only=True)
                fleet.reset()
                fleet.control.set_latency(asked.latency)
        # Makes the first cluster.
        size = artifact_bytes(fleet, Path(folder) / "made")
        again = artifact_bytes(fleet, Path(folder) / "unchanged")
        print(
            f"artifact of one cluster: {size} bytes after a first run, {again} without a change", flush=True
        )
        fleet.reset()
        fleet.control.set_latency(asked.latency)
        measured = min(asked.site_runs, asked.clusters)
        for phase in ("first run", "no change") if measured else ():
            runs = [
                play(fleet, f"site.yml, {phase}, {place.host}", "site", place.host, 1)
                for place in fleet.places[:measured]
            ]
            whole = sum(one.wall for one in runs) / measured * asked.clusters
            print(
                f"site.yml, {phase}, {asked.clusters} runs one after the other: {whole:.0f} s, from {measured} of them"
            )
    seconds, largest = cli_seconds(count, asked.latency)
    if largest:
        print(f"guide's aws CLI sequence: {seconds:.0f} s, carried on from {largest} workloads")


if __name__ == "__main__":
    main()
