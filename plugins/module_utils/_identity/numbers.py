# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Options that are numbers and have a least value, which Ansible's argument specs cannot say."""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError

LEAST = {"concurrency": 1, "propagation_timeout": 0}


def check_numbers(options: Mapping[str, object], prefix: str = "") -> None:
    """InputError for every number below its least value."""
    problems = [
        f"{prefix}{name} must be {least} or more, got {value}."
        for name, least in LEAST.items()
        if isinstance(value := options.get(name), int) and value < least
    ]
    if problems:
        raise InputError(problems)
