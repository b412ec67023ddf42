# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a Query protocol request."""

from __future__ import annotations

from urllib.parse import parse_qsl

from sandbox.aws.model import ApiError


class Form:
    """One request's parameters and the account that asks.

    A parameter sent empty differs from one not sent: an empty role description clears it.
    """

    def __init__(self, account: str, body: bytes) -> None:
        self.account = account
        self._values = dict(parse_qsl(body.decode(), keep_blank_values=True))

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def text(self, name: str) -> str:
        """The value, or an empty string where it was not sent."""
        return self._values.get(name, "")

    def required(self, name: str) -> str:
        value = self._values.get(name)
        if value is None:
            member = name[0].lower() + name[1:]
            raise ApiError(
                400,
                "ValidationError",
                f"1 validation error detected: Value null at '{member}' failed to satisfy "
                "constraint: Member must not be null",
            )
        return value

    def flag(self, name: str) -> bool:
        return self._values.get(name, "").lower() == "true"

    def members(self, name: str) -> list[str]:
        """The values of a list parameter, ``<name>.member.<n>``."""
        found: list[str] = []
        while (value := self._values.get(f"{name}.member.{len(found) + 1}")) is not None:
            found.append(value)
        return found

    def tags(self) -> list[dict[str, str]]:
        """The parameter ``Tags`` as ministack stores tags."""
        found: list[dict[str, str]] = []
        while (key := self._values.get(f"Tags.member.{len(found) + 1}.Key")) is not None:
            value = self._values.get(f"Tags.member.{len(found) + 1}.Value", "")
            found.append({"Key": key, "Value": value})
        return found
