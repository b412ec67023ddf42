# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The file with a run's parsed input: written once on the controller, read by all that runs later.

Who reads it knows its SHA-256, and refuses any other content.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..model.desired import ParsedInput
from ..model.errors import InputError
from .codec import dump, load


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """Where parsed input is. ``sha256`` is the digest of the file's content, in hexadecimal."""

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
