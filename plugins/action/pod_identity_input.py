# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step of the role: its input, checked as a whole, and files made absolute for both halves."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_input import (
    validate_role_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.messages import (
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import located


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        options = self._options()

        def paths(found: Any) -> list[str]:
            self._refuse_elsewhere()
            return located(found, task_vars)

        result["changed"] = False
        try:
            checked = validate_role_input(options, paths)
        except InputError as error:
            return {**result, "failed": True, "msg": input_message(error)}
        result.update(workloads=checked.workloads, namespaces=checked.namespaces)
        if checked.paths is not None:
            result["paths"] = checked.paths
        return result

    def _options(self) -> dict[str, Any]:
        """The arguments that were given, validated, and the workloads as they are.

        The validation copies what it is given, and names neither file nor line of what is wrong in it.
        """
        given = self._task.args
        apart = {name: given[name] for name in ("workloads", "workloads_from") if name in given}
        self._task.args = {name: value for name, value in given.items() if name not in apart}
        try:
            _valid, options = self.validate_argument_spec(
                argument_spec={
                    "cluster_name": {"type": "str", "required": True},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "tags": {"type": "dict", "default": {}},
                    "owner": {"type": "str"},
                    "concurrency": {"type": "int"},
                    "propagation_timeout": {"type": "int"},
                    "purge_limit": {"type": "int"},
                }
            )
        finally:
            # A task that is tried again needs them all.
            self._task.args = given
        known = {name: value for name, value in options.items() if name in given or value is not None}
        return {**known, **apart}

    def _refuse_elsewhere(self) -> None:
        if self._connection.transport != "local":
            raise InputError(
                [
                    "pod_identity_workloads_from: the files are here, but the connection of this host is "
                    f"{self._connection.transport}, and its modules would read files there. Set connection: "
                    "local for the play, or give pod_identity_workloads."
                ]
            )
