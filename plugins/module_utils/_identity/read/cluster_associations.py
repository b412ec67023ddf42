# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the associations of a cluster: all of them, or those of some workloads."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from ..._aws.concurrency import map_concurrently
from ..._findings.key import WorkloadKey
from ..model.aws_errors import AwsError
from ..model.cluster import Cluster
from ..model.observed import ObservedAssociation, ReadFailure
from ..model.targets import association_target, associations_target
from .associations import describe_association, list_associations
from .reader import Reader

# Up to so many workloads it is cheaper to ask for each association than to list the cluster's.
FEW_WORKLOADS = 3


@dataclass(frozen=True, slots=True)
class _Listed:
    """All that a list tells of an association."""

    cluster: Cluster
    key: WorkloadKey
    association_id: str


_Listing = Iterable["_Listed | ReadFailure"]


def read_all_associations(reader: Reader) -> dict[WorkloadKey, ObservedAssociation]:
    """Every association of the clusters. Raises AwsError when one cannot be read."""

    def read(listed: _Listed | ReadFailure) -> ObservedAssociation | None:
        if isinstance(listed, ReadFailure):
            raise listed.error
        association = _describe(reader, listed)
        reader.progress.done(reader.stage)
        return association

    associations = map_concurrently(read, _listings(reader, None), reader.width)
    return {association.key: association for association in associations if association is not None}


def read_associations(
    reader: Reader,
    keys: Iterable[WorkloadKey],
    removal: bool,
    unchanged: Mapping[WorkloadKey, ObservedAssociation],
) -> list[ObservedAssociation | ReadFailure]:
    """The associations of some workloads. A removal needs the others too: any may still use a role.

    Those that are ``unchanged`` are read only when there is another in their place. Where the associations of a cluster
    cannot be listed, that is the one failure of the cluster.
    """

    def describe(listed: _Listed | ReadFailure) -> ObservedAssociation | ReadFailure | None:
        if isinstance(listed, ReadFailure):
            return listed
        before = unchanged.get(listed.key)
        if before is not None and before.association_id == listed.association_id:
            reader.progress.done(reader.stage)
            return before
        return reader.attempt(association_target(listed.key), partial(_describe, reader, listed))

    wanted = None if removal else frozenset(keys)
    answers = map_concurrently(describe, _listings(reader, wanted), reader.width)
    results = [answer for answer in answers if answer is not None]
    # The failure of a listing names its cluster, and belongs to none of its associations.
    unlisted = {
        result.target.name
        for result in results
        if isinstance(result, ReadFailure) and result.target.resource == "associations"
    }
    return [result for result in results if _cluster_of(result) not in unlisted]


def _cluster_of(result: ObservedAssociation | ReadFailure) -> str:
    return result.target.cluster if isinstance(result, ReadFailure) else result.key.cluster


def _describe(reader: Reader, listed: _Listed) -> ObservedAssociation | None:
    api = reader.api.in_region(listed.cluster.region)
    return describe_association(api, listed.cluster.name, listed.association_id, listed.cluster.key)


def _listings(reader: Reader, wanted: frozenset[WorkloadKey] | None) -> _Listing:
    """What the clusters list; with ``wanted`` of these workloads alone. Of one cluster the first are given while the others
    are still being listed; several clusters are listed at the same time."""
    by_cluster: dict[str, set[WorkloadKey]] = {}
    for key in wanted or ():
        by_cluster.setdefault(key.cluster, set()).add(key)
    listings = [
        _listed(reader, cluster, None if wanted is None else by_cluster[cluster.key])
        for cluster in reader.clusters.members.values()
        if cluster.status and (wanted is None or cluster.key in by_cluster)
    ]
    if len(listings) > 1:
        listings = map_concurrently(list, listings, reader.width)
    for listing in listings:
        yield from listing


def _listed(reader: Reader, cluster: Cluster, wanted: Collection[WorkloadKey] | None) -> _Listing:
    few = wanted is not None and len(wanted) <= FEW_WORKLOADS
    places = [(key.namespace, key.service_account) for key in sorted(wanted or ())] if few else [("", "")]
    api = reader.api.in_region(cluster.region)
    try:
        for namespace, service_account in places:
            for summary in list_associations(api, cluster.name, namespace, service_account):
                key = WorkloadKey(cluster.key, summary["namespace"], summary["serviceAccount"])
                if wanted is None or key in wanted:
                    reader.progress.expect(reader.stage, 1)
                    yield _Listed(cluster, key, str(summary["associationId"]))
    except AwsError as error:
        yield ReadFailure(associations_target(cluster.key), error)
