# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Text of a policy cut into literal text, wildcards and policy variables.

``${key}``, ``${key, 'default'}``, and ``${*}`` ``${?}`` ``${$}`` for the characters themselves.
Variables exist in Version 2012-10-17 only; under 2008-10-17 they are literal text.
Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .context import Context, Unknown

_SPECIAL = re.compile(r"[*?$]")


class Wild(Enum):
    """The two wildcards."""

    ANY = "*"
    ONE = "?"


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable; ``key`` in lower case, because key names are case-insensitive."""

    key: str
    default: str | None = None
    name: str = ""


Literal: TypeAlias = str | Wild
Token: TypeAlias = str | Wild | Variable


def tokenize(text: str, *, variables: bool, wildcards: bool) -> tuple[Token, ...]:
    """Cut the text of a policy value into tokens."""
    if not (variables and "${" in text) and not (wildcards and ("*" in text or "?" in text)):
        return (text,) if text else ()
    tokens: list[Token] = []
    plain: list[str] = []
    at = 0
    last_close = text.rfind("}") if variables else -1
    while at < len(text):
        found = _SPECIAL.search(text, at)
        if found is None or found.start() > at:
            plain.append(text[at : found.start()] if found else text[at:])
            if found is None:
                break
        at = found.start()
        character = text[at]
        if character == "$" and at < last_close and text.startswith("{", at + 1):
            close = text.find("}", at)
            token = _variable(text[at + 2 : close])
            if isinstance(token, Variable):
                _flush(plain, tokens)
                tokens.append(token)
                at = close + 1
                continue
            if isinstance(token, str):
                plain.append(token)
                at = close + 1
                continue
        if wildcards and character != "$":
            _flush(plain, tokens)
            # A run of * means one.
            if character == "?":
                tokens.append(Wild.ONE)
            elif not tokens or tokens[-1] is not Wild.ANY:
                tokens.append(Wild.ANY)
        else:
            plain.append(character)
        at += 1
    _flush(plain, tokens)
    return tuple(tokens)


def variable_keys(tokens: tuple[Token, ...]) -> tuple[str, ...]:
    """The keys that the text refers to."""
    return tuple(token.key for token in tokens if isinstance(token, Variable))


def relax(tokens: tuple[Token, ...]) -> tuple[Literal, ...]:
    """The tokens with anything in place of the variables."""
    return tuple(Wild.ANY if isinstance(token, Variable) else token for token in tokens)


def resolve(
    tokens: tuple[Token, ...], context: Context, asker: object = None
) -> tuple[Literal, ...] | bool | None:
    """Put the values of the request in place of the variables.

    :returns: tokens without variables; False when a variable has no value in this request, so
        that nothing equals the text; None when a needed key is unknown. A value is literal text:
        its ``*`` is no wildcard. A key with several values cannot be a variable.
    :arg asker: what a value that stands for many is as good as each of them for (``Some.exact``).
    """
    resolved: list[Literal] = []
    unknown = False
    for token in tokens:
        if not isinstance(token, Variable):
            resolved.append(token)
            continue
        state = context.get(token.key)
        if isinstance(state, Unknown):
            unknown = True
            continue
        values = state if isinstance(state, tuple) else state.values
        if len(values) == 1 and not isinstance(state, tuple) and asker not in state.exact:
            unknown = True
        elif len(values) == 1:
            resolved.append(values[0])
        elif token.default is not None and not values:
            resolved.append(token.default)
        else:
            return False
    return None if unknown else tuple(resolved)


def _variable(inside: str) -> str | Variable | None:
    if inside in ("*", "?", "$"):
        return inside
    key, comma, rest = inside.partition(",")
    key = key.strip()
    if not key or any(character.isspace() for character in key):
        return None
    if not comma:
        return Variable(key.lower(), name=key)
    default = rest.strip()
    if len(default) < 2 or default[0] != "'" or default[-1] != "'":
        return None
    return Variable(key.lower(), default[1:-1], key)


def _flush(plain: list[str], tokens: list[Token]) -> None:
    if plain:
        tokens.append("".join(plain))
        plain.clear()
