# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the IAM operations for roles: names, paths, descriptions, durations, boundaries, tags, and rejected deletions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import (
    ACCOUNT,
    OTHER_ACCOUNT,
    POD_IDENTITY_TRUST,
    Endpoint,
    api_error,
    create_policy,
    create_role,
)

ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"


def get(iam: Any, name: str = "app") -> Any:
    return iam.get_role(RoleName=name)["Role"]


class TestCreateAndRead:
    def test_created_members_are_returned(self, iam: Any) -> None:
        boundary = create_policy(iam, "boundary")
        created = iam.create_role(
            RoleName="app",
            Path="/team/a/",
            AssumeRolePolicyDocument=POD_IDENTITY_TRUST,
            Description="über & <special>",
            MaxSessionDuration=7200,
            PermissionsBoundary=boundary,
            Tags=[{"Key": "team", "Value": "a & b"}],
        )["Role"]
        role = get(iam)
        assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/team/a/app"
        assert role["RoleId"].startswith("AROA")
        assert len(role["RoleId"]) == 21
        assert role["AssumeRolePolicyDocument"] == json.loads(POD_IDENTITY_TRUST)
        assert (role["Description"], role["MaxSessionDuration"]) == ("über & <special>", 7200)
        assert role["Tags"] == [{"Key": "team", "Value": "a & b"}]
        assert role["PermissionsBoundary"] == {
            "PermissionsBoundaryType": "Policy",
            "PermissionsBoundaryArn": boundary,
        }
        assert role["CreateDate"].utcoffset().total_seconds() == 0
        assert {"AssumeRolePolicyDocument", "PermissionsBoundary", "Tags"} <= created.keys()
        assert not {"Description", "MaxSessionDuration"} & created.keys()
        assert created == {name: role[name] for name in created}

    def test_role_has_default_path_and_session_duration(self, iam: Any) -> None:
        create_role(iam, "app")
        role = get(iam)
        assert (role["Path"], role["MaxSessionDuration"]) == ("/", 3600)
        assert not {"Description", "PermissionsBoundary", "Tags"} & role.keys()

    def test_accounts_are_separate(self, endpoint: Endpoint, iam: Any) -> None:
        create_role(iam, "app")
        other = endpoint.client("iam", account=OTHER_ACCOUNT)
        assert other.list_roles()["Roles"] == []
        assert create_role(other, "app") == f"arn:aws:iam::{OTHER_ACCOUNT}:role/app"

    def test_list_omits_tags_and_boundary(self, iam: Any) -> None:
        boundary = create_policy(iam, "boundary")
        create_role(iam, "app", PermissionsBoundary=boundary, Tags=[{"Key": "k", "Value": "v"}])
        (role,) = iam.list_roles()["Roles"]
        assert not {"Tags", "PermissionsBoundary"} & role.keys()
        assert role["AssumeRolePolicyDocument"] == json.loads(POD_IDENTITY_TRUST)

    def test_list_by_path(self, iam: Any) -> None:
        create_role(iam, "one", Path="/team/a/")
        create_role(iam, "two", Path="/team/b/")
        roles = iam.list_roles(PathPrefix="/team/a/")["Roles"]
        assert [role["RoleName"] for role in roles] == ["one"]

    @pytest.mark.parametrize(
        "operation",
        [
            "get_role",
            "delete_role",
            "list_attached_role_policies",
            "list_role_policies",
            "list_instance_profiles_for_role",
        ],
    )
    def test_unknown_role_is_not_found(self, iam: Any, operation: str) -> None:
        error = api_error(lambda: getattr(iam, operation)(RoleName="nobody"))
        assert error == (404, "NoSuchEntity", "The role with name nobody cannot be found.")

    @pytest.mark.parametrize("name", ["app", "APP", "App"])
    def test_names_are_unique_case_insensitively(self, iam: Any, name: str) -> None:
        create_role(iam, "App")
        error = api_error(lambda: create_role(iam, name, Path="/elsewhere/"))
        assert error == (409, "EntityAlreadyExists", f"Role with name {name} already exists.")

    def test_names_are_case_insensitive(self, iam: Any) -> None:
        create_role(iam, "App")
        iam.tag_role(RoleName="APP", Tags=[{"Key": "team", "Value": "a"}])
        role = get(iam, "app")
        assert (role["RoleName"], role["Tags"]) == ("App", [{"Key": "team", "Value": "a"}])
        iam.delete_role(RoleName="aPP")
        assert iam.list_roles()["Roles"] == []

    def test_instance_profiles_are_listed_for_role(self, iam: Any) -> None:
        create_role(iam, "App")
        iam.create_instance_profile(InstanceProfileName="nodes")
        iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="App")
        (profile,) = iam.list_instance_profiles_for_role(RoleName="app")["InstanceProfiles"]
        assert profile["InstanceProfileName"] == "nodes"
        assert [role["RoleName"] for role in profile["Roles"]] == ["App"]

    @pytest.mark.parametrize(
        ("parameters", "code", "message"),
        [
            pytest.param(
                {"RoleName": "a" * 65},
                "ValidationError",
                f"1 validation error detected: Value '{'a' * 65}' at 'roleName' failed to satisfy "
                "constraint: Member must have length less than or equal to 64",
                id="long-name",
            ),
            pytest.param(
                {"RoleName": "a b"},
                "ValidationError",
                "1 validation error detected: Value 'a b' at 'roleName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=,.@-]+",
                id="name-with-a-space",
            ),
            pytest.param(
                {"Path": "/no-end"},
                "ValidationError",
                "The specified value for path is invalid. It must begin and end with / and contain only "
                "alphanumeric characters and/or / characters.",
                id="path",
            ),
            pytest.param(
                {"MaxSessionDuration": 43201},
                "ValidationError",
                "1 validation error detected: Value '43201' at 'maxSessionDuration' failed to satisfy "
                "constraint: Member must have value less than or equal to 43200",
                id="duration",
            ),
            pytest.param(
                {"PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/missing"},
                "NoSuchEntity",
                f"Scope ARN: arn:aws:iam::{ACCOUNT}:policy/missing does not exist or is not attachable.",
                id="boundary",
            ),
            pytest.param(
                {"Tags": [{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}]},
                "InvalidInput",
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
                id="tag-twice",
            ),
            pytest.param(
                {"Tags": [{"Key": "aws:x", "Value": "a"}]},
                "InvalidInput",
                "Tag keys starting with 'aws:' are reserved for system use.",
                id="reserved-tag",
            ),
        ],
    )
    def test_invalid_parameters_are_rejected(
        self, iam: Any, parameters: dict[str, Any], code: str, message: str
    ) -> None:
        request = {"RoleName": "app", "AssumeRolePolicyDocument": POD_IDENTITY_TRUST, **parameters}
        assert api_error(lambda: iam.create_role(**request))[1:] == (code, message)
        assert iam.list_roles()["Roles"] == []

    def test_description_with_invalid_character_is_rejected(self, iam: Any) -> None:
        status, code, message = api_error(lambda: create_role(iam, "app", Description="an em dash —"))
        assert (status, code) == (400, "ValidationError")
        assert "at 'description' failed to satisfy constraint" in message


class TestUpdate:
    def test_update_keeps_description_and_resets_session_duration(self, iam: Any) -> None:
        create_role(iam, "app", Description="one")
        iam.update_role(RoleName="app", MaxSessionDuration=7200)
        assert (get(iam)["Description"], get(iam)["MaxSessionDuration"]) == ("one", 7200)
        iam.update_role(RoleName="app", Description="two")
        assert (get(iam)["Description"], get(iam)["MaxSessionDuration"]) == ("two", 3600)

    def test_empty_description_clears_it(self, iam: Any) -> None:
        create_role(iam, "app", Description="one")
        iam.update_role(RoleName="app", Description="")
        assert get(iam)["Description"] == ""

    def test_update_role_description_returns_role(self, iam: Any) -> None:
        create_role(iam, "app")
        assert iam.update_role_description(RoleName="app", Description="x")["Role"]["Description"] == "x"

    def test_invalid_value_prevents_update(self, iam: Any) -> None:
        create_role(iam, "app", Description="one")
        request = {"RoleName": "app", "Description": "two", "MaxSessionDuration": 50000}
        assert api_error(lambda: iam.update_role(**request))[1] == "ValidationError"
        assert get(iam)["Description"] == "one"

    def test_update_replaces_trust_policy(self, iam: Any) -> None:
        create_role(iam, "app")
        document = POD_IDENTITY_TRUST.replace("pods.eks", "ec2")
        iam.update_assume_role_policy(RoleName="app", PolicyDocument=document)
        assert get(iam)["AssumeRolePolicyDocument"] == json.loads(document)

    def test_boundary_is_set_and_deleted(self, iam: Any) -> None:
        create_role(iam, "app")
        iam.put_role_permissions_boundary(RoleName="app", PermissionsBoundary=ADMINISTRATOR)
        assert get(iam)["PermissionsBoundary"]["PermissionsBoundaryArn"] == ADMINISTRATOR
        iam.delete_role_permissions_boundary(RoleName="app")
        assert "PermissionsBoundary" not in get(iam)
        status, code, _ = api_error(lambda: iam.delete_role_permissions_boundary(RoleName="app"))
        assert (status, code) == (404, "NoSuchEntity")

    def test_tag_keys_keep_latest_case(self, iam: Any) -> None:
        create_role(iam, "app", Tags=[{"Key": "Team", "Value": "a"}, {"Key": "b", "Value": "1"}])
        iam.tag_role(RoleName="app", Tags=[{"Key": "team", "Value": "c"}, {"Key": "empty", "Value": ""}])
        iam.untag_role(RoleName="app", TagKeys=["B", "absent"])
        expected = [{"Key": "empty", "Value": ""}, {"Key": "team", "Value": "c"}]
        assert sorted(get(iam)["Tags"], key=lambda tag: tag["Key"]) == expected

    def test_more_than_fifty_tags_are_rejected(self, iam: Any) -> None:
        create_role(iam, "app", Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)])
        error = api_error(lambda: iam.tag_role(RoleName="app", Tags=[{"Key": "one", "Value": "more"}]))
        assert error == (409, "LimitExceeded", "Cannot exceed quota for TagsPerRole: 50")


class TestDelete:
    def test_attached_policy_prevents_deletion(self, iam: Any) -> None:
        create_role(iam, "app")
        iam.attach_role_policy(RoleName="app", PolicyArn=ADMINISTRATOR)
        message = "Cannot delete entity, must detach all policies first."
        assert api_error(lambda: iam.delete_role(RoleName="app")) == (409, "DeleteConflict", message)
        iam.detach_role_policy(RoleName="app", PolicyArn=ADMINISTRATOR)
        iam.delete_role(RoleName="app")
        assert iam.list_roles()["Roles"] == []

    def test_inline_policy_prevents_deletion(self, iam: Any) -> None:
        create_role(iam, "app")
        document = json.dumps(
            {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}
        )
        iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=document)
        message = "Cannot delete entity, must delete policies first."
        assert api_error(lambda: iam.delete_role(RoleName="app")) == (409, "DeleteConflict", message)
        iam.delete_role_policy(RoleName="app", PolicyName="inline")
        iam.delete_role(RoleName="app")

    def test_instance_profile_prevents_deletion(self, iam: Any) -> None:
        create_role(iam, "app")
        iam.create_instance_profile(InstanceProfileName="profile")
        iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="app")
        profiles = iam.list_instance_profiles_for_role(RoleName="app")["InstanceProfiles"]
        assert [profile["InstanceProfileName"] for profile in profiles] == ["profile"]
        message = "Cannot delete entity, must remove roles from instance profile first."
        assert api_error(lambda: iam.delete_role(RoleName="app")) == (409, "DeleteConflict", message)
        iam.remove_role_from_instance_profile(InstanceProfileName="profile", RoleName="app")
        iam.delete_role(RoleName="app")

    def test_deleted_name_can_be_reused_in_any_case(self, iam: Any) -> None:
        create_role(iam, "App")
        iam.delete_role(RoleName="App")
        create_role(iam, "aPP")
