# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the overlay's parts hand to each other: one call, its answer, and its refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = dict[str, Any]
"""One stored resource, in the shape ministack stores it."""

Query = Mapping[str, list[str]]


class Response(NamedTuple):
    """What a service handler returns: HTTP status, headers, body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """One API request, with the caller already resolved.

    Attributes:
        operation: the API operation's name without its service (``CreateRole``).
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
        """The first value of a query parameter, or None where it is absent."""
        values = self.query.get(name)
        return values[0] if values else None

    def data(self) -> dict[str, Any]:
        """The JSON object of the body; an empty body is an empty object."""
        try:
            data = json.loads(self.body or b"{}")
        except ValueError:
            data = None
        if not isinstance(data, dict):
            raise ApiError(400, "SerializationException", "The request body is not a JSON object.")
        return data


class ApiError(Exception):
    """A refusal in AWS's words; the service's edge puts it in the service's own envelope."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
