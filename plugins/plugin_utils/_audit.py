# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the playbook audit: read, roles and report.

Each host reads its cluster ("read"). Then one host for each pair of AWS account and caller reads the roles of the account
("roles"). Finally one host writes the access report of all clusters ("report").
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase

from ..module_utils._identity.access.output import (
    access_csv,
    access_lines,
)
from ..module_utils._identity.access.report import (
    build_report,
)
from ..module_utils._identity.inputs.options import (
    verify_spec,
)
from ..module_utils._identity.inputs.role_variables import (
    AUDIT,
    is_unanswered,
    read_audit_variables,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.api.api_errors import (
    ApiError,
    remedy_for,
)
from ..module_utils._identity.kubernetes.run.irsa import (
    read_irsa,
    unread_findings,
)
from ..module_utils._identity.model.access import (
    AccessOptions,
    ClusterFacts,
)
from ..module_utils._identity.model.cluster import (
    describe_place,
    judge_api_server,
)
from ..module_utils._identity.model.errors import (
    InputError,
    input_message,
    listed,
    sentence,
)
from ..module_utils._identity.report.artifact import (
    to_artifact,
)
from ..module_utils._identity.run.access import (
    RoleReads,
    read_last_uses,
    read_node_roles,
    read_role_facts,
)
from ..module_utils._identity.run.guard import Guard
from ..module_utils._identity.run.migration import (
    read_cluster_associations,
)
from ..module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ._audit_page import render_page
from ._aws_clients import job_of_task
from ._files import (
    hand_over,
    take_over,
    warn_vanishing,
    why_not_writable,
    write_private,
)
from ._kubernetes import connect
from ._processes import interruptible
from ._role_input import (
    read_role_variables,
    template_variables,
    validate_extra_variables,
)
from ._role_report import job_artifacts
from ._role_run import (
    VERIFY,
    VERIFY_OPTIONS,
    RoleError,
    begin_aws,
    failing_into,
    find_role_access,
    parse_input,
)
from ._screen import (
    Steps,
    printable,
    show_report,
)
from ._task import ActionTask

# The variables in which the playbook registers the results of the steps "read" and "roles".
PART = "pod_identity_audit_part"
ROLES = "pod_identity_audit_roles"
NO_AUDITED_CLUSTER = (
    "The access report needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster, or with clusters as inventory "
    "hosts -e pod_identity_hosts=all. It also needs credentials and a region for AWS, and access to the Kubernetes API of the "
    "cluster. Nothing was changed."
)
NO_ROLES = "The roles of the account were not read. Run the step roles before the step report."
UNREAD_CLUSTERS = "{names} could not be read, so the report does not include {them}. The notes of the report have the reasons."
_NO_BULK_READ = (
    "The roles of the account could not be listed: {text} The report therefore may lack further roles that a role can "
    "assume. To include these roles, allow the caller iam:GetAccountAuthorizationDetails."
)
# The fields of ``AccessOptions`` with the paths of files to write.
_FILES = ("file", "json", "csv")
# Variables of the role that list workloads or choose changes, without the prefix pod_identity_. They have no effect on the
# report, which has all service accounts.
_NOT_FOR_REPORTS = (
    "workloads",
    "workloads_from",
    "annotated",
    "state",
    "only",
    "purge",
    "trust_scope",
)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin for one step of the playbook audit. An unreadable cluster does not end the run for the other clusters."""

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, arguments = self.validate_argument_spec(
            argument_spec={"step": {"type": "str", "choices": ["read", "roles", "report"], "required": True}}
        )
        task = ActionTask(self)
        result["changed"] = False
        try:
            validate_extra_variables(task.loader)
            options = _read_options(task, variables)
            if arguments["step"] == "read":
                return {**result, **_read(task, variables, options)}
            if arguments["step"] == "roles":
                return {**result, **_read_roles(task, variables, options)}
            return {**result, **_write_report(task, variables, options)}
        except InputError as error:
            return {"changed": False, "failed": True, "msg": input_message(error)}


def _read_options(task: ActionTask, variables: Mapping[str, Any]) -> AccessOptions:
    """Read the variables of the report, and check that its files can be written.

    :raises InputError: when a variable or a file is invalid.
    """
    options = read_audit_variables(template_variables(task, variables, AUDIT))
    problems = [
        f"{ROLE}audit_file {path} cannot be written: {reason}."
        for name in _FILES
        if (path := getattr(options, name)) and (reason := why_not_writable(os.path.expanduser(path)))
    ]
    if problems:
        raise InputError(problems)
    return options


def _read(task: ActionTask, variables: dict[str, Any], options: AccessOptions) -> dict[str, Any]:
    """Run the step "read": read the cluster of a host, and return a task result for the next steps.

    ``part`` is a file of ``hand_over`` with the ClusterFacts, and ``stopped`` the reason why the cluster could not be read, or
    "". If the cluster was read, ``roles`` is a file with the ARNs of its roles, and ``reader`` names the account and the caller.
    """
    failure: dict[str, Any] = {}
    host = str(variables.get("inventory_hostname", ""))
    name = str(task.template(variables.get(f"{ROLE}cluster_name")) or host)
    facts = ClusterFacts(name)
    with interruptible(), failing_into(failure):
        if is_unanswered(task.template(variables.get(f"{ROLE}cluster_name"))):
            raise RoleError(NO_AUDITED_CLUSTER)
        chosen, values = _role_values(task, variables)
        with task.in_environment(), _progress(task, variables, name) as steps:
            facts = _read_cluster(task, chosen, values, steps)
    if failure:
        facts = ClusterFacts(name, error=sentence(str(failure["msg"])))
    row = {"part": hand_over("audit", facts), "stopped": facts.error}
    if facts.cluster is None:
        return row
    reader = f"{facts.cluster.account_id} {_principal(facts.cluster.caller_arn)}"
    return {**row, "reader": reader, "roles": hand_over("audit-roles", _role_arns(facts, options))}


def _role_values(task: ActionTask, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the variables of the host except ``_NOT_FOR_REPORTS``, and the values of the role variables among them."""
    left_out = {f"{ROLE}{entry}" for entry in _NOT_FOR_REPORTS}
    chosen = {key: value for key, value in variables.items() if key not in left_out}
    return chosen, read_role_variables(task, {**chosen, f"{ROLE}workloads": []}, "verify")


@contextlib.contextmanager
def _progress(task: ActionTask, variables: Mapping[str, Any], name: str) -> Iterator[Steps]:
    """Display the progress of the block at intervals and, in a play with a single host, the start of each step."""
    is_single = len(variables["ansible_play_hosts_all"]) == 1
    steps = Steps(name, displays=is_single and not task.keywords.no_log)
    with steps.watch(task):
        yield steps


def _principal(caller_arn: str) -> str:
    """Return the ARN of a caller without the name of its session, so that all sessions of a role have the same ARN."""
    return caller_arn.rpartition("/")[0] if ":assumed-role/" in caller_arn else caller_arn


def _role_arns(facts: ClusterFacts, options: AccessOptions) -> tuple[set[str], set[str]]:
    """Return two sets of ARNs: roles and target roles of the service accounts in the report, and roles of the nodes."""
    arns: set[str] = set()
    for key in facts.service_accounts(options.only):
        association = facts.associations.get(key)
        arns |= facts.own_arns(key) | ({*association.roles} if association is not None else set())
    return arns, set(facts.nodes.sources if facts.nodes is not None else ())


def _read_roles(task: ActionTask, variables: dict[str, Any], options: AccessOptions) -> dict[str, Any]:
    """Run the step "roles": read the roles of an account, once for all hosts with the same account and caller.

    ``reads`` in the result is a file of ``hand_over`` with the RoleReads, and ``stopped`` the reason for a failure, or "". On
    the other hosts, the result is empty.
    """
    host = str(variables["inventory_hostname"])
    parts = {
        name: row
        for name in variables["ansible_play_hosts_all"]
        if "roles" in (row := variables["hostvars"][name].get(PART) or {})
    }
    reader = parts.get(host, {}).get("reader")
    members = [name for name, row in parts.items() if row["reader"] == reader]
    if host not in members[:1]:
        return {}
    failure: dict[str, Any] = {}
    reads = RoleReads()
    with interruptible(), failing_into(failure):
        facts: ClusterFacts = take_over(parts[host]["part"])
        cluster = facts.cluster
        if cluster is None:
            raise RoleError(f"The cluster {facts.name} was not read.")
        # Clusters of other accounts can use roles of this account, too.
        arns = [take_over(row["roles"]) for row in parts.values()]
        used, of_nodes = (set[str]().union(*sets) for sets in zip(*arns, strict=True))
        _chosen, values = _role_values(task, variables)
        with task.in_environment(), _progress(task, variables, facts.name) as steps:
            steps.begin("reading the roles")
            arguments = {name: values[name] for name in VERIFY_OPTIONS if values.get(name) not in (None, "")}
            job = job_of_task(task, VERIFY, verify_spec(), arguments, True)
            api, width = job.open(), int(job.params["concurrency"])
            with _guarded(steps):
                reads = read_role_facts(api, cluster, used | of_nodes, width)
            if options.unused_days is not None:
                steps.begin("reading the last uses of the roles")
                with _guarded(steps):
                    reads = read_last_uses(api, reads, used, width)
    stopped = sentence(str(failure["msg"])) if failure else ""
    return {"reads": hand_over("audit-reads", reads), "stopped": stopped}


def _read_cluster(
    task: ActionTask, variables: dict[str, Any], values: dict[str, Any], steps: Steps
) -> ClusterFacts:
    """Read the associations, service accounts and Pods of a cluster, and the ARNs of the roles of its nodes.

    The policies of roles are read in the step "roles".

    :arg variables: the variables of the host.
    :arg values: the values of the role variables.
    :raises RoleError: when the kubeconfig may be for another cluster, the service accounts or Pods cannot be listed, or the run
        was interrupted.
    """
    steps.begin("reading the cluster")
    source = parse_input({**values, "workloads": []}, variables, "verify")
    part = begin_aws(task, source, "verify", True)
    kubernetes = connect(task, find_role_access(task, source), deadline=source.deadline)
    opened = part.opening()
    cluster, server = opened.cluster, kubernetes.read_server()
    doubt = judge_api_server(cluster, server)
    if doubt is not None:
        raise RoleError(f"{doubt.message} {doubt.remedy}")
    width = int(part.job.params["concurrency"])
    with _guarded(steps):
        associations = read_cluster_associations(opened.api, cluster, width)
        nodes = read_node_roles(opened.api, cluster, width)
    steps.begin("reading the service accounts")
    estate = read_irsa(kubernetes, cluster.name, associations.keys(), kubernetes.clock, any_variables=True)
    if isinstance(estate, ApiError):
        raise RoleError(
            f"The service accounts and Pods of {describe_place(cluster)} could not be listed: {sentence(estate.text)} "
            f"{remedy_for(estate)}"
        )
    return ClusterFacts(
        cluster.name,
        cluster,
        associations,
        estate.accounts,
        estate.configured,
        estate.own_roles,
        estate.pods,
        notes=tuple(f"{finding.message} {finding.remedy}" for finding in unread_findings(estate)),
        nodes=nodes,
    )


@contextlib.contextmanager
def _guarded(steps: Steps) -> Iterator[None]:
    """Stop the requests of the block on an interrupt, and convert an interrupt or an unexpected error to a RoleError."""
    with Guard(None) as guard:
        yield
    if guard.cause is not None:
        raise RoleError(f"{steps.title}: {guard.cause.text} {guard.cause.remedy}")


def _write_report(task: ActionTask, variables: dict[str, Any], options: AccessOptions) -> dict[str, Any]:
    """Run the step "report": build the report from the results of all hosts, write its files and display its summary."""
    hosts: Sequence[str] = variables["ansible_play_hosts_all"]
    reads = _take_reads(variables)
    parts = [_take_part(host, variables["hostvars"][host], reads) for host in hosts]
    _check_selection(options, parts)
    catalogue = load_catalogue()
    report = build_report(
        parts,
        catalogue,
        datetime.now(timezone.utc),
        options.only,
        options.unused_days,
        options.questions,
    )
    writers: Mapping[str, Callable[[], str]] = {
        "file": lambda: render_page(report, catalogue.action_names or None),
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
    files = [getattr(options, name) for name in written]
    more = {"summary": report["summary"], "files": files, "warnings": warn_vanishing(variables, files)}
    if "awx_job_id" in variables:
        more |= job_artifacts({"eks_pod_identity_audit": to_artifact(report)})
        lines += ["", "The report as JSON:", *json.dumps(report, indent=1).splitlines()]
    return {**more, **show_report(lines, failure, failure, hidden=bool(task.keywords.no_log))}


def _take_reads(variables: Mapping[str, Any]) -> dict[str, RoleReads | str]:
    """Return for each ``reader`` the roles that the step "roles" has read, or the reason why it did not read them."""
    found: dict[str, RoleReads | str] = {}
    for host in variables["ansible_play_hosts_all"]:
        row = variables["hostvars"][host]
        part, roles = row.get(PART) or {}, row.get(ROLES) or {}
        if "reads" in roles:
            found[part["reader"]] = roles["stopped"] or take_over(roles["reads"])
        elif roles.get("failed") and "reader" in part:
            found.setdefault(part["reader"], sentence(str(roles.get("msg") or "")))
    return found


def _take_part(host: str, variables: Mapping[str, Any], reads: Mapping[str, RoleReads | str]) -> ClusterFacts:
    """Return the data of the cluster of a host and of its roles, or only an error if either could not be read.

    :arg variables: the variables of the host.
    :arg reads: the result of ``_take_reads``.
    """
    registered = variables.get(PART) or {}
    if "part" not in registered:
        reason = str(registered.get("msg") or "the host was not reached. Run again.")
        return ClusterFacts(host, error=sentence(reason))
    facts: ClusterFacts = take_over(registered["part"])
    found = reads.get(registered.get("reader", ""), NO_ROLES)
    if facts.error:
        return facts
    if isinstance(found, str):
        return ClusterFacts(facts.name, error=found)
    denied = [_NO_BULK_READ.format(text=sentence(found.denied))] if found.denied else []
    return replace(facts, roles=found.roles, complete=found.complete, notes=(*facts.notes, *denied))


def _check_selection(options: AccessOptions, parts: Sequence[ClusterFacts]) -> None:
    """Raise InputError for a pattern without service accounts in the report, because it may be misspelt.

    If a cluster could not be read, the service account may exist there, so it is not an error.
    """
    present = {str(key) for part in parts for key in part.service_accounts()}
    unknown = [pattern for pattern in options.only if not fnmatch.filter(present, pattern)]
    if unknown and not any(part.error for part in parts):
        raise InputError(
            [
                f"{ROLE}only: no service account {pattern} has credentials for AWS. Service accounts with credentials: "
                f"{listed(sorted(present), 20) or 'none'}."
                for pattern in unknown
            ]
        )
