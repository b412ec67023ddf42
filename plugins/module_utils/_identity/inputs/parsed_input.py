# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Parsed input of a run as a JSON file: written once on the controller, and read with the same types by later processes.

A reader knows the SHA-256 of the file, and rejects any other content. The form of the text follows from the classes of
``model.desired``: a new field there needs nothing here.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..._policy.language.document import PolicyDocument
from ..model.desired import ParsedInput
from ..model.errors import InputError

FORMAT = "workload_identity.aws parsed input 1"

_T = TypeVar("_T")
_PLAIN = (str, int, bool, object, NoneType)


def dump(parsed: ParsedInput) -> str:
    """ASCII text that ``load`` turns into an equal object."""
    content = {"format": FORMAT, "input": parsed}
    return json.dumps(content, separators=(",", ":"), check_circular=False, default=_fields)


def load(text: str) -> ParsedInput:
    """What ``dump`` was given. InputError when the text is not of its making."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError([f"this is not parsed input: it is not JSON ({error})."]) from error
    marker = content.get("format") if isinstance(content, dict) else None
    if marker != FORMAT:
        raise InputError([f"this is not parsed input: its format must be '{FORMAT}', got {marker!r}."])
    return _class_reader(ParsedInput)(content["input"])


def _fields(value: object) -> dict[str, object]:
    """The fields of a dataclass that differ from their defaults."""
    if not is_dataclass(value):
        raise TypeError(f"parsed input cannot hold a {type(value).__name__}")
    pairs = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: content for field, content in pairs if content is not field.default}


def _class_reader(cls: type[_T]) -> Callable[[Any], _T]:
    hints = get_type_hints(cls)
    readers = {name: _reader(hint) for name, hint in hints.items()}
    converted = tuple((name, reader) for name, reader in readers.items() if reader is not None)

    def read(content: dict[str, Any]) -> _T:
        for name, reader in converted:
            if (value := content.get(name)) is not None:
                content[name] = reader(value)
        return cls(**content)

    return read


def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """From a JSON value to that of a field; None for a type that JSON gives back by itself."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN or origin is Literal or (origin is Mapping and set(arguments) <= set(_PLAIN)):
        return None
    if hint is PolicyDocument:
        return PolicyDocument
    if isinstance(hint, type) and is_dataclass(hint):
        return _class_reader(hint)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        reader = _reader(arguments[0])
        return tuple if reader is None else lambda values: tuple(map(reader, values))
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        return _reader(arguments[0])
    raise TypeError(f"parsed input cannot hold a {hint}")


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file of parsed input. ``sha256`` is the digest of its content, in hexadecimal."""

    path: str
    sha256: str


def write_parsed(parsed: ParsedInput, folder: str) -> ParsedFile:
    """Write parsed input into a folder, for this user alone (mode 0600)."""
    content = dump(parsed).encode("ascii")
    digest = hashlib.sha256(content).hexdigest()
    path = Path(folder) / f"pod-identity-input-{digest}.json"
    # mkstemp makes files of mode 0600. Hosts with the same input write the same file at the same time.
    handle, name = tempfile.mkstemp(prefix="pod-identity-input-", dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.replace(name, path)
    return ParsedFile(str(path), digest)


def parsed_argument(argument: Mapping[str, str] | None) -> ParsedInput:
    """The input of a module's option ``parsed_input``, or InputError."""
    if argument is None:
        raise InputError(
            [
                "the module was started without its action plugin, which parses its input on the controller. Call "
                "it from a play by its full name."
            ]
        )
    return read_parsed(argument["path"], argument["sha256"])


def read_parsed(path: str, sha256: str) -> ParsedInput:
    """The input of the file; InputError when it cannot be read, or is not what was written."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError([f"{path}: the parsed input cannot be read: {error.strerror}."]) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise InputError(
            [
                f"{path}: the parsed input was modified after it was checked (SHA-256 {digest}, expected "
                f"{sha256}). Run again."
            ]
        )
    try:
        return load(content.decode("utf-8", "replace"))
    except InputError as error:
        raise InputError([f"{path}: {problem}" for problem in error.problems]) from error
