# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Show how far a task is, while it runs."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import is_for_people

# Seconds: the first line, and all others after it.
FIRST = 5.0
EACH = 10.0


class Watch(threading.Thread):
    """Asks again and again for a line, and shows it when it has changed."""

    def __init__(
        self, line: Callable[[], str], show: Callable[[str], None], first: float = FIRST, each: float = EACH
    ) -> None:
        super().__init__(daemon=True)
        self._line = line
        self._show = show
        self._first = first
        self._each = each
        self._ended = threading.Event()

    def run(self) -> None:
        pause = self._first
        shown = ""
        while not self._ended.wait(pause):
            pause = self._each
            line = self._line()
            if line and line != shown:
                self._show(line)
                shown = line

    def stop(self) -> None:
        self._ended.set()
        self.join()


@contextlib.contextmanager
def shown(line: Callable[[], str]) -> Iterator[None]:
    """Within it, the line stands on the screen now and then."""
    watch = Watch(line, lambda text: Display().display(text, screen_only=True))
    watch.start()
    try:
        yield
    finally:
        watch.stop()


class Activity:
    """What a task is at, and for how long, where nobody counts."""

    def __init__(self, title: str, now: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._now = now
        self._step: tuple[str, float] | None = None

    def begin(self, step: str) -> None:
        self._step = step, self._now()

    def line(self) -> str:
        """ "my-cluster: applying 40 objects, 15 s so far"; empty before anything has begun."""
        if self._step is None:
            return ""
        step, begun = self._step
        return visible(f"{self._title}: {step}, {self._now() - begun:.0f} s so far")


def read_line(path: Path, title: str) -> str:
    """The line for the file of a module; empty while there is none."""
    with contextlib.suppress(OSError, ValueError):
        return progress_line(title, json.loads(path.read_text(encoding="utf-8")))
    return ""


def progress_line(title: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """ "my-cluster: read 1000 of 1000, policy 430 of 1000"; empty before anything is counted."""
    stages = ", ".join(
        f"{stage} {done} of {expected}" for stage, (done, expected) in counts.items() if expected
    )
    return visible(f"{title}: {stages}") if stages else ""


def is_watched(caller: ActionBase) -> bool:
    """Whether someone may read the screen while a task runs."""
    return not caller._task.no_log and not caller._task.async_val and is_for_people()
