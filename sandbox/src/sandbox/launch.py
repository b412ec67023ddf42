# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the identity of this process to a file, and then replace this process with a server or another command.

Usage: ``python -I -S launch.py RECORD PARENT SIGNAL COMMAND [ARGS]``. This script needs only the standard library and starts
in milliseconds.

RECORD is the file to write, or ``-`` to write no file. PARENT is the ID of the parent process, or 0. SIGNAL is the signal
that this process, and later COMMAND, gets when PARENT dies (Linux), or 0 for no signal. On Linux, this process ends if PARENT
dies before RECORD is written. So a server never runs without a record, and `sandbox down` always finds it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
EXIT_NOT_FOUND = 127
EXIT_NOT_EXECUTABLE = 126
EXIT_ORPHANED = 125


def start_mark(pid: int) -> str | None:
    """Return a text that identifies the start of a process, or None if the process does not exist or is a zombie.

    On Linux the text is the boot ID and the start time in clock ticks (field 22 of /proc/PID/stat), on other systems it is
    the output of ``ps -o lstart=``.
    """
    if not os.path.exists("/proc/self/stat"):
        return _start_mark_from_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            # Skip the name of the command. The name is in parentheses, and may itself contain spaces and parentheses.
            fields = stat.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            boot_id = boot.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot_id}/{started}"


def _start_mark_from_ps(pid: int) -> str | None:
    process = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = process.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _die_with_parent(parent: int, signal_number: int) -> None:
    """Let the kernel send a signal to this process when the parent dies (Linux). The signal number 0 disables that.

    Exit if the parent has already died.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before prctl was called, so no signal will follow.
        sys.exit(EXIT_ORPHANED)


def _record(path: str) -> None:
    pid = os.getpid()
    temporary = f"{path}.{pid}"
    with open(temporary, "w", encoding="utf-8") as stream:
        json.dump({"pid": pid, "started": start_mark(pid)}, stream)
    os.replace(temporary, path)


def main(arguments: list[str]) -> int:
    record, parent, signal_number, *command = arguments
    if int(parent):
        _die_with_parent(int(parent), int(signal_number) or signal.SIGKILL)
    if record != "-":
        _record(record)
    if int(parent) and not int(signal_number):
        _die_with_parent(int(parent), 0)
    try:
        os.execvp(command[0], command)
    except FileNotFoundError:
        print(f"{command[0]}: command not found", file=sys.stderr)
        return EXIT_NOT_FOUND
    except OSError as error:
        print(f"{command[0]}: cannot be run: {error.strerror}", file=sys.stderr)
        return EXIT_NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
