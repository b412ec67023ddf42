# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authenticate bearer tokens for the Kubernetes API as EKS does.

A token is a presigned request for STS GetCallerIdentity. Its signature covers the header ``x-k8s-aws-id`` with the name of
the cluster, but the token does not contain the name. The authenticator adds the name of its own cluster, so a token for
another cluster has an invalid signature. Then the authenticator looks for the access entry of the caller.

Sources: the token verifier of aws-iam-authenticator; EKS User Guide, "Grant IAM users access to Kubernetes
with EKS access entries".
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

from sandbox.aws.model.accounts import Cloud
from sandbox.aws.model.eks import ADMIN_POLICY
from sandbox.aws.model.errors import Refusal
from sandbox.aws.model.tables import Answer
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.aws.signing import Signed, query_pairs, sign

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
MAX_TOKEN_LENGTH = 4096
MAX_SECONDS = 900
SKEW = timedelta(minutes=5)
_SIGNED = ("algorithm", "credential", "date", "expires", "security-token", "signature", "signedheaders")
PARAMETERS = frozenset(("action", "version", *(f"x-amz-{name}" for name in _SIGNED)))
MASTERS = "system:masters"
_SCOPE = ("key", "date", "region", "service", "aws4_request")
_ASSUMED_ROLE = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/(.+)")


class RejectedToken(Exception):
    """The error for a rejected token. As in EKS, the reason is only in the log, not in the response."""


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster that received a token, and the host name of the STS endpoint that the token must have."""

    account: str
    region: str
    cluster: str
    sts_host: str


@dataclass(frozen=True, slots=True)
class User:
    """The Kubernetes user and groups that a token authenticates."""

    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presigned:
    """The request in a token. ``query`` has the parameters as they are in the URL, because the signature covers them."""

    query: Mapping[str, str]
    access_key_id: str
    date: str
    region: str

    def value(self, name: str) -> str:
        return next((value for key, value in self.query.items() if key.lower() == name), "")


class TokenReview:
    """The authenticator of bearer tokens, for all clusters."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._tokens: dict[str, None] = {}

    @property
    def tokens(self) -> list[str]:
        """Return all tokens that clusters have received, including rejected tokens."""
        return list(self._tokens)

    def clear(self) -> None:
        self._tokens.clear()

    def user(self, token: str, target: Target) -> User:
        """Return the user that a token authenticates. Raise RejectedToken if it is invalid or the caller has no access entry."""
        self._tokens[token] = None
        caller = self._caller(_read(token, target.sts_host), target)
        entry = self._entry(caller, target)
        session = _ASSUMED_ROLE.fullmatch(caller)
        name = str(entry.get("username") or _username(caller))
        name = name.replace("{{SessionName}}", session.group(3) if session else "")
        groups = tuple(map(str, entry.get("kubernetesGroups") or ()))
        policy = entry["policies"].get(ADMIN_POLICY, {})
        is_admin = policy.get("accessScope", {}).get("type") == "cluster"
        return User(name, (*groups, MASTERS) if is_admin else groups)

    def _caller(self, request: Presigned, target: Target) -> str:
        """Return the ARN of the caller. Raise RejectedToken if the access key or the signature for this cluster is invalid."""
        try:
            token = request.value("x-amz-security-token")
            signer = self._cloud.principal(request.access_key_id, token, strict=True)
        except Refusal as error:
            raise RejectedToken(f"STS: {error}") from error
        secret = signer.secret or ROOT_SECRET_ACCESS_KEY
        headers = {"host": target.sts_host, CLUSTER_HEADER: target.cluster}
        pairs = query_pairs(
            {name: value for name, value in request.query.items() if name != "X-Amz-Signature"}
        )
        scope = Signed(region=request.region, service="sts", headers=request.value("x-amz-signedheaders"))
        expected = sign(secret, ("GET", "/"), pairs, headers, scope, request.date)
        if not hmac.compare_digest(expected, request.value("x-amz-signature")):
            raise RejectedToken("STS: SignatureDoesNotMatch: signed with another key, or for another cluster")
        return signer.arn

    def _entry(self, caller: str, target: Target) -> Answer:
        """Return the access entry of the caller, or of the role if the caller is a session of a role.

        Raise RejectedToken if there is no such entry.
        """
        role = self._cloud.role_of_session(caller)
        principal = str(role["Arn"]) if role else caller
        entry = self._cloud.account(target.account).eks(target.region).access(target.cluster, principal)
        if entry is None:
            raise RejectedToken(f"{principal} has no access entry in cluster {target.cluster}")
        return entry


def _read(token: str, sts_host: str) -> Presigned:
    """Parse a token, and check everything except the signature. Raise RejectedToken if it is invalid."""
    if len(token) > MAX_TOKEN_LENGTH:
        raise RejectedToken("token is too large")
    if not token.startswith(PREFIX):
        raise RejectedToken(f"token is missing expected prefix {PREFIX}")
    encoded = token.removeprefix(PREFIX)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        url = urlsplit(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise RejectedToken("token is not a base64-encoded URL") from error
    # The scheme is not checked, because the embedded STS has no TLS.
    if url.netloc != sts_host:
        raise RejectedToken(f"unexpected hostname {url.netloc} in pre-signed URL")
    if url.path != "/":
        raise RejectedToken("unexpected path in pre-signed URL")
    names = [name.lower() for name, _value in pairs]
    if unknown := set(names) - PARAMETERS:
        raise RejectedToken(f"non-whitelisted query parameter {min(unknown)}")
    if len(set(names)) != len(names):
        raise RejectedToken("query parameter with multiple values not supported")
    values = dict(zip(names, (value for _name, value in pairs), strict=True))
    if values.get("action") != "GetCallerIdentity":
        raise RejectedToken("unexpected action parameter in pre-signed URL")
    if CLUSTER_HEADER not in values.get("x-amz-signedheaders", "").lower().split(";"):
        raise RejectedToken(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    expires = values.get("x-amz-expires", "")
    if not expires.isdecimal() or int(expires) > MAX_SECONDS:
        raise RejectedToken("invalid X-Amz-Expires parameter in pre-signed URL")
    scope = values.get("x-amz-credential", "").split("/")
    if len(scope) != len(_SCOPE) or scope[3:] != ["sts", "aws4_request"]:
        raise RejectedToken("X-Amz-Credential is not scoped to STS")
    _check_age(values.get("x-amz-date", ""))
    return Presigned(dict(pairs), scope[0], values["x-amz-date"], scope[2])


def _check_age(date: str) -> None:
    """Reject a token that is older than 15 minutes, whatever its X-Amz-Expires, or dated more than 5 minutes in the future."""
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise RejectedToken("error parsing X-Amz-Date parameter") from error
    now = datetime.now(timezone.utc)
    if now > signed + timedelta(seconds=MAX_SECONDS):
        raise RejectedToken(f"X-Amz-Date parameter is expired (15 minute expiration) {signed}")
    if now < signed - SKEW:
        raise RejectedToken("STS: SignatureDoesNotMatch: Signature not yet current")


def _username(caller: str) -> str:
    """Return the Kubernetes user name of a caller whose access entry does not define one.

    ``caller`` is the ARN from STS. For an assumed role, the user name contains a placeholder for the session name.
    """
    session = _ASSUMED_ROLE.fullmatch(caller)
    if session is None:
        return caller
    return f"{caller.rpartition('/')[0]}/{{{{SessionName}}}}"
