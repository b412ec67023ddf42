# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Many clusters in few lines: a table with one for each, then what failed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..kubernetes.model.objects import Object, mapping_of, text_of
from ..model.messages import sentence

NOT_A_REPORT = (
    "What was handed on for it is no report as this collection leaves it, so nothing is known of the cluster. Run its job again; "
    "see whether a later node or an extra variable has changed it."
)

_COLUMNS = ("cluster", "account", "region", "workloads", "changes", "verified", "findings", "result")


@dataclass(frozen=True, slots=True)
class Reported:
    """What a row shows of a cluster's report. ``failure`` is "" where nothing failed."""

    account_id: str
    region: str
    workloads: int
    passed: int
    changes: int
    findings: int
    failed: bool
    failure: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a host ended: with what it ``reported``, or ``stopped`` before there was a report."""

    host: str
    cluster: str
    reported: Reported | None
    stopped: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.stopped or self.reported is None or self.reported.failed)

    @property
    def failure(self) -> str:
        """Why it failed, as it is told at the end."""
        return self.stopped or (self.reported.failure if self.reported else "")


def parse_reported(report: Object) -> Reported | None:
    """None where it lacks what a row needs, with its types: such a report does not say that all went well."""
    summary = mapping_of(report.get("summary"))
    workloads, passed, changes, findings = (
        _count(summary.get(name)) for name in ("workloads", "passed", "changes", "findings")
    )
    failed = report.get("failed")
    if workloads is None or passed is None or changes is None or findings is None:
        return None
    if not isinstance(failed, bool) or not {"account_id", "region"} <= report.keys():
        return None
    place = text_of(report["account_id"]), text_of(report["region"])
    failure = text_of(report.get("failure") or report.get("headline"))
    return Reported(*place, workloads, passed, changes, findings, failed, failure)


def _count(value: object) -> int | None:
    """Ansible hands on an int of a class of its own, and YAML a true, which is an int to Python."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def fleet_lines(ended: Sequence[Ended], clusters: int, missing: int, check_mode: bool = False) -> list[str]:
    """``clusters`` is how many there are in the play, ``missing`` how many of them have not begun."""
    rows = [_COLUMNS, *map(_row, ended)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    failed = [each for each in ended if each.failed]
    lines.append("")
    done = "planned" if check_mode else "done"
    total = f"{len(ended) - len(failed)} of {clusters} clusters {done}, {len(failed)} failed"
    unchanged = "; nothing was changed" if check_mode else ""
    lines.append(f"{total}{f', {missing} not begun' if missing else ''}{unchanged}.")
    for each in failed:
        lines.append("")
        lines.append(f"{each.host}:")
        lines += [f"  {line}" for line in sentence(each.failure).splitlines()]
    return lines


def _row(each: Ended) -> tuple[str, ...]:
    name = each.cluster if each.cluster == each.host else f"{each.host} ({each.cluster})"
    reported = each.reported
    if reported is None:
        return (name, "", "", "", "", "", "", "stopped")
    return (
        name,
        reported.account_id,
        reported.region,
        str(reported.workloads),
        str(reported.changes),
        f"{reported.passed}/{reported.workloads}",
        str(reported.findings),
        "failed" if each.failed else "ok",
    )
