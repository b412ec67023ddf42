# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Display the lines of a report and the progress of a task in the form that the stdout callback of Ansible needs."""

from __future__ import annotations

import contextlib
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.utils.display import Display

from ..module_utils._findings.text import (
    visible,
    visible_lines,
    visible_values,
)
from ._task import ActionTask

# The stdout callbacks of AWX and Automation Platform, which write events.
_PAGED = ("awx_display", "tower_display")


def is_for_people() -> bool:
    """Return whether the output of Ansible is text for people, not JSON or events for AWX."""
    return is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


def is_text(callback: str) -> bool:
    """Return whether a stdout callback writes text for people.

    JSON callbacks write data, and the callbacks of AWX and Automation Platform write events.
    """
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in (*_PAGED, "null"))


def is_paged() -> bool:
    """Return whether the output of Ansible consists of events for AWX or Automation Platform, which truncate long events."""
    return constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2] in _PAGED


def printable(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Decorate the method ``run`` of an action, so that unprintable characters in its result and errors are escaped."""

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


# AWX displays only this number of bytes of an event. "Download output" has the whole event.
EVENT_BYTES = 1024
# The maximum size of a page in bytes. It is smaller than an event, to leave space for line ends and colours.
_PAGE_BYTES = EVENT_BYTES - 24
# A line that is longer than a page is wrapped after this number of characters, which take at most 960 bytes in UTF-8.
_LINE_CHARACTERS = 240


def show_last(lines: Sequence[str], headline: str, failure: str, *, hidden: bool = False) -> dict[str, Any]:
    """Display the lines of a report. If the output of Ansible is JSON, return the lines in the result instead.

    :arg headline: the reason for a failure in one line, or "" for success.
    :arg failure: the complete reason for a failure, or "" for success.
    :arg hidden: whether to display nothing, because the task has ``no_log: true``.
    :returns: members to add to the result of the task.
    """
    if hidden:
        return {"failed": True, "msg": headline} if failure else {}
    if is_for_people():
        # Display all lines in one call, so that the lines of several hosts do not mix.
        Display().display("\n".join(map(visible, lines)))
        return {"failed": True, "msg": headline} if failure else {}
    if is_paged():
        # Each page becomes an event. The message of a failure is only the headline, because AWX truncates long events.
        for page in pages(lines):
            Display().display(page)
        return {"failed": True, "msg": headline} if failure else {}
    if failure:
        return {"failed": True, "msg": failure, "lines": list(lines)}
    return {"msg": list(lines), "_ansible_verbose_always": True}


def show_report(lines: Sequence[str], headline: str, failure: str, *, hidden: bool = False) -> dict[str, Any]:
    """Display a report like ``show_last``, but let the task succeed: the result has the reason for a failure as ``failure``.

    A later assertion fails instead, so that its message is the last one on the screen. The arguments are those of
    ``show_last``.
    """
    last = show_last(lines, headline, failure, hidden=hidden)
    if not last.pop("failed", False):
        return {"failure": "", **last}
    reason = str(last.pop("msg"))
    return {"failure": reason, **({"msg": last["lines"]} if "lines" in last else {})}


def pages(lines: Sequence[str]) -> Iterator[str]:
    """Join lines into pages that each fit into one event of AWX."""
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


# The seconds until the time of a step is displayed, and the seconds between two displays.
FIRST_DELAY = 5.0
INTERVAL = 10.0


class Steps:
    """The steps of a task on the screen: the start of each step and, in a long step, its time at regular intervals.

    If the output of Ansible is JSON, the steps are not displayed.

    :arg title: the beginning of each line, such as the name of the cluster.
    :arg displays: whether to display the start of each step. For many hosts this would be too much output.
    """

    def __init__(
        self, title: str, now: Callable[[], float] = time.monotonic, *, displays: bool = True
    ) -> None:
        self.title = title
        self._displays = displays
        self.step = ""
        self._now = now
        self._begun = now()

    def begin(self, step: str) -> None:
        """Start a step, such as "applying 40 objects", and display its name if ``displays`` is set."""
        self.step, self._begun = step, self._now()
        self.show(step)

    def show(self, text: str) -> None:
        """Display a line as ``begin`` does, without starting a step."""
        if self._displays and (is_for_people() or is_paged()):
            Display().display(visible(f"{self.title}: {text}"))

    @contextlib.contextmanager
    def watch(
        self, task: ActionTask, delay: float = FIRST_DELAY, interval: float = INTERVAL
    ) -> Iterator[None]:
        """Display the time of the current step at regular intervals while the block runs.

        The time is displayed only as text for people, and not for a task that is hidden or asynchronous.
        """
        if task.keywords.no_log or task.keywords.async_val or not is_for_people():
            yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._display_time, args=(ended, delay, interval), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _display_time(self, ended: threading.Event, pause: float, interval: float) -> None:
        while not ended.wait(pause):
            pause = interval
            if self.step:
                seconds = self._now() - self._begun
                Display().display(visible(f"{self.title}: {self.step} ({seconds:.0f} s)"), screen_only=True)
