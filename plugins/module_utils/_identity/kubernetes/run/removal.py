# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check service accounts again before they are deleted or released. Pure: the cluster is an argument.

The plan may be minutes old when it is applied, because the AWS part runs in between. In the meantime a service account may have
got another owner, or may have been recreated without the label of this collection.

A workload without its service account cannot start Pods, and the tokens of its running Pods are rejected. Therefore a service
account is deleted only if no Pod or Pod template uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...._findings.codes import Code
from ...._findings.finding import Finding, WorkloadKey
from ...model.errors import listed
from ...model.rows import FailureRow
from ..accounts.account_plan import (
    AccountPlan,
    Preflight,
    accounts_query,
    affected_workload,
    other_owner_finding,
)
from ..api.api_errors import AGAIN, FORBIDDEN, ApiError, manifest_failure
from ..api.cluster import ClusterReader
from ..model.objects import (
    FIELD_MANAGER,
    Object,
    as_texts,
    fields_by_manager,
    is_managed,
    member,
    object_name,
    other_owner,
    release_manifest,
)
from ..pods.pods import controller, has_ended, pod_service_account
from ..pods.reads import is_proof, live_pods_query, read_templates
from .losing_pods import SHOWN_USERS

_OWN_MANAGERS = (FIELD_MANAGER, "kube-apiserver", "kube-controller-manager")


def recheck_removal(
    reader: ClusterReader, cluster: str, plan: AccountPlan, preflight: Preflight
) -> tuple[AccountPlan, list[FailureRow]]:
    """Return the plan without deletions that are not allowed, and a failure for each that may not be allowed.

    A service account is not deleted if it no longer has the label of this collection, or has got another owner. If a Pod or a Pod
    template uses it, or if another field manager has set fields of it, it is released instead: it loses the labels and
    annotations that this collection applied, except the ownership labels. If the plan deletes service accounts, seven requests
    list Pods and Pod templates.

    :arg cluster: the value of ``cluster`` in the keys of the workloads.
    """
    deletions = {WorkloadKey(cluster, *object_name(item)): item for item in plan.removed}
    releases = {WorkloadKey(cluster, *object_name(item)): item for item in plan.released}
    if not (deletions or releases):
        return plan, []
    listing = reader.list_objects(accounts_query([*deletions, *releases]))
    if listing.error is not None:
        failures = [_unread_failure(item, "remove", listing.error) for item in deletions.values()]
        failures += [_unread_failure(item, "release", listing.error) for item in releases.values()]
        return replace(plan, removed=(), released=()), failures
    items = {WorkloadKey(cluster, *object_name(item)): item for item in listing.items}
    labels = {key: as_texts(member(item, "metadata").get("labels")) for key, item in items.items()}
    managed = {key: texts for key, texts in labels.items() if is_managed(texts)}
    released = [release_manifest(items[key]) for key in releases if key in items and key not in managed]
    findings, failures = list(plan.findings), []
    candidates: dict[WorkloadKey, Object] = {}
    for key, manifest in deletions.items():
        if not preflight.adopt and (owner := other_owner(managed.get(key, {}), preflight.owner)):
            findings.append(other_owner_finding(key, owner))
        elif key in managed:
            candidates[key] = manifest
    users, errors = _read_users(reader, [*candidates], cluster) if candidates else ({}, {})
    removed = []
    for key, manifest in candidates.items():
        # Fields of components of Kubernetes, such as the controller that creates token secrets, do not show that a user manages
        # the service account.
        fields = fields_by_manager(items[key])
        managers = {manager: names for manager, names in fields.items() if manager not in _OWN_MANAGERS}
        if users[key] or managers:
            findings.append(_in_use(key, users[key], managers))
            released.append(release_manifest(items[key]))
        elif errors:
            failures.append(_unknown_users(manifest, errors))
        else:
            removed.append(manifest)
    changes = [item for item in released if item is not None]
    return replace(plan, removed=removed, released=changes, findings=findings), failures


def _unread_failure(
    manifest: Object,
    action: str,
    error: ApiError,
    cause: str = "it could not be read again before the change",
) -> FailureRow:
    """Return the failure of a service account that is not removed or released because a read failed.

    :arg error: the error of the read.
    :arg cause: a clause with the reason to keep the service account. In the message, the error of the read follows this clause.
    """
    row = manifest_failure(manifest, action, error, affected_workload(manifest))
    subject = "it is kept" if action == "remove" else "its applied labels and annotations are kept"
    return {**row, "message": f"{subject}, as {cause}: {row['message']}"}


def _read_users(
    reader: ClusterReader, keys: Sequence[WorkloadKey], cluster: str
) -> tuple[Mapping[WorkloadKey, Sequence[str]], Mapping[str, ApiError]]:
    """Return the users of each service account as text ("Deployment app (2 Pods)"), and the errors of failed lists, by resource.

    The users are Pods and Pod templates, without finished Pods and Pods of the runtime proof.
    """
    listing = reader.list_objects(live_pods_query(keys))
    templates = read_templates(reader, frozenset(keys), cluster)
    # The number of Pods by owner or, for a Pod without an owner, 0 by Pod.
    counts: dict[WorkloadKey, dict[str, int]] = {
        key: {str(templates.root(template.owner)): 0 for template in templates.by_workload.get(key, ())}
        for key in keys
    }
    for item in listing.items:
        key = pod_service_account(item, cluster)
        if key in counts and not has_ended(item) and not is_proof(item):
            owner = templates.root(controller(member(item, "metadata")))
            name = str(owner) if owner.kind else f"Pod {object_name(item).name}"
            counts[key][name] = counts[key].get(name, 0) + bool(owner.kind)
    errors = {"pods": listing.error} if listing.error is not None else {}
    users = {
        key: [
            f"{name} ({count} Pod{'' if count == 1 else 's'})" if count else name
            for name, count in names.items()
        ]
        for key, names in counts.items()
    }
    return users, {**errors, **templates.errors}


def _in_use(key: WorkloadKey, users: Sequence[str], managers: Mapping[str, Sequence[str]]) -> Finding:
    reasons = [f"it is used by {listed(users, SHOWN_USERS)}"] if users else []
    reasons += [
        f"{manager} manages {listed(fields)} of the service account" for manager, fields in managers.items()
    ]
    steps = (
        ["Delete the objects that use the service account, or give them another service account."]
        if users
        else []
    )
    steps += [f"Have {listed(managers)} give up the fields."] if managers else []
    return Finding(
        Code.SERVICE_ACCOUNT_KEPT,
        f"service account {key.service_account} in namespace {key.namespace} is kept: {'; '.join(reasons)}.",
        f"{' '.join(steps)} Then run again, which removes the service account. To delete it anyway: kubectl delete "
        "serviceaccount "
        f"{key.service_account} -n {key.namespace}",
        key,
    )


def _unknown_users(manifest: Object, errors: Mapping[str, ApiError]) -> FailureRow:
    forbidden = [resource for resource, error in errors.items() if error.status == FORBIDDEN]
    allow = f"Allow the caller to list {', '.join(forbidden)}, and run again. docs/iam-permissions.md has the manifests."
    cause = f"it is not known whether {', '.join(errors)} use the service account"
    return {
        **_unread_failure(manifest, "remove", next(iter(errors.values())), cause),
        "remedy": allow if forbidden else AGAIN,
    }
