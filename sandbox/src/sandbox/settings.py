# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sandbox is asked to be."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.layout import Layout

AWS_BACKENDS = ("embedded", "real")
KUBERNETES_BACKENDS = ("embedded", "kubebuilder", "kubeconfig")

FURTHEST_SKEW = 366 * 24 * 3600

ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")
CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Settings:
    """Every choice of ``sandbox up``. A port of 0 means: choose a free one.

    ``kubernetes_source`` is the folder of KUBEBUILDER_ASSETS or the value of KUBECONFIG.
    """

    aws: str = "embedded"
    kubernetes: str = "embedded"
    kubernetes_source: str = ""
    cluster: str = "my-cluster"
    account: str = "111122223333"
    region: str = "us-west-2"
    auth: bool = False
    rbac: bool = False
    kube_controllers: bool = False
    pod_identity_webhook: bool = False
    webhook_delay_ms: int = 0
    latency_ms: int = 0
    kube_latency_ms: int = 0
    propagation_ms: int = 0
    read_lag_ms: int = 0
    read_replicas: int = 1
    clock_skew_s: int = 0
    rate_limit: int = 0
    aws_port: int = 0
    kube_port: int = 0

    def __post_init__(self) -> None:
        if not ACCOUNT.fullmatch(self.account):
            raise SandboxError(f"--account {self.account!r} is not an account ID of 12 digits.")
        if not REGION.fullmatch(self.region):
            raise SandboxError(f"--region {self.region!r} is not the name of a region.")
        if not CLUSTER.fullmatch(self.cluster):
            raise SandboxError(
                f"--cluster {self.cluster!r} is not a cluster name.",
                "Up to 100 letters, digits, hyphens and underscores; a letter or digit first.",
            )
        for name in ("latency_ms", "kube_latency_ms", "propagation_ms", "read_lag_ms", "webhook_delay_ms"):
            if getattr(self, name) < 0:
                option = name.replace("_", "-")
                raise SandboxError(f"--{option} is 0 or more milliseconds.")
        if self.read_replicas not in (1, 2):
            raise SandboxError("--read-replicas is 1 or 2.")
        if abs(self.clock_skew_s) > FURTHEST_SKEW:
            raise SandboxError("--clock-skew-s is at most a year, ahead or (below 0) behind.")
        if self.rate_limit < 0:
            raise SandboxError("--rate-limit is 0 (none) or more requests a second.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def choose_kubernetes(wanted: str, environment: Mapping[str, str], own_folder: Path) -> tuple[str, str]:
    """Which Kubernetes answers, and from where: (backend, source).

    ``wanted`` is ``auto`` or a backend. Auto takes KUBEBUILDER_ASSETS when it is set, else
    KUBECONFIG, else the embedded server. A KUBECONFIG that a sandbox wrote is never taken for
    the user's own cluster: one in ``own_folder``, in SANDBOX_STATE or in any state folder.
    """
    assets = environment.get("KUBEBUILDER_ASSETS", "")
    kubeconfig = environment.get("KUBECONFIG", "")
    if kubeconfig and _is_a_sandbox(Path(kubeconfig).resolve().parent, environment, own_folder):
        kubeconfig = ""
    if wanted == "auto":
        wanted = "kubebuilder" if assets else "kubeconfig" if kubeconfig else "embedded"
    if wanted == "kubebuilder":
        return wanted, _assets_folder(assets)
    if wanted == "kubeconfig":
        return wanted, _kubeconfig_files(kubeconfig)
    return "embedded", ""


def _is_a_sandbox(folder: Path, environment: Mapping[str, str], own_folder: Path) -> bool:
    exported = environment.get("SANDBOX_STATE")
    if folder == own_folder or (exported and folder == Path(exported).resolve()):
        return True
    return Layout(folder).is_ours()


def _assets_folder(assets: str) -> str:
    if not assets:
        raise SandboxError(
            "The kubebuilder backend needs KUBEBUILDER_ASSETS, which is not set.",
            "Set it to a folder with the programs etcd and kube-apiserver.",
        )
    folder = Path(assets).resolve()
    for program in ("etcd", "kube-apiserver"):
        if not os.access(folder / program, os.X_OK):
            raise SandboxError(
                f"KUBEBUILDER_ASSETS is {folder}, but there is no program {program} in it.",
                "Put etcd and kube-apiserver there (`setup-envtest use` downloads them), "
                "or unset KUBEBUILDER_ASSETS to use the embedded Kubernetes.",
            )
    return str(folder)


def _kubeconfig_files(kubeconfig: str) -> str:
    if not kubeconfig:
        raise SandboxError(
            "The kubeconfig backend needs KUBECONFIG to name your cluster's kubeconfig file.",
            "Set KUBECONFIG, or use `--kube embedded`.",
        )
    paths = [Path(part).expanduser() for part in kubeconfig.split(os.pathsep) if part]
    for path in paths:
        if not path.is_file():
            raise SandboxError(
                f"KUBECONFIG names {path}, which does not exist.",
                "Set it to your cluster's kubeconfig, "
                "or unset it (or give `--kube embedded`) to use the embedded Kubernetes.",
            )
    return os.pathsep.join(str(path.resolve()) for path in paths)
