# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An emulated cluster: its objects, and the operations on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.kube.bootstrap import bootstrap, register_webhook
from sandbox.kube.deletion import Deleter, parse_delete_options
from sandbox.kube.errors import Cause, invalid, method_not_allowed
from sandbox.kube.jsontree import Json, clone_object
from sandbox.kube.listing import as_list, list_objects, parse_selection
from sandbox.kube.operations import Operations, Outcome, WriteOptions
from sandbox.kube.patch import APPLY
from sandbox.kube.rbac import Authorizer
from sandbox.kube.resources import ResourceTable
from sandbox.kube.store import Key, Store
from sandbox.kube.target import TRUE, Target
from sandbox.kube.webhook import Pair, Webhook


class Cluster:
    """A cluster. ``follow`` returns the associations of the EKS cluster; ``root_ca`` is the PEM text of the CA."""

    def __init__(
        self,
        table: ResourceTable,
        *,
        rbac: bool = False,
        pod_identity_webhook: bool = False,
        follow: Callable[[], set[Pair]] | None = None,
        root_ca: str = "",
        store: Store | None = None,
    ) -> None:
        self.table = table
        self.store = store if store is not None else Store()
        self.webhook = Webhook(pod_identity_webhook, follow)
        self.operations = Operations(self.store, self.webhook, root_ca)
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
            case "update":
                return self.operations.replace(rtype, namespace, name, body, options)
            case "patch":
                return self.operations.patch(rtype, namespace, name, content_type, body, options)
            case "delete":
                delete_options = parse_delete_options(body, query, options.dry_run)
                return Outcome(self.deleter.delete(rtype, namespace, name, delete_options))
        selection = parse_selection(rtype, namespace or None, query)
        if target.verb == "list":
            return Outcome(list_objects(self.store, selection, query))
        if target.verb == "deletecollection":
            delete_options = parse_delete_options(body, query, options.dry_run)
            deleted = self.deleter.delete_all(rtype, selection.objects(self.store), delete_options)
            meta: Json = {"resourceVersion": str(self.store.version)}
            return Outcome(as_list(rtype, deleted, meta))
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
    kind = {"create": "Create", "patch": "Patch", "update": "Update"}.get(target.verb, "Delete")
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        reason = f'Unsupported value: "{dry_run}": supported values: "All"'
        causes = [Cause("dryRun", reason, "FieldValueNotSupported")]
        raise invalid(f"{kind}Options", "meta.k8s.io", "", causes)
    applies = target.verb == "patch" and content_type == APPLY
    manager = query.get("fieldManager", "")
    if applies and not manager:
        causes = [Cause("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")]
        raise invalid("PatchOptions", "meta.k8s.io", "", causes)
    if query.get("force") and target.verb == "patch" and not applies:
        reason = "Forbidden: may not be specified for non-apply patch"
        raise invalid("PatchOptions", "meta.k8s.io", "", [Cause("force", reason, "FieldValueForbidden")])
    return WriteOptions(
        manager=manager or agent.partition("/")[0] or "unknown",
        dry_run=dry_run == "All",
        force=query.get("force") in TRUE,
        subresource=target.subresource,
    )
