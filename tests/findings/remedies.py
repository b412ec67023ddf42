# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Follow the remedies of findings: run the commands in the remedies, or change the workloads."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import split_commands
from ansible_collections.workload_identity.aws.tests.findings.world import (
    ACCOUNT_NAME,
    CLUSTER,
    NAMESPACE,
    ROLE,
    World,
    document,
    trust,
)
from botocore import xform_name

ASSUME = ("sts:AssumeRole", "sts:TagSession")
KINDS = {"serviceaccount": "serviceaccounts", "pod": "pods"}


@dataclass(frozen=True, slots=True)
class Repair:
    """The steps to follow a remedy. ``excerpt`` is a part of the text of the remedy.

    With ``has_command``, the test runs the command in the remedy. Otherwise the test calls ``apply``, if it is set, or applies
    the workloads with ``changes`` and ``options``. ``remaining_codes`` are the codes of the findings after the repair.
    """

    excerpt: str
    has_command: bool = False
    apply: Callable[[World], None] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, bool] = field(default_factory=dict)
    remaining_codes: Sequence[str] = ()


def edit_trust(role: str, keep: Callable[[Mapping[str, Any]], bool]) -> Callable[[World], None]:
    """Return a function that removes the statements of a trust policy for which ``keep`` returns false."""

    def edit(world: World) -> None:
        present = world.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        world.set_trust(
            {**present, "Statement": [statement for statement in present["Statement"] if keep(statement)]},
            role,
        )

    return edit


def set_trust(role: str, principal: str) -> Callable[[World], None]:
    """Return a function that lets ``principal`` assume ``role``. If the role is missing, the function creates it."""

    def edit(world: World) -> None:
        document = trust({"AWS": world.arn("role", principal)}, *ASSUME)
        try:
            world.set_trust(document, role)
        except world.iam.exceptions.NoSuchEntityException:
            world.make_role(role, document)

    return edit


def allow_in_boundary(world: World) -> None:
    world.iam.create_policy_version(
        PolicyArn=world.arn("policy", "boundary"),
        PolicyDocument=json.dumps(document("s3:*", resource="*")),
        SetAsDefault=True,
    )


def remove_inline(world: World) -> None:
    world.iam.delete_role_policy(RoleName=ROLE, PolicyName="deny")


def delete_unlisted(world: World) -> None:
    workloads = {(workload["namespace"], workload["service_account"]) for workload in world.workloads}
    for association in world.eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]:
        if (association["namespace"], association["serviceAccount"]) not in workloads:
            world.eks.delete_pod_identity_association(
                clusterName=CLUSTER, associationId=association["associationId"]
            )


def permit(world: World) -> None:
    world.control.set_faults([])


def recreate(world: World) -> None:
    """Recreate the Pod, so that it is younger than the last change of its association."""
    world.date_association(datetime.now(timezone.utc) - timedelta(hours=1))
    world.pod()


def make_account(world: World) -> None:
    world.kube.account(NAMESPACE, ACCOUNT_NAME)


APPLY = Repair("pply the workload")
COMMAND = Repair("", has_command=True)
ALLOW_READS = Repair("Allow the caller this action", apply=permit)
NEW_POD = Repair("The Pod has no owner, so recreate it", apply=recreate)
EDIT_OUT_DENY = Repair(
    "edit the trust policy of the role",
    apply=edit_trust(ROLE, lambda statement: statement["Effect"] == "Allow"),
)
# Reasons why a test does not follow a remedy.
NEEDS_PURGE = "the remedy is a purge, which tests of the engine and of the playbooks cover"
NEEDS_CLUSTER = "the sandbox does not run nodes, agents or admission policies"
NEEDS_OWNER = "AWS or the owner of another account must repair it"
NEEDS_INSPECTION = "the remedy is to inspect a component"


def run_command(world: World, command: str) -> None:
    """Run a command in a remedy: any command of the AWS CLI, or one of the kubectl commands that remedies contain."""
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
    parameters = {members[name]: value for name, value in zip(options[::2], options[1::2], strict=True)}
    getattr(client, method)(**parameters)


def _run_kubectl(world: World, verb: str, kind: str, name: str, *words: str) -> None:
    namespace = words[words.index("-n") + 1]
    if (verb, kind) == ("rollout", "resume"):
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name.removeprefix('deployment/')}"
        world.kube.request("PATCH", path, {"spec": {"paused": None}})
        return
    path = f"/api/v1/namespaces/{namespace}/{KINDS[kind]}/{name}"
    if verb == "delete":
        world.kube.request("DELETE", path)
    elif verb == "annotate":
        removed = {word.removesuffix("-"): None for word in words if word.endswith("-")}
        world.kube.request("PATCH", path, {"metadata": {"annotations": removed}})
    else:
        raise NotImplementedError(f"kubectl {verb}")


def remedy_commands(remedy: str) -> list[str]:
    return split_commands(remedy)[1]
