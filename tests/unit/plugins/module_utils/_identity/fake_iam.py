# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake IAM in memory, with the operations that the engine uses. As in boto3, documents in responses are decoded.

tests/emulators compares its responses with the sandbox. This fake does not check the grammar of permissions policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError

Answer = dict[str, Any]
ATTACHMENTS = 10
VERSIONS = 5
TAGS = 50
TRUST_SIZE = 2048
CREATED = datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)


class FakeIam:
    """IAM in memory. Its errors have no operation; FakeAws adds it."""

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.roles: dict[str, Answer] = {}
        self.policies: dict[str, Answer] = {}
        self.roles_made = 0

    def state(self) -> Answer:
        """Return all roles and policies without IDs, and only the default version of each policy."""
        return {
            "roles": {name: _plain(role) for name, role in sorted(self.roles.items())},
            "policies": {
                arn: {
                    "document": policy["versions"][policy["default"]],
                    "tags": policy["tags"],
                    "description": policy["description"],
                }
                for arn, policy in sorted(self.policies.items())
            },
        }

    # Operations for roles

    def GetRole(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        tags = {"Tags": _tag_list(role["tags"])} if role["tags"] else {}
        return {"Role": {**_summary(role), **_boundary(role), **tags}}

    def CreateRole(self, request: Mapping[str, Any]) -> Answer:
        """Create a role. As in IAM, the response has no description and no session duration."""
        name = request["RoleName"]
        self._check_trust(request["AssumeRolePolicyDocument"])
        tags = _with_tags({}, request.get("Tags", ()), "TagsPerRole")
        if name.lower() in self.roles:
            raise refusal("EntityAlreadyExists", f"Role with name {name} already exists.")
        boundary = request.get("PermissionsBoundary", "")
        self._check_boundary(boundary)
        self.roles_made += 1
        self.roles[name.lower()] = {
            "RoleName": name,
            "RoleId": f"AROA{self.roles_made:017d}",
            "Path": request.get("Path", "/"),
            "Arn": f"arn:aws:iam::{self.account_id}:role{request.get('Path', '/')}{name}",
            "CreateDate": CREATED,
            "trust": request["AssumeRolePolicyDocument"],
            "duration": request.get("MaxSessionDuration", 3600),
            "description": request.get("Description", ""),
            "boundary": boundary,
            "tags": tags,
            "attached": [],
            "inline": [],
            "profiles": [],
        }
        role = self.GetRole(request)["Role"]
        return {"Role": _without(role, "Description", "MaxSessionDuration")}

    def UpdateRole(self, request: Mapping[str, Any]) -> Answer:
        """Update a role. Without a session duration, the request sets it to the default. An omitted description is kept."""
        role = self._role(request)
        role["description"] = request.get("Description", role["description"])
        role["duration"] = request.get("MaxSessionDuration", 3600)
        return {}

    def DeleteRole(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        for users, remedy in (
            (role["profiles"], "must remove roles from instance profile first."),
            (role["attached"], "must detach all policies first."),
            (role["inline"], "must delete policies first."),
        ):
            if users:
                raise refusal("DeleteConflict", f"Cannot delete entity, {remedy}")
        del self.roles[request["RoleName"].lower()]
        return {}

    def UpdateAssumeRolePolicy(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        self._check_trust(request["PolicyDocument"])
        role["trust"] = request["PolicyDocument"]
        return {}

    def PutRolePermissionsBoundary(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        self._check_boundary(request["PermissionsBoundary"])
        role["boundary"] = request["PermissionsBoundary"]
        return {}

    def DeleteRolePermissionsBoundary(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        if not role["boundary"]:
            text = f"Principal {role['RoleId']} does not have a permissions boundary."
            raise refusal("NoSuchEntity", text)
        role["boundary"] = ""
        return {}

    def TagRole(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        role["tags"] = _with_tags(role["tags"], request["Tags"], "TagsPerRole")
        return {}

    def UntagRole(self, request: Mapping[str, Any]) -> Answer:
        role = self._role(request)
        role["tags"] = _without_tags(role["tags"], request["TagKeys"])
        return {}

    def ListAttachedRolePolicies(self, request: Mapping[str, Any]) -> Answer:
        attached = sorted(self._role(request)["attached"])
        named = [{"PolicyArn": arn, "PolicyName": arn.split("/")[-1]} for arn in attached]
        return {"AttachedPolicies": named, "IsTruncated": False}

    def ListRolePolicies(self, request: Mapping[str, Any]) -> Answer:
        return {"PolicyNames": sorted(self._role(request)["inline"]), "IsTruncated": False}

    def ListInstanceProfilesForRole(self, request: Mapping[str, Any]) -> Answer:
        profiles = sorted(self._role(request)["profiles"])
        named = [{"InstanceProfileName": name} for name in profiles]
        return {"InstanceProfiles": named, "IsTruncated": False}

    def GetAccountSummary(self, _request: Any) -> dict[str, Any]:
        return {
            "SummaryMap": {"AttachedPoliciesPerRoleQuota": ATTACHMENTS, "AssumeRolePolicySizeQuota": 2048}
        }

    def AttachRolePolicy(self, request: Mapping[str, Any]) -> Answer:
        attached = self._role(request)["attached"]
        arn = request["PolicyArn"]
        if arn not in self.policies:
            raise refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
        if arn not in attached:
            if len(attached) >= ATTACHMENTS:
                raise exceeded("PoliciesPerRole", ATTACHMENTS)
            attached.append(arn)
        return {}

    def DetachRolePolicy(self, request: Mapping[str, Any]) -> Answer:
        attached = self._role(request)["attached"]
        if request["PolicyArn"] not in attached:
            raise refusal("NoSuchEntity", f"Policy {request['PolicyArn']} was not found.")
        attached.remove(request["PolicyArn"])
        return {}

    # Operations that read several resources

    def GetAccountAuthorizationDetails(self, request: Mapping[str, Any]) -> Answer:
        """Return all roles and, if the filter includes them, the customer managed policies.

        As in IAM, roles have no description and no session duration, and policies have no description and no tags.
        """
        assert "Role" in request["Filter"]
        roles = []
        for role in self._sorted_roles():
            plain = _without(_summary(role), "Description", "MaxSessionDuration")
            attached = self.ListAttachedRolePolicies(role)["AttachedPolicies"]
            inline = [{"PolicyName": name, "PolicyDocument": {}} for name in role["inline"]]
            more = {
                "RolePolicyList": inline,
                "InstanceProfileList": self.ListInstanceProfilesForRole(role)["InstanceProfiles"],
                "AttachedManagedPolicies": attached,
                "Tags": _tag_list(role["tags"]),
            }
            roles.append({**plain, **_boundary(role), **more})
        policies = []
        for arn, policy in sorted(self.policies.items()):
            if ":iam::aws:" in arn or "LocalManagedPolicy" not in request["Filter"]:
                continue
            plain = _without(self.GetPolicy({"PolicyArn": arn})["Policy"], "Tags", "Description")
            versions = [
                {**_version(policy, version), "Document": document}
                for version, document in policy["versions"].items()
            ]
            policies.append({**plain, "PolicyVersionList": versions})
        return {"RoleDetailList": roles, "Policies": policies, "IsTruncated": False}

    def ListRoles(self, request: Mapping[str, Any]) -> Answer:
        """Return all roles on one page. As in IAM, they have no tags and no permissions boundary."""
        assert request["MaxItems"]
        return {"Roles": [_summary(role) for role in self._sorted_roles()], "IsTruncated": False}

    # Operations for policies

    def ListPolicies(self, request: Mapping[str, Any]) -> Answer:
        """Return all customer managed policies on one page. As in IAM, they have no tags and no description."""
        assert request["Scope"] == "Local"
        policies = [self.GetPolicy({"PolicyArn": arn})["Policy"] for arn in self.policies]
        return {
            "Policies": [_without(policy, "Tags", "Description") for policy in policies],
            "IsTruncated": False,
        }

    def GetPolicy(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        arn = request["PolicyArn"]
        roles = [arn in role["attached"] for role in self.roles.values()]
        answer = {
            "Arn": arn,
            "PolicyName": arn.split("/")[-1],
            "DefaultVersionId": policy["default"],
            "AttachmentCount": sum(roles) + len(policy["users"]) + len(policy["groups"]),
            "PermissionsBoundaryUsageCount": sum(arn == role["boundary"] for role in self.roles.values()),
            "Tags": _tag_list(policy["tags"]),
        }
        description = policy.get("description")
        return {"Policy": {**answer, **({"Description": description} if description else {})}}

    def CreatePolicy(self, request: Mapping[str, Any]) -> Answer:
        """Create a policy. As in IAM, the response has the member Tags only if the policy has tags."""
        name = request["PolicyName"]
        document = json.loads(request["PolicyDocument"])
        tags = _with_tags({}, request.get("Tags", ()), "TagsPerPolicy")
        if any(arn.split("/")[-1].lower() == name.lower() for arn in self.policies):
            text = f"A policy called {name} already exists. Duplicate names are not allowed."
            raise refusal("EntityAlreadyExists", text)
        arn = f"arn:aws:iam::{self.account_id}:policy{request.get('Path', '/')}{name}"
        self.policies[arn] = {
            "default": "v1",
            "last": 1,
            "versions": {"v1": document},
            "tags": tags,
            "description": request.get("Description", ""),
            "users": [],
            "groups": [],
        }
        policy = _without(self.GetPolicy({"PolicyArn": arn})["Policy"], "Description")
        return {"Policy": policy if tags else _without(policy, "Tags")}

    def CreatePolicyVersion(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        if len(policy["versions"]) >= VERSIONS:
            raise refusal(
                "LimitExceeded",
                f"A managed policy can have up to {VERSIONS} versions. Before you create a new version, "
                "you must delete an existing version.",
            )
        policy["last"] += 1
        version = f"v{policy['last']}"
        policy["versions"][version] = json.loads(request["PolicyDocument"])
        if request.get("SetAsDefault"):
            policy["default"] = version
        return {"PolicyVersion": _version(policy, version)}

    def GetPolicyVersion(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        version = self._version_id(policy, request)
        return {"PolicyVersion": {**_version(policy, version), "Document": policy["versions"][version]}}

    def ListPolicyVersions(self, request: Mapping[str, Any]) -> Answer:
        """Return the versions of a policy, the newest first."""
        policy = self._policy(request)
        versions = [_version(policy, version) for version in reversed(policy["versions"])]
        return {"Versions": versions, "IsTruncated": False}

    def DeletePolicyVersion(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        version = self._version_id(policy, request)
        if version == policy["default"]:
            raise refusal("DeleteConflict", "Cannot delete the default version of a policy.")
        del policy["versions"][version]
        return {}

    def DeletePolicy(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        used = self.ListEntitiesForPolicy(request)
        if used["PolicyRoles"] or used["PolicyUsers"] or used["PolicyGroups"]:
            raise refusal("DeleteConflict", "Cannot delete a policy attached to entities.")
        if len(policy["versions"]) > 1:
            raise refusal(
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must delete the "
                "policy's versions. The default version is deleted with the policy.",
            )
        del self.policies[request["PolicyArn"]]
        return {}

    def ListEntitiesForPolicy(self, request: Mapping[str, Any]) -> Answer:
        policy, arn = self._policy(request), request["PolicyArn"]
        roles = [
            {"RoleName": role["RoleName"]}
            for role in self._sorted_roles()
            if arn in role["attached"] or arn == role["boundary"]
        ]
        return {
            "PolicyRoles": roles,
            "PolicyUsers": [{"UserName": name} for name in policy["users"]],
            "PolicyGroups": [{"GroupName": name} for name in policy["groups"]],
            "IsTruncated": False,
        }

    def TagPolicy(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        policy["tags"] = _with_tags(policy["tags"], request["Tags"], "TagsPerPolicy")
        return {}

    def UntagPolicy(self, request: Mapping[str, Any]) -> Answer:
        policy = self._policy(request)
        policy["tags"] = _without_tags(policy["tags"], request["TagKeys"])
        return {}

    # Helpers of the operations

    def _role(self, request: Mapping[str, Any]) -> Answer:
        name = request["RoleName"]
        if name.lower() not in self.roles:
            raise refusal("NoSuchEntity", f"The role with name {name} cannot be found.")
        return self.roles[name.lower()]

    def _sorted_roles(self) -> list[Answer]:
        return sorted(self.roles.values(), key=itemgetter("RoleName"))

    def _policy(self, request: Mapping[str, Any]) -> Answer:
        arn = request["PolicyArn"]
        if arn not in self.policies:
            raise refusal("NoSuchEntity", f"Policy {arn} was not found.")
        return self.policies[arn]

    def _version_id(self, policy: Answer, request: Mapping[str, Any]) -> str:
        version = str(request["VersionId"])
        if version not in policy["versions"]:
            text = f"Policy {request['PolicyArn']} version {version} does not exist or is not attachable."
            raise refusal("NoSuchEntity", text)
        return version

    def _check_boundary(self, arn: str) -> None:
        if arn and arn not in self.policies:
            raise refusal("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.")

    def _check_trust(self, document: str) -> None:
        try:
            statements = json.loads(document).get("Statement")
        except ValueError:
            raise refusal("MalformedPolicyDocument", "This policy contains invalid Json") from None
        if not statements:
            raise refusal("MalformedPolicyDocument", "Syntax errors in policy.")
        for statement in as_list(statements):
            if "Resource" in statement:
                raise refusal("MalformedPolicyDocument", "Has prohibited field Resource")
        if len("".join(document.split())) > TRUST_SIZE:
            raise exceeded("ACLSizePerRole", TRUST_SIZE)


def refusal(code: str, text: str) -> AwsError:
    return classify("", code, text)


def exceeded(quota: str, limit: int) -> AwsError:
    return refusal("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}")


def as_list(value: Any) -> list[Any]:
    """Return the values of a policy element, which may be a single value or a list."""
    return value if isinstance(value, list) else [value]


def _plain(role: Answer) -> Answer:
    fields = _without(role, "RoleId", "CreateDate", "trust", "attached")
    return {**fields, "trust": json.loads(role["trust"]), "attached": sorted(role["attached"])}


def _summary(role: Answer) -> Answer:
    """Return the fields that ListRoles returns for a role."""
    answer = {key: role[key] for key in ("RoleName", "RoleId", "Arn", "Path", "CreateDate")}
    answer["AssumeRolePolicyDocument"] = json.loads(role["trust"])
    answer["MaxSessionDuration"] = role["duration"]
    if role["description"]:
        answer["Description"] = role["description"]
    return answer


def _boundary(role: Answer) -> Answer:
    if not role["boundary"]:
        return {}
    kind = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": role["boundary"]}
    return {"PermissionsBoundary": kind}


def _version(policy: Answer, version: str) -> Answer:
    return {"VersionId": version, "IsDefaultVersion": version == policy["default"]}


def _without(answer: Answer, *keys: str) -> Answer:
    return {key: value for key, value in answer.items() if key not in keys}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _with_tags(present: Mapping[str, str], added: Iterable[Mapping[str, str]], quota: str) -> dict[str, str]:
    """Return the tags of a resource after new tags are added.

    Keys are case-insensitive, and get the letter case of the newest tag.
    """
    merged = {key.lower(): (key, value) for key, value in present.items()}
    new = [(tag["Key"], tag["Value"]) for tag in added]
    if len({key.lower() for key, _ in new}) != len(new):
        text = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise refusal("InvalidInput", text)
    if any(key.lower().startswith("aws:") for key, _ in new):
        raise refusal("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use.")
    merged.update((key.lower(), (key, value)) for key, value in new)
    if len(merged) > TAGS:
        raise exceeded(quota, TAGS)
    return dict(merged.values())


def _without_tags(present: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    removed = {key.lower() for key in keys}
    return {key: value for key, value in present.items() if key.lower() not in removed}
