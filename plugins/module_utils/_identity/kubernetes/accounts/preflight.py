# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is read and planned in Kubernetes before anything is changed, in AWS or in the cluster. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

from ...._findings.finding import Finding
from ...model.api_server import ApiServer, ApiServerRow, api_server_row, parse_api_server
from ...model.desired import Workload
from ...model.messages import listed
from ..api.api_errors import ApiError
from ..api.cluster import ClusterReader, Query
from ..api.connection import FORBIDDEN
from ..model.objects import (
    Object,
    account_row,
    is_going,
    mapping_of,
    member,
    name_of,
    objects_of,
    parse_service_account,
    text_of,
    texts_of,
)
from .account_plan import (
    AccountPlan,
    Accounts,
    needs_namespaces,
    plan_present,
    plan_purge,
    wanted_of,
)

State = Literal["present", "absent", "verify"]
SHOWN_REASONS = 5


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """Which of our service accounts a purge may remove: at most ``limit`` or ``percent`` of them, "" for those of any
    namespace."""

    namespaces: Collection[str] = ()
    limit: int = 10
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the later steps need of it. ``accounts`` are those of the workloads that exist, ``namespaces`` those of the
    workloads that do, None where that is not known, and ``going`` describes those that are being deleted; ``wanted`` has the
    labels and annotations that are asked for; ``server`` is what answered.
    ``owner`` is whose run it is, and with ``adopt`` what another owner has is taken over or removed.
    ``breakage`` says which workloads an association would break."""

    accounts: Accounts = field(default_factory=dict)
    namespaces: Collection[str] | None = ()
    going: Mapping[str, str] = field(default_factory=dict)
    wanted: Accounts = field(default_factory=dict)
    plan: AccountPlan = field(default_factory=AccountPlan)
    server: ApiServer = field(default_factory=ApiServer)
    owner: str | None = None
    adopt: bool = False
    breakage: Sequence[Finding] = ()


class PreflightRow(TypedDict):
    """A Preflight as one task hands it to another."""

    service_accounts: list[Object]
    namespaces: list[str] | None
    going: dict[str, str]
    wanted: list[Object]
    manifests: list[Object]
    waiting: list[Object]
    unlisted: list[Object]
    server: ApiServerRow
    owner: str
    adopt: bool


def read_accounts(
    reader: ClusterReader,
    workloads: Sequence[Workload],
    cluster: str,
    state: State,
    owner: str | None = None,
    purge: PurgeScope | None = None,
    adopt: bool = False,
) -> Preflight | ApiError:
    """One request, of the one namespace or of the cluster; a second one only when a namespace is in doubt.

    The error is given when the service accounts or the namespaces cannot be listed.
    """
    wanted = {workload.key for workload in workloads}
    namespaces = {key.namespace for key in wanted}
    only = next(iter(namespaces)) if len(namespaces) == 1 and purge is None else ""
    listing = reader.list_objects(Query("v1", "ServiceAccount", only))
    if listing.error is not None:
        return listing.error
    accounts = {
        account.key: account for item in listing.items if (account := parse_service_account(item, cluster))
    }
    inhabited = {key.namespace for key in accounts}
    preflight = Preflight(
        {key: account for key, account in accounts.items() if key in wanted},
        inhabited & namespaces,
        wanted={
            workload.key: wanted_of(workload, accounts.get(workload.key), owner, adopt)
            for workload in workloads
        },
        server=reader.read_server(),
        owner=owner,
        adopt=adopt,
    )
    if state == "absent":
        return preflight
    existing: set[str] = set(inhabited)
    going: dict[str, str] = {}
    unlisted_namespaces: ApiError | None = None
    if needs_namespaces(workloads, accounts):
        listing = reader.list_objects(Query("v1", "Namespace"))
        if listing.error is None:
            existing |= {name_of(item).name for item in listing.items}
            going = {
                name: describe_deletion(item)
                for item in listing.items
                if is_going(item) and (name := name_of(item).name) in namespaces
            }
            preflight = replace(preflight, namespaces=existing & namespaces, going=going)
        elif state == "verify":
            # That a service account is missing is known all the same.
            preflight = replace(preflight, namespaces=None)
        elif listing.error.status == FORBIDDEN:
            unlisted_namespaces = listing.error
        elif not namespaces <= inhabited:
            return listing.error
    if state == "verify":
        return preflight
    plan = plan_present(workloads, accounts, existing, owner, adopt, going, unlisted_namespaces)
    if purge is not None:
        unlisted = plan_purge(workloads, accounts, purge.namespaces, owner, purge.limit, purge.percent)
        plan = replace(plan, unlisted=unlisted.unlisted, problems=unlisted.problems)
    return replace(preflight, plan=plan)


def describe_deletion(namespace: Object) -> str:
    """The rest of a sentence about a namespace that is being deleted: since when, and what it waits for."""
    metadata = member(namespace, "metadata")
    finalizers = metadata.get("finalizers")
    names = [text_of(name) for name in finalizers] if isinstance(finalizers, Sequence) else []
    # Its controller says in the conditions which objects are left, and whose finalizers they have.
    reasons = [f"finalizer {name}" for name in names]
    reasons += [
        text_of(condition.get("message")).rstrip(".")
        for condition in objects_of(member(namespace, "status").get("conditions"))
        if condition.get("status") == "True" and condition.get("message")
    ]
    waits = f" It waits for: {listed(reasons, SHOWN_REASONS)}." if reasons else ""
    return f"is being deleted (since {text_of(metadata.get('deletionTimestamp'))}), with everything in it.{waits}"


def preflight_row(preflight: Preflight) -> PreflightRow:
    return {
        "service_accounts": [account_row(account) for account in preflight.accounts.values()],
        "namespaces": None if preflight.namespaces is None else sorted(preflight.namespaces),
        "going": dict(preflight.going),
        # Most ask for nothing of the kind.
        "wanted": [
            account_row(account)
            for account in preflight.wanted.values()
            if account.labels or account.annotations
        ],
        "manifests": list(preflight.plan.manifests),
        "waiting": list(preflight.plan.waiting),
        "unlisted": list(preflight.plan.unlisted),
        "server": api_server_row(preflight.server),
        "owner": preflight.owner or "",
        "adopt": preflight.adopt,
    }


def parse_preflight(row: Object, cluster: str) -> Preflight:
    return Preflight(
        _accounts(row.get("service_accounts"), cluster),
        _names(row.get("namespaces")) if row.get("namespaces") is not None else None,
        texts_of(row.get("going")),
        _accounts(row.get("wanted"), cluster),
        AccountPlan(
            [mapping_of(item) for item in objects_of(row.get("manifests"))],
            [mapping_of(item) for item in objects_of(row.get("waiting"))],
            [mapping_of(item) for item in objects_of(row.get("unlisted"))],
        ),
        parse_api_server(mapping_of(row.get("server"))),
        text_of(row.get("owner")) or None,
        row.get("adopt") is True,
    )


def _accounts(rows: object, cluster: str) -> Accounts:
    accounts = [parse_service_account(item, cluster) for item in objects_of(rows)]
    return {account.key: account for account in accounts}


def _names(rows: object) -> list[str]:
    return [text_of(name) for name in rows] if isinstance(rows, Sequence) else []
