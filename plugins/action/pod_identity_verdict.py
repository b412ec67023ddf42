# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last step of the role: its result in lines, and its failure in few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import read_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.last_task import show_last
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

FACT = "pod_identity_report"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False
    _requires_connection = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        variables = task_vars or {}
        report: Mapping[str, Any] = read_fact(variables, FACT) or {}
        result["changed"] = False
        if not report:
            return {**result, "failed": True, "msg": f"{FACT} is empty; run pod_identity_report before."}
        failed = bool(report["failed"])
        headline, failure = (str(report[name]) if failed else "" for name in ("headline", "failure"))
        return {**result, **show_last([str(line) for line in report["lines"]], headline, failure)}
