# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Condition keys whose values belong together in every request.

* aws:CurrentTime and aws:EpochTime are always there, and are one moment: as a date, and in seconds since 1970.
* A tag in the request, aws:RequestTag/k, has its key in aws:TagKeys. The k of a condition key stands for every letter case.
* The reverse holds where tags are added. Requests that remove tags have aws:TagKeys only, and for some others it is not
  documented; every action named Tag... that has aws:TagKeys has aws:RequestTag, too.

Sources: IAM User Guide, "AWS global condition context keys"; Service Authorization Reference, the condition keys of actions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ..language.context import Context, Part, State, Unknown
from ..language.operators import date
from ..language.parts import Extract
from ..language.words import Language, Pattern, text_units
from .rules import Request
from .typed import as_date, as_number

_CURRENT, EPOCH = "aws:currenttime", "aws:epochtime"
TAG_KEYS, _REQUEST_TAG = "aws:tagkeys", "aws:requesttag/"
# It passes tags, and has aws:RequestTag without aws:TagKeys.
_WITHOUT_TAG_KEYS = "backup:copyintobackupvault"


@dataclass(frozen=True, slots=True)
class Epoch(Extract):
    """The seconds since 1970 of a date."""

    def take(self, text: str) -> str:
        """The seconds; a text that is no date as it is."""
        seconds = date(text)
        return text if seconds is None else as_number(seconds)


SECONDS = Epoch()


def same_moment(context: Context, names: Iterable[str]) -> Context:
    """The context with one moment for both of its keys, if ``names`` has one of them."""
    if _CURRENT not in names and EPOCH not in names:
        return context
    current, epoch = context.get(_CURRENT), context.get(EPOCH)
    if isinstance(epoch, Unknown):
        if isinstance(current, Unknown):
            current = replace(current, may_be_absent=False)
        return context.assume({_CURRENT: current, EPOCH: Part(_CURRENT, SECONDS)})
    if isinstance(current, Unknown) and isinstance(epoch, tuple):
        moments = tuple(as_date(moment) for moment in map(date, epoch) if moment is not None)
        if None not in moments and len(moments) == len(epoch):
            return context.assume({_CURRENT: tuple(map(str, moments))})
    return context


@dataclass(frozen=True, slots=True)
class TagLinks:
    """The tags whose keys are also in aws:TagKeys; ``both_ways``: and each of these keys has its tag."""

    tags: tuple[tuple[str, Language], ...] = ()
    both_ways: bool = False

    def possible(self, context: Context) -> bool:
        """Whether a request can have these keys."""
        keys = context.get(TAG_KEYS)
        if isinstance(keys, Unknown):
            return True
        listed = keys if isinstance(keys, tuple) else keys.values
        for key, spellings in self.tags:
            there = _there(context.get(key))
            if (there or (self.both_ways and there is False)) and any(
                map(spellings.matches, listed)
            ) is not there:
                return False
        return True


_NO_LINKS = TagLinks()


def tag_links(requests: Iterable[Request], context: Context, names: Iterable[str]) -> TagLinks:
    """Return the links between keys of which one is asked about and not known."""
    state = context.get(TAG_KEYS)
    if isinstance(state, Unknown):
        if TAG_KEYS not in names:
            return _NO_LINKS
        keys = [key for key in dict.fromkeys([*names, *context.keys]) if key.startswith(_REQUEST_TAG)]
    else:
        keys = [key for key in names if key.startswith(_REQUEST_TAG) and _there(context.get(key)) is None]
    actions = {"" if request.action_wild or request.made_up else request.action for request in requests}
    if not keys or "" in actions or _WITHOUT_TAG_KEYS in actions:
        return _NO_LINKS
    spellings = (text_units((key.removeprefix(_REQUEST_TAG),), True) for key in keys)
    tags = tuple(
        (key, Language(patterns=(Pattern(units),))) for key, units in zip(keys, spellings, strict=True)
    )
    return TagLinks(tags, all(action.partition(":")[2].startswith("tag") for action in actions))


def _there(state: State) -> bool | None:
    if isinstance(state, Unknown):
        return None if state.may_be_absent else True
    return state != ()
