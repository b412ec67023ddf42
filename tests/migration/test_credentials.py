# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that every Pod gets credentials after each write of a migration and of its rollback.

With MIGRATION=all in the environment, there are 60 ordinary service accounts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.migration.estate import CI, OTHER_HOST
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene

SPECIAL = 13
ACCOUNTS = 60 if os.environ.get("MIGRATION") == "all" else 18


def checking(scene: Scene) -> Callable[[str, str], None]:
    def check(moment: str, name: str) -> None:
        if moment == "after":
            scene.oracle.check(name)

    return check


def stages(report: Any) -> dict[str, str]:
    return {str(migrant.key): migrant.stage for migrant in report.migrants}


def test_no_pod_loses_its_credentials(new_scene: Callable[[int], Scene]) -> None:
    scene = new_scene(ACCOUNTS - SPECIAL)
    estate, harness = scene.estate, scene.harness
    assert len(estate.members) == ACCOUNTS
    start = estate.snapshot()
    scene.oracle.check("the start")
    assert scene.oracle.problems == []
    restarted = harness.run(checking(scene), step="restart")
    assert scene.oracle.problems == []
    migrating = {str(member) for member in estate.members if member.migrates}
    assert {name for name, stage in stages(restarted).items() if stage == "restarted"} == migrating
    finished = harness.run(checking(scene), step="finish")
    assert scene.oracle.problems == []
    assert {name for name, stage in stages(finished).items() if stage == "finished"} == migrating
    assert_untouched(scene, start, migrating)
    back = harness.run(checking(scene), rollback=True)
    assert scene.oracle.problems == []
    assert set(stages(back).values()) == {"irsa"}
    assert estate.snapshot() == start


def assert_untouched(scene: Scene, start: dict[str, Any], migrating: set[str]) -> None:
    """Check that a migration has removed only the IRSA annotations, and the statements that only its service accounts need."""
    estate, now = scene.estate, scene.estate.snapshot()
    for name, item in start["accounts"].items():
        annotations = item["metadata"].get("annotations", {})
        if name in migrating:
            left_out = ("eks.amazonaws.com/role-arn",)
            annotations = {key: value for key, value in annotations.items() if key not in left_out}
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


def test_obstacles_are_named(new_scene: Callable[[int], Scene]) -> None:
    scene = new_scene(0)
    report = scene.harness.run(step="inventory")
    assert scene.harness.writes == []
    codes = {
        str(migrant.key): [finding.code.value for finding in migrant.blockers] for migrant in report.migrants
    }
    assert {name: found for name, found in codes.items() if found} == {
        "shop/addon": ["MIGRATION_ADDON"],
        "shop/far": ["ASSOCIATION_WOULD_BREAK"],
        "shop/foreign": ["MIGRATION_ROLE_NOT_USABLE"],
        "shop/intruder": ["MIGRATION_NOT_TRUSTED"],
        "shop/own": ["MIGRATION_OWN_VARIABLES"],
    }
    notes = {
        (str(finding.workload), finding.code.value)
        for migrant in report.migrants
        for finding in migrant.notes
    }
    assert {
        ("shop/helm", "MIGRATION_MANAGED_ELSEWHERE"),
        ("shop/chain", "MIGRATION_SESSION_TAGS_OFF"),
    } <= notes
    assert report.failure == ""


def test_repeated_run_has_no_changes(new_scene: Callable[[int], Scene]) -> None:
    scene = new_scene(1)
    planned = scene.harness.run(check_mode=True, step="restart")
    assert scene.harness.writes == [name for name in scene.harness.writes if name.startswith("patch")]
    assert [change for change in planned.changes if "association" in change]
    start = scene.estate.snapshot()
    assert start["associations"] == []
    for step in ("associate", "restart", "finish"):
        first = scene.harness.run(step=step)
        assert first.changes
        again = scene.harness.run(step=step)
        assert again.changes == []
        assert stages(again) == stages(first)
    scene.harness.run(rollback=True)
    assert scene.harness.run(rollback=True).changes == []
    assert scene.estate.snapshot() == start


@pytest.mark.parametrize("step", ["associate", "restart", "finish"])
def test_rollback_from_each_step(new_scene: Callable[[int], Scene], step: str) -> None:
    scene = new_scene(1)
    start = scene.estate.snapshot()
    scene.harness.run(step=step)
    assert scene.estate.snapshot() != start
    scene.harness.run(checking(scene), rollback=True)
    assert scene.oracle.problems == []
    assert scene.estate.snapshot() == start
