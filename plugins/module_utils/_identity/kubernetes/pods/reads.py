# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read Pods and Pod templates, and other resources only if a check depends on them. Pure: the cluster is an argument.

Owners of other API groups (Argo Rollouts, Knative, custom resources) are not read. Such owners are known only through the
Pods, Jobs, ReplicaSets and Deployments that they create.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ...._findings.codes import Code
from ...._findings.finding import WorkloadKey
from ..api.api_errors import ApiError
from ..api.cluster import ClusterReader, Listing, Query, Reads
from ..model.aws_result import Verification
from ..model.objects import PROOF_LABEL, Object, as_objects, as_texts, common_namespace, member, object_name
from .pod_checks import find_faults, needs_admission
from .pods import (
    AGENT_NAMESPACE,
    AGENTS,
    APPS,
    OWNER_KINDS,
    KubeState,
    Owner,
    Pod,
    can_restart,
    controller,
    parse_pod,
    parse_state,
)

# API version and kind of the objects with a Pod template, by their resource name in RBAC.
TEMPLATE_KINDS = {
    "deployments.apps": (APPS, "Deployment"),
    "statefulsets.apps": (APPS, "StatefulSet"),
    "daemonsets.apps": (APPS, "DaemonSet"),
    "replicasets.apps": (APPS, "ReplicaSet"),
    "cronjobs.batch": ("batch/v1", "CronJob"),
    "jobs.batch": ("batch/v1", "Job"),
}


@dataclass(frozen=True, slots=True)
class Template:
    """A Pod template. ``pod`` is the Pod that the template describes, ``owner`` the object that creates Pods from it."""

    owner: Owner
    pod: Pod


@dataclass(frozen=True, slots=True)
class Templates:
    """The Pod templates by workload.

    Finished Jobs, Jobs of the runtime proof, and ReplicaSets of Deployments are left out: a Deployment has the same template
    as its ReplicaSet. ``parents`` has the controllers of ReplicaSets and Jobs. ``listings`` are the lists, by resource.
    """

    by_workload: Mapping[WorkloadKey, Sequence[Template]] = field(default_factory=dict)
    parents: Mapping[Owner, Owner] = field(default_factory=dict)
    listings: Mapping[str, Listing] = field(default_factory=dict)

    @property
    def errors(self) -> Mapping[str, ApiError]:
        return {name: listing.error for name, listing in self.listings.items() if listing.error is not None}

    def root(self, owner: Owner) -> Owner:
        """Return the controller of a ReplicaSet or Job, such as its Deployment or CronJob. Return any other owner unchanged."""
        return self.parents.get(owner, owner)


def read_templates(reader: ClusterReader, keys: Collection[WorkloadKey], cluster: str) -> Templates:
    """Read the Pod templates that use the service accounts of workloads, with one list request for each kind.

    :arg keys: the workloads.
    :arg cluster: the value of ``cluster`` in their keys.
    """
    by_workload: dict[WorkloadKey, list[Template]] = {}
    parents: dict[Owner, Owner] = {}
    listings: dict[str, Listing] = {}
    namespace = common_namespace(key.namespace for key in keys)
    for resource, (api_version, kind) in TEMPLATE_KINDS.items():
        listings[resource] = reader.list_objects(Query(api_version, kind, namespace))
        for item in listings[resource].items:
            owner = Owner(api_version, kind, *object_name(item))
            parent = controller(member(item, "metadata"))
            if parent.kind and kind in ("ReplicaSet", "Job"):
                parents[owner] = parent
            pod = _parse_template(kind, item, cluster)
            is_duplicate = (kind, parent.kind) == ("ReplicaSet", "Deployment")
            if pod.workload in keys and not is_duplicate and not (kind == "Job" and _has_ended(item)):
                by_workload.setdefault(pod.workload, []).append(Template(owner, pod))
    return Templates(by_workload, parents, listings)


def _parse_template(kind: str, item: Object, cluster: str) -> Pod:
    """Return the Pod that the template of an object describes."""
    spec = member(item, "spec", "jobTemplate", "spec") if kind == "CronJob" else member(item, "spec")
    template = member(spec, "template")
    namespace, name = object_name(item)
    metadata = {**member(template, "metadata"), "namespace": namespace, "name": name}
    return parse_pod({"metadata": metadata, "spec": member(template, "spec")}, cluster)


def _has_ended(job: Object) -> bool:
    """Return whether a Job starts no further Pod with credentials: it has finished, or belongs to the runtime proof."""
    return is_proof(job) or any(
        condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        for condition in as_objects(member(job, "status").get("conditions"))
    )


def is_proof(item: Object) -> bool:
    """Return whether a Job or Pod belongs to the runtime proof of this collection."""
    return PROOF_LABEL in as_texts(member(item, "metadata").get("labels"))


# The field selectors of Pods that have not finished.
LIVE = ("status.phase!=Succeeded", "status.phase!=Failed")


AGENTS_QUERY = Query("v1", "Pod", AGENT_NAMESPACE, (f"app.kubernetes.io/name in ({','.join(AGENTS)})",))


def read_pod_state(
    reader: ClusterReader, verification: Verification, now: datetime, *, finished: bool = False
) -> dict[str, Listing]:
    """Read the Pods of the workloads, and then the resources on which their checks depend.

    Return the lists, by their names in RESOURCES. The Pods of the agent are needed if Pods of workloads run, or if EKS reports
    that the add-on of the agent is missing. A ready agent proves that its node supports EKS Pod Identity, so nodes are needed
    only for Pods on other nodes. DaemonSets are needed only to explain a missing agent, and ReplicaSets and owners only for
    faulty Pods.

    :arg finished: whether to read finished Pods as well.
    """
    reads: dict[str, Listing] = {}
    keys = [workload.key for workload in verification.workloads]
    query = live_pods_query(keys)
    if finished:
        query = replace(query, field_selectors=query.field_selectors[len(LIVE) :])
    if keys:
        reads["pods"] = reader.list_objects(query)
    state = build_state(verification, reads, now)
    nodes = {pod.node for pods in (state.pods or {}).values() for pod in pods if pod.node}
    if nodes or any(finding.code == Code.AGENT_MISSING for finding in verification.findings):
        reads["agents"] = reader.list_objects(AGENTS_QUERY)
        state = build_state(verification, reads, now)
        if state.agents is not None and not state.agents and not state.auto_mode:
            reads["daemon_sets"] = reader.list_objects(Query(APPS, "DaemonSet", AGENT_NAMESPACE))
        if any(not state.has_agent(node) for node in nodes):
            reads["nodes"] = reader.list_objects(Query("v1", "Node"))
        state = build_state(verification, reads, now)
    faults = [faulty for workload in verification.workloads for faulty in find_faults(workload, state)]
    if any(faulty.pod.owner.kind == "ReplicaSet" for faulty in faults):
        reads["replica_sets"] = reader.list_objects(Query(APPS, "ReplicaSet", query.namespace))
        state = build_state(verification, reads, now)
    # The kinds of owners to read depend on the results of the other reads.
    queries = owner_queries(verification, state)
    return reads | {name: reader.list_objects(owners) for name, owners in queries.items()}


def build_state(verification: Verification, reads: Reads, now: datetime) -> KubeState:
    """Parse the lists that were read for the workloads of a verification."""
    keys = [workload.key for workload in verification.workloads]
    # The check of the agent in AWS shows whether the cluster uses EKS Auto Mode, and is the same for all workloads.
    auto_mode = any(
        check.detail == "auto mode"
        or any(finding.code == Code.AGENT_ADDON_WITH_AUTO_MODE for finding in check.findings)
        for workload in verification.workloads[:1]
        for check in workload.checks
    )
    return parse_state(reads, keys, verification.cluster, now, auto_mode)


def live_pods_query(keys: Sequence[WorkloadKey]) -> Query:
    """Return a query for the unfinished Pods of these workloads. It may return Pods of other workloads as well."""
    account = (f"spec.serviceAccountName={keys[0].service_account}",) if len(keys) == 1 else ()
    return Query(
        "v1", "Pod", common_namespace(key.namespace for key in keys), field_selectors=(*LIVE, *account)
    )


def owner_queries(verification: Verification, state: KubeState) -> dict[str, Query]:
    """Return the queries for the owners of Pods that must be recreated, by the names in OWNER_KINDS."""
    owners = {
        faulty.owner
        for workload in verification.workloads
        for faulty in find_faults(workload, state)
        if needs_admission(faulty.fault) and can_restart(faulty.owner)
    }
    queries = {}
    for name, kind in OWNER_KINDS.items():
        if of_kind := [owner for owner in owners if owner.kind == kind]:
            names = (f"metadata.name={of_kind[0].name}",) if len(of_kind) == 1 else ()
            queries[name] = Query(
                APPS, kind, common_namespace(owner.namespace for owner in of_kind), field_selectors=names
            )
    return queries
