# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert an access report from its JSON form to lines for the screen, and to a table in CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ..._findings.text import table
from ..._policy.permissions.catalogue import LEVELS, UNKNOWN_LEVEL
from ..model.errors import listed

_Row = Mapping[str, Any]
# The titles of the sources of credentials.
SOURCES: Final = {
    "pod_identity": "pod identity",
    "irsa": "IRSA",
    "web_identity": "web identity",
    "keys": "access keys",
    "container": "container",
    "node": "node",
}
# The letter of each access level in the table on the screen. A small letter means that the access depends on conditions.
_LETTERS: Final = dict(zip((*LEVELS, UNKNOWN_LEVEL), "LRWTPU", strict=True))
_LEVEL_COLUMNS: Final = {level: level.lower().replace(" ", "_") for level in (*LEVELS, UNKNOWN_LEVEL)}
_COLUMNS: Final = (
    "cluster",
    "account",
    "region",
    "namespace",
    "service_account",
    "source",
    "role",
    "target_role",
    "usable",
    "access",
    "service",
    *_LEVEL_COLUMNS.values(),
    "resources",
    "depends_on",
    "risks",
    "lets_in",
    "role_last_used",
    "service_last_used",
)
# The CSV value for a role or service without a recorded use in the tracking period of IAM. An empty value means unknown.
_NO_USE = "none recorded"
# The maximum numbers of rows on the screen, and of services in one row.
_SHOWN_WORKLOADS = 40
_SHOWN_RISKS = 20
_SHOWN_SERVICES = 6
# The maximum number of service accounts on the screen for each answer to a question.
_SHOWN_ANSWERS = 10
# The beginning of a formula. Spreadsheets ignore blanks and invisible characters before it.
_FORMULA: Final = re.compile(r"['\"\W_]*?[=+\-@]")


def access_lines(report: _Row) -> list[str]:
    """Return the lines of a summary for the screen: numbers, a table of service accounts, risks and notes."""
    summary = report["summary"]
    sources = ", ".join(f"{number} {SOURCES[name]}" for name, number in sorted(summary["by_source"].items()))
    counts = ", ".join(f"{number} {severity}" for severity, number in summary["risks"].items())
    count = summary["workloads"]
    unread = [str(cluster["key"]) for cluster in report["clusters"] if cluster.get("error")]
    scope = f" ({listed(unread)} could not be read)" if unread else ""
    lines = [
        f"Access to AWS{scope}: {count} service account{'' if count == 1 else 's'}{f' ({sources})' if sources else ''}. "
        f"Risks: {counts}."
    ]
    if len(unread) == len(report["clusters"]):
        lines = [f"Access to AWS: unknown, because {listed(unread)} could not be read."]
    if report["workloads"]:
        lines += table([*_workload_cells(report)])
        lines += _more(len(report["workloads"]), _SHOWN_WORKLOADS, "service accounts")
        lines.append(
            "Access: L list, R read, W write, T tag, P manage permissions, U unknown level; a small letter depends on conditions."
        )
    lines += [f"{risk['severity']} {risk['code']} {risk['text']}" for risk in report["risks"][:_SHOWN_RISKS]]
    lines += _more(len(report["risks"]), _SHOWN_RISKS, "risks")
    lines += [line for question in report["questions"] for line in _question_lines(report, question)]
    return [*lines, *report["notes"]]


def _question_lines(report: _Row, question: _Row) -> Iterator[str]:
    """Yield the numbers of the answers to a question, and the service accounts of each answer except "no"."""
    counts = ", ".join(f"{number} {name}" for name, number in question["counts"].items())
    yield f"{question['question']}: {counts}."
    for name in question["counts"]:
        rows = (row for row in question["answers"] if row["answer"] == name != "no")
        if names := [_with_keys(report["workloads"][row["workload"]]["name"], row) for row in rows]:
            yield f"- {name}: {listed(names, _SHOWN_ANSWERS)}"
    if question["unread"]:
        yield f"- unknown: all service accounts of {listed(question['unread'])}, which could not be read"


def _with_keys(text: str, answer: _Row) -> str:
    return f"{text} ({', '.join(answer['keys'])})" if "keys" in answer else text


def access_csv(report: _Row) -> str:
    """Return the report as CSV, with a row for each service account and each AWS service of its permissions.

    A service account whose permissions are unknown or empty has one row, and so has a cluster that could not be read. After the
    other columns, each question has a column with the answers.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_COLUMNS, *(_as_text(question["question"]) for question in report["questions"])])
    writer.writerows([_as_text(value) for value in row] for row in _csv_rows(report))
    return text.getvalue()


def _csv_rows(report: _Row) -> Iterator[list[str]]:
    codes: dict[int, dict[str, None]] = {}
    for risk in report["risks"]:
        for number in risk["workloads"]:
            codes.setdefault(number, {})[risk["code"]] = None
    for number, workload in enumerate(report["workloads"]):
        cluster, entry = report["clusters"][workload["cluster"]], _role_entry(workload)
        roles = [report["roles"][entry[name]] for name in ("role", "target") if name in entry]
        use = roles[-1].get("use", {}) if roles else {}
        times = {name: time or _NO_USE for name, time in use.get("services", {}).items()}
        values = {
            **{name: workload[name] for name in ("namespace", "service_account", "source", "access")},
            "cluster": cluster["key"],
            "account": cluster["account"],
            "region": cluster["region"],
            **dict(zip(("role", "target_role"), (role["arn"] for role in roles), strict=False)),
            "usable": entry.get("usable", ""),
            "risks": " ".join(codes.get(number, ())),
            "lets_in": " ".join(guest["principal"] for role in roles for guest in role.get("lets_in", ())),
            "role_last_used": str(use["last"] or _NO_USE) if "last" in use else "",
        }
        rows = [question["answers"][number] for question in report["questions"]]
        answers = [_with_keys(row["answer"], row) for row in rows]
        # A policy that could not be read may allow the other levels.
        other = "unknown" if workload["access"] in ("partial", "unknown") else "no"
        for cell in permission_cells(report, workload):
            values |= {
                **{name: cell["levels"].get(level, other) for level, name in _LEVEL_COLUMNS.items()},
                "service": cell["service"],
                "resources": " ".join(cell["resources"]),
                "depends_on": " ".join(cell.get("keys", ())),
                "service_last_used": times.get(cell["service"], ""),
            }
            yield [*(values.get(name, "") for name in _COLUMNS), *answers]
        if not permission_cells(report, workload):
            yield [*(values.get(name, "") for name in _COLUMNS), *answers]
    for cluster in report["clusters"]:
        if cluster.get("error"):
            values = {**cluster, "cluster": cluster["key"], "access": "unknown"}
            yield [*(values.get(name, "") for name in _COLUMNS), *(["unknown"] * len(report["questions"]))]


def _as_text(value: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would evaluate as a formula."""
    return f"'{value}" if _FORMULA.match(value) else value


def _workload_cells(report: _Row) -> Iterator[tuple[str, ...]]:
    yield "SERVICE ACCOUNT", "CREDENTIALS", "ROLE", "ACCESS"
    for workload in report["workloads"][:_SHOWN_WORKLOADS]:
        entry = _role_entry(workload)
        names = [report["roles"][entry[name]]["name"] for name in ("role", "target") if name in entry]
        yield (
            workload["name"],
            SOURCES[workload["source"]],
            " → ".join(names) or "-",
            _describe_access(report, workload),
        )


def _describe_access(report: _Row, workload: _Row) -> str:
    access = str(workload["access"])
    if access in ("none", "unknown", "blocked") or "profile" not in workload:
        return "none: the role cannot be used" if access == "blocked" else access
    cells = [cell for cell in permission_cells(report, workload) if cell["levels"]]
    ordered = sorted(cells, key=lambda cell: (cell["service"] != "*", cell["service"]))
    parts = [f"{cell['service']} {_letters(cell['levels'])}" for cell in ordered]
    partial = ", incomplete" if workload["access"] == "partial" else ""
    return f"{listed(parts, _SHOWN_SERVICES) or 'no permissions'}{partial}"


def permission_cells(report: _Row, workload: _Row) -> Sequence[_Row]:
    """Return the permissions of a service account: one entry for each AWS service."""
    return report["profiles"][workload["profile"]]["cells"] if "profile" in workload else ()


def _letters(levels: Mapping[str, str]) -> str:
    return "".join(
        letter if levels[level] == "yes" else letter.lower()
        for level, letter in _LETTERS.items()
        if level in levels
    )


def _role_entry(workload: _Row) -> _Row:
    """Return the entry of the first credentials that have a role, or an empty mapping."""
    entries: Sequence[_Row] = workload["credentials"]
    return next((entry for entry in entries if "role" in entry), {})


def _more(count: int, limit: int, things: str) -> list[str]:
    more = count - limit
    subject = f"1 more {things.removesuffix('s')} is" if more == 1 else f"{more} more {things} are"
    return [f"{subject} in the report."] if more > 0 else []
