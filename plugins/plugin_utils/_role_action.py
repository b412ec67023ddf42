# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Do all the work of the role in one task.

The action plugin reads the input and the service accounts, applies the changes in AWS and Kubernetes, verifies the result
and writes the report.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._findings.codes import Code
from ..module_utils._identity.inputs.patterns import (
    Expansion,
    describe_matches,
)
from ..module_utils._identity.inputs.role_variables import (
    EntryPoint,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.accounts.account_plan import (
    expected_changes,
)
from ..module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ..module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from ..module_utils._identity.report.report import (
    NO_FACTS,
)
from ._approval import (
    Approval,
    read_plans,
)
from ._files import warn_vanishing
from ._processes import (
    interruptible,
    leading_group,
    parent_stderr,
)
from ._role_input import (
    FILES,
    read_role_variables,
    validate_extra_variables,
)
from ._role_report import (
    forget_report,
    leave_report,
    leave_stopped_report,
)
from ._role_run import (
    begin_aws,
    expand_patterns,
    failing_into,
    has_proof,
    mark_origins,
    parse_input,
    prepare,
    raise_if_ended,
    read_ahead,
    run_aws,
    run_kubernetes,
    was_interrupted,
)
from ._screen import (
    Steps,
    printable,
    show_report,
)
from ._task import ActionTask

# The variable with the result of the check for clusters with several hosts (pod_identity_fleet).
CHECKED = "pod_identity_checked"


def _aws_step(entry_point: EntryPoint, check_mode: bool) -> str:
    """Return the name of the AWS step for the progress lines on the screen."""
    verb = "verifying" if entry_point == "verify" else "planning" if check_mode else "applying"
    return f"{verb} policies, roles and associations"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin of the role.

    If the run fails, its result contains the failure, but the task succeeds, unless extra variables are invalid. A later task
    of the role asserts that there is no failure.
    """

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "entry_point": {"type": "str", "choices": ["main", "verify"], "default": "main"},
                "fleet": {"type": "bool", "default": False},
            }
        )
        entry_point: EntryPoint = options["entry_point"]
        result["changed"] = False
        task = ActionTask(self)
        forget_report(task, result)
        run = _Run(task, variables, entry_point, result, options["fleet"])
        try:
            validate_extra_variables(task.loader)
        except InputError as error:
            # Fail in this task, not in the assertions of the role. If an extra variable has the name of the registered result,
            # the assertions read that variable and miss the failure.
            run.leave_stopped_report(message := input_message(error))
            return {"failed": True, "changed": False, "msg": message}
        failure: dict[str, Any] = {}
        # After an interrupt, Ansible sends its workers the signal twice. Ignore the second one until the report is written.
        with parent_stderr() as write, interruptible():
            try:
                with failing_into(failure):
                    run.perform(write)
            except SystemExit:
                # Ansible no longer reads the result of an interrupted task, so write the message to the standard error of
                # ansible-playbook.
                write(run.interruption)
                run.leave_stopped_report(run.interruption)
                raise
            except BaseException:
                # Ansible raises this exception when the timeout of the task expires. It also reports the timeout to the user.
                run.leave_stopped_report(run.describe_end("the timeout of the task expired"))
                raise
        if failure:
            message = str(failure.pop("msg"))
            run.leave_stopped_report(message)
            # The assertions of the role fail instead of this task, because Ansible prints the complete result of a failed task.
            result |= {**failure, "failure": message, "verification": dict(NO_FACTS)}
        return result


class _Run:
    """One run of the role. Each step adds members to ``result``, the result of the task.

    :arg fleet: whether the play has many clusters, and displays a table of them after the run.
    """

    def __init__(
        self,
        task: ActionTask,
        variables: dict[str, Any],
        entry_point: EntryPoint,
        result: dict[str, Any],
        fleet: bool = False,
    ) -> None:
        self.task, self._variables, self._entry_point = task, variables, entry_point
        self._result, self._fleet = result, fleet
        self._hidden = bool(task.keywords.no_log)
        displays = not (self._hidden or fleet)
        self._steps = Steps(str(variables.get(f"{ROLE}cluster_name", "")), displays=displays)
        self._aws: dict[str, Any] = {}

    def perform(self, write: Callable[[str], None]) -> None:
        """Run all steps.

        :arg write: writes a line to standard error of ansible-playbook, for a user who interrupts the run.
        :raises SystemExit: when a signal ends the run.
        """
        task, variables, result, steps = self.task, self._variables, self._result, self._steps
        entry_point = self._entry_point
        host = str(variables["inventory_hostname"])
        shared = (variables.get(CHECKED) or {}).get("hosts") or {}
        if host in shared:
            raise InputError([shared[host]])
        values = read_role_variables(task, variables, entry_point)
        steps.title = str(values["cluster_name"])
        # An interrupt must also end the child processes that create the Jobs of the runtime proof. Otherwise they could create
        # Jobs after the clean-up.
        group = leading_group() if has_proof(values) else contextlib.nullcontext()
        with task.in_environment(), group, steps.watch(task):
            steps.begin("reading the service accounts")
            source = parse_input(values, variables, entry_point, expands=True, loader=task.loader)
            applies = entry_point == "main" and not task.check_mode
            plans = read_plans(values, variables) if applies else None
            aws_part = begin_aws(task, source, entry_point, task.check_mode)
            source = expand_patterns(task, source, variables, entry_point, aws_part)
            patterns = source.patterns
            expansion = patterns.expansion or Expansion(patterns.source)
            for line in describe_matches(patterns.patterns, expansion.origins):
                steps.show(line)
            if source.parsed.unselected:
                steps.show(f"{ROLE}only leaves out {len(source.parsed.unselected)} workloads of the list")
            aws_part = read_ahead(aws_part, source, entry_point)
            prepared = prepare(task, source, entry_point)
            files = [values.get(name) for name in FILES]
            result["warnings"] = [*prepared.warnings, *warn_vanishing(variables, files)]
            steps.begin(_aws_step(entry_point, task.check_mode))
            expected = expected_changes(prepared.preflight, removes=source.parsed.state == "absent")
            approval = None if plans is None else Approval(plans, aws_part.opening().cluster, expected)
            accepts = Code.NOT_APPROVED.value in values.get("ignore", ())
            approve = approval.check if approval and not accepts else None
            self._aws = run_aws(aws_part, prepared, entry_point, approve)
            raise_if_ended(self._aws)
            if approval:
                steps.show(approval.conclude(self._aws))
            mark_origins(self._aws, prepared.parsed.workloads)
            aws = parse_aws_result(self._aws, prepared.cluster_name)
            kubernetes_run = run_kubernetes(task, prepared, aws, steps.begin, write)
        result["changed"] = bool(self._aws.get("changed")) or kubernetes_run.changed
        result["diff"] = [*self._aws.get("diff", ()), *kubernetes_run.diffs]
        result["warnings"] += [*kubernetes_run.warnings]
        report = leave_report(task, result, aws, kubernetes_run.outcome, values, host, expected)
        result["verification"] = dict(report["verification"])
        result["restarted"], result["not_restarted"] = (
            list(kubernetes_run.restarts.names),
            list(kubernetes_run.restarts.unmanaged),
        )
        result["proof_jobs"] = kubernetes_run.jobs
        if self._fleet:
            result["failure"] = report["headline"]
            # Ansible shows the changes of many hosts one after the other.
            for row in result["diff"]:
                row |= {name: f"{host}: {row[name]}" for name in ("before_header", "after_header")}
        else:
            result |= show_report(report["lines"], report["headline"], report["failure"], hidden=self._hidden)

    @property
    def interruption(self) -> str:
        """Return the message for a run that a signal ended, from the AWS part if the signal ended that part."""
        if was_interrupted(self._aws):
            return str(self._aws["msg"])
        return self.describe_end("interrupted")

    def describe_end(self, cause: str) -> str:
        step = self._steps.step or "reading the variables"
        return f"{self._steps.title}: {cause} while {step}. Run again: completed changes are kept."

    def leave_stopped_report(self, message: str) -> None:
        leave_stopped_report(self.task, self._result, message, self._variables, self._entry_point, self._aws)
