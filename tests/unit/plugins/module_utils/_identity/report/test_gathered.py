# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the combined report of a fleet: failed, missing and outdated reports of clusters do not count as successes."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    make_artifacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    NO_REPORT,
    NOT_A_REPORT,
    NOT_APPLIED,
    ONLY_PLANNED,
    PLAN_STOPPED,
    WITHOUT_A_MESSAGE,
    artifacts_in,
    gather,
)

NOW = datetime(2026, 11, 26, 4, 0, tzinfo=timezone.utc)


def report(name: str, **more: Any) -> dict[str, Any]:
    return {
        "cluster_name": name,
        "cluster_arn": f"arn:aws:eks:us-west-2:111122223333:cluster/{name}",
        "account_id": "111122223333",
        "region": "us-west-2",
        "time": "2026-11-26T03:30:00+00:00",
        "check_mode": False,
        "step": "apply",
        "summary": {"workloads": 2, "passed": 2, "changes": 3, "findings": 0},
        "failed": False,
        "failure": "",
        "headline": "",
        "host": f"{name}.host",
        **more,
    }


BLUE, GREEN = report("blue"), report("green", failed=True, failure="2 of 2 workloads failed.")


def gathered(*reports: Any, expected: Any = (), plans: bool = False) -> Any:
    lines, failure = gather(reports, expected, plans)
    return SimpleNamespace(lines=lines, failure=failure)


def test_clusters_are_in_natural_order() -> None:
    found = gathered(report("c10"), report("c9"))
    assert [line.split()[0] for line in found.lines[3:5]] == ["c9.host", "c10.host"]


def test_table_precedes_the_failures() -> None:
    found = gathered(GREEN, BLUE)
    assert list(found.lines) == [
        "1 of 2 clusters done, 1 failed.",
        "",
        "cluster             account       region     workloads  changes  verified  findings  result",
        "blue.host (blue)    111122223333  us-west-2  2          3        2/2       0         ok",
        "green.host (green)  111122223333  us-west-2  2          3        2/2       0         failed",
        "",
        "green.host:",
        "  2 of 2 workloads failed.",
    ]
    assert found.failure == "1 of 2 clusters failed: green.host. The reasons are above."


def test_reports_from_localhost_have_the_cluster_name() -> None:
    jobs = report("blue", host="localhost"), {**GREEN, "host": "localhost"}
    found = gathered(*jobs, expected=["blue", "green"])
    assert [line.split()[0] for line in found.lines[3:5]] == ["blue", "green"]
    assert found.failure == "1 of 2 clusters failed: green. The reasons are above."


@pytest.mark.parametrize("expected", ["blue", "blue.host", BLUE["cluster_arn"]])
def test_all_expected_clusters_reported(expected: str) -> None:
    assert gathered(BLUE, expected=[expected]).failure == ""


def test_message_names_the_first_failed_clusters() -> None:
    failed = {"failed": True, "failure": "No."}
    found = gathered(*(report(f"c{number}", **failed) for number in range(12)))
    names = ", ".join(f"c{number}.host" for number in range(10))
    assert found.failure == f"12 of 12 clusters failed: {names} and 2 more. The reasons are above."


def test_missing_report_fails() -> None:
    found = gathered(BLUE, expected=["blue.host", "red.host"])
    assert found.failure == "1 of 2 did not report: red.host. The reasons are above."
    assert list(found.lines)[-2:] == ["red.host:", f"  {NO_REPORT}"]


def test_no_report_at_all_fails() -> None:
    assert gathered().failure.startswith(
        "No report: there is no artifact of an earlier job of the workflow and no report file."
    )


def test_last_report_of_a_cluster_counts() -> None:
    later = report("green", time="2026-11-26T03:45:00+00:00")
    assert gathered(later, GREEN).failure == ""
    earlier = report("green", time="2026-11-26T03:15:00+00:00")
    assert gathered(earlier, GREEN).failure == "1 of 1 cluster failed: green.host. The reasons are above."


def test_clusters_with_one_name_count_separately() -> None:
    other = report(
        "blue", cluster_arn="arn:aws:eks:us-west-2:444455556666:cluster/blue", account_id="444455556666"
    )
    assert "2 of 2 clusters done, 0 failed." in gathered(BLUE, other).lines


def test_report_of_another_account_does_not_replace_a_stopped_one() -> None:
    stopped = report("blue", cluster_arn="", account_id="", stopped=True, failed=True, failure="No region.")
    found = gathered(stopped, BLUE)
    assert found.failure == "1 of 2 clusters failed: blue.host. The reasons are above."
    assert list(found.lines)[-1] == "  No region."


def planned(name: str, *changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    summary = {"workloads": 2, "passed": 0, "changes": len(changes), "findings": 0}
    members = {"check_mode": True, "step": "plan", "time": "2026-11-26T03:00:00+00:00", "summary": summary}
    return report(name, **{**members, "changes": list(changes), **more})


def verified(name: str, **more: Any) -> dict[str, Any]:
    summary = {"workloads": 2, "passed": 2, "changes": 0, "findings": 0}
    return report(name, **{"step": "verify", "time": "2026-11-26T03:50:00+00:00", "summary": summary, **more})


def applied(name: str, *changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    summary = {"workloads": 2, "passed": 2, "changes": len(changes), "findings": 0}
    return report(name, **{"summary": summary, "changes": list(changes), **more})


DETACH = {"action": "detach", "resource": "attachment", "name": "app arn:aws:iam::111122223333:policy/app"}
CREATE = {"action": "create", "resource": "role", "name": "app"}
ASSOCIATE = {"action": "create", "resource": "association", "name": "default/app"}
DETACHED = "detach policy arn:aws:iam::111122223333:policy/app from role app"


def test_plan_has_its_own_headline() -> None:
    found = gathered(planned("blue", CREATE), plans=True)
    assert "1 of 1 cluster planned, 0 failed; nothing was changed." in found.lines
    assert found.lines[3].split()[5] == "1"
    among_others = gathered(planned("blue", CREATE), GREEN, plans=True)
    assert "1 of 2 clusters done, 1 failed." in among_others.lines
    assert list(among_others.lines)[-1] == "Check mode, nothing was changed: blue.host."
    assert found.failure == ""


def test_plans_without_apply_fail() -> None:
    found = gathered(planned("blue"), planned("green"))
    assert found.failure == "2 of 2 clusters failed: blue.host, green.host. The reasons are above."
    assert found.lines.count(f"  {ONLY_PLANNED}") == 2


def test_cancelled_converge_names_planned_changes() -> None:
    """Check that a planned change without a job that reports it is a failure, even if the verification passes.

    The verification passes here, because a policy that should have been detached is only a warning.
    """
    found = gathered(planned("blue", CREATE, DETACH), verified("blue"), applied("green"), verified("green"))
    assert found.failure == "1 of 2 clusters failed: blue.host. The reasons are above."
    assert list(found.lines)[-5:] == [
        "blue.host:",
        "  The plan has 2 changes that no job reported as done:",
        f"  - {DETACHED}",
        "  - create role app",
        f"  {NOT_APPLIED}",
    ]


def test_apply_decides_about_its_plan() -> None:
    """An apply plans again, so it needs fewer changes if another slice has created a shared role. A denied approval has none."""
    plans = [planned(name, CREATE, ASSOCIATE) for name in ("blue", "green")]
    assert gathered(*plans, applied("blue", CREATE, ASSOCIATE), applied("green", ASSOCIATE)).failure == ""
    found = gathered(*plans, applied("blue", CREATE, ASSOCIATE), verified("green"))
    assert found.failure == "1 of 2 clusters failed: green.host. The reasons are above."
    assert "  - create association default/app" in found.lines


def test_table_has_applied_changes_and_verified_findings() -> None:
    found = gathered(planned("blue", DETACH), applied("blue", DETACH), verified("blue"))
    assert found.lines[3].split() == [
        *("blue.host", "(blue)", "111122223333", "us-west-2", "2", "1", "2/2", "0", "ok")
    ]
    assert "blue.host: detach 1 policy." in found.lines
    assert found.failure == ""


@pytest.mark.parametrize("step", ["apply", "verify"])
def test_failure_of_one_job_fails_the_cluster(step: str) -> None:
    jobs = {"apply": applied("blue", CREATE), "verify": verified("blue")}
    failed = {"failed": True, "failure": "1 of 2 workloads failed."}
    found = gathered(*{**jobs, step: {**jobs[step], **failed}}.values())
    assert found.failure == "1 of 1 cluster failed: blue.host. The reasons are above."
    assert found.lines[-1] == "  1 of 2 workloads failed."


def test_plan_without_its_changes_has_their_number() -> None:
    short = planned("blue", CREATE, DETACH, changes=None)
    assert "  - 2 in the output of the plan" in gathered(short, verified("blue")).lines
    assert gathered(short, applied("blue", CREATE), verified("blue")).failure == ""


def test_empty_plan_with_verification_succeeds() -> None:
    assert gathered(planned("blue"), verified("blue")).failure == ""


def test_converge_replaces_failed_empty_plan() -> None:
    refused = planned("blue", failed=True, failure="1 of 2 workloads failed.")
    assert gathered(refused, applied("blue")).failure == ""
    assert gathered(refused, verified("blue")).lines[-1] == "  1 of 2 workloads failed."


def test_only_an_apply_resolves_a_failed_plan() -> None:
    stopped = planned("blue", cluster_arn="", stopped=True, failed=True, failure="No region.")
    assert gathered(stopped, applied("blue"), verified("blue")).failure == ""
    found = gathered(stopped, verified("blue"))
    assert found.failure == "1 of 1 cluster failed: blue.host. The reasons are above."
    found = gathered({**stopped, "cluster_arn": BLUE["cluster_arn"]}, verified("blue"))
    assert found.lines[-1] == f"  {PLAN_STOPPED}No region."


@pytest.mark.parametrize("verification", [True, False])
def test_cluster_that_fails_early_in_each_job_counts_once(verification: bool) -> None:
    """Use the reports of five clusters. One fails early in the plan and in converge and, by case, in the verification."""
    early = {"cluster_arn": "", "stopped": True, "failed": True, "failure": "No region."}
    names = ("blue", "green", "red", "white")
    found = gathered(
        *(step(name) for step in (planned, applied, verified) for name in names),
        *(step("grey", **early) for step in (planned, applied)),
        verified("grey", **(early if verification else {})),
    )
    assert found.lines[0] == "4 of 5 clusters done, 1 failed."


def test_report_replaces_earlier_steps() -> None:
    early = "2026-11-26T02:00:00+00:00"
    failed = {"failed": True, "failure": "1 of 2 workloads failed.", "time": early}
    assert gathered(verified("blue", **failed), applied("blue")).failure == ""
    found = gathered(applied("blue", DETACH, time=early), planned("blue", DETACH))
    assert f"  - {DETACHED}" in found.lines


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"failed": None}, id="failed is null"),
        pytest.param({"failed": "false"}, id="failed as text"),
        pytest.param({"check_mode": 0}, id="check_mode as a number"),
        pytest.param({"summary": None}, id="summary is null"),
        pytest.param(
            {"summary": {"workloads": 2, "passed": "2", "changes": 3, "findings": 0}}, id="a count as text"
        ),
    ],
)
def test_incomplete_report_fails(changed: dict[str, Any]) -> None:
    found = gathered({**BLUE, **changed})
    assert found.failure == "1 of 1 cluster failed: blue.host. The reasons are above."
    assert f"  {NOT_A_REPORT}" in found.lines


def test_accepts_counts_of_ansible_types() -> None:
    class Tagged(int):
        """An integer type for variables, such as ansible-core 2.19 and newer use."""

    found = gathered(
        report("blue", summary={"workloads": Tagged(2), "passed": 2, "changes": 3, "findings": 0})
    )
    assert found.failure == ""


@pytest.mark.parametrize("value", [{}, None, "", "text", []])
def test_invalid_artifact_fails(value: Any) -> None:
    found = gathered(*artifacts_in({"pod_identity_artifact_blue": value}))
    assert found.failure == "1 of 1 cluster failed: pod_identity_artifact_blue. The reasons are above."
    assert f"  {NOT_A_REPORT}" in found.lines


def test_stopped_run_without_message_fails() -> None:
    found = gathered(report("blue", stopped=True, failure=None))
    assert found.failure == "1 of 1 cluster failed: blue.host. The reasons are above."
    assert f"  {WITHOUT_A_MESSAGE}" in found.lines


def test_finds_artifacts_among_variables() -> None:
    green: Any = {**GREEN, "changes": []}
    variables = {**make_artifacts(BLUE, "blue.host"), **make_artifacts(green, "green.host")}
    found = artifacts_in(variables)
    assert [finding["host"] for finding in found] == ["blue.host", "green.host"]
    assert gathered(*found).failure == "1 of 2 clusters failed: green.host. The reasons are above."
