# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What the jobs of a fleet reported, put side by side: who failed, who did not report, who reported too long ago. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..kubernetes.model.objects import Object, text_of
from .artifact import PREFIX, mapping_from_artifact
from .fleet import NOT_A_REPORT, Ended, fleet_lines
from .natural import natural
from .reported import parse_reported

NO_REPORT = (
    "No job reported for it. Either it was not run, or it ended before its report: see the output of the jobs, and "
    "whether the nodes of the workflow lead here."
)
ONLY_PLANNED = (
    "Its last report is that of a plan (check mode), so the job that was to do the work left none: see its output, and run it "
    "again. Where nothing but plans are meant, run this in check mode, too."
)
WITHOUT_A_MESSAGE = "It stopped before it had a report, and left no message: see the output of its job."


@dataclass(frozen=True, slots=True)
class Gathered:
    """``lines`` are for people; ``failure`` says in one line why it failed, and is "" where it did not."""

    lines: Sequence[str]
    failure: str
    failed: Sequence[str]
    missing: Sequence[str]


def artifacts_in(variables: Object) -> list[Object]:
    """The reports among the variables that a later job gets, each as it was before it became an artifact."""
    names = sorted(name for name in variables if name.startswith(PREFIX))
    values = ((name, variables[name]) for name in names)
    return [
        mapping_from_artifact(value) if isinstance(value, Mapping) and value else {"host": name}
        for name, value in values
    ]


def gather(
    reports: Sequence[Object],
    expected: Sequence[str],
    now: datetime,
    max_age: int | None,
    plans: bool = False,
) -> Gathered:
    """``expected`` has names of hosts or clusters, or ARNs of clusters; ``max_age`` is in seconds. ``plans``: reports of
    check mode are what is meant. Else a job that was killed after its plan must not count as done."""
    newest = _newest(reports)
    missing = [name for name in expected if not any(name in _names(report) for report in newest)]
    ended = sorted(
        (_ended(report, now, max_age, plans) for report in newest),
        key=lambda each: (natural(each.host), natural(each.cluster)),
    )
    ended += [Ended(name, name, None, NO_REPORT) for name in missing]
    failed = [each.host for each in ended if each.failed and each.host not in missing]
    planned = sorted((_label(report) for report in newest if report.get("check_mode")), key=natural)
    all_planned = plans and len(planned) == len(newest)
    lines = fleet_lines(ended, len(ended), 0, check_mode=all_planned)
    if planned and not all_planned:
        lines += ["", f"Check mode, where nothing was changed: {', '.join(planned)}."]
    return Gathered(lines, _failure(failed, missing, len(ended)), failed, missing)


def _failure(failed: Sequence[str], missing: Sequence[str], clusters: int) -> str:
    if not clusters:
        return (
            "No report: there is neither an artifact of an earlier job nor a report file. Run this after the jobs in one "
            "workflow, or give pod_identity_report_files."
        )
    parts = [f"{len(failed)} of {clusters} clusters failed: {', '.join(failed)}"] if failed else []
    parts += [f"{len(missing)} of {clusters} did not report: {', '.join(missing)}"] if missing else []
    return f"{'; '.join(parts)}. See above." if parts else ""


def _newest(reports: Sequence[Object]) -> list[Object]:
    """The last report of each cluster. One without the cluster's ARN, which stopped early, stands for itself."""
    last: dict[str, Object] = {}
    for number, report in enumerate(sorted(reports, key=lambda report: text_of(report.get("time")))):
        last[str(report.get("cluster_arn") or number)] = report
    return list(last.values())


def _names(report: Object) -> tuple[str, ...]:
    return tuple(str(report[key]) for key in ("host", "cluster_name", "cluster_arn") if report.get(key))


def _label(report: Object) -> str:
    return next(iter(_names(report)), "unknown")


def _ended(report: Object, now: datetime, max_age: int | None, plans: bool) -> Ended:
    host, cluster = _label(report), text_of(report.get("cluster_name") or _label(report))
    late = _why_late(text_of(report.get("time")), now, max_age)
    if report.get("stopped") or late:
        return Ended(host, cluster, None, late or text_of(report.get("failure") or WITHOUT_A_MESSAGE))
    reported, planned = parse_reported(report), report.get("check_mode")
    if reported is None or not isinstance(planned, bool):
        return Ended(host, cluster, None, NOT_A_REPORT)
    if planned and not plans:
        return Ended(host, cluster, None, ONLY_PLANNED)
    return Ended(host, cluster, reported)


def _why_late(time: str, now: datetime, max_age: int | None) -> str:
    if max_age is None:
        return ""
    try:
        age = now - datetime.fromisoformat(time)
    except (ValueError, TypeError):
        return f"Its report has no time that can be read ('{time}'), so it may be an old one."
    if age <= timedelta(seconds=max_age):
        return ""
    return f"Its report is of {time}, older than the {max_age} seconds of pod_identity_report_max_age: run its job again."
