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
from collections.abc import Iterator
from types import FrameType

# Seconds between two looks at whether Ansible is still there.
LOOK = 0.5


@contextlib.contextmanager
def interruptible(parent: int | None = None) -> Iterator[None]:
    """SIGTERM, with which Ansible ends its workers, raises SystemExit once, so that ``finally`` is reached. So does the end of
    ansible-playbook: killed alone it ends no worker, and nobody is told what that does.

    What was started from here gets the signal as well, where this process leads a group: as in workers of ansible-core
    2.19 and newer, whose own answer to the signal this replaces.

    :arg parent: the process whose end is meant. Who was forked cannot ask for it: it may have ended before the question.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), number)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    ended = threading.Event()
    watch = threading.Thread(target=_watch_parent, args=(parent or os.getppid(), ended), daemon=True)
    watch.start()
    try:
        yield
    finally:
        ended.set()
        watch.join()
        signal.signal(signal.SIGTERM, before)


def _watch_parent(parent: int, ended: threading.Event) -> None:
    while not ended.wait(LOOK):
        # A process whose parent has ended gets another one.
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return
