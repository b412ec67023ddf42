# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake Kubernetes cluster in memory, and a clock that sleeps without delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    DryRun,
    Listing,
    Query,
    WriteResult,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.objects import (
    Object,
    ObjectName,
    as_text,
    member,
    object_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)


@dataclass
class FakeCluster:
    """A Kubernetes cluster in memory.

    ``lists`` has the responses to lists, by kind, or by kind and namespace. ``refused`` has the errors of rejected writes, by the
    name of the object. ``trials`` has the responses to dry runs by service account, in order; the last response repeats.
    ``accounts`` has the applied service accounts. A write to a name in ``undone`` is reverted immediately. ``log`` has the
    requests except ``read_server``, for example "list Pod shop", "apply api" or "remove old".
    """

    lists: Mapping[str, Listing] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""
    version: Object = field(default_factory=dict)
    server: ApiServer = field(default_factory=ApiServer)
    accounts: dict[ObjectName, Object] = field(default_factory=dict)
    undone: frozenset[str] = frozenset()
    trials: dict[str, list[DryRun]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def list_objects(self, query: Query) -> Listing:
        scope = f"{query.kind} {query.namespace}".strip()
        self.log.append(f"list {scope}")
        if query.kind == "ServiceAccount" and query.kind not in self.lists:
            return Listing(list(self.accounts.values()))
        return self.lists.get(scope) or self.lists.get(query.kind) or Listing()

    def read_version(self) -> Object:
        self.log.append("version")
        return self.version

    def read_server(self) -> ApiServer:
        return self.server

    def dry_run_pods(self, manifests: Sequence[Object]) -> Sequence[DryRun]:
        names = [as_text(member(manifest, "spec").get("serviceAccountName")) for manifest in manifests]
        self.log.append(f"try {' '.join(names)}")
        return [answers.pop(0) if len(answers := self.trials[name]) > 1 else answers[0] for name in names]

    def apply(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write("apply", manifests)

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write("patch", manifests)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write("remove", manifests)

    def _write(self, verb: str, manifests: Sequence[Object]) -> WriteResult:
        names = [object_name(manifest).name for manifest in manifests]
        self.log.append(f"{verb} {' '.join(names)}")
        if self.broken:
            lost = ApiError(0, self.broken)
            return WriteResult(refused=dict.fromkeys(range(len(names)), lost), error=lost)
        refused = {
            index: ApiError(403, self.refused[name])
            for index, name in enumerate(names)
            if name in self.refused
        }
        for index, manifest in enumerate(manifests):
            if index not in refused and names[index] not in self.undone:
                self._keep(verb, manifest)
        return WriteResult(len(refused) < len(names), refused, diffs=[{"after": name} for name in names])

    def _keep(self, verb: str, manifest: Object) -> None:
        if manifest.get("kind") != "ServiceAccount":
            return
        if verb == "apply":
            self.accounts[object_name(manifest)] = manifest
        else:
            self.accounts.pop(object_name(manifest), None)


@dataclass
class FakeClock:
    moment: datetime = build.NOW
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)
