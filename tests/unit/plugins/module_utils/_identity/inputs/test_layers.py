# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test workloads that are defined in several layers: which of them apply to a host, and which definition has precedence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import (
    FileSource,
    read_sources,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    ROLE,
    merge_layers,
    read_input,
    read_layers,
    read_workloads_option,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import workload

NAME = "pod_identity_fleet_workloads"


def read_paths(paths: Sequence[str]) -> FileSource:
    return read_sources(paths)


def read(raw: object, *groups: str) -> list[FileSource]:
    return read_layers(raw, NAME, lambda hosts: hosts in groups, read_paths)


def names(source: FileSource) -> list[tuple[str, str]]:
    """Return the service account and the role name of each workload."""
    workloads: list[Any] = source.workloads
    return [(workload["service_account"], workload["role"]["name"]) for workload in workloads]


def named(service_account: str, role: str, namespace: str = "default") -> dict[str, Any]:
    return workload(service_account, namespace, role={"name": role}, policies=None)


def test_selects_workloads_of_the_host_in_list_order(tmp_path: Path) -> None:
    file = tmp_path / "team.json"
    file.write_text(json.dumps([named("web", "of-file")]), encoding="utf-8")
    raw = [
        {"hosts": "all", "workloads": [named("app", "of-all"), named("web", "of-all")]},
        {"hosts": "others", "workloads": [named("app", "of-others")]},
        {"hosts": "mine", "workloads_from": [str(file)]},
    ]
    layers = read(raw, "all", "mine")
    assert [names(layer) for layer in layers] == [
        [("app", "of-all"), ("web", "of-all")],
        [("web", "of-file")],
    ]
    assert layers[0].places == [f"{NAME}[0].workloads[0]", f"{NAME}[0].workloads[1]"]
    assert names(merge_layers(layers)) == [("app", "of-all"), ("web", "of-file")]


def test_workload_replaces_only_the_workload_with_its_key() -> None:
    general = FileSource([named("app", "one"), named("app", "one", "batch")], ["a", "b"])
    special = FileSource([named("new", "two"), named("app", "two")], ["c", "d"])
    merged = merge_layers([general, special])
    assert names(merged) == [("app", "two"), ("app", "one"), ("new", "two")]
    assert merged.places == ["d", "b", "c"]


def test_duplicates_in_one_layer_are_kept() -> None:
    merged = merge_layers(
        [FileSource([named("app", "one"), named("app", "two")], ["a", "b"]), FileSource([1, 1], ["c", "d"])]
    )
    assert merged.places == ["a", "b", "c", "d"]


def test_workloads_of_the_host_have_precedence() -> None:
    layers = read([{"hosts": "all", "workloads": [named("app", "general"), named("web", "general")]}], "all")
    options = {"cluster_name": "blue", "workloads": [named("app", "special")]}
    parsed = read_input(options, read_paths, ROLE, layers)
    assert [
        (workload.key.service_account, workload.role.name) for workload in parsed.workloads if workload.role
    ] == [
        ("app", "special"),
        ("web", "general"),
    ]
    without_host_list = read_input({"cluster_name": "blue"}, read_paths, ROLE, layers)
    assert len(without_host_list.workloads) == 2


def test_problem_names_its_layer() -> None:
    layers = read([{"hosts": "all", "workloads": [named("app", "general"), {"namespace": "x"}]}], "all")
    with pytest.raises(InputError) as caught:
        read_input({"cluster_name": "blue"}, read_paths, ROLE, layers)
    assert caught.value.problems[0] == f"{NAME}[0].workloads[1] (x/?): service_account is missing."


@pytest.mark.parametrize(
    ("raw", "problems"),
    [
        ("all", [f"{NAME} must be a list of mappings with hosts and workloads, got text."]),
        ([1], [f"{NAME}[0]: must be a mapping with hosts and workloads, got a number."]),
        (
            [{"host": "all", "workloads": []}],
            [
                f"{NAME}[0]: unknown key 'host'; did you mean 'hosts'?",
                f"{NAME}[0]: hosts is missing; set a host pattern, such as all, a group or a host.",
            ],
        ),
        ([{"hosts": "all"}], [f"{NAME}[0]: needs either workloads or workloads_from."]),
        (
            [{"hosts": "nobody", "workloads": [], "workloads_from": ["a.yml"]}],
            [f"{NAME}[0]: needs either workloads or workloads_from."],
        ),
        (
            [{"hosts": "all", "workloads": {}}],
            [f"{NAME}[0].workloads must be a list of mappings, got a mapping."],
        ),
    ],
)
def test_unreadable_layers_are_named(raw: object, problems: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        read(raw, "all")
    assert list(caught.value.problems) == problems


def test_survey_answer_has_no_remedy_for_the_command_line() -> None:
    with pytest.raises(InputError) as caught:
        read_workloads_option(
            "workloads", "- namespace: default\n  role: {name: api", "pod_identity_workloads", read_paths
        )
    assert list(caught.value.problems) == [
        "pod_identity_workloads line 2: is not valid YAML: did not find expected ',' or '}'. Is it cut off?"
    ]


def test_value_truncated_at_a_space_has_a_remedy() -> None:
    with pytest.raises(InputError) as caught:
        read_workloads_option("workloads", '[{"namespace":', "pod_identity_workloads", read_paths)
    assert list(caught.value.problems) == [
        "pod_identity_workloads line 1: is not valid YAML: did not find expected node content. Is it cut off? Ansible ends the "
        "value of -e name=value at its first space; write it as -e '{\"name\": value}'."
    ]
