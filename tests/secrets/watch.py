# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run of Ansible writes anywhere, and a search in all of it."""

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
    """What was in files below some folders at any time while Python processes with ``environment`` ran.

    ``kept`` is an empty folder elsewhere, for what they remove.
    """

    def __init__(self, kept: Path, *folders: Path) -> None:
        self._kept, self._folders = kept, folders

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(HOOK),
            "SECRETS_WATCHED": os.pathsep.join(map(str, self._folders)),
            "SECRETS_KEPT": str(self._kept),
        }

    def seen(self) -> dict[Path, bytes]:
        """Those that are there, and those that were."""
        return {
            path: path.read_bytes()
            for folder in (*self._folders, self._kept)
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }


def loud(folder: Path) -> dict[str, str]:
    """All that Ansible can keep is kept, in a folder that is made for it."""
    for name in ("tmp", "remote"):
        (folder / name).mkdir(parents=True)
    return {
        "TMPDIR": str(folder / "tmp"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_REMOTE_TMP": str(folder / "remote"),
        # Files of modules stay, in which their arguments are.
        "ANSIBLE_KEEP_REMOTE_FILES": "true",
        "ANSIBLE_LOG_PATH": str(folder / "ansible.log"),
        "ANSIBLE_DEBUG": "true",
    }


def issued(control: AwsControl) -> list[str]:
    """Each credential that the sandbox gave and each token that was made with one, as they may be written."""
    sessions, tokens = control.sessions(), control.tokens()
    assert sessions, "no role was assumed"
    assert tokens, "no cluster was shown a token"
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
