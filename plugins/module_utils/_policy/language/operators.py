# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Condition operators: compare a value of a request with the values of a policy.

A negated operator such as ``StringNotEquals`` uses the comparison of ``StringEquals``; conditions.py inverts the result.
Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import bisect
import datetime
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import TypeAlias

from .context import Context
from .match import (
    ARN_PARTS,
    ArnGlob,
    Cover,
    Glob,
    Literal,
    Token,
    Wild,
    WildText,
    arn_parts,
    relax,
    resolve,
    tokenize,
)

# A function that returns whether a value of the request matches any value of the policy.
Compare: TypeAlias = Callable[[str], bool]
Pattern: TypeAlias = Glob | ArnGlob

NEGATED = frozenset(
    {
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
        "NumericNotEquals",
        "DateNotEquals",
        "NotIpAddress",
        "ArnNotEquals",
        "ArnNotLike",
    }
)
_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
# The number of cached results of a comparison. One evaluation compares the same few values many times.
_CACHED = 256
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?")
# https://www.w3.org/TR/NOTE-datetime, to which the IAM User Guide refers.
_DATE = re.compile(
    r"(?P<month>[0-9]{4}-[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<minute>(?:[01][0-9]|2[0-3]):[0-5][0-9])(?::(?P<second>[0-5][0-9])(?P<fraction>\.[0-9]+)?)?"
    r"(?:[Zz]|(?P<offset>[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?)?)?"
)


_FAMILIES = ("String", "Arn", "Numeric", "Date", "Bool", "Binary", "Ip", "Null")


def family(base: str) -> str:
    """Return the type of values that an operator compares: String, Arn, Numeric, Date, Bool, Binary, Ip or Null.

    :raises ValueError: for an unknown operator.
    """
    for name in _FAMILIES:
        if base.removeprefix("Not").startswith(name):
            return name
    raise ValueError(f"the operator {base} has no family")


def value_tokens(base: str, values: tuple[str, ...], variables: bool) -> tuple[tuple[Token, ...], ...]:
    """Return the tokens of each value of a String or Arn operator. Other operators do not support policy variables.

    :arg variables: whether the version of the document supports policy variables.
    """
    wildcards = base in ("StringLike", "StringNotLike") or base.startswith("Arn")
    return tuple(tokenize(value, variables=variables, wildcards=wildcards) for value in values)


def compile_values(base: str, values: Iterable[tuple[Token, ...]]) -> tuple[Pattern, ...]:
    """Compile values without policy variables (see ``value_tokens``) of a String or Arn operator."""
    texts = [tuple(token for token in tokens if isinstance(token, str | Wild)) for tokens in values]
    if family(base) == "Arn":
        return tuple(ArnGlob(tokens, complete=False) for tokens in texts)
    ignore_case = "IgnoreCase" in base
    return tuple(Glob(_fold(token, ignore_case) for token in tokens) for tokens in texts)


def comparison(base: str, values: tuple[str, ...], patterns: Sequence[Pattern]) -> Compare:
    """Return a function that compares a value of the request with the values of a condition.

    :arg base: the operator of the condition.
    :arg patterns: the result of ``compile_values``, for String and Arn operators only.
    """
    kind = family(base)
    if kind in ("String", "Arn"):
        return _texts(patterns, "IgnoreCase" in base)
    if kind == "Numeric":
        return _ordered(number, values, base.removeprefix("Numeric"))
    if kind == "Date":
        return _ordered(date, values, base.removeprefix("Date"))
    if kind == "Ip":
        return _addresses(values)
    convert = binary if kind == "Binary" else fold
    converted = frozenset(convert(value) for value in values)
    return lambda value: convert(value) in converted


def pattern_cover(base: str, patterns: Iterable[Pattern], text: WildText) -> Cover:
    """Return whether the values of a condition match all, some or none of the texts that a pattern represents.

    :arg base: the operator of the condition. For operators that do not compare text, the result is SOME.
    :arg patterns: the result of ``compile_values``.
    """
    kind = family(base)
    if kind not in ("String", "Arn"):
        return Cover.SOME
    folded = WildText(fold(text)) if "IgnoreCase" in base else text
    parts = tuple(map(WildText, arn_parts(text)))
    covers = (
        glob.covers(folded, True)
        if isinstance(glob, Glob)
        # A pattern with fewer parts, such as "*", may represent every ARN.
        else glob.covers(parts, True)
        if len(parts) == ARN_PARTS
        else Cover.SOME
        for glob in patterns
    )
    return max(covers, default=Cover.NONE)


class OpenValue:
    """A condition value that contains policy variables."""

    __slots__ = ("_base", "_ignore_case", "_relaxed", "tokens")

    def __init__(self, tokens: tuple[Token, ...], base: str) -> None:
        self.tokens = tokens
        self._base = base
        self._ignore_case = "IgnoreCase" in base
        self._relaxed = Glob(_fold(token, self._ignore_case) for token in relax(tokens))

    def cover(self, text: WildText, context: Context) -> Cover:
        """Return whether the value matches all, some or none of the texts that a pattern represents.

        The result is SOME if it depends on an unknown variable.
        """
        resolved = resolve(self.tokens, context)
        if isinstance(resolved, bool):
            return Cover.NONE
        if resolved is not None:
            return pattern_cover(self._base, compile_values(self._base, (resolved,)), text)
        relaxed = WildText(fold(text)) if self._ignore_case else text
        return min(self._relaxed.covers(relaxed, True), Cover.SOME)

    def matches(self, value: str, context: Context) -> bool | None:
        """Return whether a value of the request matches, or None if that depends on an unknown variable."""
        resolved = resolve(self.tokens, context)
        text = fold(value) if self._ignore_case else value
        if isinstance(resolved, bool):
            return False
        if resolved is None:
            return None if self._relaxed.matches(text) else False
        (pattern,) = compile_values(self._base, (resolved,))
        return pattern.matches(arn_parts(value)) if isinstance(pattern, ArnGlob) else pattern.matches(text)


def _texts(patterns: Sequence[Pattern], ignore_case: bool) -> Compare:
    literals = {glob.literal for glob in patterns if isinstance(glob, Glob)}
    if ignore_case:
        return lambda value: fold(value) in literals
    wild = [glob for glob in patterns if isinstance(glob, ArnGlob) or glob.literal is None]
    if not wild:
        return literals.__contains__

    def compare(value: str) -> bool:
        parts = arn_parts(value)
        return value in literals or any(
            glob.matches(parts) if isinstance(glob, ArnGlob) else glob.matches(value) for glob in wild
        )

    return lru_cache(_CACHED)(compare)


def _ordered(read: Callable[[str], Decimal | None], values: tuple[str, ...], order: str) -> Compare:
    limits = frozenset(limit for limit in map(read, values) if limit is not None)
    if order in ("Equals", "NotEquals"):
        return lambda value: read(value) in limits
    if not limits:
        return lambda _value: False
    # A condition holds if one of its values matches, so only the least strict limit matters.
    limit = max(limits) if order.startswith("Less") else min(limits)
    holds = _ORDER[order]

    def compare(value: str) -> bool:
        number = read(value)
        return number is not None and holds(number, limit)

    return compare


def _addresses(values: tuple[str, ...]) -> Compare:
    blocks = [block for block in map(network, values) if block is not None]
    ranges = {
        version: _merged(
            [(int(b.network_address), int(b.broadcast_address)) for b in blocks if b.version == version]
        )
        for version in (4, 6)
    }

    def compare(value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        starts, ends = ranges[address.version]
        index = bisect.bisect_right(starts, int(address)) - 1
        return index >= 0 and int(address) <= ends[index]

    return compare


def _merged(blocks: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Join overlapping ranges, and return the sorted starts and ends."""
    starts: list[int] = []
    ends: list[int] = []
    for start, end in sorted(blocks):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends


def fold(text: str) -> str:
    """Return a text in lower case for case-insensitive comparisons. Its length does not change."""
    if text.isascii():
        return text.lower()
    return "".join(low if len(low := character.lower()) == 1 else character for character in text)


def _fold(token: Literal, ignore_case: bool) -> Literal:
    return fold(token) if ignore_case and isinstance(token, str) else token


def number(text: str) -> Decimal | None:
    """Parse a decimal number of at most 400 digits on each side of the point, with an optional exponent of at most three digits.

    Return None for any other text.
    """
    text = text.strip()
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def date(text: str) -> Decimal | None:
    """Convert a date in the W3C profile of ISO 8601, or epoch seconds as text, to epoch seconds; None for any other text.

    Four digits are epoch seconds, not a year. A time without a zone is in UTC.
    """
    seconds = number(text)
    if seconds is not None:
        return seconds
    fields = _DATE.fullmatch(text.strip())
    if fields is None:
        return None
    # Build the complete form, because older versions of Python do not accept the shorter forms.
    whole = "{}-{}T{}:{}{}".format(
        fields["month"],
        fields["day"] or "01",
        fields["minute"] or "00:00",
        fields["second"] or "00",
        fields["offset"] or "",
    )
    try:
        moment = datetime.datetime.fromisoformat(whole)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return int(moment.timestamp()) + Decimal(fields["fraction"] or 0)


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Parse a CIDR block or an IP address; None for any other text."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def binary(text: str) -> str:
    """Decode base64 text to hexadecimal, so that different encodings of the same bytes are equal.

    Any other text is returned with the prefix "not base64: ".
    """
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return f"not base64: {text}"
