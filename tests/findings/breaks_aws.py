# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways in which AWS can be wrong: each changes one thing of a world that is right."""

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


# What is asked for, and made.


def guide(_world: World) -> Workloads:
    return [GUIDE]


def guide_with(**fields: Any) -> Any:
    return lambda _world: [{**GUIDE, **fields}]


def guide_with_policy(wanted: Mapping[str, Any]) -> Any:
    return guide_with(policies=[{"name": POLICY, "document": wanted}])


def many(_world: World) -> Workloads:
    """So many that roles and policies are read in bulk."""
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
    """Two workloads with one role."""
    return [GUIDE, {**GUIDE, "service_account": "another"}]


def with_target(world: World) -> Workloads:
    """A target role of the same account that lets in whom that account allows it."""
    arn = world.make_role(TARGET, trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME))
    wanted = document(*ASSUME, resource=arn)
    return [_to_target(arn, wanted)]


def _to_target(arn: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What the target role itself is allowed to do is not looked at, so nothing is required."""
    policies = [{"name": POLICY, "document": wanted}]
    return {**GUIDE, "target_role_arn": arn, "policies": policies, "required_permissions": []}


def allowed_target(world: World) -> Workloads:
    """The role may assume a target role, which the list does not name for the association."""
    [wanted] = with_target(world)
    return [{name: value for name, value in wanted.items() if name != "target_role_arn"}]


def with_target_and_requirements(world: World) -> Workloads:
    return [{**with_target(world)[0], "required_permissions": GUIDE["required_permissions"]}]


def with_target_for_some(world: World) -> Workloads:
    """The role may assume it from one address only."""
    (wanted,) = with_target(world)
    policy = document(*ASSUME, resource=wanted["target_role_arn"])
    policy["Statement"][0]["Condition"] = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    return [{**wanted, "policies": [{"name": POLICY, "document": policy}]}]


def with_target_not_allowed(world: World) -> Workloads:
    return [{**with_target(world)[0], "policies": GUIDE["policies"]}]


def with_foreign_target(_world: World) -> Workloads:
    wanted = document(*ASSUME, resource=FOREIGN_TARGET)
    return [_to_target(FOREIGN_TARGET, wanted)]


def guide_with_boundary(world: World) -> Workloads:
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("s3:*", resource="*"))
    )["Policy"]["Arn"]
    return [{**GUIDE, "role": {**GUIDE["role"], "permissions_boundary": boundary}}]


def guide_with_useless_boundary(world: World) -> Workloads:
    """And nobody says what the Pods must be allowed to do."""
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("ec2:*", resource="*"))
    )["Policy"]["Arn"]
    role = {**GUIDE["role"], "permissions_boundary": boundary}
    return [{**GUIDE, "role": role, "required_permissions": []}]


TAGS = {"team": "payments"}


def guide_tagged(_world: World) -> Workloads:
    role, policy = GUIDE["role"], GUIDE["policies"][0]
    return [{**GUIDE, "role": {**role, "tags": TAGS}, "policies": [{**policy, "tags": TAGS}], "tags": TAGS}]


# What somebody did by hand.


def nothing(_world: World) -> None:
    """All stays right."""


def delete_role(world: World) -> None:
    detach_policy(world)
    world.iam.delete_role(RoleName=ROLE)


def move_role(world: World) -> None:
    """The role made anew under another path."""
    delete_role(world)
    wanted = json.dumps(trust(PODS, *ASSUME))
    world.iam.create_role(RoleName=ROLE, Path="/apps/", AssumeRolePolicyDocument=wanted)


def trust_without_tag_session(world: World) -> None:
    world.set_trust(trust(PODS, "sts:AssumeRole"))


def trust_another_service(world: World) -> None:
    world.set_trust(trust({"Service": "ec2.amazonaws.com"}, *ASSUME))


def trust_one_pod(world: World) -> None:
    name = {"StringEquals": {"aws:RequestTag/kubernetes-pod-name": "my-pod"}}
    world.set_trust(trust(PODS, *ASSUME, Condition=name))


def let_in_too(principal: Mapping[str, str]) -> Callable[[World], None]:
    """A statement of others beside ours."""

    def arrange(world: World) -> None:
        present = world.iam.get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
        added = trust(principal, "sts:AssumeRole")["Statement"]
        world.set_trust({**present, "Statement": [*present["Statement"], *added]})

    return arrange


def deny_too(**condition: str) -> Callable[[World], None]:
    """Somebody restricts the role by its trust policy."""

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


def trust_every_cluster(world: World) -> None:
    world.set_trust(trust(PODS, *ASSUME))


def detach_policy(world: World) -> None:
    world.iam.detach_role_policy(RoleName=ROLE, PolicyArn=world.policy_arn)


def delete_policy(world: World) -> None:
    detach_policy(world)
    world.iam.delete_policy(PolicyArn=world.policy_arn)


def change_policy(world: World) -> None:
    """And what was asked for is no version of it any more."""
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


def attach_another(world: World) -> None:
    another = world.iam.create_policy(
        PolicyName="another", PolicyDocument=json.dumps(document("s3:GetObject"))
    )
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=another["Policy"]["Arn"])


def attach_denying(world: World) -> None:
    quarantine = world.iam.create_policy(
        PolicyName="quarantine", PolicyDocument=json.dumps(document("s3:PutObject", effect="Deny"))
    )
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn=quarantine["Policy"]["Arn"])


def share_role(world: World) -> None:
    """Another list brings a workload, and a policy, to the role."""
    listed = world.asked
    other = {"name": "of-another-list", "document": document("s3:GetObject")}
    world.asked = [{**GUIDE, "service_account": "other", "policies": [other], "required_permissions": []}]
    world.converge()
    world.asked = listed


def attach_administrator(world: World) -> None:
    world.iam.attach_role_policy(RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def bound_role(world: World) -> None:
    boundary = world.iam.create_policy(
        PolicyName="boundary", PolicyDocument=json.dumps(document("ec2:*", resource="*"))
    )["Policy"]["Arn"]
    world.iam.put_role_permissions_boundary(RoleName=ROLE, PermissionsBoundary=boundary)


def unbound_role(world: World) -> None:
    world.iam.delete_role_permissions_boundary(RoleName=ROLE)


def tag_role(world: World) -> None:
    world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "team", "Value": "others"}])


def describe_role(world: World) -> None:
    world.iam.update_role(RoleName=ROLE, Description="changed by hand")


def tag_policy(world: World) -> None:
    world.iam.tag_policy(PolicyArn=world.policy_arn, Tags=[{"Key": "team", "Value": "others"}])


def guide_described(_world: World) -> Workloads:
    return [{**GUIDE, "policies": [{**GUIDE["policies"][0], "description": "Reads secrets"}]}]


def ask_for_another_description(world: World) -> None:
    world.asked = [{**GUIDE, "policies": [{**GUIDE["policies"][0], "description": "Reads objects"}]}]


def ask_for_a_description(world: World) -> None:
    """Of a policy that was created without one."""
    ask_for_another_description(world)


def tag_association(world: World) -> None:
    arn = f"arn:aws:eks:us-west-2:{world.account}:podidentityassociation/{CLUSTER}/{world.association_id}"
    world.eks.untag_resource(resourceArn=arn, tagKeys=["team"])


def name_owner(world: World) -> None:
    """From now on the list is for an owner, whom nothing names yet."""
    world.owner = "payments"


def unmark_role(world: World) -> None:
    world.iam.untag_role(RoleName=ROLE, TagKeys=["workload-identity/managed-by"])


def delete_association(world: World) -> None:
    world.eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=world.association_id)


def associate_another_role(world: World) -> None:
    world.update_association(roleArn=world.make_role("another", trust(PODS, *ASSUME)))


def associate_by_hand(world: World) -> None:
    world.eks.create_pod_identity_association(
        clusterName=CLUSTER,
        namespace=NAMESPACE,
        serviceAccount="default",
        roleArn=world.make_role("Admin", trust(PODS, *ASSUME)),
    )


def grant_alone(world: World) -> None:
    """Remove the last workload as a teardown does that may not write the trust policy."""
    removed = world.asked.pop()
    listed = world.eks.list_pod_identity_associations(
        clusterName=CLUSTER, namespace=removed["namespace"], serviceAccount=removed["service_account"]
    )
    for association in listed["associations"]:
        world.eks.delete_pod_identity_association(
            clusterName=CLUSTER, associationId=association["associationId"]
        )
    # What is new may belong to a run that is still at work.
    world.control.grow_older(world.account, 3600)


def unlist(world: World) -> None:
    """Take the last workload out of the list."""
    world.asked.pop()


def associate_another_target(world: World) -> None:
    another = world.make_role("another", trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME))
    world.update_association(targetRoleArn=another)


def disable_session_tags(world: World) -> None:
    world.update_association(disableSessionTags=True)


def set_target(world: World) -> None:
    world.update_association(targetRoleArn=f"arn:aws:iam::{world.account}:role/{TARGET}")


def set_session_policy(world: World) -> None:
    world.update_association(policy=json.dumps(document("s3:*", resource="*")))


def limit_session(world: World) -> None:
    world.update_association(policy=json.dumps(document("s3:ListBucket")), disableSessionTags=True)


def own_by_addon(world: World) -> None:
    owner = f"arn:aws:eks:us-west-2:{world.account}:addon/{CLUSTER}/aws-ebs-csi-driver/1"
    world.patch_association(ownerArn=owner)


def delete_target(world: World) -> None:
    world.iam.delete_role(RoleName=TARGET)


def close_target(world: World) -> None:
    world.set_trust(trust({"AWS": "arn:aws:iam::444455556666:root"}, *ASSUME), TARGET)


def open_target(world: World) -> None:
    world.set_trust(trust({"AWS": "*"}, *ASSUME), TARGET)


def open_target_to_some(world: World) -> None:
    policy = trust({"AWS": f"arn:aws:iam::{world.account}:root"}, *ASSUME)
    policy["Statement"][0]["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
    world.set_trust(policy, TARGET)


def delete_addon(world: World) -> None:
    world.eks.delete_addon(clusterName=CLUSTER, addonName="eks-pod-identity-agent")


def delete_addon_unseen(world: World) -> None:
    """Nobody looks whether there is an agent in the cluster all the same."""
    delete_addon(world)
    world.looks_at_pods = False


def degrade_addon(world: World) -> None:
    issue = {"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy."}
    world.patch_addon(status="DEGRADED", health={"issues": [issue]})


def auto_mode(world: World) -> None:
    world.patch_cluster(computeConfig={"enabled": True})


def old_platform(world: World) -> None:
    world.patch_cluster(version="1.24", platformVersion="eks.1")


def refuse(operation: str) -> Any:
    return lambda world: world.refuse(operation)


def caller_with(*actions: str) -> Any:
    """The verification asks IAM about its caller, a user with ``actions``."""

    def arrange(world: World) -> None:
        world.iam.create_user(UserName="deployer")
        world.iam.put_user_policy(
            UserName="deployer", PolicyName="own", PolicyDocument=json.dumps(document(*actions, resource="*"))
        )
        key = world.iam.create_access_key(UserName="deployer")["AccessKey"]
        world.key = (key["AccessKeyId"], key["SecretAccessKey"])
        world.checks_caller = True

    return arrange


def caller_unknown(world: World) -> None:
    caller_with("*")(world)
    world.refuse("iam:SimulatePrincipalPolicy")
