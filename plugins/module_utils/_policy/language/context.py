# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

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

    ``may_be_absent`` is False for a key that every request has. ``choices`` lists all possible values, or is None. Every value
    matches ``pattern``, in which ``*`` and ``?`` are wildcards. A wildcard does not match the separators of an ``Extract``.
    """

    may_be_absent: bool = True
    choices: tuple[str, ...] | None = None
    pattern: str = "*"


@dataclass(frozen=True, slots=True)
class Part:
    """A key whose value is extracted from the value of another key, ``root``. If ``root`` is absent, so is this key.

    With ``may_be_absent`` the key may also be absent while ``root`` is present.
    """

    root: str
    extract: Extract = WHOLE
    may_be_absent: bool = False


# The values of a key (an empty tuple if the key is absent), or a placeholder for values that are not fully known.
KeyState: TypeAlias = tuple[str, ...] | Unknown
ABSENT: tuple[str, ...] = ()
UNKNOWN_VALUE = Unknown()
PRESENT = Unknown(may_be_absent=False)


@dataclass(frozen=True, slots=True)
class Context:
    """The condition keys of one request, by lower-case name.

    ``keys`` has the states of single keys. ``prefixes`` has pairs of a prefix, such as ``aws:requesttag/``, and the state of all
    other keys with this prefix. ``default`` is the state of all remaining keys.
    """

    keys: Mapping[str, KeyState | Part] = field(default_factory=dict)
    prefixes: tuple[tuple[str, KeyState], ...] = ()
    default: KeyState = UNKNOWN_VALUE

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
            return _part(self.get(state.root), state)
        return state

    def assume(self, more: Mapping[str, KeyState | Part]) -> Context:
        """Return a copy with the states in ``more``, which replace the states of the same keys."""
        return Context({**self.keys, **more}, self.prefixes, self.default)

    def alternatives(self, key: str) -> list[Context]:
        """Return copies for the possible states of a key with an unknown value: one for each choice, present and absent."""
        state = self.get(key)
        if not isinstance(state, Unknown):
            return [self]
        present = replace(state, may_be_absent=False)
        states: list[KeyState] = (
            [present] if state.choices is None else [(choice,) for choice in state.choices]
        )
        part = self.keys.get(key)
        absent = part.root if isinstance(part, Part) and not part.may_be_absent else key
        copies = [self.assume({key: state}) for state in states]
        return [*copies, self.assume({absent: ABSENT})] if state.may_be_absent else copies

    def with_value(self, key: str, value: str) -> Context:
        """Return a copy in which a key with an unknown value has a value, which also determines parts of linked keys."""
        state = self.keys.get(key)
        if not isinstance(state, Part):
            return self.assume({key: (value,)})
        root, extract = self.get(state.root), state.extract
        if not extract.separator or not isinstance(root, Unknown) or root.pattern == "*":
            return self.assume({state.root: (value,)} if extract is WHOLE else {key: (value,)})
        pieces = root.pattern.split(extract.separator)
        pieces[extract.place] = value
        return self.assume({state.root: Unknown(False, pattern=extract.separator.join(pieces))})


def _part(root: KeyState, part: Part) -> KeyState:
    """Return the state of a key whose value is extracted from the value of another key."""
    take = part.extract.take
    if not isinstance(root, Unknown):
        values = tuple(map(take, root))
        return Unknown(choices=values) if part.may_be_absent and values else values
    may_be_absent = root.may_be_absent or part.may_be_absent
    piece = root.pattern if root.pattern == "*" else take(root.pattern)
    if "*" in piece or "?" in piece:
        return Unknown(may_be_absent, pattern=piece)
    return Unknown(choices=(piece,)) if may_be_absent else (piece,)
