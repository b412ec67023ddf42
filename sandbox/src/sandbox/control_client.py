# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send control requests to an emulator. It needs only the standard library."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
)

CONTROL_PREFIX = "/_sandbox/"
TIMEOUT_SECONDS = 30


class ControlError(Exception):
    """The error for a failed control request: the server returned an error or did not respond."""


class ControlClient:
    """A client that controls an emulator. A server with HTTPS needs ``ca_file`` and the token of an administrator."""

    def __init__(self, endpoint: str, ca_file: str | Path = "", token: str = "") -> None:
        self.endpoint = endpoint.rstrip("/")
        self._ca_file = ca_file
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def reset_counters(self) -> None:
        self._request("DELETE", "counters")

    def _request(
        self, method: str, name: str, data: Any = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        url = f"{self.endpoint}{CONTROL_PREFIX}{name}"
        if query:
            url += f"?{urlencode(query)}"
        body = None if data is None else json.dumps(data).encode()
        request = Request(url, body, self._headers, method=method)
        try:
            with self._opener().open(request, timeout=TIMEOUT_SECONDS) as response:
                return cast("dict[str, Any]", json.load(response))
        except HTTPError as error:
            text = json.load(error)["error"]
            raise ControlError(f"{method} {url}: {text}") from None
        except (URLError, OSError) as error:
            raise ControlError(f"{method} {url}: {error}") from error

    def _opener(self) -> OpenerDirector:
        """Return an opener without proxies, which could not reach the loopback address.

        ``build_opener`` of the standard library would load TLS certificates, which takes as long as ten requests.
        """
        opener = OpenerDirector()
        for handler in (HTTPHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()):
            opener.add_handler(handler)
        if self._ca_file:
            opener.add_handler(HTTPSHandler(context=ssl.create_default_context(cafile=str(self._ca_file))))
        return opener
