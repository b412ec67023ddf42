# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the inventory plugin eks_clusters on the sandbox: two accounts, two regions, on the oldest and the newest ansible-core."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from .conftest import CORES

OWN, OTHER = "111122223333", "444455556666"
WEST, EAST = "us-west-2", "eu-central-1"
FLEET = f"arn:aws:iam::{OTHER}:role/fleet"
EXTERNAL_ID = "payments-fleet"
MINE = f"my-cluster.{WEST}.{OWN}"
GREEN = f"green.{EAST}.{OWN}"
BLUE = f"my-cluster.{EAST}.{OTHER}"
SUBNETS = ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]
# A tag value that Ansible must not evaluate as a template. EKS does not allow braces in tags, but the sandbox does.
TEMPLATE = "{{ 1 + 1 }}"
TWO_REGIONS = {"regions": [EAST, WEST]}
TWO_ACCOUNTS = {
    **TWO_REGIONS,
    "own_account": True,
    "accounts": [{"assume_role_arn": FLEET, "assume_role_external_id": EXTERNAL_ID, "regions": [EAST]}],
}


def squeezed(text: str) -> str:
    """Remove all spaces and line ends from a text, because Ansible wraps warnings even within words."""
    return "".join(text.split())


@dataclass(frozen=True)
class Fleet:
    """An inventory file in a folder, and a version of ansible-core that reads it."""

    venv: Path
    env: Mapping[str, str]
    folder: Path

    def write(self, **options: Any) -> None:
        source = {"plugin": "workload_identity.aws.eks_clusters", **options}
        # The file is read as YAML, and every JSON text is also YAML.
        (self.folder / "fleet.eks_clusters.yml").write_text(json.dumps(source), encoding="utf-8")

    def attempt(self, program: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        command = [self.venv / "bin" / program, "-i", "fleet.eks_clusters.yml", *arguments]
        # The plugins of amazon.aws import names that ansible-core deprecates.
        whole = {**self.env, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_DEPRECATION_WARNINGS": "false", **env}
        return subprocess.run(
            command, cwd=self.folder, env=whole, check=False, capture_output=True, text=True
        )

    def list(self, **env: str) -> tuple[dict[str, Any], str]:
        """Return the parsed output of ``ansible-inventory --list``, and its warnings without spaces."""
        done = self.attempt("ansible-inventory", "--list", **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout), squeezed(done.stderr)

    def refusal(self, **env: str) -> str:
        """Run ``ansible-inventory --list``, which must fail. Return the error message without spaces."""
        failing = {"ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
        done = self.attempt("ansible-inventory", "--list", **failing, **env)
        assert done.returncode != 0
        return squeezed(done.stderr)

    def hosts(self, **env: str) -> dict[str, Any]:
        found: dict[str, Any] = self.list(**env)[0]["_meta"]["hostvars"]
        return found

    def control(self, method: str, path: str, data: Any = None) -> Any:
        url = f"{self.env['AWS_ENDPOINT_URL']}/_sandbox/{path}"
        body = None if data is None else json.dumps(data).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=30) as answer:
            return json.load(answer)

    def requests(self) -> dict[str, int]:
        """Return the number of requests by operation since the last reset of the counters, and reset the counters."""
        counts: dict[str, int] = self.control("GET", "counters")["operations"]
        self.control("DELETE", "counters")
        return counts


@pytest.fixture(params=CORES)
def fleet(
    request: pytest.FixtureRequest,
    cores: Mapping[str, tuple[Path, Mapping[str, str]]],
    sandbox: Mapping[str, str],
    tmp_path: Path,
) -> Fleet:
    """Create clusters in two accounts and two regions, and in the second account a role that the first account may assume."""
    if request.param not in cores:
        pytest.skip(f"no Python here that ansible-core {request.param} runs on")
    venv, env = cores[request.param]
    made = Fleet(venv, {**env, **sandbox}, tmp_path)

    def client(service: str, account: str, region: str) -> Any:
        return boto3.client(
            service,
            region,
            endpoint_url=sandbox["AWS_ENDPOINT_URL"],
            aws_access_key_id=account,
            aws_secret_access_key=sandbox["AWS_SECRET_ACCESS_KEY"],
        )

    for account, region, name, tags in (
        (OWN, EAST, "green", {"stage": TEMPLATE}),
        (OTHER, EAST, "my-cluster", {"stage": "prod-eu"}),
        (OTHER, WEST, "elsewhere", {}),
    ):
        client("eks", account, region).create_cluster(
            name=name,
            roleArn=f"arn:aws:iam::{account}:role/eks",
            resourcesVpcConfig={"subnetIds": SUBNETS},
            tags=tags,
        )
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client("iam", OTHER, WEST).create_role(RoleName="fleet", AssumeRolePolicyDocument=trust)
    made.requests()
    return made


# Tests with this decorator run only on the newest ansible-core, because they do not depend on the version.
on_the_newest = pytest.mark.parametrize("fleet", CORES[-1:], indirect=True)


def test_hosts_are_clusters_of_accounts_and_regions(fleet: Fleet) -> None:
    fleet.write(**TWO_ACCOUNTS, keyed_groups=[{"key": "eks_platform_version", "prefix": "platform"}])
    inventory, warnings = fleet.list()
    variables = inventory["_meta"]["hostvars"]
    assert sorted(variables) == [GREEN, BLUE, MINE]
    groups = {name: group["hosts"] for name, group in inventory.items() if "hosts" in group}
    version = variables[MINE]["eks_version"].replace(".", "_")
    platform = variables[MINE]["eks_platform_version"].replace(".", "_")
    assert {name: sorted(hosts) for name, hosts in groups.items()} == {
        "eks_clusters": [GREEN, BLUE, MINE],
        f"eks_account_{OWN}": [GREEN, MINE],
        f"eks_account_{OTHER}": [BLUE],
        "eks_region_eu_central_1": [GREEN, BLUE],
        "eks_region_us_west_2": [MINE],
        f"eks_version_{version}": [GREEN, BLUE, MINE],
        "eks_status_active": [GREEN, BLUE, MINE],
        "eks_tag_stage_prod_eu": [BLUE],
        "eks_tag_stage____1___1___": [GREEN],
        f"platform_{platform}": [GREEN, BLUE, MINE],
    }
    blue = variables[BLUE]
    assert blue["eks_arn"] == f"arn:aws:eks:{EAST}:{OTHER}:cluster/my-cluster"
    assert blue["eks_agent_addon"] == {"present": False, "status": "", "version": ""}
    assert variables[MINE]["eks_agent_addon"]["status"] == "ACTIVE"
    assert {name: blue[name] for name in blue if name.startswith("pod_identity_")} == {
        "pod_identity_account_id": OTHER,
        "pod_identity_cluster_name": "my-cluster",
        "pod_identity_region": EAST,
        "pod_identity_assume_role_arn": FLEET,
        "pod_identity_assume_role_external_id": EXTERNAL_ID,
    }
    assert "WARNING" not in warnings
    assert fleet.requests() == {
        "eks:DescribeAddon": 3,
        "eks:DescribeCluster": 3,
        "eks:ListClusters": 3,
        "sts:AssumeRole": 1,
        "sts:GetCallerIdentity": 1,
    }


def test_play_needs_no_other_variables(fleet: Fleet) -> None:
    fleet.write(**TWO_REGIONS)
    workloads = [{"namespace": "default", "service_account": "api", "role": {"name": "fleet-test"}}]
    extra = json.dumps({"pod_identity_hosts": "eks_region_us_west_2", "pod_identity_workloads": workloads})
    site = ("ansible-playbook", "workload_identity.aws.site", "-e", extra)
    done = fleet.attempt(*site)
    assert done.returncode == 0, done.stdout
    assert f"ok: [{MINE}]" in done.stdout
    assert "Done: 3 changes." in done.stdout
    assert GREEN not in done.stdout
    assert "Done: 0 changes." in fleet.attempt(*site).stdout


PLAY = """
- hosts: eks_clusters
  gather_facts: false
  tasks:
    - name: Show a tag
      ansible.builtin.debug:
        msg: "stage is <{{ eks_tags.stage }}>"
"""


def test_values_of_aws_are_not_templated(fleet: Fleet) -> None:
    fleet.write(regions=[EAST], compose={"stage_of_composed": "eks_tags.stage"})
    (fleet.folder / "play.yml").write_text(PLAY, encoding="utf-8")
    done = fleet.attempt("ansible-playbook", "play.yml")
    assert f"stage is <{TEMPLATE}>" in done.stdout
    value = fleet.hosts()[GREEN]["stage_of_composed"]
    assert value in (TEMPLATE, {"__ansible_unsafe": TEMPLATE})


DENIED = {"kind": "access_denied", "operation": "eks:ListClusters", "region": EAST}
DENIED_WARNING = (
    f"Account {OWN}, region {EAST}: its clusters are not in the inventory: eks:ListClusters: AccessDeniedException: "
    f"User: arn:aws:iam::{OWN}:root is not authorized to perform: eks:ListClusters on resource: * because no "
    "identity-based policy allows the eks:ListClusters action. Allow the caller this action on this resource. A service control "
    "policy or a permissions boundary can also deny it."
)


def test_denied_region_is_a_warning_or_error(fleet: Fleet) -> None:
    fleet.write(**TWO_REGIONS)
    fleet.control("PUT", "faults", [DENIED])
    inventory, warnings = fleet.list()
    assert list(inventory["_meta"]["hostvars"]) == [MINE]
    assert squeezed(f"[WARNING]: {DENIED_WARNING}") in warnings
    assert list(fleet.hosts(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true")) == [MINE]
    assert squeezed(DENIED_WARNING) in fleet.refusal(EKS_CLUSTERS_REQUIRE_ALL="true")


def test_invalid_source_is_rejected_before_requests(fleet: Fleet) -> None:
    fleet.write(regoins=[EAST])
    assert squeezed("unknown key 'regoins'; did you mean 'regions'?") in fleet.refusal()
    assert fleet.requests() == {}


@on_the_newest
def test_no_secret_is_printed_or_cached(fleet: Fleet) -> None:
    secret = fleet.env["AWS_SECRET_ACCESS_KEY"]
    settings = {"cache_plugin": "ansible.builtin.jsonfile", "cache_connection": str(fleet.folder / "cache")}
    fleet.write(**TWO_ACCOUNTS, **settings, cache=True, access_key=OWN, secret_key=secret)
    done = fleet.attempt("ansible-inventory", "--list", "-vvvv")
    assert done.returncode == 0
    assert MINE in done.stdout
    files = [path.read_text(encoding="utf-8") for path in (fleet.folder / "cache").iterdir()]
    assert len(files) == 1
    for text in (done.stdout, done.stderr, *files):
        assert secret not in text
        assert "SessionToken" not in text
