# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files a module gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import for_module


@pytest.mark.parametrize("given", ["teams/", ["teams/"]])
@pytest.mark.parametrize("beside_the_playbook", [False, True])
def test_a_module_gets_absolute_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: object, beside_the_playbook: bool
) -> None:
    (tmp_path / "plays").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = (tmp_path / "plays" if beside_the_playbook else tmp_path) / "teams"
    folder.mkdir()
    arguments = {"cluster_name": "c", "workloads_from": given}
    found = for_module(arguments, "local", {"playbook_dir": str(tmp_path / "plays")})
    assert found == {"cluster_name": "c", "workloads_from": [str(folder)]}


def test_what_names_no_file_is_left_alone(tmp_path: Path) -> None:
    for arguments in ({"workloads": []}, {"workloads": [], "workloads_from": None}):
        assert for_module(arguments, "local", {"playbook_dir": str(tmp_path)}) == arguments


def test_a_module_on_another_host_reads_its_own_files(tmp_path: Path) -> None:
    arguments = {"workloads_from": ["/srv/a.yml", "~/b.yml"]}
    assert for_module(arguments, "ssh", {"playbook_dir": str(tmp_path)}) == arguments
    with pytest.raises(InputError) as caught:
        for_module({"workloads_from": ["/srv/a.yml", "b.yml"]}, "ssh", {"playbook_dir": str(tmp_path)})
    assert list(caught.value.problems) == [
        "workloads_from: b.yml is a relative path, and the module runs on another host, where it reads the "
        "files. Give their absolute paths there."
    ]
