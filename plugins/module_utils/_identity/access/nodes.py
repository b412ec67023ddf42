# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the IAM roles of the nodes of a cluster, and the risk that Pods use these roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..model.access import ClusterFacts, RoleFacts
from ..model.errors import listed
from .assumption import Administration, RoleGraph
from .estate import AccessEstate, AccessMember, list_members
from .risk_kinds import Risk

_ADMINISTRATION: Final[Mapping[Administration, str]] = {
    "yes": ", which can administer the account",
    "depends": ", which can administer the account under the conditions of its policies",
    "no": "",
    "unknown": ", whose permissions are not completely known",
}
_OTHER_NODES = (
    "Self-managed nodes, Karpenter nodes and custom node classes of EKS Auto Mode can have other roles, which EKS does "
    "not show."
)
_FALLBACK = (
    "without credentials use the role of their node if they reach the instance metadata service. Whether they reach it depends "
    "on the hop limit of the node, which is unknown."
)


@dataclass(frozen=True, slots=True)
class NodeRole:
    """An IAM role that nodes of a cluster have.

    ``sources`` has the names of the managed node groups with the role, such as "node group a", and "EKS Auto Mode" if its nodes
    have the role. ``administers`` is the result of ``RoleGraph.administers``.
    """

    role: RoleFacts
    sources: tuple[str, ...]
    administers: Administration


def node_risks(estate: AccessEstate, graph: RoleGraph, name: Callable[[AccessMember], str]) -> Iterator[Risk]:
    """Yield the risk NODE_CREDENTIALS of each cluster that has it.

    A cluster has it if Pods or service accounts are without credentials for AWS, or if a role of its nodes can certainly
    administer the account.
    """
    for part in estate.parts:
        if part.cluster is None:
            continue
        arn, roles = part.cluster.arn, node_roles(estate, graph, part)
        members = [member for member in estate.members if member.cluster.arn == arn]
        fallen = [member for member in members if member.credentials and member.pods and member.pods.none]
        bare = [member for member in members if not member.credentials]
        is_high = any(entry.administers == "yes" for entry in roles)
        if not (fallen or bare or is_high):
            continue
        pods = [member.pods for member in fallen if member.pods is not None]
        count = sum(len(found.none) for found in pods)
        on_host = sum(len({*found.none} & {*found.on_host_network}) for found in pods)
        texts = (
            f"Pods of {list_members(name, fallen)} that started without credentials: {count}."
            if fallen
            else "",
            f"Service accounts without credentials for AWS: {list_members(name, bare)}." if bare else "",
            f"Pods of cluster {part.name} {_FALLBACK}",
            f"Of these Pods, the hop limit does not affect those with hostNetwork: {on_host}."
            if on_host
            else "",
            *_describe_nodes(part, roles),
        )
        yield Risk(
            "NODE_CREDENTIALS",
            arn,
            " ".join(filter(None, texts)),
            (*fallen, *bare),
            roles=tuple(entry.role.arn for entry in roles),
            raised_as="high" if is_high else None,
        )


def node_roles(estate: AccessEstate, graph: RoleGraph, part: ClusterFacts) -> list[NodeRole]:
    """Return the node roles in ``part.nodes``, first the roles that can administer the account."""
    sources = part.nodes.sources if part.nodes is not None else {}
    roles = zip(map(estate.role, sources), sources.values(), strict=True)
    found = [NodeRole(role, titles, graph.administers(role)) for role, titles in roles]
    order: Sequence[Administration] = ("yes", "depends", "unknown", "no")
    return sorted(found, key=lambda entry: (order.index(entry.administers), entry.role.arn))


def _describe_nodes(part: ClusterFacts, roles: Sequence[NodeRole]) -> Iterator[str]:
    """Yield sentences about the roles of the nodes of a cluster; none if ``part.nodes`` is None."""
    if part.nodes is None:
        return
    for entry in roles:
        yield f"Node role: {entry.role.arn} ({listed(entry.sources)}){_ADMINISTRATION[entry.administers]}."
    if part.nodes.unread:
        yield f"Node roles could not be read: {part.nodes.unread}."
    elif not roles:
        yield "The cluster has no managed node group, and no role for EKS Auto Mode."
    yield _OTHER_NODES
