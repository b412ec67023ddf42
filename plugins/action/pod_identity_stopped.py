# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact and the files of a role that stopped before its report. After a report it does nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import (
    read_boolean,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    region_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    parse_role_arn,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.artifact import (
    FORMS,
    make_artifacts,
    stopped_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import (
    Place,
    step_of,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import read_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.job_artifacts import job_artifacts
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import region_of_task
from ansible_collections.workload_identity.aws.plugins.plugin_utils.own_version import read_version
from ansible_collections.workload_identity.aws.plugins.plugin_utils.report_files import write_report
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

FACT = "pod_identity_report"
UNKNOWN = "The role stopped before its report was complete. The output of the job says why."


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False
    _requires_connection = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "results": {"type": "list", "elements": "str", "required": True},
                "message": {"type": "str"},
                "entry_point": {"type": "str", "choices": ["main", "verify"], "default": "main"},
            }
        )
        result["changed"] = False
        variables = task_vars or {}
        if read_fact(variables, FACT):
            return result
        results = _of_this_use([_result(variables, name) for name in options["results"]])
        message = options["message"] or next(filter(None, map(_failure, results)), UNKNOWN)
        report = stopped_report(
            self._place(variables, results),
            message,
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
            read_version(),
            check_mode := bool(self._task.check_mode),
            step_of(
                verifies=options["entry_point"] == "verify" or self._verifies(variables),
                check_mode=check_mode,
            ),
        )
        host = str(variables["inventory_hostname"])
        # What is there may be of yesterday, and good.
        path, junit_path = (self._file(variables, name) for name in ("report_file", "junit_file"))
        unwritten = write_report(report, path, junit_path, "error", host=host, stopped=True)
        if unwritten:
            result["warnings"] = [unwritten]
        wanted = self._variable(variables, "artifact")
        form = wanted if wanted in FORMS else "auto"
        return {**result, **job_artifacts(make_artifacts(report, host, form, stopped=True))}

    def _place(self, variables: Mapping[str, Any], results: list[Mapping[str, Any]]) -> Place:
        """Where the run was to be, from what is known so early: "" for the rest."""
        given = {
            name: next((str(result_row[name]) for result_row in results if result_row.get(name)), "")
            for name in ("account_id", "caller_arn", "cluster_arn")
        }
        role = parse_role_arn(self._variable(variables, "assume_role_arn"))
        return {
            "cluster_name": self._variable(variables, "cluster_name"),
            "cluster_arn": given["cluster_arn"],
            "account_id": given["account_id"] or (role.account_id if role else ""),
            "region": region_of(given["cluster_arn"]) or self._region(variables),
            "caller_arn": given["caller_arn"],
        }

    def _region(self, variables: Mapping[str, Any]) -> str:
        given = self._variable(variables, "region")
        try:
            return region_of_task(self, given)
        except AnsibleError:
            # The environment of the task cannot be templated, which may be why the role stopped.
            return given

    def _verifies(self, variables: Mapping[str, Any]) -> bool:
        try:
            return bool(read_boolean(self._templar.template(variables.get(f"{ROLE}verify_only"))))
        except AnsibleError:
            return False

    def _file(self, variables: Mapping[str, Any], name: str) -> str:
        return os.path.expanduser(os.path.expandvars(self._variable(variables, name)))

    def _variable(self, variables: Mapping[str, Any], name: str) -> str:
        """A variable of the role as text, or "": what cannot be templated may be why the role stopped."""
        try:
            value = self._templar.template(variables.get(f"{ROLE}{name}"))
        except AnsibleError:
            return ""
        return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _of_this_use(results: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Up to the step that failed: what later ones have is of an earlier use of the role, perhaps for another cluster."""
    failed = next((number for number, result in enumerate(results) if result.get("failed")), len(results))
    return results[: failed + 1]


def _result(variables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = variables.get(name)
    return value if isinstance(value, Mapping) else {}


def _failure(result: Mapping[str, Any]) -> str:
    return str(result.get("msg") or "") if result.get("failed") else ""
