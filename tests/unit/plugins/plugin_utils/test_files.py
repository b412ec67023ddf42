# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test files on the controller: the paths of files with workloads, and files that only their owner can read."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils._files import (
    hand_over,
    read_files,
    take_over,
    warn_vanishing,
    why_not_writable,
    write_private,
)


def test_file_is_decrypted_with_the_secrets_of_the_run(tmp_path: Path) -> None:
    secrets = [("default", VaultSecret(b"secret"))]
    path = tmp_path / "team.yml"
    path.write_bytes(VaultLib(secrets).encrypt("- {namespace: default,\n   service_account: app}\n- {}\n"))
    loader = DataLoader()
    with pytest.raises(InputError, match=f"^{path}: cannot be decrypted: .+"):
        read_files([str(path)], None, loader)
    loader.set_vault_secrets(secrets)
    found = read_files([str(path)], None, loader)
    assert found.workloads == [{"namespace": "default", "service_account": "app"}, {}]
    assert found.places == [f"{path} line 1", f"{path} line 3"]


def test_relative_path_vanishes_only_in_awx() -> None:
    paths = ["report.json", "/volume/report.json", None, ""]
    assert warn_vanishing({}, paths) == []
    assert warn_vanishing({"awx_job_id": 7}, paths) == [
        "report.json is a relative path, so the file vanishes with the container of the AWX job. Name a path on a volume, or use "
        "the artifacts of the job."
    ]


@pytest.mark.parametrize("existing", ["nothing", "file", "link", "link that leads nowhere"])
def test_written_file_is_private_and_follows_no_link(tmp_path: Path, existing: str) -> None:
    path, target = tmp_path / "report.json", tmp_path / "target"
    if existing == "file":
        path.write_text("of the run before")
        path.chmod(0o644)
    elif existing != "nothing":
        path.symlink_to(target)
    if existing == "link":
        target.write_text("another's")
    write_private(str(path), "{}")
    assert (path.read_text(), path.is_symlink(), path.stat().st_mode & 0o777) == ("{}", False, 0o600)
    assert (target.read_text() if target.exists() else None) == ("another's" if existing == "link" else None)


def test_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        write_private(str(tmp_path / "report.json"), "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_write_test_leaves_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    existing = {path.name for path in tmp_path.iterdir()}
    for name, reason in (
        ("report.json", ""),
        ("link", "it is a folder"),
        ("folder", "it is a folder"),
        ("nowhere/report.json", f"the folder {tmp_path}/nowhere does not exist"),
    ):
        assert why_not_writable(str(tmp_path / name)) == reason, name
    assert {path.name for path in tmp_path.iterdir()} == existing


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("kind", ["device", "FIFO", "socket"])
def test_only_a_regular_file_is_replaced(tmp_path: Path, kind: str, linked: bool) -> None:
    path = tmp_path / "report.json"
    target = tmp_path / "target" if linked else path
    if kind == "device" and linked:
        target = Path(os.devnull)
    elif kind == "device":
        if os.geteuid():
            pytest.skip("only root makes devices")
        os.mknod(target, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    elif kind == "FIFO":
        os.mkfifo(target)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(target))
    if linked:
        path.symlink_to(target)
    mode = path.lstat().st_mode
    reason = "it is not a regular file"
    assert why_not_writable(str(path)) == reason
    with pytest.raises(OSError, match=reason) as raised:
        write_private(str(path), "{}")
    assert raised.value.strerror == reason
    assert path.lstat().st_mode == mode
    assert {path.name for path in tmp_path.iterdir()} <= {"report.json", "target"}


def test_handed_over_file_is_private() -> None:
    path = hand_over("part", {"changed": True})
    assert take_over(path) == {"changed": True}
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_missing_handed_over_file_is_named() -> None:
    path = hand_over("part", {"changed": False})
    Path(path).unlink()
    message = f"{path} cannot be read: No such file or directory. Run again."
    with pytest.raises(InputError, match=re.escape(message)):
        take_over(path)


def test_file_outside_the_folder_of_the_run_is_not_loaded(tmp_path: Path) -> None:
    path = hand_over("part", {"changed": False})
    copy = tmp_path / Path(path).name
    copy.write_bytes(Path(path).read_bytes())
    with pytest.raises(InputError) as raised:
        take_over(str(copy))
    assert raised.value.problems == (f"{copy} is not a file of this run. Run again.",)
