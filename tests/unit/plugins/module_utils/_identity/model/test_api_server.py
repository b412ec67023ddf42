# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the check that the Kubernetes API of the kubeconfig belongs to the EKS cluster."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    ApiServer,
    Cluster,
    certificate_digests,
    judge_api_server,
)

ENDPOINT = "https://ABC.gr7.us-west-2.eks.amazonaws.com"


def make_pem(*contents: bytes) -> str:
    bodies = (base64.encodebytes(content).decode() for content in contents)
    return "".join(f"-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n" for body in bodies)


def encode(pem: str) -> str:
    return base64.b64encode(pem.encode()).decode()


OURS, OTHER = (certificate_digests(make_pem(content)) for content in (b"aa", b"cc"))
NEXT = encode(make_pem(b"aa", b"bb"))
CLUSTER = Cluster(
    "my-cluster",
    "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster",
    "111122223333",
    "us-west-2",
    "aws",
    endpoint=ENDPOINT,
    certificate_authority_data=encode(make_pem(b"aa")),
)
TUNNEL = "https://localhost:8443"
PLACE = "cluster my-cluster (account 111122223333, region us-west-2)"


@pytest.mark.parametrize(
    ("cluster", "server"),
    [
        pytest.param(CLUSTER, ApiServer(TUNNEL, OURS), id="a tunnel with the authority of the cluster"),
        pytest.param(
            replace(CLUSTER, certificate_authority_data=NEXT), ApiServer(TUNNEL, OURS), id="rotated authority"
        ),
        pytest.param(
            CLUSTER,
            ApiServer(ENDPOINT.lower() + ":443/", OTHER),
            id="endpoint of the cluster through a proxy",
        ),
        pytest.param(
            CLUSTER,
            ApiServer(ENDPOINT, checks_certificate=False),
            id="endpoint of the cluster without verification",
        ),
        pytest.param(
            CLUSTER, ApiServer(ENDPOINT), id="endpoint of the cluster with authorities of the system"
        ),
        pytest.param(replace(CLUSTER, status=""), ApiServer(TUNNEL, OTHER), id="missing cluster"),
    ],
)
def test_api_server_of_the_cluster_has_no_finding(cluster: Cluster, server: ApiServer) -> None:
    assert judge_api_server(cluster, server) is None


@pytest.mark.parametrize(
    ("cluster", "server", "code", "reason"),
    [
        pytest.param(
            CLUSTER,
            ApiServer(TUNNEL, OTHER),
            "KUBERNETES_API_DIFFERS",
            f"does not belong to {PLACE}: for this cluster, EKS returns the endpoint {ENDPOINT} and another "
            "certificate authority.",
            id="another authority",
        ),
        pytest.param(
            CLUSTER,
            ApiServer(TUNNEL, OTHER | OURS),
            "KUBERNETES_API_UNKNOWN",
            f"is not proven to belong to {PLACE}: the connection also trusts certificate authorities of other "
            f"servers, and its URL is not the endpoint that EKS returns ({ENDPOINT}).",
            id="bundle of authorities",
        ),
        pytest.param(
            CLUSTER,
            ApiServer(TUNNEL, OURS, checks_certificate=False),
            "KUBERNETES_API_UNKNOWN",
            f"is not proven to belong to {PLACE}: the connection does not check certificates, and its URL is "
            f"not the endpoint that EKS returns ({ENDPOINT}).",
            id="without verification",
        ),
        pytest.param(
            CLUSTER,
            ApiServer(TUNNEL),
            "KUBERNETES_API_UNKNOWN",
            f"is not proven to belong to {PLACE}: the connection trusts the certificate authorities of the system, "
            f"or unknown ones, and its URL is not the endpoint that EKS returns ({ENDPOINT}).",
            id="authorities of the system",
        ),
        pytest.param(
            replace(CLUSTER, endpoint="", certificate_authority_data=""),
            ApiServer(TUNNEL, OURS),
            "KUBERNETES_API_UNKNOWN",
            f"is not proven to belong to {PLACE}: EKS returns no endpoint and no certificate authority for the "
            "cluster.",
            id="no endpoint in EKS",
        ),
        pytest.param(
            replace(CLUSTER, certificate_authority_data=""),
            ApiServer(TUNNEL, OURS),
            "KUBERNETES_API_UNKNOWN",
            f"is not proven to belong to {PLACE}: EKS returns no certificate authority for the cluster, only "
            f"the endpoint {ENDPOINT}.",
            id="no authority in EKS",
        ),
    ],
)
def test_other_or_unproven_api_server_is_a_finding(
    cluster: Cluster, server: ApiServer, code: str, reason: str
) -> None:
    finding = judge_api_server(cluster, server)
    assert finding is not None
    assert (finding.code, finding.message) == (
        code,
        f"the Kubernetes API of the kubeconfig ({TUNNEL}) {reason}",
    )


def test_unknown_connection_is_not_a_proof() -> None:
    finding = judge_api_server(CLUSTER, ApiServer())
    assert finding is not None
    assert finding.message == (
        f"the Kubernetes API of the kubeconfig is not proven to belong to {PLACE}: the URL of the connection is unknown."
    )


@pytest.mark.parametrize("body", ["é", "A"])
def test_malformed_certificate_is_ignored(body: str) -> None:
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n{make_pem(b'one')}"
    assert certificate_digests(pem) == {hashlib.sha256(b"one").hexdigest()}


@pytest.mark.parametrize("data", ["", "!", "Q0VSVA==", "/////w=="])
def test_invalid_certificate_has_no_digest(data: str) -> None:
    assert replace(CLUSTER, certificate_authority_data=data).authorities == frozenset()
