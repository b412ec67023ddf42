# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose token of EKS it is: what is refused, as a cluster's authenticator refuses it, and who the others are."""

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
Ask = Callable[..., dict[str, Any]]


class Signer(SigV4QueryAuth):
    """Signs as of a moment."""

    def __init__(self, credentials: Credentials, expires: int, moment: datetime) -> None:
        super().__init__(credentials, "sts", REGION, expires=expires)
        self._moment = moment

    def add_auth(self, request: Any) -> None:
        request.context["timestamp"] = self._moment.strftime("%Y%m%dT%H%M%SZ")
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
def ask(endpoint: Endpoint) -> Ask:
    """Whose a token is, at the cluster ``blue`` that the root made."""
    eks = endpoint.client("eks")
    eks.create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
    )
    where = {
        "account": ACCOUNT,
        "region": REGION,
        "cluster": CLUSTER,
        "sts_host": urlsplit(endpoint.url).netloc,
    }

    def review(text: str) -> dict[str, Any]:
        body = json.dumps({"token": text}).encode()
        with urlopen(Request(f"{endpoint.url}/_sandbox/token-review?{urlencode(where)}", body)) as answer:
            row: dict[str, Any] = json.load(answer)
        return row

    return review


def session(endpoint: Endpoint, name: str = "job-7") -> Credentials:
    """Of the role ``deployer``, whose ARN has a path."""
    endpoint.client("iam").create_role(Path="/ci/", RoleName="deployer", AssumeRolePolicyDocument=TRUST)
    issued = endpoint.client("sts").assume_role(RoleArn=ROLE_ARN, RoleSessionName=name)["Credentials"]
    return Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])


def test_who_made_the_cluster_is_its_administrator(endpoint: Endpoint, ask: Ask) -> None:
    assert ask(token(endpoint)) == {"name": ROOT_ARN, "groups": ["system:masters"]}


def test_a_session_is_known_by_the_entry_of_its_role(endpoint: Endpoint, ask: Ask) -> None:
    credentials = session(endpoint)
    assert ask(token(endpoint, credentials=credentials)) == {
        "refused": f"{ROLE_ARN} has no access entry in cluster {CLUSTER}"
    }
    eks = endpoint.client("eks")
    eks.create_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN, kubernetesGroups=["operators"])
    assert ask(token(endpoint, credentials=credentials)) == {
        "name": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/job-7",
        "groups": ["operators"],
    }
    entry = eks.describe_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN)["accessEntry"]
    assert entry["kubernetesGroups"] == ["operators"]
    eks.associate_access_policy(
        clusterName=CLUSTER, principalArn=ROLE_ARN, policyArn=ADMIN_POLICY, accessScope={"type": "cluster"}
    )
    assert ask(token(endpoint, credentials=credentials))["groups"] == ["operators", "system:masters"]
    eks.delete_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN)
    assert "has no access entry" in ask(token(endpoint, credentials=credentials))["refused"]


def test_an_entry_may_name_its_user(endpoint: Endpoint, ask: Ask) -> None:
    credentials = session(endpoint)
    endpoint.client("eks").create_access_entry(
        clusterName=CLUSTER, principalArn=ROLE_ARN, username="ci:{{SessionName}}"
    )
    assert ask(token(endpoint, credentials=credentials)) == {"name": "ci:job-7", "groups": []}


def test_without_the_creators_permissions_nobody_is_known(endpoint: Endpoint, ask: Ask) -> None:
    eks = endpoint.client("eks")
    eks.delete_cluster(name=CLUSTER)
    eks.create_cluster(
        name=CLUSTER,
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/cluster",
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
        accessConfig={"bootstrapClusterCreatorAdminPermissions": False},
    )
    assert ask(token(endpoint)) == {"refused": f"{ROOT_ARN} has no access entry in cluster {CLUSTER}"}


MISMATCH = "STS: SignatureDoesNotMatch: signed with another key, or for another cluster"


@pytest.mark.parametrize(
    ("how", "reason"),
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
            "STS: UnrecognizedClientException: The security token included in the request is invalid.",
            id="nobody",
        ),
    ],
)
def test_a_token_that_is_refused(endpoint: Endpoint, ask: Ask, how: dict[str, Any], reason: str) -> None:
    assert ask(token(endpoint, **how)) == {"refused": reason}


@pytest.mark.parametrize(("minutes", "good"), [(14, True), (16, False)])
def test_a_token_is_good_for_15_minutes_whatever_it_says(
    endpoint: Endpoint, ask: Ask, minutes: int, good: bool
) -> None:
    answer = ask(token(endpoint, age=timedelta(minutes=minutes), expires=60))
    assert ("name" in answer) is good
    if not good:
        assert answer["refused"].startswith("X-Amz-Date parameter is expired (15 minute expiration)")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("eyJhbGciOi", "token is missing expected prefix k8s-aws-v1."),
        ("k8s-aws-v1.%%%", "token is no URL in base64"),
        ("k8s-aws-v1." + "a" * 4096, "token is too large"),
    ],
)
def test_what_is_no_token(ask: Ask, text: str, reason: str) -> None:
    assert ask(text) == {"refused": reason}


def test_a_session_needs_its_own_session_token(endpoint: Endpoint, ask: Ask) -> None:
    credentials = session(endpoint)
    endpoint.client("eks").create_access_entry(clusterName=CLUSTER, principalArn=ROLE_ARN)
    bare = Credentials(credentials.access_key, credentials.secret_key)
    assert ask(token(endpoint, credentials=bare))["refused"].startswith("STS: ")


def test_what_was_asked_about_is_known_until_a_reset(endpoint: Endpoint, ask: Ask) -> None:
    good, bad = token(endpoint), "k8s-aws-v1.bad"
    for text in (good, bad, good):
        ask(text)
    assert endpoint.control.tokens() == [good, bad]
    endpoint.control.reset()
    assert endpoint.control.tokens() == []
