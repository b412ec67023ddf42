# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Run the runtime proof, and leave no Job behind. Pure: the cluster and the clock are given."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..._findings.key import WorkloadKey
from .aws_result import Verification
from .cluster import Clock, Cluster, Query
from .objects import Object
from .proof import ProofRun, is_finished, why_no_pod_runs
from .proof_job import RUN_LABEL, ProofSettings, job_name, plan_proofs
from .restart_run import PAUSE, attempts_within


def run_proof(
    cluster: Cluster,
    verification: Verification,
    accounts: Collection[WorkloadKey],
    settings: ProofSettings,
    clock: Clock,
    why_skipped: str | None = None,
) -> ProofRun:
    """``why_skipped`` replaces the cluster's own word on whether Pods can run; "" says that they can.

    The Jobs are removed whatever happens.
    """
    if why_skipped is None:
        why_skipped = why_no_pod_runs(cluster.read_version())
    jobs = plan_proofs(verification, accounts, settings)
    if why_skipped or not jobs:
        return ProofRun(settings.run, settings.timeout, tuple(jobs), skipped=why_skipped)
    keys, manifests = list(jobs), list(jobs.values())
    try:
        written = cluster.apply(manifests)
        errors = {keys[index]: reason.text for index, reason in written.refused.items()}
        if written.error is not None:
            errors = dict.fromkeys(keys, written.error.text)
        names = {job_name(key, settings.run) for key in keys if key not in errors}
        pods = _wait_for_answers(cluster, names, settings, clock)
    finally:
        cluster.remove(manifests)
    return ProofRun(settings.run, settings.timeout, tuple(jobs), pods, errors=errors)


def _wait_for_answers(
    cluster: Cluster, names: Collection[str], settings: ProofSettings, clock: Clock
) -> Sequence[Object]:
    """The Pods of the Jobs, once each has an answer or never will, or when the time is up."""
    query = Query("v1", "Pod", label_selectors=(f"{RUN_LABEL}={settings.run}",))
    pods: Sequence[Object] = ()
    for attempt in range(attempts_within(settings.timeout)):
        if attempt:
            clock.sleep(PAUSE)
        pods = cluster.list_objects(query).items
        if is_finished(names, pods):
            break
    return pods
