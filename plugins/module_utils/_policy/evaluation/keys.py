# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Condition keys: their possible values, and keys whose values depend on each other.

The values of these keys depend on each other:

* aws:CurrentTime (a date) and aws:EpochTime (epoch seconds) have the same time in every request.
* If a request has the tag aws:RequestTag/k, its aws:TagKeys contains k in any letter case.

For numbers, dates, addresses and bytes, it is sufficient to try the values in the conditions and one value of each interval
between them. Sources: IAM User Guide, "AWS global condition context keys" (the data type of each key); Service Authorization
Reference (only condition keys with texts or ARNs can be multivalued).
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Context as Arithmetic
from decimal import Decimal

from ..language.automata import Budget, Language, Pattern, other_than, text_units
from ..language.conditions import Test
from ..language.context import Context, Extract, KeyState, Part, Unknown
from ..language.operators import address_ranges, binary, date, family, network, number
from .rules import Request

BOOLEANS = frozenset(
    {
        "aws:multifactorauthpresent",
        "aws:principalisawsservice",
        "aws:securetransport",
        "aws:viaawsmcpservice",
        "aws:viaawsservice",
    }
)
DATES = frozenset({"aws:currenttime", "aws:epochtime", "aws:tokenissuetime"})
ADDRESSES = frozenset({"aws:ec2instancesourceprivateipv4", "aws:sourceip", "aws:vpcsourceip"})
NUMBERS = frozenset({"aws:multifactorauthage", "s3:max-keys", "sts:durationseconds"})
_MULTIVALUED = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
        "sts:identitytokenaudience",
        "sts:requestcontextproviders",
        "sts:transitivetagkeys",
    }
)
# The formats of the values in the notation of ``shape_units``.
_SHAPES = {
    "aws:principalaccount": "############",
    "aws:resourceaccount": "############",
    "aws:sourceaccount": "############",
    "aws:principalorgid": "o-+",
    "aws:resourceorgid": "o-+",
    "aws:sourceorgid": "o-+",
    "aws:principalorgpaths": "o-+/r-*",
    "aws:resourceorgpaths": "o-+/r-*",
    "aws:sourceorgpaths": "o-+/r-*",
    "aws:principalarn": "arn:+:+:*:+:?*",
    "aws:sourcearn": "arn:+:+:*:*:?*",
}


def is_tag(key: str) -> bool:
    """Return whether a condition key has the value of a tag, such as ``aws:requesttag/team``."""
    return "tag/" in key


def is_multivalued(key: str, typed: bool) -> bool:
    """Return whether a condition key may have several values in one request.

    The result must not depend on the set operators of the policy (ForAnyValue, ForAllValues). Otherwise an additional Deny
    statement could change which requests are possible, and so turn a denied request into an allowed one.

    :arg key: in lower case.
    :arg typed: whether conditions compare the key as a number, date or address. Such a key has a single value.
    """
    if key.startswith(("aws:", "sts:")):
        return key in _MULTIVALUED
    # A name with "~" is internal: a value from which the values of several keys are extracted.
    return not key.startswith("~") and not is_tag(key) and not typed


def value_shape(key: str) -> str | None:
    """Return the format of the values of a key in the notation of ``shape_units``, or None if it can have any text."""
    if key in _SHAPES:
        return _SHAPES[key]
    # If present, global condition keys are not empty. Tags and the condition keys of services may be empty.
    return "?*" if key.startswith(("aws:", "sts:")) and not is_tag(key) else None


# With this precision, calculations are exact for all numbers that ``number`` accepts.
_EXACT = Arithmetic(prec=3000)
# The first second of the year 1 and the last second of the year 9999, in epoch seconds.
_FIRST_YEAR, _LAST_YEAR = -62_135_596_800, 253_402_300_799
# The number of bits of an IP address, by IP version.
_SIZES = {4: 32, 6: 128}


def typed_values(key: str, tests: Sequence[Test], budget: Budget) -> tuple[list[str], bool]:
    """Return sample values of a key that conditions do not compare as text: values from the conditions, and values between them.

    :returns: the values, and whether they are complete: every other value has the same results in all conditions as one of
        them. They may be incomplete if the conditions have different types, such as number and address, if a number has too
        many digits, or if the budget is used up.
    """
    families = {family(test.condition.base) for test in tests}
    values = [value for test in tests for value in test.condition.values]
    if not budget.spend(4 * len(values)):
        return values[:8], False
    texts: list[str] = []
    complete = families <= {"Numeric", "Date"} or len(families) == 1
    if families & {"Numeric", "Date"}:
        limits = [
            moment
            for test in tests
            for value in test.condition.values
            if (moment := _read(family(test.condition.base), value)) is not None
        ]
        points = list(_between(sorted(set(limits))))
        if "Date" in families:
            texts += [text for point in points if (text := _as_date(point)) is not None]
        if "Numeric" in families or len(texts) < len(points):
            numbers = [_as_number(point) for point in points]
            # A number with too many digits is rejected by ``number``.
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
        texts.append(next(text for text in sample_values(key) if binary(text) not in named_bytes))
    return texts, complete


def _is_typed(key: str, text: str) -> bool:
    """Return whether a text is a valid address, date or number, as the key requires."""
    if key in ADDRESSES:
        return network(text) is not None
    return (date(text) if key in DATES else number(text)) is not None


def sample_values(key: str) -> Iterator[str]:
    """Yield an endless series of valid values for a key whose type is number, date or address."""
    for value in itertools.count():
        if key in ADDRESSES:
            yield str(ipaddress.IPv4Address(value))
        else:
            yield _as_date(Decimal(value)) or "" if key in DATES else str(value)


def _read(kind: str, value: str) -> Decimal | None:
    return number(value) if kind == "Numeric" else date(value) if kind == "Date" else None


def _between(points: Sequence[Decimal]) -> Iterator[Decimal]:
    """Yield the points of a sorted list, a point between each pair of neighbours, one lower point and one higher point."""
    if not points:
        yield Decimal(0)
        return
    yield _EXACT.subtract(points[0], Decimal(1))
    for index, point in enumerate(points):
        yield point
        if index + 1 < len(points):
            yield _EXACT.divide(_EXACT.add(point, points[index + 1]), Decimal(2))
    yield _EXACT.add(points[-1], Decimal(1))


def _as_number(point: Decimal) -> str:
    """Format a number without an exponent, or with an exponent if the number is very long."""
    exponent = point.as_tuple().exponent
    short = isinstance(exponent, int) and -400 < exponent < 20
    return format(point, "f") if short else str(point)


def _as_date(point: Decimal) -> str | None:
    """Format epoch seconds as a date; None if its year does not have four digits."""
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


_CURRENT, EPOCH = "aws:currenttime", "aws:epochtime"
TAG_KEYS, _REQUEST_TAG = "aws:tagkeys", "aws:requesttag/"
# An action whose requests have aws:RequestTag but not aws:TagKeys.
_WITHOUT_TAG_KEYS = "backup:copyintobackupvault"


@dataclass(frozen=True, slots=True)
class Epoch(Extract):
    """The conversion of a date to epoch seconds."""

    def take(self, text: str) -> str:
        """Return the epoch seconds of a date, and any other text unchanged."""
        seconds = date(text)
        return text if seconds is None else _as_number(seconds)


SECONDS = Epoch()


def same_moment(context: Context, names: Iterable[str]) -> Context:
    """Derive an unknown aws:CurrentTime or aws:EpochTime from the other key, so that both have the same time.

    :arg names: the condition keys in the policies, in lower case. If neither of the two keys is among them, nothing changes.
    """
    if _CURRENT not in names and EPOCH not in names:
        return context
    current, epoch = context.get(_CURRENT), context.get(EPOCH)
    if isinstance(epoch, Unknown):
        if isinstance(current, Unknown):
            current = replace(current, may_be_absent=False)
        return context.assume({_CURRENT: current, EPOCH: Part(_CURRENT, SECONDS)})
    if isinstance(current, Unknown) and isinstance(epoch, tuple):
        moments = tuple(_as_date(moment) for moment in map(date, epoch) if moment is not None)
        if None not in moments and len(moments) == len(epoch):
            return context.assume({_CURRENT: tuple(map(str, moments))})
    return context


@dataclass(frozen=True, slots=True)
class TagLinks:
    """The request tags that must be consistent with aws:TagKeys: if a tag is present, aws:TagKeys contains its key.

    ``tags`` has each condition key, such as aws:requesttag/team, with all spellings of its tag key, because the letter case may
    differ. If ``both_ways``, a tag key in aws:TagKeys also requires the tag.
    """

    tags: tuple[tuple[str, Language], ...] = ()
    both_ways: bool = False

    def possible(self, context: Context) -> bool:
        """Return False if aws:TagKeys and the request tags are certainly inconsistent in this context."""
        keys = context.get(TAG_KEYS)
        if isinstance(keys, Unknown):
            return True
        tag_keys = keys if isinstance(keys, tuple) else keys.values
        for key, spellings in self.tags:
            present = _is_present(context.get(key))
            if (present or (self.both_ways and present is False)) and any(
                map(spellings.matches, tag_keys)
            ) is not present:
                return False
        return True


_NO_LINKS = TagLinks()


def tag_links(requests: Iterable[Request], context: Context, names: Iterable[str]) -> TagLinks:
    """Return the request tags that must be consistent with aws:TagKeys.

    Tags whose consistency cannot change an outcome are left out. There are no tags if an action has wildcards, or if requests for
    an action do not have aws:TagKeys.

    :arg names: the condition keys in the policies, in lower case.
    """
    state = context.get(TAG_KEYS)
    if isinstance(state, Unknown):
        if TAG_KEYS not in names:
            return _NO_LINKS
        keys = [key for key in dict.fromkeys([*names, *context.keys]) if key.startswith(_REQUEST_TAG)]
    else:
        keys = [
            key for key in names if key.startswith(_REQUEST_TAG) and _is_present(context.get(key)) is None
        ]
    actions = {"" if request.action_wild or request.sampled else request.action for request in requests}
    if not keys or "" in actions or _WITHOUT_TAG_KEYS in actions:
        return _NO_LINKS
    spellings = (text_units((key.removeprefix(_REQUEST_TAG),), True) for key in keys)
    tags = tuple(
        (key, Language(patterns=(Pattern(units),))) for key, units in zip(keys, spellings, strict=True)
    )
    return TagLinks(tags, all(action.partition(":")[2].startswith("tag") for action in actions))


def _is_present(state: KeyState) -> bool | None:
    if isinstance(state, Unknown):
        return None if state.may_be_absent else True
    return state != ()
