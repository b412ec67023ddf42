# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read typed fields of user input, limit their size, and collect every problem with its place. Pure.

The total size is limited because ten lines of YAML with aliases can expand to more values than fit into memory. Single fields
have the limits of IAM, STS and Kubernetes, so that none of these services rejects a value in the middle of a run. Sources: IAM
API Reference (roleDescriptionType, Tag), Kubernetes "Annotations" and its validation of object metadata.
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
from .removed import REMOVED_KEYS

_T = TypeVar("_T")

# For the limit ``values``, a text counts as one value, plus one for every 100 characters.
CHARACTERS_PER_VALUE = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits for the contents of a file or option, and for the number of files; docs/workloads.md lists them.

    ``values`` is the number of keys and values with aliases expanded, plus one for each 100 characters of a text.
    ``depth`` is the number of levels of nested mappings and lists. ``digits`` is the number of digits of an integer.
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
    """A part of the input that exceeds a limit, and a predicate for the message ("is nested more than 64 levels deep")."""

    part: _T
    rule: str


@dataclass(frozen=True, slots=True)
class _Size:
    values: int
    depth: int


def find_excess(
    root: _T, split: Callable[[_T], Sequence[_T] | None], measure: Callable[[_T], int], limits: Limits
) -> Excess[_T] | None:
    """Return the first part of a nested value that exceeds a limit or contains itself, or None.

    If YAML aliases refer to a part several times, visit the part once, but count its size for each reference.

    :arg split: returns the members of a mapping or list, and None for a scalar.
    :arg measure: returns the number of characters of a scalar.
    """
    sizes: dict[int, _Size] = {}
    # The members of each mapping or list, by its id(). Keep a reference, because Python reuses the id() of a deleted object.
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
            members = contents.get(name) or split(child)
            if members is None:
                sizes[name] = _Size(1 + measure(child) // CHARACTERS_PER_VALUE, 0)
            else:
                contents[name] = members
                waiting.append(child)
    return None


def _joined(sizes: Iterable[_Size]) -> _Size:
    values, depth = 1, 0
    for size in sizes:
        values += size.values
        depth = max(depth, size.depth)
    return _Size(values, depth + 1)


def find_excess_of_values(value: object, limits: Limits = LIMITS) -> Excess[object] | None:
    """Apply ``find_excess`` to a value from Ansible or JSON."""
    return find_excess(value, _split_value, _measure_value, limits)


def _split_value(value: object) -> Sequence[object] | None:
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    return None


def _measure_value(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 0


# The maximum size of the annotations of a Kubernetes object: all keys and values together, in bytes.
ANNOTATIONS_SIZE = 256 * 1024
DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
DESCRIPTION_RULE = (
    "text with only the characters that IAM accepts (Latin-1 letters, digits, punctuation and white space)"
)
TAG_RULE = "the characters that IAM accepts: letters, digits, spaces and _.:/=+-@"


def _is_tag_text(text: str) -> bool:
    return all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LNZ" for sign in text)


def _find_case_conflict(names: Iterable[str]) -> tuple[str, str] | None:
    """Return two tag keys that differ only in letter case, which IAM treats as the same key, or None."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            return first, name
    return None


def annotations_size(annotations: Mapping[str, str]) -> int:
    """Return the size of annotations as Kubernetes counts it: all keys and values, in bytes."""
    return sum(len(text.encode()) for pair in annotations.items() for text in pair)


# IAM and EKS accept 50 tags on a resource. Three of these are reserved for the marks of this collection.
TAGS_LEFT = 47

# The strings that Ansible accepts as booleans.
_TRUE = frozenset(("true", "t", "yes", "y", "on", "1"))
_FALSE = frozenset(("false", "f", "no", "n", "off", "0"))
# The limits for user input in messages: the length of a text (the longest valid name has 253 characters), the length of an
# invalid value, and the number of unknown keys.
SHOWN_TEXT = 300
SHOWN_VALUE = 80
SHOWN_KEYS = 10
_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


def read_boolean(value: object) -> bool | None:
    """Convert a value to a boolean. Return None if Ansible would not accept the value as a boolean.

    Extra variables on the command line, INI inventories and surveys contain strings, and the string "false" must not count as
    true.
    """
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    return True if text in _TRUE else False if text in _FALSE else None


def read_integer(value: object) -> int | None:
    """Convert an integer or its decimal text to an integer. Return None for any other value."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    # int() raises ValueError for strings of thousands of digits. No option needs 20 digits.
    if isinstance(value, str) and len(value) < 20 and _INTEGER.fullmatch(value.strip()):
        return int(value)
    return None


def number_as_text(value: object) -> object:
    """Convert an integer to text, because YAML parses an unquoted name or ID of digits as an integer.

    Return any other value unchanged.
    """
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def shown_value(value: object) -> str:
    """Return user input as text for a message, truncated if it is long."""
    text = str(value)
    return text if len(text) <= SHOWN_TEXT else f"{text[: SHOWN_TEXT - 1]}…"


class Fields:
    """A mapping from user input whose fields are read by type.

    The methods that return a value add a problem to ``problems`` if the value is invalid. Null counts as a missing field.

    :arg raw: the mapping.
    :arg place: the place of the mapping in the input, for messages ("workloads[0] role").
    :arg prefix: the text before a field name in messages, such as "pod_identity_".
    """

    def __init__(
        self, raw: Mapping[object, object], place: str, problems: Problems, prefix: str = ""
    ) -> None:
        self.raw = raw
        self.place = place
        self.problems = problems
        self.prefix = prefix

    def report_unknown(self, names: Iterable[str], nested: Mapping[str, Iterable[str]] | None = None) -> None:
        """Report the keys that are not in ``names``, and suggest the replacement of a removed key, or the closest valid key.

        :arg nested: the keys of nested mappings, by the name of the mapping, so that ``role_name`` gets the suggestion
            ``role.name``.
        """
        names = tuple(names)
        inner = {f"{name}_{key}": f"{name}.{key}" for name, keys in (nested or {}).items() for key in keys}
        unknown = [key for key in self.raw if key not in names]
        for key in unknown[:SHOWN_KEYS]:
            exact = inner.get(shown_value(key))
            near = [exact] if exact else difflib.get_close_matches(shown_value(key), names, 1)
            hint = REMOVED_KEYS.get(shown_value(key)) or (
                f"did you mean '{near[0]}'?" if near else f"the valid keys are {', '.join(names)}."
            )
            self.problems.add(self.place, f"unknown key '{shown_value(key)}'; {hint}")
        if len(unknown) > SHOWN_KEYS:
            more = len(unknown) - SHOWN_KEYS
            self.problems.add(self.place, f"{more} more unknown key{'' if more == 1 else 's'}.")

    def has(self, name: str) -> bool:
        """Return whether a field has a value other than null."""
        return self.raw.get(name) is not None

    def refuse(self, name: str, rule: str) -> None:
        """Report that the value of a field is invalid. ``rule`` completes the sentence "NAME must be …"."""
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
        """Return the text of a field, or ``default`` if it is missing or not a string. Report an invalid value.

        :arg pattern: the regular expression that the whole text must match.
        :arg rule: describes the pattern in messages ("NAME must be …").
        :arg longest: the maximum number of characters.
        """
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
                self.place, f"{name} has {len(value)} characters; at most {longest} are allowed."
            )
        return str(value)

    def choice(self, name: str, choices: Sequence[str]) -> str | None:
        """Return one of ``choices``, or None if the field is missing or invalid."""
        value = self.raw.get(name)
        if value is None:
            return None
        if value not in choices:
            self.refuse(name, f"one of {', '.join(choices)}")
            return None
        return str(value)

    def flag(self, name: str) -> bool | None:
        """Return a boolean, or None if the field is missing or invalid."""
        value = self.raw.get(name)
        flag = read_boolean(value)
        if flag is None and value is not None:
            self.refuse(name, "true or false")
        return flag

    def integer(self, name: str, least: int, most: int | None = None, unit: str = "") -> int | None:
        """Return an integer from ``least`` to ``most``, or None if the field is missing or invalid."""
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
        """Return a mapping, or None if the field is missing or invalid."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.refuse(name, "a mapping")
            return None
        return value

    def entries(self, name: str) -> Sequence[object]:
        """Return the members of a list, or () if the field is missing or invalid."""
        value = self.raw.get(name)
        if value is None:
            return ()
        if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence):
            self.refuse(name, "a list")
            return ()
        return value

    def names(self, name: str) -> tuple[str, ...]:
        """Return the names in a list or a comma-separated string, or () if the field is missing or invalid."""
        value = self.raw.get(name)
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(str(part) for part in self.entries(name))

    def tags(self, name: str, common: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the tags of a field, merged with ``common``. Report invalid tags, and tags that this collection reserves.

        :arg common: the tags of all resources of the run. A tag of the field overrides a common tag with the same key.
        """
        label, tags = f"{self.prefix}{name}", dict(common or {})
        for key, value in (self.mapping(name) or {}).items():
            if isinstance(value, (Mapping, list)) or value is None:
                self.problems.add(self.place, f"{label}: the value of tag '{shown_value(key)}' must be text.")
                continue
            text = str(value).lower() if isinstance(value, bool) else str(value)
            if not 1 <= len(str(key)) <= 128 or len(text) > 256:
                self.problems.add(
                    self.place,
                    f"{label}: tag '{shown_value(key)}' has an invalid length; a key has 1 to 128 characters, a value at most "
                    "256.",
                )
            elif str(key).lower().startswith("aws:"):
                self.problems.add(
                    self.place, f"{label}: tag '{shown_value(key)}' uses the prefix aws:, which AWS reserves."
                )
            elif not _is_tag_text(f"{key}{text}"):
                self.problems.add(
                    self.place,
                    f"{label}: key and value of tag '{shown_value(key)}' may contain only {TAG_RULE}.",
                )
            elif is_mark(str(key)):
                self.problems.add(
                    self.place, f"{label}: tag '{shown_value(key)}' is set by this collection; leave it out."
                )
            else:
                tags[str(key)] = text
        if same := _find_case_conflict(tags):
            self.problems.add(
                self.place,
                f"{label}: tags '{same[0]}' and '{same[1]}' differ only in letter case, and IAM treats them as the same.",
            )
        if len(tags) > TAGS_LEFT:
            self.problems.add(
                self.place,
                f"{label} has {len(tags)} tags{', including the common tags' if common else ''}; {TAGS_LEFT} "
                "are allowed in addition to the ownership tags.",
            )
        return tags
