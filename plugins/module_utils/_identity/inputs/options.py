# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Options of a run that Ansible's argument specs take, and that cannot be used all the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.errors import Problems
from ..model.labels import OWNER_RULE, is_owner
from .fields import Fields

LEAST = {"concurrency": 1, "deadline": 0, "propagation_timeout": 0, "purge_limit": 0}


def validate_options(options: Mapping[str, object]) -> None:
    """InputError for every number below its least value, and for an owner that cannot be one.

    What is not given, or None, is not looked at.
    """
    problems = Problems()
    fields = Fields(dict(options.items()), "", problems)
    read_numbers(fields)
    read_owner(fields)
    problems.raise_if_any()


def read_numbers(fields: Fields) -> dict[str, int]:
    """The numbers that are given, by name."""
    numbers = {name: fields.integer(name, least) for name, least in LEAST.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def read_owner(fields: Fields) -> str | None:
    owner = fields.raw.get("owner")
    if owner is None:
        return None
    if not is_owner(str(owner)):
        fields.refuse("owner", OWNER_RULE)
    return str(owner)
