# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remedies carried out as they are written: commands as a shell would run them, and settings of the workload."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import split_commands
from ansible_collections.workload_identity.aws.tests.findings.world import GUIDE, World
from botocore import xform_name

KINDS = {"serviceaccount": "serviceaccounts", "pod": "pods"}


@dataclass(frozen=True, slots=True)
class Repair:
    """``says`` must be in the remedy. Its command is run with ``runs``; else the workload is applied with ``changes``.

    ``leaves`` are the codes of what is found afterwards: what was right to be found all along, and stood behind it.
    """

    says: str
    runs: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    leaves: Sequence[str] = ()


APPLY = Repair("pply the workload")
COMMAND = Repair("", runs=True)
# By the name of the scenario.
REPAIRS: Mapping[str, Repair] = {
    "role deleted": APPLY,
    "trust without sts:TagSession": APPLY,
    # The statement that lets that service in is not ours to take out.
    "trust of another service": Repair("pply the workload", leaves=("TRUST_STATEMENT_FOREIGN",)),
    "session tags turned off, which trust asks for": Repair(
        "disable_session_tags: false", changes={"disable_session_tags": False}
    ),
    "trust of every cluster": APPLY,
    "policy detached": APPLY,
    "policy deleted": APPLY,
    "policy changed": APPLY,
    "policy changed, so that it denies": APPLY,
    "another version is the default": COMMAND,
    "association deleted": APPLY,
    "association to another role": APPLY,
    "association to another target role": APPLY,
    "session tags turned off": APPLY,
    "session tags turned off, without a word in the list": Repair(
        "list disable_session_tags: false", changes={"disable_session_tags": False}
    ),
    "target role set, without a word in the list": Repair(
        "list target_role_arn: ''", changes={"target_role_arn": ""}
    ),
    "session policy set, without a word in the list": Repair(
        "list session_policy: ''", changes={"session_policy": ""}
    ),
    "session policy that takes away": APPLY,
    "boundary removed": APPLY,
    "description changed": APPLY,
    "tag of the role changed": APPLY,
    "tag of the policy changed": APPLY,
    "another description of the policy asked for": Repair(
        "Ask for the description that it has (Reads secrets), or",
        changes={"policies": [{**GUIDE["policies"][0], "description": "Reads secrets"}]},
    ),
    "a description asked for, of a policy without": Repair(
        "Leave the description out, or", changes={"policies": GUIDE["policies"]}
    ),
    "tag of the association changed": APPLY,
    "inline policy added": COMMAND,
    "policy that only denies attached": COMMAND,
    "inline policy of an administrator added": COMMAND,
    "add-on deleted, Pods not looked at": COMMAND,
    "Auto Mode beside the add-on": COMMAND,
    "annotation of IRSA left": COMMAND,
    "Pod of a StatefulSet with OnDelete": Repair("Delete web-0 one by one", runs=True),
    "Pod of a DaemonSet with OnDelete": Repair("Delete web-x2x4z one by one", runs=True),
    "Pod below the partition of its StatefulSet": Repair("ordinal below 1 (partition 1)", runs=True),
    "Pod of a paused Deployment": Repair(
        "Resume it, then restart it", runs=True, leaves=("POD_BEFORE_ASSOCIATION",)
    ),
    "role of another path": Repair("another role name", changes={"role": {"name": "another-role"}}),
}


def run_command(world: World, command: str) -> None:
    """A command of the AWS CLI, or of kubectl as far as remedies use it."""
    program, *words = shlex.split(command)
    if program == "aws":
        _run_aws(world, *words)
    else:
        _run_kubectl(world, *words)


def _run_aws(world: World, service: str, operation: str, *options: str) -> None:
    client = world.client(service)
    method = operation.replace("-", "_")
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method]).input_shape
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    given = {members[name]: value for name, value in zip(options[::2], options[1::2], strict=True)}
    getattr(client, method)(**given)


def _run_kubectl(world: World, verb: str, kind: str, name: str, *words: str) -> None:
    namespace = words[words.index("-n") + 1]
    if (verb, kind) == ("rollout", "resume"):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name.removeprefix('deployment/')}"
        world.kube.ask("PATCH", path, {"spec": {"paused": None}})
        return
    path = f"/api/v1/namespaces/{namespace}/{KINDS[kind]}/{name}"
    if verb == "delete":
        world.kube.ask("DELETE", path)
    elif verb == "annotate":
        removed = {word.removesuffix("-"): None for word in words if word.endswith("-")}
        world.kube.ask("PATCH", path, {"metadata": {"annotations": removed}})
    else:
        raise NotImplementedError(f"kubectl {verb}")


def commands_of(remedy: str) -> list[str]:
    return split_commands(remedy)[1]
