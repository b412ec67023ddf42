# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes are recognised by more than their number, and only ours are stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox.processes import ProcessIdentity, spawn_server, stop

from sandbox import launch

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('deaf', flush=True)\n"
    "time.sleep(600)",
]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(SLEEPER)
    yield process
    process.kill()
    process.wait()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    found = ProcessIdentity.of(process.pid)
    assert found is not None
    return found


def test_a_live_process_is_recognised(sleeper: subprocess.Popen[bytes]) -> None:
    assert identity_of(sleeper).is_alive()


def test_two_processes_with_the_same_number_are_told_apart(
    sleeper: subprocess.Popen[bytes],
) -> None:
    earlier = ProcessIdentity(sleeper.pid, "another boot/1")
    assert not earlier.is_alive()


def test_a_process_that_ended_is_dead_before_its_parent_notices(
    sleeper: subprocess.Popen[bytes],
) -> None:
    found = identity_of(sleeper)
    sleeper.kill()
    assert found.wait_gone(10)
    assert Path(f"/proc/{sleeper.pid}").exists()


def test_a_foreign_process_gets_no_signal(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = ProcessIdentity(sleeper.pid, "another boot/1")
    assert not earlier.send(signal.SIGKILL)
    stop([earlier])
    assert sleeper.poll() is None


def test_stop_ends_a_process_that_ignores_the_request() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    stop([identity_of(process)], grace=0.2)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_stop_asks_before_it_ends(sleeper: subprocess.Popen[bytes]) -> None:
    stop([identity_of(sleeper)])
    assert sleeper.wait() == -signal.SIGTERM


def test_the_start_mark_does_not_depend_on_proc(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: path != "/proc/self/stat")
    mark = launch.start_mark(sleeper.pid)
    assert mark
    assert launch.start_mark(sleeper.pid) == mark
    sleeper.kill()
    sleeper.wait()
    assert launch.start_mark(sleeper.pid) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut short"),
        pytest.param("[]", id="a list"),
        pytest.param('{"pid": 1}', id="no start"),
        pytest.param('{"pid": "x", "started": "y"}', id="no number"),
    ],
)
def test_a_record_that_makes_no_sense_is_no_process(tmp_path: Path, text: str) -> None:
    record = tmp_path / "aws.json"
    record.write_text(text)
    assert ProcessIdentity.read(record) is None


def test_a_missing_record_is_no_process(tmp_path: Path) -> None:
    assert ProcessIdentity.read(tmp_path / "aws.json") is None


def test_a_server_records_itself_and_writes_to_its_log(tmp_path: Path) -> None:
    record, log = tmp_path / "x.json", tmp_path / "x.log"
    script = "import os, sys; print(os.getcwd()); print(os.environ['WORD'], file=sys.stderr)"
    process = spawn_server(
        [sys.executable, "-S", "-c", script],
        record=record,
        log=log,
        folder=tmp_path,
        environment={"WORD": "hello"},
        tied_to_us=False,
    )
    assert process.wait() == 0
    assert json.loads(record.read_text())["pid"] == process.pid
    assert sorted(log.read_text().splitlines()) == sorted([str(tmp_path), "hello"])


def test_a_server_leads_a_session_of_its_own(tmp_path: Path) -> None:
    process = spawn_server(
        SLEEPER,
        record=tmp_path / "x.json",
        log=tmp_path / "x.log",
        folder=tmp_path,
        environment={},
        tied_to_us=False,
    )
    try:
        assert os.getsid(process.pid) == process.pid
    finally:
        process.kill()
        process.wait()


PARENT = """
import sys, pathlib
sys.path.insert(0, {source!r})
from sandbox.processes import spawn_server
folder = pathlib.Path({folder!r})
spawn_server([sys.executable, "-S", "-c", "import time; time.sleep(600)"],
    record=folder / "x.json", log=folder / "x.log", folder=folder, environment={{}},
    tied_to_us={tied})
while not (folder / "x.json").exists(): pass
print("started", flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "detached"])
def test_a_tied_server_dies_with_its_parent_and_a_detached_one_does_not(tmp_path: Path, tied: bool) -> None:
    source = str(Path(launch.__file__).parents[1])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(source=source, folder=str(tmp_path), tied=tied)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdout.readline()
    server = ProcessIdentity.read(tmp_path / "x.json")
    assert server is not None
    parent.kill()
    parent.wait()
    parent.stdin.close()
    parent.stdout.close()
    assert server.wait_gone(5 if tied else 0.3) is tied
    stop([server])
    assert not server.is_alive()


def test_the_launcher_ends_when_its_parent_is_gone_already(tmp_path: Path) -> None:
    record = tmp_path / "x.json"
    arguments = [str(record), "1", str(int(signal.SIGKILL)), *SLEEPER]
    done = subprocess.run([sys.executable, "-I", "-S", launch.__file__, *arguments], check=False, timeout=30)
    assert done.returncode == launch.EXIT_ORPHANED
    assert not record.exists()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        pytest.param("no-such-program", 127, "no-such-program: command not found", id="missing"),
        pytest.param("/dev/null", 126, "/dev/null: cannot be run: Permission denied", id="no file"),
    ],
)
def test_a_command_that_cannot_run(command: str, code: int, message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, "-", "0", "0", command],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.strip()) == (code, message)
