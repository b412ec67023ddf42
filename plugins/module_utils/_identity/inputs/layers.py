# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Workloads of a cluster that are written in several places: for all clusters, for a group of them, for this one. Pure.

Later layers are the more special ones: a workload of the same namespace and service account takes the place of the one
that an earlier layer has, as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from ..._policy.language.document import kind_of
from ..model.errors import InputError, Problems
from .fields import Fields
from .files.folders import Source, read_sources
from .files.workload_list import CUT_AT_A_SPACE
from .files.yaml_file import read_yaml, read_yaml_value

# Whether a pattern of hosts is meant for this host; InputError for what is no pattern.
Matches = Callable[[str], bool]
# Makes paths of files and folders absolute, or raises InputError.
Locate = Callable[[Sequence[str]], list[str]]
KEYS = ("hosts", "workloads", "workloads_from")
WAYS = KEYS[1:]


def read_layers(raw: object, name: str, matches: Matches, locate: Locate) -> list[Source]:
    """The layers that are meant for a host, in their order. ``raw`` is a list of mappings with ``hosts``, and either
    ``workloads`` or ``workloads_from``. InputError with all that is wrong, also in layers for other hosts."""
    if isinstance(raw, str):
        raw = read_yaml_value(name, raw)
    if isinstance(raw, (str, Mapping)) or not isinstance(raw, Sequence):
        raise InputError([f"{name} must be a list of mappings with hosts and workloads, got {kind_of(raw)}."])
    problems = Problems()
    layers: list[Source] = []
    for index, entry in enumerate(raw):
        place = f"{name}[{index}]"
        if not isinstance(entry, Mapping):
            problems.add(place, f"must be a mapping with hosts and workloads, got {kind_of(entry)}.")
            continue
        layer = problems.attempt(partial(_layer, entry, place, matches, locate))
        if layer is not None:
            layers.append(layer)
    problems.raise_if_any()
    return layers


def _layer(entry: Mapping[object, object], place: str, matches: Matches, locate: Locate) -> Source | None:
    """None for a layer that is for others."""
    problems = Problems()
    fields = Fields(entry, place, problems)
    fields.known(KEYS)
    hosts = fields.text("hosts")
    if not hosts:
        problems.add(place, "hosts is missing; give a pattern of hosts, like all, a group or a host.")
    ways = [way for way in WAYS if fields.raw.get(way) not in (None, "")]
    if len(ways) != 1:
        problems.add(place, "needs workloads or workloads_from, one of them.")
    problems.raise_if_any()
    if not matches(str(hosts)):
        return None
    return read_way(ways[0], fields.raw[ways[0]], f"{place}.{ways[0]}", locate)


def read_way(way: str, raw: object, name: str, locate: Locate) -> Source:
    """Workloads as they are written in one of the two ways, with their places; InputError for what is no list."""
    if way == "workloads_from":
        return read_sources(locate(paths_of(raw, name)))
    if isinstance(raw, str):
        # What a survey's text area has.
        rows = read_yaml(name, raw, cut_off=CUT_AT_A_SPACE)
        return Source(
            [workload for _line, workload in rows], [f"{name} line {line}" for line, _workload in rows]
        )
    if isinstance(raw, Sequence):
        return Source(list(raw), [f"{name}[{index}]" for index in range(len(raw))])
    raise InputError([f"{name} must be a list of mappings, got {kind_of(raw)}."])


def paths_of(value: object, name: str) -> list[str]:
    """A list of paths as Ansible takes it: one path, or several with commas, may also be text."""
    paths = value.split(",") if isinstance(value, str) else value
    if not isinstance(paths, Sequence):
        raise InputError([f"{name} must be a list of files and folders, got {kind_of(value)}."])
    wrong = [path for path in paths if not isinstance(path, str)]
    if wrong:
        raise InputError([f"{name} must be a list of files and folders, but {wrong[0]!r} is in it."])
    if not paths:
        raise InputError(
            [f"{name} names no file or folder; for an empty list of workloads, write [] in one."]
        )
    return [str(path) for path in paths]


def merge_layers(layers: Iterable[Source]) -> Source:
    """One list. Each workload stands where an earlier layer has it first; twice in one layer it is for the parser to
    refuse."""
    merged: dict[object, list[tuple[object, str]]] = {}
    for layer in layers:
        own: dict[object, list[tuple[object, str]]] = {}
        for number, (workload, place) in enumerate(zip(layer.workloads, layer.places, strict=True)):
            own.setdefault(_key(workload, (id(layer), number)), []).append((workload, place))
        merged |= own
    pairs = [pair for group in merged.values() for pair in group]
    return Source([workload for workload, _place in pairs], [place for _workload, place in pairs])


def _key(workload: object, otherwise: object) -> object:
    """What no other workload has where it does not say which one it is; the parser tells what is wrong."""
    if not isinstance(workload, Mapping):
        return otherwise
    key = workload.get("namespace"), workload.get("service_account")
    return key if all(isinstance(part, str) for part in key) else otherwise
