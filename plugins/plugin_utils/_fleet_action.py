# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Perform the steps of a play over many clusters. Each host of the play represents a cluster.

Each host runs the step "prepare". One host runs "group" to group the hosts by account. The first host of each account runs
"apply" for all clusters of the account. Then each host runs "finish", and one host runs "end" to display a table. With
``serial``, these steps are repeated for each batch.
"""

from __future__ import annotations

import contextlib
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    EntryPoint,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    NO_FACTS,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._fleet import (
    ACCOUNT,
    PREPARED,
    group_hosts,
    prepared_row,
    require_linear,
    restore,
    run_account,
    show_fleet,
    take_part,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import (
    interruptible,
    leading_group,
    parent_stderr,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import (
    read_entry_point,
    read_role_variables,
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import (
    forget_report,
    leave_report,
    leave_stopped_report,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import (
    RoleError,
    begin_aws,
    expand_patterns,
    failing_into,
    has_proof,
    mark_origins,
    parse_input,
    prepare,
    run_kubernetes,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import (
    Steps,
    printable,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask

KEEPS_PERMISSIONS = "Until the run succeeds, these resources keep their permissions: {names}."

INTERRUPTED = "The run was interrupted. Run again: completed changes are kept."


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin for one step.

    A failure of "prepare" or "finish" stops only the cluster of this host. The table shows the failure.
    """

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "step": {
                    "type": "str",
                    "choices": ["prepare", "group", "apply", "finish", "end"],
                    "required": True,
                },
                "groups": {"type": "dict"},
                "leader": {"type": "str"},
            },
            required_if=[("step", "apply", ["groups"])],
        )
        task, step = ActionTask(self), options["step"]
        result["changed"] = False
        try:
            if step == "prepare":
                forget_report(task, result)
                validate_extra_variables(task.loader)
                require_linear(task.keywords.play.strategy, variables["ansible_play_hosts_all"])
                return {**result, **self._prepare(task, variables)}
            if step == "group":
                return {**result, **group_hosts(variables, variables["ansible_play_batch"])}
            if step == "apply":
                return {**result, **self._apply(task, options["groups"])}
            if step == "finish":
                self._finish(task, result, variables, options["leader"] or "")
                return result
            return {**result, **show_fleet(variables, hidden=bool(task.keywords.no_log))}
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}

    def _prepare(self, task: ActionTask, variables: dict[str, Any]) -> dict[str, Any]:
        """Read the input and the service accounts of a cluster, and return them for the later steps.

        If this fails, return the reason as ``stopped``.
        """
        row: dict[str, Any] = {}
        failure: dict[str, Any] = {}
        with failing_into(failure):
            entry_point = read_entry_point(task, variables, "main", fleet=True)
            values = read_role_variables(task, variables, entry_point, fleet=True)
            with task.in_environment(), interruptible():
                source = parse_input(values, variables, entry_point, expands=True)
                if source.patterns.patterns:
                    part = begin_aws(task, source, entry_point, task.check_mode)
                    source = expand_patterns(task, source, variables, entry_point, part)
                prepared = prepare(task, source, entry_point)
                row = {**prepared_row(prepared), "warnings": list(prepared.warnings)}
        return {"stopped": str(failure["msg"])} if failure else row

    def _apply(self, task: ActionTask, groups: dict[str, str]) -> dict[str, Any]:
        """Apply the changes in AWS for all clusters of an account.

        :returns: the result of ``run_account``, or a failed task result.
        """
        failure: dict[str, Any] = {}
        steps = Steps("")
        with failing_into(failure), task.in_environment(), interruptible(), steps.watch(task):
            return run_account(task, groups, steps)
        return failure

    def _finish(
        self, task: ActionTask, result: dict[str, Any], variables: dict[str, Any], leader: str
    ) -> None:
        """Run the Kubernetes part of the cluster, and add its report or failure to the result of the task."""
        host = str(variables["inventory_hostname"])
        prepared = variables.get(PREPARED) or {}
        stopped = str(prepared.get("stopped") or prepared.get("msg") or "")
        part: dict[str, Any] = {}
        if leader or not stopped:
            account = variables["hostvars"][leader].get(ACCOUNT) if leader else None
            part = take_part(account or {}, host)
        entry_point: EntryPoint = "main"
        failure: dict[str, Any] = {}
        # After an interrupt, Ansible sends its workers the signal twice. Ignore the second one until the report is written.
        with interruptible():
            try:
                with failing_into(failure):
                    entry_point = read_entry_point(task, variables, "main", fleet=True)
                    if stopped:
                        names = listed(part.get("kept") or ())
                        raise RoleError(
                            f"{stopped}\n{KEEPS_PERMISSIONS.format(names=names)}" if names else stopped
                        )
                    result |= {"changed": part["changed"], "diff": list(part.get("diff", ()))}
                    if part.get("left_out"):
                        raise RoleError(part["msg"])
                    self._finish_cluster(task, result, variables, part)
            except BaseException:
                # A signal or the timeout of the task has ended the step.
                leave_stopped_report(task, result, INTERRUPTED, variables, entry_point, part)
                raise
        if failure:
            message = str(failure["msg"])
            leave_stopped_report(task, result, message, variables, entry_point, part)
            result |= {"stopped": message, "failure": message, "verification": dict(NO_FACTS)}

    def _finish_cluster(
        self, task: ActionTask, result: dict[str, Any], variables: dict[str, Any], part: dict[str, Any]
    ) -> None:
        with task.in_environment():
            prepared = restore(task, variables[PREPARED])
            values = prepared.values
            steps = Steps(prepared.cluster_name, displays=False)
            group = leading_group() if has_proof(values) else contextlib.nullcontext()
            mark_origins(part, prepared.parsed.workloads)
            aws = parse_aws_result(part, prepared.cluster_name)
            with group, steps.watch(task), parent_stderr() as write:
                kubernetes_run = run_kubernetes(task, prepared, aws, steps.begin, write)
        result["changed"] = result["changed"] or kubernetes_run.changed
        result["diff"] += kubernetes_run.diffs
        result["warnings"] = [*kubernetes_run.warnings]
        report = leave_report(
            task, result, aws, kubernetes_run.outcome, values, str(variables["inventory_hostname"])
        )
        result["verification"] = dict(report["verification"])
        result["failure"] = report["headline"]
