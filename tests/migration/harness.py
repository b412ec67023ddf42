# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run migrations in this process, and call a function before and after every write."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugin_loader
from ansible.template import Templar
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core_client
from ansible_collections.workload_identity.aws.plugins.module_utils._aws import client as aws_client
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    MigrationOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.migration import (
    MigrationReport,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as kubernetes
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _migration as migration
from ansible_collections.workload_identity.aws.plugins.plugin_utils._migration import ActionModule
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import failing_into
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask
from ansible_collections.workload_identity.aws.tests.migration.estate import CLUSTER, REGION

READS = ("Describe", "Get", "List")
# A function that is called with "before" or "after", and with the name of a write such as "iam:TagRole my-role".
OnWrite = Callable[[str, str], None]


class Killed(BaseException):
    """An exception that simulates the end of the process. The plugins do not catch it."""


@dataclass
class ShortClock:
    """A clock that moves forward by the whole pause, but really waits at most 0.1 s, so that the sandbox can replace Pods."""

    slept: float = 0
    after_sleep: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.slept)

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, 0.1))
        self.slept += seconds
        self.after_sleep()


@dataclass
class Harness:
    """A harness that runs migrations of the sandbox's cluster.

    All runs share a clock: a second restart in the same second would not change the Deployment.
    """

    endpoint: str
    kubeconfig: Path
    folder: Path
    writes: list[str] = field(default_factory=list)
    clock: ShortClock = field(default_factory=ShortClock)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def run(
        self, on_write: OnWrite | None = None, *, check_mode: bool = False, **options: Any
    ) -> MigrationReport:
        """Run a migration, and return its report. If the migration fails before it has a report, raise the error."""
        failure: dict[str, Any] = {}
        found = self._migration(check_mode, options)
        with self._patched(on_write or _ignore), failing_into(failure):
            found.perform()
        assert not failure, failure
        assert found.report is not None
        return found.report

    def _migration(self, check_mode: bool, options: Mapping[str, Any]) -> Any:
        self.writes.clear()
        chosen = {
            "cluster_name": CLUSTER,
            "region": REGION,
            "kubeconfig": str(self.kubeconfig),
            "workloads": [],
            "restart_timeout": 600,
        }
        task = ActionTask(self._action(check_mode))
        chosen_options = MigrationOptions(**{"observe": 0, "soak": 0, **options})
        return migration.Migration(task, {}, chosen, chosen_options, _ignore_text)

    def _action(self, check_mode: bool) -> Any:
        loader = DataLoader()
        play = Play.load({"hosts": "localhost", "gather_facts": False}, loader=loader)
        task = Task(block=Block(play=play))
        task.check_mode = check_mode
        return ActionModule(
            task,
            SimpleNamespace(transport="local", become=None),
            PlayContext(play=play),
            loader,
            Templar(loader, variables={}),
            plugin_loader,
        )

    @contextlib.contextmanager
    def _patched(self, on_write: OnWrite) -> Iterator[None]:
        send, write = aws_client.BotoApi.call, kubernetes._Writer.write

        def call(api: Any, service: str, operation: str, parameters: Mapping[str, Any]) -> Any:
            if operation.startswith(READS):
                return send(api, service, operation, parameters)
            subject = parameters.get("RoleName") or parameters.get("serviceAccount") or ""
            name = f"{service}:{operation} {subject}".rstrip()
            return self._around(name, lambda: send(api, service, operation, parameters), on_write)

        def write_object(writer: Any, client: Any, manifest: Any) -> Any:
            name = f"patch {manifest['kind']} {manifest['metadata']['name']}"
            return self._around(name, lambda: write(writer, client, manifest), on_write)

        with (
            mock.patch.dict(core_client._pool, clear=True),
            mock.patch.object(kubernetes, "SystemClock", return_value=self.clock),
            mock.patch.object(aws_client.BotoApi, "call", call),
            mock.patch.object(kubernetes._Writer, "write", write_object),
        ):
            yield

    def _around(self, name: str, work: Callable[[], Any], on_write: OnWrite) -> Any:
        # Make one write at a time, so that a check after a write sees the state after exactly this write.
        with self._lock:
            self.writes.append(name)
            on_write("before", name)
            result = work()
            on_write("after", name)
        return result


def _ignore(_moment: str, _name: str) -> None:
    """Ignore a write."""


def _ignore_text(_text: str) -> None:
    """Ignore a line of output."""
