# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Convert a report to JUnit XML, which CI systems show. Pure.

Each workload is a test case, and the cluster is one more test case. A workload that was not verified is skipped, not passed.
Warnings are the output of a test case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

from ..._findings.text import visible
from ..kubernetes.model.objects import as_text
from ..model.checks import FAIL, UNKNOWN
from .failure import unexplained
from .rows import Report, ReportedFindingRow
from .text import NOTHING_VERIFIED, failure_line

_PROPERTIES = ("account_id", "region", "cluster_arn", "caller_arn", "version")


@dataclass(frozen=True, slots=True)
class _Problem:
    code: str
    text: str


def junit_text(report: Report, fail_on: str) -> str:
    """Return the report as JUnit XML. It has a failed test case if, and only if, the run failed.

    :arg fail_on: the lowest severity that fails the run, "error" or "warning".
    """
    severities = ("error", "warning") if fail_on == "warning" else ("error",)
    rows: list[Mapping[str, object]] = [dict(row.items()) for row in report["workloads"]]
    names = {_name(row) for row in rows}
    problems: dict[str, list[_Problem]] = {}
    for failure in report["failures"]:
        text = f"{failure_line(failure)}: {failure['message']} {failure['remedy']}"
        problem = _Problem(failure["error_code"], visible(text))
        problems.setdefault(failure["workload"] if failure["workload"] in names else "", []).append(problem)
    warnings: dict[str, list[_Problem]] = {}
    for finding in unexplained(report["failures"], report["findings"]):
        place = finding["workload"] if finding["workload"] in names else ""
        if finding.get("accepted"):
            continue
        if finding["severity"] in severities:
            problems.setdefault(place, []).append(_problem(finding))
        elif finding["severity"] == "warning":
            warnings.setdefault(place, []).append(_problem(finding))
    cases = [_workload_case(report["cluster_name"], row, problems.get(_name(row), [])) for row in rows]
    if report["failed"] and all(case.find("failure") is None for case in cases) and not problems.get(""):
        problems[""] = [_Problem("FAILED", report["failure"] or report["headline"])]
    cluster = _case(report["cluster_name"], "cluster", problems.get("", []))
    if not rows and not problems:
        ElementTree.SubElement(cluster, "skipped", message=NOTHING_VERIFIED)
    cases.append(cluster)
    for name, case in zip([*map(_name, rows), ""], cases, strict=True):
        if name in warnings:
            output = ElementTree.SubElement(case, "system-out")
            output.text = "\n".join(f"warning {warning.code}: {warning.text}" for warning in warnings[name])
    return _junit_document(report, cases)


def _junit_document(report: Report, cases: Iterable[ElementTree.Element]) -> str:
    suite = ElementTree.Element("testsuite", name=f"EKS Pod Identity of {visible(report['cluster_name'])}")
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in report.items():
        if name in _PROPERTIES:
            ElementTree.SubElement(properties, "property", name=name, value=visible(str(value)))
    suite.extend(cases)
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(case.find("failure") is not None for case in cases)))
    suite.set("errors", "0")
    suite.set("skipped", str(sum(case.find("skipped") is not None for case in cases)))
    suite.set("time", "0")
    suite.set("timestamp", report["time"])
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _workload_case(cluster: str, row: Mapping[str, object], problems: list[_Problem]) -> ElementTree.Element:
    status = as_text(row.get("status"))
    if not problems and status in (FAIL, "failed"):
        problems = [_Problem("FAILED", f"{_name(row)} failed.")]
    place = f"{cluster}.{as_text(row.get('namespace'))}"
    case = _case(place, as_text(row.get("service_account")), problems)
    if not problems and "checks" not in row:
        ElementTree.SubElement(case, "skipped", message=f"Not verified; the workload is {status}.")
    elif not problems and status == UNKNOWN:
        ElementTree.SubElement(case, "skipped", message="Not all checks of the workload could be made.")
    return case


def _case(place: str, name: str, problems: list[_Problem]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=visible(place), name=visible(name), time="0")
    if problems:
        first = problems[0]
        failure = ElementTree.SubElement(case, "failure", type=first.code, message=first.text)
        failure.text = "\n".join(f"{problem.code}: {problem.text}" for problem in problems)
    return case


def _problem(finding: ReportedFindingRow) -> _Problem:
    return _Problem(finding["code"], visible(f"{finding['message']} {finding['remedy']}"))


def _name(row: Mapping[str, object]) -> str:
    return f"{as_text(row.get('namespace'))}/{as_text(row.get('service_account'))}"
