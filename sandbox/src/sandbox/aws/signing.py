# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signature Version 4: the scope and the signature of a request."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from sandbox.http import Request

_AUTHORIZATION = re.compile(
    r"Credential=([^/,\s]+)/([^/]*)/([^/]*)/([^/]*)/aws4_request,\s*SignedHeaders=([^,\s]*),\s*Signature=(\S+)"
)


class Signed(NamedTuple):
    """The signature of a request and its scope. All members are empty for a request without signature."""

    key: str = ""
    day: str = ""
    region: str = ""
    service: str = ""
    headers: str = ""
    signature: str = ""
    token: str = ""


def signed(request: Request) -> Signed:
    """Return the signature in the header Authorization or in a presigned query."""
    match = _AUTHORIZATION.search(request.headers.get("authorization", ""))
    if match is not None:
        key, day, region, service, names, value = match.groups()
        token = request.headers.get("x-amz-security-token", "")
        return Signed(key, day, region, service, names, value, token)
    if "X-Amz-Credential" not in request.query:
        return Signed()
    query = request.parameters()
    key, day, region, service = (*query["X-Amz-Credential"].split("/"), "", "", "")[:4]
    names, value = query.get("X-Amz-SignedHeaders", ""), query.get("X-Amz-Signature", "")
    return Signed(key, day, region, service, names, value, query.get("X-Amz-Security-Token", ""))


def is_valid(request: Request, signature: Signed, secret: str) -> bool:
    """Return whether a request is signed with a secret key."""
    presigned = "authorization" not in request.headers
    date = request.parameters().get("X-Amz-Date", "") if presigned else request.headers.get("x-amz-date", "")
    pairs = [pair for pair in request.query.split("&") if pair and not pair.startswith("X-Amz-Signature=")]
    expected = sign(
        secret,
        (request.method, quote(request.path, safe="/~")),
        pairs,
        request.headers,
        signature,
        date,
        request.body,
    )
    return hmac.compare_digest(expected, signature.signature)


def query_pairs(query: Mapping[str, str]) -> list[str]:
    """Encode the parameters of a query as a signature covers them."""
    return [f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query.items()]


def sign(
    secret: str,
    target: tuple[str, str],
    pairs: Iterable[str],
    headers: Mapping[str, str],
    scope: Signed,
    date: str,
    body: bytes = b"",
) -> str:
    """Return the signature of a request. ``target`` is the method and the path, ``pairs`` are the encoded parameters."""
    names = unquote(scope.headers)
    lines = [f"{name}:{' '.join(headers.get(name, '').split())}" for name in names.split(";")]
    payload = hashlib.sha256(body).hexdigest()
    canonical = "\n".join((*target, "&".join(sorted(pairs)), *lines, "", names, payload))
    region, service = scope.region, scope.service
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", date, f"{date[:8]}/{region}/{service}/aws4_request", digest))
    key = f"AWS4{secret}".encode()
    for part in (date[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
