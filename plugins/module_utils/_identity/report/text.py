# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A report as lines of text: changes, a table of workloads and checks, findings with their remedies. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

# In the order of the table; a column without any check is left out.
COLUMNS = (
    ("trust", "TRUST"),
    ("attachment", "ATTACHED"),
    ("version", "VERSION"),
    ("contents", "CONTENTS"),
    ("permissions", "ALLOWED"),
    ("association", "ASSOCIATED"),
    ("service account", "ACCOUNT"),
    ("agent", "AGENT"),
    ("pods", "PODS"),
    ("proof", "PROOF"),
)
WIDTH = 100
SMALLEST_NAME = 8
SHOWN_CHANGES = 40
SHOWN_FINDINGS = 40
_TOWARDS = {"attach": "to", "detach": "from"}
# A command stays whole, on a line of its own, so that it can be copied.
_COMMAND = re.compile(r"(?<=: )(?=kubectl |aws )")

Row = Mapping[str, Any]


def report_lines(
    changes: Sequence[str] | None, rows: Sequence[Row], findings: Sequence[Row], check_mode: bool
) -> list[str]:
    """``changes`` is None when nothing was to be changed."""
    lines = []
    if changes is not None:
        count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
        head = f"Plan: {count}; nothing was changed." if check_mode else f"Done: {count}."
        lines = [head, *_first([f"  {change}" for change in changes], SHOWN_CHANGES)]
    if rows:
        lines += [*([""] if lines else []), *table(rows)]
    blocks = [finding_lines(finding) for finding in findings]
    shown = [line for block in blocks[:SHOWN_FINDINGS] for line in block]
    more = len(blocks) - SHOWN_FINDINGS
    return lines + shown + ([f"  and {more} more findings"] if more > 0 else [])


def resource_line(change: Row) -> str:
    """What a change does, or what a failure kept from being done, to which resource."""
    if change["resource"] == "attachment":
        role, _separator, policy = change["name"].partition(" ")
        return f"{change['action']} policy {policy} {_TOWARDS[change['action']]} role {role}"
    return f"{change['action']} {str(change['resource']).replace('_', ' ')} {change['name']}"


def change_line(change: Row) -> str:
    what = resource_line(change)
    if change["action"] == "update":
        what += f" ({', '.join(sorted(change['after'])).replace('_', ' ')})"
    return what


def table(rows: Sequence[Row]) -> list[str]:
    """One line for each workload, the same columns for all, at most 100 characters wide.

    What is too wide is set closer together, then loses details, then the names of workloads are cut.
    """
    present = {check["name"] for row in rows for check in row["checks"]}
    known = {name for name, _title in COLUMNS}
    columns = [column for column in COLUMNS if column[0] in present]
    columns += [(name, name.upper()) for name in sorted(present - known)]
    names = ["WORKLOAD", *(f"{row['namespace']}/{row['service_account']}" for row in rows)]
    longest = max(map(len, names))
    for gap, spared in ((2, ""), (1, ""), (1, "agent")):
        cells = _cells(rows, columns, spared)
        widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
        room = WIDTH - sum(width + gap for width in widths)
        if longest <= room:
            break
    room = max(room, SMALLEST_NAME)
    first = min(longest, room)
    return [
        (" " * gap).join([_shortened(name, room).ljust(first), *map(str.ljust, line, widths)]).rstrip()
        for name, line in zip(names, cells, strict=True)
    ]


def _cells(rows: Sequence[Row], columns: Sequence[tuple[str, str]], spared: str) -> list[list[str]]:
    cells = [[title for _check, title in columns]]
    for row in rows:
        by_name = {check["name"]: check for check in row["checks"]}
        cells.append([_cell(by_name.get(column), column != spared) for column, _title in columns])
    return cells


def finding_lines(finding: Row) -> list[str]:
    """The finding, and its remedy below it. An accepted one is shown as accepted."""
    severity = "accepted" if finding.get("accepted") else finding["severity"]
    about = " ".join(part for part in (finding["code"], finding["workload"]) if part)
    head = f"{severity} {about}: {finding['message']}"
    lines = _wrapped(head, "  ", "    ")
    for part in _COMMAND.split(finding["remedy"]):
        if part.startswith(("kubectl ", "aws ")):
            lines.append(f"      {part}")
        elif part:
            lines += _wrapped(part, "    ", "    ")
    return lines


def _wrapped(text: str, first: str, others: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _first(lines: Sequence[str], count: int) -> list[str]:
    more = [f"  and {len(lines) - count} more"] if len(lines) > count else []
    return [*lines[:count], *more]


def _cell(check: Row | None, in_detail: bool) -> str:
    if check is None:
        return "-"
    detail = f" {check['detail']}" if in_detail and check.get("detail") else ""
    return f"{check['status']}{detail}"


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
