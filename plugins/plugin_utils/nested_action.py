# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.


"""Run an action of another collection within one's own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.executor import module_common
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils.installed_module import (
    installed_module,
    starts_here,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.process_environment import variables

Result = dict[str, Any]


def run_action(
    caller: ActionBase,
    name: str,
    arguments: Mapping[str, Any],
    variables: Mapping[str, Any],
) -> Result:
    """The result of an action, with the host, check mode and module_defaults of the calling task.

    An action that raises gives a failed result, as the task of its own that it stands for would.
    """
    task = caller._task.copy()
    task.action = name
    task.args = with_defaults(caller, name, arguments)
    action = caller._shared_loader_obj.action_loader.get(
        name,
        task=task,
        connection=caller._connection,
        play_context=caller._play_context,
        loader=caller._loader,
        templar=caller._templar,
        shared_loader_obj=caller._shared_loader_obj,
    )
    if starts_here(action, variables):
        action._configure_module = partial(_configure_module, name, action._configure_module)
    try:
        result: Result = action.run(task_vars=dict(variables))
    except AnsibleError as error:
        return {"failed": True, "msg": str(error)}
    return result


def _configure_module(
    own: str,
    packed: Callable[[str, dict[str, Any], Mapping[str, Any]], Any],
    module_name: str,
    module_args: dict[str, Any],
    task_vars: Mapping[str, Any],
) -> Any:
    """In the place of the action's method: its own module is started where it is installed; others that it uses are for
    Ansible to pack."""
    if module_name != own:
        return packed(module_name, module_args, task_vars)
    return installed_module(module_name, module_args, sys.executable)


def with_defaults(caller: ActionBase, name: str, arguments: Mapping[str, Any]) -> Result:
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
