# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Write service accounts: read those to be removed again, apply the plan, and verify it by another read. Pure.

The plan is minutes old when it is applied, as the AWS half runs in between: a service account may have another owner,
or may have been recreated without our label.

The response to a write is no proof: kubernetes.core treats a conflict (409) as success, and another process may revert
the write. A list without resource version is served by a quorum of etcd, so it is never stale.
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
from ..api.api_errors import ApiError, refusal
from ..api.cluster import KubernetesCluster, Query, Written
from ..model.objects import (
    Object,
    ServiceAccount,
    is_managed,
    mapping_of,
    member,
    name_of,
    other_owner,
    parse_service_account,
    release_of,
    text_of,
)
from .account_plan import AccountPlan, Accounts, Preflight, of_another, workload_of

# What the API server adds to each object; in a dry run it makes it up.
_OF_THE_SERVER = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})


def shown_diff(diff: Object, manifest: Object) -> Object | None:
    """Return the ``diff`` of kubernetes.core for a ``manifest`` with a head that names it; None where no field differs that a
    user can set."""
    before, after = (_text(mapping_of(diff.get(side))) for side in ("before", "after"))
    if before == after:
        return None
    metadata = member(manifest, "metadata")
    place = "/".join(filter(None, (text_of(metadata.get(name)) for name in ("namespace", "name"))))
    header = f"{text_of(manifest.get('kind'))} {place}"
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def _text(item: Object) -> str:
    metadata = {name: value for name, value in member(item, "metadata").items() if name not in _OF_THE_SERVER}
    shown = {**item, **({"metadata": metadata} if "metadata" in item else {})}
    return f"{json.dumps(shown, indent=2, sort_keys=True)}\n" if shown else ""


@dataclass(frozen=True, slots=True)
class Applied:
    """``plan`` is what was done of the plan, ``failures`` what was refused.

    ``error`` is given when the work ended before its result; how far it got is then not known, and
    ``plan`` is empty. ``refused`` are the objects of the failures; those of ``doubtful`` may have been written all
    the same, as the answer got lost.
    """

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    error: ApiError | None = None
    changed: bool = False
    diffs: Sequence[Object] = ()
    refused: Sequence[Object] = ()
    doubtful: Sequence[Object] = ()


def describe_step(plan: AccountPlan, *, removes: bool, check_mode: bool) -> str:
    """Describe the next writes of ``carry_out`` for the progress line; "" without any."""
    number = len(plan.manifests) + (0 if check_mode else len(plan.waiting))
    parts = [f"{'removing' if removes else 'applying'} {_objects(number)}"] if number else []
    parts += [f"removing {_objects(len(plan.unlisted))}"] if plan.unlisted else []
    parts += [f"releasing {_objects(len(plan.released))}"] if plan.released else []
    return f"{' and '.join(parts)}{' by a dry run' if check_mode else ''}" if parts else ""


def _objects(number: int) -> str:
    return f"{number} object{'' if number == 1 else 's'}"


def carry_out(
    cluster: KubernetesCluster, plan: AccountPlan, *, removes: bool, purges: bool, check_mode: bool
) -> Applied:
    """``removes`` says that the manifests are to be removed; ``purges`` that nothing stands in the way of a
    purge so far. It waits for the next run also when an object is refused here.

    In check mode the API server refuses what belongs into a namespace that does not exist.
    """
    planned = plan
    manifests = [*plan.manifests, *(() if check_mode else plan.waiting)]
    write = cluster.remove if removes else cluster.apply
    written = write(manifests) if manifests else Written()
    purged, released = Written(), Written()
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
        return Applied(AccountPlan(findings=plan.findings), error=error, changed=changed, diffs=diffs)
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
        refusal(manifest, action, reason, workload_of(manifest))
        for action, part in actions
        for manifest, reason in part
    ]
    # What a purge waited for stays a failure: the run after it is to make the purge.
    waited = bool(planned.unlisted) and not plan.unlisted and purges
    doubtful = [item for item, reason in (*refused, *unpurged) if _is_doubtful(reason) and not waited]
    # A conflict may mean that the service account itself is gone.
    doubtful += [
        item for item, reason in unreleased if _is_doubtful(reason) or reason.status == HTTPStatus.CONFLICT
    ]
    objects = [item for item, _reason in (*refused, *unpurged, *unreleased)]
    return Applied(done, failures, None, changed, diffs, objects, doubtful)


def _is_doubtful(reason: ApiError) -> bool:
    """Return whether the object may have been written in spite of the error: no answer, or one of something else."""
    return not reason.status or reason.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _without_refused(manifests: Sequence[Object], refused: Iterable[tuple[Object, ApiError]]) -> list[Object]:
    names = {name_of(manifest) for manifest, _reason in refused}
    return [manifest for manifest in manifests if name_of(manifest) not in names]


def unread_failure(
    manifest: Object,
    reason: ApiError,
    why: str = "it could not be read immediately before",
    action: str = "remove",
) -> FailureRow:
    """Return the failure of a service account that stays as it is because something could not be read."""
    row = refusal(manifest, action, reason, workload_of(manifest))
    subject = "it stays" if action == "remove" else "what was applied to it stays"
    return {**row, "message": f"{subject}, as {why}: {row['message']}"}


@dataclass(frozen=True, slots=True)
class LastLook:
    """The plan without removals of what is not ours any more, or not there, and a failure for each that cannot be
    looked at. ``accounts`` are the service accounts as the API server returned them."""

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    accounts: Mapping[WorkloadKey, Object] = field(default_factory=dict)


def look_before_removal(
    cluster: KubernetesCluster, name: str, plan: AccountPlan, preflight: Preflight, *, removes: bool
) -> LastLook:
    """Send one request, when something is to go or to be released."""
    going = [*(plan.manifests if removes else ()), *plan.unlisted]
    touched = [*going, *plan.released]
    if not touched:
        return LastLook(plan)
    namespaces = {name_of(item).namespace for item in touched}
    only = next(iter(namespaces)) if len(namespaces) == 1 else ""
    listing = cluster.list_objects(Query("v1", "ServiceAccount", only))
    if listing.error is not None:
        failures = [unread_failure(item, listing.error) for item in going]
        failures += [unread_failure(item, listing.error, action="release") for item in plan.released]
        return LastLook(replace(_keeping(plan, set(), [], removes), released=()), failures)
    items = {WorkloadKey(name, *name_of(item)): item for item in listing.items}
    read = [parse_service_account(item, name) for item in listing.items]
    ours = {account.key: account for account in read if is_managed(account.labels)}
    others = {
        key: "" if preflight.adopt else other_owner(account.labels, preflight.owner)
        for key, account in ours.items()
    }
    keys = [WorkloadKey(name, *name_of(item)) for item in going]
    findings = [of_another(key, others[key]) for key in keys if others.get(key)]
    kept = _keeping(plan, {key for key in ours if not others[key]}, findings, removes)
    foreign = [
        key for key in (WorkloadKey(name, *name_of(item)) for item in plan.released) if key not in ours
    ]
    releases = [release_of(items[key]) for key in foreign if key in items]
    return LastLook(replace(kept, released=[item for item in releases if item is not None]), (), items)


def _keeping(
    plan: AccountPlan, going: Collection[WorkloadKey], findings: Sequence[Finding], removes: bool
) -> AccountPlan:
    names = {(key.namespace, key.service_account) for key in going}
    return replace(
        plan,
        manifests=[item for item in plan.manifests if name_of(item) in names] if removes else plan.manifests,
        unlisted=[item for item in plan.unlisted if name_of(item) in names],
        findings=[*plan.findings, *findings],
    )


@dataclass(frozen=True, slots=True)
class ReadBack:
    """``accounts`` are those of before, with what was read since. ``unread`` says which could not be read, and why."""

    applied: Applied
    accounts: Accounts
    unread: Mapping[WorkloadKey, Finding] = field(default_factory=dict)


def read_back(
    cluster: KubernetesCluster,
    name: str,
    accounts: Accounts,
    plan: AccountPlan,
    applied: Applied,
    *,
    removes: bool,
) -> ReadBack:
    """One request, when something was written. ``plan`` is what was to be done, ``applied`` what is said of it.

    Where the write ended without an answer, what is there tells how far it got; so it does of a single object.
    """
    claimed = plan if applied.error else applied.plan
    made = [] if removes else [*claimed.manifests, *claimed.waiting]
    gone = [*(claimed.manifests if removes else ()), *claimed.unlisted]
    written = (*made, *gone, *claimed.released, *applied.refused)
    touched = [key_of(item, name) for item in written if item["kind"] == "ServiceAccount"]
    if not touched:
        return ReadBack(applied, accounts)
    namespaces = {key.namespace for key in touched}
    only = next(iter(namespaces)) if len(namespaces) == 1 else ""
    listing = cluster.list_objects(Query("v1", "ServiceAccount", only))
    if listing.error is not None:
        finding = _unread(listing.error.text)
        return ReadBack(applied, accounts, {key: replace(finding, workload=key) for key in touched})
    present = {
        account.key: account for item in listing.items if (account := parse_service_account(item, name))
    }
    after = {key: account for key, account in accounts.items() if key not in touched}
    after |= {key: present[key] for key in touched if key in present}
    lost = [item for item in made if not _is_there(item, name, present)]
    staying = {key for key, account in present.items() if not account.is_going}
    left = [item for item in gone if key_of(item, name) in staying]
    held = {key_of(item, name) for item in listing.items if release_of(item) is not None}
    unreleased = [item for item in claimed.released if key_of(item, name) in held]
    done = replace(
        claimed,
        manifests=_without_accounts(claimed.manifests, [*lost, *left]),
        waiting=_without_accounts(claimed.waiting, lost),
        unlisted=_without_accounts(claimed.unlisted, left),
        released=_without_accounts(claimed.released, unreleased),
    )
    inhabited = {key.namespace for key in present}
    if applied.error:
        done = replace(done, manifests=[item for item in done.manifests if _is_proven(item, inhabited)])
        changed = applied.changed or any((done.manifests, done.waiting, done.unlisted, done.released))
        error = applied.error if lost or left or unreleased else None
        return ReadBack(replace(applied, plan=done, error=error, changed=changed), after)
    settled = [
        item
        for item in applied.doubtful
        if (
            key_of(item, name) not in held
            if item in plan.released
            else _has_come_true(item, name, plan, present, removes)
        )
    ]
    missing = {name_of(item).namespace for item in applied.refused} - inhabited
    done = replace(
        done,
        # A namespace that was taken for made, and whose service accounts were refused.
        manifests=[
            item
            for item in plan.manifests
            if (item in done.manifests or item in settled)
            and not (item["kind"] == "Namespace" and name_of(item).name in missing)
        ],
        waiting=[item for item in plan.waiting if item in done.waiting or item in settled],
        unlisted=[item for item in plan.unlisted if item in done.unlisted or item in settled],
        released=[item for item in plan.released if item in done.released or item in settled],
    )
    known = {_named(item) for item in settled}
    failures = [row for row in applied.failures if (row["resource"], row["name"]) not in known]
    failures += [*(_lost(item, present, name) for item in lost), *map(_left, left), *map(_held, unreleased)]
    changed = applied.changed or bool(settled)
    return ReadBack(replace(applied, plan=done, failures=failures, changed=changed), after)


def key_of(manifest: Object, cluster: str) -> WorkloadKey:
    return WorkloadKey(cluster, *name_of(manifest))


def _is_there(manifest: Object, cluster: str, present: Accounts) -> bool:
    """A namespace that is not there has no service account either, which is told instead."""
    if manifest["kind"] != "ServiceAccount":
        return True
    account = present.get(key_of(manifest, cluster))
    return account is not None and not account.is_going and not _differs(manifest, account)


def _has_come_true(
    manifest: Object, cluster: str, plan: AccountPlan, present: Accounts, removes: bool
) -> bool:
    if removes or manifest in plan.unlisted:
        account = present.get(key_of(manifest, cluster))
        return account is None or account.is_going
    return _is_proven(manifest, {key.namespace for key in present}) and _is_there(manifest, cluster, present)


def _named(manifest: Object) -> tuple[str, str]:
    return str(manifest["kind"]), str(name_of(manifest))


def _is_proven(manifest: Object, inhabited: Collection[str]) -> bool:
    """Kubernetes puts a service account "default" into each namespace."""
    return manifest["kind"] == "ServiceAccount" or name_of(manifest).name in inhabited


def _differs(manifest: Object, account: ServiceAccount) -> bool:
    wanted = parse_service_account(manifest, account.key.cluster)
    return not (
        wanted.labels.items() <= account.labels.items()
        and wanted.annotations.items() <= account.annotations.items()
    )


def _without_accounts(manifests: Iterable[Object], left_out: Collection[Object]) -> list[Object]:
    names = {name_of(item) for item in left_out}
    return [item for item in manifests if item["kind"] != "ServiceAccount" or name_of(item) not in names]


def _lost(manifest: Object, present: Accounts, cluster: str) -> FailureRow:
    account = present.get(key_of(manifest, cluster))
    if account is None:
        what = "the API server took it, and it is not there: another process removes it"
    elif account.is_going:
        what = "it is being removed, and waits for its finalizers"
    else:
        what = "it has other labels or annotations than were applied: another process changes it"
    return _failure(manifest, "apply", what)


def _left(manifest: Object) -> FailureRow:
    return _failure(manifest, "remove", "it is still there: another process makes it anew")


def _held(manifest: Object) -> FailureRow:
    what = "it still has labels or annotations that were applied here: another process puts them back"
    return _failure(manifest, "release", what)


def _failure(manifest: Object, action: str, what: str) -> FailureRow:
    return {
        "workload": workload_of(manifest),
        "resource": "ServiceAccount",
        "name": str(name_of(manifest)),
        "action": action,
        "error_code": Code.SERVICE_ACCOUNT_NOT_KEPT.value,
        "message": f"{what}.",
        "remedy": "Find out what else manages it (its managedFields, Argo CD, Flux, a webhook), and run again.",
    }


def _unread(reason: str) -> Finding:
    return Finding(
        Code.KUBERNETES_NOT_READABLE,
        f"the service account could not be read after it was applied, so what is there is unknown: {sentence(reason)}",
        "Run the verification, which reads it.",
    )
