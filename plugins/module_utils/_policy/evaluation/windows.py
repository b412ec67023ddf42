# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which values of one variable make a text of the policy match a text that is known."""

from __future__ import annotations

from ..language.budget import Budget
from ..language.context import Context
from ..language.match import ARN_PARTS, MARK, STAR, Glob
from ..language.template import Literal, Token, Variable, Wild, resolve
from ..language.words import ONE, Language, Pattern, Unit, arn_units, fold, places, spellings, text_units

# As many values are listed one by one; where more fit, they are a pattern.
_LISTED = 40
# The longest text in which the places of a variable that stands there more than once are tried out.
_TRIED = 48


def filled(tokens: tuple[Token, ...], names: frozenset[str], context: Context) -> list[Token] | None:
    """The tokens with all variables but ``names`` put in; None when one of these has no single value."""
    result: list[Token] = []
    for token in tokens:
        if not isinstance(token, Variable) or token.key in names:
            result.append(token)
            continue
        resolved = resolve((token,), context)
        if resolved is None or isinstance(resolved, bool):
            return None
        result.extend(resolved)
    return result


def window(tokens: list[Token], text: str, arn: bool, ignore_case: bool, budget: Budget) -> Language | None:
    """The values of the variable in ``tokens`` with which they match the text; None when that is no matter of a
    few places in the text. The text may have the symbols of a request with wildcards."""
    spots = [at for at, token in enumerate(tokens) if isinstance(token, Variable)]
    wild = any(isinstance(token, Wild) for token in tokens)
    before, after = _literals(tokens[: spots[0]]), _literals(tokens[spots[-1] + 1 :])
    if arn and text.count(":") < ARN_PARTS - 1:
        return Language()
    in_parts = arn and wild
    first = arn_units(before) if in_parts else text_units(before, ignore_case)
    if first is None or (in_parts and len(spots) > 1):
        return None
    if not budget.spend(2 * len(text) + len(first)):
        return None
    if ignore_case:
        text = fold(text)
    starts = places(_covering(first), text)
    if len(spots) > 1:
        return _repeated(tokens, starts, text, ignore_case, budget)
    last = _covering(text_units(after, ignore_case))
    ends = sorted(len(text) - length for length in places(last[::-1], text[::-1]))
    pairs = [(start, end) for start in starts[:_LISTED] for end in ends if end >= start][: _LISTED + 1]
    if len(pairs) <= _LISTED and len(starts) <= _LISTED:
        words = dict.fromkeys(text[start:end] for start, end in pairs)
        return _listed([word for word in words if STAR not in word and MARK not in word], ignore_case)
    units = tuple(Unit("" if c in (STAR, MARK) else spellings(c) if ignore_case else c) for c in text)
    return Language(patterns=(Pattern(units, tuple(starts), tuple(ends)),))


def _repeated(
    tokens: list[Token], starts: list[int], text: str, ignore_case: bool, budget: Budget
) -> Language | None:
    """As ``window``, for a variable that stands there more than once."""
    if len(text) > _TRIED and len(starts) > 1:
        return None
    words: dict[str, None] = {}
    symbolic = STAR in text or MARK in text
    for start in starts:
        for end in range(start, len(text) + 1):
            if not budget.spend(2):
                return None
            value = text[start:end]
            given = [
                value if isinstance(t, Variable) else fold(t) if ignore_case and isinstance(t, str) else t
                for t in tokens
            ]
            if STAR not in value and MARK not in value and Glob(given).matches(text, symbolic):
                words[value] = None
    return _listed(list(words), ignore_case)


def _listed(words: list[str], ignore_case: bool) -> Language:
    if not ignore_case:
        return Language(tuple(words))
    return Language(patterns=tuple(Pattern(text_units((word,), True)) for word in words))


def _covering(units: tuple[Unit, ...]) -> tuple[Unit, ...]:
    """The units for a text that may have symbols: one character never stands for a run of them."""
    return tuple(Unit(STAR, negated=True) if unit == ONE else unit for unit in units)


def _literals(tokens: list[Token]) -> list[Literal]:
    return [token for token in tokens if isinstance(token, str | Wild)]
