# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about a policy besides the verdict, and how conditions are put into words."""

from __future__ import annotations

from dataclasses import dataclass

from .context import Context, Unknown
from .elements import Condition

ERROR = "error"
WARNING = "warning"
INFO = "info"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is stable; ``severity`` is "error", "warning" or "info"; ``statement`` names the
    statement, or is empty when the finding is about the whole policy."""

    code: str
    severity: str
    statement: str
    message: str
    remedy: str

    def as_dict(self) -> dict[str, str]:
        """For a module's result."""
        return {
            "code": self.code,
            "severity": self.severity,
            "statement": self.statement,
            "message": self.message,
            "remedy": self.remedy,
        }


def say_values(values: tuple[str, ...]) -> str:
    """Values in words, shortened when there are many."""
    if not values:
        return "nothing"
    shown = [repr(value if len(value) <= 200 else value[:197] + "...") for value in values[:_SHOWN]]
    more = len(values) - len(shown)
    return " or ".join(shown) + (f" or {more} more" if more > 0 else "")


def say_condition(condition: Condition) -> str:
    """A condition in words."""
    return f"{condition.operator} {condition.key} {say_values(condition.values)}"


def say_actual(key: str, context: Context) -> str:
    """What the request has for a key, in words."""
    state = context.get(key.lower())
    if isinstance(state, Unknown):
        return "a value that is not known"
    if not state:
        return "no such key"
    return " and ".join(repr(value) for value in state)
