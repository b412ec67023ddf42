# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a case is written down: requests one after the other, and what the last of them is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """``kept`` names members of the answer; ``<name>`` in a later text stands for what was kept."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    kept: Mapping[str, Path] = field(default_factory=dict)

    def keeping(self, **kept: Path) -> Request:
        return replace(self, kept=kept)


@dataclass(frozen=True, slots=True)
class Refusal:
    code: str
    text: str


class _Absent:
    """Stands for a member that the answer does not have."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Case:
    """``outcome`` holds the members that matter, or the refusal. ``before`` arranges and succeeds."""

    name: str
    before: tuple[Request, ...]
    request: Request
    outcome: Mapping[str, Any] | Refusal

    @property
    def operation(self) -> str:
        return f"{self.request.service}:{self.request.operation}"


def filled(value: Any, kept: Mapping[str, str]) -> Any:
    """``value`` with what was kept in the place of the names."""
    if isinstance(value, str):
        for name, text in kept.items():
            value = value.replace(f"<{name}>", text)
        return value
    if isinstance(value, Mapping):
        return {key: filled(item, kept) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [filled(item, kept) for item in value]
    return value


def differences(expected: Any, found: Any, place: str = "answer") -> list[str]:
    """Where ``found`` is not as expected. It may have members beside those that are expected."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        lines: list[str] = []
        for key, value in expected.items():
            where = f"{place}.{key}"
            if value is ABSENT:
                lines += [f"{where} is {found[key]!r}, expected none"] if key in found else []
            elif key not in found:
                lines.append(f"{where} is missing, expected {value!r}")
            else:
                lines += differences(value, found[key], where)
        return lines
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        pairs = enumerate(zip(expected, found, strict=True))
        return [line for number, pair in pairs for line in differences(*pair, f"{place}[{number}]")]
    return [] if expected == found else [f"{place} is {found!r}, expected {expected!r}"]
