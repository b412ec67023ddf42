# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the permissions in examples/permissions suffice for a verification, and that findings name missing permissions."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import yaml
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.observe import Observer
from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings.breaks_kube import make_owner
from ansible_collections.workload_identity.aws.tests.findings.cluster import READER, RejectedRequest
from ansible_collections.workload_identity.aws.tests.findings.conftest import ROOT, NewWorld
from ansible_collections.workload_identity.aws.tests.findings.world import (
    CLUSTER,
    GUIDE,
    REGION,
    ROLE,
    WIDTH,
    World,
    document,
)

FILES = ROOT / "examples" / "permissions"
ACTION = re.compile(r"\b(?:iam|eks|sts):[A-Z]\w+")
BULK = "iam:GetAccountAuthorizationDetails"
RBAC = "/apis/rbac.authorization.k8s.io/v1"

Json = dict[str, Any]
Arrange = Callable[[World], None]


def shipped_policy(account: str) -> Json:
    text = (FILES / "verify-iam-policy.json").read_text(encoding="utf-8")
    policy: Json = json.loads(text.replace("111122223333", account))
    return policy


def statement_actions(statement: Mapping[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def without_action(policy: Json, action: str) -> Json:
    """Return the policy without an action, and without statements that would have no action left."""
    statements = [
        {**statement, "Action": actions}
        for statement in policy["Statement"]
        if (actions := [name for name in statement_actions(statement) if name != action])
    ]
    return {**policy, "Statement": statements}


def call_as_user(world: World, *policies: Json) -> None:
    """Create a user with these policies and no other permissions, and verify with the credentials of this user."""
    world.iam.create_user(UserName="verifier")
    for index, policy in enumerate(policies):
        world.iam.put_user_policy(
            UserName="verifier", PolicyName=f"policy-{index}", PolicyDocument=json.dumps(policy)
        )
    key = world.iam.create_access_key(UserName="verifier")["AccessKey"]
    world.key = (key["AccessKeyId"], key["SecretAccessKey"])


def inline_policy(world: World) -> None:
    """Add an inline policy to the role. A verification reads this policy."""
    content = json.dumps(document("s3:ListBucket"))
    world.iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=content)


# By action: a change after which the verification needs the action, and the codes that the verification then has.
ACTIONS: dict[str, tuple[Arrange, list[str]]] = {
    "eks:DescribeCluster": (aws.unchanged, []),
    "eks:ListPodIdentityAssociations": (aws.unchanged, []),
    "eks:DescribePodIdentityAssociation": (aws.unchanged, []),
    "eks:DescribeAddon": (aws.unchanged, []),
    "iam:GetRole": (aws.unchanged, []),
    "iam:ListAttachedRolePolicies": (aws.unchanged, []),
    "iam:ListRolePolicies": (aws.unchanged, []),
    "iam:GetRolePolicy": (inline_policy, ["ROLE_INLINE_POLICY"]),
    "iam:GetPolicy": (aws.unchanged, []),
    "iam:GetPolicyVersion": (aws.unchanged, []),
    "iam:ListPolicyVersions": (aws.another_default_version, ["POLICY_CONTENTS_DIFFER"]),
}
# Only a plan that changes the document of a policy needs these actions.
PLAN_ACTIONS = ["iam:ListEntitiesForPolicy"]
# Without this action, a policy with another path or letter case is reported as missing.
NAME_ACTIONS = ["iam:ListPolicies"]
# The first request of a verification needs this action. Without it, the module fails instead of returning findings.
FIRST = "eks:DescribeCluster"


def reported(world: World) -> list[tuple[str, str]]:
    """Return the code and the message of each finding. If the module fails, return the code and the message of its error."""
    try:
        return [(finding["code"], finding["message"]) for finding in world.report()["findings"]]
    except AwsError as error:
        return [(error.code, str(aws_failure(error, REGION)["msg"]))]


def test_table_has_every_action_of_policy() -> None:
    policy = shipped_policy("111122223333")
    assert sorted([*ACTIONS, *PLAN_ACTIONS, *NAME_ACTIONS]) == sorted(
        name for statement in policy["Statement"] for name in statement_actions(statement)
    )


def test_policy_has_only_read_actions() -> None:
    assert [name for name in ACTIONS if not re.match(r"\w+:(Describe|Get|List)", name)] == []


@pytest.mark.parametrize("action", ACTIONS)
def test_missing_action_is_named(new_world: NewWorld, action: str) -> None:
    arrange, codes = ACTIONS[action]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    administrator = world.key
    call_as_user(world, shipped_policy(world.account))
    assert [code for code, _message in reported(world)] == codes

    user, world.key = world.key, administrator
    rest = without_action(shipped_policy(world.account), action)
    world.client("iam").put_user_policy(
        UserName="verifier", PolicyName="policy-0", PolicyDocument=json.dumps(rest)
    )
    world.key = user
    ((code, message),) = reported(world)
    assert code == ("AccessDeniedException" if action == FIRST else "NOT_READABLE")
    assert set(ACTION.findall(message)) == {action}


def count_requests(world: World) -> tuple[int, Json]:
    world.control.reset_counters()
    result = world.verification()
    return int(world.control.counters()["total"]), result


def test_missing_bulk_read_is_named_and_costs_requests(new_world: NewWorld) -> None:
    world = new_world()
    world.build(*aws.many(world))
    administrator = world.key
    call_as_user(world, shipped_policy(world.account), document(BULK, "iam:ListRoles", resource="*"))
    with_it, found = count_requests(world)
    assert found["findings"] == []

    user, world.key = world.key, administrator
    world.client("iam").delete_user_policy(UserName="verifier", PolicyName="policy-1")
    world.key = user
    without_it, again = count_requests(world)
    (finding,) = again["findings"]
    assert (finding["code"], finding["severity"]) == ("BULK_READ_DENIED", "info")
    assert set(ACTION.findall(finding["message"] + finding["remedy"])) == {BULK}
    assert again["workloads"] == found["workloads"]
    assert with_it < without_it


@pytest.mark.parametrize("allowed", [(BULK,), (BULK, "iam:ListRoles")], ids=["without", "with"])
def test_plan_with_descriptions_lists_roles(new_world: NewWorld, allowed: tuple[str, ...]) -> None:
    """Check that a plan reads descriptions of roles with iam:ListRoles, because the other bulk request does not return them."""
    world = new_world()
    world.build(*aws.many(world))
    call_as_user(world, shipped_policy(world.account), document(*allowed, resource="*"))
    api = BotoApi(world.client)
    desired = Desired(parse_workloads(world.workloads, CLUSTER))
    observed = Observer(api, find_cluster(api, CLUSTER, REGION), WIDTH).observe(desired)
    assert observed.failures == ()
    assert set(ACTION.findall(observed.bulk_denied)) == {"iam:ListRoles"} - set(allowed)


def test_few_workloads_need_no_bulk_read(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    call_as_user(world, shipped_policy(world.account))
    _count, found = count_requests(world)
    assert found["findings"] == []


def shipped_manifests() -> tuple[Json, Json]:
    role, binding = yaml.safe_load((FILES / "verify-rbac.yml").read_text(encoding="utf-8"))["items"]
    return role, binding


def apply_rbac(world: World, excluded: str = "") -> None:
    """Give the user "reader" the ClusterRole in examples/permissions, without the resource ``excluded``."""
    role, binding = copy.deepcopy(shipped_manifests())
    for rule in role["rules"]:
        rule["resources"] = [name for name in rule["resources"] if name != excluded]
    role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
    binding["subjects"][0]["name"] = "readers"
    world.kube.create(f"{RBAC}/clusterroles", role)
    world.kube.create(f"{RBAC}/clusterrolebindings", binding)
    world.kube_token = READER


def stale_owned_pod(kind: str, **fields: Any) -> Arrange:
    return lambda world: world.pod(injected=False, ownerReferences=[make_owner(world, kind, **fields)])


def stale_deployment_pod(world: World) -> None:
    owner = make_owner(world, "Deployment")
    replica_set = make_owner(world, "ReplicaSet", "web-5d8f", owner)
    world.pod(injected=False, labels={"app": "web"}, ownerReferences=[replica_set])


def no_agent(world: World) -> None:
    world.kube.delete_agent()


# By resource: a fault after which the verification reads the resource, the codes of the findings with full permissions, and the
# name of the resource in the message if the permission is missing.
RESOURCES: dict[str, tuple[Arrange, list[str], str]] = {
    "pods": (aws.unchanged, [], "pods"),
    "nodes": (no_agent, ["AGENT_MISSING"], "nodes"),
    "daemonsets": (no_agent, ["AGENT_MISSING"], "daemonsets.apps in namespace kube-system"),
    "replicasets": (stale_owned_pod("ReplicaSet", name="web-5d8f"), ["POD_NOT_INJECTED"], "replicasets.apps"),
    "deployments": (stale_deployment_pod, ["POD_NOT_INJECTED"], "deployments.apps"),
    "statefulsets": (stale_owned_pod("StatefulSet"), ["POD_NOT_INJECTED"], "statefulsets.apps"),
}


def test_table_has_every_resource_of_role() -> None:
    role, _binding = shipped_manifests()
    named = sorted(name for rule in role["rules"] for name in rule["resources"])
    # RESOURCES has no rows for these two resources. Without "namespaces", a missing namespace is reported as a missing service
    # account.
    assert named == sorted([*RESOURCES, "namespaces", "serviceaccounts"])
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_whole_role_suffices(new_world: NewWorld, resource: str) -> None:
    arrange, codes, _words = RESOURCES[resource]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    apply_rbac(world)
    assert [finding["code"] for finding in world.report()["findings"]] == codes


@pytest.mark.parametrize("resource", RESOURCES)
def test_missing_resource_is_named(new_world: NewWorld, resource: str) -> None:
    arrange, _codes, words = RESOURCES[resource]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    apply_rbac(world, resource)
    notes = [
        finding for finding in world.report()["findings"] if finding["code"] == "KUBERNETES_NOT_READABLE"
    ]
    (note,) = notes
    assert note["severity"] == ("error" if resource == "pods" else "warning")
    assert note["message"].startswith(
        f"{words} could not be read, so checks that need them are unknown or incomplete: "
    )
    assert f'cannot list resource "{resource}" in API group' in note["message"]
    assert note["remedy"] == (
        f"Allow the caller of the Kubernetes API to list {words}. To leave Pods out of the verification, set "
        "pod_identity_verify_pods: false."
    )


def test_missing_service_accounts_are_named(new_world: NewWorld) -> None:
    """Check the message of the API server, with which the role fails, because its first request reads service accounts."""
    world = new_world()
    apply_rbac(world, "serviceaccounts")
    with pytest.raises(
        RejectedRequest, match=r'cannot list resource \\"serviceaccounts\\" in API group \\"\\"'
    ):
        world.kube.request("GET", "/api/v1/serviceaccounts", None, READER)


def test_whole_role_reads_service_accounts(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    apply_rbac(world)
    names = [
        item["metadata"]["name"]
        for item in world.kube.request("GET", "/api/v1/serviceaccounts", None, READER)["items"]
    ]
    assert GUIDE["service_account"] in names
