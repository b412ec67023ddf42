# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure fleet.yml on many clusters in two accounts and two regions, and site.yml on one cluster after the other.

A slice is a process that runs fleet.yml with --limit for a part of the clusters, concurrently with the other slices. In the
sandbox, each cluster has a separate Kubernetes API.
"""

from __future__ import annotations

import argparse
import json
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    running_fleet,
    workload,
)
from ansible_collections.workload_identity.aws.tests.fleet.slices import parts
from contenders import PLAYBOOK, Command
from measure import Row, measure
from surroundings import ROOT

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("us-west-2", "eu-central-1")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("fleet").add_argument
    add("--clusters", type=int, default=40)
    add("--workloads", type=int, default=25, help="number of workloads in each cluster")
    add("--forks", type=int, nargs="+", default=[10], help="forks of each process; every value is measured")
    add(
        "--slices",
        type=int,
        nargs="+",
        default=[1],
        help="slices; every value is measured with every value of --forks",
    )
    add("--site-runs", type=int, default=3, help="clusters to run site.yml on; the total is extrapolated")


def fleet_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Measure, and yield the rows about fleets: for this work tree, and for each other one in ``options.tree``."""
    count = f"{options.clusters} x {options.workloads}"
    with (
        tempfile.TemporaryDirectory() as folder,
        running_fleet(Path(folder), _places(options.clusters), latency_ms=options.latency) as fleet,
    ):
        fleet.variables["pod_identity_workloads"] = [
            workload(f"app{number:03}", f"{{{{ inventory_hostname }}}}-app{number:03}")
            for number in range(options.workloads)
        ]
        for slices in options.slices:
            for forks in options.forks:
                command = _command(fleet, "fleet", "fleet", forks, slices)
                verify = _command(fleet, "verify", "fleet", forks, slices)
                phases = {"first run": command, "no change": command, "verify": verify}
                for tree in (ROOT, *options.tree):
                    name = "fleet.yml" if tree == ROOT else f"fleet.yml of {tree.name}"
                    name += f", {slices} x {forks} forks"
                    for phase, phase_command in phases.items():
                        yield _row(fleet, f"{name}, {phase}", count, options.latency, phase_command, tree)
                    _empty(fleet, options.latency)
        places = fleet.places[: options.site_runs]
        for phase in ("first run", "no change") if places else ():
            commands = [_command(fleet, "site", place.host, 1, 1) for place in places]
            rows = [_row(fleet, phase, count, options.latency, command) for command in commands]
            yield _total(rows, f"site.yml for each cluster, {phase}", options.clusters)


def _places(count: int) -> list[ClusterHost]:
    """Return the clusters to measure: they alternate between two accounts, and within an account between two regions."""
    return [
        ClusterHost(f"c{number:03}", f"c{number:03}", ACCOUNTS[number % 2], REGIONS[number // 2 % 2])
        for number in range(count)
    ]


def _command(
    fleet: FleetFixture, playbook: str, hosts: str, forks: int, slices: int, **variables: Any
) -> Command:
    extra = json.dumps({"pod_identity_hosts": hosts, **variables})
    inventory = str(fleet.inventory())
    run = [str(PLAYBOOK), f"workload_identity.aws.{playbook}", "-i", inventory, "-f", str(forks), "-e", extra]
    if slices == 1:
        return [*run]
    limits = shlex.join(",".join(part) for part in parts(fleet, slices))
    return [
        "bash",
        "-c",
        f"printf '%s\\n' {limits} | xargs -P {slices} -I LIMIT {shlex.join(run)} --limit LIMIT",
    ]


def _row(
    fleet: FleetFixture, name: str, count: str, latency: int, command: Command, tree: Path = ROOT
) -> Row:
    fleet.control.reset_counters()
    environment = fleet.environment() | {"ANSIBLE_COLLECTIONS_PATH": str(tree.resolve() / ".collections")}
    run = measure(command, fleet.folder, environment)
    return Row(name, count, latency, run.wall, run.cpu, run.memory, sum(fleet.operations().values()))


def _total(rows: Sequence[Row], name: str, clusters: int) -> Row:
    """Return one row for all clusters: the sums of times and requests, and the maximum of memory.

    If ``rows`` has only some of the clusters, times and requests are extrapolated.
    """
    times = clusters / len(rows)
    return replace(
        rows[0],
        name=name,
        count=rows[0].count + ("" if times == 1 else "*"),
        wall=sum(row.wall or 0 for row in rows) * times,
        cpu=sum(row.cpu or 0 for row in rows) * times,
        memory=max(row.memory or 0 for row in rows),
        aws=round(sum(row.aws or 0 for row in rows) * times),
    )


def _empty(fleet: FleetFixture, latency: int) -> None:
    fleet.reset()
    fleet.control.set_latency(latency)
