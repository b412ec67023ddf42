# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the lookup of workloads, called as Ansible calls it for a template."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible_collections.workload_identity.aws.plugins.lookup.pod_identity_workloads import LookupModule

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}
TWO = {"namespace": "default", "service_account": "two", "create_namespace": True}


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = []
    for number, content in enumerate(([ONE], {"workloads": [TWO]})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        paths.append(str(path))
    return paths


class Lookup(LookupModule):
    """The lookup plugin without options from the configuration of Ansible."""

    def set_options(self, direct: dict[str, Any], **_more: Any) -> None:
        self.given = direct

    def get_option(self, option: str, **_more: Any) -> Any:
        return self.given.get(option)


def look_up(terms: list[Any], playbook_dir: str = "/", **options: Any) -> list[Any]:
    return Lookup().run(terms, variables={"playbook_dir": playbook_dir}, **options)


def test_term_can_be_a_list_of_paths(files: list[str]) -> None:
    assert look_up([files]) == [ONE, TWO]


def test_returns_only_the_requested_fields(files: list[str]) -> None:
    assert look_up(files, fields=["service_account", "create_namespace"]) == [
        {"service_account": "one"},
        {"service_account": "two", "create_namespace": True},
    ]


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"gone\.json"):
        look_up([str(tmp_path / "gone.json")])
