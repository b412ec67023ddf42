# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Return Pods from EKS Pod Identity to IRSA: probe which credentials new Pods get, and restart Pods. Pure: cluster and clock are
arguments.

The webhook of EKS learns of a deleted association only after a delay. A Pod that starts before that would get no credentials, so
no Pod is restarted before the probe has passed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ...._findings.finding import WorkloadKey
from ...model.errors import sentence
from ...model.rows import FailureRow
from ..api.api_errors import object_failure, remedy_for
from ..api.cluster import Clock, DryRun, KubernetesCluster, Listing, is_transient
from ..pods.environment import find_source
from ..pods.pod_faults import has_injection
from ..pods.pods import KubeState, Owner, Pod, can_restart, parse_pod, pods_by_workload
from ..pods.reads import live_pods_query
from ..pods.restarts import REPLACING, RESTART_PAUSE, owner_names, poll, restart_owners
from ..proof.injection import ProbeSettings, probe_pod
from ..proof.injection_checks import OBSERVATIONS
from ..proof.proof import CONTAINER

# The maximum time of the probe, in seconds, in addition to the time over which it must pass.
PATIENCE = 180


def probe_irsa(
    cluster: KubernetesCluster,
    roles: Mapping[WorkloadKey, str],
    settings: ProbeSettings,
    region: str,
    observe: int,
    clock: Clock,
) -> dict[WorkloadKey, str]:
    """Send dry runs until the webhook gives new Pods of all service accounts the role by IRSA, or the time is over.

    Return, for each service account without proof, what a new Pod gets instead.

    :arg roles: the ARN of the role of each service account.
    :arg observe: the time in seconds over which all dry runs must pass, because a cluster has several API servers.
    """
    manifests = {key: probe_pod(key, settings, region) for key in roles}
    began, pause = clock.now(), max(RESTART_PAUSE, observe // OBSERVATIONS)
    passed: dict[WorkloadKey, datetime] = {}
    faults = dict.fromkeys(roles, "no dry run got a response")
    while True:
        now = clock.now()
        for key, dry_run in zip(manifests, cluster.dry_run_pods(list(manifests.values())), strict=True):
            if dry_run.error is not None and (is_transient(dry_run.error) or not dry_run.error.status):
                continue
            if fault := _find_fault(dry_run, key, roles[key]):
                faults[key] = fault
                passed.pop(key, None)
            else:
                passed.setdefault(key, now)
        if all(key in passed and (now - passed[key]).total_seconds() >= observe for key in roles):
            return {}
        if (now - began).total_seconds() + pause > PATIENCE + observe:
            return {key: fault for key, fault in faults.items() if key not in passed} or faults
        clock.sleep(pause)


def _find_fault(dry_run: DryRun, key: WorkloadKey, role_arn: str) -> str:
    if dry_run.error is not None:
        return f"cannot be created: {sentence(dry_run.error.text)}"
    pod = parse_pod(dry_run.pod, key.cluster)
    container = next(found for found in pod.containers if found.name == CONTAINER)
    source = find_source(container, pod.volumes)
    role = container.env.get("AWS_ROLE_ARN")
    if source.kind == "irsa" and role == role_arn:
        return ""
    return (
        f"gets {role} by IRSA" if source.kind == "irsa" else f"gets {source.description or 'no credentials'}"
    )


@dataclass(frozen=True, slots=True)
class ReturnRun:
    """The result of the restarts of a group.

    ``restarted`` are the owners, such as "Deployment shop/web". ``refused`` are the service accounts whose owners could not be
    restarted, with the ``failures``. ``remaining`` has the Pods of the other service accounts that still use EKS Pod Identity.
    """

    restarted: Sequence[str] = ()
    refused: Collection[WorkloadKey] = ()
    failures: Sequence[FailureRow] = ()
    remaining: Mapping[WorkloadKey, Sequence[str]] = field(default_factory=dict)


def restart_injected(
    cluster: KubernetesCluster,
    state: KubeState,
    keys: Collection[WorkloadKey],
    timeout: int,
    clock: Clock,
) -> ReturnRun:
    """Restart the owners of Pods that use EKS Pod Identity, and wait until these Pods are replaced.

    :arg state: the owners of Pods, as the inventory has read them.
    :arg keys: service accounts whose new Pods get IRSA.
    :arg timeout: the maximum time in seconds to wait for the new Pods.
    """
    query, name = live_pods_query(sorted(keys)), next(iter(keys)).cluster

    def find(listing: Listing) -> list[Pod]:
        found = pods_by_workload(listing.items, frozenset(keys), name)
        return [pod for pods in found.values() for pod in pods if has_injection(pod)]

    def is_replaced(pod: Pod) -> bool:
        return can_restart(state.find_owner(pod)) and state.find_hold(pod) in REPLACING

    listing = cluster.list_objects(query)
    if listing.error is not None:
        failure = object_failure(
            "Pod", "of all namespaces", "list", listing.error, remedy=remedy_for(listing.error)
        )
        return ReturnRun(refused=keys, failures=[failure])
    pods = find(listing)
    users: dict[Owner, set[WorkloadKey]] = {}
    for pod in filter(is_replaced, pods):
        users.setdefault(state.find_owner(pod), set()).add(pod.workload)
    _changed, restarted, failures = restart_owners(cluster, [*users], clock.now())
    refused = {key for owner, accounts in users.items() if owner not in restarted for key in accounts}
    for _attempt in poll(timeout, clock):
        listing = cluster.list_objects(query)
        pods = find(listing) if listing.error is None else pods
        if not any(is_replaced(pod) for pod in pods if pod.workload not in refused):
            break
    remaining: dict[WorkloadKey, list[str]] = {}
    for pod in pods:
        remaining.setdefault(pod.workload, []).append(pod.name)
    return ReturnRun(owner_names(restarted), refused, failures, remaining)
