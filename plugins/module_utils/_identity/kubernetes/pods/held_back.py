# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Owners whose Pods a change of the template does not replace. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..api.cluster import Cluster, Query
from ..model.objects import Object, ObjectName, member, name_of, text_of


def find_held_back(cluster: Cluster, patches: Sequence[Object]) -> Mapping[int, str]:
    """Why a restart does nothing, by the place of its patch. One request for each kind and namespace; what may not be
    read is taken to replace its Pods."""
    queries = {_query_of(patch) for patch in patches}
    owners = {(query, name_of(item)): item for query in queries for item in cluster.list_objects(query).items}
    reasons = {
        index: why_held_back(text_of(patch.get("kind")), owners.get((_query_of(patch), name_of(patch)), {}))
        for index, patch in enumerate(patches)
    }
    return {index: reason for index, reason in reasons.items() if reason}


def why_held_back(kind: str, item: Object) -> str:
    """The rest of a sentence about an owner, and what to do; "" when it replaces its Pods."""
    namespace, name = ObjectName(*name_of(item))
    spec = member(item, "spec")
    if kind == "Deployment" and spec.get("paused") is True:
        return (
            f"is paused. Resume it, then restart it: kubectl rollout resume deployment/{name} -n {namespace}"
        )
    if member(spec, "updateStrategy").get("type") == "OnDelete":
        return (
            "replaces Pods only when they are deleted (updateStrategy OnDelete). Delete them one by one: "
            f"kubectl delete pod NAME -n {namespace}"
        )
    return ""


def _query_of(patch: Object) -> Query:
    return Query(text_of(patch.get("apiVersion")), text_of(patch.get("kind")), name_of(patch).namespace)
