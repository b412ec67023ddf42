# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send requests to the embedded AWS without an AWS SDK, because importing boto3 takes longer than starting the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from sandbox.errors import StartError
from sandbox.probe import request

TIMEOUT_SECONDS = 30.0
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class AwsRequester:
    """A client of the embedded AWS that sends requests as the root user of an account."""

    port: int
    account: str
    region: str

    def create(self, service: str, path: str, content_type: str, payload: bytes) -> None:
        """Send a POST request that creates a resource. Accept status 409, which means that the resource exists.

        Raise StartError for any other error.
        """
        headers = self._headers(service, content_type)
        response = request(
            self.port,
            path,
            method="POST",
            headers=headers,
            body=payload,
            timeout=TIMEOUT_SECONDS,
        )
        if response is None:
            raise StartError(f"The embedded AWS does not respond to a {service} request, POST {path}.")
        if response.status not in (200, 201, CONFLICT):
            text = response.body.decode(errors="replace")
            raise StartError(
                f"The embedded AWS returned {response.status} for a {service} request, POST {path}: {text}"
            )

    def _headers(self, service: str, content_type: str) -> dict[str, str]:
        """Return the headers with service, account and region.

        The signature is a placeholder, because the embedded AWS does not check signatures of root users.
        """
        instant = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{instant[:8]}/{self.region}/{service}/aws4_request"
        return {
            "content-type": content_type,
            "x-amz-date": instant,
            "authorization": (
                f"AWS4-HMAC-SHA256 Credential={self.account}/{scope}, SignedHeaders=host, Signature=none"
            ),
        }
