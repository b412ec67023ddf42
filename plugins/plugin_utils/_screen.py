# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Display the lines of a report and the progress of a task in the form that the stdout callback of Ansible needs."""

from __future__ import annotations

import contextlib
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from ansible import constants
from ansible.utils.display import Display

from ..module_utils._findings.text import visible
from ._task import ActionTask


def output_form() -> Literal["text", "events", "data"]:
    """Return the form of Ansible's output: text for people, events for AWX and Automation Platform, or data such as JSON."""
    name = constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2]
    if name in ("awx_display", "tower_display"):
        return "events"
    return "data" if "json" in name or name == "null" else "text"


# AWX displays only this number of bytes of an event. "Download output" has the whole event.
EVENT_BYTES = 1024
# The maximum size of a page in bytes. It is smaller than an event, to leave space for line ends and colours.
_PAGE_BYTES = EVENT_BYTES - 24
# A line that is longer than a page is wrapped after this number of characters, which take at most 960 bytes in UTF-8.
_LINE_CHARACTERS = 240


def show_report(lines: Sequence[str], headline: str, failure: str, *, hidden: bool = False) -> dict[str, Any]:
    """Display the lines of a report. If the output of Ansible is data, return the lines as ``msg`` instead.

    The task succeeds, and its result has the reason for a failure as ``failure``. A later assertion fails instead, so that its
    message is the last one on the screen.

    :arg headline: the reason for a failure in one line, or "" for success.
    :arg failure: the complete reason for a failure, or "" for success.
    :arg hidden: whether to display nothing, because the task has ``no_log: true``.
    :returns: members to add to the result of the task.
    """
    form = output_form()
    if form == "data" and not hidden:
        return {"failure": failure, "msg": list(lines), "_ansible_verbose_always": True}
    # Display all lines in one call, so that the lines of several hosts do not mix. In AWX, each page becomes an event. The
    # message of a failure is only the headline, because AWX truncates long events.
    texts = pages(lines) if form == "events" else ["\n".join(map(visible, lines))]
    for text in () if hidden else texts:
        Display().display(text)
    return {"failure": headline}


def pages(lines: Sequence[str]) -> Iterator[str]:
    """Join lines into pages that each fit into one event of AWX. Wrap lines that are longer than a page."""
    page: str | None = None
    for line in map(visible, lines):
        parts = [line]
        if len(line.encode()) >= _PAGE_BYTES:
            parts = textwrap.wrap(line, _LINE_CHARACTERS, subsequent_indent="  ", break_on_hyphens=False)
        for part in parts:
            longer = part if page is None else f"{page}\n{part}"
            # A line end takes two bytes.
            if page is not None and len(longer.encode()) + longer.count("\n") > _PAGE_BYTES:
                yield page
                longer = part
            page = longer
    if page is not None:
        yield page


# The seconds until the time of a step is displayed, and the seconds between two displays.
FIRST_DELAY = 5.0
INTERVAL = 10.0


class Steps:
    """The steps of a task on the screen: the start of each step and, in a long step, its time at regular intervals.

    If the output of Ansible is data, the steps are not displayed.

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
        if self._displays and output_form() != "data":
            Display().display(visible(f"{self.title}: {text}"))

    @contextlib.contextmanager
    def watch(
        self, task: ActionTask, delay: float = FIRST_DELAY, interval: float = INTERVAL
    ) -> Iterator[None]:
        """Display the time of the current step at regular intervals while the block runs.

        The time is displayed only as text for people, and not for a task that is hidden or asynchronous.
        """
        if task.keywords.no_log or task.keywords.async_val or output_form() != "text":
            yield
            return
        ended = threading.Event()

        def display_time() -> None:
            pause = delay
            while not ended.wait(pause):
                pause = interval
                if self.step:
                    seconds = self._now() - self._begun
                    line = visible(f"{self.title}: {self.step} ({seconds:.0f} s)")
                    Display().display(line, screen_only=True)

        thread = threading.Thread(target=display_time, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
