# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run which ends early reports its changes: after a signal, at the deadline, or with an internal error."""

from __future__ import annotations

import os
import signal
import time
from types import ModuleType
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import Interrupted, pause
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import order
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.guard import Guard
from ansible_collections.workload_identity.aws.plugins.modules import (
    eks_pod_identity,
    eks_pod_identity_association,
    eks_pod_identity_association_info,
    eks_pod_identity_info,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    REGION,
    FakeAws,
    document,
    role_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_eks_pod_identity import (
    ONE,
    Run,
    aws,
    run,
)

__all__ = ["aws", "run"]
SESSION: dict[str, Any] = {
    "disable_session_tags": True,
    "session_policy": document("s3:GetObject"),
    "role": {"name": "my-role", "trust_scope": "account"},
}
# The deadline in seconds, and a longer time. Even on a busy machine, the steps before the delayed request take less time.
DEADLINE, PAST_IT = 1, 1.2
LONG = 60


def end_by(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    # Give another thread time to set the event that ends the run.
    time.sleep(0.2)


def test_pending_changes_are_skipped_after_the_deadline(run: Run, aws: FakeAws) -> None:
    aws.before_request("iam:CreateRole", lambda: time.sleep(PAST_IT))
    ended = run(
        eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], deadline=DEADLINE, concurrency=1
    )
    assert [row["resource"] for row in ended["changes"]] == ["policy", "role"]
    assert [(row["resource"], row["error_code"], row["message"]) for row in ended["failures"]] == [
        ("attachment", "DEADLINE", "not done: the deadline of 1 s has passed."),
        ("association", "DEADLINE", "not done: the deadline of 1 s has passed."),
    ]
    assert ended["failures"][0]["remedy"] == (
        "Run again: completed changes are kept. To complete more in one run, raise deadline."
    )
    assert "create" not in {row["action"] for row in ended["failures"] if row["resource"] == "role"}


def test_signal_after_the_last_request_ends_the_run() -> None:
    handler = signal.getsignal(signal.SIGTERM)
    with Guard() as guard:
        end_by(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is handler
    assert guard.cause is not None
    assert guard.cause.text == "the run was ended by SIGTERM."


def test_unexpected_error_reports_the_changes(
    run: Run, aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> None:
        raise KeyError("associations")

    aws.before_request("iam:AttachRolePolicy", break_down)
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], continue_on_error=True)
    assert [row["resource"] for row in ended["changes"]] == ["policy", "role"]
    assert ended["changed"]
    assert {row["error_code"] for row in ended["failures"]} == {"INTERNAL_ERROR"}
    assert ended["failures"][0]["message"] == (
        "not done: an internal error of the collection: KeyError: 'associations'."
    )
    assert "exception" not in ended
    assert capsys.readouterr().err == ""


def test_error_of_the_verification_does_not_hide_changes(
    run: Run, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_arguments: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(order, "read_for_verification", break_down)
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], verify=True)
    assert len(ended["changes"]) == 4
    assert [row["message"] for row in ended["failures"]] == [
        "an internal error of the collection: ValueError: no such thing."
    ]
    assert "verification" not in ended
    assert len(aws.state()["associations"]) == 1


ASSOCIATION = {**ONE, "role_arn": role_arn("r")}
PLACE = f"the association of {CLUSTER} default/app"
WHERE = f"{PLACE} (account {ACCOUNT}, region {REGION})"


def test_association_is_not_created_after_the_deadline(run: Run, aws: FakeAws) -> None:
    aws.before_request("eks:ListPodIdentityAssociations", lambda: time.sleep(PAST_IT))
    ended = run(eks_pod_identity_association, **ASSOCIATION, deadline=DEADLINE)
    assert (ended["changed"], ended["error_code"], aws.writes) == (False, "DEADLINE", [])
    assert ended["msg"] == (
        f"could not create {WHERE}: DEADLINE: not done: the deadline of 1 s has passed. Run again: completed changes "
        "are kept. To complete more in one run, raise deadline."
    )


def test_unread_association_at_the_deadline_is_reported(run: Run, aws: FakeAws) -> None:
    aws.replace("eks:ListPodIdentityAssociations", lambda _parameters: interrupt())
    ended = run(eks_pod_identity_association, **ASSOCIATION)
    assert (ended.get("changed", False), ended["error_code"]) == (False, "INTERRUPTED")
    assert ended["msg"] == (
        f"{PLACE} was not read, and the run changed no resource: the run was ended by SIGTERM. Run again: completed "
        "changes are kept."
    )


def interrupt() -> dict[str, Any]:
    end_by(signal.SIGTERM)
    raise Interrupted


def test_unexpected_error_of_an_association_has_no_traceback(
    run: Run, aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> None:
        raise KeyError("associations")

    aws.before_request("eks:CreatePodIdentityAssociation", break_down)
    ended = run(eks_pod_identity_association, **ASSOCIATION)
    assert (ended["changed"], ended["error_code"]) == (False, "INTERNAL_ERROR")
    assert "exception" not in ended
    assert capsys.readouterr().err == ""


def test_deadline_has_the_option_name_of_the_caller(run: Run, aws: FakeAws) -> None:
    """Check that the remedy names the variable of the role if the role has started the module."""
    aws.before_request("iam:CreateRole", lambda: time.sleep(PAST_IT))
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "deadline": DEADLINE}
    named = {"option_prefix": "pod_identity_"}
    ended = run(eks_pod_identity, **arguments, **named, concurrency=1)
    aws.before_request("eks:ListPodIdentityAssociations", lambda: pause(LONG))
    read = run(eks_pod_identity_info, **arguments, **named)
    remedies = [
        f"Run again{kept}. To complete more in one run, raise pod_identity_deadline."
        for kept in (": completed changes are kept", "")
    ]
    assert [ended["failures"][0]["remedy"], read["remedy"]] == remedies
    assert read["msg"].endswith(remedies[1])


@pytest.mark.parametrize("module", [eks_pod_identity_info, eks_pod_identity_association_info])
def test_reading_module_has_a_deadline(run: Run, aws: FakeAws, module: ModuleType) -> None:
    def wait(_parameters: object) -> dict[str, Any]:
        # Simulate a request that waits in the queue of the rate limiter.
        pause(LONG)
        return {"associations": []}

    aws.replace("eks:ListPodIdentityAssociations", wait)
    began = time.monotonic()
    ended = run(module, cluster_name=CLUSTER, deadline=DEADLINE)
    assert time.monotonic() - began < LONG
    assert (ended["failed"], ended["error_code"]) == (True, "DEADLINE")
    assert ended["msg"] == (
        "not everything was read: the deadline of 1 s has passed. Run again. To complete more in one run, raise deadline."
    )
