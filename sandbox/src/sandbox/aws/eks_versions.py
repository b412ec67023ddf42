# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What EKS offers: Kubernetes versions and add-on versions.

A fixed table, not a clock: a test must give the same answer next year. Dates: the EKS user
guide's version calendar.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sandbox.aws.eks_paging import page
from sandbox.aws.model import Call


class KubernetesVersion(NamedTuple):
    version: str
    patch: str
    platform: str
    released: str
    standard_until: str
    extended_until: str
    status: str


STANDARD = "STANDARD_SUPPORT"
EXTENDED = "EXTENDED_SUPPORT"
VERSIONS = (
    KubernetesVersion("1.34", "1.34.1", "eks.9", "2025-10-02", "2026-12-02", "2027-12-02", STANDARD),
    KubernetesVersion("1.33", "1.33.5", "eks.16", "2025-05-29", "2026-07-29", "2027-07-29", STANDARD),
    KubernetesVersion("1.32", "1.32.9", "eks.23", "2025-01-23", "2026-03-23", "2027-03-23", STANDARD),
    KubernetesVersion("1.31", "1.31.13", "eks.39", "2024-09-26", "2025-11-26", "2026-11-26", EXTENDED),
    KubernetesVersion("1.30", "1.30.14", "eks.47", "2024-05-23", "2025-07-23", "2026-07-23", EXTENDED),
    KubernetesVersion("1.29", "1.29.15", "eks.50", "2024-01-23", "2025-03-23", "2026-03-23", EXTENDED),
)
DEFAULT_VERSION = VERSIONS[0].version


class AddonOffer(NamedTuple):
    name: str
    kind: str
    version: str
    namespace: str


ADDONS = (
    AddonOffer("aws-ebs-csi-driver", "storage", "v1.50.1-eksbuild.1", "kube-system"),
    AddonOffer("coredns", "networking", "v1.12.3-eksbuild.1", "kube-system"),
    AddonOffer("eks-pod-identity-agent", "security", "v1.3.8-eksbuild.2", "kube-system"),
    AddonOffer("kube-proxy", "networking", "v1.34.0-eksbuild.4", "kube-system"),
    AddonOffer("vpc-cni", "networking", "v1.20.3-eksbuild.1", "kube-system"),
)


def platform_version(version: str) -> str:
    """The newest platform version of a Kubernetes version."""
    known = {entry.version: entry.platform for entry in VERSIONS}
    return known.get(version, "eks.1")


def addon_offer(name: str) -> AddonOffer | None:
    return next((offer for offer in ADDONS if offer.name == name), None)


def describe_cluster_versions(call: Call) -> Mapping[str, Any]:
    wanted = call.query.get("clusterVersions", ())
    status = call.query_value("versionStatus")
    only_default = call.query_value("defaultOnly") == "true"
    chosen = [
        entry
        for entry in VERSIONS
        if (not wanted or entry.version in wanted)
        and status in (None, entry.status)
        and not (only_default and entry.version != DEFAULT_VERSION)
    ]
    positions = {entry.version: f"{n:03d}" for n, entry in enumerate(VERSIONS)}
    return page(call, "clusterVersions", chosen, lambda e: positions[e.version], _version)


def describe_addon_versions(call: Call) -> Mapping[str, Any]:
    name = call.query_value("addonName")
    kubernetes = call.query_value("kubernetesVersion")
    types = call.query.get("types", ())
    chosen = [offer for offer in ADDONS if name in (None, offer.name) and (not types or offer.kind in types)]
    return page(call, "addons", chosen, lambda o: o.name, lambda o: _offer(o, kubernetes))


def _version(entry: KubernetesVersion) -> Mapping[str, Any]:
    return {
        "clusterVersion": entry.version,
        "clusterType": "eks",
        "defaultPlatformVersion": entry.platform,
        "defaultVersion": entry.version == DEFAULT_VERSION,
        "releaseDate": _epoch(entry.released),
        "endOfStandardSupportDate": _epoch(entry.standard_until),
        "endOfExtendedSupportDate": _epoch(entry.extended_until),
        "status": entry.status.lower().replace("_", "-"),
        "versionStatus": entry.status,
        "kubernetesPatchVersion": entry.patch,
    }


def _offer(offer: AddonOffer, kubernetes: str | None) -> Mapping[str, Any]:
    versions = [entry.version for entry in VERSIONS if kubernetes in (None, entry.version)]
    return {
        "addonName": offer.name,
        "type": offer.kind,
        "owner": "aws",
        "publisher": "eks",
        "defaultNamespace": offer.namespace,
        "addonVersions": [
            {
                "addonVersion": offer.version,
                "architecture": ["amd64", "arm64"],
                "computeTypes": ["ec2", "hybrid"],
                "requiresConfiguration": False,
                "requiresIamPermissions": offer.name in ("aws-ebs-csi-driver", "vpc-cni"),
                "compatibilities": [
                    {"clusterVersion": version, "platformVersions": ["*"], "defaultVersion": True}
                    for version in versions
                ],
            }
        ],
    }


def _epoch(day: str) -> float:
    return datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp()
