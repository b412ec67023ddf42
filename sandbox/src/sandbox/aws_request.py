# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed requests to the embedded AWS, without an SDK: importing one takes longer than a start."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timezone

from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.errors import StartError
from sandbox.ports import LOOPBACK
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
        headers = self._signed_headers(service, path, content_type, payload)
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

    def _signed_headers(self, service: str, path: str, content_type: str, payload: bytes) -> dict[str, str]:
        """Signature Version 4, for a request without a query string."""
        instant = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{instant[:8]}/{self.region}/{service}/aws4_request"
        signed = {
            "content-type": content_type,
            "host": f"{LOOPBACK}:{self.port}",
            "x-amz-date": instant,
        }
        names = ";".join(signed)
        headers = "".join(f"{name}:{value}\n" for name, value in signed.items())
        digest = hashlib.sha256(payload).hexdigest()
        request = f"POST\n{path}\n\n{headers}\n{names}\n{digest}".encode()
        to_sign = f"AWS4-HMAC-SHA256\n{instant}\n{scope}\n{hashlib.sha256(request).hexdigest()}"
        key = f"AWS4{ROOT_SECRET_ACCESS_KEY}".encode()
        for part in [*scope.split("/"), to_sign]:
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        credential = f"Credential={self.account}/{scope}"
        signature = f"{credential}, SignedHeaders={names}, Signature={key.hex()}"
        return {**signed, "authorization": f"AWS4-HMAC-SHA256 {signature}"}
