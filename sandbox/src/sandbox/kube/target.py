# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Determine the resource, the verb and the object of a request from its HTTP method and URL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.kube.errors import method_not_allowed
from sandbox.kube.rbac import Attributes
from sandbox.kube.resources import NAMESPACES, ResourceTable, ResourceType

_OBJECT_VERBS = {"GET": "get", "PATCH": "patch", "DELETE": "delete"}
_COLLECTION_VERBS = {"GET": "list", "POST": "create"}
TRUE = ("true", "True", "1", "t", "T", "TRUE")


@dataclass(frozen=True, slots=True)
class Target:
    """The target of a request.

    ``namespace`` is empty for all namespaces and for cluster-scoped kinds; for a Namespace, it is the name. ``name`` is empty
    for the verbs list and create.
    """

    rtype: ResourceType
    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def subject(self) -> str:
        """Return the name of the resource in counters and fault rules, such as ``pods`` or ``pods/status``."""
        plural = self.rtype.plural
        return f"{plural}/{self.subresource}" if self.subresource else plural

    def attributes(self) -> Attributes:
        return Attributes(
            verb=self.verb,
            group=self.rtype.group,
            resource=self.rtype.plural,
            subresource=self.subresource,
            namespace=self.namespace,
            name=self.name,
        )


def parse_target(table: ResourceTable, method: str, path: str, query: Mapping[str, str]) -> Target | None:
    """Return the target of a request, or None if the path does not belong to a resource.

    Raise ApiError 405 for a verb that the resource does not support.
    """
    parts = _parse_path(table, path)
    if parts is None:
        return None
    rtype, namespace, name, subresource = parts
    verb = _OBJECT_VERBS.get(method) if name else _COLLECTION_VERBS.get(method)
    if verb is None or query.get("watch") in TRUE:
        raise method_not_allowed()
    if rtype.namespaced and not namespace and verb != "list":
        raise method_not_allowed()
    return Target(rtype, verb, namespace, name, subresource)


def _parse_path(table: ResourceTable, path: str) -> tuple[ResourceType, str, str, str] | None:
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        inner = table.find(group, version, rest[2])
        if inner is not None and inner.namespaced:
            namespace, rest = rest[1], rest[2:]
    rtype = table.find(group, version, rest[0])
    if rtype is None or len(rest) > 3 or (namespace and not rtype.namespaced):
        return None
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if subresource and subresource not in rtype.subresources:
        return None
    if rtype is NAMESPACES:
        # For a request about a namespace, Kubernetes checks whether the caller has the permission in that namespace.
        namespace = name
    return rtype, namespace, name, subresource
