# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorization, where the endpoint was started with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import (
    ACCOUNT,
    CLUSTER_TRUST,
    OTHER_ACCOUNT,
    REGION,
    ROOT,
    VPC,
    Endpoint,
    create_cluster,
    create_policy,
    create_role,
    refusal,
    running,
)

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
    create_role(iam, "cluster", CLUSTER_TRUST)
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


TAGS = [{"Key": "owner", "Value": "us"}]
NEW_ROLE = f"arn:aws:iam::{ACCOUNT}:role/apps/new"
NEW_POLICY = f"arn:aws:iam::{ACCOUNT}:policy/apps/new"
NEW_ASSOCIATION = CLUSTER.replace(":cluster/", ":podidentityassociation/") + "/*"
BOUNDARY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
EVERYTHING_ELSE = {"NotAction": ["iam:Tag*", "eks:Tag*", "iam:PutRolePermissionsBoundary"], "Resource": "*"}


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


class TestCreationNeedsMore:
    """Whoever creates with tags tags; whoever creates with a boundary sets one."""

    @pytest.mark.parametrize(
        ("create_it", "action", "resource"),
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
    def test_refused_without(self, guarded: Endpoint, create_it: Any, action: str, resource: str) -> None:
        before = guarded.control.state(ACCOUNT)
        code = "AccessDenied" if action.startswith("iam") else "AccessDeniedException"
        clients = allow(guarded, EVERYTHING_ELSE)
        assert refusal(lambda: create_it(*clients)) == (403, code, denied(action, resource))
        assert guarded.control.state(ACCOUNT) == before
        resources = [resource, NEW_ASSOCIATION]
        clients = allow(guarded, EVERYTHING_ELSE, {"Action": action, "Resource": resources})
        assert create_it(*clients)

    def test_association_is_asked_about_too(self, guarded: Endpoint) -> None:
        clients = allow(guarded, EVERYTHING_ELSE, {"Action": "eks:TagResource", "Resource": CLUSTER})
        refused = refusal(lambda: tagged_association(*clients))
        assert refused[2] == denied("eks:TagResource", NEW_ASSOCIATION)

    @pytest.mark.parametrize(("value", "allowed"), [("us", True), ("them", False)])
    def test_condition_on_the_tag(self, guarded: Endpoint, value: str, allowed: bool) -> None:
        condition = {"StringEquals": {"aws:RequestTag/owner": value}}
        clients = allow(
            guarded, EVERYTHING_ELSE, {"Action": "iam:TagRole", "Resource": "*", "Condition": condition}
        )
        if allowed:
            assert tagged_role(*clients)
        else:
            assert refusal(lambda: tagged_role(*clients))[1] == "AccessDenied"

    def test_condition_on_the_boundary(self, guarded: Endpoint) -> None:
        """The advice of docs/iam-permissions.md: a role without the boundary can be neither made nor filled."""
        condition = {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}}
        actions = ["iam:CreateRole", "iam:AttachRolePolicy", "iam:PutRolePermissionsBoundary"]
        _, iam = allow(guarded, {"Action": actions, "Resource": "*", "Condition": condition})
        assert refusal(lambda: create_role(iam, "bare"))[2].startswith(
            f"User: {USER} is not authorized to perform: iam:CreateRole"
        )
        assert (
            refusal(lambda: iam.attach_role_policy(RoleName="app", PolicyArn=BOUNDARY))[1] == "AccessDenied"
        )
        bounded_role(None, iam)
        iam.attach_role_policy(RoleName="new", PolicyArn=BOUNDARY)

    def test_nothing_more_without_tags(self, guarded: Endpoint) -> None:
        eks, iam = allow(guarded, EVERYTHING_ELSE)
        create_role(iam, "new")
        create_policy(iam, "new")
        create(eks)


class TestShippedPolicy:
    """examples/permissions/converge-iam-policy.json, for this account, region and cluster."""

    @pytest.fixture
    def statements(self) -> list[dict[str, Any]]:
        text = (ROOT / "examples/permissions/converge-iam-policy.json").read_text(encoding="utf-8")
        text = (
            text.replace("us-west-2", REGION).replace("my-cluster", "demo").replace("pod-identity/", "apps/")
        )
        found: list[dict[str, Any]] = json.loads(text)["Statement"]
        return found

    CREATIONS = (tagged_role, tagged_policy, bounded_role, tagged_association)

    @pytest.mark.parametrize("create_it", CREATIONS)
    def test_suffices(self, guarded: Endpoint, statements: list[dict[str, Any]], create_it: Any) -> None:
        assert create_it(*allow(guarded, *statements))

    @pytest.mark.parametrize(
        ("create_it", "action", "sid"),
        [
            (tagged_role, "iam:TagRole", "MakeRoles"),
            (tagged_policy, "iam:TagPolicy", "MakePolicies"),
            (bounded_role, "iam:PutRolePermissionsBoundary", "MakeRoles"),
            (tagged_association, "eks:TagResource", "MakeAssociations"),
            (tagged_association, "eks:TagResource", "ChangeAssociations"),
        ],
    )
    def test_needs_each(
        self, guarded: Endpoint, statements: list[dict[str, Any]], create_it: Any, action: str, sid: str
    ) -> None:
        rest = [
            {**one, "Action": [name for name in one["Action"] if name != action]}
            if one["Sid"] == sid
            else one
            for one in statements
        ]
        assert action in refusal(lambda: create_it(*allow(guarded, *rest)))[2]


class TestCluster:
    """CreateCluster looks at its role and its subnets."""

    ROLE = f"arn:aws:iam::{ACCOUNT}:role/cluster"
    NOT_ASSUMED = "Role with arn: {}, could not be assumed because it does not exist or the trusted entity is not correct"

    @pytest.mark.parametrize(
        "arn",
        [
            f"arn:aws:iam::{ACCOUNT}:role/nobody",
            f"arn:aws:iam::{OTHER_ACCOUNT}:role/cluster",
            APP,
            "cluster",
        ],
    )
    def test_role_refused(self, guarded: Endpoint, arn: str) -> None:
        eks = guarded.client("eks")
        expected = (400, "InvalidParameterException", self.NOT_ASSUMED.format(arn))
        assert refusal(lambda: create_cluster(eks, "new", roleArn=arn)) == expected

    def test_role_is_passed(self, guarded: Endpoint) -> None:
        creates = {"Action": "eks:CreateCluster", "Resource": "*"}
        eks, _ = allow(guarded, creates, {**passed_to("pods.eks.amazonaws.com"), "Resource": "*"})
        refused = refusal(lambda: create_cluster(eks, "new"))
        assert refused == (403, "AccessDeniedException", denied("iam:PassRole", self.ROLE))
        eks, _ = allow(guarded, creates, {**passed_to("eks.amazonaws.com"), "Resource": "*"})
        assert create_cluster(eks, "new")["roleArn"] == self.ROLE

    @pytest.mark.parametrize(
        ("subnets", "message"),
        [
            ([], "Subnets specified must be in at least two different AZs"),
            (VPC["subnetIds"][:1] * 2, "Subnets specified must be in at least two different AZs"),
            (
                [*VPC["subnetIds"], "subnet-9"],
                "The subnet ID 'subnet-9' does not exist (Service: AmazonEC2; ",
            ),
        ],
    )
    def test_subnets_refused(self, guarded: Endpoint, subnets: list[str], message: str) -> None:
        eks = guarded.client("eks")
        status, code, text = refusal(
            lambda: create_cluster(eks, "new", resourcesVpcConfig={"subnetIds": subnets})
        )
        assert (status, code) == (400, "InvalidParameterException")
        assert text.startswith(message)


class TestAssumeRole:
    TRUST_USER = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}],
        }
    )
    ASSUME = {"Action": "sts:AssumeRole", "Resource": "*"}

    def assume(self, endpoint: Endpoint, arn: str, **keys: str) -> Any:
        return endpoint.client("sts", **keys).assume_role(RoleArn=arn, RoleSessionName="session")

    def keys(self, endpoint: Endpoint, *statements: dict[str, Any]) -> dict[str, str]:
        allow(endpoint, *statements)
        key = endpoint.client("iam").create_access_key(UserName="deployer")["AccessKey"]
        return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}

    def test_not_by_root(self, guarded: Endpoint) -> None:
        arn = create_role(guarded.client("iam"), "target", self.TRUST_USER)
        refused = refusal(lambda: self.assume(guarded, arn))
        assert refused == (403, "AccessDenied", "Roles may not be assumed by root accounts.")

    def test_by_a_user_who_may(self, guarded: Endpoint) -> None:
        arn = create_role(guarded.client("iam"), "target", self.TRUST_USER, Path="/a/")
        found = self.assume(guarded, arn, **self.keys(guarded, self.ASSUME))
        assert found["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/target/session"

    @pytest.mark.parametrize(
        ("statement", "arn"),
        [
            pytest.param(ASSUME, f"arn:aws:iam::{ACCOUNT}:role/nobody", id="missing"),
            pytest.param(ASSUME, f"arn:aws:iam::{OTHER_ACCOUNT}:role/nobody", id="missing-elsewhere"),
            pytest.param(ASSUME, f"arn:aws:iam::{ACCOUNT}:role/app", id="other-path"),
            pytest.param(ASSUME, APP, id="not-trusted"),
            pytest.param({"Action": "iam:GetRole", "Resource": "*"}, APP, id="not-allowed"),
        ],
    )
    def test_refused(self, guarded: Endpoint, statement: dict[str, Any], arn: str) -> None:
        keys = self.keys(guarded, statement)
        message = f"User: {USER} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        assert refusal(lambda: self.assume(guarded, arn, **keys)) == (403, "AccessDenied", message)
