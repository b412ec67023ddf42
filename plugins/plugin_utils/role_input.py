# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The variables of the role as a task has them: each templated once, with its type, and every problem in one message."""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.inventory.manager import PATTERN_WITH_SUBSCRIPT, order_patterns, split_host_pattern
from ansible.parsing.splitter import parse_kv
from ansible.utils.vars import load_extra_vars
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import (
    read_boolean,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    EntryPoint,
    check_extra_variables,
    find_variables,
    is_unanswered,
    read_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    INPUT_OPTIONS,
    ROLE,
    ReadFiles,
    read_input,
    read_layers,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import (
    read_files,
    why_not_writable,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.task import ActionTask

# Prefixes of a file, and of a mapping as JSON or YAML.
_NOT_BY_NAME = ("@", "[", "{")
_NAME = re.compile(r"(?:^|\s)(pod_identity_\w+)")
_SETS_NOTHING = (
    "-e with {names} has words that belong to no variable, so Ansible would drop them. Write "
    "name=value without spaces; a value with spaces in quotes within those of the shell, -e \"name='a, b'\"; lists and mappings "
    """as JSON, -e '{{"name": ["a", "b"]}}'."""
)


def validate_extra_variables(loader: Any) -> None:
    """Refuse results of the role, names with a misspelt prefix, and text of which Ansible drops a part.

    Values are in no message: they may be secret.

    :raises InputError: with each of them.
    """
    texts = [str(text) for text in context.CLIARGS.get("extra_vars", ())]
    problems = [
        _SETS_NOTHING.format(names=listed(map(visible, dict.fromkeys(names))))
        for text in texts
        if not text.startswith(_NOT_BY_NAME)
        and (names := _NAME.findall(text))
        # Where the rest of the words goes, which is for modules like command.
        and "_raw_params" in parse_kv(text)
    ]
    if problems:
        raise InputError(problems)
    check_extra_variables(load_extra_vars(loader))


def matches(pattern: str, names: Collection[str]) -> bool:
    """``names`` are the host's own, those of its groups, and "all". InputError for what depends on the order of hosts."""
    terms = order_patterns(split_host_pattern(pattern))
    for term in terms:
        if not term.startswith("~") and PATTERN_WITH_SUBSCRIPT.match(term):
            raise InputError(
                [
                    f"hosts '{pattern}': {term} takes hosts by their number, which changes with the inventory; name a group."
                ]
            )
    included = [term for term in terms if term[0] not in "!&"]
    return (
        any(_is_one_of(term, names) for term in included)
        and all(_is_one_of(term[1:], names) for term in terms if term[0] == "&")
        and not any(_is_one_of(term[1:], names) for term in terms if term[0] == "!")
    )


def find_unknown(patterns: Iterable[str], names: Collection[str]) -> list[str]:
    """A sentence for each part of a pattern that fits nothing of the inventory. ``names`` are those of all hosts and groups.

    It is no error: a slice of a job has not all hosts, nor must each group have hosts.
    """
    sentences = []
    for pattern in dict.fromkeys(patterns):
        for term in split_host_pattern(pattern):
            name = term[1:] if term[0] in "!&" else term
            if name in names or _is_one_of(name, names):
                continue
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]}?" if near else "."
            sentences.append(
                f"hosts '{pattern}': no host and no group of the inventory is called {name}{hint}"
            )
    return sentences


def _is_one_of(term: str, names: Collection[str]) -> bool:
    if term.startswith("~"):
        try:
            return any(re.match(term[1:], name) for name in names)
        except re.error as error:
            raise InputError([f"hosts '{term}' is no regular expression: {error}."]) from error
    return any(fnmatch.fnmatchcase(name, term) for name in names)


LAYERS = "fleet_workloads"
WORKLOADS = ("workloads", "workloads_from", LAYERS)
FILES = ("report_file", "junit_file")
MISSING = """\
The role needs pod_identity_cluster_name and pod_identity_workloads (or pod_identity_workloads_from), for example in a \
file given with -e @workloads.yml:

pod_identity_cluster_name: my-cluster
pod_identity_workloads:
  - namespace: default
    service_account: my-service-account
    role:
      name: my-role
    policies:
      - arn: arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess

It also needs credentials and a region for AWS (AWS_PROFILE and AWS_REGION, or an AWS credential on the job template), \
and in the cluster an access entry for them, or a kubeconfig (KUBECONFIG).
Everything that can be set: ansible-doc -t role workload_identity.aws.pod_identity
Nothing was changed."""
EMPTY_CLUSTER_NAME = f"{ROLE}cluster_name is empty.\n"
ELSEWHERE = (
    "This play runs on {host}, and the inventory has other hosts: {others}. If they are the clusters, name them, or a group of "
    "them, on the command line: -e pod_identity_hosts=all\n"
)
PURGE_IN_A_FLEET = (
    f"{ROLE}purge is true, but a fleet cannot be purged, because scope and limit of a purge depend on the list of one cluster. "
    "Leave it out here, and purge each cluster alone afterwards."
)
NOTHING_FOR_HOST = (
    f"{ROLE}{LAYERS} has nothing for host {{host}}: none of its patterns is meant for it, and neither {ROLE}workloads nor "
    f"{ROLE}workloads_from is set. Add an entry with hosts: {{host}} or a group of it (workloads: [] for none), or leave the "
    "host out of the run."
)
NO_WORKLOADS = (
    f"host {{host}} has no workloads: none of {ROLE}workloads, {ROLE}workloads_from and {ROLE}{LAYERS} is set for it. Set one "
    f"for the host, for a group of it or for all ({ROLE}workloads: [] for none), or leave the host out of the run."
)
VERIFY_ONLY = f"{ROLE}verify_only"
VERIFY_WITHOUT_FLEET = (
    f"{VERIFY_ONLY} is true, which is for a fleet; this would make changes. "
    "To verify one cluster, use verify.yml, the playbook or the role's tasks_from."
)


class MissingInput(InputError):
    """The variables that every run needs are not there; the message is complete."""


def read_entry_point(
    task: ActionTask, variables: Mapping[str, Any], entry_point: EntryPoint, fleet: bool = False
) -> EntryPoint:
    """Return the entry point of the role, which in a fleet a variable turns into a verification. Raises InputError."""
    value = task.template(variables.get(VERIFY_ONLY))
    if is_unanswered(value):
        return entry_point
    verify_only = read_boolean(value)
    if verify_only is None:
        raise InputError([f"{VERIFY_ONLY} must be true or false, got {value!r}."])
    if verify_only and not fleet and entry_point == "main":
        raise InputError([VERIFY_WITHOUT_FLEET])
    return "verify" if verify_only else entry_point


def read_role_variables(
    task: ActionTask, variables: Mapping[str, Any], entry_point: EntryPoint, fleet: bool = False
) -> dict[str, Any]:
    """Return the variables of the role that have a value, by name without prefix, with their types. Raises InputError."""
    # Within a mapping, ansible-core since 2.19 leaves out what is set to omit; before that it is a placeholder.
    raw = {name: variables[f"{ROLE}{name}"] for name in find_variables(variables)}
    try:
        values = task.template(raw)
    except AnsibleError as error:
        raise InputError(list(_untemplated(task, raw)) or [str(error)]) from error
    omitted = variables.get("omit")
    values = {name: value for name, value in values.items() if omitted is None or value != omitted}
    has_workloads = any(name in values for name in WORKLOADS)
    host = str(variables["inventory_hostname"])
    if is_unanswered(values.get("cluster_name")) or (not has_workloads and host == "localhost"):
        reasons = [EMPTY_CLUSTER_NAME] if values.get("cluster_name") is not None else []
        others = [str(name) for name in variables["groups"]["all"] if name != host]
        if others and (host == "localhost" or f"{ROLE}hosts" not in variables):
            reasons.append(ELSEWHERE.format(host=host, others=listed(others)))
        raise MissingInput([*reasons, MISSING])
    if not has_workloads:
        raise InputError([NO_WORKLOADS.format(host=host)])
    read = read_variables(values, entry_point)
    if fleet and read.get("purge") and entry_point == "main" and read.get("state") != "absent":
        raise InputError([PURGE_IN_A_FLEET])
    for name in FILES:
        if read.get(name):
            read[name] = os.path.expanduser(os.path.expandvars(str(read[name])))
    return read


def parse_role_input(
    values: Mapping[str, Any], variables: Mapping[str, Any], entry_point: EntryPoint
) -> tuple[ParsedInput, list[str]]:
    """Return the parsed input, and a sentence for each name in a pattern that nobody in the inventory has.

    :arg values: the variables of the role, as ``read_role_variables`` returns them.
    :raises InputError: with all that is wrong, an unwritable file of the report included.
    """
    _check_files(values)
    read = partial(read_files, variables=variables)
    layers, unknown = _layers_of(values, variables, read)
    options = {name: value for name, value in values.items() if name in INPUT_OPTIONS}
    return read_input({**options, "verify_only": entry_point == "verify"}, read, ROLE, layers), unknown


def _untemplated(task: ActionTask, raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield the error of each variable that cannot be templated, of workloads by workload."""
    for name, value in raw.items():
        rows = value if name == "workloads" and isinstance(value, list) else []
        errors = [_template_error(task, row) for row in rows]
        if any(errors):
            yield from (
                f"{ROLE}{name}[{number}]{_name_of(row)}: {error}"
                for number, (row, error) in enumerate(zip(rows, errors, strict=True))
                if error
            )
        elif error := _template_error(task, value):
            yield f"{ROLE}{name}: {error}"


def _template_error(task: ActionTask, value: Any) -> str:
    try:
        task.template({"value": value})
    except AnsibleError as error:
        return str(error).splitlines()[0]
    return ""


def _name_of(row: object) -> str:
    """Return " (namespace/service account)" of a workload as written; "" unless both are plain text."""
    names = [row.get("namespace"), row.get("service_account")] if isinstance(row, Mapping) else []
    plain = [name for name in names if isinstance(name, str) and "{{" not in name]
    return f" ({'/'.join(plain)})" if len(plain) == 2 else ""


def _layers_of(
    values: Mapping[str, Any], variables: Mapping[str, Any], read: ReadFiles
) -> tuple[list[FileSource] | None, list[str]]:
    """Return the workloads by pattern that are meant for this host, None where there are no patterns; and a sentence for
    each name in a pattern that nobody in the inventory has."""
    if values.get(LAYERS) is None:
        return None, []
    host = str(variables["inventory_hostname"])
    names = {host, "all", *map(str, variables["group_names"])}
    patterns: list[str] = []

    def is_meant(hosts: str) -> bool:
        patterns.append(hosts)
        return matches(hosts, names)

    layers = read_layers(values[LAYERS], f"{ROLE}{LAYERS}", is_meant, read)
    if not layers and not any(values.get(name) is not None for name in WORKLOADS[:2]):
        raise InputError([NOTHING_FOR_HOST.format(host=host)])
    groups: Mapping[str, Sequence[str]] = variables["groups"]
    everybody = {host, *groups, *groups.get("all", ())}
    return layers, [f"{ROLE}{LAYERS}: {pattern}" for pattern in find_unknown(patterns, everybody)]


def _check_files(values: Mapping[str, Any]) -> None:
    """Raise InputError with each file of the report that cannot be written at the end."""
    unwritable = [
        f"{ROLE}{name} {path} cannot be written: {reason}."
        for name in FILES
        if (path := values.get(name)) and (reason := why_not_writable(path))
    ]
    if unwritable:
        raise InputError(unwritable)
