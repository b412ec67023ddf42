# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Apply the plan for service accounts. Pure: the cluster is an argument.

Before deletions, the service accounts are read again. After the writes, they are read back.

The plan may be minutes old when it is applied, because the AWS part runs in between. In the meantime a service account may have
got another owner, or may have been recreated without the label of this collection.

The response to a write does not prove that it took effect: kubernetes.core treats a conflict (409) as success, and another
process may revert the write. A list request without resource version is a consistent read of etcd, so the list is never
stale.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.errors import sentence
from ...model.rows import FailureRow
from ..api.api_errors import ApiError, manifest_failure
from ..api.cluster import KubernetesCluster, Query, WriteResult
from ..model.objects import (
    Object,
    ServiceAccount,
    as_mapping,
    as_text,
    is_managed,
    member,
    object_name,
    other_owner,
    parse_service_account,
    release_manifest,
)
from .account_plan import AccountPlan, Accounts, Preflight, affected_workload, other_owner_finding

# Metadata that the API server sets. A dry run returns invented values, so a diff leaves them out.
_SERVER_FIELDS = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})


def format_diff(diff: Object, manifest: Object) -> Object | None:
    """Return a ``diff`` of kubernetes.core as text with a header that names the object.

    Return None if the only differences are metadata that the API server sets.
    """
    old, new = (_text(as_mapping(diff.get(side))) for side in ("before", "after"))
    if old == new:
        return None
    metadata = member(manifest, "metadata")
    place = "/".join(filter(None, (as_text(metadata.get(name)) for name in ("namespace", "name"))))
    header = f"{as_text(manifest.get('kind'))} {place}"
    return {"before_header": header, "after_header": header, "before": old, "after": new}


def _text(item: Object) -> str:
    metadata = {name: value for name, value in member(item, "metadata").items() if name not in _SERVER_FIELDS}
    fields = {**item, **({"metadata": metadata} if "metadata" in item else {})}
    return f"{json.dumps(fields, indent=2, sort_keys=True)}\n" if fields else ""


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The part of a plan that was applied, and the failures of the other changes.

    ``error`` is set if the writes ended without a result. It is then unknown which of them succeeded, and ``plan`` has no
    objects. ``refused`` has the objects of the failures. ``doubtful`` has those objects in ``refused`` that may have their
    desired state although the request failed.
    """

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    error: ApiError | None = None
    changed: bool = False
    diffs: Sequence[Object] = ()
    refused: Sequence[Object] = ()
    doubtful: Sequence[Object] = ()


def describe_step(plan: AccountPlan, *, removes: bool, check_mode: bool) -> str:
    """Return the progress line about the writes of ``apply_account_plan``, or "" if there are none.

    :arg removes: whether the plan deletes its manifests instead of applying them.
    """
    number = len(plan.manifests) + (0 if check_mode else len(plan.waiting))
    parts = [f"{'removing' if removes else 'applying'} {_objects(number)}"] if number else []
    parts += [f"removing {_objects(len(plan.unlisted))}"] if plan.unlisted else []
    parts += [f"releasing {_objects(len(plan.released))}"] if plan.released else []
    return f"{' and '.join(parts)}{' in a dry run' if check_mode else ''}" if parts else ""


def _objects(number: int) -> str:
    return f"{number} object{'' if number == 1 else 's'}"


def apply_account_plan(
    cluster: KubernetesCluster, plan: AccountPlan, *, removes: bool, purges: bool, check_mode: bool
) -> AppliedPlan:
    """Apply the manifests of a plan, then delete the unlisted service accounts, then release service accounts.

    In check mode the service accounts in ``waiting`` are skipped, because their namespace does not exist yet.

    :arg removes: whether to delete the manifests instead of applying them.
    :arg purges: whether to delete the unlisted service accounts. If a manifest is rejected, they are left to the next run.
    """
    planned = plan
    manifests = [*plan.manifests, *(() if check_mode else plan.waiting)]
    write = cluster.remove if removes else cluster.apply
    written = write(manifests) if manifests else WriteResult()
    purged, released = WriteResult(), WriteResult()
    is_complete = not written.refused and written.error is None
    if not (purges and is_complete):
        plan = replace(plan, unlisted=(), released=plan.released if removes else ())
    if plan.unlisted:
        purged = cluster.remove(plan.unlisted)
    if plan.released and not (written.error or purged.error):
        released = cluster.apply(plan.released)
    parts = (written, purged, released)
    changed, diffs = any(part.changed for part in parts), [diff for part in parts for diff in part.diffs]
    if error := next((part.error for part in parts if part.error), None):
        return AppliedPlan(AccountPlan(findings=plan.findings), error=error, changed=changed, diffs=diffs)
    refused = [(manifests[index], reason) for index, reason in written.refused.items()]
    unpurged = [(plan.unlisted[index], reason) for index, reason in purged.refused.items()]
    unreleased = [(plan.released[index], reason) for index, reason in released.refused.items()]
    done = replace(
        plan,
        manifests=_without_refused(plan.manifests, refused),
        waiting=_without_refused(plan.waiting, refused),
        unlisted=_without_refused(plan.unlisted, unpurged),
        released=_without_refused(plan.released, unreleased),
    )
    actions = (("remove" if removes else "apply", refused), ("remove", unpurged), ("release", unreleased))
    failures = [
        manifest_failure(manifest, action, reason, affected_workload(manifest))
        for action, part in actions
        for manifest, reason in part
    ]
    # A rejected manifest that prevented the purge must remain a failure, so that the user runs again.
    waited = bool(planned.unlisted) and not plan.unlisted and purges
    doubtful = [item for item, reason in (*refused, *unpurged) if _is_doubtful(reason) and not waited]
    # A conflict on the UID may mean that the service account was deleted, so that there is nothing left to release.
    doubtful += [
        item for item, reason in unreleased if _is_doubtful(reason) or reason.status == HTTPStatus.CONFLICT
    ]
    objects = [item for item, _reason in (*refused, *unpurged, *unreleased)]
    return AppliedPlan(done, failures, None, changed, diffs, objects, doubtful)


def _is_doubtful(reason: ApiError) -> bool:
    """Return whether the object may have been written although the request failed: without response, or with a server error."""
    return not reason.status or reason.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _without_refused(manifests: Sequence[Object], refused: Iterable[tuple[Object, ApiError]]) -> list[Object]:
    names = {object_name(manifest) for manifest, _reason in refused}
    return [manifest for manifest in manifests if object_name(manifest) not in names]


def unread_failure(
    manifest: Object,
    reason: ApiError,
    cause: str = "it could not be read again before the change",
    action: str = "remove",
) -> FailureRow:
    """Return the failure of a service account that is not removed or released because a read failed.

    :arg reason: the error of the read.
    :arg cause: a clause with the reason to keep the service account. In the message, the error of the read follows this clause.
    """
    row = manifest_failure(manifest, action, reason, affected_workload(manifest))
    subject = "it is kept" if action == "remove" else "its applied labels and annotations are kept"
    return {**row, "message": f"{subject}, as {cause}: {row['message']}"}


@dataclass(frozen=True, slots=True)
class RemovalCheck:
    """A plan whose deletions and releases were compared with a new read of the service accounts.

    ``failures`` has a failure for each service account that could not be read. ``accounts`` are the service accounts as the API
    server returned them.
    """

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    accounts: Mapping[WorkloadKey, Object] = field(default_factory=dict)


def recheck_removal(
    cluster: KubernetesCluster, name: str, plan: AccountPlan, preflight: Preflight, *, removes: bool
) -> RemovalCheck:
    """Read the service accounts again before they are deleted or released, and correct the plan.

    A service account is not deleted if it no longer has the label of this collection, or has got another owner.

    :arg name: the value of ``cluster`` in the keys of the workloads.
    :arg removes: whether the plan deletes its manifests instead of applying them.
    """
    deletions = [*(plan.manifests if removes else ()), *plan.unlisted]
    touched = [*deletions, *plan.released]
    if not touched:
        return RemovalCheck(plan)
    namespaces = {object_name(item).namespace for item in touched}
    only = next(iter(namespaces)) if len(namespaces) == 1 else ""
    listing = cluster.list_objects(Query("v1", "ServiceAccount", only))
    if listing.error is not None:
        failures = [unread_failure(item, listing.error) for item in deletions]
        failures += [unread_failure(item, listing.error, action="release") for item in plan.released]
        return RemovalCheck(replace(_restrict(plan, set(), [], removes), released=()), failures)
    items = {WorkloadKey(name, *object_name(item)): item for item in listing.items}
    read = [parse_service_account(item, name) for item in listing.items]
    managed = {account.key: account for account in read if is_managed(account.labels)}
    owners = {
        key: "" if preflight.adopt else other_owner(account.labels, preflight.owner)
        for key, account in managed.items()
    }
    keys = [WorkloadKey(name, *object_name(item)) for item in deletions]
    findings = [other_owner_finding(key, owners[key]) for key in keys if owners.get(key)]
    restricted = _restrict(plan, {key for key in managed if not owners[key]}, findings, removes)
    unmanaged = [
        key for key in (WorkloadKey(name, *object_name(item)) for item in plan.released) if key not in managed
    ]
    releases = [release_manifest(items[key]) for key in unmanaged if key in items]
    return RemovalCheck(
        replace(restricted, released=[item for item in releases if item is not None]), (), items
    )


def _restrict(
    plan: AccountPlan, deletable: Collection[WorkloadKey], findings: Sequence[Finding], removes: bool
) -> AccountPlan:
    names = {(key.namespace, key.service_account) for key in deletable}
    return replace(
        plan,
        manifests=[item for item in plan.manifests if object_name(item) in names]
        if removes
        else plan.manifests,
        unlisted=[item for item in plan.unlisted if object_name(item) in names],
        findings=[*plan.findings, *findings],
    )


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The result of the writes and the service accounts, corrected by a read after the writes.

    ``unread`` has a finding for each written service account that could not be read.
    """

    applied: AppliedPlan
    accounts: Accounts
    unread: Mapping[WorkloadKey, Finding] = field(default_factory=dict)


def read_back(
    cluster: KubernetesCluster,
    name: str,
    accounts: Accounts,
    plan: AccountPlan,
    applied: AppliedPlan,
    *,
    removes: bool,
) -> ReadBack:
    """Read the service accounts again if any was written, and correct the result of the writes.

    A write with an unknown outcome counts as done if the object has its desired state. A write that succeeded counts as a failure
    if the object does not have its desired state.

    :arg name: the value of ``cluster`` in the keys of the workloads.
    :arg accounts: the service accounts before the writes.
    :arg applied: the result of ``apply_account_plan``.
    :arg removes: whether the plan deletes its manifests instead of applying them.
    """
    claimed = plan if applied.error else applied.plan
    creations = [] if removes else [*claimed.manifests, *claimed.waiting]
    deletions = [*(claimed.manifests if removes else ()), *claimed.unlisted]
    written = (*creations, *deletions, *claimed.released, *applied.refused)
    touched = [account_key(item, name) for item in written if item["kind"] == "ServiceAccount"]
    if not touched:
        return ReadBack(applied, accounts)
    namespaces = {key.namespace for key in touched}
    only = next(iter(namespaces)) if len(namespaces) == 1 else ""
    listing = cluster.list_objects(Query("v1", "ServiceAccount", only))
    if listing.error is not None:
        finding = _unread_finding(listing.error.text)
        return ReadBack(applied, accounts, {key: replace(finding, workload=key) for key in touched})
    present = {
        account.key: account for item in listing.items if (account := parse_service_account(item, name))
    }
    current = {key: account for key, account in accounts.items() if key not in touched}
    current |= {key: present[key] for key in touched if key in present}
    lost = [item for item in creations if not _is_present(item, name, present)]
    active = {key for key, account in present.items() if not account.is_terminating}
    undeleted = [item for item in deletions if account_key(item, name) in active]
    applied_keys = {account_key(item, name) for item in listing.items if release_manifest(item) is not None}
    unreleased = [item for item in claimed.released if account_key(item, name) in applied_keys]
    done = replace(
        claimed,
        manifests=_without_accounts(claimed.manifests, [*lost, *undeleted]),
        waiting=_without_accounts(claimed.waiting, lost),
        unlisted=_without_accounts(claimed.unlisted, undeleted),
        released=_without_accounts(claimed.released, unreleased),
    )
    inhabited = {key.namespace for key in present}
    if applied.error:
        done = replace(done, manifests=[item for item in done.manifests if _is_confirmed(item, inhabited)])
        changed = applied.changed or any((done.manifests, done.waiting, done.unlisted, done.released))
        error = applied.error if lost or undeleted or unreleased else None
        return ReadBack(replace(applied, plan=done, error=error, changed=changed), current)
    settled = [
        item
        for item in applied.doubtful
        if (
            account_key(item, name) not in applied_keys
            if item in plan.released
            else _took_effect(item, name, plan, present, removes)
        )
    ]
    missing = {object_name(item).namespace for item in applied.refused} - inhabited
    done = replace(
        done,
        # A namespace without any service account may not exist, if service accounts in it were rejected.
        manifests=[
            item
            for item in plan.manifests
            if (item in done.manifests or item in settled)
            and not (item["kind"] == "Namespace" and object_name(item).name in missing)
        ],
        waiting=[item for item in plan.waiting if item in done.waiting or item in settled],
        unlisted=[item for item in plan.unlisted if item in done.unlisted or item in settled],
        released=[item for item in plan.released if item in done.released or item in settled],
    )
    resolved = {_resource_name(item) for item in settled}
    failures = [row for row in applied.failures if (row["resource"], row["name"]) not in resolved]
    failures += [_lost_write(item, present, name) for item in lost]
    failures += [*map(_not_removed, undeleted), *map(_not_released, unreleased)]
    changed = applied.changed or bool(settled)
    return ReadBack(replace(applied, plan=done, failures=failures, changed=changed), current)


def account_key(manifest: Object, cluster: str) -> WorkloadKey:
    """Return the key of the workload to which a service account belongs."""
    return WorkloadKey(cluster, *object_name(manifest))


def _is_present(manifest: Object, cluster: str, present: Accounts) -> bool:
    """Return whether a service account exists with the labels and annotations of its manifest; True for a namespace."""
    if manifest["kind"] != "ServiceAccount":
        # Namespaces are not read. If one is missing, its service accounts are missing, too, and are reported.
        return True
    account = present.get(account_key(manifest, cluster))
    return account is not None and not account.is_terminating and not _differs(manifest, account)


def _took_effect(manifest: Object, cluster: str, plan: AccountPlan, present: Accounts, removes: bool) -> bool:
    """Return whether an object has its desired state although the request for it failed.

    :arg removes: whether the plan deletes its manifests instead of applying them.
    """
    if removes or manifest in plan.unlisted:
        account = present.get(account_key(manifest, cluster))
        return account is None or account.is_terminating
    return _is_confirmed(manifest, {key.namespace for key in present}) and _is_present(
        manifest, cluster, present
    )


def _resource_name(manifest: Object) -> tuple[str, str]:
    return str(manifest["kind"]), str(object_name(manifest))


def _is_confirmed(manifest: Object, inhabited: Collection[str]) -> bool:
    """Return False only for a namespace without a service account, because such a namespace may not exist."""
    # Kubernetes creates the service account "default" in each namespace.
    return manifest["kind"] == "ServiceAccount" or object_name(manifest).name in inhabited


def _differs(manifest: Object, account: ServiceAccount) -> bool:
    desired = parse_service_account(manifest, account.key.cluster)
    return not (
        desired.labels.items() <= account.labels.items()
        and desired.annotations.items() <= account.annotations.items()
    )


def _without_accounts(manifests: Iterable[Object], left_out: Collection[Object]) -> list[Object]:
    names = {object_name(item) for item in left_out}
    return [item for item in manifests if item["kind"] != "ServiceAccount" or object_name(item) not in names]


def _lost_write(manifest: Object, present: Accounts, cluster: str) -> FailureRow:
    account = present.get(account_key(manifest, cluster))
    if account is None:
        cause = "the API server accepted it, but it does not exist: another process deletes it"
    elif account.is_terminating:
        cause = "it is being deleted, but is kept until its finalizers are removed"
    else:
        cause = "its labels or annotations differ from the applied ones: another process changes it"
    return _failure(manifest, "apply", cause)


def _not_removed(manifest: Object) -> FailureRow:
    return _failure(manifest, "remove", "it still exists: another process recreates it")


def _not_released(manifest: Object) -> FailureRow:
    cause = "it still has labels or annotations that this collection applied: another process restores them"
    return _failure(manifest, "release", cause)


def _failure(manifest: Object, action: str, cause: str) -> FailureRow:
    return {
        "workload": affected_workload(manifest),
        "resource": "ServiceAccount",
        "name": str(object_name(manifest)),
        "action": action,
        "error_code": Code.SERVICE_ACCOUNT_NOT_KEPT.value,
        "message": f"{cause}.",
        "remedy": "Find the process that changes the service account: check Argo CD, Flux, the webhooks and the managedFields of "
        "the service account. Then run again.",
    }


def _unread_finding(reason: str) -> Finding:
    return Finding(
        Code.KUBERNETES_NOT_READABLE,
        f"the service account could not be read after the writes, so its state is unknown: {sentence(reason)}",
        "Run the verification, which reads it.",
    )
