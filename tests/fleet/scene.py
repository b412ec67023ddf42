# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clusters in several accounts and regions, each with a Kubernetes API of its own, and plays over them."""

from __future__ import annotations

import base64
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
from urllib.parse import urlsplit

from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY
from sandbox.aws_request import AwsRequester
from sandbox.eks import ClusterRequest, create_cluster
from sandbox.kube.control import KubeControl

ROOT = Path(__file__).resolve().parents[2]
CALLBACKS = Path(__file__).parent / "callbacks"
PYTHON = os.environ.get("SANDBOX_PYTHON", str(ROOT / ".venv-sandbox" / "bin" / "python"))
TOKEN = "administrator-of-all"
Raw = dict[str, Any]
# Of what is made: its number, and when it was made.
_CHANCE = re.compile(
    r'"(RoleId|PolicyId|CreateDate|UpdateDate|createdAt|modifiedAt|associationId|associationArn|created|updated)": '
    r'("[^"]*"|[0-9.]+)'
)


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster as a host of the inventory. ``host`` is its name there."""

    host: str
    cluster: str
    account: str
    region: str
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ran:
    """How a play ended. ``stats`` has the recap by host, ``tasks`` are those of the JSON callback."""

    code: int
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """By host what the recap counts."""
        lines = re.findall(r"^(\S+)\s+: (ok=.*)$", self.output, re.MULTILINE)
        return {
            host: {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", counts)}
            for host, counts in lines
        }


@dataclass(slots=True)
class Scene:
    """``variables`` are those of all hosts; ``folder`` holds the inventory and what plays leave behind."""

    folder: Path
    endpoint: str
    places: Sequence[Place]
    servers: Mapping[str, str]
    variables: Raw = field(default_factory=dict)
    host_variables: dict[str, Raw] = field(default_factory=dict)

    @property
    def kubeconfigs(self) -> dict[str, str]:
        return {place.host: str(self.folder / place.host / "kubeconfig") for place in self.places}

    @property
    def root_secret(self) -> str:
        """The secret access key of each account's root, whose access key ID is the account's."""
        return ROOT_SECRET_ACCESS_KEY

    @property
    def control(self) -> AwsControl:
        return AwsControl(self.endpoint)

    def make_clusters(self) -> None:
        """Those of the places, with their own Kubernetes APIs; the counters begin after that."""
        port = urlsplit(self.endpoint).port or 0
        for place in self.places:
            create_cluster(AwsRequester(port, place.account, place.region), ClusterRequest(place.cluster))
            authority = (self.folder / place.host / "ca.crt").read_bytes()
            self.control.patch_cluster(
                place.account,
                place.region,
                place.cluster,
                endpoint=self.servers[place.host],
                certificateAuthority={"data": base64.b64encode(authority).decode("ascii")},
            )
        self.control.reset_counters()

    def kube(self, host: str) -> KubeControl:
        return KubeControl(self.servers[host], self.folder / host / "ca.crt", TOKEN)

    def reset(self) -> None:
        """AWS and Kubernetes as they were at first."""
        self.control.reset()
        for place in self.places:
            self.kube(place.host).reset()
        self.make_clusters()

    def operations(self) -> dict[str, int]:
        """How often each was asked for since the start or a reset, as "iam:CreateRole"."""
        return dict(self.control.counters()["operations"])

    def writes(self) -> int:
        """The requests that change something, since the last time that this was asked."""
        writes = int(self.control.counters()["writes"])
        self.control.reset_counters()
        return writes

    def associations(self, place: Place) -> list[Raw]:
        found = self.control.state(place.account)["associations"].values()
        return [
            one
            for one in found
            if one["clusterName"] == place.cluster and one["associationArn"].split(":")[3] == place.region
        ]

    def roles(self, account: str) -> list[str]:
        """The names of the roles that are none of a cluster."""
        names = self.control.state(account)["roles"]
        return sorted(name for name in names if not name.endswith("-cluster-role"))

    def state(self) -> Raw:
        """What all accounts and clusters hold, without what differs from one creation to the next."""
        accounts = {}
        for account in sorted({place.account for place in self.places}):
            state = self.control.state(account)
            made = {kind: state[kind] for kind in ("roles", "policies", "associations")}
            text = _CHANCE.sub(r'"\1": ""', json.dumps(made, sort_keys=True))
            accounts[account] = json.loads(text)
        kube = {
            place.host: sorted(
                f"{one['metadata']['namespace']}/{one['metadata']['name']} {one['metadata'].get('labels')}"
                for one in self.kube(place.host).state()["objects"].get("serviceaccounts", ())
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
                "pod_identity_endpoint_url": self.endpoint,
                "pod_identity_kubeconfig": self.kubeconfigs[place.host],
                **self.host_variables.get(place.host, {}),
            }
            for group in place.groups:
                groups.setdefault(group, {"hosts": {}})["hosts"][place.host] = {}
        content = {"all": {"vars": self.variables, "children": {"fleet": {"hosts": hosts}, **groups}}}
        path = self.folder / "inventory.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    def environment(self, callback: str = "") -> dict[str, str]:
        config = self.folder / "aws-config"
        config.write_text(
            "".join(
                f"[profile account-{account}]\naws_access_key_id = {account}\n"
                f"aws_secret_access_key = {ROOT_SECRET_ACCESS_KEY}\nregion = us-west-2\n"
                for account in sorted({place.account for place in self.places})
            ),
            encoding="utf-8",
        )
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "K8S_AUTH_", "KUBECONFIG", "ANSIBLE_"))
        }
        return {
            **kept,
            "ANSIBLE_COLLECTIONS_PATH": os.environ.get("FLEET_COLLECTIONS", str(ROOT / ".collections")),
            "ANSIBLE_HOME": str(self.folder / "ansible-home"),
            "ANSIBLE_NOCOLOR": "1",
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # An empty name is an error of ansible-core.
            **(
                {"ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS), "ANSIBLE_CALLBACKS_ENABLED": callback}
                if callback
                else {}
            ),
        }

    def play(
        self,
        playbook: str,
        *arguments: str,
        hosts: str = "fleet",
        callback: str = "",
        strategy: str = "",
        **variables: Any,
    ) -> Ran:
        """Run a playbook of the collection, or a file, over some hosts, with a callback of these tests."""
        configured = {"ANSIBLE_STRATEGY": strategy} if strategy else {}
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            playbook if playbook.endswith(".yml") else f"workload_identity.aws.{playbook}",
            "-i",
            str(self.inventory()),
            "-e",
            json.dumps({"pod_identity_hosts": hosts, **variables}),
            *arguments,
        ]
        done = subprocess.run(
            command,
            env={**self.environment(callback), **configured},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        return Ran(done.returncode, done.stdout)


@contextmanager
def scene(
    folder: Path, places: Sequence[Place], *, latency_ms: float = 0, auth: bool = False
) -> Iterator[Scene]:
    """AWS, the clusters in it, and a Kubernetes API for each, which takes tokens of EKS as well."""
    with ExitStack() as stack:
        aws = ["sandbox.aws", "--port", "0", *(["--auth"] if auth else [])]
        line = stack.enter_context(_serving(aws))
        found = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert found, f"the server said {line!r}"
        endpoint = found.group()
        options = ["--folder", str(folder), "--token", TOKEN, "--latency-ms", str(latency_ms)]
        options += ["--eks-auth", f"{endpoint}/_sandbox/token-review"]
        names = [f"{one.host}={one.account}/{one.region}/{one.cluster}" for one in places]
        answer = stack.enter_context(_serving(["sandbox.kube.many", *options, *names]))
        servers = json.loads(answer)
        ready = Scene(folder, endpoint, places, servers)
        ready.make_clusters()
        ready.control.set_latency(latency_ms)
        yield ready


@contextmanager
def _serving(arguments: Sequence[str]) -> Iterator[str]:
    """A server process of the sandbox, and the line that it prints once it is ready."""
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
    """A workload with a role and a policy; its own, unless it is told which role it shares."""
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
