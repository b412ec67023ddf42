# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a file in the folders of SECRETS_WATCHED is deleted, replaced or truncated, copy it to the folder SECRETS_KEPT.

Each Python process with this folder in PYTHONPATH imports this module. It registers an audit hook, which Python calls before
these operations. So tests also find short-lived files; watching the folders from outside would miss some.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
import uuid
from typing import Any

_WATCHED = tuple(
    os.path.realpath(folder) + os.sep
    for folder in os.environ.get("SECRETS_WATCHED", "").split(os.pathsep)
    if folder
)
_KEPT = os.environ.get("SECRETS_KEPT", "")
_busy = threading.local()


def _where(path: Any, folder: int) -> str:
    text = os.fsdecode(path)
    if os.path.isabs(text):
        return text
    # shutil.rmtree passes the descriptor of an open folder, and a name that is relative to this folder.
    base = os.getcwd() if folder in (-1, None) else os.readlink(f"/proc/self/fd/{folder}")
    return os.path.join(base, text)


def _keep(path: str) -> None:
    if not path.startswith(_WATCHED):
        return
    try:
        found = os.lstat(path)
    except OSError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_size:
        shutil.copyfile(path, os.path.join(_KEPT, f"{os.path.basename(path)}.{uuid.uuid4().hex}"))


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("os.remove", "os.rename", "os.truncate", "open") or getattr(_busy, "now", False):
        return
    _busy.now = True
    try:
        if event == "os.remove":
            _keep(_where(arguments[0], arguments[1]))
        elif event == "os.rename":
            _keep(_where(arguments[1], arguments[3]))
        elif not isinstance(arguments[0], int) and (event == "os.truncate" or arguments[2] & os.O_TRUNC):
            _keep(_where(arguments[0], -1))
    finally:
        _busy.now = False


if _WATCHED and _KEPT:
    sys.addaudithook(_hook)
