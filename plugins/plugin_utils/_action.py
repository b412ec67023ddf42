# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base class of the action plugins that do all their work on the controller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

from ..module_utils._findings.text import visible_lines, visible_values
from ..module_utils._identity.model.errors import InputError, input_message
from ._task import ActionTask


class Action(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """An action plugin whose method ``perform`` does the work. ``OPTIONS`` is the argument spec of the action.

    Unprintable characters in results and errors are escaped.
    """

    TRANSFERS_FILES = False
    OPTIONS: Mapping[str, Any] = {}

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = {**super().run(tmp, task_vars), "changed": False}
        try:
            _valid, options = self.validate_argument_spec(argument_spec=self.OPTIONS)
            result |= self.perform(ActionTask(self), task_vars or {}, options)
        except InputError as error:
            result |= {"failed": True, "msg": input_message(error)}
        except AnsibleError as error:
            message = visible_lines(str(error))
            if message == str(error):
                raise
            raise AnsibleActionFail(message) from None
        return {str(name): visible_values(value) for name, value in result.items()}

    def perform(
        self, task: ActionTask, variables: dict[str, Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Do the work of the action, and return the members of the result of the task.

        :arg variables: all variables of the task.
        :raises InputError: for invalid input, before any change.
        """
        raise NotImplementedError
