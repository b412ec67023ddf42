# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read typed fields of user input, and collect every problem with its place. Pure.

Fields have the limits of IAM, STS and Kubernetes, so that none of these services rejects a value in the middle of a run. Sources:
IAM API Reference (roleDescriptionType, Tag), Kubernetes "Annotations" and its validation of object metadata.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from ..._policy.language.document import describe_type
from ..model.errors import Problems
from ..model.names import is_mark

# The maximum size of the annotations of a Kubernetes object: all keys and values together, in bytes.
ANNOTATIONS_SIZE = 256 * 1024
DESCRIPTION = re.compile(r"[\t\n\r\x20-\x7e\xa1-\xff]*")
DESCRIPTION_RULE = (
    "text with only the characters that IAM accepts (Latin-1 letters, digits, punctuation and white space)"
)
# The tags that IAM or this collection refuses, with the reason. The first matching row is reported.
_TAG_RULES: tuple[tuple[Callable[[str, str], bool], str], ...] = (
    (
        lambda key, text: not 1 <= len(key) <= 128 or len(text) > 256,
        "tag '{key}' has an invalid length; a key has 1 to 128 characters, a value at most 256.",
    ),
    (
        lambda key, _text: key.lower().startswith("aws:"),
        "tag '{key}' uses the prefix aws:, which AWS reserves.",
    ),
    (
        lambda key, text: (
            not all(sign in "_.:/=+-@" or unicodedata.category(sign)[0] in "LNZ" for sign in key + text)
        ),
        "key and value of tag '{key}' may contain only the characters that IAM accepts: letters, digits, spaces and _.:/=+-@.",
    ),
    (lambda key, _text: is_mark(key), "tag '{key}' is set by this collection; leave it out."),
)


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


# A combination of fields that is not valid: whether a mapping has it, and the problem.
CombinationRule: TypeAlias = tuple[Callable[[Mapping[object, object]], object], str]


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
        """Report the keys that are not in ``names``, and suggest the closest valid key.

        :arg nested: the keys of nested mappings, by the name of the mapping, so that ``role_name`` gets the suggestion
            ``role.name``.
        """
        names = tuple(names)
        inner = {f"{name}_{key}": f"{name}.{key}" for name, keys in (nested or {}).items() for key in keys}
        unknown = [key for key in self.raw if key not in names]
        for key in unknown[:SHOWN_KEYS]:
            exact = inner.get(shown_value(key))
            near = [exact] if exact else difflib.get_close_matches(shown_value(key), names)
            hint = f"did you mean '{near[0]}'?" if near else f"the valid keys are {', '.join(names)}."
            self.problems.add(self.place, f"unknown key '{shown_value(key)}'; {hint}")
        if len(unknown) > SHOWN_KEYS:
            more = len(unknown) - SHOWN_KEYS
            self.problems.add(self.place, f"{more} more unknown key{'' if more == 1 else 's'}.")

    def check(self, rules: Iterable[CombinationRule]) -> None:
        """Report each of the invalid combinations that the mapping has."""
        for has_combination, problem in rules:
            if has_combination(self.raw):
                self.problems.add(self.place, problem)

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
        """Return the names in a list, or in text with commas or line breaks, or () if the field is missing or invalid."""
        value = self.raw.get(name)
        if isinstance(value, str):
            # AWX survey questions of the types textarea and multiselect return one name per line.
            return tuple(part.strip() for part in re.split(r"[,\n]", value) if part.strip())
        return tuple(str(part) for part in self.entries(name))

    def tags(self, name: str, common: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the tags of a field, merged with ``common``. Report invalid tags, and tags that this collection reserves.

        :arg common: the tags of all resources of the run. A tag of the field overrides a common tag with the same key.
        """
        label, tags = f"{self.prefix}{name}", dict(common or {})
        for raw_key, value in (self.mapping(name) or {}).items():
            key, text = str(raw_key), str(value).lower() if isinstance(value, bool) else str(value)
            refusals = (rule for refuses, rule in _TAG_RULES if refuses(key, text))
            refusal = next(refusals, "")
            if isinstance(value, (Mapping, list)) or value is None:
                refusal = "the value of tag '{key}' must be text."
            if refusal:
                self.problems.add(self.place, f"{label}: {refusal.format(key=shown_value(key))}")
            else:
                tags[key] = text
        first = {key.lower(): key for key in reversed(tags)}
        same = next(((first[key.lower()], key) for key in tags if first[key.lower()] != key), None)
        if same:
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
