# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    parse_cluster_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError


@pytest.mark.parametrize("name", ["my-cluster", "A_1", "x" * 100])
def test_valid_cluster_name_is_unchanged(name: str) -> None:
    assert parse_cluster_name(name) == name


@pytest.mark.parametrize("name", ["-a", "x" * 101, "a b", 5, "arn:aws:eks:us-west-2:1:cluster/a"])
def test_rejects_invalid_cluster_name(name: object) -> None:
    with pytest.raises(InputError) as caught:
        parse_cluster_name(name)
    assert caught.value.problems == (
        "cluster_name: must be the name of an EKS cluster (letters, digits, - and _, at most 100 "
        "characters, beginning with a letter or digit), "
        f"got {name!r}.",
    )


@pytest.mark.parametrize("name", ["", "  "])
def test_reports_empty_cluster_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_cluster_name(name)
    assert caught.value.problems == ("cluster_name: is empty; set the name of the EKS cluster.",)


def test_missing_cluster_name_names_the_option() -> None:
    with pytest.raises(InputError) as caught:
        parse_cluster_name(None, "pod_identity_cluster_name")
    assert caught.value.problems == (
        "pod_identity_cluster_name: is missing; set the name of the EKS cluster.",
    )
