# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read pod identity associations: one association by its ID, or all associations of workloads, namespaces or clusters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from ..._aws.client import Api, response_pages
from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..model.associations import ObservedAssociation, decode_association
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.observed import UnlistedAssociations
from ..model.targets import Failure, association_target, associations_target, read_failure
from .reader import Reader, attempt, none_if_missing


def list_associations(
    api: Api, cluster_name: str, namespace: str = "", service_account: str = ""
) -> Iterable[dict[str, Any]]:
    """Yield the associations of a cluster, a namespace or a service account. Source: eks ListPodIdentityAssociations."""
    names = {"clusterName": cluster_name, "namespace": namespace, "serviceAccount": service_account}
    parameters = {name: value for name, value in names.items() if value}
    return api.pages("eks", "ListPodIdentityAssociations", parameters, "associations")


def describe_association(api: Api, cluster_name: str, association_id: str) -> ObservedAssociation | None:
    """Describe one association; return None if it does not exist. Raises AwsError.

    Source: eks DescribePodIdentityAssociation.
    """
    request = {"clusterName": cluster_name, "associationId": association_id}
    result = none_if_missing(lambda: api.call("eks", "DescribePodIdentityAssociation", request))
    return decode_association(result["association"]) if result is not None else None


# For more workloads in a cluster, the whole cluster is listed instead of each workload.
FEW_WORKLOADS = 3
# The maximum number of unlisted associations to describe in a cluster, because each of them takes a request.
MAX_DESCRIBED = 10


# The workload and the ID of an association, as ListPodIdentityAssociations returns them.
_Summary: TypeAlias = tuple[WorkloadKey, str]


@dataclass(slots=True)
class Remainder:
    """The associations of the cluster whose workloads are outside the run.

    ``addons`` has the workloads whose association belongs to an EKS add-on, and ``ids`` the IDs of all other associations.
    ``more`` is true if some pages were not read. ``error`` is the error of a list request, or None.
    """

    ids: dict[WorkloadKey, str] = field(default_factory=dict)
    addons: list[WorkloadKey] = field(default_factory=list)
    more: bool = False
    error: AwsError | None = None


def read_all_associations(reader: Reader) -> dict[WorkloadKey, ObservedAssociation]:
    """Return all associations of the cluster. Raises AwsError if a read fails."""

    def read(summary: _Summary | Failure) -> ObservedAssociation | None:
        result = summary if isinstance(summary, Failure) else _describe_listed(reader, summary)
        if isinstance(result, Failure):
            raise result.error
        return result

    associations = map_concurrently(read, _list_cluster(reader, None), reader.width)
    return {association.key: association for association in associations if association is not None}


def read_associations(
    reader: Reader,
    keys: Iterable[WorkloadKey],
    unchanged: Mapping[WorkloadKey, ObservedAssociation],
    remainder: Remainder | None = None,
) -> list[ObservedAssociation | Failure]:
    """Read the associations of some workloads.

    If the associations cannot be listed, the failure of the list request is the only result.

    :arg unchanged: associations that are described again only if their ID has changed.
    :arg remainder: receives the associations of workloads that are not in ``keys``.
    """

    def describe(summary: _Summary | Failure) -> ObservedAssociation | Failure | None:
        if isinstance(summary, Failure):
            return summary
        present = unchanged.get(summary[0])
        if present is not None and present.association_id == summary[1]:
            return present
        return _describe_listed(reader, summary)

    answers = map_concurrently(describe, _list_cluster(reader, frozenset(keys), remainder), reader.width)
    results = [answer for answer in answers if answer is not None]
    failures = [result for result in results if isinstance(result, Failure)]
    return [failure for failure in failures if failure.target.resource == "associations"] or results


def describe_unlisted(
    reader: Reader, remainder: Remainder, namespaces: Collection[str]
) -> UnlistedAssociations:
    """Return the unlisted associations, and describe at most MAX_DESCRIBED of them.

    Only a description has the tag with the owner. Associations in the ``namespaces`` of the run are described first, because a
    workload that was removed from the list is probably in one of them.
    """
    ordered = sorted(remainder.ids, key=lambda key: (key.namespace not in namespaces, key))
    chosen = [(key, remainder.ids[key]) for key in ordered[:MAX_DESCRIBED]]
    answers = map_concurrently(partial(_describe_listed, reader), chosen, reader.width)
    results = dict(zip(ordered, answers, strict=False))
    # The result is None for an association that was deleted after it was listed.
    keys = sorted(key for key in remainder.ids if results.get(key, key) is not None)
    failed = {key: result for key in keys if isinstance(result := results.get(key), Failure)}
    first = next(iter(failed.values()), None)
    return UnlistedAssociations(
        keys=tuple(keys),
        addons=tuple(sorted(remainder.addons)),
        more=remainder.more,
        described={
            key: result for key in keys if isinstance(result := results.get(key), ObservedAssociation)
        },
        failed=tuple(failed),
        error=remainder.error or (first.error if first else None),
    )


def has_association(reader: Reader, key: WorkloadKey) -> bool | Failure:
    """Return whether a workload has an association."""
    listing = partial(list_associations, reader.api, key.cluster, key.namespace, key.service_account)
    return attempt(association_target(key), lambda: any(listing()))


def _describe_listed(reader: Reader, summary: _Summary) -> ObservedAssociation | Failure | None:
    key, association_id = summary
    read = partial(describe_association, reader.api, key.cluster, association_id)
    return attempt(association_target(key), read)


def _list_cluster(
    reader: Reader, keys: Collection[WorkloadKey] | None, remainder: Remainder | None = None
) -> Iterable[_Summary | Failure]:
    """Yield the associations of these workloads, or all associations if ``keys`` is None, and the failure of a list request.

    Add the associations of other workloads to ``remainder``.
    """
    cluster = reader.cluster
    if not cluster.status or (keys == frozenset() and remainder is None):
        return
    try:
        for row in _summaries(reader.api, cluster, keys, remainder):
            key = WorkloadKey(cluster.name, row["namespace"], row["serviceAccount"])
            if keys is None or key in keys:
                yield key, row["associationId"]
            elif remainder is not None and row.get("ownerArn"):
                remainder.addons.append(key)
            elif remainder is not None:
                remainder.ids[key] = row["associationId"]
    except AwsError as error:
        if remainder is not None:
            remainder.more, remainder.error = True, error
        # The error is not a failure if only associations outside the run were requested.
        if remainder is None or keys:
            yield read_failure(associations_target(cluster.name), error)


def _summaries(
    api: Api, cluster: Cluster, keys: Collection[WorkloadKey] | None, remainder: Remainder | None
) -> Iterator[Mapping[str, Any]]:
    """Yield the summaries of all associations of a cluster or, for at most FEW_WORKLOADS workloads, of their associations.

    With a ``remainder``, also yield the first page of the cluster: for most clusters, one page has all associations.
    """
    if keys is None or len(keys) > FEW_WORKLOADS:
        yield from list_associations(api, cluster.name)
        return
    missing = set(keys)
    if remainder is not None:
        pages = response_pages(api, "eks", "ListPodIdentityAssociations", {"clusterName": cluster.name})
        page = next(pages, {"associations": ()})
        remainder.more = bool(page.get("nextToken"))
        yield from page["associations"]
        missing -= {
            WorkloadKey(cluster.name, row["namespace"], row["serviceAccount"]) for row in page["associations"]
        }
        if not remainder.more:
            return
    for key in sorted(missing):
        yield from list_associations(api, cluster.name, key.namespace, key.service_account)
