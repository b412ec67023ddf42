# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a run of the role, in the order in which they run."""

from __future__ import annotations

import contextlib
import secrets
import signal
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.utils.display import Display
from ansible_collections.amazon.aws.plugins.module_utils.modules import aws_argument_spec

from ..module_utils._aws.transport import begin
from ..module_utils._findings.codes import Code
from ..module_utils._findings.finding import WorkloadKey
from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.options import change_spec, verify_spec
from ..module_utils._identity.inputs.patterns import Candidate, PatternInput, Selected, expand
from ..module_utils._identity.inputs.role_variables import DEFAULTS, EntryPoint
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.accounts.account_plan import Preflight, TaskState, read_accounts
from ..module_utils._identity.kubernetes.api.api_errors import (
    UNAUTHORIZED,
    ApiError,
    parse_api_error,
    remedy_for,
    unreachable_message,
    warn_unverified_tls,
)
from ..module_utils._identity.kubernetes.api.authentication import unauthorized_message
from ..module_utils._identity.kubernetes.api.cluster import Deadline, Query, start_deadline
from ..module_utils._identity.kubernetes.model.aws_result import AwsResult
from ..module_utils._identity.kubernetes.model.objects import (
    Object,
    ObjectName,
    is_terminating,
    object_name,
)
from ..module_utils._identity.kubernetes.proof.injection import (
    PROBE_SECONDS,
    SAMPLE,
    InjectionSettings,
)
from ..module_utils._identity.kubernetes.proof.proof import ProofSettings
from ..module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
    KubernetesSettings,
    converge_kubernetes,
)
from ..module_utils._identity.kubernetes.run.irsa import IrsaEstate, read_irsa
from ..module_utils._identity.kubernetes.run.losing_pods import find_breakage
from ..module_utils._identity.model.cluster import Cluster, describe_place, judge_api_server
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
    sentence,
)
from ..module_utils._identity.read.associations import read_all_associations
from ..module_utils._identity.read.observe import Observer
from ..module_utils._identity.run.cluster import (
    AwsJob,
    ModuleResult,
    begin_reading_ahead,
    change_cluster,
    open_cluster,
    verify_cluster,
)
from ..module_utils._identity.run.engine import Approve
from ..module_utils._identity.run.guard import Guard
from ._aws_clients import AwsClients, check_options, validate_arguments
from ._kubernetes import AWS_VARIABLES, Access, BoundedEnding, ClientCluster, EksAccess, connect, find_access
from ._processes import ignore_signals, raise_timeout
from ._role_input import RoleError, parse_role_input
from ._screen import Steps
from ._task import ActionTask

CLUSTER_DELETED = (
    "If the cluster was deleted, remove its remaining resources in AWS with the module workload_identity.aws.eks_pod_identity "
    "and state: absent."
)
UNMATCHED_STAY = (
    "If a pattern no longer matches a service account, the association that the pattern created remains. To remove such "
    "associations, list their service accounts by name in a teardown, or purge the cluster (pod_identity_purge)."
)
OWN_ERROR = (
    "an internal error of the collection: {error}. Report it to the maintainers of workload_identity.aws, with the "
    "output of -vvv. Then run again: completed changes are kept."
)
# The status of the response to an invalid label selector.
BAD_REQUEST = 400
# The options of the modules whose work the AWS part does. The module_defaults of these modules also apply to the role.
VERIFY_OPTIONS = ("account_id", "cluster_name", "trust_scope", *AWS_VARIABLES)
CHANGE_OPTIONS = (
    *VERIFY_OPTIONS,
    "adopt",
    "agent",
    "agent_version",
    "force",
    "purge_policies",
    "purge_tags",
    "state",
)


@contextlib.contextmanager
def failing_into(failure: dict[str, Any]) -> Iterator[None]:
    """Catch an exception of the block, and add a description of it to ``failure``: members of a task result, at least "msg".

    The exception is not raised again, because a run must write its report after any failure.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - every run writes its report
        failure.update(describe_error(error))


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return the members of a task result that describe an error. "msg" is always one of them."""
    if isinstance(error, InputError):
        return {"msg": input_message(error)}
    if isinstance(error, AwsError):
        return {**aws_failure(error, None, ROLE)}
    if isinstance(error, (RoleError, AnsibleError)):
        return {"msg": str(error), **getattr(error, "details", {})}
    trace = {"exception": traceback.format_exc()} if Display().verbosity >= 3 else {}
    return {"msg": OWN_ERROR.format(error=f"{type(error).__name__}: {error}"), **trace}


class RoleRun:
    """A run of the role: its task, its input, and what its steps have read and planned.

    ``begin_aws``, ``expand_patterns``, ``start_reading``, ``prepare``, ``run_aws`` and ``run_kubernetes`` are its steps, in this
    order. ``opening`` waits for the thread of ``begin_aws``, and returns the cluster. ``service_accounts`` are all service
    accounts of the cluster, or None if ``expand_patterns`` did not read them. ``preflight`` has the service accounts of the
    workloads with their planned changes.

    :arg variables: all variables of the task.
    :arg values: the result of ``read_role_variables``.
    :arg expands: whether ``expand_patterns`` follows. Otherwise patterns are invalid.
    :arg deadline: the deadline of the run, if it has started before. Otherwise the deadline in ``values`` starts now.
    :raises InputError: as ``parse_role_input``.
    """

    job: AwsJob
    access: Access
    preflight: Preflight

    def __init__(
        self,
        task: ActionTask,
        variables: Mapping[str, Any],
        values: Mapping[str, Any],
        entry_point: EntryPoint = "main",
        *,
        expands: bool = False,
        deadline: Deadline | None = None,
    ) -> None:
        self.task, self.variables, self.values, self.entry_point = task, variables, values, entry_point
        self.changes = entry_point == "main"
        self.patterns = PatternInput()
        self.parsed = parse_role_input(
            values, variables, entry_point, self.patterns if expands else None, task.loader
        )
        self.cluster_name = self.parsed.cluster_name
        self.deadline = deadline or start_deadline(values.get("deadline"))
        self.warnings: list[str] = []
        self.service_accounts: Sequence[Object] | None = None
        self._observed: Callable[[], Any] = lambda: None

    def make_job(self) -> AwsJob:
        """Return the job of the AWS part, whose options are variables of the role. Raises AnsibleError, as ``job_of_task``."""
        names = CHANGE_OPTIONS if self.changes else VERIFY_OPTIONS
        arguments = {name: self.values[name] for name in names if self.values.get(name) not in (None, "")}
        if self.changes:
            arguments |= {"verify": True, "continue_on_error": True}
        return job_of_task(self.task, arguments, changes=self.changes)

    def begin_aws(self) -> None:
        """Start a thread that reads the caller and the cluster from AWS, while this thread sends requests to Kubernetes.

        :raises AnsibleError: for invalid options or a missing SDK.
        """
        self.job = self.make_job()
        state = self.parsed.state if self.changes else "present"
        self.opening = begin(partial(open_cluster, self.job, self.cluster_name, state))

    def open(self) -> tuple[Observer, ClientCluster]:
        """Connect to AWS and Kubernetes, and check that both connections lead to the same cluster.

        :raises AwsError: when the cluster cannot be read, or the credentials belong to another account.
        :raises RoleError: when the connections may lead to different clusters.
        """
        self.begin_aws()
        kubernetes = self.connect_kubernetes(self.find_access())
        opened = self.opening()
        doubt = judge_api_server(opened.cluster, kubernetes.read_server())
        if doubt:
            raise RoleError(f"{doubt.message} {doubt.remedy} Nothing was changed.")
        return opened, kubernetes

    def expand_patterns(self) -> None:
        """Replace the patterns of the input by workloads, one for each matching service account of the cluster.

        A removal also includes associations whose service account no longer exists.

        :raises InputError: with all invalid label selectors, or else with all problems of the expanded list.
        :raises AwsError: when a request to AWS fails.
        :raises RoleError: when the service accounts or namespaces cannot be listed.
        """
        patterns = self.patterns
        if not patterns.patterns:
            return
        opened = self.opening()
        cluster = opened.cluster
        reader = self.connect_kubernetes(self.find_access())
        invalid: dict[str, str] = {}

        def read(kind: str, selector: str = "") -> Sequence[Object]:
            listing = reader.list_objects(Query("v1", kind, "", (selector,) if selector else ()))
            if listing.error is None:
                return listing.items
            if selector and listing.error.status == BAD_REQUEST:
                invalid[selector] = sentence(listing.error.text)
                return ()
            raise RoleError(
                f"The {kind}s of {describe_place(cluster)} could not be listed, but the patterns of the workloads "
                f"need them: {sentence(listing.error.text)} {remedy_for(listing.error)} Nothing was changed."
            )

        self.service_accounts = read("ServiceAccount")
        candidates = {object_name(item) for item in self.service_accounts if not is_terminating(item)}
        if self.parsed.state == "absent":
            associations = read_all_associations(opened)
            candidates |= {ObjectName(key.namespace, key.service_account) for key in associations}
        namespace_selectors, account_selectors = patterns.selectors
        selected = Selected(
            {
                text: {object_name(item).name for item in read("Namespace", text)}
                for text in namespace_selectors
            },
            {
                text: {str(object_name(item)) for item in read("ServiceAccount", text)}
                for text in account_selectors
            },
        )
        if invalid:
            raise InputError(patterns.describe_invalid(invalid))
        patterns.expansion = expand(
            patterns.source,
            patterns.patterns,
            [Candidate(*name) for name in sorted(candidates)],
            selected,
            cluster,
            self.values.get("trust_scope"),
        )
        self.parsed = parse_role_input(
            self.values, self.variables, self.entry_point, patterns, self.task.loader
        )

    def start_reading(self) -> None:
        """Start reading the state of the workloads from AWS while ``prepare`` reads from Kubernetes."""
        self._observed = begin_reading_ahead(self.job, self.parsed, self.opening, self.changes)

    def prepare(self) -> None:
        """Read the service accounts, and plan their changes without applying them.

        :raises InputError: when the task would run on another machine or as another user, or an option is invalid.
        :raises AwsError: when EKS does not return the endpoint of the cluster, or the credentials belong to another account.
        :raises RoleError: when the Kubernetes API cannot be reached, or the changes are not possible.
        """
        state: TaskState = self.parsed.state if self.changes else "verify"
        if self.parsed.purge and state != "present":
            self.warnings.append(
                f"{ROLE}purge has no effect in a "
                + ("teardown, which removes only the listed workloads." if self.changes else "verification.")
            )
        self.access = self.find_access()
        region = self.task.region(self.values.get("region")) or "as configured"
        try:
            preflight = self._read_accounts(state)
        except AnsibleError as error:
            preflight = parse_api_error(str(error))
        if isinstance(preflight, ApiError):
            if preflight.status == UNAUTHORIZED and isinstance(self.access, EksAccess):
                raise RoleError(unauthorized_message(self.access.target, self.access.caller_access()))
            raise RoleError(
                unreachable_message(preflight, self.cluster_name, region, isinstance(self.access, EksAccess))
            )
        expansion = self.patterns.expansion
        if expansion is not None:
            findings = (*preflight.plan.findings, *expansion.findings)
            preflight = replace(preflight, plan=replace(preflight.plan, findings=findings))
        if preflight.plan.problems:
            raise RoleError("\n".join([*map(visible, preflight.plan.problems), "Nothing was changed."]))
        self.preflight = preflight
        self.warnings += warn_unverified_tls(preflight.server, self.cluster_name, region)
        if state == "absent":
            # In a teardown these findings do not prevent the removal of the workloads that were found.
            unmatched = expansion.findings if expansion else ()
            shown = [
                finding for finding in unmatched if finding.code not in (self.values.get("ignore") or ())
            ]
            self.warnings += [f"{finding.code}: {finding.message}" for finding in shown]
            if any(finding.code == Code.PATTERN_UNMATCHED for finding in shown):
                self.warnings.append(UNMATCHED_STAY)
            if not self.parsed.workloads and not unmatched:
                self.warnings.append("The list of workloads is empty.")

    def _read_accounts(self, state: TaskState) -> Preflight | ApiError:
        parsed, values = self.parsed, self.values
        reader = self.connect_kubernetes(self.access)
        preflight = read_accounts(
            reader,
            parsed.workloads,
            parsed.cluster_name,
            state,
            parsed.owner,
            parsed.purge if state == "present" else None,
            bool(values.get("adopt")),
            self.service_accounts,
        )
        if isinstance(preflight, ApiError) or state != "present" or preflight.plan.problems:
            return preflight
        refused = {finding.workload for finding in preflight.plan.refused}
        breakage = find_breakage(
            reader,
            [workload.key for workload in parsed.workloads if workload.key not in refused],
            preflight.accounts,
            parsed.cluster_name,
            datetime.now(timezone.utc),
            bool(values.get("allow_breakage")),
            installs_agent=values.get("agent") == "present",
        )
        return replace(preflight, breakage=breakage)

    def run_aws(self, approve: Approve | None = None) -> ModuleResult:
        """Apply or verify the AWS resources of the workloads.

        :arg approve: see ``change_cluster``.
        :returns: the result of the module eks_pod_identity, or of eks_pod_identity_info if the run only verifies.
        """
        job, parsed, preflight = self.job, self.parsed, self.preflight
        if self.deadline:
            # Keep the deadline at 1 second or more, because 0 means no limit.
            job = replace(
                job, params={**job.params, "deadline": max(1, round(self.deadline.remaining + 0.5))}
            )
        if not self.changes:
            return job.guarded(
                lambda: verify_cluster(job, parsed, preflight.server, self.opening, self._observed)
            )
        breakage = (*preflight.plan.refused, *preflight.breakage)
        return job.guarded(
            lambda: change_cluster(
                job, parsed, preflight.server, breakage, self.opening, self._observed, approve
            )
        )

    def run_kubernetes(
        self, aws: AwsResult, on_step: Callable[[str], None], write: Callable[[str], None]
    ) -> KubernetesRun:
        """Apply the service accounts, and verify them and the Pods.

        :arg aws: the parsed result of ``run_aws``.
        :arg on_step: receives the name of each step, to display it.
        :arg write: writes a line to standard error of ansible-playbook, for a user who interrupts the run.
        """
        connection = self.connect_kubernetes(self.access, self.values.get("force", False))
        settings = kubernetes_settings(self.values, self.task.check_mode)
        ending = BoundedEnding(connection, write)
        return converge_kubernetes(
            connection, aws, self.preflight, settings, connection.clock, on_step, ending
        )

    def find_access(self) -> Access:
        """Return the access to the Kubernetes API that the role variables configure. Raises the errors of ``find_access``."""
        try:
            return find_access(self.task, self.values, self.cluster_name)
        except AwsError as error:
            if not error.missing or self.parsed.state != "absent":
                raise
            raise error.amended(
                error.text, error.outcome_unknown, f"{error.remedy} {CLUSTER_DELETED}"
            ) from error

    def connect_kubernetes(self, access: Access, force: bool | Sequence[str] = False) -> ClientCluster:
        """Return the interface to the Kubernetes API. Raises the errors of ``connect``."""
        return connect(self.task, access, force, self.deadline)


def job_of_task(task: ActionTask, arguments: Mapping[str, Any], *, changes: bool) -> AwsJob:
    """Validate the arguments of a module, and return a job that does the module's work in the process of the task.

    Starting the module in another process would take longer. Call this function inside ``ActionTask.in_environment``.

    :arg changes: whether the module is eks_pod_identity; otherwise it is eks_pod_identity_info. Its module_defaults apply.
    :raises AnsibleError: when an argument is invalid or boto3 is missing.
    :raises InputError: when the arguments have both a profile and access keys.
    """
    name, spec = ("eks_pod_identity", change_spec()) if changes else ("eks_pod_identity_info", verify_spec())
    arguments = task.with_defaults(f"workload_identity.aws.{name}", arguments)
    params = validate_arguments({**aws_argument_spec(), **spec}, arguments)
    clients = AwsClients(check_options({name: params[name] for name in aws_argument_spec()}, ROLE))
    traces, locks = Display().verbosity >= 3, constants.DEFAULT_LOCAL_TMP
    return AwsJob(params, clients.connect, clients.region, task.check_mode, traces, ROLE, locks)


@contextlib.contextmanager
def guarded(steps: Steps) -> Iterator[None]:
    """Stop the requests of the block on an interrupt, and convert an interrupt or an unexpected error to a RoleError."""
    with Guard(None) as guard:
        yield
    if guard.cause is not None:
        raise RoleError(f"{steps.title}: {guard.cause.text} {guard.cause.remedy}")


def read_estate(
    kubernetes: ClientCluster,
    cluster: Cluster,
    known: Collection[WorkloadKey],
    *,
    any_variables: bool = False,
) -> IrsaEstate:
    """Read the service accounts that use IRSA or are in ``known``, with their Pods (see ``read_irsa``).

    :raises RoleError: when the service accounts or Pods cannot be listed.
    """
    estate = read_irsa(kubernetes, cluster.name, known, kubernetes.clock, any_variables=any_variables)
    if isinstance(estate, ApiError):
        raise RoleError(
            f"The service accounts and Pods of {describe_place(cluster)} could not be listed: {sentence(estate.text)} "
            f"{remedy_for(estate)}"
        )
    return estate


def raise_if_ended(aws: Mapping[str, Any]) -> None:
    """Raise an error if the AWS part of the run has ended early.

    If the timeout of the task ended the changes, raise Ansible's exception for that timeout.

    :raises RoleError: when the changes could not start, or the verification failed.
    :raises SystemExit: when a signal ended the changes or the verification.
    """
    rows = [aws] if "error_code" in aws else aws.get("failures") or ()
    if any(row["error_code"] == Code.INTERRUPTED for row in rows):
        raise_timeout()
        # A signal that a guard has handled must not be followed by another one while the run writes its report.
        ignore_signals()
        raise SystemExit(128 + signal.SIGTERM)
    if aws.get("failed"):
        details = {name: aws[name] for name in ("error_code", "remedy", "exception") if name in aws}
        raise RoleError(str(aws["msg"]), details)


def kubernetes_settings(values: Mapping[str, Any], check_mode: bool) -> KubernetesSettings:
    """Build the settings of the Kubernetes part from the role variables. Unset variables get their defaults."""
    values = {**DEFAULTS, **values}
    image, pod, verify = values["proof_image"], values["proof_pod"], values["verify_pods"]
    limit = {"timeout": values["patience"]} if "patience" in values else {}
    proof = ProofSettings(values.get("proof_run") or secrets.token_hex(4), image, pod=pod, **limit)
    # Only a migration sets ``injection_observe``, which is not a variable. It probes every workload.
    observe = values.get("injection_observe")
    # The Pod of the probe is created as a dry run only, so its image is never pulled.
    injection = InjectionSettings(
        image,
        pod,
        timeout=values.get("patience", max(PROBE_SECONDS, 2 * (observe or 0))),
        sample=SAMPLE if observe is None else 0,
        observe=observe or 0,
    )
    return KubernetesSettings(
        check_mode,
        verify_pods=verify,
        injection=injection if verify else None,
        restart=values["restart_timeout"] if values["restart_stale"] else None,
        proof=proof if values["runtime_proof"] else None,
        proof_skip_reason=values.get("proof_impossible"),
    )
