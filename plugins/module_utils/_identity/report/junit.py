# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert a report to JUnit XML, which CI systems show. Pure.

Each workload is a test case, and the cluster is one more test case. A workload that was not verified is skipped, not passed.
Warnings are the output of a test case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from xml.etree import ElementTree

from ..._findings.text import visible
from ..kubernetes.model.objects import Object, as_text
from ..model.checks import FAIL, UNKNOWN
from ..model.rows import FindingRow
from ..run.result import group_failures
from .report import unexplained
from .rows import Report
from .text import NOTHING_VERIFIED


def junit_text(report: Report, fail_on: str) -> str:
    """Return the report as JUnit XML. It has a failed test case if, and only if, the run failed.

    :arg fail_on: the lowest severity that fails the run, "error" or "warning".
    """
    workloads: dict[str, Object] = {
        f"{row['namespace']}/{row['service_account']}": dict(row.items()) for row in report["workloads"]
    }
    problems: dict[str, list[FindingRow]] = defaultdict(list)
    warnings: dict[str, list[FindingRow]] = defaultdict(list)
    failures = (row for failure in report["failures"] for row in group_failures([failure]))
    for row in (*failures, *unexplained(report["failures"], report["findings"])):
        name = row["workload"] if row["workload"] in workloads else ""
        if row["severity"] in ("error", fail_on) and "accepted" not in row:
            problems[name].append(row)
        elif row["severity"] == "warning" and "accepted" not in row:
            warnings[name].append(row)
    cases = []
    for name, workload in workloads.items():
        status = as_text(workload.get("status"))
        if status in (FAIL, "failed") and not problems[name]:
            problems[name] = [_failed(f"{name} failed.")]
        skipped = "Not all checks of the workload could be made." if status == UNKNOWN else ""
        if "checks" not in workload:
            skipped = f"Not verified; the workload is {status}."
        namespace, _slash, account = name.partition("/")
        place = f"{report['cluster_name']}.{namespace}"
        cases.append(_case(place, account, problems[name], warnings[name], skipped))
    if report["failed"] and not any(problems.values()):
        problems[""] = [_failed(report["failure"] or report["headline"])]
    skipped = "" if workloads else NOTHING_VERIFIED
    cases.append(_case(report["cluster_name"], "cluster", problems[""], warnings[""], skipped))
    suite = ElementTree.Element(
        "testsuite",
        name=f"EKS Pod Identity of {visible(report['cluster_name'])}",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors="0",
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        time="0",
        timestamp=report["time"],
    )
    suite.extend(cases)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _failed(message: str) -> FindingRow:
    return {"code": "FAILED", "severity": "error", "workload": "", "message": message, "remedy": ""}


def _case(
    place: str, name: str, problems: Sequence[FindingRow], warnings: Sequence[FindingRow], skipped: str
) -> ElementTree.Element:
    """Return a test case: failed with problems, else skipped for the given reason, and passed without a reason."""
    case = ElementTree.Element("testcase", classname=visible(place), name=visible(name), time="0")
    if problems:
        first = problems[0]
        failure = ElementTree.SubElement(case, "failure", type=first["code"], message=_finding_text(first))
        failure.text = "\n".join(f"{row['code']}: {_finding_text(row)}" for row in problems)
    elif skipped:
        ElementTree.SubElement(case, "skipped", message=skipped)
    if warnings:
        output = ElementTree.SubElement(case, "system-out")
        output.text = "\n".join(f"warning {row['code']}: {_finding_text(row)}" for row in warnings)
    return case


def _finding_text(row: FindingRow) -> str:
    return visible(f"{row['message']} {row['remedy']}".rstrip())
