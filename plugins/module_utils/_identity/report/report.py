# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make the report of a run from the results of its AWS and Kubernetes parts. Pure.

A report has the rows of workloads, changes and findings, the lines for the screen, the facts that the role asserts ("trust",
"pods", …), and whether the run failed and why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal, cast

from ..._findings.codes import EXPLAINED, JUDGED_AGAIN, Code
from ..._findings.finding import Finding, WorkloadKey
from ..._findings.text import visible, visible_lines, with_remedy
from ..kubernetes.model.aws_result import AwsResult, VerifiedWorkload, is_pending
from ..kubernetes.model.objects import Object
from ..kubernetes.run.converge import KubernetesOutcome
from ..model.checks import (
    ACCEPTED,
    FAIL,
    PASS,
    SKIPPED,
    UNKNOWN,
    WARNING,
    Check,
    Status,
    join_checks,
    worst,
)
from ..model.errors import group_by_cause, listed, sentence
from ..model.rows import FailureRow, FindingRow, VerifiedRow, check_row, finding_row
from ..run.result import failure_lines, group_failures, workload_row
from .approval import digest_changes
from .rows import (
    OPTION_PREFIX,
    Facts,
    Place,
    Report,
    ReportStep,
    ReportSummary,
    report_step,
)
from .text import (
    COLUMNS,
    SHOWN_FINDINGS,
    WIDTH,
    describe_change,
    describe_kubernetes_change,
    report_lines,
    undo_lines,
    with_unchecked,
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
        checks: Sequence[Check] = workload.checks
        # A finding in ``follows`` is only a consequence of other findings of the workload. It counts if the user accepts these.
        if _causes(checks) <= set(ignore):
            follows += [finding for check in checks for finding in check.follows]
            checks = [replace(check, findings=(*check.findings, *check.follows)) for check in checks]
        checks = _one_agent(
            [*(replace(check, follows=()) for check in checks), *kubernetes.checks.get(workload.key, ())]
        )
        # A failed check without findings follows from other checks.
        causes = _causes(checks)
        excused = bool(causes) and causes <= set(ignore)
        judged.append(
            (workload, [replace(check, status=_status_after(check, excused, ignore)) for check in checks])
        )
    named = {finding for _workload, checks in judged for check in checks for finding in check.findings}
    # The agent may be installed without the EKS add-on. If its Pods were read, a missing add-on is not a finding.
    verified = [
        finding
        for finding in aws.verification.findings
        if not (kubernetes.judges_agent and finding.code == Code.AGENT_MISSING and finding not in named)
    ]
    # The verification reports some findings of the plan again, from later and more complete reads.
    again = {(finding.workload, finding.code) for finding in verified if finding.code in JUDGED_AGAIN}
    # The plan may not have read the document of an extra policy, which the verification reports as a restriction or as the policy
    # of an administrator.
    again |= {
        (workload, Code.POLICY_ATTACHED_EXTRA)
        for workload, code in again
        if code in (Code.POLICY_ADMINISTERS, Code.ROLE_RESTRICTED)
    }
    planned = (finding for finding in aws.findings if (finding.workload, finding.code) not in again)
    findings = [*planned, *verified, *follows, *kubernetes.findings]
    return Judgement(judged, list(dict.fromkeys(findings)))


def make_report(aws: AwsResult, kubernetes: KubernetesOutcome, settings: ReportSettings) -> Report:
    """Return the report of a run.

    :arg aws: the result of the AWS part, with its verification.
    :arg kubernetes: the result of the Kubernetes part.
    """
    judgement = judge_run(aws, kubernetes, settings.ignore)
    judged, found = judgement.workloads, judgement.findings
    # In check mode, the checks examine the state that the changes would lead to. A failed check shows an error that would remain,
    # but a passed check does not prove that a workload works.
    pending = settings.check_mode and is_pending(aws, kubernetes.changes, kubernetes.failures)
    of_workloads: dict[WorkloadKey | None, list[Finding]] = {}
    for finding in found:
        of_workloads.setdefault(finding.workload, []).append(finding)
    failures = [*aws.failures, *kubernetes.failures]
    refused = {failure["workload"] for failure in failures} - {""}
    verified = [
        (workload, with_unchecked(checks, of_workloads.get(workload.key, ()), settings.ignore))
        for workload, checks in ([] if pending else judged)
    ]
    rows = [
        cast(
            VerifiedRow,
            {
                **workload.row,
                "checks": [check_row(check) for check in checks],
                # A workload with a refused change fails, whatever its checks found.
                "status": FAIL if str(workload.key) in refused else worst(check.status for check in checks),
            },
        )
        for workload, checks in verified
    ]
    findings = [_finding_row(finding, settings.ignore, refused) for finding in found]
    severities = ("error", settings.fail_on)
    failing = [row for row in findings if row["severity"] in severities and not row.get("accepted")]
    # Failed checks without a finding must fail the run by themselves.
    unexplained_checks = any(
        not pending
        and (failed_checks := [check for check in checks if check.status == FAIL])
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
    unknown = {f"{row['namespace']}/{row['service_account']}" for row in rows if row["status"] == UNKNOWN}
    verdict = _verdict(aws, refused, failing, unknown) if failed else ""
    attempted = [row for row in failures if row["error_code"] != Code.SKIPPED]
    causes = group_failures(attempted or failures, aws.workloads)
    if kubernetes.error:
        causes.insert(0, _kubernetes_end(aws, kubernetes.error))
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
        "workloads": rows or list(map(workload_row, aws.workloads)),
        "changes": list(aws.changes),
        "kubernetes_changes": list(kubernetes.changes),
        "change_digests": (
            digest_changes((*aws.changes, *settings.expected)) if settings.check_mode and aws.state else []
        ),
        "findings": findings,
        "failures": failures,
        "summary": summary,
        "verification": _facts(
            [check for _workload, checks in (judged if pending else verified) for check in checks],
            failing,
            planned=pending,
            failed=bool(failures or kubernetes.error),
        ),
        "lines": report_lines(
            place,
            aws.state,
            changes if aws.state else None,
            rows,
            summary,
            causes,
            group_findings(unexplained(failures, findings)),
            settings.check_mode,
            settings.path,
            min(WIDTH, settings.width),
        )
        # A failed change may have been carried out partly.
        + ([] if settings.check_mode or failures else undo_lines(aws.changes, len(aws.workloads))),
        "failed": failed,
        "failure": _failure_text(verdict, causes, failing),
        "headline": _headline(verdict, failures, failing, settings.check_mode) if failed else "",
    }


NO_FACTS: Facts = {"done": False, **dict.fromkeys(_FACTS.values(), SKIPPED)}


def stopped_report(
    place: Place, message: str, time: str, version: str, check_mode: bool, step: ReportStep
) -> Report:
    """Return a report for a run that failed before it could make its report.

    :arg place: the cluster; unknown parts are "".
    :arg message: the reason, or "".
    """
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
        "headline": next(iter(message.splitlines()), ""),
    }


def _facts(checks: Iterable[Check], failing: Sequence[FindingRow], *, planned: bool, failed: bool) -> Facts:
    """Return the facts of a report: for each fact the worst status of its checks, over all workloads.

    "done" is true if neither part of the run failed, and the failed checks have all findings that fail the run.

    :arg failing: the findings that fail the run.
    :arg planned: whether the checks are of the state that the changes would lead to. Only those with findings that fail the run
        count.
    :arg failed: whether the AWS part or the Kubernetes part failed.
    """
    codes = {row["code"] for row in failing}
    statuses: dict[str, set[Status]] = {}
    explained: set[str] = set()
    for check in checks:
        causes = {finding.code for finding in check.findings}
        fails = check.status != ACCEPTED and not codes.isdisjoint(causes)
        if not planned:
            fails = fails or check.status == FAIL
        if fails:
            explained |= causes
        if fails or not planned:
            statuses.setdefault(_FACTS[check.name], set()).add(FAIL if fails else check.status)
    facts: Facts = {name: worst(statuses.get(name, (SKIPPED,))) for name in dict.fromkeys(_FACTS.values())}
    return {"done": not failed and codes <= explained, **facts}


def _one_agent(checks: Sequence[Check]) -> list[Check]:
    """Join the two checks of the agent, which are from EKS (the add-on) and from Kubernetes (its Pods).

    The worse status counts. If Kubernetes could not be read, only the check from EKS counts. If the add-on is missing, only
    the check from Kubernetes counts, because the agent may be installed without the add-on.
    """
    agents = [check for check in checks if check.name == "agent"]
    if len(agents) < 2:
        return list(checks)
    aws, kubernetes = agents
    joined = replace(join_checks("agent", agents), detail=aws.detail or kubernetes.detail)
    if kubernetes.status == UNKNOWN:
        joined = aws
    elif any(finding.code == Code.AGENT_MISSING for finding in aws.findings):
        joined = kubernetes
    return [*(check for check in checks if check.name != "agent"), joined]


def _causes(checks: Sequence[Check]) -> set[Code]:
    """Return the codes of the findings of failed and unknown checks. Failed checks without findings follow from them."""
    return {finding.code for check in checks if check.status in (FAIL, UNKNOWN) for finding in check.findings}


def _status_after(check: Check, excused: bool, ignore: Collection[str]) -> Status:
    """Return the status of a check without its accepted findings: "accepted" if it has no other findings, and "warning" if
    errors were accepted and no error is left.

    :arg excused: whether the user accepts all findings of failed and unknown checks of the workload.
    """
    if check.status in (PASS, SKIPPED):
        return check.status
    if all(finding.code in ignore for finding in check.findings):
        return ACCEPTED if check.findings or excused else check.status
    errors = {finding.code for finding in check.findings if finding.severity == "error"}
    return WARNING if check.status == FAIL and errors and errors <= set(ignore) else check.status


AFTER_FAILURE = "Follow the remedy of the failure of this workload, then run again."


def _finding_row(finding: Finding, ignore: Collection[str], refused: Collection[str]) -> FindingRow:
    """Return the row of a finding.

    If its workload has a failure, and a run without failures would correct the finding, the row has another remedy. The original
    remedy could do harm. For example, a command that attaches a policy would give permissions although the change that restricts
    them has failed.

    :arg refused: the workloads with a failure.
    """
    row = finding_row(finding, OPTION_PREFIX)
    if row["workload"] in refused and finding.code in EXPLAINED:
        row["remedy"] = AFTER_FAILURE
    if finding.code in ignore:
        row["accepted"] = True
    return row


def unexplained(failures: Sequence[FailureRow], findings: Sequence[FindingRow]) -> list[FindingRow]:
    """Return the findings that do not follow from a failure.

    A finding follows from a failure of its workload if a run without failures would correct it (see EXPLAINED), or if both have
    the same code.
    """
    refused = {failure["workload"] for failure in failures if failure["workload"]}
    # The verification repeats a failed read of the plan.
    reasons = {
        (failure["workload"], code)
        for failure in failures
        for code in (failure["error_code"], *([Code.NOT_READABLE] if failure["action"] == "read" else []))
    }
    return [
        finding
        for finding in findings
        if finding["workload"] not in refused
        or (finding["code"] not in EXPLAINED and (finding["workload"], finding["code"]) not in reasons)
    ]


def group_findings(findings: Sequence[FindingRow]) -> list[FindingRow]:
    """Return one finding for all findings that differ only in their workloads, which it names."""
    groups = group_by_cause(findings, itemgetter("severity", "code", "message", "remedy"), lambda _row: ())
    return [
        {**group[0], "workload": listed(dict.fromkeys(row["workload"] for row in group))} for group in groups
    ]


def _kubernetes_end(aws: AwsResult, error: str) -> FindingRow:
    """Return the failure of a run whose Kubernetes part was ended by an error."""
    return {
        "code": "",
        "severity": "error",
        "workload": "",
        "message": (
            f"The service accounts could not be {'removed from' if aws.state == 'absent' else 'applied to'} "
            f"Kubernetes of {_place(aws)}: {sentence(visible(error))}"
        ),
        "remedy": "Resolve the cause and run again; completed changes in AWS are kept.",
    }


def _place(aws: AwsResult) -> str:
    place = f" (account {aws.account_id}, region {aws.verification.region})" if aws.account_id else ""
    return f"cluster {aws.cluster}{place}"


def _failure_text(verdict: str, causes: Sequence[FindingRow], failing: Sequence[FindingRow]) -> str:
    """Return the reasons why a run failed, as lines of text: its failures or, without these, the findings that fail it.

    :arg causes: the failures by cause.
    """
    if causes:
        lines = [f"{verdict}:", *failure_lines(causes, "pod_identity_report.failures")]
        return visible_lines("\n".join(lines))
    lines = []
    for finding in failing[:SHOWN_FINDINGS]:
        text = f"{finding['workload']}: {finding['message']}".removeprefix(": ")
        lines += with_remedy(text, finding["remedy"], "  ")
    if (more := len(failing) - SHOWN_FINDINGS) > 0:
        lines.append(f"and {more} more, listed in pod_identity_report.findings.")
    return visible_lines("\n".join(lines))


def _headline(
    verdict: str, failures: Sequence[FailureRow], failing: Sequence[FindingRow], check_mode: bool
) -> str:
    """Return the last line of a failed run: its verdict, and the codes of failures and findings.

    The lines above it on the screen show the reasons.
    """
    codes = [failure["error_code"] for failure in failures if failure["error_code"] != Code.SKIPPED]
    codes += [finding["code"] for finding in unexplained(failures, failing)]
    named = ", ".join(f"{code} ({count})" if count > 1 else code for code, count in Counter(codes).items())
    return visible(
        f"{verdict}{f': {named}' if named else ''}. The reasons are above."
        f"{' Nothing was changed.' if check_mode else ''}"
    )


def _verdict(
    aws: AwsResult, refused: Collection[str], failing: Sequence[FindingRow], unknown: Collection[str]
) -> str:
    """Return a text like "2 of 9 workloads of cluster blue failed, 1 is unknown".

    With ``pod_identity_fail_on: warning`` a warning fails the run, but its workload counts as "has warnings", not as failed.

    :arg refused: the workloads with a failure.
    :arg unknown: the workloads whose verification is unknown.
    """
    statuses = {row["workload"]: WARNING for row in failing}
    statuses |= {row["workload"]: FAIL for row in failing if row["severity"] == "error"}
    of_cluster = statuses.pop("", PASS)
    statuses |= dict.fromkeys(statuses.keys() & unknown, UNKNOWN)
    statuses |= dict.fromkeys(refused, FAIL)
    cluster, counts = _place(aws), Counter(statuses.values())
    if not statuses or (of_cluster == FAIL and counts[WARNING] == len(statuses)):
        return f"{cluster[0].upper()}{cluster[1:]} failed"
    names = {f"{row['namespace']}/{row['service_account']}" for row in aws.workloads}
    # A purge may have failed to remove unlisted workloads. Then the number of listed workloads is not the total.
    total = f" of {len(names)}" if statuses.keys() <= names else ""
    parts = [
        (counts[FAIL], "failed"),
        (counts[UNKNOWN], "is unknown" if counts[UNKNOWN] == 1 else "are unknown"),
        (
            counts[WARNING],
            f"{'has' if counts[WARNING] == 1 else 'have'} warnings (pod_identity_fail_on is warning)",
        ),
    ]
    (count, first), *rest = [part for part in parts if part[0]]
    plural = "" if (len(names) if total else count) == 1 else "s"
    return ", ".join(
        [
            f"{count}{total} workload{plural} of {cluster} {first}",
            *(f"{count} {verb}" for count, verb in rest),
        ]
    )
