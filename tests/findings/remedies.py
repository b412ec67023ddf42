# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remedies carried out as they are written: commands as a shell would run them, and settings of the workload."""

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
    """A remedy as a person follows it.

    ``says`` must be in the remedy. Its command is run with ``runs``, and ``by_hand`` does what no command is given for; else the
    workload is applied with ``changes`` and ``options``. ``leaves`` are the codes of later findings, which were right before.
    """

    says: str
    runs: bool = False
    by_hand: Callable[[World], None] | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, bool] = field(default_factory=dict)
    leaves: Sequence[str] = ()


def _edit_trust(role: str, keep: Callable[[Mapping[str, Any]], bool]) -> Callable[[World], None]:
    """Remove the statements of a trust policy that are not to be kept."""

    def edit(world: World) -> None:
        present = world.iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        world.set_trust({**present, "Statement": [one for one in present["Statement"] if keep(one)]}, role)

    return edit


def _set_trust(role: str, principal: str) -> Callable[[World], None]:
    """Let a role assume another one, made where it is missing."""

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
    listed = {(one["namespace"], one["service_account"]) for one in world.asked}
    for one in world.eks.list_pod_identity_associations(clusterName=CLUSTER)["associations"]:
        if (one["namespace"], one["serviceAccount"]) not in listed:
            world.eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=one["associationId"])


def _permit(world: World) -> None:
    world.control.set_faults([])


def _recreate(world: World) -> None:
    """Make a new Pod, an hour after the last change of its association."""
    world.date_association(datetime.now(timezone.utc) - timedelta(hours=1))
    world.pod()


def _make_account(world: World) -> None:
    world.kube.account(NAMESPACE, ACCOUNT_NAME)


APPLY = Repair("pply the workload")
COMMAND = Repair("", runs=True)
ALLOW_READS = Repair("Allow the caller this action", by_hand=_permit)
NEW_POD = Repair("It has no owner, so recreate it", by_hand=_recreate)
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
        "Set the existing description (Reads secrets), or",
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
    "role deleted, with a target role": APPLY,
    "trust of one Pod only": Repair(
        "remove them from the trust policy",
        by_hand=lambda world: world.set_trust(trust({"Service": "pods.eks.amazonaws.com"}, *ASSUME)),
        leaves=("TRUST_WIDER_THAN_ASKED",),
    ),
    "trust of everyone added": Repair(
        "Remove the statement", by_hand=_edit_trust(ROLE, lambda one: "Service" in one["Principal"])
    ),
    "trust of another account added": Repair(
        "Remove them from the trust policy",
        by_hand=_edit_trust(ROLE, lambda one: "Service" in one["Principal"]),
    ),
    **dict.fromkeys(
        (
            "a Deny added to the trust policy",
            "a Deny for one Pod added to the trust policy",
            "a Deny for another namespace added to the trust policy",
        ),
        Repair(
            "remove it from the trust policy", by_hand=_edit_trust(ROLE, lambda one: one["Effect"] == "Allow")
        ),
    ),
    "policy detached, which the target role needs": APPLY,
    "policy of the bucket alone, as in the guide": Repair(
        "Allow it in one of the workload's policies", changes={"policies": GUIDE["policies"]}
    ),
    "a policy that denies added": Repair("remove Statement 1 of inline policy deny", by_hand=_remove_inline),
    "permissions boundary set": Repair(
        "Allow it in arn:aws:iam::", by_hand=_allow_in_boundary, leaves=("ROLE_RESTRICTED",)
    ),
    "boundary that leaves nothing": Repair("Allow in permissions boundary", by_hand=_allow_in_boundary),
    "policy with a condition that nobody knows": Repair(
        "Give the keys in the permission's context",
        changes={
            "required_permissions": [
                {**GUIDE["required_permissions"][0], "context": {"aws:SourceVpc": "vpc-1"}}
            ]
        },
    ),
    "association made by hand": Repair("or delete them", by_hand=_delete_unlisted),
    "policy of others attached": Repair(
        "set pod_identity_purge_policies: true", options={"purge_policies": True}
    ),
    "policy of an administrator attached": COMMAND,
    "policy of the bucket alone, and nobody says what is required": Repair(
        "Name the objects", changes={"policies": GUIDE["policies"]}
    ),
    "policy with a misspelt action": Repair("Correct the name", changes={"policies": GUIDE["policies"]}),
    "no owner yet": APPLY,
    "mark of the role removed": Repair("with pod_identity_adopt: true", options={"adopt": True}),
    "target role deleted": Repair("or create the role", by_hand=_set_trust("target", ROLE)),
    "target role lets nobody in": Repair("Have its trust policy allow", by_hand=_set_trust("target", ROLE)),
    "target role for everyone": Repair("Specify the caller", by_hand=_set_trust("target", ROLE)),
    "target role for an organization": Repair("or remove them", by_hand=_set_trust("target", ROLE)),
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
    "no bulk reads": Repair("Allow the caller iam:GetAccountAuthorizationDetails", by_hand=_permit),
    "service account deleted": Repair(
        "or create it with the workload's own manifests", by_hand=_make_account
    ),
    **dict.fromkeys(
        (
            "Pod older than the association",
            "association changed under the Pod",
            "Pod not injected",
            "a Pod that is left to itself",
            "the agent's port taken",
            "container skipped",
            "access keys in the Pod",
            "an endpoint of its own in the Pod",
            "variables of the Pod from a Secret",
            "proxy",
        ),
        NEW_POD,
    ),
}
_PURGE = "a purge reads what nobody lists, which tests of the engine and of the playbooks do"
_CLUSTER = "the sandbox has no nodes, agents or admission policies to mend"
_AWS = "AWS or the owner of another account does it"
_LOOK = "the remedy is to look, and says where"
# By the name of the scenario, the reason why its remedy is not applied here.
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
            "IRSA is injected instead",
            "Pods not to be tried",
            "Pods not readable",
            "DaemonSets not readable",
            "Windows",
            "a policy marks new Pods",
            "a policy sets keys",
            "agent deleted, and the add-on",
            "agent deleted in the cluster",
            "agent not ready",
            "agent not ready on another node",
            "agent not ready, and EKS knows it",
            "agent without Pods",
            "an API without Pods",
            "image not pulled",
            "label of the service account changed",
            "namespace left out",
            "namespace never made",
            "namespace on its way out",
            "no node takes it",
            "node without the agent",
            "security groups for Pods",
            "service account on its way out",
            "virtual node",
            "webhook fails",
            "webhook removed",
        ),
        _CLUSTER,
    ),
    **dict.fromkeys(
        (
            "AWS STS not reachable",
            "IRSA tried",
            "agent does not answer",
            "agent refuses",
            "association not known yet",
            "no credentials",
            "old SDK",
            "session not taggable",
            "session too large",
            "the node's role",
            "token with Bearer",
            "unknown text",
        ),
        _LOOK,
    ),
    **dict.fromkeys(
        (
            "add-on degraded",
            "association of an add-on",
            "caller whom IAM tells nothing",
            "caller without iam:PassRole",
            "no policy for the target role",
            "old platform version",
            "permissions asked of a target role",
            "target role from one address only",
            "target role of another account",
        ),
        _AWS,
    ),
    "an API that is not proven to be the cluster's": _LOOK,
    "empty list": "an empty list may be meant",
    "policy of another list on a shared role": "the policy is another list's, and stays",
    "the API of another cluster": _LOOK,
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
