# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The steps of a fleet's play that are about more than one host."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import strategy_loader
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    CREDENTIALS,
    Host,
    StoppedHost,
    groups_by_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import ROLE
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
    sentence,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.host_facts import read_fact
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import run_action
from ansible_collections.workload_identity.aws.plugins.plugin_utils.private_json import keep_json, read_json

MODULE = "workload_identity.aws.eks_pod_identity_fleet"
Result = dict[str, Any]
# What leads to a host's account.
PLACE = ("account_id", *CREDENTIALS)
NOT_BEGUN = "The AWS half of its account did not begin: {reason}"
BROKE_OFF = (
    "The AWS half of its account broke off: {reason} What it may have changed is not in this report. Run the play again: it "
    "reads what is there, and goes on from that."
)

APART = (
    "The strategy of this play is {strategy}, under which each host runs its tasks on its own. With tasks_from: fleet the "
    "first cluster of an account changes AWS for the others, which have to wait for it. Set strategy: "
    "ansible.builtin.linear for the play."
)


def require_step(strategy: str, hosts: Collection[str]) -> None:
    """Raise InputError when the strategy of a play lets its hosts run apart from each other."""
    plugin = strategy_loader.get(strategy, class_only=True)
    # Ansible imports a plugin under several names, so that there is no one class to compare with.
    modules = [base.__module__ for base in plugin.__mro__] if plugin else []
    if len(hosts) > 1 and not any(module.endswith(".strategy.linear") for module in modules):
        raise InputError([APART.format(strategy=strategy)])


def group_hosts(variables: Mapping[str, Any], names: Collection[str]) -> Result:
    """By the first host of each account what it has to run, and by each host which one that is."""
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
        # What they vouch for holds once all hosts of the play are done, so not for those of other batches.
        stopped += _not_done(variables, {*names})
    for groups in groups_by_account(hosts, stopped):
        leader = groups[0].hosts[0]
        content = [
            {"hosts": group.hosts, "arguments": group.arguments, "stopped": group.stopped} for group in groups
        ]
        files[leader] = keep_json("account", content)
        leaders.update({name: leader for group in groups for name in (*group.hosts, *group.stopped)})
    return {"changed": False, "files": files, "leaders": leaders}


def _not_done(variables: Mapping[str, Any], batch: Collection[str]) -> list[StoppedHost]:
    """The hosts of other batches of the play that did not end well so far."""
    others = [name for name in variables["ansible_play_hosts_all"] if name not in batch]
    rows = {name: variables["hostvars"][name] for name in others}
    return [
        _stopped_host(name, row)
        for name, row in rows.items()
        if (read_fact(row, "pod_identity_report") or {}).get("failed") is not False
    ]


def _stopped_host(name: str, variables: Mapping[str, Any]) -> StoppedHost:
    """What its variables say, as far as they can be read: they may be why it stopped."""
    options: dict[str, object] = {}
    unreadable = set()
    for option in ("cluster_name", "region", *PLACE):
        try:
            value = variables.get(f"{ROLE}{option}")
        except AnsibleError:
            unreadable.add(option)
            continue
        if value is None or value == "":
            continue
        # What is undefined is left as it was written, or is no text.
        if isinstance(value, (str, int)) and "{{" not in str(value):
            options[option] = value
        else:
            unreadable.add(option)
    account = str(options.pop("account_id", ""))
    return StoppedHost(name, account, options, unreadable.isdisjoint(PLACE))


def _host(name: str, variables: Mapping[str, Any]) -> Host | None:
    """None for a host that stopped before."""
    preflight = variables.get("pod_identity_preflight") or {}
    if preflight.get("failed") or "parsed_input" not in preflight:
        return None
    options = dict(preflight["options"])
    row = {
        "cluster_name": options["cluster_name"],
        "parsed_input": dict(preflight["parsed_input"]),
        "kubernetes_api": dict(preflight["kubernetes_api"]),
        "breakage": [dict(finding) for finding in preflight["breakage"]],
    }
    if options.get("region"):
        row["region"] = options["region"]
    account = str(options.get("account_id") or "")
    if account:
        row["account_id"] = account
    left = (preflight.get("deadline") or {}).get("left")
    return Host(name, account, options, row, left)


def run_account(caller: ActionBase, groups: Mapping[str, str], variables: Mapping[str, Any]) -> Result:
    """Run the AWS half of an account's groups, one after the other; by each host where its part of the result is.

    Nothing here fails once it has begun: what went wrong is in the parts, and each host says it for itself.
    """
    try:
        content = read_json(dict(groups))
    except InputError as error:
        return {"failed": True, "not_begun": True, "changed": False, "msg": input_message(error)}
    parts: dict[str, dict[str, str]] = {}
    kept: dict[str, list[str]] = {}
    warnings: list[str] = []
    for group in content:
        arguments = {**group["arguments"], "continue_on_error": True, "option_prefix": "pod_identity_"}
        if not arguments.get("verify_only"):
            arguments["verify"] = True
        result = run_action(caller, MODULE, arguments, variables)
        warnings += result.get("warnings") or []
        for host in group["stopped"]:
            kept.setdefault(host, []).extend(result.get("kept") or ())
        rows = result.get("clusters") or [_failed_row(result)] * len(group["hosts"])
        for host, row in zip(group["hosts"], rows, strict=True):
            parts[host] = keep_json("part", row)
    for host, names in kept.items():
        parts[host] = keep_json("part", {"changed": False, "kept": list(dict.fromkeys(names))})
    return {
        # Changes and their diff belong to the hosts of the clusters, which take their parts.
        "changed": False,
        "parts": parts,
        **({"warnings": list(dict.fromkeys(warnings))} if warnings else {}),
    }


def _failed_row(result: Result) -> Result:
    """What each host of a run says that failed as a whole, before it looked at a cluster."""
    message = str(result.get("msg") or result.get("module_stderr") or "the AWS half did not run.")
    # An exception is text before ansible-core 2.19, and an object of its own since, which no file can hold.
    passed_on: Result = {
        name: result[name]
        for name in ("error_code", "remedy", "exception")
        if isinstance(result.get(name), str)
    }
    return {"failed": True, "left_out": True, "changed": False, "msg": message, **passed_on}


def take_part(account: Mapping[str, Any], host: str) -> Result:
    """The result of the AWS half for one host, as the module for one cluster returns it.

    ``account`` is what ``run_account`` returned on the first host of the account, or how that failed.
    """
    part = (account.get("parts") or {}).get(host)
    if part is None:
        reason = sentence(str(account.get("msg") or "it ended without a result"))
        message = NOT_BEGUN if account.get("not_begun") else BROKE_OFF
        return {"failed": True, "left_out": True, "changed": False, "msg": message.format(reason=reason)}
    row: Result = read_json(dict(part))
    return {**row, "changed": bool(row.get("changed"))}
