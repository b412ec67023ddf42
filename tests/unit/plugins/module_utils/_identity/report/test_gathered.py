# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reports of a fleet side by side: nothing that failed, is missing or is old counts as done."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    make_artifacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    NOT_A_REPORT,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.gathered import (
    NO_REPORT,
    ONLY_PLANNED,
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
        "summary": {"workloads": 2, "passed": 2, "changes": 3, "findings": 0},
        "failed": False,
        "failure": "",
        "headline": "",
        "host": f"{name}.host",
        **more,
    }


BLUE, GREEN = report("blue"), report("green", failed=True, failure="2 of 2 workloads failed.")


def gathered(*reports: Any, expected: Any = (), max_age: int | None = None, plans: bool = False) -> Any:
    return gather(reports, expected, NOW, max_age, plans)


def test_clusters_stand_in_the_order_in_which_people_look_for_them() -> None:
    found = gathered(report("c10"), report("c9"))
    assert [line.split()[0] for line in found.lines[1:3]] == ["c9.host", "c10.host"]


def test_a_table_by_cluster_then_the_failures() -> None:
    found = gathered(GREEN, BLUE)
    assert list(found.lines) == [
        "cluster             account       region     workloads  changes  verified  findings  result",
        "blue.host (blue)    111122223333  us-west-2  2          3        2/2       0         ok",
        "green.host (green)  111122223333  us-west-2  2          3        2/2       0         failed",
        "",
        "1 of 2 clusters done, 1 failed.",
        "",
        "green.host:",
        "  2 of 2 workloads failed.",
    ]
    assert found.failure == "1 of 2 clusters failed: green.host. See above."


@pytest.mark.parametrize("expected", ["blue", "blue.host", BLUE["cluster_arn"]])
def test_all_that_is_expected_reported(expected: str) -> None:
    assert gathered(BLUE, expected=[expected]).failure == ""


def test_what_did_not_report_fails() -> None:
    found = gathered(BLUE, expected=["blue.host", "red.host"])
    assert found.failure == "1 of 2 did not report: red.host. See above."
    assert list(found.lines)[-2:] == ["red.host:", f"  {NO_REPORT}"]
    assert (list(found.failed), list(found.missing)) == ([], ["red.host"])


def test_no_report_at_all_fails() -> None:
    assert gathered().failure.startswith(
        "No report: there is neither an artifact of an earlier job nor a report file."
    )


def test_the_last_report_of_a_cluster_counts() -> None:
    later = report("green", time="2026-11-26T03:45:00+00:00")
    assert gathered(later, GREEN).failure == ""
    earlier = report("green", time="2026-11-26T03:15:00+00:00")
    assert gathered(earlier, GREEN).failure == "1 of 1 clusters failed: green.host. See above."


def test_clusters_of_one_name_are_two() -> None:
    other = report(
        "blue", cluster_arn="arn:aws:eks:us-west-2:444455556666:cluster/blue", account_id="444455556666"
    )
    assert "2 of 2 clusters done, 0 failed." in gathered(BLUE, other).lines


def test_one_that_stopped_early_is_not_made_good_by_another_account() -> None:
    stopped = report("blue", cluster_arn="", account_id="", stopped=True, failed=True, failure="No region.")
    found = gathered(stopped, BLUE)
    assert found.failure == "1 of 2 clusters failed: blue.host. See above."
    assert list(found.lines)[-1] == "  No region."


@pytest.mark.parametrize(
    ("time", "max_age", "failure"),
    [
        ("2026-11-26T03:30:00+00:00", 1800, ""),
        (
            "2026-11-26T03:29:59+00:00",
            1800,
            "Its report is of 2026-11-26T03:29:59+00:00, older than the 1800 seconds of pod_identity_report_max_age: run "
            "its job again.",
        ),
        ("", 1800, "Its report has no time that can be read (''), so it may be an old one."),
        (
            "2026-11-26T03:30:00",
            1800,
            "Its report has no time that can be read ('2026-11-26T03:30:00'), so it may be an old one.",
        ),
        ("", None, ""),
    ],
)
def test_an_old_report_fails(time: str, max_age: int | None, failure: str) -> None:
    found = gathered(report("blue", time=time), max_age=max_age)
    assert bool(found.failure) == bool(failure)
    assert failure in "\n".join(found.lines)


def test_a_plan_is_called_one() -> None:
    found = gathered(report("blue", check_mode=True), plans=True)
    assert list(found.lines)[-1] == "1 of 1 cluster planned, 0 failed; nothing was changed."
    among_others = gathered(report("blue", check_mode=True), GREEN, plans=True)
    assert "1 of 2 clusters done, 1 failed." in among_others.lines
    assert list(among_others.lines)[-1] == "Check mode, where nothing was changed: blue.host."
    assert found.failure == ""


def test_plans_alone_are_no_work_either() -> None:
    found = gathered(report("blue", check_mode=True), report("green", check_mode=True))
    assert found.failure == "2 of 2 clusters failed: blue.host, green.host. See above."
    assert found.lines.count(f"  {ONLY_PLANNED}") == 2


def test_a_plan_beside_work_that_was_done_is_no_work() -> None:
    planned = report("green", check_mode=True)
    found = gathered(BLUE, planned)
    assert found.failure == "1 of 2 clusters failed: green.host. See above."
    assert f"  {ONLY_PLANNED}" in found.lines
    done = report("green", time="2026-11-26T03:45:00+00:00")
    assert gathered(BLUE, planned, done).failure == ""


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"failed": None}, id="nobody knows whether it failed"),
        pytest.param({"failed": "false"}, id="text"),
        pytest.param({"check_mode": 0}, id="a number"),
        pytest.param({"summary": None}, id="no counts"),
        pytest.param(
            {"summary": {"workloads": 2, "passed": "2", "changes": 3, "findings": 0}}, id="a count as text"
        ),
    ],
)
def test_what_does_not_say_that_it_went_well_has_not(changed: dict[str, Any]) -> None:
    found = gathered({**BLUE, **changed})
    assert found.failure == "1 of 1 clusters failed: blue.host. See above."
    assert f"  {NOT_A_REPORT}" in found.lines


def test_a_count_with_a_tag_of_ansible_is_one() -> None:
    class Tagged(int):
        """As ansible-core 2.19 and newer hand on the numbers of variables."""

    found = gathered(
        report("blue", summary={"workloads": Tagged(2), "passed": 2, "changes": 3, "findings": 0})
    )
    assert found.failure == ""


@pytest.mark.parametrize("value", [{}, None, "", "text", []])
def test_an_artifact_that_is_none_fails(value: Any) -> None:
    found = gathered(*artifacts_in({"pod_identity_artifact_blue": value}))
    assert found.failure == "1 of 1 clusters failed: pod_identity_artifact_blue. See above."
    assert f"  {NOT_A_REPORT}" in found.lines


def test_what_stopped_without_a_message_has_failed() -> None:
    found = gathered(report("blue", stopped=True, failure=None))
    assert found.failure == "1 of 1 clusters failed: blue.host. See above."
    assert f"  {WITHOUT_A_MESSAGE}" in found.lines


def test_artifacts_are_found_among_variables() -> None:
    variables = {**make_artifacts(BLUE, "blue.host", "full"), **make_artifacts(GREEN, "green.host", "short")}
    variables["pod_identity_artifact"] = "auto"
    found = artifacts_in(variables)
    assert [one["host"] for one in found] == ["blue.host", "green.host"]
    assert gathered(*found).failure == "1 of 2 clusters failed: green.host. See above."
