# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Members of a report, a contract with other playbooks and AWX. Pure."""

from __future__ import annotations

from typing import Literal, TypedDict

from ..kubernetes.model.objects import Object
from ..model.rows import FailureRow, FindingRow, VerifiedRow

# In the order of a workflow. A plan is a run in check mode, an apply is a converge or a teardown.
ReportStep = Literal["plan", "apply", "verify"]


def report_step(*, verifies: bool, check_mode: bool) -> ReportStep:
    """Return the step of a workflow that a run is. A verification is one in check mode, too."""
    if verifies:
        return "verify"
    return "plan" if check_mode else "apply"


class ReportedFindingRow(FindingRow, total=False):
    """A finding of a report. ``accepted`` is missing if it is false."""

    accepted: bool


class Place(TypedDict):
    """The cluster, account and caller of a run; "" for missing parts."""

    cluster_name: str
    cluster_arn: str
    account_id: str
    region: str
    caller_arn: str


class ReportSummary(TypedDict):
    """Counts: of workloads by their status, of changes in AWS and Kubernetes, of findings."""

    workloads: int
    passed: int
    failed: int
    warnings: int
    unknown: int
    accepted: int
    changes: int
    findings: int


class Facts(TypedDict):
    """The verification by name. ``done``: every failure is in one of the other fields.

    The other fields are "fail" if a check of a workload fails the run, else the worst of "unknown", "warning", "accepted" and
    "pass" of all workloads, and "skipped" without such checks.
    """

    done: bool
    trust: str
    attachment: str
    contents: str
    association: str
    service_account: str
    agent: str
    pods: str


class Report(Place):
    """The report of a run. ``lines`` are for the screen; ``failure`` has the reasons of a failure, ``headline`` its codes in one
    line; both are "" for success.

    ``time`` is in ISO 8601, ``version`` the version of this collection. ``workloads`` are rows of eks_pod_identity without a
    verification.
    """

    time: str
    version: str
    check_mode: bool
    step: ReportStep
    workloads: list[VerifiedRow] | list[Object]
    changes: list[Object]
    kubernetes_changes: list[str]
    findings: list[ReportedFindingRow]
    failures: list[FailureRow]
    summary: ReportSummary
    verification: Facts
    lines: list[str]
    failed: bool
    failure: str
    headline: str


class NoteRow(TypedDict):
    """A row below the table. ``label`` is the severity, "accepted", or "failed"."""

    label: str
    code: str
    workload: str
    message: str
    remedy: str
