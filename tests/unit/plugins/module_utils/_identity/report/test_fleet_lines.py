# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the summary lines at the end of a fleet run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    Ended,
    end_cluster,
    fleet_lines,
)

ARN = "arn:aws:iam::111122223333"
WARNING = {
    "code": "RESOURCE_KEPT",
    "severity": "warning",
    "workload": "default/app",
    "message": "role app stays, as cluster grey uses it.",
    "remedy": "Take it down there as well.",
}


def report(failed: bool = False, **more: Any) -> dict[str, Any]:
    return {
        "account_id": "111122223333",
        "region": "us-west-2",
        "check_mode": False,
        "summary": {
            "workloads": 25,
            "passed": 24 if failed else 25,
            "failed": int(failed),
            "warnings": 0,
            "unknown": 0,
            "accepted": 0,
            "changes": 3,
            "findings": int(failed),
        },
        "failed": failed,
        "failure": "1 of 25 workloads failed:\n- default/app: why" if failed else "",
        **more,
    }


def ended_as(host: str, cluster: str, **members: Any) -> Ended:
    return end_cluster({"apply": report(cluster_name=cluster, **members)}, plans=True, host=host)


def lines_around_the_table(*ended: Ended, check_mode: bool = False) -> list[str]:
    lines = fleet_lines(ended, len(ended), (), check_mode)
    table = lines.index("")
    return [*lines[:table], *lines[table + len(ended) + 2 :]]


def test_fleet_without_workloads_reports_no_verification() -> None:
    empty = dict.fromkeys(report()["summary"], 0)
    blue, green = ended_as("blue", "blue", summary=empty), ended_as("green", "green")
    assert fleet_lines([blue], 1)[1] == "0 workloads were verified."
    assert "0 workloads were verified." not in fleet_lines([blue, green], 2)
    stopped = Ended("red", "red", "cluster red was left out")
    assert "0 workloads were verified." not in fleet_lines([blue, stopped], 2)


CHANGES = {
    "changes": [
        {"action": "create", "resource": "role", "name": "app", "before": None, "after": {}},
        {
            "action": "detach",
            "resource": "attachment",
            "name": f"app {ARN}:policy/old",
            "before": {},
            "after": None,
        },
    ],
    "kubernetes_changes": ["apply ServiceAccount default/app", "apply ServiceAccount default/other"],
}


@pytest.mark.parametrize("check_mode", [True, False])
def test_only_a_plan_has_a_line_for_each_of_many_changes(check_mode: bool) -> None:
    many = [{**CHANGES["changes"][0], "name": f"app-{number}"} for number in range(45)]
    lines = lines_around_the_table(ended_as("blue", "blue", changes=many), check_mode=check_mode)
    assert sum(line.startswith("    create role app-") for line in lines) == (45 if check_mode else 40)
    assert ("    and 5 more, listed in the report of the cluster" in lines) is not check_mode


def test_shows_the_first_of_many_warnings() -> None:
    findings = [{**WARNING, "message": f"role app-{number} stays."} for number in range(41)]
    lines = lines_around_the_table(ended_as("blue", "blue", findings=findings))
    assert lines[-3] == "  warning RESOURCE_KEPT default/app (blue): role app-39 stays."
    assert lines[-1] == "  and 1 more, listed in the reports of the clusters"


def test_invalid_changes_are_ignored() -> None:
    foreign = {
        "changes": [
            {},
            "text",
            {"action": "create"},
            {"action": "detach", "resource": "attachment", "name": "x"},
        ],
        "kubernetes_changes": [{"a": 1}, 7, "word", "apply ServiceAccount a/b"],
        "findings": [None, {}, {"severity": "warning"}],
    }
    lines = lines_around_the_table(ended_as("blue", "blue", **foreign))
    assert lines[2] == "blue: apply 1 ServiceAccount; detach 1 policy."
    malformed = ended_as("blue", "blue", changes="text", kubernetes_changes="text", findings="text")
    assert lines_around_the_table(malformed) == ["1 of 1 cluster done, 0 failed."]


def test_screen_of_a_fleet() -> None:
    administers = {**WARNING, "code": "POLICY_ADMINISTERS", "severity": "info", "message": "it may do all."}
    explained = {**WARNING, "code": "ROLE_MISSING", "workload": "default/job", "message": "it follows."}
    hidden = [
        {**administers, "workload": "default/web"},
        {**WARNING, "severity": "info", "message": "an info."},
        {**WARNING, "code": "PURGE_WAITS", "accepted": True},
        {**WARNING, "message": "why"},
        explained,
    ]
    unapproved = {**WARNING, "code": "NOT_APPROVED", "severity": "error", "accepted": True, "message": "new."}
    findings = [WARNING, *hidden, administers, {**explained, "code": "TRUST_WIDE"}, unapproved]
    associated = {"action": "create", "resource": "association", "name": "a", "workload": "default/app"}
    changes: Any = {**CHANGES, "changes": [*CHANGES["changes"], associated]}
    refused = [{"workload": "default/job"}, {"workload": ""}]
    blue = ended_as("blue", "blue", failed=True, findings=findings, failures=refused, **changes)
    green = ended_as("green.host", "green", findings=[WARNING, {**WARNING, "workload": ""}])
    every = [blue, green, Ended("red", "red", "it was left out")]
    remedy = "    Take it down there as well."
    titles = "cluster             account       region     workloads  changes  verified  findings  result"
    row = "green.host (green)  111122223333  us-west-2  25         3        25/25     0         ok"
    assert fleet_lines(every, 5, ["grey", "white"]) == [
        "1 of 5 clusters done, 2 failed, 2 pending.",
        "Not reached so far: grey, white.",
        "",
        titles,
        "blue                111122223333  us-west-2  25         3        24/25     1         failed",
        row,
        "red                                                                                  failed",
        "",
        "blue: create 1 role, 1 association; apply 2 ServiceAccounts; detach 1 policy.",
        "    create role app",
        f"    detach policy {ARN}:policy/old from role app",
        "    create association a",
        "    apply ServiceAccount default/app",
        "    apply ServiceAccount default/other",
        "",
        "  warning POLICY_ADMINISTERS default/app (blue): it may do all.",
        remedy,
        "  warning RESOURCE_KEPT default/app (blue), default/app (green.host), (green.host): role app stays,",
        "    as cluster grey uses it.",
        remedy,
        "  warning TRUST_WIDE default/job (blue): it follows.",
        remedy,
        "  warning NOT_APPROVED default/app (blue): new.",
        remedy,
        "",
        "blue:",
        "  1 of 25 workloads failed:",
        "  - default/app: why.",
        "",
        "red:",
        "  it was left out.",
    ]
    assert fleet_lines(every, 5, ["grey", "white"], True, [green])[:-3] == [
        "1 of 5 clusters planned, 2 failed, 2 pending; nothing was changed.",
        "",
        titles,
        row,
        "",
    ]
