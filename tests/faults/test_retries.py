# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test retries: the numbers of requests that reach the AWS endpoint."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import ROUNDS, Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Clock, create_client
from ansible_collections.workload_identity.aws.tests.faults.world import (
    ACCOUNT,
    CHANGED,
    CLUSTER,
    REGION,
    WORKLOADS,
    desired,
    policy,
)

ALL = desired(*WORKLOADS)
SHARED_ARN = f"arn:aws:iam::{ACCOUNT}:policy/shared"
# A workload that needs one policy, one role, one attachment and one association.
ONE = desired({**WORKLOADS[1], "policies": [policy("single", "s3:GetObject")]})


def requests(account: Account, operation: str) -> int:
    return int(account.control.counters()["operations"].get(operation, 0))


def disturbed(account: Account, state: Any, *rules: dict[str, Any], clock: Clock | None = None) -> Run:
    account.control.set_faults(rules)
    ended = account.run(state, clock=clock)
    account.control.set_faults([])
    assert isinstance(ended, Run)
    return ended


@pytest.mark.parametrize(
    ("kind", "attempts", "first", "code"),
    [
        pytest.param("throttle", 14, 0.5, "Throttling", id="throttling"),
        pytest.param("error500", 6, 0.25, "ServiceFailure", id="500"),
        pytest.param("error503", 6, 0.25, "ServiceUnavailable", id="503"),
        pytest.param("reset_before", 5, 0.25, "ConnectionClosedError", id="connection"),
    ],
)
def test_retries_are_bounded_and_jittered(
    kind: str, attempts: int, first: float, code: str, account: Account
) -> None:
    clock = Clock()
    ended = disturbed(account, ONE, {"operation": "iam:CreateRole", "kind": kind}, clock=clock)
    assert requests(account, "iam:CreateRole") == attempts
    assert len(clock.pauses) == attempts - 1
    for number, pause in enumerate(clock.pauses):
        longest = min(first * 2**number, 4)
        assert longest / 2 <= pause <= longest
    assert len(set(clock.pauses)) == len(clock.pauses)
    failure = ended.failures[0]
    assert (failure.target.resource, failure.target.full_name, failure.action, failure.error_code) == (
        "role",
        "shared",
        "create",
        code,
    )
    assert failure.message.endswith(f"(after {attempts} attempts)")


@pytest.mark.parametrize("missing", [False, True], ids=["alone", "with a missing resource"])
def test_rejections_are_not_retried(missing: bool, account: Account) -> None:
    clock = Clock()
    rules: list[dict[str, Any]] = [{"operation": "iam:CreateRole", "kind": "access_denied"}]
    if missing:
        # The missing resource of another workload lets the run read and plan a second time.
        gone = {"kind": "custom", "code": "ResourceNotFoundException", "status": 404, "message": "Gone"}
        rules.append({"operation": "eks:CreatePodIdentityAssociation", **gone, "times": 1})
    ended = disturbed(account, ALL, *rules, clock=clock)
    assert requests(account, "iam:CreateRole") == 3
    assert requests(account, "iam:GetRole") == (8 if missing else 4)
    denied = [failure.target.name for failure in ended.failures if failure.error_code == "AccessDenied"]
    assert sorted(denied) == ["report", "shared", "sync"]
    assert clock.pauses == ([0.5] if missing else [])
    assert "old/app" in {done.change.target.full_name for done in ended.done}


@pytest.mark.parametrize(
    ("operation", "code", "look"),
    [
        ("iam:CreateRole", "EntityAlreadyExists", "iam:GetRole"),
        ("iam:CreatePolicy", "EntityAlreadyExists", "iam:GetPolicy"),
        ("eks:CreatePodIdentityAssociation", "ResourceInUseException", "eks:ListPodIdentityAssociations"),
    ],
)
def test_conflict_is_read_before_retry(operation: str, code: str, look: str, account: Account) -> None:
    clock = Clock()
    rule = {"operation": operation, "kind": "custom", "code": code, "status": 409, "message": "Exists"}
    ended = disturbed(account, ONE, rule, clock=clock)
    assert requests(account, operation) == ROUNDS
    # AWS reports that the resource exists, so in one of its rounds the run repeats the read until the timeout.
    assert requests(account, look) == ROUNDS + len(clock.pauses) - (ROUNDS - 1)
    assert 50 < sum(clock.pauses) <= 60 + 0.5 + 1
    assert [failure.error_code for failure in ended.failures if failure.error_code != "SKIPPED"] == [code]


def test_policy_version_is_created_once_per_round(account: Account) -> None:
    """After an error 500, the version may exist. So the run must read the policy before it sends CreatePolicyVersion again."""
    account.complete(ALL)
    account.control.reset_counters()
    rule = {"operation": "iam:CreatePolicyVersion", "kind": "error500"}
    ended = disturbed(account, desired(CHANGED[0], CHANGED[1]), rule)
    assert requests(account, "iam:CreatePolicyVersion") == ROUNDS
    failure = ended.failures[0]
    assert (failure.target.resource, failure.action, failure.error_code) == (
        "policy",
        "update",
        "ServiceFailure",
    )
    assert {str(key) for key in failure.workloads} == {"default/api", "default/worker"}


@pytest.mark.parametrize("kind", ["reset_before", "reset_after", "malformed", "error500"])
def test_lost_response_creates_one_policy_version(kind: str, account: Account) -> None:
    account.complete(ALL)
    initial = len(account.facets()["policy", SHARED_ARN]["Versions"])
    rule = {"operation": "iam:CreatePolicyVersion", "kind": kind, "nth": 1}
    ended = disturbed(account, desired(CHANGED[0], CHANGED[1]), rule)
    assert ended.failures == ()
    assert len(account.facets()["policy", SHARED_ARN]["Versions"]) == initial + 1
    assert [done.change.action for done in ended.done if done.change.target.resource == "policy"] == [
        "update"
    ]


def test_lost_response_is_reported_as_change(account: Account) -> None:
    rules = [
        {"operation": operation, "kind": "reset_after", "nth": 1}
        for operation in ("iam:CreatePolicy", "iam:CreateRole", "eks:CreatePodIdentityAssociation")
    ]
    ended = disturbed(account, ONE, *rules)
    assert ended.failures == ()
    changes = Counter((done.change.action, done.change.target.resource) for done in ended.done)
    assert changes == {
        ("create", "policy"): 1,
        ("create", "role"): 1,
        ("attach", "attachment"): 1,
        ("create", "association"): 1,
    }
    # After a lost response, IAM reports that the name exists, so the run reads again. EKS recognizes the client request token.
    assert requests(account, "eks:ListPodIdentityAssociations") == 2


def test_partial_change_is_reported_once(account: Account) -> None:
    account.complete(ALL)
    rules = [{"operation": "iam:TagRole", "kind": "malformed", "times": 3}]
    ended = disturbed(account, desired(*CHANGED), *rules)
    assert ended.failures == ()
    (change,) = [
        done.change
        for done in ended.done
        if (done.change.target.name, done.change.target.resource) == ("report", "role")
    ]
    assert change.after is not None
    assert set(change.after) == {"permissions_boundary", "tags"}


def test_ten_seconds_of_throttling_in_real_time(endpoint: str, account: Account) -> None:
    made: list[str] = []

    def make_client(service: str) -> Any:
        made.append(service)
        return create_client(endpoint, service)

    api = BotoApi(make_client)
    cluster = find_cluster(api, CLUSTER, REGION)
    account.control.set_faults([{"kind": "throttle", "duration_ms": 10_000}])
    wait_policy = WaitPolicy(60, time.monotonic, time.sleep)
    ended = Engine(api, cluster, 16, wait_policy).run(ALL, "present", False)
    assert ended.failures == ()
    # All threads share one client per service.
    assert sorted(made) == ["eks", "iam", "sts"]
    assert account.control.counters()["faults"]["throttle"] > 0
