# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The action of the playbook migrate: migrate the service accounts of a cluster from IRSA to EKS Pod Identity, or back.

Each step reads AWS and Kubernetes again, so an interrupted migration continues where it stopped. A migration creates and verifies
associations, and restarts Pods, with the functions of a run of the role.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import WorkloadKey
from ..module_utils._identity.inputs.addons import parse_agent
from ..module_utils._identity.inputs.role_variables import (
    MIGRATION,
    is_unanswered,
    read_migration_variables,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.model.aws_result import AwsResult
from ..module_utils._identity.kubernetes.run.converge import KubernetesRun
from ..module_utils._identity.kubernetes.run.irsa import IrsaEstate, annotation_patch, read_irsa
from ..module_utils._identity.model.desired import Desired, Options
from ..module_utils._identity.model.errors import AwsError, InputError, listed
from ..module_utils._identity.model.migration import Migrant, MigrationGroup, MigrationStep
from ..module_utils._identity.plan.migration import (
    account_name,
    expected_stage,
    find_unproven,
    make_groups,
    soak_end,
)
from ..module_utils._identity.report.migration import MigrationReport, migration_lines, report_data
from ..module_utils._identity.report.report import judge_run
from ..module_utils._identity.run.addons import agent_run
from ..module_utils._identity.run.engine import Engine
from ..module_utils._identity.run.migration import workload_rows
from ..module_utils._identity.run.result import failure_rows
from ._action import Action
from ._files import describe_unwritable, write_private
from ._migration_rollback import roll_back
from ._migration_session import MigrationSession
from ._processes import interruptible, parent_stderr
from ._role_input import read_role_variables, template_variables, validate_extra_variables
from ._role_run import RoleError, describe_error, failing_into, guarded
from ._screen import show_report
from ._task import ActionTask

NO_CLUSTER = (
    "The migration needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster. It also needs credentials and a "
    "region for AWS, and access to the Kubernetes API of the cluster. Nothing was changed."
)
# Variables of the role that choose workloads. A migration finds the service accounts itself.
_WORKLOADS = ("workloads", "workloads_from")
# Further variables of the role that a migration ignores. It always uses the default trust scope, because a rollback removes
# the statements of that scope.
_LEFT_OUT = ("only", "state", "purge", "trust_scope")
_NO_STATE = (
    f"{ROLE}state '{{state}}' has no effect on a migration. To restore IRSA, set {ROLE}migration_step: rollback; to migrate, "
    f"leave out {ROLE}state."
)
_NO_EFFECT = (
    "{name} has no effect on a migration, which migrates the service accounts that use IRSA. To choose among them, set "
    "pod_identity_only."
)
_CANARY_FAILED = "{names} failed as canary. No other service account was changed."
_GROUP_FAILED = (
    "{names} failed in {group}. Later groups have associations, but their Pods were not restarted."
)
_PROBE_FAILED = (
    "{names} failed after the annotations were removed. No IRSA statement was removed. To restore the annotations, run with "
    "pod_identity_migration_step=rollback."
)
_RERUN = " The causes are above. Resolve them and run again."
# Findings that do not fail a service account, because a migration does not change which other principals may use a role.
_EXPECTED = frozenset((Code.TRUST_STATEMENT_FOREIGN,))
# Findings that a restart resolves.
_BEFORE_RESTART = frozenset((Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED))
# The seconds between two reads of the agent's Pods, and the longest wait for the agent in seconds.
_AGENT_PAUSE, _AGENT_TIMEOUT = 5, 300


class ActionModule(Action):
    """The action plugin of the playbook migrate."""

    def perform(
        self, task: ActionTask, variables: dict[str, Any], _options: Mapping[str, Any]
    ) -> dict[str, Any]:
        failure: dict[str, Any] = {}
        migration: Migration | None = None
        write = parent_stderr()
        with interruptible():
            try:
                with failing_into(failure):
                    validate_extra_variables(task.loader)
                    migration = _prepare(task, variables, write)
                    migration.perform()
            except SystemExit:
                if migration is not None:
                    write(migration.interruption)
                raise
        # The assertion of the playbook fails instead of this task, because Ansible prints a failed result in full.
        result: dict[str, Any] = {"failure": str(failure.get("msg", ""))}
        if migration is None:
            return result
        result |= {
            "changed": bool(migration.changes),
            "diff": migration.diffs,
            "warnings": list(migration.warnings),
        }
        if migration.report is not None:
            result["migration"] = report_data(migration.report)
            hidden = bool(task.keywords.no_log)
            end = migration.report.failure or result["failure"]
            result |= show_report(migration_lines(migration.report), end, end, hidden=hidden)
        return result


def _prepare(task: ActionTask, variables: dict[str, Any], write: Callable[[str], None]) -> Migration:
    """Read and check the variables. Raises InputError, and RoleError if the name of the cluster is missing."""
    options = read_migration_variables(template_variables(task, variables, MIGRATION))
    if is_unanswered(task.template(variables.get(f"{ROLE}cluster_name"))):
        raise RoleError(NO_CLUSTER)
    state = task.template(variables.get(f"{ROLE}state"))
    if state not in (None, "", "present"):
        raise InputError([_NO_STATE.format(state=state)])
    warnings = [
        _NO_EFFECT.format(name=f"{ROLE}{name}") for name in _WORKLOADS if f"{ROLE}{name}" in variables
    ]
    left_out = {f"{ROLE}{name}" for name in (*_WORKLOADS, *_LEFT_OUT)}
    chosen = {name: value for name, value in variables.items() if name not in left_out}
    values = read_role_variables(task, {**chosen, f"{ROLE}workloads": []}, "main")
    options = replace(options, file=values.get("report_file") or "")
    if unwritable := describe_unwritable([("report_file", options.file)]):
        raise InputError(unwritable)
    return Migration(task, chosen, values, options, write, warnings)


@dataclass
class Migration(MigrationSession):
    """The migration of a cluster."""

    report: MigrationReport | None = None
    _waiting: dict[WorkloadKey, datetime | None] = field(default_factory=dict)
    _kept: frozenset[WorkloadKey] = frozenset()

    @property
    def interruption(self) -> str:
        step = self.steps.step or "reading the variables"
        done = f"{len(self.changes)} change{'' if len(self.changes) == 1 else 's'}"
        again = "again with pod_identity_migration_step=rollback" if self.options.rollback else "again"
        return f"{self.steps.title}: interrupted ({step}), after {done}. Run {again}: completed changes are kept."

    def perform(self) -> None:
        """Run the steps up to the requested one, or the rollback, and write the report.

        An error before or during the first inventory is raised without a report. Later, a RoleError, AwsError or InputError is
        not raised, but is part of the report; any other exception is raised after the report is written.

        :raises SystemExit: after a signal.
        """
        if self.options.file:
            # A run that fails early must not leave the report of an earlier run.
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.expanduser(self.options.file))
        task = self.task
        with task.in_environment(), self.steps.watch(task):
            self.open()
            migrants = self.take_inventory()
            try:
                if self.options.rollback:
                    self._kept = roll_back(self, migrants, self._run)
                elif self.options.step != "inventory":
                    self._advance(migrants)
                if self.changes and not task.check_mode:
                    self.take_inventory()
            except BaseException as error:
                self.add_made()
                fault = isinstance(error, Exception)
                self.stopped = str(describe_error(error)["msg"]) if fault else self.interruption
                if not isinstance(error, (RoleError, AwsError, InputError)):
                    # A signal was received, the timeout of the task expired, or an unexpected error occurred.
                    self._leave_report()
                    raise
        self._leave_report()

    def _leave_report(self) -> None:
        migrants = self.migrants
        if self.options.rollback:
            # These findings are about the next step of a migration, not about the rollback.
            migrants = [replace(migrant, blockers=(), notes=(), holds=()) for migrant in migrants]
        self.report = MigrationReport(
            self.opened.cluster,
            self.options,
            migrants,
            self.changes,
            self.failures,
            self.findings,
            self._waiting,
            self.task.check_mode,
            self.stopped,
            frozenset(map(str, self.values.get("ignore", ()))),
            self._kept,
            frozenset(self.failed),
            self.groups,
            self._expected() if self.task.check_mode else {},
        )
        if self.options.file:
            text = json.dumps(report_data(self.report), indent=4, sort_keys=True)
            write_private(os.path.expanduser(self.options.file), f"{text}\n")

    def _expected(self) -> dict[WorkloadKey, str]:
        """Return the stage that each service account would reach without failures."""
        if self.options.rollback:
            returning = {migrant.key for group in self.groups for migrant in group.migrants}
            return dict.fromkeys(returning - self.failed, "irsa")
        return {m.key: expected_stage(m, self.options, self.aws_time) for m in self.migrants}

    def _advance(self, migrants: Sequence[Migrant]) -> None:
        options, check_mode = self.options, self.task.check_mode
        target: MigrationStep = "associate" if options.step == "associate" else "restart"
        todo = [migrant for migrant in migrants if not migrant.blockers and not migrant.has_reached(target)]
        restarts = target == "restart"
        has_agent = self._has_agent(todo)
        self.groups = make_groups(todo, options)
        if todo and check_mode:
            self.installs_agent = self.installs_agent and not has_agent
            self._run(todo, "plan", restarts)
        elif todo:
            if not has_agent and not self._prepare_agent(todo):
                return
            # From now on, a missing agent prevents the migration.
            self.installs_agent = False
            if not has_agent:
                keys = {migrant.key for migrant in todo}
                todo = [m for m in self.take_inventory() if m.key in keys and not m.blockers]
                self.groups = make_groups(todo, options)
            self._perform_groups(todo, restarts)
        if options.step == "finish" and not self.stopped:
            self._finish(self.take_inventory() if self.changes and not check_mode else migrants)

    def _perform_groups(self, migrants: Sequence[Migrant], restarts: bool) -> None:
        """Migrate the canary, create the associations of all others, and restart their Pods group by group."""
        groups = list(self.groups)
        has_canary = bool(groups) and groups[0].name == "canary"
        canary = groups.pop(0) if has_canary else MigrationGroup("canary", ())
        keys = {migrant.key for migrant in canary.migrants}
        failed = self._run(canary.migrants, canary.name, restarts, proof=True) if keys else set()
        # A canary whose restart was refused has proven nothing.
        if failed := failed | (keys & self.failed):
            self._stop(_CANARY_FAILED, failed)
            return
        done: set[WorkloadKey] = set()
        if new := [m for m in migrants if m.stage == "irsa" and m not in canary.migrants]:
            done = self._run(new, "associations", False)
        for group in groups if restarts else ():
            left = [migrant for migrant in group.migrants if migrant.key not in done]
            if failed := self._run(left, group.name, True):
                self._stop(_GROUP_FAILED, failed, group.name)
                return

    def _stop(self, text: str, failed: Collection[WorkloadKey], group: str = "") -> None:
        names = listed(sorted(map(str, failed)), 5)
        self.stopped = self.stopped or f"{text.format(names=names, group=group)}{_RERUN}"

    def _has_agent(self, migrants: Iterable[Migrant]) -> bool:
        """Return whether the nodes of the Pods already have the agent, for example from Helm or EKS Auto Mode.

        Without Pods, return whether the cluster uses EKS Auto Mode. Return False if the answer is unknown, or if the user has
        set the version of the agent, so that the add-on gets this version.
        """
        state = self.estate.state
        if state is None or self.values.get("agent_version"):
            return False
        pods = [pod for migrant in migrants for pod in (state.pods or {}).get(migrant.key, ())]
        found = all(not pod.node or state.has_agent(pod.node) for pod in pods)
        return found and (bool(pods) or self.opened.cluster.auto_mode)

    @property
    def _agent_options(self) -> dict[str, Any]:
        values = self.values
        return {"agent": values.get("agent", "present"), "agent_version": values.get("agent_version")}

    def _prepare_agent(self, migrants: Sequence[Migrant]) -> bool:
        """Install or update the add-on of the agent, and wait for its Pods. Return False if the add-on has a failure."""
        cluster = self.opened.cluster
        spec = parse_agent(self._agent_options, ROLE)
        agent = agent_run(self.api, cluster, spec, self.wait_policy, False)
        if agent is None:
            return True
        engine = Engine(self.api, cluster, self.width, self.wait_policy, addon=agent)
        self.steps.begin("checking the EKS Pod Identity Agent")
        try:
            with guarded(self.steps):
                failures = engine.run(Desired((), Options(single=True)), "present", False).failures
        finally:
            self.changes += [f"{done.change.action} add-on {agent.spec.name}" for done in engine.journal.done]
        if failures:
            self.failures += [row for failure in failures for row in failure_rows(failure)]
            return False
        if engine.journal.done:
            self._wait_for_agent(migrants)
        return True

    def _wait_for_agent(self, migrants: Sequence[Migrant]) -> None:
        """Wait until the agent is ready on the nodes of the Pods, at most ``_AGENT_TIMEOUT`` seconds.

        If the agent is not ready then, the next inventory reports it.
        """
        keys = {migrant.key for migrant in migrants}
        for _attempt in range(_AGENT_TIMEOUT // _AGENT_PAUSE):
            estate = read_irsa(self.kubernetes, self.opened.cluster.name, keys, self.clock)
            state = estate.state if isinstance(estate, IrsaEstate) else None
            pods = [pod for key in keys for pod in ((state.pods or {}).get(key, ()) if state else ())]
            if state is not None and all(not pod.node or state.has_agent(pod.node) for pod in pods):
                return
            self.clock.sleep(_AGENT_PAUSE)

    def _run(
        self, migrants: Sequence[Migrant], name: str, restarts: bool, proof: bool = False
    ) -> set[WorkloadKey]:
        """Run the role for service accounts: create missing associations, probe the injection, and verify.

        :arg name: the name of this part of the migration, for the progress on the screen.
        :arg restarts: whether to restart the owners of stale Pods.
        :arg proof: whether to run the runtime proof, if it is turned on.
        :returns: the service accounts that failed.
        """
        unrecorded: set[WorkloadKey] = set()
        if new := [migrant for migrant in migrants if migrant.stage == "irsa"]:
            self.steps.begin("tagging the roles")
            with guarded(self.steps):
                unrecorded = self.edit(self.editor().record(new))
            migrants = [migrant for migrant in migrants if migrant.key not in unrecorded]
        if not migrants:
            return unrecorded
        # In check mode, a missing agent was not installed before this plan, so the plan includes its add-on.
        plans_agent = self.task.check_mode and self.installs_agent
        run = self.role_run(
            workload_rows(migrants),
            **(self._agent_options if plans_agent else {"agent": "ignore"}),
            restart_stale=restarts,
            verify_pods=True,
            injection_observe=self.options.observe,
            runtime_proof=proof and bool(self.values.get("runtime_proof")),
        )
        self.steps.begin(f"{name}: {len(migrants)} service account{'' if len(migrants) == 1 else 's'}")
        aws = self.run_aws(run)
        return unrecorded | self._judge(migrants, aws, self.run_kubernetes(run, aws), restarts)

    def _judge(
        self, migrants: Sequence[Migrant], aws: AwsResult, run: KubernetesRun, restarts: bool
    ) -> set[WorkloadKey]:
        """Add the failures and findings of a run to the migration. Return the service accounts that failed.

        Outside check mode, a service account also fails if the run did not prove that its new Pods get the credentials of the
        role.

        :arg restarts: whether the run restarted the owners of stale Pods. If not, findings about these Pods are expected.
        """
        check_mode = self.task.check_mode
        rows = [*aws.failures, *run.outcome.failures]
        ignore = {*_EXPECTED, *map(str, self.values.get("ignore", ()))}
        by_name = {str(migrant.key): migrant.key for migrant in migrants}
        held = {migrant.key for migrant in migrants if migrant.holds or check_mode or not restarts}
        # A refused restart concerns only the service accounts of the owner.
        refused = {
            migrant.key
            for migrant in migrants
            for row in rows
            if row["action"] == "restart"
            and f"{row['resource']} {row['name']}" in migrant.pods.restarts(migrant.pods.remaining)
        }
        judgement = judge_run(aws, run.outcome, ignore)
        findings = [
            finding
            for finding in judgement.findings
            if finding.severity == "error"
            and finding.code not in ignore
            and not (finding.code in _BEFORE_RESTART and finding.workload in held | refused)
        ]
        failed = {by_name[row["workload"]] for row in rows if row["workload"] in by_name}
        for finding in findings:
            failed |= {finding.workload} if finding.workload is not None else set(by_name.values())
        if not check_mode:
            checks = {workload.key: checks for workload, checks in judgement.workloads}
            for key in by_name.values():
                unproven = find_unproven(key, checks.get(key, ()))
                unproven = [finding for finding in unproven if finding.code not in ignore]
                findings += unproven if key not in failed else ()
                failed |= {key} if unproven else set()
        self.failures += rows
        self.findings += dict.fromkeys(findings)
        if run.outcome.error or any(not row["workload"] and row["action"] != "restart" for row in rows):
            failed |= set(by_name.values())
        if run.outcome.error:
            self.stopped = run.outcome.error
        self.failed |= failed | refused
        return failed

    def _finish(self, migrants: Sequence[Migrant]) -> None:
        """Remove the IRSA annotations and statements of restarted service accounts whose soak time is over."""
        ready = [
            migrant
            for migrant in migrants
            if migrant.stage == "restarted" and not migrant.blockers and migrant.key not in self.failed
        ]
        now = self.aws_time
        for migrant in ready:
            end = soak_end(migrant, self.options.soak)
            if end is None or end > now:
                self._waiting[migrant.key] = end
        due = [migrant for migrant in ready if migrant.key not in self._waiting]
        if not due:
            return
        done = self._remove_annotations(due)
        if self.task.check_mode:
            names = {*self.plan.finished, *(account_name(migrant.key) for migrant in done)}
            self.edit(self.editor().finish(done, names))
            return
        failed = self._run(done, "probing without the annotation", False) if done else set()
        if failed:
            self._stop(_PROBE_FAILED, failed)
            return
        self.take_inventory()
        with guarded(self.steps):
            self.steps.begin("removing the IRSA statements")
            self.edit(self.editor().finish(done, self.plan.finished))

    def _remove_annotations(self, migrants: Sequence[Migrant]) -> list[Migrant]:
        """Remove the annotations of the role. Return the service accounts that then lack them, in check mode as planned."""
        self.steps.begin("removing the IRSA annotations")
        accounts = self.estate.accounts
        annotated = [m for m in migrants if (account := accounts.get(m.key)) and account.role_arn]
        annotated_keys = {migrant.key for migrant in annotated}
        with guarded(self.steps):
            unrecorded = self.edit(self.editor().record([m for m in annotated if not m.is_recorded]))
        annotated = [migrant for migrant in annotated if migrant.key not in unrecorded]
        patches = [annotation_patch(accounts[migrant.key], None) for migrant in annotated]
        refused = self.patch(patches, "remove the IRSA annotation of")
        annotated_keys -= {migrant.key for index, migrant in enumerate(annotated) if index not in refused}
        return [migrant for migrant in migrants if migrant.key not in annotated_keys]
