# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a path of a file with workloads leads, on the controller."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import locate_files


@pytest.mark.parametrize("beside_the_playbook", [False, True])
def test_a_path_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside_the_playbook: bool
) -> None:
    (tmp_path / "plays").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = (tmp_path / "plays" if beside_the_playbook else tmp_path) / "teams"
    folder.mkdir()
    assert locate_files(["teams/"], {"playbook_dir": str(tmp_path / "plays")}) == [str(folder)]


def test_without_a_playbook_it_is_looked_for_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yml").touch()
    assert locate_files(["a.yml"], None) == [str(tmp_path / "a.yml")]
