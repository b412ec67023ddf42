# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which clusters an inventory source wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

# What the name of a criterion has before the key of a tag.
TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Filter:
    """A cluster matches when each criterion has a pattern that fits. Patterns are a shell's, with * and ?."""

    criteria: Mapping[str, tuple[str, ...]]


def is_wanted(
    properties: Mapping[str, str],
    include: Sequence[Filter],
    exclude: Sequence[Filter],
    described: bool = True,
) -> bool:
    """Whether a cluster of these properties is to be a host: some filter of ``include`` fits, if there is one, and
    none of ``exclude``.

    Of a cluster that is not ``described`` only some properties are known. The answer is then False only when it is
    False whatever the others are.
    """
    if any(_fits(criteria_filter, properties, unknown=False) for criteria_filter in exclude):
        return False
    return not include or any(
        _fits(criteria_filter, properties, unknown=not described) for criteria_filter in include
    )


def _fits(criteria_filter: Filter, properties: Mapping[str, str], unknown: bool) -> bool:
    """``unknown`` is whether a criterion fits whose property is not there."""
    return all(
        any(fnmatchcase(properties[name], pattern) for pattern in patterns) if name in properties else unknown
        for name, patterns in criteria_filter.criteria.items()
    )
