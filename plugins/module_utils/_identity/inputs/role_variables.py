# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the variables of the role and the playbooks before the run starts: check their names, types and combinations. Pure.

Their types, choices and defaults are declared in meta/argument_specs.yml of the role. Ansible's validator cannot check them: it
converts a list to text where text is required, accepts ``a=b`` as a mapping and 1.0 as a boolean, and does not suggest names.

A value from the command line (``-e name=value``), an INI inventory or an AWX survey may be a string. Therefore a list or mapping
may also be JSON or YAML text, and names may be separated by commas or line breaks. An unanswered survey question is an empty
string, or null with ansible-core 2.19 and newer; both count as not set, except in _NOT_EMPTY. See docs/artifacts.md.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Literal, TypeAlias

from ..._findings.codes import Code
from ..._findings.text import visible_values
from ..model.access import TRACKED_DAYS, AccessOptions
from ..model.errors import Problems
from ..model.migration import ROLLBACK, MigrationOptions
from .addons import parse_agent
from .assume_role import read_assume_role
from .fields import CombinationRule, Fields, number_as_text, shown_value
from .options import LEAST, read_account_id, read_force, read_purge_limit
from .questions import read_questions
from .run_input import ROLE
from .variables import VARIABLES
from .workloads import read_metadata
from .yaml_file import read_yaml_value

EntryPoint = Literal["main", "verify"]
_Reader: TypeAlias = Callable[[Fields, str], object]
# Variables by name without prefix, with members of their argument spec: type, choices and default.
_Options: TypeAlias = Mapping[str, Mapping[str, Any]]


def _text(fields: Fields, name: str) -> object:
    value = fields.raw.get(name)
    # YAML parses an unquoted name of digits, such as a profile, as a number.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    text = fields.text(name)
    return None if is_unanswered(text) else text


def _name(fields: Fields, name: str) -> object:
    """Return a name, converted to text if it is a number. ``run_input`` validates it."""
    return number_as_text(fields.raw.get(name))


def _pod(fields: Fields, name: str) -> object:
    """Return the metadata and fields of the Pods that this collection creates to verify a cluster."""
    given = fields.mapping(name)
    if not given:
        return given
    pod = Fields(dict(given), f"{ROLE}{name}", fields.problems)
    pod.report_unknown(("metadata", "spec"))
    metadata = Fields(dict(pod.mapping("metadata") or {}), f"{ROLE}{name} metadata", fields.problems)
    metadata.report_unknown(("labels", "annotations"))
    texts = {
        "labels": read_metadata(metadata, "labels", "label"),
        "annotations": read_metadata(metadata, "annotations", "annotation"),
    }
    for kind, values in texts.items():
        for key in _RESERVED.intersection(values):
            fields.problems.add(
                metadata.place,
                f"{kind}: '{key}' marks Pods of this collection, or excludes a Pod from EKS Pod Identity; leave this key out.",
            )
    return {"metadata": texts, "spec": pod.mapping("spec") or {}}


def _unparsed(fields: Fields, name: str) -> object:
    """Return the value unparsed. Its parser runs later, and reports the place of each problem."""
    return fields.raw.get(name)


def _purge_limit(fields: Fields, name: str) -> object:
    read_purge_limit(fields)
    return fields.raw.get(name)


# Labels and annotations that this collection sets, or that exclude a Pod from EKS Pod Identity.
_RESERVED = frozenset(
    (
        "app.kubernetes.io/managed-by",
        "workload-identity/proof",
        "eks.amazonaws.com/skip-pod-identity-webhook",
        "eks.amazonaws.com/skip-containers",
    )
)
# The readers of variables with more rules than their type has, and of variables that are validated later.
_READERS: Mapping[str, _Reader] = {
    "account_id": read_account_id,
    "audit_questions": read_questions,
    "cluster_name": _name,
    "force": read_force,
    "owner": _name,
    "proof_pod": _pod,
    "purge_limit": _purge_limit,
    "workloads": _unparsed,
    "workloads_from": _unparsed,
}
_BY_TYPE: Mapping[str, _Reader] = {
    "bool": Fields.flag,
    "dict": Fields.mapping,
    "list": lambda fields, name: list(fields.names(name)),
    "path": _text,
    "raw": _unparsed,
    "str": _text,
}
# The minimum values of numbers, if they are not 0.
_LEAST = {**LEAST, "audit_unused_days": 1, "migration_batch": 1}
# Undocumented variables for tests of the role: "patience" is the maximum time of all injection probes and of the runtime proof in
# seconds, "proof_impossible" the reason why Pods cannot run in the test cluster, and "proof_run" the ID in the names of the Jobs.
HIDDEN: _Options = {
    "patience": {"type": "int"},
    "proof_impossible": {"type": "raw"},
    "proof_run": {"type": "str"},
}
_OF_ROLE: _Options = {**VARIABLES["main"], **HIDDEN}
# The names of the documented variables of the role and the playbooks.
_DOCUMENTED = list(dict.fromkeys(name for options in VARIABLES.values() for name in options))
# The defaults of the role. Playbooks without the role use some of them.
DEFAULTS = {name: option["default"] for name, option in VARIABLES["main"].items() if "default" in option}
MIGRATION = VARIABLES["migrate"]
AUDIT = VARIABLES["audit"]
# The variables and options of the playbook report.
_REPORT: _Options = {**VARIABLES["report"], "expected": {"type": "list"}}
# The fields of ``AccessOptions`` for the files of an access report, by the suffix of a file.
_AUDIT_FILES = {".html": "file", ".json": "json", ".csv": "csv"}
# Facts and results of the role and the playbooks, without prefix.
RESULTS = (
    *("audit", "audit_part", "audit_roles", "checked"),
    *("migration", "report", "result"),
)
# The prefix of the artifacts of earlier jobs in an AWX workflow, which AWX passes to later jobs as extra variables.
ARTIFACTS = "artifact_"
# Variables that _check_characters skips, because their parsers validate the contents later.
_READ_ELSEWHERE = frozenset(("tags", "workloads", "workloads_from"))
# Variables that must have a value if they are set. If an empty one were ignored, the run would use other workloads, another
# owner or another image than intended, or would need no approval.
_NOT_EMPTY = frozenset(("approved", "only", "owner", "proof_image", "workloads", "workloads_from"))


def find_variables(names: Iterable[str]) -> list[str]:
    """Return the names of role variables among the names of all variables, without the prefix ``pod_identity_``.

    :raises InputError: for unknown names with the prefix. If a misspelt ``pod_identity_purge_limit`` were ignored, the run
        would remove more workloads.
    """
    problems = Problems()
    all_names = (*_DOCUMENTED, *HIDDEN, *RESULTS)
    role_names = [name.removeprefix(ROLE) for name in names if name.startswith(ROLE)]
    for name in sorted(set(role_names).difference(all_names)):
        if name.startswith(ARTIFACTS):
            continue
        hint = f"rename it: the prefix {ROLE} is reserved for this collection."
        if near := difflib.get_close_matches(name, _DOCUMENTED):
            hint = f"did you mean {ROLE}{near[0]}?"
        problems.add("", f"{ROLE}{shown_value(name)} is not a variable of this collection; {hint}")
    problems.raise_if_any()
    return [name for name in role_names if name in _OF_ROLE]


def check_extra_variables(names: Iterable[str]) -> None:
    """Reject extra variables that would override facts of the role, or that look like a role variable with a misspelt prefix.

    :raises InputError: with a problem for each such variable.
    """
    problems = Problems()
    results = {f"{ROLE}{result}" for result in RESULTS}
    variables = [f"{ROLE}{name}" for name in _DOCUMENTED]
    for name in sorted(names):
        if name in results:
            problems.add(
                "",
                f"{name} is a result of this collection, which an extra variable would override; remove it from the extra "
                "variables.",
            )
        elif ROLE not in name and (
            near := difflib.get_close_matches(name.lower().replace("-", "_"), variables, cutoff=0.9)
        ):
            problems.add(
                "", f"{shown_value(name)} is not a variable of this collection; did you mean {near[0]}?"
            )
    problems.raise_if_any()


def read_variables(variables: Mapping[str, object], entry_point: EntryPoint) -> dict[str, object]:
    """Return the values of role variables converted to their types, by name without prefix. Omit variables without a value.

    ``owner`` and the lists of workloads are kept without a value, because ``run_input`` validates them later.

    :arg variables: the values by name without prefix, as Ansible has them.
    :raises InputError: with all problems.
    """
    problems = Problems()
    # A survey does not set variables in HIDDEN, so an empty string in such a variable is a value.
    values = _read_with(_OF_ROLE, variables, problems, _NOT_EMPTY.union(HIDDEN))
    _check_codes(values.get("ignore"), problems)
    _check_together(values, entry_point, problems)
    problems.raise_if_any()
    return {
        name: value
        for name, value in values.items()
        if value is not None or name in ("owner", "workloads", "workloads_from")
    }


def read_report_variables(variables: Mapping[str, object]) -> dict[str, object]:
    """Return the values of the variables in ``_REPORT`` converted to their types, by name without prefix.

    :raises InputError: with all problems.
    """
    problems = Problems()
    values = _read_with(_REPORT, variables, problems)
    problems.raise_if_any()
    return values


def read_migration_variables(variables: Mapping[str, object]) -> MigrationOptions:
    """Return the options of a migration.

    :arg variables: the values of the variables in ``MIGRATION``, by name without the prefix ``pod_identity_``.
    :raises InputError: with all problems.
    """
    problems = Problems()
    values = _read_options(MIGRATION, variables, problems)
    problems.raise_if_any()
    if rollback := values["step"] == ROLLBACK:
        del values["step"]
    return MigrationOptions(rollback=rollback, **values)


def read_audit_variables(variables: Mapping[str, object]) -> AccessOptions:
    """Return the options of an access report.

    :arg variables: the values of the variables in ``AUDIT``, by name without the prefix ``pod_identity_``.
    :raises InputError: with all problems.
    """
    problems = Problems()
    values = _read_options(AUDIT, variables, problems)
    for path in values.pop("file", ()):
        name = _AUDIT_FILES.get(PurePath(path).suffix.lower(), "")
        if not name or name in values:
            rule = "must end with .html, .json or .csv" if not name else "is a second file of its kind"
            problems.add("", f"{ROLE}audit_file: {shown_value(path)} {rule}.")
        values[name] = path
    if values.get("unused_days", 1) > TRACKED_DAYS:
        problems.add(
            "",
            f"{ROLE}audit_unused_days must be at most {TRACKED_DAYS}, got {values['unused_days']}. IAM does not keep older "
            "records.",
        )
    problems.raise_if_any()
    return AccessOptions(**values)


def _read_options(options: _Options, variables: Mapping[str, object], problems: Problems) -> dict[str, Any]:
    """Return the values of the variables of a playbook, by name without the prefix of the playbook such as ``audit_``.

    Lists become tuples. A variable without a value has its default, or is omitted.
    """
    values = {name: option.get("default") for name, option in options.items()}
    values |= {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in _read_with(options, variables, problems).items()
    }
    return {name.partition("_")[2] or name: value for name, value in values.items() if value is not None}


def _read_with(
    options: _Options,
    variables: Mapping[str, object],
    problems: Problems,
    kept: Collection[str] = (),
) -> dict[str, object]:
    """Return the values of variables converted to their types, by name without prefix. Omit unanswered and invalid variables.

    :arg kept: the names of variables that are not omitted.
    """
    raw = {
        name: problems.attempt(partial(_parsed, name, options[name]["type"], value))
        for name, value in variables.items()
        if name in kept or not is_unanswered(value)
    }
    fields = Fields(dict(raw.items()), "", problems, ROLE)
    values = {
        name: value
        for name in raw
        if (value := _read(fields, name, options[name])) is not None or is_unanswered(raw[name])
    }
    _check_characters(values, problems)
    return values


def _read(fields: Fields, name: str, option: Mapping[str, Any]) -> object:
    """Return the value of a variable, converted to the type in its argument spec."""
    if reader := _READERS.get(name):
        return reader(fields, name)
    if "choices" in option:
        return fields.choice(name, option["choices"])
    if option["type"] == "int":
        return fields.integer(name, _LEAST.get(name, 0))
    return _BY_TYPE[option["type"]](fields, name)


def is_unanswered(value: object) -> bool:
    """Return whether a value is null or blank text, like the answer that AWX passes for an unanswered survey question."""
    return value is None or (isinstance(value, str) and not value.strip())


def _parsed(name: str, kind: str, value: object) -> object:
    """Parse the text of a list or mapping that may be YAML. Return any other value unchanged. Raises InputError.

    For a mapping any text is YAML, for a list only text that begins with "[" or "- ".
    """
    if not isinstance(value, str) or name == "workloads":
        return value
    begin = value.lstrip()
    if kind == "dict" or (kind in ("list", "raw") and (begin[:1] == "[" or re.match(r"-\s", begin))):
        return read_yaml_value(f"{ROLE}{name}", value)
    return value


def _check_codes(ignore: object, problems: Problems) -> None:
    codes = [code.value for code in Code]
    for code in ignore if isinstance(ignore, list) else ():
        if code not in codes:
            longer = [full_code for full_code in codes if full_code.startswith(code.upper())]
            near = longer or difflib.get_close_matches(code.upper(), codes)
            hint = f"did you mean {near[0]}?" if near else "docs/codes.md lists all codes."
            problems.add("", f"{ROLE}ignore: '{shown_value(code)}' is not a finding code; {hint}")


def _check_characters(values: Mapping[str, object], problems: Problems) -> None:
    """Report unprintable characters, which are never intended in a region, path or manifest, and could garble the output."""
    for name, value in values.items():
        if name not in _READ_ELSEWHERE and (seen := visible_values(value)) != value:
            problems.add(
                "",
                f"{ROLE}{name} has an unprintable character, which is escaped here: {shown_value(seen)}. "
                "Remove it.",
            )


_VARIABLE_RULES: tuple[CombinationRule, ...] = (
    (
        lambda values: values.get("restart_stale") and values.get("verify_pods") is False,
        f"{ROLE}restart_stale needs {ROLE}verify_pods: true to find stale Pods. Set {ROLE}verify_pods: true, or leave "
        f"{ROLE}restart_stale out.",
    ),
    (
        lambda values: "approved" in values and not values["approved"],
        f"{ROLE}approved has no value; name the report of the plan, or leave the variable out.",
    ),
    (
        lambda values: values.get("runtime_proof") and "proof_image" in values and not values["proof_image"],
        f"{ROLE}runtime_proof needs {ROLE}proof_image, which has no value.",
    ),
)


def _check_together(values: Mapping[str, object], entry_point: EntryPoint, problems: Problems) -> None:
    problems.attempt(lambda: read_assume_role(values, ROLE))
    if entry_point == "main":
        problems.attempt(lambda: parse_agent(values, ROLE))
    Fields(dict(values.items()), "", problems).check(_VARIABLE_RULES)
    kubeconfig = [f"{ROLE}{name}" for name in ("kubeconfig", "kube_context") if values.get(name)]
    if values.get("kube_auth") == "eks" and kubeconfig:
        problems.add(
            "",
            f"With '{ROLE}kube_auth: eks', the run does not use a kubeconfig; leave out {ROLE}kube_auth, or "
            f"{' and '.join(kubeconfig)}.",
        )
    if entry_point == "verify" and values.get("state") == "absent":
        problems.add(
            "",
            f"'{ROLE}state: absent' removes workloads, but a verification changes nothing and checks that they are complete. "
            f"Leave {ROLE}state out.",
        )
