# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The condition keys of a request: known values, known absence, unknown values, and parts of other values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Extract:
    """The piece at index ``place`` of a text split at ``separator``, or the whole text without a separator."""

    separator: str = ""
    place: int = 0

    def take(self, text: str) -> str:
        """Return the piece of a text, or "" if it has too few pieces."""
        if not self.separator:
            return text
        pieces = text.split(self.separator)
        return pieces[self.place] if self.place < len(pieces) else ""


WHOLE = Extract()
ACCOUNT = Extract(":", 4)
CLUSTER_NAME = Extract("/", -1)
ORGANIZATION = Extract("/", 0)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A key with an unknown value.

    ``may_be_absent`` is False for a key that every request has. ``choices`` lists all possible values, or is None.
    ``shape`` is a pattern that every value matches (see ``shape_units``), or None.
    """

    may_be_absent: bool = True
    choices: tuple[str, ...] | None = None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Representative:
    """A key with one of many values that conditions without variables do not distinguish.

    ``values`` represents all of them. ``exact`` has the values with variables that do not distinguish them either.
    """

    values: tuple[str, ...]
    exact: frozenset[object] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """A key whose value is part of the value of the key ``root``. It is absent when ``root`` is."""

    root: str
    extract: Extract = WHOLE
    may_be_absent: bool = False


# The values of a key (an empty tuple if it is absent), or a placeholder for unknown values.
KeyState: TypeAlias = tuple[str, ...] | Unknown | Representative
ABSENT: tuple[str, ...] = ()
UNKNOWN_VALUE = Unknown()
PRESENT = Unknown(may_be_absent=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The keys of one request, by lower-case name.

    ``prefixes`` has the state of families such as ``aws:requesttag/``, ``default`` the state of every other key.
    ``decided`` has the assumed results of comparisons with variables.
    """

    keys: Mapping[str, KeyState | Part] = field(default_factory=dict)
    prefixes: tuple[tuple[str, KeyState], ...] = ()
    default: KeyState = UNKNOWN_VALUE
    decided: Mapping[object, bool] = field(default_factory=dict)

    def get(self, key: str) -> KeyState:
        """Return the state of a key in lower case."""
        state = self.keys.get(key)
        if state is None:
            for prefix, family in self.prefixes:
                if key.startswith(prefix):
                    return family
            return self.default
        if isinstance(state, Part):
            return UNKNOWN_VALUE if state.may_be_absent else _part(self.get(state.root), state.extract)
        return state

    def root(self, key: str) -> tuple[str, Extract]:
        """Return the key whose value contains this key's value, and which part of it; by default the key, and ``WHOLE``."""
        state = self.keys.get(key)
        if not isinstance(state, Part) or state.may_be_absent:
            return key, WHOLE
        return state.root, state.extract

    def canonical(self, key: str) -> str:
        """Return the key whose value contains this key's value."""
        return self.root(key)[0]

    def assume(self, more: Mapping[str, KeyState | Part]) -> Context:
        """Return a copy with other states of some keys."""
        return Context({**self.keys, **more}, self.prefixes, self.default, self.decided)

    def decide(self, question: object, answer: bool) -> Context:
        """Return a copy with the assumed result of one more comparison."""
        return replace(self, decided={**self.decided, question: answer})


def _part(state: KeyState, extract: Extract) -> KeyState:
    if extract is WHOLE:
        return state
    if isinstance(state, tuple):
        return tuple(map(extract.take, state))
    if isinstance(state, Representative):
        return Representative(tuple(map(extract.take, state.values)), state.exact)
    return Unknown(state.may_be_absent)
