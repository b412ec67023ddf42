# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How far a run is. A module cannot speak to the screen; it writes to a file that its action plugin reads."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from ..model.errors import InputError
from ..model.progress import NullProgress, Progress

# Seconds between two writes.
PAUSE = 0.5


class FileProgress:
    """Keeps a file with the counts: a JSON object, by stage the numbers of those done and of all.

    It is made here, for this user alone, and by no link: whatever is at the path already is another's, and
    InputError says so. A file that cannot be written for another reason is left: it must not stop a run.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.monotonic) -> None:
        self._path = Path(path)
        _make(self._path)
        self._now = now
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._written = -PAUSE

    def expect(self, stage: str, number: int) -> None:
        self._count(stage, 0, number)

    def done(self, stage: str) -> None:
        self._count(stage, 1, 0)

    def _count(self, stage: str, done: int, expected: int) -> None:
        with self._lock:
            counts = self._counts.setdefault(stage, [0, 0])
            counts[0] += done
            # A list can turn out to be longer than what was asked for.
            counts[1] = max(counts[0], counts[1] + expected)
            now = self._now()
            if now - self._written < PAUSE:
                return
            self._written = now
            # Replaced as a whole, so that a reader never sees half of it.
            scratch = self._path.with_name(f"{self._path.name}.new")
            with contextlib.suppress(OSError), _created(scratch) as file:
                file.write(json.dumps(self._counts))
                file.flush()
                os.replace(scratch, self._path)


def _make(path: Path) -> None:
    try:
        with _created(path):
            pass
    except FileExistsError as error:
        raise InputError(
            [
                f"progress_file {path}: is there already, and the module writes into no file of another. Remove it, "
                "or give the path of one that it can make."
            ]
        ) from error
    except OSError:
        return


def _created(path: Path) -> TextIO:
    """A file that was not there before, of mode 0600; FileExistsError for anything that is, a link included."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    return open(handle, "w", encoding="utf-8")


def progress_to(path: str | None) -> Progress:
    return FileProgress(path) if path else NullProgress()
