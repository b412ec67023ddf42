# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Which hosts of a play are one run of the AWS half: those of one account, with the same credentials and options. Pure.

Two ways into one account are two runs, each with its own permissions, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model.names import parse_role_arn

# The variables of the role by which credentials are found.
CREDENTIALS = (
    "profile",
    "endpoint_url",
    "assume_role_arn",
    "assume_role_external_id",
    "assume_role_session_name",
    "assume_role_duration",
)
# What holds for everything that a run does.
OPTIONS = (
    "state",
    "owner",
    "trust_scope",
    "trust_policy_size_limit",
    "purge_tags",
    "purge_policies",
    "adopt",
    "force",
    "check_caller",
    "verify_only",
)
# How a run goes about it: hosts that differ in these are one run all the same, with the most patient of their values.
PATIENCE = ("propagation_timeout", "concurrency")


@dataclass(frozen=True, slots=True)
class Host:
    """A host that is a cluster. ``options`` are the variables of the role that have a value, ``seconds_left`` what is left of
    its deadline, ``row`` what the module of the AWS half needs of it, and ``account_id`` the account where it is known."""

    name: str
    account_id: str
    options: Mapping[str, object]
    row: Mapping[str, object]
    seconds_left: int | None = None


@dataclass(frozen=True, slots=True)
class StoppedHost:
    """A host that stopped before the AWS half. ``options`` are the variables that can be read; ``readable`` says whether all
    that lead to its account are among them."""

    name: str
    account_id: str
    options: Mapping[str, object]
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one run, with the arguments of its module. ``stopped`` are hosts that were meant to be among them, or may have
    been, and stopped before."""

    hosts: tuple[str, ...]
    arguments: Mapping[str, object]
    stopped: tuple[str, ...] = ()


def groups_by_account(hosts: Sequence[Host], stopped: Sequence[StoppedHost] = ()) -> list[list[Group]]:
    """For each account its groups, in the order of their first hosts. Runs of one account are made one after the other, for
    they may share roles; accounts have nothing to do with each other. Each run takes care of what those may use that stopped in
    its account, or nobody knows where."""
    accounts: dict[str, dict[str, list[Host]]] = {}
    for host in hosts:
        same = {name: host.options.get(name) for name in (*CREDENTIALS, *OPTIONS)}
        text = json.dumps(same, sort_keys=True, default=str)
        accounts.setdefault(_account_of(host), {}).setdefault(text, []).append(host)
    return [
        [
            _group(members, [host for host in stopped if not host.readable or _account_of(host) == account])
            for members in groups.values()
        ]
        for account, groups in accounts.items()
    ]


def _account_of(host: Host | StoppedHost) -> str:
    """The account as it is known before anybody asked AWS; else what leads there, which is one account at least."""
    role = parse_role_arn(str(host.options.get("assume_role_arn") or ""))
    if role is not None:
        return role.account_id
    if host.account_id:
        return host.account_id
    return json.dumps([host.options.get(name) for name in CREDENTIALS], default=str)


def _group(hosts: Sequence[Host], stopped: Sequence[StoppedHost]) -> Group:
    first = hosts[0].options
    arguments: dict[str, object] = {name: first[name] for name in (*CREDENTIALS, *OPTIONS) if name in first}
    for name in PATIENCE:
        values = [value for host in hosts if isinstance(value := host.options.get(name), int)]
        if values:
            arguments[name] = max(values)
    left = [host.seconds_left for host in hosts if host.seconds_left is not None]
    if left:
        arguments["deadline"] = min(left)
    regions = [str(host.options["region"]) for host in hosts if host.options.get("region")]
    if regions:
        # Of the clusters that name none, and of what has no region.
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
