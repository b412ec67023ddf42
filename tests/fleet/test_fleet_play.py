# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test fleet.yml on clusters in two accounts and two regions, each with a separate Kubernetes API."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import (
    ClusterHost,
    FleetFixture,
    PlaybookResult,
    running_fleet,
    workload,
)

OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
WEST, CENTRAL = "us-west-2", "eu-central-1"
CLUSTER_HOSTS = (
    # The first two clusters have the same name, in two regions.
    ClusterHost("blue", "prod", OWN_ACCOUNT, WEST, ("canary",)),
    ClusterHost("green", "prod", OWN_ACCOUNT, CENTRAL, ("payments",)),
    ClusterHost("red", "red", OTHER_ACCOUNT, WEST, ("payments",)),
    ClusterHost("grey", "grey", OTHER_ACCOUNT, CENTRAL),
)
HOSTS = [place.host for place in CLUSTER_HOSTS]
INVALID = {
    "pod_identity_workloads": [{"namespace": "default", "service_account": "app", "role": {"nmae": "x"}}]
}


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFixture]:
    with running_fleet(tmp_path_factory.mktemp("fleet"), CLUSTER_HOSTS) as ready:
        yield ready


@pytest.fixture
def fleet(clusters: FleetFixture) -> FleetFixture:
    clusters.reset()
    clusters.host_variables.clear()
    clusters.variables = {
        "common_workloads": [workload("reports", "reports")],
        "payments_workloads": [workload("own", "own-{{ inventory_hostname }}")],
        "pod_identity_workloads": (
            "{{ common_workloads + (payments_workloads if 'payments' in group_names else []) }}"
        ),
    }
    return clusters


def rows(result: PlaybookResult) -> dict[str, str]:
    """Return the rows of the last table by host, with single spaces between the columns."""
    lines = [line.split() for line in result.output.splitlines()]
    start = max(index for index, line in enumerate(lines) if line[:2] == ["cluster", "account"])
    table = lines[start + 1 : next(index for index in range(start, len(lines)) if len(lines[index]) < 2)]
    return {line[0]: " ".join(line) for line in table}


def associations(fleet: FleetFixture) -> dict[str, list[str]]:
    """Return the service accounts with an association, by host."""
    return {
        place.host: sorted(association["serviceAccount"] for association in fleet.associations(place))
        for place in fleet.places
    }


def _report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # Each run has a different time in its report.
    report.pop("time")
    return report


def test_plan_apply_unchanged_verify_teardown(fleet: FleetFixture, tmp_path: Path) -> None:
    planned = fleet.play("fleet", "--check", "--diff")
    assert planned.code == 0, planned.output
    assert "--- before: blue: association default/reports (create)" in planned.output
    assert "--- before: red: role own-red (create)" in planned.output
    assert rows(planned)["blue"] == f"blue (prod) {OWN_ACCOUNT} {WEST} 1 5 - 0 ok"
    assert "4 of 4 clusters planned, 0 failed; nothing was changed.\n\ncluster " in planned.output
    assert (
        "\n\nblue: create 1 policy, 1 role, 1 association; attach 1 policy; apply 1 ServiceAccount.\n"
    ) in planned.output
    assert fleet.writes() == 0
    assert associations(fleet) == {host: [] for host in HOSTS}

    made = fleet.play("fleet")
    assert made.code == 0, made.output
    assert "4 of 4 clusters done, 0 failed." in made.output
    assert list(rows(made)) == HOSTS
    assert rows(made)["grey"].startswith(f"grey {OTHER_ACCOUNT} {CENTRAL} 1 ")
    assert {row.split()[-3] for row in rows(made).values()} == {"1/1", "2/2"}
    assert {host: counts["changed"] for host, counts in made.recap.items()} == dict.fromkeys(HOSTS, 1)
    assert associations(fleet) == {
        "blue": ["reports"],
        "green": ["own", "reports"],
        "red": ["own", "reports"],
        "grey": ["reports"],
    }
    assert fleet.roles(OWN_ACCOUNT) == ["own-green", "reports"]
    assert fleet.writes() > 0

    report = str(tmp_path / "{{ inventory_hostname }}.json")
    again = fleet.play("fleet", pod_identity_report_file=report)
    assert (again.code, fleet.writes()) == (0, 0), again.output
    assert {counts["changed"] for counts in again.recap.values()} == {0}

    # A run of site.yml on one host writes the same report.
    by_fleet = _report(tmp_path / "green.json")
    site = fleet.play("site", hosts="green", pod_identity_report_file=report)
    assert (site.code, fleet.writes()) == (0, 0), site.output
    assert _report(tmp_path / "green.json") == by_fleet

    # AWX passes empty text for survey questions without an answer.
    unanswered = {"pod_identity_serial": "", "pod_identity_max_fail_percentage": ""}
    again = fleet.play("fleet", **unanswered)
    assert (again.code, fleet.writes()) == (0, 0), again.output

    verified = fleet.play("verify")
    assert (verified.code, fleet.writes()) == (0, 0), verified.output
    assert verified.output.count("Verified: ") == len(HOSTS)

    leaving = fleet.play("fleet", "--check", pod_identity_state="absent")
    assert (leaving.code, fleet.writes()) == (0, 0), leaving.output
    assert "    delete association default/own\n" in leaving.output

    removed = fleet.play("fleet", pod_identity_state="absent")
    assert removed.code == 0, removed.output
    assert associations(fleet) == {host: [] for host in HOSTS}
    assert fleet.roles(OWN_ACCOUNT) == fleet.roles(OTHER_ACCOUNT) == []
    fleet.writes()
    unchanged = fleet.play("fleet", pod_identity_state="absent")
    assert (unchanged.code, fleet.writes()) == (0, 0), unchanged.output


def test_failed_clusters_do_not_stop_other_clusters(fleet: FleetFixture) -> None:
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="FAILED")
    # The host grey was copied from red, and still has the kubeconfig of that cluster.
    fleet.host_variables["grey"] = {"pod_identity_kubeconfig": fleet.kubeconfigs["red"]}
    fleet.host_variables["red"] = INVALID
    report = str(fleet.folder / "report-{{ inventory_hostname }}.json")
    result = fleet.play("fleet", pod_identity_report_file=report)
    assert result.code == 2
    assert associations(fleet) == {"blue": ["reports"], "green": [], "red": [], "grey": []}
    assert rows(result) == {
        "blue": f"blue (prod) {OWN_ACCOUNT} {WEST} 1 5 1/1 0 ok",
        "green": "green (prod) failed",
        "red": "red failed",
        "grey": "grey failed",
    }
    end = result.output[result.output.index("1 of 4 clusters done, 3 failed.") :]
    assert f"cluster prod (account {OWN_ACCOUNT}, region {CENTRAL}) is FAILED." in end
    assert "role: unknown key 'nmae'" in end
    assert (
        f"grey:\n  the Kubernetes API of the kubeconfig ({fleet.servers['red']}) does not belong to cluster grey"
        in end
    )
    assert {host: counts["failed"] for host, counts in result.recap.items()} == {
        "blue": 0,
        "green": 1,
        "red": 1,
        "grey": 1,
    }
    for host in HOSTS[1:]:
        written = json.loads((fleet.folder / f"report-{host}.json").read_text(encoding="utf-8"))
        assert (written["failed"], bool(written["failure"])) == (True, True)
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="ACTIVE")
    fleet.host_variables.clear()
    repaired = fleet.play("fleet")
    assert repaired.code == 0, repaired.output
    assert "4 of 4 clusters done, 0 failed." in repaired.output


def test_failed_batch_stops_other_batches(fleet: FleetFixture) -> None:
    """Give the batches as text, as AWX passes the answers of a survey."""
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="FAILED")
    batches = {"pod_identity_serial": '["50%", "100%"]', "pod_identity_max_fail_percentage": "0"}
    result = fleet.play("fleet", **batches)
    assert result.code == 2
    assert "1 of 4 clusters done, 1 failed, 2 pending." in result.output
    assert associations(fleet) == {"blue": ["reports"], "green": [], "red": [], "grey": []}


@pytest.mark.release
def test_cluster_with_two_hosts_fails_before_any_change(fleet: FleetFixture) -> None:
    """Give a cluster a second host in another batch, which is named differently and has no region and no account."""
    fleet.host_variables["grey"] = {
        "pod_identity_cluster_name": "{{ 'red' | lower }}",
        "pod_identity_region": None,
        "pod_identity_account_id": None,
        "pod_identity_kubeconfig": fleet.kubeconfigs["red"],
    }
    place = f"cluster red (account {OTHER_ACCOUNT}, region {WEST}) belongs to several hosts of this play: red, grey."
    result = fleet.play("fleet", pod_identity_serial=1)
    assert result.code == 2
    assert associations(fleet) == {"blue": ["reports"], "green": ["own", "reports"], "red": [], "grey": []}
    assert result.output.count(f"red:\n  {place}") == 1, result.output
    assert fleet.roles(OTHER_ACCOUNT) == []
    # The profile of the account has the region of both hosts.
    free = fleet.play("fleet", strategy="free", pod_identity_region="{{ omit }}")
    assert free.code == 2
    assert (fleet.roles(OTHER_ACCOUNT), place in free.output) == ([], True)
    limited = fleet.play("fleet", "--limit", "blue,grey")
    assert limited.code == 0, limited.output
    assert associations(fleet)["red"] == ["reports"]


@pytest.mark.release
def test_interrupted_play_is_completed_by_the_next(fleet: FleetFixture) -> None:
    fleet.control.set_latency(700)
    try:
        process = fleet.start("fleet", start_new_session=True)
        assert process.stdout is not None
        for line in process.stdout:
            if "pod_identity : Configure EKS Pod Identity" in line:
                break
        while not fleet.control.counters()["writes"]:
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        output = process.communicate(timeout=60)[0]
    finally:
        fleet.control.set_latency(0)
    assert process.returncode != 0
    assert "Run again" in output
    completed = fleet.play("fleet")
    assert completed.code == 0, completed.output
    assert "4 of 4 clusters done, 0 failed." in completed.output


SHARING = tuple(ClusterHost(f"c{number:02}", f"c{number:02}", OWN_ACCOUNT, WEST) for number in range(12))


@pytest.mark.release
def test_concurrent_clusters_share_a_role(tmp_path: Path) -> None:
    """Let twelve clusters create one role with a wide trust policy, and four of them a role with a statement for each."""
    with running_fleet(tmp_path, SHARING, latency_ms=20) as sharing:

        def trust(name: str) -> str:
            return str(sharing.control.state(OWN_ACCOUNT)["roles"][name]["AssumeRolePolicyDocument"])

        sharing.variables = {
            "workloads_of_all": [{**workload("wide"), "role": {"name": "wide", "trust_scope": "account"}}],
            "workloads_of_four": [workload("narrow")],
            "pod_identity_workloads": (
                "{{ workloads_of_all + (workloads_of_four if inventory_hostname < 'c04' else []) }}"
            ),
        }
        made = sharing.play("fleet", "--forks", "10")
        assert made.code == 0, made.output
        assert "12 of 12 clusters done, 0 failed." in made.output
        assert sharing.roles(OWN_ACCOUNT) == ["narrow", "wide"]
        assert [place.host for place in SHARING if f"cluster/{place.cluster}" in trust("narrow")] == [
            place.host for place in SHARING[:4]
        ]
        sharing.writes()
        again = sharing.play("fleet", "--forks", "10")
        assert (again.code, sharing.writes()) == (0, 0), again.output
        removed = sharing.play("fleet", "--limit", "c03", pod_identity_state="absent")
        assert removed.code == 0, removed.output
        assert sharing.roles(OWN_ACCOUNT) == ["narrow", "wide"]
        assert f"cluster/{SHARING[3].cluster}" not in trust("narrow")
        verified = sharing.play("verify", "--limit", "all:!c03")
        assert verified.code == 0, verified.output
