# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The account of the credentials, its clusters, and the proof that a Kubernetes API is that of an EKS cluster. Pure.

Each EKS cluster has its own endpoint and certificate authority (eks DescribeCluster). A connection that trusts only that
authority, or that goes to that endpoint, reaches that cluster and no other.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import urlsplit

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from .policies import PolicySpec
from .roles import RoleSpec


@dataclass(frozen=True, slots=True)
class Account:
    """The account behind the credentials. Source: sts GetCallerIdentity.

    ``answered_at`` is when AWS told of it, by its own clock: that of this machine may be wrong.
    """

    account_id: str
    partition: str
    caller_arn: str = ""
    answered_at: datetime | None = field(default=None, compare=False)

    def policy_arn(self, spec: PolicySpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:policy{spec.path}{spec.name}"

    def role_arn(self, spec: RoleSpec) -> str:
        if spec.arn is not None:
            return spec.arn
        return f"arn:{self.partition}:iam::{self.account_id}:role{spec.path}{spec.name}"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster and the account behind the credentials, as observed.

    ``key`` is what keys of workloads call it. ``version`` is like "1.33", ``platform_version`` like "eks.4"; ``auto_mode``
    is EKS Auto Mode.
    ``authorities`` are the SHA-256 of the certificates that sign for its Kubernetes API at ``endpoint``.
    ``answered_at`` is when AWS told of it, by its own clock: that of this machine may be wrong.
    Sources: eks DescribeCluster, sts GetCallerIdentity.
    """

    name: str
    arn: str
    account_id: str
    region: str
    partition: str
    status: str = "ACTIVE"
    caller_arn: str = ""
    version: str = ""
    platform_version: str = ""
    auto_mode: bool = False
    endpoint: str = ""
    authorities: frozenset[str] = frozenset()
    alias: str = ""
    answered_at: datetime | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        return self.alias or self.name

    @property
    def account(self) -> Account:
        return Account(self.account_id, self.partition, self.caller_arn, self.answered_at)


@dataclass(frozen=True, slots=True)
class Clusters:
    """The clusters of one account that a run is about and that could be read, by what keys of workloads call them."""

    account: Account
    members: Mapping[str, Cluster]

    def __contains__(self, key: WorkloadKey) -> bool:
        return key.cluster in self.members

    def of(self, key: WorkloadKey) -> Cluster:
        """The cluster of a workload. KeyError when it is none of these."""
        return self.members[key.cluster]

    def with_arn(self, arn: str) -> Cluster | None:
        """The cluster of an ARN: arn:partition:eks:region:account:cluster/name."""
        name = arn.rpartition("/")[2]
        region = arn.split(":")[3] if arn.count(":") > 3 else ""
        members = (self.members.get(name), self.members.get(f"{region}/{name}"))
        return next((cluster for cluster in members if cluster is not None and cluster.arn == arn), None)

    def among(self, keys: Iterable[WorkloadKey]) -> Clusters:
        """The clusters of some workloads."""
        names = {key.cluster for key in keys}
        return Clusters(self.account, {key: cluster for key, cluster in self.members.items() if key in names})

    def without(self, keys: Collection[str]) -> Clusters:
        """Those that workloads do not call by one of these names."""
        if not keys:
            return self
        return Clusters(
            self.account, {key: cluster for key, cluster in self.members.items() if key not in keys}
        )


def clusters_of(*members: Cluster) -> Clusters:
    """Clusters of one account, at least one."""
    return Clusters(members[0].account, {cluster.key: cluster for cluster in members})


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where the Kubernetes part goes. ``url`` is "" when that is not known.

    ``authorities`` are the SHA-256 of the certificates that the connection trusts, empty when they are the
    system's or not known. ``required`` says that nothing may change unless it is the cluster's.
    """

    url: str = ""
    authorities: frozenset[str] = frozenset()
    checks_certificate: bool = True
    required: bool = True


def digests_of(pem: str) -> frozenset[str]:
    """The SHA-256 of each certificate of a PEM text, as ``openssl x509 -fingerprint`` takes it."""
    digests = set()
    for body in _CERTIFICATE.findall(pem):
        try:
            digests.add(hashlib.sha256(base64.b64decode("".join(body.split()), validate=True)).hexdigest())
        except binascii.Error:
            continue
    return frozenset(digests)


def digests_of_data(data: str) -> frozenset[str]:
    """Of ``certificateAuthority.data``, which is PEM in base64."""
    try:
        return digests_of(base64.b64decode(data, validate=True).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError):
        return frozenset()


def judge_api_server(cluster: Cluster, server: ApiServer) -> Finding | None:
    """None when the API is the cluster's, or the cluster does not exist: then nothing in Kubernetes is touched."""
    if not cluster.status or _is_same(cluster, server):
        return None
    has_own = bool(server.authorities) and server.checks_certificate
    if has_own and cluster.authorities and not server.authorities & cluster.authorities:
        return _differs(cluster, server)
    return _unknown(cluster, server)


def as_refusal(finding: Finding) -> Finding:
    """For a run that stops there: the word on which it goes on."""
    return replace(finding, remedy=f"{finding.remedy} {_GO_ON[finding.code]}")


def as_left_open(finding: Finding) -> Finding:
    """For a verification: what comes of it."""
    return replace(
        finding, message=f"{finding.message} {_LEFT_OPEN}", remedy=f"{finding.remedy} {_OWN_ENDPOINT}"
    )


def _is_same(cluster: Cluster, server: ApiServer) -> bool:
    """A bundle that also trusts others proves nothing; while EKS rotates, the kubeconfig may lack one of its two."""
    trusts_only_it = bool(server.authorities) and server.authorities <= cluster.authorities
    if server.checks_certificate and trusts_only_it:
        return True
    return _address(server.url) is not None and _address(server.url) == _address(cluster.endpoint)


def _address(url: str) -> tuple[str, int] | None:
    """Host and port; None for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host.rstrip("."), port or _PORTS.get(parts.scheme, 0)) if host else None


def _differs(cluster: Cluster, server: ApiServer) -> Finding:
    return Finding(
        Code.KUBERNETES_API_DIFFERS,
        f"{_subject(server)} is not that of {_place(cluster)}: EKS gives it the endpoint {cluster.endpoint or '-'} "
        "and another certificate authority.",
        _CORRECT,
        raised_as=None if server.required else "warning",
    )


def _unknown(cluster: Cluster, server: ApiServer) -> Finding:
    if not (cluster.endpoint or cluster.authorities):
        reason = "EKS tells neither its endpoint nor its certificate authority"
    elif not server.url:
        reason = "where the connection goes could not be read"
    elif not server.checks_certificate:
        reason = f"the connection checks no certificate, and EKS gives the endpoint {cluster.endpoint or '-'}"
    elif not server.authorities:
        reason = (
            "which certificate authority the connection trusts is not known, or it is one of the system's, and EKS "
            f"gives the endpoint {cluster.endpoint or '-'}"
        )
    elif cluster.authorities:
        reason = (
            "the connection trusts other certificate authorities beside the cluster's, and EKS gives the endpoint "
            f"{cluster.endpoint or '-'}"
        )
    else:
        reason = f"EKS tells no certificate authority, and gives the endpoint {cluster.endpoint}"
    return Finding(
        Code.KUBERNETES_API_UNKNOWN,
        f"{_subject(server)} is not proven to be that of {_place(cluster)}: {reason}.",
        "Use a kubeconfig with the cluster's certificate authority (aws eks update-kubeconfig writes one).",
    )


_CORRECT = (
    "Correct pod_identity_cluster_name, the AWS account or the region, or the kubeconfig and its context "
    "(pod_identity_kubeconfig, pod_identity_kube_context)."
)
_GO_ON = {
    Code.KUBERNETES_API_DIFFERS: "If it is that cluster behind a proxy with a certificate of its own, "
    "pod_identity_verify_cluster: false goes on.",
    Code.KUBERNETES_API_UNKNOWN: "If you know that it is the right one, pod_identity_verify_cluster: false goes on.",
}
_LEFT_OPEN = (
    "What it shows proves nothing about that cluster, so the checks of service accounts and Pods are unknown."
)
_OWN_ENDPOINT = (
    "pod_identity_kube_auth: eks, instead of a kubeconfig, goes to the endpoint that EKS gives the cluster, with the "
    "cluster's own certificate authority."
)


def _subject(server: ApiServer) -> str:
    return f"the Kubernetes API of the kubeconfig{f' ({server.url})' if server.url else ''}"


def _place(cluster: Cluster) -> str:
    return f"cluster {cluster.name} (account {cluster.account_id}, region {cluster.region})"


@dataclass(frozen=True, slots=True)
class EksTarget:
    """``authority`` is the certificate authority in PEM, in base64, as EKS gives it. ``authentication_mode`` is API,
    API_AND_CONFIG_MAP or CONFIG_MAP, "" when EKS does not say. Source: eks DescribeCluster."""

    name: str
    arn: str
    endpoint: str
    authority: str
    authentication_mode: str = ""

    @property
    def account_id(self) -> str:
        return self.arn.split(":")[4]

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """What AWS says of a caller that the Kubernetes API does not know.

    ``principal`` is the IAM principal that an access entry is for: of a session its role. It is "" when that is not known.
    ``has_entry`` is None when that is not known, and ``unknown`` then says why.
    ``clock_ahead`` is by how many seconds the clock of this machine is ahead of AWS's; None when that is not known.
    ``sts_host`` is the host that the token names when it is not one of AWS's.
    """

    caller_arn: str
    principal: str
    has_entry: bool | None
    unknown: str = ""
    clock_ahead: float | None = None
    sts_host: str = ""
