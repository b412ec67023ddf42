# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the variables of the role in a task: evaluate templates, convert types, and report problems."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv
from ansible.utils.vars import load_extra_vars

from ..module_utils._findings.text import visible
from ..module_utils._identity.inputs.patterns import (
    PatternInput,
)
from ..module_utils._identity.inputs.role_variables import (
    EntryPoint,
    check_extra_variables,
    find_variables,
    is_unanswered,
    read_variables,
)
from ..module_utils._identity.inputs.run_input import (
    INPUT_OPTIONS,
    ROLE,
    read_input,
)
from ..module_utils._identity.model.desired import (
    ParsedInput,
)
from ..module_utils._identity.model.errors import (
    InputError,
    listed,
)
from ._files import (
    describe_unwritable,
    read_files,
)
from ._task import ActionTask

# Extra variables with these prefixes are a file, or a mapping in JSON or YAML, instead of name=value.
_NOT_BY_NAME = ("@", "[", "{")
_REPEATED = re.compile(r"(.+)\. \1$")
_NAME = re.compile(r"(?:^|\s)(pod_identity_\w+)")
_DROPPED_WORDS = (
    "-e with {names} has words that belong to no variable, and Ansible would ignore these words. Write "
    "name=value without spaces. Put a value with spaces in a second pair of quotes: -e \"name='a, b'\". Write a list or mapping "
    """as JSON: -e '{{"name": ["a", "b"]}}'."""
)


def validate_extra_variables(loader: Any) -> None:
    """Check the extra variables of the command line (-e) for mistakes that Ansible does not report.

    The mistakes are names of the role's results, misspelt prefixes, and words that Ansible ignores because of missing
    quotes. Messages never contain the values of variables, because a value may be secret.

    :raises InputError: for ignored words; if there are none, with all other problems.
    """
    texts = [str(text) for text in context.CLIARGS.get("extra_vars", ())]
    problems = [
        _DROPPED_WORDS.format(names=listed(map(visible, dict.fromkeys(names))))
        for text in texts
        if not text.startswith(_NOT_BY_NAME)
        and (names := _NAME.findall(text))
        # Ansible collects words without a name under this key.
        and "_raw_params" in parse_kv(text)
    ]
    if problems:
        raise InputError(problems)
    check_extra_variables(load_extra_vars(loader))


WORKLOADS = ("workloads", "workloads_from")
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

The role also needs credentials and a region for AWS (AWS_PROFILE and AWS_REGION, or an AWS credential on the job \
template). For the Kubernetes API, it needs an EKS access entry for these credentials, or a kubeconfig (KUBECONFIG).
Everything that can be set: ansible-doc -t role workload_identity.aws.pod_identity
Nothing was changed."""
ELSEWHERE = (
    "This play runs on {host}, and the inventory has other hosts: {others}. If those hosts are the clusters, "
    "name the hosts or their group on the command line: -e pod_identity_hosts=all\n"
)
NO_WORKLOADS = (
    f"host {{host}} has no workloads: {ROLE}workloads and {ROLE}workloads_from are not set for this host. Set one of these "
    f"variables for the host, for one of its groups or for the group all ({ROLE}workloads: [] for no workloads), or remove "
    "the host from the run."
)


class RoleError(Exception):
    """An error whose message is complete: the user sees the message without additions.

    :arg details: additional members of the result of the task.
    """

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = dict(details or {})


def template_variables(
    task: ActionTask, variables: Mapping[str, Any], names: Iterable[str]
) -> dict[str, Any]:
    """Evaluate the variables of a playbook, and return those that are set, by name without the prefix "pod_identity_".

    :raises InputError: for an unknown variable with the prefix, or a failing template.
    """
    find_variables(variables)
    return _template(
        task, {name: variables[f"{ROLE}{name}"] for name in names if f"{ROLE}{name}" in variables}
    )


def read_role_variables(
    task: ActionTask, variables: Mapping[str, Any], entry_point: EntryPoint
) -> dict[str, Any]:
    """Evaluate and validate the variables of the role, and return those that are set.

    :arg variables: all variables of the task.
    :returns: the values by name without the prefix "pod_identity_", converted to their types.
    :raises InputError: with the problems of the first check that fails: names, templates, or values.
    :raises RoleError: when a variable is missing that every run requires. The message explains how to set it.
    """
    # A variable may be "{{ omit }}". In a mapping, ansible-core 2.19 and newer drops such a value; older versions replace it
    # with a placeholder.
    values = _template(task, {name: variables[f"{ROLE}{name}"] for name in find_variables(variables)})
    omitted = variables.get("omit")
    values = {name: value for name, value in values.items() if omitted is None or value != omitted}
    has_workloads = any(name in values for name in WORKLOADS)
    hint = "".join(
        f"{name} is set; did you mean {ROLE}{name}? "
        for name in ("cluster_name", *WORKLOADS)
        if name in variables and name not in values
    )
    host = str(variables["inventory_hostname"])
    if is_unanswered(values.get("cluster_name")) or (not has_workloads and host == "localhost"):
        reasons = [f"{ROLE}workloads is missing.\n"]
        if is_unanswered(name := values.get("cluster_name")):
            reasons = [] if name is None else [f"{ROLE}cluster_name is empty.\n"]
        other_hosts = [str(name) for name in variables["groups"]["all"] if name != host]
        if other_hosts and (host == "localhost" or f"{ROLE}hosts" not in variables):
            reasons.append(ELSEWHERE.format(host=host, others=listed(other_hosts)))
        raise RoleError("\n".join([*reasons, hint + MISSING]))
    if not has_workloads:
        raise InputError([hint + NO_WORKLOADS.format(host=host)])
    parsed = read_variables(values, entry_point)
    files = {name: str(parsed[name]) for name in FILES if parsed.get(name)}
    return {**parsed, **{name: os.path.expanduser(os.path.expandvars(file)) for name, file in files.items()}}


def parse_role_input(
    values: Mapping[str, Any],
    variables: Mapping[str, Any],
    entry_point: EntryPoint,
    patterns: PatternInput | None = None,
    loader: Any = None,
) -> ParsedInput:
    """Parse the workloads and options of a run, and check that the report files can be written.

    :arg values: the result of ``read_role_variables``.
    :arg patterns: allows patterns in the list of workloads.
    :arg loader: as for ``read_files``.
    :raises InputError: with the problems of the first check that fails: report files, or options and workloads.
    """
    if unwritable := describe_unwritable((name, values.get(name)) for name in FILES):
        raise InputError(unwritable)
    options = {name: value for name, value in values.items() if name in (*INPUT_OPTIONS, "account_id")}
    # The caller has set the environment of the task.
    region = (values.get("region"), os.environ.get("AWS_REGION"), os.environ.get("AWS_DEFAULT_REGION"))
    options["region"] = next(filter(None, region), None)
    return read_input(
        options,
        partial(read_files, variables=variables, loader=loader),
        ROLE,
        patterns=patterns,
        verifies=entry_point == "verify",
    )


def _template(task: ActionTask, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Evaluate variables by name without prefix. Raises InputError, with a problem for each variable with a failing template."""
    try:
        return dict(task.template(raw))
    except AnsibleError as error:
        raise InputError(list(_untemplated(task, raw)) or [str(error)]) from error


def _untemplated(task: ActionTask, raw: Mapping[str, Any]) -> Iterator[str]:
    """Yield an error message for each variable with a failing template. For ``workloads``, name each failing entry."""
    for name, value in raw.items():
        rows = value if name == "workloads" and isinstance(value, list) else []
        errors = [_template_error(task, row) for row in rows]
        if any(errors):
            yield from (
                f"{ROLE}{name}[{number}]{_workload_label(row)}: {error}"
                for number, (row, error) in enumerate(zip(rows, errors, strict=True))
                if error
            )
        elif error := _template_error(task, value):
            yield f"{ROLE}{name}: {error}"


def _template_error(task: ActionTask, value: Any) -> str:
    try:
        task.template({"value": value})
    except AnsibleError as error:
        text = str(error).splitlines()[0]
        # ansible-core 2.16 repeats the text of an error at each level of templates.
        while repeated := _REPEATED.search(text):
            text = text[: repeated.end(1)]
        return text
    return ""


def _workload_label(row: object) -> str:
    """Return " (namespace/service-account)" for a message, or "" if one of them is missing or a template."""
    names = [row.get("namespace"), row.get("service_account")] if isinstance(row, Mapping) else []
    plain = [name for name in names if isinstance(name, str) and "{{" not in name]
    return f" ({'/'.join(plain)})" if len(plain) == 2 else ""
