# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the risk that Pods use the IAM roles of their nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from ..model.access import NodeRoles
from ..model.errors import listed
from .assumption import RoleGraph
from .estate import SHOWN_MEMBERS, AccessEstate, AccessMember, Usability
from .risk_kinds import Risk

_ADMINISTRATION: Final[Mapping[Usability, str]] = {
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


def node_risks(estate: AccessEstate, graph: RoleGraph, name: Callable[[AccessMember], str]) -> Iterator[Risk]:
    """Yield the risk NODE_CREDENTIALS of each cluster that has it.

    A cluster has it if Pods or service accounts are without credentials for AWS, or if a role of its nodes can certainly
    administer the account.
    """
    for part in estate.parts:
        if part.cluster is None:
            continue
        arn, roles = part.cluster.arn, graph.node_roles(part)
        members = [member for member in estate.members if member.cluster.arn == arn]
        # Service accounts with credentials that some of their Pods did not get, and service accounts without any.
        partly_bare = [
            member for member in members if member.credentials and member.pods and member.pods.none
        ]
        bare = [member for member in members if not member.credentials]
        is_high = "yes" in roles.values()
        if not (partly_bare or bare or is_high):
            continue
        pods = [member.pods for member in partly_bare if member.pods is not None]
        on_host = sum(len({*found.none} & {*found.on_host_network}) for found in pods)
        texts = (
            f"Pods of {listed(map(name, partly_bare), SHOWN_MEMBERS)} that started without credentials: "
            f"{sum(len(found.none) for found in pods)}."
            if partly_bare
            else "",
            f"Service accounts without credentials for AWS: {listed(map(name, bare), SHOWN_MEMBERS)}."
            if bare
            else "",
            f"Pods of cluster {part.name} {_FALLBACK}",
            f"Of these Pods, the hop limit does not affect those with hostNetwork: {on_host}."
            if on_host
            else "",
            *(_describe_nodes(part.nodes, roles) if part.nodes is not None else ()),
        )
        yield Risk(
            "NODE_CREDENTIALS",
            arn,
            " ".join(filter(None, texts)),
            (*partly_bare, *bare),
            roles=tuple(roles),
            raised_as="high" if is_high else None,
        )


def _describe_nodes(nodes: NodeRoles, roles: Mapping[str, Usability]) -> Iterator[str]:
    """Yield sentences about the roles of the nodes of a cluster."""
    for arn, administers in roles.items():
        yield f"Node role: {arn} ({listed(nodes.sources[arn])}){_ADMINISTRATION[administers]}."
    if nodes.unread:
        yield f"Node roles could not be read: {nodes.unread}."
    elif not roles:
        yield "The cluster has no managed node group, and no role for EKS Auto Mode."
    yield _OTHER_NODES
