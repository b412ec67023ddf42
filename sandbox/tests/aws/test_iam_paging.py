# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the pages of IAM lists and of GetAccountAuthorizationDetails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import (
    ACCOUNT,
    POD_IDENTITY_TRUST,
    READ_BUCKET,
    Endpoint,
    api_error,
    create_policy,
    create_role,
)

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


def fill(iam: Any) -> None:
    """Create seven roles and seven policies.

    ``role-0`` gets seven attached policies, inline policies and tags. ``policy-0`` is attached to all roles.
    """
    for n in range(7):
        create_role(iam, f"role-{n}")
        create_policy(iam, f"policy-{n}")
        arn = f"arn:aws:iam::{ACCOUNT}:policy/policy-{n}"
        iam.attach_role_policy(RoleName="role-0", PolicyArn=arn)
        iam.attach_role_policy(RoleName=f"role-{n}", PolicyArn=f"arn:aws:iam::{ACCOUNT}:policy/policy-0")
        iam.put_role_policy(RoleName="role-0", PolicyName=f"inline-{n}", PolicyDocument=READ_BUCKET)
        iam.tag_role(RoleName="role-0", Tags=[{"Key": f"key-{n}", "Value": "v"}])


@pytest.mark.parametrize(
    ("operation", "parameters", "result", "member", "pattern"),
    [
        pytest.param("list_roles", {}, "Roles", "RoleName", "role-{}", id="roles"),
        pytest.param(
            "list_policies", {"Scope": "Local"}, "Policies", "PolicyName", "policy-{}", id="policies"
        ),
        pytest.param(
            "list_attached_role_policies",
            {"RoleName": "role-0"},
            "AttachedPolicies",
            "PolicyName",
            "policy-{}",
            id="attached",
        ),
        pytest.param(
            "list_role_policies", {"RoleName": "role-0"}, "PolicyNames", None, "inline-{}", id="inline"
        ),
        pytest.param(
            "list_entities_for_policy",
            {"PolicyArn": f"arn:aws:iam::{ACCOUNT}:policy/policy-0"},
            "PolicyRoles",
            "RoleName",
            "role-{}",
            id="entities",
        ),
    ],
)
def test_three_pages_contain_seven_items(
    iam: Any, operation: str, parameters: dict[str, str], result: str, member: str | None, pattern: str
) -> None:
    fill(iam)
    first = getattr(iam, operation)(**parameters, MaxItems=3)
    assert first["IsTruncated"] is True
    pages = list(iam.get_paginator(operation).paginate(**parameters, PaginationConfig={"PageSize": 3}))
    assert len(pages) == 3
    items = [item for page in pages for item in page[result]]
    names = [item[member] if member else item for item in items]
    assert names == [pattern.format(n) for n in range(7)]


def test_versions_are_listed_newest_first(iam: Any) -> None:
    arn = create_policy(iam, "p")
    for _ in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ_BUCKET)
    for number in (2, 3, 4):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    for _ in range(2):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ_BUCKET)
    for number in (5, 6):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=READ_BUCKET)
    pages = iam.get_paginator("list_policy_versions").paginate(
        PolicyArn=arn, PaginationConfig={"PageSize": 3}
    )
    assert list(pages.search("Versions[].VersionId")) == ["v10", "v9", "v8", "v7", "v1"]


def test_default_page_size_is_100(iam: Any) -> None:
    for n in range(101):
        create_role(iam, f"role-{n:03d}")
    first = iam.list_roles()
    assert (len(first["Roles"]), first["IsTruncated"]) == (100, True)
    assert len(iam.list_roles(MaxItems=1000)["Roles"]) == 101


def test_deletion_between_pages_skips_no_role(iam: Any) -> None:
    for n in range(4):
        create_role(iam, f"role-{n}")
    first = iam.list_roles(MaxItems=2)
    iam.delete_role(RoleName="role-0")
    iam.delete_role(RoleName="role-1")
    rest = iam.list_roles(Marker=first["Marker"])
    assert [role["RoleName"] for role in rest["Roles"]] == ["role-2", "role-3"]
    assert rest["IsTruncated"] is False


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"MaxItems": 1001},
            "1 validation error detected: Value '1001' at 'maxItems' failed to satisfy constraint: Member "
            "must have value less than or equal to 1000",
        ),
        ({"Marker": "!"}, "Invalid Marker: !"),
    ],
    ids=["page-too-large", "unknown-marker"],
)
@pytest.mark.parametrize("operation", ["list_roles", "get_account_authorization_details"])
def test_invalid_pagination_is_rejected(
    iam: Any, operation: str, parameters: dict[str, Any], message: str
) -> None:
    error = api_error(lambda: getattr(iam, operation)(**parameters))
    assert error == (400, "ValidationError", message)


class TestAccountDetails:
    def test_details_contain_policies_and_profiles_of_role(self, iam: Any) -> None:
        policy = create_policy(iam, "p")
        create_role(
            iam,
            "app",
            Path="/team/",
            Description="not shown",
            PermissionsBoundary=READ_ONLY,
            Tags=[{"Key": "team", "Value": "a & b"}],
        )
        for arn in (policy, READ_ONLY):
            iam.attach_role_policy(RoleName="app", PolicyArn=arn)
        iam.put_role_policy(RoleName="app", PolicyName="inline", PolicyDocument=READ_BUCKET)
        iam.create_instance_profile(InstanceProfileName="profile")
        iam.add_role_to_instance_profile(InstanceProfileName="profile", RoleName="app")

        (role,) = iam.get_account_authorization_details(Filter=["Role"])["RoleDetailList"]
        read = iam.get_role(RoleName="app")["Role"]
        (profile,) = role.pop("InstanceProfileList")
        assert profile["InstanceProfileName"] == "profile"
        assert [profile_role["RoleName"] for profile_role in profile["Roles"]] == ["app"]
        members = ("Path", "RoleName", "RoleId", "Arn", "CreateDate", "AssumeRolePolicyDocument")
        assert role == {
            **{name: read[name] for name in (*members, "PermissionsBoundary", "Tags", "RoleLastUsed")},
            "RolePolicyList": [{"PolicyName": "inline", "PolicyDocument": json.loads(READ_BUCKET)}],
            "AttachedManagedPolicies": [
                {"PolicyName": "p", "PolicyArn": policy},
                {"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": READ_ONLY},
            ],
        }
        assert role["AssumeRolePolicyDocument"] == json.loads(POD_IDENTITY_TRUST)

    def test_policy_includes_versions(self, iam: Any) -> None:
        arn = create_policy(iam, "p", Description="what", Tags=[{"Key": "k", "Value": "v"}])
        other = READ_BUCKET.replace("GetObject", "PutObject")
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=other, SetAsDefault=True)
        (policy,) = iam.get_account_authorization_details(Filter=["LocalManagedPolicy"])["Policies"]
        read = iam.get_policy(PolicyArn=arn)["Policy"]
        versions = {version.pop("VersionId"): version for version in policy.pop("PolicyVersionList")}
        assert policy == {name: value for name, value in read.items() if name != "Tags"}
        assert {name: version["Document"] for name, version in versions.items()} == {
            "v1": json.loads(READ_BUCKET),
            "v2": json.loads(other),
        }
        assert {name: version["IsDefaultVersion"] for name, version in versions.items()} == {
            "v1": False,
            "v2": True,
        }

    def test_aws_managed_policies_only_if_attached(self, iam: Any) -> None:
        create_role(iam, "app")
        iam.attach_role_policy(RoleName="app", PolicyArn=READ_ONLY)
        policies = iam.get_account_authorization_details(Filter=["AWSManagedPolicy"])["Policies"]
        assert [policy["Arn"] for policy in policies] == [READ_ONLY]
        assert policies[0]["AttachmentCount"] == 1

    def test_pages_contain_every_item_once(self, iam: Any) -> None:
        fill(iam)
        pages = list(
            iam.get_paginator("get_account_authorization_details").paginate(
                Filter=["Role", "LocalManagedPolicy"], PaginationConfig={"PageSize": 4}
            )
        )
        assert [len(page["RoleDetailList"]) + len(page["Policies"]) for page in pages] == [4, 4, 4, 2]
        roles = [role["RoleName"] for page in pages for role in page["RoleDetailList"]]
        policies = [policy["PolicyName"] for page in pages for policy in page["Policies"]]
        assert roles == [f"role-{n}" for n in range(7)]
        assert policies == [f"policy-{n}" for n in range(7)]

    def test_details_of_empty_account_are_empty(self, endpoint: Endpoint, iam: Any) -> None:
        create_role(iam, "app")
        other = endpoint.client("iam", account="999988887777")
        details = other.get_account_authorization_details()
        assert details["IsTruncated"] is False
        assert [details[name] for name in ("RoleDetailList", "UserDetailList", "Policies")] == [[], [], []]
