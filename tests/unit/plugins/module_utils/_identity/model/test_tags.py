# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import changes
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import OWNED

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
