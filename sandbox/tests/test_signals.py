# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test signals during a start: no process remains, or `sandbox down` stops the processes that remain."""

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
from sandbox.signals import STOPPING, Interrupted, ignore_signals, interruptible, uninterruptible

from sandbox import launch

Sandbox = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Pids = Callable[[], dict[str, int]]
Alive = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def restored_handlers() -> Iterator[None]:
    previous = {number: signal.getsignal(number) for number in STOPPING}
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOPPING)
def test_only_first_signal_interrupts(number: signal.Signals) -> None:
    events = []

    def interrupt() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)
            events.append("cleaned up")

    with pytest.raises(Interrupted) as raised, interruptible():
        interrupt()
    assert (raised.value.code, events) == (128 + number, ["cleaned up"])


def test_signal_is_deferred_until_end_of_block() -> None:
    events = []

    def start() -> None:
        with uninterruptible():
            signal.raise_signal(signal.SIGTERM)
            events.append("started")

    with pytest.raises(Interrupted), interruptible():
        start()
    assert events == ["started"]


def test_signal_is_deferred_until_block_fails() -> None:
    def start() -> None:
        with uninterruptible():
            signal.raise_signal(signal.SIGTERM)
            raise OSError

    with pytest.raises(Interrupted), interruptible():
        start()


def test_ignore_signals_prevents_interrupt() -> None:
    with interruptible():
        ignore_signals()
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


def test_handlers_are_restored() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with interruptible(), uninterruptible():
        pass
    assert signal.getsignal(signal.SIGTERM) is handler


PARENT = """
import os, pathlib, sys, time
sys.path.insert(0, {source!r})
from sandbox.processes import spawn_server
folder = pathlib.Path({folder!r})
process = spawn_server([sys.executable, "-S", "-c", "import time; time.sleep(600)"],
    record=folder / "x.json", log=folder / "x.log", folder=folder, environment={{}}, die_with_parent=False)
print(process.pid, flush=True)
time.sleep(600)
"""


def wait_for_file(path: Path, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_server_without_record_dies_with_parent(tmp_path: Path) -> None:
    """Kill the parent at many moments. A server that has not written its record must end with its parent."""
    source = str(Path(launch.__file__).parents[1])
    outcomes = set()
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT.format(source=source, folder=str(folder))],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert parent.stdout is not None
        server = ProcessIdentity.find(int(parent.stdout.readline()))
        if step < 19:
            time.sleep(step * 0.004)
        else:
            # In the last step, wait for the record, so that at least one server has a record even on a slow machine.
            wait_for_file(folder / "x.json")
        parent.kill()
        parent.wait()
        parent.stdout.close()
        recorded = ProcessIdentity.read(folder / "x.json")
        outcomes.add(recorded is not None)
        if recorded is None:
            assert server is None or server.wait_for_exit(10)
        elif recorded.is_alive():
            recorded.send(signal.SIGKILL)
            assert recorded.wait_for_exit(10)
    assert True in outcomes


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the processes are found in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.0, 0.1, 0.4, 1.0])
def test_interrupted_up_leaves_no_process(
    start_sandbox: Start,
    sandbox: Sandbox,
    state_folder: Path,
    running_processes: Alive,
    number: signal.Signals,
    delay: float,
) -> None:
    """Send a signal during or after the start.

    SIGKILL may leave processes, which `sandbox down` must stop. Other signals stop the servers, or arrive after the start and
    have no effect.
    """
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
    assert running_processes() == []


@pytest.mark.parametrize("name", ["aws", "kubernetes"])
def test_down_stops_servers_of_killed_up(
    start_sandbox: Start, sandbox: Sandbox, pids: Pids, running_processes: Alive, name: str
) -> None:
    """Kill `sandbox up` as soon as the server ``name`` has written its record."""
    process = start_sandbox("up")
    while name not in pids():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    sandbox("down")
    assert running_processes() == []
