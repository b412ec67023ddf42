# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a module gets in the place of the workloads of its arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    read_parsed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.module_input import parse_arguments

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}
OWNED = {"team": "a", "workload-identity/owner": "team-a"}


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("cluster", ["cluster_name", "cluster"])
@pytest.mark.parametrize("tags", ["tags", "resource_tags"])
def test_workloads_are_parsed_and_the_rest_is_left(folder: Path, cluster: str, tags: str) -> None:
    options = {cluster: "c", tags: {"team": "a"}, "owner": "team-a", "region": "us-west-2", "purge": "no"}
    arguments = parse_arguments({**options, "workloads": [ONE], "workloads_from": None}, {}, True)
    parsed = arguments.pop("parsed_input")
    assert arguments == options
    assert Path(parsed["path"]).parent == folder
    assert read_parsed(**parsed) == ParsedInput(
        "c", "present", parse_workloads([ONE], "c", defaults=Defaults(OWNED)), "team-a"
    )


def test_a_relative_path_leads_beside_the_playbook(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("- {namespace: n, service_account: s}\n", encoding="utf-8")
    options = {"cluster_name": "c", "workloads_from": "a.yml", "state": "absent"}
    arguments = parse_arguments(options, {"playbook_dir": str(tmp_path)}, True)
    assert set(arguments) == {"cluster_name", "state", "parsed_input"}
    parsed = read_parsed(**arguments["parsed_input"])
    assert (parsed.state, [str(workload.key) for workload in parsed.workloads]) == ("absent", ["n/s"])


@pytest.mark.parametrize(
    ("arguments", "required"),
    [
        pytest.param({"cluster_name": "c"}, False, id="no workloads are needed"),
        pytest.param({"cluster_name": "c", "workloads": None}, False, id="null is not given"),
        pytest.param({"parsed_input": {"path": "/a", "sha256": "b"}}, True, id="parsed before"),
    ],
)
def test_what_has_nothing_to_parse_is_left_alone(
    folder: Path, arguments: dict[str, Any], required: bool
) -> None:
    assert parse_arguments(arguments, {}, required) == arguments
    assert list(folder.iterdir()) == []


def test_an_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- namespace: n\n- service_account: s\n  role: {name: r}\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        parse_arguments({"cluster_name": "c", "workloads_from": [str(path)], "concurrency": 0}, {}, True)
    assert list(caught.value.problems) == [
        "concurrency must be 1 or more, got 0.",
        f"{path} line 1 (n/?): service_account is missing.",
        f"{path} line 1 (n/?): role is missing; give role: {{name: …}} to make one or role: {{arn: …}} to use one.",
        f"{path} line 2 (?/s): namespace is missing.",
    ]


@pytest.mark.parametrize("namespaces", [",", " ", "", None])
def test_a_module_purges_no_namespaces_that_have_no_name(namespaces: object) -> None:
    options = {"cluster_name": "c", "workloads": [ONE], "purge": True, "purge_namespaces": namespaces}
    with pytest.raises(InputError) as raised:
        parse_arguments(options, {}, True)
    assert raised.value.problems == (
        "purge_namespaces has no value, and purge is true: that would purge all namespaces. Give the namespaces, or write [] "
        "if all are meant.",
    )
