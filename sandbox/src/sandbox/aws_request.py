# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests to the embedded AWS, without an SDK: importing one takes longer than a start."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from sandbox.errors import StartError
from sandbox.probe import ask

TIMEOUT_SECONDS = 30.0
CONFLICT = 409


@dataclass(frozen=True, slots=True)
class AwsRequester:
    """Asks as the root user of ``account`` in ``region``."""

    port: int
    account: str
    region: str

    def create(self, service: str, path: str, content_type: str, payload: bytes) -> None:
        """POST; that the thing exists already is as good. StartError on any other refusal."""
        headers = self._headers(service, content_type)
        answer = ask(
            self.port,
            path,
            method="POST",
            headers=headers,
            body=payload,
            timeout=TIMEOUT_SECONDS,
        )
        if answer is None:
            raise StartError(f"The embedded AWS did not answer a {service} request, POST {path}.")
        if answer.status not in (200, 201, CONFLICT):
            text = answer.body.decode(errors="replace")
            raise StartError(
                f"The embedded AWS answered {answer.status} to a {service} request, POST {path}: {text}"
            )

    def _headers(self, service: str, content_type: str) -> dict[str, str]:
        """What routes a request. The endpoint does not check the signature of an account's root."""
        instant = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{instant[:8]}/{self.region}/{service}/aws4_request"
        return {
            "content-type": content_type,
            "x-amz-date": instant,
            "authorization": (
                f"AWS4-HMAC-SHA256 Credential={self.account}/{scope}, SignedHeaders=host, Signature=none"
            ),
        }
