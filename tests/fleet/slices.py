# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Concurrent job slices of a fleet, as AWX runs them: each is a job of ansible-runner with a part of the inventory."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scene import FleetFixture, Raw

BIN = Path(sys.executable).parent
SECONDS = 300
PLAYBOOK = "workload_identity.aws.fleet"
# The environment variables of a new execution node, without credentials and collections.
BARE = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Job:
    """A running job of ansible-runner, which writes its events to ``events_folder``."""

    process: subprocess.Popen[str]
    events_folder: Path

    def end(self, code: int = 0) -> tuple[str, dict[str, Any]]:
        """Wait for the end of the job. Return its output and its artifacts, which are the data of set_stats."""
        output, _errors = self.process.communicate(timeout=SECONDS + 30)
        assert self.process.returncode == code, output
        events = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in self.events_folder.glob("artifacts/slice/job_events/*-*.json")
        ]
        [last] = [event for event in events if event["event"] == "playbook_on_stats"]
        printed = "\n".join(event["stdout"] for event in sorted(events, key=lambda event: event["counter"]))
        return printed, last["event_data"]["artifact_data"]


def parts(fleet: FleetFixture, count: int) -> list[list[str]]:
    """Return the hosts of each slice, distributed as in AWX."""
    hosts = sorted(place.host for place in fleet.places)
    return [hosts[number::count] for number in range(count)]


def start_here(
    fleet: FleetFixture,
    folder: Path,
    hosts: Sequence[str],
    playbook: str = PLAYBOOK,
    check: bool = False,
    **extra: Any,
) -> Job:
    """Start a job with a single ansible-runner process. ``extra`` has further extra variables, such as earlier artifacts."""
    _write(fleet, folder, hosts, extra)
    arguments = [*_options(playbook), *(["--cmdline=--check"] if check else [])]
    return Job(_popen(shlex.join(["ansible-runner", "run", str(folder), *arguments])), folder)


def start_elsewhere(fleet: FleetFixture, folder: Path, hosts: Sequence[str]) -> Job:
    """Start a job as AWX does on a remote execution node, with the ansible-runner stages transmit, worker and process."""
    sent, worker, events_folder = (folder / name for name in ("sent", "worker", "events"))
    _write(fleet, sent, hosts)
    worker.mkdir()
    events_folder.mkdir()
    stages = [
        ["ansible-runner", "transmit", str(sent), *_options()],
        ["ansible-runner", "worker", "--private-data-dir", str(worker)],
        ["ansible-runner", "process", str(events_folder), "--ident", "slice"],
    ]
    return Job(_popen("set -o pipefail; " + " | ".join(shlex.join(stage) for stage in stages)), events_folder)


def _options(playbook: str = PLAYBOOK) -> list[str]:
    return ["-p", playbook, "--ident", "slice"]


def _popen(command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # The program timeout ends the child processes, even if the test is aborted.
        ["timeout", str(SECONDS), "bash", "-c", command],
        env=BARE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _write(
    fleet: FleetFixture, folder: Path, hosts: Sequence[str], extra: Mapping[str, Any] | None = None
) -> None:
    for name in ("env", "inventory", "project"):
        (folder / name).mkdir(parents=True)
    inventory = json.loads(fleet.inventory().read_text(encoding="utf-8"))
    groups = inventory["all"]["children"]
    for group in groups.values():
        group["hosts"] = {host: found for host, found in group["hosts"].items() if host in hosts}
    environment = fleet.environment()
    variables: Raw = {
        name: value
        for name, value in environment.items()
        if name.startswith(("ANSIBLE_", "AWS_")) and name != "ANSIBLE_HOME"
    }
    for path, content in (
        ("inventory/hosts.json", inventory),
        ("env/extravars", {"pod_identity_hosts": "fleet", **(extra or {})}),
        ("env/envvars", variables),
    ):
        (folder / path).write_text(json.dumps(content), encoding="utf-8")
