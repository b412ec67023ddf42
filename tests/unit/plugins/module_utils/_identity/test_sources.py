# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Workloads from files: what is read, and which file and line an error names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.parse import given_workloads
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.sources import read_sources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ONE = {"namespace": "default", "service_account": "one"}
TWO = {"namespace": "default", "service_account": "two"}
YAML = "- {namespace: default, service_account: one}\n- {namespace: default, service_account: two}\n"


def written(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yml", YAML),
        ("a.yaml", f"pod_identity_workloads:\n{YAML}"),
        ("a.yml", f"pod_identity_cluster_name: my-cluster\nworkloads:\n{YAML}"),
        ("a.json", json.dumps([ONE, TWO])),
        ("a.json", json.dumps({"workloads": [ONE, TWO]})),
        ("a.json", json.dumps({"other": 1, "pod_identity_workloads": [ONE, TWO]})),
        # No JSON, but YAML, whatever its name says.
        ("a.json", YAML),
    ],
)
def test_forms_of_a_file(tmp_path: Path, name: str, text: str, lines: bool) -> None:
    assert read_sources([written(tmp_path, name, text)], lines).workloads == [ONE, TWO]


def test_places_are_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "a.yml", f"# a team\nworkloads:\n{YAML}")
    assert read_sources([path]).places == [f"{path} line 3", f"{path} line 4"]


def test_without_lines_places_in_json_are_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", json.dumps([ONE, TWO]))
    assert read_sources([path], lines=False).places == [f"{path} workload 1", f"{path} workload 2"]


def test_a_folder_is_read_by_name_and_other_files_are_left_alone(tmp_path: Path) -> None:
    written(tmp_path, "b.json", json.dumps([TWO]))
    written(tmp_path, "a.yml", json.dumps([ONE]))
    written(tmp_path, "c.txt", "not for us")
    assert read_sources([str(tmp_path)]).workloads == [ONE, TWO]


def test_an_empty_file_has_no_workloads(tmp_path: Path) -> None:
    assert read_sources([written(tmp_path, "a.yml", "")], lines=False).workloads == []


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.yml", "workload: []\n", "line 1: has no list under pod_identity_workloads or workloads."),
        ("a.json", '{"workload": []}', "line 1: has no list under pod_identity_workloads or workloads."),
        ("a.yml", "\nworkloads: some\n", "line 2: must be a list of workloads, one mapping each."),
        ("a.json", '{"workloads":\n "some"}', "line 2: must be a list of workloads, one mapping each."),
        ("a.json", "7", "line 1: must be a list of workloads, one mapping each."),
        # Cut off in the middle.
        ("a.json", '[\n {"namespace": "default"},\n {"namespace": ', "line 4: is not valid YAML: "),
        ("a.yml", "- namespace: default\n  service_account: {\n", "line 3: is not valid YAML: "),
    ],
)
def test_a_wrong_file_is_named_with_the_line(
    tmp_path: Path, name: str, text: str, problem: str, lines: bool
) -> None:
    path = written(tmp_path, name, text)
    with pytest.raises(InputError) as caught:
        read_sources([path], lines)
    (said,) = caught.value.problems
    assert said.startswith(f"{path} {problem}")


def test_every_path_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    gone, empty = str(tmp_path / "gone.yml"), tmp_path / "empty"
    empty.mkdir()
    latin = tmp_path / "latin.json"
    latin.write_bytes(b'[{"namespace": "\xe9"}]')
    with pytest.raises(InputError) as caught:
        read_sources([gone, str(empty), str(latin)], lines=False)
    assert list(caught.value.problems) == [
        f"{gone}: there is no such file or folder.",
        f"{empty}: this folder has no file that ends in .yml, .yaml, .json.",
        f"{latin}: is not UTF-8 text (byte 16).",
    ]


def test_a_wrong_workload_in_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '[\n {"namespace": "default",\n  "service_acount": "one"}\n]')
    with pytest.raises(InputError) as caught:
        given_workloads({"workloads_from": [path], "workloads": None})
    assert f"{path} line 2 (default/?): unknown key 'service_acount'" in "\n".join(caught.value.problems)
    assert "workload 1" not in "\n".join(caught.value.problems)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.text(st.characters(codec="ascii", min_codepoint=32)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(workloads=st.lists(VALUES, max_size=4))
def test_json_is_the_same_with_and_without_lines(tmp_path: Path, workloads: list[Any]) -> None:
    path = written(tmp_path, "a.json", json.dumps(workloads))
    assert read_sources([path]).workloads == read_sources([path], lines=False).workloads == workloads
