# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that the next run continues a run that ended at any write, and that no Pod loses its credentials in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.migration.estate import CLUSTER
from ansible_collections.workload_identity.aws.tests.migration.harness import Harness, Killed
from ansible_collections.workload_identity.aws.tests.migration.scene import Scene

# With TIER=release the tests end a run before and after every write, otherwise before one write and after another one.
ALL = os.environ.get("TIER") == "release"


def numbers(count: int, moment: str) -> Sequence[int]:
    """Return the numbers of the writes at which the tests end a run. ``count`` is the number of all writes."""
    return range(1, count + 1) if ALL else (count // 3 if moment == "before" else count * 2 // 3,)


def end_at(harness: Harness, number: int, moment: str) -> Callable[[str, str], None]:
    """Return a function that ends the run before or after its write with this number. ``moment`` is "before" or "after"."""

    def end(present: str, _name: str) -> None:
        if len(harness.writes) == number and present == moment:
            raise Killed

    return end


def count_writes(scene: Scene, **options: Any) -> int:
    scene.harness.run(**options)
    return len(scene.harness.writes)


@pytest.mark.parametrize(
    ("moment", "options"), [("before", {"step": "finish"}), ("after", {"rollback": True})]
)
def test_migration_continues_or_returns(
    new_scene: Callable[..., Scene], moment: str, options: dict[str, Any]
) -> None:
    """The state after a write is also the state before the next one, so each state is continued and rolled back."""
    scene = new_scene(0)
    start = scene.estate.snapshot()
    count = count_writes(scene, step="finish")
    expected = start if "rollback" in options else scene.estate.snapshot()
    for number in numbers(count, moment):
        scene = new_scene(0)
        with pytest.raises(Killed):
            scene.harness.run(end_at(scene.harness, number, moment), step="finish")
        scene.oracle.check(f"a run that ended {moment} write {number} ({scene.harness.writes[-1]})")
        report = scene.harness.run(**options)
        assert report.waiting == {}
        scene.oracle.check("the next run", is_final=True)
        assert scene.oracle.problems == []
        assert _comparable(scene.estate.snapshot()) == _comparable(expected)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_rollback_continues(new_scene: Callable[..., Scene], moment: str) -> None:
    scene = new_scene(0)
    start = scene.estate.snapshot()
    scene.harness.run(step="finish")
    count = count_writes(scene, rollback=True)
    for number in numbers(count, moment):
        scene = new_scene(0)
        scene.harness.run(step="finish")
        scene.oracle.check("the step finish")
        with pytest.raises(Killed):
            scene.harness.run(end_at(scene.harness, number, moment), rollback=True)
        scene.oracle.check(f"a rollback that ended {moment} write {number} ({scene.harness.writes[-1]})")
        scene.harness.run(rollback=True)
        scene.oracle.check("the next rollback", is_final=True)
        assert scene.oracle.problems == []
        assert scene.estate.snapshot() == start


@pytest.mark.release
@pytest.mark.parametrize("is_back", [False, True])
def test_interrupted_playbook(new_scene: Callable[..., Scene], is_back: bool) -> None:
    """Send SIGINT to the playbook, as Ctrl-C does, after its first change of an association."""
    scene = new_scene(1)
    start = scene.estate.snapshot()
    if is_back:
        scene.harness.run(step="finish")
    scene.oracle.check("the start")
    associations = scene.estate.snapshot()["associations"]
    options = {"step": "rollback" if is_back else "finish", "soak": 0, "observe": 2}
    variables = {f"pod_identity_migration_{name}": value for name, value in options.items()}
    command = (Path(sys.executable).with_name("ansible-playbook"), "workload_identity.aws.migrate", "-e")
    playbook = subprocess.Popen(
        [*command, json.dumps({"pod_identity_cluster_name": CLUSTER, **variables})],
        env={**os.environ, **scene.environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while scene.estate.snapshot()["associations"] == associations and playbook.poll() is None:
        time.sleep(0.1)
    os.killpg(playbook.pid, signal.SIGINT)
    output, _errors = playbook.communicate(timeout=120)
    assert ": interrupted (" in output
    scene.oracle.check("the interrupt")
    for following in ({"step": "finish"}, {"rollback": True})[is_back:]:
        assert scene.harness.run(**following).stopped == ""
        scene.oracle.check(f"a run with {following}", is_final=True)
    assert scene.oracle.problems == []
    assert scene.estate.snapshot() == start


def _comparable(snapshot: dict[str, Any]) -> dict[str, Any]:
    """Return a snapshot without the values and numbers of role tags: a repeated run may divide a record into other values."""
    roles = {
        name: {**role, "tags": sorted(tag["Key"].rpartition(".")[0] for tag in role["tags"])}
        for name, role in snapshot["roles"].items()
    }
    return {**snapshot, "roles": roles}
