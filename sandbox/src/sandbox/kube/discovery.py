# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Discovery: what the API serves, in the classic form. Clients fall back to it from the aggregated one."""

from __future__ import annotations

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import SUBRESOURCE_VERBS, ResourceTable, ResourceType

# Subresources that take another kind than their parent's: (kind, group, version, verbs).
_OTHER_KINDS = {
    "scale": ("Scale", "autoscaling", "v1", SUBRESOURCE_VERBS),
    "eviction": ("Eviction", "policy", "v1", ("create",)),
    "token": ("TokenRequest", "authentication.k8s.io", "v1", ("create",)),
}


def version_info(version: str, *, eks: bool = False) -> Json:
    """/version; ``version`` as ``v1.36.2``, with a mark as of EKS's servers where its webhook is on."""
    major, minor = version.lstrip("v").split(".")[:2]
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "gitVersion": f"{version}{'-eks-0000000' if eks else ''}+sandbox",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "none",
        "platform": "sandbox/emulator",
    }


def api_versions(host: str) -> Json:
    cidrs = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": cidrs}


def api_group_list(table: ResourceTable) -> Json:
    groups = [_group(name, versions) for name, versions in table.group_versions().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def api_group(table: ResourceTable, name: str) -> Json | None:
    versions = table.group_versions().get(name)
    if not name or versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def _group(name: str, versions: tuple[str, ...]) -> Json:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def api_resource_list(table: ResourceTable, group: str, version: str) -> Json | None:
    types = table.of(group, version)
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
    found: Json = {
        "name": rtype.plural,
        "singularName": rtype.singular,
        "namespaced": rtype.namespaced,
        "kind": rtype.kind,
        "verbs": list(rtype.verbs),
    }
    if rtype.short_names:
        found["shortNames"] = list(rtype.short_names)
    if rtype.categories:
        found["categories"] = list(rtype.categories)
    return found


def _subresource(rtype: ResourceType, name: str) -> Json:
    kind, group, version, verbs = _sub_kind(rtype, name)
    found: Json = {
        "name": f"{rtype.plural}/{name}",
        "singularName": "",
        "namespaced": rtype.namespaced,
        "kind": kind,
        "verbs": list(verbs),
    }
    if (group, version) != (rtype.group, rtype.version):
        found |= {"group": group, "version": version}
    return found


def _sub_kind(rtype: ResourceType, name: str) -> tuple[str, str, str, tuple[str, ...]]:
    if name in _OTHER_KINDS:
        return _OTHER_KINDS[name]
    verbs = {"finalize": ("update",), "log": ("get",)}.get(name, SUBRESOURCE_VERBS)
    return rtype.kind, rtype.group, rtype.version, verbs
