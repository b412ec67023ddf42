# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parameters of a request in the Query protocol, which IAM and STS use."""

from __future__ import annotations

from urllib.parse import parse_qsl

from sandbox.aws.model import ApiError


class Form:
    """The account and the parameters of a request.

    Empty and missing parameters are different: for example, an empty Description clears the description of a role.
    """

    def __init__(self, account: str, body: bytes) -> None:
        self.account = account
        self._values = dict(parse_qsl(body.decode(), keep_blank_values=True))

    def get(self, name: str) -> str | None:
        return self._values.get(name)

    def text(self, name: str) -> str:
        """Return the value of a parameter, or an empty string if it is missing."""
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
        """Return the values of a list parameter, ``<name>.member.<n>``."""
        values: list[str] = []
        while (value := self._values.get(f"{name}.member.{len(values) + 1}")) is not None:
            values.append(value)
        return values

    def tags(self) -> list[dict[str, str]]:
        """Return the parameter ``Tags`` as a list of mappings with Key and Value."""
        values: list[dict[str, str]] = []
        while (key := self._values.get(f"Tags.member.{len(values) + 1}.Key")) is not None:
            value = self._values.get(f"Tags.member.{len(values) + 1}.Value", "")
            values.append({"Key": key, "Value": value})
        return values
