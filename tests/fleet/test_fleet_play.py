# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""fleet.yml on clusters of two accounts and two regions, each with a Kubernetes API of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.tests.fleet.scene import Place, Ran, Scene, scene, workload

HERE, THERE = "111122223333", "444455556666"
WEST, MIDDLE = "us-west-2", "eu-central-1"
PLACES = (
    # Of one name in two regions: EKS tells them apart, and so does a run.
    Place("blue", "prod", HERE, WEST, ("canary", "payments")),
    Place("green", "prod", HERE, MIDDLE, ("payments",)),
    Place("red", "red", THERE, WEST, ("payments",)),
    Place("grey", "grey", THERE, MIDDLE),
)
SHARED = workload("reports", "reports")
OWN = workload("own", "own-{{ inventory_hostname }}")


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("fleet"), PLACES) as ready:
        yield ready


@pytest.fixture
def fleet(clusters: Scene) -> Scene:
    clusters.reset()
    clusters.host_variables.clear()
    clusters.variables = {
        "pod_identity_fleet_workloads": [
            {"hosts": "all", "workloads": [SHARED]},
            {"hosts": "payments:!canary", "workloads": [OWN]},
        ]
    }
    return clusters


def rows(ran: Ran) -> dict[str, str]:
    """By the host the line of the table at the end, its columns with single spaces."""
    lines = [line.split() for line in ran.output.splitlines()]
    start = next(index for index, line in enumerate(lines) if line[:2] == ["cluster", "account"])
    table = lines[start + 1 : lines.index([], start)]
    return {line[0]: " ".join(line) for line in table}


def associations(fleet: Scene) -> dict[str, list[str]]:
    """By the host, the service accounts that have an association."""
    found: dict[str, list[str]] = {}
    for place in fleet.places:
        state = fleet.associations(place)
        found[place.host] = sorted(one["serviceAccount"] for one in state)
    return found


def _report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # When it was.
    report.pop("time")
    return report


def test_plan_converge_unchanged_verify_teardown(fleet: Scene, tmp_path: Path) -> None:
    planned = fleet.play("fleet", "--check", "--diff")
    assert planned.code == 0, planned.output
    assert '"EksPodIdentityWorkloads' in planned.output
    assert f"association default/reports of cluster {WEST}/prod, account {HERE} (create)" in planned.output
    assert f"role reports of account {THERE} (create)" in planned.output
    assert rows(planned)["blue"] == f"blue (prod) {HERE} {WEST} 1 5 - 0 ok"
    assert "4 of 4 clusters planned, 0 failed; nothing was changed.\n\ncluster " in planned.output
    assert (
        "\n\nblue: create 1 policy, 1 role, 1 association; attach 1 policy; apply 1 ServiceAccount.\n"
    ) in planned.output
    assert fleet.writes() == 0

    made = fleet.play("fleet")
    assert made.code == 0, made.output
    assert rows(made) == {
        "blue": f"blue (prod) {HERE} {WEST} 1 5 1/1 0 ok",
        "green": f"green (prod) {HERE} {MIDDLE} 2 10 2/2 0 ok",
        "red": f"red {THERE} {WEST} 2 10 2/2 0 ok",
        "grey": f"grey {THERE} {MIDDLE} 1 5 1/1 0 ok",
    }
    assert "4 of 4 clusters done, 0 failed." in made.output
    assert {host: counts["changed"] for host, counts in made.recap.items()} == dict.fromkeys(rows(made), 1)
    assert associations(fleet) == {
        "blue": ["reports"],
        "green": ["own", "reports"],
        "red": ["own", "reports"],
        "grey": ["reports"],
    }
    # A role that two clusters share is written once.
    assert fleet.operations()["iam:CreateRole"] == 4
    assert fleet.writes() == 18

    report = str(tmp_path / "{{ inventory_hostname }}.json")
    again = fleet.play("fleet", pod_identity_report_file=report)
    assert (again.code, fleet.writes()) == (0, 0), again.output
    assert {counts["changed"] for counts in again.recap.values()} == {0}

    # site.yml reports the same facts for a host.
    by_fleet = _report(tmp_path / "green.json")
    site = fleet.play("site", hosts="green", pod_identity_report_file=report)
    assert (site.code, fleet.writes()) == (0, 0), site.output
    assert _report(tmp_path / "green.json") == by_fleet

    # As a survey hands it on where nothing was answered.
    unanswered = {"pod_identity_serial": "", "pod_identity_max_fail_percentage": ""}
    verified = fleet.play("fleet", pod_identity_verify_only="true", **unanswered)
    assert (verified.code, fleet.writes()) == (0, 0), verified.output
    assert rows(verified)["green"].endswith("2 0 2/2 0 ok")

    leaving = fleet.play("fleet", "--check", pod_identity_state="absent")
    assert (leaving.code, fleet.writes()) == (0, 0), leaving.output
    assert "    delete association default/own\n" in leaving.output

    removed = fleet.play("fleet", pod_identity_state="absent")
    assert removed.code == 0, removed.output
    assert "blue: detach 1 policy; delete 1 " in removed.output
    assert associations(fleet) == {place.host: [] for place in PLACES}
    assert fleet.roles(HERE) == fleet.roles(THERE) == []
    assert fleet.writes() == 18
    gone = fleet.play("fleet", pod_identity_state="absent")
    assert (gone.code, fleet.writes()) == (0, 0), gone.output


def test_a_configured_strategy_does_not_separate_the_hosts(fleet: Scene) -> None:
    ran = fleet.play("fleet", strategy="free")
    assert ran.code == 0, ran.output
    assert "4 of 4 clusters done, 0 failed." in ran.output
    assert fleet.operations()["iam:CreateRole"] == 4


OWN_PLAY = """\
- hosts: fleet
  gather_facts: false
  strategy: {strategy}
  vars:
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
  tasks:
    - ansible.builtin.import_role:
        name: workload_identity.aws.pod_identity
        tasks_from: fleet
"""


def test_the_role_refuses_a_fleet_whose_hosts_run_apart(fleet: Scene) -> None:
    path, strategy = fleet.folder / "own_play.yml", "ansible.builtin.host_pinned"
    path.write_text(OWN_PLAY.format(strategy=strategy), encoding="utf-8")
    ran = fleet.play(str(path))
    assert ran.code == 2
    assert (
        f"The strategy of this play is {strategy}, under which hosts do not wait for each other. With tasks_from: fleet the "
        "first cluster of an account changes AWS for the other clusters, which must wait for it. Set strategy: "
        "ansible.builtin.linear for the play. Nothing was changed."
    ) in " ".join(ran.output.split())
    assert {counts["failed"] for counts in ran.recap.values()} == {1}
    assert fleet.writes() == 0
    one = fleet.play(str(path), "--limit", "blue")
    assert one.code == 0, one.output


def test_a_cluster_that_is_broken_is_told_and_the_others_are_done(fleet: Scene) -> None:
    fleet.control.patch_cluster(HERE, MIDDLE, "prod", status="FAILED")
    # Its kubeconfig leads to another cluster, as that of a copied host does.
    fleet.host_variables["grey"] = {"pod_identity_kubeconfig": fleet.kubeconfigs["red"]}
    fleet.host_variables["red"] = {"pod_identity_workloads": [{**OWN, "role": {"nmae": "typo"}}]}
    ran = fleet.play("fleet")
    assert ran.code == 2
    assert associations(fleet) == {"blue": ["reports"], "green": [], "red": [], "grey": []}
    assert rows(ran) == {
        "blue": f"blue (prod) {HERE} {WEST} 1 5 1/1 0 ok",
        "green": "green (prod) failed",
        "red": "red failed",
        "grey": "grey failed",
    }
    end = ran.output[ran.output.index("1 of 4 clusters done") :]
    assert "1 of 4 clusters done, 3 failed." in end
    assert (
        "green:\n  cluster prod (account 111122223333, region eu-central-1) was skipped, without changes for its 2 "
        "workloads (default/reports, default/own): eks:DescribeCluster: ClusterNotActive: cluster prod in account "
        "111122223333, region eu-central-1 is FAILED."
    ) in end
    assert "role: unknown key 'nmae'" in end
    assert "grey:\n  cluster grey (account 444455556666, region eu-central-1) was skipped" in end
    assert {host: counts["failed"] for host, counts in ran.recap.items()} == {
        "blue": 0,
        "green": 1,
        "red": 1,
        "grey": 1,
    }
    assert fleet.writes() == 4

    # What is mended is taken up, and nothing else is written but the grant in the role that blue has already.
    fleet.control.patch_cluster(HERE, MIDDLE, "prod", status="ACTIVE")
    fleet.host_variables.clear()
    mended = fleet.play("fleet")
    assert mended.code == 0, mended.output
    assert "4 of 4 clusters done, 0 failed." in mended.output
    assert fleet.writes() == 18 - 4 + 1

    # A verification, too, goes on with the others where one has another role and one cannot be read.
    [taken] = fleet.associations(PLACES[3])
    fleet.control.patch_association(
        THERE, MIDDLE, "grey", taken["associationId"], roleArn=f"arn:aws:iam::{THERE}:role/own-red"
    )
    fleet.control.patch_cluster(HERE, MIDDLE, "prod", status="FAILED")
    fleet.control.reset_counters()
    verified = fleet.play("fleet", pod_identity_verify_only=True)
    assert (verified.code, fleet.writes()) == (2, 0)
    told = rows(verified)
    assert told["blue"].endswith("1/1 0 ok")
    assert told["red"].endswith("2/2 0 ok")
    assert told["green"] == "green (prod) failed"
    assert told["grey"] == f"grey {THERE} {MIDDLE} 1 0 0/1 1 failed"
    assert (
        "ASSOCIATION_OTHER_ROLE"
        in verified.output[verified.output.index("2 of 4 clusters done, 2 failed.") :]
    )


def test_what_a_stopped_cluster_may_use_is_neither_narrowed_nor_removed(fleet: Scene) -> None:
    """Nobody knows what its workloads use, and ``force`` vouches for the others alone."""
    scopes = ("workload", "account", "none")

    def shared(**wanted: str) -> list[dict[str, Any]]:
        return [{**workload(name), "role": {"name": name, "trust_scope": wanted[name]}} for name in scopes]

    def held() -> dict[str, tuple[str, str]]:
        roles = fleet.control.state(THERE)["roles"]
        return {
            name: (roles[name]["AssumeRolePolicyDocument"], str(roles[name]["AttachedPolicies"]))
            for name in scopes
        }

    fleet.variables = {"pod_identity_workloads": shared(workload="workload", account="account", none="none")}
    assert fleet.play("fleet", hosts="red,grey").code == 0
    whole = held()

    fleet.host_variables["red"] = {"pod_identity_workloads": [{**OWN, "role": {"nmae": "typo"}}]}
    fleet.variables = {
        "pod_identity_workloads": shared(workload="workload", account="workload", none="workload")
    }
    narrowed = fleet.play("fleet", hosts="red,grey")
    assert narrowed.code == 2
    assert held() == whole, narrowed.output
    waits = "Until then these keep their permissions: trust policy account, trust policy none."
    assert waits in narrowed.output[narrowed.output.index("1 of 2 clusters done") :]
    gone = fleet.play("fleet", hosts="red,grey", pod_identity_state="absent", pod_identity_force=True)
    assert gone.code == 2
    kept = held()
    assert (kept["account"], kept["none"]) == (whole["account"], whole["none"])
    assert associations(fleet)["red"] == sorted(scopes)
    assert associations(fleet)["grey"] == []


def test_an_account_that_did_not_begin_is_told_by_each_of_its_clusters(fleet: Scene) -> None:
    """What its run was to read is gone when it begins."""
    ran = fleet.play("fleet", hosts="blue,green", callback="lose_account_files")
    assert ran.code == 2
    assert rows(ran) == {"blue": "blue (prod) failed", "green": "green (prod) failed"}
    (lost,) = re.findall(r"^lost: (.+)$", ran.output, re.MULTILINE)
    for host in ("blue", "green"):
        assert (
            f"{host}:\n  The AWS run of this account did not start: {lost} cannot be read: No such file or directory. "
            "Run again. Nothing was changed."
        ) in ran.output
    assert fleet.writes() == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param(
            {"pod_identity_profile": "nope"},
            "ProfileNotFound: The config profile (nope) could not be found. Check the name in the option pod_identity_profile "
            "or in AWS_PROFILE:",
            id="no such profile",
        ),
        pytest.param(
            {"pod_identity_endpoint_url": "http://127.0.0.1:9"},
            'EndpointConnectionError: Could not connect to the endpoint URL: "http://127.0.0.1:9/"',
            id="no answer",
        ),
        pytest.param(
            {"pod_identity_assume_role_arn": f"arn:aws:iam::{HERE}:role/nobody"},
            "sts:AssumeRole",
            id="a role that cannot be assumed",
        ),
    ],
)
def test_what_fails_for_a_whole_account_is_told_by_each_of_its_clusters(
    fleet: Scene, given: dict[str, str], message: str
) -> None:
    """And is in the report of each, so that none of an earlier run is left."""
    report = str(fleet.folder / "report-{{ inventory_hostname }}.json")
    ran = fleet.play("fleet", hosts="blue,green", pod_identity_report_file=report, **given)
    assert ran.code == 2
    assert rows(ran) == {"blue": "blue (prod) failed", "green": "green (prod) failed"}
    for host in ("blue", "green"):
        _, _, told = ran.output.partition(f"\n{host}:\n")
        assert message in told.split("\n\n")[0]
        written = json.loads((fleet.folder / f"report-{host}.json").read_text(encoding="utf-8"))
        assert (written["failed"], message in written["failure"]) == (True, True)
    assert fleet.writes() == 0


def test_a_message_names_the_variables_of_the_role(fleet: Scene) -> None:
    fleet.control.set_latency(1000)
    try:
        ran = fleet.play("fleet", hosts="blue", pod_identity_deadline=2)
    finally:
        fleet.control.set_latency(0)
    assert ran.code == 2
    assert "Raise pod_identity_deadline for more in one run." in ran.output, ran.output[-1500:]


def test_a_slow_kubernetes_api_is_not_waited_for_in_silence(fleet: Scene) -> None:
    kube = fleet.kube("red")
    kube.set_latency(3000)
    try:
        ran = fleet.play("fleet", hosts="red")
    finally:
        kube.set_latency(0)
    assert ran.code == 0, ran.output
    assert re.search(r"^red: applying 2 objects \(\d+ s\)$", ran.output, re.MULTILINE), ran.output


def test_the_inventory_s_clusters_are_named_where_the_play_is_on_localhost(fleet: Scene) -> None:
    ran = fleet.play("fleet", hosts="localhost")
    assert ran.code == 2
    assert (
        "This play runs on localhost, and the inventory has other hosts: blue, green, red and 1 more. If they are the clusters, "
        "name them or their group on the command line: -e pod_identity_hosts=all"
    ) in ran.output


def test_a_canary_comes_first_and_stops_the_rest(fleet: Scene) -> None:
    fleet.control.patch_cluster(HERE, WEST, "prod", status="FAILED")
    # As a survey gives it.
    ran = fleet.play("fleet", hosts="canary:fleet", pod_identity_serial='[1, "100%"]')
    assert ran.code == 2
    assert list(rows(ran)) == ["blue"]
    assert "0 of 4 clusters done, 1 failed, 3 pending." in ran.output
    assert associations(fleet) == {place.host: [] for place in PLACES}


@pytest.mark.parametrize(
    ("serial", "most", "begun"), [([2, "100%"], "", 4), ("50%", "0", 2)], ids=["none is most", "most is 0"]
)
def test_batches_go_on_until_too_many_failed(fleet: Scene, serial: object, most: str, begun: int) -> None:
    fleet.control.patch_cluster(HERE, MIDDLE, "prod", status="FAILED")
    ran = fleet.play("fleet", pod_identity_serial=serial, pod_identity_max_fail_percentage=most)
    assert ran.code == 2
    done = [host for host, names in associations(fleet).items() if names]
    assert len(done) == begun - 1
    assert f"{begun - 1} of 4 clusters done, 1 failed" in ran.output


def test_two_ways_into_one_account_are_two_runs(fleet: Scene) -> None:
    fleet.host_variables["green"] = {"pod_identity_adopt": "true"}
    ran = fleet.play("fleet", hosts="blue,green")
    assert ran.code == 0, ran.output
    assert fleet.operations()["sts:GetCallerIdentity"] == 2
    assert associations(fleet)["green"] == ["own", "reports"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"pod_identity_purge": True},
            "pod_identity_purge is true, but a fleet cannot be purged, because scope and limit of a purge depend on the list of "
            "one cluster. Leave it out here, and purge each cluster alone afterwards.",
            id="purge",
        ),
        pytest.param(
            {"pod_identity_fleet_workloads": [{"hosts": "payments", "workloads": []}]},
            "pod_identity_fleet_workloads has no entry for host grey: no pattern matches it, and pod_identity_workloads and "
            "pod_identity_workloads_from are not set. Add an entry with hosts: grey or one of its groups (workloads: [] for "
            "no workloads), or remove the host from the run.",
            id="nothing for a host",
        ),
        pytest.param(
            {"pod_identity_fleet_workloads": "{{ omit }}"},
            "host grey has no workloads: pod_identity_workloads, pod_identity_workloads_from and "
            "pod_identity_fleet_workloads are not set for it. Set one for the host, one of its groups or all "
            "(pod_identity_workloads: [] for no workloads), or remove the host from the run.",
            id="no workloads for a host",
        ),
        pytest.param(
            {"pod_identity_fleet_workloads": [{"host": "all", "workloads": []}]},
            "did you mean 'hosts'?",
            id="a misspelt key",
        ),
    ],
)
def test_input_that_cannot_be_used_stops_before_anything_is_changed(
    fleet: Scene, variables: dict[str, Any], message: str
) -> None:
    ran = fleet.play("fleet", hosts="grey", **variables)
    assert ran.code == 2
    assert message in ran.output
    assert fleet.writes() == 0


@pytest.mark.parametrize(
    ("variable", "value", "wanted"),
    [
        ("pod_identity_serial", "abc", "a number of hosts, a percentage such as 25%, or a list of these."),
        ("pod_identity_max_fail_percentage", "ten", "a number from 0 to 100."),
    ],
)
def test_batches_that_are_no_numbers_are_named(fleet: Scene, variable: str, value: str, wanted: str) -> None:
    ran = fleet.play("fleet", **{variable: value})
    assert ran.code != 0
    assert f"{variable} is '{value}'; it is {wanted}" in ran.output
    assert fleet.writes() == 0


def test_a_fleet_needs_its_hosts(fleet: Scene) -> None:
    ran = fleet.play("fleet", hosts="nobody")
    assert ran.code != 0
    assert "pod_identity_hosts is 'nobody', which matches no host of the inventory." in ran.output
