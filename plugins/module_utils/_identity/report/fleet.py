# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Format the reports of several clusters, and evaluate the reports that several jobs have written. Pure.

Reports from files and artifacts may be invalid, so they are parsed. The evaluation finds failed clusters, clusters without a
report, outdated reports, and planned changes that no job has applied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, get_args

from ..._findings.codes import Code
from ..._findings.text import visible
from ..kubernetes.model.objects import Object, as_mapping, as_objects, as_text
from ..model.errors import listed, sentence
from .artifact import PREFIX, mapping_from_artifact
from .failure import EXPLAINED
from .rows import NoteRow, ReportStep, report_step
from .text import (
    NOTHING_VERIFIED,
    SHOWN_CHANGES,
    SHOWN_FINDINGS,
    ChangeText,
    change_lines_of_cluster,
    describe_change,
    describe_kubernetes_change,
    natural,
    note_lines,
)


@dataclass(frozen=True, slots=True)
class Reported:
    """The parsed report of a cluster.

    ``workloads`` is the number of all workloads, ``verified`` the number of verified workloads, and ``passed`` the number of
    workloads that passed. ``failure`` is "" for success. ``changes`` is the number of changes, and ``changed`` has the texts of
    those that the report lists in a valid form.
    """

    account_id: str
    region: str
    workloads: int
    verified: int
    passed: int
    changes: int
    findings: int
    failed: bool
    failure: str
    changed: Sequence[ChangeText] = ()
    warnings: Sequence[NoteRow] = ()


def parse_reported(report: Object) -> Reported | None:
    """Parse a report. Return None if a required field is missing or has a wrong type, because success is then unknown."""
    summary = as_mapping(report.get("summary"))
    workloads, passed, changes, findings = (
        _count(summary.get(name)) for name in ("workloads", "passed", "changes", "findings")
    )
    other_counts = [_count(summary.get(name)) for name in ("failed", "warnings", "unknown", "accepted")]
    failed = report.get("failed")
    if workloads is None or passed is None or changes is None or findings is None:
        return None
    if not isinstance(failed, bool) or not {"account_id", "region"} <= report.keys():
        return None
    place = as_text(report["account_id"]), as_text(report["region"])
    failure = as_text(report.get("failure") or report.get("headline"))
    return Reported(
        *place,
        workloads,
        passed + sum(filter(None, other_counts)),
        passed,
        changes,
        findings,
        failed,
        failure,
        _changed(report),
        _warnings(report),
    )


def _changed(report: Object) -> list[ChangeText]:
    """Return the changes of a report as text. Ignore invalid changes, because the report is from a file or another job."""
    lines = report.get("kubernetes_changes")
    return [
        *(
            describe_change(change)
            for change in as_objects(report.get("changes"))
            if change.get("action") and change.get("resource") and change.get("name")
        ),
        *(
            describe_kubernetes_change(line)
            for line in (lines if isinstance(lines, (list, tuple)) else ())
            if isinstance(line, str) and " " in line
        ),
    ]


def _warnings(report: Object) -> list[NoteRow]:
    """Return the warnings of a report that are not accepted, not part of its failure, and not consequences of a failed change.

    A workload with a changed association is also a warning if its role administers the account.
    """
    failure = as_text(report.get("failure"))
    refused = {as_text(row.get("workload")) for row in as_objects(report.get("failures"))} - {""}
    changes = as_objects(report.get("changes"))
    granted = {as_text(row.get("workload")) for row in changes if row.get("resource") == "association"}
    return [
        {
            "label": "warning",
            "code": as_text(finding.get("code")),
            "workload": as_text(finding.get("workload")),
            "message": as_text(finding.get("message")),
            "remedy": as_text(finding.get("remedy")),
        }
        for finding in as_objects(report.get("findings"))
        if (
            finding.get("severity") == "warning"
            or (
                finding.get("code") == Code.POLICY_ADMINISTERS and as_text(finding.get("workload")) in granted
            )
        )
        and (as_text(finding.get("workload")) not in refused or as_text(finding.get("code")) not in EXPLAINED)
        and not finding.get("accepted")
        and visible(as_text(finding.get("message"))) not in failure
    ]


def _count(value: object) -> int | None:
    """Return an integer unchanged, and None for any other value, including a boolean."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


NOT_A_REPORT = (
    "Its report is not valid, so the state of the cluster is unknown. Run its job again. Check whether a later node of the "
    "AWX workflow or an extra variable has changed the report."
)

_COLUMNS = ("cluster", "account", "region", "workloads", "changes", "verified", "findings", "result")


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a cluster. ``host`` is its host in the inventory or, if that is unknown, its name.

    ``reported`` is its report, or None if there is no valid report. ``stopped`` is the reason for the missing report, or "".
    """

    host: str
    cluster: str
    reported: Reported | None
    stopped: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.stopped or self.reported is None or self.reported.failed)

    @property
    def failure(self) -> str:
        """Return the reason for the failure; "" for success."""
        return self.stopped or (self.reported.failure if self.reported else "")


def fleet_lines(
    ended: Sequence[Ended],
    clusters: int,
    waiting: Sequence[str] = (),
    check_mode: bool = False,
    shown: Sequence[Ended] | None = None,
) -> list[str]:
    """Return the lines for the screen: counts, a table of clusters, their changes, warnings and failures.

    :arg ended: the results of the clusters that the play reached.
    :arg clusters: the number of clusters in the play.
    :arg waiting: the hosts that the play did not reach.
    :arg shown: the results to show below the counts. By default, all of them, and the hosts that the play did not reach.
    """
    failed = sum(result.failed for result in ended)
    done = "planned" if check_mode else "done"
    plural = "" if clusters == 1 else "s"
    total = f"{len(ended) - failed} of {clusters} cluster{plural} {done}, {failed} failed"
    unchanged = "; nothing was changed" if check_mode else ""
    # The counts precede the table, which may be long.
    lines = [f"{total}{f', {len(waiting)} pending' if waiting else ''}{unchanged}."]
    if ended and all(result.reported is not None and not result.reported.workloads for result in ended):
        lines.append(NOTHING_VERIFIED)
    if shown is None or len(shown) == len(ended):
        shown = ended
        lines += [f"Not reached so far: {', '.join(waiting)}."] if waiting else []
    rows = [_COLUMNS, *map(_row, shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines += [
        "",
        *(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
    ]
    lines += _changed_lines(shown, check_mode)
    lines += _warning_lines(shown)
    for result in shown:
        if result.failed:
            lines += ["", f"{result.host}:", *(f"  {line}" for line in sentence(result.failure).splitlines())]
    return lines


def _changed_lines(ended: Sequence[Ended], check_mode: bool) -> list[str]:
    lines = [
        line
        for result in ended
        if result.reported and result.reported.changed
        for line in change_lines_of_cluster(result.host, result.reported.changed, check_mode)
    ]
    return ["", *lines] if lines else []


def _warning_lines(ended: Sequence[Ended]) -> list[str]:
    """Return the lines of the warnings. A warning of several clusters is shown once, with the names of the clusters."""
    hosts: dict[tuple[str, str, str, str], list[str]] = {}
    for result in ended:
        for warning in result.reported.warnings if result.reported else ():
            key = (warning["code"], warning["workload"], warning["message"], warning["remedy"])
            hosts.setdefault(key, []).append(result.host)
    lines = [""] if hosts else []
    administrators_first = sorted(hosts.items(), key=lambda item: item[0][0] != Code.POLICY_ADMINISTERS)
    for (code, workload, message, remedy), names in administrators_first[:SHOWN_FINDINGS]:
        about = f"{workload} ({listed(names)})".lstrip()
        lines += note_lines(
            {"label": "warning", "code": code, "workload": about, "message": message, "remedy": remedy}
        )
    more = len(hosts) - SHOWN_FINDINGS
    return lines + (
        [f"  and {more} more warning{'' if more == 1 else 's'}, listed in the reports of the clusters"]
        if more > 0
        else []
    )


def _row(result: Ended) -> tuple[str, ...]:
    name = result.cluster if result.cluster == result.host else f"{result.host} ({result.cluster})"
    reported = result.reported
    if reported is None:
        return (name, "", "", "", "", "", "", "failed")
    return (
        name,
        reported.account_id,
        reported.region,
        str(reported.workloads),
        str(reported.changes),
        f"{reported.passed}/{reported.workloads}" if reported.verified else "-",
        str(reported.findings),
        "failed" if result.failed else "ok",
    )


# The maximum number of clusters that the message names. The lines on the screen above the message name all clusters.
SHOWN_NAMES = 10
NO_REPORT = (
    "No job reported this cluster. Its job did not run, or ended before it wrote a report: see the output of the jobs, and "
    "the links of the workflow."
)
ONLY_PLANNED = (
    "Its last report is a plan (check mode), and no later job reported an apply: see the output of the job that "
    "applies the plan, and run that job again. To report plans, run the report in check mode."
)
PLAN_STOPPED = "No job reported an apply, and the changes are unknown, because the plan failed: "
NOT_APPLIED = (
    "The job that applies the plan did not run or left no report: for example, it was cancelled, or its approval was denied or "
    "timed out. Launch the workflow again: its plan shows the remaining changes."
)
WITHOUT_A_MESSAGE = "Its job failed before it wrote a report, without a message: see the output of the job."


@dataclass(frozen=True, slots=True)
class Gathered:
    """The joint result of the reports of several jobs.

    ``lines`` are for the screen. ``failure`` is one line, or "" for success. ``failed`` has the names of clusters that failed,
    ``missing`` the names of clusters without a report.
    """

    lines: Sequence[str]
    failure: str
    failed: Sequence[str]
    missing: Sequence[str]


def artifacts_in(variables: Object) -> list[Object]:
    """Return the decoded reports of earlier jobs among the variables of a job in an AWX workflow.

    An artifact that is not a mapping, or is empty, becomes a mapping with only a host, which is not a valid report.
    """
    names = sorted(name for name in variables if name.startswith(PREFIX))
    values = ((name, variables[name]) for name in names)
    return [
        mapping_from_artifact(value) if isinstance(value, Mapping) and value else {"host": name}
        for name, value in values
    ]


def gather(
    reports: Sequence[Object],
    expected: Sequence[str],
    plans: bool = False,
) -> Gathered:
    """Evaluate the reports of several jobs together.

    :arg reports: the decoded reports.
    :arg expected: the clusters that must have a report, each as the name of its host, its name, or its ARN.
    :arg plans: whether a cluster may have only a plan. If not, such a cluster counts as failed.
    """
    clusters = _by_cluster(reports)
    names = {name for steps in clusters for report in steps.values() for name in _names(report)}
    missing = [name for name in expected if name not in names]
    ended = sorted(
        (_ended(steps, plans) for steps in clusters),
        key=lambda result: (natural(result.host), natural(result.cluster)),
    )
    ended += [Ended(name, name, None, NO_REPORT) for name in missing]
    failed = [result.host for result in ended if result.failed and result.host not in missing]
    planned = sorted((_label(steps["plan"]) for steps in clusters if set(steps) == {"plan"}), key=natural)
    all_planned = plans and len(planned) == len(clusters)
    lines = fleet_lines(ended, len(ended), check_mode=all_planned)
    if planned and not all_planned:
        lines += ["", f"Check mode, nothing was changed: {', '.join(planned)}."]
    return Gathered(lines, _failure(failed, missing, len(ended)), failed, missing)


def _failure(failed: Sequence[str], missing: Sequence[str], clusters: int) -> str:
    if not clusters:
        return (
            "No report: there is no artifact of an earlier job of the workflow and no report file. Run this "
            "playbook after the jobs that report, in the same workflow, or set pod_identity_report_files."
        )
    total = f"{clusters} cluster{'' if clusters == 1 else 's'}"
    parts = [f"{len(failed)} of {total} failed: {listed(failed, SHOWN_NAMES)}"] if failed else []
    parts += (
        [f"{len(missing)} of {clusters} did not report: {listed(missing, SHOWN_NAMES)}"] if missing else []
    )
    return f"{'; '.join(parts)}. The reasons are above." if parts else ""


_Steps: TypeAlias = Mapping[ReportStep, Object]
_STEPS: tuple[ReportStep, ...] = get_args(ReportStep)


def _by_cluster(reports: Sequence[Object]) -> list[_Steps]:
    """Return one mapping for each cluster, with the last report of each step (plan, apply, verify).

    A report replaces earlier reports of the same step and of later steps: after a new plan, an earlier apply is outdated.
    """
    arns: dict[str, dict[str, set[ReportStep]]] = {}
    for report in reports:
        if arn := as_text(report.get("cluster_arn")):
            arns.setdefault(_label(report), {}).setdefault(arn, set()).add(_step(report))
    clusters: dict[str, dict[ReportStep, Object]] = {}
    for report in sorted(reports, key=_order):
        step = _step(report)
        steps = clusters.setdefault(_cluster_key(report, arns), {})
        for later in _STEPS[_STEPS.index(step) :]:
            steps.pop(later, None)
        steps[step] = report
    return list(clusters.values())


def _cluster_key(report: Object, arns: Mapping[str, Mapping[str, Collection[ReportStep]]]) -> str:
    """Return the ARN of the cluster. The report of a run that failed early lacks it, and belongs to the cluster of its host.

    If that cluster has a report of the same step, the run may have failed for another account, so it counts separately.

    :arg arns: the ARNs in the reports of each host, by label, with their steps.
    """
    if arn := as_text(report.get("cluster_arn")):
        return arn
    steps_by_arn = arns.get(_label(report), {})
    joined = [
        arn for arn, steps in steps_by_arn.items() if len(steps_by_arn) == 1 and _step(report) not in steps
    ]
    place = (report.get(name) for name in ("host", "cluster_name", "region", "account_id"))
    return joined[0] if joined else " ".join(map(as_text, place))


def _order(report: Object) -> tuple[str, int]:
    return as_text(report.get("time")), _STEPS.index(_step(report))


def _step(report: Object) -> ReportStep:
    """Return the step of a report. A report without a valid step is a plan or an apply, depending on check mode."""
    mode = report_step(verifies=False, check_mode=bool(report.get("check_mode")))
    return next((step for step in _STEPS if step == report.get("step")), mode)


def _names(report: Object) -> tuple[str, ...]:
    return tuple(str(report[key]) for key in ("host", "cluster_name", "cluster_arn") if report.get(key))


def _label(report: Object) -> str:
    """Return the name of the host of a report. If the host is localhost or unknown, return the name of the cluster."""
    names = _names(report)
    return next((name for name in names if name != "localhost"), names[0] if names else "unknown")


def _ended(steps: _Steps, plans: bool) -> Ended:
    """Return the result of a cluster from the reports of its steps.

    :arg plans: whether the cluster may have only a plan.
    """
    last = next(steps[step] for step in reversed(_STEPS) if step in steps)
    host, cluster = _label(last), as_text(last.get("cluster_name") or _label(last))
    work: list[Reported] = []
    for report in [steps[step] for step in _STEPS[1:] if step in steps] or [last]:
        reported, stopped = _parsed(report)
        if reported is None:
            return Ended(host, cluster, None, stopped)
        work.append(reported)
    failures = [reported.failure for reported in work if reported.failed]
    undone = "" if plans else _undone(steps)
    if undone:
        failures.insert(0, undone)
    elif set(steps) == {"plan"} and not plans:
        return Ended(host, cluster, None, ONLY_PLANNED)
    applied = work[0] if plans or "apply" in steps else replace(work[-1], changes=0, changed=())
    ended = replace(
        work[-1],
        changes=applied.changes,
        changed=applied.changed,
        failed=bool(failures),
        failure="\n".join(dict.fromkeys(failures)),
    )
    return Ended(host, cluster, ended)


def _parsed(report: Object) -> tuple[Reported | None, str]:
    """Return the parsed report and "", or None and the reason why the report does not count."""
    if report.get("stopped"):
        return None, as_text(report.get("failure") or WITHOUT_A_MESSAGE)
    reported = parse_reported(report)
    if reported is None or not isinstance(report.get("check_mode"), bool):
        return None, NOT_A_REPORT
    return reported, ""


def _undone(steps: _Steps) -> str:
    """Return a message about a plan that failed, or whose changes no job has applied; otherwise ""."""
    plan = steps.get("plan")
    if plan is None or "apply" in steps:
        return ""
    if plan.get("stopped"):
        return f"{PLAN_STOPPED}{as_text(plan.get('failure') or WITHOUT_A_MESSAGE)}"
    planned = parse_reported(plan)
    if planned is None:
        return NOT_A_REPORT
    if not planned.changes:
        return planned.failure if planned.failed else ""
    removals_first = sorted(planned.changed, key=lambda change: not change.removes)
    lines = [f"- {change.line}" for change in removals_first[:SHOWN_CHANGES]]
    if (more := planned.changes - len(lines)) > 0:
        lines.append(f"- {more} {'more ' if lines else ''}in the output of the plan")
    head = f"The plan has {planned.changes} change{'' if planned.changes == 1 else 's'} that no job reported as done:"
    return "\n".join([head, *lines, NOT_APPLIED])
