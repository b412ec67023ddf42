# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Knowledge about the condition keys of a request: values, certain absence, or nothing; and parts of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Extract:
    """The piece at ``place`` (-1: the last) of a text cut at ``separator``; the whole text without one."""

    separator: str = ""
    place: int = 0

    def take(self, text: str) -> str:
        """The piece of a text."""
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
    """A key whose value is not known.

    ``may_be_absent`` is False for a key that the request certainly carries. ``choices``, where
    given, are all the values that it can have. ``shape``, where given, is a pattern that every
    value of the key matches.
    """

    may_be_absent: bool = True
    choices: tuple[str, ...] | None = None
    shape: str | None = None


@dataclass(frozen=True, slots=True)
class Some:
    """A key that has one of many values, which are alike to every condition without variables: ``values``
    stand for all of them. ``exact`` are the values with variables to which they are alike, too."""

    values: tuple[str, ...]
    exact: frozenset[object] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """A key whose value is part of another key's, ``root``, or absent when that is or when ``may_be_absent``."""

    root: str
    extract: Extract = WHOLE
    may_be_absent: bool = False


# The values of a key (an empty tuple: certainly absent), or what stands for values not known.
KeyState: TypeAlias = tuple[str, ...] | Unknown | Some
ABSENT: tuple[str, ...] = ()
UNKNOWN_VALUE = Unknown()
PRESENT = Unknown(may_be_absent=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The keys of one request, by lower-case name.

    ``prefixes`` gives the state of whole families such as ``aws:requesttag/``; ``default`` that of
    every other key. ``decided`` holds results that were assumed of conditions with variables.
    """

    keys: Mapping[str, KeyState | Part] = field(default_factory=dict)
    prefixes: tuple[tuple[str, KeyState], ...] = ()
    default: KeyState = UNKNOWN_VALUE
    decided: Mapping[object, bool] = field(default_factory=dict)

    def get(self, key: str) -> KeyState:
        """The state of a key, given in lower case."""
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
        """The key whose value this one's is part of, and which part; itself and the whole for others."""
        state = self.keys.get(key)
        if not isinstance(state, Part) or state.may_be_absent:
            return key, WHOLE
        return state.root, state.extract

    def canonical(self, key: str) -> str:
        """The key that holds the value of this one."""
        return self.root(key)[0]

    def assume(self, more: Mapping[str, KeyState | Part]) -> Context:
        """The same context with the states of some keys replaced."""
        return Context({**self.keys, **more}, self.prefixes, self.default, self.decided)

    def decide(self, question: object, answer: bool) -> Context:
        """The same context with one more result assumed."""
        return replace(self, decided={**self.decided, question: answer})


def _part(state: KeyState, extract: Extract) -> KeyState:
    if extract is WHOLE:
        return state
    if isinstance(state, tuple):
        return tuple(map(extract.take, state))
    if isinstance(state, Some):
        return Some(tuple(map(extract.take, state.values)), state.exact)
    return Unknown(state.may_be_absent)
