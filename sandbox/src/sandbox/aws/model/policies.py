# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The managed policies of IAM, with their versions and tags.

A policy in the table has the members default, last (number of its last version), versions (documents by version), tags,
description, users and groups (names of those that it is attached to), and optionally made (the times of the versions).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sandbox.aws.model.documents import check_identity_policy
from sandbox.aws.model.errors import Refusal, exceeded
from sandbox.aws.model.roles import (
    AWS_MANAGED,
    Roles,
    check_path,
    document_size,
    parsed,
    policy_path,
    tag_list,
    with_tags,
    without_tags,
)
from sandbox.aws.model.tables import Answer, Request, page, without

VERSIONS = 5
POLICY_SIZE = 6144
NO_POLICIES: Mapping[str, Answer] = MappingProxyType({})


class Policies(Roles):
    """The operations for managed policies. An account copies a policy in ``aws_managed``, those of AWS, when it uses one."""

    def __init__(self, account_id: str, aws_managed: Mapping[str, Answer] = NO_POLICIES) -> None:
        super().__init__(account_id)
        self.aws_managed = aws_managed

    def find_policy(self, arn: str) -> Answer | None:
        if arn not in self.policies and arn in self.aws_managed:
            self.policies[arn] = copy.deepcopy(self.aws_managed[arn])
        return self.policies.get(arn)

    def GetPolicy(self, request: Request) -> Answer:
        policy, arn = self._policy(request), request["PolicyArn"]
        answer = {**self._summary(arn, *self._usage()), "Tags": tag_list(policy["tags"])}
        description = policy.get("description")
        return {"Policy": {**answer, **({"Description": description} if description else {})}}

    def CreatePolicy(self, request: Request) -> Answer:
        """Create a policy. As in IAM, the response has the member Tags only if the policy has tags."""
        name, path = request["PolicyName"], request.get("Path", "/")
        check_path(path)
        document = self._document(request)
        tags = with_tags({}, request.get("Tags", ()), "TagsPerPolicy")
        names = {arn.split("/")[-1].lower() for arn in self.policies if not arn.startswith(AWS_MANAGED)}
        if name.lower() in names:
            text = f"A policy called {name} already exists. Duplicate names are not allowed."
            raise Refusal("EntityAlreadyExists", text)
        arn = self.arn("policy", path, name)
        self.policies[arn] = {
            "id": self.new_id("ANPA"),
            "default": "v1",
            "last": 1,
            "versions": {"v1": document},
            "made": {"v1": self.now()},
            "updated": self.now(),
            "tags": tags,
            "description": request.get("Description", ""),
            "users": [],
            "groups": [],
        }
        policy = without(self.GetPolicy({"PolicyArn": arn})["Policy"], "Description")
        return {"Policy": policy if tags else without(policy, "Tags")}

    def ListPolicies(self, request: Request) -> Answer:
        """Return policies as IAM does: without tags and description."""
        scope, prefix = request.get("Scope", "All"), request.get("PathPrefix", "/")
        arns = [
            arn for arn in self.policies if scope == "All" or arn.startswith(AWS_MANAGED) == (scope == "AWS")
        ]
        if scope != "Local":
            arns += [arn for arn in self.aws_managed if arn not in self.policies]
        attached, bounded = self._usage()
        needed = {"PermissionsPolicy": attached, "PermissionsBoundary": bounded}.get(
            request.get("PolicyUsageFilter", "")
        )
        if request.get("OnlyAttached"):
            needed = attached
        shown = [
            (arn, arn)
            for arn in arns
            if policy_path(arn).startswith(prefix) and (needed is None or needed[arn])
        ]
        return page(request, "Policies", shown, lambda arn: self._summary(arn, attached, bounded))

    def CreatePolicyVersion(self, request: Request) -> Answer:
        policy = self._own_policy(request, "CreatePolicyVersion")
        document = self._document(request)
        if len(policy["versions"]) >= VERSIONS:
            raise Refusal(
                "LimitExceeded",
                f"A managed policy can have up to {VERSIONS} versions. Before you create a new version, "
                "you must delete an existing version.",
            )
        policy["last"] += 1
        version = f"v{policy['last']}"
        policy["versions"][version] = document
        policy.setdefault("made", {})[version] = policy["updated"] = self.now()
        if request.get("SetAsDefault"):
            policy["default"] = version
        return {"PolicyVersion": shown_version(policy, version)}

    def SetDefaultPolicyVersion(self, request: Request) -> Answer:
        policy = self._own_policy(request, "SetDefaultPolicyVersion")
        policy["default"] = self._version_id(policy, request)
        policy["updated"] = self.now()
        return {}

    def GetPolicyVersion(self, request: Request) -> Answer:
        policy = self._policy(request)
        version = self._version_id(policy, request)
        return {"PolicyVersion": {**shown_version(policy, version), "Document": policy["versions"][version]}}

    def ListPolicyVersions(self, request: Request) -> Answer:
        """Return the versions of a policy, the newest first."""
        policy = self._policy(request)
        versions = [(f"{10**9 - int(version[1:]):09d}", version) for version in policy["versions"]]
        return page(request, "Versions", versions, lambda version: shown_version(policy, version))

    def DeletePolicyVersion(self, request: Request) -> Answer:
        policy = self._own_policy(request, "DeletePolicyVersion")
        version = self._version_id(policy, request)
        if version == policy["default"]:
            raise Refusal("DeleteConflict", "Cannot delete the default version of a policy.")
        del policy["versions"][version]
        return {}

    def DeletePolicy(self, request: Request) -> Answer:
        policy, arn = self._own_policy(request, "DeletePolicy"), request["PolicyArn"]
        if any(used[arn] for used in self._usage()):
            raise Refusal("DeleteConflict", "Cannot delete a policy attached to entities.")
        if len(policy["versions"]) > 1:
            raise Refusal(
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must delete the "
                "policy's versions. The default version is deleted with the policy.",
            )
        del self.policies[arn]
        return {}

    def ListEntitiesForPolicy(self, request: Request) -> Answer:
        """Return a page of the groups, then the roles, then the users that use a policy."""
        policy, arn = self._policy(request), request["PolicyArn"]
        usage = request.get("PolicyUsageFilter", "")
        held, bounded = usage != "PermissionsBoundary", usage != "PermissionsPolicy"
        names = {
            "Group": {*policy["groups"]} if held else set(),
            "User": {*policy["users"]} if held else set(),
        }
        names["User"] |= {name for name, user in self.users.items() if bounded and user["boundary"] == arn}
        names["Role"] = {
            role["RoleName"]
            for role in self.roles.values()
            if (held and arn in role["attached"]) or (bounded and arn == role["boundary"])
        }
        kinds = [request["EntityFilter"]] if request.get("EntityFilter") else list(names)
        entities = [(f"{kind} {name}", (kind, name)) for kind in kinds for name in names.get(kind, ())]
        found = page(request, "all", entities, tuple)
        answer: Answer = {"PolicyGroups": [], "PolicyRoles": [], "PolicyUsers": []}
        for kind, name in found.pop("all"):
            answer[f"Policy{kind}s"].append({f"{kind}Name": name})
        return {**answer, **found}

    def TagPolicy(self, request: Request) -> Answer:
        policy = self._own_policy(request, "TagPolicy")
        policy["tags"] = with_tags(policy["tags"], request["Tags"], "TagsPerPolicy")
        return {}

    def UntagPolicy(self, request: Request) -> Answer:
        policy = self._own_policy(request, "UntagPolicy")
        policy["tags"] = without_tags(policy["tags"], request["TagKeys"])
        return {}

    def _document(self, request: Request) -> Any:
        text = request["PolicyDocument"]
        check_identity_policy(text, managed=True)
        if document_size(text) > POLICY_SIZE:
            raise exceeded("PolicySize", POLICY_SIZE)
        return parsed(text)

    def _usage(self) -> tuple[Counter[str], Counter[str]]:
        """Return how many entities each policy is attached to, and of how many it is the boundary."""
        attached = Counter(arn for role in self.roles.values() for arn in role["attached"])
        for arn, policy in self.policies.items():
            if used := len(policy["users"]) + len(policy["groups"]):
                attached[arn] += used
        entities = (*self.roles.values(), *self.users.values())
        return attached, Counter(entity["boundary"] for entity in entities)

    def _summary(self, arn: str, attached: Counter[str], bounded: Counter[str]) -> Answer:
        """Return the members that ListPolicies returns for a policy."""
        policy = self.policies.get(arn) or self.aws_managed[arn]
        made = policy.get("made", {})
        dates = {"CreateDate": min(made.values()), "UpdateDate": policy["updated"]} if made else {}
        return {
            "Arn": arn,
            "PolicyName": arn.split("/")[-1],
            "PolicyId": policy.get("id", ""),
            "Path": policy_path(arn).replace("//", "/"),
            "DefaultVersionId": policy["default"],
            "AttachmentCount": attached[arn],
            "PermissionsBoundaryUsageCount": bounded[arn],
            "IsAttachable": True,
            **dates,
        }

    def _policy(self, request: Request) -> Answer:
        policy = self.find_policy(request["PolicyArn"])
        if policy is None:
            raise Refusal("NoSuchEntity", f"Policy {request['PolicyArn']} was not found.")
        return policy

    def _own_policy(self, request: Request, action: str) -> Answer:
        """Return the policy that a request changes. Policies of AWS are read-only."""
        arn = request["PolicyArn"]
        if arn in self.aws_managed:
            user = f"arn:aws:iam::{self.account_id}:root"
            text = f"User: {user} is not authorized to perform: iam:{action} on resource: policy {arn}"
            raise Refusal("AccessDenied", text)
        return self._policy(request)

    def _version_id(self, policy: Answer, request: Request) -> str:
        version = str(request["VersionId"])
        if version not in policy["versions"]:
            text = f"Policy {request['PolicyArn']} version {version} does not exist or is not attachable."
            raise Refusal("NoSuchEntity", text)
        return version


def shown_version(policy: Request, version: str) -> Answer:
    made = policy.get("made", {})
    date = {"CreateDate": made[version]} if version in made else {}
    return {"VersionId": version, "IsDefaultVersion": version == policy["default"], **date}
