# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A report as lines of text: place, changes, a table of workloads and checks, findings with their remedies. Pure.

Each code of a finding belongs to a column of the table. Changes are counted by kind, then listed, removals first. Names are
sorted as people do: s1, s2, s10. Lines fit the width of a terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import split_commands, visible
from ..kubernetes.model.objects import Object, as_mapping, as_text
from ..model.checks import ACCEPTED, FAIL, PASS, SKIPPED, UNKNOWN, WARNING, Check, Status, conclude
from ..model.rows import CheckRow, FailureRow, VerifiedRow
from .rows import NoteRow, Place, ReportSummary

_NUMBER = re.compile(r"([0-9]+)")


def natural(name: str) -> tuple[tuple[str, int, str], ...]:
    """A key to sort by. Numbers within the name count as numbers, however many digits they have."""
    parts = _NUMBER.split(name)
    return tuple(_pair(text, digits) for text, digits in zip(parts[::2], [*parts[1::2], None], strict=True))


def _pair(text: str, digits: str | None) -> tuple[str, int, str]:
    """Text and the number behind it; where there is none, it comes first."""
    if digits is None:
        return text, -1, ""
    number = digits.lstrip("0")
    return text, len(number), number


WIDTH = 100


def wrapped(text: str, first: str, others: str) -> list[str]:
    """Names and commands stay whole, so that they can be copied."""
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    )


SHOWN_CHANGES = 40
_TOWARDS = {"attach": "to", "detach": "from", "replace": "on"}
_REMOVALS = ("replace", "detach", "delete", "remove")
# In the order of the counts; what is taken away comes last, where it is seen.
_ACTIONS = ("create", "attach", "update", "apply", "release", *_REMOVALS)


@dataclass(frozen=True, slots=True)
class ChangeText:
    """``kind`` is that of the resource in a sentence, like "trust policy" or "ServiceAccount"."""

    action: str
    kind: str
    line: str

    @property
    def removes(self) -> bool:
        """Return whether the change deletes or detaches something, for good or before it is created anew."""
        return self.action in _REMOVALS


def describe_change(change: Object) -> ChangeText:
    """What a change in AWS does to which resource, and to which parts of it."""
    action, resource = as_text(change.get("action")), as_text(change.get("resource"))
    line = _resource_line(action, resource, as_text(change.get("name")))
    if (action, resource) == ("replace", "attachment"):
        leaving = as_mapping(change.get("before")).get("policy")
        line = line.replace("replace policy ", f"replace policy {leaving} with ", 1)
    if action == "update":
        line += f" ({', '.join(sorted(map(str, as_mapping(change.get('after'))))).replace('_', ' ')})"
    kind = "policy" if resource == "attachment" else resource.replace("_", " ")
    return ChangeText(action, kind, visible(line))


def describe_kubernetes_change(line: str) -> ChangeText:
    """Describe a change of Kubernetes from a line like "apply ServiceAccount default/app"."""
    action, _space, rest = line.partition(" ")
    return ChangeText(action, rest.partition(" ")[0], visible(line))


def _resource_line(action: str, resource: str, name: str) -> str:
    if resource == "attachment":
        role, _separator, policy = name.partition(" ")
        return visible(f"{action} policy {policy} {_TOWARDS.get(action, 'of')} role {role}")
    return visible(f"{action} {resource.replace('_', ' ')} {name}")


def _change_lines(changes: Sequence[ChangeText], state: str, check_mode: bool, place: str) -> list[str]:
    """Of a plan, everything that is taken away is shown, however much it is. ``place`` has them all."""
    count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
    outcome = "plan" if check_mode else "done"
    head = f"Teardown {outcome}" if state == "absent" else outcome.capitalize()
    lines = [f"{head}: {count}; nothing was changed." if check_mode else f"{head}: {count}."]
    if changes:
        lines += wrapped(f"{_counted(changes)}.", "  ", "  ")
    changes = _by_name(changes)
    if len(changes) <= SHOWN_CHANGES:
        return [*lines, *(f"    {change.line}" for change in changes)]
    removals = [change for change in changes if change.removes]
    if not check_mode:
        removals = removals[:SHOWN_CHANGES]
    others = [change for change in changes if not change.removes]
    shown = [*removals, *others[: max(0, SHOWN_CHANGES - len(removals))]]
    lines += [f"    {change.line}" for change in shown]
    if len(shown) < len(changes):
        lines.append(f"    and {len(changes) - len(shown)} more, listed in {place}")
    return lines


def change_lines_of_cluster(cluster: str, changes: Sequence[ChangeText], check_mode: bool) -> list[str]:
    """The same among other clusters: how many of each kind, and of a plan everything that is taken away."""
    removals = [change for change in _by_name(changes) if change.removes] if check_mode else []
    lines = wrapped(f"{visible(cluster)}: {_counted(changes)}.", "", "  ")
    return [*lines, *(f"    {change.line}" for change in removals)]


def _by_name(changes: Sequence[ChangeText]) -> list[ChangeText]:
    """In the order that they are made in, and what is alike by name, as people count."""
    groups = groupby(changes, lambda change: (change.action, change.kind))
    return [
        change for _kind, group in groups for change in sorted(group, key=lambda change: natural(change.line))
    ]


def _counted(changes: Sequence[ChangeText]) -> str:
    """Like "create 2 roles, 1 association; delete 1 role"."""
    counts = Counter((change.action, change.kind) for change in changes)
    known = [*_ACTIONS, *sorted({action for action, _kind in counts} - {*_ACTIONS})]
    parts = []
    for action in known:
        kinds = [f"{number} {_plural(kind, number)}" for (of, kind), number in counts.items() if of == action]
        if kinds:
            parts.append(f"{action} {', '.join(kinds)}")
    return visible("; ".join(parts))


def _plural(kind: str, number: int) -> str:
    if number == 1:
        return kind
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


# The checks in the order of the table: name, title, and the fact of the report that includes the check. A column without any
# check is left out.
COLUMNS = (
    ("trust", "TRUST", "trust"),
    ("attachment", "ATTACHED", "attachment"),
    ("version", "VERSION", "contents"),
    ("contents", "CONTENTS", "contents"),
    ("permissions", "ALLOWED", "contents"),
    ("association", "ASSOCIATED", "association"),
    ("service account", "ACCOUNT", "service_account"),
    ("agent", "AGENT", "agent"),
    ("injection", "INJECTED", "pods"),
    ("pods", "PODS", "pods"),
    ("proof", "PROOF", "pods"),
)
WORST_FIRST: tuple[Status, ...] = (FAIL, UNKNOWN, WARNING, ACCEPTED, PASS, SKIPPED)
_ORDER = [name for name, _title, _fact in COLUMNS]
# The first that matches.
_BY_START: Mapping[str, str] = {
    "AGENT_": "agent",
    "INJECTION_": "injection",
    "IRSA_": "service account",
    "NAMESPACE_": "service account",
    "PERMISSION_": "permissions",
    "POD_": "pods",
    "POLICY_": "attachment",
    "PROOF_": "proof",
    "ROLE_INLINE_": "attachment",
    "ROLE_POLICIES_": "attachment",
    "ROLE_RESTRICTED": "attachment",
    "ROLE_": "trust",
    "SERVICE_ACCOUNT": "service account",
    "TRUST_": "trust",
}


def _column_of(code: Code) -> str:
    """The check that a finding belongs to. Of codes that concern a workload as a whole it is its association."""
    return next((name for start, name in _BY_START.items() if code.startswith(start)), "association")


def with_unchecked(
    checks: Sequence[Check], findings: Iterable[Finding], ignore: Collection[str]
) -> list[Check]:
    """Add the findings of a workload that no check has, such as a warning of the plan, to their checks.

    No row passes above a warning. Information stays below the table.
    """
    named = {finding.code for check in checks for finding in check.findings}
    joined = {check.name: check for check in checks}
    for finding in findings:
        if finding.code in named or finding.severity == "info":
            continue
        own = conclude(_column_of(finding.code), finding)
        if finding.code in ignore:
            own = replace(own, status=ACCEPTED)
        check = joined.get(own.name, own)
        worst = min((check, own), key=lambda one: WORST_FIRST.index(one.status)).status
        joined[own.name] = replace(
            check, status=worst, findings=tuple(dict.fromkeys((*check.findings, finding)))
        )
    known = [check.name for check in checks]
    for name in joined:
        if name not in known:
            place = next((at for at, other in enumerate(known) if _comes_after(other, name)), len(known))
            known.insert(place, name)
    return [joined[name] for name in known]


def _comes_after(other: str, name: str) -> bool:
    return other in _ORDER and _ORDER.index(other) > _ORDER.index(name)


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
    summary: ReportSummary,
    notes: Sequence[NoteRow],
    check_mode: bool,
    path: str = "",
) -> list[str]:
    """``state`` is that of the AWS result.

    ``changes`` is None when nothing was to be changed. ``path`` is where all of it is to be read."""
    everything = visible(path) or "pod_identity_report (pod_identity_report_file writes it to a file)"
    lines = wrapped(visible(_place_line(place)), "", "  ")
    if changes is not None:
        lines += _change_lines(changes, state, check_mode, everything)
    if rows:
        lines += ["", _verified_line(summary), *_shown_rows(rows, everything)]
    elif state != "absent" and not (
        summary["workloads"] or summary["changes"] or any(note["label"] == "failed" for note in notes)
    ):
        lines += ["", NOTHING_VERIFIED]
    ordered = sorted(notes, key=lambda note: (_LABELS_FIRST.index(note["label"]), natural(note["workload"])))
    for note in ordered[:SHOWN_FINDINGS]:
        lines += note_lines(note)
    more = len(ordered) - SHOWN_FINDINGS
    return lines + ([f"  and {more} more findings, listed in {everything}"] if more > 0 else [])


def _place_line(place: Place) -> str:
    """Where it was, and as whom."""
    parts = [f"Cluster {place['cluster_name']}"]
    parts += [f"account {place['account_id']}"] if place["account_id"] else []
    parts += [f"region {place['region']}"] if place["region"] else []
    parts += [f"as {place['caller_arn']}"] if place["caller_arn"] else []
    return ", ".join(parts)


def _verified_line(summary: ReportSummary) -> str:
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
    return _resource_line(failure["action"], failure["resource"], failure["name"])


def table(rows: Sequence[VerifiedRow]) -> list[str]:
    """The same columns for all workloads, at most 100 characters wide; only a name may be longer.

    What is too wide is set closer together. Then names that do not fit stand on a line of their own, above the cells:
    they are what one searches for and copies. At last the widest cells are cut.
    """
    present = {check["name"] for row in rows for check in row["checks"]}
    known = {name for name, _title, _fact in COLUMNS}
    columns = [(name, title) for name, title, _fact in COLUMNS if name in present]
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
