# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run that ends before its time tells what it changed: signals, the deadline, errors of the collection."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.modules import eks_pod_identity
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    FakeAws,
    desired,
    document,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    run as converge,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.modules.test_eks_pod_identity import (
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


def end_by(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    # The event is set by another thread.
    time.sleep(0.2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_replacement_is_finished_and_reported(run: Run, aws: FakeAws, number: signal.Signals) -> None:
    converge(aws, desired(workload(**SESSION)))
    aws.before("eks:DeletePodIdentityAssociation", lambda: end_by(number))
    wanted = [workload(name, **{**SESSION, "session_policy": ""}) for name in ("app", "b")]
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=wanted, concurrency=1)
    assert [(row["action"], row["name"]) for row in ended["changes"]] == [("replace", "default/app")]
    assert [one["serviceAccount"] for one in aws.state()["associations"]] == ["app"]
    assert [row["name"] for row in ended["failures"]] == ["default/b"]
    assert (ended["failed"], ended["changed"]) == (True, True)
    assert {row["error_code"] for row in ended["failures"]} == {"INTERRUPTED"}
    assert ended["failures"][0]["message"].endswith(f"the run was ended by {number.name}.")


def test_what_waits_is_not_done_after_the_deadline(run: Run, aws: FakeAws) -> None:
    aws.before("iam:CreateRole", lambda: time.sleep(1.2))
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], deadline=1, concurrency=1)
    assert [row["resource"] for row in ended["changes"]] == ["policy", "role"]
    assert [(row["resource"], row["error_code"], row["message"]) for row in ended["failures"]] == [
        ("attachment", "DEADLINE", "not done: the deadline of 1 s has passed."),
        ("association", "DEADLINE", "not done: the deadline of 1 s has passed."),
    ]
    assert ended["failures"][0]["remedy"] == (
        "Run again: what is done stays done. Raise deadline for more in one run."
    )
    assert "create" not in {row["action"] for row in ended["failures"] if row["resource"] == "role"}


def test_an_unexpected_error_leaves_a_report_of_the_changes(
    run: Run, aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    def break_down() -> None:
        raise KeyError("associations")

    aws.before("iam:AttachRolePolicy", break_down)
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], continue_on_error=True)
    assert [row["resource"] for row in ended["changes"]] == ["policy", "role"]
    assert ended["changed"]
    assert {row["error_code"] for row in ended["failures"]} == {"INTERNAL_ERROR"}
    assert ended["failures"][0]["message"] == (
        "not done: the collection ran into an error of its own: KeyError: 'associations'."
    )
    assert "exception" not in ended
    assert capsys.readouterr().err == ""


def test_an_error_of_the_verification_does_not_hide_the_changes(
    run: Run, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_arguments: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(eks_pod_identity, "read_for_verification", break_down)
    ended = run(eks_pod_identity, cluster_name=CLUSTER, workloads=[workload()], verify=True)
    assert len(ended["changes"]) == 4
    assert [row["message"] for row in ended["failures"]] == [
        "the collection ran into an error of its own: ValueError: no such thing."
    ]
    assert "verification" not in ended
    assert len(aws.state()["associations"]) == 1
