# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorization, where the endpoint was started with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import ACCOUNT, REGION, Endpoint, create_cluster, create_policy, create_role, refusal, running

USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
APP = f"arn:aws:iam::{ACCOUNT}:role/apps/app"


@pytest.fixture(scope="module")
def guarded_endpoint() -> Iterator[Endpoint]:
    with running("--auth") as endpoint:
        yield endpoint


@pytest.fixture
def guarded(guarded_endpoint: Endpoint) -> Endpoint:
    """An endpoint with a cluster, a role and a user who may do nothing."""
    guarded_endpoint.control.reset()
    iam = guarded_endpoint.client("iam")
    create_role(iam, "cluster")
    create_cluster(guarded_endpoint.client("eks"), "demo")
    create_role(iam, "app", Path="/apps/")
    iam.create_user(UserName="deployer")
    return guarded_endpoint


def allow(endpoint: Endpoint, *statements: dict[str, Any]) -> Any:
    """Give the user these statements; returns an EKS and an IAM client of the user's."""
    iam = endpoint.client("iam")
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **s} for s in statements]}
    iam.put_user_policy(UserName="deployer", PolicyName="inline", PolicyDocument=json.dumps(document))
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    keys = {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    return endpoint.client("eks", **keys), endpoint.client("iam", **keys)


def create(eks: Any, role_arn: str = APP) -> Any:
    return eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=role_arn
    )["association"]


def denied(action: str, resource: str) -> str:
    return (
        f"User: {USER} is not authorized to perform: {action} on resource: {resource} because no "
        f"identity-based policy allows the {action} action"
    )


CREATE = {"Action": "eks:CreatePodIdentityAssociation", "Resource": CLUSTER}
PASS = {"Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/apps/*"}


def passed_to(service: str) -> dict[str, Any]:
    return {**PASS, "Condition": {"StringEquals": {"iam:PassedToService": service}}}


class TestCreate:
    def test_needs_the_action_on_the_cluster(self, guarded: Endpoint) -> None:
        eks, _ = allow(guarded, PASS)
        message = denied("eks:CreatePodIdentityAssociation", CLUSTER)
        assert refusal(lambda: create(eks)) == (403, "AccessDeniedException", message)

    @pytest.mark.parametrize(
        "statements",
        [
            pytest.param([CREATE], id="no-pass-role"),
            pytest.param([CREATE, passed_to("ec2.amazonaws.com")], id="passed-to-another-service"),
            pytest.param([CREATE, {**PASS, "Resource": f"arn:aws:iam::{ACCOUNT}:role/app"}], id="wrong-path"),
        ],
    )
    def test_needs_pass_role(self, guarded: Endpoint, statements: list[dict[str, Any]]) -> None:
        eks, _ = allow(guarded, *statements)
        expected = (403, "AccessDeniedException", denied("iam:PassRole", APP))
        assert refusal(lambda: create(eks)) == expected
        assert guarded.control.state(ACCOUNT)["associations"] == {}

    @pytest.mark.parametrize("service", ["pods.eks.amazonaws.com", None])
    def test_is_allowed_with_both(self, guarded: Endpoint, service: str | None) -> None:
        eks, _ = allow(guarded, CREATE, passed_to(service) if service else PASS)
        assert create(eks)["roleArn"] == APP

    def test_explicit_deny_is_said(self, guarded: Endpoint) -> None:
        eks, _ = allow(guarded, CREATE, PASS, {**PASS, "Effect": "Deny"})
        assert refusal(lambda: create(eks))[2] == (
            f"User: {USER} is not authorized to perform: iam:PassRole on resource: {APP} with an explicit "
            "deny in an identity-based policy"
        )


class TestAssociationArn:
    @pytest.fixture
    def association(self, guarded: Endpoint) -> Any:
        return create(guarded.client("eks"))

    @pytest.mark.parametrize("name", ["Describe", "Delete"])
    def test_is_the_resource(self, guarded: Endpoint, association: Any, name: str) -> None:
        arn = association["associationArn"]
        action = f"eks:{name}PodIdentityAssociation"
        eks, _ = allow(guarded, {"Action": action, "Resource": CLUSTER})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        ask = getattr(eks, f"{name.lower()}_pod_identity_association")
        assert refusal(lambda: ask(**key)) == (403, "AccessDeniedException", denied(action, arn))
        eks, _ = allow(guarded, {"Action": action, "Resource": arn.replace("/demo/", "/*/")})
        ask = getattr(eks, f"{name.lower()}_pod_identity_association")
        assert ask(**key)["association"]["associationArn"] == arn

    def test_update_passes_a_role_only_where_it_is_given(self, guarded: Endpoint, association: Any) -> None:
        action = "eks:UpdatePodIdentityAssociation"
        eks, _ = allow(guarded, {"Action": action, "Resource": association["associationArn"]})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        assert eks.update_pod_identity_association(**key, disableSessionTags=True)
        refused = refusal(lambda: eks.update_pod_identity_association(**key, roleArn=APP))
        assert refused[2] == denied("iam:PassRole", APP)

    def test_is_the_resource_of_tagging(self, guarded: Endpoint, association: Any) -> None:
        arn = association["associationArn"]
        eks, _ = allow(guarded, {"Action": "eks:TagResource", "Resource": CLUSTER})
        refused = refusal(lambda: eks.tag_resource(resourceArn=arn, tags={"a": "b"}))
        assert refused == (403, "AccessDeniedException", denied("eks:TagResource", arn))
        eks, _ = allow(guarded, {"Action": "eks:TagResource", "Resource": arn})
        assert eks.tag_resource(resourceArn=arn, tags={"a": "b"})


class TestIam:
    @pytest.mark.parametrize(
        ("call", "action", "resource"),
        [
            pytest.param(lambda iam: iam.get_role(RoleName="app"), "iam:GetRole", "role app", id="role"),
            pytest.param(
                lambda iam: create_role(iam, "new", Path="/apps/"),
                "iam:CreateRole",
                f"arn:aws:iam::{ACCOUNT}:role/apps/new",
                id="new-role",
            ),
            pytest.param(
                lambda iam: create_policy(iam, "p"), "iam:CreatePolicy", "policy p", id="new-policy"
            ),
            pytest.param(
                lambda iam: iam.get_policy(PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/p"),
                "iam:GetPolicy",
                f"policy arn:aws:iam::{ACCOUNT}:policy/p",
                id="policy",
            ),
            pytest.param(
                lambda iam: iam.get_account_authorization_details(),
                "iam:GetAccountAuthorizationDetails",
                "*",
                id="account",
            ),
        ],
    )
    def test_denial_names_the_resource(
        self, guarded: Endpoint, call: Any, action: str, resource: str
    ) -> None:
        _, iam = allow(guarded, {"Action": "iam:ListUsers", "Resource": "*"})
        assert refusal(lambda: call(iam)) == (403, "AccessDenied", denied(action, resource))

    def test_the_path_is_part_of_the_resource(self, guarded: Endpoint) -> None:
        _, iam = allow(guarded, {"Action": "iam:GetRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/apps/*"})
        assert iam.get_role(RoleName="app")["Role"]["Arn"] == APP
        assert refusal(lambda: iam.get_role(RoleName="cluster"))[1] == "AccessDenied"


class TestSignatures:
    def test_wrong_secret_is_refused(self, guarded: Endpoint) -> None:
        key = guarded.client("iam").create_access_key(UserName="deployer")["AccessKey"]["AccessKeyId"]
        client = guarded.client("iam", key=key, secret="not-the-secret-of-this-user-at-all")
        assert refusal(client.list_roles)[:2] == (403, "SignatureDoesNotMatch")

    def test_unknown_key_is_refused(self, guarded: Endpoint) -> None:
        refused = refusal(guarded.client("iam", key="AKIAUNKNOWNUNKNOWN01").list_roles)
        assert refused[:2] == (403, "InvalidClientTokenId")

    def test_root_may_do_everything_and_its_secret_is_not_checked(self, guarded: Endpoint) -> None:
        assert create(guarded.client("eks", secret="any-secret-will-do-for-an-account"))["roleArn"] == APP


def test_ready_says_whether_it_enforces(guarded: Endpoint, open_endpoint: Endpoint) -> None:
    assert (guarded.control.enforces(), open_endpoint.control.enforces()) == (True, False)


class TestResourceTags:
    """aws:ResourceTag, by which a deployer is held to what it made itself."""

    def test_of_an_association(self, guarded: Endpoint) -> None:
        root = guarded.client("eks")
        association = create(root)
        condition = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
        action = "eks:DeletePodIdentityAssociation"
        eks, _ = allow(guarded, {"Action": action, "Resource": "*", "Condition": condition})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        refused = refusal(lambda: eks.delete_pod_identity_association(**key))
        assert refused[2] == denied(action, association["associationArn"])
        root.tag_resource(resourceArn=association["associationArn"], tags={"owner": "us"})
        assert eks.delete_pod_identity_association(**key)

    def test_of_a_role(self, guarded: Endpoint) -> None:
        root = guarded.client("iam")
        condition = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
        _, iam = allow(guarded, {"Action": "iam:DeleteRole", "Resource": "*", "Condition": condition})
        assert refusal(lambda: iam.delete_role(RoleName="app"))[2] == denied("iam:DeleteRole", "role app")
        root.tag_role(RoleName="app", Tags=[{"Key": "owner", "Value": "us"}])
        iam.delete_role(RoleName="app")
