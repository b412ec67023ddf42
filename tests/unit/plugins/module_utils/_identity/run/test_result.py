# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the result that a module returns, for whole runs and for single changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    associations_target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    failure_message,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    HERE,
    OWNED,
    REGION,
    FakeAws,
    desired,
    key,
    policy_arn,
    role_arn,
    run,
    workload,
)

APP, TWO = key("app"), key("two")


def failed_run(*failures: Failure, workloads: int = 2, check_mode: bool = False) -> Run:
    failed = sorted({key for failure in failures for key in failure.workloads})
    keys = [*failed, *(key(f"other-{number}") for number in range(workloads))][:workloads]
    spec = Desired(tuple(Workload(key, None) for key in keys))
    return Run(spec, "present", Observed(HERE), Plan(), (), failures, (), check_mode)


def failure(
    *keys: WorkloadKey, name: str = "r", code: str = "LimitExceeded", message: str = "Too many"
) -> Failure:
    return Failure(keys, role_target(name), "create", code, message, "Do this.")


HEAD = f"workloads of cluster {CLUSTER} (account {ACCOUNT}, region {REGION})"


@pytest.mark.parametrize(
    ("run_", "message"),
    [
        pytest.param(
            failed_run(failure(APP)),
            f"1 of 2 {HEAD} could not be brought to state present:\n"
            "- LimitExceeded default/app: create role r: Too many. Do this.\n"
            "The other workloads are complete in AWS; a rerun applies the remaining changes.",
            id="one of two",
        ),
        pytest.param(
            failed_run(failure(APP), workloads=1),
            f"1 of 1 {HEAD} could not be brought to state present:\n"
            "- LimitExceeded default/app: create role r: Too many. Do this.",
            id="all",
        ),
        pytest.param(
            failed_run(failure(APP), check_mode=True),
            f"1 of 2 {HEAD} cannot be brought to state present:\n"
            "- LimitExceeded default/app: create role r: Too many. Do this.\n"
            "Nothing was changed.",
            id="check mode",
        ),
        pytest.param(
            failed_run(failure(APP), failure(APP, TWO, name="default/app", code="SKIPPED"), workloads=2),
            f"2 of 2 {HEAD} could not be brought to state present:\n"
            "- LimitExceeded default/app: create role r: Too many. Do this.",
            id="consequences are counted, not repeated",
        ),
        pytest.param(
            failed_run(failure(*[key(f"s{number}", "n") for number in range(5)]), workloads=5),
            f"5 of 5 {HEAD} could not be brought to state present:\n"
            "- LimitExceeded n/s0, n/s1, n/s2, n/s3, n/s4: create role r: Too many. Do this.",
            id="one failure of many workloads",
        ),
        pytest.param(
            failed_run(replace(failure(), target=associations_target(CLUSTER), action="read"), workloads=0),
            f"the resources {HEAD.removeprefix('workloads ')} could not be brought to state present:\n"
            f"- LimitExceeded: read associations {CLUSTER}: Too many. Do this.",
            id="an interrupted run without workloads",
        ),
    ],
)
def test_message_starts_with_failures_causes_and_remedies(run_: Run, message: str) -> None:
    assert failure_message(run_, HERE, build_result(run_)) == message


def test_message_shows_ten_causes() -> None:
    failures = [
        failure(key(f"s{number}", "n"), name=f"r{number}", message=f"Cause {number}") for number in range(12)
    ]
    run = failed_run(*failures, workloads=12)
    lines = failure_message(run, HERE, build_result(run)).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "- and 2 more, listed in failures."


IDLE = workload("idle", role={"name": "idle"})


def entries(description: str, **more: Any) -> Desired:
    shared = {"role": {"name": "my-role", "description": description}, "policies": None}
    return desired(workload(**shared, **more), workload("web", **shared), IDLE)


def test_result_has_changes_and_statuses() -> None:
    aws, target = FakeAws(), "arn:aws:iam::444455556666:role/one"
    run(aws, entries("old"))
    result = build_result(run(aws, entries("new", target_role_arn=target, tags={"a": "b"})))
    old, new = {"description": "old"}, {"description": "new"}
    role: dict[str, Any] = {"resource": "role", "name": "my-role", "before": old, "after": new}
    association = {
        "resource": "association",
        "name": "default/app",
        "before": {"target_role_arn": "", "tags": OWNED},
        "after": {"target_role_arn": target, "tags": {**OWNED, "a": "b"}},
    }
    update = {"workload": "default/app", "action": "update"}
    assert result["changes"] == [update | role | {"shared_with": ["default/web"]}, update | association]
    texts = [f"{json.dumps(state, indent=2)}\n" for state in (old, new)]
    assert list(result["diff"][0].values()) == ["role my-role (update)", "role my-role (update)", *texts]
    names = ("service_account", "role_arn", "policy_arns", "target_role_arn", "external_id", "status")
    external_id = f"{REGION}/{ACCOUNT}/{CLUSTER}/default/app"
    assert [tuple(row[name] for name in names) for row in result["workloads"]] == [
        ("app", role_arn("my-role"), [], target, external_id, "changed"),
        ("web", role_arn("my-role"), [], "", "", "changed"),
        ("idle", role_arn("idle"), [policy_arn("my-policy")], "", "", "unchanged"),
    ]
    counts = {"workloads": 3, "changes": 2, "failed": 0, "findings": 0, "changed": 2, "unchanged": 1}
    assert (result["changed"], result["state"], result["summary"]) == (True, "present", counts)
