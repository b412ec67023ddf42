# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters: ministack makes the record, the overlay completes it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.aws.eks_associations import invalid
from sandbox.aws.eks_paging import page
from sandbox.aws.eks_state import EksState, public
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.eks_versions import DEFAULT_VERSION, platform_version
from sandbox.aws.model import Call, Record, Response
from sandbox.aws.passing import RolePassing

Payload = Mapping[str, Any]
LEAST_SUBNETS = 2
_SUBNET = re.compile(r"subnet-(?:[0-9a-f]{8}|[0-9a-f]{17})")
# Members of the request that ministack drops and DescribeCluster shows.
_KEPT = ("computeConfig", "storageConfig", "upgradePolicy", "deletionProtection")


class Clusters:
    def __init__(self, state: EksState, passing: RolePassing) -> None:
        self._state = state
        self._passing = passing

    def check_create(self, call: Call) -> None:
        """Tags; and with --auth the role and the subnets, of which only the IDs are known here."""
        request = call.data()
        check_tags(request.get("tags", {}))
        if not self._state.stock.auth:
            return
        self._passing.check_cluster_role(call, request.get("roleArn", ""))
        subnets = request.get("resourcesVpcConfig", {}).get("subnetIds", [])
        for subnet in subnets:
            if not _SUBNET.fullmatch(subnet):
                raise invalid(
                    f"The subnet ID '{subnet}' does not exist (Service: AmazonEC2; Status Code: 400; "
                    f"Error Code: InvalidSubnetID.NotFound; Request ID: {uuid.uuid4()}; Proxy: null)"
                )
        if len(set(subnets)) < LEAST_SUBNETS:
            raise invalid("Subnets specified must be in at least two different AZs")

    def complete(self, call: Call, response: Response) -> Payload | None:
        """Finish the cluster ministack has just made; None where it refused."""
        if response.status != 200:
            return None
        request = call.data()
        cluster = self._state.cluster(call, request["name"])
        version = request.get("version", DEFAULT_VERSION)
        cluster.update({name: request[name] for name in _KEPT if name in request})
        cluster.update(
            version=version,
            platformVersion=platform_version(version),
            createdAt=self._state.clock.eks(),
            status="ACTIVE",
            health={"issues": []},
        )
        cluster["tags"] = dict(request.get("tags", {}))
        return {"cluster": self._shown(cluster)}

    def describe(self, call: Call) -> Payload:
        return {"cluster": self._shown(self._state.cluster(call, call.path_parts[0]))}

    def list(self, call: Call) -> Payload:
        names = sorted(name for name, _ in self._state.stock.clusters.items(call.account, call.region))
        return page(call, "clusters", names, str, str)

    def update_config(self, call: Call) -> Payload:
        cluster = self._state.cluster(call, call.path_parts[0])
        request = call.data()
        for name in _KEPT:
            if isinstance(request.get(name), dict):
                cluster[name] = {**cluster.get(name, {}), **request[name]}
            elif name in request:
                cluster[name] = request[name]
        kind = "AutoModeUpdate" if "computeConfig" in request else "EndpointAccessUpdate"
        update = {
            "id": str(uuid.uuid4()),
            "status": "Successful",
            "type": kind,
            "params": [],
            "createdAt": self._state.clock.eks(),
            "errors": [],
        }
        return {"update": update}

    def _shown(self, cluster: Record) -> Record:
        shown = public(cluster)
        kubernetes = self._state.kubernetes
        patched = cluster.get("_patched", ())
        if kubernetes.endpoint and "endpoint" not in patched:
            shown["endpoint"] = kubernetes.endpoint
        if kubernetes.certificate_authority_data and "certificateAuthority" not in patched:
            shown["certificateAuthority"] = {"data": kubernetes.certificate_authority_data}
        return shown
