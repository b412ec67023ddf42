# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test a report as JUnit XML: failures of the run are failures in the file, and only verified workloads pass."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesOutcome,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.junit import junit_text
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from hypothesis import given
from hypothesis import strategies as st

SEVERITIES = ("error", "warning", "info")


def finding(severity: str, workload: str = "shop/api", code: str = "ROLE_MISSING") -> dict[str, str]:
    return {
        "code": code,
        "severity": severity,
        "workload": workload,
        "message": "Gone.",
        "remedy": "Make it.",
    }


def row(status: str | None, name: str = "api", code: str = "") -> dict[str, Any]:
    checks = [{"name": "trust", "status": status, "detail": "", "codes": [code] if code else []}]
    return build.row(name, cluster="my-cluster", **({"checks": checks} if status else {}))


def suite(
    aws_result: dict[str, Any], kubernetes: KubernetesOutcome | None = None, fail_on: Any = "error"
) -> ElementTree.Element:
    settings = ReportSettings(fail_on=fail_on, time="2026-03-10T12:00:00+00:00", version="1.0.0")
    report = make_report(
        build.parse_aws_result(aws_result, build.CLUSTER), kubernetes or KubernetesOutcome(), settings
    )
    found = ElementTree.fromstring(junit_text(report, fail_on)).find("testsuite")
    assert found is not None
    return found


def outcomes(found: ElementTree.Element) -> dict[str, str]:
    """Return the status of each test case. The keys have the form "class name"."""
    return {
        f"{case.get('classname')} {case.get('name')}": next(
            (child.tag for child in case if child.tag in ("failure", "skipped")), "passed"
        )
        for case in found.findall("testcase")
    }


@pytest.mark.parametrize(
    ("verified", "findings", "fail_on", "workload", "cluster"),
    [
        (row("pass"), [], "error", "passed", "passed"),
        (row("fail", code="ROLE_MISSING"), [finding("error")], "error", "failure", "passed"),
        (row("warning"), [finding("warning")], "error", "passed", "passed"),
        (row("warning"), [finding("warning")], "warning", "failure", "passed"),
        (row("unknown"), [], "error", "skipped", "passed"),
        (row("fail"), [], "error", "failure", "passed"),
        (row("pass"), [finding("error", workload="")], "error", "passed", "failure"),
        (row("pass"), [finding("error", workload="shop/unlisted")], "error", "passed", "failure"),
    ],
)
def test_verification_has_a_case_per_workload_and_cluster(
    verified: dict[str, Any], findings: list[dict[str, str]], fail_on: str, workload: str, cluster: str
) -> None:
    found = suite(build.result(verified, findings=findings), fail_on=fail_on)
    assert outcomes(found) == {"my-cluster.shop api": workload, "my-cluster cluster": cluster}


def test_warnings_are_in_the_output_of_the_case() -> None:
    reported = [finding("warning"), finding("info"), finding("warning", "", "UNLISTED_ASSOCIATIONS")]
    found = suite(build.result(row("warning"), findings=reported))
    assert {case.get("name"): case.findtext("system-out") for case in found.findall("testcase")} == {
        "api": "warning ROLE_MISSING: Gone. Make it.",
        "cluster": "warning UNLISTED_ASSOCIATIONS: Gone. Make it.",
    }
    accepted = make_report(
        build.parse_aws_result(build.result(row("warning"), findings=reported), build.CLUSTER),
        KubernetesOutcome(),
        ReportSettings(ignore=["ROLE_MISSING", "UNLISTED_ASSOCIATIONS"]),
    )
    assert "system-out" not in junit_text(accepted, "error")


def test_unverified_workload_is_skipped() -> None:
    workload = {"namespace": "shop", "service_account": "api", "status": "changed"}
    change = {"resource": "role", "name": "r", "action": "create", "before": None, "after": {}}
    workloads = [workload, {**workload, "service_account": "web"}]
    found = suite({"state": "present", "changes": [change], "workloads": workloads})
    assert outcomes(found)["my-cluster.shop api"] == "skipped"
    assert found.get("skipped") == "2"


def test_failure_has_code_cause_and_remedy() -> None:
    failure = {
        "workload": "shop/api",
        "resource": "role",
        "name": "r",
        "action": "create",
        "error_code": "LimitExceeded",
        "message": "Too many <roles>.",
        "remedy": "Delete one.",
    }
    existing = {
        "state": "present",
        "changes": [],
        "workloads": [{"namespace": "shop", "service_account": "api", "status": "failed"}],
        "failures": [failure],
        "findings": [finding("error")],
    }
    output = suite(existing).find("testcase/failure")
    assert output is not None
    assert output.attrib == {
        "type": "LimitExceeded",
        "message": "create role r: Too many <roles>. Delete one.",
    }
    assert output.text == "LimitExceeded: create role r: Too many <roles>. Delete one."


@given(
    st.lists(st.sampled_from(["pass", "fail", "warning", "unknown", "accepted", "skipped"]), max_size=4),
    st.lists(
        st.builds(finding, st.sampled_from(SEVERITIES), st.sampled_from(["", "shop/w0", "shop/w1", "x/y"])),
        max_size=4,
    ),
    st.sampled_from(["", "forbidden"]),
    st.sampled_from(["error", "warning"]),
)
def test_case_fails_if_and_only_if_the_run_fails(
    statuses: list[str], findings: list[dict[str, str]], error: str, fail_on: Any
) -> None:
    rows = [row(status, f"w{number}") for number, status in enumerate(statuses)]
    aws = build.parse_aws_result(build.result(*rows, findings=findings), build.CLUSTER)
    report = make_report(aws, KubernetesOutcome(error=error), ReportSettings(fail_on=fail_on))
    found = ElementTree.fromstring(junit_text(report, fail_on)).find("testsuite")
    assert found is not None
    assert (found.get("failures") != "0") == report["failed"]
    assert found.get("tests") == str(len(rows) + 1)
