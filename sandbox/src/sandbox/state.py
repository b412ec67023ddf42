# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running sandbox is, as written to its state folder."""

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
    """A sandbox that has started. ``ports`` by process name; ``processes`` are those it needs."""

    settings: Settings
    ports: dict[str, int]
    token: str
    processes: tuple[str, ...]
    started_at: datetime

    def write(self, path: Path) -> None:
        """Atomic, readable by the owner alone."""
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
        """None when there is none, or one that another version wrote or that was cut short."""
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
    """What the state folder says when it is compared with the processes that live."""

    ABSENT = "absent"
    RUNNING = "running"
    BROKEN = "broken"
    """It had started, and a process of it has died."""
    INTERRUPTED = "interrupted"
    """A start did not finish, or is still at work."""


@dataclass(frozen=True, slots=True)
class Observation:
    condition: Condition
    state: State | None
    alive: dict[str, ProcessIdentity]
    """Processes of ours that live, by name."""
    dead: tuple[str, ...] = ()
    """Processes that the sandbox needs and that have died."""


def observe(layout: Layout) -> Observation:
    recorded = {path.stem: ProcessIdentity.read(path) for path in records(layout)}
    alive = {name: found for name, found in recorded.items() if found and found.is_alive()}
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
    """Replace a file in one step; mode 0600."""
    descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    os.replace(unfinished, path)
