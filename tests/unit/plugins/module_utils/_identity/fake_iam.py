# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""IAM in memory, as far as the engine uses it. Documents come back decoded, as boto3 returns them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify

Answer = dict[str, Any]
ATTACHMENTS = 10
VERSIONS = 5
CREATED = datetime(2026, 11, 24, 10, 0, tzinfo=timezone.utc)


class FakeIam:
    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.roles: dict[str, Answer] = {}
        self.policies: dict[str, Answer] = {}

    def state(self) -> Answer:
        """Everything that is there, without numbers that depend on the way to it."""
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

    # Roles

    def GetRole(self, asked: Mapping[str, Any]) -> Answer:
        role = self._role(asked)
        answer = {key: role[key] for key in ("RoleName", "Arn", "Path", "CreateDate")}
        answer["AssumeRolePolicyDocument"] = json.loads(role["trust"])
        answer["MaxSessionDuration"] = role["duration"]
        answer["Tags"] = _tag_list(role["tags"])
        if role["description"]:
            answer["Description"] = role["description"]
        if role["boundary"]:
            answer["PermissionsBoundary"] = {
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": role["boundary"],
            }
        return {"Role": answer}

    def CreateRole(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["RoleName"]
        if name.lower() in self.roles:
            raise classify("iam:CreateRole", "EntityAlreadyExists", f"Role with name {name} already exists.")
        boundary = asked.get("PermissionsBoundary", "")
        self._check_boundary("CreateRole", boundary)
        self._check_trust("CreateRole", asked["AssumeRolePolicyDocument"])
        self.roles[name.lower()] = {
            "RoleName": name,
            "Path": asked.get("Path", "/"),
            "Arn": f"arn:aws:iam::{self.account_id}:role{asked.get('Path', '/')}{name}",
            "CreateDate": CREATED,
            "trust": asked["AssumeRolePolicyDocument"],
            "duration": asked.get("MaxSessionDuration", 3600),
            "description": asked.get("Description", ""),
            "boundary": boundary,
            "tags": _tag_map(asked.get("Tags", ())),
            "attached": [],
            "inline": [],
            "profiles": [],
        }
        return self.GetRole(asked)

    def UpdateRole(self, asked: Mapping[str, Any]) -> Answer:
        role = self._role(asked)
        role["description"] = asked.get("Description", "")
        role["duration"] = asked.get("MaxSessionDuration", 3600)
        return {}

    def DeleteRole(self, asked: Mapping[str, Any]) -> Answer:
        role = self._role(asked)
        if role["attached"] or role["inline"] or role["profiles"]:
            raise classify("iam:DeleteRole", "DeleteConflict", "Cannot delete entity, must detach first.")
        del self.roles[asked["RoleName"].lower()]
        return {}

    def UpdateAssumeRolePolicy(self, asked: Mapping[str, Any]) -> Answer:
        self._check_trust("UpdateAssumeRolePolicy", asked["PolicyDocument"])
        self._role(asked)["trust"] = asked["PolicyDocument"]
        return {}

    def PutRolePermissionsBoundary(self, asked: Mapping[str, Any]) -> Answer:
        self._check_boundary("PutRolePermissionsBoundary", asked["PermissionsBoundary"])
        self._role(asked)["boundary"] = asked["PermissionsBoundary"]
        return {}

    def DeleteRolePermissionsBoundary(self, asked: Mapping[str, Any]) -> Answer:
        self._role(asked)["boundary"] = ""
        return {}

    def TagRole(self, asked: Mapping[str, Any]) -> Answer:
        self._role(asked)["tags"].update(_tag_map(asked["Tags"]))
        return {}

    def UntagRole(self, asked: Mapping[str, Any]) -> Answer:
        for key in asked["TagKeys"]:
            self._role(asked)["tags"].pop(key, None)
        return {}

    def ListAttachedRolePolicies(self, asked: Mapping[str, Any]) -> Answer:
        attached = self._role(asked)["attached"]
        return {
            "AttachedPolicies": [{"PolicyArn": arn, "PolicyName": arn.split("/")[-1]} for arn in attached]
        }

    def ListRolePolicies(self, asked: Mapping[str, Any]) -> Answer:
        return {"PolicyNames": list(self._role(asked)["inline"])}

    def ListInstanceProfilesForRole(self, asked: Mapping[str, Any]) -> Answer:
        profiles = self._role(asked)["profiles"]
        return {"InstanceProfiles": [{"InstanceProfileName": name} for name in profiles]}

    def AttachRolePolicy(self, asked: Mapping[str, Any]) -> Answer:
        attached = self._role(asked)["attached"]
        self._policy(asked)
        if asked["PolicyArn"] not in attached:
            if len(attached) >= ATTACHMENTS:
                raise classify("iam:AttachRolePolicy", "LimitExceeded", "Cannot exceed quota")
            attached.append(asked["PolicyArn"])
        return {}

    def DetachRolePolicy(self, asked: Mapping[str, Any]) -> Answer:
        attached = self._role(asked)["attached"]
        if asked["PolicyArn"] not in attached:
            raise classify(
                "iam:DetachRolePolicy", "NoSuchEntity", f"Policy {asked['PolicyArn']} was not found."
            )
        attached.remove(asked["PolicyArn"])
        return {}

    # In bulk

    def GetAccountAuthorizationDetails(self, asked: Mapping[str, Any]) -> Answer:
        """Roles without description and duration, policies without tags, as IAM tells them."""
        assert "Role" in asked["Filter"]
        roles = []
        for role in self.roles.values():
            found = self.GetRole(role)["Role"]
            for key in ("Description", "MaxSessionDuration"):
                found.pop(key, None)
            attached = self.ListAttachedRolePolicies(role)["AttachedPolicies"]
            inline = [{"PolicyName": name, "PolicyDocument": {}} for name in role["inline"]]
            profiles = self.ListInstanceProfilesForRole(role)["InstanceProfiles"]
            more = {"RolePolicyList": inline, "InstanceProfileList": profiles}
            roles.append({**found, "AttachedManagedPolicies": attached, **more})
        policies = []
        for arn, policy in self.policies.items():
            if ":iam::aws:" in arn or "LocalManagedPolicy" not in asked["Filter"]:
                continue
            found = self.GetPolicy({"PolicyArn": arn})["Policy"]
            del found["Tags"]
            versions = self.ListPolicyVersions({"PolicyArn": arn})["Versions"]
            written = [{**one, "Document": policy["versions"][one["VersionId"]]} for one in versions]
            policies.append({**found, "PolicyVersionList": written})
        return {"RoleDetailList": roles, "Policies": policies, "IsTruncated": False}

    def ListRoles(self, asked: Mapping[str, Any]) -> Answer:
        """All on one page; IAM leaves tags and boundary out here."""
        assert asked["MaxItems"]
        roles = [self.GetRole(role)["Role"] for role in self.roles.values()]
        for role in roles:
            role.pop("Tags")
            role.pop("PermissionsBoundary", None)
        return {"Roles": roles, "IsTruncated": False}

    # Policies

    def GetPolicy(self, asked: Mapping[str, Any]) -> Answer:
        policy = self._policy(asked)
        arn = asked["PolicyArn"]
        roles = [arn in role["attached"] for role in self.roles.values()]
        answer = {
            "Arn": arn,
            "PolicyName": arn.split("/")[-1],
            "DefaultVersionId": policy["default"],
            "AttachmentCount": sum(roles) + len(policy["users"]) + len(policy["groups"]),
            "PermissionsBoundaryUsageCount": sum(arn == role["boundary"] for role in self.roles.values()),
            "Tags": _tag_list(policy["tags"]),
        }
        return {"Policy": answer}

    def CreatePolicy(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["PolicyName"]
        if any(arn.split("/")[-1].lower() == name.lower() for arn in self.policies):
            raise classify(
                "iam:CreatePolicy", "EntityAlreadyExists", f"A policy called {name} already exists."
            )
        arn = f"arn:aws:iam::{self.account_id}:policy{asked.get('Path', '/')}{name}"
        self.policies[arn] = {
            "default": "v1",
            "last": 1,
            "versions": {"v1": json.loads(asked["PolicyDocument"])},
            "tags": _tag_map(asked.get("Tags", ())),
            "description": asked.get("Description", ""),
            "users": [],
            "groups": [],
        }
        return self.GetPolicy({"PolicyArn": arn})

    def CreatePolicyVersion(self, asked: Mapping[str, Any]) -> Answer:
        policy = self._policy(asked)
        if len(policy["versions"]) >= VERSIONS:
            raise classify("iam:CreatePolicyVersion", "LimitExceeded", "A policy can have 5 versions.")
        policy["last"] += 1
        version = f"v{policy['last']}"
        policy["versions"][version] = json.loads(asked["PolicyDocument"])
        if asked.get("SetAsDefault"):
            policy["default"] = version
        return {"PolicyVersion": {"VersionId": version, "IsDefaultVersion": True}}

    def GetPolicyVersion(self, asked: Mapping[str, Any]) -> Answer:
        versions = self._policy(asked)["versions"]
        if asked["VersionId"] not in versions:
            raise classify("iam:GetPolicyVersion", "NoSuchEntity", "This version was not found.")
        return {"PolicyVersion": {"Document": versions[asked["VersionId"]], "VersionId": asked["VersionId"]}}

    def ListPolicyVersions(self, asked: Mapping[str, Any]) -> Answer:
        policy = self._policy(asked)
        return {
            "Versions": [
                {"VersionId": version, "IsDefaultVersion": version == policy["default"]}
                for version in policy["versions"]
            ]
        }

    def DeletePolicyVersion(self, asked: Mapping[str, Any]) -> Answer:
        policy = self._policy(asked)
        if asked["VersionId"] == policy["default"]:
            raise classify("iam:DeletePolicyVersion", "DeleteConflict", "Cannot delete the default version.")
        del policy["versions"][asked["VersionId"]]
        return {}

    def DeletePolicy(self, asked: Mapping[str, Any]) -> Answer:
        used = self.ListEntitiesForPolicy(asked)
        policy = self._policy(asked)
        if used["PolicyRoles"] or used["PolicyUsers"] or used["PolicyGroups"] or len(policy["versions"]) > 1:
            raise classify("iam:DeletePolicy", "DeleteConflict", "Cannot delete a policy that is in use.")
        del self.policies[asked["PolicyArn"]]
        return {}

    def ListEntitiesForPolicy(self, asked: Mapping[str, Any]) -> Answer:
        policy, arn = self._policy(asked), asked["PolicyArn"]
        roles = [
            {"RoleName": role["RoleName"]}
            for role in self.roles.values()
            if arn in role["attached"] or arn == role["boundary"]
        ]
        return {
            "PolicyRoles": roles,
            "PolicyUsers": [{"UserName": name} for name in policy["users"]],
            "PolicyGroups": [{"GroupName": name} for name in policy["groups"]],
            "IsTruncated": False,
        }

    def TagPolicy(self, asked: Mapping[str, Any]) -> Answer:
        self._policy(asked)["tags"].update(_tag_map(asked["Tags"]))
        return {}

    def UntagPolicy(self, asked: Mapping[str, Any]) -> Answer:
        for key in asked["TagKeys"]:
            self._policy(asked)["tags"].pop(key, None)
        return {}

    # Helpers

    def _role(self, asked: Mapping[str, Any]) -> Answer:
        name = asked["RoleName"]
        if name.lower() not in self.roles:
            raise classify("iam", "NoSuchEntity", f"The role with name {name} cannot be found.")
        return self.roles[name.lower()]

    def _policy(self, asked: Mapping[str, Any]) -> Answer:
        arn = asked["PolicyArn"]
        if arn not in self.policies:
            raise classify("iam", "NoSuchEntity", f"Policy {arn} was not found.")
        return self.policies[arn]

    def _check_boundary(self, operation: str, arn: str) -> None:
        if arn and arn not in self.policies:
            raise classify(
                f"iam:{operation}", "NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable."
            )

    def _check_trust(self, operation: str, document: str) -> None:
        if len(document) > 2048:
            raise classify(f"iam:{operation}", "LimitExceeded", "Cannot exceed ACLSizePerRole: 2048")
        if not json.loads(document)["Statement"]:
            raise classify(f"iam:{operation}", "MalformedPolicyDocument", "Missing field Statement")


def _plain(role: Answer) -> Answer:
    kept = {key: value for key, value in role.items() if key not in ("CreateDate", "trust", "attached")}
    return {**kept, "trust": json.loads(role["trust"]), "attached": sorted(role["attached"])}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tag_map(tags: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}
