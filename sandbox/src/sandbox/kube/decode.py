# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The 400s of decoding: values of the wrong type, in the words of Go's decoder, and unknown fields."""

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
    """The body as an object of ``rtype``; ApiError 400 when a known field has another type."""
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
    """Unknown top-level and metadata fields, as paths. Deeper schemas are not complete here."""
    shape = KINDS.get(rtype.kind)
    if shape is None:
        return []
    known = ("apiVersion", "kind", *shape.fields)
    found = [field for field in body if field not in known]
    meta = body.get("metadata") or {}
    return found + [f"metadata.{field}" for field in meta if field not in OBJECT_META.fields]


def _check_struct(rtype: ResourceType, struct: Struct, value: Json, path: str) -> None:
    for field, shape in struct.fields.items():
        if value.get(field) is not None:
            where = f"{path}.{field}" if path else field
            _check(rtype, shape, value[field], struct.name, where)


def _check(rtype: ResourceType, shape: Shape, value: Any, owner: str, path: str) -> None:
    """``owner`` is the Go struct that holds the field at ``path``."""
    if not _is_a(shape, value):
        why = f"json: cannot unmarshal {go_type(value)} into Go struct field {owner}.{path}"
        raise _undecodable(rtype, f"{why} of type {_go_name(shape)}")
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


def _undecodable(rtype: ResourceType, why: str) -> ApiError:
    return bad_request(
        f"{rtype.kind} in version {json.dumps(rtype.version)} cannot be handled as a {rtype.kind}: {why}"
    )


def _check_base64(rtype: ResourceType, data: Json) -> None:
    for value in data.values():
        try:
            base64.b64decode(value or "", validate=True)
        except binascii.Error:
            stop = re.match(r"[A-Za-z0-9+/]*", value)
            at = stop.end() if stop else 0
            raise _undecodable(rtype, f"illegal base64 data at input byte {at}") from None
