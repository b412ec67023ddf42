# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read projected service account tokens of Kubernetes."""

from __future__ import annotations

import base64
import binascii
import json
import time
from dataclasses import dataclass

from sandbox.aws.model.documents import POD_IDENTITY_SERVICE, as_list
from sandbox.aws.model.errors import Refusal

AUDIENCE = POD_IDENTITY_SERVICE


@dataclass(frozen=True, slots=True)
class Pod:
    """The Pod that a service account token was issued for."""

    namespace: str
    service_account: str
    name: str
    uid: str


def read_token(token: str) -> Pod:
    """Return the Pod that a projected service account token was issued for.

    Raise Refusal if the token is malformed, expired, or for another audience. The signature is not checked.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        kubernetes = claims["kubernetes.io"]
        pod = Pod(
            kubernetes["namespace"],
            kubernetes["serviceaccount"]["name"],
            kubernetes["pod"]["name"],
            kubernetes["pod"]["uid"],
        )
        audience, expiry = as_list(claims["aud"]), float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        raise Refusal(
            "InvalidTokenException",
            "Service account token cannot be parsed: token is malformed",
        ) from None
    if AUDIENCE not in audience:
        raise Refusal("InvalidTokenException", "The token included in the request has an invalid audience.")
    if expiry < time.time():
        raise Refusal("ExpiredTokenException", "The token included in the request is expired.")
    return pod
