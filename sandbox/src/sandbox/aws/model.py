# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types for requests, responses and errors of the AWS API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = dict[str, Any]
"""A stored resource in the format of ministack."""

Query = Mapping[str, list[str]]


class Response(NamedTuple):
    """An HTTP response: status, headers and body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A request to an AWS API.

    Attributes:
        operation: the name of the API operation without the service, such as ``CreateRole``.
        path_parts: the variable parts of a REST path in their order, such as the name of a cluster.
    """

    service: str
    operation: str
    account: str
    region: str
    method: str
    path: str
    path_parts: tuple[str, ...]
    headers: Mapping[str, str]
    query: Query
    body: bytes

    def query_value(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None if it is missing."""
        values = self.query.get(name)
        return values[0] if values else None

    def data(self) -> dict[str, Any]:
        """Parse the body as a JSON object.

        An empty body is an empty object. Raise ApiError for a body that is not a JSON object.
        """
        try:
            data = json.loads(self.body or b"{}")
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise ApiError(400, "SerializationException", "The request body is not a JSON object.")
        return data


class ApiError(Exception):
    """An error response of an AWS API: HTTP status, error code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
