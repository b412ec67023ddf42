# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply the plan for service accounts. Pure: the cluster is an argument.

After the writes, the service accounts are read back.

The response to a write does not prove that it took effect: kubernetes.core treats a conflict (409) as success, and another
process may revert the write. A list request without resource version is a consistent read of etcd, so the list is never
stale.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.errors import sentence
from ...model.rows import FailureRow
from ..api.api_errors import ApiError, manifest_failure
from ..api.cluster import KubernetesCluster, WriteResult
from ..model.objects import (
    Object,
    as_mapping,
    as_texts,
    is_terminating,
    member,
    object_name,
    parse_service_account,
    release_manifest,
)
from .account_plan import (
    AccountPlan,
    Accounts,
    accounts_query,
    affected_workload,
)

# Metadata that the API server sets. A dry run returns invented values, so a diff leaves them out.
_SERVER_FIELDS = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})


def format_diff(diff: Object, manifest: Object) -> Object | None:
    """Return a ``diff`` of kubernetes.core as text with a header that names the object.

    Return None if the only differences are metadata that the API server sets.
    """
    old, new = (_manifest_text(as_mapping(diff.get(side))) for side in ("before", "after"))
    if old == new:
        return None
    header = f"{manifest['kind']} {object_name(manifest)}"
    return {"before_header": header, "after_header": header, "before": old, "after": new}


def _manifest_text(item: Object) -> str:
    metadata = {name: value for name, value in member(item, "metadata").items() if name not in _SERVER_FIELDS}
    fields = {**item, **({"metadata": metadata} if "metadata" in item else {})}
    return f"{json.dumps(fields, indent=2, sort_keys=True)}\n" if fields else ""


# The requested part of a plan, the result of its writes with the errors by the index of the step, and whether further steps were
# not requested, because these writes failed.
PlanWrites: TypeAlias = tuple[AccountPlan, WriteResult, bool]


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The part of a plan that was applied, and the failures of the other changes.

    ``error`` is set if requests ended without a result and objects differ from their desired state; ``failures`` is empty then.
    ``accounts`` are the service accounts after the writes. ``unread`` has a finding for each written service account that
    could not be read.
    """

    plan: AccountPlan
    failures: Sequence[FailureRow]
    error: ApiError | None
    changed: bool
    diffs: Sequence[Object]
    accounts: Accounts
    unread: Mapping[WorkloadKey, Finding] = field(default_factory=dict)


def describe_step(plan: AccountPlan, *, check_mode: bool) -> str:
    """Return the progress line about the requests of ``write_plan``, or "" if there are none."""
    counts = {
        "applying": len(plan.manifests) + (0 if check_mode else len(plan.waiting)),
        "removing": len(plan.removed),
        "releasing": len(plan.released),
    }
    parts = [f"{verb} {count} object{'' if count == 1 else 's'}" for verb, count in counts.items() if count]
    return f"{' and '.join(parts)}{' in a dry run' if check_mode else ''}" if parts else ""


def write_plan(
    cluster: KubernetesCluster, plan: AccountPlan, *, removes: bool, check_mode: bool
) -> PlanWrites:
    """Apply the manifests of a plan, then delete service accounts, then release service accounts.

    In check mode the service accounts in ``waiting`` are skipped, because their namespace does not exist yet.

    :arg removes: whether to delete and release service accounts. If a manifest is rejected, they are left to the next run.
    """
    requested = plan
    manifests = [*plan.manifests, *(() if check_mode else plan.waiting)]
    written = cluster.apply(manifests) if manifests else WriteResult()
    if written.refused or not removes:
        requested = replace(plan, removed=(), released=())
    removed = cluster.remove(requested.removed) if requested.removed else WriteResult()
    if written.error or removed.error:
        requested = replace(requested, released=())
    released = cluster.apply(requested.released) if requested.released else WriteResult()
    first = len(plan.manifests) + len(plan.waiting)
    parts = ((0, written), (first, removed), (first + len(requested.removed), released))
    result = WriteResult(
        any(part.changed for _start, part in parts),
        {start + index: error for start, part in parts for index, error in part.refused.items()},
        written.error or removed.error or released.error,
        [diff for _start, part in parts for diff in part.diffs],
    )
    return requested, result, removes and requested != plan


# Reasons why a change that the API server accepted is not in effect.
_LOST_WRITES = {
    "apply": "it is missing, is being deleted, or its labels and annotations differ from the applied ones: another process "
    "changes it",
    "remove": "it still exists: another process recreates it",
    "release": "it still has labels or annotations that this collection applied: another process restores them",
}
_FIND_PROCESS = (
    "Find the process that changes the service account: check Argo CD, Flux, the webhooks and the managedFields of the service "
    "account. Then run again."
)


def judge_writes(writes: PlanWrites, accounts: Accounts, read: Sequence[Object] | None = None) -> AppliedPlan:
    """Return the changes that took effect, and the failures of the others.

    A request with an unknown outcome counts as done if the object has its desired state. A request that succeeded counts as a
    failure if the object does not have its desired state.

    :arg accounts: the service accounts after the writes.
    :arg read: all service accounts that were read after the writes, or None. Then the responses count.
    """
    plan, written, is_cut = writes
    steps = plan.steps
    present = {object_name(item): item for item in read or ()}
    inhabited = {name.namespace for name in present}
    rejecting = {object_name(steps[index][1]).namespace for index in written.refused}
    done: set[int] = set()
    failures: list[FailureRow] = []
    changed = written.changed
    for index, (verb, item) in enumerate(steps):
        error, workload = written.refused.get(index), affected_workload(item)
        is_namespace = item["kind"] == "Namespace"
        if read is None:
            holds = error is None
        elif is_namespace:
            # Kubernetes creates the service account "default" in each namespace.
            holds = object_name(item).name in inhabited
        else:
            holds = _has_state(item, verb, present.get(object_name(item)))
        # Without a response or with a server error, the change may have been made. A conflict on the UID may mean that the
        # service account was deleted, so that there is nothing left to release.
        unclear = error is not None and (
            not error.status or error.status >= 500 or (verb, error.status) == ("release", 409)
        )
        if error is not None and not (holds and unclear and not is_cut):
            failures.append(manifest_failure(item, verb, error, workload))
        # If service accounts in a namespace were rejected, the namespace may not exist.
        elif holds or (is_namespace and object_name(item).name not in rejecting):
            done.add(id(item))
            changed |= error is not None
        elif not is_namespace:
            row = manifest_failure(item, verb, ApiError(0, _LOST_WRITES[verb]), workload, _FIND_PROCESS)
            failures.append({**row, "error_code": Code.SERVICE_ACCOUNT_NOT_KEPT.value})
    manifests, waiting, removed, released = (
        [item for item in items if id(item) in done]
        for items in (plan.manifests, plan.waiting, plan.removed, plan.released)
    )
    return AppliedPlan(
        replace(plan, manifests=manifests, waiting=waiting, removed=removed, released=released),
        () if written.error else failures,
        written.error if failures or is_cut else None,
        changed,
        written.diffs,
        accounts,
    )


def _has_state(manifest: Object, verb: str, account: Object | None) -> bool:
    """Return whether a service account has the state that a change gives it.

    :arg account: the service account as it was read, or None if it does not exist.
    """
    is_gone = account is None or is_terminating(account)
    if verb == "remove" or account is None:
        return is_gone and verb != "apply"
    if verb == "release":
        return release_manifest(account) is None
    return not is_gone and all(
        as_texts(member(manifest, "metadata").get(name)).items()
        <= as_texts(member(account, "metadata").get(name)).items()
        for name in ("labels", "annotations")
    )


def read_back(cluster: KubernetesCluster, name: str, accounts: Accounts, writes: PlanWrites) -> AppliedPlan:
    """Read the service accounts again if any was written, and return which changes took effect.

    :arg name: the value of ``cluster`` in the keys of the workloads.
    :arg accounts: the service accounts before the writes.
    """
    touched = {
        WorkloadKey(name, *object_name(item))
        for _verb, item in writes[0].steps
        if item["kind"] == "ServiceAccount"
    }
    if not touched:
        return judge_writes(writes, accounts)
    listing = cluster.list_objects(accounts_query(touched))
    if listing.error is not None:
        finding = Finding(
            Code.KUBERNETES_NOT_READABLE,
            "the service account could not be read after the writes, so its state is unknown: "
            f"{sentence(listing.error.text)}",
            "Run the verification, which reads it.",
        )
        unread = {key: replace(finding, workload=key) for key in touched}
        return replace(judge_writes(writes, accounts), unread=unread)
    current = {key: account for key, account in accounts.items() if key not in touched}
    read = (parse_service_account(item, name) for item in listing.items)
    current |= {account.key: account for account in read}
    return judge_writes(writes, current, listing.items)
