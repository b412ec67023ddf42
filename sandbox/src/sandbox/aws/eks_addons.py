# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS operations for add-ons. An add-on may own associations, which are deleted together with the add-on."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.aws.clock import eks_time
from sandbox.aws.eks_associations import Associations, invalid
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.eks_versions import ADDONS, DEFAULT_VERSION, AddonRelease, find_addon
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.passing import RolePassing

Payload = Mapping[str, Any]


class Addons:
    """The operations for add-ons. Each operation is a method that returns the data of the response."""

    def __init__(self, state: EksState, associations: Associations, passing: RolePassing) -> None:
        self._state = state
        self._associations = associations
        self._passing = passing

    def create(self, call: Call) -> Payload:
        cluster = call.path_parts[0]
        self._state.cluster(call, cluster)
        request = call.data()
        name = request.get("addonName", "")
        release = find_addon(name)
        if release is None:
            raise invalid(f"Addon {name} specified is not supported")
        if self._state.addon(call.account, call.region, cluster, name):
            raise ApiError(409, "ResourceInUseException", "Addon already exists.")
        check_tags(request.get("tags", {}))
        version = request.get("addonVersion") or release.version
        _check_version(release, version)
        _check_associations(release, version, request.get("podIdentityAssociations", ()))
        arn = f"arn:aws:eks:{call.region}:{call.account}:addon/{cluster}/{name}/{uuid.uuid4()}"
        owned = [
            self._create_association(call, cluster, arn, release.namespace, association)
            for association in request.get("podIdentityAssociations", ())
        ]
        moment = eks_time()
        addon: Record = {
            "addonName": name,
            "clusterName": cluster,
            "status": "ACTIVE",
            "health": {"issues": []},
            "addonVersion": version,
            "addonArn": arn,
            "createdAt": moment,
            "modifiedAt": moment,
            "tags": dict(request.get("tags", {})),
            "owner": "aws",
            "publisher": "eks",
            "namespaceConfig": {"namespace": release.namespace},
        }
        if owned:
            addon["podIdentityAssociations"] = owned
        for member in ("serviceAccountRoleArn", "configurationValues"):
            if request.get(member):
                addon[member] = request[member]
        self._state.ministack.addons.put(call.account, call.region, f"{cluster}/{name}", addon)
        return {"addon": addon}

    def describe(self, call: Call) -> Payload:
        return {"addon": self._find(call)}

    def update(self, call: Call) -> Payload:
        """Update an add-on.

        If the request has a list of associations, it replaces all associations of the add-on; otherwise they do not change.
        """
        addon = self._find(call)
        name = call.path_parts[1]
        request = call.data()
        release = find_addon(name)
        if release is None:
            raise invalid(f"Addon {name} specified is not supported")
        version = request.get("addonVersion") or addon["addonVersion"]
        _check_version(release, version)
        desired = request.get("podIdentityAssociations")
        if desired is not None:
            _check_associations(release, version, desired)
            self._replace_associations(call, addon, release.namespace, desired)
        addon["addonVersion"] = version
        for member in ("serviceAccountRoleArn", "configurationValues"):
            if member in request:
                addon[member] = request[member]
        addon["modifiedAt"] = eks_time()
        update = {
            "id": str(uuid.uuid4()),
            "status": "InProgress",
            "type": "AddonUpdate",
            "params": [],
            "createdAt": addon["modifiedAt"],
            "errors": [],
        }
        return {"update": update}

    def versions(self, call: Call) -> Payload:
        """Return the versions of add-ons that are compatible with a Kubernetes version: in this emulation, all versions."""
        name = call.query_value("addonName")
        kubernetes_version = call.query_value("kubernetesVersion") or DEFAULT_VERSION
        addons = [
            {
                "addonName": release.name,
                "type": "security",
                "publisher": "eks",
                "owner": "aws",
                "defaultNamespace": release.namespace,
                "addonVersions": [
                    {
                        "addonVersion": version,
                        "architecture": ["amd64", "arm64"],
                        "compatibilities": [
                            {
                                "clusterVersion": kubernetes_version,
                                "platformVersions": ["*"],
                                "defaultVersion": version == release.version,
                            }
                        ],
                        "requiresConfiguration": False,
                        "requiresIamPermissions": bool(release.policies),
                    }
                    for version in release.versions
                ],
            }
            for release in ADDONS
            if name in (None, release.name)
        ]
        return {"addons": addons}

    def configuration(self, call: Call) -> Payload:
        """Return the schema of an add-on's values, and the service accounts that can have a role."""
        name, version = call.query_value("addonName") or "", call.query_value("addonVersion") or ""
        release = find_addon(name)
        if release is None:
            raise invalid(f"Addon {name} specified is not supported")
        _check_version(release, version)
        policies = {} if version == release.without_roles else release.policies
        return {
            "addonName": name,
            "addonVersion": version,
            "configurationSchema": "{}",
            "podIdentityConfiguration": [
                {"serviceAccount": account, "recommendedManagedPolicies": list(arns)}
                for account, arns in policies.items()
            ],
        }

    def delete(self, call: Call) -> Payload:
        addon = self._find(call)
        cluster, name = call.path_parts
        associations = self._state.associations(call.account, call.region, cluster)
        for record in list(associations.by_id.values()):
            if record.get("ownerArn") == addon["addonArn"]:
                self._state.drop_association(call.account, call.region, record)
        self._state.ministack.addons.drop(call.account, call.region, f"{cluster}/{name}")
        return {"addon": {**addon, "status": "DELETING"}}

    def _replace_associations(
        self, call: Call, addon: Record, namespace: str, desired: Iterable[Payload]
    ) -> None:
        cluster = call.path_parts[0]
        roles = {entry["serviceAccount"]: entry["roleArn"] for entry in desired}
        kept = []
        records = self._state.associations(call.account, call.region, cluster).by_id
        for record in list(records.values()):
            if record.get("ownerArn") != addon["addonArn"]:
                continue
            role_arn = roles.pop(record["serviceAccount"], None)
            if role_arn is None:
                self._state.drop_association(call.account, call.region, record)
                continue
            if role_arn != record["roleArn"]:
                self._passing.check(call, role_arn)
                record |= {"roleArn": role_arn, "modifiedAt": eks_time()}
            kept.append(str(record["associationArn"]))
        kept += [
            self._create_association(
                call, cluster, addon["addonArn"], namespace, {"serviceAccount": account, "roleArn": arn}
            )
            for account, arn in roles.items()
        ]
        addon["podIdentityAssociations"] = kept

    def _create_association(
        self, call: Call, cluster: str, owner: str, namespace: str, association: Payload
    ) -> str:
        """Create an association that the add-on owns, and return its ARN."""
        request = {**association, "namespace": namespace}
        associations = self._state.associations(call.account, call.region, cluster)
        existing = associations.by_identity.get((namespace, request["serviceAccount"]))
        if existing is not None:
            raise ApiError(409, "ResourceInUseException", f"Association already exists: {existing}")
        self._passing.check(call, request["roleArn"])
        record = self._associations.add(call, cluster, request, owner)
        return str(record["associationArn"])

    def _find(self, call: Call) -> Record:
        cluster, name = call.path_parts
        self._state.cluster(call, cluster)
        addon = self._state.addon(call.account, call.region, cluster, name)
        if addon is None:
            raise ApiError(
                404,
                "ResourceNotFoundException",
                f"No addon: {name} found in cluster: {cluster}",
            )
        return addon


def _check_version(release: AddonRelease, version: str) -> None:
    if version not in release.versions:
        raise invalid(f"Addon version specified is not supported: {version}")


def _check_associations(release: AddonRelease, version: str, associations: Iterable[Payload]) -> None:
    for association in associations:
        if version == release.without_roles:
            raise invalid(f"Pod Identity feature is not supported for addon version: {version}")
        account = association["serviceAccount"]
        if account not in release.policies:
            raise invalid(
                f"Service account {account} in pod identity configuration is not supported for addon {release.name}"
            )
