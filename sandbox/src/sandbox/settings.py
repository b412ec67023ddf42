# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of a sandbox."""

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

ACCOUNT = re.compile(r"[0-9]{12}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]+")
CLUSTER = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a sandbox. Port 0 means a free port. Invalid values raise SandboxError.

    ``aws`` and ``kubernetes`` are the names of the backends. ``kubernetes_source`` is the folder that
    KUBEBUILDER_ASSETS names or the files that KUBECONFIG names, or "" if the backend needs neither.
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
    latency_ms: int = 0
    kube_latency_ms: int = 0
    aws_port: int = 0
    kube_port: int = 0

    def __post_init__(self) -> None:
        if not ACCOUNT.fullmatch(self.account):
            raise SandboxError(f"--account {self.account!r} is not an account ID with 12 digits.")
        if not REGION.fullmatch(self.region):
            raise SandboxError(f"--region {self.region!r} is not a region name.")
        if not CLUSTER.fullmatch(self.cluster):
            raise SandboxError(
                f"{self.cluster!r} is not a cluster name.",
                "Use up to 100 letters, digits, hyphens and underscores; begin with a letter or digit.",
            )
        for name in ("latency_ms", "kube_latency_ms"):
            if getattr(self, name) < 0:
                option = name.replace("_", "-")
                raise SandboxError(f"--{option} must be 0 or more milliseconds.")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Settings:
        return cls(**{field.name: record[field.name] for field in fields(cls)})


def choose_kubernetes(backend: str, environment: Mapping[str, str], state_folder: Path) -> tuple[str, str]:
    """Return the name of the backend for Kubernetes, and its source (see Settings).

    ``auto`` selects kubebuilder if KUBEBUILDER_ASSETS is set, otherwise kubeconfig if KUBECONFIG is set, otherwise
    embedded. A KUBECONFIG that a sandbox has written to its state folder is ignored. Raise SandboxError if the variable or
    the files of the backend are missing.
    """
    assets = environment.get("KUBEBUILDER_ASSETS", "")
    kubeconfig = environment.get("KUBECONFIG", "")
    if kubeconfig and _is_sandbox_folder(Path(kubeconfig).resolve().parent, environment, state_folder):
        kubeconfig = ""
    if backend == "auto":
        backend = "kubebuilder" if assets else "kubeconfig" if kubeconfig else "embedded"
    if backend == "kubebuilder":
        return backend, _assets_folder(assets)
    if backend == "kubeconfig":
        return backend, _kubeconfig_files(kubeconfig)
    return "embedded", ""


def _is_sandbox_folder(folder: Path, environment: Mapping[str, str], state_folder: Path) -> bool:
    exported = environment.get("SANDBOX_STATE")
    if folder == state_folder or (exported and folder == Path(exported).resolve()):
        return True
    return Layout(folder).is_claimed()


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
                f"KUBEBUILDER_ASSETS is {folder}, but there is no executable {program} in it.",
                "Put etcd and kube-apiserver there (`setup-envtest use` downloads them), or use `--kube embedded`.",
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
                f"KUBECONFIG names {path}, which is not an existing file.",
                "Set it to your cluster's kubeconfig, or use `--kube embedded`.",
            )
    return os.pathsep.join(str(path.resolve()) for path in paths)
