# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of the role. It takes variables by name: templating thousands of rows costs minutes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.aws_result import (
    AwsResult,
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.cluster import Reads
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.outcome import (
    KubernetesOutcome,
    parse_outcome,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import write_private
from ansible_collections.workload_identity.aws.plugins.plugin_utils.given_reads import (
    given_listings,
    judge_given,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import run_action

try:
    from ansible.plugins.action import VariableLayer
except ImportError:  # ansible-core before 2.21
    VariableLayer = None

FACT = "pod_identity_report"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "cluster_name": {"type": "str", "required": True},
                "result": {"type": "str"},
                "kubernetes": {"type": "str"},
                "service_accounts": {"type": "str"},
                "cluster_reads": {"type": "dict", "default": {}},
                "ignore": {"type": "list", "elements": "str", "default": []},
                "fail_on": {"type": "str", "choices": ["error", "warning"], "default": "error"},
                "path": {"type": "path"},
            },
            mutually_exclusive=[("kubernetes", "service_accounts")],
        )
        result["changed"] = False
        if options["result"] is None:
            self._set_fact(result, {})
            return result
        variables = task_vars or {}
        aws = parse_aws_result(variables[options["result"]], options["cluster_name"])
        settings = ReportSettings(bool(self._task.check_mode), options["ignore"], options["fail_on"])
        report: dict[str, Any] = {**make_report(aws, _kubernetes(options, variables, aws), settings)}
        self._set_fact(result, report)
        result["ansible_stats"] = {
            "data": {"pod_identity": {options["cluster_name"]: report}},
            "per_host": False,
            "aggregate": True,
        }
        if options["path"]:
            return {**result, **self._written(report, options["path"], variables)}
        return result

    def _written(self, report: Mapping[str, Any], path: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Empty, or why the file could not be written. The report of a run is no change of the cluster."""
        text = f"{json.dumps(report, indent=4, sort_keys=True)}\n"
        if self._connection.transport == "local" and not self._play_context.become:
            return {} if self._task.check_mode else _written_here(path, text)
        arguments = {"content": text, "dest": path, "mode": "0600"}
        copied = run_action(self, "ansible.builtin.copy", arguments, variables)
        return {"failed": True, "msg": copied.get("msg")} if copied.get("failed") else {}

    def _set_fact(self, result: dict[str, Any], report: dict[str, Any]) -> None:
        """As set_fact does it, where Ansible lets others do it too; before that, as modules do it."""
        if VariableLayer is None:
            result["ansible_facts"] = {FACT: report}
            return
        self.register_host_variables({FACT: report}, VariableLayer.EPHEMERAL_FACT)


def _written_here(path: str, text: str) -> dict[str, Any]:
    try:
        write_private(path, text)
    except OSError as error:
        message = f"The report cannot be written to {path}: {error.strerror}. What was done stays done."
        return {"failed": True, "msg": message}
    return {}


def _kubernetes(
    options: Mapping[str, Any], variables: Mapping[str, Any], aws: AwsResult
) -> KubernetesOutcome:
    if options["kubernetes"]:
        return parse_outcome(variables[options["kubernetes"]], aws.cluster)
    accounts = variables.get(options["service_accounts"] or "") or {}
    reads: Reads = given_listings(
        {name: variables.get(variable) or {} for name, variable in options["cluster_reads"].items()}
    )
    return judge_given(aws, accounts.get("resources", ()), reads, datetime.now(timezone.utc))
