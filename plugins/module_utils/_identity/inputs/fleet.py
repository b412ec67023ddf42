# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Parse the input of several clusters of an account, and group the hosts of a play into runs of the AWS part. Pure.

Each host is a cluster. One run does the AWS part (IAM and EKS) for all hosts of an account that have the same credentials and
options. Hosts of the account with other credentials or options are in another run, which starts afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ..._findings.finding import Finding
from ..model.cluster import ApiServer
from ..model.desired import ParsedInput, Workload
from ..model.errors import InputError, Problems
from ..model.names import parse_role_arn
from .fields import Fields, read_boolean, shown_value
from .options import read_account_id
from .run_input import ReadFiles, read_input, validate_bounds
from .yaml_file import read_yaml_value


@dataclass(frozen=True, slots=True)
class ClusterInput:
    """The input for one cluster.

    ``region`` is "" for the default region of the credentials. ``server`` is the Kubernetes API server that the run connects
    to, or None if it is unknown. ``breakage`` has findings about running Pods that would, or may, lose their credentials.
    ``account_id`` is the account that the credentials must belong to; "" permits any account.
    """

    parsed: ParsedInput
    region: str = ""
    server: ApiServer | None = None
    breakage: tuple[Finding, ...] = ()
    account_id: str = ""


# The keys of an entry of the option ``clusters``.
CLUSTER_KEYS = ("cluster_name", "account_id", "region", "workloads", "workloads_from")
# Options of the module that apply to all entries.
_COMMON = ("state", "tags", "owner")
# Options of the module for a single cluster, which must be set in the entries instead.
_CLUSTER_OPTIONS = ("cluster_name", "account_id", "workloads", "workloads_from")
_NO_PURGE = (
    "purge is true, but clusters is set: a purge compares AWS with the list of one cluster. Leave purge out here, and purge "
    "each cluster in a separate run afterwards."
)


def read_cluster_inputs(
    options: Mapping[str, object], read_files: ReadFiles, *, presets_expanded: bool = False
) -> list[ClusterInput]:
    """Parse the option ``clusters`` of a module.

    :arg options: all options of the module by name.
    :arg read_files: reads the workloads of files and folders.
    :arg presets_expanded: whether presets are already replaced by documents, as in the arguments of a module.
    :raises InputError: for a list that is malformed or too large; otherwise with the problems of all clusters.
    """
    problems = Problems()
    rows = cluster_rows(options["clusters"])
    validate_bounds({"clusters": rows}, "")
    if not rows:
        problems.add("", "clusters is empty; list at least one cluster.")
    excluded = [name for name in _CLUSTER_OPTIONS if options.get(name) is not None]
    if excluded:
        names = ", ".join(excluded)
        problems.add(
            "",
            f"clusters is set together with {names}. Move {names} to the entries of clusters, or leave clusters out.",
        )
    if read_boolean(options.get("purge")):
        problems.add("", _NO_PURGE)
    # The option ``region`` is the default for entries without a region.
    common = {name: options[name] for name in (*_COMMON, "region") if options.get(name) is not None}
    clusters = [
        problems.attempt(
            partial(_read_cluster, row, f"clusters[{index}]", common, read_files, presets_expanded)
        )
        for index, row in enumerate(rows)
    ]
    problems.raise_if_any()
    return [cluster for cluster in clusters if cluster is not None]


def cluster_rows(raw: object) -> list[Mapping[str, object]]:
    """Return the entries of the option ``clusters``.

    :arg raw: a list of mappings, or its YAML text.
    :raises InputError: for any other value.
    """
    if isinstance(raw, str):
        raw = read_yaml_value("clusters", raw)
    if not isinstance(raw, Sequence) or not all(isinstance(row, Mapping) for row in raw):
        raise InputError(["clusters must be a list of mappings, each with cluster_name and workloads."])
    return list(raw)


def _read_cluster(
    row: Mapping[str, object],
    place: str,
    common: Mapping[str, object],
    read_files: ReadFiles,
    presets_expanded: bool,
) -> ClusterInput:
    if row.get("cluster_name"):
        place = f"{place} ({shown_value(row['cluster_name'])})"
    problems = Problems()
    fields = Fields(dict(row.items()), place, problems)
    fields.report_unknown(CLUSTER_KEYS)
    region, account_id = fields.text("region") or "", read_account_id(fields)
    values = {name: value for name, value in row.items() if value is not None}
    try:
        parsed = read_input({**common, **values}, read_files, presets_expanded=presets_expanded)
    except InputError as error:
        for problem in error.problems:
            problems.add(place, problem)
    problems.raise_if_any()
    return ClusterInput(parsed, region, account_id=account_id)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A cluster that is not in the run, because its host failed before the AWS part.

    ``region`` is "" for the default region of the credentials.
    """

    name: str
    region: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A cluster of a run.

    ``key`` is the cluster part of its workload keys: its name or, in a run over several regions, REGION/NAME.
    """

    key: str
    name: str
    region: str
    workloads: tuple[Workload, ...]
    server: ApiServer | None = None
    breakage: tuple[Finding, ...] = ()
    account_id: str = ""


def run_members(inputs: Sequence[ClusterInput], region: str, stopped: Sequence[Stopped] = ()) -> list[Member]:
    """Return the clusters of a run, in the order of the input.

    If the clusters are in several regions, keys contain the region, because clusters in different regions may have the same
    name.

    :arg region: the default region of the credentials.
    :arg stopped: clusters that are not in the run. Their regions count as regions of the run, so that the keys of the other
        clusters do not depend on which hosts have failed.
    :raises InputError: for a cluster that is listed twice, and for clusters that differ in ``state`` or ``owner``.
    """
    problems = Problems()
    several_regions = _several_regions(inputs, stopped, region)
    members: dict[str, Member] = {}
    for cluster in inputs:
        member = _member(cluster, cluster.region or region, several_regions)
        if member.key in members:
            problems.add("", f"cluster {member.name} (region {member.region}) is listed twice; list it once.")
        members[member.key] = member
    for name, values in (
        ("state", {cluster.parsed.state for cluster in inputs}),
        ("owner", {cluster.parsed.owner or "(none)" for cluster in inputs}),
    ):
        if len(values) > 1:
            problems.add(
                "",
                f"{name} must be the same for all clusters of a run, got {' and '.join(sorted(values))}; use separate "
                "runs.",
            )
    problems.raise_if_any()
    return list(members.values())


def stopped_keys(inputs: Sequence[ClusterInput], region: str, stopped: Sequence[Stopped]) -> list[str]:
    """Return the keys (see ``Member``) of the clusters in ``stopped``, except clusters that are also in the run."""
    several_regions = _several_regions(inputs, stopped, region)
    running = {
        _key(cluster.parsed.cluster_name, cluster.region or region, several_regions) for cluster in inputs
    }
    keys = (_key(cluster.name, cluster.region or region, several_regions) for cluster in stopped)
    return [key for key in dict.fromkeys(keys) if key not in running]


def _several_regions(inputs: Sequence[ClusterInput], stopped: Sequence[Stopped], region: str) -> bool:
    regions = {cluster.region or region for cluster in inputs} | {
        cluster.region or region for cluster in stopped
    }
    return len(regions) > 1


def _key(name: str, region: str, several_regions: bool) -> str:
    return f"{region}/{name}" if several_regions else name


def _member(cluster: ClusterInput, region: str, several_regions: bool) -> Member:
    name = cluster.parsed.cluster_name
    key = _key(name, region, several_regions)
    workloads = cluster.parsed.workloads
    breakage = cluster.breakage
    if key != name:
        workloads = tuple(replace(workload, key=replace(workload.key, cluster=key)) for workload in workloads)
        breakage = tuple(_with_cluster(breakage, key))
    return Member(key, name, region, workloads, cluster.server, breakage, cluster.account_id)


def _with_cluster(findings: Iterable[Finding], cluster: str) -> Iterable[Finding]:
    for finding in findings:
        key = finding.workload
        yield replace(finding, workload=replace(key, cluster=cluster)) if key else finding


# The role variables that determine the credentials and the endpoint of AWS.
CREDENTIALS = (
    "profile",
    "endpoint_url",
    "assume_role_arn",
    "assume_role_external_id",
    "assume_role_session_name",
    "assume_role_duration",
)
# Options that must be the same for all hosts of a run. Hosts with different values are in different runs.
GROUP_OPTIONS = (
    "state",
    "owner",
    "agent",
    "agent_version",
    "trust_scope",
    "trust_policy_size_limit",
    "purge_tags",
    "purge_policies",
    "adopt",
    "force",
    "verify_only",
)
# Options that may differ between the hosts of a run. The run uses the largest value.
GROUP_MAXIMA = ("propagation_timeout", "concurrency")


@dataclass(frozen=True, slots=True)
class Host:
    """A host of the play, which represents a cluster.

    ``account_id`` is "" if it is unknown. ``options`` has the values of the role variables that are set. ``row`` is the entry
    for the host in the option ``clusters``. ``seconds_left`` is the time until the deadline, or None without a deadline.
    """

    name: str
    account_id: str
    options: Mapping[str, object]
    row: Mapping[str, object]
    seconds_left: int | None = None


@dataclass(frozen=True, slots=True)
class StoppedHost:
    """A host that failed before the AWS part.

    ``options`` has the values of the role variables that could be read. ``readable`` is false if a variable that determines
    the account could not be read.
    """

    name: str
    account_id: str
    options: Mapping[str, object]
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """The hosts of one run, and the arguments of the module for this run.

    ``stopped`` has the names of failed hosts whose cluster is, or may be, in the same account.
    """

    hosts: tuple[str, ...]
    arguments: Mapping[str, object]
    stopped: tuple[str, ...] = ()


def groups_by_account(hosts: Sequence[Host], stopped: Sequence[StoppedHost] = ()) -> list[list[Group]]:
    """Group the hosts into runs. Return one list of groups per account, in the order of the hosts.

    The groups of an account must run one after the other, because clusters in different groups may share roles. Accounts can
    run in parallel.

    :arg stopped: hosts that failed before the AWS part. A run keeps the resources that a failed host of the same account, or
        of an unknown account, may use.
    """
    accounts: dict[str, dict[str, list[Host]]] = {}
    for host in hosts:
        group_values = {name: host.options.get(name) for name in (*CREDENTIALS, *GROUP_OPTIONS)}
        text = json.dumps(group_values, sort_keys=True, default=str)
        accounts.setdefault(_account_key(host), {}).setdefault(text, []).append(host)
    return [
        [
            _group(members, [host for host in stopped if not host.readable or _account_key(host) == account])
            for members in groups.values()
        ]
        for account, groups in accounts.items()
    ]


def _account_key(host: Host | StoppedHost) -> str:
    """Return the account ID of a host, or the host's credentials as text if the account is not yet known."""
    role = parse_role_arn(str(host.options.get("assume_role_arn") or ""))
    if role is not None:
        return role.account_id
    if host.account_id:
        return host.account_id
    return json.dumps([host.options.get(name) for name in CREDENTIALS], default=str)


def _group(hosts: Sequence[Host], stopped: Sequence[StoppedHost]) -> Group:
    first = hosts[0].options
    arguments: dict[str, object] = {
        name: first[name] for name in (*CREDENTIALS, *GROUP_OPTIONS) if name in first
    }
    for name in GROUP_MAXIMA:
        values = [value for host in hosts if isinstance(value := host.options.get(name), int)]
        if values:
            arguments[name] = max(values)
    remaining_times = [host.seconds_left for host in hosts if host.seconds_left is not None]
    if remaining_times:
        arguments["deadline"] = min(remaining_times)
    regions = [str(host.options["region"]) for host in hosts if host.options.get("region")]
    if regions:
        # The module uses this region for entries of ``clusters`` without a region, and for requests to IAM and STS.
        arguments["region"] = regions[0]
    arguments["clusters"] = [dict(host.row) for host in hosts]
    if stopped:
        arguments["stopped"] = [_stopped_row(stopped_host) for stopped_host in stopped]
    return Group(
        tuple(host.name for host in hosts), arguments, tuple(stopped_host.name for stopped_host in stopped)
    )


def _stopped_row(host: StoppedHost) -> dict[str, object]:
    row: dict[str, object] = {"cluster_name": str(host.options.get("cluster_name") or host.name)}
    if host.options.get("region"):
        row["region"] = str(host.options["region"])
    return row
