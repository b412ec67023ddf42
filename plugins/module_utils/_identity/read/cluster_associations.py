# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the associations of a cluster: all of them, or those of some workloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from ..._aws.concurrency import map_concurrently
from ..._findings.key import WorkloadKey
from ..model.aws_errors import AwsError
from ..model.observed import ObservedAssociation, ReadFailure
from ..model.targets import Target, association_target
from .associations import describe_association, list_associations
from .reader import Reader

# Up to so many workloads it is cheaper to ask for each association than to list the cluster's.
FEW_WORKLOADS = 3


def read_all_associations(reader: Reader) -> dict[WorkloadKey, ObservedAssociation]:
    """Every association of the cluster. Raises AwsError when one cannot be read."""

    def identifiers() -> Iterator[str]:
        for summary in list_associations(reader.api, reader.cluster.name):
            reader.progress.expect(reader.stage, 1)
            yield str(summary["associationId"])

    def read(association_id: str) -> ObservedAssociation | None:
        association = describe_association(reader.api, reader.cluster.name, association_id)
        reader.progress.done(reader.stage)
        return association

    associations = map_concurrently(read, identifiers(), reader.width)
    return {association.key: association for association in associations if association is not None}


def read_associations(
    reader: Reader,
    keys: Iterable[WorkloadKey],
    removal: bool,
    unchanged: Mapping[WorkloadKey, ObservedAssociation],
) -> list[ObservedAssociation | ReadFailure]:
    """The associations of some workloads. A removal needs the others too: any may still use a role.

    The first are read while the others are still being listed. Those that are ``unchanged`` are read only
    when there is another in their place.
    """

    def describe(listed: tuple[WorkloadKey, str]) -> ObservedAssociation | ReadFailure | None:
        key, association_id = listed
        before = unchanged.get(key)
        if before is not None and before.association_id == association_id:
            reader.progress.done(reader.stage)
            return before
        read = partial(describe_association, reader.api, reader.cluster.name, association_id)
        return reader.attempt(association_target(key), read)

    listed = _listed(reader, frozenset(keys), removal)
    try:
        results = map_concurrently(describe, listed, reader.width)
    except AwsError as error:
        return [ReadFailure(Target("associations", reader.cluster.name), error)]
    return [result for result in results if result is not None]


def _listed(
    reader: Reader, wanted: frozenset[WorkloadKey], removal: bool
) -> Iterator[tuple[WorkloadKey, str]]:
    """Keys and IDs of associations."""
    cluster = reader.cluster
    if not cluster.status:
        return
    few = not removal and len(wanted) <= FEW_WORKLOADS
    places = [(key.namespace, key.service_account) for key in sorted(wanted)] if few else [("", "")]
    for namespace, service_account in places:
        for summary in list_associations(reader.api, cluster.name, namespace, service_account):
            key = WorkloadKey(cluster.name, summary["namespace"], summary["serviceAccount"])
            if removal or key in wanted:
                reader.progress.expect(reader.stage, 1)
                yield key, str(summary["associationId"])
