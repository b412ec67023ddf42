# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the arguments that a module for many workloads gets: parsed lists replace files and text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils._module_input import plain_arguments

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}


@pytest.mark.parametrize("cluster", ["cluster_name", "cluster"])
@pytest.mark.parametrize("tags", ["tags", "resource_tags"])
def test_valid_arguments_are_unchanged(cluster: str, tags: str) -> None:
    options = {cluster: "c", tags: {"team": "a"}, "owner": "team-a", "region": "us-west-2", "purge": "no"}
    arguments = plain_arguments({**options, "workloads": [ONE], "workloads_from": None}, {}, True)
    assert arguments == {**options, "workloads": [ONE]}


def test_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yml").write_text("- {namespace: n, service_account: s, tags: {1: x}}\n", encoding="utf-8")
    opened: list[Path] = []
    opens = Path.open

    def open_path(self: Path, *arguments: Any, **options: Any) -> Any:
        opened.append(self)
        return opens(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_path)
    options = {"cluster_name": "c", "workloads_from": "a.yml", "state": "absent"}
    assert plain_arguments(options, {"playbook_dir": str(tmp_path)}, True) == {
        "cluster_name": "c",
        "workloads": [{"namespace": "n", "service_account": "s", "tags": {"1": "x"}}],
        "state": "absent",
    }
    assert opened == [tmp_path / "a.yml"]


def test_workloads_as_text_become_a_list() -> None:
    text = "- {namespace: default, service_account: one, role: {name: r}}"
    arguments = plain_arguments({"cluster_name": "c", "workloads": text}, {}, True)
    assert arguments == {"cluster_name": "c", "workloads": [ONE]}


@pytest.mark.parametrize("more", [{}, {"workloads": None}, {"workloads_from": None}])
def test_verification_without_list_has_no_workloads(more: dict[str, None]) -> None:
    assert plain_arguments({"cluster_name": "c", **more}, {}, False) == {"cluster_name": "c"}


def test_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- namespace: n\n- service_account: s\n  role: {name: r}\n", encoding="utf-8")
    row = {"cluster_name": "c", "workloads_from": [str(path)]}
    with pytest.raises(InputError) as caught:
        plain_arguments({**row, "concurrency": 0}, {}, True)
    assert list(caught.value.problems) == [
        "concurrency must be 1 or more, got 0.",
        f"{path} line 1 (n/?): service_account is missing.",
        f"{path} line 1 (n/?): role is missing; set role: {{name: …}} to create one, or role: {{arn: …}} "
        "to use an existing one.",
        f"{path} line 2 (?/s): namespace is missing.",
    ]


CONNECT = {
    "preset": "rds-iam-connect",
    "with": {"resource_ids": ["db-ABC"], "database_user": "app", "account_id": "111122223333"},
}


def test_presets_become_documents() -> None:
    options = {"cluster_name": "c", "workloads": [{**ONE, "policies": [CONNECT]}]}
    arguments = plain_arguments({**options, "region": "eu-west-1"}, {}, True, "eu-west-1")
    (policy,) = arguments["workloads"][0]["policies"]
    assert policy["name"] == "r-rds-iam-connect"
    assert policy["preset"] == "rds-iam-connect"
    assert policy["with"].pop("description").endswith("created from preset rds-iam-connect version 1")
    assert policy["with"] == {"partition": "aws", "account_id": "111122223333", "region": "eu-west-1"}
    (statement,) = policy["document"]["Statement"]
    assert statement["Resource"] == ["arn:aws:rds-db:eu-west-1:111122223333:dbuser:db-ABC/app"]


def test_invalid_preset_is_an_input_error() -> None:
    row = {"cluster_name": "c", "workloads": [{**ONE, "policies": [{"preset": "rds-iam-conect"}]}]}
    with pytest.raises(InputError) as caught:
        plain_arguments(row, {}, True)
    (problem,) = caught.value.problems
    assert problem.startswith(
        "workloads[0] (default/one) policies[0]: there is no preset 'rds-iam-conect'; did you mean 'rds-iam-connect'"
    )
