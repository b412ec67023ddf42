# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of the AWS part of a run, for the Kubernetes part and the report. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import Check
from ...model.rows import FailureRow
from .objects import Object, as_mapping, as_objects, as_text, parse_time


@dataclass(frozen=True, slots=True)
class VerifiedWorkload:
    """A workload of a verification. ``row`` is its row in the result, which the report shows.

    ``association_id`` is "" if the association does not exist. A time is None if it is unknown.
    """

    key: WorkloadKey
    checks: tuple[Check, ...]
    role_arn: str
    target_role_arn: str
    association_id: str
    association_created: datetime | None
    row: Object
    association_modified: datetime | None = None
    role_created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """The AWS part of a verification. ``cluster`` is the name of the cluster. ``region`` is "" if it is unknown."""

    cluster: str
    region: str
    workloads: tuple[VerifiedWorkload, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class AwsResult:
    """The result of the AWS part of a run.

    ``state`` is "present" or "absent", or "" for a verification without changes; check mode makes no difference. ``findings`` are
    the findings of the plan, and ``verification`` has its own findings. ``changes`` and ``workloads`` are rows of the result of
    the module.
    """

    state: str
    cluster: str
    cluster_arn: str
    changes: Sequence[Object]
    workloads: Sequence[Object]
    failures: Sequence[FailureRow]
    findings: tuple[Finding, ...]
    verification: Verification
    account_id: str = ""
    caller_arn: str = ""

    def as_planned(self, unpredictable: Collection[str], now: datetime) -> AwsResult:
        """Return the result of a run in check mode as it would be after the planned changes.

        An association that the run would create gets the creation time ``now`` and no ID. Failed workloads are left
        out.

        :arg unpredictable: further workloads, as "namespace/service_account", to leave out.
        """
        failed = {*unpredictable, *(as_text(row.get("workload")) for row in self.failures)}
        planned = {
            as_text(row.get("workload"))
            for row in self.changes
            if row.get("resource") == "association" and row.get("action") == "create"
        }
        workloads = tuple(
            replace(workload, association_id="", association_created=now, association_modified=None)
            if str(workload.key) in planned
            else workload
            for workload in self.verification.workloads
            if str(workload.key) not in failed
        )
        return replace(self, verification=replace(self.verification, workloads=workloads))


def parse_aws_result(result: Object, cluster: str) -> AwsResult:
    """Take over the result of ``change_cluster`` or ``verify_cluster`` for the cluster with this name."""
    changing = "changes" in result
    verified = as_mapping(result.get("verification")) if changing else result
    arn = as_text(result.get("cluster_arn"))
    verification = Verification(
        cluster,
        arn_region(as_text(verified.get("cluster_arn")) or arn),
        tuple(
            VerifiedWorkload(
                WorkloadKey(cluster, as_text(row.get("namespace")), as_text(row.get("service_account"))),
                tuple(cast("Sequence[Check]", row.get("checks") or ())),
                as_text(row.get("role_arn")),
                as_text(row.get("target_role_arn")),
                as_text(row.get("association_id")),
                parse_time(row.get("association_created_at")),
                row,
                parse_time(row.get("association_modified_at")),
                parse_time(row.get("role_created_at")),
            )
            for row in as_objects(verified.get("workloads"))
        ),
        _findings(verified),
    )
    return AwsResult(
        state=(as_text(result.get("state")) or "present") if changing else "",
        cluster=cluster,
        cluster_arn=arn,
        changes=as_objects(result.get("changes")),
        workloads=as_objects(result.get("workloads")),
        failures=cast("Sequence[FailureRow]", as_objects(result.get("failures"))),
        findings=_findings(result) if changing else (),
        verification=verification,
        account_id=as_text(result.get("account_id")),
        caller_arn=as_text(result.get("caller_arn")),
    )


def _findings(result: Object) -> tuple[Finding, ...]:
    return tuple(cast("Sequence[Finding]", result.get("findings") or ()))


def arn_region(cluster_arn: str) -> str:
    """Return the region in the ARN of a cluster, or "" for an invalid ARN."""
    return "".join(cluster_arn.split(":")[3:4])


def is_pending(aws: AwsResult, changes: Sequence[str], failures: Sequence[FailureRow]) -> bool:
    """Return whether a run in check mode found changes or failures, in AWS or in Kubernetes.

    :arg changes: the changes of the Kubernetes part.
    :arg failures: the failures of the Kubernetes part.
    """
    return bool(aws.changes or aws.failures or changes or failures)
