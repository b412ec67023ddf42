# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Options that Ansible's argument specs take, and that cannot be used all the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from ..model.errors import InputError
from ..model.labels import OWNER_RULE, is_owner

LEAST = {"concurrency": 1, "propagation_timeout": 0, "purge_limit": 0}


def validate_options(options: Mapping[str, object], prefix: str = "") -> None:
    """InputError for every number below its least value, and for an owner that cannot be one.

    What is not given, or None, is not looked at.
    """
    problems = [
        f"{prefix}{name} must be {least} or more, got {value}."
        for name, least in LEAST.items()
        if isinstance(value := options.get(name), int) and value < least
    ]
    owner = options.get("owner")
    if owner is not None and not is_owner(str(owner)):
        problems.append(f"{prefix}owner must be {OWNER_RULE}, got {owner!r}.")
    if problems:
        raise InputError(problems)
