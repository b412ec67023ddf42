# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Workloads from files: a YAML or JSON file, or a folder of them, one team a file.

A file holds a list of workloads, or a mapping with such a list under ``pod_identity_workloads`` or
``workloads``. It is plain data: nothing in it is templated.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError

# Ansible itself needs PyYAML; a module's Python may lack it, which is then said.
with contextlib.suppress(ImportError):
    import yaml

KEYS = ("pod_identity_workloads", "workloads")
SUFFIXES = (".yml", ".yaml", ".json")


@dataclass(frozen=True, slots=True)
class Source:
    """Workloads as they were written, and where each of them stands ("team-a.yml line 12")."""

    workloads: list[object]
    places: list[str]


def read_sources(paths: Sequence[str], lines: bool = True) -> Source:
    """All workloads of files and folders, or InputError with file and line of every problem.

    A folder's files are those with the ending .yml, .yaml or .json, in the order of their names. Without
    ``lines`` the workloads of JSON have a number as their place, and are read many times faster.
    """
    problems: list[str] = []
    workloads: list[object] = []
    places: list[str] = []
    for path in _files(paths, problems):
        try:
            for place, workload in _read(path, lines):
                workloads.append(workload)
                places.append(place)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return Source(workloads, places)


def _files(paths: Sequence[str], problems: list[str]) -> list[Path]:
    files: list[Path] = []
    for given in paths:
        path = Path(given).expanduser()
        if path.is_dir():
            found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES and one.is_file())
            if not found:
                problems.append(f"{given}: this folder has no file that ends in {', '.join(SUFFIXES)}.")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            problems.append(f"{given}: there is no such file or folder.")
    return files


def _read(path: Path, lines: bool) -> list[tuple[str, object]]:
    if not lines and (found := _read_json(path)) is not None:
        return [(f"{path} workload {number}", one) for number, one in enumerate(found, 1)]
    loader = _loader()
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=loader)
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise InputError([f"{path}: is not UTF-8 text (byte {error.start})."]) from error
    except yaml.YAMLError as error:
        raise InputError([_syntax(path, error)]) from error
    if root is None:
        return []
    nodes = _list_node(path, root)
    constructor = loader("")
    try:
        return [
            (f"{path} line {node.start_mark.line + 1}", constructor.construct_object(node, deep=True))
            for node in nodes
        ]
    except yaml.YAMLError as error:
        raise InputError([_syntax(path, error)]) from error
    finally:
        constructor.dispose()


def _read_json(path: Path) -> list[object] | None:
    """None when this is no JSON with a list of workloads: YAML's reader knows the line of what is wrong."""
    if path.suffix != ".json":
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if isinstance(found, dict):
        found = next((value for key, value in found.items() if key in KEYS), None)
    return found if isinstance(found, list) else None


def _loader() -> Any:
    """The loader written in C where there is one: it is many times faster."""
    try:
        return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    except NameError as error:
        raise InputError(
            ["workloads_from needs PyYAML in the Python that runs the module; install it there."]
        ) from error


def _list_node(path: Path, root: Any) -> list[Any]:
    node = root
    if isinstance(root, yaml.MappingNode):
        lists = [value for key, value in root.value if key.value in KEYS]
        if not lists:
            raise InputError([f"{path} line 1: has no list under {' or '.join(KEYS)}."])
        node = lists[0]
    if not isinstance(node, yaml.SequenceNode):
        line = node.start_mark.line + 1
        raise InputError([f"{path} line {line}: must be a list of workloads, one mapping each."])
    return list(node.value)


def _syntax(path: Path, error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    place = f" line {mark.line + 1}" if mark is not None else ""
    return f"{path}{place}: is not valid YAML: {getattr(error, 'problem', None) or error}."
