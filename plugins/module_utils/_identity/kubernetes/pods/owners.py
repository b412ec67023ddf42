# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How Pods are recreated, by what owns them. Pure."""

from __future__ import annotations

from ..model.objects import Object
from .pods import Owner, Pod

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_RESTARTABLE = ("Deployment", "DaemonSet", "StatefulSet")


def can_restart(owner: Owner) -> bool:
    """Whether `kubectl rollout restart` knows the owner."""
    return owner.kind in _RESTARTABLE and owner.api_version.partition("/")[0] == "apps"


def recreate(owner: Owner, pod: Pod, held: str = "", stale: bool = False) -> str:
    """Return the sentence on how to get new Pods.

    :arg held: the reason why the owner would not replace this Pod.
    :arg stale: the Pod is older than its association, so that a run of the role can restart the owner.
    """
    namespace = f"-n {pod.namespace}"
    if held:
        return f"{owner} {held}"
    if can_restart(owner):
        by_run = ", or let a run do it (pod_identity_restart_stale: true)" if stale else ""
        return f"Recreate its Pods{by_run}: kubectl rollout restart {owner.kind.lower()}/{owner.name} {namespace}"
    if owner.kind == "Job":
        return f"Delete its Job and create it anew, as a CronJob does: kubectl delete job {owner.name} {namespace}"
    if owner.kind == "ReplicaSet":
        return f"Delete the Pods, so that {owner} makes new ones: kubectl delete pod {pod.name} {namespace}"
    if owner.kind:
        return f"Let {owner} make new Pods, by its own means or so: kubectl delete pod {pod.name} {namespace}"
    return f"Nothing owns it, so create it anew from its manifest. Before that: kubectl delete pod {pod.name} {namespace}"


def restart(owner: Owner, moment: str) -> Object:
    """The patch that `kubectl rollout restart` makes."""
    annotations = {"annotations": {RESTARTED_AT: moment}}
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "metadata": {"namespace": owner.namespace, "name": owner.name},
        "spec": {"template": {"metadata": annotations}},
    }
