# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import changes
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    MANAGED_BY_TAG,
    MANAGED_BY_VALUE,
    OWNER_TAG,
    default_owner,
    is_own,
    is_owner,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    OWNED,
    OWNER,
)

AWS_TAG = "aws:cloudformation:stack-name"


@pytest.mark.parametrize(
    ("present", "desired", "purge", "change"),
    [
        pytest.param({}, {}, True, changes.TagChange({}, ()), id="none"),
        pytest.param({"a": "1"}, {"a": "1"}, True, changes.TagChange({}, ()), id="equal"),
        pytest.param({}, {"a": "1"}, False, changes.TagChange({"a": "1"}, ()), id="missing"),
        pytest.param({"a": "1"}, {"a": "2"}, False, changes.TagChange({"a": "2"}, ()), id="different value"),
        pytest.param(
            {"a": "1"}, {"A": "1"}, True, changes.TagChange({"A": "1"}, ("a",)), id="different letter case"
        ),
        pytest.param({"b": "1", "a": "1"}, {}, True, changes.TagChange({}, ("a", "b")), id="purged"),
        pytest.param({"b": "1"}, {}, False, changes.TagChange({}, ()), id="kept without purge"),
        pytest.param({**OWNED, AWS_TAG: "x"}, {}, True, changes.TagChange({}, ()), id="never removed"),
    ],
)
def test_comparison_of_tags(
    present: dict[str, str], desired: dict[str, str], purge: bool, change: changes.TagChange
) -> None:
    assert changes.compare_tags(present, desired, purge) == change


def test_change_keeps_other_tags() -> None:
    change = changes.TagChange({"a": "2", "c": "3"}, ("b",))
    assert changes.tags_after({"a": "1", "b": "1", "d": "4"}, change) == {"a": "2", "c": "3", "d": "4"}


def test_equal_tags_need_no_request() -> None:
    change = changes.TagChange({}, ())
    assert not change
    assert (
        changes.iam_tag_calls("Policy", {"PolicyArn": "p"}, change)
        == changes.eks_tag_calls("arn", change)
        == []
    )


@pytest.mark.parametrize(
    ("tags", "own"),
    [(OWNED, True), ({MANAGED_BY_TAG: MANAGED_BY_VALUE}, False), ({OWNER_TAG: OWNER}, False), ({}, False)],
)
def test_own_resource_has_the_mark_and_the_owner(tags: dict[str, str], own: bool) -> None:
    assert is_own(tags, OWNER) is own


@pytest.mark.parametrize(
    ("cluster", "owner"),
    [
        ("my-cluster", "us-west-2.my-cluster"),
        ("ends_", "us-west-2.ends_.1e33ae0c6fcb"),
        ("c" * 100, f"us-west-2.{'c' * 40}.5a7f057b24d6"),
    ],
)
def test_default_owner_is_the_cluster_as_a_label_value(cluster: str, owner: str) -> None:
    assert default_owner("us-west-2", cluster) == owner
    assert is_owner(owner)
