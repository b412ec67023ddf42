# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read EKS add-ons, their versions, and the service accounts that can have a role."""

from __future__ import annotations

from dataclasses import replace

from ..._aws.client import Api
from ..model.addons import (
    AddonRelease,
    ObservedAddon,
    decode_addon,
    decode_releases,
)
from ..model.cluster import Cluster
from ..model.roles import decode_role
from .associations import describe_association
from .reader import none_if_missing


def read_addon(api: Api, cluster: Cluster, name: str) -> ObservedAddon | None:
    """Return an add-on without its roles, or None if it is not installed. Raises AwsError.

    Source: eks DescribeAddon.
    """
    request = {"clusterName": cluster.name, "addonName": name}
    response = none_if_missing(lambda: api.call("eks", "DescribeAddon", request))
    return decode_addon(response["addon"]) if response is not None else None


def read_addon_with_roles(api: Api, cluster: Cluster, name: str) -> ObservedAddon | None:
    """Return an add-on with the roles of its service accounts, or None if it is not installed. Raises AwsError.

    Sources: eks DescribeAddon, and DescribePodIdentityAssociation for each of its associations.
    """
    addon = read_addon(api, cluster, name)
    if addon is None:
        return None
    described = [
        describe_association(api, cluster.name, association_id) for association_id in addon.association_ids
    ]
    roles = {found.key.service_account: found.role_arn for found in described if found is not None}
    return replace(addon, roles=roles)


def read_role_tags(api: Api, arn: str) -> dict[str, str]:
    """Return the tags of a role; without tags if it does not exist. Raises AwsError. Source: iam GetRole."""
    request = {"RoleName": arn.rpartition("/")[2]}
    response = none_if_missing(lambda: api.call("iam", "GetRole", request))
    return dict(decode_role(response["Role"], ()).tags) if response is not None else {}


def read_releases(api: Api, cluster: Cluster, name: str) -> tuple[AddonRelease, ...]:
    """Return the versions of an add-on that are compatible with a cluster, newest first. Raises AwsError.

    Source: eks DescribeAddonVersions.
    """
    request = {"addonName": name, "kubernetesVersion": cluster.version}
    return decode_releases(api.pages("eks", "DescribeAddonVersions", request, "addons"), cluster.version)


def read_identities(api: Api, name: str, version: str) -> dict[str, tuple[str, ...]]:
    """Return the service accounts that can have a role in this version of an add-on. Raises AwsError.

    The values are the ARNs of the managed policies that EKS recommends for a service account.

    Source: eks DescribeAddonConfiguration.
    """
    request = {"addonName": name, "addonVersion": version}
    response = api.call("eks", "DescribeAddonConfiguration", request)
    return {
        str(part["serviceAccount"]): tuple(part.get("recommendedManagedPolicies") or ())
        for part in response.get("podIdentityConfiguration") or ()
    }
