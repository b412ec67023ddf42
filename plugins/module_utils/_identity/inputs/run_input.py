# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the whole input of a run, before any change."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast

from ..._policy.language.document import describe_type
from ..model.desired import STATES, ParsedInput, State, Workload
from ..model.errors import InputError, Problems, listed
from .fields import Fields, shown_value
from .files import FileSource
from .options import parse_cluster_name, read_account_id, read_owner, read_purge_limit, validate_numbers
from .patterns import PatternInput
from .preset_expansion import PresetExpander, RunValues
from .workloads import Defaults, parse_workloads, read_boundary, read_path
from .yaml_file import CUT_AT_A_SPACE, read_yaml

# A function that reads the workloads of files and folders, by their paths. Raises InputError.
ReadFiles = Callable[[tuple[str, ...]], FileSource]
# The options for workloads: a list of workloads, or the paths of files with such lists.
WORKLOAD_OPTIONS = ("workloads", "workloads_from")


def read_workloads_option(option: str, raw: object, name: str, read_files: ReadFiles) -> FileSource:
    """Return the unparsed workloads of one option, with the place of each.

    :arg option: "workloads" or "workloads_from".
    :arg raw: the value of the option.
    :arg name: the full name of the option, for messages.
    :raises InputError: for an invalid value or file.
    """
    if option == "workloads_from":
        return read_files(_read_paths(raw, name))
    if isinstance(raw, str):
        # The answer to an AWX survey question of type textarea is YAML text.
        rows = read_yaml(name, raw, cut_off=CUT_AT_A_SPACE)
        return FileSource(
            [workload for _line, workload in rows], [f"{name} line {line}" for line, _workload in rows]
        )
    if isinstance(raw, Sequence):
        return FileSource(list(raw), [f"{name}[{index}]" for index in range(len(raw))])
    raise InputError([f"{name} must be a list of mappings, got {describe_type(raw)}."])


def _read_paths(value: object, name: str) -> tuple[str, ...]:
    """Return the paths in ``workloads_from``. Like Ansible, accept a string of comma-separated paths in place of a list."""
    paths = value.split(",") if isinstance(value, str) else value
    if not isinstance(paths, Sequence):
        raise InputError([f"{name} must be a list of files and folders, got {describe_type(value)}."])
    invalid = [path for path in paths if not isinstance(path, str)]
    if invalid:
        raise InputError([f"{name} must be a list of files and folders, but {invalid[0]!r} is in it."])
    if not paths:
        raise InputError(
            [
                f"{name} is empty, but must list at least one file or folder. For no workloads, list a file with the content []."
            ]
        )
    return tuple(map(str, paths))


def refuse_files(_paths: tuple[str, ...]) -> FileSource:
    """Reject ``workloads_from`` in a module: the files are on the controller, and the module may run on another host.

    :raises InputError: always.
    """
    raise InputError(
        [
            "workloads_from: the module was started without its action plugin, which reads the files on the controller. Call "
            "it from a play by its full name."
        ]
    )


# The prefix of the variables of the Ansible role.
ROLE = "pod_identity_"
INPUT_OPTIONS = (
    "cluster_name",
    "state",
    "workloads",
    "workloads_from",
    "path",
    "permissions_boundary",
    "tags",
    "owner",
    "create_service_accounts",
    "create_namespaces",
    "purge",
    "purge_limit",
    "only",
    "concurrency",
    "propagation_timeout",
    "deadline",
)


def read_input(
    options: Mapping[str, object],
    read_files: ReadFiles,
    prefix: str = "",
    *,
    presets_expanded: bool = False,
    patterns: PatternInput | None = None,
    verifies: bool = False,
) -> ParsedInput:
    """Parse the options of a module or, with ``prefix``, the variables of the role.

    Null or an empty string in ``workloads`` or ``workloads_from`` counts as not set if the other option or ``layers`` has a
    value: ansible-core before 2.19 converts null to an empty string.

    :arg options: option values by name, without ``prefix``.
    :arg read_files: reads the workloads of files and folders.
    :arg prefix: the text before an option name in messages, such as "pod_identity_".
    :arg presets_expanded: whether presets are already replaced by documents, as in the arguments of a module.
    :arg patterns: allows names with "*" in the list of workloads (see ``PatternInput``). If it has no expansion yet, the result
        has one workload for each pattern.
    :arg verifies: whether the run only verifies, so that the list may be empty although ``purge`` is set.
    :raises InputError: with the problems of all options and workloads.
    """
    values = {name: options[name] for name in INPUT_OPTIONS if name in options}
    problems = Problems()
    fields = Fields(dict(values.items()), "", problems, prefix)
    cluster_name = problems.attempt(
        lambda: parse_cluster_name(options.get("cluster_name"), f"{prefix}cluster_name")
    )
    state = cast("State", fields.choice("state", STATES) or "present")
    validate_numbers(fields)
    scope = read_purge_limit(fields)
    owner = read_owner(fields)
    if prefix and "owner" in options and owner is None:
        # If the empty variable were ignored, the run would manage and purge the resources of the default owner instead.
        problems.add("", f"{prefix}owner has no value; set the owner, or leave the variable out.")
    defaults = Defaults(
        path=read_path(fields),
        permissions_boundary=read_boundary(fields),
        tags=fields.tags("tags"),
        create_service_accounts=fields.flag("create_service_accounts") is not False,
        create_namespaces=fields.flag("create_namespaces") is True,
        presets=None if presets_expanded else expander_for(options, prefix),
        patterns=patterns is not None and patterns.expansion is None,
        prefix=prefix,
    )
    purge = fields.flag("purge") is True
    workloads = problems.attempt(
        lambda: _workloads(fields, read_files, str(cluster_name), state, defaults, patterns)
    )
    purges = purge and state == "present" and not verifies
    if purges and fields.has("only"):
        problems.add("", f"{prefix}purge needs the whole list; leave {prefix}purge or {prefix}only out.")
    if purges and workloads == ():
        matches_none = patterns is not None and bool(patterns.patterns)
        reason = (
            "No service account matches the patterns" if matches_none else "The list of workloads is empty"
        )
        problems.add(
            "",
            f"{reason}, and {prefix}purge is true, so the run would delete all managed resources of "
            f"cluster {cluster_name} with this {prefix}owner. Correct the list. To remove the last workloads, list them with "
            f"{prefix}state: absent.",
        )
    selected = names = {str(workload.key): workload for workload in workloads or ()}
    # The first parse of a list with patterns has no service accounts yet.
    if fields.has("only") and (patterns is None or not patterns.patterns or patterns.expansion):
        selected = _select_workloads(names, fields.names("only"), problems)
    problems.raise_if_any()
    return ParsedInput(
        cluster_name=cluster_name or "",
        state=state,
        workloads=tuple(workload for workload in workloads or () if str(workload.key) in selected),
        owner=owner,
        purge=scope if purge else None,
        unselected={workload.key: workload for name, workload in names.items() if name not in selected},
    )


def _select_workloads(
    names: Mapping[str, Workload], only: Sequence[str], problems: Problems
) -> dict[str, Workload]:
    """Return the workloads that match one of the patterns. Report a pattern that matches none, and an empty selection."""
    for pattern in only or [""]:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, 3)
            problems.add(
                f"{ROLE}only",
                f"no listed workload matches '{shown_value(pattern)}'. {'Similar' if near else 'Listed'}: "
                f"{listed(near or names) or 'nothing'}.",
            )
    return {
        name: workload
        for name, workload in names.items()
        if any(fnmatchcase(name, pattern) for pattern in only)
    }


def expander_for(options: Mapping[str, object], prefix: str = "") -> PresetExpander:
    """Return the expander of presets for a run. Ignore invalid options, which other functions report.

    :arg options: option values by name, without ``prefix``. Only cluster_name, account_id and region are used.
    """
    fields = Fields(dict(options.items()), "", Problems())
    return PresetExpander(
        RunValues(
            fields.text("cluster_name") or "",
            read_account_id(fields),
            fields.text("region") or "",
            prefix,
        )
    )


def _workloads(
    fields: Fields,
    read_files: ReadFiles,
    cluster_name: str,
    state: State,
    defaults: Defaults,
    patterns: PatternInput | None,
) -> tuple[Workload, ...]:
    if patterns is not None and patterns.expansion is not None:
        source = patterns.expansion.source
        workloads = parse_workloads(source.workloads, cluster_name, state, defaults, source.places)
        return tuple(map(patterns.expansion.complete, workloads))
    inline, files = f"{fields.prefix}workloads", f"{fields.prefix}workloads_from"
    options = [option for option in WORKLOAD_OPTIONS if fields.raw.get(option) not in (None, "")]
    if len(options) > 1:
        raise InputError([f"{inline} and {files} are both set; set one of them."])
    if not options:
        raise InputError([_missing_workloads(fields, inline, files)])
    source = read_workloads_option(
        options[0], fields.raw[options[0]], f"{fields.prefix}{options[0]}", read_files
    )
    if patterns is not None:
        source = patterns.find(source)
    return parse_workloads(source.workloads, cluster_name, state, defaults, source.places)


def _missing_workloads(fields: Fields, inline: str, files: str) -> str:
    for name in (inline, files):
        if name.removeprefix(fields.prefix) in fields.raw:
            return f"{name} has no value; for an empty list of workloads, set {inline} to []."
    return f"Set the workloads in {inline}, or files with workloads in {files}."
