# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The screen: who reads it, lines of a report, progress of a task."""

from __future__ import annotations

import contextlib
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import (
    visible,
    visible_lines,
    visible_values,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.task import ActionTask

_PAGED = ("awx_display", "tower_display")


def is_for_people() -> bool:
    """Return whether the output of this run is text rather than data."""
    return is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


def is_text(callback: str) -> bool:
    """Whether a stdout callback writes for people. AWX and Automation Platform have one of their own."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in (*_PAGED, "null"))


def is_paged() -> bool:
    """Return whether the output of this run is events, which AWX and Automation Platform show cut to their first bytes."""
    return constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2] in _PAGED


def printable(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Decorate the ``run`` of an action: what it returns or raises is printed as it is, by callbacks and with -v."""

    @wraps(run)
    def run_printably(*arguments: Any, **options: Any) -> dict[str, Any]:
        try:
            result = run(*arguments, **options)
        except AnsibleError as error:
            message = visible_lines(str(error))
            if message == str(error):
                raise
            raise AnsibleActionFail(message) from None
        return {str(name): visible_values(value) for name, value in result.items()}

    return run_printably


# AWX shows so many bytes of an event. All of it is in "Download output".
EVENT_BYTES = 1024
# With the line's end, and with room for four bytes a character where a line has to be cut.
_PAGE_BYTES = EVENT_BYTES - 24
_LINE_CHARACTERS = 240


def show_last(lines: Sequence[str], headline: str, failure: str, *, hidden: bool = False) -> dict[str, Any]:
    """Print the lines where output is for people, on AWX page by page; else put them into the result.

    ``headline`` and ``failure`` both say why it failed, the first in one line; both are "" where it did not.

    :arg hidden: print nothing, as for a task with ``no_log: true``, whose result Ansible hides.
    """
    if hidden:
        return {"failed": True, "msg": headline} if failure else {}
    if is_for_people():
        # In one piece, as several hosts may write at once.
        Display().display("\n".join(map(visible, lines)))
        return {"failed": True, "msg": headline} if failure else {}
    if is_paged():
        # Each is an event of its own, and the short message of a failure the last one.
        for page in pages(lines):
            Display().display(page)
        return {"failed": True, "msg": headline} if failure else {}
    if failure:
        return {"failed": True, "msg": failure, "lines": list(lines)}
    return {"msg": list(lines), "_ansible_verbose_always": True}


def pages(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines in texts that fit into an event."""
    page: list[str] = []
    size = 0
    for line in (part for each in lines for part in _cut(visible(each))):
        length = len(line.encode()) + 2
        if page and size + length > _PAGE_BYTES:
            yield "\n".join(page)
            page, size = [], 0
        page.append(line)
        size += length
    if page:
        yield "\n".join(page)


def _cut(line: str) -> list[str]:
    if len(line.encode()) < _PAGE_BYTES:
        return [line]
    return textwrap.wrap(line, _LINE_CHARACTERS, subsequent_indent="  ", break_on_hyphens=False)


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


class Steps:
    """The steps of a task: a line for each that begins, and for the current one how far it is.

    Safe to count from any thread. Nothing is displayed where the output of Ansible is data.

    :arg displays: whether steps that begin are displayed; those of many hosts at once would be noise.
    """

    def __init__(
        self, title: str, now: Callable[[], float] = time.monotonic, *, displays: bool = True
    ) -> None:
        self.title = title
        self._displays = displays
        self.step = ""
        self._now = now
        self._begun = now()
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, int]] = {}

    def begin(self, step: str) -> None:
        """Show that a step begins, like "applying 40 objects"."""
        with self._lock:
            self.step, self._begun, self._counts = step, self._now(), {}
        if self._displays and (is_for_people() or is_paged()):
            Display().display(visible(f"{self.title}: {step}"))

    def expect(self, stage: str, number: int) -> None:
        """Count so many more as expected in a stage of the step."""
        self._count(stage, 0, number)

    def done(self, stage: str) -> None:
        """Count one of them as done."""
        self._count(stage, 1, 0)

    def line(self) -> str:
        """Return "my-cluster: applying 40 objects (15 s)", or the counts of the step; "" before the first step."""
        with self._lock:
            step, begun, counts = self.step, self._begun, dict(self._counts)
        if counts:
            return progress_line(self.title, counts)
        return visible(f"{self.title}: {step} ({self._now() - begun:.0f} s)") if step else ""

    def _count(self, stage: str, done: int, expected: int) -> None:
        with self._lock:
            before, of = self._counts.get(stage, (0, 0))
            # A list can turn out to be longer than what was asked for.
            self._counts[stage] = before + done, max(before + done, of + expected)


def progress_line(title: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """ "my-cluster: read 1000 of 1000, policy 430 of 1000"; empty before anything is counted."""
    stages = ", ".join(
        f"{stage} {done} of {expected}" for stage, (done, expected) in counts.items() if expected
    )
    return visible(f"{title}: {stages}") if stages else ""


def is_watched(task: ActionTask) -> bool:
    """Return whether the screen may be read while a task runs."""
    return not task.keywords.no_log and not task.keywords.async_val and is_for_people()
