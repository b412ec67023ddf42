# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the cluster, the caller, the endpoint of the Kubernetes API, and the caller's access to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ..._aws.client import Api
from ..._aws.errors import classify
from ..._aws.transport import map_concurrently
from ..._findings.codes import Code
from ..model.cluster import Account, CallerAccess, Cluster, EksTarget, digests_of_data
from ..model.errors import AwsError, ErrorKind
from .associations import list_associations
from .reader import answered_at, read_whole

# Associations can be managed while the control plane is being updated.
USABLE = ("ACTIVE", "UPDATING")


def read_caller(api: Api) -> Account:
    """Source: sts GetCallerIdentity."""
    caller = api.call("sts", "GetCallerIdentity", {})
    arn = str(caller["Arn"])
    return Account(str(caller["Account"]), arn.split(":")[1], arn, answered_at(caller))


def require_account(account: Account, account_id: str, name: str, region: str) -> None:
    """Raise AwsError unless the credentials belong to this account. An empty ``account_id`` permits any account."""
    if not account_id or account_id == account.account_id:
        return
    raise AwsError(
        "sts:GetCallerIdentity",
        Code.ACCOUNT_DIFFERS.value,
        f"cluster {name} (region {region or 'as configured'}) is expected in account {account_id} (⟨account_id⟩), but the "
        f"credentials belong to account {account.account_id}: {account.caller_arn}.",
        ErrorKind.OTHER,
        f"Use credentials of account {account_id}: another profile, another AWS credential of the job template, or "
        "⟨assume_role_arn⟩ with a role of that account. If the account ID is wrong, correct ⟨account_id⟩.",
    )


def _read_cluster(api: Api, account: Account, name: str, region: str, must_exist: bool) -> Cluster:
    """Read a cluster; one that need not exist has the status "" without it. Source: eks DescribeCluster."""
    try:
        raw = _describe(api.in_region(region), name, must_exist)
    except AwsError as error:
        if not (error.missing and must_exist):
            raise
        raise classify(
            error.operation,
            error.code,
            f"No cluster found for name: {name}. Asked in account {account.account_id}, region "
            f"{region}, as {account.caller_arn}.",
        ) from error
    if raw is None:
        raw = {"arn": f"arn:{account.partition}:eks:{region}:{account.account_id}:cluster/{name}"}
    arn = str(raw["arn"])
    return Cluster(
        name=name,
        arn=arn,
        account_id=account.account_id,
        region=arn.split(":")[3] or region,
        partition=account.partition,
        status=str(raw.get("status", "")),
        caller_arn=account.caller_arn,
        version=str(raw.get("version") or ""),
        platform_version=str(raw.get("platformVersion") or ""),
        auto_mode=bool((raw.get("computeConfig") or {}).get("enabled")),
        endpoint=str(raw.get("endpoint") or ""),
        authorities=digests_of_data(str((raw.get("certificateAuthority") or {}).get("data") or "")),
        answered_at=account.answered_at,
    )


def _describe(api: Api, name: str, must_exist: bool) -> Mapping[str, Any] | None:
    """As EKS describes it; None where it does not exist and need not. That it is gone decides what a removal leaves, so
    its associations are asked for as well: where EKS lists them, it is there."""

    def describe() -> Mapping[str, Any]:
        cluster: Mapping[str, Any] = api.call("eks", "DescribeCluster", {"name": name})["cluster"]
        return cluster

    if must_exist:
        return describe()
    return read_whole(describe, lambda answer: answer, lambda: next(iter(list_associations(api, name)), None))


def find_cluster(api: Api, name: str, region: str, state: str = "present", account_id: str = "") -> Cluster:
    """The cluster, in a state in which associations can be managed, or AwsError.

    For a removal the cluster may be gone: its IAM roles and policies are still there to remove. Credentials of another
    account than ``account_id`` are refused before EKS is asked.
    """
    account = read_caller(api)
    require_account(account, account_id, name, region)
    return _find_cluster(api, account, name, region, state)


def _find_cluster(api: Api, account: Account, name: str, region: str, state: str) -> Cluster:
    cluster = _read_cluster(api, account, name, region, must_exist=state == "present")
    if state == "present" and cluster.status not in USABLE:
        raise classify(
            "eks:DescribeCluster",
            "ClusterNotActive",
            f"cluster {name} in account {cluster.account_id}, region {cluster.region} is {cluster.status}.",
        )
    return cluster


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A cluster that is looked for. ``key`` is what keys of workloads call it; ``region`` is "" for that of the
    credentials."""

    key: str
    name: str
    region: str


def find_clusters(
    api: Api, account: Account, places: Iterable[ClusterPlace], state: str, width: int
) -> Mapping[str, Cluster | AwsError]:
    """Each cluster as ``find_cluster`` does, by its key; or why it cannot be used, which is no reason for another."""

    def find(place: ClusterPlace) -> Cluster | AwsError:
        try:
            cluster = _find_cluster(api, account, place.name, place.region, state)
        except AwsError as error:
            return error
        return replace(cluster, alias=place.key)

    wanted = list(places)
    clusters = map_concurrently(find, wanted, width)
    return {place.key: cluster for place, cluster in zip(wanted, clusters, strict=True)}


_SESSION = re.compile(r"arn:([\w-]+):sts::(\d{12}):assumed-role/([^/]+)/.*")
_AWS_HOST = re.compile(r"sts[\w.-]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws|c2s\.ic\.gov|sc2s\.sgov\.gov)")
# A test's own STS.
_LOOPBACK = re.compile(r"(?:localhost|127\.[\d.]+|\[::1\])")


def read_eks_target(api: Api, name: str, region: str) -> EksTarget:
    """Raises AwsError, also for a cluster that has no endpoint (yet). Source: eks DescribeCluster."""
    try:
        cluster = api.call("eks", "DescribeCluster", {"name": name})["cluster"]
    except AwsError as error:
        if not error.missing:
            raise
        text = f"No cluster found for name: {name}. Asked in region {region or 'as configured'}."
        raise classify(error.operation, error.code, text) from error
    endpoint = str(cluster.get("endpoint") or "")
    authority = str((cluster.get("certificateAuthority") or {}).get("data") or "")
    if not (endpoint and authority):
        status = cluster.get("status") or "in no state that EKS tells"
        text = f"cluster {name} is {status}, and EKS tells no endpoint and certificate authority of its Kubernetes API."
        raise classify("eks:DescribeCluster", "ClusterNotActive", text)
    mode = str((cluster.get("accessConfig") or {}).get("authenticationMode") or "")
    return EksTarget(name, str(cluster["arn"]), endpoint, authority, mode)


def read_caller_access(api: Api, target: EksTarget, sts_url: str, now: datetime) -> CallerAccess | None:
    """What is known of a caller that the API answered 401; None when even STS does not know it.

    ``sts_url`` is the endpoint that the token names. Sources: sts GetCallerIdentity, iam GetRole, eks DescribeAccessEntry.
    """
    try:
        caller = api.call("sts", "GetCallerIdentity", {})
    except AwsError:
        return None
    arn, date = str(caller["Arn"]), answered_at(caller)
    ahead = (now - date).total_seconds() if date else None
    host = urlsplit(sts_url).hostname or ""
    foreign_host = "" if _AWS_HOST.fullmatch(host) or _LOOPBACK.fullmatch(host) else host
    principal, has_entry, unknown = "", None, ""
    try:
        principal = _access_principal(api, arn)
        has_entry = _has_entry(api, target, principal)
    except AwsError as error:
        unknown = f"{error.operation}: {error.code}"
    return CallerAccess(arn, principal, has_entry, unknown, ahead, foreign_host)


def _access_principal(api: Api, caller_arn: str) -> str:
    """Whose access entry counts. The ARN of a session lacks the path of its role, which the entry's has."""
    session = _SESSION.fullmatch(caller_arn)
    if session is None:
        return caller_arn
    return str(api.call("iam", "GetRole", {"RoleName": session.group(3)})["Role"]["Arn"])


def _has_entry(api: Api, target: EksTarget, principal: str) -> bool:
    parameters = {"clusterName": target.name, "principalArn": principal}
    try:
        api.call("eks", "DescribeAccessEntry", parameters)
    except AwsError as error:
        if error.missing:
            return False
        raise
    return True
