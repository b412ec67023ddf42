# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Files on the controller: where those with workloads are, by one rule for all, and how a result is written."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files.folders import (
    locate,
)


def locate_files(paths: Sequence[str], variables: Mapping[str, Any] | None) -> list[str]:
    """Absolute paths, or InputError. Called on the controller, in the directory where Ansible was started."""
    working_dir = str(Path.cwd())
    playbook_dir = str((variables or {}).get("playbook_dir") or working_dir)
    return locate([str(path) for path in paths], os.path.abspath(playbook_dir), working_dir)


def write_private(path: str, text: str) -> None:
    """Put a file in place as a whole, for this user alone; OSError when that cannot be done.

    A link at the path gives way to the file: what it leads to is not touched.
    """
    handle, scratch = _scratch(path)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(scratch, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(scratch)


def why_not_writable(path: str) -> str:
    """Why write_private cannot put a file there, or ""; it is tried with a file of another name."""
    if os.path.isdir(path) and not os.path.islink(path):
        return "it is a folder"
    try:
        handle, scratch = _scratch(path)
    except FileNotFoundError:
        return f"the folder {os.path.dirname(path)} does not exist"
    except OSError as error:
        return str(error.strerror)
    os.close(handle)
    os.unlink(scratch)
    return ""


def _scratch(path: str) -> tuple[int, str]:
    """A new file beside it, of mode 0600."""
    return tempfile.mkstemp(prefix=f".{os.path.basename(path)}.", dir=os.path.dirname(path) or ".")
