# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Temporary state folders: each `sandbox run` that starts a sandbox uses a new folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sandbox import lock
from sandbox.errors import SandboxError
from sandbox.layout import Layout
from sandbox.processes import ProcessIdentity, stop
from sandbox.state import observe

OWNER = "owner.json"
PREFIX = "run-"
LOCK_SECONDS = 60.0


@contextlib.contextmanager
def ephemeral_folder() -> Iterator[Layout]:
    """Create a temporary state folder, and delete it at the end of the block.

    First stop the servers of earlier runs that were killed, and delete the folders of those runs.
    """
    base = _base()
    with lock.exclusive(base / "lock", seconds=LOCK_SECONDS, on_wait=lambda: None):
        _clean_up(base)
        layout = Layout(Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)))
        layout.claim()
        owner = ProcessIdentity.find(os.getpid())
        if owner is not None:
            owner.write(layout.root / OWNER)
    try:
        yield layout
    finally:
        shutil.rmtree(layout.root, ignore_errors=True)


def _base() -> Path:
    base = Path(tempfile.gettempdir()).resolve() / f"workload-identity-sandbox-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        base.mkdir(mode=0o700)
    status = base.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077 or not base.is_dir():
        raise SandboxError(
            f"{base} is not a folder that only you can access.",
            "Remove it, or set TMPDIR to a private folder.",
        )
    return base


def _clean_up(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        owner = ProcessIdentity.read(folder / OWNER)
        if owner is None or not owner.is_alive():
            stop([*observe(Layout(folder)).alive.values()])
            shutil.rmtree(folder, ignore_errors=True)
