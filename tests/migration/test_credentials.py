# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that every Pod gets credentials after each write of a migration and of its rollback.

With TIER=release in the environment, there are 60 service accounts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.migration.estate import (
    CI,
    OTHER_HOST,
    delete_association,
)
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene

# The number of ordinary service accounts, in addition to the 30 of ``Estate.build`` and ``Estate.build_further``.
ALL = os.environ.get("TIER") == "release"
ORDINARY = 30 if ALL else 2
# The number of service accounts whose Pods are replaced together.
BATCH = 5


def stages(report: Any) -> dict[str, str]:
    return {str(migrant.key): migrant.stage for migrant in report.migrants}


def groups(report: Any) -> dict[str, list[str]]:
    return {group.name: [str(migrant.key) for migrant in group.migrants] for group in report.groups}


def restarts(report: Any) -> set[str]:
    return {change for change in report.changes if change.startswith("restart ")}


def test_no_pod_loses_its_credentials(new_scene: Callable[..., Scene]) -> None:
    scene = new_scene(ORDINARY, further=True)
    estate, harness, check = scene.estate, scene.harness, scene.checking()
    assert len(estate.members) == ORDINARY + 30
    start = estate.snapshot()
    scene.oracle.check("the start")
    assert scene.oracle.problems == []
    migrating = {str(member) for member in estate.members if member.migrates}
    moving = {str(member) for member in estate.members if member.migrates and member.moves}
    for step, stage in (("restart", "restarted"), ("finish", "finished")):
        plan = harness.run(step=step, batch=BATCH, check_mode=True)
        run = harness.run(check, step=step, batch=BATCH)
        assert scene.oracle.problems == []
        found = stages(run)
        assert {name for name in found if found[name] == stage} == moving
        assert {name for name in found if found[name] == "associated"} == migrating - moving
        assert {str(key): value for key, value in plan.expected.items()} == found
        assert (groups(plan), restarts(plan)) == (groups(run), restarts(run))
        assert "shop/bare" in run.failure
        assert run.stopped == ""
    assert_untouched(scene, start, migrating, moving)
    plan = harness.run(rollback=True, batch=BATCH, check_mode=True)
    back = harness.run(check, rollback=True, batch=BATCH)
    scene.oracle.check("the rollback", is_final=True)
    assert scene.oracle.problems == []
    assert (groups(plan), restarts(plan)) == (groups(back), restarts(back))
    assert set(stages(back).values()) == {"irsa"}
    assert back.failure == ""
    assert estate.snapshot() == start


@pytest.mark.release
@pytest.mark.parametrize("is_deleted", [False, True])
def test_late_webhook(new_scene: Callable[..., Scene], is_deleted: bool) -> None:
    """Delete the associations by hand after the step finish, too: the Pods have lost their access, and regain it."""
    scene = new_scene(1)
    start = scene.estate.snapshot()
    scene.oracle.check("the start")
    scene.delay_webhook(45)
    for step in ("restart", "finish"):
        scene.harness.run(scene.checking(), step=step, batch=BATCH, observe=60)
    assert (scene.oracle.problems, scene.oracle.windows) == ([], [])
    if is_deleted:
        for name in scene.estate.snapshot()["associations"]:
            delete_association(scene.estate, name.partition("/")[2])
        assert scene.late is not None
        scene.late.note()
        found = scene.harness.run(step="inventory")
        assert {finding.code.value for finding in found.all_findings} >= {"ASSOCIATION_MISSING"}
        back = scene.harness.run(rollback=True, batch=BATCH, observe=60)
    else:
        back = scene.harness.run(scene.checking(), rollback=True, batch=BATCH, observe=60)
        assert scene.oracle.windows
    scene.oracle.check("the rollback", is_final=True)
    assert scene.oracle.problems == []
    assert back.failure == ""
    assert scene.estate.snapshot() == start


def assert_untouched(scene: Scene, start: dict[str, Any], migrating: set[str], finished: set[str]) -> None:
    """Check that a migration has removed only the IRSA annotations, and the statements that only its service accounts need."""
    estate, now = scene.estate, scene.estate.snapshot()
    for name, item in start["accounts"].items():
        annotations = item["metadata"].get("annotations", {})
        if name in finished:
            annotations = {
                key: value for key, value in annotations.items() if key != "eks.amazonaws.com/role-arn"
            }
        metadata = {**item["metadata"], **({"annotations": annotations} if annotations else {})}
        assert now["accounts"][name] == {**item, "metadata": metadata}
    shared = estate.trust("shared")
    original = json.loads(start["roles"]["shared"]["trust"])["Statement"]
    assert [OTHER_HOST in json.dumps(entry) for entry in shared] == [True, False, False]
    assert shared[:2] == [original[0], original[2]]
    assert CI in json.dumps(shared[1])
    assert shared[2]["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    # The migration keeps these statements: a service account still uses IRSA, or others may match the pattern.
    for name in ("addon", "pattern", "own", "far"):
        original = json.loads(start["roles"][name]["trust"])["Statement"]
        assert estate.trust(name)[: len(original)] == original
    assert now["roles"]["target"] == start["roles"]["target"]
    assert now["associations"] == sorted(migrating)
