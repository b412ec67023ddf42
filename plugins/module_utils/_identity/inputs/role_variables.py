# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the role variables before the run starts: check their names, types and combinations. Pure.

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
from ..model.desired import STATES
from ..model.errors import Problems
from ..model.migration import ROLLBACK, STEPS, TOOLS, MigrationOptions
from ..model.roles import TRUST_SCOPES
from .addons import AGENT_STATES, parse_agent
from .assume_role import read_assume_role
from .fields import CombinationRule, Fields, number_as_text, shown_value
from .options import LEAST, read_account_id, read_force, read_purge_limit
from .questions import read_questions
from .run_input import ROLE
from .workloads import read_metadata
from .yaml_file import read_yaml_value

EntryPoint = Literal["main", "verify"]
_Reader: TypeAlias = Callable[[Fields, str], object]


def _integer(least: int) -> _Reader:
    return lambda fields, name: fields.integer(name, least)


def _choice(*choices: str) -> _Reader:
    return lambda fields, name: fields.choice(name, choices)


def _text(fields: Fields, name: str) -> object:
    value = fields.raw.get(name)
    # YAML parses an unquoted name of digits, such as a profile, as a number.
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    text = fields.text(name)
    return None if is_unanswered(text) else text


def _names(fields: Fields, name: str) -> list[str]:
    value = fields.raw.get(name)
    if isinstance(value, str):
        # AWX survey questions of the types textarea and multiselect return one name per line.
        return [part.strip() for part in re.split(r"[,\n]", value) if part.strip()]
    return list(fields.names(name))


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


def _account_id(fields: Fields, _name: str) -> object:
    return read_account_id(fields) or None


# Labels and annotations that this collection sets, or that exclude a Pod from EKS Pod Identity.
_RESERVED = frozenset(
    (
        "app.kubernetes.io/managed-by",
        "workload-identity/proof",
        "eks.amazonaws.com/skip-pod-identity-webhook",
        "eks.amazonaws.com/skip-containers",
    )
)
# The readers of the variables in meta/argument_specs.yml of the role, by name without prefix.
VARIABLES: Mapping[str, _Reader] = {
    "account_id": _account_id,
    "adopt": Fields.flag,
    "agent": _choice(*AGENT_STATES),
    "agent_version": _text,
    "allow_breakage": Fields.flag,
    "approved": _text,
    "assume_role_arn": _text,
    "assume_role_external_id": _text,
    "cluster_name": _name,
    "create_namespaces": Fields.flag,
    "create_service_accounts": Fields.flag,
    "deadline": _integer(LEAST["deadline"]),
    "fail_on": _choice("error", "warning"),
    "force": read_force,
    "ignore": _names,
    "junit_file": _text,
    "kube_auth": _choice("auto", "eks", "kubeconfig"),
    "kube_context": _text,
    "kubeconfig": _text,
    "only": _names,
    "owner": _name,
    "path": _text,
    "permissions_boundary": _text,
    "profile": _text,
    "proof_image": _text,
    "proof_pod": _pod,
    "purge": Fields.flag,
    "purge_limit": _purge_limit,
    "purge_policies": Fields.flag,
    "purge_tags": Fields.flag,
    "region": _text,
    "report_file": _text,
    "restart_stale": Fields.flag,
    "restart_timeout": _integer(0),
    "runtime_proof": Fields.flag,
    "state": _choice(*STATES),
    "tags": Fields.mapping,
    "trust_scope": _choice(*TRUST_SCOPES),
    "verify_pods": Fields.flag,
    "workloads": _unparsed,
    "workloads_from": _unparsed,
}
# Undocumented variables for tests of the role: "patience" is the maximum time of all injection probes and of the runtime proof in
# seconds, "proof_impossible" the reason why Pods cannot run in the test cluster, and "proof_run" the ID in the names of the Jobs.
HIDDEN: Mapping[str, _Reader] = {"patience": _integer(0), "proof_impossible": _unparsed, "proof_run": _text}
# Variables of the playbook migrate.
MIGRATION: Mapping[str, _Reader] = {
    "migration_batch": _integer(1),
    "migration_canary": _integer(0),
    "migration_observe": _integer(0),
    "migration_soak": _integer(0),
    "migration_step": _choice(*STEPS, ROLLBACK),
    "migration_tool": _choice(*TOOLS),
    "only": _names,
}
# The fields of ``AccessOptions`` for the files of an access report, by the suffix of a file.
_AUDIT_FILES = {".html": "file", ".json": "json", ".csv": "csv"}
# Variables of the playbook audit.
AUDIT: Mapping[str, _Reader] = {
    "audit_file": _names,
    "audit_questions": read_questions,
    "audit_unused_days": _integer(1),
    "only": _names,
}
# Variables that playbooks use, but not the role.
PLAYBOOKS = (
    *AUDIT,
    *MIGRATION,
    "export_file",
    "hosts",
    "max_fail_percentage",
    "report_files",
    "serial",
)
# Variables and options of the playbook report.
REPORT: Mapping[str, _Reader] = {
    "expected": _names,
    "report_files": _names,
}
# Facts and results of the role and the playbooks, without prefix.
RESULTS = (
    *("audit", "audit_part", "audit_roles", "checked"),
    *("migration", "report", "result"),
)
# The prefix of the artifacts of earlier jobs in an AWX workflow, which AWX passes to later jobs as extra variables.
ARTIFACTS = "artifact_"
_READERS = {**VARIABLES, **HIDDEN}
# Variables that may also be YAML text: for a mapping any text, for a list only text that begins with "[" or "- ".
_MAPPINGS = frozenset(("proof_pod", "tags"))
_LISTS = frozenset(
    (
        "audit_questions",
        "expected",
        "force",
        "ignore",
        "audit_file",
        "only",
        "report_files",
        "workloads_from",
    )
)
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
    all_names = (*_READERS, *PLAYBOOKS, *RESULTS)
    role_names = [name.removeprefix(ROLE) for name in names if name.startswith(ROLE)]
    for name in sorted(set(role_names).difference(all_names)):
        if name.startswith(ARTIFACTS):
            continue
        hint = f"rename it: the prefix {ROLE} is reserved for the role."
        if near := difflib.get_close_matches(name, (*VARIABLES, *PLAYBOOKS), 1):
            hint = f"did you mean {ROLE}{near[0]}?"
        problems.add("", f"{ROLE}{shown_value(name)} is not a variable of the role; {hint}")
    problems.raise_if_any()
    return [name for name in role_names if name in _READERS]


def check_extra_variables(names: Iterable[str]) -> None:
    """Reject extra variables that would override facts of the role, or that look like a role variable with a misspelt prefix.

    :raises InputError: with a problem for each such variable.
    """
    problems = Problems()
    results = {f"{ROLE}{result}" for result in RESULTS}
    variables = [f"{ROLE}{name}" for name in (*VARIABLES, *PLAYBOOKS)]
    for name in sorted(names):
        if name in results:
            problems.add(
                "",
                f"{name} is a result of the role, which an extra variable would override; remove it from the extra "
                "variables.",
            )
        elif ROLE not in name and (
            near := difflib.get_close_matches(name.lower().replace("-", "_"), variables, 1, 0.9)
        ):
            problems.add("", f"{shown_value(name)} is not a variable of the role; did you mean {near[0]}?")
    problems.raise_if_any()


def read_variables(variables: Mapping[str, object], entry_point: EntryPoint) -> dict[str, object]:
    """Return the values of role variables converted to their types, by name without prefix. Omit variables without a value.

    ``owner`` and the lists of workloads are kept without a value, because ``run_input`` validates them later.

    :arg variables: the values by name without prefix, as Ansible has them.
    :raises InputError: with all problems.
    """
    problems = Problems()
    # A survey does not set variables in HIDDEN, so an empty string in such a variable is a value.
    values = _read_with(_READERS, variables, problems, _NOT_EMPTY.union(HIDDEN))
    _check_codes(values.get("ignore"), problems)
    _check_together(values, entry_point, problems)
    problems.raise_if_any()
    return {
        name: value
        for name, value in values.items()
        if value is not None or name in ("owner", "workloads", "workloads_from")
    }


def read_report_variables(variables: Mapping[str, object]) -> dict[str, object]:
    """Return the values of the variables in ``REPORT`` converted to their types, by name without prefix.

    :raises InputError: with all problems.
    """
    problems = Problems()
    values = _read_with(REPORT, variables, problems)
    problems.raise_if_any()
    return values


def read_migration_variables(variables: Mapping[str, object]) -> MigrationOptions:
    """Return the options of a migration.

    :arg variables: the values of the variables in ``MIGRATION``, by name without the prefix ``pod_identity_``.
    :raises InputError: with all problems.
    """
    problems = Problems()
    values: dict[str, Any] = {
        name.removeprefix("migration_"): tuple(value) if isinstance(value, list) else value
        for name, value in _read_with(MIGRATION, variables, problems).items()
        if value is not None
    }
    problems.raise_if_any()
    if rollback := values.get("step") == ROLLBACK:
        del values["step"]
    return MigrationOptions(rollback=rollback, **values)


def read_audit_variables(variables: Mapping[str, object]) -> AccessOptions:
    """Return the options of an access report.

    :arg variables: the values of the variables in ``AUDIT``, by name without the prefix ``pod_identity_``.
    :raises InputError: with all problems.
    """
    problems = Problems()
    values: dict[str, Any] = {
        name.removeprefix("audit_"): tuple(value) if isinstance(value, list) else value
        for name, value in _read_with(AUDIT, variables, problems).items()
        if value is not None
    }
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


def _read_with(
    readers: Mapping[str, _Reader],
    variables: Mapping[str, object],
    problems: Problems,
    kept: Collection[str] = (),
) -> dict[str, object]:
    """Return the values of variables converted to their types, by name without prefix. Omit unanswered variables.

    :arg kept: the names of variables that are not omitted.
    """
    raw = {
        name: problems.attempt(partial(_parsed, name, value))
        for name, value in variables.items()
        if name in kept or not is_unanswered(value)
    }
    fields = Fields(dict(raw.items()), "", problems, ROLE)
    values = {name: readers[name](fields, name) for name in raw}
    _check_characters(values, problems)
    return values


def is_unanswered(value: object) -> bool:
    """Return whether a value is null or blank text, like the answer that AWX passes for an unanswered survey question."""
    return value is None or (isinstance(value, str) and not value.strip())


def _parsed(name: str, value: object) -> object:
    """Parse the text of a variable that may be YAML. Return any other value unchanged. Raises InputError."""
    if not isinstance(value, str):
        return value
    begin = value.lstrip()
    if name in _MAPPINGS or (name in _LISTS and (begin[:1] == "[" or re.match(r"-\s", begin))):
        return read_yaml_value(f"{ROLE}{name}", value)
    return value


def _check_codes(ignore: object, problems: Problems) -> None:
    codes = [code.value for code in Code]
    for code in ignore if isinstance(ignore, list) else ():
        if code not in codes:
            longer = [full_code for full_code in codes if full_code.startswith(code.upper())]
            near = longer or difflib.get_close_matches(code.upper(), codes, 1)
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
