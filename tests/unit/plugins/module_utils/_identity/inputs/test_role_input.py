# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role's input as a whole: what both halves get, and what is refused before either is asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_input import (
    RoleInput,
    validate_role_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ONE = {"namespace": "default", "service_account": "one", "role": {"name": "r"}}
TWO = {"namespace": "batch", "service_account": "two", "role": {"name": "s"}, "create_namespace": True}


def checked(**options: Any) -> RoleInput:
    def located(paths: Sequence[str]) -> list[str]:
        return [str(Path("/srv") / path) for path in paths]

    return validate_role_input({"cluster_name": "c", "state": "present", "tags": {}, **options}, located)


def problems_of(**options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        checked(**options)
    return list(caught.value.problems)


def test_the_kubernetes_half_gets_what_it_needs() -> None:
    found = checked(workloads=[ONE, TWO, {**ONE, "service_account": "three"}])
    assert found.workloads == [
        {"namespace": "default", "service_account": "one"},
        {"namespace": "batch", "service_account": "two", "create_namespace": True},
        {"namespace": "default", "service_account": "three"},
    ]
    assert (found.namespaces, found.paths) == (["batch", "default"], None)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("unset", [{}, {"workloads": None}, {"workloads": ""}])
def test_both_halves_get_the_same_files(tmp_path: Path, as_text: bool, unset: dict[str, Any]) -> None:
    path = tmp_path / "a.yml"
    path.write_text("- {namespace: default, service_account: one, role: {name: r}}\n", encoding="utf-8")
    found = checked(workloads_from=str(path) if as_text else [str(path)], **unset)
    assert found.paths == [str(path)]
    assert found.workloads == [{"namespace": "default", "service_account": "one"}]


def test_an_empty_list_is_one() -> None:
    assert checked(workloads=[]) == RoleInput([], None)


def test_a_teardown_needs_no_role() -> None:
    listed = [{"namespace": "default", "service_account": "one"}]
    assert checked(workloads=listed, state="absent").workloads == listed
    assert problems_of(workloads=listed) == [
        "pod_identity_workloads[0] (default/one): role is missing; give role: {name: …} to make one or role: {arn: …} "
        "to use one."
    ]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        pytest.param(
            {},
            "Give the workloads in pod_identity_workloads, or files with them in pod_identity_workloads_from.",
        ),
        pytest.param(
            {"workloads": [], "workloads_from": ["a.yml"]},
            "pod_identity_workloads and pod_identity_workloads_from are both given; give one of them.",
        ),
        pytest.param(
            {"workloads": None},
            "pod_identity_workloads has no value; write [] for an empty list of workloads, in "
            "pod_identity_workloads.",
        ),
        pytest.param(
            {"workloads_from": None},
            "pod_identity_workloads_from has no value; write [] for an empty list of workloads, in "
            "pod_identity_workloads.",
        ),
        pytest.param({"workloads": "a"}, "pod_identity_workloads must be a list of mappings, got a str."),
        pytest.param(
            {"workloads": {"a": 1}}, "pod_identity_workloads must be a list of mappings, got a dict."
        ),
        pytest.param({"workloads": ["hello"]}, "pod_identity_workloads[0]: must be a mapping, got a str."),
        pytest.param(
            {"workloads": [{**ONE, "service_account_labels": "x"}]},
            "pod_identity_workloads[0] (default/one): service_account_labels must be a mapping, got 'x'.",
        ),
        pytest.param(
            {"workloads_from": 5},
            "pod_identity_workloads_from must be a list of files and folders, got a int.",
        ),
        pytest.param(
            {"workloads_from": [None]},
            "pod_identity_workloads_from must be a list of files and folders, but None is in it.",
        ),
        pytest.param(
            {"workloads_from": []},
            "pod_identity_workloads_from names no file or folder; for an empty list of workloads, write [] in one.",
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
            {"workloads": [ONE], "tags": {"aws:a": "b"}},
            "pod_identity_tags: tags: tag 'aws:a' uses the prefix aws:, which AWS reserves.",
        ),
        pytest.param(
            {"workloads": [ONE], "cluster_name": "a b"},
            "cluster_name: must be the name of an EKS cluster (letters, digits, - and _, at most 100 characters), got "
            "'a b'.",
        ),
    ],
)
def test_what_cannot_be_used_is_refused(options: dict[str, Any], problem: str) -> None:
    assert problems_of(**options) == [problem]


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(problems_of(workloads=[{}], concurrency=0, propagation_timeout=-1, cluster_name="")) == 6


def test_everything_that_marks_and_limits_a_purge_is_checked_with_the_rest() -> None:
    owner = "pod_identity_owner must be a Kubernetes label value, for it labels the service accounts (1 to 63 letters, "
    assert problems_of(workloads=["x"], owner="team a", purge_limit=-1) == [
        "pod_identity_purge_limit must be 0 or more, got -1.",
        f"{owner}digits, -, _ and ., with a letter or digit at both ends), got 'team a'.",
        "pod_identity_workloads[0]: must be a mapping, got a str.",
    ]


def test_an_owner_that_came_out_as_nothing_is_not_the_same_as_none() -> None:
    assert problems_of(workloads=[], owner=None) == [
        "pod_identity_owner has no value; give the owner, or leave the variable out."
    ]
