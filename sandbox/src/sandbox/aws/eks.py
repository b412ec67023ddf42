# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The EKS operations that the overlay implements: clusters, associations, add-ons and tags.

ministack handles the other operations, such as the operations for node groups and access entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from sandbox.aws.eks_addons import Addons
from sandbox.aws.eks_associations import Associations
from sandbox.aws.eks_clusters import Clusters
from sandbox.aws.eks_state import EksState
from sandbox.aws.eks_tags import Tags
from sandbox.aws.model import Call, Response
from sandbox.aws.passing import RolePassing
from sandbox.aws.responses import json_response

Operation = Callable[[Call], Mapping[str, Any] | None]
Inner = Callable[[], Awaitable[Response]]


class Eks:
    """The EKS service of the embedded AWS."""

    def __init__(self, state: EksState, passing: RolePassing) -> None:
        self.state = state
        self._clusters = Clusters(state, passing)
        # ministack creates clusters in threads. Without a lock, two threads could create clusters with the same name.
        self._cluster_lock = asyncio.Lock()
        associations = Associations(state, passing)
        addons = Addons(state, associations, passing)
        tags = Tags(state)
        self._operations: Mapping[str, Operation] = {
            "DescribeCluster": self._clusters.describe,
            "ListClusters": self._clusters.list,
            "CreatePodIdentityAssociation": associations.create,
            "DescribePodIdentityAssociation": associations.describe,
            "ListPodIdentityAssociations": associations.list,
            "UpdatePodIdentityAssociation": associations.update,
            "DeletePodIdentityAssociation": associations.delete,
            "CreateAddon": addons.create,
            "DescribeAddon": addons.describe,
            "UpdateAddon": addons.update,
            "DeleteAddon": addons.delete,
            "DescribeAddonVersions": addons.versions,
            "DescribeAddonConfiguration": addons.configuration,
            "TagResource": tags.tag,
            "UntagResource": tags.untag,
            "ListTagsForResource": tags.list,
        }

    async def handle(self, call: Call, inner: Inner) -> Response:
        """Handle a request. ``inner`` passes the request to ministack. Raise ApiError for an error response."""
        if call.operation == "CreateCluster":
            return await self._create_cluster(call, inner)
        if call.operation == "DeleteCluster":
            return await self._delete_cluster(call, inner)
        operation = self._operations.get(call.operation)
        payload = operation(call) if operation is not None else None
        return await inner() if payload is None else json_response(payload)

    async def _create_cluster(self, call: Call, inner: Inner) -> Response:
        self._clusters.check_create(call)
        async with self._cluster_lock:
            response = await inner()
            payload = self._clusters.complete(call, response)
        return response if payload is None else json_response(payload)

    async def _delete_cluster(self, call: Call, inner: Inner) -> Response:
        response = await inner()
        if response.status == 200:
            self.state.drop_cluster(call.account, call.region, call.path_parts[0])
        return response
