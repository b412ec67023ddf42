# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delete, and what follows from it: garbage collection and the end of namespaces.

A real cluster's controllers and kubelets do the second part a moment later; here ``settle`` does it when the
server's loop (or a test) calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.kube.errors import Cause, bad_request, conflict, invalid, not_found
from sandbox.kube.jsontree import Json, clone_object, lookup
from sandbox.kube.resources import JOBS, NAMESPACES, PODS, ResourceTable, ResourceType
from sandbox.kube.store import Key, Store, key_of
from sandbox.kube.termination import Due, Termination, grace_of

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_POLICIES = ("Background", "Foreground", "Orphan")
JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set"
    " propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress"
    " this warning"
)


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """metav1.DeleteOptions; ``policy`` is empty for the kind's default, and ``grace`` None for the object's."""

    policy: str = ""
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False
    grace: int | None = None


def parse_delete_options(body: Any, query: Mapping[str, str], dry_run: bool) -> DeleteOptions:
    """From the body (DeleteOptions) or else the query; ApiError 400 or 422 for bad values."""
    options = body if isinstance(body, dict) else {}
    if options and options.get("kind", "DeleteOptions") not in ("DeleteOptions",):
        raise bad_request(
            f"the object provided is unrecognized (must be of type DeleteOptions):"
            f" kind is {options.get('kind')}"
        )
    policy = options.get("propagationPolicy") or query.get("propagationPolicy") or ""
    orphan = options.get("orphanDependents", query.get("orphanDependents"))
    if not policy and orphan is not None:
        policy = "Orphan" if orphan in (True, "true") else "Background"
    if policy and policy not in _POLICIES:
        listed = ", ".join(f'"{name}"' for name in ("Foreground", "Background", "Orphan", "nil"))
        why = f'Invalid value: "{policy}": Unsupported value: "{policy}": supported values: {listed}'
        raise invalid("DeleteOptions", "meta.k8s.io", "", [Cause("propagationPolicy", why)])
    preconditions = options.get("preconditions") or {}
    return DeleteOptions(
        policy,
        preconditions.get("uid"),
        preconditions.get("resourceVersion"),
        dry_run or "All" in (options.get("dryRun") or []),
        _grace(options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))),
    )


def _grace(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax') from None


class Deleter:
    """Deletes objects of a store. ``termination`` may be replaced at any time."""

    def __init__(self, store: Store, table: ResourceTable, due: Due | None = None) -> None:
        self.termination = Termination()
        self._store = store
        self._by_resource = {rtype.qualified: rtype for rtype in table}
        self._by_kind = {(rtype.kind, rtype.group_version): rtype for rtype in table}
        self._due = due or Due()
        store.on_removal(self._after_removal)

    def delete(
        self, rtype: ResourceType, namespace: str, name: str, options: DeleteOptions
    ) -> tuple[Json, tuple[str, ...]]:
        """DELETE of one object: the answer's body and its warnings."""
        key = key_of(rtype, namespace, name)
        obj = self._store.get(key)
        if obj is None:
            raise not_found(rtype, name)
        _check_preconditions(rtype, obj["metadata"], options)
        warnings = (JOB_WARNING,) if rtype is JOBS and not options.policy else ()
        policy = options.policy or ("Orphan" if rtype is JOBS else "Background")
        if options.dry_run:
            return self._answer(rtype, obj, gone=True), warnings
        last = self._begin(rtype, key, obj, policy, options.grace)
        gone = self._store.get(key) is None
        return self._answer(rtype, last, gone=gone), warnings

    def delete_all(self, rtype: ResourceType, objects: Iterable[Json], options: DeleteOptions) -> list[Json]:
        """DELETE of a collection: the deleted objects."""
        deleted = list(objects)
        for obj in deleted:
            meta = obj["metadata"]
            self.delete(rtype, meta.get("namespace", ""), meta["name"], options)
        return deleted

    def wait(self) -> float | None:
        """Seconds until something is due; None when nothing is left to do."""
        return self._due.wait()

    def settle(self) -> None:
        """Does what is due: dependents, orphans, Pods that have ended, contents of terminating namespaces."""
        while (key := self._due.take()) is not None:
            self._settle_one(key)

    def _begin(
        self, rtype: ResourceType, key: Key, obj: Json, policy: str, asked_grace: int | None = None
    ) -> Json:
        meta = obj["metadata"]
        if rtype is PODS and self.termination.pod:
            obj, is_ending = self._begin_pod(key, obj, grace_of(obj, asked_grace))
            if is_ending:
                return obj
        finalizers = list(meta.get("finalizers") or [])
        marker = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
        if marker and marker not in finalizers and rtype is not NAMESPACES:
            finalizers.append(marker)
        if not finalizers and rtype is not NAMESPACES:
            return self._store.remove(key)
        marked = clone_object(obj)
        marked["metadata"].setdefault("deletionTimestamp", self._store.timestamp())
        marked["metadata"].setdefault("deletionGracePeriodSeconds", 0)
        if finalizers:
            marked["metadata"]["finalizers"] = finalizers
        if rtype is NAMESPACES:
            del marked["metadata"]["deletionGracePeriodSeconds"]
            marked["status"] = {**marked.get("status", {}), "phase": "Terminating"}
        if rtype is NAMESPACES and not meta.get("deletionTimestamp"):
            self._due.add_end(key, self.termination.namespace)
        else:
            self._due.add(key)
        if marked == obj:
            return obj
        return self._store.put(key, marked)

    def _begin_pod(self, key: Key, pod: Json, grace: int) -> tuple[Json, bool]:
        """The Pod, and whether it goes on until its end: a period once begun may be made shorter, not longer."""
        before = pod["metadata"].get("deletionGracePeriodSeconds")
        if before is not None and grace >= before:
            return pod, before > 0
        if grace == 0:
            self._due.forget(key)
            return pod, False
        ending = clone_object(pod)
        ending["metadata"]["deletionTimestamp"] = self._store.timestamp(timedelta(seconds=grace))
        ending["metadata"]["deletionGracePeriodSeconds"] = grace
        self._due.add_end(key, min(self.termination.pod, grace))
        return self._store.put(key, ending), True

    def _end_pod(self, key: Key, pod: Json) -> Json | None:
        """What the kubelet does once the containers have ended; None when the Pod is gone by that."""
        ended = clone_object(pod)
        ended["metadata"]["deletionGracePeriodSeconds"] = 0
        self._store.put(key, ended)
        if ended["metadata"].get("finalizers"):
            return ended
        self._store.remove(key)
        return None

    def _settle_one(self, key: Key) -> None:
        obj = self._store.get(key)
        if obj is not None and obj["metadata"].get("deletionGracePeriodSeconds"):
            obj = self._end_pod(key, obj)
        if obj is None:
            return
        meta = obj["metadata"]
        finalizers = meta.get("finalizers") or []
        if not meta.get("deletionTimestamp"):
            self._collect(key, obj)
        elif ORPHAN in finalizers:
            for dependent in self._store.dependents(meta["uid"]):
                self._disown(dependent, meta["uid"])
            self._release(key, ORPHAN)
        elif FOREGROUND in finalizers:
            self._delete_dependents(meta["uid"])
            if not any(self._blocks(k, meta["uid"]) for k in self._store.dependents(meta["uid"])):
                self._release(key, FOREGROUND)
        elif key.resource == NAMESPACES.qualified:
            self._empty_namespace(key)

    def _collect(self, key: Key, obj: Json) -> None:
        """Deletes an object whose owners are all gone; one with a living owner stays."""
        owners = obj["metadata"].get("ownerReferences") or []
        if owners and not any(self._owner_lives(key, owner) for owner in owners):
            self._begin(self._by_resource[key.resource], key, obj, "Background")

    def _owner_lives(self, key: Key, owner: Json) -> bool:
        where = self._owner_key(key, owner)
        if where is None:
            return True
        return bool(lookup(self._store.get(where), "metadata", "uid") == owner.get("uid"))

    def _owner_key(self, key: Key, owner: Json) -> Key | None:
        """Where an owner would be; None for kinds that are not served here."""
        rtype = self._by_kind.get((owner.get("kind", ""), owner.get("apiVersion", "")))
        return key_of(rtype, key.namespace, owner.get("name", "")) if rtype else None

    def _after_removal(self, key: Key, obj: Json) -> None:
        """A removal may free dependents, an owner that waits for it, or its namespace."""
        self._due.forget(key)
        for dependent in self._store.dependents(obj["metadata"]["uid"]):
            self._due.add(dependent)
        waiting = [self._owner_key(key, o) for o in obj["metadata"].get("ownerReferences") or []]
        if key.namespace:
            waiting.append(key_of(NAMESPACES, "", key.namespace))
        for place in waiting:
            if place and lookup(self._store.get(place), "metadata", "deletionTimestamp"):
                self._due.add(place)

    def _delete_dependents(self, uid: str) -> None:
        for dependent in self._store.dependents(uid):
            found = self._store.get(dependent)
            if found is not None and not found["metadata"].get("deletionTimestamp"):
                self._begin(self._by_resource[dependent.resource], dependent, found, "Foreground")

    def _blocks(self, key: Key, uid: str) -> bool:
        found = self._store.get(key)
        owners: list[Json] = lookup(found, "metadata", "ownerReferences") or []
        return any(o.get("uid") == uid and bool(o.get("blockOwnerDeletion")) for o in owners)

    def _disown(self, key: Key, uid: str) -> None:
        found = self._store.get(key)
        if found is None:
            return
        freed = clone_object(found)
        owners = [o for o in freed["metadata"]["ownerReferences"] if o.get("uid") != uid]
        freed["metadata"]["ownerReferences"] = owners
        if not owners:
            del freed["metadata"]["ownerReferences"]
        self._store.put(key, freed)

    def _release(self, key: Key, finalizer: str) -> None:
        """Takes a finalizer away, and the object with it when that was the last."""
        freed = clone_object(self._store.get(key) or {})
        meta = freed["metadata"]
        meta["finalizers"] = [name for name in meta["finalizers"] if name != finalizer]
        if not meta["finalizers"]:
            del meta["finalizers"]
        self._store.put(key, freed)
        if key.resource == NAMESPACES.qualified:
            self._due.add(key)
        elif "finalizers" not in meta:
            self._store.remove(key)

    def _empty_namespace(self, key: Key) -> None:
        for inside in self._store.keys_in(key.name):
            found = self._store.get(inside)
            if found is not None:
                self._begin(self._by_resource[inside.resource], inside, found, "Background")
        if self._store.keys_in(key.name):
            return
        obj = self._store.get(key)
        if obj is None:
            return
        freed = clone_object(obj)
        others = [name for name in lookup(freed, "spec", "finalizers") or [] if name != "kubernetes"]
        freed["spec"] = {"finalizers": others} if others else {}
        self._store.put(key, freed)
        if not others and not freed["metadata"].get("finalizers"):
            self._store.remove(key)

    def _answer(self, rtype: ResourceType, obj: Json, *, gone: bool) -> Json:
        if rtype.returns_deleted or not gone:
            return obj
        details: Json = {"name": obj["metadata"]["name"]}
        if rtype.group:
            details["group"] = rtype.group
        details |= {"kind": rtype.plural, "uid": obj["metadata"]["uid"]}
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": details,
        }


def _check_preconditions(rtype: ResourceType, meta: Json, options: DeleteOptions) -> None:
    if options.uid not in (None, meta["uid"]):
        why = (
            f"the UID in the precondition ({options.uid}) does not match the UID in record"
            f" ({meta['uid']}). The object might have been deleted and then recreated"
        )
        raise conflict(rtype, meta["name"], why)
    if options.resource_version not in (None, meta["resourceVersion"]):
        why = (
            f"the ResourceVersion in the precondition ({options.resource_version}) does not match"
            f" the ResourceVersion in record ({meta['resourceVersion']}). The object might have"
            " been modified"
        )
        raise conflict(rtype, meta["name"], why)
