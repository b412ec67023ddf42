# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Why IAM refuses a document, or might."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ..._findings.text import visible

_SHOWN = 120


def quote(value: str) -> str:
    """A value in quotes, shortened when it is long."""
    return repr(value if len(value) <= _SHOWN else f"{value[: _SHOWN - 3]}...")


class ReasonRow(TypedDict):
    """A reason as modules return it. ``statement`` is empty when it concerns the whole document."""

    certain: bool
    statement: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Reason:
    """``certain``: AWS documents or answers that it refuses this. Otherwise the documentation leaves open
    whether it does, and ``message`` says what that turns on. ``remedy`` is empty where the message is enough."""

    certain: bool
    statement: str
    message: str
    remedy: str

    @property
    def text(self) -> str:
        """The message with its place."""
        return f"{self.statement}: {self.message}" if self.statement else self.message

    @property
    def advice(self) -> str:
        """The same with what to do about it."""
        return f"{self.text}. {self.remedy}" if self.remedy else self.text

    def as_row(self) -> ReasonRow:
        return {
            "certain": self.certain,
            "statement": visible(self.statement),
            "message": visible(self.message),
            "remedy": visible(self.remedy),
        }
