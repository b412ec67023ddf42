# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A report as lines of text: changes, a table of workloads and checks, findings with their remedies. Pure."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence

from ..._findings.text import visible
from ..kubernetes.objects import Object, mapping_of, text_of
from ..model.rows import CheckRow, FailureRow, VerifiedRow
from .rows import NoteRow

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


def report_lines(
    changes: Sequence[str] | None, rows: Sequence[VerifiedRow], notes: Sequence[NoteRow], check_mode: bool
) -> list[str]:
    """``changes`` is None when nothing was to be changed."""
    lines = []
    if changes is not None:
        count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
        head = f"Plan: {count}; nothing was changed." if check_mode else f"Done: {count}."
        lines = [head, *_first([f"  {visible(change)}" for change in changes], SHOWN_CHANGES)]
    if rows:
        lines += [*([""] if lines else []), *table(rows)]
    blocks = [note_lines(note) for note in notes]
    shown = [line for block in blocks[:SHOWN_FINDINGS] for line in block]
    more = len(blocks) - SHOWN_FINDINGS
    return lines + shown + ([f"  and {more} more findings"] if more > 0 else [])


def failure_line(failure: FailureRow) -> str:
    """What could not be done to which resource."""
    return _resource_line(failure["action"], failure["resource"], failure["name"])


def change_line(change: Object) -> str:
    """What a change does to which resource, and to which parts of it."""
    action = text_of(change.get("action"))
    line = _resource_line(action, text_of(change.get("resource")), text_of(change.get("name")))
    if action == "update":
        line += f" ({', '.join(sorted(mapping_of(change.get('after')))).replace('_', ' ')})"
    return line


def _resource_line(action: str, resource: str, name: str) -> str:
    if resource == "attachment":
        role, _separator, policy = name.partition(" ")
        return visible(f"{action} policy {policy} {_TOWARDS[action]} role {role}")
    return visible(f"{action} {resource.replace('_', ' ')} {name}")


def table(rows: Sequence[VerifiedRow]) -> list[str]:
    """One line for each workload, the same columns for all, at most 100 characters wide.

    What is too wide is set closer together, then loses details, then the names of workloads are cut.
    """
    present = {check["name"] for row in rows for check in row["checks"]}
    known = {name for name, _title in COLUMNS}
    columns = [column for column in COLUMNS if column[0] in present]
    columns += [(name, name.upper()) for name in sorted(present - known)]
    names = ["WORKLOAD", *(visible(f"{row['namespace']}/{row['service_account']}") for row in rows)]
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


def _cells(rows: Sequence[VerifiedRow], columns: Sequence[tuple[str, str]], spared: str) -> list[list[str]]:
    cells = [[title for _check, title in columns]]
    for row in rows:
        by_name: Mapping[str, CheckRow] = {check["name"]: check for check in row["checks"]}
        cells.append([_cell(by_name.get(column), column != spared) for column, _title in columns])
    return cells


def note_lines(note: NoteRow) -> list[str]:
    """What is to be known, and its remedy below it."""
    about = " ".join(part for part in (note["code"], note["workload"]) if part)
    lines = _wrapped(visible(f"{note['label']} {about}: {note['message']}"), "  ", "    ")
    for part in _COMMAND.split(visible(note["remedy"])):
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


def _cell(check: CheckRow | None, in_detail: bool) -> str:
    if check is None:
        return "-"
    detail = f" {check['detail']}" if in_detail and check["detail"] else ""
    return visible(f"{check['status']}{detail}")


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"{name[: width - 1]}…"
