# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulated cluster: its objects, and the operations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kube.bootstrap import bootstrap, register_webhook
from sandbox.kube.deletion import Deleter
from sandbox.kube.errors import Cause, invalid, method_not_allowed
from sandbox.kube.jsontree import Json, clone_object
from sandbox.kube.listing import list_objects, parse_selection
from sandbox.kube.operations import Operations, Outcome, WriteOptions
from sandbox.kube.patch import APPLY
from sandbox.kube.rbac import Authorizer
from sandbox.kube.resources import ResourceTable
from sandbox.kube.store import Key, Store
from sandbox.kube.target import TRUE, Target
from sandbox.kube.webhook import Pair, Webhook


class Cluster:
    """A cluster. ``follow`` returns the associations of the EKS cluster."""

    def __init__(
        self,
        table: ResourceTable,
        *,
        rbac: bool = False,
        pod_identity_webhook: bool = False,
        follow: Callable[[], set[Pair]] | None = None,
        store: Store | None = None,
    ) -> None:
        self.table = table
        self.store = store if store is not None else Store()
        self.webhook = Webhook(pod_identity_webhook, follow)
        self.operations = Operations(self.store, self.webhook)
        self.deleter = Deleter(self.store, table)
        self.authorizer = Authorizer(self.store, enforce=rbac)
        bootstrap(self.operations)
        if pod_identity_webhook:
            register_webhook(self.operations)

    def handle(
        self,
        target: Target,
        query: Mapping[str, str],
        *,
        content_type: str = "application/json",
        body: Any = None,
        agent: str = "",
    ) -> Outcome:
        """Handle a request for a resource. Raise ApiError for an error response.

        ``body`` is the parsed body, ``agent`` the User-Agent header.
        """
        rtype, namespace, name = target.rtype, target.namespace, target.name
        options = write_options(target, query, content_type, agent)
        match target.verb:
            case "create":
                return self.operations.create(rtype, namespace, body, options)
            case "get":
                return Outcome(self.operations.find(rtype, namespace, name)[1])
            case "patch":
                return self.operations.patch(rtype, namespace, name, content_type, body, options)
            case "delete":
                dry_run = options.dry_run or "All" in ((body or {}).get("dryRun") or ())
                return Outcome(self.deleter.delete(rtype, namespace, name, dry_run=dry_run))
        selection = parse_selection(rtype, namespace or None, query)
        if target.verb == "list":
            return Outcome(list_objects(self.store, selection, query))
        raise method_not_allowed()

    def snapshot(self) -> Json:
        """Return the state of the cluster: all objects by resource, and the associations that a test has set.

        ``restore`` reads this mapping.
        """
        objects = {name: list(self.store.select(name)) for name in self.store.resources()}
        pairs = sorted(self.webhook.associations)
        return {
            "resourceVersion": str(self.store.version),
            "objects": {name: items for name, items in objects.items() if items},
            "associations": [{"namespace": n, "service_account": s} for n, s in pairs],
        }

    def restore(self, snapshot: Json) -> None:
        """Replace the state of the cluster with a snapshot. The objects get new resource versions."""
        objects = {
            Key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
            for resource, items in snapshot["objects"].items()
            for obj in items
        }
        for resource in self.store.resources():
            for obj in list(self.store.select(resource)):
                key = Key(resource, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
                if key not in objects:
                    self.store.remove(key)
        for key, obj in sorted(objects.items(), key=lambda item: _version(item[1])):
            self.store.put(key, clone_object(obj))
        self.webhook.associations = {
            (pair["namespace"], pair["service_account"]) for pair in snapshot["associations"]
        }


def _version(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def write_options(target: Target, query: Mapping[str, str], content_type: str, agent: str) -> WriteOptions:
    """Parse the query parameters of a write. Raise ApiError for an invalid parameter.

    The default field manager is the first part of the User-Agent header, as in Kubernetes.
    """
    applies = target.verb == "patch" and content_type == APPLY
    manager = query.get("fieldManager", "")
    if applies and not manager:
        causes = [Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")]
        raise invalid("PatchOptions", "meta.k8s.io", "", causes)
    return WriteOptions(
        manager=manager or agent.partition("/")[0] or "unknown",
        dry_run=query.get("dryRun") == "All",
        force=query.get("force") in TRUE,
        subresource=target.subresource,
    )
