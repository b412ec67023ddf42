# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Service accounts that are to go or to be released, read again immediately before. Pure.

The plan is minutes old by then, as the AWS half came between: a service account may have got another owner, or have
been made anew without our label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...._findings.finding import Finding
from ...._findings.key import WorkloadKey
from ...model.rows import FailureRow
from ..api.cluster import Cluster, Query
from ..model.objects import Object, name_of, parse_service_account
from ..model.ownership import is_managed, other_owner, release_of
from .account_plan import AccountPlan, of_another
from .applied import unread_failure
from .preflight import Preflight


@dataclass(frozen=True, slots=True)
class LastLook:
    """The plan without removals of what is not ours any more, or not there, and a failure for each that cannot be
    looked at. ``accounts`` are the service accounts as the API server returned them."""

    plan: AccountPlan
    failures: Sequence[FailureRow] = ()
    accounts: Mapping[WorkloadKey, Object] = field(default_factory=dict)


def look_before_removal(
    cluster: Cluster, name: str, plan: AccountPlan, preflight: Preflight, *, removes: bool
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
