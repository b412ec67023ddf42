# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the roles of an account with their policies, and the roles of nodes, for an access report.

Sources: iam GetAccountAuthorizationDetails, GetPolicy, GetPolicyVersion. If a bulk read of the account is not possible, only the
roles of the service accounts and nodes are read: iam GetRole, ListAttachedRolePolicies, ListRolePolicies, GetRolePolicy. The
roles of nodes are from eks DescribeCluster, ListNodegroups, DescribeNodegroup. The times at which roles last used services and
actions are from iam GenerateServiceLastAccessedDetails, GetServiceLastAccessedDetails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from ..._aws.client import Api
from ..._aws.interrupt import pause
from ..._aws.transport import map_concurrently
from ..._policy.language.document import document_statements, load_document
from ..model.access import NodeRoles, PolicyLayer, RoleFacts, RoleUse
from ..model.cluster import Cluster
from ..model.errors import AwsError, InputError
from ..model.names import is_aws_managed, parse_role_arn
from ..model.observed import Document
from ..model.roles import ObservedRole
from ..plan.trust import read_principals
from ..read.account import Snapshot, read_snapshot
from ..read.last_accessed import read_last_accessed
from ..read.reader import none_if_missing
from ..read.roles import RoleNotFound, find_role, read_document

# The argument ``singles`` of ``read_snapshot``: high enough to read all roles of an account. An access report has the roles that
# can be assumed with the roles of service accounts, and a migration needs all trust policies.
ALL_PAGES = 8000
AUTO_MODE = "EKS Auto Mode"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class RoleReads:
    """Roles of an account, by lower-case ARN.

    ``complete`` is true if these are all roles of the account. ``denied`` is the message of AWS if the caller is not allowed to
    read all roles in bulk, otherwise "".
    """

    roles: Mapping[str, RoleFacts] = field(default_factory=dict)
    complete: bool = False
    denied: str = ""


def read_role_facts(api: Api, cluster: Cluster, arns: Iterable[str], width: int) -> RoleReads:
    """Read all roles of an account with their policies. If a bulk read is not possible, read only the roles in ``arns``.

    A role in ``arns`` that does not exist is in the result with the state "missing". A bulk read has no documents of AWS managed
    policies, so these are read only for the roles in ``arns`` and for the roles that can be assumed with them.

    :arg cluster: a cluster of the account.
    :arg arns: the ARNs of the roles of nodes and service accounts, including target roles. Roles of other accounts are ignored.
    :arg width: the maximum number of concurrent requests.
    :raises AwsError: when a request fails; a request that AWS denies only leaves data unread.
    """
    used = {arn for arn in arns if (parts := parse_role_arn(arn)) and parts.account_id == cluster.account_id}
    snapshot = read_snapshot(api, ALL_PAGES)
    if snapshot.complete:
        present = {role.arn.lower(): role for role in snapshot.roles.values()}
        reachable = [present[name] for name in _reachable(cluster, present, used)]
        documents = snapshot_documents(api, snapshot, reachable, width)
        facts = {name: _with_documents(role, documents) for name, role in present.items()}
        missing = {arn.lower(): RoleFacts(arn, "missing") for arn in used if arn.lower() not in facts}
        return RoleReads(facts | missing, True)
    found = map_concurrently(lambda arn: _read_role(api, arn), sorted(used), width)
    return RoleReads({role.arn.lower(): role for role in found}, False, snapshot.denied)


def read_last_uses(api: Api, reads: RoleReads, arns: Iterable[str], width: int) -> RoleReads:
    """Return ``reads``, with the last uses of services and actions by the roles in ``arns``, or the reason why these are unknown.

    :arg arns: the ARNs of roles. Roles that do not exist or were not read are ignored.
    :arg width: the maximum number of concurrent requests.
    """
    roles = {arn: reads.roles[arn] for arn in sorted({arn.lower() for arn in arns} & reads.roles.keys())}
    existing = {arn: role for arn, role in roles.items() if role.use is not None}

    def read(role: RoleFacts) -> RoleFacts:
        use = role.use or RoleUse()
        try:
            services, actions = read_last_accessed(api, role.arn, pause)
        except (AwsError, InputError) as error:
            unread = _short(error) if isinstance(error, AwsError) else error.problems[0]
            return replace(role, use=replace(use, unread=unread))
        return replace(role, use=replace(use, services=services, actions=actions))

    found = map_concurrently(read, list(existing.values()), width)
    return replace(reads, roles={**reads.roles, **dict(zip(existing, found, strict=True))})


def read_node_roles(api: Api, cluster: Cluster, width: int) -> NodeRoles:
    """Read the roles of the managed node groups and of EKS Auto Mode in a cluster.

    :arg width: the maximum number of concurrent requests.
    :raises AwsError: when a request fails, except if AWS denies it: then ``NodeRoles.unread`` has the error.
    """
    sources: dict[str, list[str]] = {cluster.node_role_arn: [AUTO_MODE]} if cluster.node_role_arn else {}
    name = {"clusterName": cluster.name}

    def describe(group: str) -> str | AwsError:
        request = {**name, "nodegroupName": group}
        try:
            response = none_if_missing(lambda: api.call("eks", "DescribeNodegroup", request))
        except AwsError as error:
            if error.denied:
                return error
            raise
        return str(response["nodegroup"].get("nodeRole") or "") if response is not None else ""

    groups, unread = list[str](), ""
    try:
        groups = sorted(api.pages("eks", "ListNodegroups", name, "nodegroups"))
    except AwsError as error:
        if not error.denied:
            raise
        unread = _short(error)
    for group, role in zip(groups, map_concurrently(describe, groups, width), strict=True):
        if isinstance(role, AwsError):
            unread = _short(role)
        elif role:
            sources.setdefault(role, []).append(f"node group {group}")
    return NodeRoles({arn: tuple(titles) for arn, titles in sources.items()}, unread)


def _short(error: AwsError) -> str:
    return f"{error.operation}: {error.code}"


def snapshot_documents(
    api: Api, snapshot: Snapshot, roles: Iterable[ObservedRole], width: int
) -> dict[str, Document]:
    """Return the policy documents of a snapshot, by ARN. Raises AwsError.

    :arg roles: the roles whose AWS managed policies are read, too, because a bulk read leaves them out. Without the permission to
        read a policy, the result lacks it.
    """
    documents = {
        arn: policy.document for arn, policy in snapshot.policies.items() if policy.document is not None
    }
    managed = {arn for role in roles for arn in (*role.attached, role.permissions_boundary)}
    arns = sorted(filter(is_aws_managed, managed))
    read = map_concurrently(lambda arn: _if_allowed(lambda: read_document(api, arn)), arns, width)
    found = zip(arns, read, strict=True)
    return documents | {arn: document for arn, document in found if document is not None}


def _reachable(cluster: Cluster, roles: Mapping[str, ObservedRole], used: Iterable[str]) -> set[str]:
    """Return the lower-case ARNs of the existing roles in ``used``, and of roles that these may assume, directly or indirectly.

    The function examines only trust policies: a role may be assumed if its trust policy names a role of the result, the account
    or every principal.

    :arg roles: all roles of the account, by lower-case ARN.
    """
    account = cluster.account_id
    anyone = {"*", account, f"arn:{cluster.partition}:iam::{account}:root"}
    principals = {name: _principals(role.trust) for name, role in roles.items()}
    reached = {arn.lower() for arn in used} & roles.keys()
    open_to_all = {name for name, found in principals.items() if found & anyone}
    while added := {
        name for name in roles.keys() - reached if name in open_to_all or principals[name] & reached
    }:
        reached |= added
    return reached


def _principals(trust: Document) -> set[str]:
    """Return the principals in the Allow statements of a trust policy, in lower case; "*" for a missing principal."""
    return {
        name.lower()
        for entry in document_statements(trust)
        if isinstance(entry, Mapping) and entry.get("Effect") == "Allow"
        for name in (read_principals(entry) if "Principal" in entry else {"*"})
    }


def _with_documents(role: ObservedRole, documents: Mapping[str, Document]) -> RoleFacts:
    attached = [(arn, documents[arn]) for arn in role.attached if arn in documents]
    inline = [
        (f"inline policy {name} of role {role.name}", document)
        for name, document in (role.inline_documents or {}).items()
    ]
    boundary = role.permissions_boundary
    unread: list[tuple[PolicyLayer, str]] = [
        ("identity", arn) for arn in role.attached if arn not in documents
    ]
    unread += [("boundary", boundary)] if boundary and boundary not in documents else []
    return RoleFacts(
        role.arn,
        "read",
        role.trust,
        role.tags,
        (*attached, *inline),
        (boundary, documents[boundary]) if boundary in documents else None,
        tuple(unread),
        role.attached,
        RoleUse(role.created_at, role.last_used),
    )


def _read_role(api: Api, arn: str) -> RoleFacts:
    """Read a role and its policies with individual requests. Data that the caller is not allowed to read is marked as unread."""
    try:
        role = _if_allowed(lambda: find_role(api, arn))
    except RoleNotFound:
        return RoleFacts(arn, "missing")
    if role is None:
        return RoleFacts(arn, "unread")
    name = {"RoleName": role.name}
    attached = _if_allowed(
        lambda: list(api.pages("iam", "ListAttachedRolePolicies", name, "AttachedPolicies"))
    )
    names = _if_allowed(lambda: list(api.pages("iam", "ListRolePolicies", name, "PolicyNames")))
    unread: list[tuple[PolicyLayer, str]] = [
        ("identity", f"the {title} policies of role {role.name}")
        for title, found in (("attached", attached), ("inline", names))
        if found is None
    ]
    responses = {
        policy: _if_allowed(partial(api.call, "iam", "GetRolePolicy", {**name, "PolicyName": policy}))
        for policy in names or ()
    }
    unread += [
        ("identity", f"inline policy {policy} of role {role.name}")
        for policy, response in responses.items()
        if response is None
    ]
    inline = {
        policy: load_document(response["PolicyDocument"])
        for policy, response in responses.items()
        if response is not None
    }
    arns = tuple(str(entry["PolicyArn"]) for entry in attached or ())
    read = {
        arn: _if_allowed(partial(read_document, api, arn))
        for arn in (*arns, role.permissions_boundary)
        if arn
    }
    documents = {arn: document for arn, document in read.items() if document is not None}
    facts = _with_documents(replace(role, attached=arns, inline_documents=inline), documents)
    return replace(facts, unread=(*facts.unread, *unread))


def _if_allowed(read: Callable[[], _T]) -> _T | None:
    """Return the result of a read, or None if AWS denies it or the resource does not exist. Raise any other AwsError."""
    try:
        return none_if_missing(read)
    except AwsError as error:
        if error.denied:
            return None
        raise
