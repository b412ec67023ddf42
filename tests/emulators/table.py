# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form of the test cases: setup requests, a request, and the expected response or error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """A request. ``saved`` has the paths of response members by name. Later requests refer to these members as ``<name>``."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    saved: Mapping[str, Path] = field(default_factory=dict)

    def saving(self, **saved: Path) -> Request:
        return replace(self, saved=saved)


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    text: str


class _Absent:
    """The value of a member that the response must not have."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Case:
    """A test case. ``outcome`` has the expected members of the response, or the error. All requests in ``setup`` must succeed."""

    name: str
    setup: tuple[Request, ...]
    request: Request
    outcome: Mapping[str, Any] | Refusal

    @property
    def operation(self) -> str:
        return f"{self.request.service}:{self.request.operation}"


def filled(value: Any, saved: Mapping[str, str]) -> Any:
    """Replace each ``<name>`` in a value with the member that an earlier request saved under this name."""
    if isinstance(value, str):
        for name, text in saved.items():
            value = value.replace(f"<{name}>", text)
        return value
    if isinstance(value, Mapping):
        return {key: filled(item, saved) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, saved) for item in value]
    return value


def differences(expected: Any, found: Any, place: str = "answer") -> list[str]:
    """Return a text for each difference between two values. ``found`` may have additional members."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        lines: list[str] = []
        for key, value in expected.items():
            member = f"{place}.{key}"
            if value is ABSENT:
                lines += [f"{member} is {found[key]!r}, expected none"] if key in found else []
            elif key not in found:
                lines.append(f"{member} is missing, expected {value!r}")
            else:
                lines += differences(value, found[key], member)
        return lines
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for number, pair in pairs for line in differences(*pair, f"{place}[{number}]")]
    return [] if expected == found else [f"{place} is {found!r}, expected {expected!r}"]
