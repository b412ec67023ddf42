# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""Migrate the service accounts of a cluster from IRSA to EKS Pod Identity, or back.

Each step reads AWS and Kubernetes again, so an interrupted migration continues where it was. Associations are created,
probed and verified, and Pods restarted, by the same functions as in a run of the role.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import pause
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.addons import parse_agent
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    AGAIN,
    ALLOW,
    ApiError,
    manifest_failure,
    remedy_for,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Query,
    RetryingCluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    ServiceAccount,
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    RestartSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    IrsaEstate,
    read_irsa,
    removal_patch,
    restart_injected,
    restoration_patch,
    unread_findings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.usage import (
    find_breakage,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    as_refusal,
    group_clusters,
    judge_api_server,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    Migrant,
    MigrationOptions,
    MigrationStep,
    annotation_tags,
    recorded_annotations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import FailureRow
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.migration import (
    MigrationPlan,
    MigrationState,
    account_name,
    is_half_rolled_back,
    plan_migration,
    with_findings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.migration import (
    MigrationReport,
    report_data,
    soak_end,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.text import (
    describe_change,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.addons import (
    AddonRun,
    agent_runs,
    converge_addons,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import OpenedCluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Guard
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    TrustChange,
    TrustEditor,
    TrustRun,
    read_cluster_associations,
    read_roles,
    record_annotations,
    workload_rows,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import failure_rows
from ansible_collections.workload_identity.aws.plugins.plugin_utils._files import (
    write_private,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import connect, make_clock
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import (
    leading_group,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import (
    RoleError,
    RoleInput,
    begin_aws,
    find_role_access,
    parse_input,
    prepare,
    raise_if_ended,
    run_aws,
    run_kubernetes,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import (
    Steps,
    is_watched,
    show_progress,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask

NO_ISSUER = (
    "the OIDC issuer of cluster {name} (account {account}, region {region}) is missing or unknown, so no trust policy was "
    "changed. To see it: aws eks describe-cluster --name {name} --query cluster.identity"
)
_CANARY_FAILED = "{names} failed as canary. No other service account was changed."
_GROUP_FAILED = "{names} failed in the group '{group}'. The Pods of later groups were not restarted; their associations exist."
_PROBE_FAILED = (
    "{names} failed after the annotations were removed. Their roles still allow IRSA. To restore the annotations, run with "
    "pod_identity_migration_state=rollback."
)
_RERUN = " The causes are above. Resolve them and run again."
# Findings that a restart resolves, or that every service account has until the end of its migration.
_EXPECTED = frozenset(
    (
        Code.ASSOCIATION_MAY_BREAK,
        Code.IRSA_ANNOTATION,
        Code.TRUST_IRSA_LEFTOVER,
        Code.TRUST_STATEMENT_FOREIGN,
        Code.UNLISTED_ASSOCIATIONS,
    )
)
_BEFORE_RESTART = frozenset((Code.POD_BEFORE_ASSOCIATION, Code.POD_NOT_INJECTED))
# Findings of a teardown about resources that a rollback leaves.
_KEPT = frozenset((Code.ASSOCIATION_NOT_OWNED, Code.TRUST_STATEMENT_STAYS))
CONFLICT_STATUS = 409
_UNKNOWN = {
    "namespaces": "no service account in namespace {} uses IRSA or was migrated",
    "service_accounts": "service account {} does not use IRSA, was not migrated, or does not exist",
}
# The seconds between two reads of the agent on the nodes, and the time to wait for it.
_AGENT_PAUSE, _AGENT_TIMEOUT = 5, 300


@dataclass
class Migration:
    """The migration of a cluster. Its ``result`` can be read after a failure, too."""

    task: ActionTask
    variables: dict[str, Any]
    values: dict[str, Any]
    options: MigrationOptions
    write: Callable[[str], None]
    warnings: Sequence[str] = ()
    report: MigrationReport | None = None
    _changes: list[str] = field(default_factory=list)
    _diffs: list[Object] = field(default_factory=list)
    _failures: list[FailureRow] = field(default_factory=list)
    _findings: list[Finding] = field(default_factory=list)
    _waiting: dict[WorkloadKey, datetime] = field(default_factory=dict)
    _stopped: str = ""
    _kept: frozenset[WorkloadKey] = frozenset()
    _failed: set[WorkloadKey] = field(default_factory=set)
    _edited: list[TrustChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._steps = Steps(str(self.values["cluster_name"]), displays=not self.task.keywords.no_log)

    @property
    def result(self) -> dict[str, Any]:
        """Return the members of the result of the task."""
        found: dict[str, Any] = {
            "changed": bool(self._changes),
            "diff": self._diffs,
            "warnings": list(self.warnings),
        }
        return found | ({"migration": report_data(self.report)} if self.report is not None else {})

    @property
    def interruption(self) -> str:
        step = self._steps.step or "reading the variables"
        done = f"{len(self._changes)} change{'' if len(self._changes) == 1 else 's'}"
        again = "again, also with pod_identity_migration_state=rollback" if self.options.rollback else "again"
        return f"{self._steps.title}: interrupted ({step}), after {done}. Run {again}: completed changes are kept."

    def perform(self) -> None:
        """Do the steps up to the one of the options, or the rollback. An error after the first change is in the report.

        Raises SystemExit after a signal.
        """
        task = self.task
        screen = show_progress(self._steps.line) if is_watched(task) else contextlib.nullcontext()
        with task.in_environment(), leading_group(), screen:
            self._open()
            migrants = self._inventory()
            try:
                if self.options.rollback:
                    self._roll_back(migrants)
                elif self.options.step != "inventory":
                    self._advance(migrants)
                if self._changes and not task.check_mode:
                    migrants = self._inventory()
            except (RoleError, AwsError, InputError) as error:
                if not self._changes:
                    raise
                self._stopped = as_sentence(error)
        self._leave_report(migrants)

    def _leave_report(self, migrants: Sequence[Migrant]) -> None:
        if self._kept:
            # A rollback keeps these associations, with a warning instead of the blocker of a migration.
            migrants = [_unblocked(migrant) if migrant.key in self._kept else migrant for migrant in migrants]
        self.report = MigrationReport(
            self._opened.cluster,
            self.options,
            migrants,
            self._changes,
            self._failures,
            self._findings,
            self._waiting,
            self.task.check_mode,
            self._stopped,
            frozenset(map(str, self.values.get("ignore", ()))),
            self._kept,
            frozenset(self._failed),
        )
        if self.options.file:
            text = json.dumps(report_data(self.report), indent=4, sort_keys=True)
            write_private(os.path.expanduser(self.options.file), f"{text}\n")

    def _open(self) -> None:
        """Connect to AWS and Kubernetes, and check that both are the same cluster."""
        self._steps.begin("reading the cluster")
        source = self._source([], agent=self.values.get("agent", "present"))
        part = begin_aws(self.task, source, "main", self.task.check_mode, self._steps)
        self._job = part.job
        self._kubernetes: RetryingCluster = connect(
            self.task, find_role_access(self.task, source), self.variables, deadline=source.deadline
        )
        self._clock = make_clock(source.deadline)
        self._opened: OpenedCluster = part.opening()
        cluster, server = self._opened.cluster, self._kubernetes.read_server()
        doubt = judge_api_server(cluster, server)
        if doubt and self.values.get("verify_cluster", True):
            refusal = as_refusal(doubt)
            raise RoleError(f"{refusal.message} {refusal.remedy} Nothing was changed.")
        self._wait_policy = WaitPolicy(self._job.params["propagation_timeout"], time.monotonic, pause)

    @property
    def _api(self) -> Api:
        return self._opened.api

    @property
    def _width(self) -> int:
        return int(self._job.params["concurrency"])

    def _editor(self) -> TrustEditor:
        issuer = self._state.issuer
        if issuer is None:
            cluster = self._opened.cluster
            place = {"name": cluster.name, "account": cluster.account_id, "region": cluster.region}
            raise RoleError(NO_ISSUER.format(**place))
        return TrustEditor(
            self._api,
            self._opened.cluster,
            issuer,
            self._width,
            self._wait_policy,
            self.task.check_mode,
            self._edited,
        )

    def _inventory(self, installs_agent: bool = True) -> list[Migrant]:
        """Read everything, and return the selected service accounts with their stages and blockers.

        :arg installs_agent: a cluster without the agent gets it, so the missing agent is no blocker.
        """
        self._steps.begin("taking the inventory")
        cluster = self._opened.cluster
        with self._guarded():
            associations = read_cluster_associations(self._api, cluster, self._width, self._steps)
        estate = read_irsa(self._kubernetes, cluster.key, associations.keys(), self._clock)
        if isinstance(estate, ApiError):
            raise RoleError(
                f"The service accounts and Pods of cluster {cluster.name} (account {cluster.account_id}, region "
                f"{cluster.region}) could not be listed: {estate.text} {remedy_for(estate)}"
            )
        arns = {account.role_arn for account in estate.accounts.values()} | {
            association.role_arn for association in associations.values()
        }
        with self._guarded():
            reads = read_roles(self._api, cluster, associations, filter(None, arns), self._width)
        self._estate: IrsaEstate = estate
        unread = unread_findings(estate)
        self._findings += [finding for finding in unread if finding not in self._findings]
        self._state = MigrationState(
            cluster,
            {
                key: account
                for key, account in estate.accounts.items()
                if account.role_arn or key not in associations
            },
            associations,
            reads.roles,
            reads.documents,
            reads.complete,
            estate.configured,
            estate.pods,
        )
        self._plan: MigrationPlan = plan_migration(self._state)
        migrants = self._select(self._plan.migrants)
        starting = [migrant.key for migrant in migrants if migrant.stage == "irsa" and not migrant.blockers]
        accounts = {
            key: ServiceAccount(key, annotations=estate.accounts[key].annotations)
            for key in starting
            if key in estate.accounts
        }
        found = find_breakage(
            self._kubernetes,
            starting,
            accounts,
            cluster.key,
            self._clock.now(),
            bool(self.values.get("allow_breakage")),
            installs_agent=installs_agent and self._installs_agent,
        )
        return [with_findings(migrant, found) for migrant in migrants]

    @property
    def _installs_agent(self) -> bool:
        return bool(self.values.get("agent", "present") == "present")

    def _select(self, migrants: Sequence[Migrant]) -> list[Migrant]:
        """Return the service accounts that the options choose. Raises InputError for a name that chooses none."""
        options = self.options
        labelled = self._labelled() if options.selector else set()
        chosen = [
            migrant
            for migrant in migrants
            if (not options.namespaces or migrant.key.namespace in options.namespaces)
            and (not options.service_accounts or str(migrant.key) in options.service_accounts)
            and (not options.selector or account_name(migrant.key) in labelled)
        ]
        known = {
            "namespaces": {m.key.namespace for m in migrants},
            "service_accounts": {str(m.key) for m in migrants},
        }
        problems = [
            f"{ROLE}migration_{name}: {_UNKNOWN[name].format(value)}. There are: {listed(sorted(names), 10) or 'none'}."
            for name, names in known.items()
            for value in getattr(options, name)
            if value not in names
        ]
        if options.selector and not labelled & {account_name(migrant.key) for migrant in migrants}:
            problems.append(
                f"{ROLE}migration_selector: no service account with the labels {options.selector} uses IRSA or was migrated."
            )
        # A run may finish the last service account of a selection.
        if problems and not self._changes:
            raise InputError(problems)
        return chosen

    def _labelled(self) -> set[tuple[str, str]]:
        listing = self._kubernetes.list_objects(Query("v1", "ServiceAccount", "", (self.options.selector,)))
        if listing.error is not None:
            raise InputError([f"{ROLE}migration_selector '{self.options.selector}': {listing.error.text}"])
        return {(name.namespace, name.name) for name in map(object_name, listing.items)}

    def _advance(self, migrants: Sequence[Migrant]) -> None:
        options, check_mode = self.options, self.task.check_mode
        target: MigrationStep = "associate" if options.step == "associate" else "restart"
        todo = [migrant for migrant in migrants if not migrant.blockers and not migrant.has_reached(target)]
        restarts = target == "restart"
        if todo and self._prepare_agent(todo):
            if not check_mode:
                todo = self._again(todo)
            canary, rest = _canary(todo, options.canary)
            if check_mode:
                canary, rest = [], [*canary, *rest]
            if canary:
                failed = self._run(canary, "canary", restarts, proof=True)
                if failed:
                    self._stop(_CANARY_FAILED, failed)
                    return
            new = [migrant for migrant in rest if migrant.stage == "irsa"]
            if new:
                failed = self._run(new, "associations", restarts and check_mode)
                rest = [migrant for migrant in rest if migrant.key not in failed]
            if restarts and not check_mode:
                self._restart(rest)
        if options.step == "finish" and not self._stopped:
            self._finish(self._inventory() if self._changes and not check_mode else migrants)

    def _again(self, migrants: Iterable[Migrant]) -> list[Migrant]:
        """Take the inventory again, now with the agent, and return the service accounts that are still not blocked."""
        keys = {migrant.key for migrant in migrants}
        return [m for m in self._inventory(installs_agent=False) if m.key in keys and not m.blockers]

    def _restart(self, migrants: Sequence[Migrant]) -> None:
        size = self.options.batch
        waiting = [migrant for migrant in migrants if migrant.stage == "associated" or migrant.pods.remaining]
        for start in range(0, len(waiting), size):
            name = f"restarts {start + 1} to {min(start + size, len(waiting))} of {len(waiting)}"
            failed = self._run(waiting[start : start + size], name, True)
            if failed:
                self._stop(_GROUP_FAILED, failed, name)
                return

    def _stop(self, text: str, failed: Collection[WorkloadKey], group: str = "") -> None:
        names = listed(sorted(map(str, failed)), 5)
        self._stopped = self._stopped or f"{text.format(names=names, group=group)}{_RERUN}"

    def _has_agent(self, migrants: Iterable[Migrant]) -> bool:
        """Return whether all nodes of the Pods have the agent already, from any source, such as EKS Auto Mode or Helm."""
        state = self._estate.state
        if state is None or self.values.get("agent_version"):
            return False
        pods = [pod for migrant in migrants for pod in (state.pods or {}).get(migrant.key, ())]
        found = all(not pod.node or state.has_agent(pod.node) for pod in pods)
        return found and (bool(pods) or self._opened.cluster.auto_mode)

    def _prepare_agent(self, migrants: Sequence[Migrant]) -> bool:
        """Install the agent if it is missing, and wait for it on the nodes of the Pods. Return False if EKS refused it."""
        if self._has_agent(migrants):
            return True
        params = {
            "agent": self.values.get("agent", "present"),
            "agent_version": self.values.get("agent_version"),
        }
        with self._guarded():
            clusters = group_clusters(self._opened.cluster)
            runs: list[AddonRun] = agent_runs(
                self._api, clusters, parse_agent(params, ROLE), self._wait_policy, self.task.check_mode
            )
            if runs:
                self._steps.begin("checking the EKS Pod Identity Agent")
            converge_addons(runs, 1)
        made = [run for run in runs if run.change is not None and (run.made or run.check_mode)]
        for run in made:
            if run.change is not None:
                self._changes.append(f"{run.change.action} add-on {run.spec.name}")
        self._failures += [
            row for run in runs if run.failure is not None for row in failure_rows(run.failure)
        ]
        if any(run.failure is not None for run in runs):
            return False
        if made and not self.task.check_mode:
            self._wait_for_agent(migrants)
        return True

    def _wait_for_agent(self, migrants: Sequence[Migrant]) -> None:
        """Wait until the agent is ready on the nodes of the Pods, or the time is over; the inventory reports the rest."""
        keys = {migrant.key for migrant in migrants}
        for _attempt in range(_AGENT_TIMEOUT // _AGENT_PAUSE):
            estate = read_irsa(self._kubernetes, self._opened.cluster.key, keys, self._clock)
            state = estate.state if isinstance(estate, IrsaEstate) else None
            pods = [pod for key in keys for pod in ((state.pods or {}).get(key, ()) if state else ())]
            if state is not None and all(not pod.node or state.has_agent(pod.node) for pod in pods):
                return
            self._clock.sleep(_AGENT_PAUSE)

    def _source(self, rows: Sequence[Mapping[str, Any]], **more: Any) -> RoleInput:
        return parse_input(
            {**self.values, "workloads": list(rows), "state": "present", **more}, self.variables, "main"
        )

    def _run(
        self, migrants: Sequence[Migrant], name: str, restarts: bool, proof: bool = False
    ) -> set[WorkloadKey]:
        """Associate service accounts, probe and verify them, and restart their Pods. Return those that failed."""
        observe = self.options.observe
        unrecorded: set[WorkloadKey] = set()
        if new := [migrant for migrant in migrants if migrant.stage == "irsa"]:
            self._steps.begin("tagging the roles")
            with self._guarded():
                unrecorded = self._edit(self._editor().record_grants(new))
            migrants = [migrant for migrant in migrants if migrant.key not in unrecorded]
        if not migrants:
            return unrecorded
        source = self._source(
            workload_rows(migrants),
            agent="ignore",
            restart_stale=restarts,
            verify_pods=True,
            verify_injection="all",
            injection_observe=observe,
            injection_timeout=max(int(self.values.get("injection_timeout", 60)), 2 * observe),
            runtime_proof=proof and bool(self.values.get("runtime_proof")),
        )
        self._steps.begin(f"{name}: {len(migrants)} service account{'' if len(migrants) == 1 else 's'}")
        tags = {migrant.key: annotation_tags(migrant.annotations) for migrant in migrants}
        workloads = tuple(
            replace(
                workload,
                association=replace(
                    workload.association, tags={**workload.association.tags, **tags.get(workload.key, {})}
                ),
            )
            for workload in source.parsed.workloads
        )
        aws, run = self._run_role(replace(source, parsed=replace(source.parsed, workloads=workloads)))
        return unrecorded | self._judge(migrants, aws, run, restarts)

    def _run_role(self, source: RoleInput) -> tuple[AwsResult, KubernetesRun]:
        part = begin_aws(self.task, source, "main", self.task.check_mode, self._steps)
        prepared = prepare(self.task, source, self.variables, "main")
        row = run_aws(part, prepared, "main")
        self._add_aws(row)
        raise_if_ended(row)
        aws = parse_aws_result(row, prepared.cluster_name)
        run = run_kubernetes(self.task, prepared, aws, self.variables, self._steps.begin, self.write)
        self._changes += run.outcome.changes
        self._diffs += run.diffs
        self.warnings = [*self.warnings, *(text for text in run.warnings if text not in self.warnings)]
        return aws, run

    def _add_aws(self, row: Mapping[str, Any]) -> None:
        self._changes += [describe_change(change).line for change in row.get("changes") or ()]
        self._diffs += row.get("diff") or ()

    def _judge(
        self, migrants: Sequence[Migrant], aws: AwsResult, run: KubernetesRun, restarts: bool
    ) -> set[WorkloadKey]:
        """Keep the failures and findings of a run, and return the service accounts with one of them."""
        rows = [*aws.failures, *run.outcome.failures]
        ignored = _EXPECTED if restarts and not self.task.check_mode else _EXPECTED | _BEFORE_RESTART
        all_findings = dict.fromkeys([*aws.findings, *aws.verification.findings, *run.outcome.findings])
        codes = {str(code) for code in self.values.get("ignore", ())}
        findings = [
            finding
            for finding in all_findings
            if finding.code not in ignored and finding.code.value not in codes
        ]
        self._failures += rows
        self._findings += [finding for finding in findings if finding.severity == "error"]
        by_name = {str(migrant.key): migrant.key for migrant in migrants}
        failed = {by_name[row["workload"]] for row in rows if row["workload"] in by_name}
        for finding in findings:
            if finding.severity == "error":
                failed |= {finding.workload} if finding.workload is not None else set(by_name.values())
        if run.outcome.error or any(not row["workload"] for row in rows):
            failed |= set(by_name.values())
        if run.outcome.error:
            self._stopped = run.outcome.error
        self._failed |= failed
        return failed

    def _finish(self, migrants: Sequence[Migrant]) -> None:
        """Remove the annotations and statements of IRSA of service accounts whose Pods all use EKS Pod Identity."""
        ready = [
            migrant
            for migrant in migrants
            if migrant.stage == "restarted" and not migrant.blockers and migrant.key not in self._failed
        ]
        now = datetime.now(timezone.utc)
        for migrant in ready:
            end = soak_end(migrant, self.options.soak)
            if end is None or end > now:
                self._waiting[migrant.key] = end or now
        due = [migrant for migrant in ready if migrant.key not in self._waiting]
        if not due:
            return
        done = self._remove_annotations(due)
        if self.task.check_mode:
            names = {*self._plan.finished, *(account_name(migrant.key) for migrant in done)}
            self._edit(self._editor().finish(done, names))
            return
        failed = self._run(done, "probing without the annotation", False) if done else set()
        if failed:
            self._stop(_PROBE_FAILED, failed)
            return
        self._inventory()
        with self._guarded():
            self._steps.begin("removing the IRSA statements")
            self._edit(self._editor().finish(done, self._plan.finished))

    def _remove_annotations(self, migrants: Sequence[Migrant]) -> list[Migrant]:
        """Record and remove the annotations. Return the service accounts without annotation, in check mode the planned ones."""
        self._steps.begin("removing the IRSA annotations")
        annotated = [
            m for m in migrants if (account := self._estate.accounts.get(m.key)) and account.role_arn
        ]
        if not self.task.check_mode:
            with self._guarded():
                failures = record_annotations(
                    self._api, self._opened.cluster, annotated, self._state.associations, self._width
                )
            self._failures += [row for failure in failures for row in failure_rows(failure)]
            unrecorded = {key for failure in failures for key in failure.workloads}
            annotated = [migrant for migrant in annotated if migrant.key not in unrecorded]
        patches = [removal_patch(self._estate.accounts[migrant.key]) for migrant in annotated]
        refused = self._patch(patches, "remove the IRSA annotations of")
        left = {migrant.key for index, migrant in enumerate(annotated) if index not in refused}
        unannotated = {m.key for m in migrants} - {
            m.key for m in migrants if (a := self._estate.accounts.get(m.key)) and a.role_arn
        }
        return [migrant for migrant in migrants if migrant.key in left | unannotated]

    def _patch(self, patches: Sequence[Object], verb: str) -> Collection[int]:
        """Patch service accounts. Return the indexes of those that were not patched."""
        written = self._kubernetes.patch(patches) if patches else None
        if written is None:
            return ()
        refused = dict(written.refused)
        if written.error is not None:
            refused = dict.fromkeys(range(len(patches)), written.error)
        for index, patch in enumerate(patches):
            name = str(object_name(patch))
            if index in refused:
                # The API server answers 409 if the service account has changed since the inventory.
                remedy = AGAIN if refused[index].status == CONFLICT_STATUS else ALLOW
                self._failures.append(manifest_failure(patch, "update", refused[index], name, remedy))
            else:
                self._changes.append(f"{verb} ServiceAccount {name}")
        self._diffs += written.diffs
        return refused

    def _edit(self, run: TrustRun) -> set[WorkloadKey]:
        """Keep the changes and failures of an edit of trust policies, and return the service accounts with a failure."""
        self._add_trust(run.changes)
        self._edited.clear()
        self._failures += [row for failure in run.failures for row in failure_rows(failure)]
        return {key for failure in run.failures for key in failure.workloads}

    def _add_trust(self, changes: Sequence[TrustChange]) -> None:
        self._changes += [describe_change(change.row).line for change in changes]
        self._diffs += [change.diff for change in changes]

    def _roll_back(self, migrants: Sequence[Migrant]) -> None:
        """Restore IRSA: statements, annotations, then delete the associations and restart the Pods."""
        todo = [migrant for migrant in migrants if self._is_own(migrant)]
        foreign = [
            migrant
            for migrant in migrants
            if migrant.key in self._state.associations and not self._is_own(migrant)
        ]
        self._kept = frozenset(migrant.key for migrant in foreign)
        self._findings += map(_not_own, foreign)
        # An earlier rollback may have ended after it deleted these associations.
        half = [migrant for migrant in migrants if is_half_rolled_back(self._state, migrant)]
        if not (todo or half):
            return
        editor = self._editor()
        with self._guarded():
            self._steps.begin("restoring the IRSA statements")
            failed = self._edit(editor.restore(todo))
        todo = [migrant for migrant in todo if migrant.key not in failed]
        bare = [
            m
            for m in todo
            if (account := self._estate.accounts.get(m.key)) is not None and not account.role_arn
        ]
        patches = [restoration_patch(self._estate.accounts[m.key], m.annotations) for m in bare]
        refused = self._patch(patches, "restore the IRSA annotations of")
        unrestored = {bare[index].key for index in refused}
        todo = [*(migrant for migrant in todo if migrant.key not in unrestored), *half]
        self._delete_associations(todo)
        if self.task.check_mode:
            return
        self._steps.begin("restarting the owners of Pods with EKS Pod Identity")
        settings = RestartSettings(timeout=int(self.values.get("restart_timeout", 300)))
        self._inventory()
        gone = [m for m in todo if m.key not in self._state.associations]
        restarted = restart_injected(
            self._kubernetes, self._opened.cluster.key, [m.key for m in gone], settings, self._clock
        )
        self._changes += [f"restart {name}" for name in restarted.restarted]
        if restarted.errors:
            errors = "; ".join(f"{name}: {error.text}" for name, error in restarted.errors.items())
            self._stopped = (
                f"{errors} New Pods use IRSA already. Restart these Pods yourself, or run the rollback again."
            )
        if restarted.remaining:
            self.warnings = [*self.warnings, _remaining(restarted.remaining, settings.timeout)]
        # A statement for the whole account may serve associations without a record, too.
        used = {found.role_arn for found in self._state.associations.values()}
        with self._guarded():
            self._edit(editor.revoke_grants([m for m in gone if m.role_arn not in used]))

    def _is_own(self, migrant: Migrant) -> bool:
        """Return whether the association has the record of a migration."""
        association = self._state.associations.get(migrant.key)
        return association is not None and bool(recorded_annotations(association.tags))

    def _delete_associations(self, migrants: Sequence[Migrant]) -> None:
        if not migrants:
            return
        self._steps.begin("deleting the associations")
        source = self._source(workload_rows(migrants), state="absent", agent="ignore")
        part = begin_aws(self.task, source, "main", self.task.check_mode, self._steps)
        prepared = prepare(self.task, source, self.variables, "main")
        row = run_aws(part, prepared, "main")
        self._add_aws(row)
        raise_if_ended(row)
        aws = parse_aws_result(row, prepared.cluster_name)
        self._failures += aws.failures
        self._findings += [finding for finding in aws.findings if finding.code in _KEPT]

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """End the block early on a signal. Raises RoleError then."""
        with Guard(None) as guard:
            yield
        if guard.cause is not None:
            self._add_trust(self._edited)
            raise RoleError(f"{self._steps.title}: {guard.cause.text} {guard.cause.remedy}")


def _canary(migrants: Sequence[Migrant], number: int) -> tuple[list[Migrant], list[Migrant]]:
    """Split off the service accounts to migrate first, with the runtime proof: those with the fewest Pods, but at least one."""
    ordered = sorted(
        migrants, key=lambda migrant: (not migrant.pods.remaining, len(migrant.pods.remaining), migrant.key)
    )
    chosen = {migrant.key for migrant in ordered[:number]}
    return [m for m in migrants if m.key in chosen], [m for m in migrants if m.key not in chosen]


def _unblocked(migrant: Migrant) -> Migrant:
    """Return a service account without the blocker about its association."""
    code = Code.MIGRATION_OTHER_ASSOCIATION
    return replace(migrant, blockers=tuple(found for found in migrant.blockers if found.code != code))


def _not_own(migrant: Migrant) -> Finding:
    return Finding(
        Code.MIGRATION_OTHER_ASSOCIATION,
        f"no migration created the association of {migrant.key}, so a rollback keeps it.",
        "Delete the association yourself if the service account must use IRSA again.",
        migrant.key,
        raised_as="warning",
    )


def _remaining(names: Sequence[str], timeout: int) -> str:
    return (
        f"Pods {listed(names, 10)} still use EKS Pod Identity {timeout} s after the restarts, and their credentials expire "
        "within 6 hours. Wait for the rollouts of their Deployments, DaemonSets and StatefulSets, and recreate the other Pods."
    )


def as_sentence(error: Exception) -> str:
    """Return an error with the next action, for the report of a migration that has changed something."""
    return f"{error.text} {error.remedy}" if isinstance(error, AwsError) else str(error)
