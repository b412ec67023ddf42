# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the state folder, the lock in it, and the choice of free ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from sandbox.errors import SandboxError
from sandbox.layout import Layout
from sandbox.ports import free_ports, is_in_use, require_free
from sandbox.processes import ProcessIdentity
from sandbox.settings import Settings
from sandbox.state import Condition, State, observe

from sandbox import lock

STATE = State(
    settings=Settings(),
    ports={"aws": 4566},
    token="secret",
    processes=("aws",),
    started_at=datetime(2026, 1, 2, tzinfo=timezone.utc),
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "state")
    layout.claim()
    layout.prepare()
    return layout


def test_claim_creates_private_folder(layout: Layout) -> None:
    assert layout.root.stat().st_mode & 0o077 == 0


def test_claim_rejects_folder_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "kubernetes").mkdir()
    with pytest.raises(SandboxError) as raised:
        Layout(tmp_path).claim()
    assert str(raised.value) == (
        f"The state folder {tmp_path} contains files that do not belong to the sandbox.\n"
        "Choose an empty or new folder with --state or SANDBOX_STATE."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["kubernetes"]


def test_claim_rejects_file(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.touch()
    with pytest.raises(SandboxError, match=f"^The state folder {path} cannot be used: File exists"):
        Layout(path).claim()


def test_clear_keeps_logs_lock_and_other_files(layout: Layout) -> None:
    for path in (layout.lock, layout.log("aws"), layout.root / "notes", layout.state):
        path.touch()
    layout.clear()
    names = sorted(path.name for path in layout.root.iterdir())
    assert names == ["SANDBOX", "lock", "logs", "notes"]


def test_state_file_round_trip_is_private(layout: Layout) -> None:
    STATE.write(layout.state)
    assert State.read(layout.state) == STATE
    assert layout.state.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1}'], ids=repr)
def test_read_returns_none_for_invalid_state_file(layout: Layout, text: str) -> None:
    layout.state.write_text(text)
    assert State.read(layout.state) is None


def test_condition_follows_files_and_processes(layout: Layout) -> None:
    process = ProcessIdentity.find(os.getpid())
    assert process is not None
    assert observe(layout).condition is Condition.ABSENT
    process.write(layout.record("aws"))
    assert observe(layout).condition is Condition.INTERRUPTED
    STATE.write(layout.state)
    observation = observe(layout)
    assert (observation.condition, observation.alive, observation.dead) == (
        Condition.RUNNING,
        {"aws": process},
        (),
    )
    ProcessIdentity(process.pid, "another boot/1").write(layout.record("aws"))
    observation = observe(layout)
    assert (observation.condition, observation.alive, observation.dead) == (Condition.BROKEN, {}, ("aws",))


HOLDER = """
import pathlib, sys
from sandbox import lock
with lock.exclusive(pathlib.Path(sys.argv[1]), seconds=1, on_wait=lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_times_out_and_is_released_when_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(lock.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert lock.is_held(path)
    messages: list[str] = []
    with (
        pytest.raises(SandboxError) as raised,
        lock.exclusive(path, seconds=0.1, on_wait=lambda: messages.append("waiting")),
    ):
        pass
    assert messages == ["waiting"]
    assert str(raised.value) == (
        f"Another sandbox command has held {path} for 0.1 seconds.\n"
        "Wait for it to end, or find it with `ps` and stop it."
    )
    holder.kill()
    holder.communicate()
    assert not lock.is_held(path)
    with lock.exclusive(path, seconds=0, on_wait=lambda: messages.append("again")):
        assert lock.is_held(path)
    assert messages == ["waiting"]


def test_free_ports_are_free_and_distinct() -> None:
    ports = free_ports(4)
    assert len(set(ports)) == 4
    assert not any(map(is_in_use, ports))


def test_require_free_names_the_option() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError) as raised:
            require_free(port, "--aws-port")
    assert str(raised.value) == (
        f"Port {port} on 127.0.0.1 is already in use by another program.\n"
        "Omit --aws-port to use a free port, or choose another number."
    )
