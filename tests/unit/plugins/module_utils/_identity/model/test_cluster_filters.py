# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the filters of clusters, before and after DescribeCluster."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    matches_filters,
)

PROD = {"name": "prod-1", "region": "us-west-2", "status": "ACTIVE", "tag:stage": "prod", "tag:a:b": ""}
Criteria = Mapping[str, tuple[str, ...]]

CASES: list[tuple[list[Criteria], list[Criteria], bool]] = [
    ([], [], True),
    ([{"name": ("prod-*",)}], [], True),
    ([{"name": ("prod-?",)}], [], True),
    ([{"name": ("Prod-*",)}], [], False),
    ([{"name": ("prod",)}], [], False),
    ([{"name": ("test-*", "prod-*")}], [], True),
    ([{"name": ("test-*",)}, {"tag:stage": ("prod",)}], [], True),
    ([{"name": ("prod-*",), "tag:stage": ("test",)}], [], False),
    ([{"tag:gone": ("*",)}], [], False),
    ([{"tag:a:b": ("*",)}], [], True),
    ([], [{"status": ("DELETING", "FAILED")}], True),
    ([], [{"status": ("ACTIVE",)}], False),
    ([{"name": ("prod-*",)}], [{"tag:stage": ("pr*",), "region": ("us-*",)}], False),
    ([], [{"tag:stage": ("pr*",), "region": ("eu-*",)}], True),
    ([], [{"tag:gone": ("*",)}], True),
]


@pytest.mark.parametrize(("include", "exclude", "expected"), CASES)
def test_described_cluster(include: list[Criteria], exclude: list[Criteria], expected: bool) -> None:
    assert matches_filters(PROD, include, exclude) is expected


@pytest.mark.parametrize(("include", "exclude", "expected"), CASES)
def test_name_filter_does_not_exclude_possible_matches(
    include: list[Criteria], exclude: list[Criteria], expected: bool
) -> None:
    partial = {name: PROD[name] for name in ("name", "region")}
    early = matches_filters(partial, include, exclude, described=False)
    assert early or not expected
