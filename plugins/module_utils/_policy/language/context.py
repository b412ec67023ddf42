# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is known of the condition keys of a request: values, certain absence, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


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


# The values of a key (an empty tuple: certainly absent), or Unknown.
State: TypeAlias = tuple[str, ...] | Unknown
ABSENT: tuple[str, ...] = ()
UNKNOWN = Unknown()
PRESENT = Unknown(may_be_absent=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The keys of one request, by lower-case name.

    In place of a state, ``keys`` may name another key that always has the same value.
    ``prefixes`` gives the state of whole families such as ``aws:requesttag/``; ``default`` that of
    every other key.
    """

    keys: Mapping[str, State | str] = field(default_factory=dict)
    prefixes: tuple[tuple[str, State], ...] = ()
    default: State = UNKNOWN

    def get(self, key: str) -> State:
        """The state of a key, given in lower case."""
        state = self.keys.get(key)
        if state is not None:
            return self.get(state) if isinstance(state, str) else state
        for prefix, family in self.prefixes:
            if key.startswith(prefix):
                return family
        return self.default

    def canonical(self, key: str) -> str:
        """The key that holds the value of this one."""
        state = self.keys.get(key)
        return self.canonical(state) if isinstance(state, str) else key

    def assume(self, more: Mapping[str, State]) -> Context:
        """The same context with the states of some keys replaced."""
        return Context({**self.keys, **more}, self.prefixes, self.default)
