# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all plugin_utils of this collection are private to it.

"""The steps of a play over many clusters, and the table of clusters that the play displays.

_fleet_action.py describes the steps.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.plugins.loader import strategy_loader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    CREDENTIALS,
    ClusterInput,
    Host,
    Stopped,
    StoppedHost,
    groups_by_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    change_spec,
    parse_account_id,
    verify_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
    listed,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.fleet import (
    NOT_A_REPORT,
    Ended,
    fleet_lines,
    parse_reported,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.clusters import (
    change_clusters,
    verify_clusters,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._aws_clients import job_of_task
from ansible_collections.workload_identity.aws.plugins.plugin_utils._files import write_private
from ansible_collections.workload_identity.aws.plugins.plugin_utils._kubernetes_access import (
    AWS_SPEC,
    EksAccess,
    access_for,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_input import WORKLOADS
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_report import read_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils._role_run import (
    CHANGE,
    VERIFY,
    Prepared,
    connection_options,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils._screen import Steps, show_last
from ansible_collections.workload_identity.aws.plugins.plugin_utils._task import ActionTask

Result = dict[str, Any]
# The variables in which the tasks of fleet.yml register their results, and the fact with the report.
PREPARED, ACCOUNT, REPORT = "pod_identity_prepared", "pod_identity_account", "pod_identity_report"
# The role variables that determine the AWS account of a host.
ACCOUNT_OPTIONS = ("account_id", *CREDENTIALS)
NOT_STARTED = "The AWS run of this account did not start: {reason}"
NOT_COMPLETED = (
    "The AWS run of this account did not complete: {reason} Its changes, if any, are missing from this report. Run the play "
    "again: it continues from the current state."
)

REQUIRES_LINEAR = (
    "The strategy of this play is {strategy}, so its hosts do not wait for each other. With tasks_from: fleet, the first "
    "cluster of an account changes AWS for the other clusters, which must wait for it. Set strategy: "
    "ansible.builtin.linear for the play."
)


def hand_over(name: str, content: Any) -> dict[str, str]:
    """Write an object to a temporary file for later tasks of this run, and return the path and the SHA-256 of the file.

    The result of a task contains the path instead of the object, because Ansible processes every value of a result on every
    host. Only the current user can read the file, and Ansible deletes it at exit. Pickle is acceptable here, because the
    processes of Ansible also exchange pickled objects.
    """
    data = pickle.dumps(content)
    digest = hashlib.sha256(data).hexdigest()
    path = str(Path(constants.DEFAULT_LOCAL_TMP) / f"pod-identity-{name}-{digest}.pickle")
    write_private(path, data)
    return {"path": path, "sha256": digest}


def take_over(file: Mapping[str, str]) -> Any:
    """Read an object that ``hand_over`` wrote.

    :raises InputError: when the file is missing, was modified, or is outside the temporary folder of this run. The
        function checks this before it unpickles the file.
    """
    path = str(file["path"])
    if Path(path).parent != Path(constants.DEFAULT_LOCAL_TMP):
        raise InputError([f"{path} is not a file of this run. Run again."])
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError([f"{path} cannot be read: {error.strerror}. Run again."]) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file["sha256"]:
        raise InputError([f"{path} was modified since it was written (SHA-256 {digest}). Run again."])
    return pickle.loads(data)


def prepared_row(prepared: Prepared) -> Result:
    """Convert the result of the step "prepare" to a task result. In a later step, ``restore`` reads that task result."""
    access, deadline = prepared.access, prepared.deadline
    target = access.target if isinstance(access, EksAccess) else None
    return {
        # Leave out the workloads and the tags, because the parsed input contains them.
        "options": {
            name: value for name, value in prepared.values.items() if name not in (*WORKLOADS, "tags")
        },
        "prepared": hand_over("prepared", (prepared.parsed, prepared.preflight, deadline, target)),
        # The time limit of the account's AWS run in seconds. It is at least 1, because 0 means no limit.
        "seconds_left": max(1, math.ceil(deadline.remaining)) if deadline else None,
    }


def restore(task: ActionTask, row: Mapping[str, Any]) -> Prepared:
    """Return the result of the step "prepare" from a task result that ``prepared_row`` returned.

    :raises InputError: when ``take_over`` refuses the file in the task result.
    """
    values = dict(row["options"])
    parsed, preflight, deadline, target = take_over(row["prepared"])
    return Prepared(values, parsed, access_for(task, target, connection_options(values)), preflight, deadline)


def require_linear(strategy: str, hosts: Collection[str]) -> None:
    """Check that the strategy of the play is linear, which runs each task on all hosts before the next task.

    :arg hosts: the hosts of the play. With a single host, any strategy is allowed.
    :raises InputError: when a play over several hosts has another strategy.
    """
    plugin = strategy_loader.get(strategy, class_only=True)
    # Ansible imports a plugin under several names, so classes cannot be compared.
    modules = [base.__module__ for base in plugin.__mro__] if plugin else []
    if len(hosts) > 1 and not any(module.endswith(".strategy.linear") for module in modules):
        raise InputError([REQUIRES_LINEAR.format(strategy=strategy)])


def group_hosts(variables: Mapping[str, Any], names: Collection[str]) -> Result:
    """Group the hosts by AWS account and, within an account, by credentials and options.

    The first host of an account is the leader of the account. The leader applies the changes in AWS for all groups of the
    account.

    :arg names: the hosts of the current batch.
    :returns: the result of the task. ``files`` maps each leader to a file with the groups of its account. ``leaders`` maps
        hosts to the leaders of their accounts; failed hosts may be missing.
    """
    hosts: list[Host] = []
    stopped: list[StoppedHost] = []
    for name in names:
        host = _host(name, variables["hostvars"][name])
        if host is None:
            stopped.append(_stopped_host(name, variables["hostvars"][name]))
        else:
            hosts.append(host)
    files, leaders = {}, {}
    if any(host.options.get("state") == "absent" and host.options.get("force") for host in hosts):
        # With ``force``, a removal deletes resources that no cluster of this run uses. A cluster of another batch whose removal
        # has not succeeded may still use them, so pass such clusters to the run as well.
        stopped += _not_done(variables, {*names})
    for groups in groups_by_account(hosts, stopped):
        leader = groups[0].hosts[0]
        content = [
            {"hosts": group.hosts, "arguments": group.arguments, "stopped": group.stopped} for group in groups
        ]
        files[leader] = hand_over("account", content)
        leaders.update({name: leader for group in groups for name in (*group.hosts, *group.stopped)})
    return {"changed": False, "files": files, "leaders": leaders}


def _not_done(variables: Mapping[str, Any], batch: Collection[str]) -> list[StoppedHost]:
    """Return the hosts of the play's other batches that have not succeeded so far."""
    other_hosts = [name for name in variables["ansible_play_hosts_all"] if name not in batch]
    rows = {name: variables["hostvars"][name] for name in other_hosts}
    return [
        _stopped_host(name, row)
        for name, row in rows.items()
        if (read_fact(row, "pod_identity_report") or {}).get("failed") is not False
    ]


def _stopped_host(name: str, variables: Mapping[str, Any]) -> StoppedHost:
    """Return a host that has not succeeded, with the variables that can be read.

    If the host has failed, a variable that cannot be read may be the cause.
    """
    options: dict[str, object] = {}
    unreadable = set()
    for option in ("cluster_name", "region", *ACCOUNT_OPTIONS):
        try:
            value = variables.get(f"{ROLE}{option}")
        except AnsibleError:
            unreadable.add(option)
            continue
        if value is None or value == "":
            continue
        # For a template with an undefined variable, Ansible returns the template itself or an object that is not text.
        if isinstance(value, (str, int)) and "{{" not in str(value):
            options[option] = value
        else:
            unreadable.add(option)
    account = str(options.pop("account_id", ""))
    return StoppedHost(name, account, options, unreadable.isdisjoint(ACCOUNT_OPTIONS))


def _host(name: str, variables: Mapping[str, Any]) -> Host | None:
    """Return a prepared host, or None if its preparation failed."""
    prepared = variables.get(PREPARED) or {}
    if "prepared" not in prepared:
        return None
    options = dict(prepared["options"])
    row = {"cluster_name": options["cluster_name"], "prepared": dict(prepared["prepared"])}
    if options.get("region"):
        row["region"] = options["region"]
    account = str(options.get("account_id") or "")
    if account:
        row["account_id"] = account
    return Host(name, account, options, row, prepared["seconds_left"])


def run_account(task: ActionTask, groups: Mapping[str, str], steps: Steps) -> Result:
    """Apply or verify the AWS resources of an account, one group of hosts after the other.

    :arg groups: the file of the account from ``group_hosts``.
    :returns: the result of the task. ``parts`` maps each host to a result file, which also contains the failures of the run,
        because each host reports the failures of its cluster. If the groups cannot be read, the result has ``not_begun``.
    """
    try:
        content = take_over(groups)
    except InputError as error:
        return {"failed": True, "not_begun": True, "changed": False, "msg": input_message(error)}
    parts: dict[str, dict[str, str]] = {}
    kept_names: dict[str, list[str]] = {}
    for group in content:
        steps.title = listed(group["hosts"])
        verifies = group["arguments"].get("verify_only") is True
        verb = "verifying" if verifies else "planning" if task.check_mode else "applying"
        steps.begin(f"{verb} policies, roles and associations")
        result = _run_group(task, group["arguments"])
        for host in group["stopped"]:
            kept_names.setdefault(host, []).extend(result.get("kept") or ())
        rows = result.get("clusters") or [_failed_row(result)] * len(group["hosts"])
        for host, row in zip(group["hosts"], rows, strict=True):
            parts[host] = hand_over("part", row)
    for host, names in kept_names.items():
        parts[host] = hand_over("part", {"changed": False, "kept": list(dict.fromkeys(names))})
    # Do not return changes and diffs here, because each host reports the changes and diffs of its result file.
    return {"changed": False, "parts": parts}


def _run_group(task: ActionTask, group: Mapping[str, Any]) -> Result:
    verifies = group.get("verify_only") is True
    spec = verify_spec() if verifies else change_spec()
    arguments = {name: value for name, value in group.items() if name in spec or name in AWS_SPEC}
    if verifies:
        job = job_of_task(task, VERIFY, spec, arguments, task.check_mode)
        return job.guarded(lambda: verify_clusters(job, [*map(_cluster_input, group["clusters"])]))
    arguments |= {"continue_on_error": True, "verify": True}
    job = job_of_task(task, CHANGE, spec, arguments, task.check_mode)
    stopped = [Stopped(row["cluster_name"], row.get("region", "")) for row in group.get("stopped", ())]
    return job.guarded(lambda: change_clusters(job, [*map(_cluster_input, group["clusters"])], stopped))


def _cluster_input(row: Mapping[str, Any]) -> ClusterInput:
    parsed, preflight, _deadline, _target = take_over(row["prepared"])
    breakage = (*preflight.plan.refused, *preflight.breakage)
    return ClusterInput(parsed, row.get("region", ""), preflight.server, breakage, parse_account_id(row))


def _failed_row(result: Result) -> Result:
    """Return the result for each host of a group if the run of the group failed before it read any cluster."""
    passed_on: Result = {
        name: result[name] for name in ("error_code", "remedy", "exception") if name in result
    }
    return {"failed": True, "left_out": True, "changed": False, "msg": str(result["msg"]), **passed_on}


def take_part(account: Mapping[str, Any], host: str) -> Result:
    """Return the result of the step "apply" for one host, in the format of the module for one cluster.

    :arg account: the registered result of ``run_account`` from the leader of the account. It may be a failure or empty.
    """
    part = (account.get("parts") or {}).get(host)
    if part is None:
        reason = sentence(str(account.get("msg") or "it ended without a result"))
        message = NOT_STARTED if account.get("not_begun") else NOT_COMPLETED
        return {"failed": True, "left_out": True, "changed": False, "msg": message.format(reason=reason)}
    row: Result = take_over(part)
    return {**row, "changed": bool(row.get("changed"))}


def show_fleet(variables: Mapping[str, Any], *, hidden: bool) -> dict[str, Any]:
    """Display a table with a line for each host of the batch. After the last batch, show all hosts of the play.

    :arg hidden: whether to display nothing, because the task has ``no_log: true``.
    :returns: the result of the task.
    """
    hosts, all_hosts = variables["hostvars"], variables["ansible_play_hosts_all"]
    # The results of earlier tasks have no templates. Without templating, a host takes 1 ms instead of 70.
    results = {name: hosts.raw_get(name) for name in all_hosts}
    names = [name for name in all_hosts if _has_ended(results[name])]
    batch = set(variables["ansible_play_batch"])
    # To save time, do not parse the reports of all earlier batches after each batch.
    displayed = names if len(names) == len(all_hosts) else [name for name in names if name in batch]
    clusters = {name: str(hosts[name].get("pod_identity_cluster_name") or name) for name in displayed}
    ended = [_ended(name, cluster, results[name]) for name, cluster in clusters.items()]
    check_mode = bool(variables.get("ansible_check_mode"))
    lines = fleet_lines(ended, len(all_hosts), len(all_hosts) - len(names), check_mode)
    return {"changed": False, **show_last(lines, "", "", hidden=hidden)}


def _has_ended(results: Mapping[str, Any]) -> bool:
    """Return whether a host has a report, or failed before its report was written.

    :arg results: the variables of the host, among them the results of its tasks.
    """
    return bool(_stopped(results) or read_fact(results, "pod_identity_report"))


def _stopped(results: Mapping[str, Any]) -> str:
    """Return the reason why a host failed before its report was written, or ""."""
    return str((results.get("pod_identity_result") or {}).get("stopped") or "")


def _ended(name: str, cluster: str, results: Mapping[str, Any]) -> Ended:
    stopped = _stopped(results)
    report = read_fact(results, "pod_identity_report") or {}
    reported = parse_reported(report) if isinstance(report, Mapping) else None
    return Ended(name, cluster, reported, stopped or ("" if reported else NOT_A_REPORT))
