# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test processes: their identity, signals, records, and their end when the parent dies."""

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


def identify(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    identity = ProcessIdentity.find(process.pid)
    assert identity is not None
    return identity


def test_running_process_is_alive(sleeper: subprocess.Popen[bytes]) -> None:
    assert identify(sleeper).is_alive()


def test_reused_process_id_is_not_alive(
    sleeper: subprocess.Popen[bytes],
) -> None:
    earlier = ProcessIdentity(sleeper.pid, "another boot/1")
    assert not earlier.is_alive()


def test_zombie_is_not_alive(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = identify(sleeper)
    sleeper.kill()
    assert identity.wait_for_exit(10)
    assert Path(f"/proc/{sleeper.pid}").exists()


def test_send_ignores_process_with_reused_id(sleeper: subprocess.Popen[bytes]) -> None:
    earlier = ProcessIdentity(sleeper.pid, "another boot/1")
    assert not earlier.send(signal.SIGKILL)
    stop([earlier])
    assert sleeper.poll() is None


def test_stop_kills_process_ignoring_sigterm() -> None:
    process = subprocess.Popen(STUBBORN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    stop([identify(process)], grace=0.2)
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()


def test_stop_sends_sigterm_first(sleeper: subprocess.Popen[bytes]) -> None:
    stop([identify(sleeper)])
    assert sleeper.wait() == -signal.SIGTERM


def test_start_mark_without_proc(sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_read_returns_none_for_invalid_record(tmp_path: Path, text: str) -> None:
    record = tmp_path / "aws.json"
    record.write_text(text)
    assert ProcessIdentity.read(record) is None


def test_read_returns_none_for_missing_record(tmp_path: Path) -> None:
    assert ProcessIdentity.read(tmp_path / "aws.json") is None


def test_server_writes_record_and_log(tmp_path: Path) -> None:
    record, log = tmp_path / "x.json", tmp_path / "x.log"
    script = "import os, sys; print(os.getcwd()); print(os.environ['WORD'], file=sys.stderr)"
    process = spawn_server(
        [sys.executable, "-S", "-c", script],
        record=record,
        log=log,
        folder=tmp_path,
        environment={"WORD": "hello"},
        die_with_parent=False,
    )
    assert process.wait() == 0
    assert json.loads(record.read_text())["pid"] == process.pid
    assert sorted(log.read_text().splitlines()) == sorted([str(tmp_path), "hello"])


def test_server_leads_new_session(tmp_path: Path) -> None:
    process = spawn_server(
        SLEEPER,
        record=tmp_path / "x.json",
        log=tmp_path / "x.log",
        folder=tmp_path,
        environment={},
        die_with_parent=False,
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
    die_with_parent={tied})
while not (folder / "x.json").exists(): pass
print("started", flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "detached"])
def test_only_tied_server_dies_with_parent(tmp_path: Path, tied: bool) -> None:
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
    assert server.wait_for_exit(5 if tied else 0.3) is tied
    stop([server])
    assert not server.is_alive()


def test_launcher_exits_if_parent_is_dead(tmp_path: Path) -> None:
    record = tmp_path / "x.json"
    arguments = [str(record), "1", str(int(signal.SIGKILL)), *SLEEPER]
    result = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, *arguments], check=False, timeout=30
    )
    assert result.returncode == launch.EXIT_ORPHANED
    assert not record.exists()


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        pytest.param("no-such-program", 127, "no-such-program: command not found", id="missing"),
        pytest.param("/dev/null", 126, "/dev/null: cannot be run: Permission denied", id="no file"),
    ],
)
def test_launcher_reports_unusable_command(command: str, code: int, message: str) -> None:
    result = subprocess.run(
        [sys.executable, "-I", "-S", launch.__file__, "-", "0", "0", command],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr.strip()) == (code, message)
