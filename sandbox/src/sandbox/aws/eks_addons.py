# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-ons, and the associations an add-on owns."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.aws.eks_associations import Associations, invalid
from sandbox.aws.eks_paging import page
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.eks_versions import addon_offer
from sandbox.aws.model import ApiError, Call, Record
from sandbox.aws.passing import RolePassing

Payload = Mapping[str, Any]


class Addons:
    def __init__(self, state: EksState, associations: Associations, passing: RolePassing) -> None:
        self._state = state
        self._associations = associations
        self._passing = passing

    def create(self, call: Call) -> Payload:
        cluster = call.path_parts[0]
        self._state.cluster(call, cluster)
        request = call.data()
        name = request.get("addonName", "")
        offer = addon_offer(name)
        if offer is None:
            raise invalid(f"Addon {name} specified is not supported")
        if self._state.addon(call.account, call.region, cluster, name):
            raise ApiError(409, "ResourceInUseException", "Addon already exists.")
        check_tags(request.get("tags", {}))
        arn = f"arn:aws:eks:{call.region}:{call.account}:addon/{cluster}/{name}/{uuid.uuid4()}"
        owned = [
            self._own(call, cluster, arn, offer.namespace, wanted)
            for wanted in request.get("podIdentityAssociations", ())
        ]
        moment = self._state.clock.eks()
        addon: Record = {
            "addonName": name,
            "clusterName": cluster,
            "status": "ACTIVE",
            "health": {"issues": []},
            "addonVersion": request.get("addonVersion") or offer.version,
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
        self._state.stock.addons.put(call.account, call.region, f"{cluster}/{name}", addon)
        return {"addon": addon}

    def describe(self, call: Call) -> Payload:
        return {"addon": self._find(call)}

    def list(self, call: Call) -> Payload:
        cluster = call.path_parts[0]
        self._state.cluster(call, cluster)
        stored = self._state.stock.addons.items(call.account, call.region)
        names = sorted(a["addonName"] for _, a in stored if a["clusterName"] == cluster)
        return page(call, "addons", names, str, str)

    def delete(self, call: Call) -> Payload:
        addon = self._find(call)
        cluster, name = call.path_parts
        known = self._state.associations(call.account, call.region, cluster)
        for record in list(known.by_id.values()):
            if record.get("ownerArn") == addon["addonArn"]:
                self._state.drop_association(call.account, call.region, record)
        self._state.stock.addons.drop(call.account, call.region, f"{cluster}/{name}")
        return {"addon": {**addon, "status": "DELETING"}}

    def update(self, call: Call) -> Payload:
        addon = self._find(call)
        request = call.data()
        for member in ("addonVersion", "serviceAccountRoleArn", "configurationValues"):
            if member in request:
                addon[member] = request[member]
        addon["modifiedAt"] = self._state.clock.eks()
        update = {
            "id": str(uuid.uuid4()),
            "status": "Successful",
            "type": "AddonUpdate",
            "params": [],
            "createdAt": self._state.clock.eks(),
            "errors": [],
        }
        return {"update": update}

    def _own(self, call: Call, cluster: str, owner: str, namespace: str, wanted: Payload) -> str:
        """Make the association an add-on asks for; returns its ARN."""
        request = {**wanted, "namespace": namespace}
        known = self._state.associations(call.account, call.region, cluster)
        existing = known.by_identity.get((namespace, request["serviceAccount"]))
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
