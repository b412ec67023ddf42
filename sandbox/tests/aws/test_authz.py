# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the authorization of requests, which is active with --auth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import (
    ACCOUNT,
    CLUSTER_TRUST,
    REGION,
    ROOT,
    Endpoint,
    api_error,
    create_cluster,
    create_policy,
    create_role,
    running,
)

USER = f"arn:aws:iam::{ACCOUNT}:user/deployer"
CLUSTER = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/demo"
APP = f"arn:aws:iam::{ACCOUNT}:role/apps/app"


@pytest.fixture(scope="module")
def shared_auth_endpoint() -> Iterator[Endpoint]:
    with running("--auth") as endpoint:
        yield endpoint


@pytest.fixture
def auth_endpoint(shared_auth_endpoint: Endpoint) -> Endpoint:
    """Return an endpoint with --auth that has a cluster, a role, and a user without permissions."""
    shared_auth_endpoint.control.reset()
    iam = shared_auth_endpoint.client("iam")
    create_role(iam, "cluster", CLUSTER_TRUST)
    create_cluster(shared_auth_endpoint.client("eks"), "demo")
    create_role(iam, "app", Path="/apps/")
    iam.create_user(UserName="deployer")
    return shared_auth_endpoint


def allow(endpoint: Endpoint, *statements: dict[str, Any]) -> Any:
    """Set the permissions of the user ``deployer`` to these statements. Return the user's clients of EKS and IAM."""
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
    def test_requires_action_on_cluster(self, auth_endpoint: Endpoint) -> None:
        eks, _ = allow(auth_endpoint, PASS)
        message = denied("eks:CreatePodIdentityAssociation", CLUSTER)
        assert api_error(lambda: create(eks)) == (403, "AccessDeniedException", message)

    @pytest.mark.parametrize(
        "statements",
        [
            pytest.param([CREATE], id="no-pass-role"),
            pytest.param([CREATE, passed_to("ec2.amazonaws.com")], id="passed-to-another-service"),
            pytest.param([CREATE, {**PASS, "Resource": f"arn:aws:iam::{ACCOUNT}:role/app"}], id="wrong-path"),
        ],
    )
    def test_requires_pass_role(self, auth_endpoint: Endpoint, statements: list[dict[str, Any]]) -> None:
        eks, _ = allow(auth_endpoint, *statements)
        expected = (403, "AccessDeniedException", denied("iam:PassRole", APP))
        assert api_error(lambda: create(eks)) == expected
        assert auth_endpoint.control.state(ACCOUNT)["associations"] == {}

    @pytest.mark.parametrize("service", ["pods.eks.amazonaws.com", None])
    def test_is_allowed_with_both_permissions(self, auth_endpoint: Endpoint, service: str | None) -> None:
        eks, _ = allow(auth_endpoint, CREATE, passed_to(service) if service else PASS)
        assert create(eks)["roleArn"] == APP

    def test_message_names_explicit_deny(self, auth_endpoint: Endpoint) -> None:
        eks, _ = allow(auth_endpoint, CREATE, PASS, {**PASS, "Effect": "Deny"})
        assert api_error(lambda: create(eks))[2] == (
            f"User: {USER} is not authorized to perform: iam:PassRole on resource: {APP} with an explicit "
            "deny in an identity-based policy"
        )


class TestAssociationArn:
    @pytest.fixture
    def association(self, auth_endpoint: Endpoint) -> Any:
        return create(auth_endpoint.client("eks"))

    @pytest.mark.parametrize("name", ["Describe", "Delete"])
    def test_is_the_resource(self, auth_endpoint: Endpoint, association: Any, name: str) -> None:
        arn = association["associationArn"]
        action = f"eks:{name}PodIdentityAssociation"
        eks, _ = allow(auth_endpoint, {"Action": action, "Resource": CLUSTER})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        operation = getattr(eks, f"{name.lower()}_pod_identity_association")
        assert api_error(lambda: operation(**key)) == (403, "AccessDeniedException", denied(action, arn))
        eks, _ = allow(auth_endpoint, {"Action": action, "Resource": arn.replace("/demo/", "/*/")})
        operation = getattr(eks, f"{name.lower()}_pod_identity_association")
        assert operation(**key)["association"]["associationArn"] == arn

    def test_update_requires_pass_role_only_with_role(
        self, auth_endpoint: Endpoint, association: Any
    ) -> None:
        action = "eks:UpdatePodIdentityAssociation"
        eks, _ = allow(auth_endpoint, {"Action": action, "Resource": association["associationArn"]})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        assert eks.update_pod_identity_association(**key, disableSessionTags=True)
        error = api_error(lambda: eks.update_pod_identity_association(**key, roleArn=APP))
        assert error[2] == denied("iam:PassRole", APP)

    def test_is_resource_of_tag_resource(self, auth_endpoint: Endpoint, association: Any) -> None:
        arn = association["associationArn"]
        eks, _ = allow(auth_endpoint, {"Action": "eks:TagResource", "Resource": CLUSTER})
        error = api_error(lambda: eks.tag_resource(resourceArn=arn, tags={"a": "b"}))
        assert error == (403, "AccessDeniedException", denied("eks:TagResource", arn))
        eks, _ = allow(auth_endpoint, {"Action": "eks:TagResource", "Resource": arn})
        assert eks.tag_resource(resourceArn=arn, tags={"a": "b"})


class TestNodegroupArn:
    def test_is_the_resource(self, auth_endpoint: Endpoint) -> None:
        group = {"clusterName": "demo", "nodegroupName": "a"}
        eks = auth_endpoint.client("eks")
        arn = eks.create_nodegroup(**group, nodeRole=APP, subnets=["subnet-12345678"])["nodegroup"][
            "nodegroupArn"
        ]
        user, _iam = allow(auth_endpoint, {"Action": "eks:DescribeNodegroup", "Resource": CLUSTER})
        _status, _code, message = api_error(lambda: user.describe_nodegroup(**group))
        assert message == denied("eks:DescribeNodegroup", arn)
        pattern = f"arn:aws:eks:{REGION}:{ACCOUNT}:nodegroup/demo/*/*"
        user, _iam = allow(auth_endpoint, {"Action": "eks:DescribeNodegroup", "Resource": pattern})
        assert user.describe_nodegroup(**group)["nodegroup"]["nodeRole"] == APP
        _status, code, _message = api_error(lambda: user.describe_nodegroup(**group | {"nodegroupName": "b"}))
        assert code == "ResourceNotFoundException"


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
        self, auth_endpoint: Endpoint, call: Any, action: str, resource: str
    ) -> None:
        _, iam = allow(auth_endpoint, {"Action": "iam:ListUsers", "Resource": "*"})
        assert api_error(lambda: call(iam)) == (403, "AccessDenied", denied(action, resource))

    def test_path_is_part_of_resource(self, auth_endpoint: Endpoint) -> None:
        _, iam = allow(
            auth_endpoint, {"Action": "iam:GetRole", "Resource": f"arn:aws:iam::{ACCOUNT}:role/apps/*"}
        )
        assert iam.get_role(RoleName="app")["Role"]["Arn"] == APP
        assert api_error(lambda: iam.get_role(RoleName="cluster"))[1] == "AccessDenied"


class TestSignatures:
    def test_wrong_secret_is_rejected(self, auth_endpoint: Endpoint) -> None:
        key = auth_endpoint.client("iam").create_access_key(UserName="deployer")["AccessKey"]["AccessKeyId"]
        client = auth_endpoint.client("iam", key=key, secret="not-the-secret-of-this-user-at-all")
        assert api_error(client.list_roles)[:2] == (403, "SignatureDoesNotMatch")

    def test_unknown_key_is_rejected(self, auth_endpoint: Endpoint) -> None:
        error = api_error(auth_endpoint.client("iam", key="AKIAUNKNOWNUNKNOWN01").list_roles)
        assert error[:2] == (403, "InvalidClientTokenId")

    def test_root_user_is_allowed_with_any_secret(self, auth_endpoint: Endpoint) -> None:
        assert (
            create(auth_endpoint.client("eks", secret="any-secret-will-do-for-an-account"))["roleArn"] == APP
        )


class TestResourceTags:
    """Tests of policies with conditions on aws:ResourceTag."""

    def test_tag_condition_applies_to_association(self, auth_endpoint: Endpoint) -> None:
        root = auth_endpoint.client("eks")
        association = create(root)
        condition = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
        action = "eks:DeletePodIdentityAssociation"
        eks, _ = allow(auth_endpoint, {"Action": action, "Resource": "*", "Condition": condition})
        key = {"clusterName": "demo", "associationId": association["associationId"]}
        error = api_error(lambda: eks.delete_pod_identity_association(**key))
        assert error[2] == denied(action, association["associationArn"])
        root.tag_resource(resourceArn=association["associationArn"], tags={"owner": "us"})
        assert eks.delete_pod_identity_association(**key)

    def test_tag_condition_applies_to_role(self, auth_endpoint: Endpoint) -> None:
        root = auth_endpoint.client("iam")
        condition = {"StringEquals": {"aws:ResourceTag/owner": "us"}}
        _, iam = allow(auth_endpoint, {"Action": "iam:DeleteRole", "Resource": "*", "Condition": condition})
        assert api_error(lambda: iam.delete_role(RoleName="app"))[2] == denied("iam:DeleteRole", "role app")
        root.tag_role(RoleName="app", Tags=[{"Key": "owner", "Value": "us"}])
        iam.delete_role(RoleName="app")


TAGS = [{"Key": "owner", "Value": "us"}]
NEW_ROLE = f"arn:aws:iam::{ACCOUNT}:role/apps/new"
NEW_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/apps/new"
NEW_ASSOCIATION = CLUSTER.replace(":cluster/", ":podidentityassociation/") + "/*"
BOUNDARY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
ALL_OTHER_ACTIONS = {"NotAction": ["iam:Tag*", "eks:Tag*", "iam:PutRolePermissionsBoundary"], "Resource": "*"}


def tagged_role(_eks: Any, iam: Any) -> Any:
    return create_role(iam, "new", Path="/apps/", Tags=TAGS)


def tagged_policy(_eks: Any, iam: Any) -> Any:
    return create_policy(iam, "new", Path="/apps/", Tags=TAGS)


def bounded_role(_eks: Any, iam: Any) -> Any:
    return create_role(iam, "new", Path="/apps/", PermissionsBoundary=BOUNDARY)


def tagged_association(eks: Any, _iam: Any) -> Any:
    return eks.create_pod_identity_association(
        clusterName="demo", namespace="default", serviceAccount="app", roleArn=APP, tags={"owner": "us"}
    )


def tagged_addon(eks: Any, _iam: Any) -> Any:
    return eks.create_addon(clusterName="demo", addonName="coredns", tags={"owner": "us"})


def tagged_cluster(eks: Any, _iam: Any) -> Any:
    return create_cluster(eks, "new", tags={"owner": "us"})


class TestCreationPermissions:
    """Tests of the additional permissions that a create request needs for tags and for a permissions boundary."""

    @pytest.mark.parametrize(
        ("create_resource", "action", "resource"),
        [
            (tagged_role, "iam:TagRole", NEW_ROLE),
            (tagged_policy, "iam:TagPolicy", NEW_POLICY),
            (bounded_role, "iam:PutRolePermissionsBoundary", NEW_ROLE),
            (tagged_association, "eks:TagResource", CLUSTER),
            (tagged_addon, "eks:TagResource", f"{CLUSTER.replace(':cluster/', ':addon/')}/coredns/*"),
            (tagged_cluster, "eks:TagResource", CLUSTER.replace("/demo", "/new")),
        ],
        ids=lambda value: getattr(value, "__name__", ""),
    )
    def test_missing_permission_denies_creation(
        self, auth_endpoint: Endpoint, create_resource: Any, action: str, resource: str
    ) -> None:
        initial_state = auth_endpoint.control.state(ACCOUNT)
        code = "AccessDenied" if action.startswith("iam") else "AccessDeniedException"
        clients = allow(auth_endpoint, ALL_OTHER_ACTIONS)
        assert api_error(lambda: create_resource(*clients)) == (403, code, denied(action, resource))
        assert auth_endpoint.control.state(ACCOUNT) == initial_state
        resources = [resource, NEW_ASSOCIATION]
        clients = allow(auth_endpoint, ALL_OTHER_ACTIONS, {"Action": action, "Resource": resources})
        assert create_resource(*clients)

    def test_association_requires_tag_permission(self, auth_endpoint: Endpoint) -> None:
        clients = allow(auth_endpoint, ALL_OTHER_ACTIONS, {"Action": "eks:TagResource", "Resource": CLUSTER})
        error = api_error(lambda: tagged_association(*clients))
        assert error[2] == denied("eks:TagResource", NEW_ASSOCIATION)

    @pytest.mark.parametrize(("value", "allowed"), [("us", True), ("them", False)])
    def test_condition_on_request_tag(self, auth_endpoint: Endpoint, value: str, allowed: bool) -> None:
        condition = {"StringEquals": {"aws:RequestTag/owner": value}}
        clients = allow(
            auth_endpoint,
            ALL_OTHER_ACTIONS,
            {"Action": "iam:TagRole", "Resource": "*", "Condition": condition},
        )
        if allowed:
            assert tagged_role(*clients)
        else:
            assert api_error(lambda: tagged_role(*clients))[1] == "AccessDenied"

    def test_condition_on_boundary(self, auth_endpoint: Endpoint) -> None:
        """Allow IAM actions only with a permissions boundary, as the policy in docs/iam-permissions.md does."""
        condition = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
        actions = ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"]
        _, iam = allow(auth_endpoint, {"Action": actions, "Resource": "*", "Condition": condition})
        assert api_error(lambda: create_role(iam, "bare"))[2].startswith(
            f"User: {USER} is not authorized to perform: iam:CreateRole"
        )
        assert (
            api_error(lambda: iam.attach_role_policy(RoleName="app", PolicyArn=BOUNDARY))[1] == "AccessDenied"
        )
        bounded_role(None, iam)
        iam.attach_role_policy(RoleName="new", PolicyArn=BOUNDARY)

    def test_creation_without_tags_needs_no_tag_permission(self, auth_endpoint: Endpoint) -> None:
        eks, iam = allow(auth_endpoint, ALL_OTHER_ACTIONS)
        create_role(iam, "new")
        create_policy(iam, "new")
        create(eks)


class TestShippedPolicy:
    """Tests of examples/permissions/converge-iam-policy.json, with the account, region and cluster of these tests."""

    @pytest.fixture
    def statements(self) -> list[dict[str, Any]]:
        text = (ROOT / "examples/permissions/converge-iam-policy.json").read_text(encoding="utf-8")
        text = (
            text.replace("us-west-2", REGION).replace("my-cluster", "demo").replace("pod-identity/", "apps/")
        )
        statements: list[dict[str, Any]] = json.loads(text)["Statement"]
        return statements

    CREATIONS = (tagged_role, tagged_policy, bounded_role, tagged_association)

    @pytest.mark.parametrize("create_resource", CREATIONS)
    def test_shipped_policy_is_sufficient(
        self, auth_endpoint: Endpoint, statements: list[dict[str, Any]], create_resource: Any
    ) -> None:
        assert create_resource(*allow(auth_endpoint, *statements))

    @pytest.mark.parametrize(
        ("create_resource", "action", "sid"),
        [
            (tagged_role, "iam:TagRole", "MakeRoles"),
            (tagged_policy, "iam:TagPolicy", "MakePolicies"),
            (bounded_role, "iam:PutRolePermissionsBoundary", "MakeRoles"),
            (tagged_association, "eks:TagResource", "MakeAssociations"),
            (tagged_association, "eks:TagResource", "ChangeAssociations"),
        ],
    )
    def test_every_action_is_necessary(
        self,
        auth_endpoint: Endpoint,
        statements: list[dict[str, Any]],
        create_resource: Any,
        action: str,
        sid: str,
    ) -> None:
        rest = [
            {**statement, "Action": [name for name in statement["Action"] if name != action]}
            if statement["Sid"] == sid
            else statement
            for statement in statements
        ]
        assert action in api_error(lambda: create_resource(*allow(auth_endpoint, *rest)))[2]
