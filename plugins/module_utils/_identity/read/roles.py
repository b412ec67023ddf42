# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read roles and their policies, as a plan or a check needs them. Reads only.

Sources: iam GetRole, ListAttachedRolePolicies, GetPolicy, GetPolicyVersion, ListPolicyVersions; for a removal also
ListRolePolicies, ListInstanceProfilesForRole and ListEntitiesForPolicy, the latter also for some changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..._aws.transport import map_concurrently
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import PolicyDocument, load_document
from ..._policy.permissions.permissions import NamedPolicy
from ..model.cluster import Account
from ..model.errors import AwsError
from ..model.names import parse_role_arn
from ..model.policies import ObservedPolicy, PolicySpec, decode_policy, decode_version
from ..model.roles import ObservedRole, RoleSpec, decode_role
from .reader import read_whole

# Requests that tell all that the removal of a role has to know.
REMOVAL_READS = 4


def read_role(api: Api, account: Account, spec: RoleSpec, removal: bool) -> ObservedRole | None:
    """The role; None when it does not exist in the account. Raises AwsError."""
    if spec.arn is not None:
        parts = parse_role_arn(spec.arn)
        if parts is not None and parts.account_id != account.account_id:
            return None
    request = {"RoleName": spec.name}

    def list_attached() -> list[Any]:
        return list(api.pages("iam", "ListAttachedRolePolicies", request, "AttachedPolicies"))

    def rest(raw: Mapping[str, Any]) -> ObservedRole:
        role = decode_role(raw, list_attached())
        return _with_contents(api, role, spec.name) if removal and role.owned else role

    # A removal that is told "it does not exist" ends with that; a converge finds out when it creates it.
    witness = list_attached if removal else None
    return read_whole(lambda: api.call("iam", "GetRole", request)["Role"], rest, witness)


def _with_contents(api: Api, role: ObservedRole, name: str) -> ObservedRole:
    """The role with what else keeps it from being deleted."""
    request = {"RoleName": name}
    inline = api.pages("iam", "ListRolePolicies", request, "PolicyNames")
    profiles = api.pages("iam", "ListInstanceProfilesForRole", request, "InstanceProfiles")
    names = tuple(str(profile["InstanceProfileName"]) for profile in profiles)
    return replace(role, inline=tuple(inline), instance_profiles=names)


def read_policy(api: Api, account: Account, spec: PolicySpec, removal: bool = False) -> ObservedPolicy | None:
    """The policy, with its default version's document when ``spec`` has one to compare; None when it does
    not exist. Raises AwsError."""
    request = {"PolicyArn": account.policy_arn(spec)}

    def rest(policy: ObservedPolicy) -> ObservedPolicy:
        if removal:
            return read_policy_users(api, _with_versions(api, policy)) if policy.owned else policy
        if spec.document is None:
            return policy
        version = {**request, "VersionId": policy.default_version}
        answer = api.call("iam", "GetPolicyVersion", version)["PolicyVersion"]
        policy = replace(policy, document=load_document(answer["Document"]))
        same = same_meaning(policy.document, spec.document, "identity")
        return policy if same else _with_versions(api, policy)

    def list_versions() -> list[Any]:
        return list(api.pages("iam", "ListPolicyVersions", request, "Versions"))

    # A removal that is told "it does not exist" ends with that; a converge finds out when it creates it.
    witness = list_versions if removal else None
    return read_whole(lambda: decode_policy(api.call("iam", "GetPolicy", request)["Policy"]), rest, witness)


def read_document(api: Api, arn: str, version: str = "") -> PolicyDocument:
    """Return the default version of a policy, whose ID is asked for where it is not known. Raises AwsError."""
    if not version:
        version = str(api.call("iam", "GetPolicy", {"PolicyArn": arn})["Policy"]["DefaultVersionId"])
    answer = api.call("iam", "GetPolicyVersion", {"PolicyArn": arn, "VersionId": version})
    return load_document(answer["PolicyVersion"]["Document"])


def read_policy_users(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    """Return the policy with the entities that have it attached, or as their boundary. Raises AwsError."""
    users: list[str] = []
    for page in answers_by_page(api, "iam", "ListEntitiesForPolicy", {"PolicyArn": policy.arn}):
        for kind in ("Role", "User", "Group"):
            users += [f"{kind.lower()} {entity[f'{kind}Name']}" for entity in page.get(f"Policy{kind}s", ())]
    return replace(policy, attached_to=tuple(users))


def _with_versions(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    versions = api.pages("iam", "ListPolicyVersions", {"PolicyArn": policy.arn}, "Versions")
    return replace(policy, versions=tuple(map(decode_version, versions)))


@dataclass(frozen=True, slots=True)
class RoleRead:
    """A role (API operation iam:GetRole)."""

    name: str
    arn: str
    trust_policy: object
    tags: Mapping[str, str]
    boundary_arn: str | None


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """The policies that decide what a role is allowed to do; ``role`` is None when they were given."""

    role: RoleRead | None
    identity: tuple[NamedPolicy, ...]
    boundary: NamedPolicy | None


class RoleNotFound(Exception):
    """There is no such role where it was looked for; the text says where that was."""


def find_role(api: Api, reference: str, region: str | None = None) -> RoleRead:
    """The role of a name or ARN.

    :raises RoleNotFound: no role of that name, or its ARN is another than the one asked for.
    :raises AwsError: for everything else that AWS refuses.
    """
    name = reference.rpartition("/")[2] if reference.startswith("arn:") else reference
    try:
        role = api.call("iam", "GetRole", {"RoleName": name})["Role"]
    except AwsError as error:
        if not error.missing:
            raise
        raise RoleNotFound(
            f"There is no role {name} in {_place(api, region)}. Check the name and that the"
            " credentials are those of the account that you mean."
        ) from error
    if reference.startswith("arn:") and role["Arn"] != reference:
        raise RoleNotFound(
            f"There is no role {reference} here: the role named {name} is {role['Arn']}. Check path and"
            " account in the ARN, and that the credentials are those of its account."
        )
    return RoleRead(
        name=name,
        arn=str(role["Arn"]),
        trust_policy=role["AssumeRolePolicyDocument"],
        tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
        boundary_arn=role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
    )


def read_role_policies(api: Api, reference: str, region: str | None = None) -> RolePolicies:
    """A role with its attached policies in their default version, its inline policies and its
    permissions boundary.

    :raises RoleNotFound: as ``find_role``.
    :raises AwsError: for everything else that AWS refuses.
    """
    role = find_role(api, reference, region)
    name = {"RoleName": role.name}
    attached = api.pages("iam", "ListAttachedRolePolicies", name, "AttachedPolicies")
    inline = api.pages("iam", "ListRolePolicies", name, "PolicyNames")
    managed = map_concurrently(lambda entry: _managed(api, entry["PolicyArn"]), attached)
    embedded = map_concurrently(lambda policy_name: _inline(api, role.name, policy_name), inline)
    boundary = _managed(api, role.boundary_arn) if role.boundary_arn else None
    return RolePolicies(role, (*managed, *embedded), boundary)


def _managed(api: Api, arn: str) -> NamedPolicy:
    policy = api.call("iam", "GetPolicy", {"PolicyArn": arn})["Policy"]
    version = {"PolicyArn": arn, "VersionId": policy["DefaultVersionId"]}
    answer = api.call("iam", "GetPolicyVersion", version)["PolicyVersion"]
    return NamedPolicy(arn, answer["Document"])


def _inline(api: Api, role: str, name: str) -> NamedPolicy:
    answer = api.call("iam", "GetRolePolicy", {"RoleName": role, "PolicyName": name})
    return NamedPolicy(f"inline policy {name}", answer["PolicyDocument"])


def _place(api: Api, region: str | None) -> str:
    """Account and region that were asked; the account may be out of reach, too."""
    where = f" (region {region})" if region else ""
    try:
        account = api.call("sts", "GetCallerIdentity", {})["Account"]
    except AwsError:
        return f"the account of these credentials{where}"
    return f"account {account}{where}"


def read_trust_policy(api: Api, role_arn: str) -> PolicyDocument | None:
    """The trust policy of a role; None when there is no such role, or it cannot be read."""
    parts = parse_role_arn(role_arn)
    if parts is None:
        return None
    try:
        role = api.call("iam", "GetRole", {"RoleName": parts.name})["Role"]
    except AwsError:
        return None
    return load_document(role["AssumeRolePolicyDocument"]) if role["Arn"] == role_arn else None
