# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the input of a run: how it is parsed for AWS and Kubernetes, and errors that occur before any request."""

from __future__ import annotations

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
    read_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import ParsedInput
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}
TWO = {"namespace": "batch", "service_account": "two", "role": {"name": "s"}, "create_namespace": True}


def read_files(paths: Sequence[str]) -> FileSource:
    return read_sources([str(Path("/srv") / path) for path in paths])


def read(prefix: str = ROLE, **options: Any) -> ParsedInput:
    return read_input({"cluster_name": "c", **options}, read_files, prefix)


def find_problems(prefix: str = ROLE, **options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(prefix, **options)
    return list(caught.value.problems)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("unset", [{}, {"workloads": None}, {"workloads": ""}])
def test_workloads_may_be_in_files(tmp_path: Path, as_text: bool, unset: dict[str, Any]) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- {namespace: default, service_account: one, role: {name: r}}\n", encoding="utf-8")
    parsed = read(workloads_from=str(path) if as_text else [str(path)], **unset)
    assert parsed.workloads == parse_workloads([ONE], "c")


THREE = {**ONE, "namespace": "batch", "service_account": "one"}


@pytest.mark.parametrize(
    ("only", "selected"),
    [
        (["default/one"], ["default/one"]),
        ("default/one, batch/*", ["default/one", "batch/two", "batch/one"]),
        (["*/one"], ["default/one", "batch/one"]),
        (None, ["default/one", "batch/two", "batch/one"]),
    ],
)
def test_only_selects_workloads(only: object, selected: list[str]) -> None:
    parsed = read(workloads=[ONE, TWO, THREE], only=only)
    assert [str(workload.key) for workload in parsed.workloads] == selected
    everything = {str(workload.key) for workload in parsed.workloads} | set(map(str, parsed.unselected))
    assert everything == {"default/one", "batch/two", "batch/one"}
    assert len(parsed.workloads) + len(parsed.unselected) == 3


@pytest.mark.parametrize("option", [{}, {"create_service_accounts": False}, {"create_namespaces": True}])
def test_service_accounts_have_the_defaults_of_the_run(option: dict[str, Any]) -> None:
    (one, two) = (workload.service_account for workload in read(workloads=[ONE, TWO], **option).workloads)
    create = option.get("create_service_accounts", True)
    assert (one.create, one.create_namespace) == (create, option.get("create_namespaces", False))
    assert (two.create, two.create_namespace) == (create, True)


def test_purge_refuses_a_selection() -> None:
    options: dict[str, Any] = {"workloads": [ONE, TWO], "only": "default/one", "purge": True}
    assert find_problems(**options) == [
        "pod_identity_purge needs the whole list; leave pod_identity_purge or pod_identity_only out."
    ]
    assert len(read(**options, state="absent").workloads) == 1
    assert len(read_input({"cluster_name": "c", **options}, read_files, ROLE, verifies=True).workloads) == 1


def test_only_must_match_a_workload() -> None:
    assert find_problems(workloads=[ONE, TWO], only=["default/on", "batch/*"]) == [
        "pod_identity_only: no listed workload matches 'default/on'. Similar: default/one."
    ]
    five = [{**ONE, "namespace": name} for name in "abcde"]
    assert find_problems(workloads=five, only=[]) == [
        "pod_identity_only: no listed workload matches ''. Listed: a/one, b/one, c/one and 2 more."
    ]
    assert find_problems(workloads=[], only=["a/b"]) == [
        "pod_identity_only: no listed workload matches 'a/b'. Listed: nothing."
    ]


@pytest.mark.parametrize("name", ["create_service_accounts", "create_namespaces", "purge"])
@pytest.mark.parametrize("text", ["false", "False", "no", "n", "off", "0", "f"])
def test_false_text_is_false_in_every_option(name: str, text: str) -> None:
    assert read(workloads=[TWO], **{name: text}) == read(workloads=[TWO], **{name: False})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param(
            {},
            "Set the workloads in pod_identity_workloads, or files with workloads in pod_identity_workloads_from.",
        ),
        pytest.param(
            {"workloads": [], "workloads_from": ["a.yml"]},
            "pod_identity_workloads and pod_identity_workloads_from are both set; set one of them.",
        ),
        pytest.param(
            {"workloads": None},
            "pod_identity_workloads has no value; for an empty list of workloads, set pod_identity_workloads to [].",
        ),
        pytest.param(
            {"workloads_from": None},
            "pod_identity_workloads_from has no value; for an empty list of workloads, set pod_identity_workloads to [].",
        ),
        pytest.param(
            {"workloads": "a"},
            "pod_identity_workloads line 1: must be a list of workloads, one mapping each.",
        ),
        pytest.param(
            {"workloads": "- namespace: a\n  role: {name: b}\n  namespace: c\n"},
            "pod_identity_workloads line 3: key 'namespace' is a duplicate, first on line 1; keep one of them.",
        ),
        pytest.param(
            {"workloads": "- namespace: default\n  role: {name: b}\n"},
            "pod_identity_workloads line 1 (default/?): service_account is missing.",
        ),
        pytest.param(
            {"workloads": {"a": 1}}, "pod_identity_workloads must be a list of mappings, got a mapping."
        ),
        pytest.param({"workloads": ["hello"]}, "pod_identity_workloads[0]: must be a mapping, got text."),
        pytest.param(
            {"workloads": [{**ONE, "service_account_labels": "x"}]},
            "pod_identity_workloads[0] (default/one): service_account_labels must be a mapping, got 'x'.",
        ),
        pytest.param(
            {"workloads_from": 5},
            "pod_identity_workloads_from must be a list of files and folders, got a number.",
        ),
        pytest.param(
            {"workloads_from": [None]},
            "pod_identity_workloads_from must be a list of files and folders, but None is in it.",
        ),
        pytest.param(
            {"workloads_from": []},
            "pod_identity_workloads_from is empty, but must list at least one file or folder. For no "
            "workloads, list a file with the content [].",
        ),
        pytest.param({"workloads_from": ["gone.yml"]}, "/srv/gone.yml: there is no such file or folder."),
        pytest.param(
            {"workloads": [ONE], "concurrency": 0}, "pod_identity_concurrency must be 1 or more, got 0."
        ),
        pytest.param(
            {"workloads": [ONE], "propagation_timeout": -5},
            "pod_identity_propagation_timeout must be 0 or more, got -5.",
        ),
        pytest.param(
            {"workloads": [ONE], "concurrency": "many"},
            "pod_identity_concurrency must be a whole number, 1 or more, got 'many'.",
        ),
        pytest.param(
            {"workloads": [ONE], "concurrency": "1.5"},
            "pod_identity_concurrency must be a whole number, 1 or more, got '1.5'.",
        ),
        pytest.param(
            {"workloads": [ONE], "purge_limit": "-1"},
            "pod_identity_purge_limit must be a number, 0 or more, or a share from 0% to 100%, got '-1'.",
        ),
        pytest.param(
            {"workloads": [ONE], "purge": "perhaps"},
            "pod_identity_purge must be true or false, got 'perhaps'.",
        ),
        pytest.param(
            {"workloads": [ONE], "state": "gone"},
            "pod_identity_state must be one of present, absent, got 'gone'.",
        ),
        pytest.param(
            {"workloads": [ONE], "tags": {"aws:a": "b"}},
            "pod_identity_tags: tag 'aws:a' uses the prefix aws:, which AWS reserves.",
        ),
        pytest.param(
            {"workloads": [ONE], "path": "pod-identity"},
            "pod_identity_path must be a path that starts and ends with /, got 'pod-identity'.",
        ),
        pytest.param(
            {"workloads": [ONE], "permissions_boundary": "boundary"},
            "pod_identity_permissions_boundary must be the ARN of a managed policy, got 'boundary'.",
        ),
        pytest.param(
            {"workloads": [ONE], "cluster_name": "a b"},
            "pod_identity_cluster_name: must be the name of an EKS cluster (letters, digits, - and _, at most 100 "
            "characters, beginning with a letter or digit), got 'a b'.",
        ),
    ],
)
def test_rejects_invalid_input(options: dict[str, Any], problem: str) -> None:
    assert find_problems(**options) == [problem]


def test_empty_owner_differs_from_no_owner() -> None:
    assert read("", workloads=[], owner=None).owner is None
    assert find_problems(workloads=[], owner=None) == [
        "pod_identity_owner has no value; set the owner, or leave the variable out."
    ]
