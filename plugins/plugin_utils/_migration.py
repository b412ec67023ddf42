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
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import Finding, WorkloadKey
from ..module_utils._identity.inputs.role_variables import (
    DEFAULTS,
    MIGRATION,
    is_unanswered,
    read_migration_variables,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.pods.restarts import poll
from ..module_utils._identity.kubernetes.run.irsa import probe_irsa, restart_injected
from ..module_utils._identity.model.errors import AwsError, InputError, listed
from ..module_utils._identity.model.migration import Migrant, MigrationGroup, MigrationStep
from ..module_utils._identity.plan.migration import (
    account_name,
    check_return,
    expected_stage,
    make_groups,
    plan_return,
    soak_end,
)
from ..module_utils._identity.report.migration import MigrationReport, migration_lines, report_data
from ..module_utils._identity.run.migration import read_again, workload_rows
from ._action import Action
from ._files import describe_unwritable, write_private
from ._migration_session import WITHOUT_AGENT, MigrationSession
from ._processes import interruptible, parent_stderr
from ._role_input import RoleError, read_role_variables, template_variables, validate_extra_variables
from ._role_run import (
    describe_error,
    failing_into,
    guarded,
    kubernetes_settings,
    read_estate,
)
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
# The ends of a run after a failing group, by the name of the group. Other groups have the key "".
_FORWARD = {
    "canary": "{names} failed as canary. No other service account was changed.",
    "": "{names} failed in {group}. Later groups have associations, but their Pods were not restarted.",
}
_BACK = {"": "{names} failed in {group}, so no later group was changed."}
_PROBE_FAILED = (
    "{names} failed after the annotations were removed. No IRSA statement was removed. To restore the annotations, run with "
    "pod_identity_migration_step=rollback."
)
_RERUN = " The causes are above. Resolve them and run again."
# Findings of a teardown about an association that it keeps.
_LEFT = frozenset((Code.NOT_OWNED, Code.MIGRATION_OTHER_ASSOCIATION))
# The longest wait for the agent, in seconds.
_AGENT_TIMEOUT = 300
# The part of a run that creates the associations of all service accounts after the canary.
_ASSOCIATIONS = "associations"


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
        done = f"{len(self.changes)} completed change{'' if len(self.changes) == 1 else 's'}"
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
        with self.task.in_environment(), self.steps.watch(self.task):
            self.open()
            migrants = self.take_inventory()
            try:
                if self.options.rollback:
                    self._roll_back(migrants)
                elif self.options.step != "inventory":
                    self._advance(migrants)
                if self.changes and not self.task.check_mode:
                    self.take_inventory()
            except BaseException as error:
                self.add_made()
                self.stopped = (
                    str(describe_error(error)["msg"]) if isinstance(error, Exception) else self.interruption
                )
                if not isinstance(error, (RoleError, AwsError, InputError)):
                    # A signal was received, the timeout of the task expired, or an unexpected error occurred.
                    self._leave_report()
                    raise
        self._leave_report()

    def _leave_report(self) -> None:
        migrants = self.migrants
        if self.options.rollback:
            # These findings are about the next step of a migration, not about the rollback. New Pods use a kept association.
            migrants = [
                replace(
                    migrant,
                    stage="associated"
                    if migrant.key in self._kept and migrant.stage == "irsa"
                    else migrant.stage,
                    blockers=(),
                    notes=(),
                    holds=(),
                )
                for migrant in migrants
            ]
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
        """Migrate the canary, create the associations of all others, restart their Pods group by group, and finish."""
        options, check_mode = self.options, self.task.check_mode
        target: MigrationStep = "associate" if options.step == "associate" else "restart"
        todo = [migrant for migrant in migrants if not migrant.blockers and not migrant.has_reached(target)]
        agents = self._agents(todo)
        # With a version of the agent in the variables, the add-on gets this version.
        has_agent = not todo or (
            not self.values.get("agent_version")
            and (all(agents) if agents else self.opened.cluster.auto_mode)
        )
        # After the installation, a missing agent prevents the migration.
        self.installs_agent = self.installs_agent and not has_agent and check_mode
        if not has_agent and not check_mode:
            if not self._prepare_agent(todo):
                return
            keys = {migrant.key for migrant in todo}
            todo = [m for m in self.take_inventory() if m.key in keys and not m.blockers]
        self.groups = make_groups(todo, options)
        canaries = [group for group in self.groups if group.name == "canary"]
        first = {migrant.key for group in canaries for migrant in group.migrants}
        new = [migrant for migrant in todo if migrant.stage == "irsa" and migrant.key not in first]
        later = [group for group in self.groups if group not in canaries] if target == "restart" else []

        def perform(group: MigrationGroup) -> set[WorkloadKey]:
            left = [migrant for migrant in group.migrants if migrant.key not in self.failed]
            is_canary, associates = group.name == "canary", group.name == _ASSOCIATIONS
            restarts = target == "restart" and not associates
            failed = self.migrate(left, group.name, restarts, proof=is_canary)
            # A canary whose restart was refused has proven nothing.
            return set() if associates else failed | (first & self.failed if is_canary else set())

        self._each([*canaries, MigrationGroup(_ASSOCIATIONS, tuple(new)), *later], perform, _FORWARD)
        if options.step == "finish" and not self.stopped:
            self._finish(self.take_inventory() if self.changes and not check_mode else migrants)

    def _roll_back(self, migrants: Sequence[Migrant]) -> None:
        """Return service accounts from EKS Pod Identity to IRSA, group by group."""
        plan = plan_return(self.state, migrants)
        self.findings += plan.findings
        self._kept, self.groups = plan.kept, plan.groups
        self._each(plan.groups, self._return_group, _BACK)

    def _each(
        self,
        groups: Sequence[MigrationGroup],
        work: Callable[[MigrationGroup], set[WorkloadKey]],
        ends: Mapping[str, str],
    ) -> None:
        """Do the work for each group, in check mode for all together. A failing group ends the run.

        :arg work: returns the service accounts that failed.
        :arg ends: the text of the end by the name of the group.
        """
        if self.task.check_mode:
            together = {migrant.key: migrant for group in groups for migrant in group.migrants}
            self.failed |= work(MigrationGroup("plan", tuple(together.values()))) if together else set()
            return
        for group in groups:
            if failed := work(group) if group.migrants else set():
                self._stop(ends.get(group.name, ends[""]), failed, group.name)
                return

    def _stop(self, text: str, failed: Collection[WorkloadKey], group: str = "") -> None:
        text = text.format(names=listed(sorted(map(str, failed)), 5), group=group)
        self.stopped = self.stopped or f"{text}{_RERUN}"

    def _agents(self, migrants: Sequence[Migrant]) -> list[bool]:
        """Return, for each Pod on a node, whether the node has the agent, for example from Helm or EKS Auto Mode."""
        return [
            self.estate.state.has_agent(pod.node)
            for migrant in migrants
            for pod in (self.estate.state.pods or {}).get(migrant.key, ())
            if pod.node
        ]

    def _prepare_agent(self, migrants: Sequence[Migrant]) -> bool:
        """Install or update the add-on of the agent, and wait for its Pods. Return False if the add-on has a failure.

        If the agent is not ready after ``_AGENT_TIMEOUT`` seconds, the next inventory reports it.
        """
        self.steps.begin("checking the EKS Pod Identity Agent")
        keys, count = {migrant.key for migrant in migrants}, len(self.changes)
        failures = self.run_aws(self.role_run([])).failures
        for _attempt in poll(_AGENT_TIMEOUT, self.clock) if len(self.changes) > count else ():
            self.estate = read_estate(self.kubernetes, self.opened.cluster, keys)
            if all(self._agents(migrants)):
                break
        return not failures

    def _finish(self, migrants: Sequence[Migrant]) -> None:
        """Remove the IRSA annotations and statements of restarted service accounts whose soak time is over."""
        now, check_mode = self.aws_time, self.task.check_mode
        left = [
            migrant
            for migrant in migrants
            if (check_mode or migrant.stage == "restarted")
            and migrant.stage != "finished"
            and migrant.key not in self.failed
            and not migrant.blockers
        ]
        due = [m for m in left if expected_stage(m, self.options, now) == "finished"]
        self._waiting |= {
            migrant.key: soak_end(migrant, self.options.soak)
            if migrant.stage != "irsa"
            else now + timedelta(hours=self.options.soak)
            for migrant in left
            if expected_stage(migrant, self.options, now) == "restarted"
        }
        if not due:
            return
        unrecorded = [m for m in due if m.stage == "restarted" and not m.is_recorded]
        failed = self.edit("removing the IRSA annotations", lambda editor: editor.record(unrecorded))
        done = self.annotate([migrant for migrant in due if migrant.key not in failed], "remove")
        names = {*self.plan.finished, *(account_name(migrant.key) for migrant in done)}
        if not check_mode:
            if failed := self.migrate(done, "probing without the annotation", False):
                self._stop(_PROBE_FAILED, failed)
                return
            self.take_inventory()
            names = set(self.plan.finished)
        self.edit("removing the IRSA statements", lambda editor: editor.finish(done, names))

    def _return_group(self, group: MigrationGroup) -> set[WorkloadKey]:
        """Return a group to IRSA. Return the service accounts that failed."""
        gone = self._delete_associations(group, self._restore(group))
        failed = {migrant.key for migrant in group.migrants} - {migrant.key for migrant in gone}
        if self.task.check_mode:
            owners = {name for migrant in gone for name in migrant.pods.restarts(migrant.pods.agent)}
            self.changes += [f"restart {name}" for name in sorted(owners)]
        elif gone:
            back, late = self._probe(group, gone), set[WorkloadKey]()
            if not back:
                back, late = self._restart(group, gone)
            if lost := [replace(migrant, stage="irsa") for migrant in gone if migrant.key in back]:
                self.migrate(lost, f"{group.name}: creating the associations again", False)
            failed |= back | late
        used = {found.role_arn for found in self.state.associations.values()}
        left = [migrant for migrant in gone if migrant.key not in failed]
        self.edit(f"{group.name}: removing the record", lambda editor: editor.release(left, used))
        return failed

    def _restore(self, group: MigrationGroup) -> list[Migrant]:
        """Restore the IRSA statements and annotations. Return the service accounts that their roles allow with IRSA."""
        failed = self.edit(f"{group.name}: restoring IRSA", lambda editor: editor.restore(group.migrants))
        arns = {migrant.role_arn for migrant in group.migrants}
        with guarded(self.steps):
            roles = read_again(self.api, self.state.roles, arns, self.width)
        self.state = replace(self.state, roles=roles)
        left = [migrant for migrant in group.migrants if migrant.key not in failed]
        refusals = {
            migrant.key: finding for migrant in left if (finding := check_return(self.state, migrant))
        }
        self.findings += refusals.values()
        return self.annotate([migrant for migrant in left if migrant.key not in refusals], "restore")

    def _delete_associations(self, group: MigrationGroup, migrants: Sequence[Migrant]) -> list[Migrant]:
        """Delete the associations and the statements for EKS Pod Identity. Return the service accounts without an association."""
        if not migrants:
            return []
        self.steps.begin(f"{group.name}: deleting the associations")
        run = self.role_run(workload_rows(migrants), state="absent", **WITHOUT_AGENT)
        workloads = tuple(replace(workload, returns=True) for workload in run.parsed.workloads)
        run.parsed = replace(run.parsed, workloads=workloads)
        aws = self.run_aws(run)
        kept = [finding for finding in aws.findings if finding.code in _LEFT]
        self.findings += kept
        failed = {row["workload"] for row in aws.failures} | {str(finding.workload) for finding in kept}
        gone = {migrant.key: migrant for migrant in migrants if str(migrant.key) not in failed}
        left = {key: found for key, found in self.state.associations.items() if key not in gone}
        self.state = replace(self.state, associations=left)
        return list(gone.values())

    def _probe(self, group: MigrationGroup, migrants: Sequence[Migrant]) -> set[WorkloadKey]:
        """Probe whether new Pods get IRSA. Return all service accounts of the group if one does not, and add the findings."""
        self.steps.begin(f"{group.name}: probing the injection of IRSA")
        settings = kubernetes_settings(self.values, False).injection
        probed = {migrant.key: migrant.role_arn for migrant in migrants if migrant.key in self.state.accounts}
        if settings is None or not probed:
            return set()
        faults = probe_irsa(
            self.kubernetes, probed, settings, self.opened.cluster.region, self.options.observe, self.clock
        )
        self.findings += [
            Finding(
                Code.INJECTION_NOT_YET,
                f"without its association, a Pod that starts now under {key} {fault}, not {probed[key]} by IRSA. No Pod of "
                f"{group.name} was restarted, and the associations were created again.",
                "Check the webhook of EKS (kubectl get mutatingwebhookconfigurations), and run the rollback again.",
                key,
            )
            for key, fault in faults.items()
        ]
        return {migrant.key for migrant in migrants} if faults else set()

    def _restart(
        self, group: MigrationGroup, migrants: Sequence[Migrant]
    ) -> tuple[set[WorkloadKey], set[WorkloadKey]]:
        """Restart the owners of the Pods with EKS Pod Identity, and wait until these Pods are replaced.

        Return the service accounts that need their association again, and those whose Pods are replaced too slowly.
        """
        self.steps.begin(f"{group.name}: restarting the owners of Pods with EKS Pod Identity")
        timeout, keys = {**DEFAULTS, **self.values}["restart_timeout"], [migrant.key for migrant in migrants]
        run = restart_injected(self.kubernetes, self.estate.state, keys, timeout, self.clock)
        self.changes += [f"restart {name}" for name in run.restarted]
        self.failures += run.failures
        late = set[WorkloadKey]()
        for migrant in migrants:
            names = [] if migrant.key in run.refused else list(run.remaining.get(migrant.key, ()))
            if names:
                late |= {migrant.key} if set(names) - migrant.pods.held.keys() else set()
                self.warnings = [
                    *self.warnings,
                    f"Pods {listed(names, 10)} of {migrant.key} still use EKS Pod Identity, and their credentials expire "
                    "within 6 hours. Recreate them, or wait for their rollout. New Pods already use IRSA.",
                ]
        return set(run.refused), late
