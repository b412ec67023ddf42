# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles of IAM, with their trust policies, boundaries, tags and inline policies.

A role in the table has the members of ListRoles, and in lower case: trust (its text), duration, description, boundary, tags,
attached (ARNs), inline (texts by name) and profiles (names).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from sandbox.aws.model.documents import check_identity_policy, check_trust_policy
from sandbox.aws.model.errors import Refusal, exceeded
from sandbox.aws.model.tables import Answer, Request, Service, page, random_text, without

AWS_MANAGED = "arn:aws:iam::aws:policy/"
ATTACHMENTS = 10
TAGS = 50
TRUST_SIZE = 2048
INLINE_SIZE = 10240
DURATION = 3600


class Roles(Service):
    """The operations for roles."""

    TABLES = ("roles", "policies", "users", "groups", "profiles", "access_keys", "trusts")

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id
        self.roles: dict[str, Answer] = {}
        self.policies: dict[str, Answer] = {}
        self.users: dict[str, Answer] = {}
        self.groups: dict[str, Answer] = {}
        self.profiles: dict[str, Answer] = {}
        self.access_keys: dict[str, Answer] = {}
        # Decides whether a role or user of another account exists.
        self.exists_elsewhere: Callable[[str], bool] = lambda _arn: True
        # The time and the text of each trust policy that a role has had.
        self.trusts: dict[str, list[list[Any]]] = {}

    def new_id(self, prefix: str) -> str:
        return prefix + random_text(17)

    def arn(self, kind: str, path: str, name: str) -> str:
        return f"arn:aws:iam::{self.account_id}:{kind}{path}{name}"

    def GetRole(self, request: Request) -> Answer:
        role = self.role(request)
        tags = {"Tags": tag_list(role["tags"])} if role["tags"] else {}
        return {"Role": {**summary(role), **boundary(role), **tags, **self.last_use(role)}}

    def last_use(self, role: Request) -> Answer:
        """Return the member for the last use of a role, which is empty for a role without a recorded use."""
        return {"RoleLastUsed": role.get("RoleLastUsed", {})}

    def CreateRole(self, request: Request) -> Answer:
        """Create a role. As in IAM, the response has no description and no session duration."""
        name, path = request["RoleName"], request.get("Path", "/")
        check_path(path)
        self._check_trust(request["AssumeRolePolicyDocument"])
        tags = with_tags({}, request.get("Tags", ()), "TagsPerRole")
        if name.lower() in self.roles:
            raise Refusal("EntityAlreadyExists", f"Role with name {name} already exists.")
        self._check_boundary(request.get("PermissionsBoundary", ""))
        self.roles[name.lower()] = {
            "RoleName": name,
            "RoleId": self.new_id("AROA"),
            "Path": path,
            "Arn": self.arn("role", path, name),
            "CreateDate": self.now(),
            "trust": request["AssumeRolePolicyDocument"],
            "duration": request.get("MaxSessionDuration", DURATION),
            "description": request.get("Description"),
            "boundary": request.get("PermissionsBoundary", ""),
            "tags": tags,
            "attached": [],
            "inline": {},
            "profiles": [],
        }
        self._record_trust(name)
        return {
            "Role": without(
                self.GetRole(request)["Role"], "Description", "MaxSessionDuration", "RoleLastUsed"
            )
        }

    def ListRoles(self, request: Request) -> Answer:
        """Return roles as IAM does: without tags and permissions boundary."""
        prefix = request.get("PathPrefix", "/")
        roles = [(role["RoleName"], role) for role in self.roles.values() if role["Path"].startswith(prefix)]
        return page(request, "Roles", roles, summary)

    def UpdateRole(self, request: Request) -> Answer:
        """Update a role. Without a session duration, the request sets it to the default. An omitted description is kept."""
        role = self.role(request)
        role["description"] = request.get("Description", role["description"])
        role["duration"] = request.get("MaxSessionDuration", DURATION)
        return {}

    def DeleteRole(self, request: Request) -> Answer:
        role = self.role(request)
        for users, remedy in (
            (role["profiles"], "must remove roles from instance profile first."),
            (role["attached"], "must detach all policies first."),
            (role["inline"], "must delete policies first."),
        ):
            if users:
                raise Refusal("DeleteConflict", f"Cannot delete entity, {remedy}")
        del self.roles[request["RoleName"].lower()]
        self.trusts.pop(request["RoleName"].lower(), None)
        return {}

    def UpdateAssumeRolePolicy(self, request: Request) -> Answer:
        role = self.role(request)
        self._check_trust(request["PolicyDocument"])
        role["trust"] = request["PolicyDocument"]
        self._record_trust(request["RoleName"])
        return {}

    def PutRolePermissionsBoundary(self, request: Request) -> Answer:
        role = self.role(request)
        self._check_boundary(request["PermissionsBoundary"])
        role["boundary"] = request["PermissionsBoundary"]
        return {}

    def DeleteRolePermissionsBoundary(self, request: Request) -> Answer:
        role = self.role(request)
        if not role["boundary"]:
            text = f"Principal {role['RoleId']} does not have a permissions boundary."
            raise Refusal("NoSuchEntity", text)
        role["boundary"] = ""
        return {}

    def TagRole(self, request: Request) -> Answer:
        role = self.role(request)
        role["tags"] = with_tags(role["tags"], request["Tags"], "TagsPerRole")
        return {}

    def UntagRole(self, request: Request) -> Answer:
        role = self.role(request)
        role["tags"] = without_tags(role["tags"], request["TagKeys"])
        return {}

    def ListRoleTags(self, request: Request) -> Answer:
        tags = [(tag["Key"], tag) for tag in tag_list(self.role(request)["tags"])]
        return page(request, "Tags", tags, dict)

    def ListAttachedRolePolicies(self, request: Request) -> Answer:
        prefix = request.get("PathPrefix", "/")
        arns = [(arn, arn) for arn in self.role(request)["attached"] if policy_path(arn).startswith(prefix)]
        return page(request, "AttachedPolicies", arns, attached)

    def AttachRolePolicy(self, request: Request) -> Answer:
        held, arn = self.role(request)["attached"], request["PolicyArn"]
        self.attachable(arn)
        if arn not in held:
            if len(held) >= ATTACHMENTS:
                raise exceeded("PoliciesPerRole", ATTACHMENTS)
            held.append(arn)
        return {}

    def DetachRolePolicy(self, request: Request) -> Answer:
        held = self.role(request)["attached"]
        if request["PolicyArn"] not in held:
            raise Refusal("NoSuchEntity", f"Policy {request['PolicyArn']} was not found.")
        held.remove(request["PolicyArn"])
        return {}

    def PutRolePolicy(self, request: Request) -> Answer:
        role = self.role(request)
        check_identity_policy(request["PolicyDocument"], managed=False)
        documents = {**role["inline"], request["PolicyName"]: request["PolicyDocument"]}
        if sum(map(document_size, documents.values())) > INLINE_SIZE:
            text = f"Maximum policy size of {INLINE_SIZE} bytes exceeded for role {role['RoleName']}"
            raise Refusal("LimitExceeded", text)
        role["inline"] = documents
        return {}

    def GetRolePolicy(self, request: Request) -> Answer:
        role, name = self._inline(request)
        document = parsed(role["inline"][name])
        return {"RoleName": role["RoleName"], "PolicyName": name, "PolicyDocument": document}

    def DeleteRolePolicy(self, request: Request) -> Answer:
        role, name = self._inline(request)
        del role["inline"][name]
        return {}

    def ListRolePolicies(self, request: Request) -> Answer:
        return page(request, "PolicyNames", [(name, name) for name in self.role(request)["inline"]], str)

    def ListInstanceProfilesForRole(self, request: Request) -> Answer:
        profiles = [(name, self.profile(name)) for name in self.role(request)["profiles"]]
        return page(request, "InstanceProfiles", profiles, dict)

    def profile(self, name: str) -> Answer:
        held = [summary(role) for role in self.roles.values() if name in role["profiles"]]
        return {**self.profiles.get(name, {"InstanceProfileName": name}), "Roles": held}

    def role(self, request: Request) -> Answer:
        name = request["RoleName"]
        if name.lower() not in self.roles:
            raise Refusal("NoSuchEntity", f"The role with name {name} cannot be found.")
        return self.roles[name.lower()]

    def role_of(self, arn: str) -> Answer | None:
        """Return the role with this ARN, path included, or None."""
        role = self.roles.get(arn.rpartition("/")[2].lower())
        return role if role is not None and role["Arn"] == arn else None

    def visible_trust(self, arn: str, before: datetime) -> str | None:
        """Return the trust policy that another service sees: the newest one from before a time, or None."""
        role = self.role_of(arn)
        if role is None:
            return None
        texts = [text for moment, text in self.trusts.get(role["RoleName"].lower(), ()) if moment <= before]
        return texts[-1] if texts else None

    def attachable(self, arn: str) -> Answer:
        policy = self.find_policy(arn)
        if policy is None:
            raise Refusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.")
        return policy

    def find_policy(self, arn: str) -> Answer | None:
        return self.policies.get(arn)

    def entity_exists(self, arn: str) -> bool:
        """Return whether a role or user exists."""
        if arn.split(":")[4] != self.account_id:
            return self.exists_elsewhere(arn)
        user = self.users.get(arn.rpartition("/")[2])
        return self.role_of(arn) is not None or (user is not None and user["Arn"] == arn)

    def _record_trust(self, name: str) -> None:
        text = self.roles[name.lower()]["trust"]
        self.trusts.setdefault(name.lower(), []).append([self.now(), text])

    def _inline(self, request: Request) -> tuple[Answer, str]:
        role, name = self.role(request), request["PolicyName"]
        if name not in role["inline"]:
            raise Refusal("NoSuchEntity", f"The role policy with name {name} cannot be found.")
        return role, name

    def _check_boundary(self, arn: str) -> None:
        if arn and self.find_policy(arn) is None:
            raise Refusal("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.")

    def _check_trust(self, document: str) -> None:
        check_trust_policy(document, self.entity_exists)
        if document_size(document) > TRUST_SIZE:
            raise exceeded("ACLSizePerRole", TRUST_SIZE)


def parsed(document: str) -> Any:
    return json.loads(document)


def summary(role: Request) -> Answer:
    """Return the members that ListRoles returns for a role."""
    answer = {key: role[key] for key in ("RoleName", "RoleId", "Arn", "Path", "CreateDate")}
    answer["AssumeRolePolicyDocument"] = parsed(role["trust"])
    answer["MaxSessionDuration"] = role["duration"]
    if role["description"] is not None:
        answer["Description"] = role["description"]
    return answer


def boundary(entity: Request) -> Answer:
    if not entity["boundary"]:
        return {}
    kind = {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": entity["boundary"]}
    return {"PermissionsBoundary": kind}


def attached(arn: str) -> Answer:
    return {"PolicyArn": arn, "PolicyName": arn.split("/")[-1]}


def policy_path(arn: str) -> str:
    return "/" + arn.partition(":policy/")[2].rpartition("/")[0] + "/"


def check_path(path: str) -> None:
    printable = all("!" <= letter <= "\u007e" for letter in path)
    if not (printable and path.startswith("/") and path.endswith("/") and len(path) <= 512):
        raise Refusal(
            "ValidationError",
            "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric "
            "characters and/or / characters.",
        )


def document_size(document: str) -> int:
    """Return the number of characters that count towards a quota: all except white space."""
    return len("".join(document.split()))


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def with_tags(present: Mapping[str, str], added: Iterable[Mapping[str, str]], quota: str) -> dict[str, str]:
    """Return the tags of a resource after new tags are added.

    Keys are case-insensitive, and get the letter case of the newest tag.
    """
    merged = {key.lower(): (key, value) for key, value in present.items()}
    new = [(tag["Key"], tag["Value"]) for tag in added]
    if len({key.lower() for key, _ in new}) != len(new):
        text = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise Refusal("InvalidInput", text)
    if any(key.lower().startswith("aws:") for key, _ in new):
        raise Refusal("InvalidInput", "Tag keys starting with 'aws:' are reserved for system use.")
    merged.update((key.lower(), (key, value)) for key, value in new)
    if len(merged) > TAGS:
        raise exceeded(quota, TAGS)
    return dict(merged.values())


def without_tags(present: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    removed = {key.lower() for key in keys}
    return {key: value for key, value in present.items() if key.lower() not in removed}
