# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The session of a migration: its connections, its inventory, and the changes and findings that it has so far."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ..module_utils._aws.interrupt import pause
from ..module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.api.api_errors import (
    AGAIN,
    ALLOW,
    manifest_failure,
)
from ..module_utils._identity.kubernetes.api.cluster import (
    Deadline,
)
from ..module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    parse_aws_result,
)
from ..module_utils._identity.kubernetes.model.objects import (
    Object,
    ServiceAccount,
    object_name,
)
from ..module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
)
from ..module_utils._identity.kubernetes.run.irsa import IrsaEstate, unread_findings
from ..module_utils._identity.kubernetes.run.losing_pods import (
    find_breakage,
)
from ..module_utils._identity.model.changes import Change
from ..module_utils._identity.model.cluster import (
    describe_place,
)
from ..module_utils._identity.model.errors import (
    InputError,
    listed,
)
from ..module_utils._identity.model.migration import (
    Migrant,
    MigrationGroup,
    MigrationOptions,
)
from ..module_utils._identity.model.names import default_owner
from ..module_utils._identity.model.rows import FailureRow
from ..module_utils._identity.plan.migration import (
    MigrationPlan,
    MigrationState,
    plan_migration,
    recorded_accounts,
    with_findings,
)
from ..module_utils._identity.report.text import (
    describe_change,
)
from ..module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ..module_utils._identity.run.migration import (
    MigrationReads,
    TrustEditor,
    TrustRun,
    read_again,
    read_all_roles,
    read_cluster_associations,
    read_roles,
)
from ..module_utils._identity.run.result import change_row, diff_row, failure_rows
from ..module_utils._policy.trust.federation import (
    Issuer,
    parse_issuer,
)
from ._role_run import RoleError, RoleRun, guarded, raise_if_ended, read_estate
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
CONFLICT_STATUS = 409


@dataclass
class MigrationSession:
    """The session of a migration.

    ``changes`` are lines for the report. ``failed`` are the service accounts that failed in any part of the run. ``stopped`` is
    the reason why the run ended early, or "". ``estate``, ``state``, ``plan`` and ``migrants`` (the selected service accounts)
    are from the last inventory. ``made`` has the trust policies and tags that were changed since the last ``edit``.
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
    deadline: Deadline | None = None
    _edited_roles: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # A missing agent does not prevent the migration while the run may install it.
        self.installs_agent = self.values.get("agent", "present") == "present"
        self.steps = Steps(str(self.values["cluster_name"]), displays=not self.task.keywords.no_log)

    def open(self) -> None:
        """Connect to AWS and Kubernetes, and check that both connections lead to the same cluster.

        :raises RoleError: when they may lead to different clusters, or the OIDC issuer is unknown.
        :raises InputError: when the task would run on another machine or as another user, or an option is invalid.
        :raises AwsError: when the cluster cannot be read, or the credentials belong to another account.
        """
        self.steps.begin("reading the cluster")
        run = self.role_run([], agent=self.values.get("agent", "present"))
        self.deadline = run.deadline
        self.opened, self.kubernetes = run.open()
        self.api, self.clock = self.opened.api, self.kubernetes.clock
        cluster, self.width = self.opened.cluster, int(run.job.params["concurrency"])
        issuer = parse_issuer(cluster.issuer)
        if issuer is None:
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

    def editor(self) -> TrustEditor:
        return TrustEditor(
            self.api,
            self.opened.cluster,
            self.issuer,
            self.owner,
            self.width,
            self.wait_policy,
            self.task.check_mode,
            self.made,
        )

    def take_inventory(self) -> list[Migrant]:
        """Read the service accounts, Pods, associations and roles. Return the selected service accounts with their stages.

        :raises RoleError: when the service accounts or Pods cannot be listed, and as ``guarded``.
        :raises AwsError: when a request to AWS fails.
        :raises InputError: when the selector is rejected; before the first change, also when a value selects no service account.
        """
        self.steps.begin("taking the inventory")
        cluster = self.opened.cluster
        with guarded(self.steps):
            associations = read_cluster_associations(self.api, cluster, self.width)
            snapshot = read_all_roles(self.api)
        named = recorded_accounts(cluster.arn, snapshot.roles.values())
        known = {*associations, *(WorkloadKey(cluster.name, *name) for name in named)}
        estate = read_estate(self.kubernetes, cluster, known)
        arns = {account.role_arn for account in estate.accounts.values()} | {
            association.role_arn for association in associations.values()
        }
        with guarded(self.steps):
            reads = read_roles(self.api, cluster, snapshot, associations, filter(None, arns), self.width)
        patterns = not self.options.only or any("*" in name for name in self.options.only)
        if self.options.rollback and patterns and not reads.complete:
            raise RoleError(_NO_BULK.format(reason=snapshot.denied or "the account has too many roles"))
        self.estate: IrsaEstate = estate
        unread = unread_findings(estate)
        self.findings += [finding for finding in unread if finding not in self.findings]
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
        problems = [
            f"{ROLE}only: no service account {pattern} uses IRSA or was migrated. Possible values: "
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
        """Run the AWS part of the role, and add its changes to the session. Raises the errors of its steps."""
        run.begin_aws()
        run.prepare()
        row = run.run_aws()
        self.changes += [describe_change(change).line for change in row.get("changes") or ()]
        self.diffs += row.get("diff") or ()
        raise_if_ended(row)
        return parse_aws_result(row, run.cluster_name)

    def run_kubernetes(self, run: RoleRun, aws: AwsResult) -> KubernetesRun:
        """Run the Kubernetes part of the role, and add its changes to the session."""
        done = run.run_kubernetes(aws, self.steps.begin, self.write)
        self.changes += done.outcome.changes
        self.diffs += done.diffs
        self.warnings = [*self.warnings, *(text for text in done.warnings if text not in self.warnings)]
        return done

    def patch(self, patches: Sequence[Object], verb: str) -> Collection[int]:
        """Patch service accounts. Return the indexes of those that were not patched.

        :arg verb: the beginning of the line that describes a change, such as "restore the IRSA annotations of".
        """
        if not patches:
            return ()
        written = self.kubernetes.patch(patches)
        refused = written.refused
        for index, patch in enumerate(patches):
            name = str(object_name(patch))
            if index in refused:
                # The API server returns 409 if the service account has changed since the inventory.
                remedy = AGAIN if refused[index].status == CONFLICT_STATUS else ALLOW
                self.failures.append(manifest_failure(patch, "update", refused[index], name, remedy))
            else:
                self.changes.append(f"{verb} ServiceAccount {name}")
        self.diffs += written.diffs
        return refused

    def edit(self, run: TrustRun) -> set[WorkloadKey]:
        """Add the changes and failures of a method of ``TrustEditor`` to the session. Return the service accounts that failed."""
        self.add_made()
        self.failures += [row for failure in run.failures for row in failure_rows(failure)]
        return {key for failure in run.failures for key in failure.workloads}

    def add_made(self) -> None:
        """Add the trust policies and tags in ``made`` to the changes of the session, each once, and clear ``made``."""
        last = {change.target: change for change in self.made}
        self.made.clear()
        for change in sorted(last.values(), key=lambda change: change.target.name):
            self.changes.append(describe_change(change_row(change)).line)
            if change.target.resource == "trust_policy":
                self.diffs.append(diff_row(change))
            role = self.state.roles.get(change.target.name.lower())
            self._edited_roles |= {role.arn} if role is not None else set()
