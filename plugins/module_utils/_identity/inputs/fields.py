# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read typed fields of user input, within limits of size, and collect every problem with its place. Pure.

Ten lines of YAML can stand for more values than fit into memory. Texts and sizes have the limits of IAM, STS and
Kubernetes, so that none of them rejects input halfway. Sources: IAM API Reference (roleDescriptionType, Tag), Kubernetes
"Annotations" and its validation of object metadata.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from ..._policy.language.document import describe_type
from ..model.errors import Problems
from ..model.names import is_mark

_T = TypeVar("_T")

# What one value may add to the size of a text without counting as another value.
MOST_CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file or option may hold, and how many files there may be. docs/workloads.md names the numbers.

    ``values`` counts keys and values, and each alias as all that it stands for. A text counts once more for
    each 100 characters. A mapping or list in another is one level deeper.
    """

    files: int = 10_000
    file_bytes: int = 16 * 1024 * 1024
    values: int = 500_000
    depth: int = 64
    digits: int = 100


LIMITS = Limits()


def too_many(limits: Limits) -> str:
    return f"holds more than {limits.values:,} values"


def too_deep(limits: Limits) -> str:
    return f"is nested more than {limits.depth} levels deep"


@dataclass(frozen=True, slots=True)
class Excess(Generic[_T]):
    """The part that is too much, and which bound it breaks ("is nested more than 64 levels deep")."""

    part: _T
    rule: str


@dataclass(frozen=True, slots=True)
class _Size:
    values: int
    depth: int


def find_excess(
    root: _T, parts_of: Callable[[_T], Sequence[_T] | None], length_of: Callable[[_T], int], limits: Limits
) -> Excess[_T] | None:
    """The first part that breaks a bound, or None.

    ``parts_of`` gives what a mapping or list holds, None for anything else. Each part is looked at once,
    however often others refer to it; its size counts each time.
    """
    sizes: dict[int, _Size] = {}
    # What each mapping or list holds. It also keeps its parts: the number of an object that is gone is given
    # to another.
    contents: dict[int, Sequence[_T]] = {}
    entered: set[int] = set()
    top = (root,)
    contents[id(top)] = top
    waiting: list[_T | tuple[_T]] = [top]
    while waiting:
        part = waiting[-1]
        key = id(part)
        if key in sizes:
            waiting.pop()
            continue
        inner = contents[key]
        if key in entered:
            size = _joined(sizes[id(child)] for child in inner)
            if part is not top:
                if size.values > limits.values:
                    return Excess(cast(_T, part), too_many(limits))
                if size.depth > limits.depth:
                    return Excess(cast(_T, part), too_deep(limits))
            sizes[key] = size
            waiting.pop()
            continue
        entered.add(key)
        for child in inner:
            name = id(child)
            if name in sizes:
                continue
            if name in entered:
                return Excess(child, "contains itself")
            held = contents.get(name) or parts_of(child)
            if held is None:
                sizes[name] = _Size(1 + length_of(child) // MOST_CHARACTERS, 0)
            else:
                contents[name] = held
                waiting.append(child)
    return None


def _joined(sizes: Iterable[_Size]) -> _Size:
    values, depth = 1, 0
    for size in sizes:
        values += size.values
        depth = max(depth, size.depth)
    return _Size(values, depth + 1)


def find_excess_of_values(value: object, limits: Limits = LIMITS) -> Excess[object] | None:
    """Find the excess of plain values from Ansible or JSON."""
    return find_excess(value, _parts_of_value, _length_of_value, limits)


def _parts_of_value(value: object) -> Sequence[object] | None:
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    return None


def _length_of_value(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 0


# Bytes, of all keys and values together.
ANNOTATIONS_SIZE = 256 * 1024
DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
DESCRIPTION_RULE = "text of letters, digits and punctuation of Latin-1, as IAM takes it"
TAG_RULE = "letters, digits, spaces and _.:/=+-@, as IAM takes them"


def _is_tag_text(text: str) -> bool:
    return all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LNZ" for sign in text)


def _find_same_but_for_case(names: Iterable[str]) -> tuple[str, str] | None:
    """Two tag keys that IAM takes for one."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            return first, name
    return None


def annotations_size(annotations: Mapping[str, str]) -> int:
    return sum(len(text.encode()) for pair in annotations.items() for text in pair)


# IAM and EKS take 50 tags; two of a policy's say that it is ours and for which cluster.
TAGS_LEFT = 48

# As Ansible reads the options of modules.
_TRUE = frozenset(("true", "t", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "f", "no", "n", "off", "0"))
# Of what a user wrote, in a message: the longest name that can be right is 253 characters long.
SHOWN_PROBLEMS = 300
SHOWN_VALUE = 80
SHOWN_KEYS = 10
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def read_boolean(value: object) -> bool | None:
    """A boolean, or what stands for one; None for anything else.

    Extra variables of a command line, INI inventories and surveys give text: "false" is not true.
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def read_integer(value: object) -> int | None:
    """A whole number, or text that is one; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    # More digits than this Python may refuse to convert, and no option has them.
    if isinstance(value, str) and len(value) < 20 and _INTEGER.fullmatch(value.strip()):
        return int(value)
    return None


def shown_value(value: object) -> str:
    """What a user wrote, as one part of a message."""
    text = str(value)
    return text if len(text) <= SHOWN_PROBLEMS else f"{text[: SHOWN_PROBLEMS - 1]}…"


class Fields:
    """One mapping that a user wrote, at a place that error messages name.

    ``prefix`` is what the user's names of the fields have before those used here.
    """

    def __init__(
        self, raw: Mapping[object, object], place: str, problems: Problems, prefix: str = ""
    ) -> None:
        self.raw = raw
        self.place = place
        self.problems = problems
        self.prefix = prefix

    def known(self, names: Iterable[str], within: Mapping[str, Iterable[str]] | None = None) -> None:
        """Report keys that do not exist, with the nearest one that does.

        ``within`` are the keys of mappings among the fields: role_name is taken for the name within role.
        """
        names = tuple(names)
        inner = {f"{name}_{key}": f"{name}.{key}" for name, keys in (within or {}).items() for key in keys}
        unknown = [key for key in self.raw if key not in names]
        for key in unknown[:SHOWN_KEYS]:
            exact = inner.get(shown_value(key))
            near = [exact] if exact else difflib.get_close_matches(shown_value(key), names, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(names)}."
            self.problems.add(self.place, f"unknown key '{shown_value(key)}'; {hint}")
        if len(unknown) > SHOWN_KEYS:
            self.problems.add(self.place, f"{len(unknown) - SHOWN_KEYS} more unknown keys.")

    def has(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def refuse(self, name: str, rule: str) -> None:
        """Report that a field's value breaks the rule for it ("must be …")."""
        self._refuse(name, rule, self.raw.get(name))

    def _refuse(self, name: str, rule: str, value: object) -> None:
        written = repr(value)
        got = written if len(written) < SHOWN_VALUE else describe_type(value)
        self.problems.add(self.place, f"{self.prefix}{name} must be {rule}, got {got}.")

    def text(
        self,
        name: str,
        default: str | None = None,
        pattern: re.Pattern[str] | None = None,
        rule: str = "text",
        longest: int | None = None,
    ) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(name, rule)
            return default
        if pattern is not None and not pattern.fullmatch(value):
            self.refuse(name, rule)
        elif longest is not None and len(value) > longest:
            self.problems.add(
                self.place, f"{name} has {len(value)} characters, at most {longest} are allowed."
            )
        return str(value)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if value not in choices:
            self.refuse(name, f"one of {', '.join(choices)}")
            return None
        return str(value)

    def flag(self, name: str) -> bool | None:
        value = self.raw.get(name)
        flag = read_boolean(value)
        if flag is None and value is not None:
            self.refuse(name, "true or false")
        return flag

    def integer(self, name: str, least: int, most: int | None = None, unit: str = "") -> int | None:
        value = self.raw.get(name)
        if value is None:
            return None
        number = read_integer(value)
        if number is None or number < least or (most is not None and number > most):
            many = f"a number of {unit} " if unit else ""
            rule = f"{least} or more" if most is None else f"{many}from {least} to {most}"
            if number is None and not unit:
                rule = f"a whole number, {rule}"
            self._refuse(name, rule, value if number is None else number)
            return None
        return number

    def mapping(self, name: str) -> Mapping[object, object] | None:
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(name, "a mapping")
            return None
        return value

    def entries(self, name: str) -> Sequence[object]:
        value = self.raw.get(name)
        if value is None:
            return ()
        if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
            self.refuse(name, "a list")
            return ()
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """A list of names; one name, or several with commas, may also be text."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(str(part) for part in self.entries(name))

    def tags(self, name: str, common: Mapping[str, str] | None = None) -> dict[str, str]:
        """Tags by the rules that IAM and EKS share: at most 50, no ``aws:`` prefix.

        ``common`` has tags that hold unless they are given here.
        """
        tags: dict[str, str] = dict(common or {})
        for key, value in (self.mapping(name) or {}).items():
            if isinstance(value, (Mapping, list)) or value is None:
                self.problems.add(self.place, f"{name}: the value of tag '{shown_value(key)}' must be text.")
                continue
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if not 1 <= len(str(key)) <= 128 or len(text) > 256:
                self.problems.add(
                    self.place,
                    f"{name}: tag '{shown_value(key)}' is too long; a key has 1 to 128 characters, a value at most 256.",
                )
            elif str(key).lower().startswith("aws:"):
                self.problems.add(
                    self.place, f"{name}: tag '{shown_value(key)}' uses the prefix aws:, which AWS reserves."
                )
            elif not _is_tag_text(f"{key}{text}"):
                self.problems.add(
                    self.place,
                    f"{name}: key and value of tag '{shown_value(key)}' must have only {TAG_RULE}.",
                )
            elif is_mark(str(key)):
                self.problems.add(
                    self.place, f"{name}: tag '{shown_value(key)}' is set by this collection; leave it out."
                )
            else:
                tags[str(key)] = text
        if same := _find_same_but_for_case(tags):
            self.problems.add(
                self.place,
                f"{name}: tags '{same[0]}' and '{same[1]}' differ only in letter case, and IAM takes them for one.",
            )
        if len(tags) > TAGS_LEFT:
            self.problems.add(
                self.place,
                f"{name} has {len(tags)} tags{' with the common ones' if common else ''}; {TAGS_LEFT} "
                "are allowed beside those that mark ownership.",
            )
        return tags
