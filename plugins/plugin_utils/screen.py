# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The screen: its reader, lines of a report, progress of a task."""

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
    """Return whether the output of this run is text for people and not data."""
    return is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


def is_text(callback: str) -> bool:
    """Return whether a stdout callback writes text for people. The callbacks of AWX and Automation Platform do not."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in (*_PAGED, "null"))


def is_paged() -> bool:
    """Return whether the output of this run is events of AWX or Automation Platform, which truncate long ones."""
    return constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2] in _PAGED


def printable(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Decorate the ``run`` of an action to make its result and errors safe to print."""

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


# The bytes of an event that AWX displays. "Download output" has all of it.
EVENT_BYTES = 1024
# Leaves room for the end of the line.
_PAGE_BYTES = EVENT_BYTES - 24
_LINE_CHARACTERS = 240


def show_last(lines: Sequence[str], headline: str, failure: str, *, hidden: bool = False) -> dict[str, Any]:
    """Display the lines, in pages on AWX. If the output is data, return them in the result.

    :arg headline: the reason for a failure in one line, or "" for success.
    :arg failure: the reason for a failure in full, or "" for success.
    :arg hidden: display nothing, for a task with ``no_log: true``, whose result Ansible hides.
    :return: members of the result of the task.
    """
    if hidden:
        return {"failed": True, "msg": headline} if failure else {}
    if is_for_people():
        # One call, because several hosts may display at once.
        Display().display("\n".join(map(visible, lines)))
        return {"failed": True, "msg": headline} if failure else {}
    if is_paged():
        # One event for each page. The message of a failure is short, because it is the last event.
        for page in pages(lines):
            Display().display(page)
        return {"failed": True, "msg": headline} if failure else {}
    if failure:
        return {"failed": True, "msg": failure, "lines": list(lines)}
    return {"msg": list(lines), "_ansible_verbose_always": True}


def pages(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines in texts that each fit into an event."""
    page: list[str] = []
    size = 0
    for line in (part for long_line in lines for part in _cut(visible(long_line))):
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


# Seconds until the first line, and between lines.
FIRST_DELAY = 5.0
INTERVAL = 10.0


class Watch(threading.Thread):
    """A thread that displays a line repeatedly, when it has changed.

    :arg delay: seconds until the first line.
    :arg interval: seconds between lines.
    """

    def __init__(
        self,
        line: Callable[[], str],
        show: Callable[[str], None],
        delay: float = FIRST_DELAY,
        interval: float = INTERVAL,
    ) -> None:
        super().__init__(daemon=True)
        self._line = line
        self._show = show
        self._delay = delay
        self._interval = interval
        self._ended = threading.Event()

    def run(self) -> None:
        pause = self._delay
        last_line = ""
        while not self._ended.wait(pause):
            pause = self._interval
            line = self._line()
            if line and line != last_line:
                self._show(line)
                last_line = line

    def stop(self) -> None:
        self._ended.set()
        self.join()


@contextlib.contextmanager
def show_progress(line: Callable[[], str]) -> Iterator[None]:
    """Display a line of progress from time to time within the block."""
    watch = Watch(line, lambda text: Display().display(text, screen_only=True))
    watch.start()
    try:
        yield
    finally:
        watch.stop()


class Steps:
    """The steps of a task, with the progress of the current one.

    Its methods are thread-safe. It displays nothing if the output of Ansible is data.

    :arg displays: whether to display the start of a step, which is too much output for many hosts.
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
        """Start a step, such as "applying 40 objects", and display it."""
        with self._lock:
            self.step, self._begun, self._counts = step, self._now(), {}
        if self._displays and (is_for_people() or is_paged()):
            Display().display(visible(f"{self.title}: {step}"))

    def expect(self, stage: str, number: int) -> None:
        """Add ``number`` to the expected count of a stage of the step."""
        self._count(stage, 0, number)

    def done(self, stage: str) -> None:
        """Add 1 to the completed count of a stage."""
        self._count(stage, 1, 0)

    def line(self) -> str:
        """Return the progress, such as "my-cluster: applying 40 objects (15 s)", or "" before the first step."""
        with self._lock:
            step, begun, counts = self.step, self._begun, dict(self._counts)
        if counts:
            return progress_line(self.title, counts)
        return visible(f"{self.title}: {step} ({self._now() - begun:.0f} s)") if step else ""

    def _count(self, stage: str, done: int, expected: int) -> None:
        with self._lock:
            completed, total = self._counts.get(stage, (0, 0))
            # A list may be longer than expected.
            self._counts[stage] = completed + done, max(completed + done, total + expected)


def progress_line(title: str, counts: Mapping[str, tuple[int, int]]) -> str:
    """Return the counts, such as "my-cluster: read 1000 of 1000, policy 430 of 1000", or "" without counts."""
    stages = ", ".join(
        f"{stage} {done} of {expected}" for stage, (done, expected) in counts.items() if expected
    )
    return visible(f"{title}: {stages}") if stages else ""


def is_watched(task: ActionTask) -> bool:
    """Return whether a task may display progress while it runs."""
    return not task.keywords.no_log and not task.keywords.async_val and is_for_people()
