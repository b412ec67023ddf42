# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The AWS part of a run for clusters of one account, a change or a verification, from parameters to a result."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..._aws.client import Api
from ..._aws.interrupt import pause
from ..._findings.finding import Finding
from ..._findings.text import named_result
from ..._policy.permissions.catalogue import load_catalogue
from ..inputs.fleet import ClusterInput, Member, Stopped, members_of, stopped_keys
from ..inputs.options import run_options
from ..model.desired import Options
from ..plan.purge import find_left_behind
from ..plan.unlisted import find_empty_list, find_unlisted
from ..read.caller import check_caller
from ..read.observe import Observer
from ..read.verification_reads import read_for_verification
from ..verify.chain import consider_age, verify
from ..verify.documents import lint_workloads
from .cluster import AwsJob, ModuleResult
from .ending import Guard, ended_reading
from .engine import Engine
from .fleet import Fleet, assemble, part_of
from .fleet_result import Row, changed_rows, fleet_message, kept_for_stopped, summary_of, verified_rows
from .perform import Order, perform
from .result import diff_of, notes_of_new_associations
from .waiting import WaitPolicy


def run_clusters(job: AwsJob, asked: Sequence[ClusterInput], stopped: Sequence[Stopped] = ()) -> ModuleResult:
    """Change clusters of one account, or with ``verify_only`` verify them, and return the result of the module
    eks_pod_identity_fleet.

    :arg stopped: clusters that stopped before, of whose workloads nothing is known.
    :raises InputError: before any change.
    :raises AwsError: before any change.
    """
    api = job.open()
    members = members_of(asked, job.region, stopped)
    if job.params["verify_only"]:
        result = _verify(job, api, members)
    else:
        result = _change(job, api, members, stopped_keys(asked, job.region, stopped))
    if "clusters" in result:
        result["clusters"] = [named_result(row, job.prefix) for row in result["clusters"]]
    if "msg" in result and not job.params["continue_on_error"]:
        result["failed"] = True
    return result


def _change(job: AwsJob, api: Api, members: Sequence[Member], stopped: Sequence[str]) -> ModuleResult:
    params = job.params
    state, width = params["state"], params["concurrency"]
    options = run_options(params, params["owner"])
    fleet = assemble(api, members, options, state, width, stopped=stopped)
    policy = WaitPolicy(params["propagation_timeout"], time.monotonic, pause)
    engine = Engine(api, fleet.clusters, width, policy, job.progress, unread=fleet.left_out)
    order = Order(state, job.check_mode, params["verify"], None, params["deadline"] or None)
    performed = perform(engine, fleet.desired, order)
    run = performed.run
    changes = run.plan.changes if job.check_mode else tuple(done.change for done in run.done)
    further = {
        member.key: [
            *fleet.doubts_of(member.key, performed.verified is not None),
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
    result = _result(fleet, members, rows, len(changes))
    result["diff"] = [diff_of(change, fleet.account.account_id) for change in changes]
    if stopped:
        result["kept"] = kept_for_stopped(performed.run)
    if performed.guard.trace and job.traces:
        result["exception"] = performed.guard.trace
    return result


def _verify(job: AwsJob, api: Api, members: Sequence[Member]) -> ModuleResult:
    params = job.params
    width = params["concurrency"]
    with Guard(params["deadline"] or None) as guard:
        # A removal is not verified; and to verify, the Kubernetes API need not be the cluster's.
        options = Options(trust_scope=params["trust_scope"], owner=params["owner"])
        fleet = assemble(api, members, options, "present", width, False)
        observer = Observer(api, fleet.clusters, width, job.progress, "verify", fleet.left_out)
        observed = observer.observe(fleet.desired, planning=False, unlisted=True)
        proof = read_for_verification(api, fleet.desired, observed, width)
        lints = lint_workloads(fleet.desired.workloads, load_catalogue())
        verified = consider_age(verify(fleet.desired, observed, proof, lints), observed)
        callers: dict[str, list[Finding]] = {}
        if params["check_caller"]:
            for key, cluster in fleet.clusters.members.items():
                callers[key] = check_caller(api, part_of(fleet.desired, key), cluster, 4)
    if guard.cause is not None:
        return {"failed": True, **ended_reading(guard.cause, job.prefix)}
    unlisted = [
        *find_unlisted(fleet.desired, observed),
        *find_left_behind(fleet.desired, observed, ()),
    ]
    further = {
        member.key: [
            *fleet.doubts_of(member.key, verified=True),
            *callers.get(member.key, ()),
            *find_empty_list(member.workloads, among_others=True),
            *(finding for finding in unlisted if finding.place == member.key),
        ]
        for member in members
    }
    rows = verified_rows(fleet, members, verified, observed, further)
    return _result(fleet, members, rows, 0)


def _result(fleet: Fleet, members: Sequence[Member], rows: Sequence[Row], changes: int) -> ModuleResult:
    message = fleet_message(rows)
    return {
        "changed": any(bool(row["changed"]) for row in rows),
        "clusters": list(rows),
        "summary": summary_of(rows, members, changes),
        "account_id": fleet.account.account_id,
        "caller_arn": fleet.account.caller_arn,
        **({"msg": message} if message else {}),
    }
