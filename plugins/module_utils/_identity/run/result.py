# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the result of a run. Playbooks of users and AWX depend on its format. Pure.

The result has rows of changes, workloads and failures. Its findings and checks become rows at the end of a module, or in the
report of the role.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, cast

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._findings.text import visible, with_remedy
from ..model.associations import ObservedAssociation, decode_association
from ..model.changes import Change
from ..model.checks import FAIL, PASS, UNKNOWN, WARNING, Verified
from ..model.cluster import Cluster
from ..model.desired import Workload
from ..model.errors import group_by_cause, listed, own_names, sentence
from ..model.observed import Observed
from ..model.rows import (
    FailureRow,
    FindingRow,
    Row,
    WorkloadFacts,
    check_row,
    finding_row,
)
from ..model.targets import Failure, association_key
from .outcome import Run

SHOWN_FAILURES = 10


def build_result(run: Run) -> Row:
    """Return the result of a run, without ``failed`` and ``msg``."""
    changes = run.changes
    associations = _associations_after(run)
    failed = {key for failure in run.failures for key in failure.workloads}
    statuses = {key: "changed" for change in changes for key in change.workloads}
    statuses |= dict.fromkeys(failed, "failed")
    workloads: list[Row] = [
        {
            **_facts(run.observed.cluster, workload, associations.get(workload.key)),
            "status": statuses.get(workload.key, "unchanged"),
        }
        for workload in run.desired.workloads
    ]
    return {
        # A partial change is not in the list of changes.
        "changed": bool(changes) or any(failure.partly for failure in run.failures),
        "state": run.state,
        "changes": [change_row(change) for change in changes],
        "workloads": workloads,
        "findings": [*run.findings],
        "failures": [row for failure in run.failures for row in failure_rows(failure)],
        "summary": {
            "workloads": len(workloads),
            "changes": len(changes),
            "failed": len(failed),
            "findings": len(run.findings),
            "changed": sum(row["status"] == "changed" for row in workloads),
            "unchanged": sum(row["status"] == "unchanged" for row in workloads),
        },
        "diff": [*map(diff_row, changes)],
    }


def change_row(change: Change) -> Row:
    """Return the row of a change. It names one workload of the change, and ``shared_with`` has the others, if any."""
    keys = change.workloads
    row: Row = {
        "workload": str(keys[0]) if keys else "",
        "resource": change.target.resource,
        "name": change.target.full_name,
        "action": change.action,
        "before": change.before,
        "after": change.after,
    }
    if len(keys) > 1:
        row["shared_with"] = [*map(str, keys[1:])]
    return row


def failure_rows(failure: Failure) -> list[FailureRow]:
    """Return a row for each workload that a failure affects, or one row for a failure without workloads."""
    keys: Sequence[WorkloadKey | None] = failure.workloads or (None,)
    return [
        {
            "workload": str(key or ""),
            "resource": failure.target.resource,
            "name": failure.target.full_name,
            "action": failure.action,
            "error_code": failure.error_code,
            "message": visible(failure.message),
            "remedy": visible(failure.remedy),
        }
        for key in keys
    ]


def failure_message(run: Run, cluster: Cluster, result: Row) -> str:
    """Return the ``msg`` of a failed run for one cluster: the first SHOWN_FAILURES causes, each with workloads and remedy.

    :arg result: the result of ``build_result``.
    """
    failed = {key for failure in run.failures for key in failure.workloads}
    # A purge may also fail for workloads that are not listed.
    total = len(failed.union(workload.key for workload in run.desired.workloads))
    subject = f"{len(failed)} of {total} workloads" if failed else "the resources"
    place = f"of cluster {cluster.name} (account {cluster.account_id}, region {cluster.region})"
    causes = [row for row in result["failures"] if row["error_code"] != Code.SKIPPED]
    lines = [
        f"{subject} {place} {'cannot' if run.check_mode else 'could not'} be brought to state {run.state}:",
        *failure_lines(group_failures(causes, result["workloads"]), "failures"),
    ]
    if run.check_mode:
        lines.append("Nothing was changed.")
    elif len(failed) < total:
        subject = "The other" if failed else "All"
        lines.append(f"{subject} workloads are complete in AWS; a rerun applies the remaining changes.")
    return "\n".join(map(visible, lines))


def failure_lines(failures: Sequence[FindingRow], place: str) -> list[str]:
    """Return the lines of failures in an error message, each with its remedy. At most SHOWN_FAILURES are shown.

    :arg failures: the result of ``group_failures``.
    :arg place: the list that has all failures.
    """
    lines = []
    for row in failures[:SHOWN_FAILURES]:
        about = " ".join(filter(None, (row["code"], row["workload"])))
        text = f"{about}: {row['message']}".removeprefix(": ")
        lines += with_remedy(visible(f"- {text}"), visible(row["remedy"]), "    ")
    more = len(failures) - SHOWN_FAILURES
    return [*lines, *([f"- and {more} more, listed in {place}."] if more > 0 else [])]


def group_failures(
    failures: Sequence[FailureRow], workloads: Iterable[Mapping[str, object]] = ()
) -> list[FindingRow]:
    """Return failures in the form of findings, one for all failures with the same cause.

    Failures have the same cause if they are equal apart from the names of their objects and workloads.

    :arg workloads: the rows of the workloads, which name their roles and policies.
    """
    objects = {
        f"{row['namespace']}/{row['service_account']}": [
            str(row.get("role_arn") or ""),
            *cast("Sequence[str]", row.get("policy_arns") or ()),
        ]
        for row in workloads
    }

    groups = group_by_cause(
        failures,
        itemgetter("resource", "action", "error_code", "message", "remedy"),
        lambda row: own_names([row["workload"]], [*row["name"].split(), *objects.get(row["workload"], ())]),
    )
    return [_as_finding(group) for group in groups]


def _as_finding(group: Sequence[FailureRow]) -> FindingRow:
    """Return failures with the same cause as one finding. Its message begins with the actions, like "create role my-role".

    If the messages of the failures differ, it has the first one, with the name of its object.
    """
    first = group[0]
    message = sentence(first["message"])
    if any(failure["message"] != first["message"] for failure in group):
        message = f"for {first['name']}: {message}"
    names = list(dict.fromkeys(failure["name"] for failure in group))
    subject = phrase_action(first["action"], first["resource"], listed(names))
    if first["resource"] == "attachment":
        subject = listed(phrase_action(first["action"], first["resource"], name) for name in names)
    return {
        "code": first["error_code"],
        "severity": "error",
        "workload": listed(dict.fromkeys(failure["workload"] for failure in group), SHOWN_FAILURES),
        "message": f"{subject}: {message}",
        "remedy": first["remedy"],
    }


# The preposition between policy and role, by action.
_TOWARDS = {"attach": "to", "detach": "from", "replace": "on"}


def phrase_action(action: str, resource: str, name: str) -> str:
    """Describe the change or read of a row, like "attach policy my-policy to role my-role"."""
    if resource == "attachment":
        role, _separator, policy = name.partition(" ")
        return visible(f"{action} policy {policy} {_TOWARDS.get(action, 'of')} role {role}")
    return visible(f"{action} {describe_resource(resource)} {name}")


def describe_resource(resource: str) -> str:
    return "add-on" if resource == "addon" else resource.replace("_", " ")


def diff_row(change: Change) -> Row:
    """Return the diff of a change."""
    header = visible(f"{change.target.label} ({change.action})")
    return {
        "before_header": header,
        "after_header": header,
        "before": _state_text(change.before),
        "after": _state_text(change.after),
    }


def _state_text(state: Mapping[str, object] | None) -> str:
    return "" if state is None else f"{json.dumps(state, indent=2, sort_keys=True, default=str)}\n"


def _associations_after(run: Run) -> dict[WorkloadKey, ObservedAssociation]:
    """Return the observed associations, with the changes of this run."""
    associations = dict(run.observed.associations)
    for done in run.done:
        key = association_key(done.change.target)
        if key is not None and done.change.action == "delete":
            associations.pop(key, None)
        elif key is not None and "association" in done.answer:
            associations[key] = decode_association(done.answer["association"])
    return associations


def verified_result(
    verified: Sequence[Verified], observed: Observed, cluster: Cluster, further: Iterable[Finding] = ()
) -> Row:
    """Return the result of the verification of one cluster. ``further`` are findings that its checks do not have."""
    unread = Finding(
        Code.BULK_READ_DENIED,
        f"roles and policies were read one by one, with more requests: {observed.bulk_denied}",
        "Allow the caller iam:GetAccountAuthorizationDetails to read them in bulk.",
    )
    rows: list[Row] = []
    for subject in verified:
        association = observed.associations.get(subject.workload.key)
        role = observed.roles.get(association.role_arn.rpartition("/")[2].lower()) if association else None
        created = role.created_at if association and role and role.arn == association.role_arn else ""
        rows.append(
            {
                **_facts(observed.cluster, subject.workload, association),
                "role_created_at": created,
                "status": subject.status,
                "checks": subject.checks,
            }
        )
    # Several workloads may share a finding.
    findings = dict.fromkeys(
        (
            *further,
            *([unread] if observed.bulk_denied else []),
            *(finding for subject in verified for finding in subject.findings),
        )
    )
    counts = Counter(subject.status for subject in verified)
    return {
        "changed": False,
        "workloads": rows,
        "findings": [*findings],
        "summary": {
            "workloads": len(rows),
            "passed": counts[PASS],
            "failed": counts[FAIL],
            "warnings": counts[WARNING],
            "unknown": counts[UNKNOWN],
            "findings": len(findings),
        },
        "account_id": cluster.account_id,
        "caller_arn": cluster.caller_arn,
        "cluster_arn": cluster.arn,
    }


def module_rows(result: Row) -> Row:
    """Return the result of a module: a result of this file with rows in place of its findings and checks."""
    rows = dict(result)
    if "findings" in rows:
        rows["findings"] = [finding_row(finding) for finding in result["findings"]]
        rows["workloads"] = [workload_row(row) for row in result["workloads"]]
    if "verification" in rows:
        rows["verification"] = module_rows(result["verification"])
    return rows


def workload_row(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a workload of a result with rows of its checks, if it has checks."""
    return {**row, "checks": [check_row(check) for check in row["checks"]]} if "checks" in row else row


def _facts(cluster: Cluster, workload: Workload, association: ObservedAssociation | None) -> WorkloadFacts:
    present = association or ObservedAssociation(workload.key, "", "", "")
    return {
        "cluster": workload.key.cluster,
        "namespace": workload.key.namespace,
        "service_account": workload.key.service_account,
        "role_arn": cluster.role_arn(workload.role) if workload.role is not None else present.role_arn,
        "policy_arns": [cluster.policy_arn(spec) for spec in workload.policies],
        "association_id": present.association_id,
        "association_created_at": present.created_at,
        "association_modified_at": present.modified_at,
        "association_arn": present.association_arn,
        "target_role_arn": present.target_role_arn,
        "external_id": present.external_id,
    }
