# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users, and what the stored roles and bindings allow them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.kube.errors import ApiError, forbidden, forbidden_path
from sandbox.kube.jsontree import Json, lookup
from sandbox.kube.resources import (
    CLUSTER_ROLE_BINDINGS,
    CLUSTER_ROLES,
    ROLE_BINDINGS,
    ROLES,
    ResourceType,
)
from sandbox.kube.store import Store, key_of

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attributes:
    """What is asked: a resource (``resource`` set) or a path."""

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
    """Without ``enforce`` every known user may do everything."""

    def __init__(self, store: Store, *, enforce: bool) -> None:
        self._store = store
        self._enforce = enforce

    def allows(self, user: User, asked: Attributes) -> bool:
        if not self._enforce or MASTERS in user.groups:
            return True
        return any(_covers(rule, asked) for rule in self.rules(user, asked.namespace))

    def rules(self, user: User, namespace: str) -> Iterator[Json]:
        """Every rule that holds for ``user`` cluster-wide and, if given, in ``namespace``."""
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
        role = self._store.get(key_of(rtype, namespace, reference.get("name", "")))
        return (role or {}).get("rules") or ()


def denied(user: User, asked: Attributes, rtype: ResourceType | None) -> ApiError:
    """403 in the words of the API's authorizer."""
    if rtype is None:
        return forbidden_path(user.name, asked.verb, asked.path)
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    why = (
        f'User "{user.name}" cannot {asked.verb} resource "{asked.full_resource}" in API group'
        f' "{asked.group}" {where}'
    )
    return forbidden(rtype, asked.name, why)


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


def _covers(rule: Json, asked: Attributes) -> bool:
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if not asked.resource:
        return any(_path_matches(pattern, asked.path) for pattern in rule.get("nonResourceURLs") or [])
    names = rule.get("resourceNames") or []
    return (
        _has(rule.get("apiGroups"), asked.group)
        and _resource_matches(rule.get("resources") or [], asked)
        and (not names or asked.name in names)
    )


def _resource_matches(resources: list[str], asked: Attributes) -> bool:
    return any(
        entry in ("*", asked.full_resource) or (asked.subresource != "" and entry == f"*/{asked.subresource}")
        for entry in resources
    )


def _path_matches(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern[:-1])
    return pattern == path


def _has(values: list[str] | None, wanted: str) -> bool:
    return values is not None and ("*" in values or wanted in values)


def resource_rules(rules: Iterable[Json]) -> tuple[list[Json], list[Json]]:
    """(resourceRules, nonResourceRules) as SelfSubjectRulesReview answers them."""
    resources, paths = [], []
    for rule in rules:
        if rule.get("nonResourceURLs"):
            paths.append({"nonResourceURLs": rule["nonResourceURLs"], "verbs": rule["verbs"]})
        if lookup(rule, "resources"):
            kept = ("verbs", "apiGroups", "resources", "resourceNames")
            resources.append({key: rule[key] for key in kept if key in rule})
    return resources, paths
