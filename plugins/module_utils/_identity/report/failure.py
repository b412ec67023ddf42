# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the error message with which a failed run ends. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import TypeVar, cast

from ..._findings.codes import EXPLAINED, Code
from ..._findings.text import visible, visible_lines, with_remedy
from ..kubernetes.model.aws_result import AwsResult
from ..kubernetes.model.objects import as_text
from ..kubernetes.run.converge import KubernetesOutcome
from ..model.errors import group_by_cause, listed, own_names, sentence
from ..model.rows import FailureRow, FindingRow
from .rows import ReportedFindingRow
from .text import SHOWN_FINDINGS, failure_line

_Row = TypeVar("_Row", bound=FindingRow)


def failure_text(aws: AwsResult, kubernetes: KubernetesOutcome, failing: Sequence[FindingRow]) -> str:
    """Return the reasons why a run failed, as lines of text: its failures and error or, without these, its failing findings.

    :arg failing: the findings that fail the run.
    """
    lines = [aws.message] if aws.failures else []
    if failures := kubernetes.failures:
        groups = group_failures(aws, failures)
        lines.append(
            f"{len(failures)} operation{'' if len(failures) == 1 else 's'} in {_kubernetes_place(aws)} failed:"
        )
        for group in groups[:SHOWN_FINDINGS]:
            finding = group_finding(group)
            lines += with_remedy(visible(f"- {finding['message']}"), visible(finding["remedy"]), "    ")
        lines += _more(sum(map(len, groups[SHOWN_FINDINGS:])), "- ", "failures")
    if kubernetes.error:
        lines.append(" ".join(kubernetes_end(aws, kubernetes.error)))
    if not lines:
        for finding in failing[:SHOWN_FINDINGS]:
            text = f"{finding['workload']}: {finding['message']}".removeprefix(": ")
            lines += map(visible, with_remedy(text, finding["remedy"], "  "))
        lines += _more(len(failing) - SHOWN_FINDINGS, "", "findings")
    return visible_lines("\n".join(lines))


def _more(number: int, start: str, rows: str) -> list[str]:
    return [f"{start}and {number} more, listed in pod_identity_report.{rows}."] if number > 0 else []


def group_failures(aws: AwsResult, failures: Sequence[FailureRow]) -> list[list[FailureRow]]:
    """Group failures with the same cause, so that the message shows each cause once.

    Failures have the same cause if they are equal apart from the names of their objects and workloads.
    """
    objects = {
        f"{row['namespace']}/{row['service_account']}": [
            as_text(row.get("role_arn")),
            *cast("list[str]", row.get("policy_arns") or []),
        ]
        for row in aws.workloads
    }

    def read_names(failure: FailureRow) -> set[str]:
        workload = failure["workload"]
        return own_names([workload], [*failure["name"].split(), *objects.get(workload, ())])

    return group_by_cause(
        failures, itemgetter("resource", "action", "error_code", "message", "remedy"), read_names
    )


def group_finding(group: Sequence[FailureRow]) -> FindingRow:
    """Return failures with the same cause, or a single failure, in the form of a finding.

    The message begins with the actions, like "create role my-role". If the messages of the failures
    differ, it has the first one, with the name of its object.
    """
    first = group[0]
    message = first["message"]
    if any(failure["message"] != message for failure in group):
        message = f"for {first['name']}: {message}"
    lines = list(dict.fromkeys(map(failure_line, group)))
    subject = listed(lines)
    if len(lines) > 1 and first["resource"] != "attachment":
        names = dict.fromkeys(failure["name"] for failure in group)
        subject = f"{first['action']} {first['resource'].replace('_', ' ')} {listed(names)}"
    return {
        "code": first["error_code"],
        "severity": "error",
        "workload": listed(dict.fromkeys(failure["workload"] for failure in group)),
        "message": f"{subject}: {message}",
        "remedy": first["remedy"],
    }


def group_findings(findings: Sequence[ReportedFindingRow]) -> list[ReportedFindingRow]:
    """Return one finding for all findings that differ only in their workloads, which it names."""
    groups = group_by_cause(findings, itemgetter("severity", "code", "message", "remedy"), lambda _row: ())
    return [
        {**group[0], "workload": listed(dict.fromkeys(row["workload"] for row in group))} for group in groups
    ]


def kubernetes_end(aws: AwsResult, error: str) -> tuple[str, str]:
    """Return the message and the remedy for an error that ended the Kubernetes part."""
    return (
        f"The service accounts could not be {'removed from' if aws.state == 'absent' else 'applied to'} "
        f"{_kubernetes_place(aws)}: {sentence(visible(error))}",
        "Resolve the cause and run again; changes in AWS are kept.",
    )


AFTER_FAILURE = "Follow the remedy of the failure of this workload, then run again."


def unexplained(failures: Sequence[FailureRow], findings: Sequence[_Row]) -> list[_Row]:
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


def repair_after(
    failures: Sequence[FailureRow], findings: Sequence[ReportedFindingRow]
) -> list[ReportedFindingRow]:
    """Replace the remedy of a finding whose workload has a failure, if a run without failures would correct the finding.

    The original remedy could do harm. For example, a command that attaches a policy would give permissions although the change
    that restricts them has failed.
    """
    refused = {failure["workload"] for failure in failures if failure["workload"]}
    return [
        {**finding, "remedy": AFTER_FAILURE}
        if finding["workload"] in refused and finding["code"] in EXPLAINED
        else finding
        for finding in findings
    ]


def failure_headline(
    aws: AwsResult,
    failures: Sequence[FailureRow],
    failing: Sequence[FindingRow],
    unknown: Collection[str],
    check_mode: bool,
) -> str:
    """Return the last line of a failed run: how many workloads of the cluster failed, and the codes of failures and findings.

    The lines above it on the screen show the reasons.

    :arg failing: the findings that fail the run.
    :arg unknown: the workloads ("namespace/service_account") whose verification is unknown.
    """
    codes = [failure["error_code"] for failure in failures if failure["error_code"] != Code.SKIPPED]
    codes += [finding["code"] for finding in unexplained(failures, failing)]
    counts = Counter(codes)
    named = ", ".join(f"{code} ({count})" if count > 1 else code for code, count in counts.items())
    return visible(
        f"{_verdict(aws, failures, failing, unknown)}{f': {named}' if named else ''}. The reasons are above."
        f"{' Nothing was changed.' if check_mode else ''}"
    )


def _verdict(
    aws: AwsResult, failures: Sequence[FailureRow], failing: Sequence[FindingRow], unknown: Collection[str]
) -> str:
    """Return a text like "2 of 9 workloads of cluster blue failed, 1 is unknown".

    With ``pod_identity_fail_on: warning`` a warning fails the run, but its workload counts as "has warnings", not as failed.
    """
    place = f" (account {aws.account_id}, region {aws.verification.region})" if aws.account_id else ""
    cluster = f"cluster {aws.cluster}{place}"
    errors = [row for row in failing if row["severity"] == "error"]
    refused = {row["workload"] for row in failures if row["workload"]}
    wrong = refused | {row["workload"] for row in errors if row["workload"]}
    concerned = wrong | {row["workload"] for row in failing if row["workload"]}
    if not concerned or (errors and not wrong):
        return f"{cluster[0].upper()}{cluster[1:]} failed"
    unseen = (concerned & set(unknown)) - refused
    failed = wrong - unseen
    warned = concerned - unseen - failed
    listed_keys = {f"{row['namespace']}/{row['service_account']}" for row in aws.workloads}
    # A purge may have failed to remove unlisted workloads. Then the number of listed workloads is not the total.
    total = f" of {len(listed_keys)}" if concerned <= listed_keys else ""
    parts = [
        (len(failed), "failed"),
        (len(unseen), "is unknown" if len(unseen) == 1 else "are unknown"),
        (len(warned), f"{'has' if len(warned) == 1 else 'have'} warnings (pod_identity_fail_on is warning)"),
    ]
    (count, first), *rest = [part for part in parts if part[0]]
    subject = (
        f"{count}{total} workload{'' if (len(listed_keys) if total else count) == 1 else 's'} of {cluster}"
    )
    return ", ".join([f"{subject} {first}", *(f"{count} {verb}" for count, verb in rest)])


def _kubernetes_place(aws: AwsResult) -> str:
    place = f", account {aws.account_id}, region {aws.verification.region}" if aws.account_id else ""
    return (
        f"Kubernetes (cluster {aws.cluster_arn.rpartition('/')[2]}{place})"
        if aws.cluster_arn
        else "Kubernetes"
    )
