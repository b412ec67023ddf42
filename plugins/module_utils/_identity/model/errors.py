# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Input that cannot be used: the problems, each with its place. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class InputError(Exception):
    """Input that cannot be used. ``problems`` has one sentence for each place that is wrong."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Problems:
    """Problems found so far; reading goes on so that one run reports them all."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, place: str, text: str) -> None:
        """A problem at a place; an option of the run has none, as its name says where it is."""
        self.texts.append(f"{place}: {text}" if place else text)

    def attempt(self, read: Callable[[], T]) -> T | None:
        """What is read, or None and the problems of its InputError."""
        try:
            return read()
        except InputError as error:
            self.texts += error.problems
            return None

    def raise_if_any(self) -> None:
        if self.texts:
            raise InputError(self.texts)
