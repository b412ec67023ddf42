# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The least OpenAPI that lets kubectl leave validation to the server.

kubectl looks for the parameter ``fieldValidation`` on the PATCH of a kind; schemas are open.
"""

from __future__ import annotations

from sandbox.kube.jsontree import Json
from sandbox.kube.resources import ResourceTable, ResourceType


def _gvk(rtype: ResourceType) -> Json:
    return {"group": rtype.group, "version": rtype.version, "kind": rtype.kind}


def _schema_name(rtype: ResourceType) -> str:
    package = rtype.group.partition(".")[0] or "core"
    return f"io.k8s.api.{package}.{rtype.version}.{rtype.kind}"


def _path(rtype: ResourceType) -> str:
    root = f"/apis/{rtype.group_version}" if rtype.group else f"/api/{rtype.version}"
    space = "/namespaces/{namespace}" if rtype.namespaced else ""
    return f"{root}{space}/{rtype.plural}/{{name}}"


def _schema(rtype: ResourceType) -> Json:
    return {
        "description": f"{rtype.kind}; this emulator publishes no field documentation.",
        "type": "object",
        "x-kubernetes-group-version-kind": [_gvk(rtype)],
        "x-kubernetes-preserve-unknown-fields": True,
    }


def index_v3(table: ResourceTable) -> Json:
    """/openapi/v3: one document for each group and version."""
    paths = {}
    for group, versions in table.group_versions().items():
        for version in versions:
            root = f"apis/{group}/{version}" if group else f"api/{version}"
            paths[root] = {"serverRelativeURL": f"/openapi/v3/{root}?hash=1"}
    return {"paths": paths}


def document_v3(table: ResourceTable, group: str, version: str) -> Json | None:
    types = [rtype for rtype in table.of(group, version) if rtype.stored]
    if not types:
        return None
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in ("dryRun", "fieldManager", "fieldValidation", "force")
    ]
    paths = {
        _path(rtype): {
            "patch": {
                "operationId": f"patch{rtype.kind}",
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": _gvk(rtype),
            }
        }
        for rtype in types
    }
    schemas = {_schema_name(rtype): _schema(rtype) for rtype in types}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "sandbox"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


ACCEPTED_PROTOBUF_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
# The answer's type is spelt without the sign that no media type may hold.
PROTOBUF_V2 = ACCEPTED_PROTOBUF_V2.replace("@", ".")


def protobuf_v2() -> bytes:
    """/openapi/v2 for kubectl, which takes it in protobuf alone, and only for a List.

    A document with its version (field 1) and no definitions: kubectl then checks nothing itself.
    """
    return b"\x0a\x032.0"


def document_v2(table: ResourceTable) -> Json:
    """/openapi/v2, for clients that know no version 3."""
    types = [rtype for rtype in table if rtype.stored]
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "type": "string", "uniqueItems": True} for name in names]
    paths = {
        _path(rtype): {
            "patch": {
                "operationId": f"patch{rtype.kind}",
                "parameters": parameters,
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": _gvk(rtype),
            }
        }
        for rtype in types
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "sandbox"},
        "paths": paths,
        "definitions": {_schema_name(rtype): _schema(rtype) for rtype in types},
    }
