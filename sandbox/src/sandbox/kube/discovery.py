# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""API discovery without aggregation: clients send a request for each API group.

Clients use this format if the API server does not support aggregated discovery.
"""

from __future__ import annotations

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ALL_VERBS, SUBRESOURCE_VERBS, ResourceTable, ResourceType


def version_info(version: str, *, eks: bool = False) -> Json:
    """Return the response to /version. With ``eks`` the version has the suffix that versions of EKS have."""
    major, minor = version.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"{version}{'-eks-0000000' if eks else ''}+sandbox",
        "platform": "sandbox/emulator",
    }


def api_versions() -> Json:
    return {"kind": "APIVersions", "versions": ["v1"]}


def api_group_list(table: ResourceTable) -> Json:
    groups = [_group(name, versions) for name, versions in table.group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(name: str, versions: tuple[str, ...]) -> Json:
    entries = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def api_resource_list(table: ResourceTable, group: str, version: str) -> Json | None:
    types = table.in_version(group, version)
    if not types:
        return None
    resources = []
    for rtype in types:
        resources.append(_resource(rtype))
        resources += [_subresource(rtype, name) for name in rtype.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": types[0].group_version,
        "resources": resources,
    }


def _resource(rtype: ResourceType) -> Json:
    return {
        "name": rtype.plural,
        "singularName": rtype.singular,
        "namespaced": rtype.namespaced,
        "kind": rtype.kind,
        "verbs": list(ALL_VERBS),
    }


def _subresource(rtype: ResourceType, name: str) -> Json:
    return {
        "name": f"{rtype.plural}/{name}",
        "singularName": "",
        "namespaced": rtype.namespaced,
        "kind": rtype.kind,
        "verbs": list(SUBRESOURCE_VERBS),
    }
