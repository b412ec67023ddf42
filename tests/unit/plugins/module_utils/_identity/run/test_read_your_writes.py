# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test stale reads of IAM and EKS: a run does not report its own changes as missing, and does not repeat them."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.reader import MAX_READS
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    not_yet_visible,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    Clock,
    agent,
    desired,
    engine,
    names,
    plan,
    policy,
    policy_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.late_aws import (
    LateAws,
)

LAGS = (0.5, 2, 5, 15)
REPLICAS = (1, 2)
AGENT = VerificationReads(agent("ACTIVE", "v1.3.8-eksbuild.2"))
LOST = classify("iam:CreatePolicyVersion", "ConnectionClosedError", "closed", True, lost=True)


def several(*actions: str, description: str = "") -> Desired:
    """Return a desired state with three workloads, which share a role and two policies."""
    role = {"name": "my-role", "description": description}
    policies = [policy("my-policy", *actions), policy("other", "sqs:SendMessage")]
    return desired(*(workload(name, role=role, policies=policies) for name in "abc"))


def converge(aws: LateAws, spec: Desired, clock: Clock) -> tuple[Run, list[Verified]]:
    runner = engine(aws, spec, clock=clock)
    outcome = runner.run(spec, "present", check_mode=False)
    return outcome, verify(spec, runner.observe_after(outcome), AGENT)


def codes(verified: list[Verified]) -> set[str]:
    return {str(finding.code) for workload_ in verified for finding in workload_.findings}


def statuses(verified: list[Verified]) -> set[str]:
    return {
        check.status for workload_ in verified for check in workload_.checks if check.name != "permissions"
    }


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_verification_finds_new_resources_and_changes(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    for spec in (several("s3:GetObject"), several("s3:PutObject", description="new")):
        outcome, verified = converge(aws, spec, clock)
        assert (outcome.failures, statuses(verified)) == ((), {"pass"}), codes(verified)
    assert (aws.writes.count("iam:CreateRole"), aws.writes.count("iam:CreatePolicy")) == (1, 2)
    assert aws.writes.count("iam:CreatePolicyVersion") == 1


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_lost_response_does_not_create_a_second_version(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    converge(aws, several("s3:GetObject"), clock)
    number = request_number(aws, "iam:CreatePolicyVersion", several("s3:PutObject"))
    aws.fail_at(number, LOST, took_effect=True)
    outcome, verified = converge(aws, several("s3:PutObject"), clock)
    assert (outcome.failures, statuses(verified)) == ((), {"pass"})
    assert aws.writes.count("iam:CreatePolicyVersion") == 1
    assert len(aws.iam.policies[policy_arn("my-policy")]["versions"]) == 2
    assert policy_arn("my-policy") in [done.change.target.name for done in outcome.done]


def request_number(aws: LateAws, name: str, spec: Desired) -> int:
    """Return the position of an operation among the requests of a run, counted from 1."""
    initial, sent = aws.backup(), len(aws.requests)
    engine(aws, spec).run(spec, "present", check_mode=False)
    number = next(index for index, (operation, _) in enumerate(aws.requests[sent:], 1) if operation == name)
    aws.restore(initial)
    aws.freeze()
    del aws.requests[sent:]
    return number


@pytest.mark.parametrize("lag", LAGS)
def test_rerun_waits_for_the_changes_of_the_first_run(lag: float) -> None:
    """Start a second run while reads do not show the changes of the first run yet."""
    clock = Clock()
    aws = LateAws(clock, lag)
    spec = several("s3:GetObject")
    engine(aws, spec, clock=clock).run(spec, "present", check_mode=False)
    outcome, verified = converge(aws, spec, clock)
    assert (outcome.failures, statuses(verified)) == ((), {"pass"})
    assert outcome.done == ()


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_teardown_right_after_a_run_deletes_everything_visibly(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    spec = several("s3:GetObject")
    converge(aws, spec, clock)
    runner = engine(aws, spec, "absent", clock)
    removed = runner.run(spec, "absent", check_mode=False)
    assert (removed.failures, len(removed.done)) == ((), 8)
    seen = runner.observe_after(removed)
    assert (set(seen.roles.values()), set(seen.policies.values()), seen.associations) == ({None}, {None}, {})
    assert aws.state() == {"roles": {}, "policies": {}, "associations": []}
    if replicas == 1:
        assert len(names(plan(aws, spec))) == 8


def test_invisible_changes_are_unknown() -> None:
    clock = Clock()
    aws = LateAws(clock, 1000)
    spec = desired(workload())
    outcome, verified = converge(aws, spec, clock)
    assert outcome.failures == ()
    assert codes(verified) == {"NOT_YET_VISIBLE"}
    assert statuses(verified) <= {"pass", "unknown"}
    assert sum(clock.pauses) <= 60


@pytest.mark.parametrize("verb", ["makes", "finds"])
def test_verification_retries_reads_of_a_new_role_only(verb: str) -> None:
    """Let one operation report that the role does not exist, as a replica would that has not received the role yet."""
    clock = Clock()
    aws = LateAws(clock, 0)
    aws.replace("eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE"}})
    spec = several("s3:GetObject")
    if verb == "finds":
        converge(aws, spec, clock)
    operation = "iam:ListRolePolicies"
    unknown = classify(operation, "NoSuchEntity", "The role with name my-role cannot be found.")
    aws.fail_on(operation, *[unknown] * (MAX_READS + 1))
    pauses = len(clock.pauses)
    done = apply_order(engine(aws, spec, clock=clock), spec, Order("present", verify=True))
    assert done.verified is not None, done.guard
    if verb == "makes":
        assert (codes([*done.verified]), statuses([*done.verified])) == (set(), {"pass"})
        assert len(clock.pauses) > pauses
    else:
        assert "NOT_READABLE" in codes([*done.verified])
        assert len(clock.pauses) == pauses


def test_message_for_invisible_changes() -> None:
    clock = Clock()
    aws = LateAws(clock, 1000)
    spec = desired(workload())
    runner: Engine = engine(aws, spec, clock=clock)
    outcome = runner.run(spec, "present", check_mode=False)
    findings = not_yet_visible(runner.observe_after(outcome), [done.change for done in outcome.done])
    assert findings[0].message == (
        "association default/app: this run made the change (create association default/app), but reads do not show it after 60 s."
    )
    assert findings[0].remedy == "Run again in a minute."


GONE = {
    "iam:DetachRolePolicy": "NoSuchEntity",
    "iam:DeleteRole": "NoSuchEntity",
    "iam:DeletePolicy": "NoSuchEntity",
    "eks:DeletePodIdentityAssociation": "ResourceNotFoundException",
}


@pytest.mark.parametrize("operation", GONE)
def test_removal_confirms_a_not_found_error(operation: str) -> None:
    clock = Clock()
    aws = LateAws(clock, 0)
    spec = several("s3:GetObject")
    converge(aws, spec, clock)
    aws.fail_on(operation, classify(operation, GONE[operation], "not found"))
    removed = engine(aws, spec, "absent", clock).run(spec, "absent", check_mode=False)
    assert removed.failures == ()
    assert aws.state() == {"roles": {}, "policies": {}, "associations": []}
    assert len(removed.done) == 8


@pytest.mark.parametrize("lag", LAGS)
def test_recent_removal_by_another_run_is_not_a_failure(lag: float) -> None:
    clock = Clock()
    aws = LateAws(clock, lag)
    spec = several("s3:GetObject")
    converge(aws, spec, clock)
    engine(aws, spec, "absent", clock).run(spec, "absent", check_mode=False)
    removed = engine(aws, spec, "absent", clock).run(spec, "absent", check_mode=False)
    assert (removed.failures, removed.done) == ((), ())
