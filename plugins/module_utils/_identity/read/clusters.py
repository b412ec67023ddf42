# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the EKS clusters of accounts and regions concurrently, and return the failed reads with the clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from ..._aws.client import Api
from ..._aws.transport import map_concurrently
from ..model.accounts import (
    ALL_REGIONS,
    AccountAccess,
    AgentAddon,
    AssumeRole,
    FoundCluster,
    FoundClusters,
    InventoryRequest,
    Organization,
    UnreadClusters,
    matches_filters,
)
from ..model.addons import AGENT_ADDON, decode_addon
from ..model.cluster import decode_cluster
from ..model.errors import AwsError

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")
# The results and the failures of reading one item.
_Answer = tuple[Sequence[_Found], Sequence[UnreadClusters]]


class ApiProvider(Protocol):
    """A source of clients, each for one region and with the credentials of the run or of an assumed role."""

    def api(self, role: AssumeRole | None, region: str) -> Api:
        """Return a client. Raises AwsError if the role cannot be assumed."""


@dataclass(frozen=True, slots=True)
class _Place:
    """A region of an account or, with ``cluster``, a cluster of a ListClusters response."""

    access: AccountAccess
    region: str
    cluster: str = ""

    def failure(self, error: AwsError) -> UnreadClusters:
        return UnreadClusters(self.access.account_id, self.region, self.cluster, error)


def read_clusters(request: InventoryRequest, apis: ApiProvider, home: str) -> FoundClusters:
    """Return all clusters that match the request, and the failed reads. Raises AwsError if GetCallerIdentity fails.

    :arg home: the region for requests that are not specific to a region.

    Sources: sts GetCallerIdentity, organizations ListAccounts, ec2 DescribeRegions, eks ListClusters, DescribeCluster,
    DescribeAddon.
    """
    api = apis.api(None, home)
    caller = api.call("sts", "GetCallerIdentity", {})
    failures: list[UnreadClusters] = []
    accounts = _accounts(request, api, str(caller["Account"]), str(caller["Arn"]).split(":")[1], failures)
    width = request.concurrency
    places = _gather(partial(_list_regions, apis, home), accounts, width, failures)
    names = _gather(partial(_list_clusters, apis, request), places, width, failures)
    clusters = _gather(partial(_clusters, apis), names, width, failures)
    failed_regions = {(failure.account_id, failure.region) for failure in failures}
    read_regions = {(place.access.account_id, place.region) for place in places} - failed_regions
    selected = [
        cluster
        for cluster in clusters
        if matches_filters(cluster.properties(), request.include, request.exclude)
    ]
    return FoundClusters(
        tuple(sorted(selected, key=lambda cluster: (cluster.name, cluster.region, cluster.account_id))),
        tuple(failures),
        all_failed=bool(failures) and not read_regions and not clusters,
    )


def _gather(
    read: Callable[[_Item], _Answer[_Found]],
    items: Sequence[_Item],
    width: int,
    failures: list[UnreadClusters],
) -> list[_Found]:
    """Return the results for all items, and add their failures to ``failures``."""
    gathered: list[_Found] = []
    for results, failed in map_concurrently(read, items, width):
        gathered.extend(results)
        failures.extend(failed)
    return gathered


def _accounts(
    request: InventoryRequest, api: Api, own_account: str, partition: str, failures: list[UnreadClusters]
) -> list[AccountAccess]:
    """Return the accounts to read, each once. Add the error of ListAccounts to ``failures``."""
    accounts: dict[str, AccountAccess] = {}
    if request.organization is not None:
        organization = request.organization
        try:
            for account_id in _members(organization, api):
                arn = f"arn:{partition}:iam::{account_id}:role/{organization.role_name}"
                assumed = AssumeRole(arn, organization.external_id) if account_id != own_account else None
                accounts[account_id] = AccountAccess(account_id, assumed, request.regions)
        except AwsError as error:
            failures.append(UnreadClusters("", "", "", error))
    accounts.update({access.account_id: access for access in request.accounts})
    if request.own_account:
        accounts[own_account] = AccountAccess(own_account, None, request.regions)
    return list(accounts.values())


def _members(organization: Organization, api: Api) -> list[str]:
    members = api.pages("organizations", "ListAccounts", {}, "Accounts")
    return [
        str(account["Id"])
        for account in members
        if account.get("Status") == "ACTIVE"
        and str(account["Id"]) not in organization.exclude
        and (not organization.include or str(account["Id"]) in organization.include)
    ]


def _list_regions(apis: ApiProvider, home: str, access: AccountAccess) -> _Answer[_Place]:
    """Return the regions of an account. Assume the role first, so that an error is one failure for the whole account."""
    try:
        api = apis.api(access.role, home)
        if access.regions == (ALL_REGIONS,):
            response = api.call("ec2", "DescribeRegions", {})
            regions = sorted(str(region["RegionName"]) for region in response["Regions"])
        else:
            regions = list(access.regions)
    except AwsError as error:
        return (), [UnreadClusters(access.account_id, "", "", error)]
    return [_Place(access, region) for region in regions], ()


def _list_clusters(apis: ApiProvider, request: InventoryRequest, place: _Place) -> _Answer[_Place]:
    properties = {"region": place.region, "account": place.access.account_id}
    try:
        api = apis.api(place.access.role, place.region)
        names = [str(name) for name in api.pages("eks", "ListClusters", {}, "clusters")]
    except AwsError as error:
        return (), [place.failure(error)]
    return [
        replace(place, cluster=name)
        for name in names
        if matches_filters({**properties, "name": name}, request.include, request.exclude, described=False)
    ], ()


def _clusters(apis: ApiProvider, place: _Place) -> _Answer[FoundCluster]:
    try:
        api = apis.api(place.access.role, place.region)
        raw = api.call("eks", "DescribeCluster", {"name": place.cluster})["cluster"]
    except AwsError as error:
        # A missing cluster was deleted after it was listed.
        return (), [] if error.missing else [place.failure(error)]
    failures: list[UnreadClusters] = []
    try:
        response = api.call("eks", "DescribeAddon", {"clusterName": place.cluster, "addonName": AGENT_ADDON})
        addon = decode_addon(response["addon"])
        agent = AgentAddon(True, addon.status, addon.version)
    except AwsError as error:
        agent = AgentAddon(present=False if error.missing else None)
        if not error.missing:
            failures.append(place.failure(error))
    fields = decode_cluster(str(raw["arn"]), raw)
    return [FoundCluster(**fields, agent=agent, role=place.access.role)], failures
