# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a task runs its ``finally`` blocks when its process gets a signal, and when Ansible exits before the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible

LONG = 60
# This program simulates that only ansible-playbook is killed: a parent process exits while its child works.
ORPHAN = f"""
import os, time
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible
reading, writing = os.pipe()
if os.fork():
    os.read(reading, 1)
    os._exit(0)
try:
    with interruptible():
        os.write(writing, b".")
        try:
            time.sleep({LONG})
        finally:
            print("in order", flush=True)
except SystemExit as end:
    print(end.code, flush=True)
"""

# In this program, a worker has a separate process group. Its child process prints a line when it gets the signal.
LEADER = f"""
import os, signal, subprocess, sys
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible
child = "import signal; signal.sigwait([signal.SIGTERM]); print('told', flush=True)"
ready = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); print('ready', flush=True);"
with interruptible():
    started = subprocess.Popen([sys.executable, "-c", ready + child], stdout=subprocess.PIPE, text=True)
    started.stdout.readline()
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        print(started.communicate(timeout={LONG})[0], end="", flush=True)
"""


# In this program, standard error of the worker is /dev/null.
CHILD = """
import os
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import parent_stderr
if os.fork():
    os.wait()
else:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    parent_stderr()("left:\\n- behind \\x1b[2J")
"""


def run(script: str, *, leads: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=LONG,
        start_new_session=leads,
    )


def end_twice(number: int, reached: list[str]) -> None:
    with interruptible():
        try:
            os.kill(os.getpid(), number)
            time.sleep(LONG)
        finally:
            # Ansible sends SIGTERM soon after Ctrl-C. A second signal must not interrupt the clean-up.
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            reached.append("in order")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_block_once(number: int) -> None:
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    reached: list[str] = []
    with pytest.raises(SystemExit, match=str(128 + number)):
        end_twice(number, reached)
    assert reached == ["in order"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_exit_of_the_parent_ends_the_block() -> None:
    # Both processes have the pipe of the output open, so ``run`` returns only after both have exited.
    assert run(ORPHAN).stdout.splitlines() == ["in order", str(128 + signal.SIGTERM)]


def test_children_of_a_leader_end_too() -> None:
    done = run(LEADER, leads=True)
    assert (done.stdout, done.returncode) == ("told\n", 128 + signal.SIGTERM), done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="without /proc nothing is written")
def test_worker_writes_to_standard_error_of_its_parent() -> None:
    assert run(CHILD).stderr == "left:\n- behind \\x1b[2J\n"
