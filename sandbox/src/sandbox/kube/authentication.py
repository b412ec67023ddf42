# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bearer tokens and impersonation."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import unquote
from urllib.request import ProxyHandler, Request, build_opener

from sandbox.kube.errors import ApiError, unauthorized
from sandbox.kube.rbac import AUTHENTICATED, MASTERS, Attributes, Authorizer, User


class Headers(Protocol):
    """Request headers, by lower-case name."""

    def get(self, key: str, default: str, /) -> str: ...

    def getlist(self, key: str, /) -> list[str]: ...


EKS_PREFIX = "k8s-aws-v1."
TIMEOUT_SECONDS = 5
ADMIN = User("kubernetes-admin", (MASTERS, AUTHENTICATED))


def parse_user(text: str) -> tuple[str, User]:
    """``NAME:TOKEN:GROUP1,GROUP2`` as (token, user).

    A colon in a name is written %3A; groups are taken as they are. ValueError says the format.
    """
    name, _, rest = text.partition(":")
    token, _, groups = rest.partition(":")
    if not name or not token:
        raise ValueError(f"a user is NAME:TOKEN:GROUP1,GROUP2, not {text!r}")
    listed = tuple(unquote(group) for group in groups.split(",") if group)
    return unquote(token), User(unquote(name), (*listed, AUTHENTICATED))


Review = Callable[[str], User | None]


class Authenticator:
    """Knows ``{token: user}``; nobody is anonymous here, as on EKS.

    ``review`` says whose a token of EKS is, or None.
    """

    def __init__(self, users: Mapping[str, User], review: Review | None = None) -> None:
        self._users = dict(users)
        self._review = review

    def user_of(self, headers: Headers, authorizer: Authorizer) -> User:
        """The user of a request; ApiError 401 without a known token."""
        user = self._token_user(headers)
        wanted = headers.get("impersonate-user", "")
        if not wanted:
            return user
        for resource, names in (
            ("users", [wanted]),
            ("groups", headers.getlist("impersonate-group")),
        ):
            for name in names:
                asked = Attributes("impersonate", resource=resource, name=name)
                if not authorizer.allows(user, asked):
                    message = (
                        f'{resource} "{name}" is forbidden: User "{user.name}" cannot impersonate'
                        f' resource "{resource}" in API group "" at the cluster scope'
                    )
                    details = {"name": name, "kind": resource}
                    raise ApiError(403, "Forbidden", message, details)
        return User(wanted, (*headers.getlist("impersonate-group"), AUTHENTICATED))

    def is_admin(self, headers: Headers) -> bool:
        """Whether the control endpoints are open to this request."""
        return MASTERS in self._token_user(headers).groups

    def _token_user(self, headers: Headers) -> User:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            for token, user in self._users.items():
                if hmac.compare_digest(token.encode(), given.strip().encode()):
                    return user
            reviewed = self._reviewed(given.strip())
            if reviewed is not None:
                return reviewed
        raise unauthorized()

    def _reviewed(self, token: str) -> User | None:
        if self._review is None or not token.startswith(EKS_PREFIX):
            return None
        return self._review(token)


def review_at(url: str, token: str) -> User | None:
    """The user of a token of EKS by the control endpoint of the embedded AWS."""
    body = json.dumps({"token": token}).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    # A proxy of the environment has no way to this machine's loopback.
    with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
        row = json.load(answer)
    if "refused" in row:
        # Where a cluster's administrator looks, too: the client is told nothing.
        print(f"token refused: {row['refused']}", flush=True)
        return None
    return User(str(row["name"]), (*map(str, row["groups"]), AUTHENTICATED))
