# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the report of a run from the results of its AWS and Kubernetes parts. Pure.

A report has the rows of workloads, changes and findings, the lines for the screen, the facts that the role asserts ("trust",
"pods", …), and whether the run failed and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

from ..._findings.codes import JUDGED_AGAIN, Code
from ..._findings.finding import Finding, WorkloadKey
from ..kubernetes.model.aws_result import AwsResult, VerifiedWorkload, is_pending
from ..kubernetes.model.objects import Object
from ..kubernetes.run.converge import KubernetesOutcome
from ..model.checks import ACCEPTED, FAIL, PASS, SKIPPED, UNKNOWN, WARNING, Check, Status
from ..model.rows import FailureRow, VerifiedRow, check_row, finding_row
from .approval import digest_changes
from .failure import (
    failure_headline,
    failure_text,
    group_failures,
    group_finding,
    group_findings,
    kubernetes_end,
    repair_after,
    unexplained,
)
from .rows import Facts, Place, Report, ReportedFindingRow, ReportStep, ReportSummary, report_step
from .text import (
    COLUMNS,
    WIDTH,
    WORST_FIRST,
    Note,
    describe_change,
    describe_kubernetes_change,
    report_lines,
    undo_lines,
    with_unchecked,
    worst_of,
)

_FACTS = {check: fact for check, _title, fact in COLUMNS}


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """The settings of a report.

    Findings with a code in ``ignore`` are accepted: they do not fail the run. ``fail_on`` is the lowest severity that fails
    the run. ``time`` is the time of the report in ISO 8601, ``version`` the version of this collection, and ``path`` the
    file to which the report is written, or "". ``expected`` are the changes in Kubernetes for the approval of a plan, and
    ``width`` is the width of the terminal.
    """

    check_mode: bool = False
    ignore: Collection[str] = ()
    fail_on: Literal["error", "warning"] = "error"
    time: str = ""
    version: str = ""
    path: str = ""
    expected: Sequence[Object] = ()
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class Judgement:
    """The checks of each verified workload, and the findings of a run.

    A check has the status "accepted" if the user accepts its findings.
    """

    workloads: Sequence[tuple[VerifiedWorkload, list[Check]]]
    findings: Sequence[Finding]


def judge_run(aws: AwsResult, kubernetes: KubernetesOutcome, ignore: Collection[str]) -> Judgement:
    """Join the checks and findings of the AWS part and the Kubernetes part of a run.

    :arg ignore: the codes of findings that the user accepts.
    """
    follows: list[Finding] = []
    judged: list[tuple[VerifiedWorkload, list[Check]]] = []
    for workload in aws.verification.workloads:
        checks, further = _promote_follows(workload.checks, ignore)
        follows += further
        checks = [*checks, *kubernetes.checks.get(workload.key, ())]
        judged.append((workload, _accepted(_one_agent(checks), ignore)))
    named = {finding for _workload, checks in judged for check in checks for finding in check.findings}
    # The agent may be installed without the EKS add-on. If its Pods were read, a missing add-on is not a finding.
    verified = [
        finding
        for finding in aws.verification.findings
        if not (kubernetes.judges_agent and finding.code == Code.AGENT_MISSING and finding not in named)
    ]
    findings = [*_not_judged_again(aws.findings, verified), *verified, *follows, *kubernetes.findings]
    return Judgement(judged, list(dict.fromkeys(findings)))


def make_report(aws: AwsResult, kubernetes: KubernetesOutcome, settings: ReportSettings) -> Report:
    """Return the report of a run.

    :arg aws: the result of the AWS part, with its verification.
    :arg kubernetes: the result of the Kubernetes part.
    """
    judgement = judge_run(aws, kubernetes, settings.ignore)
    judged, found = judgement.workloads, judgement.findings
    planned: list[Check] = []
    if settings.check_mode and is_pending(aws, kubernetes.changes, kubernetes.failures):
        # In check mode, the checks examine the state that the changes would lead to. A failed check shows an error that would
        # remain, but a passed check does not prove that a workload works.
        planned = [check for _workload, checks in judged for check in checks]
        judged = []
    of_workloads: dict[WorkloadKey, list[Finding]] = {}
    for finding in found:
        if finding.workload is not None:
            of_workloads.setdefault(finding.workload, []).append(finding)
    failures = [*aws.failures, *kubernetes.failures]
    refused = {failure["workload"] for failure in failures}
    rows = [
        _workload_row(
            workload,
            with_unchecked(checks, of_workloads.get(workload.key, ()), settings.ignore),
            str(workload.key) in refused,
        )
        for workload, checks in judged
    ]
    findings = repair_after(failures, [_finding_row(finding, settings.ignore) for finding in found])
    severities = ("error", settings.fail_on)
    failing = [row for row in findings if row["severity"] in severities and not row.get("accepted")]
    # Failed checks without a finding must fail the run by themselves.
    unexplained_checks = any(
        (failed_checks := [check for check in checks if check.status == FAIL])
        and not any(check.findings for check in failed_checks)
        for _workload, checks in judged
    )
    failed = bool(failures or failing or kubernetes.error or unexplained_checks)
    changes = [
        *map(describe_change, aws.changes),
        *map(describe_kubernetes_change, kubernetes.changes),
    ]
    statuses = Counter(row["status"] for row in rows)
    summary: ReportSummary = {
        "workloads": len(aws.workloads),
        "passed": statuses[PASS],
        "failed": statuses[FAIL],
        "warnings": statuses[WARNING],
        "unknown": statuses[UNKNOWN],
        "accepted": statuses[ACCEPTED],
        "changes": len(changes),
        "findings": len(findings),
    }
    unknown = [f"{row['namespace']}/{row['service_account']}" for row in rows if row["status"] == UNKNOWN]
    place: Place = {
        "cluster_name": aws.cluster,
        "cluster_arn": aws.cluster_arn,
        "account_id": aws.account_id,
        "region": aws.verification.region,
        "caller_arn": aws.caller_arn,
    }
    return {
        **place,
        "time": settings.time,
        "version": settings.version,
        "check_mode": settings.check_mode,
        "step": report_step(verifies=not aws.state, check_mode=settings.check_mode),
        "workloads": rows or list(aws.workloads),
        "changes": list(aws.changes),
        "kubernetes_changes": list(kubernetes.changes),
        "change_digests": (
            digest_changes((*aws.changes, *settings.expected)) if settings.check_mode and aws.state else []
        ),
        "findings": findings,
        "failures": failures,
        "summary": summary,
        "verification": _facts(rows, planned, failing, failed=bool(failures or kubernetes.error)),
        "lines": report_lines(
            place,
            aws.state,
            changes if aws.state else None,
            rows,
            summary,
            [*_notes(aws, kubernetes.error, failures, findings)],
            settings.check_mode,
            settings.path,
            min(WIDTH, settings.width),
        )
        # A failed change may have been carried out partly.
        + ([] if settings.check_mode or failures else undo_lines(aws.changes, len(aws.workloads))),
        "failed": failed,
        "failure": failure_text(aws, kubernetes, failing) if failed else "",
        "headline": (
            failure_headline(aws, failures, failing, unknown, settings.check_mode) if failed else ""
        ),
    }


NO_FACTS: Facts = {"done": False, **dict.fromkeys(_FACTS.values(), SKIPPED)}


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
        "change_digests": [],
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


def _facts(
    rows: Sequence[VerifiedRow],
    planned: Sequence[Check],
    failing: Sequence[ReportedFindingRow],
    *,
    failed: bool,
) -> Facts:
    """Return the facts of a report: for each fact the worst status of its checks, over all workloads.

    "done" is true if neither part of the run failed, and the failed checks have all findings that fail the run.

    :arg rows: the verified workloads.
    :arg planned: in check mode, the checks of the state that the changes would lead to. Only those with findings that fail the
        run count.
    :arg failing: the findings that fail the run.
    :arg failed: whether the AWS part or the Kubernetes part failed.
    """
    codes = {row["code"] for row in failing}
    outcomes = [
        (check["name"], check["status"], {*check["codes"]}) for row in rows for check in row["checks"]
    ]
    # In check mode, a check counts only if one of its findings fails the run.
    outcomes += [
        (check.name, check.status, causes)
        for check in planned
        if check.status != ACCEPTED and (causes := codes.intersection(row.code for row in check.findings))
    ]
    statuses: dict[str, set[Status]] = {}
    explained: set[str] = set()
    for name, status, causes in outcomes:
        fails = status == FAIL or (status != ACCEPTED and codes & causes)
        explained |= causes if fails else set()
        statuses.setdefault(_FACTS[name], set()).add(FAIL if fails else status)
    worst: Facts = {
        name: next((status for status in WORST_FIRST if status in statuses.get(name, ())), SKIPPED)
        for name in dict.fromkeys(_FACTS.values())
    }
    return {"done": not failed and codes <= explained, **worst}


def _not_judged_again(planned: Iterable[Finding], verified: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings of the plan, except those that the verification reports again from later and more complete reads."""
    judged = {(finding.workload, finding.code) for finding in verified if finding.code in JUDGED_AGAIN}
    # The plan may not have read the document of an extra policy, which the verification reports as a restriction or as the policy
    # of an administrator.
    judged |= {
        (workload, Code.POLICY_ATTACHED_EXTRA)
        for workload, code in judged
        if code in (Code.POLICY_ADMINISTERS, Code.ROLE_RESTRICTED)
    }
    for finding in planned:
        if (finding.workload, finding.code) not in judged:
            yield finding


def _promote_follows(checks: Sequence[Check], ignore: Collection[str]) -> tuple[list[Check], list[Finding]]:
    """Return the checks of a workload with ``follows`` emptied, and the findings that were moved out of ``follows``.

    A finding in ``follows`` is only a consequence of other findings of the workload. So it is dropped, unless the user accepts
    all of these: then it becomes a finding of its check.
    """
    if not _causes(checks) <= set(ignore):
        return [replace(check, follows=()) for check in checks], []
    promoted = [replace(check, findings=(*check.findings, *check.follows), follows=()) for check in checks]
    return promoted, [finding for check in checks for finding in check.follows]


def _one_agent(checks: Sequence[Check]) -> list[Check]:
    """Join the two checks of the agent, which are from EKS (the add-on) and from Kubernetes (its Pods).

    The worse status counts. If Kubernetes could not be read, only the check from EKS counts. If the add-on is missing, only
    the check from Kubernetes counts, because the agent may be installed without the add-on.
    """
    agents = [check for check in checks if check.name == "agent"]
    if len(agents) < 2:
        return list(checks)
    aws, kubernetes = agents
    if kubernetes.status == UNKNOWN:
        joined = aws
    elif any(finding.code == Code.AGENT_MISSING for finding in aws.findings):
        joined = kubernetes
    else:
        worse = worst_of(aws, kubernetes)
        findings = (*aws.findings, *kubernetes.findings)
        joined = replace(worse, detail=worse.detail or kubernetes.detail, findings=findings)
    return [*(check for check in checks if check.name != "agent"), joined]


def _causes(checks: Sequence[Check]) -> set[Code]:
    """Return the codes of the findings of failed and unknown checks. Failed checks without findings follow from them."""
    return {finding.code for check in checks if check.status in (FAIL, UNKNOWN) for finding in check.findings}


def _accepted(checks: Sequence[Check], ignore: Collection[str]) -> list[Check]:
    """Return the checks of a workload with the status that each has without its accepted findings.

    A failed check without findings follows from other checks, so it is accepted if the user accepts all findings of failed and
    unknown checks.
    """
    codes = _causes(checks)
    excused = bool(codes) and codes <= set(ignore)
    return [replace(check, status=_status_after(check, excused, ignore)) for check in checks]


def _status_after(check: Check, excused: bool, ignore: Collection[str]) -> Status:
    """Return the status of a check without its accepted findings: "accepted" if it has no other findings, and "warning" if
    errors were accepted and no error is left.

    :arg excused: whether the user accepts all findings of failed and unknown checks of the workload.
    """
    if check.status in (PASS, SKIPPED):
        return check.status
    left = [finding for finding in check.findings if finding.code not in ignore]
    if not left:
        return ACCEPTED if check.findings or excused else check.status
    has_accepted_error = any(
        finding.severity == "error" for finding in check.findings if finding.code in ignore
    )
    if check.status == FAIL and has_accepted_error and all(finding.severity != "error" for finding in left):
        return WARNING
    return check.status


def _workload_row(workload: VerifiedWorkload, checks: Sequence[Check], refused: bool) -> VerifiedRow:
    """Return the row of a workload. It fails if a change of the workload was refused, whatever its checks found."""
    statuses: set[Status] = {FAIL} if refused else {check.status for check in checks}
    return cast(
        VerifiedRow,
        {
            **workload.row,
            "checks": [check_row(check) for check in checks],
            "status": next((status for status in WORST_FIRST if status in statuses), PASS),
        },
    )


def _finding_row(finding: Finding, ignore: Collection[str]) -> ReportedFindingRow:
    row = cast(ReportedFindingRow, finding_row(finding))
    if finding.code in ignore:
        row["accepted"] = True
    return row


def _notes(
    aws: AwsResult, error: str, failures: Sequence[FailureRow], findings: Sequence[ReportedFindingRow]
) -> Iterator[Note]:
    """Yield the failures and findings to show below the table of workloads.

    :arg error: the error that ended the Kubernetes part, or "".
    """
    if error:
        message, remedy = kubernetes_end(aws, error)
        yield (
            "failed",
            {"code": "", "severity": "error", "workload": "", "message": message, "remedy": remedy},
        )
    refused = [failure for failure in failures if failure["error_code"] != Code.SKIPPED]
    yield from (("failed", group_finding(group)) for group in group_failures(aws, refused))
    for row in group_findings(unexplained(failures, findings)):
        yield "accepted" if row.get("accepted") else row["severity"], row
