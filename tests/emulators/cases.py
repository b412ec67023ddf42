# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test cases for the model of AWS: requests, and the responses of AWS on which the engine relies."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.workload_identity.aws.tests.emulators.table import ABSENT, Case, Refusal, Request

ACCOUNT = "111122223333"
REGION = "us-west-2"
CLUSTER, OTHER_CLUSTER = "my-cluster", "other-cluster"
TARGET = "arn:aws:iam::444455556666:role/target"
POLICY = f"arn:aws:iam::{ACCOUNT}:policy/read"
UNKNOWN = f"arn:aws:iam::{ACCOUNT}:policy/unknown"
UNKNOWN_ID = "a-00000000000000000"

Json = dict[str, Any]


def iam(operation: str, **parameters: Any) -> Request:
    return Request("iam", operation, parameters)


def eks(operation: str, **parameters: Any) -> Request:
    return Request("eks", operation, parameters)


def role_arn(name: str = "app", path: str = "/") -> str:
    return f"arn:aws:iam::{ACCOUNT}:role{path}{name}"


def trust(*actions: str, service: str = "pods.eks.amazonaws.com", **more: Any) -> Json:
    allowed = list(actions or ("sts:AssumeRole", "sts:TagSession"))
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": allowed, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def document(action: str = "s3:GetObject") -> Json:
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def tags(**values: str) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def many_tags(count: int) -> list[Json]:
    return tags(**{f"tag-{number}": "x" for number in range(count)})


def role(name: str = "app", policy: Json | str | None = None, **more: Any) -> Request:
    text = policy if isinstance(policy, str) else json.dumps(policy or trust())
    request = iam("CreateRole", RoleName=name, AssumeRolePolicyDocument=text, **more)
    return request.saving(role_id=("Role", "RoleId"))


def policy(name: str = "read", **more: Any) -> Request:
    return iam("CreatePolicy", PolicyName=name, PolicyDocument=json.dumps(document()), **more)


def version(number: int, **more: Any) -> Request:
    text = json.dumps(document(f"s3:Action{number}"))
    return iam("CreatePolicyVersion", PolicyArn=POLICY, PolicyDocument=text, **more)


def attach(arn: str = POLICY, name: str = "app") -> Request:
    return iam("AttachRolePolicy", RoleName=name, PolicyArn=arn)


def association(account: str = "app", cluster: str = CLUSTER, **more: Any) -> Request:
    identity = {"clusterName": cluster, "namespace": "shop", "serviceAccount": account}
    request = eks("CreatePodIdentityAssociation", **{**identity, "roleArn": role_arn(), **more})
    return request.saving(id=("association", "associationId"), arn=("association", "associationArn"))


def update(**more: Any) -> Request:
    return eks("UpdatePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>", **more)


def no_role(name: str) -> Refusal:
    return Refusal("NoSuchEntity", f"The role with name {name} cannot be found.")


def invalid(text: str) -> Refusal:
    return Refusal("InvalidParameterException", text)


NO_POLICY = Refusal("NoSuchEntity", f"Policy {UNKNOWN} was not found.")
NOT_ATTACHABLE = Refusal("NoSuchEntity", f"Policy {UNKNOWN} does not exist or is not attachable.")
NO_BOUNDARY = Refusal("NoSuchEntity", f"Scope ARN: {UNKNOWN} does not exist or is not attachable.")
NO_CLUSTER = Refusal("ResourceNotFoundException", "No cluster found for name: nowhere.")
NO_ASSOCIATION = Refusal(
    "ResourceNotFoundException", f"The association with ID {UNKNOWN_ID} was not found in cluster {CLUSTER}."
)
ROLE_MISSING = invalid("Role provided in the request does not exist")
TRUST_INVALID = invalid(
    "Trust policy of the role provided is invalid. Follow the official documentation to resolve the issue."
)
CROSS_ACCOUNT = Refusal("AccessDeniedException", "Cross-account pass role is not allowed")
TAGS_NEEDED = invalid("disableSessionTags must be true when a session policy is specified.")
RESERVED = Refusal("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use.")
DUPLICATE = Refusal(
    "InvalidInput", "Duplicate tag keys found. Please note that Tag keys are case insensitive."
)
TRUST_SIZE = Refusal("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
LONG = trust(Condition={"StringEquals": {"aws:RequestTag/team": "x" * 2000}})
BOUNDARY = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": POLICY}
IDENTITY = {"clusterName": CLUSTER, "namespace": "shop", "serviceAccount": "app"}
SESSION = json.dumps(document())


def _malformed(name: str, text: str, message: str) -> tuple[Case, Case]:
    """Return two cases for an invalid trust policy: CreateRole, and UpdateAssumeRolePolicy of an existing role."""
    answer = Refusal("MalformedPolicyDocument", message)
    changed = iam("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=text)
    return (
        Case(f"CreateRole: {name}", (), role(policy=text), answer),
        Case(f"UpdateAssumeRolePolicy: {name}", (role(),), changed, answer),
    )


ROLES = (
    Case(
        "GetRole: all members",
        (
            policy(),
            role(
                Path="/team/",
                Description="text",
                MaxSessionDuration=7200,
                PermissionsBoundary=POLICY,
                Tags=tags(team="a"),
            ),
        ),
        iam("GetRole", RoleName="app"),
        {
            "Role": {
                "RoleName": "app",
                "RoleId": "<role_id>",
                "Path": "/team/",
                "Arn": role_arn(path="/team/"),
                "AssumeRolePolicyDocument": trust(),
                "Description": "text",
                "MaxSessionDuration": 7200,
                "PermissionsBoundary": BOUNDARY,
                "Tags": tags(team="a"),
            }
        },
    ),
    Case(
        "GetRole: required members only",
        (role(),),
        iam("GetRole", RoleName="app"),
        {
            "Role": {
                "Path": "/",
                "MaxSessionDuration": 3600,
                "Description": ABSENT,
                "PermissionsBoundary": ABSENT,
                "Tags": ABSENT,
            }
        },
    ),
    Case(
        "GetRole: other letter case",
        (role("App"),),
        iam("GetRole", RoleName="aPP"),
        {"Role": {"RoleName": "App", "Arn": role_arn("App")}},
    ),
    Case("GetRole: unknown", (), iam("GetRole", RoleName="nobody"), no_role("nobody")),
    Case(
        "CreateRole: response without description and session duration",
        (),
        role(Description="text", MaxSessionDuration=7200, Tags=tags(team="a")),
        {
            "Role": {
                "RoleName": "app",
                "Arn": role_arn(),
                "AssumeRolePolicyDocument": trust(),
                "Description": ABSENT,
                "MaxSessionDuration": ABSENT,
                "Tags": tags(team="a"),
            }
        },
    ),
    Case(
        "CreateRole: name taken",
        (role("App"),),
        role(Path="/team/"),
        Refusal("EntityAlreadyExists", "Role with name app already exists."),
    ),
    Case("CreateRole: unknown boundary", (), role(PermissionsBoundary=UNKNOWN), NO_BOUNDARY),
    Case("CreateRole: trust policy too long", (), role(policy=LONG), TRUST_SIZE),
    Case(
        "CreateRole: white space does not count",
        (),
        role(policy=json.dumps(trust(), indent=200)),
        {"Role": {}},
    ),
    Case("CreateRole: reserved tag", (), role(Tags=[{"Key": "aws:x", "Value": "a"}]), RESERVED),
    Case("CreateRole: duplicate tag key", (), role(Tags=tags(team="a", Team="b")), DUPLICATE),
    Case(
        "CreateRole: trust policy is checked before the name",
        (role(),),
        role(policy='{"Statement": []}'),
        Refusal("MalformedPolicyDocument", "Syntax errors in policy."),
    ),
    *_malformed("invalid JSON", "trust me", "This policy contains invalid Json"),
    *_malformed("no statement", '{"Statement": []}', "Syntax errors in policy."),
    *_malformed("a resource", json.dumps(trust(Resource="*")), "Has prohibited field Resource"),
    Case(
        "UpdateRole: keeps an omitted description, resets an omitted session duration",
        (role(Description="text", MaxSessionDuration=7200), iam("UpdateRole", RoleName="app")),
        iam("GetRole", RoleName="app"),
        {"Role": {"Description": "text", "MaxSessionDuration": 3600}},
    ),
    Case(
        "UpdateRole: description and session duration",
        (role(), iam("UpdateRole", RoleName="app", Description="new", MaxSessionDuration=7200)),
        iam("GetRole", RoleName="app"),
        {"Role": {"Description": "new", "MaxSessionDuration": 7200}},
    ),
    Case("UpdateRole", (role(),), iam("UpdateRole", RoleName="app", MaxSessionDuration=7200), {}),
    Case("UpdateRole: unknown", (), iam("UpdateRole", RoleName="nobody"), no_role("nobody")),
    Case("DeleteRole", (role(),), iam("DeleteRole", RoleName="APP"), {}),
    Case("DeleteRole: unknown", (), iam("DeleteRole", RoleName="nobody"), no_role("nobody")),
    Case(
        "DeleteRole: role no longer exists",
        (role(), iam("DeleteRole", RoleName="app")),
        iam("GetRole", RoleName="app"),
        no_role("app"),
    ),
    Case(
        "DeleteRole: attached policy",
        (policy(), role(), attach()),
        iam("DeleteRole", RoleName="app"),
        Refusal("DeleteConflict", "Cannot delete entity, must detach all policies first."),
    ),
    Case(
        "DeleteRole: inline policy",
        (role(), iam("PutRolePolicy", RoleName="app", PolicyName="in", PolicyDocument=SESSION)),
        iam("DeleteRole", RoleName="app"),
        Refusal("DeleteConflict", "Cannot delete entity, must delete policies first."),
    ),
    Case(
        "DeleteRole: in an instance profile",
        (
            role(),
            iam("CreateInstanceProfile", InstanceProfileName="nodes"),
            iam("AddRoleToInstanceProfile", InstanceProfileName="nodes", RoleName="app"),
        ),
        iam("DeleteRole", RoleName="app"),
        Refusal("DeleteConflict", "Cannot delete entity, must remove roles from instance profile first."),
    ),
    Case(
        "UpdateAssumeRolePolicy",
        (role(),),
        iam("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=json.dumps(trust("sts:*"))),
        {},
    ),
    Case(
        "UpdateAssumeRolePolicy: new policy is stored",
        (role(), iam("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=json.dumps(trust("sts:*")))),
        iam("GetRole", RoleName="app"),
        {"Role": {"AssumeRolePolicyDocument": trust("sts:*")}},
    ),
    Case(
        "UpdateAssumeRolePolicy: too long",
        (role(),),
        iam("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=json.dumps(LONG)),
        TRUST_SIZE,
    ),
    Case(
        "UpdateAssumeRolePolicy: unknown role",
        (),
        iam("UpdateAssumeRolePolicy", RoleName="nobody", PolicyDocument="trust me"),
        no_role("nobody"),
    ),
    Case(
        "PutRolePermissionsBoundary",
        (policy(), role()),
        iam("PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=POLICY),
        {},
    ),
    Case(
        "PutRolePermissionsBoundary: boundary is stored",
        (policy(), role(), iam("PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=POLICY)),
        iam("GetRole", RoleName="app"),
        {"Role": {"PermissionsBoundary": BOUNDARY}},
    ),
    Case(
        "PutRolePermissionsBoundary: unknown policy",
        (role(),),
        iam("PutRolePermissionsBoundary", RoleName="app", PermissionsBoundary=UNKNOWN),
        NO_BOUNDARY,
    ),
    Case(
        "PutRolePermissionsBoundary: unknown role",
        (),
        iam("PutRolePermissionsBoundary", RoleName="nobody", PermissionsBoundary=UNKNOWN),
        no_role("nobody"),
    ),
    Case(
        "DeleteRolePermissionsBoundary",
        (policy(), role(PermissionsBoundary=POLICY)),
        iam("DeleteRolePermissionsBoundary", RoleName="app"),
        {},
    ),
    Case(
        "DeleteRolePermissionsBoundary: no boundary",
        (role(),),
        iam("DeleteRolePermissionsBoundary", RoleName="app"),
        Refusal("NoSuchEntity", "Principal <role_id> does not have a permissions boundary."),
    ),
    Case("TagRole", (role(),), iam("TagRole", RoleName="app", Tags=tags(team="a")), {}),
    Case(
        "TagRole: last spelling of a key is kept",
        (role(Tags=tags(team="a", stage="x")), iam("TagRole", RoleName="app", Tags=tags(Team="b"))),
        iam("GetRole", RoleName="app"),
        {"Role": {"Tags": tags(Team="b", stage="x")}},
    ),
    Case(
        "TagRole: reserved", (role(),), iam("TagRole", RoleName="app", Tags=tags(**{"AWS:x": ""})), RESERVED
    ),
    Case(
        "TagRole: too many",
        (role(Tags=many_tags(50)),),
        iam("TagRole", RoleName="app", Tags=tags(team="a")),
        Refusal("LimitExceeded", "Cannot exceed quota for TagsPerRole: 50"),
    ),
    Case("TagRole: unknown", (), iam("TagRole", RoleName="nobody", Tags=tags(a="b")), no_role("nobody")),
    Case("UntagRole", (role(),), iam("UntagRole", RoleName="app", TagKeys=["never"]), {}),
    Case(
        "UntagRole: in other letter case",
        (role(Tags=tags(team="a", stage="x")), iam("UntagRole", RoleName="app", TagKeys=["TEAM"])),
        iam("GetRole", RoleName="app"),
        {"Role": {"Tags": tags(stage="x")}},
    ),
    Case("UntagRole: unknown", (), iam("UntagRole", RoleName="nobody", TagKeys=["a"]), no_role("nobody")),
    Case(
        "ListRoles: no tags and no boundary",
        (policy(), role("b", PermissionsBoundary=POLICY, Tags=tags(team="a")), role("a", Description="text")),
        iam("ListRoles", MaxItems=1000),
        {
            "Roles": [
                {
                    "RoleName": "a",
                    "Arn": role_arn("a"),
                    "Description": "text",
                    "MaxSessionDuration": 3600,
                    "AssumeRolePolicyDocument": trust(),
                },
                {"RoleName": "b", "Tags": ABSENT, "PermissionsBoundary": ABSENT, "Description": ABSENT},
            ],
            "IsTruncated": False,
        },
    ),
)

ATTACHMENTS = (
    Case("AttachRolePolicy", (policy(), role()), attach(), {}),
    Case(
        "AttachRolePolicy: attached twice",
        (policy(), role(), attach(), attach()),
        iam("ListAttachedRolePolicies", RoleName="app"),
        {"AttachedPolicies": [{"PolicyName": "read", "PolicyArn": POLICY}], "IsTruncated": False},
    ),
    Case("AttachRolePolicy: unknown policy", (role(),), attach(UNKNOWN), NOT_ATTACHABLE),
    Case("AttachRolePolicy: unknown role", (policy(),), attach(name="nobody"), no_role("nobody")),
    Case(
        "AttachRolePolicy: eleventh policy",
        (
            role(),
            policy(),
            *(
                request
                for number in range(10)
                for request in (policy(f"p{number}"), attach(f"arn:aws:iam::{ACCOUNT}:policy/p{number}"))
            ),
        ),
        attach(),
        Refusal("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10"),
    ),
    Case(
        "DetachRolePolicy",
        (policy(), role(), attach()),
        iam("DetachRolePolicy", RoleName="app", PolicyArn=POLICY),
        {},
    ),
    Case(
        "DetachRolePolicy: not attached",
        (policy(), role()),
        iam("DetachRolePolicy", RoleName="app", PolicyArn=POLICY),
        Refusal("NoSuchEntity", f"Policy {POLICY} was not found."),
    ),
    Case(
        "DetachRolePolicy: unknown role",
        (),
        iam("DetachRolePolicy", RoleName="nobody", PolicyArn=POLICY),
        no_role("nobody"),
    ),
    Case(
        "ListAttachedRolePolicies",
        (
            policy(),
            policy("all", Path="/team/"),
            role(),
            attach(),
            attach(f"arn:aws:iam::{ACCOUNT}:policy/team/all"),
        ),
        iam("ListAttachedRolePolicies", RoleName="app"),
        {"AttachedPolicies": [{"PolicyName": "read"}, {"PolicyName": "all"}]},
    ),
    Case(
        "ListAttachedRolePolicies: unknown",
        (),
        iam("ListAttachedRolePolicies", RoleName="nobody"),
        no_role("nobody"),
    ),
    Case(
        "ListRolePolicies",
        (role(), iam("PutRolePolicy", RoleName="app", PolicyName="in", PolicyDocument=SESSION)),
        iam("ListRolePolicies", RoleName="app"),
        {"PolicyNames": ["in"], "IsTruncated": False},
    ),
    Case("ListRolePolicies: unknown", (), iam("ListRolePolicies", RoleName="nobody"), no_role("nobody")),
    Case(
        "ListInstanceProfilesForRole",
        (
            role(),
            iam("CreateInstanceProfile", InstanceProfileName="nodes"),
            iam("AddRoleToInstanceProfile", InstanceProfileName="nodes", RoleName="app"),
        ),
        iam("ListInstanceProfilesForRole", RoleName="app"),
        {"InstanceProfiles": [{"InstanceProfileName": "nodes"}], "IsTruncated": False},
    ),
    Case(
        "ListInstanceProfilesForRole: unknown",
        (),
        iam("ListInstanceProfilesForRole", RoleName="nobody"),
        no_role("nobody"),
    ),
    Case(
        "ListEntitiesForPolicy",
        (
            policy(),
            role("b"),
            role("a", PermissionsBoundary=POLICY),
            attach(name="b"),
            iam("CreateUser", UserName="alice"),
            iam("AttachUserPolicy", UserName="alice", PolicyArn=POLICY),
            iam("CreateGroup", GroupName="team"),
            iam("AttachGroupPolicy", GroupName="team", PolicyArn=POLICY),
        ),
        iam("ListEntitiesForPolicy", PolicyArn=POLICY),
        {
            "PolicyRoles": [{"RoleName": "a"}, {"RoleName": "b"}],
            "PolicyUsers": [{"UserName": "alice"}],
            "PolicyGroups": [{"GroupName": "team"}],
            "IsTruncated": False,
        },
    ),
    Case(
        "ListPolicies: no tags and no description",
        (policy(Description="text", Tags=tags(team="a")), role(), attach()),
        iam("ListPolicies", Scope="Local"),
        {
            "Policies": [
                {
                    "PolicyName": "read",
                    "Arn": POLICY,
                    "DefaultVersionId": "v1",
                    "AttachmentCount": 1,
                    "PermissionsBoundaryUsageCount": 0,
                    "Tags": ABSENT,
                    "Description": ABSENT,
                }
            ],
            "IsTruncated": False,
        },
    ),
    Case("ListEntitiesForPolicy: unknown", (), iam("ListEntitiesForPolicy", PolicyArn=UNKNOWN), NO_POLICY),
    Case(
        "GetAccountAuthorizationDetails",
        (
            policy(Description="text", Tags=tags(team="a")),
            version(2, SetAsDefault=True),
            role(Description="text", MaxSessionDuration=7200, PermissionsBoundary=POLICY),
            role("bare", Tags=tags(team="a")),
            attach(),
            iam("PutRolePolicy", RoleName="app", PolicyName="in", PolicyDocument=SESSION),
            iam("CreateInstanceProfile", InstanceProfileName="nodes"),
            iam("AddRoleToInstanceProfile", InstanceProfileName="nodes", RoleName="app"),
        ),
        iam("GetAccountAuthorizationDetails", Filter=["Role", "LocalManagedPolicy"]),
        {
            "RoleDetailList": [
                {
                    "RoleName": "app",
                    "Arn": role_arn(),
                    "AssumeRolePolicyDocument": trust(),
                    "Description": ABSENT,
                    "MaxSessionDuration": ABSENT,
                    "PermissionsBoundary": BOUNDARY,
                    "AttachedManagedPolicies": [{"PolicyName": "read", "PolicyArn": POLICY}],
                    "RolePolicyList": [{"PolicyName": "in"}],
                    "InstanceProfileList": [{"InstanceProfileName": "nodes"}],
                    "Tags": [],
                },
                {
                    "RoleName": "bare",
                    "PermissionsBoundary": ABSENT,
                    "AttachedManagedPolicies": [],
                    "RolePolicyList": [],
                    "InstanceProfileList": [],
                    "Tags": tags(team="a"),
                },
            ],
            "Policies": [
                {
                    "Arn": POLICY,
                    "PolicyName": "read",
                    "DefaultVersionId": "v2",
                    "AttachmentCount": 1,
                    "PermissionsBoundaryUsageCount": 1,
                    "Tags": ABSENT,
                    "PolicyVersionList": [
                        {"VersionId": "v1", "IsDefaultVersion": False, "Document": document()},
                        {"VersionId": "v2", "IsDefaultVersion": True, "Document": document("s3:Action2")},
                    ],
                }
            ],
            "IsTruncated": False,
        },
    ),
    Case(
        "GetAccountAuthorizationDetails: roles only",
        (policy(), role()),
        iam("GetAccountAuthorizationDetails", Filter=["Role"]),
        {"RoleDetailList": [{"RoleName": "app"}], "Policies": []},
    ),
)

POLICIES = (
    Case(
        "GetAccountSummary",
        (),
        iam("GetAccountSummary"),
        {"SummaryMap": {"AttachedPoliciesPerRoleQuota": 10, "AssumeRolePolicySizeQuota": 2048}},
    ),
    Case(
        "GetPolicy",
        (
            policy(Tags=tags(team="a")),
            role(),
            role("bounded", PermissionsBoundary=POLICY),
            attach(),
            iam("CreateUser", UserName="alice"),
            iam("AttachUserPolicy", UserName="alice", PolicyArn=POLICY),
        ),
        iam("GetPolicy", PolicyArn=POLICY),
        {
            "Policy": {
                "Arn": POLICY,
                "PolicyName": "read",
                "DefaultVersionId": "v1",
                "AttachmentCount": 2,
                "PermissionsBoundaryUsageCount": 1,
                "Tags": tags(team="a"),
            }
        },
    ),
    Case("GetPolicy: no tags", (policy(),), iam("GetPolicy", PolicyArn=POLICY), {"Policy": {"Tags": []}}),
    Case(
        "GetPolicy: description from CreatePolicy",
        (policy(Description="Reads"), version(2, SetAsDefault=True)),
        iam("GetPolicy", PolicyArn=POLICY),
        {"Policy": {"DefaultVersionId": "v2", "Description": "Reads"}},
    ),
    Case("GetPolicy: unknown", (), iam("GetPolicy", PolicyArn=UNKNOWN), NO_POLICY),
    Case(
        "GetPolicy: ARN is case-sensitive",
        (policy("Read"),),
        iam("GetPolicy", PolicyArn=POLICY),
        Refusal("NoSuchEntity", f"Policy {POLICY} was not found."),
    ),
    Case(
        "CreatePolicy",
        (),
        policy(Path="/team/"),
        {
            "Policy": {
                "Arn": f"arn:aws:iam::{ACCOUNT}:policy/team/read",
                "PolicyName": "read",
                "DefaultVersionId": "v1",
                "AttachmentCount": 0,
                "Tags": ABSENT,
            }
        },
    ),
    Case("CreatePolicy: tags", (), policy(Tags=tags(a="b")), {"Policy": {"Tags": tags(a="b")}}),
    Case(
        "CreatePolicy: name taken",
        (policy("Read", Path="/team/"),),
        policy(),
        Refusal(
            "EntityAlreadyExists", "A policy called read already exists. Duplicate names are not allowed."
        ),
    ),
    Case(
        "CreatePolicy: too many tags",
        (),
        policy(Tags=many_tags(51)),
        Refusal("LimitExceeded", "Cannot exceed quota for TagsPerPolicy: 50"),
    ),
    Case(
        "CreatePolicyVersion",
        (policy(),),
        version(2),
        {"PolicyVersion": {"VersionId": "v2", "IsDefaultVersion": False}},
    ),
    Case(
        "CreatePolicyVersion: default version",
        (policy(),),
        version(2, SetAsDefault=True),
        {"PolicyVersion": {"VersionId": "v2", "IsDefaultVersion": True}},
    ),
    Case(
        "CreatePolicyVersion: numbers are not reused",
        (policy(), version(2), iam("DeletePolicyVersion", PolicyArn=POLICY, VersionId="v2")),
        version(3),
        {"PolicyVersion": {"VersionId": "v3"}},
    ),
    Case(
        "CreatePolicyVersion: sixth version",
        (policy(), *(version(number) for number in range(2, 6))),
        version(6),
        Refusal(
            "LimitExceeded",
            "A managed policy can have up to 5 versions. Before you create a new version, you must delete an "
            "existing version.",
        ),
    ),
    Case(
        "CreatePolicyVersion: unknown",
        (),
        iam("CreatePolicyVersion", PolicyArn=UNKNOWN, PolicyDocument=SESSION),
        NO_POLICY,
    ),
    Case(
        "GetPolicyVersion",
        (policy(), version(2, SetAsDefault=True)),
        iam("GetPolicyVersion", PolicyArn=POLICY, VersionId="v1"),
        {"PolicyVersion": {"VersionId": "v1", "IsDefaultVersion": False, "Document": document()}},
    ),
    Case(
        "GetPolicyVersion: unknown version",
        (policy(),),
        iam("GetPolicyVersion", PolicyArn=POLICY, VersionId="v2"),
        Refusal("NoSuchEntity", f"Policy {POLICY} version v2 does not exist or is not attachable."),
    ),
    Case(
        "GetPolicyVersion: unknown policy",
        (),
        iam("GetPolicyVersion", PolicyArn=UNKNOWN, VersionId="v1"),
        NO_POLICY,
    ),
    Case(
        "ListPolicyVersions: newest first",
        (policy(), version(2), version(3, SetAsDefault=True)),
        iam("ListPolicyVersions", PolicyArn=POLICY),
        {
            "Versions": [
                {"VersionId": "v3", "IsDefaultVersion": True, "Document": ABSENT},
                {"VersionId": "v2", "IsDefaultVersion": False},
                {"VersionId": "v1", "IsDefaultVersion": False},
            ],
            "IsTruncated": False,
        },
    ),
    Case("ListPolicyVersions: unknown", (), iam("ListPolicyVersions", PolicyArn=UNKNOWN), NO_POLICY),
    Case(
        "DeletePolicyVersion",
        (policy(), version(2)),
        iam("DeletePolicyVersion", PolicyArn=POLICY, VersionId="v2"),
        {},
    ),
    Case(
        "DeletePolicyVersion: default version",
        (policy(),),
        iam("DeletePolicyVersion", PolicyArn=POLICY, VersionId="v1"),
        Refusal("DeleteConflict", "Cannot delete the default version of a policy."),
    ),
    Case(
        "DeletePolicyVersion: unknown",
        (policy(),),
        iam("DeletePolicyVersion", PolicyArn=POLICY, VersionId="v7"),
        Refusal("NoSuchEntity", f"Policy {POLICY} version v7 does not exist or is not attachable."),
    ),
    Case("DeletePolicy", (policy(),), iam("DeletePolicy", PolicyArn=POLICY), {}),
    Case(
        "DeletePolicy: attached",
        (policy(), role(), attach(), version(2)),
        iam("DeletePolicy", PolicyArn=POLICY),
        Refusal("DeleteConflict", "Cannot delete a policy attached to entities."),
    ),
    Case(
        "DeletePolicy: used as boundary",
        (policy(), role(PermissionsBoundary=POLICY)),
        iam("DeletePolicy", PolicyArn=POLICY),
        Refusal("DeleteConflict", "Cannot delete a policy attached to entities."),
    ),
    Case(
        "DeletePolicy: two versions",
        (policy(), version(2)),
        iam("DeletePolicy", PolicyArn=POLICY),
        Refusal(
            "DeleteConflict",
            "This policy has more than one version. Before you delete a policy, you must delete the "
            "policy's versions. The default version is deleted with the policy.",
        ),
    ),
    Case("DeletePolicy: unknown", (), iam("DeletePolicy", PolicyArn=UNKNOWN), NO_POLICY),
    Case("TagPolicy", (policy(),), iam("TagPolicy", PolicyArn=POLICY, Tags=tags(team="a")), {}),
    Case(
        "TagPolicy: tags are stored",
        (policy(Tags=tags(team="a")), iam("TagPolicy", PolicyArn=POLICY, Tags=tags(stage="x", TEAM="b"))),
        iam("GetPolicy", PolicyArn=POLICY),
        {"Policy": {"Tags": tags(TEAM="b", stage="x")}},
    ),
    Case("TagPolicy: unknown", (), iam("TagPolicy", PolicyArn=UNKNOWN, Tags=tags(a="b")), NO_POLICY),
    Case("UntagPolicy", (policy(),), iam("UntagPolicy", PolicyArn=POLICY, TagKeys=["never"]), {}),
    Case(
        "UntagPolicy: tags are removed",
        (policy(Tags=tags(team="a", b="c")), iam("UntagPolicy", PolicyArn=POLICY, TagKeys=["Team"])),
        iam("GetPolicy", PolicyArn=POLICY),
        {"Policy": {"Tags": tags(b="c")}},
    ),
    Case("UntagPolicy: unknown", (), iam("UntagPolicy", PolicyArn=UNKNOWN, TagKeys=["a"]), NO_POLICY),
)

BARE_ROLE = role(policy=trust(service="ec2.amazonaws.com"))
ASSOCIATIONS = (
    Case(
        "DescribeCluster",
        (),
        eks("DescribeCluster", name=CLUSTER),
        {
            "cluster": {
                "name": CLUSTER,
                "arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}",
                "status": "ACTIVE",
            }
        },
    ),
    Case("DescribeCluster: unknown", (), eks("DescribeCluster", name="nowhere"), NO_CLUSTER),
    Case(
        "CreatePodIdentityAssociation",
        (role(),),
        association(tags={"team": "a"}),
        {
            "association": {
                **IDENTITY,
                "roleArn": role_arn(),
                "tags": {"team": "a"},
                "disableSessionTags": False,
                "targetRoleArn": ABSENT,
                "externalId": ABSENT,
                "policy": ABSENT,
                "ownerArn": ABSENT,
            }
        },
    ),
    Case(
        "CreatePodIdentityAssociation: target role and session policy",
        (role(),),
        association(targetRoleArn=TARGET, policy=SESSION, disableSessionTags=True),
        {
            "association": {
                "targetRoleArn": TARGET,
                "externalId": f"{REGION}/{ACCOUNT}/{CLUSTER}/shop/app",
                "policy": SESSION,
                "disableSessionTags": True,
            }
        },
    ),
    Case(
        "CreatePodIdentityAssociation: empty target role",
        (role(),),
        association(targetRoleArn=""),
        {"association": {"targetRoleArn": ABSENT, "externalId": ABSENT}},
    ),
    Case(
        "CreatePodIdentityAssociation: same service account in another cluster",
        (role(), association()),
        association(cluster=OTHER_CLUSTER),
        {"association": {"clusterName": OTHER_CLUSTER}},
    ),
    Case("CreatePodIdentityAssociation: unknown cluster", (), association(cluster="nowhere"), NO_CLUSTER),
    Case(
        "CreatePodIdentityAssociation: association exists",
        (role(), association()),
        association(roleArn=role_arn("unknown")),
        Refusal("ResourceInUseException", "Association already exists: <id>"),
    ),
    Case("CreatePodIdentityAssociation: unknown role", (), association(), ROLE_MISSING),
    Case(
        "CreatePodIdentityAssociation: role with another path",
        (role(Path="/team/"),),
        association(),
        ROLE_MISSING,
    ),
    Case(
        "CreatePodIdentityAssociation: role in other letter case", (role("App"),), association(), ROLE_MISSING
    ),
    Case("CreatePodIdentityAssociation: role trusts EC2", (BARE_ROLE,), association(), TRUST_INVALID),
    Case(
        "CreatePodIdentityAssociation: role lacks sts:TagSession",
        (role(policy=trust("sts:AssumeRole")),),
        association(),
        TRUST_INVALID,
    ),
    Case(
        "CreatePodIdentityAssociation: actions in two statements",
        (
            role(
                policy={
                    "Version": "2012-10-17",
                    "Statement": [*trust("sts:AssumeRole")["Statement"], *trust("sts:tag*")["Statement"]],
                }
            ),
        ),
        association(),
        {"association": IDENTITY},
    ),
    Case("CreatePodIdentityAssociation: no role", (), association(roleArn=""), CROSS_ACCOUNT),
    Case("CreatePodIdentityAssociation: other account", (), association(roleArn=TARGET), CROSS_ACCOUNT),
    Case(
        "CreatePodIdentityAssociation: ARN of a policy as role",
        (),
        association(roleArn=POLICY),
        invalid(f"Invalid role ARN: {POLICY}"),
    ),
    Case(
        "CreatePodIdentityAssociation: ARN of a policy as target role",
        (role(),),
        association(targetRoleArn=POLICY),
        invalid(f"Invalid target role ARN: {POLICY}"),
    ),
    Case(
        "CreatePodIdentityAssociation: session policy with session tags",
        (role(),),
        association(policy=SESSION),
        TAGS_NEEDED,
    ),
    Case(
        "ListPodIdentityAssociations: summaries",
        (role(), association("b"), association("a", tags={"team": "a"})),
        eks("ListPodIdentityAssociations", clusterName=CLUSTER),
        {
            "associations": [
                {"serviceAccount": "b"},
                {
                    "clusterName": CLUSTER,
                    "namespace": "shop",
                    "serviceAccount": "a",
                    "associationId": "<id>",
                    "associationArn": "<arn>",
                    "roleArn": ABSENT,
                    "tags": ABSENT,
                },
            ]
        },
    ),
    Case(
        "ListPodIdentityAssociations: of one service account",
        (role(), association("b"), association("a"), association("a", OTHER_CLUSTER)),
        eks("ListPodIdentityAssociations", clusterName=CLUSTER, namespace="shop", serviceAccount="a"),
        {"associations": [{"serviceAccount": "a", "clusterName": CLUSTER}]},
    ),
    Case(
        "ListPodIdentityAssociations: none in the namespace",
        (role(), association()),
        eks("ListPodIdentityAssociations", clusterName=CLUSTER, namespace="default"),
        {"associations": []},
    ),
    Case(
        "ListPodIdentityAssociations: unknown cluster",
        (),
        eks("ListPodIdentityAssociations", clusterName="nowhere"),
        NO_CLUSTER,
    ),
    Case(
        "DescribePodIdentityAssociation",
        (role(), association(tags={"team": "a"})),
        eks("DescribePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        {
            "association": {
                **IDENTITY,
                "associationId": "<id>",
                "associationArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/<id>",
                "roleArn": role_arn(),
                "tags": {"team": "a"},
            }
        },
    ),
    Case(
        "DescribePodIdentityAssociation: unknown",
        (),
        eks("DescribePodIdentityAssociation", clusterName=CLUSTER, associationId=UNKNOWN_ID),
        NO_ASSOCIATION,
    ),
    Case(
        "DescribePodIdentityAssociation: of another cluster",
        (role(), association(cluster=OTHER_CLUSTER)),
        eks("DescribePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        Refusal(
            "ResourceNotFoundException", f"The association with ID <id> was not found in cluster {CLUSTER}."
        ),
    ),
    Case(
        "UpdatePodIdentityAssociation: omitted members are kept",
        (role(), association(targetRoleArn=TARGET, policy=SESSION, disableSessionTags=True)),
        update(policy=json.dumps(document("s3:ListBucket"))),
        {
            "association": {
                **IDENTITY,
                "roleArn": role_arn(),
                "targetRoleArn": TARGET,
                "policy": json.dumps(document("s3:ListBucket")),
                "disableSessionTags": True,
            }
        },
    ),
    Case(
        "UpdatePodIdentityAssociation: another role",
        (role(), role("other"), association()),
        update(roleArn=role_arn("other"), disableSessionTags=True),
        {"association": {"roleArn": role_arn("other"), "disableSessionTags": True}},
    ),
    Case(
        "UpdatePodIdentityAssociation: omitted role is not checked",
        (
            role(),
            association(),
            iam(
                "UpdateAssumeRolePolicy",
                RoleName="app",
                PolicyDocument=json.dumps(trust(service="ec2.amazonaws.com")),
            ),
        ),
        update(targetRoleArn=TARGET),
        {"association": {"targetRoleArn": TARGET, "externalId": f"{REGION}/{ACCOUNT}/{CLUSTER}/shop/app"}},
    ),
    Case(
        "UpdatePodIdentityAssociation: target role is removed",
        (role(), association(targetRoleArn=TARGET)),
        update(targetRoleArn=""),
        {"association": {"targetRoleArn": ABSENT, "externalId": ABSENT}},
    ),
    Case(
        "UpdatePodIdentityAssociation: unknown role",
        (role(), association()),
        update(roleArn=role_arn("unknown")),
        ROLE_MISSING,
    ),
    Case(
        "UpdatePodIdentityAssociation: role trusts EC2",
        (role(), role("other", trust(service="ec2.amazonaws.com")), association()),
        update(roleArn=role_arn("other")),
        TRUST_INVALID,
    ),
    Case(
        "UpdatePodIdentityAssociation: session policy cannot be removed",
        (role(), association(policy=SESSION, disableSessionTags=True)),
        update(policy=""),
        invalid("policy must not be empty. A session policy cannot be removed."),
    ),
    Case(
        "UpdatePodIdentityAssociation: session tags with a session policy",
        (role(), association(policy=SESSION, disableSessionTags=True)),
        update(disableSessionTags=False),
        TAGS_NEEDED,
    ),
    Case(
        "UpdatePodIdentityAssociation: session policy too long",
        (role(), association(disableSessionTags=True)),
        update(policy=json.dumps(document("s3:" + "x" * 2048))),
        invalid("policy must not be longer than 2048 characters."),
    ),
    Case(
        "UpdatePodIdentityAssociation: unknown",
        (),
        eks("UpdatePodIdentityAssociation", clusterName=CLUSTER, associationId=UNKNOWN_ID, targetRoleArn=""),
        NO_ASSOCIATION,
    ),
    Case(
        "DeletePodIdentityAssociation",
        (role(), association()),
        eks("DeletePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        {"association": {**IDENTITY, "associationId": "<id>"}},
    ),
    Case(
        "DeletePodIdentityAssociation: association can be created again",
        (
            role(),
            association(),
            eks("DeletePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        ),
        association(),
        {"association": IDENTITY},
    ),
    Case(
        "DeletePodIdentityAssociation: unknown",
        (),
        eks("DeletePodIdentityAssociation", clusterName=CLUSTER, associationId=UNKNOWN_ID),
        NO_ASSOCIATION,
    ),
    Case(
        "TagResource", (role(), association()), eks("TagResource", resourceArn="<arn>", tags={"a": "b"}), {}
    ),
    Case(
        "TagResource: keys are case-sensitive",
        (role(), association(tags={"a": "b"}), eks("TagResource", resourceArn="<arn>", tags={"A": "c"})),
        eks("DescribePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        {"association": {"tags": {"a": "b", "A": "c"}}},
    ),
    Case(
        "TagResource: unknown",
        (role(), association()),
        eks("TagResource", resourceArn="<arn>x", tags={"a": "b"}),
        Refusal("NotFoundException", "The resource with ARN <arn>x was not found."),
    ),
    Case(
        "UntagResource",
        (role(), association(tags={"a": "b"})),
        eks("UntagResource", resourceArn="<arn>", tagKeys=["a", "never"]),
        {},
    ),
    Case(
        "UntagResource: tags are removed",
        (role(), association(tags={"a": "b"}), eks("UntagResource", resourceArn="<arn>", tagKeys=["a", "A"])),
        eks("DescribePodIdentityAssociation", clusterName=CLUSTER, associationId="<id>"),
        {"association": {"tags": {"a": ABSENT}}},
    ),
    Case(
        "UntagResource: unknown",
        (role(), association()),
        eks("UntagResource", resourceArn="<arn>x", tagKeys=["a"]),
        Refusal("NotFoundException", "The resource with ARN <arn>x was not found."),
    ),
)

CALLER = (Case("GetCallerIdentity", (), Request("sts", "GetCallerIdentity", {}), {"Account": ACCOUNT}),)

CASES = (*ROLES, *ATTACHMENTS, *POLICIES, *ASSOCIATIONS, *CALLER)
