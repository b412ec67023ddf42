# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Condition operators: compare a value of a request with the values of a policy.

A negated operator such as ``StringNotEquals`` uses the comparison of ``StringEquals``; conditions.py inverts the result.
Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import operator
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
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
# NotEquals is the comparison of Equals, too (see above).
_ORDER: dict[str, Callable[[Decimal, Decimal], bool]] = {
    "Equals": operator.eq,
    "NotEquals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
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


def comparison(base: str, values: tuple[str, ...]) -> Compare | None:
    """Return a function that compares a value of the request with the values of a condition.

    The result is None for a String or Arn operator, for which ``pattern_cover`` compares.

    :arg base: the operator of the condition.
    """
    kind = family(base)
    if kind in ("String", "Arn"):
        return None
    if kind == "Numeric":
        return _ordered(number, values, base.removeprefix("Numeric"))
    if kind == "Date":
        return _ordered(date, values, base.removeprefix("Date"))
    if kind == "Ip":
        return _addresses(values)
    convert = binary if kind == "Binary" else fold
    converted = frozenset(convert(value) for value in values)
    return lambda value: convert(value) in converted


def pattern_cover(base: str, patterns: Iterable[Pattern], text: str, wild: bool) -> Cover:
    """Return whether the values of a condition match all, some or none of the texts that a pattern represents.

    :arg base: the operator of the condition. Other operators than those of String and Arn do not compare a pattern, so SOME means
        that their result is unknown.
    :arg patterns: the result of ``compile_values``.
    :arg wild: whether ``text`` is a pattern. Otherwise it is one text, and the result for String and Arn operators is never SOME.
    """
    kind = family(base)
    if kind not in ("String", "Arn"):
        return Cover.SOME
    compiled = WildText if wild else str
    folded = compiled(fold(text) if "IgnoreCase" in base else text)
    parts = tuple(map(compiled, arn_parts(text)))
    covers = (
        glob.covers(folded, wild)
        if isinstance(glob, Glob)
        # A pattern with fewer parts, such as "*", may represent every ARN.
        else glob.covers(parts, wild)
        if len(parts) == ARN_PARTS or not wild
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

    def cover(self, text: str, wild: bool, context: Context) -> Cover:
        """Return whether the value matches all, some or none of the texts that a pattern represents (see ``pattern_cover``).

        The result is SOME if it depends on an unknown variable.
        """
        resolved = resolve(self.tokens, context)
        if isinstance(resolved, bool):
            return Cover.NONE
        if resolved is not None:
            return pattern_cover(self._base, compile_values(self._base, (resolved,)), text, wild)
        return min(self._relaxed.covers(fold(text) if self._ignore_case else text, wild), Cover.SOME)


def _ordered(read: Callable[[str], Decimal | None], values: tuple[str, ...], order: str) -> Compare:
    limits = frozenset(limit for limit in map(read, values) if limit is not None)
    holds = _ORDER[order]

    def compare_order(value: str) -> bool:
        number = read(value)
        return number is not None and any(holds(number, limit) for limit in limits)

    return compare_order


def _addresses(values: tuple[str, ...]) -> Compare:
    blocks = [block for block in map(network, values) if block is not None]

    def compare_address(value: str) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return any(address in block for block in blocks)

    return compare_address


def fold(text: str) -> str:
    """Return a text in lower case for case-insensitive comparisons. Its length does not change."""
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
