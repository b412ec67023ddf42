# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a fleet's play does for more than one host: see plugin_utils/fleet_steps.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.extra_variables import (
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.fleet_end import show_fleet
from ansible_collections.workload_identity.aws.plugins.plugin_utils.fleet_steps import (
    group_hosts,
    require_step,
    run_account,
    take_part,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import set_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

KEPT = "Until then nothing is taken away from what it may use: {names}."
REPORT, STOPPED, ACCOUNT = "pod_identity_report", "pod_identity_stopped", "pod_identity_account"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "step": {
                    "type": "str",
                    "choices": ["reset", "group", "apply", "take", "end"],
                    "required": True,
                },
                "groups": {"type": "dict"},
                "leader": {"type": "str"},
            },
            required_if=[("step", "apply", ["groups"]), ("step", "take", ["leader"])],
        )
        step = options["step"]
        try:
            if step == "reset":
                validate_extra_variables(self._loader)
                require_step(self._task.play.strategy, variables["ansible_play_hosts_all"])
                set_fact(self, result, REPORT, {})
                return {**result, "changed": False}
            if step == "group":
                return {**result, **group_hosts(variables, variables["ansible_play_batch"])}
            if step == "apply":
                return {**result, **run_account(self, options["groups"], variables)}
            if step == "take":
                part = take_part(
                    variables["hostvars"][options["leader"]].get(ACCOUNT) or {},
                    variables["inventory_hostname"],
                )
                stopped = str(variables.get(STOPPED) or "")
                if stopped:
                    names = listed(part.get("kept") or ())
                    more = {"stopped": f"{stopped}\n{KEPT.format(names=names)}"} if names else {}
                    return {**result, **more, "changed": False}
                if part.get("left_out"):
                    # Told at the end, with what failed elsewhere; until then the host only waits.
                    result["stopped"] = part["msg"]
                return {**result, **part, "failed": False}
            return {**result, **show_fleet(variables)}
        except InputError as error:
            return {**result, "failed": True, "msg": input_message(error)}
