# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repairs that follow the remedies: their commands, or changes of the workload."""

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
    GUIDE,
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
    """The way to follow a remedy. ``excerpt`` is a part of the text of the remedy.

    With ``has_command``, the test runs the command in the remedy. Otherwise the test calls ``apply``, if it is set, or applies
    the workloads with ``changes`` and ``options``. ``remaining_codes`` are the codes of the findings after the repair.
    """

    excerpt: str
    has_command: bool = False
    apply: Callable[[World], None] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, bool] = field(default_factory=dict)
    remaining_codes: Sequence[str] = ()


def _edit_trust(role: str, keep: Callable[[Mapping[str, Any]], bool]) -> Callable[[World], None]:
    """Return a function that removes the statements of a trust policy for which ``keep`` returns false."""

    def edit(world: World) -> None:
        present = world.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        world.set_trust(
            {**present, "Statement": [statement for statement in present["Statement"] if keep(statement)]},
            role,
        )

    return edit


def _set_trust(role: str, principal: str) -> Callable[[World], None]:
    """Return a function that lets ``principal`` assume ``role``, which it creates if missing."""

    def edit(world: World) -> None:
        document = trust({"AWS": world.arn("role", principal)}, *ASSUME)
        try:
            world.set_trust(document, role)
        except world.iam.exceptions.NoSuchEntityException:
            world.make_role(role, document)

    return edit


def _allow_in_boundary(world: World) -> None:
    world.iam.create_policy_version(
        PolicyArn=world.arn("policy", "boundary"),
        PolicyDocument=json.dumps(document("s3:*", resource="*")),
        SetAsDefault=True,
    )


def _remove_inline(world: World) -> None:
    world.iam.delete_role_policy(RoleName=ROLE, PolicyName="deny")


def _delete_unlisted(world: World) -> None:
    workloads = {(workload["namespace"], workload["service_account"]) for workload in world.workloads}
    for association in world.eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]:
        if (association["namespace"], association["serviceAccount"]) not in workloads:
            world.eks.delete_pod_identity_association(
                clusterName=CLUSTER, associationId=association["associationId"]
            )


def _permit(world: World) -> None:
    world.control.set_faults([])


def _recreate(world: World) -> None:
    """Recreate the Pod an hour after the last change of its association."""
    world.date_association(datetime.now(timezone.utc) - timedelta(hours=1))
    world.pod()


def _make_account(world: World) -> None:
    world.kube.account(NAMESPACE, ACCOUNT_NAME)


APPLY = Repair("pply the workload")
COMMAND = Repair("", has_command=True)
ALLOW_READS = Repair("Allow the caller this action", apply=_permit)
NEW_POD = Repair("It has no owner, so recreate it", apply=_recreate)
# The repair of each scenario, by its name.
REPAIRS: Mapping[str, Repair] = {
    "role deleted": APPLY,
    "trust without sts:TagSession": APPLY,
    # The statement for that service is not managed, so it is kept.
    "trust policy for another service": Repair(
        "pply the workload", remaining_codes=("TRUST_STATEMENT_FOREIGN",)
    ),
    "session tags disabled, required by the trust policy": Repair(
        "disable_session_tags: false", changes={"disable_session_tags": False}
    ),
    "trust policy for every cluster": APPLY,
    "policy detached": APPLY,
    "policy deleted": APPLY,
    "policy changed": APPLY,
    "policy changed to deny": APPLY,
    "another default version": COMMAND,
    "association deleted": APPLY,
    "association to another role": APPLY,
    "association to another target role": APPLY,
    "session tags disabled": APPLY,
    "session tags disabled, not in the list": Repair(
        "list disable_session_tags: false", changes={"disable_session_tags": False}
    ),
    "target role set, not in the list": Repair("list target_role_arn: ''", changes={"target_role_arn": ""}),
    "session policy set, not in the list": Repair("list session_policy: ''", changes={"session_policy": ""}),
    "session policy with fewer permissions": APPLY,
    "boundary removed": APPLY,
    "description changed": APPLY,
    "tag of the role changed": APPLY,
    "tag of the policy changed": APPLY,
    "different policy description requested": Repair(
        "Set the existing description (Reads secrets), or",
        changes={"policies": [{**GUIDE["policies"][0], "description": "Reads secrets"}]},
    ),
    "policy description requested, none stored": Repair(
        "Leave the description out, or", changes={"policies": GUIDE["policies"]}
    ),
    "tag of the association changed": APPLY,
    "inline policy added": COMMAND,
    "denying policy attached": COMMAND,
    "inline policy of an administrator added": COMMAND,
    "add-on deleted, without Pod checks": Repair(
        "apply the workloads with pod_identity_agent: present", apply=lambda world: world.install_agent()
    ),
    "Auto Mode with the add-on": COMMAND,
    "IRSA annotation present": COMMAND,
    "Pod of a StatefulSet with OnDelete": Repair("Delete web-0 one by one", has_command=True),
    "Pod of a DaemonSet with OnDelete": Repair("Delete web-x2x4z one by one", has_command=True),
    "Pod below the partition of its StatefulSet": Repair("ordinal below 1 (partition 1)", has_command=True),
    "Pod of a paused Deployment": Repair(
        "Resume it, then restart it", has_command=True, remaining_codes=("POD_BEFORE_ASSOCIATION",)
    ),
    "role of another path": Repair("another role name", changes={"role": {"name": "another-role"}}),
    "role deleted, with a target role": APPLY,
    "trust policy for one Pod": Repair(
        "remove them from the trust policy",
        apply=lambda world: world.set_trust(trust({"Service": "pods.eks.amazonaws.com"}, *ASSUME)),
        remaining_codes=("TRUST_WIDER_THAN_ASKED",),
    ),
    "trust policy opened to everyone": Repair(
        "Remove the statement",
        apply=_edit_trust(ROLE, lambda statement: "Service" in statement["Principal"]),
    ),
    "trust policy opened to another account": Repair(
        "Remove those statements from the trust policy",
        apply=_edit_trust(ROLE, lambda statement: "Service" in statement["Principal"]),
    ),
    **dict.fromkeys(
        (
            "Deny added to the trust policy",
            "Deny for one Pod added to the trust policy",
            "Deny for another namespace added to the trust policy",
        ),
        Repair(
            "edit the trust policy of the role",
            apply=_edit_trust(ROLE, lambda statement: statement["Effect"] == "Allow"),
        ),
    ),
    "policy detached, required for the target role": APPLY,
    "policy for the bucket only, as in the guide": Repair(
        "Allow the action in one of the workload's policies", changes={"policies": GUIDE["policies"]}
    ),
    "denying policy added": Repair("remove Statement 1 of inline policy deny", apply=_remove_inline),
    "permissions boundary set": Repair(
        "Allow the action in arn:aws:iam::", apply=_allow_in_boundary, remaining_codes=("ROLE_RESTRICTED",)
    ),
    "boundary without a granted action": Repair("Allow in permissions boundary", apply=_allow_in_boundary),
    "policy with a condition on an unknown key": Repair(
        "Set values for the keys in the context of the required permission",
        changes={
            "required_permissions": [
                {**GUIDE["required_permissions"][0], "context": {"aws:SourceVpc": "vpc-1"}}
            ]
        },
    ),
    "unlisted association": Repair("or delete them", apply=_delete_unlisted),
    "unlisted policy attached": Repair(
        "set pod_identity_purge_policies: true", options={"purge_policies": True}
    ),
    "policy of an administrator attached": COMMAND,
    "policy for the bucket only, without required permissions": Repair(
        "Name the objects", changes={"policies": GUIDE["policies"]}
    ),
    "policy with a misspelt action": Repair("Correct the name", changes={"policies": GUIDE["policies"]}),
    "owner tag missing": APPLY,
    "managed-by tag of the role removed": Repair("with pod_identity_adopt: true", options={"adopt": True}),
    "target role deleted": Repair("or create the role", apply=_set_trust("target", ROLE)),
    "target role with unusable trust policy": Repair(
        "Have the trust policy of the target role allow", apply=_set_trust("target", ROLE)
    ),
    "target role open to everyone": Repair("Specify the caller", apply=_set_trust("target", ROLE)),
    "target role limited to an organization": Repair(
        "or remove the conditions", apply=_set_trust("target", ROLE)
    ),
    **dict.fromkeys(
        (
            "role not readable",
            "attachments not readable",
            "inline policies not readable",
            "policy not readable",
            "policy version not readable",
            "associations not readable",
            "association not readable",
            "add-on not readable",
        ),
        ALLOW_READS,
    ),
    "no bulk reads": Repair("Allow the caller iam:GetAccountAuthorizationDetails", apply=_permit),
    "service account deleted": Repair("or create it with the workload's own manifests", apply=_make_account),
    **dict.fromkeys(
        (
            "Pod older than the association",
            "association newer than the Pod",
            "Pod not injected",
            "Pod excluded from the webhook",
            "host port of the agent in use",
            "container skipped",
            "access keys in the Pod",
            "custom credentials endpoint in the Pod",
            "Pod variables from a Secret",
            "proxy",
        ),
        NEW_POD,
    ),
}
_PURGE = "the remedy is a purge, which tests of the engine and of the playbooks cover"
_CLUSTER = "the sandbox does not run nodes, agents or admission policies"
_AWS = "AWS or the owner of another account must repair it"
_INSPECT = "the remedy is to inspect a component"
# The reason why a test does not apply the remedy of a scenario, by the name of the scenario.
NOT_APPLIED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "grant without association",
            "role without workload, read in bulk",
            "workload removed from a long list",
            "workload removed from the list",
        ),
        _PURGE,
    ),
    **dict.fromkeys(
        (
            "Fargate",
            "IRSA injected instead",
            "dry run not allowed",
            "Pods not readable",
            "DaemonSets not readable",
            "Windows",
            "admission policy adds the skip label",
            "admission policy adds access keys",
            "agent and add-on deleted",
            "agent deleted in the cluster",
            "agent not ready",
            "agent not ready on another node",
            "agent not ready, add-on degraded",
            "agent without Pods",
            "runtime proof impossible",
            "image pull failed",
            "label of the service account changed",
            "namespace excluded",
            "namespace missing",
            "namespace terminating",
            "Pod not scheduled",
            "node without the agent",
            "security groups for Pods",
            "service account terminating",
            "virtual node",
            "webhook fails",
            "webhook removed",
        ),
        _CLUSTER,
    ),
    **dict.fromkeys(
        (
            "AWS STS unreachable",
            "IRSA attempted",
            "agent unreachable",
            "agent rejects the request",
            "association not yet propagated",
            "no credentials",
            "old SDK",
            "session tags not allowed",
            "session tags too large",
            "role of the node",
            "token with Bearer",
            "unknown output",
        ),
        _INSPECT,
    ),
    **dict.fromkeys(
        (
            "add-on degraded",
            "association of an add-on",
            "caller without simulation",
            "caller without iam:PassRole",
            "target role without a policy to assume it",
            "old platform version",
            "required permissions of a target role",
            "target role limited to one address",
            "target role of another account",
        ),
        _AWS,
    ),
    "API server of unknown cluster": _INSPECT,
    "empty list": "an empty list may be intended",
    "policy of another list on a shared role": "the policy belongs to another list",
    "API server of another cluster": _INSPECT,
}


def run_command(world: World, command: str) -> None:
    """Run a command of the AWS CLI, or a kubectl command that remedies contain."""
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
