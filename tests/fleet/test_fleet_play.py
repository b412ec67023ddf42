# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test fleet.yml on clusters in two accounts and two regions, each with a separate Kubernetes API."""

from __future__ import annotations

import json
import re
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
from kubernetes.client import CoreV1Api
from kubernetes.config import new_client_from_config

OWN_ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
WEST, CENTRAL = "us-west-2", "eu-central-1"
CLUSTER_HOSTS = (
    # The first two clusters have the same name, in two regions.
    ClusterHost("blue", "prod", OWN_ACCOUNT, WEST, ("canary", "payments")),
    ClusterHost("green", "prod", OWN_ACCOUNT, CENTRAL, ("payments",)),
    ClusterHost("red", "red", OTHER_ACCOUNT, WEST, ("payments",)),
    ClusterHost("grey", "grey", OTHER_ACCOUNT, CENTRAL),
)
SHARED = workload("reports", "reports")
OWN = workload("own", "own-{{ inventory_hostname }}")


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetFixture]:
    with running_fleet(tmp_path_factory.mktemp("fleet"), CLUSTER_HOSTS) as ready:
        yield ready


@pytest.fixture
def fleet(clusters: FleetFixture) -> FleetFixture:
    clusters.reset()
    clusters.host_variables.clear()
    clusters.variables = {
        "pod_identity_fleet_workloads": [
            {"hosts": "all", "workloads": [SHARED]},
            {"hosts": "payments:!canary", "workloads": [OWN]},
        ]
    }
    return clusters


def rows(result: PlaybookResult) -> dict[str, str]:
    """Return the rows of the final table by host, with single spaces between the columns."""
    lines = [line.split() for line in result.output.splitlines()]
    start = next(index for index, line in enumerate(lines) if line[:2] == ["cluster", "account"])
    table = lines[start + 1 : lines.index([], start)]
    return {line[0]: " ".join(line) for line in table}


def associations(fleet: FleetFixture) -> dict[str, list[str]]:
    """Return the service accounts with an association, by host."""
    accounts: dict[str, list[str]] = {}
    for place in fleet.places:
        state = fleet.associations(place)
        accounts[place.host] = sorted(association["serviceAccount"] for association in state)
    return accounts


def _report(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # Each run has a different time in its report.
    report.pop("time")
    return report


def test_plan_converge_unchanged_verify_teardown(fleet: FleetFixture, tmp_path: Path) -> None:
    planned = fleet.play("fleet", "--check", "--diff")
    assert planned.code == 0, planned.output
    assert '"EksPodIdentityWorkloads' in planned.output
    assert (
        f"association default/reports of cluster {WEST}/prod, account {OWN_ACCOUNT} (create)"
        in planned.output
    )
    assert f"role reports of account {OTHER_ACCOUNT} (create)" in planned.output
    assert rows(planned)["blue"] == f"blue (prod) {OWN_ACCOUNT} {WEST} 1 5 - 0 ok"
    assert "4 of 4 clusters planned, 0 failed; nothing was changed.\n\ncluster " in planned.output
    assert (
        "\n\nblue: create 1 policy, 1 role, 1 association; attach 1 policy; apply 1 ServiceAccount.\n"
    ) in planned.output
    assert fleet.writes() == 0

    made = fleet.play("fleet")
    assert made.code == 0, made.output
    assert rows(made) == {
        "blue": f"blue (prod) {OWN_ACCOUNT} {WEST} 1 5 1/1 0 ok",
        "green": f"green (prod) {OWN_ACCOUNT} {CENTRAL} 2 10 2/2 0 ok",
        "red": f"red {OTHER_ACCOUNT} {WEST} 2 10 2/2 0 ok",
        "grey": f"grey {OTHER_ACCOUNT} {CENTRAL} 1 5 1/1 0 ok",
    }
    assert "4 of 4 clusters done, 0 failed." in made.output
    assert {host: counts["changed"] for host, counts in made.recap.items()} == dict.fromkeys(rows(made), 1)
    assert associations(fleet) == {
        "blue": ["reports"],
        "green": ["own", "reports"],
        "red": ["own", "reports"],
        "grey": ["reports"],
    }
    # Two clusters share the role "reports" of each account, but it is created only once.
    assert fleet.operations()["iam:CreateRole"] == 4
    assert fleet.writes() == 18

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
    verified = fleet.play("fleet", pod_identity_verify_only="true", **unanswered)
    assert (verified.code, fleet.writes()) == (0, 0), verified.output
    assert rows(verified)["green"].endswith("2 0 2/2 0 ok")

    leaving = fleet.play("fleet", "--check", pod_identity_state="absent")
    assert (leaving.code, fleet.writes()) == (0, 0), leaving.output
    assert "    delete association default/own\n" in leaving.output

    removed = fleet.play("fleet", pod_identity_state="absent")
    assert removed.code == 0, removed.output
    assert "blue: detach 1 policy; delete 1 " in removed.output
    assert associations(fleet) == {place.host: [] for place in CLUSTER_HOSTS}
    assert fleet.roles(OWN_ACCOUNT) == fleet.roles(OTHER_ACCOUNT) == []
    assert fleet.writes() == 18
    unchanged = fleet.play("fleet", pod_identity_state="absent")
    assert (unchanged.code, fleet.writes()) == (0, 0), unchanged.output


def create_service_accounts(fleet: FleetFixture, host: str, *names: str) -> None:
    """Create the namespace ``team`` with service accounts."""
    api = CoreV1Api(new_client_from_config(fleet.kubeconfigs[host]))
    api.create_namespace({"metadata": {"name": "team"}})
    for name in names:
        api.create_namespaced_service_account("team", {"metadata": {"name": name}})


def test_each_cluster_expands_patterns_for_its_own_service_accounts(
    fleet: FleetFixture, tmp_path: Path
) -> None:
    create_service_accounts(fleet, "blue", "web")
    create_service_accounts(fleet, "green", "web", "worker")
    create_service_accounts(fleet, "red", "worker")
    pattern = {"namespace": "team", "service_account": "w*", "role": {"name": "team"}}
    narrower = {**pattern, "service_account": "web*"}
    fleet.variables = {
        "pod_identity_fleet_workloads": [
            {"hosts": "blue", "workloads": [narrower]},
            {"hosts": "all:!blue", "workloads": [pattern]},
        ],
    }
    report = str(tmp_path / "{{ inventory_hostname }}.json")
    planned = fleet.play("fleet", "--check", hosts="blue", pod_identity_report_file=report)
    assert planned.code == 0, planned.output
    assert [
        (change["workload"], change["pattern"])
        for change in _report(tmp_path / "blue.json")["changes"]
        if change["resource"] == "association"
    ] == [("team/web", "team/web*")]

    for host in fleet.kubeconfigs:
        fleet.kube(host).reset_counters()
    made = fleet.play("fleet")
    assert made.code == 0, made.output
    assert "4 of 4 clusters done, 0 failed." in made.output
    assert (
        "warning PATTERN_UNMATCHED (grey): pod_identity_fleet_workloads[1].workloads[0]: team/w*"
        in " ".join(made.output.split())
    )
    assert associations(fleet) == {
        "blue": ["web"],
        "green": ["web", "worker"],
        "red": ["worker"],
        "grey": [],
    }
    # The preflight uses the service accounts that the expansion has read.
    operations = {host: fleet.kube(host).counters()["operations"] for host in fleet.kubeconfigs}
    assert {counts["list serviceaccounts"] for counts in operations.values()} == {1}
    roles = fleet.control.state(OWN_ACCOUNT)["roles"]
    trust = json.dumps(roles["team"]["AssumeRolePolicyDocument"])
    assert [pattern in trust for pattern in ("web*", "w*")] == [True, True]
    unchanged = fleet.play("fleet")
    assert unchanged.code == 0, unchanged.output
    assert {counts["changed"] for counts in unchanged.recap.values()} == {0}
    removed = fleet.play("fleet", pod_identity_state="absent")
    assert removed.code == 0, removed.output
    assert associations(fleet) == {place.host: [] for place in CLUSTER_HOSTS}
    assert fleet.roles(OWN_ACCOUNT) == fleet.roles(OTHER_ACCOUNT) == []


def test_configured_strategy_is_ignored(fleet: FleetFixture) -> None:
    result = fleet.play("fleet", strategy="free")
    assert result.code == 0, result.output
    assert "4 of 4 clusters done, 0 failed." in result.output
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


def test_role_rejects_non_linear_strategies(fleet: FleetFixture) -> None:
    path, strategy = fleet.folder / "own_play.yml", "ansible.builtin.host_pinned"
    path.write_text(OWN_PLAY.format(strategy=strategy), encoding="utf-8")
    result = fleet.play(str(path))
    assert result.code == 2
    assert (
        f"The strategy of this play is {strategy}, so its hosts do not wait for each other. With tasks_from: fleet, the first "
        "cluster of an account changes AWS for the other clusters, which must wait for it. Set strategy: "
        "ansible.builtin.linear for the play. Nothing was changed."
    ) in " ".join(result.output.split())
    assert {counts["failed"] for counts in result.recap.values()} == {1}
    assert fleet.writes() == 0
    limited = fleet.play(str(path), "--limit", "blue")
    assert limited.code == 0, limited.output


def test_failed_clusters_do_not_block_other_clusters(fleet: FleetFixture) -> None:
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="FAILED")
    # The host grey was copied from red, and still has the kubeconfig of that cluster.
    fleet.host_variables["grey"] = {"pod_identity_kubeconfig": fleet.kubeconfigs["red"]}
    fleet.host_variables["red"] = {"pod_identity_workloads": [{**OWN, "role": {"nmae": "typo"}}]}
    result = fleet.play("fleet")
    assert result.code == 2
    assert associations(fleet) == {"blue": ["reports"], "green": [], "red": [], "grey": []}
    assert rows(result) == {
        "blue": f"blue (prod) {OWN_ACCOUNT} {WEST} 1 5 1/1 0 ok",
        "green": "green (prod) failed",
        "red": "red failed",
        "grey": "grey failed",
    }
    end = result.output[result.output.index("1 of 4 clusters done") :]
    assert "1 of 4 clusters done, 3 failed." in end
    assert (
        "green:\n  cluster prod (account 111122223333, region eu-central-1) was skipped, without changes for its 2 "
        "workloads (default/reports, default/own): eks:DescribeCluster: ClusterNotActive: cluster prod (account "
        "111122223333, region eu-central-1) is FAILED."
    ) in end
    assert "role: unknown key 'nmae'" in end
    assert "grey:\n  cluster grey (account 444455556666, region eu-central-1) was skipped" in end
    assert {host: counts["failed"] for host, counts in result.recap.items()} == {
        "blue": 0,
        "green": 1,
        "red": 1,
        "grey": 1,
    }
    assert fleet.writes() == 4

    # The next run completes the repaired clusters. For blue it only adds statements to the trust policy of the shared role.
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="ACTIVE")
    fleet.host_variables.clear()
    mended = fleet.play("fleet")
    assert mended.code == 0, mended.output
    assert "4 of 4 clusters done, 0 failed." in mended.output
    assert fleet.writes() == 18 - 4 + 1

    # The verification of one cluster finds a wrong role, and another cluster cannot be read. The other two are still verified.
    [association] = fleet.associations(CLUSTER_HOSTS[3])
    fleet.control.patch_association(
        OTHER_ACCOUNT,
        CENTRAL,
        "grey",
        association["associationId"],
        roleArn=f"arn:aws:iam::{OTHER_ACCOUNT}:role/own-red",
    )
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="FAILED")
    fleet.control.reset_counters()
    verified = fleet.play("fleet", pod_identity_verify_only=True)
    assert (verified.code, fleet.writes()) == (2, 0)
    table = rows(verified)
    assert table["blue"].endswith("1/1 0 ok")
    assert table["red"].endswith("2/2 0 ok")
    assert table["green"] == "green (prod) failed"
    assert table["grey"] == f"grey {OTHER_ACCOUNT} {CENTRAL} 1 0 0/1 1 failed"
    assert (
        "ASSOCIATION_OTHER_ROLE"
        in verified.output[verified.output.index("2 of 4 clusters done, 2 failed.") :]
    )


def test_permissions_of_failed_cluster_are_kept(fleet: FleetFixture) -> None:
    """Check that a run keeps permissions that workloads of a failed cluster may use, even with ``force``."""
    scopes = ("workload", "account", "none")

    def shared(**trust_scopes: str) -> list[dict[str, Any]]:
        return [
            {**workload(name), "role": {"name": name, "trust_scope": trust_scopes[name]}} for name in scopes
        ]

    def permissions() -> dict[str, tuple[str, str]]:
        roles = fleet.control.state(OTHER_ACCOUNT)["roles"]
        return {
            name: (roles[name]["AssumeRolePolicyDocument"], str(roles[name]["AttachedPolicies"]))
            for name in scopes
        }

    fleet.variables = {"pod_identity_workloads": shared(workload="workload", account="account", none="none")}
    assert fleet.play("fleet", hosts="red,grey").code == 0
    whole = permissions()

    fleet.host_variables["red"] = {"pod_identity_workloads": [{**OWN, "role": {"nmae": "typo"}}]}
    fleet.variables = {
        "pod_identity_workloads": shared(workload="workload", account="workload", none="workload")
    }
    narrowed = fleet.play("fleet", hosts="red,grey")
    assert narrowed.code == 2
    assert permissions() == whole, narrowed.output
    waits = "Until the run succeeds, these resources keep their permissions: trust policy account, trust policy none."
    assert waits in narrowed.output[narrowed.output.index("1 of 2 clusters done") :]
    removed = fleet.play("fleet", hosts="red,grey", pod_identity_state="absent", pod_identity_force=True)
    assert removed.code == 2
    final = permissions()
    assert (final["account"], final["none"]) == (whole["account"], whole["none"])
    assert associations(fleet)["red"] == sorted(scopes)
    assert associations(fleet)["grey"] == []


def test_account_without_files_fails_each_of_its_clusters(fleet: FleetFixture) -> None:
    """Delete the account files, through which the clusters of an account get their results, before the run reads them."""
    result = fleet.play("fleet", hosts="blue,green", callback="lose_account_files")
    assert result.code == 2
    assert rows(result) == {"blue": "blue (prod) failed", "green": "green (prod) failed"}
    (lost,) = re.findall(r"^lost: (.+)$", result.output, re.MULTILINE)
    for host in ("blue", "green"):
        assert (
            f"{host}:\n  The AWS run of this account did not start: {lost} cannot be read: No such file or directory. "
            "Run again. Nothing was changed."
        ) in result.output
    assert fleet.writes() == 0


@pytest.mark.parametrize(
    ("variables", "message"),
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
            {"pod_identity_assume_role_arn": f"arn:aws:iam::{OWN_ACCOUNT}:role/nobody"},
            "sts:AssumeRole",
            id="a role that cannot be assumed",
        ),
    ],
)
def test_account_failure_fails_each_of_its_clusters(
    fleet: FleetFixture, variables: dict[str, str], message: str
) -> None:
    """Check that each cluster of an account gets a report with the failure, which replaces the report of an earlier run."""
    report = str(fleet.folder / "report-{{ inventory_hostname }}.json")
    result = fleet.play("fleet", hosts="blue,green", pod_identity_report_file=report, **variables)
    assert result.code == 2
    assert rows(result) == {"blue": "blue (prod) failed", "green": "green (prod) failed"}
    for host in ("blue", "green"):
        _, _, error = result.output.partition(f"\n{host}:\n")
        assert message in error.split("\n\n")[0]
        written = json.loads((fleet.folder / f"report-{host}.json").read_text(encoding="utf-8"))
        assert (written["failed"], message in written["failure"]) == (True, True)
    assert fleet.writes() == 0


def test_message_names_role_variables(fleet: FleetFixture) -> None:
    fleet.control.set_latency(1000)
    try:
        result = fleet.play("fleet", hosts="blue", pod_identity_deadline=2)
    finally:
        fleet.control.set_latency(0)
    assert result.code == 2
    assert "To complete more in one run, raise pod_identity_deadline." in result.output, result.output[-1500:]


def test_slow_kubernetes_api_shows_progress(fleet: FleetFixture) -> None:
    kube = fleet.kube("red")
    kube.set_latency(3000)
    try:
        result = fleet.play("fleet", hosts="red")
    finally:
        kube.set_latency(0)
    assert result.code == 0, result.output
    assert re.search(r"^red: applying 2 objects \(\d+ s\)$", result.output, re.MULTILINE), result.output


def test_play_on_localhost_names_clusters_of_inventory(fleet: FleetFixture) -> None:
    result = fleet.play("fleet", hosts="localhost")
    assert result.code == 2
    assert (
        "This play runs on localhost, and the inventory has other hosts: blue, green, red and 1 more. If those "
        "hosts are the clusters, name the hosts or their group on the command line: -e pod_identity_hosts=all"
    ) in result.output


def test_failed_canary_stops_other_batches(fleet: FleetFixture) -> None:
    fleet.control.patch_cluster(OWN_ACCOUNT, WEST, "prod", status="FAILED")
    # AWX passes the list in a survey answer as text.
    result = fleet.play("fleet", hosts="canary:fleet", pod_identity_serial='[1, "100%"]')
    assert result.code == 2
    assert list(rows(result)) == ["blue"]
    assert "0 of 4 clusters done, 1 failed, 3 pending." in result.output
    assert associations(fleet) == {place.host: [] for place in CLUSTER_HOSTS}


@pytest.mark.parametrize(
    ("serial", "most", "begun"), [([2, "100%"], "", 4), ("50%", "0", 2)], ids=["no limit", "limit 0"]
)
def test_max_fail_percentage_limits_batches(
    fleet: FleetFixture, serial: object, most: str, begun: int
) -> None:
    fleet.control.patch_cluster(OWN_ACCOUNT, CENTRAL, "prod", status="FAILED")
    result = fleet.play("fleet", pod_identity_serial=serial, pod_identity_max_fail_percentage=most)
    assert result.code == 2
    done = [host for host, names in associations(fleet).items() if names]
    assert len(done) == begun - 1
    assert f"{begun - 1} of 4 clusters done, 1 failed" in result.output


def test_different_options_for_one_account_are_two_runs(fleet: FleetFixture) -> None:
    fleet.host_variables["green"] = {"pod_identity_adopt": "true"}
    result = fleet.play("fleet", hosts="blue,green")
    assert result.code == 0, result.output
    assert fleet.operations()["sts:GetCallerIdentity"] == 2
    assert associations(fleet)["green"] == ["own", "reports"]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        pytest.param(
            {"pod_identity_purge": True},
            "pod_identity_purge is true, but purge is not supported for many clusters at once, because it compares AWS with "
            "the list of one cluster. Remove pod_identity_purge here, and purge each cluster in a separate run.",
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
            "pod_identity_fleet_workloads are not set for this host. Set one of these variables for the host, "
            "for one of its groups or for the group all (pod_identity_workloads: [] for no workloads), or "
            "remove the host from the run.",
            id="no workloads for a host",
        ),
        pytest.param(
            {"pod_identity_fleet_workloads": [{"host": "all", "workloads": []}]},
            "did you mean 'hosts'?",
            id="a misspelt key",
        ),
    ],
)
def test_invalid_input_fails_before_changes(
    fleet: FleetFixture, variables: dict[str, Any], message: str
) -> None:
    result = fleet.play("fleet", hosts="grey", **variables)
    assert result.code == 2
    assert message in result.output
    assert fleet.writes() == 0


@pytest.mark.parametrize(
    ("variable", "value", "form"),
    [
        ("pod_identity_serial", "abc", "a number of hosts, a percentage such as 25%, or a list of these."),
        ("pod_identity_max_fail_percentage", "ten", "a number from 0 to 100."),
    ],
)
def test_invalid_batch_sizes_are_named(fleet: FleetFixture, variable: str, value: str, form: str) -> None:
    result = fleet.play("fleet", **{variable: value})
    assert result.code != 0
    assert f"{variable} is '{value}'; it must be {form}" in result.output
    assert fleet.writes() == 0


def test_fleet_without_hosts_fails(fleet: FleetFixture) -> None:
    result = fleet.play("fleet", hosts="nobody")
    assert result.code != 0
    assert "pod_identity_hosts is 'nobody', which matches no host of the inventory." in result.output
