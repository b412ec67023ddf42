# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the authentication of EKS bearer tokens: which tokens are rejected, and which user a valid token has."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

from .conftest import ACCOUNT, OTHER_ACCOUNT, REGION, Endpoint

CLUSTER = "blue"
ROOT = Credentials(ACCOUNT, ROOT_SECRET_ACCESS_KEY)
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/ci/deployer"
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            }
        ],
    }
)
Review = Callable[..., dict[str, Any]]


class Signer(SigV4QueryAuth):
    """A signer of presigned URLs that uses a fixed time instead of the current time."""

    def __init__(self, credentials: Credentials, expires: int, date: datetime) -> None:
        super().__init__(credentials, "sts", REGION, expires=expires)
        self._date = date

    def add_auth(self, request: Any) -> None:
        request.context["timestamp"] = self._date.strftime("%Y%m%dT%H%M%SZ")
        self._modify_request_before_signing(request)
        text = self.string_to_sign(request, self.canonical_request(request))
        self._inject_signature_to_request(request, self.signature(text, request))


def token(
    endpoint: Endpoint,
    *,
    cluster: str | None = CLUSTER,
    credentials: Credentials = ROOT,
    action: str = "GetCallerIdentity",
    host: str = "",
    path: str = "/",
    age: timedelta = timedelta(),
    expires: int = 60,
    extra: str = "",
) -> str:
    query = urlencode({"Action": action, "Version": "2011-06-15"})
    url = f"http://{host or urlsplit(endpoint.url).netloc}{path}?{query}{extra}"
    request = AWSRequest("GET", url, {} if cluster is None else {"x-k8s-aws-id": cluster})
    signer = Signer(credentials, expires, datetime.now(timezone.utc) - age)
    signer.add_auth(request)
    return "k8s-aws-v1." + base64.urlsafe_b64encode(request.url.encode()).decode().rstrip("=")


@pytest.fixture
def review(endpoint: Endpoint) -> Review:
    """Create the cluster ``blue`` as the root user, and return a function that reviews a bearer token for this cluster."""
    eks = endpoint.client("eks")
    eks.create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
    )
    query = {
        "account": ACCOUNT,
        "region": REGION,
        "cluster": CLUSTER,
        "sts_host": urlsplit(endpoint.url).netloc,
    }

    def review(text: str) -> dict[str, Any]:
        body = json.dumps({"token": text}).encode()
        with urlopen(Request(f"{endpoint.url}/_sandbox/token-review?{urlencode(query)}", body)) as response:
            result: dict[str, Any] = json.load(response)
        return result

    return review


def session(endpoint: Endpoint, name: str = "job-7") -> Credentials:
    """Assume the role ``deployer``, whose ARN has a path, and return the credentials."""
    endpoint.client("iam").create_role(Path="/ci/", RoleName="deployer", AssumeRolePolicyDocument=TRUST)
    issued = endpoint.client("sts").assume_role(RoleArn=ROLE_ARN, RoleSessionName=name)["Credentials"]
    return Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])


def test_cluster_creator_is_administrator(endpoint: Endpoint, review: Review) -> None:
    assert review(token(endpoint)) == {"name": ROOT_ARN, "groups": ["system:masters"]}


def test_session_uses_access_entry_of_role(endpoint: Endpoint, review: Review) -> None:
    credentials = session(endpoint)
    assert review(token(endpoint, credentials=credentials)) == {
        "refused": f"{ROLE_ARN} has no access entry in cluster {CLUSTER}"
    }
    eks = endpoint.client("eks")
    eks.create_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN, kubernetesGroups=["operators"])
    assert review(token(endpoint, credentials=credentials)) == {
        "name": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/job-7",
        "groups": ["operators"],
    }
    entry = eks.describe_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN)["accessEntry"]
    assert entry["kubernetesGroups"] == ["operators"]
    eks.associate_access_policy(
        clusterName=CLUSTER, principalArn=ROLE_ARN, policyArn=ADMIN_POLICY, accessScope={"type": "cluster"}
    )
    assert review(token(endpoint, credentials=credentials))["groups"] == ["operators", "system:masters"]


def test_access_entry_sets_username(endpoint: Endpoint, review: Review) -> None:
    credentials = session(endpoint)
    endpoint.client("eks").create_access_entry(
        clusterName=CLUSTER, principalArn=ROLE_ARN, username="ci:{{SessionName}}"
    )
    assert review(token(endpoint, credentials=credentials)) == {"name": "ci:job-7", "groups": []}


def test_creator_without_bootstrap_permission_is_rejected(endpoint: Endpoint, review: Review) -> None:
    endpoint.control.reset()
    endpoint.client("eks").create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
        accessConfig={"bootstrapClusterCreatorAdminPermissions": False},
    )
    assert review(token(endpoint)) == {"refused": f"{ROOT_ARN} has no access entry in cluster {CLUSTER}"}


MISMATCH = "STS: SignatureDoesNotMatch: signed with another key, or for another cluster"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"cluster": "green"}, MISMATCH, id="another cluster"),
        pytest.param({"credentials": Credentials(ACCOUNT, "another-secret")}, MISMATCH, id="another key"),
        pytest.param(
            {"credentials": Credentials(OTHER_ACCOUNT, ROOT_SECRET_ACCESS_KEY)},
            f"arn:aws:iam::{OTHER_ACCOUNT}:root has no access entry in cluster {CLUSTER}",
            id="another account",
        ),
        pytest.param(
            {"cluster": None},
            "client did not sign the x-k8s-aws-id header in the pre-signed URL",
            id="no cluster",
        ),
        pytest.param(
            {"action": "AssumeRole"}, "unexpected action parameter in pre-signed URL", id="another action"
        ),
        pytest.param(
            {"host": "sts.example.org"},
            "unexpected hostname sts.example.org in pre-signed URL",
            id="another host",
        ),
        pytest.param({"path": "/x"}, "unexpected path in pre-signed URL", id="another path"),
        pytest.param(
            {"expires": 901}, "invalid X-Amz-Expires parameter in pre-signed URL", id="lasts too long"
        ),
        pytest.param(
            {"extra": "&Policy=x"}, "non-whitelisted query parameter policy", id="another parameter"
        ),
        pytest.param(
            {"extra": "&version=x"}, "query parameter with multiple values not supported", id="one twice"
        ),
        pytest.param(
            {"age": timedelta(minutes=-6)},
            "STS: SignatureDoesNotMatch: Signature not yet current",
            id="too early",
        ),
        pytest.param(
            {"credentials": Credentials("ASIANOBODYNOBODYNOBO", "secret", "token")},
            "STS: InvalidClientTokenId: The security token included in the request is invalid.",
            id="nobody",
        ),
    ],
)
def test_invalid_token_is_rejected(
    endpoint: Endpoint, review: Review, options: dict[str, Any], reason: str
) -> None:
    assert review(token(endpoint, **options)) == {"refused": reason}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("eyJhbGciOi", "token is missing expected prefix k8s-aws-v1."),
        ("k8s-aws-v1.%%%", "token is not a base64-encoded URL"),
        ("k8s-aws-v1." + "a" * 4096, "token is too large"),
    ],
)
def test_malformed_token_is_rejected(review: Review, text: str, reason: str) -> None:
    assert review(text) == {"refused": reason}
