# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the progress file says while a run goes on."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import clusters_of
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.progress import (
    NullProgress,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.progress import (
    PAUSE,
    FileProgress,
    progress_to,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    REGION,
    cluster_name,
    desired,
    wait_policy,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)

DENIED = classify("x", "AccessDenied", "User is not authorized")


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds


def test_the_file_says_how_many_are_done_of_how_many(tmp_path: Path) -> None:
    path, clock = tmp_path / "progress", Clock()
    progress = FileProgress(str(path), clock.now)
    progress.expect("policy", 3)
    assert json.loads(path.read_text()) == {"policy": [0, 3]}
    progress.done("policy")
    assert json.loads(path.read_text()) == {"policy": [0, 3]}
    clock.seconds = PAUSE
    progress.done("policy")
    assert json.loads(path.read_text()) == {"policy": [2, 3]}
    assert [one.name for one in tmp_path.iterdir()] == ["progress"]


def test_more_than_expected_may_be_done(tmp_path: Path) -> None:
    path, clock = tmp_path / "progress", Clock()
    progress = FileProgress(str(path), clock.now)
    for second in range(1, 4):
        clock.seconds = second
        progress.done("read")
    assert json.loads(path.read_text()) == {"read": [3, 3]}


def test_threads_lose_no_count(tmp_path: Path) -> None:
    path, clock = tmp_path / "progress", Clock()
    progress = FileProgress(str(path), clock.now)
    threads = [threading.Thread(target=lambda: [progress.done("role") for _ in range(200)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.seconds = 1
    progress.expect("role", 0)
    assert json.loads(path.read_text()) == {"role": [1600, 1600]}


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    FileProgress(str(tmp_path / "gone" / "progress")).done("role")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["file", "link", "link that leads nowhere", "folder"])
def test_what_is_at_the_path_already_is_another_s(tmp_path: Path, there: str) -> None:
    path, target = tmp_path / "progress", tmp_path / "target"
    if there != "link that leads nowhere":
        target.write_text("another's")
    if there == "file":
        path.write_text("another's")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(target)
    with pytest.raises(InputError) as caught:
        progress_to(str(path))
    assert list(caught.value.problems) == [
        f"progress_file {path}: is there already, and the module writes into no file of another. Remove it, or "
        "give the path of one that it can make."
    ]
    assert (target.read_text() if target.exists() else None) == (
        None if there == "link that leads nowhere" else "another's"
    )
    assert path.is_symlink() == there.startswith("link")


def test_the_file_is_for_its_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        progress, path = FileProgress(str(tmp_path / "progress")), tmp_path / "progress"
        modes = [path.stat().st_mode & 0o777]
        progress.done("role")
    finally:
        os.umask(before)
    assert [*modes, path.stat().st_mode & 0o777] == [0o600, 0o600]


def test_no_link_in_the_place_of_the_scratch_is_followed(tmp_path: Path) -> None:
    path, target = tmp_path / "progress", tmp_path / "target"
    target.write_text("another's")
    progress = FileProgress(str(path))
    (tmp_path / "progress.new").symlink_to(target)
    progress.done("role")
    assert target.read_text() == "another's"
    assert path.read_text() == ""


def test_no_link_that_took_the_place_of_the_file_is_followed(tmp_path: Path) -> None:
    path, target = tmp_path / "progress", tmp_path / "target"
    target.write_text("another's")
    progress = FileProgress(str(path))
    path.unlink()
    path.symlink_to(target)
    progress.done("role")
    assert target.read_text() == "another's"
    assert json.loads(path.read_text()) == {"role": [1, 1]}


def test_without_a_file_nothing_is_told() -> None:
    assert isinstance(progress_to(None), NullProgress)
    assert isinstance(progress_to(""), NullProgress)


class Tally:
    """Keeps all that it is told."""

    def __init__(self) -> None:
        self.expected: Counter[str] = Counter()
        self.finished: Counter[str] = Counter()

    def expect(self, stage: str, number: int) -> None:
        self.expected[stage] += number

    def done(self, stage: str) -> None:
        self.finished[stage] += 1


def test_a_run_tells_of_every_change_and_every_association_that_it_reads() -> None:
    aws, tally = FakeAws(), Tally()
    wanted = desired(*(workload(service_account=f"app-{number}") for number in range(5)))
    engine = Engine(
        aws, clusters_of(find_cluster(aws, cluster_name(wanted), REGION)), 4, wait_policy(), tally
    )
    engine.observe_after(engine.run(wanted, "present", check_mode=False))
    assert tally.finished["association"] == 5
    assert tally.finished["verify"] >= 5
    for resource in ("policy", "role", "attachment", "association"):
        assert tally.finished[resource] == tally.expected[resource], resource


def test_what_fails_is_done_too() -> None:
    aws, tally = FakeAws(), Tally()
    aws.fail_on("iam:CreatePolicy", DENIED)
    wanted = desired(workload())
    engine = Engine(
        aws, clusters_of(find_cluster(aws, cluster_name(wanted), REGION)), 1, wait_policy(), tally
    )
    assert engine.run(wanted, "present", check_mode=False).failures
    for resource in ("policy", "role", "attachment", "association"):
        assert tally.finished[resource] == tally.expected[resource] == 1, resource
