# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the role. It takes variables by name: templating thousands of rows costs minutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import make_report

try:
    from ansible.plugins.action import VariableLayer
except ImportError:  # ansible-core before 2.21
    VariableLayer = None

FACT = "pod_identity_report"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "cluster_name": {"type": "str", "required": True},
                "result": {"type": "str"},
                "service_accounts": {"type": "str"},
                "kubernetes_plan": {"type": "str"},
                "cluster_reads": {"type": "dict", "default": {}},
                "kubernetes_error": {"type": "str", "default": ""},
                "applied": {"type": "str"},
                "purged": {"type": "str"},
                "proof": {"type": "str"},
                "ignore": {"type": "list", "elements": "str", "default": []},
                "fail_on": {"type": "str", "choices": ["error", "warning"], "default": "error"},
            },
            required_together=[("result", "service_accounts")],
        )
        result["changed"] = False
        if options["result"] is None:
            self._set_fact(result, {})
            return result
        variables = task_vars or {}
        report = make_report(
            variables[options["result"]],
            _named(variables, options["service_accounts"]).get("resources", ()),
            _named(variables, options["kubernetes_plan"]),
            check_mode=bool(self._task.check_mode),
            cluster_reads={
                name: _named(variables, variable) for name, variable in options["cluster_reads"].items()
            },
            ignore=options["ignore"],
            fail_on=options["fail_on"],
            proof=_named(variables, options["proof"]) or None,
            kubernetes_error=options["kubernetes_error"],
            applied=_named(variables, options["applied"]),
            purged=_named(variables, options["purged"]),
        )
        self._set_fact(result, report)
        result["ansible_stats"] = {
            "data": {"pod_identity": {options["cluster_name"]: report}},
            "per_host": False,
            "aggregate": True,
        }
        return result

    def _set_fact(self, result: dict[str, Any], report: dict[str, Any]) -> None:
        """As set_fact does it, where Ansible lets others do it too; before that, as modules do it."""
        if VariableLayer is None:
            result["ansible_facts"] = {FACT: report}
            return
        self.register_host_variables({FACT: report}, VariableLayer.EPHEMERAL_FACT)


def _named(variables: Mapping[str, Any], name: str | None) -> Mapping[str, Any]:
    """A variable; what was never read, or skipped, is empty."""
    found: Mapping[str, Any] = variables.get(name or "") or {}
    return found
