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
    CLUSTER_ARN,
    OTHER_CLUSTER,
    FakeAws,
    create_association,
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
@pytest.mark.parametrize(
    ("role", "scope"),
    [
        pytest.param("", None, id="a role each"),
        pytest.param("both", "workload", id="one role"),
        pytest.param("both", "namespace", id="one role for the namespace"),
        pytest.param("both", "cluster", id="one role for the cluster"),
        pytest.param("both", "account", id="one role for the account"),
        pytest.param("both", "none", id="one role for everything"),
    ],
)
@pytest.mark.parametrize("action", ["s3:PutObject", "s3:*"])
def test_lists_that_alternate_come_to_rest(cluster: str, role: str, scope: str | None, action: str) -> None:
    aws = FakeAws()
    first = listed("one", "s3:GetObject", CLUSTER, role, trust_scope=scope)
    second = listed("two", action, cluster, role, trust_scope=scope)
    assert codes(run(aws, first)) == []
    document = aws.state()["policies"][SHARED]["document"]
    for _turn in range(3):
        assert codes(run(aws, second)) == ["POLICY_USED_ELSEWHERE"]
        again = run(aws, first)
        assert (codes(again), changes(again)) == ([], [])
        assert aws.state()["policies"][SHARED]["document"] == document


@pytest.mark.parametrize("scope", ["account", "none"])
def test_document_stays_for_its_cluster_under_a_role_of_every_cluster(scope: str) -> None:
    """Nobody can list the users of such a role, but the policy tells one of them."""
    aws = FakeAws()
    first = listed("one", "s3:GetObject", CLUSTER, "both", trust_scope=scope)
    second = listed("two", "s3:PutObject", OTHER_CLUSTER, "both", trust_scope=scope)
    run(aws, first)
    (failure,) = run(aws, second).failures
    assert failure.error_code == "POLICY_USED_ELSEWHERE"
    assert "It is unchanged because of users outside this run: role both (every cluster" in failure.message
    assert f"It was first created for cluster {CLUSTER_ARN}" in failure.message
    assert (codes(run(aws, first)), changes(run(aws, first))) == ([], [])
    # Its own list changes it, and no other: it would need force for each change else.
    assert changes(run(aws, listed("one", "s3:ListBucket", CLUSTER, "both", trust_scope=scope))) == [
        f"update policy {SHARED}"
    ]


def test_users_of_a_role_are_read_before_its_policy_gets_another_document() -> None:
    aws = FakeAws()
    run(aws, listed("one", "s3:GetObject", CLUSTER, "both", trust_scope="cluster"))
    for number in range(12):
        create_association(aws, f"stranger-{number}", "elsewhere")
    changed = listed("one", "s3:PutObject", CLUSTER, "both", trust_scope="cluster")
    aws.requests.clear()
    assert changes(run(aws, changed)) == [f"update policy {SHARED}"]
    assert len(aws.parameters("eks:ListPodIdentityAssociations")) == 2
    aws.requests.clear()
    assert changes(run(aws, changed)) == []
    assert len(aws.parameters("eks:ListPodIdentityAssociations")) == 1
    create_association(aws, "zz-user", "both")
    assert codes(run(aws, listed("one", "s3:*", CLUSTER, "both", trust_scope="cluster"))) == [
        "POLICY_USED_ELSEWHERE"
    ]


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
