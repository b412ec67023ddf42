# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""State folders that live as long as one `sandbox run`."""

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
    """A state folder of our own, removed at the end.

    What a killed `run` left, folders and on systems without parent-death signals servers too, is
    cleared away first.
    """
    base = _base()
    with lock.exclusive(base / "lock", seconds=LOCK_SECONDS, on_wait=lambda: None):
        _sweep(base)
        layout = Layout(Path(tempfile.mkdtemp(prefix=PREFIX, dir=base)))
        layout.claim()
        owner = ProcessIdentity.of(os.getpid())
        if owner is not None:
            owner.write(layout.root / OWNER)
    try:
        yield layout
    finally:
        shutil.rmtree(layout.root, ignore_errors=True)


def _base() -> Path:
    base = Path(tempfile.gettempdir()).resolve() / f"workload-identity-sandbox-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not base.is_dir():
        raise SandboxError(
            f"{base} is not a folder of yours alone.",
            "Remove it, or set TMPDIR to a folder of your own.",
        )
    return base


def _sweep(base: Path) -> None:
    for folder in base.glob(f"{PREFIX}*"):
        owner = ProcessIdentity.read(folder / OWNER)
        if owner is None or not owner.is_alive():
            stop([*observe(Layout(folder)).alive.values()])
            shutil.rmtree(folder, ignore_errors=True)
