# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Format the reports of several clusters, and evaluate the reports that several jobs have written. Pure.

Reports from files and artifacts may be invalid, so they are parsed. The evaluation finds failed clusters, clusters without a
report, outdated reports, and planned changes that no job has applied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from ..._findings.codes import EXPLAINED, Code
from ..._findings.text import table, visible
from ..kubernetes.model.objects import Object, as_mapping, as_number, as_objects, as_text, member
from ..model.errors import listed, sentence
from ..model.rows import FindingRow
from .artifact import PREFIX, from_artifact
from .report import group_findings
from .rows import ReportStep, report_step
from .text import (
    NOTHING_VERIFIED,
    ChangeText,
    change_lines_of_cluster,
    describe_change,
    describe_kubernetes_change,
    natural,
    note_lines,
    shown_changes,
)

NOT_A_REPORT = (
    "Its report is not valid, so the state of the cluster is unknown. Run its job again. Check whether a later node of the "
    "AWX workflow or an extra variable has changed the report."
)

_COLUMNS = ("cluster", "account", "region", "workloads", "changes", "verified", "findings", "result")
_STATUSES = ("passed", "failed", "warnings", "unknown", "accepted")


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of a cluster. ``host`` is its host in the inventory or, if that is unknown, its name.

    ``failure`` is the reason for the failure, or "" for success. ``report`` is its last report, or None if there is no valid
    report. ``applied`` is the report with its changes, or an empty mapping without changes.
    """

    host: str
    cluster: str
    failure: str
    report: Object | None = None
    applied: Object = field(default_factory=dict)

    @property
    def changes(self) -> list[ChangeText]:
        """Return the changes as text. Ignore invalid changes, because the report is from a file or another job."""
        lines = self.applied.get("kubernetes_changes")
        changes = as_objects(self.applied.get("changes"))
        return [
            *(describe_change(row) for row in changes if all(map(row.get, ("action", "resource", "name")))),
            *(
                describe_kubernetes_change(line)
                for line in (lines if isinstance(lines, (list, tuple)) else ())
                if isinstance(line, str) and " " in line
            ),
        ]

    @property
    def warnings(self) -> list[FindingRow]:
        """Return the warnings that are not accepted, not part of the failure, and not consequences of a failed change.

        A workload with a changed association is also a warning if its role administers the account. So are accepted changes
        that the approved plan lacks, because nobody has seen them.
        """
        report = self.report or {}
        refused = {as_text(row.get("workload")) for row in as_objects(report.get("failures"))} - {""}
        granted = {
            as_text(row.get("workload"))
            for row in as_objects(report.get("changes"))
            if row.get("resource") == "association"
        }
        texts = [
            {name: as_text(row.get(name)) for name in FindingRow.__annotations__}
            for row in as_objects(report.get("findings"))
        ]
        return [
            {
                "code": row["code"],
                "severity": "warning",
                "workload": row["workload"],
                "message": row["message"],
                "remedy": row["remedy"],
            }
            for row in texts
            if (
                row["code"] == Code.NOT_APPROVED
                or (
                    not row["accepted"]
                    and (
                        row["severity"] == "warning"
                        or (row["code"] == Code.POLICY_ADMINISTERS and row["workload"] in granted)
                    )
                )
            )
            and not (row["workload"] in refused and row["code"] in EXPLAINED)
            and visible(row["message"]) not in as_text(report.get("failure"))
        ]


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
    failed = sum(bool(result.failure) for result in ended)
    total = (
        f"{len(ended) - failed} of {clusters} cluster{'' if clusters == 1 else 's'} "
        f"{'planned' if check_mode else 'done'}, {failed} failed"
        f"{f', {len(waiting)} pending' if waiting else ''}"
    )
    # The counts precede the table, which may be long.
    lines = [f"{total}{'; nothing was changed' if check_mode else ''}."]
    if ended and all(result.report and not member(result.report, "summary")["workloads"] for result in ended):
        lines.append(NOTHING_VERIFIED)
    if shown is None or len(shown) == len(ended):
        shown = ended
        lines += [f"Not reached so far: {', '.join(waiting)}."] if waiting else []
    lines += ["", *table([_COLUMNS, *map(_row, shown)])]
    changed = [
        line
        for result in shown
        if result.changes
        for line in change_lines_of_cluster(result.host, result.changes, check_mode)
    ]
    lines += [*([""] if changed else []), *changed, *_warning_lines(shown)]
    lines += [
        line
        for result in shown
        if result.failure
        for line in ("", f"{result.host}:", *(f"  {part}" for part in sentence(result.failure).splitlines()))
    ]
    return lines


def _warning_lines(ended: Sequence[Ended]) -> list[str]:
    """Return the lines of the warnings. A warning of several clusters is shown once, with the names of the clusters."""
    rows: list[FindingRow] = [
        {**warning, "workload": f"{warning['workload']} ({result.host})".lstrip()}
        for result in ended
        for warning in result.warnings
    ]
    rows.sort(key=lambda row: row["code"] != Code.POLICY_ADMINISTERS)
    lines = note_lines(group_findings(rows), ", listed in the reports of the clusters")
    return ["", *lines] if lines else []


def _row(result: Ended) -> tuple[str, ...]:
    name = result.cluster if result.cluster == result.host else f"{result.host} ({result.cluster})"
    if result.report is None:
        return (name, *[""] * (len(_COLUMNS) - 2), "failed")
    summary = member(result.report, "summary")
    verified = any(as_number(summary.get(status)) for status in _STATUSES)
    return (
        name,
        as_text(result.report["account_id"]),
        as_text(result.report["region"]),
        str(summary["workloads"]),
        str(member(result.applied, "summary").get("changes", 0)),
        f"{summary['passed']}/{summary['workloads']}" if verified else "-",
        str(summary["findings"]),
        "failed" if result.failure else "ok",
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


def artifacts_in(variables: Object) -> list[Object]:
    """Return the decoded reports of earlier jobs among the variables of a job in an AWX workflow.

    An artifact that is not a mapping, or is empty, becomes a mapping with only a host, which is not a valid report.
    """
    return [
        as_mapping(from_artifact(value))
        if isinstance(value := variables[name], Mapping) and value
        else {"host": name}
        for name in sorted(name for name in variables if name.startswith(PREFIX))
    ]


def gather(
    reports: Sequence[Object],
    expected: Sequence[str],
    plans: bool = False,
) -> tuple[list[str], str]:
    """Evaluate the reports of several jobs together.

    :arg reports: the decoded reports.
    :arg expected: the clusters that must have a report, each as the name of its host, its name, or its ARN.
    :arg plans: whether a cluster may have only a plan. If not, such a cluster counts as failed.
    :returns: the lines for the screen, and the reason for the failure in one line, or "" for success.
    """
    clusters = _by_cluster(reports)
    names = {name for steps in clusters for report in steps.values() for name in _report_names(report)}
    missing = [name for name in expected if name not in names]
    ended = sorted(
        (end_cluster(steps, plans) for steps in clusters),
        key=lambda result: (natural(result.host), natural(result.cluster)),
    )
    failed = [result.host for result in ended if result.failure]
    ended += [Ended(name, name, NO_REPORT) for name in missing]
    planned = sorted((_label(steps["plan"]) for steps in clusters if set(steps) == {"plan"}), key=natural)
    all_planned = plans and len(planned) == len(clusters)
    lines = fleet_lines(ended, len(ended), check_mode=all_planned)
    if planned and not all_planned:
        lines += ["", f"Check mode, nothing was changed: {', '.join(planned)}."]
    return lines, _failure(failed, missing, len(ended))


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


_STEPS: tuple[ReportStep, ...] = get_args(ReportStep)


def _by_cluster(reports: Sequence[Object]) -> list[dict[ReportStep, Object]]:
    """Return one mapping for each cluster, with the last report of each step (plan, apply, verify).

    A report replaces earlier reports of the same step and of later steps: after a new plan, an earlier apply is outdated.
    """
    arns: dict[str, dict[str, set[ReportStep]]] = {}
    for report in reports:
        if arn := as_text(report.get("cluster_arn")):
            arns.setdefault(_label(report), {}).setdefault(arn, set()).add(_step(report))
    clusters: dict[str, dict[ReportStep, Object]] = {}
    for report in sorted(
        reports, key=lambda report: (as_text(report.get("time")), _STEPS.index(_step(report)))
    ):
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


def _step(report: Object) -> ReportStep:
    """Return the step of a report. A report without a valid step is a plan or an apply, depending on check mode."""
    return next(
        (step for step in _STEPS if step == report.get("step")),
        report_step(verifies=False, check_mode=bool(report.get("check_mode"))),
    )


def _report_names(report: Object) -> tuple[str, ...]:
    return tuple(str(report[key]) for key in ("host", "cluster_name", "cluster_arn") if report.get(key))


def _label(report: Object) -> str:
    """Return the name of the host of a report. If the host is localhost or unknown, return the name of the cluster."""
    names = _report_names(report)
    return next((name for name in names if name != "localhost"), names[0] if names else "unknown")


def end_cluster(steps: Mapping[ReportStep, Object], plans: bool, host: str = "") -> Ended:
    """Return the result of a cluster from the reports of its steps.

    :arg plans: whether the cluster may have only a plan.
    :arg host: the host of the cluster; by default, the name in the last report.
    """
    last = next(steps[step] for step in reversed(_STEPS) if step in steps)
    host = host or _label(last)
    cluster = as_text(last.get("cluster_name") or host)
    work = [steps[step] for step in _STEPS[1:] if step in steps] or [last]
    if invalid := next(filter(None, map(_why_invalid, work)), ""):
        return Ended(host, cluster, invalid)
    failures = [_reason(report) for report in work if report["failed"]]
    if undone := "" if plans else _undone(steps):
        failures.insert(0, undone)
    elif set(steps) == {"plan"} and not plans:
        return Ended(host, cluster, ONLY_PLANNED)
    return Ended(
        host,
        cluster,
        "\n".join(dict.fromkeys(failures)),
        last,
        work[0] if plans or "apply" in steps else {},
    )


def _why_invalid(report: Object) -> str:
    """Return the reason why a report does not count, or "". Without the fields of its evaluation, its success is unknown."""
    if report.get("stopped"):
        return _reason(report)
    summary = as_mapping(report.get("summary"))
    counts = [summary.get(name) for name in ("workloads", "passed", "changes", "findings")]
    flags = report.get("failed"), report.get("check_mode")
    is_valid = (
        {"account_id", "region"} <= report.keys()
        and all(isinstance(flag, bool) for flag in flags)
        and all(isinstance(count, int) and not isinstance(count, bool) for count in counts)
    )
    return "" if is_valid else NOT_A_REPORT


def _reason(report: Object) -> str:
    return as_text(report.get("failure") or report.get("headline") or WITHOUT_A_MESSAGE)


def _undone(steps: Mapping[ReportStep, Object]) -> str:
    """Return a message about a plan that failed, or whose changes no job has applied; otherwise ""."""
    plan = steps.get("plan")
    if plan is None or "apply" in steps:
        return ""
    if invalid := _why_invalid(plan):
        return f"{PLAN_STOPPED if plan.get('stopped') else ''}{invalid}"
    number = as_number(member(plan, "summary")["changes"])
    if not number:
        return _reason(plan) if plan["failed"] else ""
    head = f"The plan has {number} change{'' if number == 1 else 's'} that no job reported as done, listed in its output:"
    changes = shown_changes(Ended("", "", "", applied=plan).changes, False, "the output of the plan")
    return "\n".join([head, *changes, NOT_APPLIED])
