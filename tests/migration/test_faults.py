# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test denied and throttled requests of a migration and of its rollback.

After each write, every Pod gets credentials. A run with denied requests fails and names them, and the next run completes it. With
TIER=release in the environment, the tests deny and throttle each kind of write, otherwise a few.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene

ONLY = ("shop/app-00", "shop/one", "shop/two")
STEP = 1 if os.environ.get("TIER") == "release" else 4
DENIED = [
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
    "eks:CreatePodIdentityAssociation",
    "patch deployments",
    "patch serviceaccounts",
]
DENIED_BACK = [
    "iam:UntagRole",
    "iam:UpdateAssumeRolePolicy",
    "eks:DeletePodIdentityAssociation",
    "patch statefulsets",
    "patch serviceaccounts",
]
THROTTLED = ["iam:*", "eks:*", "patch *"]


def fail(scene: Scene, operation: str, kind: str, **rule: int) -> None:
    control = scene.kube if " " in operation else scene.aws
    control.set_faults([{"operation": operation, "kind": kind, **rule}])


def recover(scene: Scene) -> None:
    scene.aws.set_faults([])
    scene.kube.set_faults([])


@pytest.mark.parametrize(
    ("operation", "is_back"),
    [
        *((operation, False) for operation in DENIED[STEP - 1 :: STEP]),
        *((operation, True) for operation in DENIED_BACK[::STEP]),
    ],
)
def test_denied_requests(new_scene: Callable[..., Scene], operation: str, is_back: bool) -> None:
    scene = new_scene(1)
    start = scene.estate.snapshot()
    if is_back:
        scene.harness.run(step="finish", only=ONLY)
    scene.oracle.check("the start")
    options = {"rollback": True} if is_back else {"step": "finish"}
    fail(scene, operation, "access_denied")
    failed = scene.harness.run(scene.checking(), only=ONLY, batch=1, **options)
    assert scene.oracle.problems == []
    assert failed.failures
    assert failed.failure
    recover(scene)
    done = scene.harness.run(scene.checking(), only=ONLY, batch=1, **options)
    scene.oracle.check("the next run", is_final=True)
    assert (scene.oracle.problems, done.failure) == ([], "")
    scene.harness.run(rollback=True)
    assert scene.estate.snapshot() == start


@pytest.mark.parametrize("operation", THROTTLED[:: 2 * STEP - 1])
def test_throttled_requests_are_repeated(new_scene: Callable[..., Scene], operation: str) -> None:
    scene = new_scene(1)
    start = scene.estate.snapshot()
    scene.oracle.check("the start")
    for options in ({"step": "finish"}, {"rollback": True}):
        fail(scene, operation, "throttle", every=9)
        done = scene.harness.run(only=ONLY, batch=1, **options)
        recover(scene)
        scene.oracle.check(f"a run with {options}", is_final=True)
        assert (scene.oracle.problems, done.failure) == ([], "")
    assert scene.estate.snapshot() == start
