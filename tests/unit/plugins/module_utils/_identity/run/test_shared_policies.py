# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that lists with a common policy converge: they do not change the policy in turn, and neither changes the access of
workloads in the other list."""

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


def single(name: str, action: str, cluster: str, role: str = "", **options: Any) -> Desired:
    policies = [policy("shared", action)]
    raw = workload(name, role={"name": role or f"{cluster}-{name}"}, policies=policies)
    return desired(raw, cluster=cluster, **options)


def codes(done: Run) -> list[str]:
    return [failure.error_code for failure in done.failures]


def changes(done: Run) -> list[str]:
    return [named(applied.change) for applied in done.done]


@pytest.mark.parametrize("cluster", [CLUSTER, OTHER_CLUSTER])
@pytest.mark.parametrize(
    ("role", "scope"),
    [
        pytest.param("", None, id="separate roles"),
        pytest.param("both", "workload", id="one role"),
        pytest.param("both", "namespace", id="one role for the namespace"),
        pytest.param("both", "cluster", id="one role for the cluster"),
        pytest.param("both", "account", id="one role for the account"),
        pytest.param("both", "anyone_in_account", id="one role for everything"),
    ],
)
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:*"])
def test_alternating_lists_converge(cluster: str, role: str, scope: str | None, action: str) -> None:
    aws = FakeAws()
    first = single("one", "s3:GetObject", CLUSTER, role, trust_scope=scope)
    second = single("two", action, cluster, role, trust_scope=scope)
    assert codes(run(aws, first)) == []
    document = aws.state()["policies"][SHARED]["document"]
    for _turn in range(3):
        assert codes(run(aws, second)) == ["POLICY_USED_ELSEWHERE"]
        again = run(aws, first)
        assert (codes(again), changes(again)) == ([], [])
        assert aws.state()["policies"][SHARED]["document"] == document
