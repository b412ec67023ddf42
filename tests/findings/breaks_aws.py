# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The workloads of scenarios, and functions that change a correct AWS account (``World``) so that verifications have findings."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.workload_identity.aws.tests.findings.world import (
    BUCKET,
    CLUSTER,
    GUIDE,
    NAMESPACE,
    POLICY,
    ROLE,
    World,
    document,
    trust,
)

TARGET = "target"
PODS = {"Service": "pods.eks.amazonaws.com"}
FOREIGN_TARGET = "arn:aws:iam::444455556666:role/target"
ASSUME = ("sts:AssumeRole", "sts:TagSession")

Workloads = Sequence[Mapping[str, Any]]


# Functions that return the workloads of a scenario, and create other resources that these workloads need.


def guide(_world: World) -> Workloads:
    return [GUIDE]


def guide_with(**fields: Any) -> Any:
    return lambda _world: [{**GUIDE, **fields}]


def guide_with_policy(content: Mapping[str, Any]) -> Any:
    return guide_with(policies=[{"name": POLICY, "document": content}])


def many(_world: World) -> Workloads:
    """Return eleven workloads, which are enough for the verification to read roles and policies in bulk."""
    return [GUIDE] + [
        {
            "namespace": NAMESPACE,
            "service_account": f"account-{number}",
            "role": {"name": f"role-{number}"},
            "policies": [{"name": f"policy-{number}", "document": document("s3:GetObject")}],
        }
        for number in range(10)
    ]


def two(world: World) -> Workloads:
    return many(world)[:2]


def sharing(_world: World) -> Workloads:
    return [GUIDE, {**GUIDE, "service_account": "another"}]


def with_target(world: World) -> Workloads:
    """Create a target role that trusts the account, and return a workload that uses this role."""
    arn = world.make_role(TARGET, trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME))
    content = document(*ASSUME, resource=arn)
    return [_to_target(arn, content)]


def _to_target(arn: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a workload with a target role. It has no required permissions, because policies of target roles are not read."""
    policies = [{"name": POLICY, "document": content}]
    return {**GUIDE, "target_role_arn": arn, "policies": policies, "required_permissions": []}


def allowed_target(world: World) -> Workloads:
    """Return a workload whose policy allows it to assume a target role, but which does not set target_role_arn."""
    [workload] = with_target(world)
    return [{name: value for name, value in workload.items() if name != "target_role_arn"}]


def with_target_and_requirements(world: World) -> Workloads:
    return [{**with_target(world)[0], "required_permissions": GUIDE["required_permissions"]}]


def with_conditional_target_policy(world: World) -> Workloads:
    """Return a workload that may assume its target role only from one range of IP addresses."""
    (workload,) = with_target(world)
    policy = document(*ASSUME, resource=workload["target_role_arn"])
    policy["Statement"][0]["Condition"] = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    return [{**workload, "policies": [{"name": POLICY, "document": policy}]}]


def with_target_not_allowed(world: World) -> Workloads:
    return [{**with_target(world)[0], "policies": GUIDE["policies"]}]


def with_foreign_target(_world: World) -> Workloads:
    content = document(*ASSUME, resource=FOREIGN_TARGET)
    return [_to_target(FOREIGN_TARGET, content)]


def guide_with_boundary(world: World) -> Workloads:
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("s3:*", resource="*"))
    )["Policy"]["Arn"]
    return [{**GUIDE, "role": {**GUIDE["role"], "permissions_boundary": boundary}}]


def guide_with_unrelated_boundary(world: World) -> Workloads:
    """Return a workload without required permissions. The permissions boundary of its role allows only EC2."""
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("ec2:*", resource="*"))
    )["Policy"]["Arn"]
    role = {**GUIDE["role"], "permissions_boundary": boundary}
    return [{**GUIDE, "role": role, "required_permissions": []}]


TAGS = {"team": "payments"}


def guide_tagged(_world: World) -> Workloads:
    role, policy = GUIDE["role"], GUIDE["policies"][0]
    return [{**GUIDE, "role": {**role, "tags": TAGS}, "policies": [{**policy, "tags": TAGS}], "tags": TAGS}]


# Functions that change the resources, the workloads or the options of the verification.


def unchanged(_world: World) -> None:
    """Do not change anything."""


def delete_role(world: World) -> None:
    detach_policy(world)
    world.iam.delete_role(RoleName=ROLE)


def trust_without_tag_session(world: World) -> None:
    world.set_trust(trust(PODS, "sts:AssumeRole"))


def trust_one_pod(world: World) -> None:
    name = {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": "my-pod"}}
    world.set_trust(trust(PODS, *ASSUME, Condition=name))


def add_principal(principal: Mapping[str, str]) -> Callable[[World], None]:
    """Return a function that adds a statement for ``principal`` to the trust policy."""

    def arrange(world: World) -> None:
        present = world.iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
        added = trust(principal, "sts:AssumeRole")["Statement"]
        world.set_trust({**present, "Statement": [*present["Statement"], *added]})

    return arrange


def add_deny(**condition: str) -> Callable[[World], None]:
    """Return a function that adds a Deny statement to the trust policy. ``condition`` has the session tags that it requires."""

    def arrange(world: World) -> None:
        present = world.iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
        [added] = trust(PODS, *ASSUME)["Statement"]
        if condition:
            added["Condition"] = {
                "StringEquals": {f"aws:RequestTag/{key}": value for key, value in condition.items()}
            }
        added = {**added, "Sid": "Quarantine", "Effect": "Deny"}
        world.set_trust({**present, "Statement": [*present["Statement"], added]})

    return arrange


def detach_policy(world: World) -> None:
    world.iam.detach_role_policy(RoleName=ROLE, PolicyArn=world.policy_arn)


def delete_policy(world: World) -> None:
    detach_policy(world)
    world.iam.delete_policy(PolicyArn=world.policy_arn)


def change_policy(world: World) -> None:
    """Change the default version of the policy, and delete the version that has the desired document."""
    world.set_policy(document("s3:PutObject"))
    world.iam.delete_policy_version(PolicyArn=world.policy_arn, VersionId="v1")


def deny_in_policy(world: World) -> None:
    denying = document("s3:*", effect="Deny")["Statement"]
    world.set_policy(
        {**document("s3:GetObject"), "Statement": document("s3:GetObject")["Statement"] + denying}
    )
    world.iam.delete_policy_version(PolicyArn=world.policy_arn, VersionId="v1")


def another_default_version(world: World) -> None:
    world.set_policy(document("s3:PutObject"))


def add_denying_policy(world: World) -> None:
    world.iam.put_role_policy(
        RoleName=ROLE, PolicyName="deny", PolicyDocument=json.dumps(document("s3:*", effect="Deny"))
    )


def add_inline_policy(world: World) -> None:
    world.iam.put_role_policy(
        RoleName=ROLE,
        PolicyName="more",
        PolicyDocument=json.dumps(document("s3:ListBucket", resource=BUCKET)),
    )


def add_admin_policy(world: World) -> None:
    world.iam.put_role_policy(
        RoleName=ROLE, PolicyName="all", PolicyDocument=json.dumps(document("iam:*", resource="*"))
    )


def attach_admin(world: World) -> None:
    policy = world.iam.create_policy(
        PolicyName="admin", PolicyDocument=json.dumps(document("iam:*", resource="*"))
    )
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=policy["Policy"]["Arn"])


def attach_another(world: World) -> None:
    policy = world.iam.create_policy(
        PolicyName="another", PolicyDocument=json.dumps(document("s3:GetObject"))
    )
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=policy["Policy"]["Arn"])


def attach_denying(world: World) -> None:
    quarantine = world.iam.create_policy(
        PolicyName="quarantine", PolicyDocument=json.dumps(document("s3:PutObject", effect="Deny"))
    )
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=quarantine["Policy"]["Arn"])


def share_role(world: World) -> None:
    """Apply another list, whose workload uses the same role with another policy."""
    workloads = world.workloads
    other = {"name": "of-another-list", "document": document("s3:GetObject")}
    world.workloads = [{**GUIDE, "service_account": "other", "policies": [other], "required_permissions": []}]
    world.converge()
    world.workloads = workloads


def bound_role(world: World) -> None:
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("ec2:*", resource="*"))
    )["Policy"]["Arn"]
    world.iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=boundary)


def guide_described(_world: World) -> Workloads:
    return [{**GUIDE, "policies": [{**GUIDE["policies"][0], "description": "Reads secrets"}]}]


def request_another_description(world: World) -> None:
    world.workloads = [{**GUIDE, "policies": [{**GUIDE["policies"][0], "description": "Reads objects"}]}]


def request_another_path(world: World) -> None:
    world.workloads = [{**GUIDE, "role": {**GUIDE["role"], "path": "/apps/"}}]


def request_another_case(world: World) -> None:
    world.workloads = [{**GUIDE, "role": {**GUIDE["role"], "name": "My-Role"}}]


def request_description(world: World) -> None:
    """Add a description to the desired policy. IAM stores a description only when a policy is created."""
    request_another_description(world)


def untag_association(world: World) -> None:
    arn = f"arn:aws:eks:us-west-2:{world.account}:podidentityassociation/{CLUSTER}/{world.association_id}"
    world.eks.untag_resource(resourceArn=arn, tagKeys=["team"])


def delete_association(world: World) -> None:
    world.eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=world.association_id)


def associate_by_hand(world: World) -> None:
    world.eks.create_pod_identity_association(
        clusterName=CLUSTER,
        namespace=NAMESPACE,
        serviceAccount="default",
        roleArn=world.make_role("Admin", trust(PODS, *ASSUME)),
    )


def grant_alone(world: World) -> None:
    """Remove the last workload and its association, but keep its statement in the trust policy.

    A teardown leaves this state if it lacks the permission to change the trust policy.
    """
    removed = world.workloads.pop()
    associations = world.eks.list_pod_identity_associations(
        clusterName=CLUSTER, namespace=removed["namespace"], serviceAccount=removed["service_account"]
    )
    for association in associations["associations"]:
        world.eks.delete_pod_identity_association(
            clusterName=CLUSTER, associationId=association["associationId"]
        )
    # New resources could belong to a run that is not finished, so the verification would not report them.
    world.control.grow_older(world.account, 3600)


def unlist(world: World) -> None:
    """Remove the last workload from the list, but keep its resources."""
    world.workloads.pop()


def associate_another_target(world: World) -> None:
    target = world.make_role("another", trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME))
    world.update_association(targetRoleArn=target)


def disable_session_tags(world: World) -> None:
    world.update_association(disableSessionTags=True)


def own_by_addon(world: World) -> None:
    owner = f"arn:aws:eks:us-west-2:{world.account}:addon/{CLUSTER}/aws-ebs-csi-driver/1"
    world.patch_association(ownerArn=owner)


def open_target_to_organization(world: World) -> None:
    policy = trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME)
    policy["Statement"][0]["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    world.set_trust(policy, TARGET)


def delete_addon(world: World) -> None:
    world.eks.delete_addon(clusterName=CLUSTER, addonName="eks-pod-identity-agent")


def delete_addon_without_pod_checks(world: World) -> None:
    """Delete the add-on of the agent, and verify without the checks in the Kubernetes cluster."""
    delete_addon(world)
    world.looks_at_pods = False


def degrade_addon(world: World) -> None:
    issue = {"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy."}
    world.patch_addon(status="DEGRADED", health={"issues": [issue]})


def refuse(operation: str) -> Any:
    return lambda world: world.refuse(operation)
