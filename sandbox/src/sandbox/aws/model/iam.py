# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""IAM: roles and managed policies, and in less detail users, groups and instance profiles."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.aws.model.documents import as_list, check_identity_policy
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.policies import NO_POLICIES, Policies, shown_version
from sandbox.aws.model.roles import ATTACHMENTS, attached, boundary, parsed, summary, tag_list, with_tags
from sandbox.aws.model.tables import Answer, Request, page, random_text, without

ALL_SERVICES = ("dynamodb", "ec2", "eks", "iam", "s3", "sqs", "sts")


class Iam(Policies):
    """IAM of one account."""

    def __init__(self, account_id: str, aws_managed: Mapping[str, Answer] = NO_POLICIES) -> None:
        super().__init__(account_id, aws_managed)
        # The granularity and the role of each report about the last access.
        self.jobs: dict[str, tuple[str, str]] = {}

    def GetAccountSummary(self, _request: Request) -> Answer:
        return {
            "SummaryMap": {"AttachedPoliciesPerRoleQuota": ATTACHMENTS, "AssumeRolePolicySizeQuota": 2048}
        }

    def GetAccountAuthorizationDetails(self, request: Request) -> Answer:
        """Return a page of the roles, then of the managed policies that the filter includes; users and groups are left out.

        As in IAM, roles have no description and no session duration, and policies have no tags.
        """
        kinds = set(request.get("Filter") or ("Role", "LocalManagedPolicy", "AWSManagedPolicy"))
        usage = self._usage()
        entries = [(f"1{role['RoleName']}", role) for role in self.roles.values() if "Role" in kinds]
        for arn in self.policies:
            aws = arn.startswith("arn:aws:iam::aws:")
            if ("AWSManagedPolicy" in kinds and usage[0][arn]) if aws else ("LocalManagedPolicy" in kinds):
                entries.append((f"2{arn}", {"Arn": arn}))
        found = page(request, "all", entries, lambda record: record)
        answer: Answer = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
        for record in found.pop("all"):
            if "RoleName" in record:
                answer["RoleDetailList"].append(self._role_details(record))
            else:
                answer["Policies"].append(self._policy_details(record["Arn"], *usage))
        return {**answer, **found}

    def _role_details(self, role: Request) -> Answer:
        inline = role["inline"]
        return {
            **without(summary(role), "Description", "MaxSessionDuration"),
            **boundary(role),
            "RolePolicyList": [
                {"PolicyName": name, "PolicyDocument": parsed(text)} for name, text in inline.items()
            ],
            "InstanceProfileList": self.ListInstanceProfilesForRole(role)["InstanceProfiles"],
            "AttachedManagedPolicies": [attached(arn) for arn in sorted(role["attached"])],
            "Tags": tag_list(role["tags"]),
            **self.last_use(role),
        }

    def _policy_details(self, arn: str, *usage: Any) -> Answer:
        policy = self.policies[arn]
        versions = [
            {**shown_version(policy, version), "Document": document}
            for version, document in policy["versions"].items()
        ]
        described = {"Description": policy["description"]} if policy["description"] else {}
        return {**self._summary(arn, *usage), **described, "PolicyVersionList": versions}

    # Users, groups and instance profiles

    def CreateUser(self, request: Request) -> Answer:
        name, path = request["UserName"], request.get("Path", "/")
        if name in self.users:
            raise Refusal("EntityAlreadyExists", f"User with name {name} already exists.")
        self.users[name] = {
            "UserName": name,
            "UserId": self.new_id("AIDA"),
            "Path": path,
            "Arn": self.arn("user", path, name),
            "CreateDate": self.now(),
            "tags": with_tags({}, request.get("Tags", ()), "TagsPerUser"),
            "boundary": request.get("PermissionsBoundary", ""),
            "inline": {},
        }
        return self.GetUser(request)

    def GetUser(self, request: Request) -> Answer:
        user = self._user(request)
        return {"User": {key: value for key, value in user.items() if key[0].isupper()}}

    def PutUserPolicy(self, request: Request) -> Answer:
        check_identity_policy(request["PolicyDocument"], managed=False)
        self._user(request)["inline"][request["PolicyName"]] = request["PolicyDocument"]
        return {}

    def DeleteUserPolicy(self, request: Request) -> Answer:
        self._user(request)["inline"].pop(request["PolicyName"], None)
        return {}

    def AttachUserPolicy(self, request: Request) -> Answer:
        return _add(self.attachable(request["PolicyArn"])["users"], self._user(request)["UserName"])

    def CreateAccessKey(self, request: Request) -> Answer:
        user = self._user(request)["UserName"]
        key = {
            "UserName": user,
            "AccessKeyId": "AKIA" + random_text(16),
            "Status": "Active",
            "SecretAccessKey": random_text(40, "abcdefghijklmnopqrstuvwxyz"),
            "CreateDate": self.now(),
        }
        self.access_keys[key["AccessKeyId"]] = key
        return {"AccessKey": key}

    def CreateGroup(self, request: Request) -> Answer:
        name, path = request["GroupName"], request.get("Path", "/")
        ids = {"GroupId": self.new_id("AGPA"), "Arn": self.arn("group", path, name), "CreateDate": self.now()}
        self.groups[name] = {"GroupName": name, "Path": path, **ids}
        return {"Group": self.groups[name]}

    def AttachGroupPolicy(self, request: Request) -> Answer:
        return _add(self.attachable(request["PolicyArn"])["groups"], request["GroupName"])

    def CreateInstanceProfile(self, request: Request) -> Answer:
        name, path = request["InstanceProfileName"], request.get("Path", "/")
        self.profiles[name] = {
            "InstanceProfileName": name,
            "InstanceProfileId": self.new_id("AIPA"),
            "Path": path,
            "Arn": self.arn("instance-profile", path, name),
            "CreateDate": self.now(),
        }
        return self.GetInstanceProfile(request)

    def GetInstanceProfile(self, request: Request) -> Answer:
        self._profile(request)
        return {"InstanceProfile": self.profile(request["InstanceProfileName"])}

    def AddRoleToInstanceProfile(self, request: Request) -> Answer:
        self._profile(request)
        return _add(self.role(request)["profiles"], request["InstanceProfileName"])

    def RemoveRoleFromInstanceProfile(self, request: Request) -> Answer:
        self.role(request)["profiles"].remove(request["InstanceProfileName"])
        return {}

    # The last access of a role. A report is complete at once, and never has an access.

    def GenerateServiceLastAccessedDetails(self, request: Request) -> Answer:
        arn = request["Arn"]
        if self.role_of(arn) is None:
            raise Refusal("NoSuchEntity", f"ARN {arn} is not valid.")
        job = str(uuid.uuid4())
        self.jobs[job] = request.get("Granularity", "SERVICE_LEVEL"), arn
        return {"JobId": job}

    def GetServiceLastAccessedDetails(self, request: Request) -> Answer:
        level, arn = self.jobs.get(request["JobId"], ("", ""))
        role = self.role_of(arn)
        if role is None:
            raise Refusal("NoSuchEntity", f"Job {request['JobId']} does not exist.")
        moment = self.now()
        services = [(name, name) for name in sorted({*self._services(role)})]
        head = {
            "JobStatus": "COMPLETED",
            "JobType": level,
            "JobCreationDate": moment,
            "JobCompletionDate": moment,
        }
        return {**head, **page(request, "ServicesLastAccessed", services, _unused)}

    def _services(self, role: Request) -> Iterator[str]:
        """Yield the prefixes of the services that the Allow statements of a role name."""
        for document in self.documents_of(role):
            for statement in as_list(document["Statement"]):
                actions = as_list(statement.get("Action", [])) if statement["Effect"] == "Allow" else []
                for action in actions:
                    prefix = action.partition(":")[0].lower()
                    yield from ALL_SERVICES if prefix == "*" else (prefix,)

    def documents_of(self, entity: Request) -> list[Any]:
        """Return the permissions policies of a role or user."""
        arns = entity.get("attached") or [
            arn for arn, policy in self.policies.items() if entity.get("UserName") in policy["users"]
        ]
        return [*map(parsed, entity["inline"].values()), *(self.default_document(arn) for arn in arns)]

    def default_document(self, arn: str) -> Any:
        policy = self._policy({"PolicyArn": arn})
        return policy["versions"][policy["default"]]

    def _user(self, request: Request) -> Answer:
        name = request.get("UserName", "")
        if name not in self.users:
            raise Refusal("NoSuchEntity", f"The user with name {name} cannot be found.")
        return self.users[name]

    def _profile(self, request: Request) -> Answer:
        name = request["InstanceProfileName"]
        if name not in self.profiles:
            raise Refusal("NoSuchEntity", f"Instance Profile {name} cannot be found.")
        return self.profiles[name]


def _add(names: list[str], name: str) -> Answer:
    if name not in names:
        names.append(name)
    return {}


def _unused(service: str) -> Answer:
    return {"ServiceName": service, "ServiceNamespace": service, "TotalAuthenticatedEntities": 0}
