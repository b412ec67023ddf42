# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every request to Kubernetes of a use of the role, disturbed in every way: nothing is lost, and the next use completes it."""

from __future__ import annotations

import base64
import os
import signal
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.faults.harness import Account, Asked, differences
from ansible_collections.workload_identity.aws.tests.faults.kube_outcome import (
    UsualRole,
    check_cluster,
    check_role_outcome,
    statuses_of,
)
from ansible_collections.workload_identity.aws.tests.faults.kube_world import (
    SCENARIOS,
    KubeScenario,
    accounts_of,
    furnish,
)
from ansible_collections.workload_identity.aws.tests.faults.role import Patience, Role
from ansible_collections.workload_identity.aws.tests.faults.sampling import THOROUGH, chosen, some
from ansible_collections.workload_identity.aws.tests.faults.world import desired
from ansible_collections.workload_identity.aws.tests.findings.cluster import TOKEN, Kube
from ansible_collections.workload_identity.aws.tests.findings.conftest import serving
from sandbox.kube.kubeconfig import write_kubeconfig

# The answer of a stalled request begins after so many seconds; it is given up before.
STALL_SECONDS = 2.5
IMPATIENT = Patience(read=0.4, answer=1.5)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
PARTS = 4 if THOROUGH else 1
ALIKE = 6


@dataclass(frozen=True)
class KubeFault:
    """``kind`` is the sandbox's. It strikes one request, or with ``lasts`` all of its operation.

    The short form of the suite meets those that are ``alike`` another one at a part of the operations.
    """

    label: str
    kind: str
    passes: bool = False
    lasts: bool = False
    alike: bool = False

    def rule(self, operation: str, number: int) -> dict[str, Any]:
        rule: dict[str, Any] = {"operation": operation, "kind": self.kind}
        if self.kind == "stall":
            rule["seconds"] = STALL_SECONDS
        return rule if self.lasts else {**rule, "nth": number}


FAULTS = (
    KubeFault("429 once", "throttle", passes=True),
    KubeFault("500", "error500", passes=True, alike=True),
    KubeFault("503", "error503", passes=True, alike=True),
    KubeFault("dropped before it took effect", "reset_before"),
    KubeFault("answer lost", "reset_after"),
    KubeFault("answer stalls", "stall"),
    KubeFault("web page with 200", "html200", alike=True),
    KubeFault("nothing with 200", "empty200", alike=True),
    KubeFault("404", "not_found"),
    KubeFault("409", "conflict"),
    KubeFault("403", "access_denied"),
    KubeFault("429 to the end", "throttle", lasts=True, alike=True),
    KubeFault("500 to the end", "error500", lasts=True, alike=True),
    KubeFault("dropped to the end", "reset_before", lasts=True, alike=True),
    KubeFault("answers lost to the end", "reset_after", lasts=True, alike=True),
    KubeFault("answers stall to the end", "stall", lasts=True, alike=True),
    KubeFault("web page to the end", "html200", lasts=True, alike=True),
)


@pytest.fixture(scope="session")
def role(shared_account: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Role, Kube]]:
    folder = tmp_path_factory.mktemp("kube")
    options = ("--cert-dir", str(folder), "--token", TOKEN, "--pod-identity-webhook")
    with serving("sandbox.kube", *options) as address:
        authority = folder / "ca.crt"
        write_kubeconfig(folder / "kubeconfig", address, authority.read_text("ascii"), TOKEN)
        data = base64.b64encode(authority.read_bytes()).decode()
        shared_account.control.set_kubernetes(address, data)
        kube = Kube(address, authority, folder / "kubeconfig")
        yield Role(shared_account, kube.kubeconfig), kube


def prepare(role: Role, kube: Kube, name: str) -> None:
    """Bring account and cluster to where a use of the role starts."""
    role.wait()
    if role.account.restored(f"cluster, {name}"):
        kube.control.restore(name)
        return
    role.account.clean()
    kube.control.reset()
    furnish(kube)
    first = SCENARIOS[name].first
    if first:
        run = role.run(Asked(desired(*first)), first, Patience())
        assert not run.failed, run.shown
    kube.control.reset_counters()
    kube.control.save(name)
    role.account.keep(f"cluster, {name}")


@pytest.fixture(scope="session")
def usual(role: tuple[Role, Kube]) -> Mapping[str, UsualRole]:
    return {name: undisturbed(*role, name) for name in SCENARIOS}


def undisturbed(role: Role, kube: Kube, name: str) -> UsualRole:
    scenario = SCENARIOS[name]
    prepare(role, kube, name)
    before, aws_before = accounts_of(kube), role.account.facets()
    run = role.run(scenario.asked, scenario.workloads, Patience())
    assert not run.failed, run.shown
    counters = kube.control.counters()
    # The Pods of the injection probe are dry runs.
    operations = Counter(counters["operations"]) + Counter(counters["dry_run_operations"])
    return UsualRole(
        operations, before, accounts_of(kube), aws_before, role.account.facets(), statuses_of(run)
    )


def cells(fault: KubeFault, usual: Mapping[str, UsualRole]) -> list[tuple[str, str, int]]:
    """Scenarios, operations, and which request of the operation. The short form takes each operation once, in one of
    the scenarios; of the faults that are like others, it meets some, at least one."""
    by_operation: dict[str, list[tuple[str, str, int]]] = {}
    for name, normal in usual.items():
        for operation, count in normal.operations.items():
            numbers = range(1, 2 if fault.lasts else count + 1)
            by_operation.setdefault(operation, []).extend((name, operation, number) for number in numbers)
    if THOROUGH:
        return [cell for found in by_operation.values() for cell in found]
    operations = some(by_operation, fault.label, ALIKE if fault.alike else 1)
    return [
        by_operation[operation][chosen(fault.label, operation, among=len(by_operation[operation]))]
        for operation in operations
    ]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.label)
def test_a_disturbed_use_of_the_role_loses_nothing(
    fault: KubeFault,
    part: int,
    role: tuple[Role, Kube],
    usual: Mapping[str, UsualRole],
    record_property: Callable[[str, object], None],
) -> None:
    user, kube = role
    counts: Counter[str] = Counter()
    problems = []
    for name, operation, number in cells(fault, usual)[part::PARTS]:
        scenario, normal = SCENARIOS[name], usual[name]
        prepare(user, kube, name)
        kube.control.set_faults([fault.rule(operation, number)])
        run = user.run(scenario.asked, scenario.workloads, IMPATIENT if fault.kind == "stall" else Patience())
        assert kube.control.counters()["faults"], (name, operation, number)
        kube.control.set_faults([])
        counts["runs"] += 1
        try:
            how = check_role_outcome(run, normal, accounts_of(kube), user.account.facets())
            counts[how] += 1
            assert how == "well" or not fault.passes, run.shown
            user.wait()
            again = user.run(scenario.asked, scenario.workloads, Patience())
            assert not again.failed, again.shown
            assert accounts_of(kube) == normal.goal, differences(accounts_of(kube), normal.goal)
            wrong = differences(user.account.facets(), normal.aws_goal)
            assert not wrong, wrong
            counts["converged"] += 1
        except AssertionError as error:
            counts["lost"] += 1
            problems.append(f"{name}, {operation}, {number}: {error}\n    {run.shown}")
    record_property("faults", {"kind": f"Kubernetes: {fault.label}", **counts})
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


def writes(usual: Mapping[str, UsualRole], how: signal.Signals) -> list[tuple[str, str]]:
    """Tasks and the kinds of request in them that are no reads. The short form takes each kind in one of the tasks;
    SIGTERM and SIGINT share them, as they are handled alike."""
    found = [
        (name, operation)
        for name, normal in usual.items()
        for operation in normal.operations
        if not operation.startswith(("get ", "list "))
    ]
    if THOROUGH:
        return found
    once = list({operation: (name, operation) for name, operation in found}.values())
    return {signal.SIGKILL: once, signal.SIGTERM: once[::2], signal.SIGINT: once[1::2]}[how]


@pytest.mark.parametrize("how", SIGNALS, ids=lambda how: how.name)
def test_a_killed_use_of_the_role_is_completed_by_the_next(
    how: signal.Signals,
    role: tuple[Role, Kube],
    usual: Mapping[str, UsualRole],
    record_property: Callable[[str, object], None],
) -> None:
    """A signal once Kubernetes has done what it was asked for, and before it answers."""
    user, kube = role
    counts: Counter[str] = Counter()
    for name, operation in writes(usual, how):
        scenario, normal = SCENARIOS[name], usual[name]
        prepare(user, kube, name)
        kube.control.set_faults(
            [{"operation": operation, "kind": "stall", "nth": 1, "seconds": STALL_SECONDS}]
        )
        counts["runs"] += 1
        kill_when(lambda: bool(kube.control.counters()["faults"]), how, user, scenario)
        kube.control.set_faults([])
        check_cluster(normal, accounts_of(kube))
        again = user.run(scenario.asked, scenario.workloads, Patience())
        assert not again.failed, again.shown
        assert accounts_of(kube) == normal.goal, differences(accounts_of(kube), normal.goal)
        wrong = differences(user.account.facets(), normal.aws_goal)
        assert not wrong, wrong
        counts["converged"] += 1
    record_property("faults", {"kind": f"Kubernetes: {how.name}", **counts})


def kill_when(due: Callable[[], bool], how: signal.Signals, user: Role, scenario: KubeScenario) -> None:
    """Begin a use of the role in a process, end it, and wait for what it began."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # The threads of clients do nothing that the child needs.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            # As Ansible's workers have them.
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            # Connections of its own.
            Role(Account(user.account.url), user.kubeconfig).run(
                scenario.asked, scenario.workloads, Patience()
            )
        finally:
            os._exit(0)
    os.close(writing)
    ended, pause = False, threading.Event()
    while not ended and not due():
        ended = os.waitpid(child, os.WNOHANG)[0] == child
        pause.wait(0.02)
    assert not ended, "it ended before it was killed"
    os.kill(child, how)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as stream:
        # The last process that has the other end closes it.
        assert stream.read() == b""
