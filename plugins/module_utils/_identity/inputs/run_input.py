# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The input of one run, checked as a whole before anything is read in AWS or Kubernetes, or changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ..model.desired import STATES, ParsedInput, State, Workload
from ..model.errors import InputError, Problems
from ..model.names import OWNER_TAG
from .bounds import find_excess_of_values
from .fields import Fields, read_boolean, shown
from .files.folders import Source
from .layers import Locate, merge_layers, read_way
from .options import read_owner, read_purge_limit, validate_numbers
from .workloads import NAMESPACE, Defaults, parse_cluster_name, parse_tags, parse_workloads

# The prefix of the role's variables.
ROLE = "pod_identity_"
OPTIONS = (
    "cluster_name",
    "state",
    "workloads",
    "workloads_from",
    "tags",
    "owner",
    "create_service_accounts",
    "create_namespaces",
    "purge",
    "purge_all",
    "purge_namespaces",
    "purge_limit",
    "concurrency",
    "propagation_timeout",
    "deadline",
)


def read_input(
    options: Mapping[str, object],
    locate: Locate,
    prefix: str = "",
    layers: Sequence[Source] | None = None,
) -> ParsedInput:
    """What the options of a module, or with ``prefix`` the variables of the role, ask for.

    InputError with all that is wrong. ``options`` has the names without prefix. Null, and the empty text that
    ansible-core before 2.19 makes of it, count as not given beside the other way to give workloads. What
    the options say themselves comes after ``layers``, and wins.
    """
    given = {name: options[name] for name in OPTIONS if name in options}
    validate_bounds(given, prefix)
    problems = Problems()
    fields = Fields(dict(given.items()), "", problems, prefix)
    cluster_name = problems.attempt(
        lambda: parse_cluster_name(options.get("cluster_name"), f"{prefix}cluster_name")
    )
    state = cast("State", fields.choice("state", STATES) or "present")
    validate_numbers(fields)
    limit, percent = read_purge_limit(fields)
    owner = read_owner(fields)
    if prefix and "owner" in options and owner is None:
        # A purge without owner would take what belongs to all of them.
        problems.add("", f"{prefix}owner has no value; give the owner, or leave the variable out.")
    defaults = Defaults(
        tags=_tags(fields, owner),
        create_service_accounts=fields.flag("create_service_accounts") is not False,
        create_namespaces=fields.flag("create_namespaces") is True,
    )
    purge = fields.flag("purge") is True
    namespaces = _namespaces(fields, purge)
    workloads = problems.attempt(
        lambda: _workloads(fields, locate, str(cluster_name), state, defaults, layers)
    )
    purges = purge and state == "present" and not read_boolean(options.get("verify_only"))
    if purges and workloads == () and fields.flag("purge_all") is not True:
        problems.add("", _purges_all(prefix, str(cluster_name)))
    problems.raise_if_any()
    return ParsedInput(
        cluster_name=cluster_name or "",
        state=state,
        workloads=workloads or (),
        owner=owner,
        purge=purge,
        purge_namespaces=namespaces,
        purge_limit=limit,
        purge_percent=percent,
    )


def validate_bounds(given: Mapping[str, object], prefix: str) -> None:
    """Before anything else looks at the values: to write one of them into a message may be too much already."""
    excesses = ((name, find_excess_of_values(value)) for name, value in given.items())
    problems = [
        f"{prefix}{name} {excess.rule}, with each alias as what it stands for; write less, or write it plainly."
        for name, excess in excesses
        if excess is not None
    ]
    if problems:
        raise InputError(problems)


def purges_all_namespaces(prefix: str) -> str:
    return (
        f"{prefix}purge_namespaces has no value, and {prefix}purge is true: that would purge all namespaces. Give the "
        "namespaces, or write [] if all are meant."
    )


def has_no_name(value: object) -> bool:
    """Return whether a value stands for an answer that was left empty, unlike a list without members."""
    return value is None or (isinstance(value, str) and not value.replace(",", " ").strip())


def _namespaces(fields: Fields, purge: bool) -> tuple[str, ...]:
    name = "purge_namespaces"
    if purge and name in fields.raw and has_no_name(fields.raw[name]):
        fields.problems.add("", purges_all_namespaces(fields.prefix))
    namespaces = fields.names(name)
    for namespace in namespaces:
        if not NAMESPACE.fullmatch(namespace):
            fields.problems.add(
                "",
                f"{fields.prefix}{name} must have names of Kubernetes namespaces (lower case letters, digits and -, at most "
                f"63 characters), got {shown(repr(namespace))}.",
            )
    return namespaces


def _purges_all(prefix: str, cluster_name: str) -> str:
    return (
        f"the list of workloads is empty, and {prefix}purge is true: that would remove everything that was made for "
        f"cluster {cluster_name}, within owner and namespaces. Correct the list, or set {prefix}purge_all: true if "
        "that is meant."
    )


def _tags(fields: Fields, owner: str | None) -> Mapping[str, str]:
    place = f"{fields.prefix}tags" if fields.prefix else "options"
    tags = fields.problems.attempt(lambda: parse_tags(fields.raw.get("tags"), place)) or {}
    return {**tags, OWNER_TAG: owner} if owner else tags


def _workloads(
    fields: Fields,
    locate: Locate,
    cluster_name: str,
    state: State,
    defaults: Defaults,
    layers: Sequence[Source] | None,
) -> tuple[Workload, ...]:
    listed, files = f"{fields.prefix}workloads", f"{fields.prefix}workloads_from"
    ways = [name for name in ("workloads", "workloads_from") if fields.raw.get(name) not in (None, "")]
    if len(ways) > 1:
        raise InputError([f"{listed} and {files} are both given; give one of them."])
    if not ways and not layers:
        raise InputError([_missing(fields, listed, files)])
    layers = list(layers or ())
    if ways:
        layers.append(read_way(ways[0], fields.raw[ways[0]], f"{fields.prefix}{ways[0]}", locate))
    source = merge_layers(layers) if len(layers) > 1 else layers[0]
    return parse_workloads(source.workloads, cluster_name, state, defaults, source.places)


def _missing(fields: Fields, listed: str, files: str) -> str:
    for name in (listed, files):
        if name.removeprefix(fields.prefix) in fields.raw:
            return f"{name} has no value; write [] for an empty list of workloads, in {listed}."
    return f"Give the workloads in {listed}, or files with them in {files}."
