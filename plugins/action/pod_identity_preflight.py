# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step of the role: its input, parsed once for all that runs later, and a plan of its Kubernetes half."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fields import (
    read_boolean,
    read_integer,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.files import FileSource
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    account_id_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    EntryPoint,
    find_ineffective,
    find_variables,
    is_unanswered,
    read_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    INPUT_OPTIONS,
    ROLE,
    Locate,
    read_input,
    read_layers,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    AccountPurgeScope,
    Preflight,
    TaskState,
    preflight_row,
    read_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    UNAUTHORIZED,
    ApiError,
    find_unchecked,
    parse_api_error,
    unreachable_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.authentication import (
    KUBE_AUTHS,
    refusal_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    Deadline,
    begin_deadline,
    deadline_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.usage import (
    find_breakage,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    api_server_row,
    eks_target_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
    listed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import finding_row
from ansible_collections.workload_identity.aws.plugins.plugin_utils.extra_variables import (
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import (
    locate_files,
    why_not_writable,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.hand_over import keep
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_patterns import (
    find_unknown,
    matches,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes import connect
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    AWS_SPEC,
    CONNECTION_SPEC,
    Access,
    EksAccess,
    find_access,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import (
    region_of_task,
    task_environment,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.private_json import keep_json
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

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
GONE = "If the cluster is gone, workload_identity.aws.eks_pod_identity with state: absent removes what is left of it in AWS."
PURGE_IN_A_FLEET = (
    f"{ROLE}purge is true, and a fleet is not purged: what a purge may remove, and how much, is a question to the list of one "
    "cluster. Leave it out here, and purge each cluster alone afterwards."
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
EMPTY = "The list of workloads is empty, so there is nothing to do for it."


def _name_of(row: object) -> str:
    """Return " (namespace/service account)" of a workload as written; "" unless both are plain text."""
    names = [row.get("namespace"), row.get("service_account")] if isinstance(row, Mapping) else []
    plain = [name for name in names if isinstance(name, str) and "{{" not in name]
    return f" ({'/'.join(plain)})" if len(plain) == 2 else ""


class MissingInput(InputError):
    """The variables that every run needs are not there."""


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        try:
            if "entry_point" not in self._task.args:
                with task_environment(self):
                    return {**result, **self._run(dict(self._task.args), variables)}
            validate_extra_variables(self._loader)
            entry_point, fleet = self._entry_point(variables)
            given = self._role_variables(variables, entry_point)
            if fleet and given.get("purge") and entry_point == "main" and given.get("state") != "absent":
                raise InputError([PURGE_IN_A_FLEET])
            with task_environment(self):
                ready = self._run(_arguments_of(given, entry_point), variables)
        except MissingInput as error:
            return {**result, "failed": True, "msg": "\n".join(error.problems)}
        except InputError as error:
            return {**result, "failed": True, "msg": input_message(error)}
        except AwsError as error:
            return {**result, "failed": True, **aws_failure(error, None, ROLE)}
        if ready.get("failed"):
            return {**result, **ready}
        warnings = [*find_ineffective(given, entry_point), *ready.pop("warnings", ())]
        # The tags are in the parsed input.
        options = {name: value for name, value in given.items() if name not in (*WORKLOADS, "tags")}
        return {**result, **ready, "options": options, **({"warnings": warnings} if warnings else {})}

    def _run(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The preflight with its arguments. Raises InputError, and AwsError where a token for the EKS cluster needs AWS."""
        options = self._options(given)
        _check_files(options)
        locate = partial(locate_files, variables=variables)
        layers, unknown = _layers_of(given, variables, locate)
        parsed = read_input(_input_of(given), locate, ROLE, layers)
        state: TaskState = "verify" if options["verify_only"] else parsed.state
        deadline = begin_deadline(read_integer(given.get("deadline")))
        access = self._access(parsed, options)
        preflight = self._read_accounts(parsed, state, options, variables, deadline, access)
        if isinstance(preflight, ApiError):
            return {
                "failed": True,
                "msg": _unreachable(preflight, parsed.cluster_name, self._region(options), access),
            }
        server = replace(preflight.server, required=options["verify_cluster"])
        preflight = replace(preflight, server=server)
        if preflight.plan.problems:
            message = "\n".join([*map(visible, preflight.plan.problems), "Nothing was changed."])
            return {"failed": True, "msg": message}
        file = keep(parsed)
        warnings = [*unknown, *find_unchecked(server, parsed.cluster_name, self._region(options))]
        if not parsed.workloads and state == "absent":
            warnings.append(EMPTY)
        # Ansible looks at every value of a result, so it holds no workloads.
        return {
            "changed": False,
            "parsed_input": {"path": file.path, "sha256": file.sha256},
            # Annotations may hold anything, and every host has the variables of all.
            "kubernetes": keep_json("kubernetes", preflight_row(preflight)),
            "deadline": deadline_row(deadline),
            "eks_target": eks_target_row(access.target) if isinstance(access, EksAccess) else None,
            "kubernetes_api": api_server_row(preflight.server),
            "breakage": [*map(finding_row, (*preflight.plan.refused, *preflight.breakage))],
            **({"warnings": warnings} if warnings else {}),
        }

    def _region(self, options: Mapping[str, Any]) -> str:
        return region_of_task(self, options["region"]) or "as configured"

    def _entry_point(self, variables: Mapping[str, Any]) -> tuple[EntryPoint, bool]:
        """That of the role, and whether it is a fleet's, which verifies where its variable says so. Raises InputError."""
        spec = {
            "entry_point": {"type": "str", "choices": ["main", "verify"], "required": True},
            "fleet": {"type": "bool", "default": False},
        }
        _valid, options = self.validate_argument_spec(argument_spec=spec)
        entry_point: EntryPoint = options["entry_point"]
        given = self._templar.template(variables.get(VERIFY_ONLY))
        if is_unanswered(given):
            return entry_point, options["fleet"]
        verify_only = read_boolean(given)
        if verify_only is None:
            raise InputError([f"{VERIFY_ONLY} must be true or false, got {given!r}."])
        if verify_only and not options["fleet"] and entry_point == "main":
            raise InputError([VERIFY_WITHOUT_FLEET])
        return ("verify" if verify_only else entry_point), options["fleet"]

    def _role_variables(self, variables: Mapping[str, Any], entry_point: EntryPoint) -> dict[str, Any]:
        """The variables of the role that have a value, with their types. Raises InputError."""
        # Within a mapping, ansible-core since 2.19 leaves out what is set to omit; before that it is a placeholder.
        raw = {name: variables[f"{ROLE}{name}"] for name in find_variables(variables)}
        try:
            given = self._templar.template(raw)
        except AnsibleError as error:
            raise InputError(list(self._find_untemplated(raw)) or [str(error)]) from error
        omitted = variables.get("omit")
        given = {name: value for name, value in given.items() if omitted is None or value != omitted}
        has_workloads = any(name in given for name in WORKLOADS)
        host = str(variables["inventory_hostname"])
        if is_unanswered(given.get("cluster_name")) or (not has_workloads and host == "localhost"):
            reasons = [EMPTY_CLUSTER_NAME] if given.get("cluster_name") is not None else []
            others = [str(name) for name in variables["groups"]["all"] if name != host]
            if others and (host == "localhost" or f"{ROLE}hosts" not in variables):
                reasons.append(ELSEWHERE.format(host=host, others=listed(others)))
            raise MissingInput([*reasons, MISSING])
        if not has_workloads:
            raise InputError([NO_WORKLOADS.format(host=host)])
        return read_variables(given, entry_point)

    def _find_untemplated(self, raw: Mapping[str, Any]) -> Iterator[str]:
        """Return the error of each variable that cannot be templated, of workloads by workload."""
        for name, value in raw.items():
            rows = value if name == "workloads" and isinstance(value, list) else []
            errors = [self._template_error(row) for row in rows]
            if any(errors):
                yield from (
                    f"{ROLE}{name}[{number}]{_name_of(row)}: {error}"
                    for number, (row, error) in enumerate(zip(rows, errors, strict=True))
                    if error
                )
            elif error := self._template_error(value):
                yield f"{ROLE}{name}: {error}"

    def _template_error(self, value: Any) -> str:
        try:
            self._templar.template({"value": value})
        except AnsibleError as error:
            return str(error).splitlines()[0]
        return ""

    def _access(self, parsed: ParsedInput, options: Mapping[str, Any]) -> Access:
        try:
            account_id = account_id_of(options)
            return find_access(self, options["kube_auth"], parsed.cluster_name, options, account_id)
        except AwsError as error:
            if not error.missing or parsed.state != "absent":
                raise
            raise error.with_remedy(f"{error.remedy} {GONE}") from error

    def _read_accounts(
        self,
        parsed: ParsedInput,
        state: TaskState,
        options: Mapping[str, Any],
        variables: dict[str, Any],
        deadline: Deadline | None,
        access: Access,
    ) -> Preflight | ApiError:
        purge = None
        if parsed.purge and state == "present":
            purge = AccountPurgeScope(parsed.purge_namespaces, parsed.purge_limit, parsed.purge_percent)
        try:
            reader = connect(self, access, variables, deadline=deadline)
            preflight = read_accounts(
                reader,
                parsed.workloads,
                parsed.cluster_name,
                state,
                parsed.owner,
                purge,
                bool(options["adopt"]),
            )
            if isinstance(preflight, ApiError) or state != "present" or preflight.plan.problems:
                return preflight
            refused = {finding.workload for finding in preflight.plan.refused}
            keys = [workload.key for workload in parsed.workloads if workload.key not in refused]
            now, allowed = datetime.now(timezone.utc), bool(options["allow_breakage"])
            breakage = find_breakage(reader, keys, preflight.accounts, parsed.cluster_name, now, allowed)
            return replace(preflight, breakage=breakage)
        except AnsibleError as error:
            return parse_api_error(str(error))

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments beside the input; the validation copies what it is given, so it gets no workloads."""
        before = self._task.args
        self._task.args = {
            name: value for name, value in given.items() if name not in (*INPUT_OPTIONS, LAYERS)
        }
        try:
            _valid, options = self.validate_argument_spec(
                argument_spec={
                    "account_id": {"type": "str"},
                    "verify_only": {"type": "bool", "default": False},
                    "adopt": {"type": "bool", "default": False},
                    "allow_breakage": {"type": "bool", "default": False},
                    "verify_cluster": {"type": "bool", "default": True},
                    "kube_auth": {"type": "str", "choices": list(KUBE_AUTHS), "default": "auto"},
                    **AWS_SPEC,
                    **{name: {"type": "path"} for name in FILES},
                    **CONNECTION_SPEC,
                }
            )
        finally:
            # A task that is tried again needs them all.
            self._task.args = before
        return dict(options)


def _layers_of(
    given: Mapping[str, Any], variables: Mapping[str, Any], locate: Locate
) -> tuple[list[FileSource] | None, list[str]]:
    """The workloads by pattern that are meant for this host, None where there are no patterns; and a sentence for each
    name in a pattern that nobody in the inventory has."""
    if given.get(LAYERS) is None:
        return None, []
    host = str(variables["inventory_hostname"])
    names = {host, "all", *map(str, variables["group_names"])}
    patterns: list[str] = []

    def is_meant(hosts: str) -> bool:
        patterns.append(hosts)
        return matches(hosts, names)

    layers = read_layers(given[LAYERS], f"{ROLE}{LAYERS}", is_meant, locate)
    if not layers and not any(given.get(name) is not None for name in WORKLOADS[:2]):
        raise InputError([NOTHING_FOR_HOST.format(host=host)])
    groups: Mapping[str, Sequence[str]] = variables["groups"]
    everybody = {host, *groups, *groups.get("all", ())}
    return layers, [f"{ROLE}{LAYERS}: {pattern}" for pattern in find_unknown(patterns, everybody)]


def _arguments_of(given: Mapping[str, Any], entry_point: EntryPoint) -> dict[str, Any]:
    """The arguments of this action that the role's variables stand for."""
    names = (
        *INPUT_OPTIONS,
        *FILES,
        "account_id",
        "adopt",
        "allow_breakage",
        "verify_cluster",
        "kube_auth",
        "kubeconfig",
        *AWS_SPEC,
        LAYERS,
    )
    arguments = {name: given[name] for name in names if name in given}
    if "kube_context" in given:
        arguments["context"] = given["kube_context"]
    return {**arguments, "verify_only": entry_point == "verify"}


def _check_files(options: Mapping[str, Any]) -> None:
    """InputError for every file of the report that cannot be written at the end."""
    unwritable = [
        f"{ROLE}{name} {path} cannot be written: {reason}."
        for name in FILES
        if (path := options[name]) and (reason := why_not_writable(path))
    ]
    if unwritable:
        raise InputError(unwritable)


def _unreachable(error: ApiError, cluster: str, region: str, access: Access) -> str:
    with_token = isinstance(access, EksAccess)
    if error.status == UNAUTHORIZED and isinstance(access, EksAccess):
        return refusal_message(access.target, access.caller_access())
    return unreachable_message(error, cluster, region, with_token=with_token)


def _input_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in INPUT_OPTIONS}
