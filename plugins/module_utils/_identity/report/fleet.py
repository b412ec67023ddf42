# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Many clusters in few lines: a table with one for each, then what failed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.messages import sentence

_COLUMNS = ("cluster", "account", "region", "workloads", "changes", "verified", "findings", "result")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a host ended: with its ``report``, or ``stopped`` before there was one."""

    host: str
    cluster: str
    report: Mapping[str, Any]
    stopped: str = ""

    @property
    def failed(self) -> bool:
        return bool(self.stopped or not self.report or self.report.get("failed"))

    @property
    def failure(self) -> str:
        """Why it failed, as it is told at the end."""
        return self.stopped or str(self.report.get("failure") or self.report.get("headline") or "")


def fleet_lines(ended: Sequence[Ended], clusters: int, missing: int) -> list[str]:
    """``clusters`` is how many there are in the play, ``missing`` how many of them have not begun."""
    rows = [_COLUMNS, *map(_row, ended)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    failed = [one for one in ended if one.failed]
    lines.append("")
    total = f"{len(ended) - len(failed)} of {clusters} clusters done, {len(failed)} failed"
    lines.append(f"{total}{f', {missing} not begun' if missing else ''}.")
    for one in failed:
        lines.append("")
        lines.append(f"{one.host}:")
        lines += [f"  {line}" for line in sentence(one.failure).splitlines()]
    return lines


def _row(one: Ended) -> tuple[str, ...]:
    name = one.cluster if one.cluster == one.host else f"{one.host} ({one.cluster})"
    if not one.report:
        return (name, "", "", "", "", "", "", "stopped")
    summary = one.report["summary"]
    verified = f"{summary['passed']}/{summary['workloads']}"
    return (
        name,
        str(one.report["account_id"]),
        str(one.report["region"]),
        str(summary["workloads"]),
        str(summary["changes"]),
        verified,
        str(summary["findings"]),
        "failed" if one.failed else "ok",
    )
