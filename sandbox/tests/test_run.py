# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`run`: the command's exit code, its signals, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox.processes import ProcessIdentity

Sandbox = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]
Alive = Callable[[], list[str]]

REPORT_SIGNALS = """
import os, signal, sys, time
def told(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    if number != signal.SIGUSR1:
        sys.exit(40)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, told)
print("ready", os.environ["SANDBOX_STATE"], flush=True)
time.sleep(60)
"""


def leftovers(tmp_path: Path) -> list[str]:
    return [str(path) for path in (tmp_path / "tmp").glob("*/run-*")]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["true"], 0, id="success"),
        pytest.param(["sh", "-c", "exit 7"], 7, id="failure"),
        pytest.param(["sh", "-c", "kill -TERM $$"], 143, id="killed"),
        pytest.param(["no-such-program"], 127, id="not found"),
    ],
)
def test_the_exit_code_is_the_commands_and_nothing_is_left(
    sandbox: Sandbox, ours_alive: Alive, tmp_path: Path, command: list[str], code: int
) -> None:
    assert sandbox("run", "--", *command).returncode == code
    assert ours_alive() == []
    assert leftovers(tmp_path) == []


def test_the_output_is_the_commands_alone_and_the_words_go_to_stderr(sandbox: Sandbox) -> None:
    script = "import os; print(os.environ['AWS_ENDPOINT_URL'], os.path.exists(os.environ['KUBECONFIG']))"
    done = sandbox("run", "--", sys.executable, "-c", script)
    url = done.stdout.split()[0]
    assert done.stdout == f"{url} True\n"
    assert done.stderr.startswith(f"AWS: embedded (ministack with checks) on {url}, account ")


def test_arguments_reach_the_command_as_they_are(sandbox: Sandbox) -> None:
    script = "import sys; print(sys.argv[1:])"
    words = ["-v", "--", "--fresh", "a b", ""]
    done = sandbox("run", "--", sys.executable, "-c", script, *words)
    assert done.stdout == f"{words}\n"


def test_the_dashes_may_be_left_out(sandbox: Sandbox) -> None:
    done = sandbox("run", "--fresh", sys.executable, "-c", "import sys; sys.exit(9)")
    assert done.returncode == 9


def test_no_command_is_wrong_usage(sandbox: Sandbox) -> None:
    done = sandbox("run", "--")
    assert done.returncode == 2
    assert "run needs a command, as in: sandbox run -- ansible-playbook site.yml" in done.stderr


def test_a_running_sandbox_is_used_and_left_running(
    sandbox: Sandbox, state_folder: Path, ours_alive: Alive
) -> None:
    sandbox("up")
    done = sandbox("run", "--", "sh", "-c", "echo $SANDBOX_STATE")
    assert done.stdout == f"{state_folder}\n"
    assert len(ours_alive()) == 2
    assert sandbox("status").returncode == 0


def test_fresh_makes_another_one(sandbox: Sandbox, ours_alive: Alive, tmp_path: Path) -> None:
    sandbox("up")
    done = sandbox("run", "--fresh", "--", "sh", "-c", "echo $SANDBOX_STATE")
    assert done.stdout.startswith(f"{tmp_path}/tmp/")
    assert len(ours_alive()) == 2
    assert leftovers(tmp_path) == []


def test_commands_inside_mean_the_sandbox_they_are_in(sandbox: Sandbox, sandbox_python: str) -> None:
    status = [sandbox_python, "-P", "-m", "sandbox.cli", "status", "--json"]
    done = sandbox("run", "--", *status)
    assert done.returncode == 0
    assert json.loads(done.stdout)["up"] is True


def test_signals_are_passed_on(start_sandbox: Start, ours_alive: Alive, tmp_path: Path) -> None:
    process = start_sandbox("run", "--", sys.executable, "-c", REPORT_SIGNALS)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "got SIGUSR1\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert out == "got SIGTERM\n"
    assert process.returncode == 40
    assert ours_alive() == []
    assert leftovers(tmp_path) == []


def test_ctrl_c_on_a_terminal_reaches_the_command_once(
    sandbox_python: str, clean_environment: dict[str, str], ours_alive: Alive, tmp_path: Path
) -> None:
    command = [sandbox_python, "-P", "-m", "sandbox.cli", "run", "--"]
    primary, secondary = os.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command, sys.executable, "-c", REPORT_INTERRUPTS],
        cwd=tmp_path,
        env={**clean_environment, "SANDBOX_STATE": str(tmp_path / "state")},
        stdin=secondary,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    os.close(secondary)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    # Standard signals do not queue: `run` is held until the command has seen the terminal's.
    process.send_signal(signal.SIGSTOP)
    os.write(primary, b"\x03")
    assert process.stdout.readline() == "interrupt\n"
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=60)
    os.close(primary)
    assert out == "end\n"
    assert process.returncode == 5
    assert ours_alive() == []


REPORT_INTERRUPTS = """
import signal, sys, time
signal.signal(signal.SIGINT, lambda *_: print("interrupt", flush=True))
def end(*_):
    print("end", flush=True)
    sys.exit(5)
signal.signal(signal.SIGUSR1, end)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_killed_run_takes_its_servers_and_its_command_with_it(
    start_sandbox: Start, sandbox: Sandbox, tmp_path: Path
) -> None:
    process = start_sandbox("run", "--", sys.executable, "-c", REPORT_SIGNALS)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().split()[1])
    records = [*(folder / "processes").glob("*.json")]
    servers = [ProcessIdentity.read(path) for path in records]
    assert len(servers) == 2
    process.kill()
    out, _ = process.communicate(timeout=60)
    assert out == "got SIGTERM\n"
    assert all(server is not None and server.wait_gone(10) for server in servers)
    assert leftovers(tmp_path) == [str(folder)]
    assert sandbox("run", "--", "true").returncode == 0
    assert leftovers(tmp_path) == []


def test_what_a_killed_run_left_running_is_stopped_by_the_next(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox("run", "--", "true")
    base = next((tmp_path / "tmp").iterdir())
    folder = base / "run-gone"
    (folder / "processes").mkdir(parents=True)
    ProcessIdentity(1, "another boot/1").write(folder / "owner.json")
    left = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", folder])
    identity = ProcessIdentity.of(left.pid)
    assert identity is not None
    identity.write(folder / "processes/aws.json")
    assert sandbox("run", "--", "true").returncode == 0
    assert left.wait(timeout=10) == -signal.SIGTERM
    assert not folder.exists()


def test_a_failed_start_runs_nothing_and_leaves_nothing(
    sandbox: Sandbox, ours_alive: Alive, tmp_path: Path
) -> None:
    done = sandbox("run", "--account", "12", "--", "touch", str(tmp_path / "ran"))
    assert done.returncode == 1
    assert not (tmp_path / "ran").exists()
    assert ours_alive() == []
    assert leftovers(tmp_path) == []
