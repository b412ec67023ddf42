# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads of IAM and EKS are late: what a run changed is not reported as missing, and not made again."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.reader import MAX_READS
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    not_yet_visible,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import (
    Engine,
    Order,
    perform,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    Clock,
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
AGENT = VerificationReads({CLUSTER: Agent("ACTIVE", "v1.3.8-eksbuild.2")})
LOST = classify("iam:CreatePolicyVersion", "ConnectionClosedError", "closed", True, lost=True)


def several(*actions: str, description: str = "") -> Desired:
    """Workloads that share a policy and a role."""
    role = {"name": "my-role", "description": description}
    policies = [policy("my-policy", *actions), policy("other", "sqs:SendMessage")]
    return desired(*(workload(name, role=role, policies=policies) for name in "abc"))


def converge(aws: LateAws, wanted: Desired, clock: Clock) -> tuple[Run, list[Verified]]:
    runner = engine(aws, wanted, clock=clock)
    made = runner.run(wanted, "present", check_mode=False)
    return made, verify(wanted, runner.observe_after(made), AGENT)


def codes(verified: list[Verified]) -> set[str]:
    return {str(finding.code) for one in verified for finding in one.findings}


def statuses(verified: list[Verified]) -> set[str]:
    return {check.status for one in verified for check in one.checks if check.name != "permissions"}


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_a_verification_never_misses_what_its_run_has_just_made(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    made, verified = converge(aws, several("s3:GetObject"), clock)
    assert (made.failures, statuses(verified)) == ((), {"pass"}), codes(verified)
    assert (aws.writes.count("iam:CreateRole"), aws.writes.count("iam:CreatePolicy")) == (1, 2)


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_a_verification_sees_the_changes_that_its_run_has_just_made(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    converge(aws, several("s3:GetObject"), clock)
    made, verified = converge(aws, several("s3:PutObject", description="new"), clock)
    assert (made.failures, statuses(verified)) == ((), {"pass"}), codes(verified)
    assert aws.writes.count("iam:CreatePolicyVersion") == 1


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_a_lost_answer_makes_no_second_version(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    converge(aws, several("s3:GetObject"), clock)
    number = _request_of(aws, "iam:CreatePolicyVersion", several("s3:PutObject"))
    aws.fail_at(number, LOST, took_effect=True)
    made, verified = converge(aws, several("s3:PutObject"), clock)
    assert (made.failures, statuses(verified)) == ((), {"pass"})
    assert aws.writes.count("iam:CreatePolicyVersion") == 1
    assert len(aws.iam.policies[policy_arn("my-policy")]["versions"]) == 2
    assert policy_arn("my-policy") in [done.change.target.name for done in made.done]


def _request_of(aws: LateAws, name: str, wanted: Desired) -> int:
    """Which request of a run it is that has the name."""
    before, sent = aws.backup(), len(aws.requests)
    engine(aws, wanted).run(wanted, "present", check_mode=False)
    number = next(index for index, (given, _) in enumerate(aws.requests[sent:], 1) if given == name)
    aws.restore(before)
    aws.freeze()
    del aws.requests[sent:]
    return number


@pytest.mark.parametrize("lag", LAGS)
def test_a_rerun_that_does_not_see_the_first_one_waits_until_it_does(lag: float) -> None:
    """The first run was killed at its end, so that nobody waited for what it made to be visible."""
    clock = Clock()
    aws = LateAws(clock, lag)
    wanted = several("s3:GetObject")
    engine(aws, wanted, clock=clock).run(wanted, "present", check_mode=False)
    made, verified = converge(aws, wanted, clock)
    assert (made.failures, statuses(verified)) == ((), {"pass"})
    assert made.done == ()


@pytest.mark.parametrize("replicas", REPLICAS)
@pytest.mark.parametrize("lag", LAGS)
def test_a_teardown_right_after_a_converge_removes_all_and_is_seen(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = LateAws(clock, lag, replicas)
    wanted = several("s3:GetObject")
    converge(aws, wanted, clock)
    runner = engine(aws, wanted, "absent", clock)
    removed = runner.run(wanted, "absent", check_mode=False)
    assert (removed.failures, len(removed.done)) == ((), 8)
    seen = runner.observe_after(removed)
    assert (set(seen.roles.values()), set(seen.policies.values()), seen.associations) == ({None}, {None}, {})
    assert aws.state() == {"roles": {}, "policies": {}, "associations": []}
    if replicas == 1:
        assert len(names(plan(aws, wanted))) == 8


def test_what_stays_invisible_is_unknown_and_not_missing() -> None:
    clock = Clock()
    aws = LateAws(clock, 1000)
    wanted = desired(workload())
    made, verified = converge(aws, wanted, clock)
    assert made.failures == ()
    assert codes(verified) == {"NOT_YET_VISIBLE"}
    assert statuses(verified) <= {"pass", "unknown"}
    assert sum(clock.pauses) <= 60


@pytest.mark.parametrize("verb", ["makes", "finds"])
def test_a_role_that_one_replica_does_not_know_yet_is_asked_for_again_by_the_run_that_made_it(
    verb: str,
) -> None:
    """Its own answer has shown it; that to what else the verification reads of it does not."""
    clock = Clock()
    aws = LateAws(clock, 0)
    aws.replace("eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE"}})
    wanted = several("s3:GetObject")
    if verb == "finds":
        converge(aws, wanted, clock)
    operation = "iam:ListRolePolicies"
    unknown = classify(operation, "NoSuchEntity", "The role with name my-role cannot be found.")
    aws.fail_on(operation, *[unknown] * (MAX_READS + 1))
    before = len(clock.pauses)
    done = perform(engine(aws, wanted, clock=clock), wanted, Order("present", verify=True))
    assert done.verified is not None, done.guard
    if verb == "makes":
        assert (codes([*done.verified]), statuses([*done.verified])) == (set(), {"pass"})
        assert len(clock.pauses) > before
    else:
        assert "NOT_READABLE" in codes([*done.verified])
        assert len(clock.pauses) == before


def test_the_message_for_what_stays_invisible() -> None:
    clock = Clock()
    aws = LateAws(clock, 1000)
    wanted = desired(workload())
    runner: Engine = engine(aws, wanted, clock=clock)
    made = runner.run(wanted, "present", check_mode=False)
    findings = not_yet_visible(runner.observe_after(made), [done.change for done in made.done])
    assert findings[0].message == (
        "association default/app: this run made the change (create association default/app), but reads do not show it after 60 s."
    )
    assert findings[0].remedy == "Run again in a minute, or raise ⟨propagation_timeout⟩."


GONE = {
    "iam:DetachRolePolicy": "NoSuchEntity",
    "iam:DeleteRole": "NoSuchEntity",
    "iam:DeletePolicy": "NoSuchEntity",
    "eks:DeletePodIdentityAssociation": "ResourceNotFoundException",
}


@pytest.mark.parametrize("operation", GONE)
def test_a_removal_that_is_told_that_it_is_gone_looks_before_it_believes_it(operation: str) -> None:
    clock = Clock()
    aws = LateAws(clock, 0)
    wanted = several("s3:GetObject")
    converge(aws, wanted, clock)
    aws.fail_on(operation, classify(operation, GONE[operation], "not found"))
    removed = engine(aws, wanted, "absent", clock).run(wanted, "absent", check_mode=False)
    assert removed.failures == ()
    assert aws.state() == {"roles": {}, "policies": {}, "associations": []}
    assert len(removed.done) == 8


@pytest.mark.parametrize("lag", LAGS)
def test_what_another_run_removed_a_moment_ago_is_no_failure(lag: float) -> None:
    clock = Clock()
    aws = LateAws(clock, lag)
    wanted = several("s3:GetObject")
    converge(aws, wanted, clock)
    engine(aws, wanted, "absent", clock).run(wanted, "absent", check_mode=False)
    removed = engine(aws, wanted, "absent", clock).run(wanted, "absent", check_mode=False)
    assert (removed.failures, removed.done) == ((), ())
