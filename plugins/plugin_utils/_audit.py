# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of the playbook audit: read, roles and report.

Each host reads its cluster ("read"). Then one host for each pair of AWS account and caller reads the roles of the account
("roles"). Finally one host writes the access report of all clusters ("report").
"""

from __future__ import annotations

import fnmatch
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ..module_utils._identity.access.output import access_csv, access_lines
from ..module_utils._identity.access.report import build_report
from ..module_utils._identity.inputs.role_variables import AUDIT, is_unanswered, read_audit_variables
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.kubernetes.run.irsa import unread_findings
from ..module_utils._identity.model.access import AccessOptions, ClusterFacts
from ..module_utils._identity.model.errors import InputError, listed, sentence
from ..module_utils._identity.read.associations import read_all_associations
from ..module_utils._identity.report.artifact import to_artifact
from ..module_utils._identity.report.text import place_lines
from ..module_utils._identity.run.access import (
    RoleReads,
    read_last_uses,
    read_node_roles,
    read_role_facts,
)
from ..module_utils._policy.permissions.catalogue import load_catalogue
from ._action import Action
from ._audit_page import render_page
from ._files import (
    describe_unwritable,
    hand_over,
    take_over,
    warn_vanishing,
    write_private,
)
from ._processes import interruptible
from ._role_input import RoleError, read_role_variables, template_variables, validate_extra_variables
from ._role_report import job_artifacts
from ._role_run import RoleRun, failing_into, guarded, read_estate
from ._screen import Steps, show_report
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
    "state",
    "only",
    "purge",
    "trust_scope",
)


class ActionModule(Action):
    """The action plugin for one step of the playbook audit. An unreadable cluster does not end the run for the other clusters."""

    OPTIONS = {"step": {"type": "str", "choices": ["read", "roles", "report"], "required": True}}

    def perform(
        self, task: ActionTask, variables: dict[str, Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        validate_extra_variables(task.loader)
        audit = _Audit(task, variables)
        steps = {"read": audit.read, "roles": audit.read_roles, "report": audit.write_report}
        return steps[options["step"]]()


class _Audit:
    """An access report, for one host of the play.

    :raises InputError: when a variable is invalid, a file of the report cannot be written.
    """

    def __init__(self, task: ActionTask, variables: dict[str, Any]) -> None:
        self.task, self._variables = task, variables
        self._options = read_audit_variables(template_variables(task, variables, AUDIT))
        self._hosts: Sequence[str] = variables["ansible_play_hosts_all"]
        if unwritable := describe_unwritable(("audit_file", getattr(self._options, name)) for name in _FILES):
            raise InputError(unwritable)

    def _steps(self, name: str) -> Steps:
        """Return the steps for the screen. Their starts are displayed only in a play with a single host."""
        return Steps(name, displays=len(self._hosts) == 1 and not self.task.keywords.no_log)

    def _verification(self) -> RoleRun:
        """Return a verification with the variables of the host except ``_NOT_FOR_REPORTS``, without workloads."""
        left_out = {f"{ROLE}{entry}" for entry in _NOT_FOR_REPORTS}
        chosen = {key: value for key, value in self._variables.items() if key not in left_out}
        values = read_role_variables(self.task, {**chosen, f"{ROLE}workloads": []}, "verify")
        return RoleRun(self.task, chosen, {**values, "workloads": []}, "verify")

    def read(self) -> dict[str, Any]:
        """Run the step "read": read the cluster of a host, and return a task result for the next steps.

        ``part`` is a file of ``hand_over`` with the ClusterFacts, and ``stopped`` the reason why it could not be read, or
        "". If the cluster was read, ``roles`` is a file with the ARNs of its roles, and ``reader`` names the account and the
        caller.
        """
        failure: dict[str, Any] = {}
        cluster_name = self.task.template(self._variables.get(f"{ROLE}cluster_name"))
        name = str(cluster_name or self._variables.get("inventory_hostname", ""))
        facts = ClusterFacts(name)
        steps = self._steps(name)
        with interruptible(), failing_into(failure):
            if is_unanswered(cluster_name):
                raise RoleError(NO_AUDITED_CLUSTER)
            with self.task.in_environment(), steps.watch(self.task):
                facts = _read_cluster(self._verification(), steps)
        if failure:
            facts = ClusterFacts(name, error=sentence(str(failure["msg"])))
        row = {"part": hand_over("audit", facts), "stopped": facts.error}
        if facts.cluster is None:
            return row
        caller = facts.cluster.caller_arn
        # All sessions of a role read the same.
        principal = caller.rpartition("/")[0] if ":assumed-role/" in caller else caller
        arns: set[str] = set()
        for key in facts.service_accounts(self._options.only):
            association = facts.associations.get(key)
            arns |= facts.own_arns(key) | ({*association.roles} if association is not None else set())
        nodes = set(facts.nodes.sources if facts.nodes is not None else ())
        reader = f"{facts.cluster.account_id} {principal}"
        return {**row, "reader": reader, "roles": hand_over("audit-roles", (arns, nodes))}

    def read_roles(self) -> dict[str, Any]:
        """Run the step "roles": read the roles of an account, once for all hosts with the same account and caller.

        ``reads`` in the result is a file of ``hand_over`` with the RoleReads, and ``stopped`` the reason for a failure, or "". On
        the other hosts, the result is empty.
        """
        host = str(self._variables["inventory_hostname"])
        parts = {name: row for name in self._hosts if "roles" in (row := self._registered(name, PART))}
        reader = parts.get(host, {}).get("reader")
        if host not in [name for name, row in parts.items() if row["reader"] == reader][:1]:
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
            steps = self._steps(facts.name)
            with self.task.in_environment(), steps.watch(self.task), guarded(steps):
                steps.begin("reading the roles")
                job = self._verification().make_job()
                api, width = job.open_aws(), int(job.params["concurrency"])
                reads = read_role_facts(api, cluster, used | of_nodes, width)
                if self._options.unused_days is not None:
                    steps.begin("reading the last uses of the roles")
                    reads = read_last_uses(api, reads, used, width)
        stopped = sentence(str(failure["msg"])) if failure else ""
        return {"reads": hand_over("audit-reads", reads), "stopped": stopped}

    def write_report(self) -> dict[str, Any]:
        """Run the step "report": build the report from the results of all hosts, write its files and display its summary."""
        options, variables = self._options, self._variables
        reads = self._take_reads()
        parts = [self._take_part(host, reads) for host in self._hosts]
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
        files = {name: path for name in _FILES if (path := getattr(options, name))}
        for name, path in files.items():
            write_private(os.path.expanduser(path), writers[name]())
        lines = [
            *(
                line
                for part in parts
                if (cluster := part.cluster) is not None
                for line in place_lines(
                    {
                        "cluster_name": cluster.name,
                        "cluster_arn": cluster.arn,
                        "account_id": cluster.account_id,
                        "region": cluster.region,
                        "caller_arn": cluster.caller_arn,
                    }
                )
            ),
            *access_lines(report),
        ]
        lines += [f"Written: {listed(files.values())}."] if files else []
        unread = [part.name for part in parts if part.error]
        them = "it" if len(unread) == 1 else "them"
        failure = UNREAD_CLUSTERS.format(names=listed(unread), them=them) if unread else ""
        if len(parts) == 1 and unread:
            failure = parts[0].error
        paths = list(files.values())
        more = {"summary": report["summary"], "files": paths, "warnings": warn_vanishing(variables, paths)}
        if "awx_job_id" in variables:
            more |= job_artifacts(variables, lambda: {"eks_pod_identity_audit": to_artifact(report)})
            lines += ["", "The report as JSON:", *json.dumps(report, indent=1).splitlines()]
        return {**more, **show_report(lines, failure, failure, hidden=bool(self.task.keywords.no_log))}

    def _registered(self, host: str, name: str) -> Mapping[str, Any]:
        """Return the result that the play has registered for a host, or an empty mapping."""
        return self._variables["hostvars"][host].get(name) or {}

    def _take_reads(self) -> dict[str, RoleReads | str]:
        """Return for each ``reader`` the roles that the step "roles" has read, or the reason why it did not read them."""
        found: dict[str, RoleReads | str] = {}
        for host in self._hosts:
            part, roles = self._registered(host, PART), self._registered(host, ROLES)
            if "reads" in roles:
                found[part["reader"]] = roles["stopped"] or take_over(roles["reads"])
            elif roles.get("failed") and "reader" in part:
                found.setdefault(part["reader"], sentence(str(roles.get("msg") or "")))
        return found

    def _take_part(self, host: str, reads: Mapping[str, RoleReads | str]) -> ClusterFacts:
        """Return the data of the cluster of a host and of its roles, or only an error if either could not be read.

        :arg reads: the result of ``_take_reads``.
        """
        registered = self._registered(host, PART)
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


def _read_cluster(run: RoleRun, steps: Steps) -> ClusterFacts:
    """Read the associations, service accounts and Pods of a cluster, and the ARNs of the roles of its nodes.

    The policies of roles are read in the step "roles".

    :raises RoleError: when the kubeconfig may be for another cluster, the service accounts or Pods cannot be listed, or the run
        was interrupted.
    """
    steps.begin("reading the cluster")
    opened, kubernetes = run.open()
    cluster, width = opened.cluster, int(run.job.params["concurrency"])
    with guarded(steps):
        associations = read_all_associations(opened)
        nodes = read_node_roles(opened.api, cluster, width)
    steps.begin("reading the service accounts")
    estate = read_estate(kubernetes, cluster, associations.keys(), any_variables=True)
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
