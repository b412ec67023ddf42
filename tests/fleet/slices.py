# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet's play as AWX runs its slices: each a job of ansible-runner with its part of the inventory, all at once."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .scene import Raw, Scene

BIN = Path(sys.executable).parent
SECONDS = 300
PLAYBOOK = "workload_identity.aws.fleet"
# What a machine has before a job comes to it: neither credentials nor collections.
BARE = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Job:
    """``kept`` is the folder that has the job's events afterwards."""

    process: subprocess.Popen[str]
    kept: Path

    def end(self) -> tuple[str, dict[str, Any]]:
        """What it printed, and its artifacts: what set_stats left, which AWX takes from the last event."""
        output, _nothing = self.process.communicate(timeout=SECONDS + 30)
        assert self.process.returncode == 0, output
        events = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in self.kept.glob("artifacts/slice/job_events/*-*.json")
        ]
        [last] = [event for event in events if event["event"] == "playbook_on_stats"]
        printed = "\n".join(event["stdout"] for event in sorted(events, key=lambda event: event["counter"]))
        return printed, last["event_data"]["artifact_data"]


def parts(fleet: Scene, count: int) -> list[list[str]]:
    """The hosts of each slice, dealt out as AWX does it."""
    hosts = sorted(place.host for place in fleet.places)
    return [hosts[number::count] for number in range(count)]


def start_here(fleet: Scene, folder: Path, hosts: Sequence[str]) -> Job:
    """ansible-runner on this machine."""
    _write(fleet, folder, hosts)
    return Job(_popen(shlex.join(["ansible-runner", "run", str(folder), *_options()])), folder)


def start_elsewhere(fleet: Scene, folder: Path, hosts: Sequence[str]) -> Job:
    """What a control node sends to an execution node, and gets back from it: a folder that goes there and events that come."""
    sent, there, kept = (folder / name for name in ("sent", "there", "kept"))
    _write(fleet, sent, hosts)
    there.mkdir()
    kept.mkdir()
    stages = [
        ["ansible-runner", "transmit", str(sent), *_options()],
        ["ansible-runner", "worker", "--private-data-dir", str(there)],
        ["ansible-runner", "process", str(kept), "--ident", "slice"],
    ]
    return Job(_popen("set -o pipefail; " + " | ".join(shlex.join(stage) for stage in stages)), kept)


def _options() -> list[str]:
    return ["-p", PLAYBOOK, "--ident", "slice"]


def _popen(command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # With all that it starts it ends, also when nobody waits for it any more.
        ["timeout", str(SECONDS), "bash", "-c", command],
        env=BARE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _write(fleet: Scene, folder: Path, hosts: Sequence[str]) -> None:
    """The job: all that it is to know is in this folder."""
    for name in ("env", "inventory", "project"):
        (folder / name).mkdir(parents=True)
    inventory = json.loads(fleet.inventory().read_text(encoding="utf-8"))
    groups = inventory["all"]["children"]
    for group in groups.values():
        group["hosts"] = {host: found for host, found in group["hosts"].items() if host in hosts}
    environment = fleet.environment()
    given: Raw = {
        name: value
        for name, value in environment.items()
        if name.startswith(("ANSIBLE_", "AWS_")) and name != "ANSIBLE_HOME"
    }
    for path, content in (
        ("inventory/hosts.json", inventory),
        ("env/extravars", {"pod_identity_hosts": "fleet"}),
        ("env/envvars", given),
    ):
        (folder / path).write_text(json.dumps(content), encoding="utf-8")
