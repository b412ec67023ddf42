# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build responses in the Query protocol (XML, for IAM and STS) and in REST JSON (for EKS and EKS Auth)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from sandbox.aws.model import ApiError, Response

_NAMESPACES = {
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
QUERY_SERVICES = frozenset(_NAMESPACES)

Node = Mapping[str, Any]
"""The children of an XML element by name.

A value is a text, a number, a boolean, a Node, or a list of these; a child whose value is None is omitted.
"""


def json_response(payload: Mapping[str, Any], status: int = 200) -> Response:
    return Response(
        status,
        {"Content-Type": "application/json", **_request_id()},
        json.dumps(payload, separators=(",", ":")).encode(),
    )


def _request_id() -> dict[str, str]:
    """Return a header with a new request ID. The header shows clients that the response is from AWS, not from a proxy."""
    return {"x-amzn-requestid": str(uuid.uuid4())}


def xml_response(operation: str, result: Node | None, service: str = "iam") -> Response:
    """Build a response in the Query protocol. ``result`` is None for an operation that has no result element."""
    inner = "" if result is None else _element(f"{operation}Result", result)
    body = (
        f'<{operation}Response xmlns="{_NAMESPACES[service]}">{inner}'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )
    return Response(200, {"Content-Type": "text/xml"}, body.encode())


def error_response(service: str, error: ApiError) -> Response:
    """Build an error response in the protocol of the service."""
    if service in QUERY_SERVICES:
        fault = "Sender" if error.status < 500 else "Receiver"
        body = (
            f'<ErrorResponse xmlns="{_NAMESPACES[service]}"><Error><Type>{fault}</Type>'
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
            f"</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
        )
        return Response(error.status, {"Content-Type": "text/xml"}, body.encode())
    return Response(
        error.status,
        {"Content-Type": "application/json", "x-amzn-errortype": error.code, **_request_id()},
        json.dumps({"__type": error.code, "message": error.message}).encode(),
    )


def _element(tag: str, value: Any) -> str:
    if value is None:
        return ""
    return f"<{tag}>{_content(value)}</{tag}>"


def _content(value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "".join([_element(name, child) for name, child in value.items()])
    if isinstance(value, Sequence):
        return "".join([f"<member>{_content(item)}</member>" for item in value])
    return str(value)
