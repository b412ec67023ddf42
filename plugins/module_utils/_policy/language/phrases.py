# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Conditions, and the values of a request, in words."""

from __future__ import annotations

from .context import Context, Unknown
from .elements import Condition

_SHOWN = 5


def describe_values(values: tuple[str, ...]) -> str:
    """Values in words, shortened when there are many."""
    if not values:
        return "nothing"
    shown = [repr(value if len(value) <= 200 else value[:197] + "...") for value in values[:_SHOWN]]
    more = len(values) - len(shown)
    return " or ".join(shown) + (f" or {more} more" if more > 0 else "")


def describe_action(action: str) -> str:
    """An action as it stands there, in quotes where that shows more than the letters do."""
    return action if all("!" <= character <= "~" for character in action) else repr(action)


def describe_condition(condition: Condition) -> str:
    """A condition in words."""
    return f"{condition.operator} {condition.key} {describe_values(condition.values)}"


def describe_actual(key: str, context: Context) -> str:
    """What the request has for a key, in words."""
    state = context.get(key.lower())
    if isinstance(state, Unknown) and state.choices:
        known = " or ".join(repr(choice) for choice in state.choices)
        return f"{known}, or no such key" if state.may_be_absent else known
    if not isinstance(state, tuple):
        return "a value that is not known"
    if not state:
        return "no such key"
    return " and ".join(repr(value) for value in state)
