# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""A task beside its arguments: defaults, environment, region, connection."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from typing import Any

from ansible.executor import module_common
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils.processes import variables


def runs_here(action: ActionBase) -> bool:
    """Return whether modules of the action run on this machine as this user."""
    return action._connection.transport == "local" and not action._play_context.become


def with_defaults(caller: ActionBase, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments with the module_defaults of the calling task, as the task of its own would have them."""
    if hasattr(module_common, "_apply_action_arg_defaults"):
        return dict(
            module_common._apply_action_arg_defaults(name, caller._task, dict(arguments), caller._templar)
        )
    # ansible-core before 2.19
    defaults = module_common.get_action_args_with_defaults(
        name,
        dict(arguments),
        caller._task.module_defaults,
        caller._templar,
        action_groups=caller._task._parent._play._action_groups,
    )
    return dict(defaults)


def environment_of(caller: ActionBase) -> dict[str, str]:
    """The task's environment, which only modules get from Ansible itself."""
    values: dict[str, str] = {}
    for environment in caller._task.environment or ():
        values |= {
            str(name): str(value) for name, value in (caller._templar.template(environment) or {}).items()
        }
    return values


def task_environment(caller: ActionBase) -> contextlib.AbstractContextManager[None]:
    """Give this process the environment of the task, for clients that look for credentials in it. Entered once, by the main
    thread, around all that the task does."""
    return variables(environment_of(caller))


def region_of_task(caller: ActionBase, given: object) -> str:
    """Return the region that an option or the environment of the task names, or ""."""
    environment = {**os.environ, **environment_of(caller)}
    return str(given or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "")
