# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read workload files on the controller, and write files that only the current user can read."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import tempfile
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError

from ..module_utils._identity.inputs.files import (
    FileSource,
    locate,
    read_sources,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.model.errors import (
    InputError,
    sentence,
)


def locate_files(paths: Sequence[str], variables: Mapping[str, Any] | None) -> list[str]:
    """Return absolute paths. Look a relative path up in the folder of the playbook and in the working directory.

    :arg variables: the variables of the task; ``playbook_dir`` is the folder of the playbook.
    :raises InputError: for an empty path, and for a relative path that exists in neither folder, or in both as different files.
    """
    working_dir = str(Path.cwd())
    playbook_dir = str((variables or {}).get("playbook_dir") or working_dir)
    return locate([str(path) for path in paths], os.path.abspath(playbook_dir), working_dir)


def read_files(paths: Sequence[str], variables: Mapping[str, Any] | None, loader: Any) -> FileSource:
    """Read workloads from files and folders. The result also has the file and line of each workload, for error messages.

    :arg loader: the loader of Ansible, which decrypts files that are encrypted with ansible-vault.
    :raises InputError: when a file cannot be found, decrypted, read or parsed.
    """

    def decrypt(path: str) -> bytes:
        try:
            plain = loader.get_real_file(path)
        except AnsibleError as error:
            raise InputError([f"{path}: cannot be decrypted: {sentence(str(error))}"]) from error
        data = Path(plain).read_bytes()
        loader.cleanup_tmp_file(plain)
        return data

    return read_sources(locate_files(paths, variables), decrypt=decrypt)


def write_private(path: str, content: str | bytes) -> None:
    """Write a file atomically with mode 0600.

    A symbolic link is replaced; its target does not change. If the path or the target of the link exists and is not a regular
    file, nothing is replaced: replacing ``/dev/null`` would break the machine.

    :raises OSError: when the file cannot be written.
    """
    if reason := _why_not_replaceable(path):
        raise OSError(errno.EEXIST, reason, path)
    folder, name = os.path.split(path)
    handle, scratch = tempfile.mkstemp(prefix=f".{name}.", dir=folder or ".")
    try:
        with open(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        os.replace(scratch, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)


def why_not_writable(path: str) -> str:
    """Return the reason why ``write_private`` would fail for a path, or ""."""
    folder = os.path.dirname(os.path.abspath(path))
    if reason := _why_not_replaceable(path):
        return reason
    if not os.path.isdir(folder):
        return f"the folder {folder} does not exist"
    return "" if os.access(folder, os.W_OK | os.X_OK) else f"no write access to the folder {folder}"


def _why_not_replaceable(path: str) -> str:
    if os.path.isfile(path) or not os.path.exists(path):
        return ""
    return "it is a folder" if os.path.isdir(path) else "it is not a regular file"


def describe_unwritable(files: Iterable[tuple[str, object]]) -> list[str]:
    """Return a problem for each file that cannot be written.

    :arg files: the name of a variable of the role, without prefix, and its value: a path, or None without a file.
    """
    return [
        f"{ROLE}{name} {path} cannot be written: {reason}."
        for name, path in files
        if path and (reason := why_not_writable(os.path.expanduser(str(path))))
    ]


def hand_over(name: str, content: Any) -> str:
    """Write an object to a temporary file for later tasks of this run, and return the path of the file.

    The result of a task contains the path instead of the object, because Ansible processes every value of a result on every
    host. Only the current user can read the file, and Ansible deletes it at exit. Pickle is acceptable here, because the
    processes of Ansible also exchange pickled objects.
    """
    path = str(Path(constants.DEFAULT_LOCAL_TMP, f"pod-identity-{name}-{uuid.uuid4()}.pickle"))
    write_private(path, pickle.dumps(content))
    return path


def take_over(path: str) -> Any:
    """Read an object that ``hand_over`` wrote.

    :raises InputError: when the file is missing, or is outside the temporary folder of this run.
    """
    if Path(path).parent != Path(constants.DEFAULT_LOCAL_TMP):
        raise InputError([f"{path} is not a file of this run. Run again."])
    try:
        return pickle.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError([f"{path} cannot be read: {error.strerror}. Run again."]) from error


def warn_vanishing(variables: Mapping[str, Any], paths: Iterable[object]) -> list[str]:
    """Return a warning for each relative path in a job of AWX, because the container of the job vanishes with the file.

    :arg variables: all variables of the task.
    """
    if "awx_job_id" not in variables:
        return []
    return [
        f"{path} is a relative path, so the file vanishes with the container of the AWX job. Name a path on a volume, or use the "
        "artifacts of the job."
        for path in paths
        if path and not os.path.isabs(str(path))
    ]
