# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The first step of the role: its input, parsed once for all that runs later, and a plan of its Kubernetes half."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import visible
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    OPTIONS,
    ROLE,
    read_input,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api_errors import (
    ApiError,
    parse_api_error,
    unreachable_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.breakage import (
    find_breakage,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.preflight import (
    Preflight,
    PurgeScope,
    State,
    preflight_row,
    read_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.api_server import (
    api_server_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    ParsedInput,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.messages import (
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import finding_row
from ansible_collections.workload_identity.aws.plugins.plugin_utils.files import locate_files
from ansible_collections.workload_identity.aws.plugins.plugin_utils.hand_over import keep
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_cluster import (
    CONNECTION_SPEC,
    connect,
)


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = dict(self._task.args)
        options = self._options(given)
        try:
            parsed = read_input(_input_of(given), partial(locate_files, variables=variables), ROLE)
        except InputError as error:
            return {**result, "failed": True, "msg": input_message(error)}
        state: State = "verify" if options["verify_only"] else parsed.state
        preflight = self._read_accounts(parsed, state, options, variables)
        if isinstance(preflight, ApiError):
            message = unreachable_message(preflight, parsed.cluster_name, _region(options))
            return {**result, "failed": True, "msg": message}
        server = replace(preflight.server, required=options["verify_cluster"])
        preflight = replace(preflight, server=server)
        if preflight.plan.problems:
            message = "\n".join([*map(visible, preflight.plan.problems), "Nothing was changed."])
            return {**result, "failed": True, "msg": message}
        file = keep(parsed)
        # Ansible looks at every value of a result, so it holds no workloads.
        return {
            **result,
            "changed": False,
            "parsed_input": {"path": file.path, "sha256": file.sha256},
            "kubernetes": preflight_row(preflight),
            "kubernetes_api": api_server_row(preflight.server),
            "breakage": [finding_row(finding) for finding in preflight.breakage],
        }

    def _read_accounts(
        self, parsed: ParsedInput, state: State, options: Mapping[str, Any], variables: dict[str, Any]
    ) -> Preflight | ApiError:
        purge = None
        if parsed.purge and state == "present":
            purge = PurgeScope(parsed.purge_namespaces, parsed.purge_limit, parsed.purge_percent)
        try:
            reader = connect(self, options, variables)
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
            keys = [workload.key for workload in parsed.workloads]
            now, allowed = datetime.now(timezone.utc), bool(options["allow_breakage"])
            breakage = find_breakage(reader, keys, preflight.accounts, parsed.cluster_name, now, allowed)
            return replace(preflight, breakage=breakage)
        except AnsibleError as error:
            return parse_api_error(str(error))

    def _options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments beside the input; the validation copies what it is given, so it gets no workloads."""
        self._task.args = {name: value for name, value in given.items() if name not in OPTIONS}
        try:
            _valid, options = self.validate_argument_spec(
                argument_spec={
                    "verify_only": {"type": "bool", "default": False},
                    "adopt": {"type": "bool", "default": False},
                    "allow_breakage": {"type": "bool", "default": False},
                    "verify_cluster": {"type": "bool", "default": True},
                    "region": {"type": "str"},
                    **CONNECTION_SPEC,
                }
            )
        finally:
            # A task that is tried again needs them all.
            self._task.args = dict(given)
        return dict(options)


def _input_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in OPTIONS}


def _region(options: Mapping[str, Any]) -> str:
    names = ("AWS_REGION", "AWS_DEFAULT_REGION")
    return str(
        options["region"] or next(filter(None, (os.environ.get(name) for name in names)), "as configured")
    )
