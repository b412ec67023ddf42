# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read roles and their policies for a plan or a check.

Sources: iam GetRole, ListAttachedRolePolicies, ListRolePolicies, GetRolePolicy, ListInstanceProfilesForRole, GetPolicy,
GetPolicyVersion, ListPolicyVersions, ListEntitiesForPolicy; sts GetCallerIdentity for a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any

from ..._aws.client import Api, response_pages
from ..._aws.transport import call_both, map_concurrently
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import PolicyDocument, load_document
from ..._policy.permissions.permissions import NamedPolicy
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.names import is_marked, parse_role_arn
from ..model.observed import RolePermissions
from ..model.policies import ObservedPolicy, PolicySpec, decode_policy, decode_version
from ..model.roles import ObservedRole, RoleSpec, decode_role
from .reader import early, read_composite

# The number of requests that read one role for a removal.
REMOVAL_READS = 4


def read_role(
    api: Api, cluster: Cluster, spec: RoleSpec, removal: bool, inline: bool = False
) -> ObservedRole | None:
    """Return the role; None if it does not exist in the account. Raises AwsError.

    :arg removal: for a managed role, also read the names of its inline policies and instance profiles.
    :arg inline: also read the documents of the inline policies. If that fails, the role has no ``inline_documents``.
    """
    parts = parse_role_arn(spec.arn or "")
    if parts is not None and parts.account_id != cluster.account_id:
        return None
    request = {"RoleName": spec.name}

    def list_attached() -> list[Any]:
        return list(api.pages("iam", "ListAttachedRolePolicies", request, "AttachedPolicies"))

    def read_inline() -> dict[str, PolicyDocument] | None:
        with suppress(AwsError):
            return read_inline_documents(api, spec.name)
        return None

    def details(raw: Mapping[str, Any]) -> ObservedRole:
        role = replace(decode_role(raw, attached()), inline_documents=documents())
        return _with_contents(api, role, spec.name) if removal and is_marked(role.tags) else role

    # A removal skips a role that does not exist, so another request must confirm that it does not exist. A run that creates
    # workloads needs no confirmation: IAM refuses to create a role that exists.
    confirm = list_attached if removal else None
    reading_inline = early(read_inline) if inline else nullcontext(lambda: None)
    with early(list_attached) as attached, reading_inline as documents:
        return read_composite(lambda: api.call("iam", "GetRole", request)["Role"], details, confirm)


def read_inline_documents(api: Api, role_name: str) -> dict[str, PolicyDocument]:
    """Return the documents of the inline policies of a role, by their names. Raises AwsError."""
    name = {"RoleName": role_name}
    documents: dict[str, PolicyDocument] = {}
    for policy_name in api.pages("iam", "ListRolePolicies", name, "PolicyNames"):
        answer = api.call("iam", "GetRolePolicy", {**name, "PolicyName": policy_name})
        documents[policy_name] = load_document(answer["PolicyDocument"])
    return documents


def _with_contents(api: Api, role: ObservedRole, name: str) -> ObservedRole:
    """Read the names of the inline policies and instance profiles of a role, and return the role with them.

    IAM does not delete a role that has an inline policy or an instance profile.
    """
    request = {"RoleName": name}
    inline, profiles = call_both(
        lambda: list(api.pages("iam", "ListRolePolicies", request, "PolicyNames")),
        lambda: list(api.pages("iam", "ListInstanceProfilesForRole", request, "InstanceProfiles")),
    )
    names = tuple(str(profile["InstanceProfileName"]) for profile in profiles)
    return replace(role, inline=tuple(inline), instance_profiles=names)


def read_policy(api: Api, cluster: Cluster, spec: PolicySpec, removal: bool = False) -> ObservedPolicy | None:
    """Return the policy, or None if it does not exist. Raises AwsError.

    If ``spec`` has a document, also read the document of the default version, and all versions if the two documents differ.

    :arg removal: for a managed policy, read its versions and users instead of its document.
    """
    request = {"PolicyArn": cluster.policy_arn(spec)}

    def details(policy: ObservedPolicy) -> ObservedPolicy:
        if removal:
            return (
                read_policy_users(api, _with_versions(api, policy))
                if is_marked(policy.tags or {})
                else policy
            )
        if spec.document is None:
            return policy
        version = {**request, "VersionId": policy.default_version}
        response = api.call("iam", "GetPolicyVersion", version)["PolicyVersion"]
        policy = replace(policy, document=load_document(response["Document"]))
        same = same_meaning(policy.document, spec.document, "identity")
        return policy if same else _with_versions(api, policy)

    def list_versions() -> list[Any]:
        return list(api.pages("iam", "ListPolicyVersions", request, "Versions"))

    # As in ``read_role``, only a removal must confirm that the policy does not exist.
    confirm = list_versions if removal else None
    return read_composite(
        lambda: decode_policy(api.call("iam", "GetPolicy", request)["Policy"]), details, confirm
    )


def read_document(api: Api, arn: str, version: str = "") -> PolicyDocument:
    """Return the document of a version of a policy, by default of its default version. Raises AwsError."""
    if not version:
        version = str(api.call("iam", "GetPolicy", {"PolicyArn": arn})["Policy"]["DefaultVersionId"])
    response = api.call("iam", "GetPolicyVersion", {"PolicyArn": arn, "VersionId": version})
    return load_document(response["PolicyVersion"]["Document"])


def read_policy_users(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    """Return the policy with its users: all roles, users and groups that have it attached or as their permissions boundary.

    Raises AwsError.
    """
    users: list[str] = []
    for page in response_pages(api, "iam", "ListEntitiesForPolicy", {"PolicyArn": policy.arn}):
        for kind in ("Role", "User", "Group"):
            users += [f"{kind.lower()} {entity[f'{kind}Name']}" for entity in page.get(f"Policy{kind}s", ())]
    return replace(policy, attached_to=tuple(users))


def _with_versions(api: Api, policy: ObservedPolicy) -> ObservedPolicy:
    versions = api.pages("iam", "ListPolicyVersions", {"PolicyArn": policy.arn}, "Versions")
    return replace(policy, versions=tuple(map(decode_version, versions)))


class RoleNotFound(Exception):
    """The error for a role that does not exist, or has another ARN. The message includes a remedy."""


def find_role(api: Api, reference: str, region: str | None = None) -> ObservedRole:
    """Return the role with a name or ARN, without its policies.

    :raises RoleNotFound: a role with that name does not exist, or has another ARN.
    :raises AwsError: for every other error.
    """
    name = reference.rpartition("/")[2] if reference.startswith("arn:") else reference
    try:
        role = api.call("iam", "GetRole", {"RoleName": name})["Role"]
    except AwsError as error:
        if not error.missing:
            raise
        raise RoleNotFound(
            f"There is no role {name} in {_request_place(api, region)}. Check the name, and that the credentials belong to the "
            "intended account."
        ) from error
    if reference.startswith("arn:") and role["Arn"] != reference:
        raise RoleNotFound(
            f"There is no role {reference} here: the role named {name} is {role['Arn']}. Check the path and the "
            "account in the ARN, and that the credentials belong to its account."
        )
    return decode_role(role, ())


def read_role_policies(
    api: Api, reference: str, region: str | None = None
) -> tuple[ObservedRole, RolePermissions]:
    """Return a role with the default versions of its attached policies, its inline policies and its permissions boundary.

    :raises RoleNotFound: as ``find_role``.
    :raises AwsError: for every other error.
    """
    role = find_role(api, reference, region)

    def managed(arn: str) -> NamedPolicy:
        return NamedPolicy(arn, read_document(api, arn))

    name = {"RoleName": role.name}
    attached = api.pages("iam", "ListAttachedRolePolicies", name, "AttachedPolicies")
    policies = map_concurrently(managed, (str(entry["PolicyArn"]) for entry in attached))
    inline = read_inline_documents(api, role.name)
    policies += [NamedPolicy(f"inline policy {policy}", document) for policy, document in inline.items()]
    boundary = managed(role.permissions_boundary) if role.permissions_boundary else None
    return role, RolePermissions(tuple(policies), boundary)


def _request_place(api: Api, region: str | None) -> str:
    """Describe the account of a request, if it can be read, and the region, if there is one, for a message."""
    try:
        account = f"account {api.call('sts', 'GetCallerIdentity', {})['Account']}"
    except AwsError:
        account = "the account of these credentials"
    return f"{account} (region {region})" if region else account


def read_trust_policy(api: Api, role_arn: str) -> Mapping[str, object] | None:
    """Return the trust policy of a role; None if the role does not exist or cannot be read."""
    try:
        return find_role(api, role_arn).trust
    except (AwsError, RoleNotFound):
        return None
