# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Show how far a module is, while it runs."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible

# Seconds: the first line, and all others after it.
FIRST = 5.0
EACH = 10.0


class Watch(threading.Thread):
    """Reads the file of a module again and again, and shows what it says when that has changed."""

    def __init__(
        self, path: Path, title: str, show: Callable[[str], None], first: float = FIRST, each: float = EACH
    ) -> None:
        super().__init__(daemon=True)
        self._path = path
        self._title = title
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

    def _line(self) -> str:
        with contextlib.suppress(OSError, ValueError):
            return progress_line(self._title, json.loads(self._path.read_text(encoding="utf-8")))
        return ""


def progress_line(title: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """ "my-cluster: read 1000 of 1000, policy 430 of 1000"; empty before anything is counted."""
    stages = ", ".join(
        f"{stage} {done} of {expected}" for stage, (done, expected) in counts.items() if expected
    )
    return visible(f"{title}: {stages}") if stages else ""


def is_text(callback: str) -> bool:
    """Whether a stdout callback writes for people. AWX and Automation Platform have one of their own."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in ("awx_display", "tower_display", "null"))
