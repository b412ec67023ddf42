# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Do all the work of the role in one task.

The action plugin reads the input and the service accounts, applies the changes in AWS and Kubernetes, verifies the result
and writes the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..module_utils._findings.codes import Code
from ..module_utils._identity.inputs.patterns import Expansion, describe_matches
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.accounts.account_plan import expected_changes
from ..module_utils._identity.kubernetes.model.aws_result import arn_region, parse_aws_result
from ..module_utils._identity.model.errors import InputError, input_message
from ..module_utils._identity.report.report import NO_FACTS
from ._action import Action
from ._files import warn_vanishing
from ._processes import interruptible, parent_stderr
from ._role_input import FILES, read_role_variables, validate_extra_variables
from ._role_report import FACT, Approval, leave_report, leave_stopped_report, read_plans, set_fact
from ._role_run import RoleRun, failing_into, raise_if_ended
from ._screen import Steps, show_report
from ._task import ActionTask

# The variable with the result of the check for clusters with several hosts (pod_identity_fleet).
CHECKED = "pod_identity_checked"


class ActionModule(Action):
    """The action plugin of the role.

    If the run fails, its result contains the failure, but the task succeeds, unless extra variables are invalid. A later task
    of the role asserts that there is no failure.
    """

    OPTIONS = {
        "entry_point": {"type": "str", "choices": ["main", "verify"], "default": "main"},
        "fleet": {"type": "bool", "default": False},
    }

    def perform(
        self, task: ActionTask, variables: dict[str, Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        result: dict[str, Any] = {}
        # A user must not mistake the report of an earlier run of the role for the report of this run.
        set_fact(task, result, FACT, {})
        run = _Run(task, variables, options, result)
        try:
            validate_extra_variables(task.loader)
        except InputError as error:
            # Fail in this task, not in the assertions of the role. If an extra variable has the name of the registered result,
            # the assertions read that variable and miss the failure.
            run.stop(input_message(error))
            raise
        failure: dict[str, Any] = {}
        write = parent_stderr()
        # After an interrupt, Ansible sends its workers the signal twice. Ignore the second one until the report is written.
        with interruptible():
            try:
                with failing_into(failure):
                    run.perform(write)
            except BaseException as error:
                message = run.describe_end(error)
                if isinstance(error, SystemExit):
                    # Ansible no longer reads the result of an interrupted task, so write the message to the standard error
                    # of ansible-playbook. Ansible reports the timeout of a task to the user.
                    write(message)
                run.stop(message)
                raise
        if failure:
            message = str(failure.pop("msg"))
            run.stop(message)
            # The assertions of the role fail instead of this task, because Ansible prints the complete result of a failed task.
            result |= {**failure, "failure": message, "verification": dict(NO_FACTS)}
        return result


class _Run:
    """One run of the role. Each step adds members to ``result``, the result of the task.

    With the option ``fleet``, the play has many clusters, and displays a table of them after the run.
    """

    def __init__(
        self, task: ActionTask, variables: dict[str, Any], options: Mapping[str, Any], result: dict[str, Any]
    ) -> None:
        self.task, self._variables, self._options, self._result = task, variables, options, result
        displays = not (task.keywords.no_log or options["fleet"])
        self._steps = Steps(str(variables.get(f"{ROLE}cluster_name", "")), displays=displays)
        self._aws: dict[str, Any] = {}

    def perform(self, write: Callable[[str], None]) -> None:
        """Run all steps.

        :arg write: writes a line to standard error of ansible-playbook, for a user who interrupts the run.
        :raises SystemExit: when a signal ends the run.
        """
        task, variables, result, steps = self.task, self._variables, self._result, self._steps
        host = str(variables["inventory_hostname"])
        shared = (variables.get(CHECKED) or {}).get("hosts") or {}
        if host in shared:
            raise InputError([shared[host]])
        entry_point = self._options["entry_point"]
        values = read_role_variables(task, variables, entry_point)
        steps.title = str(values["cluster_name"])
        with task.in_environment(), steps.watch(task):
            steps.begin("reading the service accounts")
            run = RoleRun(task, variables, values, entry_point, expands=True)
            plans = read_plans(values, variables) if run.changes and not task.check_mode else None
            run.begin_aws()
            run.expand_patterns()
            expansion = run.patterns.expansion or Expansion(run.patterns.source)
            for line in describe_matches(run.patterns.patterns, expansion.origins):
                steps.show(line)
            if run.parsed.unselected:
                steps.show(f"workloads that {ROLE}only leaves out: {len(run.parsed.unselected)}")
            run.start_reading()
            run.prepare()
            result["warnings"] = [*run.warnings, *warn_vanishing(variables, map(values.get, FILES))]
            verb = "verifying" if not run.changes else "planning" if task.check_mode else "applying"
            steps.begin(f"{verb} policies, roles and associations")
            expected = expected_changes(run.preflight, removes=run.parsed.state == "absent")
            approval = None if plans is None else Approval(plans, run.opening().cluster, expected)
            accepts = Code.NOT_APPROVED.value in values.get("ignore", ())
            self._aws = run.run_aws(approval.require_planned if approval and not accepts else None)
            raise_if_ended(self._aws)
            if approval:
                steps.show(approval.conclude(self._aws))
            # Add the source pattern of a workload to the changes of its association.
            origins = {str(item.key): item.origin.text for item in run.parsed.workloads if item.origin}
            for row in self._aws.get("changes", ()):
                if row["resource"] == "association" and row["workload"] in origins:
                    row["pattern"] = origins[row["workload"]]
            aws = parse_aws_result(self._aws, run.cluster_name)
            kubernetes_run = run.run_kubernetes(aws, steps.begin, write)
        result["changed"] = bool(self._aws.get("changed")) or kubernetes_run.changed
        result["diff"] = [*self._aws.get("diff", ()), *kubernetes_run.diffs]
        result["warnings"] += kubernetes_run.warnings
        report = leave_report(task, variables, result, aws, kubernetes_run.outcome, values, expected)
        result |= {
            "verification": dict(report["verification"]),
            "restarted": list(kubernetes_run.restarts.shown_owners),
            "not_restarted": list(kubernetes_run.restarts.unmanaged),
            "proof_jobs": kubernetes_run.jobs,
            **{name: value for name, value in self._aws.items() if name == "exception"},
        }
        if self._options["fleet"]:
            result["failure"] = report["headline"]
            # Ansible shows the changes of many hosts one after the other.
            for row in result["diff"]:
                row |= {name: f"{host}: {row[name]}" for name in ("before_header", "after_header")}
        else:
            hidden = bool(task.keywords.no_log)
            result |= show_report(report["lines"], report["headline"], report["failure"], hidden=hidden)

    def describe_end(self, error: BaseException) -> str:
        """Return the message for a run that a signal or the timeout of the task ended."""
        cause = "interrupted" if isinstance(error, SystemExit) else "the timeout of the task expired"
        aws = self._aws
        region = arn_region(str(aws.get("cluster_arn") or ""))
        place = f" (account {aws['account_id']}, region {region})" if region else ""
        text = f"{self._steps.title}{place}: {cause} while {self._steps.step or 'reading the variables'}"
        if self._options["entry_point"] == "verify" or self.task.check_mode:
            return f"{text}. Run again."
        number = len(aws.get("changes", ()))
        return f"{text}, after {number} change{'' if number == 1 else 's'} in AWS. Run again: completed changes are kept."

    def stop(self, message: str) -> None:
        """Leave the report of a run that ended before its report."""
        verifies = self._options["entry_point"] == "verify"
        leave_stopped_report(self.task, self._variables, self._result, message, self._aws, verifies=verifies)
