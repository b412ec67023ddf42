# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A report as lines of text: place, changes, a table of workloads and checks, findings with their remedies. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..._findings.text import split_commands, visible
from ..model.checks import FAIL, UNKNOWN, WARNING
from ..model.rows import CheckRow, FailureRow, VerifiedRow
from .changes import ChangeText, change_lines, resource_line
from .columns import COLUMNS
from .natural import natural
from .rows import NoteRow, Place, Summary
from .wrap import WIDTH, wrapped

SMALLEST_NAME = 8
SHOWN_ROWS = 40
SHOWN_FINDINGS = 40
NOTHING_VERIFIED = "0 workloads: nothing was verified."
# What needs to be looked at comes first, and is what is left when there are too many rows.
_ROWS_FIRST = (FAIL, UNKNOWN, WARNING)
_LABELS_FIRST = ("failed", "error", "warning", "info", "accepted")


def report_lines(
    place: Place,
    state: str,
    changes: Sequence[ChangeText] | None,
    rows: Sequence[VerifiedRow],
    summary: Summary,
    notes: Sequence[NoteRow],
    check_mode: bool,
    path: str = "",
) -> list[str]:
    """``state`` is that of the AWS result.

    ``changes`` is None when nothing was to be changed. ``path`` is where all of it is to be read."""
    everything = visible(path) or "pod_identity_report (pod_identity_report_file writes it to a file)"
    lines = wrapped(visible(place_line(place)), "", "  ")
    if changes is not None:
        lines += change_lines(changes, state, check_mode, everything)
    if rows:
        lines += ["", _verified_line(summary), *_shown_rows(rows, everything)]
    elif state != "absent" and not (summary["workloads"] or summary["changes"] or _has_failed(notes)):
        lines += ["", NOTHING_VERIFIED]
    ordered = sorted(notes, key=lambda note: (_LABELS_FIRST.index(note["label"]), natural(note["workload"])))
    for note in ordered[:SHOWN_FINDINGS]:
        lines += note_lines(note)
    more = len(ordered) - SHOWN_FINDINGS
    return lines + ([f"  and {more} more findings, listed in {everything}"] if more > 0 else [])


def place_line(place: Place) -> str:
    """Where it was, and as whom."""
    parts = [f"Cluster {place['cluster_name']}"]
    parts += [f"account {place['account_id']}"] if place["account_id"] else []
    parts += [f"region {place['region']}"] if place["region"] else []
    parts += [f"as {place['caller_arn']}"] if place["caller_arn"] else []
    return ", ".join(parts)


def _has_failed(notes: Sequence[NoteRow]) -> bool:
    return any(note["label"] == "failed" for note in notes)


def _verified_line(summary: Summary) -> str:
    number = summary["workloads"]
    counts = [
        f"{count} {word}"
        for count, word in (
            (summary["passed"], "pass"),
            (summary["accepted"], "accepted"),
            (summary["warnings"], "warning"),
            (summary["unknown"], "unknown"),
            (summary["failed"], "fail"),
        )
        if count
    ]
    return f"Verified: {number} workload{'' if number == 1 else 's'}; {', '.join(counts)}."


def _shown_rows(rows: Sequence[VerifiedRow], everything: str) -> list[str]:
    """All of few; of many only those that do not pass, the worst first."""
    rows = sorted(rows, key=lambda row: (natural(row["namespace"]), natural(row["service_account"])))
    if len(rows) <= SHOWN_ROWS:
        return table(rows)
    worst = [row for status in _ROWS_FIRST for row in rows if row["status"] == status]
    shown = worst[:SHOWN_ROWS]
    lines = table(shown) if shown else []
    if len(worst) > len(shown):
        return [*lines, f"  and {len(worst) - len(shown)} more that do not pass, listed in {everything}"]
    return [*lines, f"  The others are listed in {everything}" if shown else f"  Listed in {everything}"]


def failure_line(failure: FailureRow) -> str:
    """What could not be done to which resource."""
    return resource_line(failure["action"], failure["resource"], failure["name"])


def table(rows: Sequence[VerifiedRow]) -> list[str]:
    """The same columns for all workloads, at most 100 characters wide; only a name may be longer.

    What is too wide is set closer together. Then names that do not fit stand on a line of their own, above the cells:
    they are what one searches for and copies. At last the widest cells are cut.
    """
    present = {check["name"] for row in rows for check in row["checks"]}
    known = {name for name, _title in COLUMNS}
    columns = [column for column in COLUMNS if column[0] in present]
    columns += [(name, name.upper()) for name in sorted(present - known)]
    names = ["WORKLOAD", *(visible(f"{row['namespace']}/{row['service_account']}") for row in rows)]
    longest = max(map(len, names))
    cells = _cells(rows, columns)
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    gap = 2 if longest + sum(width + 2 for width in widths) <= WIDTH else 1
    room = WIDTH - sum(width + gap for width in widths)
    if room < SMALLEST_NAME:
        room = SMALLEST_NAME
        widest = (WIDTH - room) // len(columns) - gap
        cells = [[_shortened(cell, widest) for cell in line] for line in cells]
        widths = [min(width, widest) for width in widths]
    first = max(len(name) for name in names if len(name) <= room)
    lines = []
    for name, line in zip(names, cells, strict=True):
        fits = len(name) <= room
        lines += [] if fits else [name]
        start = (name if fits else "").ljust(first)
        lines.append((" " * gap).join([start, *map(str.ljust, line, widths)]).rstrip())
    return lines


def _cells(rows: Sequence[VerifiedRow], columns: Sequence[tuple[str, str]]) -> list[list[str]]:
    cells = [[title for _check, title in columns]]
    for row in rows:
        by_name: Mapping[str, CheckRow] = {check["name"]: check for check in row["checks"]}
        cells.append([_cell(by_name.get(column)) for column, _title in columns])
    return cells


def note_lines(note: NoteRow) -> list[str]:
    """What is to be known, and its remedy below it."""
    about = " ".join(part for part in (note["label"], note["code"], note["workload"]) if part)
    lines = wrapped(visible(f"{about}: {note['message']}"), "  ", "    ")
    prose, commands = split_commands(visible(note["remedy"]))
    lines += [
        *(wrapped(prose, "    ", "    ") if prose else []),
        *(f"      {command}" for command in commands),
    ]
    return lines


def _cell(check: CheckRow | None) -> str:
    """The agent is the cluster's, and the same in each row: its version would take the room of names."""
    if check is None:
        return "-"
    detail = f" {check['detail']}" if check["detail"] and check["name"] != "agent" else ""
    return visible(f"{check['status']}{detail}")


def _shortened(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"
