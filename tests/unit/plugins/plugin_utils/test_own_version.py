# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import read_version


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"MANIFEST.json": '{"collection_info": {"version": "1.2.3"}}', "galaxy.yml": "version: 9"}, "1.2.3"),
        ({"galaxy.yml": "name: aws\nversion: '1.2.3'\n"}, "1.2.3"),
        ({"MANIFEST.json": "{", "galaxy.yml": "version: 1.2.3"}, "1.2.3"),
        ({}, ""),
    ],
    ids=["installed", "a checkout", "a broken manifest", "neither file"],
)
def test_version_is_read_from_the_collection_files(
    tmp_path: Path, files: dict[str, str], version: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_version(tmp_path) == version
