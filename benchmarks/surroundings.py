# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sandbox in which the benchmark measures each contender: it delays responses and counts requests.

This module needs the environment variables of ``sandbox run``, and ``sandbox/src`` on Python's path.
"""

from __future__ import annotations

import os
from pathlib import Path

import kubernetes
from sandbox.client import aws_control, kube_control, reset
from workloads import namespaces

ROOT = Path(__file__).resolve().parent.parent


class Surroundings:
    """The sandbox, with its account, region and EKS cluster."""

    def __init__(self) -> None:
        self.cluster = os.environ["SANDBOX_CLUSTER"]
        self.account = os.environ["AWS_ACCESS_KEY_ID"]
        self.region = os.environ.get("AWS_REGION") or os.environ["AWS_DEFAULT_REGION"]
        self._aws, self._kubernetes = aws_control(os.environ), kube_control(os.environ)

    def empty(self, latency_ms: float) -> None:
        """Reset the sandbox, create the namespaces of the workloads, and then delay every response by ``latency_ms``."""
        reset(os.environ)
        api = kubernetes.client.CoreV1Api(kubernetes.config.new_client_from_config(os.environ["KUBECONFIG"]))
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
