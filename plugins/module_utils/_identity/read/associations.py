# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read pod identity associations: one, those of some workloads, or all of a cluster."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..model.associations import ObservedAssociation, decode_association
from ..model.cluster import Cluster
from ..model.errors import AwsError
from ..model.observed import OutsideAssociations, Reach, ReadFailure, UnlistedAssociations
from ..model.targets import association_target, associations_target
from .reader import Reader, unless_missing_twice


def list_associations(
    api: Api, cluster_name: str, namespace: str = "", service_account: str = ""
) -> Iterable[dict[str, Any]]:
    """Summaries of all pages, as EKS returns them, page by page. Source: eks ListPodIdentityAssociations."""
    parameters = {"clusterName": cluster_name}
    if namespace:
        parameters["namespace"] = namespace
    if service_account:
        parameters["serviceAccount"] = service_account
    return api.pages("eks", "ListPodIdentityAssociations", parameters, "associations")


def _first_associations(api: Api, cluster_name: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the summaries of the first page, and whether EKS has more."""
    request = {"clusterName": cluster_name}
    page = next(answers_by_page(api, "eks", "ListPodIdentityAssociations", request))
    return list(page["associations"]), bool(page.get("nextToken"))


def describe_association(
    api: Api, cluster_name: str, association_id: str, cluster: str = ""
) -> ObservedAssociation | None:
    """One association; None when it has been deleted since it was listed. ``cluster`` is what keys of workloads call
    its cluster, where that is not its name."""
    request = {"clusterName": cluster_name, "associationId": association_id}
    answer = unless_missing_twice(lambda: api.call("eks", "DescribePodIdentityAssociation", request))
    return decode_association(answer["association"], cluster) if answer is not None else None


# Up to so many workloads it is cheaper to ask for each association than to list the cluster's.
FEW_WORKLOADS = 3
# The tags of an association take a request of its own.
MOST_DESCRIBED = 10


@dataclass(frozen=True, slots=True)
class _Listed:
    """All that a list tells of an association."""

    cluster: Cluster
    key: WorkloadKey
    association_id: str


_Listing = Iterable["_Listed | ReadFailure"]


@dataclass(slots=True)
class Remainder:
    """The associations that a listing shows and that the run does not list. ``more`` and ``error`` are as in
    ``UnlistedAssociations``."""

    associations: list[_Listed] = field(default_factory=list)
    addons: list[WorkloadKey] = field(default_factory=list)
    more: bool = False
    error: AwsError | None = None

    def add(self, association: _Listed, summary: Mapping[str, Any]) -> None:
        """Keep one association."""
        if summary.get("ownerArn"):
            self.addons.append(association.key)
        else:
            self.associations.append(association)


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
    remainders: dict[str, Remainder] | None = None,
) -> list[ObservedAssociation | ReadFailure]:
    """The associations of some workloads. A removal needs the others too: any may still use a role.

    Those that are ``unchanged`` are read only when there is another in their place. Where the associations of a cluster
    cannot be listed, that is the one failure of the cluster. ``remainders`` receives the other associations of each cluster.
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
    answers = map_concurrently(describe, _listings(reader, wanted, remainders), reader.width)
    results = [answer for answer in answers if answer is not None]
    # The failure of a listing names its cluster, and belongs to none of its associations.
    unlisted = {
        result.target.name
        for result in results
        if isinstance(result, ReadFailure) and result.target.resource == "associations"
    }
    return [result for result in results if _cluster_of(result) not in unlisted]


def describe_unlisted(
    reader: Reader, remainders: Mapping[str, Remainder], namespaces: Collection[str]
) -> dict[str, UnlistedAssociations]:
    """Read whose the associations are that a run does not list, at most MOST_DESCRIBED of each cluster. Those in the
    ``namespaces`` of the run come first: a workload that left the list is likely to be there."""
    chosen = [
        listed
        for remainder in remainders.values()
        for listed in sorted(
            remainder.associations, key=lambda listed: (listed.key.namespace not in namespaces, listed.key)
        )[:MOST_DESCRIBED]
    ]
    reader.progress.expect(reader.stage, len(chosen))

    def describe(listed: _Listed) -> ObservedAssociation | ReadFailure | None:
        return reader.attempt(association_target(listed.key), partial(_describe, reader, listed))

    answers = map_concurrently(describe, chosen, reader.width)
    results = {listed.key: answer for listed, answer in zip(chosen, answers, strict=True)}
    return {cluster: _unlisted(remainder, results) for cluster, remainder in remainders.items()}


def has_association(reader: Reader, key: WorkloadKey) -> bool | None:
    """Ask EKS for the association of one workload; None where it does not answer."""
    cluster = reader.clusters.of(key)
    api = reader.api.in_region(cluster.region)
    try:
        return any(list_associations(api, cluster.name, key.namespace, key.service_account))
    except AwsError:
        # It would only have been a finding.
        return None


def _unlisted(
    remainder: Remainder, results: Mapping[WorkloadKey, ObservedAssociation | ReadFailure | None]
) -> UnlistedAssociations:
    # Without those that were deleted since they were listed.
    keys = sorted(
        listed.key for listed in remainder.associations if results.get(listed.key, listed) is not None
    )
    failed = {key: result for key in keys if isinstance(result := results.get(key), ReadFailure)}
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


def read_outside(
    reader: Reader, reaches: Collection[Reach], listed: Collection[WorkloadKey], known: OutsideAssociations
) -> OutsideAssociations:
    """Read the associations of some reaches whose workloads the run does not list, in addition to what is ``known``."""
    clusters = reader.clusters.members

    def list_reach(reach: Reach) -> list[_Listed] | AwsError:
        cluster = clusters[reach.cluster]
        api = reader.api.in_region(cluster.region)
        try:
            summaries = list(list_associations(api, cluster.name, reach.namespace))
        except AwsError as error:
            return error
        keys = [WorkloadKey(cluster.key, row["namespace"], row["serviceAccount"]) for row in summaries]
        rows = zip(keys, summaries, strict=True)
        return [_Listed(cluster, key, str(row["associationId"])) for key, row in rows if key not in listed]

    def describe(association: _Listed) -> ObservedAssociation | AwsError | None:
        present = known.associations.get(association.key)
        if present is not None and present.association_id == association.association_id:
            return present
        try:
            return _describe(reader, association)
        except AwsError as error:
            return error

    ordered = sorted(reaches)
    errors = dict(known.errors)
    found: dict[WorkloadKey, _Listed] = {}
    for reach, answer in zip(ordered, map_concurrently(list_reach, ordered, reader.width), strict=True):
        if isinstance(answer, AwsError):
            errors[reach] = answer
        else:
            found |= {association.key: association for association in answer}
    associations = dict(known.associations)
    described = map_concurrently(describe, found.values(), reader.width)
    for key, association in zip(found, described, strict=True):
        if isinstance(association, AwsError):
            errors |= {
                reach: association for reach in ordered if reach.includes(Reach(key.cluster, key.namespace))
            }
        elif association is not None:
            associations[key] = association
    return OutsideAssociations(known.reaches | set(ordered), associations, errors)


def _cluster_of(result: ObservedAssociation | ReadFailure) -> str:
    return result.target.cluster if isinstance(result, ReadFailure) else result.key.cluster


def _describe(reader: Reader, listed: _Listed) -> ObservedAssociation | None:
    api = reader.api.in_region(listed.cluster.region)
    return describe_association(api, listed.cluster.name, listed.association_id, listed.cluster.key)


def _listings(
    reader: Reader,
    wanted: frozenset[WorkloadKey] | None,
    remainders: dict[str, Remainder] | None = None,
) -> _Listing:
    """What the clusters list; with ``wanted`` of these workloads alone. Of one cluster the first are given while the others
    are still being listed; several clusters are listed at the same time. With ``remainders``, clusters without a workload
    are listed, too."""
    by_cluster: dict[str, set[WorkloadKey]] = {}
    for key in wanted or ():
        by_cluster.setdefault(key.cluster, set()).add(key)
    clusters = [
        cluster
        for cluster in reader.clusters.members.values()
        if cluster.status and (wanted is None or remainders is not None or cluster.key in by_cluster)
    ]
    if remainders is not None:
        remainders |= {cluster.key: Remainder() for cluster in clusters}
    listings = [
        _listed(
            reader,
            cluster,
            None if wanted is None else by_cluster.get(cluster.key, set()),
            remainders[cluster.key] if remainders is not None else None,
        )
        for cluster in clusters
    ]
    if len(listings) > 1:
        listings = map_concurrently(list, listings, reader.width)
    for listing in listings:
        yield from listing


def _listed(
    reader: Reader, cluster: Cluster, wanted: Collection[WorkloadKey] | None, remainder: Remainder | None
) -> _Listing:
    api = reader.api.in_region(cluster.region)
    try:
        for summary in _summaries(api, cluster, wanted, remainder):
            key = WorkloadKey(cluster.key, summary["namespace"], summary["serviceAccount"])
            listed = _Listed(cluster, key, str(summary["associationId"]))
            if wanted is None or key in wanted:
                reader.progress.expect(reader.stage, 1)
                yield listed
            elif remainder is not None:
                remainder.add(listed, summary)
    except AwsError as error:
        if remainder is not None:
            remainder.more, remainder.error = True, error
        # Where nothing of the run needs them, it does not fail.
        if remainder is None or wanted:
            yield ReadFailure(associations_target(cluster.key), error)


def _summaries(
    api: Api, cluster: Cluster, wanted: Collection[WorkloadKey] | None, remainder: Remainder | None
) -> Iterator[Mapping[str, Any]]:
    """List all associations of a cluster, or those of few workloads. With a ``remainder`` the first page comes first, which
    in most clusters has them all."""
    if wanted is None or len(wanted) > FEW_WORKLOADS:
        yield from list_associations(api, cluster.name)
        return
    missing = set(wanted)
    if remainder is not None:
        page, remainder.more = _first_associations(api, cluster.name)
        yield from page
        missing -= {WorkloadKey(cluster.key, row["namespace"], row["serviceAccount"]) for row in page}
        if not remainder.more:
            return
    for key in sorted(missing):
        yield from list_associations(api, cluster.name, key.namespace, key.service_account)
