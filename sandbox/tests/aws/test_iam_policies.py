# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the IAM operations for managed policies, their versions and attachments, and for inline policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import ACCOUNT, READ_BUCKET, api_error, create_policy, create_role

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
WORKER_NODE = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
ARN = f"arn:aws:iam::{ACCOUNT}:policy/p"


def document(action: str) -> str:
    return READ_BUCKET.replace("s3:GetObject", action)


def new_version(iam: Any, arn: str, action: str, *, default: bool = False) -> str:
    version = iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(action), SetAsDefault=default)[
        "PolicyVersion"
    ]
    return str(version["VersionId"])


def versions(iam: Any, arn: str) -> dict[str, bool]:
    items = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    return {version["VersionId"]: version["IsDefaultVersion"] for version in items}


class TestPolicies:
    def test_created_members_are_returned(self, iam: Any) -> None:
        tags = [{"Key": "team", "Value": "a"}]
        created = iam.create_policy(
            PolicyName="p", Path="/team/", PolicyDocument=READ_BUCKET, Description="what & why", Tags=tags
        )["Policy"]
        assert created["Arn"] == f"arn:aws:iam::{ACCOUNT}:policy/team/p"
        assert created["Tags"] == tags
        assert "Description" not in created
        policy = iam.get_policy(PolicyArn=created["Arn"])["Policy"]
        assert (policy["Description"], policy["Tags"]) == ("what & why", tags)
        assert (policy["DefaultVersionId"], policy["AttachmentCount"]) == ("v1", 0)
        version = iam.get_policy_version(PolicyArn=created["Arn"], VersionId="v1")["PolicyVersion"]
        assert version["Document"] == json.loads(READ_BUCKET)
        assert version["IsDefaultVersion"] is True

    @pytest.mark.parametrize("name", ["p", "P"])
    def test_names_are_case_insensitive_and_independent_of_path(self, iam: Any, name: str) -> None:
        create_policy(iam, "p")
        message = f"A policy called {name} already exists. Duplicate names are not allowed."
        error = api_error(lambda: create_policy(iam, name, Path="/elsewhere/"))
        assert error == (409, "EntityAlreadyExists", message)

    def test_unknown_policy_is_not_found(self, iam: Any) -> None:
        expected = (404, "NoSuchEntity", f"Policy {ARN} was not found.")
        assert api_error(lambda: iam.get_policy(PolicyArn=ARN)) == expected
        assert api_error(lambda: iam.delete_policy(PolicyArn=ARN)) == expected
        assert api_error(lambda: new_version(iam, ARN, "s3:*")) == expected

    def test_tag_and_untag_change_tags_of_policy(self, iam: Any) -> None:
        arn = create_policy(iam, "p", Tags=[{"Key": "a", "Value": "1"}])
        iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "b", "Value": "2"}])
        iam.untag_policy(PolicyArn=arn, TagKeys=["a"])
        assert iam.get_policy(PolicyArn=arn)["Policy"]["Tags"] == [{"Key": "b", "Value": "2"}]

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            pytest.param({"Scope": "Local"}, ["attached", "bounding", "p"], id="local"),
            pytest.param({"Scope": "Local", "PathPrefix": "/team/"}, ["p"], id="path"),
            pytest.param({"OnlyAttached": True}, ["attached"], id="attached"),
            pytest.param({"PolicyUsageFilter": "PermissionsBoundary"}, ["bounding"], id="boundary"),
        ],
    )
    def test_list_filters_by_scope_path_and_use(
        self, iam: Any, filters: dict[str, Any], expected: list[str]
    ) -> None:
        create_policy(iam, "p", Path="/team/")
        attached = create_policy(iam, "attached")
        create_role(iam, "app", PermissionsBoundary=create_policy(iam, "bounding"))
        iam.attach_role_policy(RoleName="app", PolicyArn=attached)
        names = [policy["PolicyName"] for policy in iam.list_policies(**filters)["Policies"]]
        assert sorted(names) == expected


class TestDeletePolicy:
    def test_attached_policy_is_not_deleted(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        create_role(iam, "app")
        iam.attach_role_policy(RoleName="app", PolicyArn=arn)
        message = "Cannot delete a policy attached to entities."
        assert api_error(lambda: iam.delete_policy(PolicyArn=arn)) == (409, "DeleteConflict", message)
        iam.detach_role_policy(RoleName="app", PolicyArn=arn)
        iam.delete_policy(PolicyArn=arn)
        create_policy(iam, "p")

    def test_boundary_policy_is_not_deleted(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        create_role(iam, "app", PermissionsBoundary=arn)
        assert api_error(lambda: iam.delete_policy(PolicyArn=arn))[1] == "DeleteConflict"
        iam.delete_role(RoleName="app")
        iam.delete_policy(PolicyArn=arn)

    def test_policy_with_several_versions_is_not_deleted(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        new_version(iam, arn, "s3:*")
        assert api_error(lambda: iam.delete_policy(PolicyArn=arn)) == (
            409,
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the "
            "policy's versions. The default version is deleted with the policy.",
        )


class TestVersions:
    def test_new_version_is_default_only_on_request(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        assert new_version(iam, arn, "s3:Put*") == "v2"
        assert versions(iam, arn) == {"v2": False, "v1": True}
        assert new_version(iam, arn, "s3:List*", default=True) == "v3"
        assert versions(iam, arn) == {"v3": True, "v2": False, "v1": False}
        assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"

    def test_earlier_version_can_become_default(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        new_version(iam, arn, "s3:*", default=True)
        iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
        assert versions(iam, arn) == {"v2": False, "v1": True}
        assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v1"

    def test_version_numbers_are_not_reused(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        new_version(iam, arn, "s3:Put*")
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        assert new_version(iam, arn, "s3:List*") == "v3"
        assert versions(iam, arn) == {"v3": False, "v1": True}

    def test_sixth_version_is_rejected(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        for _ in range(4):
            new_version(iam, arn, "s3:*")
        assert api_error(lambda: new_version(iam, arn, "s3:*")) == (
            409,
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
            "existing version.",
        )
        iam.delete_policy_version(PolicyArn=arn, VersionId="v2")
        assert new_version(iam, arn, "s3:*") == "v6"

    def test_default_cannot_be_deleted(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        error = api_error(lambda: iam.delete_policy_version(PolicyArn=arn, VersionId="v1"))
        assert error == (409, "DeleteConflict", "Cannot delete the default version of a policy.")

    @pytest.mark.parametrize("operation", ["get_policy_version", "set_default_policy_version"])
    def test_unknown_version_is_not_found(self, iam: Any, operation: str) -> None:
        arn = create_policy(iam, "p")
        error = api_error(lambda: getattr(iam, operation)(PolicyArn=arn, VersionId="v9"))
        message = f"Policy {arn} version v9 does not exist or is not attachable."
        assert error == (404, "NoSuchEntity", message)


class TestAwsManagedPolicies:
    def test_can_be_read_and_attached(self, iam: Any) -> None:
        policy = iam.get_policy(PolicyArn=WORKER_NODE)["Policy"]
        version = iam.get_policy_version(PolicyArn=WORKER_NODE, VersionId=policy["DefaultVersionId"])
        actions = version["PolicyVersion"]["Document"]["Statement"][0]["Action"]
        assert "eks-auth:AssumeRoleForPodIdentity" in actions
        create_role(iam, "app")
        iam.attach_role_policy(RoleName="app", PolicyArn=WORKER_NODE)
        assert iam.get_policy(PolicyArn=WORKER_NODE)["Policy"]["AttachmentCount"] == 1

    @pytest.mark.parametrize(
        "name",
        [
            "AdministratorAccess",
            "AmazonDynamoDBReadOnlyAccess",
            "AmazonEC2ContainerRegistryReadOnly",
            "AmazonEKSClusterPolicy",
            "AmazonS3FullAccess",
            "SecretsManagerReadWrite",
            "service-role/AmazonEBSCSIDriverPolicy",
        ],
    )
    def test_aws_managed_policy_exists(self, iam: Any, name: str) -> None:
        policy = iam.get_policy(PolicyArn=f"arn:aws:iam::aws:policy/{name}")["Policy"]
        assert policy["PolicyName"] == name.rpartition("/")[2]

    def test_unknown_aws_managed_policy_is_not_found(self, iam: Any) -> None:
        arn = "arn:aws:iam::aws:policy/AdminstratorAccess"
        assert api_error(lambda: iam.get_policy(PolicyArn=arn))[:2] == (404, "NoSuchEntity")

    @pytest.mark.parametrize(
        ("operation", "parameters"),
        [
            ("delete_policy", {}),
            ("create_policy_version", {"PolicyDocument": READ_BUCKET}),
            ("set_default_policy_version", {"VersionId": "v1"}),
            ("delete_policy_version", {"VersionId": "v1"}),
            ("tag_policy", {"Tags": [{"Key": "k", "Value": "v"}]}),
        ],
    )
    def test_changes_are_denied(self, iam: Any, operation: str, parameters: dict[str, Any]) -> None:
        error = api_error(lambda: getattr(iam, operation)(PolicyArn=READ_ONLY, **parameters))
        action = "".join(word.capitalize() for word in operation.split("_"))
        assert error == (
            403,
            "AccessDenied",
            f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: iam:{action} on resource: "
            f"policy {READ_ONLY}",
        )


class TestAttachments:
    def test_attach_twice_counts_once(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        create_role(iam, "app")
        for _ in range(2):
            iam.attach_role_policy(RoleName="app", PolicyArn=arn)
        attached = iam.list_attached_role_policies(RoleName="app")["AttachedPolicies"]
        assert attached == [{"PolicyName": "p", "PolicyArn": arn}]
        assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1

    def test_attach_of_unknown_policy_is_not_found(self, iam: Any) -> None:
        create_role(iam, "app")
        message = f"Policy {ARN} does not exist or is not attachable."
        error = api_error(lambda: iam.attach_role_policy(RoleName="app", PolicyArn=ARN))
        assert error == (404, "NoSuchEntity", message)

    def test_eleventh_attachment_is_rejected(self, iam: Any) -> None:
        create_role(iam, "app")
        arns = [create_policy(iam, f"p{n}") for n in range(11)]
        for arn in arns[:10]:
            iam.attach_role_policy(RoleName="app", PolicyArn=arn)
        error = api_error(lambda: iam.attach_role_policy(RoleName="app", PolicyArn=arns[10]))
        assert error == (409, "LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10")
        iam.attach_role_policy(RoleName="app", PolicyArn=arns[0])

    def test_detach_of_unattached_policy_fails(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        create_role(iam, "app")
        error = api_error(lambda: iam.detach_role_policy(RoleName="app", PolicyArn=arn))
        assert error == (404, "NoSuchEntity", f"Policy {arn} was not found.")

    def test_list_by_path(self, iam: Any) -> None:
        create_role(iam, "app")
        for name, path in (("one", "/a/"), ("two", "/b/")):
            iam.attach_role_policy(RoleName="app", PolicyArn=create_policy(iam, name, Path=path))
        attached = iam.list_attached_role_policies(RoleName="app", PathPrefix="/a/")["AttachedPolicies"]
        assert [policy["PolicyName"] for policy in attached] == ["one"]

    def test_list_entities_for_policy(self, iam: Any) -> None:
        arn = create_policy(iam, "p")
        create_role(iam, "attached")
        create_role(iam, "bounded", PermissionsBoundary=arn)
        create_role(iam, "neither")
        iam.attach_role_policy(RoleName="attached", PolicyArn=arn)
        iam.create_user(UserName="someone")
        iam.attach_user_policy(UserName="someone", PolicyArn=arn)
        iam.create_group(GroupName="some")
        iam.attach_group_policy(GroupName="some", PolicyArn=arn)

        def entities(**filters: str) -> list[str]:
            response = iam.list_entities_for_policy(PolicyArn=arn, **filters)
            groups = [group["GroupName"] for group in response["PolicyGroups"]]
            roles = [role["RoleName"] for role in response["PolicyRoles"]]
            return groups + roles + [entity["UserName"] for entity in response["PolicyUsers"]]

        assert entities() == ["some", "attached", "bounded", "someone"]
        assert entities(EntityFilter="Role") == ["attached", "bounded"]
        assert entities(PolicyUsageFilter="PermissionsPolicy") == ["some", "attached", "someone"]
        assert entities(PolicyUsageFilter="PermissionsBoundary") == ["bounded"]


class TestInline:
    def test_put_read_list_delete(self, iam: Any) -> None:
        create_role(iam, "app")
        for name in ("b", "a"):
            iam.put_role_policy(RoleName="app", PolicyName=name, PolicyDocument=READ_BUCKET)
        iam.put_role_policy(RoleName="app", PolicyName="a", PolicyDocument=document("s3:*"))
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == ["a", "b"]
        policy = iam.get_role_policy(RoleName="app", PolicyName="a")
        assert policy["PolicyDocument"] == json.loads(document("s3:*"))
        iam.delete_role_policy(RoleName="app", PolicyName="a")
        assert iam.list_role_policies(RoleName="app")["PolicyNames"] == ["b"]

    @pytest.mark.parametrize("operation", ["get_role_policy", "delete_role_policy"])
    def test_unknown_inline_policy_is_not_found(self, iam: Any, operation: str) -> None:
        create_role(iam, "app")
        error = api_error(lambda: getattr(iam, operation)(RoleName="app", PolicyName="x"))
        message = "The role policy with name x cannot be found."
        assert error == (404, "NoSuchEntity", message)
