# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows in the results of modules. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypedDict

from ..._findings.codes import CheckName, Severity
from ..._findings.finding import Finding
from ..._findings.text import visible, with_option_names
from .associations import ObservedAssociation
from .checks import Check, Status


class FailureRow(TypedDict):
    """A failure. ``workload`` is "" for a failure of a namespace, an add-on, or a role or policy without a workload.

    For AWS, ``resource`` and ``action`` are those of the failed change or read. For Kubernetes, ``resource`` is the kind of the
    object, and ``action`` is a verb like "apply" or "remove".
    """

    workload: str
    resource: str
    name: str
    action: str
    error_code: str
    message: str
    remedy: str


class WorkloadFacts(TypedDict):
    """A workload with its AWS resources. The fields of the association are empty if the workload has no association."""

    cluster: str
    namespace: str
    service_account: str
    role_arn: str
    policy_arns: list[str]
    association_id: str
    association_created_at: str
    association_modified_at: str
    association_arn: str
    target_role_arn: str
    external_id: str


class _FindingRow(TypedDict):
    code: str
    severity: Severity
    workload: str
    message: str
    remedy: str


class FindingRow(_FindingRow, total=False):
    """A finding. ``workload`` is "namespace/service_account", or empty for the whole run.

    The key ``accepted`` is only in a report, for a finding that the user accepts.
    """

    accepted: bool


class _CheckRow(TypedDict):
    name: CheckName
    status: Status
    detail: str
    codes: list[str]


class CheckRow(_CheckRow, total=False):
    """A check. ``codes`` are the codes of its findings.

    ``follows`` has findings that are consequences of findings of other checks (see ``Check``). Without such findings, the key
    is missing.
    """

    follows: list[FindingRow]


class VerifiedRow(WorkloadFacts):
    """A verified workload.

    ``status`` is the worst status of its checks. ``role_created_at`` is "" if the role does not exist or was not read.
    """

    role_created_at: str
    status: Status
    checks: list[CheckRow]


class VerificationSummary(TypedDict):
    """Counts of a verification: the workloads, in total and by their status, and the findings."""

    workloads: int
    passed: int
    failed: int
    warnings: int
    unknown: int
    findings: int


# A row that no code of this collection reads. The documentation of the modules has its keys.
Row: TypeAlias = "dict[str, Any]"


def association_row(association: ObservedAssociation) -> Row:
    """Return an association with all its fields."""
    return {
        "cluster_name": association.key.cluster,
        "namespace": association.key.namespace,
        "service_account": association.key.service_account,
        "association_id": association.association_id,
        "association_arn": association.association_arn,
        "role_arn": association.role_arn,
        "target_role_arn": association.target_role_arn,
        "external_id": association.external_id,
        "disable_session_tags": association.disable_session_tags,
        "session_policy": association.session_policy,
        "tags": dict(association.tags),
        "owner_arn": association.owner_arn,
        "created_at": association.created_at,
        "modified_at": association.modified_at,
    }


def association_summary(raw: Mapping[str, Any]) -> Row:
    """Return an association of ListPodIdentityAssociations, without role and tags."""
    return {
        "cluster_name": raw["clusterName"],
        "namespace": raw["namespace"],
        "service_account": raw["serviceAccount"],
        "association_id": raw["associationId"],
        "association_arn": raw["associationArn"],
        "owner_arn": raw.get("ownerArn") or "",
    }


def finding_row(finding: Finding, prefix: str = "") -> FindingRow:
    """Return a finding as a row. ``prefix`` is the prefix of the option names, as for ``with_option_names``."""
    return {
        "code": finding.code.value,
        "severity": finding.severity,
        "workload": str(finding.workload or ""),
        "message": visible(str(with_option_names(finding.message, prefix))),
        "remedy": visible(str(with_option_names(finding.remedy, prefix))),
    }


def check_row(check: Check) -> CheckRow:
    row: CheckRow = {
        "name": check.name,
        "status": check.status,
        "detail": visible(check.detail),
        "codes": sorted({finding.code.value for finding in check.findings}),
    }
    if check.follows:
        row["follows"] = [finding_row(finding) for finding in check.follows]
    return row
