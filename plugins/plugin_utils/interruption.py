# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""Let a task end in order when Ansible ends it, or ends itself."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Seconds between two looks at whether Ansible is still there.
LOOK = 0.5


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM, with which Ansible ends its workers, raise SystemExit once, so that ``finally`` is reached. So does
    the end of ansible-playbook: killed alone it ends no worker, and nobody is told what that does.

    What was started from here gets the signal as well, where this process leads a group: as in workers of ansible-core
    2.19 and newer, whose own answer to the signals this replaces.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), number)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    ended = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(os.getppid(), ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def leading_group() -> Iterator[None]:
    """Lead a process group, so that an interruption also ends what is started from here.

    A worker of ansible-core before 2.19 belongs to the group of ansible-playbook.
    """
    group = os.getpgrp()
    if group == os.getpid():
        yield
        return
    os.setpgid(0, 0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            # The group may have ended meanwhile.
            os.setpgid(0, group)


@contextlib.contextmanager
def parent_stderr() -> Iterator[Callable[[str], None]]:
    """Yield a function that writes a line to standard error of ansible-playbook.

    Workers have none of their own, and what they display is not shown any more once ansible-playbook is interrupted.
    Where the system does not give access to it, nothing is written.
    """
    try:
        descriptor = os.open(f"/proc/{os.getppid()}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)
    except OSError:
        yield lambda _text: None
        return

    def write(text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{text}\n".encode())

    try:
        yield write
    finally:
        os.close(descriptor)


def _watch_parent(parent: int, ended: threading.Event) -> None:
    while not ended.wait(LOOK):
        # A process whose parent has ended gets another one.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
