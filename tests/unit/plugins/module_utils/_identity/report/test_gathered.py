# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the combined report of a fleet: failed, missing and outdated reports of clusters do not count as successes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
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


def test_no_report_at_all_fails() -> None:
    assert gathered().failure.startswith(
        "No report: there is no artifact of an earlier job of the workflow and no report file."
    )


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


def test_plans_without_apply_fail() -> None:
    found = gathered(planned("blue"), planned("green"))
    assert found.failure == "2 of 2 clusters failed: blue.host, green.host. The reasons are above."
    assert found.lines.count(f"  {ONLY_PLANNED}") == 2


def test_plan_without_its_changes_has_their_number() -> None:
    short = planned("blue", CREATE, DETACH, changes=None)
    head = "  The plan has 2 changes that no job reported as done, listed in its output:"
    assert head in gathered(short, verified("blue")).lines
    assert gathered(short, applied("blue", CREATE), verified("blue")).failure == ""


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


@pytest.mark.parametrize("value", [{}, None, "", "text", []])
def test_invalid_artifact_fails(value: Any) -> None:
    found = gathered(*artifacts_in({"pod_identity_artifact_blue": value}))
    assert found.failure == "1 of 1 cluster failed: pod_identity_artifact_blue. The reasons are above."
    assert f"  {NOT_A_REPORT}" in found.lines


def test_screen_of_gathered_reports() -> None:
    later = {"time": "2026-11-26T04:00:00+00:00"}
    found = gathered(
        planned("s10", CREATE, DETACH),
        applied("s2", CREATE),
        verified("s2"),
        *(planned("s1", CREATE, **later), applied("s1", DETACH)),
        *(planned("blue"), verified("blue", failed=True, headline="Broken.")),
        *(planned("green", CREATE), applied("green", CREATE, host="localhost")),
        *(planned("red", failed=True), verified("red", failed=True)),
        verified("white", summary={"workloads": True}),
        expected=["s2", "s10.host", "arn:missing", "s1", "none"],
    )
    assert found.failure == (
        "5 of 9 clusters failed: blue.host, red.host, s1.host, s10.host, white.host; 2 of 9 did not report: arn:missing, none. "
        "The reasons are above."
    )
    assert found.lines == [
        "2 of 9 clusters done, 7 failed.",
        "",
        "cluster             account       region     workloads  changes  verified  findings  result",
        "blue.host (blue)    111122223333  us-west-2  2          0        2/2       0         failed",
        "green               111122223333  us-west-2  2          1        2/2       0         ok",
        "red.host (red)      111122223333  us-west-2  2          0        2/2       0         failed",
        "s1.host (s1)        111122223333  us-west-2  2          0        -         0         failed",
        "s2.host (s2)        111122223333  us-west-2  2          1        2/2       0         ok",
        "s10.host (s10)      111122223333  us-west-2  2          0        -         0         failed",
        *(f"{name:85}failed" for name in ("white.host (white)", "arn:missing", "none")),
        *(
            "",
            "green: create 1 role.",
            "    create role app",
            "s2.host: create 1 role.",
            "    create role app",
        ),
        *("", "blue.host:", "  Broken.", "", "red.host:", f"  {WITHOUT_A_MESSAGE}", "", "s1.host:"),
        "  The plan has 1 change that no job reported as done, listed in its output:",
        *("      create role app", f"  {NOT_APPLIED}", "", "s10.host:"),
        "  The plan has 2 changes that no job reported as done, listed in its output:",
        "      create role app",
        "      detach policy arn:aws:iam::111122223333:policy/app from role app",
        *(f"  {NOT_APPLIED}", "", "white.host:", f"  {NOT_A_REPORT}", "", "arn:missing:", f"  {NO_REPORT}"),
        *("", "none:", f"  {NO_REPORT}", "", "Check mode, nothing was changed: s1.host, s10.host."),
    ]
    found = gathered(planned("s10", CREATE), planned("s2"), plans=True)
    assert (found.failure, found.lines[0], found.lines[3:]) == (
        "",
        "2 of 2 clusters planned, 0 failed; nothing was changed.",
        [
            "s2.host (s2)    111122223333  us-west-2  2          0        -         0         ok",
            "s10.host (s10)  111122223333  us-west-2  2          1        -         0         ok",
            *("", "s10.host: create 1 role.", "    create role app"),
        ],
    )
    found = gathered(planned("s10", CREATE), planned("s1"), applied("s2"), plans=True)
    assert (found.failure, found.lines[0]) == ("", "3 of 3 clusters done, 0 failed.")
    assert found.lines[-1] == "Check mode, nothing was changed: s1.host, s10.host."
