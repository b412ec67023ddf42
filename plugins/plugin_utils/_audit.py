# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The steps of the playbook audit: each host reads its cluster, and one host writes the access report of all clusters."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.answers import (
    NotAReport,
    validate_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.output import (
    access_csv,
    access_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.access.report import (
    build_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    AUDIT,
    is_unanswered,
    read_audit_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    remedy_for,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.irsa import (
    read_irsa,
    unread_findings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.access import (
    AccessOptions,
    ClusterFacts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    as_refusal,
    describe_place,
    judge_api_server,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
    listed,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.access import (
    read_role_facts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Guard
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    read_cluster_associations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.actions import (
    load_action_index,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._audit_page import render_page
from ansible_collections.workload_identity.aws.plugins.plugin_utils._files import (
    locate_files,
    why_not_writable,
    write_private,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._fleet import hand_over, take_over
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes import connect, make_clock
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import (
    read_role_variables,
    template_variables,
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import (
    RoleError,
    begin_aws,
    failing_into,
    find_role_access,
    parse_input,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import (
    Steps,
    is_watched,
    printable,
    show_progress,
    show_report,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask

# The variable in which the first task registers the part of a host.
PART = "pod_identity_audit_part"
NO_AUDITED_CLUSTER = (
    "The access report needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster, or with clusters as inventory "
    "hosts -e pod_identity_hosts=all. It also needs credentials and a region for AWS, and access to the Kubernetes API of the "
    "cluster. Nothing was changed."
)
UNREAD_CLUSTERS = "{names} could not be read, so the report does not include {them}. The notes of the report have the reasons."
_NO_BULK_READ = (
    "The roles of the account could not be read together, so it is not known which further roles a role can assume: {text} To "
    "include them, allow the caller iam:GetAccountAuthorizationDetails."
)
_FILES = ("file", "json", "csv")
# Variables of the role that choose workloads or change something. The report has all service accounts.
_NOT_FOR_REPORTS = (
    "fleet_workloads",
    "workloads",
    "workloads_from",
    "annotated",
    "state",
    "purge",
    "trust_scope",
)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin for one step of the playbook audit. A cluster that cannot be read does not stop the others."""

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, arguments = self.validate_argument_spec(
            argument_spec={"step": {"type": "str", "choices": ["read", "report"], "required": True}}
        )
        task = ActionTask(self)
        result["changed"] = False
        try:
            validate_extra_variables(task.loader)
            options = _read_options(task, variables)
            if arguments["step"] == "read":
                return {**result, **_read(task, variables)}
            return {**result, **_write_report(task, variables, options)}
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}


def _read_options(task: ActionTask, variables: Mapping[str, Any]) -> AccessOptions:
    """Read the variables of the report, and check its files. Raises InputError with all problems."""
    options = read_audit_variables(template_variables(task, variables, AUDIT))
    problems = [
        f"{ROLE}audit_{name} {path} cannot be written: {reason}."
        for name in _FILES
        if (path := getattr(options, name)) and (reason := why_not_writable(os.path.expanduser(path)))
    ]
    if options.previous:
        try:
            _read_previous(options, variables)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return options


def _read_previous(options: AccessOptions, variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read the earlier report. Raises InputError if it is missing, or not a report."""
    name = f"{ROLE}audit_previous"
    (path,) = locate_files([os.path.expanduser(options.previous)], variables)
    try:
        return validate_report(json.loads(Path(path).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        reason = str(error) if isinstance(error, NotAReport) else f"it cannot be read as JSON ({error})"
        raise InputError(
            [
                f"{name} {options.previous}: {reason}. Name a file that an earlier run wrote to {ROLE}audit_json."
            ]
        ) from error


def _read(task: ActionTask, variables: dict[str, Any]) -> dict[str, Any]:
    """Read the cluster of a host, and leave its facts for the last step."""
    failure: dict[str, Any] = {}
    host = str(variables.get("inventory_hostname", ""))
    name = str(task.template(variables.get(f"{ROLE}cluster_name")) or host)
    facts = ClusterFacts(name)
    with interruptible(), failing_into(failure):
        if is_unanswered(task.template(variables.get(f"{ROLE}cluster_name"))):
            raise RoleError(NO_AUDITED_CLUSTER)
        left_out = {f"{ROLE}{entry}" for entry in _NOT_FOR_REPORTS}
        chosen = {key: value for key, value in variables.items() if key not in left_out}
        values = read_role_variables(task, {**chosen, f"{ROLE}workloads": []}, "verify")
        is_single = len(variables["ansible_play_hosts_all"]) == 1
        steps = Steps(name, displays=is_single and not task.keywords.no_log)
        screen = show_progress(steps.line) if is_watched(task) else contextlib.nullcontext()
        with task.in_environment(), screen:
            facts = _read_cluster(task, chosen, values, steps)
    if failure:
        facts = ClusterFacts(name, error=sentence(str(failure["msg"])))
    return {"part": hand_over("audit", facts), "stopped": facts.error}


def _read_cluster(
    task: ActionTask, variables: dict[str, Any], values: dict[str, Any], steps: Steps
) -> ClusterFacts:
    """Read the associations, service accounts, Pods and roles of a cluster."""
    steps.begin("reading the cluster")
    source = parse_input({**values, "workloads": []}, variables, "verify")
    part = begin_aws(task, source, "verify", True, steps)
    kubernetes = connect(task, find_role_access(task, source), variables, deadline=source.deadline)
    opened = part.opening()
    cluster, server = opened.cluster, kubernetes.read_server()
    doubt = judge_api_server(cluster, server)
    if doubt is not None and values.get("verify_cluster", True):
        refusal = as_refusal(doubt)
        raise RoleError(f"{refusal.message} {refusal.remedy}")
    width = int(part.job.params["concurrency"])
    with _guarded(steps):
        associations = read_cluster_associations(opened.api, cluster, width, steps)
    steps.begin("reading the service accounts")
    estate = read_irsa(
        kubernetes, cluster.key, associations.keys(), make_clock(source.deadline), any_variables=True
    )
    if isinstance(estate, ApiError):
        raise RoleError(
            f"The service accounts and Pods of {describe_place(cluster)} could not be listed: {sentence(estate.text)} "
            f"{remedy_for(estate)}"
        )
    arns = {
        *(account.role_arn for account in estate.accounts.values()),
        *(arn for association in associations.values() for arn in association.roles),
        *estate.configured.values(),
        *(arn for roles in estate.own_roles.values() for arn in roles.values()),
    }
    steps.begin("reading the roles")
    with _guarded(steps):
        reads = read_role_facts(opened.api, cluster, filter(None, arns), width)
    notes = [f"{finding.message} {finding.remedy}" for finding in unread_findings(estate)]
    notes += [_NO_BULK_READ.format(text=sentence(reads.denied))] if reads.denied else []
    return ClusterFacts(
        cluster.name,
        cluster,
        associations,
        estate.accounts,
        estate.configured,
        estate.own_roles,
        estate.pods,
        reads.roles,
        reads.complete,
        tuple(notes),
    )


@contextlib.contextmanager
def _guarded(steps: Steps) -> Iterator[None]:
    """End the block early on a signal. Raises RoleError then."""
    with Guard(None) as guard:
        yield
    if guard.cause is not None:
        raise RoleError(f"{steps.title}: {guard.cause.text} {guard.cause.remedy}")


def _write_report(task: ActionTask, variables: dict[str, Any], options: AccessOptions) -> dict[str, Any]:
    """Join the parts of all hosts, write the files of the report, and display its summary."""
    hosts: Sequence[str] = variables["ansible_play_hosts_all"]
    parts = [_take_part(host, variables["hostvars"][host]) for host in hosts]
    _check_namespaces(options, parts)
    previous = _read_previous(options, variables) if options.previous else None
    report = build_report(
        parts, load_action_index(), datetime.now(timezone.utc), options.namespaces, previous
    )
    writers: Mapping[str, Callable[[], str]] = {
        "file": lambda: render_page(report),
        "json": lambda: f"{json.dumps(report, indent=1)}\n",
        "csv": lambda: access_csv(report),
    }
    written = [name for name in _FILES if getattr(options, name)]
    for name in written:
        write_private(os.path.expanduser(getattr(options, name)), writers[name]())
    lines = access_lines(report)
    lines += [f"Written: {listed([getattr(options, name) for name in written])}."] if written else []
    unread = [part.name for part in parts if part.error]
    them = "it" if len(unread) == 1 else "them"
    failure = UNREAD_CLUSTERS.format(names=listed(unread), them=them) if unread else ""
    if len(parts) == 1 and unread:
        failure = parts[0].error
    counts = {"summary": report["summary"], "files": [getattr(options, name) for name in written]}
    return {**counts, **show_report(lines, failure, failure, hidden=bool(task.keywords.no_log))}


def _take_part(host: str, variables: Mapping[str, Any]) -> ClusterFacts:
    """Return the facts of the cluster of a host."""
    registered = variables.get(PART) or {}
    if "part" not in registered:
        reason = str(registered.get("msg") or "the host was not reached. Run again.")
        return ClusterFacts(host, error=sentence(reason))
    facts: ClusterFacts = take_over(registered["part"])
    return facts


def _check_namespaces(options: AccessOptions, parts: Sequence[ClusterFacts]) -> None:
    """Raise InputError for a namespace without service accounts: a misspelt one would give an empty report."""
    present = {
        key.namespace for part in parts for key in (*part.associations, *part.accounts, *part.configured)
    }
    unknown = [name for name in options.namespaces if name not in present]
    if unknown and not all(part.error for part in parts):
        raise InputError(
            [
                f"{ROLE}audit_namespaces: no service account in namespace {name} has credentials for AWS. There are: "
                f"{listed(sorted(present), 20) or 'none'}."
                for name in unknown
            ]
        )
