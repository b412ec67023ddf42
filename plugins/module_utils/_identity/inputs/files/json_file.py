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
from .workload_list import CUT_OFF, KEYS, describe_repeated, list_key, no_list, no_workloads, too_deep

_SPACE = re.compile(r"[ \t\n\r]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:]')


def read_json(path: str, text: str) -> list[tuple[int, object]]:
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
        raise too_deep(path) from error
    except ValueError as error:
        raise InputError([f"{path}: is not valid JSON: {error}."]) from error
    if repeated:
        raise InputError(list(_find_repeated(path, text)))
    if isinstance(content, dict):
        lines = {key: _line(text, at) for key, at in _members(text)}
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
    for token in _TOKEN.finditer(text):
        mark = token.group()
        if mark in "{[":
            levels.append({})
        elif mark in "}]":
            levels.pop()
        elif mark == ":" and last is not None:
            key, line = str(json.loads(last.group())), _line(text, last.start())
            first = levels[-1].setdefault(key, last.start())
            if first != last.start():
                yield describe_repeated(path, key, line, _line(text, first))
        else:
            last = token


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
