# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a sandbox with service accounts that use IRSA (an ``Estate``). Each test begins with the same state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.tests.migration.estate import Estate, Member
from ansible_collections.workload_identity.aws.tests.migration.harness import Harness
from ansible_collections.workload_identity.aws.tests.migration.oracle import Oracle
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene
from sandbox.client import aws_control, kube_control, running

ROOT = Path(__file__).resolve().parents[2]
SANDBOX = ROOT / ".venv-sandbox" / "bin" / "sandbox"
# The number of Pods of the service accounts that ``Estate.build`` creates in addition to the ordinary ones.
PODS = 8
# The number of Pods of the service accounts that ``Estate.build_further`` creates. The DaemonSet has Pods on two nodes.
FURTHER_PODS = 18


class Servers:
    """The servers of the sandbox. They build an estate once for each number of ordinary service accounts, and then restore it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.endpoint, self.kubeconfig = environment["AWS_ENDPOINT_URL"], Path(environment["KUBECONFIG"])
        self.aws, self.kube = aws_control(environment), kube_control(environment)
        self._members: dict[str, list[Member]] = {}
        self._save("empty")

    def estate(self, ordinary: int, further: bool) -> Estate:
        """Restore the estate with this number of ordinary service accounts. If it does not exist yet, build it."""
        name = f"estate-{ordinary}-{further}"
        if name not in self._members:
            self._restore("empty")
            estate = Estate(self.endpoint, self.kubeconfig)
            estate.build(ordinary)
            if further:
                estate.build_further()
            _wait_for_pods(estate, ordinary + PODS + further * FURTHER_PODS)
            if further:
                estate.pause("paused")
            self._members[name] = estate.members
            self._save(name)
        self._restore(name)
        estate = Estate(self.endpoint, self.kubeconfig)
        estate.members = self._members[name]
        return estate

    def _save(self, name: str) -> None:
        self.aws.save(name)
        self.kube.save(name)

    def _restore(self, name: str) -> None:
        self.aws.restore(name)
        self.kube.restore(name)


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with running(SANDBOX, "--kube-controllers", "--pod-identity-webhook") as environment:
        yield Servers(environment)


@pytest.fixture
def new_scene(servers: Servers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Scene]:
    """Return a function that restores the estate with a number of ordinary service accounts."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, servers.environment[name])
    monkeypatch.delenv("AWS_PROFILE", raising=False)

    def make(ordinary: int, *, further: bool = False) -> Scene:
        estate = servers.estate(ordinary, further)
        oracle = Oracle(estate, servers.endpoint)
        harness = Harness(servers.endpoint, servers.kubeconfig, tmp_path)
        return Scene(estate, oracle, harness, servers.environment, servers.aws, servers.kube)

    return make


def _wait_for_pods(estate: Estate, number: int) -> None:
    for _attempt in range(300):
        if len(estate.pods()) >= number:
            return
        time.sleep(0.1)
    raise AssertionError("the sandbox has not created the Pods")
