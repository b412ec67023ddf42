# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the role.

``parse_input`` reads the input, ``prepare`` the service accounts. ``run_aws`` applies or verifies the AWS resources, and
``run_kubernetes`` applies and verifies the service accounts.
"""

from __future__ import annotations

import contextlib
import secrets
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.utils.display import Display

from ..module_utils._aws.transport import begin
from ..module_utils._findings.codes import Code
from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.options import (
    change_spec,
    parse_account_id,
    verify_spec,
)
from ..module_utils._identity.inputs.patterns import (
    Candidate,
    PatternInput,
    Selected,
    expand,
)
from ..module_utils._identity.inputs.role_variables import (
    EntryPoint,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
    TaskState,
    read_accounts,
)
from ..module_utils._identity.kubernetes.api.api_errors import (
    UNAUTHORIZED,
    ApiError,
    parse_api_error,
    remedy_for,
    unreachable_message,
    warn_unverified_tls,
)
from ..module_utils._identity.kubernetes.api.authentication import (
    unauthorized_message,
)
from ..module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    Query,
    start_deadline,
)
from ..module_utils._identity.kubernetes.model.aws_result import (
    AwsResult,
)
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
from ..module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
)
from ..module_utils._identity.kubernetes.run.converge import (
    KubernetesRun,
    KubernetesSettings,
    converge_kubernetes,
)
from ..module_utils._identity.kubernetes.run.losing_pods import (
    find_breakage,
)
from ..module_utils._identity.model.cluster import (
    describe_place,
)
from ..module_utils._identity.model.desired import (
    ParsedInput,
    Workload,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
    sentence,
)
from ..module_utils._identity.model.observed import Observed
from ..module_utils._identity.run.cluster import (
    AwsJob,
    ModuleResult,
    Opening,
    begin_reading_ahead,
    change_cluster,
    open_cluster,
    verify_cluster,
)
from ..module_utils._identity.run.engine import Approve
from ..module_utils._identity.run.migration import (
    read_cluster_associations,
)
from ._aws_clients import job_of_task
from ._kubernetes import (
    BoundedEnding,
    connect,
)
from ._kubernetes_access import (
    AWS_SPEC,
    Access,
    EksAccess,
    find_access,
)
from ._processes import raise_timeout
from ._role_input import (
    MissingInput,
    parse_role_input,
)
from ._task import ActionTask

# The image in the Pod of the injection probe. The Pod is created as a dry run only, so the image is never pulled.
DEFAULT_IMAGE = "public.ecr.aws/aws-cli/aws-cli:2.32.9"
CLUSTER_DELETED = (
    "If the cluster was deleted, remove its remaining resources in AWS with the module workload_identity.aws.eks_pod_identity "
    "and state: absent."
)
EMPTY = "The list of workloads is empty."
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
# The modules whose work the AWS part does. Their module_defaults also apply to the role.
CHANGE, VERIFY = "workload_identity.aws.eks_pod_identity", "workload_identity.aws.eks_pod_identity_info"
CHANGE_OPTIONS = (
    "account_id",
    "adopt",
    "agent",
    "agent_version",
    "cluster_name",
    "force",
    "purge_policies",
    "purge_tags",
    "state",
    "trust_scope",
    *AWS_SPEC,
)
VERIFY_OPTIONS = ("account_id", "cluster_name", "trust_scope", *AWS_SPEC)


class RoleError(Exception):
    """An error whose message is complete: the user sees the message without additions.

    :arg details: additional members of the result of the task.
    """

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


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
    if isinstance(error, MissingInput):
        return {"msg": "\n".join(error.problems)}
    if isinstance(error, InputError):
        return {"msg": input_message(error)}
    if isinstance(error, AwsError):
        return {**aws_failure(error, None, ROLE)}
    if isinstance(error, RoleError):
        return {"msg": str(error), **error.details}
    if isinstance(error, AnsibleError):
        return {"msg": str(error)}
    trace = {"exception": traceback.format_exc()} if Display().verbosity >= 3 else {}
    return {"msg": OWN_ERROR.format(error=f"{type(error).__name__}: {error}"), **trace}


@dataclass(frozen=True, slots=True)
class Prepared:
    """The result of ``prepare``: the input of a run, and the planned changes of service accounts.

    ``values`` is the result of ``read_role_variables``, ``parsed`` the parsed workloads, and ``preflight`` the service
    accounts with their planned changes.
    """

    values: Mapping[str, Any]
    parsed: ParsedInput
    access: Access
    preflight: Preflight
    deadline: Deadline | None = None
    warnings: Sequence[str] = ()

    @property
    def cluster_name(self) -> str:
        return self.parsed.cluster_name


def connection_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Select the role variables that configure the access to the Kubernetes API and to AWS."""
    options = {name: values.get(name) for name in (*AWS_SPEC, "kubeconfig")}
    return {**options, "context": values.get("kube_context")}


@dataclass(frozen=True, slots=True)
class RoleInput:
    """The input of a run of the role. ``values`` is the result of ``read_role_variables``.

    ``service_accounts`` are all service accounts of the cluster, or None if ``expand_patterns`` did not read them.
    """

    values: Mapping[str, Any]
    parsed: ParsedInput
    deadline: Deadline | None = None
    patterns: PatternInput = field(default_factory=PatternInput)
    service_accounts: Sequence[Object] | None = None


def parse_input(
    values: Mapping[str, Any],
    variables: dict[str, Any],
    entry_point: EntryPoint,
    expands: bool = False,
    loader: Any = None,
) -> RoleInput:
    """Parse the input, and start the deadline of the run, without sending a request.

    :arg values: the result of ``read_role_variables``.
    :arg expands: whether ``expand_patterns`` follows. Otherwise patterns are invalid.
    :arg loader: as for ``read_files``.
    :raises InputError: as ``parse_role_input``.
    """
    patterns = PatternInput()
    parsed = parse_role_input(values, variables, entry_point, patterns if expands else None, loader)
    return RoleInput(values, parsed, start_deadline(values.get("deadline")), patterns=patterns)


def expand_patterns(
    task: ActionTask,
    source: RoleInput,
    variables: dict[str, Any],
    entry_point: EntryPoint,
    part: AwsPart,
) -> RoleInput:
    """Replace the patterns of the input by workloads, one for each matching service account of the cluster.

    A removal also includes associations whose service account no longer exists.

    :arg part: the AWS part, which has begun to read the cluster.
    :raises InputError: with all invalid label selectors, or else with all problems of the expanded list.
    :raises AwsError: when a request to AWS fails.
    :raises RoleError: when the service accounts or namespaces cannot be listed.
    """
    patterns = source.patterns
    if not patterns.patterns:
        return source
    opened = part.opening()
    cluster = opened.cluster
    reader = connect(task, find_role_access(task, source), deadline=source.deadline)

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

    service_accounts = read("ServiceAccount")
    candidates = {object_name(item) for item in service_accounts if not is_terminating(item)}
    if source.parsed.state == "absent":
        associations = read_cluster_associations(opened.api, cluster, int(part.job.params["concurrency"]))
        candidates |= {ObjectName(key.namespace, key.service_account) for key in associations}
    namespace_selectors, account_selectors = patterns.selectors
    selected = Selected(
        {text: {object_name(item).name for item in read("Namespace", text)} for text in namespace_selectors},
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
        source.values.get("trust_scope"),
    )
    parsed = parse_role_input(source.values, variables, entry_point, patterns, task.loader)
    return replace(source, parsed=parsed, service_accounts=service_accounts)


def mark_origins(aws: Mapping[str, Any], workloads: Iterable[Workload]) -> None:
    """Add the source pattern of a workload to the changes of its association."""
    origins = {str(workload.key): workload.origin.text for workload in workloads if workload.origin}
    for row in aws.get("changes", ()):
        if row["resource"] == "association" and row["workload"] in origins:
            row["pattern"] = origins[row["workload"]]


@dataclass(frozen=True, slots=True)
class AwsPart:
    """The AWS part of a run of the role.

    ``opening`` waits for the thread that reads the cluster, and returns the cluster. ``read_ahead`` waits for the thread that
    reads the state of the workloads, see ``begin_reading_ahead``.
    """

    job: AwsJob
    opening: Opening
    read_ahead: Callable[[], Observed | None] = lambda: None


def begin_aws(task: ActionTask, source: RoleInput, entry_point: EntryPoint, check_mode: bool) -> AwsPart:
    """Start a thread that reads the caller and the cluster from AWS, while this thread sends requests to Kubernetes.

    :raises AnsibleError: for invalid options or a missing SDK.
    """
    changes = entry_point == "main"
    names = CHANGE_OPTIONS if changes else VERIFY_OPTIONS
    arguments = {name: source.values[name] for name in names if source.values.get(name) not in (None, "")}
    if changes:
        arguments |= {"verify": True, "continue_on_error": True}
        job = job_of_task(task, CHANGE, change_spec(), arguments, check_mode)
        opening = begin(partial(open_cluster, job, source.parsed.cluster_name, source.parsed.state))
    else:
        job = job_of_task(task, VERIFY, verify_spec(), arguments, check_mode)
        opening = begin(partial(open_cluster, job, source.parsed.cluster_name))
    return AwsPart(job, opening)


def read_ahead(part: AwsPart, source: RoleInput, entry_point: EntryPoint) -> AwsPart:
    """Start reading the state of the workloads from AWS while ``prepare`` reads from Kubernetes.

    :arg source: the input without patterns, as ``expand_patterns`` returns it.
    """
    changes = entry_point == "main"
    return replace(part, read_ahead=begin_reading_ahead(part.job, source.parsed, part.opening, changes))


def prepare(task: ActionTask, source: RoleInput, entry_point: EntryPoint) -> Prepared:
    """Read the service accounts, and plan their changes without applying them.

    :raises InputError: when the task would run on another machine or as another user, or an option is invalid.
    :raises AwsError: when EKS does not return the endpoint of the cluster, or the credentials belong to another account.
    :raises RoleError: when the Kubernetes API cannot be reached, or the changes are not possible.
    """
    values, parsed, deadline = source.values, source.parsed, source.deadline
    state: TaskState = "verify" if entry_point == "verify" else parsed.state
    access = find_role_access(task, source)
    region = task.region(values.get("region")) or "as configured"
    preflight = _read_accounts(task, parsed, state, values, deadline, access, source.service_accounts)
    if isinstance(preflight, ApiError):
        raise RoleError(_unreachable(preflight, parsed.cluster_name, region, access))
    if source.patterns.expansion is not None:
        findings = (*preflight.plan.findings, *source.patterns.expansion.findings)
        preflight = replace(preflight, plan=replace(preflight.plan, findings=findings))
    if preflight.plan.problems:
        raise RoleError("\n".join([*map(visible, preflight.plan.problems), "Nothing was changed."]))
    warnings = [*warn_unverified_tls(preflight.server, parsed.cluster_name, region)]
    if state == "absent":
        warnings += _expansion_warnings(source)
        if not parsed.workloads and not (source.patterns.expansion and source.patterns.expansion.findings):
            warnings.append(EMPTY)
    return Prepared(values, parsed, access, preflight, deadline, warnings)


def _expansion_warnings(source: RoleInput) -> list[str]:
    """Return a warning for each finding of the expansion that the user does not ignore.

    In a teardown these findings are warnings: they do not prevent the removal of the workloads that were found.
    """
    expansion, ignored = source.patterns.expansion, set(source.values.get("ignore") or ())
    findings = [finding for finding in expansion.findings if finding.code not in ignored] if expansion else []
    warnings = [f"{finding.code}: {finding.message}" for finding in findings]
    if any(finding.code == Code.PATTERN_UNMATCHED for finding in findings):
        warnings.append(UNMATCHED_STAY)
    return warnings


def run_aws(
    part: AwsPart, prepared: Prepared, entry_point: EntryPoint, approve: Approve | None = None
) -> ModuleResult:
    """Apply or verify the AWS resources of the workloads.

    :arg approve: see ``change_cluster``.
    :returns: the result of the module eks_pod_identity, or of eks_pod_identity_info if the run only verifies.
    """
    job, deadline, preflight = part.job, prepared.deadline, prepared.preflight
    if deadline:
        # Keep the deadline at 1 second or more, because 0 means no limit.
        job = replace(job, params={**job.params, "deadline": max(1, round(deadline.remaining + 0.5))})
    if entry_point == "verify":
        return job.guarded(
            lambda: verify_cluster(job, prepared.parsed, preflight.server, part.opening, part.read_ahead)
        )
    breakage = (*preflight.plan.refused, *preflight.breakage)
    return job.guarded(
        lambda: change_cluster(
            job, prepared.parsed, preflight.server, breakage, part.opening, part.read_ahead, approve
        )
    )


def raise_if_ended(aws: Mapping[str, Any]) -> None:
    """Raise an error if the AWS part of the run has ended early.

    If the timeout of the task ended the changes, raise Ansible's exception for that timeout.

    :raises RoleError: when the changes could not start, or the verification did not end.
    :raises SystemExit: when a signal ended the changes.
    """
    if aws.get("failed"):
        details = {name: aws[name] for name in ("error_code", "remedy", "exception") if name in aws}
        raise RoleError(str(aws["msg"]), details)
    if was_interrupted(aws):
        raise_timeout()
        raise SystemExit(128 + signal.SIGTERM)


def was_interrupted(aws: Mapping[str, Any]) -> bool:
    """Return whether a signal or the timeout of the task ended the changes of the AWS part."""
    return any(failure["error_code"] == Code.INTERRUPTED for failure in aws.get("failures") or ())


def run_kubernetes(
    task: ActionTask,
    prepared: Prepared,
    aws: AwsResult,
    on_step: Callable[[str], None],
    write: Callable[[str], None],
) -> KubernetesRun:
    """Apply the service accounts, and verify them and the Pods.

    :arg aws: the parsed result of ``run_aws``.
    :arg on_step: receives the name of each step, to display it.
    :arg write: writes a line to standard error of ansible-playbook, for a user who interrupts the run.
    """
    values, deadline = prepared.values, prepared.deadline
    connection = connect(task, prepared.access, values.get("force", False), deadline)
    return converge_kubernetes(
        connection,
        aws,
        prepared.preflight,
        kubernetes_settings(values, task.check_mode),
        connection.clock,
        on_step,
        BoundedEnding(connection, write),
    )


def has_proof(values: Mapping[str, Any]) -> bool:
    """Return whether the run has a runtime proof, which creates Jobs in the cluster."""
    return bool(values.get("runtime_proof"))


def find_role_access(task: ActionTask, source: RoleInput) -> Access:
    """Return the access to the Kubernetes API that the role variables configure.

    :raises InputError: for invalid options.
    :raises AwsError: when the cluster cannot be read from AWS, or the credentials belong to another account.
    """
    values, name = source.values, source.parsed.cluster_name
    try:
        account_id = parse_account_id(values)
        return find_access(
            task, values.get("kube_auth", "auto"), name, connection_options(values), account_id
        )
    except AwsError as error:
        if not error.missing or source.parsed.state != "absent":
            raise
        raise error.with_remedy(f"{error.remedy} {CLUSTER_DELETED}") from error


def _read_accounts(
    task: ActionTask,
    parsed: ParsedInput,
    state: TaskState,
    values: Mapping[str, Any],
    deadline: Deadline | None,
    access: Access,
    service_accounts: Sequence[Object] | None,
) -> Preflight | ApiError:
    purge = parsed.purge if state == "present" else None
    try:
        reader = connect(task, access, deadline=deadline)
        preflight = read_accounts(
            reader,
            parsed.workloads,
            parsed.cluster_name,
            state,
            parsed.owner,
            purge,
            bool(values.get("adopt")),
            service_accounts,
        )
        if isinstance(preflight, ApiError) or state != "present" or preflight.plan.problems:
            return preflight
        refused = {finding.workload for finding in preflight.plan.refused}
        keys = [workload.key for workload in parsed.workloads if workload.key not in refused]
        now, allowed = datetime.now(timezone.utc), bool(values.get("allow_breakage"))
        installs = values.get("agent") == "present"
        breakage = find_breakage(
            reader, keys, preflight.accounts, parsed.cluster_name, now, allowed, installs_agent=installs
        )
        return replace(preflight, breakage=breakage)
    except AnsibleError as error:
        return parse_api_error(str(error))


def _unreachable(error: ApiError, cluster: str, region: str, access: Access) -> str:
    with_token = isinstance(access, EksAccess)
    if error.status == UNAUTHORIZED and isinstance(access, EksAccess):
        return unauthorized_message(access.target, access.caller_access())
    return unreachable_message(error, cluster, region, with_token=with_token)


def kubernetes_settings(values: Mapping[str, Any], check_mode: bool) -> KubernetesSettings:
    """Build the settings of the Kubernetes part from the role variables. Unset variables get their defaults."""
    image, pod = values.get("proof_image") or "", values.get("proof_pod") or {}
    run = values.get("proof_run") or secrets.token_hex(4)
    proof = ProofSettings(run, image, pod=pod, **_chosen(values, timeout="patience"))
    # Only a migration sets ``injection_observe``, which is not a variable. It probes every workload.
    observe = values.get("injection_observe")
    injection = InjectionSettings(
        image or DEFAULT_IMAGE,
        pod,
        timeout=values.get("patience", max(PROBE_SECONDS, 2 * (observe or 0))),
        sample=SAMPLE if observe is None else 0,
        observe=observe or 0,
    )
    verify = values.get("verify_pods", True)
    return KubernetesSettings(
        check_mode,
        verify_pods=verify,
        injection=injection if verify else None,
        restart=restart_timeout(values) if values.get("restart_stale") else None,
        proof=proof if has_proof(values) else None,
        proof_skip_reason=values.get("proof_impossible"),
    )


def restart_timeout(values: Mapping[str, Any]) -> int:
    """Return the maximum time in seconds to wait until restarted Pods are replaced."""
    return int(values.get("restart_timeout", 300))


def _chosen(values: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """Select the role variables that have a value. ``names`` maps each field of the result to a variable."""
    return {field: values[name] for field, name in names.items() if values.get(name) is not None}
