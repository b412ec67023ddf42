# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Workloads from files: a YAML or JSON file, or a folder of them, one team a file.

A file holds a list of workloads, or a mapping with such a list under ``pod_identity_workloads`` or
``workloads``. It is plain data: nothing in it is templated. What could make a list shorter than it was
meant to be is an error: a purge would remove what is not listed.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...model.errors import InputError
from ..bounds import LIMITS, Limits
from .json_file import read_json
from .workload_list import VAULT, vaulted_file
from .yaml_file import read_yaml

SUFFIXES = (".yml", ".yaml", ".json")


@dataclass(frozen=True, slots=True)
class Source:
    """Workloads as they were written, and where each of them stands ("team-a.yml line 12")."""

    workloads: list[object]
    places: list[str]


def locate(paths: Sequence[str], playbook_dir: str, working_dir: str) -> list[str]:
    """Absolute paths of files and folders, or InputError.

    A relative path is looked for beside the playbook and in the working directory. In both it would be a
    guess which list is meant.
    """
    problems: list[str] = []
    absolute: list[str] = []
    for written in paths:
        path = os.path.expanduser(os.path.expandvars(written))
        if not path.strip():
            problems.append("a path of a file or folder with workloads is empty; leave it out.")
            continue
        candidates = [os.path.abspath(os.path.join(folder, path)) for folder in (playbook_dir, working_dir)]
        existing = [candidate for candidate in dict.fromkeys(candidates) if os.path.lexists(candidate)]
        if os.path.isabs(path) or (existing and _are_same(existing)):
            absolute.append((existing or candidates)[0])
        elif existing:
            problems.append(
                f"{written}: exists twice, beside the playbook ({existing[0]}) and in the working directory "
                f"({existing[1]}). Give the absolute path of the one that is meant."
            )
        else:
            problems.append(
                f"{written}: there is no such file or folder, neither beside the playbook ({playbook_dir}) nor "
                f"in the working directory ({working_dir})."
            )
    if problems:
        raise InputError(problems)
    return absolute


def _are_same(paths: Sequence[str]) -> bool:
    try:
        return all(os.path.samefile(paths[0], other) for other in paths[1:])
    except OSError:
        return False


def read_sources(paths: Sequence[str], limits: Limits = LIMITS) -> Source:
    """All workloads of files and folders, or InputError with file and line of every problem.

    A folder's files are those with the ending .yml, .yaml or .json, in the order of their names.
    """
    problems: list[str] = []
    if not paths:
        problems.append("the list of files with workloads is empty; give workloads: [] for no workloads.")
    workloads: list[object] = []
    places: list[str] = []
    files = _files(paths, problems)
    if len(files) > limits.files:
        more = f"there are {len(files):,} files with workloads, and {limits.files:,} are read"
        raise InputError([f"{', '.join(paths[:3])}: {more}; write more workloads into each."])
    for path in files:
        try:
            text = _text(path, limits)
            read = read_json if path.suffix.lower() == ".json" else read_yaml
            for line, workload in read(str(path), text, limits):
                workloads.append(workload)
                places.append(f"{path} line {line}")
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return Source(workloads, places)


def _files(paths: Sequence[str], problems: list[str]) -> list[Path]:
    files: list[Path] = []
    for name in paths:
        path = Path(name).expanduser()
        try:
            if path.is_dir():
                files += _files_of_folder(path, problems)
            elif path.is_file():
                files.append(path)
            else:
                problems.append(f"{name}: {_describe(path)}.")
        except OSError as error:
            problems.append(f"{name}: cannot be read: {error.strerror}.")
    return files


def _files_of_folder(folder: Path, problems: list[str]) -> list[Path]:
    files: list[Path] = []
    before = len(problems)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if (inner := _first_input(path)) is not None:
                problems.append(
                    f"{path}: this folder inside {folder} holds input files ({inner}), and folders inside "
                    "folders are not read. List it as well, or move it elsewhere."
                )
        elif path.is_symlink() and not path.exists():
            problems.append(f"{path}: {_describe(path)}. Mend the link or remove it.")
        elif _is_input(path):
            if path.is_file():
                files.append(path)
            else:
                problems.append(f"{path}: {_describe(path)}.")
    if not files and len(problems) == before:
        problems.append(f"{folder}: this folder has no file that ends in {', '.join(SUFFIXES)}.")
    return files


def _first_input(folder: Path) -> Path | None:
    """The first input file at any depth; a folder that cannot be listed is an OSError."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            # A link may lead back to a folder above.
            inner = None if path.is_symlink() else _first_input(path)
            if inner is not None:
                return inner
        elif _is_input(path):
            return path
    return None


def _is_input(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES


def _describe(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"is a link to {os.readlink(path)}, which is not there"
    return "is neither a file nor a folder" if path.exists() else "there is no such file or folder"


def _text(path: Path, limits: Limits) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limits.file_bytes + 1)
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror}."]) from error
    if len(data) > limits.file_bytes:
        raise InputError(
            [f"{path}: has more than {limits.file_bytes:,} bytes; write the workloads into several files."]
        )
    data = data.removeprefix(codecs.BOM_UTF8)
    if data.startswith(VAULT.encode()):
        raise vaulted_file(str(path))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            [f"{path} line {line}: is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8."]
        ) from error
