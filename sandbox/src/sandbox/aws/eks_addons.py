# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-ons and the associations that they own."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.aws.clock import eks_time
from sandbox.aws.eks_associations import Associations, invalid
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.eks_versions import find_addon
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.passing import RolePassing

Payload = Mapping[str, Any]


class Addons:
    """The add-on operations, one method each."""

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
            "addonVersion": request.get("addonVersion") or release.version,
            "addonArn": arn,
            "createdAt": moment,
            "modifiedAt": moment,
            "tags": dict(request.get("tags", {})),
            "owner": "aws",
            "publisher": "eks",
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

    def delete(self, call: Call) -> Payload:
        addon = self._find(call)
        cluster, name = call.path_parts
        associations = self._state.associations(call.account, call.region, cluster)
        for record in list(associations.by_id.values()):
            if record.get("ownerArn") == addon["addonArn"]:
                self._state.drop_association(call.account, call.region, record)
        self._state.ministack.addons.drop(call.account, call.region, f"{cluster}/{name}")
        return {"addon": {**addon, "status": "DELETING"}}

    def _create_association(
        self, call: Call, cluster: str, owner: str, namespace: str, association: Payload
    ) -> str:
        """Create an association of the add-on and return its ARN."""
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
