# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Run the AWS part for several clusters of one account together, with a result for each cluster."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import cast

from ..._aws.client import Api
from ..._aws.interrupt import pause
from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._findings.text import named_result, visible
from ..._policy.permissions.catalogue import load_catalogue
from ..inputs.accounts import has_many_policies, validate_accounts, validate_attachments
from ..inputs.addons import parse_agent
from ..inputs.fleet import ClusterInput, Member, Stopped, run_members, stopped_keys
from ..inputs.options import run_options
from ..model.checks import Verified
from ..model.cluster import Account, Cluster, Clusters, as_refusal, as_verification_finding, judge_api_server
from ..model.desired import Desired, Options, State
from ..model.errors import SHOWN_UNLISTED, AwsError, ErrorKind, InputError, listed, sentence
from ..model.observed import Observed
from ..model.rows import Summary, VerificationSummary, describe_key, finding_row
from ..model.targets import Failure
from ..plan.purge import find_left_behind
from ..plan.unlisted import find_empty_list, find_unlisted
from ..read.account import read_attachment_quota
from ..read.cluster import ClusterPlace, find_clusters, read_caller, require_account
from ..read.observe import Observer
from ..verify.documents import lint_workloads
from .addons import agent_runs
from .cluster import AwsJob, ModuleResult
from .consistency import WaitPolicy
from .engine import Engine
from .guard import Guard, interrupted_result
from .order import Order, Performed, perform, verify_workloads
from .outcome import Run
from .result import (
    build_result,
    diff_row,
    failure_message,
    failure_rows,
    filter_run,
    notes_of_new_associations,
    verified_result,
)

# The error codes of two kinds of skipped clusters: REFUSED if the input does not fit the cluster, STOPPED if the cluster failed
# before this run, so that its workloads are unknown.
REFUSED = "InvalidInput"
STOPPED = "ClusterStopped"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The clusters of a run.

    ``left_out`` has the errors of skipped clusters. If the workloads of these clusters are known, they are in ``desired``, so
    that the permissions that they may need are kept.

    ``doubts`` has a finding for each cluster whose Kubernetes API may belong to another cluster.
    """

    clusters: Clusters
    left_out: Mapping[str, AwsError]
    desired: Desired
    doubts: Mapping[str, Finding] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        return self.clusters.account

    def find_doubts(self, cluster: str, verified: bool) -> list[Finding]:
        """Return the finding about the Kubernetes API of a cluster, if there is one.

        :arg verified: the run has a verification. The message then also names the checks that are unknown for this reason.
        """
        doubt = self.doubts.get(cluster)
        if doubt is None:
            return []
        return [as_verification_finding(doubt) if verified else doubt]


def assemble(
    api: Api,
    members: Sequence[Member],
    options: Options,
    state: State,
    width: int,
    changes: bool = True,
    stopped: Sequence[str] = (),
) -> Fleet:
    """Describe each cluster. Before changes, also validate the input. Raises AwsError if sts:GetCallerIdentity fails.

    ``changes`` is True for a run that changes resources and False for a verification. ``stopped`` are the keys of clusters
    whose workloads are unknown.
    """
    account = read_caller(api)
    left_out = _of_other_accounts(account, members)
    places = [
        ClusterPlace(member.key, member.name, member.region)
        for member in members
        if member.key not in left_out
    ]
    found = find_clusters(api, account, places, state, width)
    left_out |= {key: result for key, result in found.items() if isinstance(result, AwsError)}
    left_out |= {key: _stopped(key) for key in stopped}
    usable = {key: result for key, result in found.items() if isinstance(result, Cluster)}
    doubts: dict[str, Finding] = {}
    # The quota of policies for a role, read once, for the first cluster that needs the quota.
    quota = cache(partial(read_attachment_quota, api))
    for member in members:
        cluster = usable.get(member.key)
        if cluster is None:
            continue
        finding = judge_api_server(cluster, member.server) if member.server else None
        if finding is not None:
            doubts[member.key] = finding
        error = _refusal(cluster, member, options, state, finding, quota) if changes else None
        if error is not None:
            left_out[member.key] = error
    clusters = Clusters(account, {key: cluster for key, cluster in usable.items() if key not in left_out})
    return Fleet(clusters, left_out, _desired(members, options), doubts)


def _of_other_accounts(account: Account, members: Sequence[Member]) -> dict[str, AwsError]:
    """Return an error for each cluster with an ``account_id`` other than the account of the credentials."""
    errors: dict[str, AwsError] = {}
    for member in members:
        try:
            require_account(account, member.account_id, member.name, member.region)
        except AwsError as error:
            errors[member.key] = error
    return errors


def _stopped(key: str) -> AwsError:
    text = f"cluster {key} failed before this run, so the resources of its workloads are unknown."
    return AwsError("", STOPPED, text, ErrorKind.OTHER, "Resolve its failure, and run again.")


def _refusal(
    cluster: Cluster,
    member: Member,
    options: Options,
    state: State,
    doubt: Finding | None,
    quota: Callable[[], int | None],
) -> AwsError | None:
    """Return the reason to skip a cluster that can be read, or None to include it.

    The Kubernetes API may belong to another cluster, or the input may not fit this cluster.

    :arg doubt: the finding that the Kubernetes API may belong to another cluster, or None.
    :arg quota: reads the quota of policies per role.
    """
    if doubt is not None and member.server is not None and member.server.required:
        return AwsError("", doubt.code.value, doubt.message, ErrorKind.OTHER, as_refusal(doubt).remedy)
    desired = Desired(member.workloads, options)
    try:
        validate_accounts(desired, cluster)
        if state == "present" and has_many_policies(desired, cluster):
            validate_attachments(desired, cluster, quota())
    except InputError as error:
        problems = " ".join(map(sentence, error.problems))
        return AwsError(
            "", REFUSED, problems, ErrorKind.OTHER, "Correct the input of the cluster, and run again."
        )
    return None


def _desired(members: Iterable[Member], options: Options) -> Desired:
    workloads = [workload for member in members for workload in member.workloads]
    findings = (finding for member in members for finding in member.breakage)
    return Desired(tuple(workloads), options).with_kubernetes_findings(findings)


def cluster_part(desired: Desired, cluster: str) -> Desired:
    """Return the desired state of one cluster.

    :arg cluster: the cluster in workload keys.
    """
    return replace(
        desired,
        workloads=tuple(workload for workload in desired.workloads if workload.key.cluster == cluster),
    )


Row = dict[str, object]


def changed_rows(
    fleet: Fleet,
    members: Sequence[Member],
    performed: Performed,
    check_mode: bool,
    further: Mapping[str, Sequence[Finding]],
) -> list[Row]:
    """Return a row for each cluster, in the order of ``members``.

    The row has the result of the module eks_pod_identity, or the error of a skipped cluster.

    :arg further: findings by cluster, which precede the findings of the run.
    """
    rows: list[Row] = []
    headers: set[str] = set()
    for member in members:
        if member.key in fleet.left_out:
            waiting = filter_run(performed.run, member.key).failures or _unassigned_skips(performed.run)
            rows.append(left_out_row(member, fleet.account, fleet.left_out[member.key], waiting))
            continue
        cluster = fleet.clusters.members[member.key]
        part = filter_run(performed.run, member.key)
        result = build_result(part, check_mode, member.key)
        # A change of a resource that several clusters share is shown once.
        diff = [row for row in result["diff"] if row["before_header"] not in headers]
        headers.update(row["before_header"] for row in diff)
        findings = [*map(finding_row, further.get(member.key, ())), *result["findings"]]
        row: Row = {
            **_place(member),
            **result,
            "diff": diff,
            "findings": findings,
            "failed": bool(part.failures),
        }
        row |= {
            "account_id": cluster.account_id,
            "caller_arn": cluster.caller_arn,
            "cluster_arn": cluster.arn,
        }
        if performed.verified is not None:
            row["verification"] = verified_result(performed.verified, performed.observed, cluster)
        if part.failures:
            row["msg"] = failure_message(part, cluster)
        rows.append(row)
    return rows


def verified_rows(
    fleet: Fleet,
    members: Sequence[Member],
    verified: Sequence[Verified],
    observed: Observed,
    further: Mapping[str, Sequence[Finding]],
) -> list[Row]:
    """Return a row for each cluster of a verification.

    The row has the result of the module eks_pod_identity_info, or the error of a skipped cluster.
    """
    rows: list[Row] = []
    for member in members:
        if member.key in fleet.left_out:
            rows.append(left_out_row(member, fleet.account, fleet.left_out[member.key]))
            continue
        cluster = fleet.clusters.members[member.key]
        result = verified_result(verified, observed, cluster, further.get(member.key, ()))
        rows.append({**_place(member), **result, "failed": False})
    return rows


def left_out_row(member: Member, account: Account, error: AwsError, failures: Sequence[Failure] = ()) -> Row:
    """Return the row of a skipped cluster.

    ``failures`` are the failures of its workloads, and the skipped changes of resources that its workloads may use.
    """
    workloads = [describe_key(workload.key) for workload in member.workloads]
    place = f"account {account.account_id}, "
    operation = f"{error.operation}: " if error.operation else ""
    count = f"{len(workloads)} workload{'' if len(workloads) == 1 else 's'}"
    unchanged = (
        f", without changes for its {count} ({listed(workloads, SHOWN_UNLISTED)})" if workloads else ""
    )
    resources = [failure.target.display for failure in failures if failure.error_code == Code.SKIPPED]
    waits = (
        f" Until the run succeeds, these resources keep their permissions: {listed(dict.fromkeys(resources))}."
        if resources
        else ""
    )
    return {
        **_place(member),
        "failed": True,
        "changed": False,
        "left_out": True,
        "error_code": str(error.code),
        "remedy": visible(error.remedy),
        "names": workloads,
        "msg": visible(
            f"cluster {member.name} ({place}region {member.region}) was skipped{unchanged}: {operation}{error.code}: "
            f"{sentence(error.text)} {error.remedy}{waits}"
        ),
        "failures": [row for failure in failures for row in failure_rows(failure)],
    }


def kept_for_stopped(run: Run) -> list[str]:
    """Return the names of resources that are kept because a failed cluster may use them."""
    return list(dict.fromkeys(failure.target.display for failure in _unassigned_skips(run)))


def _unassigned_skips(run: Run) -> list[Failure]:
    """Return the failures of skipped changes that concern no workload of the run."""
    return [
        failure for failure in run.failures if failure.error_code == Code.SKIPPED and not failure.workloads
    ]


def _summary(rows: Sequence[Row], counts: Iterable[str]) -> dict[str, int]:
    """Return the sums of the counts of all clusters. The workloads of a skipped cluster count as failed.

    :arg counts: the names of the counts.
    """
    total = Counter(dict.fromkeys(counts, 0))
    for row in rows:
        names = row.get("names")
        left_out = len(names) if isinstance(names, list) else 0
        summary = row.get("summary", {"workloads": left_out, "failed": left_out})
        total.update(cast("dict[str, int]", summary))
    return {"clusters": len(rows), **total}


def fleet_message(rows: Sequence[Row], applies: bool) -> str:
    """Return the message with the failures of each cluster; "" without failures.

    :arg applies: whether the run makes changes; false for a verification and in check mode.
    """
    failed = [row for row in rows if row["failed"]]
    if not failed:
        return ""
    lines = [f"{len(failed)} of {len(rows)} clusters failed:"]
    lines += [f"- {row['msg']}" for row in failed]
    if succeeded := len(rows) - len(failed):
        rerun = "; a rerun applies the remaining changes" if applies else ""
        lines.append(f"The other cluster{'' if succeeded == 1 else 's'} succeeded{rerun}.")
    return "\n".join(lines)


def _place(member: Member) -> Row:
    return {"cluster_name": member.name, "region": member.region}


def change_clusters(
    job: AwsJob, inputs: Sequence[ClusterInput], stopped: Sequence[Stopped] = ()
) -> ModuleResult:
    """Bring the workloads of clusters of one account to their desired state.

    Return the result, with a row for each cluster (see ``changed_rows``).

    :arg stopped: clusters that failed before this run, whose workloads are unknown.
    :raises InputError: before any change.
    :raises AwsError: before any change.
    """
    params = job.params
    api = job.open()
    members = run_members(inputs, job.region, stopped)
    left = stopped_keys(inputs, job.region, stopped)
    state, width = params["state"], params["concurrency"]
    options = run_options(params, _owner(inputs))
    fleet = assemble(api, members, options, state, width, stopped=left)
    policy = WaitPolicy(params["propagation_timeout"], time.monotonic, pause)
    engine = Engine(api, fleet.clusters, width, policy, unread=fleet.left_out)
    agents = agent_runs(api, fleet.clusters, parse_agent(params), policy, job.check_mode)
    order = Order(state, job.check_mode, params["verify"], None, params["deadline"] or None, agents)
    performed = perform(engine, fleet.desired, order)
    run = performed.run
    changes = run.plan.changes if job.check_mode else tuple(done.change for done in run.done)
    further = {
        member.key: [
            *fleet.find_doubts(member.key, performed.verified is not None),
            *notes_of_new_associations(run, member.breakage),
            *(find_empty_list(member.workloads, among_others=True) if state == "present" else []),
            *(
                lint_workloads(member.workloads, load_catalogue()).findings
                if performed.verified is None and state == "present"
                else []
            ),
        ]
        for member in members
    }
    rows = changed_rows(fleet, members, performed, job.check_mode, further)
    result = _result(job, fleet, rows, Summary.__annotations__, applies=not job.check_mode)
    # A change of a resource that several clusters share counts once.
    result["summary"]["changes"] = len(changes)
    result["diff"] = [diff_row(change, fleet.account.account_id) for change in changes]
    if stopped:
        result["kept"] = kept_for_stopped(performed.run)
    if performed.guard.trace and job.traces:
        result["exception"] = performed.guard.trace
    if "msg" in result and not params["continue_on_error"]:
        result["failed"] = True
    return result


def verify_clusters(job: AwsJob, inputs: Sequence[ClusterInput]) -> ModuleResult:
    """Verify workloads of clusters of one account. Raises InputError and AwsError.

    Return the result, with a row for each cluster (see ``verified_rows``).
    """
    params = job.params
    width = params["concurrency"]
    with Guard(params["deadline"] or None) as guard:
        api = job.open()
        members = run_members(inputs, job.region)
        # A verification always has the state "present", and skips no cluster because of its Kubernetes API.
        options = Options(trust_scope=params["trust_scope"], owner=_owner(inputs))
        fleet = assemble(api, members, options, "present", width, False)
        observer = Observer(api, fleet.clusters, width, fleet.left_out)
        verified, observed = verify_workloads(observer, fleet.desired)
    if guard.cause is not None:
        return {"failed": True, **interrupted_result(guard.cause, job.prefix)}
    unlisted = [
        *find_unlisted(fleet.desired, observed),
        *find_left_behind(fleet.desired, observed, ()),
    ]
    further = {
        member.key: [
            *fleet.find_doubts(member.key, verified=True),
            *find_empty_list(member.workloads, among_others=True),
            *(finding for finding in unlisted if finding.place == member.key),
        ]
        for member in members
    }
    rows = verified_rows(fleet, members, verified, observed, further)
    result = _result(job, fleet, rows, VerificationSummary.__annotations__, applies=False)
    if "msg" in result:
        result["failed"] = True
    return result


def _owner(inputs: Sequence[ClusterInput]) -> str | None:
    """Return the owner, which is the same for all clusters of a run."""
    return inputs[0].parsed.owner if inputs else None


def _result(
    job: AwsJob, fleet: Fleet, rows: Sequence[Row], counts: Iterable[str], applies: bool
) -> ModuleResult:
    message = fleet_message(rows, applies)
    return {
        "changed": any(bool(row["changed"]) for row in rows),
        "clusters": [named_result(row, job.prefix) for row in rows],
        "summary": _summary(rows, counts),
        "account_id": fleet.account.account_id,
        "caller_arn": fleet.account.caller_arn,
        **({"msg": message} if message else {}),
    }
