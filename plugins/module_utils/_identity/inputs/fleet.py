# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Clusters of one account with what was asked for each, as one input. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..._findings.finding import Finding
from ..model.cluster import ApiServer
from ..model.desired import ParsedInput, Workload
from ..model.errors import Problems


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for one cluster. ``region`` is "" for that of the credentials.

    ``server`` is where the Kubernetes half goes, None when nobody said. ``breakage`` are workloads whose running Pods would
    lose their credentials. ``account_id`` is the account that the credentials must belong to; "" permits any.
    """

    parsed: ParsedInput
    region: str = ""
    server: ApiServer | None = None
    breakage: tuple[Finding, ...] = ()
    account_id: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """A cluster that was to be in the run, and of whose workloads nothing is known. ``region`` is as in ``Asked``."""

    name: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster of a run. ``key`` is what keys of workloads call it."""

    key: str
    name: str
    region: str
    workloads: tuple[Workload, ...]
    server: ApiServer | None = None
    breakage: tuple[Finding, ...] = ()
    account_id: str = ""


def members_of(asked: Sequence[Asked], region: str, stopped: Sequence[Stopped] = ()) -> list[Member]:
    """The clusters of a run, in the order in which they were asked for. ``region`` is that of the credentials. Where there is
    more than one, those that stopped included, it is part of the keys.

    InputError when a cluster is there twice, and when they differ in what holds for the whole run.
    """
    problems = Problems()
    several_regions = _several_regions(asked, stopped, region)
    members: dict[str, Member] = {}
    for cluster in asked:
        member = _member(cluster, cluster.region or region, several_regions)
        if member.key in members:
            problems.add("", f"cluster {member.name} (region {member.region}) is listed twice; list it once.")
        members[member.key] = member
    for name, values in (
        ("state", {cluster.parsed.state for cluster in asked}),
        ("owner", {cluster.parsed.owner or "(none)" for cluster in asked}),
    ):
        if len(values) > 1:
            problems.add(
                "",
                f"{name} is one for all clusters of a run, and here it is {' and '.join(sorted(values))}; make a run for "
                "each.",
            )
    purging = [
        cluster.parsed.cluster_name
        for cluster in asked
        if cluster.parsed.purge and cluster.parsed.state == "present"
    ]
    if purging and len(asked) > 1:
        problems.add("", _purge_is_for_one(purging))
    problems.raise_if_any()
    return list(members.values())


def stopped_keys(asked: Sequence[Asked], region: str, stopped: Sequence[Stopped]) -> list[str]:
    """What keys of workloads would call the clusters that stopped. One that is in the run as well did not."""
    several_regions = _several_regions(asked, stopped, region)
    running = {
        _key(cluster.parsed.cluster_name, cluster.region or region, several_regions) for cluster in asked
    }
    keys = (_key(cluster.name, cluster.region or region, several_regions) for cluster in stopped)
    return [key for key in dict.fromkeys(keys) if key not in running]


def _several_regions(asked: Sequence[Asked], stopped: Sequence[Stopped], region: str) -> bool:
    regions = {cluster.region or region for cluster in asked} | {
        cluster.region or region for cluster in stopped
    }
    return len(regions) > 1


def _key(name: str, region: str, several_regions: bool) -> str:
    return f"{region}/{name}" if several_regions else name


def _purge_is_for_one(names: Sequence[str]) -> str:
    return (
        f"purge is asked for cluster {', '.join(names)}: what a purge may remove, and how much, is a question to the list of "
        "one cluster, so it is done cluster by cluster. Leave purge out here, and purge each cluster alone afterwards."
    )


def _member(asked: Asked, region: str, several_regions: bool) -> Member:
    name = asked.parsed.cluster_name
    key = _key(name, region, several_regions)
    workloads = asked.parsed.workloads
    breakage = asked.breakage
    if key != name:
        workloads = tuple(replace(workload, key=replace(workload.key, cluster=key)) for workload in workloads)
        breakage = tuple(_moved(breakage, key))
    return Member(key, name, region, workloads, asked.server, breakage, asked.account_id)


def _moved(findings: Iterable[Finding], cluster: str) -> Iterable[Finding]:
    for finding in findings:
        key = finding.workload
        yield replace(finding, workload=replace(key, cluster=cluster)) if key else finding
