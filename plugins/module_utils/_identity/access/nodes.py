# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Find the IAM roles of the nodes of a cluster, and the risk that Pods use these roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
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


@dataclass
class NodeRoleFinder:
    """A finder of the roles of nodes, and of the risk that Pods use them, for the clusters of a report.

    :arg name: returns the name of a service account for the text of a risk.
    """

    estate: AccessEstate
    graph: RoleGraph
    name: Callable[[AccessMember], str]

    def risks(self) -> Iterator[Risk]:
        """Yield the risk NODE_CREDENTIALS of each cluster that has it.

        A cluster has it if Pods or service accounts are without credentials for AWS, or if a role of its nodes can certainly
        administer the account.
        """
        for part in self.estate.parts:
            if part.cluster is None:
                continue
            members = self._by_cluster.get(part.cluster.arn, ())
            fallen = [member for member in members if member.credentials and member.pods and member.pods.none]
            bare = [member for member in members if not member.credentials]
            roles = self.node_roles(part)
            leading = [entry for entry in roles if entry.administers == "yes"]
            if not (fallen or bare or leading):
                continue
            pods = [pod for member in fallen if member.pods is not None for pod in member.pods.none]
            texts = []
            if fallen:
                count = "1 Pod" if len(pods) == 1 else f"{len(pods)} Pods"
                pronoun = "its" if len(pods) == 1 else "their"
                accounts = "service account" if len(fallen) == 1 else "service accounts"
                texts.append(
                    f"{count} of {list_members(self.name, fallen)} started without the credentials of {pronoun} {accounts}."
                )
            if bare:
                texts.append(
                    f"These service accounts have no credentials for AWS: {list_members(self.name, bare)}."
                )
            texts.append(f"Pods{'' if texts else f' of cluster {part.name}'} {_FALLBACK}")
            on_host = sum(
                len({*member.pods.none} & {*member.pods.on_host_network}) for member in fallen if member.pods
            )
            if on_host:
                use, them = ("uses", "it") if on_host == 1 else ("use", "them")
                texts.append(
                    f"{on_host} of these Pods {use} hostNetwork, so the hop limit does not affect {them}."
                )
            texts += _describe_nodes(part, roles)
            yield Risk(
                "NODE_CREDENTIALS",
                part.cluster.arn,
                " ".join(texts),
                (*fallen, *bare),
                roles=tuple(entry.role.arn for entry in roles),
                raised_as="high" if leading else None,
            )

    @cached_property
    def _by_cluster(self) -> Mapping[str, list[AccessMember]]:
        found: dict[str, list[AccessMember]] = {}
        for member in self.estate.members:
            found.setdefault(member.cluster.arn, []).append(member)
        return found

    def node_roles(self, part: ClusterFacts) -> list[NodeRole]:
        """Return the node roles in ``part.nodes``, first the roles that can administer the account."""
        sources = part.nodes.sources if part.nodes is not None else {}
        roles = zip(map(self.estate.role, sources), sources.values(), strict=True)
        found = [NodeRole(role, titles, self.graph.administers(role)) for role, titles in roles]
        order: Sequence[Administration] = ("yes", "depends", "unknown", "no")
        return sorted(found, key=lambda entry: (order.index(entry.administers), entry.role.arn))


def _describe_nodes(part: ClusterFacts, roles: Sequence[NodeRole]) -> Iterator[str]:
    """Yield sentences about the roles of the nodes of a cluster; none if ``part.nodes`` is None."""
    if part.nodes is None:
        return
    if roles:
        names = [
            f"{entry.role.arn} ({listed(entry.sources)}){_ADMINISTRATION[entry.administers]}"
            for entry in roles
        ]
        yield f"{'Node role' if len(roles) == 1 else 'Node roles'}: {'; '.join(names)}."
    if part.nodes.unread:
        title = "Further node roles" if roles else "The node roles"
        yield f"{title} could not be read: {part.nodes.unread}."
    elif not roles:
        yield "The cluster has no managed node group, and no role for EKS Auto Mode."
    yield _OTHER_NODES
