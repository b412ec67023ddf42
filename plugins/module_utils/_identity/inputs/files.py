# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read workloads from YAML and JSON files, and from folders with such files, for example one file per team.

A file contains a list of workloads, or a mapping with such a list under ``pod_identity_workloads`` or ``workloads``. The
file is plain data: templates are not evaluated. Any sign of an incomplete list, such as an empty file, is an error, because a
purge would remove the missing workloads.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..model.errors import InputError, Problems
from .fields import shown_value
from .yaml_file import read_yaml, read_yaml_value

SUFFIXES = (".yml", ".yaml", ".json")
# The beginning of a file that is encrypted with ansible-vault.
VAULT = "$ANSIBLE_VAULT;"


@dataclass(frozen=True, slots=True)
class FileSource:
    """A list of unparsed workloads, and the place of each for messages ("team-a.yml line 12")."""

    workloads: list[object]
    places: list[str]


def locate(paths: Sequence[str], playbook_dir: str, working_dir: str) -> list[str]:
    """Return the absolute paths of files and folders.

    A relative path is looked up in the folder of the playbook and in the working directory.

    :raises InputError: for an empty path, and for a relative path that exists in neither folder, or in both as different files.
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
                f"{written}: exists twice, next to the playbook ({existing[0]}) and in the working directory "
                f"({existing[1]}). Use the absolute path of the intended one."
            )
        else:
            problems.append(
                f"{written}: not found next to the playbook ({candidates[0]}) or "
                f"in the working directory ({candidates[1]})."
            )
    if problems:
        raise InputError(problems)
    return absolute


def _are_same(paths: Sequence[str]) -> bool:
    """Return whether all paths refer to the same file or folder."""
    try:
        return all(os.path.samefile(paths[0], other) for other in paths[1:])
    except OSError:
        return False


# A function that returns the content of a file that is encrypted with ansible-vault. Raises InputError.
Decrypt = Callable[[str], bytes]


def read_sources(paths: Sequence[str], decrypt: Decrypt | None = None) -> FileSource:
    """Return the workloads of files and folders. In a folder, read the files that end in .yml, .yaml or .json, sorted by name.

    :raises InputError: with the problems of all files and folders.
    """
    problems: list[str] = []
    if not paths:
        problems.append("the list of files with workloads is empty; write workloads: [] for no workloads.")
    source = FileSource([], [])
    folders: list[Path] = []
    files = _files(paths, folders, problems)
    reader = _FileReader(decrypt)
    invalid: dict[Path, tuple[str, ...]] = {}
    for path in files:
        try:
            # JSON is a subset of YAML.
            for line, workload in read_yaml(str(path), reader.read_text(path)):
                place = f"{path} line {line}"
                source.workloads.append(reader.with_documents(workload, path.parent, place))
                source.places.append(place)
        except InputError as error:
            invalid[path] = error.problems
    # A folder may also contain files with policy documents (document_file). They have no list of workloads, so the problems of
    # these files are ignored.
    for path, texts in invalid.items():
        problems += texts if path.resolve() not in reader.documents else ()
    problems += _unread_folders(folders, reader.documents)
    if problems:
        raise InputError(problems)
    return source


@dataclass(frozen=True, slots=True)
class _FileReader:
    """The settings for reading files. ``documents`` has the paths of the files with policy documents that were read."""

    decrypt: Decrypt | None
    documents: set[Path] = field(default_factory=set)

    def with_documents(self, workload: object, folder: Path, place: str) -> object:
        """Replace ``document_file`` in the policies of a workload by ``document``, with the content of the file.

        :arg folder: the folder of the file with the workload, to which paths are relative.
        :raises InputError: with the first problem of each policy.
        """
        policies = workload.get("policies") if isinstance(workload, Mapping) else None
        if not isinstance(workload, Mapping) or not isinstance(policies, list):
            return workload
        problems = Problems()
        read = [
            problems.attempt(partial(self._with_document, policy, folder, f"{place}, policies[{index}]"))
            for index, policy in enumerate(policies)
        ]
        problems.raise_if_any()
        return {**workload, "policies": read}

    def _with_document(self, policy: object, folder: Path, place: str) -> object:
        if not isinstance(policy, Mapping) or policy.get("document_file") is None:
            return policy
        name = policy["document_file"]
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                [f"{place}: document_file must be the path of a file, got {shown_value(repr(name))}."]
            )
        if policy.get("document") is not None:
            raise InputError([f"{place}: document and document_file are both set; leave one of them out."])
        path = folder / os.path.expanduser(name)
        if not path.is_file():
            raise InputError(
                [
                    f"{place}: document_file {path}: {_describe_path(path)}. "
                    "A relative path starts in the folder of the file with the workload."
                ]
            )
        self.documents.add(path.resolve())
        document = read_yaml_value(str(path), self.read_text(path))
        if not isinstance(document, Mapping):
            raise InputError(
                [f"{place}: document_file {path} must contain a policy document, which is a mapping."]
            )
        rest = {key: value for key, value in policy.items() if key != "document_file"}
        return rest | {"document": document}

    def read_text(self, path: Path) -> str:
        """Return the text of a file. Raises InputError."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError([f"{path}: cannot be read: {error.strerror}."]) from error
        if self.decrypt is not None and data.startswith(VAULT.encode()):
            data = self.decrypt(str(path))
        data = data.removeprefix(codecs.BOM_UTF8)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise InputError(
                [f"{path} line {line}: is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8."]
            ) from error


def _unread_folders(folders: Sequence[Path], documents: set[Path]) -> list[str]:
    """Return a problem for each nested folder with an input file that is not a policy document."""
    return [
        f"{path}: this folder inside {path.parent} contains input files ({inner}), but nested folders are not "
        "read. List this folder as well, or move it elsewhere."
        for path in folders
        if (inner := _first_input(path, documents)) is not None
    ]


def _files(paths: Sequence[str], folders: list[Path], problems: list[str]) -> list[Path]:
    """Return the input files at these paths. Add problems to ``problems``, and nested folders with input files to ``folders``."""
    files: list[Path] = []
    for name in paths:
        # Path.expanduser raises RuntimeError for a user without home folder.
        path = Path(os.path.expanduser(name))
        try:
            if path.is_dir():
                files += _files_of_folder(path, folders, problems)
            elif path.is_file():
                files.append(path)
            else:
                problems.append(f"{name}: {_describe_path(path)}.")
        except OSError as error:
            problems.append(f"{name}: cannot be read: {error.strerror}.")
    return files


def _files_of_folder(folder: Path, folders: list[Path], problems: list[str]) -> list[Path]:
    files: list[Path] = []
    earlier_counts = len(problems), len(folders)
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if _first_input(path, set()) is not None:
                folders.append(path)
        elif path.is_symlink() and not path.exists():
            problems.append(f"{path}: {_describe_path(path)}. Repair or remove the link.")
        elif path.suffix.lower() in SUFFIXES:
            if path.is_file():
                files.append(path)
            else:
                problems.append(f"{path}: {_describe_path(path)}.")
    if not files and (len(problems), len(folders)) == earlier_counts:
        problems.append(f"{folder}: this folder has no file with a name that ends in {', '.join(SUFFIXES)}.")
    return files


def _first_input(folder: Path, documents: set[Path]) -> Path | None:
    """Return the first input file at any depth that is not in ``documents``, or None.

    :raises OSError: for an unreadable folder.
    """
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            # A link to a parent folder would cause an endless recursion.
            inner = None if path.is_symlink() else _first_input(path, documents)
            if inner is not None:
                return inner
        elif path.suffix.lower() in SUFFIXES and path.resolve() not in documents:
            return path
    return None


def _describe_path(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return f"is a link to {os.readlink(path)}, which does not exist"
    if path.is_dir():
        return "is a folder"
    return "is not a file or folder" if path.exists() else "there is no such file or folder"
