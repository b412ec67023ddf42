# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The condition keys of a request. A key has known values, is known to be absent, or has an unknown value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Extract:
    """A rule to extract part of a text: split it at ``separator`` and take the piece at index ``place``.

    An empty separator takes the whole text.
    """

    separator: str = ""
    place: int = 0

    def take(self, text: str) -> str:
        """Return the piece of a text at ``place``, or "" if the text has too few pieces."""
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
    """A key whose value is an example of a kind of values.

    All values of a kind have the same results in all conditions without policy variables. ``values`` is the example. ``exact``
    has the policy values with variables (``OpenValue``, ``OpenResource``) with which all values of the kind have the same
    result, too. A comparison with another policy value that has variables may be undecided.
    """

    values: tuple[str, ...]
    exact: frozenset[object] = frozenset()


@dataclass(frozen=True, slots=True)
class Part:
    """A key whose value is extracted from the value of another key, ``root``. If ``root`` is absent, so is this key.

    With ``may_be_absent`` the key may also be absent while ``root`` is present.
    """

    root: str
    extract: Extract = WHOLE
    may_be_absent: bool = False


# The values of a key (an empty tuple if the key is absent), or a placeholder for values that are not fully known.
KeyState: TypeAlias = tuple[str, ...] | Unknown | Representative
ABSENT: tuple[str, ...] = ()
UNKNOWN_VALUE = Unknown()
PRESENT = Unknown(may_be_absent=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The condition keys of one request, by lower-case name.

    ``keys`` has the states of single keys. ``prefixes`` has pairs of a prefix, such as ``aws:requesttag/``, and the state of all
    other keys with this prefix. ``default`` is the state of all remaining keys. ``decided`` has assumed results of comparisons
    whose real result is unknown, by the identifiers from ``Test.question`` and ``Rule.resource_question`` (see
    evaluation/search.py).
    """

    keys: Mapping[str, KeyState | Part] = field(default_factory=dict)
    prefixes: tuple[tuple[str, KeyState], ...] = ()
    default: KeyState = UNKNOWN_VALUE
    decided: Mapping[object, bool] = field(default_factory=dict)

    def get(self, key: str) -> KeyState:
        """Return the state of a condition key.

        :arg key: in lower case.
        """
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
        """Return the root of a key and the rule to extract the key's value from the value of the root.

        Return the key itself and ``WHOLE`` unless the key is a ``Part`` that is present whenever its root is.
        """
        state = self.keys.get(key)
        if not isinstance(state, Part) or state.may_be_absent:
            return key, WHOLE
        return state.root, state.extract

    def canonical(self, key: str) -> str:
        """Return the root of a key, or the key itself, as ``root`` does."""
        return self.root(key)[0]

    def assume(self, more: Mapping[str, KeyState | Part]) -> Context:
        """Return a copy with the states in ``more``, which replace the states of the same keys."""
        return Context({**self.keys, **more}, self.prefixes, self.default, self.decided)

    def decide(self, question: object, answer: bool) -> Context:
        """Return a copy that assumes the result of a comparison.

        :arg question: the identifier of the comparison (see ``Test.question``).
        :arg answer: the result to assume.
        """
        return replace(self, decided={**self.decided, question: answer})


def _part(state: KeyState, extract: Extract) -> KeyState:
    if extract is WHOLE:
        return state
    if isinstance(state, tuple):
        return tuple(map(extract.take, state))
    if isinstance(state, Representative):
        return Representative(tuple(map(extract.take, state.values)), state.exact)
    return Unknown(state.may_be_absent)
