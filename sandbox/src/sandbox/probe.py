# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send HTTP requests to servers on the loopback address, without a proxy."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox.ports import LOOPBACK

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: status and body."""

    status: int
    body: bytes


def request(
    port: int,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    ca_file: Path | None = None,
    timeout: float = TIMEOUT_SECONDS,
) -> Response | None:
    """Send a request, and return the response, or None if the server does not respond.

    With ``ca_file``, the certificate authority of the server, the request uses TLS. ``timeout`` is in seconds.
    """
    connection: http.client.HTTPConnection | None = None
    try:
        if ca_file is None:
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout)
        else:
            context = ssl.create_default_context(cafile=str(ca_file))
            connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=timeout, context=context)
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Response(response.status, response.read())
    except (OSError, http.client.HTTPException):
        return None
    finally:
        if connection is not None:
            connection.close()


def is_ok(port: int, path: str, *, ca_file: Path | None = None, token: str = "") -> bool:
    """Return whether a GET request returns status 200."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    response = request(port, path, headers=headers, ca_file=ca_file)
    return response is not None and response.status == 200
