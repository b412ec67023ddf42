# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request, response and error of an API call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = dict[str, Any]
"""A stored resource in ministack's format."""

Query = Mapping[str, list[str]]


class Response(NamedTuple):
    """The HTTP status, headers and body that a service returns."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """An API request of an account.

    Attributes:
        operation: the name of the API operation without its service (``CreateRole``).
        path_parts: the variable parts of a REST path, in order.
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
        """Parse the body as a JSON object; an empty body is an empty object."""
        try:
            data = json.loads(self.body or b"{}")
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise ApiError(400, "SerializationException", "The request body is not a JSON object.")
        return data


class ApiError(Exception):
    """An error of an AWS API."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
