# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check that a body has the types that the API server expects, with the messages of Go's JSON decoder."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from sandbox.kube.errors import ApiError, bad_request
from sandbox.kube.jsontree import Json, go_type
from sandbox.kube.resources import ResourceType
from sandbox.kube.shapes import KINDS, OBJECT_META, ListOf, Shape, Struct


def check_decodable(rtype: ResourceType, body: Any) -> Json:
    """Check the kind, API version and field types of an object, and return it. Raise ApiError 400 if the check fails."""
    if not isinstance(body, dict):
        raise _undecodable(
            rtype, f"json: cannot unmarshal {go_type(body)} into Go value of type v1.{rtype.kind}"
        )
    kind, version = body.get("kind", rtype.kind), body.get("apiVersion", rtype.group_version)
    if (kind, version) != (rtype.kind, rtype.group_version):
        raise _undecodable(
            rtype,
            f"the object provided is {version}, Kind={kind}, expected {rtype.group_version},"
            f" Kind={rtype.kind}",
        )
    _check_struct(rtype, KINDS.get(rtype.kind, Struct(rtype.kind, {"metadata": OBJECT_META})), body, "")
    if rtype.kind == "Secret":
        _check_base64(rtype, body.get("data") or {})
    return body


def unknown_fields(rtype: ResourceType, body: Json) -> list[str]:
    """Return the paths of unknown fields at the top level of an object and in its metadata, or [] for a kind not in KINDS."""
    shape = KINDS.get(rtype.kind)
    if shape is None:
        return []
    fields = ("apiVersion", "kind", *shape.fields)
    unknown = [field for field in body if field not in fields]
    meta = body.get("metadata") or {}
    return unknown + [f"metadata.{field}" for field in meta if field not in OBJECT_META.fields]


def _check_struct(rtype: ResourceType, struct: Struct, value: Json, path: str) -> None:
    for field, shape in struct.fields.items():
        if value.get(field) is not None:
            field_path = f"{path}.{field}" if path else field
            _check(rtype, shape, value[field], struct.name, field_path)


def _check(rtype: ResourceType, shape: Shape, value: Any, owner: str, path: str) -> None:
    """Check the type of a field. ``owner`` is the name of the Go struct that has the field, for the message."""
    if not _is_a(shape, value):
        reason = f"json: cannot unmarshal {go_type(value)} into Go struct field {owner}.{path}"
        raise _undecodable(rtype, f"{reason} of type {_go_name(shape)}")
    if isinstance(shape, Struct):
        _check_struct(rtype, shape, value, path)
    elif isinstance(shape, ListOf):
        for item in value:
            _check(rtype, shape.item, item, owner, path)
    elif shape == "map[string]string":
        for item in value.values():
            if item is not None:
                _check(rtype, "string", item, owner, path)


def _is_a(shape: Shape, value: Any) -> bool:
    if isinstance(shape, Struct):
        return isinstance(value, dict)
    if isinstance(shape, ListOf):
        return isinstance(value, list)
    match shape:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int32" | "int64":
            return isinstance(value, int) and not isinstance(value, bool)
        case "map[string]string":
            return isinstance(value, dict)
    return True


def _go_name(shape: Shape) -> str:
    if isinstance(shape, ListOf):
        return f"[]{_go_name(shape.item)}"
    return f"v1.{shape.name}" if isinstance(shape, Struct) else shape


def _undecodable(rtype: ResourceType, reason: str) -> ApiError:
    return bad_request(
        f"{rtype.kind} in version {json.dumps(rtype.version)} cannot be handled as a {rtype.kind}: {reason}"
    )


def _check_base64(rtype: ResourceType, data: Json) -> None:
    for value in data.values():
        try:
            base64.b64decode(value or "", validate=True)
        except binascii.Error:
            prefix = re.match(r"[A-Za-z0-9+/]*", value)
            position = prefix.end() if prefix else 0
            raise _undecodable(rtype, f"illegal base64 data at input byte {position}") from None
