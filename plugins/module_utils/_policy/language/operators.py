# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How each family of condition operators compares one value of a request with a policy's values.

Negated operators (``StringNotEquals`` and so on) are the same comparison; conditions.py negates.
Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import operator
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from .context import Context
from .match import ArnGlob, Glob, arn_parts
from .template import Literal, Token, Wild, resolve, tokenize, variable_keys

# Whether one value of the request matches any value of the policy; None when that turns on
# a policy variable whose key is unknown.
Compare: TypeAlias = Callable[[str, Context], "bool | None"]

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
    "Equals": operator.eq,
    "NotEquals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
# https://www.w3.org/TR/NOTE-datetime, to which the IAM User Guide refers.
_DATE = re.compile(
    r"(?P<month>[0-9]{4}-[0-9]{2})(?:-(?P<day>[0-9]{2})"
    r"(?:[Tt ](?P<minute>(?:[01][0-9]|2[0-3]):[0-5][0-9])(?::(?P<second>[0-5][0-9])(?P<fraction>\.[0-9]+)?)?"
    r"(?:[Zz]|(?P<offset>[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))?)?)?"
)


def family(base: str) -> str:
    """The family of an operator: String, Arn, Numeric, Date, Bool, Binary, Ip or Null."""
    for name in ("String", "Arn", "Numeric", "Date", "Bool", "Binary"):
        if base.startswith(name):
            return name
    return "Null" if base == "Null" else "Ip"


def value_tokens(base: str, values: tuple[str, ...], variables: bool) -> tuple[tuple[Token, ...], ...]:
    """The values of a String or Arn operator in tokens. Only these take policy variables."""
    wildcards = base in ("StringLike", "StringNotLike") or base.startswith("Arn")
    return tuple(tokenize(value, variables=variables, wildcards=wildcards) for value in values)


def comparison(base: str, values: tuple[str, ...], tokens: tuple[tuple[Token, ...], ...]) -> Compare:
    """The comparison for an operator and its values, prepared to run many times.

    :arg tokens: the ``value_tokens`` of a String or Arn operator; not looked at for others.
    """
    kind = family(base)
    if kind == "String":
        return _strings(tokens, "IgnoreCase" in base)
    if kind == "Arn":
        return _arns(tokens)
    if kind == "Numeric":
        return _ordered(number, values, _ORDER[base.removeprefix("Numeric")])
    if kind == "Date":
        return _ordered(date, values, _ORDER[base.removeprefix("Date")])
    if kind == "Ip":
        return _addresses(values)
    plain = binary if kind == "Binary" else str.lower
    wanted = frozenset(plain(value) for value in values)
    return lambda value, _context: plain(value) in wanted


def _strings(values: tuple[tuple[Token, ...], ...], ignore_case: bool) -> Compare:
    texts: set[str] = set()
    globs: list[Glob] = []
    open_values: list[tuple[Token, ...]] = []
    for tokens in values:
        if not tokens or (len(tokens) == 1 and isinstance(tokens[0], str)):
            text = "".join(token for token in tokens if isinstance(token, str))
            texts.add(text.lower() if ignore_case else text)
            continue
        if variable_keys(tokens):
            open_values.append(tokens)
            continue
        glob = Glob(_fold(token, ignore_case) for token in tokens if isinstance(token, str | Wild))
        globs.append(glob)
    if not globs and not open_values and not ignore_case:
        return lambda value, _context: value in texts

    def compare(value: str, context: Context) -> bool | None:
        text = value.lower() if ignore_case else value
        if text in texts or any(glob.matches(text) for glob in globs):
            return True
        answer: bool | None = False
        for tokens in open_values:
            resolved = resolve(tokens, context)
            if resolved is None:
                answer = None
            elif not isinstance(resolved, bool) and Glob(
                _fold(token, ignore_case) for token in resolved
            ).matches(text):
                return True
        return answer

    return compare


def _arns(values: tuple[tuple[Token, ...], ...]) -> Compare:
    globs: list[ArnGlob] = []
    open_values: list[tuple[Token, ...]] = []
    for tokens in values:
        if variable_keys(tokens):
            open_values.append(tokens)
        else:
            globs.append(ArnGlob(token for token in tokens if isinstance(token, str | Wild)))

    def compare(value: str, context: Context) -> bool | None:
        parts = arn_parts(value)
        if any(glob.matches(parts) for glob in globs):
            return True
        answer: bool | None = False
        for tokens in open_values:
            resolved = resolve(tokens, context)
            if resolved is None:
                answer = None
            elif not isinstance(resolved, bool) and ArnGlob(resolved).matches(parts):
                return True
        return answer

    return compare


def _ordered(
    read: Callable[[str], Decimal | None],
    values: tuple[str, ...],
    holds: Callable[[Decimal, Decimal], bool],
) -> Compare:
    wanted = tuple(limit for limit in map(read, values) if limit is not None)

    def compare(value: str, _context: Context) -> bool:
        given = read(value)
        return given is not None and any(holds(given, limit) for limit in wanted)

    return compare


def _addresses(values: tuple[str, ...]) -> Compare:
    networks = tuple(block for block in map(network, values) if block is not None)

    def compare(value: str, _context: Context) -> bool:
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        return any(address in each for each in networks)

    return compare


def _fold(token: Literal, ignore_case: bool) -> Literal:
    return token.lower() if ignore_case and isinstance(token, str) else token


def number(text: str) -> Decimal | None:
    """A number, or None when the text is not one."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return value if value.is_finite() else None


def date(text: str) -> Decimal | None:
    """Seconds since 1970 of a date, with or without time, as W3C profiles ISO 8601, or of epoch
    seconds; else None.

    A year alone is a number, so it counts as epoch seconds. A time without zone is read as UTC.
    """
    seconds = number(text)
    if seconds is not None:
        return seconds
    fields = _DATE.fullmatch(text.strip())
    if fields is None:
        return None
    # Written out as every Python reads it: newer ones take more forms, and not all the same.
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
    """The network of a CIDR block or single address, or None when the text is neither."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def binary(text: str) -> str:
    """The bytes of base64 text, as text that compares equal for equal bytes."""
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return f"not base64: {text}"
