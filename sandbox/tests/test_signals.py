# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted starts leave no process, whatever the moment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox.processes import ProcessIdentity
from sandbox.signals import STOPPING, Interrupted, settle, stoppable, unstoppable

from sandbox import launch

Sandbox = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Pids = Callable[[], dict[str, int]]
Alive = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def handlers_as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_the_first_signal_interrupts_and_later_ones_do_not(number: signal.Signals) -> None:
    seen = []

    def interrupted() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)
            seen.append("cleaned up")

    with pytest.raises(Interrupted) as raised, stoppable():
        interrupted()
    assert (raised.value.code, seen) == (128 + number, ["cleaned up"])


def test_a_signal_waits_for_the_end_of_a_start() -> None:
    seen = []

    def start() -> None:
        with unstoppable():
            signal.raise_signal(signal.SIGTERM)
            seen.append("started")

    with pytest.raises(Interrupted), stoppable():
        start()
    assert seen == ["started"]


def test_a_signal_waits_for_a_start_that_fails() -> None:
    def start() -> None:
        with unstoppable():
            signal.raise_signal(signal.SIGTERM)
            raise OSError

    with pytest.raises(Interrupted), stoppable():
        start()


def test_a_settled_command_is_not_interrupted_any_more() -> None:
    with stoppable():
        settle()
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def test_handlers_are_as_before_where_nothing_happened() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stoppable(), unstoppable():
        pass
    assert signal.getsignal(signal.SIGTERM) is before


STARTER = """
import os, pathlib, sys, time
sys.path.insert(0, {source!r})
from sandbox.processes import spawn_server
folder = pathlib.Path({folder!r})
process = spawn_server([sys.executable, "-S", "-c", "import time; time.sleep(600)"],
    record=folder / "x.json", log=folder / "x.log", folder=folder, environment={{}}, tied_to_us=False)
print(process.pid, flush=True)
time.sleep(600)
"""


def wait_for_file(path: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_server_that_has_not_recorded_itself_dies_with_its_starter(tmp_path: Path) -> None:
    """The starter is killed at many moments: afterwards there is a record, or no server."""
    source = str(Path(launch.__file__).parents[1])
    outcomes = set()
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        starter = subprocess.Popen(
            [sys.executable, "-c", STARTER.format(source=source, folder=str(folder))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert starter.stdout is not None
        server = ProcessIdentity.of(int(starter.stdout.readline()))
        if step < 19:
            time.sleep(step * 0.004)
        else:
            # However slow the machine is, the last one has the time that it takes.
            wait_for_file(folder / "x.json")
        starter.kill()
        starter.wait()
        starter.stdout.close()
        recorded = ProcessIdentity.read(folder / "x.json")
        outcomes.add(recorded is not None)
        if recorded is None:
            assert server is None or server.wait_gone(10)
        elif recorded.is_alive():
            recorded.send(signal.SIGKILL)
            assert recorded.wait_gone(10)
    assert True in outcomes


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.4, 1.0])
def test_an_interrupted_up_leaves_no_process(
    start_sandbox: Start,
    sandbox: Sandbox,
    state_folder: Path,
    ours_alive: Alive,
    number: signal.Signals,
    delay: float,
) -> None:
    """What a killed one leaves, `down` knows of. One that comes too late has no effect."""
    process = start_sandbox("up")
    while not (state_folder / "lock").exists():
        assert process.poll() is None
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    process.communicate(timeout=60)
    if number == signal.SIGKILL:
        sandbox("down")
    elif process.returncode == 0:
        assert json.loads(sandbox("status", "--json").stdout)["up"]
        sandbox("down")
    else:
        assert process.returncode == 128 + number
    assert ours_alive() == []


@pytest.mark.parametrize("name", ["aws", "kubernetes"])
def test_a_killed_up_leaves_no_server_that_down_does_not_know(
    start_sandbox: Start, sandbox: Sandbox, pids: Pids, ours_alive: Alive, name: str
) -> None:
    """One server has recorded itself, the other perhaps not yet."""
    process = start_sandbox("up")
    while name not in pids():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    sandbox("down")
    assert ours_alive() == []
