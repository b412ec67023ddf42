# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-ons of EKS. An add-on may own associations, which are deleted together with the add-on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from sandbox.aws.model.addon_releases import ADDONS, DEFAULT_VERSION, AddonRelease, find_addon
from sandbox.aws.model.eks import Eks, check_tags
from sandbox.aws.model.errors import Refusal, invalid
from sandbox.aws.model.tables import Answer, Request

_VALUES = ("serviceAccountRoleArn", "configurationValues")


class EksWithAddons(Eks):
    """EKS of one account and region, with the operations for add-ons."""

    def CreateAddon(self, request: Request) -> Answer:
        cluster, name = request["clusterName"], request["addonName"]
        self.cluster(cluster)
        release = _release(name)
        if (cluster, name) in self.addons:
            raise Refusal("ResourceInUseException", "Addon already exists.")
        check_tags(request.get("tags", {}))
        version = request.get("addonVersion") or release.version
        _check_version(release, version)
        desired = request.get("podIdentityAssociations", ())
        _check_associations(release, version, desired)
        arn = self.arn("addon", cluster, name, str(uuid.uuid4()))
        owned = [self._own(cluster, arn, release.namespace, association) for association in desired]
        self.addons[cluster, name] = {
            "addonName": name,
            "clusterName": cluster,
            "status": "ACTIVE",
            "health": {"issues": []},
            "addonVersion": version,
            "addonArn": arn,
            "createdAt": self.now(),
            "modifiedAt": self.now(),
            "tags": dict(request.get("tags", {})),
            "owner": "aws",
            "publisher": "eks",
            "namespaceConfig": {"namespace": release.namespace},
            **({"podIdentityAssociations": owned} if owned else {}),
            **{member: request[member] for member in _VALUES if request.get(member)},
        }
        return {"addon": dict(self.addons[cluster, name])}

    def DescribeAddon(self, request: Request) -> Answer:
        return {"addon": dict(self.addon(request))}

    def ListAddons(self, request: Request) -> Answer:
        self.cluster(request["clusterName"])
        names = [(name, name) for cluster, name in self.addons if cluster == request["clusterName"]]
        return self.page(request, "addons", names)

    def UpdateAddon(self, request: Request) -> Answer:
        """Update an add-on. A list of associations replaces all its associations; without a list, they do not change."""
        addon = self.addon(request)
        release = _release(request["addonName"])
        version = request.get("addonVersion") or addon["addonVersion"]
        _check_version(release, version)
        desired = request.get("podIdentityAssociations")
        if desired is not None:
            _check_associations(release, version, desired)
            self._replace(addon, release.namespace, desired)
        addon["addonVersion"], addon["modifiedAt"] = version, self.now()
        addon.update({member: request[member] for member in _VALUES if member in request})
        update = {
            "id": str(uuid.uuid4()),
            "status": "InProgress",
            "type": "AddonUpdate",
            "params": [],
            "errors": [],
        }
        return {"update": {**update, "createdAt": addon["modifiedAt"]}}

    def DeleteAddon(self, request: Request) -> Answer:
        addon = self.addon(request)
        for identifier, record in list(self.associations.items()):
            if record.get("ownerArn") == addon["addonArn"]:
                del self.associations[identifier]
        del self.addons[request["clusterName"], request["addonName"]]
        return {"addon": {**addon, "status": "DELETING"}}

    def DescribeAddonVersions(self, request: Request) -> Answer:
        """Return the versions of add-ons that are compatible with a Kubernetes version: in this model, all versions."""
        kubernetes = request.get("kubernetesVersion") or DEFAULT_VERSION
        return {
            "addons": [
                {
                    "addonName": release.name,
                    "type": "security",
                    "publisher": "eks",
                    "owner": "aws",
                    "defaultNamespace": release.namespace,
                    "addonVersions": [_version(release, version, kubernetes) for version in release.versions],
                }
                for release in ADDONS
                if request.get("addonName") in (None, release.name)
            ]
        }

    def DescribeAddonConfiguration(self, request: Request) -> Answer:
        """Return the schema of an add-on's values, and the service accounts that can have a role."""
        release, version = _release(request["addonName"]), request["addonVersion"]
        _check_version(release, version)
        policies = {} if version == release.without_roles else release.policies
        return {
            "addonName": release.name,
            "addonVersion": version,
            "configurationSchema": "{}",
            "podIdentityConfiguration": [
                {"serviceAccount": account, "recommendedManagedPolicies": list(arns)}
                for account, arns in policies.items()
            ],
        }

    def addon(self, request: Request) -> Answer:
        cluster, name = request["clusterName"], request["addonName"]
        self.cluster(cluster)
        if (cluster, name) not in self.addons:
            raise Refusal("ResourceNotFoundException", f"No addon: {name} found in cluster: {cluster}")
        return self.addons[cluster, name]

    def _replace(self, addon: Answer, namespace: str, desired: Iterable[Request]) -> None:
        roles = {entry["serviceAccount"]: entry["roleArn"] for entry in desired}
        kept = []
        for identifier, record in list(self.associations.items()):
            if record.get("ownerArn") != addon["addonArn"]:
                continue
            role_arn = roles.pop(record["serviceAccount"], None)
            if role_arn is None:
                del self.associations[identifier]
                continue
            if role_arn != record["roleArn"]:
                self.check_role(role_arn)
                record |= {"roleArn": role_arn, "modifiedAt": self.now()}
            kept.append(str(record["associationArn"]))
        cluster = addon["clusterName"]
        for account, arn in roles.items():
            association = {"serviceAccount": account, "roleArn": arn}
            kept.append(self._own(cluster, addon["addonArn"], namespace, association))
        addon["podIdentityAssociations"] = kept

    def _own(self, cluster: str, owner: str, namespace: str, association: Request) -> str:
        """Create an association that the add-on owns, and return its ARN."""
        request = {**association, "clusterName": cluster, "namespace": namespace}
        self.check_free(request)
        self.check_role(request["roleArn"])
        return str(self.put({**request, "ownerArn": owner})["associationArn"])


def _release(name: str) -> AddonRelease:
    release = find_addon(name)
    if release is None:
        raise invalid(f"Addon {name} specified is not supported")
    return release


def _version(release: AddonRelease, version: str, kubernetes: str) -> Answer:
    return {
        "addonVersion": version,
        "architecture": ["amd64", "arm64"],
        "compatibilities": [
            {
                "clusterVersion": kubernetes,
                "platformVersions": ["*"],
                "defaultVersion": version == release.version,
            }
        ],
        "requiresConfiguration": False,
        "requiresIamPermissions": bool(release.policies),
    }


def _check_version(release: AddonRelease, version: str) -> None:
    if version not in release.versions:
        raise invalid(f"Addon version specified is not supported: {version}")


def _check_associations(release: AddonRelease, version: str, associations: Iterable[Request]) -> None:
    for association in associations:
        if version == release.without_roles:
            raise invalid(f"Pod Identity feature is not supported for addon version: {version}")
        account = association["serviceAccount"]
        if account not in release.policies:
            raise invalid(
                f"Service account {account} in pod identity configuration is not supported for addon {release.name}"
            )
