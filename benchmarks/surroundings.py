# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox in which the benchmark measures each contender: it delays responses and counts requests.

This module needs the environment variables of ``sandbox run``, and ``sandbox/src`` on Python's path.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import kubernetes
from sandbox.aws.control import AwsControl
from sandbox.kube.control import KubeControl
from workloads import namespaces

ROOT = Path(__file__).resolve().parent.parent


class Surroundings:
    """The sandbox, with its account, region and EKS cluster."""

    def __init__(self) -> None:
        self.state = Path(os.environ["SANDBOX_STATE"])
        self.cluster = os.environ["SANDBOX_CLUSTER"]
        self.account = os.environ["AWS_ACCESS_KEY_ID"]
        self.region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        self._kubeconfig = self.state / "kubeconfig"
        config = json.loads(self._kubeconfig.read_text(encoding="utf-8"))
        server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
        self._aws = AwsControl(os.environ["AWS_ENDPOINT_URL"])
        self._kubernetes = KubeControl(server, self.state / "kubernetes/ca.crt", token)

    def empty(self, latency_ms: float) -> None:
        """Reset the sandbox, create the namespaces of the workloads, and then delay every response by ``latency_ms``."""
        command = [str(ROOT / ".venv-sandbox/bin/sandbox"), "reset", "--state", str(self.state)]
        subprocess.run(command, check=True, capture_output=True)
        self._kubernetes.set_latency(0)
        api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(str(self._kubeconfig)))
        for name in namespaces():
            api.create_namespace({"metadata": {"name": name}})
        self._kubernetes.set_latency(latency_ms)
        self._aws.set_latency(latency_ms)

    def start_counting(self) -> None:
        self._aws.reset_counters()
        self._kubernetes.reset_counters()

    def counted(self) -> tuple[int, int]:
        """Return the numbers of requests to AWS and to Kubernetes."""
        return int(self._aws.counters()["total"]), sum(self._kubernetes.counters()["operations"].values())


def child_environment() -> dict[str, str]:
    """Return the environment variables of this process, changed so that Ansible uses the sandbox and this project."""
    # PYTHONDONTWRITEBYTECODE is removed because Python caches bytecode on the machines of users.
    removed = ("PYTHONPATH", "ANSIBLE_CONFIG", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if name not in removed}
    return {
        **inherited,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "PYTHONPATH": str(ROOT / ".collections"),
    }
