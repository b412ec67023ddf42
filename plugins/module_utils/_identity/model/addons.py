# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""EKS add-ons: definition, version policy, observed state, decoding of API responses. Pure.

Sources: eks DescribeAddon, DescribeAddonVersions, DescribeAddonConfiguration.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

AGENT_ADDON = "eks-pod-identity-agent"

# Statuses of an add-on while EKS creates, updates or deletes it.
IN_PROGRESS = frozenset(("CREATING", "UPDATING", "DELETING"))
# Statuses of an add-on whose last operation failed.
FAILED = frozenset(("CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED"))

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-eksbuild\.(\d+))?", re.ASCII)


def version_order(version: str) -> tuple[int, ...]:
    """Return the sort key of a version like "v1.3.8-eksbuild.2". Any other text has the key (), which sorts first."""
    match = _VERSION.fullmatch(version)
    return tuple(int(part or 0) for part in match.groups()) if match else ()


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """The versions of an add-on that the user accepts, by ``kind``.

    - "any": keep the installed version, or install the default version of EKS;
    - "latest": the newest compatible version, or the installed version if it is newer;
    - "at least": keep the installed version if it is ``version`` or newer, otherwise install the newest compatible version;
    - "exact": ``version``.
    """

    kind: Literal["any", "latest", "at least", "exact"] = "any"
    version: str = ""


@dataclass(frozen=True, slots=True)
class AddonSpec:
    """The definition of an add-on.

    ``roles`` has the ARNs of IAM roles by service account. With ``purge_roles``, all other associations of the add-on are
    removed. With ``adopt``, roles that are neither listed nor managed for ``owner`` may be replaced or removed.
    ``configuration`` is JSON or YAML text; None keeps the present configuration. With ``overwrite``, EKS overwrites conflicting
    settings of objects in the cluster. With ``preserve``, the objects of a deleted add-on stay in the cluster.
    """

    name: str
    absent: bool = False
    version: VersionPolicy = VersionPolicy()
    configuration: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    purge_roles: bool = False
    overwrite: bool = False
    preserve: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    adopt: bool = False
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class ObservedAddon:
    """An installed add-on. Sources: eks DescribeAddon, and DescribePodIdentityAssociation for ``roles``.

    ``roles`` has the ARNs of IAM roles by service account; ``decode_addon`` leaves it empty. ``association_ids`` has the IDs of
    the associations of the add-on. ``issues`` has each health issue as "CODE: message".
    """

    name: str
    arn: str
    status: str
    version: str
    configuration: str = ""
    roles: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    association_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AddonRelease:
    """A version of an add-on that is compatible with a cluster.

    ``default`` is true if EKS installs this version for a request without a version.
    """

    version: str
    default: bool = False


def decode_addon(raw: Mapping[str, Any]) -> ObservedAddon:
    """Decode an add-on without its roles. Source: eks DescribeAddon."""
    issues = (raw.get("health") or {}).get("issues") or ()
    return ObservedAddon(
        name=str(raw.get("addonName") or ""),
        arn=str(raw.get("addonArn") or ""),
        status=str(raw.get("status") or ""),
        version=str(raw.get("addonVersion") or ""),
        configuration=str(raw.get("configurationValues") or ""),
        issues=tuple(f"{issue.get('code', '')}: {issue.get('message', '')}" for issue in issues),
        tags=dict(raw.get("tags") or {}),
        association_ids=tuple(
            str(arn).rpartition("/")[2] for arn in raw.get("podIdentityAssociations") or ()
        ),
    )


def decode_releases(addons: Iterable[Mapping[str, Any]], kubernetes_version: str) -> tuple[AddonRelease, ...]:
    """Decode the versions of one add-on, newest first. Source: eks DescribeAddonVersions.

    :arg kubernetes_version: the version of the cluster, for which EKS marks one version as the default.
    """
    releases = [
        AddonRelease(
            str(raw["addonVersion"]),
            any(
                compatibility.get("defaultVersion")
                for compatibility in raw.get("compatibilities") or ()
                if compatibility.get("clusterVersion") == kubernetes_version
            ),
        )
        for addon in addons
        for raw in addon.get("addonVersions") or ()
    ]
    return tuple(sorted(releases, key=lambda release: version_order(release.version), reverse=True))
