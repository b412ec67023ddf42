# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state folder is taken only when it is ours, and one command at a time works in it."""

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
from sandbox.ports import free_ports, is_taken, require_free
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


def test_a_new_folder_is_the_owners_alone(layout: Layout) -> None:
    assert layout.root.stat().st_mode & 0o077 == 0


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kubernetes").mkdir()
    with pytest.raises(SandboxError) as raised:
        Layout(tmp_path).claim()
    assert str(raised.value) == (
        f"The state folder {tmp_path} holds files that are not the sandbox's.\n"
        "Give an empty or new folder with --state or SANDBOX_STATE."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["kubernetes"]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.touch()
    with pytest.raises(SandboxError, match=f"^The state folder {path} cannot be used: File exists"):
        Layout(path).claim()


def test_clearing_keeps_the_logs_the_lock_and_files_of_others(layout: Layout) -> None:
    for path in (layout.lock, layout.log("aws"), layout.root / "notes", layout.state):
        path.touch()
    layout.clear()
    left = sorted(path.name for path in layout.root.iterdir())
    assert left == ["SANDBOX", "lock", "logs", "notes"]


def test_state_survives_being_written_and_is_private(layout: Layout) -> None:
    STATE.write(layout.state)
    assert State.read(layout.state) == STATE
    assert layout.state.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1}'], ids=repr)
def test_a_state_file_that_makes_no_sense_is_no_state(layout: Layout, text: str) -> None:
    layout.state.write_text(text)
    assert State.read(layout.state) is None


def test_conditions(layout: Layout) -> None:
    own = ProcessIdentity.of(os.getpid())
    assert own is not None
    assert observe(layout).condition is Condition.ABSENT
    own.write(layout.record("aws"))
    assert observe(layout).condition is Condition.INTERRUPTED
    STATE.write(layout.state)
    seen = observe(layout)
    assert (seen.condition, seen.alive, seen.dead) == (Condition.RUNNING, {"aws": own}, ())
    ProcessIdentity(own.pid, "another boot/1").write(layout.record("aws"))
    seen = observe(layout)
    assert (seen.condition, seen.alive, seen.dead) == (Condition.BROKEN, {}, ("aws",))


HOLD = """
import pathlib, sys
from sandbox import lock
with lock.exclusive(pathlib.Path(sys.argv[1]), seconds=1, on_wait=lambda: None):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_waited_for_told_and_freed_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        env={**os.environ, "PYTHONPATH": str(Path(lock.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert lock.is_held(path)
    told: list[str] = []
    with (
        pytest.raises(SandboxError) as raised,
        lock.exclusive(path, seconds=0.1, on_wait=lambda: told.append("waiting")),
    ):
        pass
    assert told == ["waiting"]
    assert str(raised.value) == (
        f"Another sandbox command has held {path} for 0.1 seconds.\n"
        "Wait for it to end, or find it with `ps` and stop it."
    )
    holder.kill()
    holder.communicate()
    assert not lock.is_held(path)
    with lock.exclusive(path, seconds=0, on_wait=lambda: told.append("again")):
        assert lock.is_held(path)
    assert told == ["waiting"]


def test_free_ports_are_free_and_different() -> None:
    ports = free_ports(4)
    assert len(set(ports)) == 4
    assert not any(map(is_taken, ports))


def test_a_taken_port_is_refused_with_the_option_to_change() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError) as raised:
            require_free(port, "--aws-port")
    assert str(raised.value) == (
        f"Port {port} on 127.0.0.1 is already in use by another program.\n"
        "Leave --aws-port out to have a free port chosen, or give another number."
    )
