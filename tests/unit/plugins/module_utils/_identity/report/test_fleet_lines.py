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


def test_line_for_each_cluster_before_failures() -> None:
    ended = [
        ended_as("blue", "prod"),
        ended_as("green", "green", failed=True),
        Ended("red", "red", "cluster red was left out"),
    ]
    assert fleet_lines(ended, 5, ["grey", "white"]) == [
        "1 of 5 clusters done, 2 failed, 2 pending.",
        "Not reached so far: grey, white.",
        "",
        "cluster      account       region     workloads  changes  verified  findings  result",
        "blue (prod)  111122223333  us-west-2  25         3        25/25     0         ok",
        "green        111122223333  us-west-2  25         3        24/25     1         failed",
        "red                                                                           failed",
        "",
        "green:",
        "  1 of 25 workloads failed:",
        "  - default/app: why.",
        "",
        "red:",
        "  cluster red was left out.",
    ]


def test_successful_batch_is_shown_alone() -> None:
    ended = [ended_as(name, name) for name in ("blue", "green")]
    assert fleet_lines(ended, 3, ["red"], shown=ended[1:]) == [
        "2 of 3 clusters done, 0 failed, 1 pending.",
        "",
        "cluster  account       region     workloads  changes  verified  findings  result",
        "green    111122223333  us-west-2  25         3        25/25     0         ok",
    ]


def test_plan_is_labelled() -> None:
    ended = [ended_as("blue", "blue")]
    assert fleet_lines(ended, 2, ["red"], check_mode=True)[0] == (
        "1 of 2 clusters planned, 0 failed, 1 pending; nothing was changed."
    )


def test_fleet_without_failures() -> None:
    assert fleet_lines([ended_as("blue", "blue")], 1)[0] == "1 of 1 cluster done, 0 failed."


def test_unverified_workloads_do_not_count_as_failed() -> None:
    """Check that the table shows "-" if no workload was verified, as in a plan or a teardown."""
    unverified = dict.fromkeys(("passed", "failed", "warnings", "unknown", "accepted"), 0)
    summary = {**report()["summary"], **unverified}
    line = fleet_lines([ended_as("blue", "blue", summary=summary)], 1)[3]
    assert line == "blue     111122223333  us-west-2  25         3        -         0         ok"
    none_passed = {**summary, "unknown": 25}
    line = fleet_lines([ended_as("blue", "blue", summary=none_passed)], 1)[3]
    assert line == "blue     111122223333  us-west-2  25         3        0/25      0         ok"


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
def test_changes_have_a_line_for_each_cluster(check_mode: bool) -> None:
    """Check that the changes of each cluster have a summary line, and a line for each change."""
    assert lines_around_the_table(
        ended_as("blue", "prod", **CHANGES),
        ended_as("green", "green"),
        ended_as("red", "red", changes=[], kubernetes_changes=["apply ServiceAccount a/b"]),
        check_mode=check_mode,
    )[1:] == [
        "",
        "blue: create 1 role; apply 2 ServiceAccounts; detach 1 policy.",
        "    create role app",
        f"    detach policy {ARN}:policy/old from role app",
        "    apply ServiceAccount default/app",
        "    apply ServiceAccount default/other",
        "red: apply 1 ServiceAccount.",
        "    apply ServiceAccount a/b",
    ]


@pytest.mark.parametrize("check_mode", [True, False])
def test_only_a_plan_has_a_line_for_each_of_many_changes(check_mode: bool) -> None:
    many = [{**CHANGES["changes"][0], "name": f"app-{number}"} for number in range(45)]
    lines = lines_around_the_table(ended_as("blue", "blue", changes=many), check_mode=check_mode)
    assert sum(line.startswith("    create role app-") for line in lines) == (45 if check_mode else 40)
    assert ("    and 5 more, listed in the report of the cluster" in lines) is not check_mode


def test_report_without_list_of_changes_has_no_lines_about_them() -> None:
    """Use a report without its list of changes, as in the short form of an artifact."""
    ended = ended_as("blue", "blue", changes=None, kubernetes_changes=None)
    assert lines_around_the_table(ended) == ["1 of 1 cluster done, 0 failed."]


def test_association_with_an_administrator_is_a_warning_before_all_others() -> None:
    """Check that a workload that is not changed is no warning: an info about its role is not repeated in each plan."""
    association = {
        "action": "create",
        "resource": "association",
        "name": "default/app",
        "workload": "default/app",
    }
    infos = [
        {
            "code": "POLICY_ADMINISTERS",
            "severity": "info",
            "workload": name,
            "message": "role admin administers the account.",
            "remedy": "Detach it.",
        }
        for name in ("default/app", "default/unchanged")
    ]
    assert lines_around_the_table(
        ended_as("blue", "blue", changes=[association], findings=[WARNING, *infos])
    )[-5:] == [
        "",
        "  warning POLICY_ADMINISTERS default/app (blue): role admin administers the account.",
        "    Detach it.",
        "  warning RESOURCE_KEPT default/app (blue): role app stays, as cluster grey uses it.",
        "    Take it down there as well.",
    ]


def test_warning_of_several_clusters_is_shown_once() -> None:
    other = {**WARNING, "workload": "default/other"}
    info = {**WARNING, "severity": "info", "message": "Good to know."}
    accepted = {**WARNING, "accepted": True, "message": "Known."}
    assert lines_around_the_table(
        ended_as("blue", "blue", findings=[WARNING, info, accepted]),
        ended_as("red", "red", failed=True, findings=[WARNING, other]),
    )[1:] == [
        "",
        "  warning RESOURCE_KEPT default/app (blue, red): role app stays, as cluster grey uses it.",
        "    Take it down there as well.",
        "  warning RESOURCE_KEPT default/other (red): role app stays, as cluster grey uses it.",
        "    Take it down there as well.",
        "",
        "red:",
        "  1 of 25 workloads failed:",
        "  - default/app: why.",
    ]


def test_failing_warning_is_shown_once() -> None:
    failure = f"default/app: {WARNING['message']} {WARNING['remedy']}"
    ended = ended_as("blue", "blue", failed=True, failure=failure, findings=[WARNING])
    assert lines_around_the_table(ended) == ["0 of 1 cluster done, 1 failed.", "", "blue:", f"  {failure}"]


def test_shows_the_first_of_many_warnings() -> None:
    findings = [{**WARNING, "workload": f"default/app-{number}"} for number in range(42)]
    lines = lines_around_the_table(ended_as("blue", "blue", findings=findings))
    assert lines[-3].startswith("  warning RESOURCE_KEPT default/app-39 (blue):")
    assert lines[-1] == "  and 2 more warnings, listed in the reports of the clusters"


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


def test_warning_explained_by_failed_change_is_hidden() -> None:
    """Check that a warning is hidden if a failed change of the workload explains it, as in the report of a single cluster."""
    warnings = [WARNING, {**WARNING, "code": "POLICY_SETTINGS_DIFFER", "message": "tags differ."}]
    ended = ended_as("blue", "blue", failures=[{"workload": "default/app"}], findings=warnings)
    lines = "\n".join(lines_around_the_table(ended))
    assert WARNING["code"] in lines
    assert "POLICY_SETTINGS_DIFFER" not in lines
