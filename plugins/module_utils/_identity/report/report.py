# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The outcome of a run: what AWS and Kubernetes gave, as facts, lines to show, and a verdict. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ..._findings.codes import Code
from ..kubernetes.account_findings import account_findings
from ..kubernetes.api_errors import said
from ..kubernetes.applied import carried_out
from ..kubernetes.pod_checks import KubeVerdict, key_of, verify_pods
from ..kubernetes.proof import judge_proofs
from ..kubernetes.reads import state_of, verification_of
from ..kubernetes.service_accounts import Key, described, found_after
from ..model.messages import sentence
from .text import SHOWN_FINDINGS, change_line, report_lines, resource_line

_ORDER = ("fail", "unknown", "warning", "accepted", "pass", "skipped")
_COUNTS = (
    ("passed", "pass"),
    ("failed", "fail"),
    ("warnings", "warning"),
    ("unknown", "unknown"),
    ("accepted", "accepted"),
)
# What EKS says of the add-on gives way to what is seen in the cluster: an agent may come from elsewhere.
_ADDON_MISSING = Code.AGENT_ADDON_MISSING

Row = Mapping[str, Any]


def make_report(
    result: Row,
    service_accounts: Sequence[Row],
    kubernetes_plan: Row,
    check_mode: bool = False,
    cluster_reads: Mapping[str, Row] | None = None,
    ignore: Collection[str] = (),
    fail_on: str = "error",
    proof: Row | None = None,
    kubernetes_error: str = "",
    applied: Row | None = None,
    purged: Row | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """The facts of a run, the lines to show, and whether and why it failed.

    ``result`` is that of eks_pod_identity, of either state, or of eks_pod_identity_info.
    ``cluster_reads`` are results of k8s_info by the names of kube_state.RESOURCES, as far as they were
    read. Findings with a code of ``ignore`` are accepted; ``fail_on`` is "error" or "warning". ``proof``
    is what kube_proof.judge_proofs takes. ``applied`` and ``purged`` are results of k8s for the plan, and for
    what is stale in it. ``kubernetes_error`` is what kubernetes.core said when it ended before its result;
    how far it got is then not known.
    """
    changing = "changes" in result
    verification = verification_of(result)
    removes = result.get("state") == "absent"
    failures = list(result.get("failures", ()))
    stays = kubernetes_plan.get("findings", ())
    if kubernetes_error:
        kubernetes_plan = {}
    kubernetes_plan, refused = carried_out(kubernetes_plan, applied or {}, purged or {}, removes)
    if failures or any(one["action"] == "apply" for one in refused):
        # The purge waits for the next run.
        kubernetes_plan = {**kubernetes_plan, "stale": ()}
    failures += refused
    objects = described(kubernetes_plan, "absent" if removes else "present")
    changes = [change_line(change) for change in result.get("changes", ())] + objects
    found = found_after(service_accounts, {} if check_mode or removes else kubernetes_plan)
    kube = _kubernetes(verification, cluster_reads or {}, now)
    rows, findings = _verified(verification, found, kube, ignore)
    if proof:
        checks, more = judge_proofs(rows, proof)
        rows = [{**row, "checks": [*row["checks"], *_listed(checks.get(key_of(row)))]} for row in rows]
        findings = [*findings, *more]
    findings = _once([*(result.get("findings", ()) if changing else ()), *stays, *findings])
    findings = [_judged(finding, ignore) for finding in findings]
    rows = [_accepted(row, ignore) for row in rows]
    failing = [one for one in findings if _fails(one, fail_on)]
    failed = bool(failures or failing or kubernetes_error or any(_fails_without_word(row) for row in rows))
    return {
        "workloads": rows or list(result.get("workloads", ())),
        "changes": list(result.get("changes", ())),
        "kubernetes_changes": objects,
        "findings": findings,
        "failures": failures,
        "summary": {
            "workloads": len(result.get("workloads", ())),
            **{name: sum(row["status"] == status for row in rows) for name, status in _COUNTS},
            "changes": len(changes),
            "findings": len(findings),
        },
        "lines": report_lines(changes if changing else None, rows, _told(failures, findings), check_mode),
        "failed": failed,
        "failure": _failure(result, failing, refused, kubernetes_error) if failed else "",
    }


def _kubernetes(verification: Row, reads: Mapping[str, Row], now: datetime | None) -> KubeVerdict:
    rows = verification.get("workloads", ())
    state = state_of(verification, reads, now or datetime.now(timezone.utc))
    return verify_pods(rows, state, str(rows[0]["cluster"]) if rows else "")


def _verified(
    verification: Row, found: Mapping[Key, Row], kube: KubeVerdict, ignore: Collection[str]
) -> tuple[list[dict[str, Any]], list[Row]]:
    """The checks of AWS with those of Kubernetes added to each workload."""
    seen = any(check["name"] == "agent" for checks in kube.checks.values() for check in checks[:1])
    spaces = {namespace for namespace, _name in found}
    rows = []
    findings = [
        one for one in verification.get("findings", ()) if not (seen and one["code"] == _ADDON_MISSING)
    ]
    for row in verification.get("workloads", ()):
        key = key_of(row)
        own = account_findings(key, found, spaces)
        of_aws, further = _on_their_own(row.get("checks", ()), ignore)
        findings += [*further, *own]
        checks = [*of_aws, _account_check(own), *kube.checks[key]]
        rows.append({**row, "checks": _one_agent(checks)})
    return rows, _once([*findings, *kube.findings])


def _on_their_own(checks: Sequence[Row], ignore: Collection[str]) -> tuple[list[dict[str, Any]], list[Row]]:
    """What follows from other findings becomes a finding itself where those are accepted."""
    accepted = {code for check in checks for code in check.get("codes", ())} <= set(ignore)
    rows: list[dict[str, Any]] = []
    findings: list[Row] = []
    for check in checks:
        row = {name: value for name, value in check.items() if name != "follows"}
        if accepted and check.get("follows"):
            findings += check["follows"]
            row["codes"] = [*check["codes"], *(finding["code"] for finding in check["follows"])]
        rows.append(row)
    return rows, findings


def _account_check(findings: Sequence[Row]) -> dict[str, Any]:
    status = "pass"
    if findings:
        status = "fail" if findings[0]["severity"] == "error" else "warning"
    return {
        "name": "service account",
        "status": status,
        "detail": "",
        "codes": [finding["code"] for finding in findings],
    }


def _one_agent(checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """AWS and Kubernetes each say something of the agent; the worse of the two is what counts."""
    agents = [check for check in checks if check["name"] == "agent"]
    if len(agents) < 2:
        return list(checks)
    aws, kube = agents
    if kube["status"] == "unknown":
        joined = aws
    elif _ADDON_MISSING in aws.get("codes", ()):
        joined = kube
    else:
        codes = [*aws.get("codes", ()), *kube["codes"]]
        worse = min(agents, key=lambda check: _ORDER.index(check["status"]))
        joined = {**worse, "detail": worse["detail"] or kube["detail"], "codes": codes}
    return [check for check in checks if check["name"] != "agent"] + [joined]


def _listed(check: dict[str, Any] | None) -> list[dict[str, Any]]:
    return [check] if check else []


def _once(findings: Sequence[Row]) -> list[Row]:
    """What concerns the whole cluster is said once, not for each workload."""
    return list({tuple(finding.items()): finding for finding in findings}.values())


def _judged(finding: Row, ignore: Collection[str]) -> Row:
    return {**finding, "accepted": True} if finding["code"] in ignore else finding


def _accepted(row: Row, ignore: Collection[str]) -> dict[str, Any]:
    """The row with its status, and checks whose every finding is accepted shown so.

    A failed check without a finding of its own follows from what another one found.
    """
    codes = {code for check in row["checks"] for code in check.get("codes", ())}
    excused = bool(codes) and codes <= set(ignore)
    checks = []
    for check in row["checks"]:
        own = set(check.get("codes", ()))
        if check["status"] not in ("pass", "skipped") and (excused if not own else own <= set(ignore)):
            check = {**check, "status": "accepted"}
        checks.append(check)
    statuses = {check["status"] for check in checks}
    return {
        **row,
        "checks": checks,
        "status": next((one for one in _ORDER if one in statuses), "pass"),
    }


def _fails(finding: Row, fail_on: str) -> bool:
    failing = ("error", "warning") if fail_on == "warning" else ("error",)
    return finding["severity"] in failing and not finding.get("accepted")


def _fails_without_word(row: Row) -> bool:
    """A workload that failed although none of its checks names a finding: never taken for right."""
    codes = [code for check in row["checks"] for code in check.get("codes", ())]
    return row["status"] == "fail" and not codes


def _told(failures: Sequence[Row], findings: Sequence[Row]) -> list[Row]:
    """What is shown below the table. Of a workload that was refused that refusal, and not what follows from
    it: whoever has just run site.yml is not helped by "Run site.yml"."""
    refused = {one["workload"] for one in failures if one["workload"]}
    causes = [
        {
            "code": one["error_code"],
            "severity": "failed",
            "workload": one["workload"],
            "message": f"{resource_line(one)}: {one['message']}",
            "remedy": one["remedy"],
        }
        for one in failures
        if one["error_code"] != Code.SKIPPED
    ]
    return [*causes, *(one for one in findings if one["workload"] not in refused)]


def _of_cluster(result: Row) -> str:
    name = str(result.get("cluster_arn", "")).rpartition("/")[2]
    return f" (cluster {name})" if name else ""


def _failure(result: Row, failing: Sequence[Row], refused: Sequence[Row], kubernetes_error: str) -> str:
    """The cause first: what could not be done, else what the verification found."""
    undone = [str(result.get("msg", ""))] if result.get("failures") else []
    done = "removed from" if result.get("state") == "absent" else "converged in"
    if refused:
        count = f"{len(refused)} object{'' if len(refused) == 1 else 's'}"
        lines = [
            f"- {resource_line(one)}: {one['message']} {one['remedy']}" for one in refused[:SHOWN_FINDINGS]
        ]
        more = len(refused) - SHOWN_FINDINGS
        undone += [
            f"{count} could not be {done} Kubernetes{_of_cluster(result)}; the others are done:",
            *lines,
            *([f"- and {more} more, listed in pod_identity_report.failures."] if more > 0 else []),
        ]
    if kubernetes_error:
        undone.append(
            f"The service accounts could not be {done} Kubernetes{_of_cluster(result)}: {sentence(said(kubernetes_error)[1])} "
            "Resolve that and run again; what was done in AWS stays done."
        )
    if undone:
        return "\n".join(undone)
    lines = [
        f"{one['workload']}: {one['message']} {one['remedy']}".removeprefix(": ")
        for one in failing[:SHOWN_FINDINGS]
    ]
    more = len(failing) - SHOWN_FINDINGS
    return "\n".join(
        [*lines, *([f"and {more} more, listed in pod_identity_report.findings."] if more > 0 else [])]
    )
