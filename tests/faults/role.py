# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A use of the role, task by task, in this process, by its own action plugins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.block import Block
from ansible.playbook.play import Play
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugin_loader
from ansible.template import Templar
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core_client
from ansible_collections.workload_identity.aws.plugins.action import pod_identity
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    ignore_step,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import build_result
from ansible_collections.workload_identity.aws.plugins.plugin_utils import (
    kubernetes,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.role_run import (
    failing_into,
    prepare,
    run_kubernetes,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.task import ActionTask
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Asked
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, REGION
from urllib3.util.retry import Retry

Json = dict[str, Any]


@dataclass(frozen=True)
class Patience:
    """Seconds: between two parts of an answer, and for a whole list or all requests of an object."""

    read: float = 65
    answer: float = 120


@dataclass(frozen=True)
class RoleRun:
    """How a use of the role ended. ``message`` is why it stopped before it changed anything, else ``report`` is there."""

    message: str = ""
    report: Report | None = None

    @property
    def failed(self) -> bool:
        return self.report is None or bool(self.report["failed"])

    @property
    def shown(self) -> str:
        """Why it failed, and below it the first of the lines that go with it: where it was."""
        return "\n".join((self.report["failure"], self.report["lines"][0])) if self.report else self.message


@dataclass
class RestlessClock:
    """Pauses take no time, and are counted as if they did."""

    slept: float = 0

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@dataclass
class Role:
    """One account and one cluster. ``given_up`` are threads with requests that nobody waits for any more."""

    account: Account
    kubeconfig: Path
    given_up: list[threading.Thread] = field(default_factory=list)
    _own: Path = field(default_factory=Path)

    def run(self, asked: Asked, workloads: tuple[Mapping[str, Any], ...], patience: Patience) -> RoleRun:
        with self._patched(patience), tempfile.TemporaryDirectory() as folder:
            # The connections of another kubeconfig: kubernetes.core keeps those of a use that was given up, and does so when
            # the next one is under way.
            self._own = Path(folder) / "kubeconfig"
            shutil.copy(self.kubeconfig, self._own)
            try:
                return self._run(asked, workloads)
            finally:
                self.given_up += [thread for thread in threading.enumerate() if _serves_call(thread)]

    def wait(self) -> None:
        """Until what was given up has ended."""
        while self.given_up:
            self.given_up.pop().join()

    def _run(self, asked: Asked, workloads: tuple[Mapping[str, Any], ...]) -> RoleRun:
        values: Json = {
            "cluster_name": asked.cluster,
            "workloads": list(workloads),
            "region": REGION,
            "purge": asked.purge,
            "state": asked.state,
            "kubeconfig": str(self._own),
            **({"owner": asked.owner} if asked.owner else {}),
        }
        task = ActionTask(self._action())
        failure: Json = {}
        with failing_into(failure):
            prepared = prepare(task, values, {}, "main")
        if failure:
            return RoleRun(failure["msg"])
        played = self.account.play(asked)
        if isinstance(played.ended, AwsError):
            return RoleRun(played.message)
        row = {
            **build_result(played.ended, False),
            "msg": played.message,
            "account_id": ACCOUNT,
            "cluster_arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{asked.cluster}",
            **({"verification": played.verification} if played.verification else {}),
        }
        aws = parse_aws_result(row, asked.cluster)
        half = run_kubernetes(task, prepared, aws, {}, ignore_step, ignore_step)
        return RoleRun(report=make_report(aws, half.outcome, ReportSettings()))

    def _action(self) -> Any:
        loader = DataLoader()
        play = Play.load({"hosts": "localhost", "gather_facts": False}, loader=loader)
        return pod_identity.ActionModule(
            Task(block=Block(play=play)),
            SimpleNamespace(transport="local", become=None),
            PlayContext(play=play),
            loader,
            Templar(loader, variables={}),
            plugin_loader,
        )

    @contextlib.contextmanager
    def _patched(self, patience: Patience) -> Iterator[None]:
        clock = RestlessClock()
        with (
            tempfile.TemporaryDirectory() as folder,
            # What the client knows of an API server it keeps in a file: each use of the role finds out anew.
            mock.patch.object(constants, "DEFAULT_LOCAL_TMP", folder),
            mock.patch.object(tempfile, "tempdir", folder),
            mock.patch.dict(core_client._pool, clear=True),
            mock.patch.object(kubernetes, "SystemClock", return_value=clock),
            # The client waits as long as Retry-After asks for.
            mock.patch.object(Retry, "sleep"),
            mock.patch.object(kubernetes, "REQUEST_TIMEOUT", (10, patience.read)),
            mock.patch.object(kubernetes, "LONGEST_CALL", patience.answer),
        ):
            yield


def _serves_call(thread: threading.Thread) -> bool:
    """Return whether a thread was started by ``within`` or ``each_within`` of plugin_utils.bounds."""
    return thread.name.endswith(("(run)", "(serve)"))
