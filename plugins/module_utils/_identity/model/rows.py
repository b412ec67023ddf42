# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Rows of a result, as modules return them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from ..._findings.finding import Finding
from ..._findings.severities import Severity
from .checks import Check, Status
from .observed import ObservedAssociation

Answer = Mapping[str, Any]


def association_row(found: ObservedAssociation, cluster_name: str) -> dict[str, Any]:
    """An association as modules return it."""
    return {
        "cluster_name": cluster_name,
        "namespace": found.key.namespace,
        "service_account": found.key.service_account,
        "association_id": found.association_id,
        "association_arn": found.association_arn,
        "role_arn": found.role_arn,
        "target_role_arn": found.target_role_arn,
        "external_id": found.external_id,
        "disable_session_tags": found.disable_session_tags,
        "session_policy": found.session_policy,
        "tags": dict(found.tags),
        "owner_arn": found.owner_arn,
        "created_at": found.created_at,
        "modified_at": found.modified_at,
    }


def association_summary(raw: Answer) -> dict[str, Any]:
    """What ListPodIdentityAssociations tells of one association: neither role nor tags."""
    return {
        "cluster_name": raw["clusterName"],
        "namespace": raw["namespace"],
        "service_account": raw["serviceAccount"],
        "association_id": raw["associationId"],
        "association_arn": raw["associationArn"],
        "owner_arn": raw.get("ownerArn") or "",
    }


class FindingRow(TypedDict):
    """``workload`` is "namespace/service account", or empty when the finding concerns them all."""

    code: str
    severity: Severity
    workload: str
    message: str
    remedy: str


class _CheckRow(TypedDict):
    name: str
    status: Status
    detail: str
    codes: list[str]


class CheckRow(_CheckRow, total=False):
    """``codes`` are those of the check's findings. ``follows`` is there only where it says something."""

    follows: list[FindingRow]


def finding_row(finding: Finding) -> FindingRow:
    return {
        "code": finding.code.value,
        "severity": finding.severity,
        "workload": str(finding.workload) if finding.workload else "",
        "message": finding.message,
        "remedy": finding.remedy,
    }


def check_row(check: Check) -> CheckRow:
    row: CheckRow = {
        "name": check.name,
        "status": check.status,
        "detail": check.detail,
        "codes": sorted({finding.code.value for finding in check.findings}),
    }
    if check.follows:
        row["follows"] = [finding_row(finding) for finding in check.follows]
    return row
