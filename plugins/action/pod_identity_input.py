# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step of the role: its input, checked as a whole and parsed once for all that runs later."""

from __future__ import annotations

from functools import partial
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    OPTIONS,
    ROLE,
    read_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.messages import (
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import locate_files
from ansible_collections.workload_identity.aws.plugins.plugin_utils.hand_over import keep


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        result["changed"] = False
        try:
            self._validate_names()
            parsed = read_input(self._task.args, partial(locate_files, variables=task_vars), ROLE)
        except InputError as error:
            return {**result, "failed": True, "msg": input_message(error)}
        file = keep(parsed)
        # Ansible looks at every value of a result, so it holds no workloads.
        return {
            **result,
            "parsed_input": {"path": file.path, "sha256": file.sha256},
            "workloads": len(parsed.workloads),
            "namespaces": list(parsed.namespaces),
        }

    def _validate_names(self) -> None:
        if unknown := [name for name in self._task.args if name not in OPTIONS]:
            raise InputError([f"pod_identity_input has no option '{name}'." for name in unknown])
