# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The outcome of a run as people read it: changes, a table of workloads and checks, findings. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes import (
    Key,
    check_service_account,
    described,
    found_after,
    missing_service_account,
)

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
)
WORKLOAD_WIDTH = 26
SHOWN_CHANGES = 40
SHOWN_FINDINGS = 40
_TOWARDS = {"attach": "to", "detach": "from"}
_ORDER = ("fail", "unknown", "warning", "pass")
_COUNTS = (("passed", "pass"), ("failed", "fail"), ("warnings", "warning"), ("unknown", "unknown"))

Row = Mapping[str, Any]


def make_report(
    result: Row, service_accounts: Sequence[Row], kubernetes_plan: Row, check_mode: bool = False
) -> dict[str, Any]:
    """The facts of a run, the lines to show, and whether and why it failed.

    ``result`` is that of eks_pod_identity, of either state, or of eks_pod_identity_info.
    """
    changing = "changes" in result
    verification = result.get("verification", {} if changing else result)
    objects = described(kubernetes_plan, "absent" if _removes(result) else "present")
    changes = [_change_line(change) for change in result.get("changes", ())] + objects
    found = found_after(service_accounts, {} if check_mode or _removes(result) else kubernetes_plan)
    rows, findings = _verified(verification, found)
    findings = [*(result.get("findings", ()) if changing else ()), *findings]
    failures = list(result.get("failures", ()))
    summary = {
        "workloads": len(result.get("workloads", ())),
        **{name: sum(row["status"] == status for row in rows) for name, status in _COUNTS},
        "changes": len(changes),
        "findings": len(findings),
    }
    failed = bool(failures) or any(row["status"] in ("fail", "unknown") for row in rows)
    return {
        "workloads": rows or list(result.get("workloads", ())),
        "changes": list(result.get("changes", ())),
        "kubernetes_changes": objects,
        "findings": findings,
        "failures": failures,
        "summary": summary,
        "lines": _lines(changing, changes, rows, findings, check_mode),
        "failed": failed,
        "failure": _failure(result, findings) if failed else "",
    }


def _removes(result: Row) -> bool:
    return bool(result.get("state") == "absent")


def _verified(verification: Row, found: Mapping[Key, Row]) -> tuple[list[dict[str, Any]], list[Row]]:
    """The checks of AWS with that of the service account added to each workload."""
    rows, findings = [], list(verification.get("findings", ()))
    for row in verification.get("workloads", ()):
        key = (row["namespace"], row["service_account"])
        checks = [*row.get("checks", ()), check_service_account(key, found)]
        if key not in found:
            findings.append(missing_service_account(key))
        statuses = {check["status"] for check in checks}
        status = next((one for one in _ORDER if one in statuses), "pass")
        rows.append({**row, "checks": checks, "status": status})
    return rows, findings


def _lines(
    changing: bool,
    changes: Sequence[str],
    rows: Sequence[Row],
    findings: Sequence[Row],
    check_mode: bool,
) -> list[str]:
    lines = []
    if changing:
        count = f"{len(changes)} change{'' if len(changes) == 1 else 's'}"
        head = f"Plan: {count}; nothing was changed." if check_mode else f"Done: {count}."
        lines = [head, *_first(changes, SHOWN_CHANGES)]
    if rows:
        lines += [*([""] if lines else []), *table(rows)]
    return lines + _first([_finding_line(finding) for finding in findings], SHOWN_FINDINGS)


def _first(lines: Sequence[str], count: int) -> list[str]:
    more = [f"  and {len(lines) - count} more"] if len(lines) > count else []
    return [f"  {line}" for line in lines[:count]] + more


def _change_line(change: Row) -> str:
    if change["resource"] == "attachment":
        role, _, policy = change["name"].partition(" ")
        return f"{change['action']} policy {policy} {_TOWARDS[change['action']]} role {role}"
    kind = str(change["resource"]).replace("_", " ")
    what = f"{change['action']} {kind} {change['name']}"
    if change["action"] == "update":
        what += f" ({', '.join(sorted(change['after'])).replace('_', ' ')})"
    return what


def table(rows: Sequence[Row]) -> list[str]:
    """One line for each workload, the same columns for all, at most 100 characters wide."""
    present = {check["name"] for row in rows for check in row["checks"]}
    columns = [column for column in COLUMNS if column[0] in present]
    cells = [["WORKLOAD", *(title for _, title in columns)]]
    for row in rows:
        by_name = {check["name"]: check for check in row["checks"]}
        name = f"{row['namespace']}/{row['service_account']}"
        cells.append([_shortened(name), *(_cell(by_name.get(column)) for column, _ in columns)])
    widths = [max(len(line[index]) for line in cells) for index in range(len(cells[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]


def _finding_line(finding: Row) -> str:
    return (
        f"{finding['severity']} {finding['code']} {finding['workload']}: {finding['message']} "
        f"{finding['remedy']}"
    )


def _failure(result: Row, findings: Sequence[Row]) -> str:
    """The cause first: what could not be done, else what the verification found."""
    if result.get("failures"):
        return str(result.get("msg", ""))
    errors = [finding for finding in findings if finding["severity"] == "error"]
    lines = [f"{one['workload']}: {one['message']} {one['remedy']}" for one in errors]
    return "\n".join(lines[:SHOWN_FINDINGS])


def _cell(check: Row | None) -> str:
    if check is None:
        return "-"
    detail = f" {check['detail']}" if check.get("detail") else ""
    return f"{check['status']}{detail}"


def _shortened(name: str) -> str:
    return name if len(name) <= WORKLOAD_WIDTH else f"{name[: WORKLOAD_WIDTH - 1]}…"
