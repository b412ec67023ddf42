# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Format a report as lines of text: cluster, changes, a table of workloads and checks, findings with their remedies. Pure.

Each code of a finding belongs to a column of the table. Changes are first counted by kind and then listed. Names are sorted
so that the numbers in them ascend by value (s1, s2, s10). Long texts are wrapped at WIDTH characters.
"""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import cast

from ..._findings.codes import CheckName
from ..._findings.finding import Finding
from ..._findings.text import split_commands, table, visible
from ..._policy.language.document import document_statements
from ..._policy.language.document_changes import describe_document_change
from ..._policy.trust.statements import TrustGrant, read_statement
from ..kubernetes.model.objects import Object, as_mapping, as_text
from ..model.checks import ACCEPTED, FAIL, UNKNOWN, WARNING, Check, conclude, worst
from ..model.rows import FindingRow, VerifiedRow
from ..run.result import describe_resource, phrase_action
from .rows import Place, ReportSummary

# A text without digits, and the number that follows it.
_PART = re.compile(r"([^0-9]*)([0-9]*)")


def natural(name: str) -> list[tuple[str, int, str]]:
    """Return a sort key that compares the digits in a name as numbers, so that s2 is before s10."""
    parts = [(text, number.lstrip("0")) for text, number in _PART.findall(name)]
    # A number with fewer digits is smaller.
    return [(text, len(number), number) for text, number in parts]


# The maximum length of a line, in characters.
WIDTH = 100


def wrapped(text: str, first: str, indent: str) -> list[str]:
    """Wrap a text at spaces only, so that names can be copied.

    :arg first: the indent of the first line.
    :arg indent: the indent of the other lines.
    """
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


SHOWN_CHANGES = 40
_REMOVALS = ("replace", "detach", "delete", "remove")
# The order of the counts. Removals are last, next to the list of changes below, which may begin with the removals.
_ACTIONS = ("create", "attach", "update", "apply", "release", *_REMOVALS)


@dataclass(frozen=True, slots=True)
class ChangeText:
    """A change as text.

    ``action`` is the verb, ``kind`` the type of the resource, like "trust policy" or "ServiceAccount", and ``line`` the whole
    text, like "attach policy arn:aws:iam::aws:policy/ReadOnlyAccess to role my-role". ``has_details`` is true if the line names
    the role of an association, or the permissions that the change adds or removes. Such a line is wrapped on the screen.
    """

    action: str
    kind: str
    line: str
    has_details: bool = False


def describe_change(change: Object) -> ChangeText:
    """Describe a change in AWS: the action, the resource and its changed attributes.

    A change of an artifact in the short form has this description as its ``text``.
    """
    action, resource = as_text(change.get("action")), as_text(change.get("resource"))
    kind = "policy" if resource == "attachment" else describe_resource(resource)
    if text := as_text(change.get("text")):
        return ChangeText(action, kind, visible(text), has_details=True)
    line = phrase_action(action, resource, as_text(change.get("name")))
    if (action, resource) == ("replace", "attachment"):
        leaving = as_mapping(change.get("before")).get("policy")
        line = line.replace("replace policy ", f"replace policy {leaving} with ", 1)
    if action == "update":
        line += f" ({', '.join(sorted(map(str, as_mapping(change.get('after'))))).replace('_', ' ')})"
    if origin := as_text(change.get("pattern")):
        line += f" (from {origin})"
    details = _details(change)
    line += f": {details}" if details else ""
    return ChangeText(action, kind, visible(line), bool(details))


def _details(change: Object) -> str:
    """Describe the roles that an association gets, or the permissions that a policy document or trust policy gets and loses.

    The trust policy of a new role is described only if it allows more than single workloads, which the associations name.
    """
    old_state, new_state = (as_mapping(change.get(state)) for state in ("before", "after"))
    if change.get("resource") == "association":
        roles = {name: as_text(new_state.get(f"{name}_arn")) for name in ("role", "target_role")}
        return ", ".join(f"{name.replace('_', ' ')} {arn}" for name, arn in roles.items() if arn)
    if document := new_state.get("document"):
        return describe_document_change(old_state.get("document"), document)
    if not (trust := as_mapping(new_state.get("trust_policy"))):
        return ""
    present = old_state.get("trust_policy")
    wide = [
        statement
        for statement in document_statements(trust)
        if not all(
            grant.is_single and grant.cluster_arn for grant in read_statement(statement) or (TrustGrant(),)
        )
    ]
    return describe_document_change(present, trust if present else {**trust, "Statement": wide}, "trust")


def describe_kubernetes_change(line: str) -> ChangeText:
    """Split a line about a change in Kubernetes, like "apply ServiceAccount default/app", into the parts of ``ChangeText``."""
    action, _space, rest = line.partition(" ")
    return ChangeText(action, rest.partition(" ")[0], visible(line))


def _change_lines(changes: Sequence[ChangeText], state: str, check_mode: bool, place: str) -> list[str]:
    """Return lines with the number of changes, the numbers by kind, and the changes.

    :arg state: "absent" for a teardown.
    :arg place: the file or variable that has all changes, for the line about omitted changes.
    """
    nothing = "; nothing was changed" if check_mode else ""
    outcome = "plan" if check_mode else "done"
    head = f"Teardown {outcome}" if state == "absent" else outcome.capitalize()
    counts = wrapped(f"{_counted(changes)}.", "  ", "  ") if changes else []
    first = f"{head}: {len(changes)} change{'' if len(changes) == 1 else 's'}{nothing}."
    return [first, *counts, *shown_changes(changes, check_mode, place)]


def undo_lines(changes: Sequence[Object], listed_workloads: int) -> list[str]:
    """Return the teardown that takes all changes in AWS back, as a line that is wrapped, or no line without such a teardown.

    A teardown takes back new associations with new roles and policies. Any other change, also one for another workload, would
    remain, and it would also delete a role that only the new associations use.

    :arg listed_workloads: the number of workloads of the run. For all of them, the teardown needs no selection.
    """
    names = [
        as_text(row["workload"])
        for row in changes
        if (row["resource"], row["action"]) == ("association", "create")
    ]
    roles = {
        as_text(text)
        for row in changes
        if (row["resource"], row["action"]) == ("role", "create")
        for text in (row["name"], as_mapping(row.get("after")).get("arn"))
    }
    remains = any(
        (
            (row["resource"], row["action"]) != ("policy", "create")
            and (as_mapping(row.get("after")).get("role_arn") or as_text(row["name"]).partition(" ")[0])
            not in roles
        )
        or not {row.get("workload"), *cast("list[str]", row.get("shared_with") or [])} <= {*names}
        for row in changes
    )
    selection = (
        ",".join(names) if len(names) <= SHOWN_CHANGES else "(the workloads of the created associations)"
    )
    only = f" and -e pod_identity_only={selection}" if len(names) < listed_workloads else ""
    line = (
        f"To undo this, run workload_identity.aws.teardown with the same variables{only}. Namespaces remain."
    )
    return wrapped(visible(line), "", "  ") if names and not remains else []


def change_lines_of_cluster(cluster: str, changes: Sequence[ChangeText], check_mode: bool) -> list[str]:
    """Return lines with the numbers of a cluster's changes by kind, and its changes."""
    return [
        *wrapped(f"{visible(cluster)}: {_counted(changes)}.", "", "  "),
        *shown_changes(changes, check_mode, "the report of the cluster"),
    ]


def shown_changes(changes: Sequence[ChangeText], check_mode: bool, place: str) -> list[str]:
    """Return a line for each change of a plan, because an approver must see each permission.

    Return at most SHOWN_CHANGES completed changes, and all restarts. If there are more changes, the removals and restarts are
    first.
    """
    # Adjacent changes of the same kind are in the order of their names. The order of the kinds does not change.
    ordered = [
        change
        for _kind, group in groupby(changes, lambda change: (change.action, change.kind))
        for change in sorted(group, key=lambda change: natural(change.line))
    ]
    if len(ordered) > SHOWN_CHANGES:
        ordered.sort(key=lambda change: change.action not in (*_REMOVALS, "restart"))
    limit = len(ordered) if check_mode else SHOWN_CHANGES
    shown = [change for index, change in enumerate(ordered) if index < limit or change.action == "restart"]
    more = len(ordered) - len(shown)
    return [
        *(
            line
            for change in shown
            for line in (
                wrapped(change.line, "    ", "      ") if change.has_details else [f"    {change.line}"]
            )
        ),
        *([f"    and {more} more, listed in {place}"] if more else []),
    ]


def _counted(changes: Sequence[ChangeText]) -> str:
    """Return counts like "create 2 roles, 1 association; delete 1 role"."""
    counts = Counter((change.action, change.kind) for change in changes)
    kinds: dict[str, list[str]] = {
        action: [] for action in (*_ACTIONS, *sorted(verb for verb, _kind in counts))
    }
    for (action, kind), number in counts.items():
        plural = f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"
        kinds[action].append(f"{number} {kind if number == 1 else plural}")
    return visible("; ".join(f"{action} {', '.join(texts)}" for action, texts in kinds.items() if texts))


# The columns of the table, in order: the name of the check, the title, and the fact of the report to which the check belongs.
# Columns without a check are left out. The table is full: with twelve columns, it would often be a list. So add new findings to
# one of these checks instead of a new check.
COLUMNS: tuple[tuple[CheckName, str, str], ...] = (
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
_ORDER = {name: place for place, (name, _title, _fact) in enumerate(COLUMNS)}


def with_unchecked(
    checks: Sequence[Check], findings: Iterable[Finding], ignore: Collection[str]
) -> list[Check]:
    """Return the checks of a workload with the findings that no check has reported, such as warnings of the plan.

    Each finding is added to the check to which its code belongs, so that the row of a workload with a warning does not pass.
    Findings with severity "info" are not added.

    :arg findings: all findings of the workload.
    :arg ignore: the codes that the user accepts.
    """
    named = {finding.code for check in checks for finding in check.findings}
    joined = {check.name: check for check in checks}
    for finding in (row for row in findings if row.code not in named and row.severity != "info"):
        name = finding.code.check
        status = ACCEPTED if finding.code in ignore else conclude(name, finding).status
        check = joined.get(name, Check(name, status))
        reported = tuple(dict.fromkeys((*check.findings, finding)))
        joined[name] = replace(check, status=worst((check.status, status)), findings=reported)
    return sorted(joined.values(), key=lambda check: _ORDER[check.name])


SHOWN_ROWS = 40
SHOWN_FINDINGS = 40
NOTHING_VERIFIED = "0 workloads were verified."
# The order of rows in a table that is too long to show all workloads. Rows with another status are left out.
_ROWS_FIRST = (FAIL, UNKNOWN, WARNING)
_SEVERITIES = ("error", "warning", "info")


def in_order(findings: Iterable[FindingRow]) -> list[FindingRow]:
    """Return findings from errors to accepted ones, by workload."""
    return sorted(
        findings,
        key=lambda row: ("accepted" in row, _SEVERITIES.index(row["severity"]), natural(row["workload"])),
    )


def report_lines(
    place: Place,
    state: str,
    changes: Sequence[ChangeText] | None,
    rows: Sequence[VerifiedRow],
    summary: ReportSummary,
    failed: Sequence[FindingRow],
    findings: Sequence[FindingRow],
    check_mode: bool,
    path: str = "",
    width: int = WIDTH,
) -> list[str]:
    """Return the lines of a report for the screen.

    :arg state: "present", "absent", or "" for a verification.
    :arg changes: the changes, or None for a verification.
    :arg rows: the verified workloads.
    :arg failed: the failures to show below the table.
    :arg findings: the findings to show below the failures.
    :arg path: the file with the whole report, or "".
    :arg width: the width of the terminal. The table fits in it, or becomes a list.
    """
    everything = visible(path) or "pod_identity_report (pod_identity_report_file writes it to a file)"
    lines = place_lines(place)
    if changes is not None:
        lines += _change_lines(changes, state, check_mode, everything)
    if rows:
        lines += ["", _verified_line(summary), *_shown_rows(rows, everything, width)]
    elif not (failed or state == "absent" or summary["workloads"] or summary["changes"]):
        lines += ["", NOTHING_VERIFIED]
    others = f", listed in {everything}"
    lines += [*note_lines(in_order(failed), others, "failed"), *note_lines(in_order(findings), others)]
    return [
        *lines,
        *(
            ["  Codes: docs/codes.md, or the lookup workload_identity.aws.pod_identity_codes"]
            if failed or findings
            else []
        ),
    ]


def place_lines(place: Place) -> list[str]:
    """Return a line with the cluster, the account, the region and the caller, wrapped."""
    parts = {
        "account": place["account_id"],
        "region": place["region"],
        "as": place["caller_arn"],
    }
    texts = [f"Cluster {place['cluster_name']}", *(f"{noun} {name}" for noun, name in parts.items() if name)]
    return wrapped(visible(", ".join(texts)), "", "  ")


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


def _shown_rows(rows: Sequence[VerifiedRow], everything: str, width: int) -> list[str]:
    """Return the lines of the table. If it is too long, show at most SHOWN_ROWS workloads that do not pass, the worst first."""
    rows = sorted(rows, key=lambda row: (natural(row["namespace"]), natural(row["service_account"])))
    if len(rows) <= SHOWN_ROWS:
        return workload_table(rows, width)
    worst = [row for status in _ROWS_FIRST for row in rows if row["status"] == status]
    lines = workload_table(worst[:SHOWN_ROWS], width) if worst else []
    if (more := len(worst) - SHOWN_ROWS) > 0:
        verb = "does" if more == 1 else "do"
        return [*lines, f"  and {more} more that {verb} not pass, listed in {everything}"]
    return [*lines, f"  All workloads are listed in {everything}"]


def workload_table(rows: Sequence[VerifiedRow], width: int = WIDTH) -> list[str]:
    present = {check["name"] for row in rows for check in row["checks"]}
    columns = [(name, title) for name, title, _fact in COLUMNS if name in present]
    lines = [["WORKLOAD", *(title for _name, title in columns)]]
    for row in rows:
        # The detail of the agent is the same in all rows.
        cells = {
            check["name"]: visible(
                f"{check['status']} {'' if check['name'] == 'agent' else check['detail']}".rstrip()
            )
            for check in row["checks"]
        }
        name = visible(f"{row['namespace']}/{row['service_account']}")
        lines.append([name, *(cells.get(column, "-") for column, _title in columns)])
    return table(lines, width)


def note_lines(rows: Sequence[FindingRow], others: str, label: str = "") -> list[str]:
    """Return the lines of failures or findings, each with the remedy below the message. At most SHOWN_FINDINGS are shown.

    :arg others: the text after the number of those that are not shown.
    :arg label: the first word of each, by default "accepted" or the severity.
    """
    lines = []
    for row in rows[:SHOWN_FINDINGS]:
        words = label or ("accepted" if "accepted" in row else row["severity"]), row["code"], row["workload"]
        lines += wrapped(visible(f"{' '.join(filter(None, words))}: {row['message']}"), "  ", "    ")
        prose, commands = split_commands(visible(row["remedy"]))
        lines += [*wrapped(prose, "    ", "    "), *(f"      {command}" for command in commands)]
    more = len(rows) - SHOWN_FINDINGS
    return [*lines, *([f"  and {more} more{others}"] if more > 0 else [])]
