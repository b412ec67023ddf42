# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Convert a report to an artifact of an AWX job, and to JUnit XML, which CI systems show. Pure.

An artifact is a variable that AWX passes to the later jobs of a workflow. Its name is unique to the cluster. Its values must keep
their types: AWX writes artifacts as YAML with the tag !unsafe on every string, and ansible-core 2.19 and newer parses such a
string like one without quotation marks. So "1" would become a number, "" null, and "2012-10-17" a date. Native Jinja does the
same to the result of a template. Therefore a string that would change its type is encoded as JSON.

In JUnit each workload is a test case, and the cluster is one more test case. A workload that was not verified is skipped,
not passed. Warnings are the output of a test case.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from ..._findings.text import visible
from ..kubernetes.model.objects import Object, as_text
from ..model.checks import FAIL, UNKNOWN
from .failure import unexplained
from .rows import Facts, Place, Report, ReportedFindingRow, ReportStep
from .text import NOTHING_VERIFIED, failure_line

# The forms of an artifact. "auto" is replaced with "full" or "short", and "none" creates no artifact.
FORMS = ("auto", "full", "short", "none")
# The artifact COMMON has the reports of all clusters, by name. In addition, each step (plan, apply, verify) has a separate
# artifact for the cluster, because AWX keeps only the value of the last job that sets a name, and a verification must not
# replace the plan.
COMMON = "pod_identity"
PREFIX = "pod_identity_artifact_"
# With more workloads the form "auto" is "short". For 1,000 workloads the full form has 2 MB, which AWX stores for every job of a
# workflow.
MOST_WORKLOADS = 200
# These lists are null in the short form, because an empty list would mean that there are no entries. The changes are not among
# them, because users need them to approve a plan.
LEFT_OUT = ("lines", "workloads")
NO_FACTS: Facts = {
    "done": False,
    "trust": "skipped",
    "attachment": "skipped",
    "contents": "skipped",
    "association": "skipped",
    "service_account": "skipped",
    "agent": "skipped",
    "pods": "skipped",
}
# Fields of a change with arbitrary values, such as policy documents. Each of these fields is encoded as one JSON string.
_DOCUMENTS = ("after", "before")

# YAML and Python parse most text that begins with a letter or a slash as a string.
_PLAIN = re.compile(r"[A-Za-z/]")
# Exceptions: words that they parse as a boolean, null or an empty set, and string literals of Python with a prefix (b'text').
_WORDS = frozenset(("false", "n", "no", "none", "null", "off", "on", "set()", "true", "y", "yes"))
_PYTHON = re.compile(r"(?:[bft]r?|rb?|r[ft]|u)['\"]", re.IGNORECASE)


def artifact_key(step: ReportStep, cluster: str, region: str, account_id: str) -> str:
    """Return the name of the artifact of a cluster and step. It is a valid variable name.

    All characters except letters and digits become underscores. If the name of the cluster has an underscore, a digest makes the
    result unique.
    Parts that are "" are omitted.
    """
    name = re.sub(r"[^A-Za-z0-9]", "_", "_".join(part for part in (cluster, region, account_id) if part))
    digest = f"_{hashlib.sha256(cluster.encode()).hexdigest()[:8]}" if "_" in cluster else ""
    return f"{PREFIX}{step}_{name or 'unknown'}{digest}"


def choose_form(form: str, workloads: int) -> str:
    """Return ``form`` unchanged or, for "auto", the form "full" or "short", depending on the number of workloads."""
    if form != "auto":
        return form
    return "short" if workloads > MOST_WORKLOADS else "full"


def make_artifacts(
    report: Report, host: str, requested_form: str, stopped: bool = False
) -> dict[str, object]:
    """Return the artifacts of a report by name; empty for the form "none".

    Each artifact has all keys of a report: if one job reports a cluster twice, Ansible merges the two mappings, and a missing key
    would keep its former value.

    :arg host: the name of the host of the play.
    :arg requested_form: one of FORMS.
    :arg stopped: the run failed before it could make a report.
    """
    form = choose_form(requested_form, report["summary"]["workloads"])
    if form == "none":
        return {}
    content: dict[str, object] = {**report, "host": host, "form": form, "stopped": stopped}
    if form == "short":
        content.update(dict.fromkeys(LEFT_OUT))
        content["changes"] = list(map(_without_documents, report["changes"]))
    artifact = to_artifact(content)
    key = artifact_key(report["step"], report["cluster_name"], report["region"], report["account_id"])
    common = {_text(report["cluster_name"]): artifact} if report["cluster_name"] else {}
    return {key: artifact, COMMON: common}


def _without_documents(change: Object) -> Object:
    """Return a change in which the values in ``before`` and ``after`` are null, except the ARNs of policies."""
    content = dict(change)
    for name in _DOCUMENTS:
        value = change.get(name)
        content[name] = (
            {key: part if key == "policy" and isinstance(part, str) else None for key, part in value.items()}
            if isinstance(value, Mapping)
            else value
        )
    return content


def stopped_report(
    place: Place, message: str, time: str, version: str, check_mode: bool, step: ReportStep
) -> Report:
    """Return a report for a run that failed before it could make its report.

    :arg place: the cluster; unknown parts are "".
    :arg message: the reason, or "".
    """
    first = next(iter(message.splitlines()), "")
    return {
        **place,
        "time": time,
        "version": version,
        "check_mode": check_mode,
        "step": step,
        "workloads": [],
        "changes": [],
        "kubernetes_changes": [],
        "findings": [],
        "failures": [],
        "summary": {
            "workloads": 0,
            "passed": 0,
            "failed": 0,
            "warnings": 0,
            "unknown": 0,
            "accepted": 0,
            "changes": 0,
            "findings": 0,
        },
        "verification": NO_FACTS,
        "lines": message.splitlines(),
        "failed": True,
        "failure": message,
        "headline": first,
    }


def to_artifact(value: object) -> object:
    """Encode a value so that it keeps its types in a later job.

    An empty string becomes null. A string that would be parsed as another type becomes a JSON string in quotation marks.
    """
    if isinstance(value, str):
        return _text(value) if value else None
    if isinstance(value, Mapping):
        return {
            _text(str(key)): _document(part) if key in _DOCUMENTS else to_artifact(part)
            for key, part in value.items()
        }
    if isinstance(value, Sequence):
        return [to_artifact(part) for part in value]
    return value


def from_artifact(value: object) -> object:
    """Decode the result of ``to_artifact``. An originally empty string is returned as None."""
    if isinstance(value, str):
        return _from_json(value) if value[:1] == '"' else str(value)
    if isinstance(value, Mapping):
        return mapping_from_artifact(value)
    if isinstance(value, Sequence):
        return [from_artifact(part) for part in value]
    return value


def mapping_from_artifact(value: Object) -> Object:
    """Decode a mapping, such as a whole report, from the result of ``to_artifact``."""
    return {
        str(from_artifact(str(key))): _from_json(part)
        if key in _DOCUMENTS and isinstance(part, str)
        else from_artifact(part)
        for key, part in value.items()
    }


def keeps_its_type(text: str) -> bool:
    """Return whether YAML and Python parse a text without quotation marks as a string."""
    return bool(_PLAIN.match(text)) and text.lower() not in _WORDS and not _PYTHON.match(text)


def _text(text: str) -> str:
    return text if keeps_its_type(text) else json.dumps(text)


def _document(value: object) -> str | None:
    return None if value is None else json.dumps(value, sort_keys=True)


def _from_json(text: str) -> object:
    """Decode JSON. Return other text unchanged, because a user may have written the artifact by hand."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


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
