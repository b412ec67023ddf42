# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record the files that a run of Ansible writes, and search them for secrets."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sandbox.aws.control import AwsControl

HOOK = Path(__file__).parent / "hook"
PREFIX = "k8s-aws-v1."
SIGNATURE = "X-Amz-Signature="


class Watch:
    """A record of the files that a run writes to some folders.

    Python processes of the run need the variables in ``environment``. ``archive`` is an empty folder elsewhere, for copies of the
    files that these processes delete.
    """

    def __init__(self, archive: Path, *folders: Path) -> None:
        self._archive, self._folders = archive, folders

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(HOOK),
            "SECRETS_WATCHED": os.pathsep.join(map(str, self._folders)),
            "SECRETS_KEPT": str(self._archive),
        }

    def seen(self) -> dict[Path, bytes]:
        """Return the contents of all files by path: the files that still exist, and the files that the run deleted."""
        return {
            path: path.read_bytes()
            for folder in (*self._folders, self._archive)
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }


def loud(folder: Path) -> dict[str, str]:
    """Return environment variables with which Ansible keeps all files and writes a log, in new folders of ``folder``."""
    for name in ("tmp", "remote"):
        (folder / name).mkdir(parents=True)
    return {
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
        # A module file contains the arguments of its module.
        "ANSIBLE_KEEP_REMOTE_FILES": "true",
        "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
        "ANSIBLE_DEBUG": "true",
    }


def issued(control: AwsControl) -> list[str]:
    """Return all secrets that the sandbox has issued: credentials of sessions, and bearer tokens.

    Each secret is included in every form in which a file may contain it.
    """
    sessions, tokens = control.sessions(), control.tokens()
    assert sessions, "no role was assumed"
    assert tokens, "no token was sent to a cluster"
    secrets = {
        session[name]
        for session in sessions
        for name in ("access_key_id", "secret_access_key", "session_token")
    }
    secrets |= {token.removeprefix(PREFIX) for token in tokens}
    return sorted({PREFIX, SIGNATURE} | secrets | {quote(secret, safe="") for secret in secrets})


def found(secrets: Iterable[str], texts: Mapping[Any, bytes]) -> Iterator[str]:
    looked_for = [secret.encode() for secret in secrets]
    for name, text in texts.items():
        yield from (f"{name}: {secret.decode()}" for secret in looked_for if secret in text)
