# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test concurrent slices, in one process and in the stages of an execution node. Compare them with one run on the whole fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    Raw,
    running_fleet,
    workload,
)
from ansible_collections.workload_identity.aws.tests.fleet.slices import parts, start_elsewhere

pytestmark = pytest.mark.release

OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
WEST, CENTRAL = "us-west-2", "eu-central-1"
# Of two slices, each has a cluster in both accounts.
CLUSTER_HOSTS = (
    ClusterHost("blue", "prod", OWN_ACCOUNT, WEST),
    ClusterHost("green", "prod", OWN_ACCOUNT, CENTRAL),
    ClusterHost("red", "red", OTHER_ACCOUNT, WEST),
    ClusterHost("violet", "violet", OTHER_ACCOUNT, CENTRAL),
)
READS = ("iam:Get", "iam:List", "eks:Describe", "eks:List", "sts:")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFixture]:
    with running_fleet(tmp_path_factory.mktemp("slices"), CLUSTER_HOSTS) as ready:
        ready.variables = {
            "pod_identity_workloads": [
                workload(name, f"{name}-{{{{ inventory_hostname }}}}") for name in ("api", "jobs")
            ]
        }
        yield ready


@pytest.fixture(scope="module")
def whole(fleet: FleetFixture) -> tuple[Raw, Mapping[str, int]]:
    """Run the playbook once on the whole fleet. Return the resulting state and the write requests."""
    fleet.reset()
    result = fleet.play("fleet")
    assert result.code == 0, result.output
    found = fleet.state(), writes(fleet)
    assert writes(fleet)["eks:CreatePodIdentityAssociation"] == writes(fleet)["iam:CreateRole"] == 8
    return found


def writes(fleet: FleetFixture) -> dict[str, int]:
    """Return the number of write requests by operation, for AWS and all Kubernetes APIs together."""
    found = {name: count for name, count in fleet.operations().items() if not name.startswith(READS)}
    for place in fleet.places:
        for name, count in fleet.kube(place.host).counters()["operations"].items():
            if name.split()[0] not in ("get", "list", "watch"):
                found[name] = found.get(name, 0) + count
    return found


def test_concurrent_slices_match_one_run(
    fleet: FleetFixture, whole: tuple[Raw, Mapping[str, int]], tmp_path: Path
) -> None:
    fleet.reset()
    slices = parts(fleet, 2)
    assert slices == [["blue", "red"], ["green", "violet"]]
    jobs = [start_elsewhere(fleet, tmp_path / str(number), hosts) for number, hosts in enumerate(slices)]
    ended = [job.end() for job in jobs]
    for printed, _artifacts in ended:
        assert "2 of 2 clusters done, 0 failed." in printed
    assert (fleet.state(), writes(fleet)) == whole

    # AWX merges the artifacts of the slices: each name has the value of the last slice.
    merged: dict[str, Any] = {}
    for _printed, artifacts in ended:
        merged |= artifacts
    gathered = fleet.play("report", **merged)
    assert gathered.code == 0, gathered.output
    assert "4 of 4 clusters done, 0 failed." in gathered.output
    for place in CLUSTER_HOSTS:
        label = place.host if place.host == place.cluster else f"{place.host} ({place.cluster})"
        line = f"{label} {place.account} {place.region} 2 10 2/2 0 ok"
        assert line in [" ".join(row.split()) for row in gathered.output.splitlines()]
    # If the artifacts of a slice are missing, the report names its clusters.
    incomplete = fleet.play("report", **ended[0][1])
    assert incomplete.code == 2
    assert "2 of 4 did not report: green, violet. The reasons are above." in incomplete.output
