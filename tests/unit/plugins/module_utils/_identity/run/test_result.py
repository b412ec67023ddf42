# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the result that a module returns, for whole runs and for single changes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Change,
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    aws_message,
    input_message,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    association_target,
    associations_target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    change_row,
    diff_row,
    failure_message,
    failure_rows,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    HERE,
    OWNED,
    REGION,
    FakeAws,
    create_policy,
    desired,
    engine,
    key,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

APP, TWO = key("app"), key("two")
FIRST = "a-00000000000000001"
TARGET = "arn:aws:iam::444455556666:role/target"


def checked(aws: FakeAws, *raws: dict[str, Any], state: str = "present") -> Run:
    spec = desired(*raws, state=state)
    return engine(aws, spec, state).run(spec, state, check_mode=True)


def test_run_returns_changes_and_workloads() -> None:
    result = build_result(run(FakeAws(), desired(workload(target_role_arn=TARGET))), False)
    assert result.keys() == {
        "changed",
        "state",
        "changes",
        "workloads",
        "findings",
        "failures",
        "summary",
        "diff",
    }
    assert (result["changed"], result["state"]) == (True, "present")
    assert [(row["resource"], row["action"], row["name"], row["workload"]) for row in result["changes"]] == [
        ("policy", "create", policy_arn("my-policy"), "default/app"),
        ("role", "create", "my-role", "default/app"),
        ("attachment", "attach", f"my-role {policy_arn('my-policy')}", "default/app"),
        ("association", "create", "default/app", "default/app"),
    ]
    assert result["workloads"] == [
        {
            "cluster": CLUSTER,
            "namespace": "default",
            "service_account": "app",
            "role_arn": role_arn("my-role"),
            "policy_arns": [policy_arn("my-policy")],
            "association_id": FIRST,
            "association_arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/{FIRST}",
            "association_created_at": "2026-11-24T10:15:30+00:00",
            "association_modified_at": "2026-11-24T10:15:30+00:00",
            "target_role_arn": TARGET,
            "external_id": f"{REGION}/{ACCOUNT}/{CLUSTER}/default/app",
            "status": "changed",
        }
    ]
    assert result["summary"] == {
        "workloads": 1,
        "changes": 4,
        "failed": 0,
        "findings": 0,
        "changed": 1,
        "unchanged": 0,
    }
    assert (result["findings"], result["failures"]) == ([], [])
    assert json.loads(json.dumps(result)) == result


def test_check_mode_returns_the_same_changes_and_diff() -> None:
    aws = FakeAws()
    planned = build_result(checked(aws, workload()), True)
    outcome = build_result(run(aws, desired(workload())), False)
    for part in ("changed", "changes", "diff", "summary"):
        assert planned[part] == outcome[part]
    assert planned["workloads"][0]["association_id"] == ""


def test_empty_plan_is_not_a_change() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    result = build_result(run(aws, desired(workload())), False)
    assert (result["changed"], result["changes"], result["diff"]) == (False, [], [])
    assert [(row["status"], row["association_id"]) for row in result["workloads"]] == [("unchanged", FIRST)]


def test_returns_the_tags_of_an_updated_association() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    outcome = run(aws, desired(workload(target_role_arn=TARGET, tags={"team": "a"})))
    assert [association["tags"]["team"] for association in aws.state()["associations"]] == ["a"]
    (row,) = build_result(outcome, False)["workloads"]
    (association,) = aws.state()["associations"]
    assert (row["target_role_arn"], row["external_id"]) == (TARGET, association["externalId"])


def test_deleted_workloads_are_absent() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    result = build_result(run(aws, desired(workload(), state="absent"), "absent"), False)
    assert [(row["status"], row["association_id"]) for row in result["workloads"]] == [("changed", "")]


def test_failure_is_returned_per_workload() -> None:
    aws = FakeAws()
    create_policy(aws, "bad", "kms:Decrypt")
    raws = [
        workload("one", role={"name": "one"}, policies=[policy("bad")]),
        workload("two", role={"name": "one"}, policies=[policy("bad")]),
        workload("three", role={"name": "three"}),
    ]
    result = build_result(run(aws, desired(*raws)), False)
    assert [row["status"] for row in result["workloads"]] == ["failed", "failed", "changed"]
    assert [(row["workload"], row["error_code"]) for row in result["failures"]] == [
        ("default/one", "NOT_OWNED"),
        ("default/two", "NOT_OWNED"),
    ]
    assert {count: result["summary"][count] for count in ("workloads", "changed", "unchanged", "failed")} == {
        "workloads": 3,
        "changed": 1,
        "unchanged": 0,
        "failed": 2,
    }


def test_partial_change_is_a_change() -> None:
    aws = FakeAws()
    run(aws, desired(workload(role={"name": "my-role", "description": "a"})))
    aws.fail_on("iam:TagRole", classify("iam:TagRole", "AccessDenied", "No."))
    outcome = run(aws, desired(workload(role={"name": "my-role", "description": "b", "tags": {"a": "1"}})))
    result = build_result(outcome, False)
    assert (result["changed"], result["changes"]) == (True, [])
    assert result["failures"][0]["message"] == "iam:TagRole: No. Done before the failure: iam:UpdateRole."


def test_change_row_names_all_workloads() -> None:
    change = Change(1, role_target("r"), "update", (APP, TWO), {"a": 1}, {"a": 2}, ())
    assert change_row(change) == {
        "workload": "default/app",
        "shared_with": ["default/two"],
        "resource": "role",
        "name": "r",
        "action": "update",
        "before": {"a": 1},
        "after": {"a": 2},
    }


def test_change_row_without_workloads() -> None:
    assert change_row(Change(1, role_target("r"), "delete", (), {}, None, ()))["workload"] == ""


def test_failure_rows() -> None:
    failure = Failure((APP, TWO), role_target("r"), "create", "Code", "What.", "Do.")
    assert failure_rows(failure) == [
        {
            "workload": name,
            "resource": "role",
            "name": "r",
            "action": "create",
            "error_code": "Code",
            "message": "What.",
            "remedy": "Do.",
        }
        for name in ("default/app", "default/two")
    ]


def failed_run(*failures: Failure, workloads: int = 2, check_mode: bool = False) -> Run:
    spec = desired(*[workload(f"s{number}", policies=[]) for number in range(workloads)])
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
            "- default/app: create role r: LimitExceeded: Too many. Do this.\n"
            "The other workloads succeeded; a rerun applies the remaining changes.",
            id="one of two",
        ),
        pytest.param(
            failed_run(failure(APP), workloads=1),
            f"1 of 1 {HEAD} could not be brought to state present:\n"
            "- default/app: create role r: LimitExceeded: Too many. Do this.",
            id="all",
        ),
        pytest.param(
            failed_run(failure(APP), check_mode=True),
            f"1 of 2 {HEAD} cannot be brought to state present:\n"
            "- default/app: create role r: LimitExceeded: Too many. Do this.\n"
            "Nothing was changed.",
            id="check mode",
        ),
        pytest.param(
            failed_run(failure(APP), failure(APP, TWO, name="default/app", code="SKIPPED"), workloads=2),
            f"2 of 2 {HEAD} could not be brought to state present:\n"
            "- default/app: create role r: LimitExceeded: Too many. Do this.",
            id="consequences are counted, not repeated",
        ),
        pytest.param(
            failed_run(failure(*[key(f"s{number}", "n") for number in range(5)]), workloads=5),
            f"5 of 5 {HEAD} could not be brought to state present:\n"
            "- n/s0, n/s1, n/s2, n/s3, n/s4: create role r: LimitExceeded: Too many. Do this.",
            id="one failure of many workloads",
        ),
        pytest.param(
            failed_run(replace(failure(), target=associations_target(CLUSTER), action="read"), workloads=0),
            f"the resources {HEAD.removeprefix('workloads ')} could not be brought to state present:\n"
            f"- read associations {CLUSTER}: LimitExceeded: Too many. Do this.",
            id="an interrupted run without workloads",
        ),
    ],
)
def test_message_starts_with_failures_causes_and_remedies(run_: Run, message: str) -> None:
    assert failure_message(run_, HERE) == message


def test_command_has_its_own_line() -> None:
    missing = "arn:aws:iam::aws:policy/Missing"
    ended = run(FakeAws(), desired(workload(policies=[{"arn": missing}])))
    assert failure_message(ended, HERE).splitlines()[1:] == [
        f"- default/app: read policy {missing}: POLICY_MISSING: AWS managed policy {missing} does not exist. Correct its ARN. "
        "To list the AWS managed policies:",
        "    aws iam list-policies --scope AWS",
    ]


def test_failures_of_one_cause_are_one_entry() -> None:
    """Check that failures are grouped by cause, although each error of AWS names a different role."""
    raws = [workload(f"s{number}", role={"name": f"role-{number}"}, policies=[]) for number in range(5)]
    failures = [
        Failure(
            (key(f"s{number}"),),
            association_target(key(f"s{number}")),
            "create",
            "AccessDenied",
            f"not authorized to perform iam:PassRole on {role_arn(f'role-{number}')}",
            "Allow it.",
        )
        for number in range(5)
    ]
    run_ = Run(desired(*raws), "present", Observed(HERE), Plan(), (), tuple(failures), ())
    assert failure_message(run_, HERE).splitlines()[1:] == [
        "- default/s0, default/s1, default/s2, default/s3, default/s4: create association "
        "default/s0, default/s1, default/s2 and 2 more: "
        f"AccessDenied: for default/s0: not authorized to perform iam:PassRole on {role_arn('role-0')}. Allow it."
    ]


def test_message_shows_ten_causes() -> None:
    failures = [
        failure(key(f"s{number}", "n"), name=f"r{number}", message=f"Cause {number}") for number in range(12)
    ]
    lines = failure_message(failed_run(*failures, workloads=12), HERE).splitlines()
    assert len(lines) == 12
    assert lines[-1] == "- and 2 more, listed in failures."


@pytest.mark.parametrize(
    ("change", "initial", "updated"),
    [
        pytest.param(
            Change(1, role_target("r"), "update", (APP,), {"b": 1, "a": "x"}, {"b": 2, "a": "y"}, ()),
            '{\n  "a": "x",\n  "b": 1\n}\n',
            '{\n  "a": "y",\n  "b": 2\n}\n',
            id="update",
        ),
        pytest.param(
            Change(1, role_target("r"), "create", (APP,), None, {"tags": OWNED}, ()),
            "",
            '{\n  "tags": {\n    "workload-identity/managed-by": "workload_identity.aws",\n'
            '    "workload-identity/owner": "us-west-2.my-cluster"\n  }\n}\n',
            id="create",
        ),
        pytest.param(
            Change(1, role_target("r"), "delete", (APP,), {"a": 1}, None, ()),
            '{\n  "a": 1\n}\n',
            "",
            id="delete",
        ),
    ],
)
def test_diff_row(change: Change, initial: str, updated: str) -> None:
    header = f"role r ({change.action})"
    assert diff_row(change) == {
        "before_header": header,
        "after_header": header,
        "before": initial,
        "after": updated,
    }


# Tests of messages about errors before any change


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        pytest.param(["a: is wrong."], "a: is wrong. Nothing was changed.", id="one problem"),
        pytest.param(
            ["a: is wrong"], "a: is wrong. Nothing was changed.", id="one problem without a full stop"
        ),
        pytest.param(
            ["x.", "y."], "2 problems in the input; nothing was changed:\n- x.\n- y.", id="two problems"
        ),
        pytest.param(
            [str(number) for number in range(23)],
            "\n".join(
                [
                    "23 problems in the input; nothing was changed:",
                    *[f"- {number}" for number in range(23)],
                ]
            ),
            id="many problems",
        ),
        pytest.param(
            ["a: is new.", *[f"w{number}: is wrong." for number in range(5)], "b: is new."],
            "7 problems in the input; nothing was changed:\n- a: is new.\n- w0, w1, w2 and 2 more: is wrong.\n- b: is new.",
            id="one problem in many places",
        ),
    ],
)
def test_input_problems(problems: list[str], message: str) -> None:
    assert input_message(InputError(problems)) == message


@pytest.mark.parametrize(
    ("text", "region", "message"),
    [
        ("No.", "eu-west-1", "eks:X (region eu-west-1): DeleteConflict: No. "),
        ("No", None, "eks:X: DeleteConflict: No. "),
        ("No, in eu-west-1", "eu-west-1", "eks:X: DeleteConflict: No, in eu-west-1. "),
    ],
    ids=["with a region", "without a region", "message already has the region"],
)
def test_message_of_an_error_of_the_run(text: str, region: str | None, message: str) -> None:
    error = classify("eks:X", "DeleteConflict", text)
    assert aws_message(error, region) == (
        f"{message}This resource is still in use. First detach it from the resources that use it. Nothing was "
        "changed."
    )


@pytest.mark.parametrize(("text", "ended"), [("a", "a."), ("a.", "a."), ("a!", "a!"), ("a?", "a?")])
def test_sentence_ends_with_a_full_stop(text: str, ended: str) -> None:
    assert sentence(text) == ended
