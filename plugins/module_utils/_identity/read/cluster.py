# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the cluster, the caller, the endpoint of the Kubernetes API, and the caller's access to the Kubernetes API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from ..._aws.client import Api
from ..._aws.errors import classify
from ..._aws.transport import call_both
from ..._findings.codes import Code
from ..model.cluster import Account, CallerAccess, Cluster, decode_cluster
from ..model.errors import AwsError, ErrorKind
from .associations import list_associations
from .reader import read_composite, response_time

# Associations can be managed while the control plane is being updated.
USABLE = ("ACTIVE", "UPDATING")


def read_caller(api: Api) -> Account:
    """Return the account of the credentials. Source: sts GetCallerIdentity."""
    caller = api.call("sts", "GetCallerIdentity", {})
    arn = str(caller["Arn"])
    return Account(str(caller["Account"]), arn.split(":")[1], arn, response_time(caller))


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


def _describe_cluster(api: Api, name: str, state: str) -> Mapping[str, Any] | AwsError:
    """Describe the cluster, or return the error. Source: eks DescribeCluster.

    For a removal (``state`` is "absent"), return an empty mapping if the cluster does not exist. ListPodIdentityAssociations must
    confirm that, because a removal deletes more resources if the cluster does not exist.
    """
    describe = partial(api.call, "eks", "DescribeCluster", {"name": name})
    try:
        answer: Mapping[str, Mapping[str, Any]] | None = (
            describe()
            if state == "present"
            else read_composite(describe, lambda answer: answer, lambda: any(list_associations(api, name)))
        )
        return answer["cluster"] if answer else {}
    except AwsError as error:
        return error


def find_cluster(api: Api, name: str, region: str, state: str = "present", account_id: str = "") -> Cluster:
    """Return the cluster. With ``state`` "present", its status must be ACTIVE or UPDATING.

    For a removal ("absent"), any status is accepted, and the cluster may be missing, as its IAM roles and policies may still
    exist. Raises AwsError for a failed request, for a status that is not accepted, and, before any request to EKS, for
    credentials of an account other than ``account_id``.
    """
    describe = partial(_describe_cluster, api, name, state)
    if account_id:
        account = read_caller(api)
        require_account(account, account_id, name, region)
        response = describe()
    else:
        account, response = call_both(partial(read_caller, api), describe)
    if isinstance(response, AwsError):
        if not (response.missing and state == "present"):
            raise response
        raise classify(
            response.operation,
            response.code,
            f"No cluster found for name: {name}. Requested in account {account.account_id}, region "
            f"{region}, as {account.caller_arn}.",
        ) from response
    arn = f"arn:{account.partition}:eks:{region}:{account.account_id}:cluster/{name}"
    cluster = Cluster(
        **decode_cluster(str(response.get("arn") or arn), response),
        caller_arn=account.caller_arn,
        answered_at=account.answered_at,
    )
    if state == "present" and cluster.status not in USABLE:
        raise classify(
            "eks:DescribeCluster",
            "ClusterNotActive",
            f"cluster {name} (account {cluster.account_id}, region {cluster.region}) is {cluster.status}.",
        )
    return cluster


_SESSION = re.compile(r"arn:([\w-]+):sts::(\d{12}):assumed-role/([^/]+)/.*")
_AWS_HOST = re.compile(r"sts[\w.-]*\.(?:amazonaws\.com(?:\.cn)?|api\.aws|c2s\.ic\.gov|sc2s\.sgov\.gov)")
# Hosts of a custom STS endpoint on the local machine, which tests use.
_LOOPBACK = re.compile(r"(?:localhost|127\.[\d.]+|\[::1\])")


def read_eks_target(api: Api, name: str, region: str) -> Cluster:
    """Return the endpoint and the certificate authority of a cluster. Source: eks DescribeCluster.

    Raises AwsError for a failed request, and for a cluster without an endpoint or certificate authority.
    """
    try:
        response = api.call("eks", "DescribeCluster", {"name": name})["cluster"]
    except AwsError as error:
        if not error.missing:
            raise
        account = read_caller(api)
        raise classify(
            error.operation,
            error.code,
            f"No cluster found for name: {name}. Requested in account {account.account_id}, region "
            f"{region or 'as configured'}, as {account.caller_arn}.",
        ) from error
    cluster = Cluster(**decode_cluster(str(response["arn"]), response))
    if not (cluster.endpoint and cluster.certificate_authority_data):
        status = cluster.status or "in an unknown state"
        raise classify(
            "eks:DescribeCluster",
            "ClusterNotActive",
            f"cluster {name} is {status}, without an endpoint and certificate authority of its Kubernetes API.",
        )
    return cluster


def read_caller_access(api: Api, target: Cluster, sts_url: str, now: datetime) -> CallerAccess | None:
    """Read data to explain why the Kubernetes API responded with 401. Return None if sts:GetCallerIdentity fails.

    :arg sts_url: the STS endpoint in the token.
    :arg now: the time by the local clock.

    Sources: sts GetCallerIdentity, iam GetRole, eks DescribeAccessEntry.
    """
    try:
        caller = read_caller(api)
    except AwsError:
        return None
    clock_ahead = (now - caller.answered_at).total_seconds() if caller.answered_at else None
    host = urlsplit(sts_url).hostname or ""
    foreign_host = "" if _AWS_HOST.fullmatch(host) or _LOOPBACK.fullmatch(host) else host
    principal, unknown = "", ""
    has_entry: bool | None = None
    try:
        principal = _access_principal(api, caller.caller_arn)
        api.call("eks", "DescribeAccessEntry", {"clusterName": target.name, "principalArn": principal})
        has_entry = True
    except AwsError as error:
        if principal and error.missing:
            has_entry = False
        else:
            unknown = f"{error.operation}: {error.code}"
    return CallerAccess(caller.caller_arn, principal, has_entry, unknown, clock_ahead, foreign_host)


def _access_principal(api: Api, caller_arn: str) -> str:
    """Return the ARN that an EKS access entry must have for the caller.

    For a session of a role, this is the ARN of the role, including its path.
    """
    session = _SESSION.fullmatch(caller_arn)
    if session is None:
        return caller_arn
    return str(api.call("iam", "GetRole", {"RoleName": session.group(3)})["Role"]["Arn"])
