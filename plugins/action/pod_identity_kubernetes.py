# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Kubernetes half of the role: what follows the AWS half, in one task."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    parse_preflight,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.api.cluster import (
    parse_deadline,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.restarts import (
    RestartSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    ProbeSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection_checks import (
    SAMPLE,
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.half import (
    HalfSettings,
    outcome_row,
    run_half,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    parse_eks_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.plugin_utils.interruption import (
    interruptible,
    leading_group,
    parent_stderr,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes import (
    BoundedEnding,
    clock_of,
    connect,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.kubernetes_access import (
    AWS_SPEC,
    CONNECTION_SPEC,
    access_for,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.nested_action import task_environment
from ansible_collections.workload_identity.aws.plugins.plugin_utils.private_json import read_json
from ansible_collections.workload_identity.aws.plugins.plugin_utils.progress import (
    Activity,
    is_watched,
    shown,
)
from ansible_collections.workload_identity.aws.plugins.plugin_utils.screen import printable

# For the injection probe, whose Pod never runs.
DEFAULT_IMAGE = "public.ecr.aws/aws-cli/aws-cli:2.32.9"


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no type information
    TRANSFERS_FILES = False

    @printable
    def run(self, tmp: object = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        _valid, options = self.validate_argument_spec(
            argument_spec={
                "cluster_name": {"type": "str", "required": True},
                "preflight": {"type": "str", "required": True},
                "result": {"type": "str", "required": True},
                "force_conflicts": {"type": "bool", "default": False},
                "verify_pods": {"type": "bool", "default": True},
                "verify_injection": {
                    "type": "str",
                    "choices": ["auto", "all", "none"],
                    "default": "auto",
                },
                "injection_timeout": {"type": "int", "default": 60},
                "restart_stale": {"type": "bool", "default": False},
                "restart_timeout": {"type": "int", "default": 300},
                "restart_settle": {"type": "int", "default": 15},
                "runtime_proof": {"type": "bool", "default": False},
                "proof_image": {"type": "str"},
                "proof_timeout": {"type": "int", "default": 120},
                "proof_resources": {"type": "dict", "default": {}},
                "proof_pod_spec": {"type": "dict", "default": {}},
                "probe_labels": {"type": "dict", "default": {}},
                "probe_annotations": {"type": "dict", "default": {}},
                "proof_run": {"type": "str"},
                "proof_impossible": {"type": "str"},
                **AWS_SPEC,
                **CONNECTION_SPEC,
            },
            required_if=[("runtime_proof", True, ("proof_image",))],
        )
        cluster = options["cluster_name"]
        preflight = variables[options["preflight"]]
        deadline = parse_deadline(preflight.get("deadline"))
        row = preflight.get("eks_target")
        with task_environment(self):
            try:
                planned = parse_preflight(read_json(preflight["kubernetes"]), cluster)
                access = access_for(self, parse_eks_target(row) if row else None, options)
            except InputError as error:
                return {**result, "failed": True, "msg": str(error)}
            activity = Activity(cluster)
            screen = shown(activity.line) if is_watched(self) else contextlib.nullcontext()
            settings = _settings(options, bool(self._task.check_mode))
            # A module that creates the Jobs of a proof must not outlive their removal.
            group = leading_group() if settings.proof else contextlib.nullcontext()
            with interruptible(), group, screen, parent_stderr() as write:
                connection = connect(self, access, variables, options["force_conflicts"], deadline)
                run = run_half(
                    connection,
                    parse_aws_result(variables[options["result"]], cluster),
                    planned,
                    settings,
                    clock_of(deadline),
                    activity.begin,
                    BoundedEnding(connection, write),
                )
        result.update(
            changed=run.changed,
            restarted=list(run.restarts.names),
            not_restarted=list(run.restarts.unmanaged),
            proof_jobs=run.jobs,
            **outcome_row(run.outcome),
        )
        if run.diffs:
            result["diff"] = list(run.diffs)
        if run.warnings:
            result["warnings"] = list(run.warnings)
        return result


def _settings(options: Mapping[str, Any], check_mode: bool) -> HalfSettings:
    restart = RestartSettings(options["restart_timeout"], options["restart_settle"])
    proof = ProofSettings(
        options["proof_run"] or secrets.token_hex(4),
        options["proof_image"] or "",
        options["proof_timeout"],
        options["proof_resources"],
        options["proof_pod_spec"],
        options["probe_labels"],
        options["probe_annotations"],
    )
    injection = InjectionSettings(
        ProbeSettings(
            options["proof_image"] or DEFAULT_IMAGE,
            options["proof_resources"],
            options["proof_pod_spec"],
            options["probe_labels"],
            options["probe_annotations"],
        ),
        options["injection_timeout"],
        SAMPLE if options["verify_injection"] == "auto" else 0,
    )
    return HalfSettings(
        check_mode,
        options["verify_pods"],
        injection if options["verify_injection"] != "none" else None,
        options["verify_injection"] == "all",
        restart if options["restart_stale"] else None,
        proof if options["runtime_proof"] else None,
        options["proof_impossible"],
    )
