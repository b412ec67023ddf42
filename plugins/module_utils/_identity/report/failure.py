# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Why a run failed, in few words: the message of the task that ends it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.text import visible, visible_lines
from ..kubernetes.aws_result import AwsResult
from ..kubernetes.outcome import KubernetesOutcome
from ..model.messages import sentence
from ..model.rows import FailureRow, FindingRow
from .text import SHOWN_FINDINGS, failure_line


def failure_text(aws: AwsResult, kubernetes: KubernetesOutcome, failing: Sequence[FindingRow]) -> str:
    """The cause first: what could not be done, else what the verification found."""
    verb = "removed from" if aws.state == "absent" else "converged in"
    cluster = aws.cluster_arn.rpartition("/")[2]
    place = f"{verb} Kubernetes{f' (cluster {cluster})' if cluster else ''}"
    parts = [aws.message] if aws.failures else []
    if kubernetes.failures:
        parts += _refusals(kubernetes.failures, place)
    if kubernetes.error:
        parts.append(
            f"The service accounts could not be {place}: {sentence(visible(kubernetes.error))} "
            "Resolve that and run again; what was done in AWS stays done."
        )
    return visible_lines("\n".join(parts or map(visible, _findings(failing))))


def _refusals(failures: Sequence[FailureRow], place: str) -> list[str]:
    count = f"{len(failures)} object{'' if len(failures) == 1 else 's'}"
    lines = [
        visible(f"- {failure_line(failure)}: {failure['message']} {failure['remedy']}")
        for failure in failures[:SHOWN_FINDINGS]
    ]
    more = len(failures) - SHOWN_FINDINGS
    if more > 0:
        lines.append(f"- and {more} more, listed in pod_identity_report.failures.")
    return [f"{count} could not be {place}; the others are done:", *lines]


def _findings(failing: Sequence[FindingRow]) -> list[str]:
    lines = [
        f"{finding['workload']}: {finding['message']} {finding['remedy']}".removeprefix(": ")
        for finding in failing[:SHOWN_FINDINGS]
    ]
    more = len(failing) - SHOWN_FINDINGS
    if more > 0:
        lines.append(f"and {more} more, listed in pod_identity_report.findings.")
    return lines
