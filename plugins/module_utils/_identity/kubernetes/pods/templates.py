# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the Pod templates of a cluster, by the service account that they name. Pure: the cluster is given.

Kinds of other API groups (Argo Rollouts, Knative, custom resources) are seen only by the Pods, Jobs, ReplicaSets and
Deployments that they create.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...._findings.key import WorkloadKey
from ..api.api_errors import ApiError
from ..api.cluster import ClusterReader, Query
from ..model.objects import Object, member, name_of, objects_of, texts_of
from ..model.ownership import PROOF_LABEL
from .pods import Owner, Pod, controller, parse_pod, service_account_of

# API version and kind by resource, as RBAC and its refusals spell it.
KINDS = {
    "deployments.apps": ("apps/v1", "Deployment"),
    "statefulsets.apps": ("apps/v1", "StatefulSet"),
    "daemonsets.apps": ("apps/v1", "DaemonSet"),
    "replicasets.apps": ("apps/v1", "ReplicaSet"),
    "cronjobs.batch": ("batch/v1", "CronJob"),
    "jobs.batch": ("batch/v1", "Job"),
}


@dataclass(frozen=True, slots=True)
class Template:
    """A Pod template, and the object that creates Pods from it. ``pod`` is such a Pod before it is scheduled."""

    owner: Owner
    pod: Pod


@dataclass(frozen=True, slots=True)
class Templates:
    """The Pod templates by workload, without ReplicaSets of Deployments and finished Jobs.

    ``parents`` holds the controllers of ReplicaSets and Jobs. ``errors`` holds the refusals by resource.
    """

    by_workload: Mapping[WorkloadKey, Sequence[Template]] = field(default_factory=dict)
    parents: Mapping[Owner, Owner] = field(default_factory=dict)
    errors: Mapping[str, ApiError] = field(default_factory=dict)

    def root(self, owner: Owner) -> Owner:
        """Return the controller of a ReplicaSet or Job, else the owner itself."""
        return self.parents.get(owner, owner)


def read_templates(reader: ClusterReader, keys: Collection[WorkloadKey], cluster: str) -> Templates:
    """Send one request for each kind, for the one namespace of the workloads or for all."""
    by_workload: dict[WorkloadKey, list[Template]] = {}
    parents: dict[Owner, Owner] = {}
    errors: dict[str, ApiError] = {}
    for resource, (api_version, kind) in KINDS.items():
        listing = reader.list_objects(Query(api_version, kind, common_namespace(keys)))
        if listing.error is not None:
            errors[resource] = listing.error
        for item in listing.items:
            owner = Owner(api_version, kind, *name_of(item))
            parent = controller(member(item, "metadata"))
            if parent.kind and kind in ("ReplicaSet", "Job"):
                parents[owner] = parent
            for pod in _pods_of(kind, item, parent, keys, cluster):
                by_workload.setdefault(pod.workload, []).append(Template(owner, pod))
    return Templates(by_workload, parents, errors)


def common_namespace(keys: Collection[WorkloadKey]) -> str:
    """Return the namespace that all workloads share, or "" for several."""
    namespaces = {key.namespace for key in keys}
    return next(iter(namespaces)) if len(namespaces) == 1 else ""


def _pods_of(
    kind: str, item: Object, parent: Owner, keys: Collection[WorkloadKey], cluster: str
) -> Iterator[Pod]:
    """Yield the Pod that a template describes, where it uses one of the service accounts."""
    if kind == "ReplicaSet" and parent.kind == "Deployment":
        return
    if kind == "Job" and (_has_finished(item) or is_proof(item)):
        return
    spec = member(item, "spec", "jobTemplate", "spec") if kind == "CronJob" else member(item, "spec")
    template = member(spec, "template")
    namespace, name = name_of(item)
    pod = {
        "metadata": {**member(template, "metadata"), "namespace": namespace, "name": name},
        "spec": member(template, "spec"),
    }
    if service_account_of(pod, cluster) in keys:
        yield parse_pod(pod, cluster)


def is_proof(item: Object) -> bool:
    """Return whether a Job or Pod belongs to the runtime proof of this collection."""
    return PROOF_LABEL in texts_of(member(item, "metadata").get("labels"))


def _has_finished(job: Object) -> bool:
    conditions = objects_of(member(job, "status").get("conditions"))
    return any(
        condition.get("type") in ("Complete", "Failed") and condition.get("status") == "True"
        for condition in conditions
    )
