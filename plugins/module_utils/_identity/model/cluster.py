# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account of the credentials, its cluster, and the proof that a Kubernetes API belongs to an EKS cluster. Pure.

Each EKS cluster has a unique endpoint and a unique certificate authority (eks DescribeCluster). So a connection that trusts
only this authority, or that uses this endpoint, reaches this cluster and no other cluster.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ..._findings.codes import Code
from ..._findings.finding import Finding
from .policies import PolicySpec
from .roles import RoleSpec


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the credentials. Source: sts GetCallerIdentity.

    ``answered_at`` is the time of the response by the clock of AWS, because the local clock may be wrong.
    """

    account_id: str
    partition: str
    caller_arn: str = ""
    answered_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Cluster:
    """An observed cluster, with the account of the credentials. Sources: eks DescribeCluster, sts GetCallerIdentity.

    ``status`` is "" for a cluster that does not exist. ``version`` is like "1.33", ``platform_version`` like "eks.4";
    ``auto_mode`` is true with EKS Auto Mode. ``certificate_authority_data`` is the certificate authority of the Kubernetes API
    at ``endpoint``, PEM in base64. ``authentication_mode`` is API, API_AND_CONFIG_MAP, CONFIG_MAP or "". ``issuer`` is the URL of
    the OIDC issuer. ``node_role_arn`` is the role of the nodes of EKS Auto Mode, or "". ``caller_arn`` and ``answered_at`` are
    as in ``Account``. ``renamed`` has the ARNs of roles and policies that exist with another path or letter case than the list
    has, by the ARN of the list: for IAM, they have the same name.
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
    certificate_authority_data: str = ""
    answered_at: datetime | None = field(default=None, compare=False)
    issuer: str = ""
    node_role_arn: str = ""
    authentication_mode: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def authorities(self) -> frozenset[str]:
        """Return the SHA-256 digests of the certificate authorities; empty for invalid data."""
        try:
            pem = base64.b64decode(self.certificate_authority_data, validate=True).decode("ascii")
        except ValueError:
            return frozenset()
        return certificate_digests(pem)

    def role_arn(self, spec: RoleSpec) -> str:
        """Return the ARN of a role in the account of the cluster."""
        return spec.arn or self._iam_arn("role", spec.path, spec.name)

    def policy_arn(self, spec: PolicySpec) -> str:
        """Return the ARN of a policy in the account of the cluster."""
        return spec.arn or self._iam_arn("policy", spec.path, spec.name)

    def _iam_arn(self, kind: str, path: str, name: str) -> str:
        arn = f"arn:{self.partition}:iam::{self.account_id}:{kind}{path}{name}"
        return self.renamed.get(arn, arn)


def decode_cluster(arn: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Decode a cluster. Return the fields of ``Cluster`` by name, without the caller. Source: eks DescribeCluster."""
    _arn, partition, _service, region, account_id, path = arn.split(":")
    compute = response.get("computeConfig") or {}
    return {
        "name": path.partition("/")[2],
        "arn": arn,
        "account_id": account_id,
        "region": region,
        "partition": partition,
        "status": str(response.get("status") or ""),
        "version": str(response.get("version") or ""),
        "platform_version": str(response.get("platformVersion") or ""),
        "auto_mode": bool(compute.get("enabled")),
        "endpoint": str(response.get("endpoint") or ""),
        "certificate_authority_data": str((response.get("certificateAuthority") or {}).get("data") or ""),
        "issuer": str(((response.get("identity") or {}).get("oidc") or {}).get("issuer") or ""),
        "node_role_arn": str(compute.get("nodeRoleArn") or ""),
        "authentication_mode": str((response.get("accessConfig") or {}).get("authenticationMode") or ""),
        "tags": dict(response.get("tags") or {}),
    }


_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ApiServer:
    """The Kubernetes API of a run. ``url`` is "" if it is unknown.

    ``authorities`` are the SHA-256 digests of the CA certificates that the connection trusts. They are empty if it trusts the
    certificates of the system, or if they are unknown.
    """

    url: str = ""
    authorities: frozenset[str] = frozenset()
    checks_certificate: bool = True


def certificate_digests(pem: str) -> frozenset[str]:
    """Return the SHA-256 digests, in lower-case hexadecimal, of the certificates in a PEM text. Ignore malformed certificates."""
    digests = set()
    for body in _CERTIFICATE.findall(pem):
        with suppress(ValueError):
            digests.add(hashlib.sha256(base64.b64decode("".join(body.split()), validate=True)).hexdigest())
    return frozenset(digests)


def judge_api_server(cluster: Cluster, server: ApiServer) -> Finding | None:
    """Return a finding unless it is proven that the Kubernetes API belongs to the cluster.

    Also return None for a cluster that does not exist, because the run then does not use Kubernetes.
    """
    if not cluster.status or _is_same(cluster, server):
        return None
    subject = f"the Kubernetes API of the kubeconfig{f' ({server.url})' if server.url else ''}"
    has_own = bool(server.authorities) and server.checks_certificate
    if has_own and cluster.authorities and not server.authorities & cluster.authorities:
        return Finding(
            Code.KUBERNETES_API_DIFFERS,
            f"{subject} does not belong to {describe_place(cluster)}: for this cluster, "
            f"EKS returns the endpoint {cluster.endpoint or '-'} and another certificate authority.",
            "Correct pod_identity_cluster_name, the AWS account or the region, or the kubeconfig and its context "
            "(pod_identity_kubeconfig, pod_identity_kube_context).",
        )
    other_address = (
        f"its URL is not the endpoint that EKS returns ({cluster.endpoint})"
        if cluster.endpoint
        else "EKS returns no endpoint for the cluster"
    )
    # The first reason that applies; the last one always does.
    reasons = (
        (
            not (cluster.endpoint or cluster.authorities),
            "EKS returns no endpoint and no certificate authority for the cluster",
        ),
        (not server.url, "the URL of the connection is unknown"),
        (
            not server.checks_certificate,
            f"the connection does not check certificates, and {other_address}",
        ),
        (
            not server.authorities,
            f"the connection trusts the certificate authorities of the system, or unknown ones, and {other_address}",
        ),
        (
            bool(cluster.authorities),
            f"the connection also trusts certificate authorities of other servers, and {other_address}",
        ),
        (
            True,
            f"EKS returns no certificate authority for the cluster, only the endpoint {cluster.endpoint}",
        ),
    )
    reason = next(text for applies, text in reasons if applies)
    return Finding(
        Code.KUBERNETES_API_UNKNOWN,
        f"{subject} is not proven to belong to {describe_place(cluster)}: {reason}.",
        "Use a kubeconfig with the cluster's certificate authority (aws eks update-kubeconfig writes one)."
        if cluster.authorities
        else "Run again when EKS returns the certificate authority of the cluster (see aws eks describe-cluster).",
    )


def as_verification_finding(finding: Finding) -> Finding:
    """Adapt a finding of ``judge_api_server`` for a verification.

    Add to the message the checks whose results are unknown, and to the remedy the option ``kube_auth``.
    """
    return replace(
        finding,
        message=f"{finding.message} The objects of this API may belong to another cluster, so the results of the checks of "
        "service accounts and Pods are unknown.",
        remedy=f"{finding.remedy} With 'pod_identity_kube_auth: eks', the run uses no kubeconfig, but the endpoint and the "
        "certificate authority that EKS returns for the cluster.",
    )


def _is_same(cluster: Cluster, server: ApiServer) -> bool:
    """Return whether the connection is certain to reach the cluster.

    A connection that also trusts other authorities is not a proof. The connection need not trust all certificates of the
    cluster: while EKS rotates the authority, a kubeconfig may have only one of two certificates.
    """
    trusts_only_it = bool(server.authorities) and server.authorities <= cluster.authorities
    address = _address(server.url)
    has_endpoint = address is not None and address == _address(cluster.endpoint)
    return has_endpoint or (server.checks_certificate and trusts_only_it)


def _address(url: str) -> tuple[str, int] | None:
    """Return the host and the port of a URL, or None for an invalid URL. The port is 0 if it is unknown."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    return (host.rstrip("."), port or _PORTS.get(parts.scheme, 0)) if host else None


def describe_place(cluster: Cluster) -> str:
    """Return the name, account and region of a cluster as text for a message."""
    return f"cluster {cluster.name} (account {cluster.account_id}, region {cluster.region})"


@dataclass(frozen=True, slots=True)
class CallerAccess:
    """A caller that the Kubernetes API of an EKS cluster rejects, with data that can explain the rejection.

    ``principal`` is the ARN that an access entry for the caller must have: the ARN of a user or, for a session, of its role
    with the path; "" if it is unknown. ``has_entry`` is true if the cluster has an access entry with this ARN; None if that
    is unknown, with the reason in ``unknown``. ``clock_ahead`` is the number of seconds by which the local clock is ahead of the
    clock of AWS, or None if that is unknown. ``sts_host`` is the host in the token if it does not belong to AWS, otherwise "".
    """

    caller_arn: str
    principal: str
    has_entry: bool | None
    unknown: str = ""
    clock_ahead: float | None = None
    sts_host: str = ""
