# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists that share a policy come to rest: nothing flips from run to run, and nobody loses or gains by another list."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    OTHER_CLUSTER,
    FakeAws,
    desired,
    named,
    policy,
    policy_arn,
    run,
    workload,
)

SHARED = policy_arn("shared")


def listed(name: str, action: str, cluster: str, role: str = "", **options: Any) -> Desired:
    policies = [policy("shared", action)]
    raw = workload(name, role={"name": role or f"{cluster}-{name}"}, policies=policies)
    return desired(raw, cluster=cluster, **options)


def codes(done: Run) -> list[str]:
    return [failure.error_code for failure in done.failures]


def changes(done: Run) -> list[str]:
    return [named(made.change) for made in done.done]


@pytest.mark.parametrize("cluster", [CLUSTER, OTHER_CLUSTER])
@pytest.mark.parametrize("role", ["", "both"], ids=["a role each", "one role"])
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:*"])
def test_lists_that_alternate_come_to_rest(cluster: str, role: str, action: str) -> None:
    aws = FakeAws()
    first = listed("one", "s3:GetObject", CLUSTER, role)
    second = listed("two", action, cluster, role)
    assert codes(run(aws, first)) == []
    document = aws.state()["policies"][SHARED]["document"]
    for _turn in range(3):
        assert codes(run(aws, second)) == ["POLICY_USED_ELSEWHERE"]
        again = run(aws, first)
        assert (codes(again), changes(again)) == ([], [])
        assert aws.state()["policies"][SHARED]["document"] == document


def test_lists_with_one_document_alternate_in_peace_and_change_it_only_together() -> None:
    aws = FakeAws()
    before = [listed("one", "s3:GetObject", CLUSTER), listed("two", "s3:GetObject", OTHER_CLUSTER)]
    after = [listed("one", "s3:PutObject", CLUSTER), listed("two", "s3:PutObject", OTHER_CLUSTER)]
    for wanted in (*before, *before):
        assert codes(run(aws, wanted)) == []
    assert [codes(run(aws, wanted)) for wanted in after] == [["POLICY_USED_ELSEWHERE"]] * 2
    forced = listed("one", "s3:PutObject", CLUSTER, force=True)
    assert changes(run(aws, forced)) == [f"update policy {SHARED}"]
    assert [(codes(done), changes(done)) for done in (run(aws, wanted) for wanted in after)] == [([], [])] * 2
