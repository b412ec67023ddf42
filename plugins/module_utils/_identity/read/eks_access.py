# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read where a cluster's Kubernetes API is, and why it may not know the caller."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import urlsplit

from ..._aws.client import Api
from ..._aws.errors import classify
from ..model.cluster import CallerAccess, EksTarget
from ..model.errors import AwsError
from .answers import answered_at

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
        principal = _principal(api, arn)
        has_entry = _has_entry(api, target, principal)
    except AwsError as error:
        unknown = f"{error.operation}: {error.code}"
    return CallerAccess(arn, principal, has_entry, unknown, ahead, foreign_host)


def _principal(api: Api, caller_arn: str) -> str:
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
