# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shipped permissions to verify suffice, with enforcement on; each one left out is named."""

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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import clusters_of
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.observe import Observer
from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings.breaks_kube import make_owner
from ansible_collections.workload_identity.aws.tests.findings.cluster import READER, AssociationError
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


def actions_of(statement: Mapping[str, Any]) -> list[str]:
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def without_action(policy: Json, action: str) -> Json:
    """The policy without one action, and without a statement that has no other."""
    statements = [
        {**one, "Action": kept}
        for one in policy["Statement"]
        if (kept := [name for name in actions_of(one) if name != action])
    ]
    return {**policy, "Statement": statements}


def call_as_user(world: World, *policies: Json) -> None:
    """From now on the caller is a user of the account with these policies and no others."""
    world.iam.create_user(UserName="verifier")
    for index, policy in enumerate(policies):
        world.iam.put_user_policy(
            UserName="verifier", PolicyName=f"policy-{index}", PolicyDocument=json.dumps(policy)
        )
    key = world.iam.create_access_key(UserName="verifier")["AccessKey"]
    world.key = (key["AccessKeyId"], key["SecretAccessKey"])


def inline_policy(world: World) -> None:
    """A policy within the role, which matters for what the role may do."""
    wanted = json.dumps(document("s3:ListBucket"))
    world.iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=wanted)


# By action: what is there beside a right workload so that the action matters, and what is found with it.
ACTIONS: dict[str, tuple[Arrange, list[str]]] = {
    "eks:DescribeCluster": (aws.nothing, []),
    "eks:ListPodIdentityAssociations": (aws.nothing, []),
    "eks:DescribePodIdentityAssociation": (aws.nothing, []),
    "eks:DescribeAddon": (aws.nothing, []),
    "iam:GetRole": (aws.nothing, []),
    "iam:ListAttachedRolePolicies": (aws.nothing, []),
    "iam:ListRolePolicies": (aws.nothing, []),
    "iam:GetRolePolicy": (inline_policy, ["ROLE_INLINE_POLICY"]),
    "iam:GetPolicy": (aws.nothing, []),
    "iam:GetPolicyVersion": (aws.nothing, []),
    "iam:ListPolicyVersions": (aws.another_default_version, ["POLICY_OTHER_VERSION_DEFAULT"]),
}
# Only a plan that changes a document reads it.
FOR_A_PLAN = ["iam:ListEntitiesForPolicy"]
# What is read before anything can be found: without it there is an error, not a finding.
FIRST = "eks:DescribeCluster"


def told(world: World) -> list[tuple[str, str]]:
    """Code and message of each finding, or of the error that the module fails with."""
    try:
        return [(one["code"], one["message"]) for one in world.report()["findings"]]
    except AwsError as error:
        return [(error.code, aws_message(error, REGION))]


def test_the_table_has_every_action_of_the_policy() -> None:
    policy = shipped_policy("111122223333")
    assert sorted([*ACTIONS, *FOR_A_PLAN]) == sorted(
        name for one in policy["Statement"] for name in actions_of(one)
    )


def test_the_policy_only_reads() -> None:
    assert [name for name in ACTIONS if not re.match(r"\w+:(Describe|Get|List)", name)] == []


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_left_out_is_named(new_world: NewWorld, action: str) -> None:
    arrange, codes = ACTIONS[action]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    administrator = world.key
    call_as_user(world, shipped_policy(world.account))
    assert [code for code, _message in told(world)] == codes

    user, world.key = world.key, administrator
    rest = without_action(shipped_policy(world.account), action)
    world.client("iam").put_user_policy(
        UserName="verifier", PolicyName="policy-0", PolicyDocument=json.dumps(rest)
    )
    world.key = user
    ((code, message),) = told(world)
    assert code == ("AccessDeniedException" if action == FIRST else "NOT_READABLE")
    assert set(ACTION.findall(message)) == {action}


def requests_of(world: World) -> tuple[int, Json]:
    world.control.reset_counters()
    found = world.verification()
    return int(world.control.counters()["total"]), found


def test_bulk_reading_left_out_is_named_and_costs_requests(new_world: NewWorld) -> None:
    world = new_world()
    world.build(*aws.many(world))
    administrator = world.key
    call_as_user(world, shipped_policy(world.account), document(BULK, "iam:ListRoles", resource="*"))
    with_it, found = requests_of(world)
    assert found["findings"] == []

    user, world.key = world.key, administrator
    world.client("iam").delete_user_policy(UserName="verifier", PolicyName="policy-1")
    world.key = user
    without_it, again = requests_of(world)
    (finding,) = again["findings"]
    assert (finding["code"], finding["severity"]) == ("BULK_READ_DENIED", "info")
    assert set(ACTION.findall(finding["message"] + finding["remedy"])) == {BULK}
    assert again["workloads"] == found["workloads"]
    assert with_it < without_it


@pytest.mark.parametrize("allowed", [(BULK,), (BULK, "iam:ListRoles")], ids=["without", "with"])
def test_a_plan_with_descriptions_also_lists_roles(new_world: NewWorld, allowed: tuple[str, ...]) -> None:
    """What a role's description is, only iam:ListRoles tells in bulk."""
    world = new_world()
    world.build(*aws.many(world))
    call_as_user(world, shipped_policy(world.account), document(*allowed, resource="*"))
    api = BotoApi(world.client)
    desired = Desired(parse_workloads(world.asked, CLUSTER))
    observed = Observer(api, clusters_of(find_cluster(api, CLUSTER, REGION)), WIDTH).observe(desired)
    assert observed.failures == ()
    assert set(ACTION.findall(observed.bulk_denied)) == {"iam:ListRoles"} - set(allowed)


def test_bulk_reading_is_not_missed_for_few_workloads(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    call_as_user(world, shipped_policy(world.account))
    _count, found = requests_of(world)
    assert found["findings"] == []


def shipped_manifests() -> tuple[Json, Json]:
    role, binding = yaml.safe_load((FILES / "verify-rbac.yml").read_text(encoding="utf-8"))["items"]
    return role, binding


def apply_rbac(world: World, left_out: str = "") -> None:
    """Give the reader the shipped role, as if its group were the one of the manifest, without a resource."""
    role, binding = copy.deepcopy(shipped_manifests())
    for rule in role["rules"]:
        rule["resources"] = [name for name in rule["resources"] if name != left_out]
    role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
    binding["subjects"][0]["name"] = "readers"
    world.kube.make(f"{RBAC}/clusterroles", role)
    world.kube.make(f"{RBAC}/clusterrolebindings", binding)
    world.kube_token = READER


def stale_pod_of(kind: str, **fields: Any) -> Arrange:
    return lambda world: world.pod(injected=False, ownerReferences=[make_owner(world, kind, **fields)])


def stale_pod_of_a_deployment(world: World) -> None:
    owner = make_owner(world, "Deployment")
    owned = make_owner(world, "ReplicaSet", "web-5d8f", owner)
    world.pod(injected=False, labels={"app": "web"}, ownerReferences=[owned])


def no_agent(world: World) -> None:
    world.kube.delete_agent()


# By resource: what is amiss so that it matters, what is found with it, and the words that name it.
RESOURCES: dict[str, tuple[Arrange, list[str], str]] = {
    "pods": (aws.nothing, [], "pods"),
    "nodes": (no_agent, ["AGENT_MISSING"], "nodes"),
    "daemonsets": (no_agent, ["AGENT_MISSING"], "daemonsets.apps in namespace kube-system"),
    "replicasets": (stale_pod_of("ReplicaSet", name="web-5d8f"), ["POD_NOT_INJECTED"], "replicasets.apps"),
    "deployments": (stale_pod_of_a_deployment, ["POD_NOT_INJECTED"], "deployments.apps"),
    "statefulsets": (stale_pod_of("StatefulSet"), ["POD_NOT_INJECTED"], "statefulsets.apps"),
}


def test_the_table_has_every_resource_of_the_role() -> None:
    role, _binding = shipped_manifests()
    named = sorted(name for rule in role["rules"] for name in rule["resources"])
    # Without namespaces a missing service account is told, and not that its namespace is.
    assert named == sorted([*RESOURCES, "namespaces", "serviceaccounts"])
    assert {verb for rule in role["rules"] for verb in rule["verbs"]} == {"list"}


@pytest.mark.parametrize("resource", RESOURCES)
def test_with_the_whole_role_everything_is_read(new_world: NewWorld, resource: str) -> None:
    arrange, codes, _words = RESOURCES[resource]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    apply_rbac(world)
    assert [one["code"] for one in world.report()["findings"]] == codes


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_resource_left_out_is_named(new_world: NewWorld, resource: str) -> None:
    arrange, _codes, words = RESOURCES[resource]
    world = new_world()
    world.build(GUIDE)
    arrange(world)
    apply_rbac(world, resource)
    notes = [one for one in world.report()["findings"] if one["code"] == "KUBERNETES_NOT_READABLE"]
    (note,) = notes
    assert note["severity"] == ("error" if resource == "pods" else "warning")
    assert note["message"].startswith(
        f"{words} could not be read, so the checks that need them are unknown: "
    )
    assert f'cannot list resource "{resource}" in API group' in note["message"]
    assert note["remedy"] == (
        f"Allow the caller of the Kubernetes API to list {words}; pod_identity_verify_pods: false leaves Pods out of the "
        "verification."
    )


def test_service_accounts_left_out_are_named(new_world: NewWorld) -> None:
    """The role reads them first, and stops with what the API server says."""
    world = new_world()
    apply_rbac(world, "serviceaccounts")
    with pytest.raises(
        AssociationError, match=r'cannot list resource \\"serviceaccounts\\" in API group \\"\\"'
    ):
        world.kube.ask("GET", "/api/v1/serviceaccounts", None, READER)


def test_service_accounts_are_read_with_the_whole_role(new_world: NewWorld) -> None:
    world = new_world()
    world.build(GUIDE)
    apply_rbac(world)
    names = [
        item["metadata"]["name"]
        for item in world.kube.ask("GET", "/api/v1/serviceaccounts", None, READER)["items"]
    ]
    assert GUIDE["service_account"] in names
