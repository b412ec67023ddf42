# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the combined report of a fleet: failed, missing and outdated reports of clusters do not count as successes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    NOT_A_REPORT,
    ONLY_PLANNED,
    PLAN_STOPPED,
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
