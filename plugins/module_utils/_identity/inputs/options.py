# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Options of a run that Ansible's argument specs take, and that cannot be used all the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.errors import Problems
from ..model.labels import OWNER_RULE, is_owner
from .fields import Fields, read_integer

LEAST = {"concurrency": 1, "deadline": 0, "propagation_timeout": 0, "purge_limit": 0}


def validate_options(options: Mapping[str, object]) -> None:
    """InputError for every number below its least value, and for an owner that cannot be one.

    What is not given, or None, is not looked at.
    """
    problems = Problems()
    fields = Fields(dict(options.items()), "", problems)
    read_numbers(fields)
    read_purge_percent(fields)
    read_owner(fields)
    problems.raise_if_any()


def read_numbers(fields: Fields) -> dict[str, int]:
    """The numbers that are given, by name."""
    numbers = {
        name: fields.integer(name, least)
        for name, least in LEAST.items()
        if name != "purge_limit" or not _is_share(fields)
    }
    return {name: number for name, number in numbers.items() if number is not None}


def read_purge_percent(fields: Fields) -> int | None:
    """The limit of a purge, where it is given as a share, like "20%"."""
    if not _is_share(fields):
        return None
    percent = read_integer(str(fields.raw["purge_limit"]).strip()[:-1])
    if percent is None or not 0 <= percent <= 100:
        fields.refuse("purge_limit", "a number, or a share from 0% to 100%")
        return None
    return percent


def _is_share(fields: Fields) -> bool:
    return str(fields.raw.get("purge_limit", "")).strip().endswith("%")


def read_owner(fields: Fields) -> str | None:
    owner = fields.raw.get("owner")
    if owner is None:
        return None
    if not is_owner(str(owner)):
        fields.refuse("owner", OWNER_RULE)
    return str(owner)
