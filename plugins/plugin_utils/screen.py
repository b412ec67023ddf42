# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The output of Ansible: who reads it, and no character in it that a terminal obeys or hides."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import (
    visible_lines,
    visible_values,
)

_PAGED = ("awx_display", "tower_display")


def is_for_people() -> bool:
    """Whether the output of this run is text to be read, not data."""
    return is_text(constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK"))


def is_text(callback: str) -> bool:
    """Whether a stdout callback writes for people. AWX and Automation Platform have one of their own."""
    name = callback.rpartition(".")[2]
    return not ("json" in name or name in (*_PAGED, "null"))


def is_paged() -> bool:
    """Return whether the output of this run is events, which AWX and Automation Platform show cut to their first bytes."""
    return constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2] in _PAGED


def printable(run: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Decorate the ``run`` of an action: what it returns or raises is printed as it is, by callbacks and with -v."""

    @wraps(run)
    def run_printably(*arguments: Any, **options: Any) -> dict[str, Any]:
        try:
            result = run(*arguments, **options)
        except AnsibleError as error:
            message = visible_lines(str(error))
            if message == str(error):
                raise
            raise AnsibleActionFail(message) from None
        return {str(name): visible_values(value) for name, value in result.items()}

    return run_printably
