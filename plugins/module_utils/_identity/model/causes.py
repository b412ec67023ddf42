# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Failures of one cause together: their texts are alike but for the names of the objects that each is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_T = TypeVar("_T")
_NAME = "\0"


def own_names(workloads: Iterable[str], objects: Iterable[str]) -> list[str]:
    """Return the names that belong to a failure, the longest first.

    :arg workloads: each like "namespace/service_account".
    :arg objects: names or ARNs of its objects; the last part of an ARN is a name, too.
    """
    names: set[str] = set()
    for workload in workloads:
        names.update((workload, *workload.split("/")))
    for one in objects:
        names.update((one, one.rpartition("/")[2]))
    return sorted(filter(None, names), key=lambda name: (-len(name), name))


def without_names(text: str, names: Sequence[str]) -> str:
    """Return a text with one mark for each of these names, as whole words."""
    if not names:
        return text
    return re.sub(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names))})(?![\w-])", _NAME, text)


def group_by_cause(
    failures: Iterable[_T],
    texts_of: Callable[[_T], tuple[str, ...]],
    names_of: Callable[[_T], Sequence[str]],
) -> list[list[_T]]:
    """Group failures whose texts differ in nothing but their own names, in the order of the first of each.

    :arg texts_of: all that tells one cause from another.
    :arg names_of: the names of a failure's own objects.
    """
    # A failure of many workloads may name some of them in a text that is the same for all.
    same: dict[tuple[str, ...], list[_T]] = {}
    for failure in failures:
        same.setdefault(texts_of(failure), []).append(failure)
    causes: dict[tuple[str, ...], list[_T]] = {}
    for texts, group in same.items():
        names = sorted({name for one in group for name in names_of(one)}, key=lambda name: (-len(name), name))
        causes.setdefault(tuple(without_names(text, names) for text in texts), []).extend(group)
    return list(causes.values())
