# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations of the service accounts of tests/migration, with the sandbox's models of AWS and of Kubernetes in this process."""

from __future__ import annotations

import copy
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugin_loader
from ansible.template import Templar
from ansible.utils.display import Display
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
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import cluster
from ansible_collections.workload_identity.aws.plugins.plugin_utils import (
    _migration,
    _migration_session,
    _role_run,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import AwsClients
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import Access
from ansible_collections.workload_identity.aws.tests.migration.estate import Estate, Json, Kubernetes
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    ACCOUNT,
    CLUSTER,
    REGION,
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_cluster import (
    FakeClock,
)
from sandbox.kube import admission
from sandbox.kube.cluster import Cluster
from sandbox.kube.controllers import Controllers
from sandbox.kube.errors import ApiError as Refused
from sandbox.kube.faults import Instruments, api_error
from sandbox.kube.patch import MERGE
from sandbox.kube.resources import ResourceType, resource_table
from sandbox.kube.store import Store
from sandbox.kube.target import Target, parse_target

HOST = f"oidc.eks.{REGION}.amazonaws.com/id/{'1F' * 16}"
ENDPOINT = "https://cluster.example.com"
AGENT = "eks-pod-identity-agent"
# The local clock is slow by this time.
WRONG = timedelta(hours=1)
CALLER = f"arn:aws:iam::{ACCOUNT}:user/migrator"


class Client:
    """A client of a service with the methods of boto3, such as ``create_role``."""

    def __init__(self, aws: FakeAws, service: str) -> None:
        self._aws, self._service = aws, service

    def __getattr__(self, name: str) -> Any:
        operation = "".join(map(str.capitalize, name.split("_")))
        return lambda **parameters: self._aws.call(self._service, operation, parameters)


class Server(Kubernetes):
    """The API of the sandbox's Kubernetes. ``works`` turns its controllers off. ``writes`` has no writes of dry runs."""

    def __init__(self, aws: FakeAws, clock: FakeClock) -> None:
        def associated() -> set[tuple[str, str]]:
            return {(row["namespace"], row["serviceAccount"]) for row in aws.eks.associations.values()}

        store = Store(lambda: clock.moment)
        self.cluster = Cluster(resource_table(), pod_identity_webhook=True, follow=associated, store=store)
        self.controllers = Controllers(self.cluster.operations, self.cluster.deleter)
        self.instruments = Instruments()
        self.writes: list[str] = []
        self.lock, self.works = threading.RLock(), True

    def send(self, method: str, path: str, body: object = None, kind: str = "application/json") -> Json:
        """Send a request of the test, which no rule for faults concerns."""
        url = urlsplit(path)
        query = dict(parse_qsl(url.query))
        target = parse_target(self.cluster.table, method, url.path, query)
        assert target is not None, path
        return self.cluster.handle(target, query, content_type=kind, body=body, agent="test").obj

    def request(self, target: Target, query: Mapping[str, str], body: object = None) -> Json:
        """Send a request of the plugins. Raise an error of the sandbox."""
        operation = f"{target.verb} {target.subject}"
        rule = self.instruments.count(target.verb, target.subject, dry_run="dryRun" in query)
        if rule and (error := api_error(rule, operation, target.rtype, target.name)):
            raise error
        if target.verb != "list" and "dryRun" not in query:
            self.writes.append(f"{operation} {target.name}")
        with self.lock:
            return self.cluster.handle(target, query, content_type=MERGE, body=body, agent="plugins").obj


class ModelCluster:
    """The interface of the plugins to a ``Server``."""

    def __init__(self, server: Server, clock: FakeClock, check_mode: bool) -> None:
        self._server, self.clock = server, clock
        self._query = {"dryRun": "All"} if check_mode else {}
        self._types = {(rtype.group_version, rtype.kind): rtype for rtype in server.cluster.table}

    def list_objects(self, query: Query) -> Listing:
        selectors = {"labelSelector": query.label_selectors, "fieldSelector": query.field_selectors}
        rtype = self._types.get((query.api_version, query.kind))
        if rtype is None:
            return Listing(error=ApiError(404, "the server could not find the requested resource"))
        try:
            found = self._server.request(
                Target(rtype, "list", query.namespace),
                {name: ",".join(texts) for name, texts in selectors.items()},
            )
        except Refused as error:
            return Listing(error=ApiError(error.code, error.message))
        return Listing(copy.deepcopy(found["items"]))

    def read_version(self) -> Object:
        return {"gitVersion": "v1.34.0-eks-1a2b3c4"}

    def read_server(self) -> ApiServer:
        return ApiServer(ENDPOINT)

    def dry_run_pods(self, manifests: Sequence[Object]) -> list[DryRun]:
        return [self._try(manifest) for manifest in manifests]

    def _try(self, manifest: Object) -> DryRun:
        rtype = self._types["v1", "Pod"]
        target = Target(rtype, "create", manifest["metadata"]["namespace"])
        try:
            return DryRun(self._server.request(target, {"dryRun": "All"}, copy.deepcopy(manifest)))
        except Refused as error:
            return DryRun(error=ApiError(error.code, error.message))

    def apply(self, _manifests: Sequence[Object]) -> WriteResult:
        return WriteResult()

    def patch(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write("patch", manifests)

    def remove(self, manifests: Sequence[Object]) -> WriteResult:
        return self._write("delete", manifests)

    def _write(self, verb: str, manifests: Sequence[Object]) -> WriteResult:
        refused = {}
        for index, manifest in enumerate(manifests):
            meta = manifest["metadata"]
            rtype: ResourceType = self._types[manifest["apiVersion"], manifest["kind"]]
            target = Target(rtype, verb, meta["namespace"], meta["name"])
            try:
                self._server.request(target, self._query, copy.deepcopy(manifest))
            except Refused as error:
                refused[index] = ApiError(error.code, error.message)
        names = [f"{item['kind']} {item['metadata']['name']}" for item in manifests]
        diffs = [{"prepared": name} for index, name in enumerate(names) if index not in refused]
        return WriteResult(bool(diffs), refused, diffs=diffs)


@dataclass
class ModelClock(FakeClock):
    """A clock that lets the controllers work while it sleeps. ``events`` are called after that number of pauses."""

    server: Server | None = None
    events: dict[int, Callable[[], None]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        assert self.server is not None
        with self.server.lock:
            super().sleep(seconds)
            self.events.pop(len(self.slept), lambda: None)()
            if self.server.works:
                self.server.controllers.tick()


class ModelEstate(Estate):
    """The estate of tests/migration in the models."""

    def __init__(self, aws: FakeAws, server: Server) -> None:
        self.iam, self.eks, self.kubernetes = Client(aws, "iam"), Client(aws, "eks"), server
        self.host, self.dual_stack = HOST, f"oidc-eks.{HOST[9:].replace('.amazonaws.com/', '.api.aws/')}"
        self.members = []


class Scene:
    """A cluster with service accounts that use IRSA, and the action of the playbook migrate."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ordinary: int = 1, further: bool = False) -> None:
        self.patch = monkeypatch.setattr
        self.aws, self.clock = FakeAws(), ModelClock()
        self.aws.eks.clusters[CLUSTER] |= {
            "endpoint": ENDPOINT,
            "version": "1.34",
            "platformVersion": "eks.9",
            "identity": {"oidc": {"issuer": f"https://{HOST}"}},
        }
        self.aws.replace("sts:GetCallerIdentity", self._caller)
        self.server = self.clock.server = Server(self.aws, self.clock)
        self.screen: list[str] = []
        numbers = count(10_000)
        replaced = (
            (self.aws.iam, "now", self.clock.now),
            (self.aws.eks, "now", self.clock.now),
            (admission, "random_suffix", lambda: str(next(numbers))),
            (AwsClients, "connect", lambda *_arguments: self.aws),
            (cluster, "pause", self.clock.sleep),
            (_migration_session, "pause", self.clock.sleep),
            (_role_run, "find_access", lambda *_arguments: Access({})),
            (_role_run, "connect", self._connect),
            (_migration, "parent_stderr", lambda: self.screen.append),
            (_migration_session, "datetime", SimpleNamespace(now=lambda _zone: self.clock.moment - WRONG)),
            (Display, "display", self._display),
            # A process that leads a group would send a signal to all processes of the group.
            (os, "getpgrp", lambda: 0),
        )
        for place, name, value in replaced:
            self.patch(place, name, value)
        monkeypatch.setenv("AWS_REGION", REGION)
        self.estate = ModelEstate(self.aws, self.server)
        self.estate.eks.create_addon(clusterName=CLUSTER, addonName=AGENT)
        self.estate.build(ordinary)
        if further:
            self.estate.build_further()
        for _tick in range(5):
            self.server.controllers.tick()

    def run(self, variables: Mapping[str, Any], **keywords: bool) -> dict[str, Any]:
        """Run the action, and return its result. ``keywords`` are those of the task."""
        loader = DataLoader()
        play = Play.load({"hosts": "localhost", "gather_facts": False}, loader=loader)
        task = Task(block=Block(play=play))
        for name, value in keywords.items():
            setattr(task, name, value)
        shell = SimpleNamespace(tmpdir="")
        connection = SimpleNamespace(transport="local", become=None, _shell=shell)
        values = {f"pod_identity_{name}": value for name, value in variables.items()}
        values = {"inventory_hostname": "localhost", "groups": {"all": ["localhost"]}, **values}
        templar = Templar(loader, variables=values)
        context = PlayContext(play=play)
        action = _migration.ActionModule(task, connection, context, loader, templar, plugin_loader)
        self.screen.clear()
        self.server.writes.clear()
        self.aws.requests.clear()
        return dict(action.run(None, values))

    def state(self) -> dict[str, Any]:
        """Return the roles, the associations and the service accounts."""
        found = {}
        for item in self.server.items("/api/v1/serviceaccounts"):
            meta = {key: item["metadata"].get(key) for key in ("namespace", "name", "labels", "annotations")}
            found[f"{meta['namespace']}/{meta['name']}"] = meta
        return {**self.aws.state(), "accounts": found}

    def _display(self, text: str, *_rest: Any, screen_only: bool = False, **_more: Any) -> None:
        # The times of long steps are only on the screen.
        if not screen_only:
            self.screen.append(text)

    def _connect(self, task: Any, *_rest: Any) -> ModelCluster:
        return ModelCluster(self.server, self.clock, task.check_mode)

    def _caller(self, _parameters: Mapping[str, Any]) -> dict[str, Any]:
        date = format_datetime(self.clock.moment, usegmt=True)
        return {"Account": ACCOUNT, "Arn": CALLER, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def remove_agent(self) -> None:
        self.estate.eks.delete_addon(clusterName=CLUSTER, addonName=AGENT)
        for node in ("n1", "n2"):
            self.server.send("DELETE", f"/api/v1/namespaces/kube-system/pods/{AGENT}-{node}")

    def add_agent(self) -> None:
        for node in ("n1", "n2"):
            self.estate.agent(node)
