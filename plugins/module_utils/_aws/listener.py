# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Detect that the reader of standard output has disappeared.

If the process that started a module is killed, the module continues, but the report of its changes is lost.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STANDARD_OUTPUT = 1
_LOST = select.POLLERR | select.POLLHUP


@contextmanager
def watch_reader(lost: Callable[[], None], stream: int = STANDARD_OUTPUT) -> Iterator[None]:
    """Call ``lost``, in another thread, if the reader of a pipe or socket disappears while the block runs.

    :arg stream: the file descriptor of the writing end. ``lost`` is never called for a file or a closed descriptor, because
        these have no reader.
    """
    block, end_of_block = os.pipe()
    watch = threading.Thread(target=_watch, args=(stream, block, lost), daemon=True)
    watch.start()
    try:
        yield
    finally:
        os.close(end_of_block)
        watch.join()
        os.close(block)


def _watch(stream: int, block: int, lost: Callable[[], None]) -> None:
    poll = select.poll()
    poll.register(stream, 0)
    poll.register(block, 0)
    events = dict(poll.poll())
    if block not in events and events[stream] & _LOST:
        lost()
