# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authenticate requests by their bearer tokens."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import unquote
from urllib.request import ProxyHandler, Request, build_opener

from sandbox.kube.errors import unauthorized
from sandbox.kube.rbac import AUTHENTICATED, MASTERS, User


class Headers(Protocol):
    """The interface to the headers of a request: names are in lower case."""

    def get(self, key: str, default: str, /) -> str: ...


EKS_PREFIX = "k8s-aws-v1."
TIMEOUT_SECONDS = 5
ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))


def parse_user(text: str) -> tuple[str, User]:
    """Parse ``NAME:TOKEN:GROUP1,GROUP2`` to a token and its user. Raise ValueError if the text has no name or no token.

    A colon within a part is written %3A.
    """
    name, _, rest = text.partition(":")
    token, _, groups = rest.partition(":")
    if not name or not token:
        raise ValueError(f"a user is NAME:TOKEN:GROUP1,GROUP2, not {text!r}")
    names = tuple(unquote(group) for group in groups.split(",") if group)
    return unquote(token), User(unquote(name), (*names, AUTHENTICATED))


Review = Callable[[str], User | None]


class Authenticator:
    """The authentication of bearer tokens. As in EKS, a request without a token is rejected.

    ``users`` maps each static token to its user. ``review`` checks tokens of EKS, which AWS credentials have signed: it returns
    the user, or None for an invalid token.
    """

    def __init__(self, users: Mapping[str, User], review: Review | None = None) -> None:
        self._users = dict(users)
        self._review = review

    def is_admin(self, headers: Headers) -> bool:
        """Return whether the user of a request is an administrator. Raise ApiError 401 without a valid token."""
        return MASTERS in self.authenticate(headers).groups

    def authenticate(self, headers: Headers) -> User:
        """Return the user of a request. Raise ApiError 401 without a valid token."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            for token, user in self._users.items():
                if hmac.compare_digest(token.encode(), bearer.strip().encode()):
                    return user
            reviewed = self._reviewed(bearer.strip())
            if reviewed is not None:
                return reviewed
        raise unauthorized()

    def _reviewed(self, token: str) -> User | None:
        if self._review is None or not token.startswith(EKS_PREFIX):
            return None
        return self._review(token)


def review_token(url: str, token: str) -> User | None:
    """Let the embedded AWS check a bearer token, and return its user, or None if the token is rejected.

    ``url`` is the control request ``token-review`` for the EKS cluster.
    """
    body = json.dumps({"token": token}).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    # Do not use a proxy, because a proxy could not reach the loopback address of this machine.
    with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as response:
        result = json.load(response)
    if "refused" in result:
        # As in EKS, the reason is only in the log; the client does not get the reason.
        print(f"token rejected: {result['refused']}", flush=True)
        return None
    return User(str(result["name"]), (*map(str, result["groups"]), AUTHENTICATED))
