# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the plan of a teardown: it deletes managed resources without other users, and reports why it keeps a resource."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import Agent
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    group_clusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    association_target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.problems import (
    perhaps_used,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    HERE,
    OTHER_CLUSTER_ARN,
    OWNED,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    codes_and_reasons,
    create_association,
    create_policy,
    create_role,
    desired,
    document,
    engine,
    key,
    named,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

APP = key("app")
MINE = policy_arn("my-policy")
OLD = role_arn("old")
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"
DENIED = classify("x", "AccessDenied", "User is not authorized")
EVERYTHING = [
    "delete association default/app",
    f"detach attachment my-role {MINE}",
    "delete role my-role",
    f"delete policy {MINE}",
]


def plan_removal(aws: FakeAws, *raws: dict[str, Any], **options: Any) -> Plan:
    return plan(aws, desired(*raws, state="absent", **options), "absent")


def remove(aws: FakeAws, *raws: dict[str, Any], **options: Any) -> list[str]:
    outcome = run(aws, desired(*raws, state="absent", **options), "absent")
    assert outcome.failures == ()
    return [named(done.change) for done in outcome.done]


def converged_account(*raws: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*raws, **options)).failures == ()
    return aws


def existing(**more: Any) -> dict[str, Any]:
    return workload(role={"arn": OLD, **more}, policies=[])


def codes(found: Plan) -> list[str]:
    return codes_and_reasons(found.findings)


def test_deletes_managed_resources_in_reverse_order() -> None:
    aws = converged_account(workload(role={"name": "my-role", "description": "text"}))
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING
    assert [change.stage for change in found.changes] == [1, 2, 3, 4]
    assert [sorted(need.label for need in change.needs) for change in found.changes] == [
        [],
        ["association default/app"],
        ["association default/app", f"attachment my-role {MINE}"],
        [f"attachment my-role {MINE}"],
    ]
    assert [change.after for change in found.changes] == [None] * 4
    assert found.changes[2].before == {
        "arn": role_arn("my-role"),
        "trust_policy": aws.state()["roles"]["my-role"]["trust"],
        "tags": OWNED,
        "description": "text",
    }
    assert (found.failures, found.findings) == ((), ())
    assert remove(aws, workload()) == EVERYTHING
    assert aws.state() == FakeAws().state()
    assert remove(aws, workload()) == []


def test_diff_of_a_deletion_has_the_attributes_of_the_association() -> None:
    raw = workload(
        target_role_arn="arn:aws:iam::444455556666:role/target",
        disable_session_tags=True,
        session_policy=document("s3:GetObject"),
        tags={"a": "b"},
    )
    assert plan_removal(converged_account(raw), raw).changes[0].before == {
        "association_id": "a-00000000000000001",
        "role_arn": role_arn("my-role"),
        "target_role_arn": "arn:aws:iam::444455556666:role/target",
        "disable_session_tags": True,
        "session_policy": document("s3:GetObject"),
        "tags": {"a": "b", **OWNED},
    }


def test_diff_of_a_deletion_has_the_attributes_of_the_role() -> None:
    raw = workload(role={"name": "my-role", "max_session_duration": 7200})
    aws = converged_account(raw)
    change = next(change for change in plan_removal(aws, raw).changes if change.target.resource == "role")
    assert change.before == {
        "arn": role_arn("my-role"),
        "trust_policy": aws.state()["roles"]["my-role"]["trust"],
        "tags": OWNED,
        "max_session_duration": 7200,
    }


def test_deletes_all_versions_of_a_policy() -> None:
    aws = converged_account(workload())
    run(aws, desired(workload(policies=[policy("my-policy", "s3:PutObject")])))
    change = plan_removal(aws, workload()).changes[-1]
    assert [(call.operation, call.parameters) for call in change.calls] == [
        ("DeletePolicyVersion", {"PolicyArn": MINE, "VersionId": "v1"}),
        ("DeletePolicy", {"PolicyArn": MINE}),
    ]


def test_association_can_be_removed_without_its_role() -> None:
    aws = converged_account(workload())
    raw = {"namespace": "default", "service_account": "app"}
    assert names(plan_removal(aws, raw)) == ["delete association default/app"]


def test_managed_boundary_is_deleted_with_its_role() -> None:
    raw = workload(role={"name": "my-role", "permissions_boundary": MINE})
    aws = converged_account(raw)
    found = plan_removal(aws, raw)
    assert names(found) == EVERYTHING
    assert role_target("my-role") in found.changes[-1].needs
    remove(aws, raw)
    assert aws.state() == FakeAws().state()


def test_aws_managed_policy_is_detached_from_a_managed_role() -> None:
    aws = FakeAws()
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    aws.iam.policies[arn] = {"default": "v1", "versions": {"v1": {}}, "tags": {}, "users": [], "groups": []}
    raw = workload(policies=[{"arn": arn}])
    run(aws, desired(raw))
    assert names(plan_removal(aws, raw)) == [
        "delete association default/app",
        f"detach attachment my-role {arn}",
        "delete role my-role",
    ]


# Tests of unmanaged resources


def test_unmanaged_resources_are_unchanged() -> None:
    aws = FakeAws()
    create_role(aws, "my-role", TRUST_BARE, (create_policy(aws, "my-policy"),))
    create_association(aws, "app", "my-role")
    initial = aws.state()
    found = plan_removal(aws, workload())
    assert (names(found), codes(found)) == (
        [],
        ["NOT_OWNED", "role without tag", "policy without tag"],
    )
    remove(aws, workload())
    assert aws.state() == initial


POLICY_REMEDY = (
    "If a user is a role of these workloads, follow the remedy of that role's finding. If a user is a role of "
    "another list of workloads, apply that list without the policy, which detaches it. Detach it from all other "
    "users. Then run again."
)


def test_unmanaged_association_and_its_resources_are_kept() -> None:
    aws = converged_account(workload())
    next(iter(aws.eks.associations.values()))["tags"] = {}
    found = plan_removal(aws, workload())
    assert names(found) == []
    assert found.findings == (
        Finding(
            Code.NOT_OWNED,
            "association a-00000000000000001 is kept: it does not have the tag workload-identity/managed-by, so this "
            "collection may not have created it.",
            "If this collection created it, restore the tag (workload_identity.aws) and run again. Otherwise delete it with "
            "workload_identity.aws.eks_pod_identity_association, or set ⟨force⟩: true.",
            APP,
        ),
        Finding(
            Code.RESOURCE_KEPT,
            f"role {role_arn('my-role')} is kept: it is still used by my-cluster default/app.",
            "If the users belong to another list of workloads, no action is needed: the teardown of that list "
            "removes the role. Otherwise remove the users first, then run again.",
            APP,
        ),
        Finding(
            Code.RESOURCE_KEPT,
            f"policy {MINE} is kept: it is still used by role my-role.",
            POLICY_REMEDY,
            APP,
        ),
    )
    assert names(plan_removal(aws, workload(), force=True)) == EVERYTHING


def test_addon_association_is_kept_with_the_trust_of_its_role() -> None:
    aws = converged_account(workload())
    next(iter(aws.eks.associations.values()))["ownerArn"] = ADDON
    found = plan_removal(aws, workload())
    assert names(found) == []
    (failure,) = found.failures
    assert (failure.error_code, failure.action) == ("ASSOCIATION_OWNED_BY_ADDON", "delete")
    assert failure.message == (
        f"association a-00000000000000001 of my-cluster default/app is owned by the EKS add-on {ADDON}, "
        "which "
        "would undo a direct change."
    )
    assert failure.remedy == (
        "Remove the service account from the add-on's podIdentityAssociations, or set ⟨force⟩: true."
    )
    assert names(plan_removal(aws, workload(), force=True)) == EVERYTHING


def test_trust_is_removed_only_with_the_association() -> None:
    """Check that a kept association, which the collection does not manage, keeps its statement in the trust policy."""
    raw = [workload("app"), workload("two")]
    aws = converged_account(*raw)
    aws.eks.associations["a-00000000000000002"]["tags"] = {}
    found = plan_removal(aws, *raw)
    assert names(found) == ["delete association default/app", "update trust_policy my-role"]
    remove(aws, *raw)
    (statement,) = aws.state()["roles"]["my-role"]["trust"]["Statement"]
    assert statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "two"


def test_role_with_foreign_attachments_is_kept() -> None:
    aws = converged_account(workload())
    extra = create_policy(aws, "extra")
    role = aws.iam.roles["my-role"]
    role["attached"].append(extra)
    role["inline"].append("by-hand")
    role["profiles"].append("a-profile")
    found = plan_removal(aws, workload())
    assert names(found) == [
        "delete association default/app",
        f"detach attachment my-role {MINE}",
        "update trust_policy my-role",
        f"delete policy {MINE}",
    ]
    assert found.findings == (
        Finding(
            Code.RESOURCE_KEPT,
            f"role {role_arn('my-role')} is kept: it has resources that this collection does not manage (by-hand, "
            f"{extra}, a-profile).",
            "Detach or delete them, then run again.",
            APP,
        ),
    )


def test_boundary_of_a_kept_role_is_kept() -> None:
    raw = workload(role={"name": "my-role", "permissions_boundary": MINE})
    aws = converged_account(raw)
    aws.iam.roles["my-role"]["inline"].append("by-hand")
    assert names(plan_removal(aws, raw)) == [
        "delete association default/app",
        f"detach attachment my-role {MINE}",
        "update trust_policy my-role",
    ]
    assert codes(plan_removal(aws, raw)) == ["role holds", "policy used"]


@pytest.mark.parametrize(
    ("users", "groups", "user"),
    [
        (["ann"], [], "user ann"),
        ([], ["ops"], "group ops"),
        ([f"u{number:02}" for number in range(12)], [], None),
    ],
    ids=["a user", "a group", "many users"],
)
def test_policy_used_elsewhere_is_kept(users: list[str], groups: list[str], user: str | None) -> None:
    aws = converged_account(workload())
    run(aws, desired(workload(policies=[policy("my-policy", "s3:PutObject")])))
    aws.iam.policies[MINE].update(users=users, groups=groups)
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[:3]
    ten = ", ".join(f"user {name}" for name in users[:10]) + " and 2 more"
    assert [finding.message for finding in found.findings] == [
        f"policy {MINE} is kept: it is still used by {user or ten}."
    ]
    remove(aws, workload())
    assert len(aws.iam.policies[MINE]["versions"]) == 2


# Tests of shared roles


def test_shared_role_is_kept_for_other_workloads() -> None:
    aws = converged_account(workload("app"), workload("two", policies=[policy("other", "kms:Decrypt")]))
    found = plan_removal(aws, workload("app"))
    assert names(found) == ["delete association default/app", "update trust_policy my-role"]
    assert [finding.message for finding in found.findings] == [
        f"role {role_arn('my-role')} is kept: it is still used by my-cluster default/two.",
        f"policy {MINE} is kept: it is still used by role my-role.",
    ]
    assert found.changes[1].needs == {association_target(APP)}
    remove(aws, workload("app"))
    statements = aws.state()["roles"]["my-role"]["trust"]["Statement"]
    assert [
        statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"]
        for statement in statements
    ] == ["two"]


def test_next_removal_deletes_a_remaining_grant() -> None:
    aws = converged_account(workload("app"), workload("two"))
    aws.fail_on("iam:UpdateAssumeRolePolicy", DENIED)
    refused = run(aws, desired(workload("app"), state="absent"), "absent")
    assert [failure.error_code for failure in refused.failures] == ["AccessDenied"]
    assert [association["serviceAccount"] for association in aws.state()["associations"]] == ["two"]
    assert remove(aws, workload("app")) == ["update trust_policy my-role"]
    assert aws.state() == converged_account(workload("two")).state()
    assert remove(aws, workload("app")) == []


def test_removal_deletes_the_grant_of_a_manually_deleted_association() -> None:
    """Check that a teardown restores the trust policy of an unmanaged role, even if the association is already deleted."""
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE)
    guest = workload("app", role={"arn": OLD, "extend_trust": True}, policies=None)
    initial = aws.state()
    assert run(aws, desired(guest)).failures == ()
    aws.eks.associations.clear()
    remove(aws, guest)
    assert aws.state() == initial


def test_shared_role_is_deleted_with_the_last_workload() -> None:
    raw = [workload("app"), workload("two")]
    aws = converged_account(*raw)
    assert names(plan_removal(aws, *raw)) == [
        "delete association default/app",
        "delete association default/two",
        *EVERYTHING[1:],
    ]


def test_role_granted_to_another_cluster_is_kept() -> None:
    aws = converged_account(workload())
    run(aws, desired(workload("two"), cluster="other-cluster"))
    found = plan_removal(aws, workload())
    assert names(found) == ["delete association default/app", "update trust_policy my-role"]
    assert [finding.message for finding in found.findings] == [
        f"role {role_arn('my-role')} is kept: it is still used by {OTHER_CLUSTER_ARN}/default/two.",
        f"policy {MINE} is kept: it is still used by role my-role.",
    ]


def test_policy_attached_to_another_role_is_kept() -> None:
    aws = converged_account(workload(), workload("two", role={"name": "other"}))
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[:3]
    assert [finding.message for finding in found.findings] == [
        f"policy {MINE} is kept: it is still used by role other."
    ]


def test_detachments_wait_for_the_associations() -> None:
    """Let the removal of one of two workloads fail. Their common role keeps its policies, and both workloads are reported."""
    raw = [workload("app"), workload("two", policies=[policy(), policy("bad")])]
    aws = converged_account(*raw)
    aws.fail_on("iam:ListEntitiesForPolicy", DENIED)
    found = plan_removal(aws, workload("app", policies=[]), workload("two", policies=[policy("bad")]))
    assert names(found) == ["delete association default/app"]
    assert [(failure.error_code, [str(key) for key in failure.workloads]) for failure in found.failures] == [
        ("AccessDenied", ["default/two"]),
        ("SKIPPED", ["default/app"]),
        ("SKIPPED", ["default/app"]),
        ("SKIPPED", ["default/app"]),
    ]
    assert found.failures[-1].message == (
        "not done: it depends on the association default/two, which is unchanged because of other failures."
    )
    assert found.failures[-1].remedy == "Resolve those failures and run again."


# Tests of existing roles that workloads name by ARN


def test_managed_statement_is_removed_from_an_existing_role() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_EC2)
    initial = aws.state()
    run(aws, desired(existing(extend_trust=True)))
    assert names(plan_removal(aws, existing())) == [
        "delete association default/app",
        "update trust_policy old",
    ]
    remove(aws, existing())
    assert aws.state() == initial


@pytest.mark.parametrize("scope", ["namespace", "cluster"])
def test_wide_statement_is_removed_with_the_last_user(scope: str) -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_EC2)
    initial = aws.state()
    first = existing(extend_trust=True, trust_scope=scope)
    two = {**first, "service_account": "two"}
    run(aws, desired(first, two))
    assert names(plan_removal(aws, first)) == ["delete association default/app"]
    remove(aws, first)
    assert names(plan_removal(aws, two)) == ["delete association default/two", "update trust_policy old"]
    remove(aws, two)
    assert aws.state() == initial


def test_statement_for_the_account_is_kept_and_reported() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_EC2)
    raw = existing(extend_trust=True, trust_scope="account")
    run(aws, desired(raw))
    found = plan_removal(aws, raw)
    assert names(found) == ["delete association default/app"]
    assert found.findings == (
        Finding(
            Code.TRUST_STATEMENT_STAYS,
            f"role {OLD} keeps this collection's trust statement, because the statement also allows other "
            "workloads, or because the trust policy has no other statement.",
            "If no workload needs the statement, remove it from the trust policy, or delete the role.",
            APP,
        ),
    )


def test_managed_policy_is_detached_from_an_existing_role() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE, (create_policy(aws, "theirs"),))
    initial = aws.state()
    raw = workload(role={"arn": OLD})
    run(aws, desired(raw))
    assert names(plan_removal(aws, raw)) == [
        "delete association default/app",
        f"detach attachment old {MINE}",
        f"delete policy {MINE}",
    ]
    remove(aws, raw)
    assert aws.state() == initial


def test_unattributable_attachment_is_kept_and_reported() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE)
    foreign = create_policy(aws, "theirs")
    raw = workload(role={"arn": OLD}, policies=[{"arn": foreign}])
    run(aws, desired(raw))
    found = plan_removal(aws, raw)
    assert names(found) == ["delete association default/app"]
    assert found.findings == (
        Finding(
            Code.RESOURCE_KEPT,
            f"{foreign} is kept attached to role {OLD}: this collection does not manage the policy, "
            "so another process may have attached it.",
            "If the role does not need the policy, detach it.",
            APP,
            raised_as="info",
        ),
    )


def test_existing_role_is_not_deleted_despite_its_tag() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE, tags=OWNED)
    assert names(plan_removal(aws, existing())) == []


def test_used_existing_role_keeps_a_managed_policy() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE)
    raw = workload(role={"arn": OLD})
    run(aws, desired(raw))
    create_association(aws, "two", "old")
    found = plan_removal(aws, raw)
    assert names(found) == ["delete association default/app"]
    assert codes(found) == ["policy attached", "policy used"]


def test_role_of_another_path_does_not_match() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE, tags=OWNED, Path="/team/")
    assert names(plan_removal(aws, existing())) == []


# Tests of resources that cannot be read


def test_roles_of_a_deleted_cluster_are_deleted() -> None:
    aws = converged_account(workload())
    aws.eks.associations.clear()
    del aws.eks.clusters["my-cluster"]
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[1:]
    assert found.findings == (
        Finding(
            Code.CLUSTER_MISSING,
            f"cluster my-cluster was not found in account {ACCOUNT}, region us-west-2; only the IAM resources of its workloads "
            "are removed.",
            "If the cluster exists, check its name, the account and the region, and run again.",
        ),
    )
    remove(aws, workload())
    assert aws.state() == FakeAws().state()


def test_mistyped_cluster_keeps_roles_of_another_cluster() -> None:
    aws = converged_account(workload())
    initial = aws.state()
    found = plan_removal(aws, workload(), cluster="my-clutser")
    assert (names(found), codes(found)) == (
        [],
        ["CLUSTER_MISSING", "role used", "policy used"],
    )
    remove(aws, workload(), cluster="my-clutser")
    assert aws.state() == initial


@pytest.mark.parametrize("scope", ["account", "none"])
def test_missing_cluster_keeps_roles_of_any_cluster(scope: str) -> None:
    aws = converged_account(workload(), trust_scope=scope)
    found = plan_removal(aws, workload(), cluster="my-clutser")
    assert codes(found) == ["CLUSTER_MISSING", "role perhaps used", "policy used"]
    assert found.findings[1].message == (
        f"role {role_arn('my-role')} is kept: its trust policy is not limited to cluster my-clutser, "
        "and cluster my-clutser was not found, so its associations are not known."
    )
    assert found.findings[1].remedy == (
        "Check name, account and region; if the cluster is deleted, set ⟨force⟩: true."
    )
    assert names(found) == []
    assert names(plan_removal(aws, workload(), cluster="my-clutser", force=True)) == EVERYTHING[1:]


@pytest.mark.parametrize("scope", ["account", "none"])
def test_role_for_any_cluster_needs_force(scope: str) -> None:
    aws = converged_account(workload(), trust_scope=scope)
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[:1]
    assert codes(found) == ["role perhaps used", "policy used"]
    assert (found.findings[0].message, found.findings[0].remedy) == (
        f"role {role_arn('my-role')} is kept: its trust policy is not limited to cluster my-cluster, and "
        "it is not known whether another cluster uses the role.",
        "Check whether an association in another cluster of the account uses the role (aws eks "
        "list-pod-identity-associations, describe-pod-identity-association), and when the role was last used "
        "(aws iam get-role). If no association uses it, delete the role, or run with ⟨state⟩: absent and ⟨force⟩: "
        "true for the workloads of the role alone.",
    )
    assert names(plan_removal(aws, workload(), force=True)) == EVERYTHING


def test_role_of_several_missing_clusters_names_them() -> None:
    role = ObservedRole("my-role", role_arn("my-role"), "/", TRUST_BARE)
    missing = replace(HERE, status="")
    other = replace(missing, name="other", arn=OTHER_CLUSTER_ARN)
    finding = perhaps_used(group_clusters(missing, other), role, (APP,))
    assert finding.message == (
        f"role {role.arn} is kept: its trust policy is not limited to clusters my-cluster, other, and clusters my-cluster, other "
        "were not found, so their associations are not known."
    )
    assert finding.remedy == "Check name, account and region; if they are deleted, set ⟨force⟩: true."


def test_role_with_a_statement_for_another_cluster_needs_force() -> None:
    aws = converged_account(workload())
    role = aws.iam.roles["my-role"]
    trust = json.loads(role["trust"])
    elsewhere = json.loads(role["trust"].replace("cluster/my-cluster", "cluster/other"))["Statement"]
    trust["Statement"] += [{**statement, "Sid": "ByHand"} for statement in elsewhere]
    role["trust"] = json.dumps(trust)
    found = plan_removal(aws, workload())
    assert names(found) == [*EVERYTHING[:1], "update trust_policy my-role"]
    assert codes(found) == ["role perhaps used", "policy used"]
    assert names(plan_removal(aws, workload(), force=True)) == EVERYTHING


def test_role_with_a_listed_trust_policy_for_the_cluster_is_deleted() -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:RequestTag/eks-cluster-arn": CLUSTER_ARN}},
    }
    raw = workload(
        role={"name": "my-role", "trust_policy": {"Version": "2012-10-17", "Statement": [statement]}}
    )
    found = plan_removal(converged_account(raw), raw)
    assert names(found) == EVERYTHING
    assert codes(found) == []


def test_role_without_session_tags_needs_force() -> None:
    """Check that the policy of the role is kept as well, and that no remedy suggests deleting a role that may have users."""
    aws = converged_account(workload(disable_session_tags=True))
    findings = plan_removal(aws, workload(disable_session_tags=True)).findings
    assert codes_and_reasons(findings) == ["role perhaps used", "policy used"]
    assert findings[1].remedy == POLICY_REMEDY


def let_in_ec2(aws: FakeAws) -> None:
    role = aws.iam.roles["my-role"]
    trust = json.loads(role["trust"])
    trust["Statement"] += TRUST_EC2["Statement"]
    role["trust"] = json.dumps(trust)


def test_role_with_other_principals_keeps_its_policies() -> None:
    aws = converged_account(workload())
    let_in_ec2(aws)
    found = plan_removal(aws, workload())
    assert names(found) == [*EVERYTHING[:1], "update trust_policy my-role"]
    assert found.findings[0].message == (
        f"role {role_arn('my-role')} is kept: it is still used by ec2.amazonaws.com (by the trust policy)."
    )
    assert found.changes[1].after == {"trust_policy": TRUST_EC2}


def test_run_keeps_and_reports_other_principals() -> None:
    aws = converged_account(workload())
    let_in_ec2(aws)
    found = plan(aws, desired(workload(), workload("two")))
    trust: Any = next(change.after for change in found.changes if change.target.resource == "trust_policy")
    assert trust["trust_policy"]["Statement"][0] == TRUST_EC2["Statement"][0]
    assert [
        (finding.code, finding.severity, finding.message, finding.remedy) for finding in found.findings
    ] == [
        (
            "TRUST_STATEMENT_FOREIGN",
            "info",
            "the trust policy of role my-role also allows principals that are not part of the role's configuration: "
            "ec2.amazonaws.com. Statements that this collection did not write are kept.",
            "Remove those statements from the trust policy if they are unused, or set the whole trust policy "
            "as role.trust_policy.",
        )
    ]


def test_unreadable_association_keeps_the_role() -> None:
    aws = FakeAws()
    # The unmanaged association is the first in the list, so it is the association that cannot be read.
    create_association(aws, "two", "my-role", namespace="batch")
    assert run(aws, desired(workload())).failures == ()
    aws.fail_on("eks:DescribePodIdentityAssociation", DENIED)
    found = plan_removal(aws, workload())
    assert names(found) == []
    (failure,) = found.failures
    assert (failure.workloads, failure.target.resource, failure.target.full_name, failure.action) == (
        (APP,),
        "role",
        "my-role",
        "delete",
    )
    assert failure.error_code == "AccessDenied"
    assert failure.message == (
        "association batch/two could not be read, so it is not known whether it uses role "
        f"{role_arn('my-role')}: x: User is not authorized"
    )
    assert failure.remedy == DENIED.remedy


def test_unlistable_associations_keep_everything() -> None:
    aws = converged_account(workload())
    aws.fail_on("eks:ListPodIdentityAssociations", DENIED)
    found = plan_removal(aws, workload())
    assert names(found) == []
    assert [(failure.target.resource, failure.target.full_name) for failure in found.failures] == [
        ("associations", "my-cluster")
    ]


@pytest.mark.parametrize(
    "operation",
    [
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:GetPolicy",
        "iam:ListPolicyVersions",
        "iam:ListEntitiesForPolicy",
    ],
)
def test_failed_read_keeps_the_resources_of_the_workload(operation: str) -> None:
    aws = converged_account(workload())
    aws.fail_on(operation, DENIED)
    found = plan_removal(aws, workload())
    assert names(found) == []
    assert [failure.error_code for failure in found.failures] == ["AccessDenied"]


def test_reads_all_pages_of_policy_users() -> None:
    aws = converged_account(workload())
    whole = aws.iam.ListEntitiesForPolicy

    def in_pages(parameters: Any) -> dict[str, Any]:
        if "Marker" not in parameters:
            return {
                "PolicyRoles": [],
                "PolicyUsers": [],
                "PolicyGroups": [],
                "IsTruncated": True,
                "Marker": "m",
            }
        return {**whole({"PolicyArn": parameters["PolicyArn"]}), "PolicyUsers": [{"UserName": "ann"}]}

    aws.replace("iam:ListEntitiesForPolicy", in_pages)
    assert codes(plan_removal(aws, workload())) == ["policy used"]
    assert aws.parameters("iam:ListEntitiesForPolicy")[-1] == {"PolicyArn": MINE, "Marker": "m"}


def test_target_role_of_another_association_is_kept() -> None:
    chained = workload("other", role={"name": "other"}, target_role_arn=role_arn("my-role"))
    raw = workload(role={"name": "my-role", "trust_policy": TRUST_BARE})
    aws = converged_account(raw, chained)
    found = plan_removal(aws, raw)
    assert "role used" in codes(found)
    assert "delete role my-role" not in names(found)


@pytest.mark.parametrize(
    "more", [{"Marker": "same"}, {}], ids=["the same page again", "no token for the next page"]
)
def test_policy_with_endless_pages_of_users_is_kept(more: dict[str, str]) -> None:
    aws = converged_account(workload())

    def answer(_parameters: Any) -> dict[str, Any]:
        assert len(aws.parameters("iam:ListEntitiesForPolicy")) < 100
        return {"PolicyRoles": [], "PolicyUsers": [], "PolicyGroups": [], "IsTruncated": True, **more}

    aws.replace("iam:ListEntitiesForPolicy", answer)
    found = plan_removal(aws, workload())
    assert names(found) == []
    assert [failure.error_code for failure in found.failures] == ["MalformedAnswer"]


# Tests of resources of other owners


@pytest.mark.parametrize(
    ("tags", "this_run"),
    [({OWNER_TAG: "b"}, "this run is for owner 'b'"), ({}, "this run has no owner")],
)
def test_resources_of_another_owner_are_kept(tags: dict[str, str], this_run: str) -> None:
    aws = FakeAws()
    run(aws, desired(workload(), tags={OWNER_TAG: "a"}))
    initial = aws.state()
    outcome = run(aws, desired(workload(), tags=tags), "absent")
    assert aws.state() == initial
    assert [(failure.target.label, failure.action, failure.error_code) for failure in outcome.failures] == [
        ("association default/app", "delete", "NOT_OWNED")
    ]
    assert [(finding.code, finding.message, finding.remedy) for finding in outcome.findings] == [
        (
            "RESOURCE_KEPT",
            f"{name} belongs to owner 'a', and {this_run}, so it is kept.",
            "Remove it in a run for owner 'a', or set ⟨adopt⟩: true.",
        )
        for name in ("role my-role", f"policy {policy_arn('my-policy')}")
    ]
    assert run(aws, desired(workload(), tags=tags, adopt=True), "absent").failures == ()
    assert aws.state() == FakeAws().state()


def test_role_of_another_owner_is_kept_without_the_association() -> None:
    aws = FakeAws()
    run(aws, desired(workload(), tags={OWNER_TAG: "a"}))
    (association,) = aws.eks.associations.values()
    association["tags"][OWNER_TAG] = "b"
    outcome = run(aws, desired(workload(), tags={OWNER_TAG: "b"}), "absent")
    assert [named(done.change) for done in outcome.done] == ["delete association default/app"]
    assert outcome.failures == ()
    assert codes_and_reasons(outcome.findings) == ["role of another owner", "policy of another owner"]


def test_role_with_a_user_in_another_letter_case_is_kept() -> None:
    aws = converged_account(workload())
    create_association(aws, "other", "elsewhere", targetRoleArn=role_arn("My-Role"))
    assert codes(plan_removal(aws, workload())) == ["role used", "policy used"]


def test_role_without_its_tag_is_kept_and_reported() -> None:
    aws = converged_account(workload())
    aws.iam.roles["my-role"]["tags"] = {}
    aws.iam.policies[MINE]["tags"] = {}
    outcome = run(aws, desired(workload(), state="absent"), "absent")
    assert [named(applied.change) for applied in outcome.done] == ["delete association default/app"]
    restore = (
        "If this collection created it, restore the tag workload-identity/managed-by (workload_identity.aws) and run again; "
        "otherwise no action is needed."
    )
    assert [(finding.severity, finding.message, finding.remedy) for finding in outcome.findings] == [
        (
            "info",
            f"{kind} {arn} is kept: it does not have the tag workload-identity/managed-by, so this collection may not have "
            "created it.",
            restore,
        )
        for kind, arn in (("role", role_arn("my-role")), ("policy", MINE))
    ]


def test_verification_reports_other_principals() -> None:
    aws = converged_account(workload())
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"] += TRUST_EC2["Statement"]
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    spec = desired(workload())
    (verified,) = verify(
        spec, engine(aws, spec).observe(spec), VerificationReads({CLUSTER: Agent("ACTIVE", "v1")})
    )
    assert [str(finding.code) for finding in verified.findings] == ["TRUST_STATEMENT_FOREIGN"]
    assert verified.status == "pass"
