# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules by which server-side apply merges lists, for each kind.

Source: the extensions ``x-kubernetes-list-type`` and ``x-kubernetes-list-map-keys`` of the OpenAPI of Kubernetes 1.36.
"""

from __future__ import annotations

from dataclasses import dataclass

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListRule:
    """The rule to merge a list: the keys that identify an item.

    Without keys, the list is replaced as a whole. If ``is_set``, the list has unique scalars, and new scalars are added to it.
    """

    apply_keys: tuple[str, ...] = ()
    is_set: bool = False


ATOMIC = ListRule()
_SET = ListRule(is_set=True)
_NAMED = ListRule(("name",))
_CONTAINER_FIELDS = {
    "env": _NAMED,
    "ports": ListRule(("containerPort", "protocol")),
    "volumeMounts": ListRule(("mountPath",)),
}
_POD_SPEC_FIELDS = {
    "containers": _NAMED,
    "ephemeralContainers": _NAMED,
    "imagePullSecrets": _NAMED,
    "initContainers": _NAMED,
    "volumes": _NAMED,
}
_CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
_ROOT_FIELDS: dict[Path, ListRule] = {
    ("metadata", "finalizers"): _SET,
    ("metadata", "ownerReferences"): ListRule(("uid",)),
    ("status", "conditions"): ListRule(("type",)),
}
_KIND_FIELDS: dict[tuple[str, Path], ListRule] = {
    ("ServiceAccount", ("secrets",)): _NAMED,
    ("Node", ("status", "addresses")): ListRule(("type",)),
}


def _pod_spec(kind: str) -> Path | None:
    if kind == "Pod":
        return ("spec",)
    if kind in ("DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"):
        return ("spec", "template", "spec")
    if kind == "CronJob":
        return ("spec", "jobTemplate", "spec", "template", "spec")
    return None


def list_rule(kind: str, path: Path) -> ListRule:
    """Return the rule to merge the list at a path of member names. The path has no steps for list items."""
    rule = _KIND_FIELDS.get((kind, path)) or _ROOT_FIELDS.get(path)
    if rule is not None:
        return rule
    spec = _pod_spec(kind)
    if spec is None or path[: len(spec)] != spec:
        return ATOMIC
    rest = path[len(spec) :]
    if len(rest) == 1:
        return _POD_SPEC_FIELDS.get(rest[0], ATOMIC)
    if len(rest) == 2 and rest[0] in _CONTAINER_LISTS:
        return _CONTAINER_FIELDS.get(rest[1], ATOMIC)
    return ATOMIC


def is_atomic_map(path: Path) -> bool:
    """Return whether a field manager owns the map at a path as a whole, instead of separate entries."""
    return bool(path) and path[-1] in (
        "fieldRef",
        "labelSelector",
        "nodeSelector",
        "resourceFieldRef",
        "roleRef",
        "secretRef",
        "selector",
    )
