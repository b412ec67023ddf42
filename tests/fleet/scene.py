# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fleet of clusters in several accounts and regions, each with a separate Kubernetes API, and playbook runs on this fleet."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.kube.control import KubeControl

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("SANDBOX_PYTHON", str(ROOT / ".venv-sandbox" / "bin" / "python"))
TOKEN = "administrator-of-all"
Raw = dict[str, Any]
# Members that are different each time a resource is created: IDs and times.
_VOLATILE = re.compile(
    r'"(RoleId|PolicyId|CreateDate|UpdateDate|createdAt|modifiedAt|associationId|associationArn|created|updated)": '
    r'("[^"]*"|[0-9.]+)'
)


@dataclass(frozen=True, slots=True)
class ClusterHost:
    """A cluster that is a host of the inventory. ``host`` is the name of the host."""

    host: str
    cluster: str
    account: str
    region: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlaybookResult:
    code: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """Return the counts in the recap of the playbook, by host."""
        lines = re.findall(r"^(\S+)\s+: (ok=.*)$", self.output, re.MULTILINE)
        return {
            host: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in lines
        }


@dataclass(slots=True)
class FleetFixture:
    """A running fleet. ``variables`` apply to all hosts; ``folder`` contains the inventory and the files that runs write.

    The clusters have one owner, because they share roles.
    """

    folder: Path
    endpoint: str
    places: Sequence[ClusterHost]
    servers: Mapping[str, str]
    variables: Raw = field(default_factory=dict)
    host_variables: dict[str, Raw] = field(default_factory=dict)

    @property
    def kubeconfigs(self) -> dict[str, str]:
        return {place.host: str(self.folder / place.host / "kubeconfig") for place in self.places}

    @property
    def root_secret(self) -> str:
        """Return the secret access key that the root users of all accounts have. Their access key ID is the account ID."""
        return ROOT_SECRET_ACCESS_KEY

    @property
    def control(self) -> AwsControl:
        return AwsControl(self.endpoint)

    def make_clusters(self) -> None:
        """Create the clusters in AWS, each with the endpoint of its Kubernetes API, and reset the counters."""
        for place in self.places:
            cluster = place.account, place.region, place.cluster
            authority = (self.folder / place.host / "ca.crt").read_bytes()
            self.control.set_kubernetes(*cluster, self.servers[place.host], authority)
            self.control.create_cluster(*cluster)
        self.control.reset_counters()

    def kube(self, host: str) -> KubeControl:
        return KubeControl(self.servers[host], self.folder / host / "ca.crt", TOKEN)

    def reset(self) -> None:
        self.control.reset()
        for place in self.places:
            self.kube(place.host).reset()
        self.make_clusters()

    def operations(self) -> dict[str, int]:
        """Return the requests by operation, such as "iam:CreateRole", since the last reset of the counters."""
        return dict(self.control.counters()["operations"])

    def writes(self) -> int:
        """Return the number of write requests to AWS since the last reset of the counters, and reset the counters."""
        writes = int(self.control.counters()["writes"])
        self.control.reset_counters()
        return writes

    def associations(self, place: ClusterHost) -> list[Raw]:
        associations = self.control.state(place.account)["associations"].values()
        return [
            association
            for association in associations
            if association["clusterName"] == place.cluster
            and association["associationArn"].split(":")[3] == place.region
        ]

    def roles(self, account: str) -> list[str]:
        return sorted(self.control.state(account)["roles"])

    def state(self) -> Raw:
        """Return the roles, policies, associations and service accounts of the fleet, without IDs and times."""
        accounts = {}
        for account in sorted({place.account for place in self.places}):
            state = self.control.state(account)
            resources = {kind: state[kind] for kind in ("roles", "policies", "associations")}
            text = _VOLATILE.sub(r'"\1": ""', json.dumps(resources, sort_keys=True))
            accounts[account] = json.loads(text)
        kube = {
            place.host: sorted(
                f"{item['metadata']['namespace']}/{item['metadata']['name']} {item['metadata'].get('labels')}"
                for item in self.kube(place.host).state()["objects"].get("serviceaccounts", ())
            )
            for place in self.places
        }
        for content in accounts.values():
            content["associations"] = sorted(content["associations"].values(), key=str)
        return {"aws": accounts, "kubernetes": kube}

    def inventory(self) -> Path:
        groups: dict[str, Raw] = {}
        hosts: dict[str, Raw] = {}
        for place in self.places:
            hosts[place.host] = {
                "ansible_connection": "local",
                "pod_identity_cluster_name": place.cluster,
                "pod_identity_region": place.region,
                "pod_identity_account_id": place.account,
                "pod_identity_profile": f"account-{place.account}",
                "pod_identity_kubeconfig": self.kubeconfigs[place.host],
                **self.host_variables.get(place.host, {}),
            }
            for group in place.groups:
                groups.setdefault(group, {"hosts": {}})["hosts"][place.host] = {}
        content = {
            "all": {
                "vars": {"pod_identity_owner": "fleet", **self.variables},
                "children": {"fleet": {"hosts": hosts}, **groups},
            }
        }
        path = self.folder / "inventory.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    def environment(self) -> dict[str, str]:
        config = self.folder / "aws-config"
        config.write_text(
            "".join(
                f"[profile account-{account}]\naws_access_key_id = {account}\n"
                f"aws_secret_access_key = {ROOT_SECRET_ACCESS_KEY}\nregion = us-west-2\n"
                for account in sorted({place.account for place in self.places})
            ),
            encoding="utf-8",
        )
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "K8S_AUTH_", "KUBECONFIG", "ANSIBLE_"))
        }
        return {
            **inherited,
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("FLEET_COLLECTIONS", str(ROOT / ".collections")),
            "ANSIBLE_HOME": str(self.folder / "ansible-home"),
            "ANSIBLE_NOCOLOR": "1",
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def play(
        self, playbook: str, *arguments: str, hosts: str = "fleet", strategy: str = "", **variables: Any
    ) -> PlaybookResult:
        """Run a playbook of the collection on some hosts of the fleet."""
        process = self.start(playbook, *arguments, hosts=hosts, strategy=strategy, **variables)
        output, _errors = process.communicate(timeout=900)
        return PlaybookResult(process.returncode, output)

    def start(
        self,
        playbook: str,
        *arguments: str,
        hosts: str = "fleet",
        strategy: str = "",
        start_new_session: bool = False,
        **variables: Any,
    ) -> subprocess.Popen[str]:
        configured = {"ANSIBLE_STRATEGY": strategy} if strategy else {}
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            f"workload_identity.aws.{playbook}",
            "-i",
            str(self.inventory()),
            "-e",
            json.dumps({"pod_identity_hosts": hosts, **variables}),
            *arguments,
        ]
        return subprocess.Popen(
            command,
            env={**self.environment(), **configured},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=start_new_session,
        )


@contextmanager
def running_fleet(
    folder: Path, places: Sequence[ClusterHost], *, latency_ms: float = 0, auth: bool = False
) -> Iterator[FleetFixture]:
    """Start AWS, the clusters in it, and a Kubernetes API for each cluster. These APIs also accept EKS tokens."""
    with ExitStack() as stack:
        aws = ["sandbox.aws", "--port", "0", *(["--auth"] if auth else [])]
        line = stack.enter_context(_serving(aws))
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server printed {line!r}"
        endpoint = found.group()
        options = ["--cert-dir", str(folder), "--token", TOKEN, "--latency-ms", str(latency_ms)]
        options += ["--eks-auth", f"{endpoint}/_sandbox/token-review"]
        names = [f"{place.host}={place.account}/{place.region}/{place.cluster}" for place in places]
        answer = stack.enter_context(_serving(["sandbox.kube", *options, *names]))
        servers = json.loads(answer)
        fleet = FleetFixture(folder, endpoint, places, servers)
        fleet.make_clusters()
        fleet.control.set_latency(latency_ms)
        yield fleet


@contextmanager
def _serving(arguments: Sequence[str]) -> Iterator[str]:
    """Run a server process of the sandbox. Yield the line that the process prints when it is ready."""
    process = subprocess.Popen(
        [PYTHON, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "sandbox" / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
    finally:
        process.terminate()
        process.wait(timeout=20)
        process.stdout.close()


def workload(service_account: str, role: str | None = None, **more: Any) -> Raw:
    """Return a workload with a role and a policy, whose names contain ``role``, or the service account if ``role`` is None."""
    name = role or service_account
    return {
        "namespace": "default",
        "service_account": service_account,
        "role": {"name": name},
        "policies": [
            {
                "name": f"{name}-policy",
                "document": {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
                    ],
                },
            }
        ],
        **more,
    }
