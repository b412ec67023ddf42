# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a bearer token of a cluster stands for, as EKS's authenticator finds out.

A token is a presigned STS request for GetCallerIdentity, whose signature covers the header
``x-k8s-aws-id``: the cluster's name, which the token itself does not hold. The authenticator sends
the request with its own cluster's name in that header, and then looks for an access entry of
whoever STS says it was.

Sources: the rules of aws-iam-authenticator's token verifier; EKS User Guide, "Grant IAM users access
to Kubernetes with EKS access entries".
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

from sandbox.aws.model import Record
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.aws.stock import Stock

PREFIX = "k8s-aws-v1."
CLUSTER_HEADER = "x-k8s-aws-id"
LONGEST_TOKEN = 4096
MOST_SECONDS = 900
SKEW = timedelta(minutes=5)
PARAMETERS = frozenset(
    {
        "action",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
MASTERS = "system:masters"
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_SCOPE = ("key", "date", "region", "service", "aws4_request")
_ASSUMED_ROLE = re.compile(r"arn:aws:sts::(\d{12}):assumed-role/([^/]+)/(.+)")


class RefusedToken(Exception):
    """Why it is refused. A real API server answers 401 to the client, and this is in the authenticator's log."""


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster that is asked, and the host of the STS that it knows."""

    account: str
    region: str
    cluster: str
    sts_host: str


@dataclass(frozen=True, slots=True)
class User:
    """Who Kubernetes takes the caller for."""

    name: str
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presigned:
    """The request in a token. ``query`` is as it was sent, for the signature is of that."""

    query: Mapping[str, str]
    access_key_id: str
    date: str
    region: str

    def value(self, name: str) -> str:
        return next((value for key, value in self.query.items() if key.lower() == name), "")


class TokenReview:
    def __init__(self, stock: Stock) -> None:
        self._stock = stock
        self._shown: dict[str, None] = {}

    @property
    def shown(self) -> list[str]:
        """All tokens that were asked about, also the refused ones."""
        return list(self._shown)

    def forget(self) -> None:
        self._shown.clear()

    def user(self, token: str, place: Place) -> User:
        """Raises RefusedToken."""
        self._shown[token] = None
        caller = self._caller(_read(token, place.sts_host), place)
        entry = self._entry(caller, place)
        session = _ASSUMED_ROLE.fullmatch(caller)
        name = str(entry.get("username") or _username(caller))
        name = name.replace("{{SessionName}}", session.group(3) if session else "")
        groups = tuple(map(str, entry.get("kubernetesGroups") or ()))
        policies = self._stock.access_policies(
            place.account, place.region, place.cluster, entry["principalArn"]
        )
        return User(name, (*groups, MASTERS) if ADMIN_POLICY in policies else groups)

    def _caller(self, request: Presigned, place: Place) -> str:
        """The ARN that STS answers to the request, sent with the name of the cluster in its header."""
        signer = self._stock.signer(request.access_key_id, request.value("x-amz-security-token"))
        if isinstance(signer, str):
            raise RefusedToken(f"STS: {signer}")
        secret = ROOT_SECRET_ACCESS_KEY if signer.is_root else signer.secret_access_key
        headers = {"host": place.sts_host, CLUSTER_HEADER: place.cluster}
        signed = request.value("x-amz-signedheaders")
        expected = self._stock.signature(secret, headers, request.query, signed, request.date, request.region)
        if not hmac.compare_digest(expected, request.value("x-amz-signature")):
            raise RefusedToken("STS: SignatureDoesNotMatch: signed with another key, or for another cluster")
        return signer.arn

    def _entry(self, caller: str, place: Place) -> Record:
        """The access entry of the caller, of a session that of its role."""
        session = _ASSUMED_ROLE.fullmatch(caller)
        role = self._stock.roles.get(session.group(1), session.group(2)) if session else None
        principal = str(role["Arn"]) if role else caller
        entry = self._stock.access_entry(place.account, place.region, place.cluster, principal)
        if entry is None:
            raise RefusedToken(f"{principal} has no access entry in cluster {place.cluster}")
        return entry


def _read(token: str, sts_host: str) -> Presigned:
    """The request in a token, as far as it can be judged without STS. Raises RefusedToken."""
    if len(token) > LONGEST_TOKEN:
        raise RefusedToken("token is too large")
    if not token.startswith(PREFIX):
        raise RefusedToken(f"token is missing expected prefix {PREFIX}")
    encoded = token.removeprefix(PREFIX)
    try:
        padded = encoded + "=" * (-len(encoded) % 4)
        url = urlsplit(base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii"))
        pairs = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        raise RefusedToken("token is no URL in base64") from error
    # This STS has no TLS; a real one is asked by https only.
    if url.netloc != sts_host:
        raise RefusedToken(f"unexpected hostname {url.netloc} in pre-signed URL")
    if url.path != "/":
        raise RefusedToken("unexpected path in pre-signed URL")
    names = [name.lower() for name, _value in pairs]
    if unknown := set(names) - PARAMETERS:
        raise RefusedToken(f"non-whitelisted query parameter {min(unknown)}")
    if len(set(names)) != len(names):
        raise RefusedToken("query parameter with multiple values not supported")
    values = dict(zip(names, (value for _name, value in pairs), strict=True))
    if values.get("action") != "GetCallerIdentity":
        raise RefusedToken("unexpected action parameter in pre-signed URL")
    if CLUSTER_HEADER not in values.get("x-amz-signedheaders", "").lower().split(";"):
        raise RefusedToken(f"client did not sign the {CLUSTER_HEADER} header in the pre-signed URL")
    expires = values.get("x-amz-expires", "")
    if not expires.isdecimal() or int(expires) > MOST_SECONDS:
        raise RefusedToken("invalid X-Amz-Expires parameter in pre-signed URL")
    scope = values.get("x-amz-credential", "").split("/")
    if len(scope) != len(_SCOPE) or scope[3:] != ["sts", "aws4_request"]:
        raise RefusedToken("X-Amz-Credential is not scoped to STS")
    _check_age(values.get("x-amz-date", ""))
    return Presigned(dict(pairs), scope[0], values["x-amz-date"], scope[2])


def _check_age(date: str) -> None:
    """15 minutes from its date on, whatever X-Amz-Expires says."""
    try:
        signed = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError as error:
        raise RefusedToken("error parsing X-Amz-Date parameter") from error
    now = datetime.now(timezone.utc)
    if now > signed + timedelta(seconds=MOST_SECONDS):
        raise RefusedToken(f"X-Amz-Date parameter is expired (15 minute expiration) {signed}")
    if now < signed - SKEW:
        raise RefusedToken("STS: SignatureDoesNotMatch: Signature not yet current")


def _username(caller: str) -> str:
    """What EKS gives an access entry without a name of its own."""
    session = _ASSUMED_ROLE.fullmatch(caller)
    if session is None:
        return caller
    return f"{caller.rpartition('/')[0]}/{{{{SessionName}}}}"
