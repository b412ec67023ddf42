# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inject faults into requests of the role to Kubernetes. No object may be lost, and the next run must reach the goal state."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, TaskSpec, differences
from ansible_collections.workload_identity.aws.tests.faults.kube_outcome import (
    RoleBaseline,
    check_cluster,
    check_role_outcome,
    check_statuses,
)
from ansible_collections.workload_identity.aws.tests.faults.kube_world import (
    SCENARIOS,
    KubeScenario,
    cluster_objects,
    furnish,
)
from ansible_collections.workload_identity.aws.tests.faults.role import Patience, Role
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH, chosen, some
from ansible_collections.workload_identity.aws.tests.faults.world import ACCOUNT, CLUSTER, REGION, desired
from ansible_collections.workload_identity.aws.tests.findings.cluster import TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import serving
from sandbox.kube.kubeconfig import write_kubeconfig

# A stalled response takes longer than both timeouts of IMPATIENT.
STALL_SECONDS = 2.5
IMPATIENT = Patience(read=0.4, answer=1.5)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PARTS = 4 if THOROUGH else 1
SHARE, SAMPLING = 6, 12


@dataclass(frozen=True)
class KubeFault:
    """A fault of the sandbox. It affects one request, or with ``lasts`` all requests of an operation.

    A run should succeed despite a fault that ``passes``. ``sampled`` faults resemble another fault: without TIER=release in the
    environment, tests apply them to only a part of the operations.
    """

    label: str
    kind: str
    passes: bool = False
    lasts: bool = False
    sampled: bool = False

    def rule(self, operation: str, number: int) -> dict[str, Any]:
        rule: dict[str, Any] = {"operation": operation, "kind": self.kind}
        if self.kind == "stall":
            rule["seconds"] = STALL_SECONDS
        return rule if self.lasts else {**rule, "nth": number}


FAULTS = (
    KubeFault("429 once", "throttle", passes=True),
    KubeFault("500", "error500", passes=True, sampled=True),
    KubeFault("503", "error503", passes=True, sampled=True),
    KubeFault("dropped before it took effect", "reset_before"),
    KubeFault("answer lost", "reset_after"),
    KubeFault("answer stalls", "stall"),
    KubeFault("web page with 200", "html200", sampled=True),
    KubeFault("nothing with 200", "empty200", sampled=True),
    KubeFault("404", "not_found"),
    KubeFault("409", "conflict"),
    KubeFault("403", "access_denied"),
    KubeFault("429 to the end", "throttle", lasts=True, sampled=True),
    KubeFault("500 to the end", "error500", lasts=True, sampled=True),
    KubeFault("dropped to the end", "reset_before", lasts=True, sampled=True),
    KubeFault("answers lost to the end", "reset_after", lasts=True, sampled=True),
    KubeFault("answers stall to the end", "stall", lasts=True, sampled=True),
    KubeFault("web page to the end", "html200", lasts=True, sampled=True),
)


@pytest.fixture(scope="session")
def role(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Role, Kube]]:
    folder = tmp_path_factory.mktemp("kube")
    options = ("--cert-dir", str(folder), "--token", TOKEN, "--pod-identity-webhook")
    with serving("sandbox.kube", *options) as address:
        authority = folder / "ca.crt"
        write_kubeconfig(folder / "kubeconfig", address, authority.read_text("ascii"), TOKEN)
        shared_account.control.set_kubernetes(ACCOUNT, REGION, CLUSTER, address, authority.read_bytes())
        kube = Kube(address, authority, folder / "kubeconfig")
        yield Role(shared_account, kube.kubeconfig), kube


def prepare(role: Role, kube: Kube, name: str) -> None:
    """Create or restore the initial state of a scenario, in the account and in the cluster."""
    role.wait()
    if role.account.restored(f"cluster, {name}"):
        kube.control.restore(name)
        return
    role.account.clean()
    kube.control.reset()
    furnish(kube)
    first = SCENARIOS[name].first
    if first:
        run = role.run(TaskSpec(desired(*first)), first, Patience())
        assert not run.failed, run.screen
    kube.control.reset_counters()
    kube.control.save(name)
    role.account.save(f"cluster, {name}")


@pytest.fixture(scope="session")
def baseline(role: tuple[Role, Kube]) -> Mapping[str, RoleBaseline]:
    return {name: undisturbed(*role, name) for name in SCENARIOS}


def undisturbed(role: Role, kube: Kube, name: str) -> RoleBaseline:
    scenario = SCENARIOS[name]
    prepare(role, kube, name)
    initial, aws_initial = cluster_objects(kube), role.account.facets()
    run = role.run(scenario.spec, scenario.workloads, Patience())
    assert not run.failed, run.screen
    counters = kube.control.counters()
    # The Pods that test the injection are created in dry runs.
    operations = Counter(counters["operations"]) + Counter(counters["dry_run_operations"])
    return RoleBaseline(
        operations, initial, cluster_objects(kube), aws_initial, role.account.facets(), check_statuses(run)
    )


def cells(fault: KubeFault, baseline: Mapping[str, RoleBaseline]) -> list[tuple[str, str, int]]:
    """Return the requests that get the fault: the scenario, the operation, and the request's number among those of the operation.

    With TIER=release, these are all requests, or for lasting faults the first request of each operation in each scenario.
    Otherwise, they are one request of each operation in a sample, which is smaller for ``sampled`` faults.
    """
    by_operation: dict[str, list[tuple[str, str, int]]] = {}
    for name, normal in baseline.items():
        for operation, count in normal.operations.items():
            numbers = range(1, 2 if fault.lasts else count + 1)
            by_operation.setdefault(operation, []).extend((name, operation, number) for number in numbers)
    if THOROUGH:
        return [cell for found in by_operation.values() for cell in found]
    operations = some(by_operation, fault.label, SAMPLING if fault.sampled else SHARE)
    return [
        by_operation[operation][chosen(fault.label, operation, among=len(by_operation[operation]))]
        for operation in operations
    ]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.label)
def test_faults_of_kubernetes_lose_no_object(
    fault: KubeFault,
    part: int,
    role: tuple[Role, Kube],
    baseline: Mapping[str, RoleBaseline],
    record_property: Callable[[str, object], None],
) -> None:
    user, kube = role
    counts: Counter[str] = Counter()
    problems = []
    for name, operation, number in cells(fault, baseline)[part::PARTS]:
        scenario, normal = SCENARIOS[name], baseline[name]
        prepare(user, kube, name)
        kube.control.set_faults([fault.rule(operation, number)])
        run = user.run(scenario.spec, scenario.workloads, IMPATIENT if fault.kind == "stall" else Patience())
        assert kube.control.counters()["faults"], (name, operation, number)
        kube.control.set_faults([])
        counts["runs"] += 1
        try:
            how = check_role_outcome(run, normal, cluster_objects(kube), user.account.facets())
            counts[how] += 1
            assert how == "well" or not fault.passes, run.screen
            user.wait()
            again = user.run(scenario.spec, scenario.workloads, Patience())
            assert not again.failed, again.screen
            assert cluster_objects(kube) == normal.goal, differences(cluster_objects(kube), normal.goal)
            wrong = differences(user.account.facets(), normal.aws_goal)
            assert not wrong, wrong
            counts["converged"] += 1
        except AssertionError as error:
            counts["lost"] += 1
            problems.append(f"{name}, {operation}, {number}: {error}\n    {run.screen}")
    record_property("faults", {"kind": f"Kubernetes: {fault.label}", **counts})
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def writes(baseline: Mapping[str, RoleBaseline], how: signal.Signals) -> list[tuple[str, str]]:
    """Return the scenarios and write operations at which a test ends a run with the signal ``how``.

    With TIER=release, these are all write operations of all scenarios. Otherwise, each operation occurs in one scenario, and gets
    SIGKILL and either SIGTERM or SIGINT, because the latter two have the same handler.
    """
    found = [
        (name, operation)
        for name, normal in baseline.items()
        for operation in normal.operations
        if not operation.startswith(("get ", "list "))
    ]
    if THOROUGH:
        return found
    operations = list({operation: (name, operation) for name, operation in found}.values())
    return {signal.SIGKILL: operations, signal.SIGTERM: operations[::2], signal.SIGINT: operations[1::2]}[how]


@pytest.mark.parametrize("how", SIGNALS, ids=lambda how: how.name)
def test_next_run_completes_killed_role_run(
    how: signal.Signals,
    role: tuple[Role, Kube],
    baseline: Mapping[str, RoleBaseline],
    record_property: Callable[[str, object], None],
) -> None:
    """Send the signal after Kubernetes has executed a request, but before it responds."""
    user, kube = role
    counts: Counter[str] = Counter()
    for name, operation in writes(baseline, how):
        scenario, normal = SCENARIOS[name], baseline[name]
        prepare(user, kube, name)
        kube.control.set_faults(
            [{"operation": operation, "kind": "stall", "nth": 1, "seconds": STALL_SECONDS}]
        )
        counts["runs"] += 1
        kill_when(lambda: bool(kube.control.counters()["faults"]), how, user, scenario)
        kube.control.set_faults([])
        check_cluster(normal, cluster_objects(kube))
        again = user.run(scenario.spec, scenario.workloads, Patience())
        assert not again.failed, again.screen
        assert cluster_objects(kube) == normal.goal, differences(cluster_objects(kube), normal.goal)
        wrong = differences(user.account.facets(), normal.aws_goal)
        assert not wrong, wrong
        counts["converged"] += 1
    record_property("faults", {"kind": f"Kubernetes: {how.name}", **counts})


def kill_when(due: Callable[[], bool], how: signal.Signals, user: Role, scenario: KubeScenario) -> None:
    """Run the role in a process, end it with the signal ``how`` once ``due`` returns true, and wait for its child processes."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # Python warns about a fork in a process with several threads. The child does not use the threads of the clients.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            # Restore the default signal handlers, because worker processes of Ansible have these.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            # The child must not share connections with the parent, so it needs a new role and account.
            Role(Account(user.account.url), user.kubeconfig).run(
                scenario.spec, scenario.workloads, Patience()
            )
        finally:
            os._exit(0)
    os.close(writing)
    ended, pause = False, threading.Event()
    while not ended and not due():
        ended = os.waitpid(child, os.WNOHANG)[0] == child
        pause.wait(0.02)
    assert not ended, "the run ended before it was killed"
    os.kill(child, how)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        # The stream ends when all processes have exited that inherited the other end of the pipe.
        assert stream.read() == b""
