# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report a migration from IRSA: rows of service accounts, lines for the screen, and the verdict. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._findings.text import table, visible
from ..kubernetes.model.objects import format_time
from ..model.cluster import Cluster, describe_place
from ..model.errors import listed
from ..model.migration import STAGES, STEPS, Migrant, MigrationGroup, MigrationOptions
from ..model.rows import FailureRow, Row, finding_row
from ..run.result import group_failures
from .report import group_findings
from .rows import OPTION_PREFIX
from .text import (
    SHOWN_ROWS,
    describe_kubernetes_change,
    in_order,
    natural,
    note_lines,
    place_lines,
    shown_changes,
)

_ALL = "; pod_identity_report_file writes all to a file"


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """The report of a migration.

    ``migrants`` are the selected service accounts as they are now. ``changes`` has a line for each change. ``findings`` has
    the findings of the runs, in addition to the findings of the service accounts. ``waiting`` has the service accounts whose
    soak time is not over, each with the end of that time, or None if it is unknown. ``ignore`` are codes of blockers that the
    user accepts. ``stopped`` is the reason why the run ended early, or "". ``kept`` are service accounts with an association
    that a rollback keeps. ``failed`` are service accounts with a failure, with a finding of severity "error", or without proof
    that new Pods get the role. ``groups`` are the groups of the run. ``expected`` has, in check mode, the
    stage that each service account would reach.
    """

    cluster: Cluster
    options: MigrationOptions
    migrants: Sequence[Migrant]
    changes: Sequence[str] = ()
    failures: Sequence[FailureRow] = ()
    findings: Sequence[Finding] = ()
    waiting: Mapping[WorkloadKey, datetime | None] = field(default_factory=dict)
    check_mode: bool = False
    stopped: str = ""
    ignore: Collection[str] = ()
    kept: Collection[WorkloadKey] = ()
    failed: Collection[WorkloadKey] = ()
    groups: Sequence[MigrationGroup] = ()
    expected: Mapping[WorkloadKey, str] = field(default_factory=dict)

    @property
    def unreached(self) -> list[Migrant]:
        """Return the service accounts that failed, lack access or have not reached the step.

        Service accounts whose blockers are all accepted are left out.

        In a rollback, return the service accounts that still use EKS Pod Identity and are not in ``kept``.
        """
        if self.options.rollback:
            return [
                migrant
                for migrant in self.migrants
                if migrant.key not in self.kept
                and (
                    migrant.key in self.failed
                    or self.reaches(migrant) != "irsa"
                    or (migrant.pods.agent and not self.check_mode)
                )
            ]
        step = STEPS.index(self.options.step)
        return [
            migrant
            for migrant in self.migrants
            if (
                migrant.key in self.failed
                or migrant.lacks_access
                or STAGES.index(self.reaches(migrant)) < step
            )
            and not self._is_accepted(migrant)
        ]

    def reaches(self, migrant: Migrant) -> str:
        """Return the stage that a service account would reach; without check mode, its present stage."""
        return self.expected.get(migrant.key, migrant.stage)

    def _is_accepted(self, migrant: Migrant) -> bool:
        codes = {finding.code.value for finding in (*migrant.blockers, *migrant.holds)}
        return bool(codes) and codes <= set(self.ignore)

    @property
    def all_findings(self) -> list[Finding]:
        of_migrants = [
            finding
            for migrant in self.migrants
            for finding in (*migrant.blockers, *migrant.holds, *migrant.notes)
        ]
        named = {(finding.code, finding.workload) for finding in of_migrants}
        further = [finding for finding in self.findings if (finding.code, finding.workload) not in named]
        return [*of_migrants, *further, *map(self._waits, self.waiting)]

    def _waits(self, key: WorkloadKey) -> Finding:
        hours = f"{self.options.soak} hour{'' if self.options.soak == 1 else 's'}"
        time = self.waiting[key]
        reason = (
            f"its association is less than {hours} old"
            if time
            else "EKS did not return the age of its association"
        )
        when = f" after {format_time(time)}" if time else ""
        return Finding(
            Code.MIGRATION_WAITS,
            f"the IRSA annotation and trust statements of {key} are kept: {reason}.",
            f"Run the step finish again{when}, or set pod_identity_migration_soak=0.",
            key,
        )

    @property
    def failure(self) -> str:
        """Return why the run failed, in one line; "" for success. An inventory does not fail because of blockers."""
        place = describe_place(self.cluster)
        run = "rollback" if self.options.rollback else "migration"
        if self.stopped:
            return f"The {run} of {place} was stopped: {self.stopped}"
        if self.failures:
            names = sorted({row["workload"] or row["name"] for row in self.failures}, key=natural)
            return f"The {run} of {place} failed for {listed(names, 5)}. The reasons are above."
        # A damaged record is an error about service accounts that no inventory finds.
        errors = (
            str(finding.workload or "those of a damaged record")
            for finding in self.findings
            if self.options.rollback and finding.severity == "error" and finding.code.value not in self.ignore
        )
        missing = list(dict.fromkeys([*(str(migrant.key) for migrant in self.unreached), *errors]))
        if not missing or (self.options.step == "inventory" and not self.options.rollback):
            return ""
        target = "IRSA" if self.options.rollback else f"step {self.options.step}"
        total = len({*missing, *(str(migrant.key) for migrant in self.migrants)})
        return (
            f"{len(missing)} of {total} service account{'' if total == 1 else 's'} of {place} "
            f"{'would' if self.check_mode else 'did'} not reach {target}: {listed(missing, 5)}. The reasons are above."
        )


def migration_rows(report: MigrationReport) -> list[Row]:
    """Return a row for each service account.

    ``since`` is the creation time of its association in ISO 8601, or "". ``next`` is its next step, or "" after the last step.
    ``blocked_by`` are the codes of the findings that prevent this step. ``group`` is the group in which the run restarts its
    Pods, or "". ``reaches`` is the stage that the run would reach; without check mode, the present stage. ``pods`` has the names
    of its Pods by the kind of credentials that they use.
    """
    groups = {migrant.key: group.name for group in report.groups for migrant in group.migrants}
    return [
        {
            "namespace": migrant.key.namespace,
            "service_account": migrant.key.service_account,
            "role_arn": migrant.role_arn,
            "stage": migrant.stage,
            "since": migrant.since,
            "next": "".join(STEPS[STAGES.index(migrant.stage) + 1 :][:1]),
            "blocked_by": sorted({finding.code.value for finding in (*migrant.blockers, *migrant.holds)}),
            "group": groups.get(migrant.key, ""),
            "reaches": report.reaches(migrant),
            "pods": {
                "irsa": list(migrant.pods.irsa),
                "pod_identity": list(migrant.pods.agent),
                "other": list(migrant.pods.other),
                "none": list(migrant.pods.none),
            },
        }
        for migrant in report.migrants
    ]


def report_data(report: MigrationReport) -> dict[str, object]:
    """Return the report as data, for the result of the task and for the file."""
    return {
        "cluster_arn": report.cluster.arn,
        "caller_arn": report.cluster.caller_arn,
        "check_mode": report.check_mode,
        "step": "rollback" if report.options.rollback else report.options.step,
        "service_accounts": migration_rows(report),
        "changes": list(report.changes),
        "failures": list(report.failures),
        "findings": [finding_row(finding, OPTION_PREFIX) for finding in report.all_findings],
        "summary": _summary(report.migrants),
        "failure": report.failure,
    }


def _summary(migrants: Sequence[Migrant]) -> dict[str, int]:
    counts = Counter(migrant.stage for migrant in migrants)
    return {
        "service_accounts": len(migrants),
        **{stage: counts[stage] for stage in STAGES},
        "blocked": sum(bool(migrant.blockers) for migrant in migrants),
        "held": sum(bool(migrant.holds) and not migrant.blockers for migrant in migrants),
    }


def migration_lines(report: MigrationReport) -> list[str]:
    """Return the lines of the report for the screen."""
    cluster = report.cluster
    lines = place_lines(
        {
            "cluster_name": cluster.name,
            "cluster_arn": cluster.arn,
            "account_id": cluster.account_id,
            "region": cluster.region,
            "caller_arn": cluster.caller_arn,
        }
    )
    count = f"{len(report.changes)} change{'' if len(report.changes) == 1 else 's'}"
    head = f"Plan: {count}; nothing was changed." if report.check_mode else f"Done: {count}."
    if report.options.step == "inventory" and not report.options.rollback:
        head = "Inventory; nothing was changed."
    changes = [describe_kubernetes_change(change) for change in report.changes]
    lines += [
        head,
        *shown_changes(
            changes,
            report.check_mode,
            visible(report.options.file)
            or "pod_identity_migration.migration (pod_identity_report_file writes it to a file)",
        ),
        "",
        *_table(report),
    ]
    findings = [finding_row(finding, OPTION_PREFIX) for finding in report.all_findings]
    return [
        *lines,
        *note_lines(in_order(group_failures(report.failures)), _ALL, "failed"),
        *note_lines(in_order(group_findings(findings)), _ALL),
    ]


def _table(report: MigrationReport) -> list[str]:
    if not report.migrants:
        if report.options.only:
            return ["No service account that uses IRSA matches pod_identity_only."]
        return [
            "No service account uses IAM roles for service accounts (IRSA), and no role has the record of a migration."
            if report.options.rollback
            else "No service account uses IAM roles for service accounts (IRSA)."
        ]
    summary = _summary(report.migrants)
    counts = [f"{summary[stage]} {stage}" for stage in STAGES if summary[stage]]
    number = summary["service_accounts"]
    further = [f"; {summary[name]} {name}" for name in ("blocked", "held") if summary[name]]
    head = f"Migration from IRSA: {number} service account{'' if number == 1 else 's'}: {', '.join(counts)}{''.join(further)}."
    migrants = zip(report.migrants, migration_rows(report), strict=True)
    ordered = sorted(migrants, key=lambda pair: natural(str(pair[0].key)))
    if number > SHOWN_ROWS and not report.check_mode:
        # A long table is limited to the service accounts that need attention. A plan has all.
        unreached = {migrant.key for migrant in report.unreached}
        ordered = [pair for pair in ordered if pair[0].blockers or pair[0].key in unreached][:SHOWN_ROWS]
    titles = (
        *("SERVICE ACCOUNT", "ROLE", "STAGE", "ASSOCIATED", "PODS", "GROUP"),
        "REACHES" if report.check_mode else "NEXT",
    )
    more = [f"  and {number - len(ordered)} more{_ALL}"] if len(ordered) < number else []
    return [head, *table([titles, *(_cells(migrant, row, report) for migrant, row in ordered)]), *more]


def _cells(migrant: Migrant, row: Row, report: MigrationReport) -> tuple[str, ...]:
    step = row["next"] or "-"
    if codes := dict.fromkeys(finding.code.value for finding in migrant.blockers):
        step = f"blocked: {', '.join(codes)}"
    elif report.check_mode:
        step = row["reaches"]
    elif migrant.holds:
        step = "held: MIGRATION_PODS_HELD"
    elif report.options.rollback:
        step = "-"
    elif migrant.key in report.waiting:
        step = "waits"
    pods = (f"{len(names)} {kind.replace('_', ' ')}" for kind, names in row["pods"].items() if names)
    return (
        visible(str(migrant.key)),
        visible(migrant.role_arn.rpartition("/")[2] or "-"),
        migrant.stage,
        migrant.since[:16].replace("T", " ") or "-",
        ", ".join(pods) or "0",
        row["group"] or "-",
        step,
    )
