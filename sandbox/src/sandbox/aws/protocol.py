# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read requests and write responses as the service models of botocore describe them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, parse_qsl, quote, unquote
from xml.sax.saxutils import escape

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from sandbox.aws.model.errors import Refusal
from sandbox.http import Request, Response

SERVICES = ("iam", "sts", "eks", "eks-auth", "organizations", "ec2")
QUERY_SERVICES = frozenset(("iam", "sts", "ec2"))
JSON_TYPE = "application/json"
UNKNOWN = "Unknown"
_EC2 = "http://ec2.amazonaws.com/doc/2016-11-15/"
# The same errors have other codes in services with JSON.
_JSON_CODES = {
    "AccessDenied": "AccessDeniedException",
    "ExpiredToken": "ExpiredTokenException",
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "ValidationError": "InvalidParameterException",
}


class Operation(NamedTuple):
    """An operation of a service, with its parameters in the path. ``model`` is None for an operation without a model."""

    service: str
    name: str
    model: OperationModel | None = None
    path: Mapping[str, str] = MappingProxyType({})


@cache
def _loader() -> Loader:
    return Loader()


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(_loader().load_service_model(service, "service-2"), service)


@cache
def _routes(service: str) -> tuple[tuple[str, re.Pattern[str], OperationModel], ...]:
    """Return the routes of a REST service. Routes with fewer parameters come first."""
    routes = []
    for name in _model(service).operation_names:
        operation = _model(service).operation_model(name)
        uri = operation.http["requestUri"]
        pattern = re.compile(re.sub(r"\\\{([A-Za-z]+)\\\}", r"(?P<\1>[^/]+)", re.escape(uri)))
        routes.append((operation.http["method"], pattern, operation))
    return tuple(sorted(routes, key=lambda route: route[1].pattern.count("(?P")))


def operation_of(service: str, request: Request) -> Operation:
    """Return the operation of a request."""
    if target := request.headers.get("x-amz-target", ""):
        return Operation(service, target.rpartition(".")[2])
    if service in QUERY_SERVICES:
        name = dict(parse_qsl((request.body or request.query.encode()).decode())).get("Action", UNKNOWN)
        is_modelled = service != "ec2" and name in _model(service).operation_names
        return Operation(service, name, _model(service).operation_model(name) if is_modelled else None)
    for method, pattern, model in _routes(service) if service in SERVICES else ():
        if method == request.method and (match := pattern.fullmatch(request.path)):
            return Operation(service, model.name, model, match.groupdict())
    return Operation(service, UNKNOWN)


def parameters(operation: Operation, request: Request) -> dict[str, Any]:
    """Return the parameters of a request. Raise a refusal for values that the model of the operation forbids."""
    model = operation.model
    if model is None or model.input_shape is None:
        return {}
    shape: StructureShape = model.input_shape
    if operation.service in QUERY_SERVICES:
        text = (request.body or request.query.encode()).decode()
        values = _nested(parse_qsl(text, keep_blank_values=True))
        found = cast("dict[str, Any]", _parsed(shape, values))
    else:
        found = _rest(shape, operation, request)
    for name in shape.required_members:
        if name not in found:
            text = f"Value null at '{_member(name)}' failed to satisfy constraint: Member must not be null"
            raise _violation(text)
    # EKS Auth has its own error for a token of another form.
    for name, value in found.items() if operation.service != "eks-auth" else ():
        _check(shape.members[name], _member(name), value)
    return found


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Turn keys with dots into nested mappings."""
    root: dict[str, Any] = {}
    for key, value in pairs:
        *path, last = key.split(".")
        place = root
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return root


def _parsed(shape: Shape, value: Any) -> Any:
    if isinstance(shape, StructureShape):
        return {name: _parsed(member, value[name]) for name, member in shape.members.items() if name in value}
    if isinstance(shape, ListShape):
        items = value.get("member", {}) if isinstance(value, dict) else {}
        return [_parsed(shape.member, items[number]) for number in sorted(items, key=int)]
    if shape.type_name in ("integer", "long"):
        return int(value)
    return value == "true" if shape.type_name == "boolean" else value


def _rest(shape: StructureShape, operation: Operation, request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refusal("SerializationException", "The request body is not a JSON object.")
    query = parse_qs(request.query, keep_blank_values=True)
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        wire = member.serialization.get("name", name)
        location = member.serialization.get("location")
        if location == "uri":
            found[name] = unquote(operation.path[wire])
        elif location == "querystring" and wire in query:
            found[name] = query[wire] if isinstance(member, ListShape) else _parsed(member, query[wire][0])
        elif location is None and body.get(wire) is not None:
            found[name] = body[wire]
    return found


def _check(shape: Shape, name: str, value: Any) -> None:
    """Check the limits that a model sets for a value."""
    limits = shape.metadata
    if isinstance(shape, ListShape):
        for number, item in enumerate(value, 1):
            _check(shape.member, f"{name}.{number}.member", item)
        return
    if isinstance(shape, StructureShape):
        for key in shape.members:
            if isinstance(value, dict) and key in value:
                _check(shape.members[key], f"{name}.{_member(key)}", value[key])
        return
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return
    kind, size = ("length", len(value)) if isinstance(value, str) else ("value", value)
    for exceeds, bound, word in (
        (size < limits.get("min", size), limits.get("min"), "greater"),
        (size > limits.get("max", size), limits.get("max"), "less"),
    ):
        if exceeds:
            text = f"Member must have {kind} {word} than or equal to {bound}"
            raise _violation(f"Value '{value}' at '{name}' failed to satisfy constraint: {text}")
    # IAM has its own error for a path of another form.
    pattern = limits.get("pattern") if shape.name != "pathType" else None
    if isinstance(value, str) and pattern and not _pattern(pattern).fullmatch(value):
        text = f"Member must satisfy regular expression pattern: {pattern}"
        raise _violation(f"Value '{value}' at '{name}' failed to satisfy constraint: {text}")


@cache
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.ASCII)
    except re.error:
        return re.compile(r"[\s\S]*")


def _member(name: str) -> str:
    return name[0].lower() + name[1:]


def _violation(text: str) -> Refusal:
    return Refusal("ValidationError", f"1 validation error detected: {text}")


def response(operation: Operation, answer: Mapping[str, Any]) -> Response:
    """Write the response to an operation."""
    model = operation.model
    if operation.service not in QUERY_SERVICES:
        shape = None if model is None else model.output_shape
        return json_response(_json(shape, answer))
    name, identifier = operation.name, f"<RequestId>{uuid.uuid4()}</RequestId>"
    if model is None:
        regions = "".join(
            f"<item><regionName>{region}</regionName><optInStatus>opt-in-not-required</optInStatus></item>"
            for region in answer["Regions"]
        )
        body = (
            f'<{name}Response xmlns="{_EC2}"><requestId>{uuid.uuid4()}</requestId>'
            f"<regionInfo>{regions}</regionInfo></{name}Response>"
        )
        return Response(200, {"Content-Type": "text/xml"}, body.encode())
    shape = model.output_shape
    result = "" if shape is None else f"<{name}Result>{_xml(shape, answer)}</{name}Result>"
    body = (
        f'<{name}Response xmlns="{_namespace(operation.service)}">{result}'
        f"<ResponseMetadata>{identifier}</ResponseMetadata></{name}Response>"
    )
    return Response(200, {"Content-Type": "text/xml"}, body.encode())


def error_response(service: str, error: Refusal) -> Response:
    """Write an error response in the protocol of a service."""
    if service in QUERY_SERVICES:
        fault = "Sender" if error.status < 500 else "Receiver"
        body = (
            f'<ErrorResponse xmlns="{_namespace(service)}"><Error><Type>{fault}</Type>'
            f"<Code>{escape(error.code)}</Code><Message>{escape(error.text)}</Message>"
            f"</Error><RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
        )
        if service == "ec2":
            body = (
                f"<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.text)}</Message>"
                f"</Error></Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
            )
        return Response(error.status, {"Content-Type": "text/xml"}, body.encode())
    code = _JSON_CODES.get(error.code, error.code)
    plain = json_response({"__type": code, "message": error.text}, error.status)
    return plain._replace(headers={**plain.headers, "x-amzn-errortype": code})


def json_response(data: Any, status: int = 200) -> Response:
    """Write a JSON response. Its request ID shows clients that it is from AWS, not from a proxy."""
    headers = {"Content-Type": JSON_TYPE, "x-amzn-requestid": str(uuid.uuid4())}
    return Response(status, headers, json.dumps(data, separators=(",", ":")).encode())


def _namespace(service: str) -> str:
    return _EC2 if service == "ec2" else str(_model(service).metadata["xmlNamespace"])


def _json(shape: Shape | None, value: Any) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        return {
            member.serialization.get("name", name): _json(member, value[name])
            for name, member in shape.members.items()
            if name in value
        }
    if isinstance(shape, ListShape):
        return [_json(shape.member, item) for item in value]
    if isinstance(shape, MapShape):
        return {key: _json(shape.value, item) for key, item in value.items()}
    return round(value.timestamp(), 3) if isinstance(value, datetime) else value


def _xml(shape: Shape, value: Any) -> str:
    if isinstance(shape, StructureShape):
        return "".join(
            f"<{name}>{_xml(member, value[name])}</{name}>"
            for name, member in shape.members.items()
            if value.get(name) is not None
        )
    if isinstance(shape, ListShape):
        return "".join(f"<member>{_xml(shape.member, item)}</member>" for item in value)
    if isinstance(shape, MapShape):
        return "".join(
            f"<entry><key>{escape(key)}</key><value>{_xml(shape.value, item)}</value></entry>"
            for key, item in value.items()
        )
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, bool):
        return "true" if value else "false"
    # IAM encodes documents as in URLs.
    return quote(json.dumps(value), safe="") if isinstance(value, (dict, list)) else escape(str(value))
