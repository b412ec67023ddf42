# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, patch and apply objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.kube import admission, patch
from sandbox.kube.apply import (
    Entry,
    read_entries,
    record_update,
    server_side_apply,
    write_entries,
)
from sandbox.kube.defaults import apply_defaults
from sandbox.kube.errors import (
    ApiError,
    Cause,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    not_found,
)
from sandbox.kube.jsontree import Json, clone_object, without_nulls
from sandbox.kube.resources import NAMESPACES, PODS, SERVICE_ACCOUNTS, ResourceType
from sandbox.kube.status import initial_status
from sandbox.kube.store import Key, Store, object_key
from sandbox.kube.updates import (
    SYSTEM_FIELDS,
    check_preconditions,
    check_same_name,
    is_final,
    is_new_generation,
    restrict,
)
from sandbox.kube.validate import check_valid
from sandbox.kube.webhook import Webhook


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """The options of a write. ``manager`` is the field manager."""

    manager: str = "unknown"
    dry_run: bool = False
    force: bool = False
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an operation: the object, and whether it was created (status 201)."""

    obj: Json
    created: bool = False


class Operations:
    """The write operations on a store."""

    def __init__(self, store: Store, webhook: Webhook) -> None:
        self.store = store
        self.webhook = webhook

    def find(self, rtype: ResourceType, namespace: str, name: str) -> tuple[Key, Json]:
        key = object_key(rtype, namespace, name)
        obj = self.store.get(key)
        if obj is None:
            raise not_found(rtype, name)
        return key, obj

    def create(self, rtype: ResourceType, namespace: str, body: Any, options: WriteOptions) -> Outcome:
        """Create an object (POST). Raise ApiError for an error response."""
        obj = self._decode(rtype, body)
        meta = self._clean_metadata(rtype, namespace, obj)
        if meta.pop("resourceVersion", None):
            message = "resourceVersion should not be set on objects to be created"
            raise ApiError(500, "InternalError", message)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"] + admission.random_suffix()
        self._check_namespace(rtype, namespace, meta.get("name") or "")
        stored = self._add(rtype, namespace, obj, [], self._writer(rtype, options), options)
        return Outcome(stored, True)

    def patch(
        self,
        rtype: ResourceType,
        namespace: str,
        name: str,
        content_type: str,
        body: Any,
        options: WriteOptions,
    ) -> Outcome:
        """Patch an object (PATCH). ``content_type`` is one of ``patch.PATCHES``.

        Server-side apply creates an object that does not exist. Other patches and patches of a subresource raise ApiError 404.
        """
        if content_type == patch.APPLY:
            return self._apply(rtype, namespace, name, body, options)
        key, old = self.find(rtype, namespace, name)
        new = self._decode(rtype, patch.merge_patch(old, body))
        return Outcome(self._commit(rtype, key, old, new, None, options))

    def _apply(
        self, rtype: ResourceType, namespace: str, name: str, body: Any, options: WriteOptions
    ) -> Outcome:
        config = self._decode(rtype, body)
        uid = config["metadata"].get("uid")
        meta = self._clean_metadata(rtype, namespace, config)
        check_same_name(meta.setdefault("name", name), name)
        if meta.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        writer = self._writer(rtype, options, "Apply")
        key = object_key(rtype, namespace, name)
        live = self.store.get(key)
        if uid and live is None:
            reason = (
                f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            )
            raise conflict(rtype, name, reason)
        if live is None:
            if options.subresource:
                raise not_found(rtype, name)
            self._check_namespace(rtype, namespace, name)
            empty: Json = {"metadata": {}}
            entries = server_side_apply(rtype, empty, config, writer, force=False).entries
            applied = clone_object(config)
            obj = self._add(rtype, namespace, applied, list(entries), None, options)
            return Outcome(obj, True)
        check_preconditions(rtype, live["metadata"], {"uid": uid}, namespace)
        result = server_side_apply(rtype, live, config, writer, force=options.force)
        obj = self._commit(rtype, key, live, result.obj, list(result.entries), options)
        return Outcome(obj)

    def _add(
        self,
        rtype: ResourceType,
        namespace: str,
        obj: Json,
        entries: list[Entry],
        writer: Entry | None,
        options: WriteOptions,
    ) -> Json:
        """Set the defaults of a new object, run admission, validate the object, and store it except in a dry run.

        ``writer`` is None after a server-side apply, which has determined the ``entries`` of managedFields already.
        """
        obj.update(kind=rtype.kind, apiVersion=rtype.group_version)
        meta = obj["metadata"]
        for name in ("deletionGracePeriodSeconds", "deletionTimestamp", "managedFields"):
            meta.pop(name, None)
        if rtype.namespaced:
            meta["namespace"] = namespace
        if meta.get("name"):
            apply_defaults(rtype, obj)
        if writer is not None:
            entries = record_update(rtype, None, obj, entries, writer)
        if rtype is PODS and meta.get("name"):
            admission.check_service_account(self.store, namespace, obj)
            self.webhook.mutate(self.store, namespace, obj)
        check_valid(rtype, obj)
        meta.update(uid=self.store.new_uid(), creationTimestamp=self.store.timestamp())
        if rtype.has_generation:
            meta["generation"] = 1
        initial_status(rtype, obj)
        write_entries(obj, entries)
        key = object_key(rtype, namespace, meta["name"])
        if self.store.get(key) is not None:
            raise already_exists(rtype, meta["name"])
        if options.dry_run:
            return obj
        stored = self.store.put(key, obj)
        if rtype is NAMESPACES:
            # In a real cluster, a controller creates this service account.
            account = {"metadata": {"name": "default"}}
            self.create(SERVICE_ACCOUNTS, meta["name"], account, WriteOptions("kube-controller-manager"))
        return stored

    def _commit(
        self,
        rtype: ResourceType,
        key: Key,
        old: Json,
        new: Json,
        entries: list[Entry] | None,
        options: WriteOptions,
    ) -> Json:
        """Validate an update of an object, and store it except in a dry run. Remove a terminating object without finalizers.

        ``entries`` has the managedFields after a server-side apply; for other updates it is None.
        """
        new = {**new, "kind": rtype.kind, "apiVersion": rtype.group_version}
        meta = new["metadata"] = dict(new.get("metadata") or {})
        check_preconditions(rtype, old["metadata"], meta, key.namespace)
        for name in SYSTEM_FIELDS:
            meta.pop(name, None)
            if name in old["metadata"]:
                meta[name] = old["metadata"][name]
        new = restrict(rtype, old, new, options.subresource)
        meta = new["metadata"]
        sent_entries = read_entries(new) if meta.get("managedFields") is not None else None
        apply_defaults(rtype, new)
        check_valid(rtype, new)
        if rtype.has_generation and is_new_generation(rtype, old, new):
            meta["generation"] = old["metadata"].get("generation", 0) + 1
        if entries is None:
            base = sent_entries if sent_entries is not None else read_entries(old)
            writer = self._writer(rtype, options)
            entries = record_update(rtype, old, new, base, writer)
        write_entries(new, entries)
        if new == old:
            return old
        if options.dry_run:
            return new
        stored = self.store.put(key, new)
        if meta.get("deletionTimestamp") and is_final(rtype, stored):
            return self.store.remove(key)
        return stored

    def _decode(self, rtype: ResourceType, body: Any) -> Json:
        """Return the object in a body, without null members. Raise ApiError 400 for another kind of object."""
        is_object = isinstance(body, dict) and isinstance(body.get("metadata") or {}, dict)
        kind, version = (
            (body.get("kind", rtype.kind), body.get("apiVersion", rtype.group_version))
            if is_object
            else ("", "")
        )
        if (kind, version) != (rtype.kind, rtype.group_version):
            raise bad_request(
                f"the object provided is {version}, Kind={kind}, expected {rtype.group_version}, Kind={rtype.kind}"
            )
        obj: Json = without_nulls(body)
        obj.setdefault("metadata", {})
        return obj

    def _clean_metadata(self, rtype: ResourceType, namespace: str, obj: Json) -> Json:
        meta = obj["metadata"]
        if rtype.namespaced and meta.setdefault("namespace", namespace) != namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        for name in ("uid", "creationTimestamp", "generation"):
            meta.pop(name, None)
        metadata: Json = meta
        return metadata

    def _check_namespace(self, rtype: ResourceType, namespace: str, name: str) -> None:
        """Check that a namespace exists and is not terminating.

        Raise ApiError 404 if it does not exist, 403 if it is terminating.
        """
        if not rtype.namespaced:
            return
        _, obj = self.find(NAMESPACES, "", namespace)
        if obj["metadata"].get("deletionTimestamp"):
            reason = f"unable to create new content in namespace {namespace} because it is being terminated"
            message = f"namespace {namespace} is being terminated"
            cause = Cause("metadata.namespace", message, "NamespaceTerminating")
            raise forbidden(rtype, name, reason, [cause])

    def _writer(self, rtype: ResourceType, options: WriteOptions, operation: str = "Update") -> Entry:
        return Entry(
            options.manager,
            operation,
            rtype.group_version,
            options.subresource,
            self.store.timestamp(),
            frozenset(),
        )
