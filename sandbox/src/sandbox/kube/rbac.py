# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorize requests with RBAC: roles and role bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.kube.errors import ApiError, forbidden, forbidden_path
from sandbox.kube.jsontree import Json
from sandbox.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    ResourceType,
)
from sandbox.kube.store import Store, object_key

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    """A user, with the groups that the user belongs to."""

    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes of a request that RBAC rules match. ``path`` is set if the request is not for a resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


class Authorizer:
    """The authorizer for RBAC. If ``enforce`` is false, it allows every request."""

    def __init__(self, store: Store, *, enforce: bool) -> None:
        self._store = store
        self._enforce = enforce

    def allows(self, user: User, attributes: Attributes) -> bool:
        if not self._enforce or MASTERS in user.groups:
            return True
        return any(_covers(rule, attributes) for rule in self.rules(user, attributes.namespace))

    def rules(self, user: User, namespace: str) -> Iterator[Json]:
        """Yield the rules that apply to a user in the whole cluster, and in a namespace if it is not ""."""
        for binding in self._store.select(CLUSTER_ROLE_BINDINGS.qualified):
            if _binds(binding, user, ""):
                yield from self._role_rules(binding["roleRef"], "")
        if namespace:
            for binding in self._store.select(ROLE_BINDINGS.qualified, namespace):
                if _binds(binding, user, namespace):
                    yield from self._role_rules(binding["roleRef"], namespace)

    def _role_rules(self, reference: Json, namespace: str) -> Iterable[Json]:
        is_role = reference.get("kind") == "Role"
        rtype = ROLES if is_role else CLUSTER_ROLES
        role = self._store.get(object_key(rtype, namespace, reference.get("name", "")))
        return (role or {}).get("rules") or ()


def denied(user: User, attributes: Attributes, rtype: ResourceType | None) -> ApiError:
    """Return the error for a request that RBAC does not allow (status 403)."""
    if rtype is None:
        return forbidden_path(user.name, attributes.verb, attributes.path)
    scope = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    reason = (
        f'User "{user.name}" cannot {attributes.verb} resource "{attributes.full_resource}" in API group'
        f' "{attributes.group}" {scope}'
    )
    return forbidden(rtype, attributes.name, reason)


def _binds(binding: Json, user: User, namespace: str) -> bool:
    for subject in binding.get("subjects") or []:
        kind, name = subject.get("kind"), subject.get("name", "")
        if kind == "User" and name == user.name:
            return True
        if kind == "Group" and name in user.groups:
            return True
        if kind == "ServiceAccount":
            space = subject.get("namespace") or namespace
            if user.name == f"system:serviceaccount:{space}:{name}":
                return True
    return False


def _covers(rule: Json, attributes: Attributes) -> bool:
    if not _has(rule.get("verbs"), attributes.verb):
        return False
    if not attributes.resource:
        return any(_path_matches(pattern, attributes.path) for pattern in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    return (
        _has(rule.get("apiGroups"), attributes.group)
        and _resource_matches(rule.get("resources") or [], attributes)
        and (not names or attributes.name in names)
    )


def _resource_matches(resources: list[str], attributes: Attributes) -> bool:
    return any(
        entry in ("*", attributes.full_resource)
        or (attributes.subresource != "" and entry == f"*/{attributes.subresource}")
        for entry in resources
    )


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _has(values: list[str] | None, value: str) -> bool:
    return values is not None and ("*" in values or value in values)
