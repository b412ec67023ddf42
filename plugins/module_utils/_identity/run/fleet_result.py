# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What became of each cluster of a run, as a module returns it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import visible
from ..inputs.fleet import Member
from ..model.checks import Verified
from ..model.cluster import Account
from ..model.errors import SHOWN_UNLISTED, AwsError, listed, sentence
from ..model.observed import Observed
from ..model.rows import describe_key, finding_row
from ..model.targets import Failure
from .fleet import Fleet
from .outcome import Run
from .perform import Performed
from .result import failure_message, failure_rows, of_cluster, result_of, verified_result

Row = dict[str, object]


class FleetSummary(TypedDict):
    """How many clusters there are, how many of them could not be used or have workloads that failed, and how many
    changes were made: those of what clusters share count once."""

    clusters: int
    failed: int
    changed: int
    workloads: int
    changes: int


def changed_rows(
    fleet: Fleet,
    members: Sequence[Member],
    performed: Performed,
    check_mode: bool,
    further: Mapping[str, Sequence[Finding]],
) -> list[Row]:
    """A row for each cluster, in their order: what M(eks_pod_identity) returns of it, or why it was left out. ``further``
    findings come before those of the run."""
    rows: list[Row] = []
    shown: set[str] = set()
    for member in members:
        if member.key in fleet.left_out:
            waiting = of_cluster(performed.run, member.key).failures or _kept_for_nobody(performed.run)
            rows.append(left_out_row(member, fleet.account, fleet.left_out[member.key], waiting))
            continue
        cluster = fleet.clusters.members[member.key]
        part = of_cluster(performed.run, member.key)
        result = result_of(part, check_mode, member.key)
        # A change that clusters share is shown once.
        diff = [row for row in result["diff"] if row["before_header"] not in shown]
        shown.update(row["before_header"] for row in diff)
        findings = [*map(finding_row, further.get(member.key, ())), *result["findings"]]
        row: Row = {
            **_place(member),
            **result,
            "diff": diff,
            "findings": findings,
            "failed": bool(part.failures),
        }
        row |= {
            "account_id": cluster.account_id,
            "caller_arn": cluster.caller_arn,
            "cluster_arn": cluster.arn,
        }
        if performed.verified is not None:
            row["verification"] = verified_result(performed.verified, performed.observed, cluster)
        if part.failures:
            row["msg"] = failure_message(part, cluster)
        rows.append(row)
    return rows


def verified_rows(
    fleet: Fleet,
    members: Sequence[Member],
    verified: Sequence[Verified],
    observed: Observed,
    further: Mapping[str, Sequence[Finding]],
) -> list[Row]:
    """The same of a verification alone, by what M(eks_pod_identity_info) returns."""
    rows: list[Row] = []
    for member in members:
        if member.key in fleet.left_out:
            rows.append(left_out_row(member, fleet.account, fleet.left_out[member.key]))
            continue
        cluster = fleet.clusters.members[member.key]
        result = verified_result(verified, observed, cluster, further.get(member.key, ()))
        rows.append({**_place(member), **result, "failed": False})
    return rows


def left_out_row(member: Member, account: Account, error: AwsError, failures: Sequence[Failure] = ()) -> Row:
    """``failures`` are those of its workloads, among them what waits for it elsewhere."""
    workloads = [describe_key(workload.key) for workload in member.workloads]
    where = f"account {account.account_id}, "
    operation = f"{error.operation}: " if error.operation else ""
    count = f"{len(workloads)} workload{'' if len(workloads) == 1 else 's'}"
    kept = [failure.target.display for failure in failures if failure.error_code == Code.SKIPPED]
    waits = (
        f" Until then nothing is taken away from what it may use: {listed(dict.fromkeys(kept))}."
        if kept
        else ""
    )
    return {
        **_place(member),
        "failed": True,
        "changed": False,
        "left_out": True,
        "error_code": str(error.code),
        "remedy": visible(error.remedy),
        "names": workloads,
        "msg": visible(
            f"cluster {member.name} ({where}region {member.region}) was left out, and nothing was changed for its {count} "
            f"({listed(workloads, SHOWN_UNLISTED)}): {operation}{error.code}: {sentence(error.text)} {error.remedy}"
            f"{waits}"
        ),
        "failures": [row for failure in failures for row in failure_rows(failure)],
    }


def kept_for_stopped(run: Run) -> list[str]:
    """What stays because a cluster may use it of whose workloads nothing is known."""
    return list(dict.fromkeys(failure.target.display for failure in _kept_for_nobody(run)))


def _kept_for_nobody(run: Run) -> list[Failure]:
    """Nobody whom the run knows waits for it."""
    return [
        failure for failure in run.failures if failure.error_code == Code.SKIPPED and not failure.workloads
    ]


def summary_of(rows: Sequence[Row], members: Sequence[Member], changes: int) -> FleetSummary:
    return {
        "clusters": len(rows),
        "failed": sum(bool(row["failed"]) for row in rows),
        "changed": sum(bool(row["changed"]) for row in rows),
        "workloads": sum(len(member.workloads) for member in members),
        "changes": changes,
    }


def fleet_message(rows: Sequence[Row]) -> str:
    """What failed, cluster by cluster; "" when nothing did."""
    failed = [row for row in rows if row["failed"]]
    if not failed:
        return ""
    lines = [f"{len(failed)} of {len(rows)} clusters failed:"]
    lines += [f"- {row['msg']}" for row in failed]
    if len(failed) < len(rows):
        lines.append("The other clusters are done; a rerun takes up only what is missing.")
    return "\n".join(lines)


def _place(member: Member) -> Row:
    return {"cluster_name": member.name, "region": member.region}
