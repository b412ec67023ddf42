# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file lock, so that only one command at a time changes a sandbox. If the command dies, the kernel releases the lock."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError

POLL_SECONDS = 0.05


@contextmanager
def exclusive(path: Path, *, seconds: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock while the block runs.

    If another process holds the lock, call ``on_wait``, and wait for up to ``seconds``; then raise SandboxError. The lock
    file is never deleted: otherwise one process could lock the deleted file and another process a new file.
    """
    with path.open("a", encoding="utf-8") as stream:
        if not _try(stream.fileno()):
            on_wait()
            deadline = time.monotonic() + seconds
            while not _try(stream.fileno()):
                if time.monotonic() >= deadline:
                    raise SandboxError(
                        f"Another sandbox command has held {path} for {seconds:g} seconds.",
                        "Wait for it to end, or find it with `ps` and stop it.",
                    )
                time.sleep(POLL_SECONDS)
        yield


def is_held(path: Path) -> bool:
    """Return whether another process holds the lock."""
    try:
        with path.open("r", encoding="utf-8") as stream:
            return not _try(stream.fileno())
    except (FileNotFoundError, NotADirectoryError):
        return False


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
