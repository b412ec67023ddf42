# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The session of a migration: its connections, its inventory, and the changes and findings that it has so far."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any, Literal

from ..module_utils._aws.interrupt import pause
from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import Finding, WorkloadKey
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.api.api_errors import AGAIN, ALLOW, manifest_failure
from ..module_utils._identity.kubernetes.api.cluster import Deadline, WriteResult
from ..module_utils._identity.kubernetes.model.aws_result import AwsResult, parse_aws_result
from ..module_utils._identity.kubernetes.model.objects import Object, ServiceAccount
from ..module_utils._identity.kubernetes.run.converge import KubernetesOutcome
from ..module_utils._identity.kubernetes.run.irsa import IrsaEstate, annotation_patch, unread_findings
from ..module_utils._identity.kubernetes.run.losing_pods import find_breakage
from ..module_utils._identity.model.changes import Change
from ..module_utils._identity.model.cluster import describe_place
from ..module_utils._identity.model.errors import InputError, listed
from ..module_utils._identity.model.migration import Migrant, MigrationGroup, MigrationOptions
from ..module_utils._identity.model.names import default_owner
from ..module_utils._identity.model.observed import Document
from ..module_utils._identity.model.rows import FailureRow, Row
from ..module_utils._identity.plan.migration import (
    MigrationPlan,
    MigrationState,
    find_unproven,
    plan_migration,
    recorded_accounts,
    with_findings,
)
from ..module_utils._identity.read.account import read_snapshot
from ..module_utils._identity.read.associations import read_all_associations
from ..module_utils._identity.read.observe import Observer
from ..module_utils._identity.report.report import judge_run
from ..module_utils._identity.report.text import describe_change
from ..module_utils._identity.run.access import ALL_PAGES
from ..module_utils._identity.run.consistency import WaitPolicy
from ..module_utils._identity.run.migration import (
    MigrationReads,
    PlannedApi,
    TrustEditor,
    TrustRun,
    read_again,
    read_roles,
    workload_rows,
)
from ..module_utils._identity.run.result import change_row, diff_row, failure_rows
from ..module_utils._policy.trust.federation import Issuer, parse_issuer
from ._role_input import RoleError
from ._role_run import RoleRun, guarded, raise_if_ended, read_estate
from ._screen import Steps
from ._task import ActionTask

NO_ISSUER = (
    "The OIDC issuer of {place} is missing or unknown, so it is not known which statements are for IRSA. Nothing was changed. To "
    "see the issuer: aws eks describe-cluster --name {name} --query cluster.identity"
)
_NO_BULK = (
    "A rollback finds the service accounts in the tags of all roles, and these could not be read at once: {reason}. Allow "
    "iam:GetAccountAuthorizationDetails, or name each service account in pod_identity_only. Nothing was "
    "changed."
)
_NOT_ALL = (
    ", according to the roles of annotations and associations. To read the tags of all roles, allow "
    "iam:GetAccountAuthorizationDetails"
)
CONFLICT_STATUS = 409
# The variables of a run that does not change the agent. Only a run that installs the agent accepts a version.
WITHOUT_AGENT = {"agent": "ignore", "agent_version": ""}
# Findings that do not fail a service account, because a migration does not change which other principals may use a role.
_EXPECTED = frozenset((Code.TRUST_STATEMENT_FOREIGN,))
# Findings that a restart resolves.
_BEFORE_RESTART = frozenset((Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED))


@dataclass
class MigrationSession:
    """The session of a migration.

    ``changes`` are lines for the report. ``failed`` are the service accounts that failed in any part of the run. ``stopped`` is
    the reason why the run ended early, or "". ``estate``, ``state``, ``plan`` and ``migrants`` (the selected service accounts)
    are from the last inventory. ``made`` has the trust policies and tags that were changed since the last ``edit``. In
    check mode, ``trusts`` has the trust policies that the plan has changed so far, by the name of the role.
    """

    task: ActionTask
    variables: dict[str, Any]
    values: dict[str, Any]
    options: MigrationOptions
    write: Callable[[str], None]
    warnings: Sequence[str] = ()
    changes: list[str] = field(default_factory=list)
    diffs: list[Object] = field(default_factory=list)
    failures: list[FailureRow] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    failed: set[WorkloadKey] = field(default_factory=set)
    stopped: str = ""
    migrants: Sequence[Migrant] = ()
    groups: Sequence[MigrationGroup] = ()
    made: list[Change] = field(default_factory=list)
    trusts: dict[str, Document] = field(default_factory=dict)
    deadline: Deadline | None = None
    _edited_roles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.values = {"agent": "present", **self.values}
        # A missing agent does not prevent the migration while the run may install it.
        self.installs_agent = self.values["agent"] == "present"
        self.steps = Steps(str(self.values["cluster_name"]), displays=not self.task.keywords.no_log)

    def open(self) -> None:
        """Connect to AWS and Kubernetes, and check that both connections lead to the same cluster.

        :raises RoleError: when they may lead to different clusters, or the OIDC issuer is unknown.
        :raises InputError: when the task would run on another machine or as another user, or an option is invalid.
        :raises AwsError: when the cluster cannot be read, or the credentials belong to another account.
        """
        self.steps.begin("reading the cluster")
        run = self.role_run([])
        self.deadline = run.deadline
        self.opened, self.kubernetes = run.open()
        self.api, self.clock = PlannedApi(self.opened.api, self.trusts), self.kubernetes.clock
        cluster, self.width = self.opened.cluster, int(run.job.params["concurrency"])
        if (issuer := parse_issuer(cluster.issuer)) is None:
            raise RoleError(NO_ISSUER.format(place=describe_place(cluster), name=cluster.name))
        self.issuer: Issuer = issuer
        self.owner = run.parsed.owner or default_owner(cluster.region, cluster.name)
        now = datetime.now(timezone.utc)
        self._clock_difference = (cluster.answered_at or now) - now
        self.wait_policy = WaitPolicy(run.job.params["propagation_timeout"], time.monotonic, pause)

    @property
    def aws_time(self) -> datetime:
        """Return the current time by the clock of AWS, because the local clock may be wrong."""
        return datetime.now(timezone.utc) + self._clock_difference

    def take_inventory(self) -> list[Migrant]:
        """Read the service accounts, Pods, associations and roles. Return the selected service accounts with their stages.

        :raises RoleError: when the service accounts or Pods cannot be listed, and as ``guarded``.
        :raises AwsError: when a request to AWS fails.
        :raises InputError: when the selector is rejected; before the first change, also when a value selects no service account.
        """
        self.steps.begin("taking the inventory")
        cluster = self.opened.cluster
        with guarded(self.steps):
            associations = read_all_associations(self.opened)
            snapshot = read_snapshot(self.api, ALL_PAGES)
        named = recorded_accounts(cluster.arn, snapshot.roles.values())
        known = {*associations, *(WorkloadKey(cluster.name, *name) for name in named)}
        estate = read_estate(self.kubernetes, cluster, known)
        arns = {account.role_arn for account in estate.accounts.values()} | {
            association.role_arn for association in associations.values()
        }
        with guarded(self.steps):
            reads = read_roles(self.api, cluster, snapshot, associations, filter(None, arns), self.width)
        # Without the tags of all roles, only the roles of other service accounts may show that an account was migrated.
        named = recorded_accounts(cluster.arn, reads.roles.values())
        if lacking := {WorkloadKey(cluster.name, *name) for name in named} - known:
            estate = read_estate(self.kubernetes, cluster, known | lacking)
        patterns = not self.options.only or any("*" in name for name in self.options.only)
        if self.options.rollback and patterns and not reads.complete:
            raise RoleError(_NO_BULK.format(reason=snapshot.denied or "the account has too many roles"))
        self.estate: IrsaEstate = estate
        self.findings += [finding for finding in unread_findings(estate) if finding not in self.findings]
        self._plan_migration(estate, reads)
        # A bulk read may not show the recent changes of this run.
        doubtful = {migrant.role_arn for migrant in self.plan.migrants if migrant.lacks_access}
        if doubtful := doubtful | (self._edited_roles & {role.arn for role in reads.roles.values()}):
            with guarded(self.steps):
                roles = read_again(self.api, reads.roles, doubtful, self.width)
            reads = replace(reads, roles=roles)
            self._plan_migration(estate, reads)
        migrants = self._select_migrants(self.plan.migrants)
        starting = [
            migrant.key
            for migrant in migrants
            if migrant.stage == "irsa" and not migrant.blockers and not self.options.rollback
        ]
        accounts = {
            key: ServiceAccount(key, annotations=estate.accounts[key].annotations)
            for key in starting
            if key in estate.accounts
        }
        found = find_breakage(
            self.kubernetes,
            starting,
            accounts,
            cluster.name,
            self.clock.now(),
            bool(self.values.get("allow_breakage")),
            installs_agent=self.installs_agent,
        )
        self.migrants = [with_findings(migrant, found) for migrant in migrants]
        return self.migrants

    def _plan_migration(self, estate: IrsaEstate, reads: MigrationReads) -> None:
        self.state = MigrationState(
            self.opened.cluster,
            self.issuer,
            estate.accounts,
            reads.associations,
            reads.roles,
            reads.documents,
            reads.complete,
            estate.configured,
            estate.pods,
            self.options,
            self.owner,
        )
        self.plan: MigrationPlan = plan_migration(self.state)

    def _select_migrants(self, migrants: Sequence[Migrant]) -> list[Migrant]:
        """Return the service accounts that the options select.

        Before the first change of the run, a value that selects no service account raises InputError.
        """
        patterns = self.options.only
        names = {str(migrant.key): migrant for migrant in migrants}
        limit = "" if self.state.complete else _NOT_ALL
        problems = [
            f"{ROLE}only: no service account {pattern} uses IRSA or was migrated{limit}. Possible values: "
            f"{listed(sorted(names), 10) or 'none'}."
            for pattern in patterns
            if not fnmatch.filter(names, pattern)
        ]
        # After a change, a value may select nothing, because the run may have finished all its service accounts.
        if problems and not self.changes:
            raise InputError(problems)
        return [migrant for migrant in migrants if self.options.selects(migrant.key)]

    def role_run(self, rows: Sequence[Mapping[str, Any]], **more: Any) -> RoleRun:
        """Return a run of the role. All runs have the deadline of the migration.

        :arg rows: the entries of ``workloads`` for the service accounts of the run.
        :arg more: further variables of the role, without their prefix.
        """
        values = {**self.values, "workloads": list(rows), "state": "present", **more}
        return RoleRun(self.task, self.variables, values, deadline=self.deadline)

    def run_aws(self, run: RoleRun) -> AwsResult:
        """Run the AWS part of the role, and add its changes and failures to the session. Raises the errors of its steps."""
        run.begin_aws()
        opening = run.opening

        def open_planned() -> Observer:
            opened = opening()
            return replace(opened, api=PlannedApi(opened.api, self.trusts))

        run.opening = open_planned
        run.prepare()
        row = run.run_aws()
        self._add_rows(row.get("changes") or ())
        self.diffs += row.get("diff") or ()
        raise_if_ended(row)
        aws = parse_aws_result(row, run.cluster_name)
        self.failures += aws.failures
        return aws

    def migrate(
        self, migrants: Sequence[Migrant], name: str, restarts: bool, proof: bool = False
    ) -> set[WorkloadKey]:
        """Run the role for service accounts: create missing associations, probe the injection, and verify.

        :arg name: the name of this part of the migration, for the progress on the screen.
        :arg restarts: whether to restart the owners of stale Pods.
        :arg proof: whether to run the runtime proof, if it is turned on.
        :returns: the service accounts that failed.
        """
        new = [migrant for migrant in migrants if migrant.stage == "irsa"]
        failed = self.edit("tagging the roles", lambda editor: editor.record(new)) if new else set()
        if migrants := [migrant for migrant in migrants if migrant.key not in failed]:
            run = self.role_run(
                workload_rows(migrants),
                **({} if self.installs_agent else WITHOUT_AGENT),
                restart_stale=restarts,
                verify_pods=True,
                injection_observe=self.options.observe,
                runtime_proof=proof and bool(self.values.get("runtime_proof")),
            )
            self.steps.begin(f"{name}: {len(migrants)} service account{'' if len(migrants) == 1 else 's'}")
            aws = self.run_aws(run)
            done = run.run_kubernetes(aws, self.steps.begin, self.write)
            self.changes += done.outcome.changes
            self.diffs += done.diffs
            self.warnings = list(dict.fromkeys((*self.warnings, *done.warnings)))
            failed |= self._judge(migrants, aws, done.outcome, restarts)
        return failed

    def _judge(
        self, migrants: Sequence[Migrant], aws: AwsResult, outcome: KubernetesOutcome, restarts: bool
    ) -> set[WorkloadKey]:
        """Add the failures and findings of a run to the session. Return the service accounts that failed.

        Outside check mode, a service account also fails if the run did not prove that its new Pods get the credentials of the
        role.

        :arg restarts: whether the run restarted the owners of stale Pods. If not, findings about these Pods are expected.
        """
        check_mode = self.task.check_mode
        self.failures += outcome.failures
        rows = [*aws.failures, *outcome.failures]
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
        judgement = judge_run(aws, outcome, ignore)
        findings = [
            finding
            for finding in judgement.findings
            if finding.severity == "error"
            and finding.code not in ignore
            and not (finding.code in _BEFORE_RESTART and finding.workload in held | refused)
        ]
        failed = {by_name[row["workload"]] for row in rows if row["workload"] in by_name}
        failed |= {finding.workload for finding in findings if finding.workload is not None}
        of_all = any(finding.workload is None for finding in findings) or any(
            not row["workload"] and row["action"] != "restart" for row in rows
        )
        failed |= set(by_name.values()) if outcome.error or of_all else set()
        checks = {workload.key: checks for workload, checks in judgement.workloads}
        for key in () if check_mode else by_name.values():
            unproven = [
                finding for finding in find_unproven(key, checks.get(key, ())) if finding.code not in ignore
            ]
            findings += unproven if key not in failed else ()
            failed |= {key} if unproven else set()
        self.findings += dict.fromkeys(findings)
        self.stopped = outcome.error or self.stopped
        self.failed |= failed | refused
        return failed

    def annotate(self, migrants: Sequence[Migrant], verb: Literal["remove", "restore"]) -> list[Migrant]:
        """Remove the IRSA annotations, or restore them. Return the service accounts without a failure."""
        accounts, is_back = self.estate.accounts, verb == "restore"
        todo = [
            migrant
            for migrant in migrants
            if migrant.key in accounts and bool(accounts[migrant.key].role_arn) != is_back
        ]
        patches = [
            annotation_patch(accounts[migrant.key], migrant.role_arn if is_back else None) for migrant in todo
        ]
        written = self.kubernetes.patch(patches) if patches else WriteResult()
        self.diffs += written.diffs
        for index, (migrant, patch) in enumerate(zip(todo, patches, strict=True)):
            name = str(migrant.key)
            if index in written.refused:
                # The API server returns 409 if the service account has changed since the inventory.
                remedy = AGAIN if written.refused[index].status == CONFLICT_STATUS else ALLOW
                self.failures.append(manifest_failure(patch, "update", written.refused[index], name, remedy))
            else:
                self.changes.append(f"{verb} the IRSA annotation of ServiceAccount {name}")
        refused = {todo[index].key for index in written.refused}
        return [migrant for migrant in migrants if migrant.key not in refused]

    def edit(self, step: str, work: Callable[[TrustEditor], TrustRun]) -> set[WorkloadKey]:
        """Edit the trust policies and tags of roles. Return the service accounts that failed."""
        self.steps.begin(step)
        with guarded(self.steps):
            run = work(
                TrustEditor(
                    self.api,
                    self.opened.cluster,
                    self.issuer,
                    self.owner,
                    self.width,
                    self.wait_policy,
                    self.task.check_mode,
                    self.made,
                )
            )
        self.add_made()
        self.failures += [row for failure in run.failures for row in failure_rows(failure)]
        failed = {key for failure in run.failures for key in failure.workloads}
        self.failed |= failed
        return failed

    def _add_rows(self, rows: Sequence[Row]) -> None:
        """Add changes to those of the session, and in check mode their trust policies to ``trusts``."""
        self.changes += [describe_change(row).line for row in rows]
        self.trusts |= {
            row["name"]: row["after"]["trust_policy"]
            for row in rows
            if self.task.check_mode and row["resource"] == "trust_policy"
        }

    def add_made(self) -> None:
        """Add the trust policies and tags in ``made`` to the changes of the session, each once, and clear ``made``."""
        last = {change.target: change for change in self.made}
        self.made.clear()
        for change in sorted(last.values(), key=lambda change: change.target.name):
            self._add_rows([change_row(change)])
            if change.target.resource == "trust_policy":
                self.diffs.append(diff_row(change))
            role = self.state.roles.get(change.target.name.lower())
            self._edited_roles |= {role.arn} if role is not None else set()
