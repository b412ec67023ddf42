# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that take their time to end, and namespaces that do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sandbox.kube.patch import MERGE
from sandbox.kube.resources import resource_table
from sandbox.kube.termination import Due, Termination

SPACE = "/api/v1/namespaces/default"
PODS = f"{SPACE}/pods"
POD = f"{PODS}/p"
CONTAINERS = [{"name": "c", "image": "i"}]


class Hands:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hands(kube: Any) -> Hands:
    """A cluster where Pods take 5 seconds to end, and namespaces 3."""
    clock = Hands()
    kube.cluster.deleter = type(kube.cluster.deleter)(kube.store, resource_table(), Due(clock))
    kube.cluster.deleter.termination = Termination(5, 3)
    return clock


def make_pod(kube: Any, path: str = PODS, **spec: Any) -> dict[str, Any]:
    code, pod = kube(
        "POST", path, {"metadata": {"name": "p"}, "spec": {"nodeName": "n", "containers": CONTAINERS, **spec}}
    )
    assert code == 201, pod
    found: dict[str, Any] = pod
    return found


def pass_time(kube: Any, hands: Hands, seconds: float) -> None:
    hands.now += seconds
    kube.settle()


def test_a_pod_on_a_node_ends_after_its_time(kube: Any, hands: Hands) -> None:
    make_pod(kube)
    code, pod = kube("DELETE", POD)
    meta = pod["metadata"]
    # The time of its deletion is that of the end of its grace period.
    assert (code, meta["deletionTimestamp"], meta["deletionGracePeriodSeconds"]) == (
        200,
        "2026-01-02T03:04:35Z",
        30,
    )
    pass_time(kube, hands, 4.9)
    assert kube("GET", POD) == (200, pod)
    assert kube.cluster.deleter.wait() == pytest.approx(0.1)
    pass_time(kube, hands, 0.2)
    assert kube("GET", POD)[0] == 404
    assert kube.cluster.deleter.wait() is None


@pytest.mark.usefixtures("hands")
def test_a_status_that_comes_meanwhile_does_not_end_it(kube: Any) -> None:
    make_pod(kube)
    kube("DELETE", POD)
    assert kube("PATCH", f"{POD}/status", {"status": {"phase": "Running"}}, content_type=MERGE)[0] == 200
    assert kube("GET", POD)[0] == 200


@pytest.mark.parametrize(
    ("grace", "seconds"),
    [
        pytest.param({"terminationGracePeriodSeconds": 2}, 2, id="its own"),
        pytest.param({"terminationGracePeriodSeconds": 20}, 5, id="longer than it takes"),
    ],
)
def test_it_ends_with_its_grace_period_at_the_latest(
    kube: Any, hands: Hands, grace: dict[str, int], seconds: int
) -> None:
    make_pod(kube, **grace)
    kube("DELETE", POD)
    pass_time(kube, hands, seconds - 0.1)
    assert kube("GET", POD)[0] == 200
    pass_time(kube, hands, 0.2)
    assert kube("GET", POD)[0] == 404


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda kube: kube("DELETE", POD, {"gracePeriodSeconds": 0}), id="by force"),
        pytest.param(lambda kube: kube("DELETE", POD, query={"gracePeriodSeconds": "0"}), id="in the query"),
    ],
)
def test_without_grace_it_goes_at_once(kube: Any, hands: Hands, before: Callable[[Any], Any]) -> None:
    make_pod(kube)
    kube("DELETE", POD)
    assert kube("GET", POD)[0] == 200
    before(kube)
    assert kube("GET", POD)[0] == 404
    # Another one of that name has nothing of the old one's end.
    make_pod(kube)
    pass_time(kube, hands, 60)
    assert kube("GET", POD)[0] == 200


def test_a_pod_that_has_ended_or_that_no_node_has_goes_at_once(kube: Any, hands: Hands) -> None:
    assert hands.now == 100.0
    make_pod(kube)
    kube("PATCH", f"{POD}/status", {"status": {"phase": "Succeeded"}}, content_type=MERGE)
    kube("DELETE", POD)
    assert kube("GET", POD)[0] == 404
    make_pod(kube, nodeName="")
    kube("DELETE", POD)
    assert kube("GET", POD)[0] == 404


def test_a_period_may_be_made_shorter_and_not_longer(kube: Any, hands: Hands) -> None:
    make_pod(kube)
    kube("DELETE", POD, {"gracePeriodSeconds": 10})
    longer = kube("DELETE", POD, {"gracePeriodSeconds": 60})[1]["metadata"]
    assert longer["deletionGracePeriodSeconds"] == 10
    shorter = kube("DELETE", POD, {"gracePeriodSeconds": 1})[1]["metadata"]
    assert (shorter["deletionGracePeriodSeconds"], shorter["deletionTimestamp"]) == (
        1,
        "2026-01-02T03:04:06Z",
    )
    pass_time(kube, hands, 1.1)
    assert kube("GET", POD)[0] == 404


def test_a_finalizer_keeps_it_beyond_its_end(kube: Any, hands: Hands) -> None:
    make_pod(kube)
    kube("PATCH", POD, {"metadata": {"finalizers": ["example.com/x"]}}, content_type=MERGE)
    kube("DELETE", POD)
    pass_time(kube, hands, 6)
    assert kube("GET", POD)[1]["metadata"]["deletionGracePeriodSeconds"] == 0
    kube("PATCH", POD, {"metadata": {"finalizers": []}}, content_type=MERGE)
    assert kube("GET", POD)[0] == 404


def test_a_namespace_is_terminating_for_a_moment_and_waits_for_its_pods(kube: Any, hands: Hands) -> None:
    space = "/api/v1/namespaces/shop"
    kube("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    make_pod(kube, f"{space}/pods")
    assert kube("DELETE", space)[1]["status"] == {"phase": "Terminating"}
    pass_time(kube, hands, 2.9)
    assert kube("GET", f"{space}/serviceaccounts/default")[0] == 200
    code, refusal = kube("POST", f"{space}/serviceaccounts", {"metadata": {"name": "late"}})
    assert (code, refusal["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    pass_time(kube, hands, 0.2)
    assert kube("GET", f"{space}/serviceaccounts/default")[0] == 404
    assert kube("GET", space)[1]["status"] == {"phase": "Terminating"}
    pass_time(kube, hands, 5.1)
    assert kube("GET", f"{space}/pods/p")[0] == 404
    assert kube("GET", space)[0] == 404


def test_a_namespace_whose_deletion_is_asked_again_does_not_go_earlier(kube: Any, hands: Hands) -> None:
    space = "/api/v1/namespaces/shop"
    kube("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
    kube("DELETE", space)
    pass_time(kube, hands, 1)
    kube("DELETE", space)
    kube.settle()
    assert kube("GET", space)[0] == 200
    pass_time(kube, hands, 2.1)
    assert kube("GET", space)[0] == 404


@pytest.mark.parametrize("grace", ["soon", [1]])
def test_a_grace_period_that_is_no_number_is_refused(kube: Any, grace: Any) -> None:
    make_pod(kube)
    assert kube("DELETE", POD, {"gracePeriodSeconds": grace})[0] == 400
