# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS operations for clusters. ministack creates a cluster, and this module adds missing fields."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from sandbox.aws.clock import eks_time
from sandbox.aws.eks_associations import invalid
from sandbox.aws.eks_paging import page
from sandbox.aws.eks_state import EksState, public
from sandbox.aws.eks_tags import check_tags
from sandbox.aws.eks_versions import DEFAULT_VERSION, platform_version
from sandbox.aws.model import Call, Record, Response
from sandbox.aws.passing import RolePassing

Payload = Mapping[str, Any]
MIN_SUBNETS = 2
_SUBNET = re.compile(r"subnet-(?:[0-9a-f]{8}|[0-9a-f]{17})")
# Members of a CreateCluster request that DescribeCluster must return but ministack does not store.
_MEMBERS = ("computeConfig", "storageConfig", "upgradePolicy", "deletionProtection")


class Clusters:
    """The operations for clusters. Each operation is a method that returns the data of the response."""

    def __init__(self, state: EksState, passing: RolePassing) -> None:
        self._state = state
        self._passing = passing

    def check_create(self, call: Call) -> None:
        """Check the tags of a CreateCluster request, and with --auth also the role and the subnet IDs."""
        request = call.data()
        check_tags(request.get("tags", {}))
        if not self._state.ministack.auth:
            return
        self._passing.check_cluster_role(call, request.get("roleArn", ""))
        subnets = request.get("resourcesVpcConfig", {}).get("subnetIds", [])
        for subnet in subnets:
            if not _SUBNET.fullmatch(subnet):
                raise invalid(
                    f"The subnet ID '{subnet}' does not exist (Service: AmazonEC2; Status Code: 400; "
                    f"Error Code: InvalidSubnetID.NotFound; Request ID: {uuid.uuid4()}; Proxy: null)"
                )
        if len(set(subnets)) < MIN_SUBNETS:
            raise invalid("Subnets specified must be in at least two different AZs")

    def complete(self, call: Call, response: Response) -> Payload | None:
        """Add the missing members to a new cluster. Return the response data, or None if ministack did not create the cluster."""
        if response.status != 200:
            return None
        request = call.data()
        cluster = self._state.cluster(call, request["name"])
        version = request.get("version", DEFAULT_VERSION)
        cluster.update({name: request[name] for name in _MEMBERS if name in request})
        cluster.update(
            version=version,
            platformVersion=platform_version(version),
            createdAt=eks_time(),
            status="ACTIVE",
            health={"issues": []},
            identity={
                "oidc": {
                    "issuer": f"https://oidc.eks.{call.region}.amazonaws.com/id/{uuid.uuid4().hex.upper()}"
                }
            },
        )
        cluster["tags"] = dict(request.get("tags", {}))
        return {"cluster": self._public(cluster)}

    def describe(self, call: Call) -> Payload:
        return {"cluster": self._public(self._state.cluster(call, call.path_parts[0]))}

    def list(self, call: Call) -> Payload:
        names = sorted(name for name, _ in self._state.ministack.clusters.items(call.account, call.region))
        return page(call, "clusters", names, str, str)

    def _public(self, cluster: Record) -> Record:
        description = public(cluster)
        kubernetes = self._state.kubernetes
        patched = cluster.get("_patched", ())
        if kubernetes.endpoint and "endpoint" not in patched:
            description["endpoint"] = kubernetes.endpoint
        if kubernetes.certificate_authority_data and "certificateAuthority" not in patched:
            description["certificateAuthority"] = {"data": kubernetes.certificate_authority_data}
        return description
