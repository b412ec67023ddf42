# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Many clusters in few lines: their number, a table with one for each, changes, warnings, and then failures. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..model.errors import listed, sentence
from .changes import change_lines_of_cluster
from .reported import Reported
from .text import NOTHING_VERIFIED, SHOWN_FINDINGS, note_lines

NOT_A_REPORT = (
    "What was handed on for it is no report as this collection leaves it, so nothing is known of the cluster. Run its job again; "
    "see whether a later node or an extra variable has changed it."
)

_COLUMNS = ("cluster", "account", "region", "workloads", "changes", "verified", "findings", "result")


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


def fleet_lines(ended: Sequence[Ended], clusters: int, missing: int, check_mode: bool = False) -> list[str]:
    """``clusters`` is how many there are in the play, ``missing`` how many of them have not begun."""
    failed = [each for each in ended if each.failed]
    done = "planned" if check_mode else "done"
    plural = "" if clusters == 1 else "s"
    total = f"{len(ended) - len(failed)} of {clusters} cluster{plural} {done}, {len(failed)} failed"
    unchanged = "; nothing was changed" if check_mode else ""
    # First, as a table of many clusters is long.
    lines = [f"{total}{f', {missing} not begun' if missing else ''}{unchanged}."]
    if ended and all(each.reported is not None and not each.reported.workloads for each in ended):
        lines.append(NOTHING_VERIFIED)
    rows = [_COLUMNS, *map(_row, ended)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines += [
        "",
        *(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
    ]
    lines += _changed_lines(ended, check_mode)
    lines += _warning_lines(ended)
    for each in failed:
        lines.append("")
        lines.append(f"{each.host}:")
        lines += [f"  {line}" for line in sentence(each.failure).splitlines()]
    return lines


def _changed_lines(ended: Sequence[Ended], check_mode: bool) -> list[str]:
    lines = [
        line
        for each in ended
        if each.reported and each.reported.changed
        for line in change_lines_of_cluster(each.host, each.reported.changed, check_mode)
    ]
    return ["", *lines] if lines else []


def _warning_lines(ended: Sequence[Ended]) -> list[str]:
    """What several clusters are warned of in the same words stands there once, with their names."""
    hosts: dict[tuple[str, str, str, str], list[str]] = {}
    for each in ended:
        for warning in each.reported.warnings if each.reported else ():
            key = (warning["code"], warning["workload"], warning["message"], warning["remedy"])
            hosts.setdefault(key, []).append(each.host)
    lines = [""] if hosts else []
    for (code, workload, message, remedy), names in list(hosts.items())[:SHOWN_FINDINGS]:
        about = f"{workload} ({listed(names)})".lstrip()
        lines += note_lines(
            {"label": "warning", "code": code, "workload": about, "message": message, "remedy": remedy}
        )
    more = len(hosts) - SHOWN_FINDINGS
    return lines + (
        [f"  and {more} more warnings, listed in the reports of the clusters"] if more > 0 else []
    )


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
        f"{reported.passed}/{reported.workloads}" if reported.verified else "-",
        str(reported.findings),
        "failed" if each.failed else "ok",
    )
