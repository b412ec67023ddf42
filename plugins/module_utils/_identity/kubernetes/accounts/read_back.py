# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What became of service accounts that were written, as a read afterwards shows it. Pure.

What a write answers is not what is there: kubernetes.core takes a conflict (409) for done, and another process may
undo what was done. A list without resource version is answered by etcd's majority, so it is never stale.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ...._findings.codes import Code
from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.messages import sentence
from ...model.rows import FailureRow
from ..api.cluster import Cluster, Query
from ..model.objects import Object, ServiceAccount, name_of, parse_service_account
from ..model.ownership import release_of
from .account_plan import AccountPlan, Accounts, workload_of
from .applied import Applied


@dataclass(frozen=True, slots=True)
class ReadBack:
    """``accounts`` are those of before, with what was read since. ``unread`` says which could not be read, and why."""

    applied: Applied
    accounts: Accounts
    unread: Mapping[WorkloadKey, Finding] = field(default_factory=dict)


def read_back(
    cluster: Cluster, name: str, accounts: Accounts, plan: AccountPlan, applied: Applied, *, removes: bool
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
        manifests=_without(claimed.manifests, [*lost, *left]),
        waiting=_without(claimed.waiting, lost),
        unlisted=_without(claimed.unlisted, left),
        released=_without(claimed.released, unreleased),
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


def _without(manifests: Iterable[Object], left_out: Collection[Object]) -> list[Object]:
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
