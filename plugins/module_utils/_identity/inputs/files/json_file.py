# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Workloads from JSON, with the line of each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from ...model.errors import InputError
from ..bounds import LIMITS, Limits, find_excess_of_values, too_deep
from .workload_list import (
    CUT_OFF,
    KEYS,
    beyond_bounds,
    describe_repeated,
    list_key,
    no_list,
    no_workloads,
)

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


class _Lines:
    """Which line a place of a text is in, for places that come in order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def at(self, place: int) -> int:
        self._line += self._text.count("\n", self._at, place)
        self._at = place
        return self._line


def read_json(path: str, text: str, limits: Limits = LIMITS) -> list[tuple[int, object]]:
    """Line and content of each workload, or InputError."""
    if not text.strip():
        raise no_workloads(path)
    repeated = False

    def mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeated
        content = dict(pairs)
        repeated = repeated or len(content) < len(pairs)
        return content

    try:
        content: object = json.loads(text, object_pairs_hook=mapping)
    except json.JSONDecodeError as error:
        raise InputError([_syntax(path, text, error)]) from error
    except RecursionError as error:
        raise beyond_bounds(path, _deep_line(text, limits), too_deep(limits)) from error
    except ValueError as error:
        raise InputError([f"{path}: is not valid JSON: {error}."]) from error
    if excess := find_excess_of_values(content, limits):
        line = _deep_line(text, limits) if excess.rule == too_deep(limits) else 1
        raise beyond_bounds(path, line, excess.rule)
    if repeated:
        raise InputError(list(_find_repeated(path, text)))
    if isinstance(content, dict):
        place = _Lines(text)
        lines = {key: place.at(at) for key, at in _members(text)}
        name = list_key(path, lines)
        content, line = content[name], lines[name]
    else:
        line = _line(text, _skip(text, 0))
    if content is None:
        raise no_workloads(path, line)
    if not isinstance(content, list):
        raise no_list(path, line)
    return list(zip(_lines(text), content, strict=True))


def _syntax(path: str, text: str, error: json.JSONDecodeError) -> str:
    end = len(text.rstrip())
    hint = ""
    if error.pos >= end or error.msg.startswith("Unterminated string"):
        hint = CUT_OFF
        # Not a line after the last one.
        error = json.JSONDecodeError(error.msg, text, min(error.pos, end))
    return f"{path} line {error.lineno}: is not valid JSON: {error.msg} (column {error.colno}).{hint}"


def _find_repeated(path: str, text: str) -> Iterator[str]:
    """Every key that a mapping has twice: JSON's reader takes the last one without a word."""
    levels: list[dict[str, int]] = []
    last = None
    place = _Lines(text)
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "{[":
            levels.append({})
        elif mark in "}]":
            levels.pop()
        elif mark == ":" and last is not None:
            key, line = str(json.loads(last.group())), place.at(last.start())
            if key in levels[-1]:
                yield describe_repeated(path, key, line, levels[-1][key])
            else:
                levels[-1][key] = line
        else:
            last = token


def _deep_line(text: str, limits: Limits) -> int:
    """The line in which text, of which that much is valid JSON, is nested too deeply."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token.group(), 0)
        if depth > limits.depth:
            return _line(text, token.start())
    return 1


def _members(text: str) -> Iterator[tuple[str, int]]:
    """Each key of the outermost mapping of valid JSON, with its place."""
    read = json.JSONDecoder().raw_decode
    at = _skip(text, _skip(text, 0) + 1)
    while text[at] != "}":
        key, end = read(text, at)
        yield key, at
        _value, end = read(text, _after_colon(text, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _start(text: str) -> int:
    """Where the key of the list is."""
    return next(place for key, place in _members(text) if key in KEYS)


def _lines(text: str) -> Iterator[int]:
    """The line of each workload in valid JSON that holds a list of them."""
    read = json.JSONDecoder().raw_decode
    at = _skip(text, 0)
    if text[at] == "{":
        at = _after_colon(text, read(text, _start(text))[1])
    line = _line(text, at)
    before, at = at, _skip(text, at + 1)
    while text[at] != "]":
        line += text.count("\n", before, at)
        yield line
        before, (_workload, at) = at, read(text, at)
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _after_colon(text: str, at: int) -> int:
    return _skip(text, _skip(text, at) + 1)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
