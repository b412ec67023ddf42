# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How much input is read. Ten lines of YAML can stand for more values than a machine can hold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

T = TypeVar("T")

# What one value may add to the size of a text without counting as another value.
CHARACTERS = 100


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file or option may hold, and how many files there may be. docs/workloads.md names the numbers.

    ``values`` counts keys and values, and each alias as all that it stands for. A text counts once more for
    each 100 characters. A mapping or list in another is one level deeper.
    """

    files: int = 10_000
    file_bytes: int = 16 * 1024 * 1024
    values: int = 500_000
    depth: int = 64
    digits: int = 100


LIMITS = Limits()


def too_many(limits: Limits) -> str:
    return f"holds more than {limits.values:,} values"


def too_deep(limits: Limits) -> str:
    return f"is nested more than {limits.depth} levels deep"


@dataclass(frozen=True, slots=True)
class Excess(Generic[T]):
    """The part that is too much, and which bound it breaks ("is nested more than 64 levels deep")."""

    part: T
    rule: str


@dataclass(frozen=True, slots=True)
class _Size:
    values: int
    depth: int


def find_excess(
    root: T, parts_of: Callable[[T], Sequence[T] | None], length_of: Callable[[T], int], limits: Limits
) -> Excess[T] | None:
    """The first part that breaks a bound, or None.

    ``parts_of`` gives what a mapping or list holds, None for anything else. Each part is looked at once,
    however often others refer to it; its size counts each time.
    """
    sizes: dict[int, _Size] = {}
    # What each mapping or list holds. It also keeps its parts: the number of an object that is gone is given
    # to another.
    contents: dict[int, Sequence[T]] = {}
    entered: set[int] = set()
    top = (root,)
    contents[id(top)] = top
    waiting: list[T | tuple[T]] = [top]
    while waiting:
        part = waiting[-1]
        key = id(part)
        if key in sizes:
            waiting.pop()
            continue
        inner = contents[key]
        if key in entered:
            size = _joined(sizes[id(child)] for child in inner)
            if part is not top:
                if size.values > limits.values:
                    return Excess(cast(T, part), too_many(limits))
                if size.depth > limits.depth:
                    return Excess(cast(T, part), too_deep(limits))
            sizes[key] = size
            waiting.pop()
            continue
        entered.add(key)
        for child in inner:
            name = id(child)
            if name in sizes:
                continue
            if name in entered:
                return Excess(child, "contains itself")
            held = contents.get(name) or parts_of(child)
            if held is None:
                sizes[name] = _Size(1 + length_of(child) // CHARACTERS, 0)
            else:
                contents[name] = held
                waiting.append(child)
    return None


def _joined(sizes: Iterable[_Size]) -> _Size:
    values, depth = 1, 0
    for size in sizes:
        values += size.values
        depth = max(depth, size.depth)
    return _Size(values, depth + 1)


def find_excess_of_values(value: object, limits: Limits = LIMITS) -> Excess[object] | None:
    """The same of plain values, as Ansible hands them over or a reader of JSON makes them."""
    return find_excess(value, _parts_of_value, _length_of_value, limits)


def _parts_of_value(value: object) -> Sequence[object] | None:
    if isinstance(value, Mapping):
        return [part for pair in value.items() for part in pair]
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return list(value)
    return None


def _length_of_value(value: object) -> int:
    return len(value) if isinstance(value, (str, bytes)) else 0
