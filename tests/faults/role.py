# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run the role in this process, with its action plugins."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import build_result
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _kubernetes as kubernetes
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_action
from ansible_collections.workload_identity.aws.plugins.plugin_utils import _role_run as role_run
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, TaskSpec
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, REGION
from urllib3.util.retry import Retry

Json = dict[str, Any]


def _ignore(_text: str) -> None:
    """Show nothing of a step of the run."""


@dataclass(frozen=True)
class Patience:
    """Timeouts in seconds.

    ``read`` is the timeout between two parts of a response, ``answer`` the timeout for a whole list or for all requests about
    an object.
    """

    read: float = 65
    answer: float = 120


@dataclass(frozen=True)
class RoleRun:
    """The result of a role run: ``message`` if it failed before any change, otherwise ``report``."""

    message: str = ""
    report: Report | None = None

    @property
    def failed(self) -> bool:
        return self.report is None or bool(self.report["failed"])

    @property
    def screen(self) -> str:
        """Return the failure and the first line of the report, which names the cluster. Without a report, return the message."""
        return "\n".join((self.report["failure"], self.report["lines"][0])) if self.report else self.message


@dataclass
class SkippingClock:
    """A clock that sleeps without real delay: a pause only moves the time forward."""

    slept: float = 0

    def now(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


@dataclass
class Role:
    """The role, for one account and one cluster. ``abandoned`` has the threads whose requests a run stopped waiting for."""

    account: Account
    kubeconfig: Path
    abandoned: list[threading.Thread] = field(default_factory=list)
    _kubeconfig_copy: Path = field(default_factory=Path)

    def run(self, spec: TaskSpec, workloads: tuple[Mapping[str, Any], ...], patience: Patience) -> RoleRun:
        with self._patched(patience), tempfile.TemporaryDirectory() as folder:
            # kubernetes.core caches a connection for each kubeconfig, even if a request on it was abandoned. So each run needs a
            # new path.
            self._kubeconfig_copy = Path(folder) / "kubeconfig"
            shutil.copy(self.kubeconfig, self._kubeconfig_copy)
            try:
                return self._run(spec, workloads)
            finally:
                self.abandoned += [thread for thread in threading.enumerate() if _serves_call(thread)]

    def wait(self) -> None:
        while self.abandoned:
            self.abandoned.pop().join()

    def _run(self, spec: TaskSpec, workloads: tuple[Mapping[str, Any], ...]) -> RoleRun:
        values: Json = {
            "cluster_name": spec.cluster,
            "workloads": list(workloads),
            "region": REGION,
            "purge": spec.purge,
            "state": spec.state,
            "kubeconfig": str(self._kubeconfig_copy),
            **({"owner": spec.owner} if spec.owner else {}),
        }
        task = ActionTask(self._action())
        failure: Json = {}
        with role_run.failing_into(failure):
            run = role_run.RoleRun(task, {}, values)
            run.prepare()
        if failure:
            return RoleRun(failure["msg"])
        preflight = run.preflight
        desired = spec.desired.with_kubernetes_findings((*preflight.plan.refused, *preflight.breakage))
        outcome = self.account.play(replace(spec, desired=desired))
        if isinstance(outcome.ended, AwsError):
            return RoleRun(outcome.message)
        row = {
            **build_result(outcome.ended),
            "msg": outcome.message,
            "account_id": ACCOUNT,
            "cluster_arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{spec.cluster}",
            **({"verification": outcome.verification} if outcome.verification else {}),
        }
        aws = parse_aws_result(row, spec.cluster)
        kubernetes_run = run.run_kubernetes(aws, _ignore, _ignore)
        return RoleRun(report=make_report(aws, kubernetes_run.outcome, ReportSettings()))

    def _action(self) -> Any:
        loader = DataLoader()
        play = Play.load({"hosts": "localhost", "gather_facts": False}, loader=loader)
        return _role_action.ActionModule(
            Task(block=Block(play=play)),
            SimpleNamespace(transport="local", become=None),
            PlayContext(play=play),
            loader,
            Templar(loader, variables={}),
            plugin_loader,
        )

    @contextlib.contextmanager
    def _patched(self, patience: Patience) -> Iterator[None]:
        clock = SkippingClock()
        with (
            tempfile.TemporaryDirectory() as folder,
            # The client caches API resources in a file. Each run starts without a cache.
            mock.patch.object(constants, "DEFAULT_LOCAL_TMP", folder),
            mock.patch.object(tempfile, "tempdir", folder),
            mock.patch.dict(core_client._pool, clear=True),
            mock.patch.object(kubernetes, "SystemClock", return_value=clock),
            # The client would really wait for the time in Retry-After.
            mock.patch.object(Retry, "sleep"),
            mock.patch.object(kubernetes, "REQUEST_TIMEOUT", (10, patience.read)),
            mock.patch.object(kubernetes, "LONGEST_CALL", patience.answer),
        ):
            yield


def _serves_call(thread: threading.Thread) -> bool:
    """Return whether ``call_within`` or ``each_within`` started this thread."""
    return thread.name.endswith("(run)")
