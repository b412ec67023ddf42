# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What is read and planned in Kubernetes before anything is changed, in AWS or in the cluster. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypedDict

from ..._findings.finding import Finding
from ..model.api_server import ApiServer, ApiServerRow, api_server_row, parse_api_server
from ..model.desired import Workload
from .account_plan import (
    AccountPlan,
    Accounts,
    needs_namespaces,
    plan_present,
    plan_purge,
)
from .api_errors import ApiError
from .cluster import ClusterReader, Query
from .objects import Object, mapping_of, name_of, objects_of, parse_service_account, text_of

State = Literal["present", "absent", "verify"]


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """Which of our service accounts a purge may remove: at most ``limit`` or ``percent`` of them, "" for those of any
    namespace."""

    namespaces: Collection[str] = ()
    limit: int = 10
    percent: int | None = None


@dataclass(frozen=True, slots=True)
class Preflight:
    """What the later steps need of it. ``accounts`` are those of the workloads that exist, ``namespaces``
    those of the workloads in which there is any service account; ``server`` is what answered.
    ``owner`` is whose run it is, and with ``adopt`` what another owner has is taken over or removed.
    ``breakage`` says which workloads an association would break."""

    accounts: Accounts = field(default_factory=dict)
    namespaces: Collection[str] = ()
    plan: AccountPlan = field(default_factory=AccountPlan)
    server: ApiServer = field(default_factory=ApiServer)
    owner: str | None = None
    adopt: bool = False
    breakage: Sequence[Finding] = ()


class PreflightRow(TypedDict):
    """A Preflight as one task hands it to another."""

    service_accounts: list[Object]
    namespaces: list[str]
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
        server=reader.read_server(),
        owner=owner,
        adopt=adopt,
    )
    if state != "present":
        return preflight
    existing = inhabited
    if needs_namespaces(workloads, inhabited):
        listing = reader.list_objects(Query("v1", "Namespace"))
        if listing.error is not None:
            return listing.error
        existing = inhabited | {name_of(item).name for item in listing.items}
    plan = plan_present(workloads, accounts, existing, owner, adopt)
    if purge is not None:
        unlisted = plan_purge(workloads, accounts, purge.namespaces, owner, purge.limit, purge.percent)
        problems = [*plan.problems, *unlisted.problems]
        plan = replace(plan, unlisted=unlisted.unlisted, problems=problems)
    return replace(preflight, plan=plan)


def preflight_row(preflight: Preflight) -> PreflightRow:
    return {
        "service_accounts": [
            {
                "metadata": {
                    "namespace": account.key.namespace,
                    "name": account.key.service_account,
                    "labels": dict(account.labels),
                    "annotations": dict(account.annotations),
                }
            }
            for account in preflight.accounts.values()
        ],
        "namespaces": sorted(preflight.namespaces),
        "manifests": list(preflight.plan.manifests),
        "waiting": list(preflight.plan.waiting),
        "unlisted": list(preflight.plan.unlisted),
        "server": api_server_row(preflight.server),
        "owner": preflight.owner or "",
        "adopt": preflight.adopt,
    }


def parse_preflight(row: Object, cluster: str) -> Preflight:
    accounts = [parse_service_account(item, cluster) for item in objects_of(row.get("service_accounts"))]
    namespaces = row.get("namespaces")
    return Preflight(
        {account.key: account for account in accounts},
        [text_of(name) for name in namespaces] if isinstance(namespaces, Sequence) else (),
        AccountPlan(
            [mapping_of(item) for item in objects_of(row.get("manifests"))],
            [mapping_of(item) for item in objects_of(row.get("waiting"))],
            [mapping_of(item) for item in objects_of(row.get("unlisted"))],
        ),
        parse_api_server(mapping_of(row.get("server"))),
        text_of(row.get("owner")) or None,
        row.get("adopt") is True,
    )
