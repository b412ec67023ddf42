# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the AWS part for one cluster, from the parameters to the result: change its workloads, or verify them.

The modules and the role pod_identity call the same functions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ..._aws.client import Api, ClientModule, api_for
from ..._aws.interrupt import pause
from ..._aws.transport import begin
from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import named_result, with_option_names
from ..._policy.permissions.catalogue import load_catalogue
from ..inputs.accounts import has_many_policies, validate_accounts, validate_attachments
from ..inputs.addons import parse_agent
from ..inputs.assume_role import read_assume_role
from ..inputs.options import parse_account_id, parse_cluster_name, run_options, validate_options
from ..model.accounts import AssumeRole
from ..model.cluster import (
    ApiServer,
    Cluster,
    as_verification_finding,
    judge_api_server,
)
from ..model.desired import Desired, Options, ParsedInput, State
from ..model.errors import (
    NOT_APPROVED_REMEDY,
    AwsError,
    InputError,
    NotApprovedError,
    aws_failure,
    input_message,
    listed,
)
from ..model.names import default_owner
from ..model.observed import Observed
from ..model.targets import association_key
from ..plan.unlisted import find_empty_list, find_unlisted
from ..read.account import read_quotas
from ..read.associations import read_all_associations
from ..read.cluster import find_cluster
from ..read.observe import Observer
from ..verify.chain import workloads_from_associations
from ..verify.documents import lint_workloads
from .addons import agent_run
from .consistency import WaitPolicy
from .engine import Approve, Engine
from .guard import Guard, interrupted_result
from .order import Order, apply_order, verify_workloads
from .result import build_result, failure_message, module_rows, verified_result

ModuleResult = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AwsJob:
    """The parameters of a run, and its connection to AWS.

    :arg params: options of the module, by name, as its argument spec returns them.
    :arg connect: a function that returns a client for a number of threads, with the assumed role if one is configured. It
        raises AwsError, and InputError for conflicting credentials.
    :arg region: the region from the options or the environment; "" if neither sets one.
    :arg traces: whether the result of an unexpected error has its traceback.
    :arg prefix: the prefix of the caller's options, for messages.
    :arg locks: the folder for files that concurrent runs lock, or "" without locks.
    """

    params: Mapping[str, Any]
    connect: Callable[[int, AssumeRole | None], Api]
    region: str
    check_mode: bool = False
    traces: bool = False
    prefix: str = ""
    locks: str = ""

    def open_aws(self) -> Api:
        """Check the options that an argument spec cannot check, and return a client for AWS. Raises InputError and AwsError."""
        validate_options(self.params)
        return self.connect(self.params["concurrency"], read_assume_role(self.params, self.prefix))

    def guarded(self, work: Callable[[], ModuleResult]) -> ModuleResult:
        """Return the result of ``work``, or a failed result if ``work`` raises InputError or AwsError."""
        try:
            return named_result(work(), self.prefix)
        except InputError as error:
            return {"failed": True, "msg": with_option_names(input_message(error), self.prefix)}
        except AwsError as error:
            return {"failed": True, **aws_failure(error, self.region, self.prefix)}


class Module(ClientModule, Protocol):
    """The parts of AnsibleAWSModule that a run needs."""

    check_mode: bool
    traces: bool

    def exit_json(self, **result: Any) -> None:
        """End the module with a result."""

    def fail_json(self, **result: Any) -> None:
        """End the module with a failure."""


def run_module(module: Module, work: Callable[[AwsJob], ModuleResult]) -> None:
    """Run a module whose argument spec is from ``change_spec`` or ``verify_spec``, and end it with the result of ``work``."""
    job = AwsJob(
        module.params, partial(api_for, module), module.region or "", module.check_mode, module.traces
    )
    result = job.guarded(lambda: module_rows(work(job)))
    if result.pop("failed", False):
        module.fail_json(**result)
    module.exit_json(**result)


Opening = Callable[[], Observer]


def open_cluster(job: AwsJob, name: str, state: State = "present") -> Observer:
    """Connect to AWS, read the cluster, and return the reader of its resources. Raises InputError and AwsError."""
    api = job.open_aws()
    cluster = find_cluster(api, name, job.region, state, parse_account_id(job.params))
    return Observer(api, cluster, job.params["concurrency"])


# A state that was read ahead is read again if it is older than this number of seconds when it is needed.
_FRESH_SECONDS = 30.0


def begin_reading_ahead(
    job: AwsJob, parsed: ParsedInput, opening: Opening, changes: bool
) -> Callable[[], Observed | None]:
    """Start reading the state of the workloads in AWS while the caller reads from Kubernetes.

    :arg opening: returns the result of ``open_cluster``.
    :arg changes: the state is for ``change_cluster``; otherwise it is for ``verify_cluster``.
    :returns: a function that waits for the state. It returns None if the run must read the state itself: if the state is too old,
        or for a change with a purge. It raises InputError and AwsError.
    """
    removes = parsed.state == "absent"
    if changes and parsed.purge:
        return lambda: None

    def read() -> tuple[Observed, float]:
        observer = opening()
        observed = observer.observe(
            Desired(
                parsed.workloads,
                _options(job, parsed, observer.cluster, changes),
                unselected=parsed.unselected,
            ),
            changes and removes,
            planning=changes,
            unlisted=not (changes and removes),
            inline=not changes,
        )
        return observed, time.monotonic()

    reading = begin(read)

    def fresh_observation() -> Observed | None:
        observed, ended = reading()
        return observed if time.monotonic() - ended < _FRESH_SECONDS else None

    return fresh_observation


def _options(job: AwsJob, parsed: ParsedInput | None, cluster: Cluster, changes: bool) -> Options:
    """Return the options of a run. Its owner is by default the cluster. A verification has only some of the options."""
    owner = (parsed.owner if parsed is not None else None) or default_owner(cluster.region, cluster.name)
    if changes:
        return run_options(job.params, owner)
    return Options(trust_scope=job.params["trust_scope"], owner=owner)


def change_cluster(
    job: AwsJob,
    parsed: ParsedInput,
    server: ApiServer | None = None,
    breakage: Sequence[Finding] = (),
    opening: Opening | None = None,
    finish_reading: Callable[[], Observed | None] = lambda: None,
    approve: Approve | None = None,
) -> ModuleResult:
    """Bring the workloads of a cluster to their desired state, and return the result of the module eks_pod_identity.

    :arg server: the Kubernetes API that the run uses, which must belong to this cluster.
    :arg breakage: findings about Pods and ServiceAccounts that may prevent changes (see ``Desired.with_kubernetes_findings``).
    :arg opening: returns the result of ``open_cluster``, if the caller has started it.
    :arg finish_reading: the result of ``begin_reading_ahead``, if the caller has called it.
    :arg approve: see ``Approve``. None without an approved plan.
    :raises InputError: before any change.
    :raises AwsError: before any change.
    """
    params = job.params
    opened = opening() if opening else open_cluster(job, parsed.cluster_name, parsed.state)
    api, cluster = opened.api, opened.cluster
    desired = Desired(
        parsed.workloads,
        _options(job, parsed, cluster, changes=True),
        purge=parsed.purge if parsed.state == "present" else None,
        unselected=parsed.unselected,
    ).with_kubernetes_findings(breakage)
    validate_accounts(desired, cluster)
    forced = desired.options.force if isinstance(desired.options.force, frozenset) else frozenset()
    unknown = sorted(
        forced - {*map(str, desired.unselected), *(str(workload.key) for workload in desired.workloads)}
    )
    # A purge may be forced for a workload that the list no longer has.
    if unknown and desired.purge is None:
        raise InputError(
            [
                f"⟨force⟩: the list for cluster {cluster.name} has no workload {listed(unknown)}, so it would have no effect "
                "there. Correct the names, or set ⟨force⟩ only for the clusters that list these workloads."
            ]
        )
    if parsed.state == "present" and has_many_policies(desired, cluster):
        validate_attachments(desired, cluster, read_quotas(api).attachments)
    doubt = judge_api_server(cluster, server) if server else None
    if doubt:
        return {
            "failed": True,
            "msg": f"{doubt.message} {doubt.remedy} Nothing was changed.",
            "error_code": doubt.code.value,
            "remedy": doubt.remedy,
        }
    locks = f"{job.locks}/{cluster.account_id}-" if job.locks else ""
    policy = WaitPolicy(params["propagation_timeout"], time.monotonic, pause, locks=locks)
    addon = agent_run(api, cluster, parse_agent(params), policy, job.check_mode)
    engine = Engine(api, cluster, params["concurrency"], policy, approve=approve, addon=addon)
    order = Order(parsed.state, job.check_mode, params["verify"], params["deadline"] or None, finish_reading)
    place = {
        "account_id": cluster.account_id,
        "caller_arn": cluster.caller_arn,
        "cluster_arn": cluster.arn,
    }
    try:
        applied = apply_order(engine, desired, order)
    except NotApprovedError as error:
        text = "\n".join((*error.problems, NOT_APPROVED_REMEDY, "Nothing was changed."))
        details = {"error_code": Code.NOT_APPROVED.value, "remedy": NOT_APPROVED_REMEDY}
        return {"failed": True, "msg": text, **details, **place}
    run = applied.run
    result: ModuleResult = {**build_result(run), **place}
    if applied.verified is not None:
        result["verification"] = verified_result(applied.verified, applied.observed, cluster)
    created = {association_key(change.target) for change in run.changes if change.action == "create"} - {None}
    further = [note for note in breakage if note.severity != "error" and note.workload in created]
    if parsed.state == "present":
        further += find_empty_list(parsed.workloads)
    # A verification reports the findings about policy documents with its checks.
    if parsed.state == "present" and applied.verified is None:
        further += lint_workloads(parsed.workloads, load_catalogue()).findings
    result["findings"][:0] = further
    if run.failures:
        result["msg"] = failure_message(run, cluster, result)
        if applied.guard.trace and job.traces:
            result["exception"] = applied.guard.trace
        if not params["continue_on_error"]:
            result["failed"] = True
    return result


def verify_cluster(
    job: AwsJob,
    parsed: ParsedInput | None,
    server: ApiServer | None = None,
    opening: Opening | None = None,
    finish_reading: Callable[[], Observed | None] = lambda: None,
) -> ModuleResult:
    """Verify the workloads of a cluster, and return the result of the module eks_pod_identity_info.

    Raises InputError and AwsError.

    :arg parsed: the workloads, or None to verify all associations of the cluster.
    :arg opening: returns the result of ``open_cluster``, if the caller has started it.
    :arg finish_reading: the result of ``begin_reading_ahead``, if the caller has called it.
    """
    with Guard(job.params["deadline"] or None) as guard:
        observer = opening() if opening else open_cluster(job, parse_cluster_name(job.params["cluster_name"]))
        cluster = observer.cluster
        doubt = judge_api_server(cluster, server) if server else None
        associations = read_all_associations(observer) if parsed is None else None
        desired = Desired(
            workloads_from_associations((associations or {}).values())
            if parsed is None
            else parsed.workloads,
            _options(job, parsed, cluster, changes=False),
            unselected=parsed.unselected if parsed is not None else {},
        )
        verified, observed = verify_workloads(observer, desired, associations, finish_reading())
    if guard.cause is not None:
        return {"failed": True, **interrupted_result(guard.cause, job.prefix)}
    further = [
        *([as_verification_finding(doubt)] if doubt else []),
        *(find_empty_list(parsed.workloads) if parsed else []),
        *find_unlisted(desired, observed),
    ]
    return verified_result(verified, observed, cluster, further)
