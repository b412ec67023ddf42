# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Platform versions by Kubernetes version, and add-on versions."""

from __future__ import annotations

from typing import NamedTuple

PLATFORM_VERSIONS = {
    "1.34": "eks.9",
    "1.33": "eks.16",
    "1.32": "eks.23",
    "1.31": "eks.39",
    "1.30": "eks.47",
    "1.29": "eks.50",
}
DEFAULT_VERSION = "1.34"


class AddonRelease(NamedTuple):
    """The current version of an add-on, and its namespace."""

    name: str
    version: str
    namespace: str


ADDONS = (
    AddonRelease("aws-ebs-csi-driver", "v1.50.1-eksbuild.1", "kube-system"),
    AddonRelease("coredns", "v1.12.3-eksbuild.1", "kube-system"),
    AddonRelease("eks-pod-identity-agent", "v1.3.8-eksbuild.2", "kube-system"),
    AddonRelease("kube-proxy", "v1.34.0-eksbuild.4", "kube-system"),
    AddonRelease("vpc-cni", "v1.20.3-eksbuild.1", "kube-system"),
)


def platform_version(version: str) -> str:
    """Return the newest platform version of a Kubernetes version."""
    return PLATFORM_VERSIONS.get(version, "eks.1")


def find_addon(name: str) -> AddonRelease | None:
    """Return the current version of an add-on; None if EKS does not offer it."""
    return next((release for release in ADDONS if release.name == name), None)
