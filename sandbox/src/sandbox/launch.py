# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Become one of the sandbox's servers: record who we are, then exec.

Run as a script with ``python -I -S launch.py RECORD PARENT SIGNAL COMMAND [ARGS]``, so it
imports the standard library alone and takes milliseconds. The record is written by the very
process that becomes the server, and until it is written the process dies with the command that
started it. So whoever comes after that command sees a record, or there is no server.

RECORD is the file to write, or ``-``. PARENT is the process ID that has to be alive, or 0.
SIGNAL is what the kernel sends to this process when PARENT dies later on (Linux), or 0.
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
    """When the live process ``pid`` started, as text that no other process shares.

    Linux: the boot's ID and the start time in clock ticks (field 22 of /proc/PID/stat).
    Elsewhere: what ``ps -o lstart=`` says. None when there is no such process, or when it has
    ended and only waits for its parent to notice.
    """
    if not os.path.exists("/proc/self/stat"):
        return _start_mark_from_ps(pid)
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            # The command name, in brackets, may itself hold blanks and brackets.
            fields = stat.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            boot_id = boot.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]
    return None if state in "ZX" else f"{boot_id}/{started}"


def _start_mark_from_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def _die_with_parent(parent: int, signal_number: int) -> None:
    """Let the kernel send the signal when the parent dies; end now if it is dead. 0: no signal."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        # It died before the kernel was told whom to watch.
        sys.exit(EXIT_ORPHANED)


def _record(path: str) -> None:
    pid = os.getpid()
    unfinished = f"{path}.{pid}"
    with open(unfinished, "w", encoding="utf-8") as stream:
        json.dump({"pid": pid, "started": start_mark(pid)}, stream)
    os.replace(unfinished, path)


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
