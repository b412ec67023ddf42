# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Numbers, dates, addresses and bytes that conditions tell apart: each value that is named, and one of each
stretch between."""

from __future__ import annotations

import datetime
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context as Arithmetic
from decimal import Decimal

from ..language.budget import Budget
from ..language.conditions import Test
from ..language.operators import address_ranges, binary, date, family, network, number
from ..language.words import other_than
from .keys import ADDRESSES, DATES, NUMBERS

# Exact for the numbers that ``number`` reads.
_EXACT = Arithmetic(prec=3000)
_FIRST_YEAR, _LAST_YEAR = -62_135_596_800, 253_402_300_799
_SIZES = {4: 32, 6: 128}


def typed_values(key: str, tests: Sequence[Test], budget: Budget) -> tuple[list[str], bool]:
    """A value of each kind, and whether these are all: not when the conditions read the key in several ways."""
    families = {family(test.condition.base) for test in tests}
    values = [value for test in tests for value in test.condition.values]
    if not budget.spend(4 * len(values)):
        return values[:8], False
    texts: list[str] = []
    complete = families <= {"Numeric", "Date"} or len(families) == 1
    if families & {"Numeric", "Date"}:
        named = [
            moment
            for test in tests
            for value in test.condition.values
            if (moment := _read(family(test.condition.base), value)) is not None
        ]
        points = list(_between(sorted(set(named))))
        if "Date" in families:
            texts += [text for point in points if (text := as_date(point)) is not None]
        if "Numeric" in families or len(texts) < len(points):
            numbers = [as_number(point) for point in points]
            # Numbers of very many digits are not read as such.
            complete = complete and [number(text) for text in numbers] == points
            texts += numbers
    if "Ip" in families:
        texts += _addresses(values)
    if "Binary" in families:
        texts += dict.fromkeys(values)
    named_bytes = set(map(binary, values)) if "Binary" in families else set()
    if key not in ADDRESSES | DATES | NUMBERS:
        texts.append(next(text for text in other_than(values) if binary(text) not in named_bytes))
    elif "Binary" in families:
        texts = [text for text in texts if _is_typed(key, text)]
        texts.append(next(text for text in of_type(key) if binary(text) not in named_bytes))
    return texts, complete


def _is_typed(key: str, text: str) -> bool:
    """Return whether the key can have a value."""
    if key in ADDRESSES:
        return network(text) is not None
    return (date(text) if key in DATES else number(text)) is not None


def of_type(key: str) -> Iterator[str]:
    """Generate values of a key that is a number, a date or an address."""
    for value in itertools.count():
        if key in ADDRESSES:
            yield str(ipaddress.IPv4Address(value))
        else:
            yield as_date(Decimal(value)) or "" if key in DATES else str(value)


def _read(kind: str, value: str) -> Decimal | None:
    return number(value) if kind == "Numeric" else date(value) if kind == "Date" else None


def _between(points: Sequence[Decimal]) -> Iterator[Decimal]:
    """Each point, and one below, between and above them."""
    if not points:
        yield Decimal(0)
        return
    yield _EXACT.subtract(points[0], Decimal(1))
    for at, point in enumerate(points):
        yield point
        if at + 1 < len(points):
            yield _EXACT.divide(_EXACT.add(point, points[at + 1]), Decimal(2))
    yield _EXACT.add(points[-1], Decimal(1))


def as_number(point: Decimal) -> str:
    """Write a number in digits, or with an exponent when it is very long."""
    exponent = point.as_tuple().exponent
    short = isinstance(exponent, int) and -400 < exponent < 20
    return format(point, "f") if short else str(point)


def as_date(point: Decimal) -> str | None:
    """Write seconds since 1970 as a date; None for one that has no year of four digits."""
    if not _FIRST_YEAR <= point <= _LAST_YEAR:
        return None
    whole = int(point // 1)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=whole)
    fraction = format(_EXACT.subtract(point, Decimal(whole)), "f").partition(".")[2].rstrip("0")
    return moment.isoformat() + (f".{fraction}" if fraction else "") + "Z"


def _addresses(values: Iterable[str]) -> Iterator[str]:
    for version, ranges in address_ranges(tuple(values)).items():
        size = 1 << _SIZES[version]
        edges = {edge for start, end in ranges for edge in (start, end + 1) if edge < size}
        for edge in sorted({*edges, 0}):
            address = ipaddress.IPv4Address(edge) if version == 4 else ipaddress.IPv6Address(edge)
            yield str(address)
