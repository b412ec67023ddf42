# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Run the runtime proof, and leave no Job behind. Pure: the cluster and the clock are given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ...._findings.key import WorkloadKey
from ...model.messages import listed, sentence
from ..api.api_errors import ApiError
from ..api.cluster import Clock, Cluster, Query, Written
from ..api.refusals import ALLOW, refusal, refusal_of
from ..model.aws_result import Verification
from ..model.objects import Object, name_of
from ..model.ownership import PROOF_LABEL
from ..pods.restart_run import PAUSE, attempts_within
from .proof import ProofRun, is_finished, why_no_pod_runs
from .proof_job import TTL, ProofSettings, job_name, plan_proofs

_REMOVE = (
    f"Kubernetes removes it itself, {TTL} seconds after its end. For a 403, allow the caller to delete Jobs: "
    "docs/iam-permissions.md has the manifests."
)


class Ending(Protocol):
    """The end of a run that is interrupted."""

    def remove(self, manifests: Sequence[Object]) -> Written:
        """Remove objects within some seconds; never raises."""

    def tell(self, text: str) -> None:
        """Write to the user, who sees no result of the run."""


def run_proof(
    cluster: Cluster,
    verification: Verification,
    accounts: Collection[WorkloadKey],
    settings: ProofSettings,
    clock: Clock,
    why_skipped: str | None = None,
    ending: Ending | None = None,
) -> ProofRun:
    """``why_skipped`` replaces the cluster's own word on whether Pods can run; "" says that they can.

    The Jobs are removed whatever happens: by ``ending``, if there is one, where the run is interrupted.
    """
    if why_skipped is None:
        why_skipped = why_no_pod_runs(cluster.read_version())
    jobs = plan_proofs(verification, accounts, settings)
    if why_skipped or not jobs:
        return ProofRun(settings.run, settings.timeout, tuple(jobs), skipped=why_skipped)
    keys, manifests = list(jobs), list(jobs.values())
    removed: Written | None = None
    try:
        written = cluster.apply(manifests)
        refused = _refusals(written, len(keys))
        running = [key for index, key in enumerate(keys) if index not in refused]
        answers = _wait_for_answers(cluster, running, settings, clock)
        removed = cluster.remove(manifests)
    finally:
        if removed is None:
            _end_early(cluster, manifests, settings.run, verification.cluster, ending)
    failures = [
        refusal(manifests[index], "create", reason, str(keys[index]), ALLOW)
        for index, reason in refused.items()
    ]
    failures += [
        refusal_of("Pods of namespace", namespace, "list", reason, remedy=ALLOW)
        for namespace, reason in answers.refused.items()
    ]
    failures += [
        refusal(manifests[index], "remove", reason, remedy=_REMOVE)
        for index, reason in _refusals(removed, len(keys)).items()
        if index not in refused
    ]
    unknown = {keys[index] for index in refused}
    unknown |= {key for key in keys if key.namespace in answers.refused}
    return ProofRun(settings.run, settings.timeout, tuple(jobs), answers.pods, "", unknown, failures)


def _refusals(written: Written, number: int) -> dict[int, ApiError]:
    """Where the work ended before its result, everything counts as refused."""
    return dict(written.refused) if written.error is None else dict.fromkeys(range(number), written.error)


def _end_early(
    cluster: Cluster, manifests: Sequence[Object], run: str, name: str, ending: Ending | None
) -> None:
    if ending is None:
        cluster.remove(manifests)
        return
    left = _refusals(ending.remove(manifests), len(manifests))
    if not left:
        return
    jobs = [name_of(manifests[index]) for index in left]
    namespaces = {job.namespace for job in jobs}
    where = f"-n {jobs[0].namespace}" if len(namespaces) == 1 else "--all-namespaces"
    number = f"{len(jobs)} Job{'' if len(jobs) == 1 else 's'}"
    reason = sentence(next(iter(left.values())).text)
    ending.tell(
        f"{name}: the run was interrupted, and {number} of the runtime proof may be left ({listed(map(str, jobs))}): {reason} "
        f"Kubernetes removes a Job {TTL} seconds after its end. To remove what is left now: kubectl delete jobs {where} -l "
        f"{PROOF_LABEL}={run}"
    )


@dataclass(frozen=True, slots=True)
class Answers:
    """The Pods of the Jobs, and by namespace why they could not be listed."""

    pods: Sequence[Object] = ()
    refused: Mapping[str, ApiError] = field(default_factory=dict)


def _wait_for_answers(
    cluster: Cluster, keys: Sequence[WorkloadKey], settings: ProofSettings, clock: Clock
) -> Answers:
    """In the namespaces of the Jobs only, until each Job has an answer or never will, or until the time is up."""
    jobs: dict[str, set[str]] = {}
    for key in keys:
        jobs.setdefault(key.namespace, set()).add(job_name(key, settings.run))
    pods: dict[str, Sequence[Object]] = {}
    refused: dict[str, ApiError] = {}
    for attempt in range(attempts_within(settings.timeout)):
        if not jobs:
            break
        if attempt:
            clock.sleep(PAUSE)
        for namespace, names in list(jobs.items()):
            query = Query("v1", "Pod", namespace, label_selectors=(f"{PROOF_LABEL}={settings.run}",))
            listing = cluster.list_objects(query)
            if listing.error is not None:
                refused[namespace] = listing.error
            else:
                refused.pop(namespace, None)
                pods[namespace] = listing.items
            if is_finished(names, pods.get(namespace, ())) or _is_final(listing.error):
                del jobs[namespace]
    return Answers([pod for items in pods.values() for pod in items], refused)


def _is_final(error: ApiError | None) -> bool:
    """Whether asking again is no use."""
    return error is not None and error.status in (401, 403)
