# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Parse the results of eks_pod_identity and eks_pod_identity_info. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias, cast

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.checks import Check, Status
from ...model.rows import FailureRow, parse_finding
from .objects import Object, mapping_of, objects_of, parse_time, text_of

_Findings: TypeAlias = Mapping[tuple["WorkloadKey | None", str], Finding]


@dataclass(frozen=True, slots=True)
class VerifiedWorkload:
    """A workload of a verification. ``row`` is what the module returned, for those who read the report."""

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
    cluster: str
    region: str
    workloads: tuple[VerifiedWorkload, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class AwsResult:
    """``state`` is "present", "absent", or "" for a verification alone.

    ``findings`` are those of the change, beside those of the verification. ``changes`` and ``workloads``
    are rows as the module returned them. ``message`` tells what failed.
    """

    state: str
    cluster: str
    cluster_arn: str
    changes: Sequence[Object]
    workloads: Sequence[Object]
    failures: Sequence[FailureRow]
    findings: tuple[Finding, ...]
    verification: Verification
    message: str = ""
    account_id: str = ""
    caller_arn: str = ""

    @property
    def is_change(self) -> bool:
        return self.state != ""

    def as_planned(self, left_out: Collection[str], now: datetime) -> AwsResult:
        """Return the verification that a plan leads to: associations that it makes are as old as ``now``, without ID.

        :arg left_out: workloads, as "namespace/service account", of which nothing is known before the plan is done.
        """
        failed = {*left_out, *(text_of(row.get("workload")) for row in self.failures)}
        made = {
            text_of(row.get("workload"))
            for row in self.changes
            if row.get("resource") == "association" and row.get("action") in ("create", "replace")
        }
        workloads = tuple(
            replace(one, association_id="", association_created=now, association_modified=None)
            if str(one.key) in made
            else one
            for one in self.verification.workloads
            if str(one.key) not in failed
        )
        return replace(self, verification=replace(self.verification, workloads=workloads))

    @property
    def region(self) -> str:
        """ "" when the result does not say it."""
        return region_of(self.cluster_arn)


def parse_aws_result(result: Object, cluster: str) -> AwsResult:
    """``cluster`` is the name that was asked for; the result of a verification alone does not say it."""
    changing = "changes" in result
    arn = text_of(result.get("cluster_arn"))
    verification = mapping_of(result.get("verification")) if changing else result
    return AwsResult(
        state=(text_of(result.get("state")) or "present") if changing else "",
        cluster=cluster,
        cluster_arn=arn,
        changes=objects_of(result.get("changes")),
        workloads=objects_of(result.get("workloads")),
        failures=parse_failure_rows(result.get("failures")),
        findings=tuple(parse_findings(result.get("findings"), cluster)) if changing else (),
        verification=_verification(verification, cluster, arn),
        message=text_of(result.get("msg")) if result.get("failures") else "",
        account_id=text_of(result.get("account_id")),
        caller_arn=text_of(result.get("caller_arn")),
    )


def region_of(cluster_arn: str) -> str:
    return cluster_arn.split(":")[3] if cluster_arn.count(":") > 3 else ""


def is_pending(aws: AwsResult, changes: Sequence[str], failures: Sequence[FailureRow]) -> bool:
    """Whether a run has something to do, or would fail to do it; ``changes`` and ``failures`` are of Kubernetes."""
    return bool(aws.changes or aws.failures or changes or failures)


def cluster_name_of(result: Object) -> str:
    """The cluster's name as the result itself has it, in the cluster's ARN or with its workloads."""
    names = [text_of(row.get("cluster")) for row in objects_of(result.get("workloads"))[:1]]
    return text_of(result.get("cluster_arn")).rpartition("/")[2] or next(iter(names), "")


def parse_findings(rows: object, cluster: str) -> list[Finding]:
    return [parse_finding(row, cluster) for row in objects_of(rows)]


def parse_checks(rows: object, key: WorkloadKey, cluster: str, findings: _Findings) -> tuple[Check, ...]:
    """A row names the codes of its findings; the findings themselves stand beside the workloads."""
    checks = []
    for row in objects_of(rows):
        codes = row.get("codes")
        own = tuple(
            findings.get((key, code)) or findings.get((None, code)) or Finding(Code(code), "", "", key)
            for code in (codes if isinstance(codes, Sequence) else ())
        )
        checks.append(
            Check(
                text_of(row.get("name")),
                cast(Status, row.get("status")),
                text_of(row.get("detail")),
                own,
                tuple(parse_findings(row.get("follows"), cluster)),
            )
        )
    return tuple(checks)


def by_workload(findings: Iterable[Finding]) -> _Findings:
    return {(finding.workload, finding.code.value): finding for finding in findings}


def parse_failure_rows(rows: object) -> list[FailureRow]:
    return [
        {
            "workload": text_of(row.get("workload")),
            "resource": text_of(row.get("resource")),
            "name": text_of(row.get("name")),
            "action": text_of(row.get("action")),
            "error_code": text_of(row.get("error_code")),
            "message": text_of(row.get("message")),
            "remedy": text_of(row.get("remedy")),
        }
        for row in objects_of(rows)
    ]


def key_of_row(row: Object, cluster: str) -> WorkloadKey:
    return WorkloadKey(cluster, text_of(row.get("namespace")), text_of(row.get("service_account")))


def _verification(result: Object, cluster: str, arn: str) -> Verification:
    findings = tuple(parse_findings(result.get("findings"), cluster))
    known = by_workload(findings)
    arn = text_of(result.get("cluster_arn")) or arn
    return Verification(
        cluster,
        region_of(arn),
        tuple(_workload(row, cluster, known) for row in objects_of(result.get("workloads"))),
        findings,
    )


def _workload(row: Object, cluster: str, findings: _Findings) -> VerifiedWorkload:
    key = key_of_row(row, cluster)
    return VerifiedWorkload(
        key,
        parse_checks(row.get("checks"), key, cluster, findings),
        text_of(row.get("role_arn")),
        text_of(row.get("target_role_arn")),
        text_of(row.get("association_id")),
        parse_time(row.get("association_created_at")),
        row,
        parse_time(row.get("association_modified_at")),
        parse_time(row.get("role_created_at")),
    )
