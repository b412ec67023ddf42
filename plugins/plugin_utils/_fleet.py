# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tasks for many clusters, which are the hosts of a play or have reported from earlier jobs.

Before the play, find clusters with several hosts. In the play, show a table of the clusters. In a later job, show the table of
the reports of earlier jobs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible_collections.amazon.aws.plugins.module_utils.botocore import HAS_BOTO3

from ..module_utils._aws.service_data import load_services
from ..module_utils._aws.transport import map_concurrently
from ..module_utils._identity.inputs.role_variables import (
    find_variables,
    read_report_variables,
)
from ..module_utils._identity.inputs.run_input import ROLE
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    listed,
)
from ..module_utils._identity.model.names import (
    parse_role_arn,
)
from ..module_utils._identity.read.cluster import read_caller
from ..module_utils._identity.report.fleet import (
    Ended,
    artifacts_in,
    end_cluster,
    fleet_lines,
    gather,
)
from ._action import Action
from ._kubernetes import AWS_VARIABLES, clients_of_task
from ._role_input import (
    validate_extra_variables,
)
from ._role_report import (
    FACT,
    read_reports,
)
from ._screen import show_report
from ._task import ActionTask

# The variable in which the role registers the result of a host.
RESULT = "pod_identity_result"
SHARED = (
    "cluster {name} (account {account_id}, region {region}) belongs to several hosts of this play: {hosts}. Each of them would "
    f"apply its own workloads. Leave all but one of these hosts out of the run, or correct {ROLE}cluster_name, {ROLE}region or "
    "the credentials."
)


class ActionModule(Action):
    """The action plugin of the tasks for many clusters."""

    OPTIONS = {
        "step": {"type": "str", "choices": ["check", "show", "gather"], "required": True},
        "expected": {"type": "raw"},
        "files": {"type": "raw"},
    }

    def perform(
        self, task: ActionTask, variables: dict[str, Any], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        if options["step"] == "check":
            with task.in_environment():
                return {"hosts": find_shared_clusters(task, variables)}
        if options["step"] == "show":
            return show_play(task, variables)
        return show_reports(task, variables, options)


def find_shared_clusters(task: ActionTask, variables: Mapping[str, Any]) -> dict[str, str]:
    """Return an error message for each host of the play whose cluster is also the cluster of another host.

    Hosts with invalid variables or credentials are left out, because they fail before a change. Requests are only necessary for
    hosts whose clusters have the same name, if their region or account is unknown.
    """
    connections = {
        host: _connection(task, variables["hostvars"], host) for host in variables["ansible_play_hosts_all"]
    }
    names = Counter(str(values.get("cluster_name") or "") for values in connections.values())
    same_name = {
        host: values
        for host, values in connections.items()
        if "cluster_name" in values and names[str(values["cluster_name"])] > 1
    }
    places = map_concurrently(partial(_find_place, task), [*same_name.values()])
    by_place: dict[tuple[str, str, str], list[str]] = {}
    for host, place in zip(same_name, places, strict=True):
        if place is not None:
            by_place.setdefault(place, []).append(host)
    return {
        host: SHARED.format(name=name, account_id=account_id, region=region, hosts=listed(hosts))
        for (name, account_id, region), hosts in by_place.items()
        if len(hosts) > 1
        for host in hosts
    }


def _connection(task: ActionTask, all_variables: Any, host: str) -> Mapping[str, Any]:
    """Return the variables of a host that determine its cluster, or {} if they cannot be evaluated.

    :arg all_variables: the variables of all hosts (``hostvars``).
    """
    variables = all_variables.raw_get(host)
    names = [name for name in ("cluster_name", "account_id", *AWS_VARIABLES) if f"{ROLE}{name}" in variables]
    try:
        values: Mapping[str, Any] = task.template(
            {name: variables[f"{ROLE}{name}"] for name in names}, {**variables, "hostvars": all_variables}
        )
    except AnsibleError:
        return {}
    return {name: value for name, value in values.items() if isinstance(value, (str, int)) and value != ""}


def _find_place(task: ActionTask, values: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """Return the name, account and region of a cluster, or None if the credentials are invalid.

    :arg values: the result of ``_connection``.
    """
    role = parse_role_arn(str(values.get("assume_role_arn") or ""))
    account_id = role.account_id if role else str(values.get("account_id") or "")
    region = task.region(values.get("region"))
    try:
        if not (account_id and region):
            clients = clients_of_task(task, {name: values.get(name) for name in AWS_VARIABLES})
            region = region or str(clients.client("sts").meta.region_name)
            account_id = account_id or read_caller(clients.api).account_id
    except (AnsibleError, AwsError, InputError):
        return None
    return str(values["cluster_name"]), account_id, region


def show_play(task: ActionTask, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Display a table of the clusters of the batch. After a failure or the last batch, include all earlier batches.

    With a strategy such as free, each host runs the task. Then the first host that runs it after all hosts of the batch have
    ended displays the table.

    :returns: members of the result of the task.
    """
    hosts, all_hosts = variables["hostvars"], variables["ansible_play_hosts_all"]
    batch, running = set(variables["ansible_play_batch"]), set(variables["ansible_play_hosts"])
    # The results of earlier tasks have no templates. Without templating, a host takes 1 ms instead of 70.
    results = {name: hosts.raw_get(name) for name in all_hosts}
    if any(name in running and RESULT not in results[name] for name in batch) or not _is_first(task, batch):
        return {}
    ended = [
        _ended(name, results[name], partial(hosts.get, name))
        for name in all_hosts
        if name in batch or RESULT in results[name]
    ]
    reached = {result.host for result in ended}
    waiting = [name for name in all_hosts if name not in reached]
    of_batch = [result for result in ended if result.host in batch]
    shows_batch = waiting and not any(result.failure for result in of_batch)
    lines = fleet_lines(ended, len(all_hosts), waiting, task.check_mode, of_batch if shows_batch else ended)
    return show_report(lines, "", "", hidden=bool(task.keywords.no_log))


def _is_first(task: ActionTask, batch: set[str]) -> bool:
    """Return whether no other host has called this function for this task and this batch."""
    name = f"pod-identity-table-{task.identity}-{min(batch)}"
    try:
        Path(constants.DEFAULT_LOCAL_TMP, name).touch(0o600, exist_ok=False)
    except FileExistsError:
        return False
    return True


def _ended(host: str, results: Mapping[str, Any], find_variables_of_host: Callable[[], Any]) -> Ended:
    """Return the result of a host, from its fact or from the reason why it has no report.

    :arg results: the variables of the host without templating, among them the results of its tasks.
    """
    # ansible-core before 2.21 stores a fact only in ``ansible_facts`` if the setting INJECT_FACTS_AS_VARS is false.
    report = results.get(FACT) or (results.get("ansible_facts") or {}).get(FACT)
    if report:
        return end_cluster({"apply": report}, plans=True, host=host)
    result = results.get(RESULT) or {}
    reason = str(
        result.get("failure")
        or result.get("msg")
        or "The tasks of this host ended without a result: see the output above."
    )
    cluster = str(find_variables_of_host().get(f"{ROLE}cluster_name") or host)
    return Ended(host, cluster, reason)


def show_reports(
    task: ActionTask, variables: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Display a table of the clusters that have reported from earlier jobs.

    :returns: members of the result of the task, which fails if a cluster failed or did not report.
    :raises InputError: for invalid variables, options or files.
    """
    validate_extra_variables(task.loader)
    find_variables(variables)
    values: dict[str, Any] = read_report_variables(
        {"expected": options["expected"], "report_files": options["files"]}
    )
    files, expected = ([*filter(None, values.get(name) or ())] for name in ("report_files", "expected"))
    reports = [*artifacts_in(variables), *read_reports("report_files", files)]
    lines, failure = gather(reports, expected, task.check_mode)
    shown = show_report(lines, failure, failure)
    if not failure:
        return shown
    return {"failed": True, "msg": failure, **({"lines": shown["msg"]} if "msg" in shown else {})}


# Ansible imports this file for the first task of a fleet, before it forks a process for each host. So the processes of all
# hosts share the data of the AWS services.
if HAS_BOTO3:
    load_services()
