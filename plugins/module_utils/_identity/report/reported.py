# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The report of a cluster among those of others, taken apart with types: it may come from a file, or from another job. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..._findings.text import visible
from ..kubernetes.model.objects import Object, mapping_of, objects_of, text_of
from .changes import ChangeText, describe_change, describe_kubernetes_change
from .failure import EXPLAINED
from .rows import NoteRow


@dataclass(frozen=True, slots=True)
class Reported:
    """What is shown of a cluster's report. ``failure`` is "" where nothing failed, ``verified`` counts the workloads that were.

    ``changed`` is empty where the report has only the number of its changes.
    """

    account_id: str
    region: str
    workloads: int
    verified: int
    passed: int
    changes: int
    findings: int
    failed: bool
    failure: str
    changed: Sequence[ChangeText] = ()
    warnings: Sequence[NoteRow] = ()


def parse_reported(report: Object) -> Reported | None:
    """None where it lacks what a row needs, with its types: such a report does not say that all went well."""
    summary = mapping_of(report.get("summary"))
    workloads, passed, changes, findings = (
        _count(summary.get(name)) for name in ("workloads", "passed", "changes", "findings")
    )
    others = [_count(summary.get(name)) for name in ("failed", "warnings", "unknown", "accepted")]
    failed = report.get("failed")
    if workloads is None or passed is None or changes is None or findings is None:
        return None
    if not isinstance(failed, bool) or not {"account_id", "region"} <= report.keys():
        return None
    place = text_of(report["account_id"]), text_of(report["region"])
    failure = text_of(report.get("failure") or report.get("headline"))
    return Reported(
        *place,
        workloads,
        passed + sum(filter(None, others)),
        passed,
        changes,
        findings,
        failed,
        failure,
        _changed(report),
        _warnings(report),
    )


def _changed(report: Object) -> list[ChangeText]:
    """Without what is no change: another job may have made the report."""
    lines = report.get("kubernetes_changes")
    return [
        *(
            describe_change(change)
            for change in objects_of(report.get("changes"))
            if change.get("action") and change.get("resource") and change.get("name")
        ),
        *(
            describe_kubernetes_change(line)
            for line in (lines if isinstance(lines, (list, tuple)) else ())
            if isinstance(line, str) and " " in line
        ),
    ]


def _warnings(report: Object) -> list[NoteRow]:
    """Those that nobody accepted, and that neither are why the cluster failed nor follow from what was refused."""
    failure = text_of(report.get("failure"))
    refused = {text_of(row.get("workload")) for row in objects_of(report.get("failures"))} - {""}
    return [
        {
            "label": "warning",
            "code": text_of(finding.get("code")),
            "workload": text_of(finding.get("workload")),
            "message": text_of(finding.get("message")),
            "remedy": text_of(finding.get("remedy")),
        }
        for finding in objects_of(report.get("findings"))
        if finding.get("severity") == "warning"
        and (text_of(finding.get("workload")) not in refused or text_of(finding.get("code")) not in EXPLAINED)
        and not finding.get("accepted")
        and visible(text_of(finding.get("message"))) not in failure
    ]


def _count(value: object) -> int | None:
    """Ansible hands on an int of a class of its own, and YAML a true, which is an int to Python."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
