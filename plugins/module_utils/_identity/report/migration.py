# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Report a migration from IRSA: rows of service accounts, lines for the screen, and the verdict. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._findings.text import visible
from ..kubernetes.model.objects import format_time
from ..model.cluster import Cluster, describe_place
from ..model.errors import listed
from ..model.migration import STAGES, STEPS, Migrant, MigrationGroup, MigrationOptions
from ..model.rows import FailureRow, FindingRow, finding_row
from .rows import NoteRow
from .text import natural, note_lines, wrapped

_SHOWN = 40
# The order of the findings on the screen.
_LABELS = ("failed", "error", "warning", "info")


class MigrantRow(TypedDict):
    """A service account in the report.

    ``since`` is the creation time of its association in ISO 8601, or "". ``next`` is its next step, or "" after the last step.
    ``blocked_by`` are the codes of the findings that prevent this step. ``group`` is the group in which the run restarts its
    Pods, or "". ``reaches`` is the stage that the run would reach; without check mode, the present stage. ``pods`` has the names
    of its Pods by the kind of credentials that they use ("irsa", "pod_identity", "other", "none").
    """

    namespace: str
    service_account: str
    role_arn: str
    stage: str
    since: str
    next: str
    blocked_by: list[str]
    group: str
    reaches: str
    pods: dict[str, list[str]]


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
            left = [migrant for migrant in self.migrants if migrant.key not in self.kept]
            return [
                migrant
                for migrant in left
                if migrant.key in self.failed
                or self.reaches(migrant) != "irsa"
                or (migrant.pods.agent and not self.check_mode)
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
        # Several service accounts may share a cause, which names all of them.
        ordered = reversed([*of_migrants, *further, *self._waits()])
        return list({(finding.code, finding.message): finding for finding in ordered}.values())[::-1]

    def _waits(self) -> Iterable[Finding]:
        for key, time in self.waiting.items():
            hours = f"{self.options.soak} hour{'' if self.options.soak == 1 else 's'}"
            reason = f"its association is less than {hours} old"
            remedy = (
                f"Run the step finish again after {format_time(time)}"
                if time
                else "Run the step finish again"
            )
            if time is None:
                reason = "EKS did not return the age of its association"
            yield Finding(
                Code.MIGRATION_WAITS,
                f"the IRSA annotation and trust statements of {key} are kept: {reason}.",
                f"{remedy}, or set pod_identity_migration_soak=0.",
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
        missing = self.unreached
        if not missing or (self.options.step == "inventory" and not self.options.rollback):
            return ""
        target = "IRSA" if self.options.rollback else f"step {self.options.step}"
        number = (
            f"{len(missing)} of {len(self.migrants)} service account{'' if len(self.migrants) == 1 else 's'}"
        )
        verb = "would not reach" if self.check_mode else "did not reach"
        accounts = listed([str(migrant.key) for migrant in missing], 5)
        return f"{number} of {place} {verb} {target}: {accounts}. The reasons are above."


def migration_rows(report: MigrationReport) -> list[MigrantRow]:
    """Return a row for each service account."""
    groups = _groups(report)
    return [
        {
            "namespace": migrant.key.namespace,
            "service_account": migrant.key.service_account,
            "role_arn": migrant.role_arn,
            "stage": migrant.stage,
            "since": migrant.since,
            "next": _next_step(migrant),
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


def _groups(report: MigrationReport) -> dict[WorkloadKey, str]:
    return {migrant.key: group.name for group in report.groups for migrant in group.migrants}


def _next_step(migrant: Migrant) -> str:
    index = STAGES.index(migrant.stage) + 1
    return STEPS[index] if index < len(STEPS) else ""


def report_data(report: MigrationReport) -> dict[str, object]:
    """Return the report as data, for the result of the task and for the file."""
    findings: list[FindingRow] = [finding_row(finding) for finding in report.all_findings]
    return {
        "cluster_arn": report.cluster.arn,
        "caller_arn": report.cluster.caller_arn,
        "check_mode": report.check_mode,
        "step": "rollback" if report.options.rollback else report.options.step,
        "service_accounts": migration_rows(report),
        "changes": list(report.changes),
        "failures": list(report.failures),
        "findings": findings,
        "summary": _summary(report.migrants),
        "failure": report.failure,
    }


def _summary(migrants: Sequence[Migrant]) -> dict[str, int]:
    counts = Counter(migrant.stage for migrant in migrants)
    blocked = sum(bool(migrant.blockers) for migrant in migrants)
    held = sum(bool(migrant.holds) and not migrant.blockers for migrant in migrants)
    return {
        "service_accounts": len(migrants),
        **{stage: counts[stage] for stage in STAGES},
        "blocked": blocked,
        "held": held,
    }


def migration_lines(report: MigrationReport) -> list[str]:
    """Return the lines of the report for the screen."""
    cluster = report.cluster
    head = f"Cluster {cluster.name}, account {cluster.account_id}, region {cluster.region}, as {cluster.caller_arn}"
    lines = wrapped(visible(head), "", "  ")
    count = f"{len(report.changes)} change{'' if len(report.changes) == 1 else 's'}"
    if report.options.step == "inventory" and not report.options.rollback:
        lines.append("Inventory; nothing was changed.")
    elif report.check_mode:
        lines.append(f"Plan: {count}; nothing was changed.")
    else:
        lines.append(f"Done: {count}.")
    # Restarts are never left out.
    restarts = [change for change in report.changes if change.startswith("restart ")]
    others = [change for change in report.changes if not change.startswith("restart ")]
    lines += [f"    {visible(change)}" for change in others[:_SHOWN]]
    if len(others) > _SHOWN:
        lines.append(f"    and {len(others) - _SHOWN} more, in pod_identity_report_file")
    lines += [f"    {visible(change)}" for change in restarts]
    lines += ["", *_table(report)]
    notes = [_failure_note(row) for row in report.failures]
    notes += [_finding_note(finding) for finding in report.all_findings]
    ordered = sorted(notes, key=lambda note: (_LABELS.index(note["label"]), natural(note["workload"])))
    for note in ordered[:_SHOWN]:
        lines += note_lines(note)
    if len(ordered) > _SHOWN:
        lines.append(f"  and {len(ordered) - _SHOWN} more; pod_identity_report_file writes all to a file")
    return lines


def _table(report: MigrationReport) -> list[str]:
    if not report.migrants:
        if report.options.service_accounts:
            return ["No service account that uses IRSA matches pod_identity_migration_service_accounts."]
        return [
            "No service account uses IAM roles for service accounts (IRSA), and no role has the record of a migration."
            if report.options.rollback
            else "No service account uses IAM roles for service accounts (IRSA)."
        ]
    summary = _summary(report.migrants)
    counts = [f"{summary[stage]} {stage}" for stage in STAGES if summary[stage]]
    number = summary["service_accounts"]
    further = [f"; {summary[name]} {name}" for name in ("blocked", "held") if summary[name]]
    lines = [
        f"Migration from IRSA: {number} service account{'' if number == 1 else 's'}: {', '.join(counts)}{''.join(further)}."
    ]
    rows: list[tuple[str, ...]] = [
        ("SERVICE ACCOUNT", "ROLE", "STAGE", "ASSOCIATED", "PODS", "GROUP", _last_column(report))
    ]
    ordered = sorted(report.migrants, key=lambda migrant: natural(str(migrant.key)))
    if len(ordered) > _SHOWN and not report.check_mode:
        # A long table is limited to the service accounts that need attention. A plan has all.
        unreached = {migrant.key for migrant in report.unreached}
        ordered = [migrant for migrant in ordered if migrant.blockers or migrant.key in unreached][:_SHOWN]
    rows += [_cells(migrant, report) for migrant in ordered]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines += ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    if len(ordered) < number:
        lines.append(f"  and {number - len(ordered)} more")
    return lines


def _last_column(report: MigrationReport) -> str:
    return "REACHES" if report.check_mode else "NEXT"


def _cells(migrant: Migrant, report: MigrationReport) -> tuple[str, ...]:
    codes = dict.fromkeys(finding.code.value for finding in migrant.blockers)
    step = "waits" if migrant.key in report.waiting else _next_step(migrant) or "-"
    if report.options.rollback:
        step = "-"
    if migrant.holds:
        step = "held: MIGRATION_PODS_HELD"
    if report.check_mode:
        step = report.reaches(migrant)
    return (
        visible(str(migrant.key)),
        visible(migrant.role_arn.rpartition("/")[2] or "-"),
        migrant.stage,
        migrant.since[:16].replace("T", " ") or "-",
        _pods(migrant),
        _groups(report).get(migrant.key, "-"),
        f"blocked: {', '.join(codes)}" if codes else step,
    )


def _pods(migrant: Migrant) -> str:
    pods = migrant.pods
    counts = (
        (len(pods.irsa), "irsa"),
        (len(pods.agent), "pod identity"),
        (len(pods.other), "other"),
        (len(pods.none), "none"),
    )
    return ", ".join(f"{number} {kind}" for number, kind in counts if number) or "0"


def _failure_note(row: FailureRow) -> NoteRow:
    return {
        "label": "failed",
        "code": row["error_code"],
        "workload": row["workload"],
        "message": f"{row['action']} {row['resource'].replace('_', ' ')} {row['name']}: {row['message']}",
        "remedy": row["remedy"],
    }


def _finding_note(finding: Finding) -> NoteRow:
    return {
        "label": finding.severity,
        "code": finding.code.value,
        "workload": str(finding.workload) if finding.workload else "",
        "message": finding.message,
        "remedy": finding.remedy,
    }
