# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The role's input, checked as a whole before anything is read in AWS or Kubernetes, or changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.errors import InputError
from ..model.ownership import OWNER_TAG
from .files.folders import read_sources
from .options import validate_options
from .workloads import Defaults, parse_cluster_name, parse_tags, parse_workloads

PREFIX = "pod_identity_"
# What the Kubernetes half needs of a workload. Ansible looks at every value of a result, so the rest is left out.
FIELDS = (
    "namespace",
    "service_account",
    "service_account_labels",
    "service_account_annotations",
    "create_service_account",
    "create_namespace",
)

Located = Callable[[Sequence[str]], list[str]]


@dataclass(frozen=True, slots=True)
class RoleInput:
    """The workloads for the Kubernetes half, and the files for the AWS half; None without files."""

    workloads: list[dict[str, Any]]
    paths: list[str] | None

    @property
    def namespaces(self) -> list[str]:
        return sorted({str(one["namespace"]) for one in self.workloads})


def validate_role_input(options: Mapping[str, Any], located: Located) -> RoleInput:
    """The role's variables without their prefix, or InputError with all that is wrong.

    ``located`` makes paths absolute. Null, and the empty text that ansible-core before 2.19 makes of it,
    count as not given beside the other way to give workloads.
    """
    problems: list[str] = []

    def tried(check: Callable[[], Any]) -> Any:
        try:
            return check()
        except InputError as error:
            problems.extend(error.problems)
            return None

    tried(lambda: parse_cluster_name(options["cluster_name"]))
    tried(lambda: validate_options(options, PREFIX))
    if "owner" in options and options["owner"] is None:
        # A purge without owner would take what belongs to all of them.
        problems.append(f"{PREFIX}owner has no value; give the owner, or leave the variable out.")
    common = tried(lambda: parse_tags(options["tags"], f"{PREFIX}tags")) or {}
    if options.get("owner"):
        common = {**common, OWNER_TAG: str(options["owner"])}
    found = tried(lambda: _workloads(options, located, common))
    if problems:
        raise InputError(problems)
    return RoleInput(*found)


def _workloads(
    options: Mapping[str, Any], located: Located, common: Mapping[str, str]
) -> tuple[list[dict[str, Any]], list[str] | None]:
    listed, files = f"{PREFIX}workloads", f"{PREFIX}workloads_from"
    given = [name for name in (listed, files) if options.get(name.removeprefix(PREFIX)) not in (None, "")]
    if len(given) > 1:
        raise InputError([f"{listed} and {files} are both given; give one of them."])
    if not given:
        raise InputError([_missing(options, listed, files)])
    paths: list[str] | None = None
    raw: Any = options.get("workloads")
    if given == [files]:
        paths = located(paths_of(options["workloads_from"], files))
        source = read_sources(paths)
        raw, places = source.workloads, source.places
    elif isinstance(raw, Sequence) and not isinstance(raw, str):
        places = [f"{listed}[{index}]" for index in range(len(raw))]
    else:
        raise InputError([f"{listed} must be a list of mappings, got a {type(raw).__name__}."])
    parse_workloads(raw, options["cluster_name"], options["state"], Defaults(common), places)
    return [{name: one[name] for name in FIELDS if name in one} for one in raw], paths


def _missing(options: Mapping[str, Any], listed: str, files: str) -> str:
    for name in (listed, files):
        if name.removeprefix(PREFIX) in options:
            return f"{name} has no value; write [] for an empty list of workloads, in {listed}."
    return f"Give the workloads in {listed}, or files with them in {files}."


def paths_of(value: object, name: str) -> list[str]:
    """A list of paths as Ansible takes it: one path, or several with commas, may also be text."""
    paths = value.split(",") if isinstance(value, str) else value
    if not isinstance(paths, Sequence):
        raise InputError([f"{name} must be a list of files and folders, got a {type(value).__name__}."])
    wrong = [one for one in paths if not isinstance(one, str)]
    if wrong:
        raise InputError([f"{name} must be a list of files and folders, but {wrong[0]!r} is in it."])
    if not paths:
        raise InputError(
            [f"{name} names no file or folder; for an empty list of workloads, write [] in one."]
        )
    return [str(one) for one in paths]
