# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure fleet.yml on many clusters in two accounts and two regions.

In the sandbox, each cluster has a separate Kubernetes API.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    running_fleet,
    workload,
)
from contenders import PLAYBOOK, Command
from measure import Row, measure

ACCOUNTS = ("111122223333", "444455556666")
REGIONS = ("us-west-2", "eu-central-1")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("fleet").add_argument
    add("--clusters", type=int, default=40)
    add("--workloads", type=int, default=25, help="number of workloads in each cluster")
    add("--forks", type=int, nargs="+", default=[10], help="forks of each process; every value is measured")


def fleet_rows(options: argparse.Namespace) -> Iterator[Row]:
    """Measure, and yield the rows about fleets."""
    count = f"{options.clusters} x {options.workloads}"
    with (
        tempfile.TemporaryDirectory() as folder,
        running_fleet(Path(folder), _places(options.clusters), latency_ms=options.latency) as fleet,
    ):
        fleet.variables["pod_identity_workloads"] = [
            workload(f"app{number:03}", f"{{{{ inventory_hostname }}}}-app{number:03}")
            for number in range(options.workloads)
        ]
        for forks in options.forks:
            command = _command(fleet, "fleet", forks)
            phases = {"first run": command, "no change": command, "verify": _command(fleet, "verify", forks)}
            for phase, phase_command in phases.items():
                yield _row(fleet, f"fleet.yml, {forks} forks, {phase}", count, options.latency, phase_command)
            fleet.reset()
            fleet.control.set_latency(options.latency)


def _places(count: int) -> list[ClusterHost]:
    """Return the clusters to measure: they alternate between two accounts, and within an account between two regions."""
    return [
        ClusterHost(f"c{number:03}", f"c{number:03}", ACCOUNTS[number % 2], REGIONS[number // 2 % 2])
        for number in range(count)
    ]


def _command(fleet: FleetFixture, playbook: str, forks: int) -> Command:
    extra = json.dumps({"pod_identity_hosts": "fleet"})
    inventory = str(fleet.inventory())
    return [PLAYBOOK, f"workload_identity.aws.{playbook}", "-i", inventory, "-f", str(forks), "-e", extra]


def _row(fleet: FleetFixture, name: str, count: str, latency: int, command: Command) -> Row:
    fleet.control.reset_counters()
    run = measure(command, fleet.folder, fleet.environment())
    return Row(name, count, latency, run.wall, run.cpu, run.memory, sum(fleet.operations().values()))
