# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bearer tokens and impersonation."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote

from sandbox.kube.errors import ApiError, unauthorized
from sandbox.kube.rbac import AUTHENTICATED, MASTERS, Attributes, Authorizer, User


class Headers(Protocol):
    """Request headers, by lower-case name."""

    def get(self, key: str, default: str, /) -> str: ...

    def getlist(self, key: str, /) -> list[str]: ...


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


class Authenticator:
    """Knows ``{token: user}``; nobody is anonymous here, as on EKS."""

    def __init__(self, users: Mapping[str, User]) -> None:
        self._users = dict(users)

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
        raise unauthorized()
