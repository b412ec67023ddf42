# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""A role and its policies as IAM has them, for the modules that judge them. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..._aws.client import Api
from ..._aws.transport import map_concurrently
from ..._policy.permissions.permissions import NamedPolicy
from ..model.errors import AwsError


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
