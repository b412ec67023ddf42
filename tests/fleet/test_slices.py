# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Slices at the same time, here and over what execution nodes speak, beside one run of the same fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import Place, Raw, Scene, scene, workload
from ansible_collections.workload_identity.aws.tests.fleet.slices import (
    parts,
    start_elsewhere,
    start_here,
)

HERE, THERE = "111122223333", "444455556666"
WEST, MIDDLE = "us-west-2", "eu-central-1"
# Dealt out to two slices, both accounts are in both.
PLACES = (
    Place("blue", "prod", HERE, WEST),
    Place("green", "prod", HERE, MIDDLE),
    Place("red", "red", THERE, WEST),
    Place("violet", "violet", THERE, MIDDLE),
)
READS = ("iam:Get", "iam:List", "eks:Describe", "eks:List", "sts:")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("slices"), PLACES) as ready:
        ready.variables = {
            "pod_identity_workloads": [
                workload(name, f"{name}-{{{{ inventory_hostname }}}}") for name in ("api", "jobs")
            ]
        }
        yield ready


@pytest.fixture(scope="module")
def whole(fleet: Scene) -> tuple[Raw, Mapping[str, int]]:
    """What one run of all leaves behind, and what it asked for that changes something."""
    fleet.reset()
    ran = fleet.play("fleet")
    assert ran.code == 0, ran.output
    found = fleet.state(), writes(fleet)
    assert writes(fleet)["eks:CreatePodIdentityAssociation"] == writes(fleet)["iam:CreateRole"] == 8
    return found


def writes(fleet: Scene) -> dict[str, int]:
    """By operation the requests that change something, of AWS and of all Kubernetes APIs together."""
    found = {name: count for name, count in fleet.operations().items() if not name.startswith(READS)}
    for place in fleet.places:
        for name, count in fleet.kube(place.host).counters()["operations"].items():
            if name.split()[0] not in ("get", "list", "watch"):
                found[name] = found.get(name, 0) + count
    return found


def test_slices_at_once_do_what_one_run_does_and_nothing_twice(
    fleet: Scene, whole: tuple[Raw, Mapping[str, int]], tmp_path: Path
) -> None:
    fleet.reset()
    slices = parts(fleet, 2)
    assert slices == [["blue", "red"], ["green", "violet"]]
    jobs = [start_elsewhere(fleet, tmp_path / str(number), hosts) for number, hosts in enumerate(slices)]
    ended = [job.end() for job in jobs]
    for printed, _artifacts in ended:
        assert "2 of 2 clusters done, 0 failed." in printed
    assert (fleet.state(), writes(fleet)) == whole

    # AWX merges the artifacts of slices by their names.
    merged: dict[str, Any] = {}
    for _printed, artifacts in ended:
        merged |= artifacts
    gathered = fleet.play("report", **merged)
    assert gathered.code == 0, gathered.output
    assert "4 of 4 clusters done, 0 failed." in gathered.output
    for place in PLACES:
        shown = place.host if place.host == place.cluster else f"{place.host} ({place.cluster})"
        line = f"{shown} {place.account} {place.region} 2 10 2/2 0 ok"
        assert line in [" ".join(one.split()) for one in gathered.output.splitlines()]
    # Of a slice that was lost, the clusters are named.
    alone = fleet.play("report", **ended[0][1])
    assert alone.code == 2
    assert "2 of 4 did not report: green, violet. See above." in alone.output


def test_slices_at_once_share_a_role_without_taking_each_other_s_grant(
    fleet: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both make it, or find that it has just been made; and IAM writes the whole trust policy or none of it."""
    monkeypatch.setitem(fleet.variables, "pod_identity_workloads", [workload("reports")])
    fleet.reset()
    jobs = [start_here(fleet, tmp_path / host, [host]) for host in ("blue", "green")]
    for printed, _artifacts in [job.end() for job in jobs]:
        assert "1 of 1 cluster done, 0 failed." in printed
    verified = fleet.play("fleet", "--limit", "blue,green", pod_identity_verify_only=True)
    assert verified.code == 0, verified.output
    assert "2 of 2 clusters done, 0 failed." in verified.output
    assert fleet.roles(HERE) == ["reports"]
    fleet.writes()
    again = fleet.play("fleet", "--limit", "blue")
    assert (again.code, fleet.writes()) == (0, 0), again.output


def test_the_report_of_a_limit_misses_no_cluster_outside_of_it(
    fleet: Scene, whole: tuple[Raw, Mapping[str, int]]
) -> None:
    """A workflow of AWX hands its limit to each of its nodes, and a play on localhost has no host within it."""
    del whole
    limited = fleet.play("report", "--limit", "blue,red")
    assert limited.code == 2
    assert "2 of 2 did not report: blue, red. See above." in limited.output
    nobody = fleet.play("report", "--limit", "violet", hosts="blue")
    assert nobody.code != 0
    assert "The limit 'violet' leaves no host of 'blue', so nothing would be done." in nobody.output
