# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step of the role: its input, and the Kubernetes half as far as it can be known beforehand."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api_errors import (
    ApiError,
    parse_api_error,
    unreachable_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.preflight import (
    Preflight,
    PurgeScope,
    State,
    preflight_row,
    read_accounts,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.account_requests import account_requests
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_cluster import (
    CONNECTION_SPEC,
    connect,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import run_action

# Handed on as they are: pod_identity_input judges them.
INPUT = (
    *("cluster_name", "workloads", "workloads_from", "state", "tags", "owner", "concurrency"),
    *("propagation_timeout", "purge_limit"),
)
_PURGE_LIMIT = 10


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = dict(self._task.args)
        options = self._options(given)
        checked = run_action(
            self,
            "workload_identity.aws.pod_identity_input",
            {name: given[name] for name in INPUT if name in given},
            variables,
        )
        if checked.get("failed"):
            return {**result, **checked}
        cluster, owner = str(given["cluster_name"]), given.get("owner")
        requests = account_requests(
            checked["workloads"], cluster, options["create_service_accounts"], options["create_namespaces"]
        )
        state: State = "verify" if options["verify_only"] else given.get("state", "present")
        purge = None
        if options["purge"] and state == "present":
            purge = PurgeScope(options["purge_namespaces"], int(given.get("purge_limit", _PURGE_LIMIT)))
        try:
            reader = connect(self, options, variables)
            found = read_accounts(
                reader, requests, cluster, state, None if owner is None else str(owner), purge
            )
        except AnsibleError as error:
            found = parse_api_error(str(error))
        if isinstance(found, ApiError):
            return {**result, "failed": True, "msg": unreachable_message(found, cluster, _region(options))}
        if found.plan.problems:
            return {
                **result,
                "failed": True,
                "msg": "\n".join([*found.plan.problems, "Nothing was changed."]),
            }
        return {**result, "changed": False, **_handed_on(checked, found)}

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of its own; the validation copies what it is given, so it gets no workloads."""
        self._task.args = {name: value for name, value in given.items() if name not in INPUT}
        try:
            _valid, options = self.validate_argument_spec(
                argument_spec={
                    "create_service_accounts": {"type": "bool", "default": True},
                    "create_namespaces": {"type": "bool", "default": False},
                    "purge": {"type": "bool", "default": False},
                    "purge_namespaces": {"type": "list", "elements": "str", "default": []},
                    "verify_only": {"type": "bool", "default": False},
                    "region": {"type": "str"},
                    **CONNECTION_SPEC,
                }
            )
        finally:
            # A task that is tried again needs them all.
            self._task.args = dict(given)
        return dict(options)


def _handed_on(checked: Mapping[str, Any], preflight: Preflight) -> dict[str, Any]:
    """For the tasks that follow: what the AWS half reads, and what the Kubernetes half is to do."""
    row: dict[str, Any] = {"kubernetes": preflight_row(preflight)}
    if "paths" in checked:
        row["paths"] = checked["paths"]
    return row


def _region(options: Mapping[str, Any]) -> str:
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return str(
        options["region"] or next(filter(None, (os.environ.get(name) for name in names)), "as configured")
    )
