# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Types of the rows and fields of a report. Playbooks of users and AWX workflows use the keys, so do not rename them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, TypedDict

from ..kubernetes.model.objects import Object
from ..model.checks import Status
from ..model.rows import FailureRow, FindingRow, VerificationSummary, VerifiedRow

# The prefix of the options in messages, as variables of the role.
OPTION_PREFIX = "pod_identity_"
# The steps of a workflow, in order: a run in check mode, a run that may make changes, and a verification.
ReportStep = Literal["plan", "apply", "verify"]


def report_step(*, verifies: bool, check_mode: bool) -> ReportStep:
    """Return the step of a workflow that a run performs. A verification is the step "verify", also in check mode."""
    return "verify" if verifies else "plan" if check_mode else "apply"


class Place(TypedDict):
    """The cluster, account, region and caller of a run; "" for missing parts."""

    cluster_name: str
    cluster_arn: str
    account_id: str
    region: str
    caller_arn: str


class ReportSummary(VerificationSummary):
    """The numbers of workloads, in total and by status, of changes in AWS and Kubernetes, and of findings."""

    accepted: int
    changes: int


# The facts that the role asserts, each with the worst status of its checks over all workloads (``COLUMNS`` in text.py).
# A status is "fail", "unknown", "warning", "accepted", "pass", or "skipped" if no check of the fact was performed. With
# ``pod_identity_fail_on: warning``, a warning counts as "fail". A plan with changes has only "fail" and "skipped". ``done`` is
# false if a change or read failed, if the run ended early, or if a finding fails the run without failing another fact.
Facts: TypeAlias = Mapping[str, bool | Status]


class Report(Place):
    """The report of a run.

    ``lines`` are for the screen. For a failed run, ``failure`` has the reasons, and ``headline`` is a summary in one line; both
    are "" for a run that succeeded. ``time`` is in ISO 8601, ``version`` is the version of this collection. ``workloads`` are the
    verified workloads or, if none is verified, the workloads in the result of the module ``eks_pod_identity``.
    ``change_digests`` are the digests of a plan (see ``approval.py``), and otherwise empty.
    """

    time: str
    version: str
    check_mode: bool
    step: ReportStep
    workloads: list[VerifiedRow] | list[Object]
    changes: list[Object]
    kubernetes_changes: list[str]
    change_digests: list[str]
    findings: list[FindingRow]
    failures: list[FailureRow]
    summary: ReportSummary
    verification: Facts
    lines: list[str]
    failed: bool
    failure: str
    headline: str
