# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test `sandbox run`: exit code, output, signals and clean-up."""

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
def report(number, frame):
    print("got", signal.Signals(number).name, flush=True)
    if number != signal.SIGUSR1:
        sys.exit(40)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, report)
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
def test_run_returns_exit_code_and_cleans_up(
    sandbox: Sandbox, running_processes: Alive, tmp_path: Path, command: list[str], code: int
) -> None:
    assert sandbox("run", "--", *command).returncode == code
    assert running_processes() == []
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("kind", ["file", "shared folder"])
def test_unsafe_folder_for_state_is_rejected(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    base = tmp_path.resolve() / "tmp" / f"workload-identity-sandbox-{os.getuid()}"
    if kind == "file":
        base.touch(mode=0o600)
    else:
        base.mkdir()
        base.chmod(0o755)
    result = sandbox("run", "--", "true")
    assert (result.returncode, result.stderr) == (
        1,
        f"sandbox: {base} is not a folder that only you can access.\n"
        "Remove it, or set TMPDIR to a private folder.\n",
    )


def test_run_writes_messages_to_stderr(sandbox: Sandbox) -> None:
    script = "import os; print(os.environ['AWS_ENDPOINT_URL'], os.path.exists(os.environ['KUBECONFIG']))"
    result = sandbox("run", "--", sys.executable, "-c", script)
    url = result.stdout.split()[0]
    assert result.stdout == f"{url} True\n"
    assert result.stderr.startswith(f"AWS: embedded model on {url}, account ")


def test_arguments_are_passed_unchanged(sandbox: Sandbox) -> None:
    script = "import sys; print(sys.argv[1:])"
    arguments = ["-v", "--", "--fresh", "a b", ""]
    result = sandbox("run", "--", sys.executable, "-c", script, *arguments)
    assert result.stdout == f"{arguments}\n"


def test_dashes_are_optional(sandbox: Sandbox) -> None:
    result = sandbox("run", "--fresh", sys.executable, "-c", "import sys; sys.exit(9)")
    assert result.returncode == 9


def test_run_without_command_is_a_usage_error(sandbox: Sandbox) -> None:
    result = sandbox("run", "--")
    assert result.returncode == 2
    assert "run needs a command, as in: sandbox run -- ansible-playbook site.yml" in result.stderr


def test_run_uses_running_sandbox(sandbox: Sandbox, state_folder: Path, running_processes: Alive) -> None:
    sandbox("up")
    result = sandbox("run", "--", "sh", "-c", "echo $SANDBOX_STATE")
    assert result.stdout == f"{state_folder}\n"
    assert len(running_processes()) == 2
    assert sandbox("status").returncode == 0


def test_fresh_starts_temporary_sandbox(sandbox: Sandbox, running_processes: Alive, tmp_path: Path) -> None:
    sandbox("up")
    result = sandbox("run", "--fresh", "--", "sh", "-c", "echo $SANDBOX_STATE")
    assert result.stdout.startswith(f"{tmp_path}/tmp/")
    assert len(running_processes()) == 2
    assert leftovers(tmp_path) == []


def test_nested_command_uses_outer_sandbox(sandbox: Sandbox, sandbox_python: str) -> None:
    status = [sandbox_python, "-P", "-m", "sandbox.cli", "status", "--json"]
    result = sandbox("run", "--", *status)
    assert result.returncode == 0
    assert json.loads(result.stdout)["up"] is True


def test_signals_are_forwarded(start_sandbox: Start, running_processes: Alive, tmp_path: Path) -> None:
    process = start_sandbox("run", "--", sys.executable, "-c", REPORT_SIGNALS)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("ready")
    process.send_signal(signal.SIGUSR1)
    assert process.stdout.readline() == "got SIGUSR1\n"
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert output == "got SIGTERM\n"
    assert process.returncode == 40
    assert running_processes() == []
    assert leftovers(tmp_path) == []


def test_ctrl_c_reaches_command_once(
    sandbox_python: str, clean_environment: dict[str, str], running_processes: Alive, tmp_path: Path
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
    # Two pending signals of one kind count as one. So suspend `run` until the command has received the terminal's signal.
    process.send_signal(signal.SIGSTOP)
    os.write(primary, b"\x03")
    assert process.stdout.readline() == "interrupt\n"
    process.send_signal(signal.SIGUSR1)
    process.send_signal(signal.SIGCONT)
    output, _ = process.communicate(timeout=60)
    os.close(primary)
    assert output == "end\n"
    assert process.returncode == 5
    assert running_processes() == []


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
def test_killed_run_stops_servers_and_command(start_sandbox: Start, sandbox: Sandbox, tmp_path: Path) -> None:
    process = start_sandbox("run", "--", sys.executable, "-c", REPORT_SIGNALS)
    assert process.stdout is not None
    folder = Path(process.stdout.readline().split()[1])
    records = [*(folder / "processes").glob("*.json")]
    servers = [ProcessIdentity.read(path) for path in records]
    assert len(servers) == 2
    process.kill()
    output, _ = process.communicate(timeout=60)
    assert output == "got SIGTERM\n"
    assert all(server is not None and server.wait_for_exit(10) for server in servers)
    assert leftovers(tmp_path) == [str(folder)]
    assert sandbox("run", "--", "true").returncode == 0
    assert leftovers(tmp_path) == []


def test_run_stops_servers_of_killed_run(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox("run", "--", "true")
    base = next((tmp_path / "tmp").iterdir())
    folder = base / "run-old"
    (folder / "processes").mkdir(parents=True)
    ProcessIdentity(1, "another boot/1").write(folder / "owner.json")
    leftover = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)", folder])
    identity = ProcessIdentity.find(leftover.pid)
    assert identity is not None
    identity.write(folder / "processes/aws.json")
    assert sandbox("run", "--", "true").returncode == 0
    assert leftover.wait(timeout=10) == -signal.SIGTERM
    assert not folder.exists()


def test_failed_start_does_not_run_command(
    sandbox: Sandbox, running_processes: Alive, tmp_path: Path
) -> None:
    result = sandbox("run", "--account", "12", "--", "touch", str(tmp_path / "ran"))
    assert result.returncode == 1
    assert not (tmp_path / "ran").exists()
    assert running_processes() == []
    assert leftovers(tmp_path) == []
