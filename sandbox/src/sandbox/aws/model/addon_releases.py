# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS platform version of each Kubernetes version, and the versions of add-ons."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
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
    """An add-on: its versions, newest first, its namespace, and the managed policies of its service accounts.

    The first version is the default version. ``without_roles`` is a version that accepts no Pod Identity associations, or "".
    """

    name: str
    versions: tuple[str, ...]
    namespace: str = "kube-system"
    policies: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    without_roles: str = ""

    @property
    def version(self) -> str:
        return self.versions[0]


_POLICY = "arn:aws:iam::aws:policy/"
ADDONS = (
    AddonRelease(
        "aws-ebs-csi-driver",
        ("v1.50.1-eksbuild.1", "v1.49.0-eksbuild.1", "v1.25.0-eksbuild.1"),
        policies={"ebs-csi-controller-sa": (f"{_POLICY}service-role/AmazonEBSCSIDriverPolicy",)},
        without_roles="v1.25.0-eksbuild.1",
    ),
    AddonRelease("coredns", ("v1.12.3-eksbuild.1",)),
    AddonRelease("eks-pod-identity-agent", ("v1.3.8-eksbuild.2", "v1.3.7-eksbuild.2", "v1.3.0-eksbuild.1")),
    AddonRelease("kube-proxy", ("v1.34.0-eksbuild.4",)),
    AddonRelease(
        "vpc-cni",
        ("v1.20.3-eksbuild.1", "v1.19.6-eksbuild.7"),
        policies={"aws-node": (f"{_POLICY}AmazonEKS_CNI_Policy",)},
    ),
)


def platform_version(version: str) -> str:
    """Return the newest platform version of a Kubernetes version, or eks.1 for an unknown version."""
    return PLATFORM_VERSIONS.get(version, "eks.1")


def find_addon(name: str) -> AddonRelease | None:
    """Return an add-on by its name, or None if the emulation does not have it."""
    return next((release for release in ADDONS if release.name == name), None)
