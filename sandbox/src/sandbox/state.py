# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a running sandbox, which `sandbox up` writes to the state folder and other commands read."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import Any

from sandbox.layout import Layout
from sandbox.processes import ProcessIdentity
from sandbox.settings import Settings

VERSION = 1


@dataclass(frozen=True, slots=True)
class State:
    """The record of a running sandbox.

    ``ports`` has the port of each server by its name. ``token`` is the bearer token of the Kubernetes administrator.
    ``processes`` has the names of the servers that must run.
    """

    settings: Settings
    ports: dict[str, int]
    token: str
    processes: tuple[str, ...]
    started_at: datetime

    def write(self, path: Path) -> None:
        """Write the record to a file, atomically and with mode 0600."""
        record = {
            "version": VERSION,
            "settings": self.settings.to_json(),
            "ports": self.ports,
            "token": self.token,
            "processes": list(self.processes),
            "started_at": self.started_at.isoformat(),
        }
        write_private(path, json.dumps(record, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> State | None:
        """Read the record from a file. Return None if the file is missing, incomplete or of another version."""
        try:
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if record["version"] != VERSION:
                return None
            return cls(
                settings=Settings.from_json(record["settings"]),
                ports={str(name): int(port) for name, port in record["ports"].items()},
                token=str(record["token"]),
                processes=tuple(record["processes"]),
                started_at=datetime.fromisoformat(record["started_at"]),
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
            return None


class Condition(Enum):
    """The condition of a sandbox, which follows from the state folder and the running processes."""

    ABSENT = "absent"
    RUNNING = "running"
    BROKEN = "broken"
    """The sandbox was started, but at least one of its processes has died."""
    INTERRUPTED = "interrupted"
    """The start was interrupted, or has not finished yet."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The condition of a sandbox.

    ``alive`` has the running processes by name, ``dead`` the names of processes that should run but have died.
    """

    condition: Condition
    state: State | None
    alive: dict[str, ProcessIdentity]
    dead: tuple[str, ...] = ()


def observe(layout: Layout) -> Observation:
    recorded = {path.stem: ProcessIdentity.read(path) for path in records(layout)}
    alive = {name: process for name, process in recorded.items() if process and process.is_alive()}
    state = State.read(layout.state)
    if state is None:
        condition = Condition.INTERRUPTED if recorded else Condition.ABSENT
        return Observation(condition, None, alive)
    dead = tuple(name for name in state.processes if name not in alive)
    return Observation(Condition.BROKEN if dead else Condition.RUNNING, state, alive, dead)


def records(layout: Layout) -> list[Path]:
    return sorted(layout.processes.glob("*.json"))


def now() -> datetime:
    return datetime.now(timezone.utc)


def write_private(path: Path, text: str) -> None:
    """Write a file atomically and with mode 0600. An existing file is replaced."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(temporary, path)
