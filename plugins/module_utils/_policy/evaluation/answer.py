# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The answer to a question that unknown keys may leave open: proven, or shown to turn by witnesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

YES = "yes"
NO = "no"
CONDITIONAL = "conditional"

# Values for unknown keys, by name; an empty tuple is a key that is absent.
Witness: TypeAlias = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Answer:
    """``proven`` is True or False when that holds for every value that the unknown keys can have.

    Else it is None, ``keys`` are those that it turns on, and the two witnesses, each checked by
    evaluation, show both outcomes. ``undecided``: neither was a proof found nor both witnesses, by
    the work that a verdict may cost; a witness that was found is given all the same.
    """

    proven: bool | None
    keys: tuple[str, ...] = ()
    allowed_when: Witness | None = None
    denied_when: Witness | None = None
    undecided: bool = False

    @property
    def decision(self) -> str:
        """In words: "yes", "no" or "conditional"."""
        return CONDITIONAL if self.proven is None else YES if self.proven else NO


def witness_row(witness: Witness | None) -> dict[str, object] | None:
    """A witness for a module's result: the value, a list of several, null for a key that is absent."""
    if witness is None:
        return None
    return {
        key: None if not values else values[0] if len(values) == 1 else list(values)
        for key, values in witness.items()
    }
