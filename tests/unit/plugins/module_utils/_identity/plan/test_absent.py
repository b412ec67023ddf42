# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the plan of a teardown: it deletes managed resources without other users, and reports why it keeps a resource."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    OWNED,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    agent,
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


def test_policy_attached_to_another_role_is_kept() -> None:
    aws = converged_account(workload(), workload("two", role={"name": "other"}))
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[:3]
    assert [finding.message for finding in found.findings] == [
        f"policy {MINE} is kept: it is still used by role other."
    ]


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


def test_existing_role_is_not_deleted_despite_its_tag() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_BARE, tags=OWNED)
    assert names(plan_removal(aws, existing())) == []


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


def let_in_ec2(aws: FakeAws) -> None:
    role = aws.iam.roles["my-role"]
    trust = json.loads(role["trust"])
    trust["Statement"] += TRUST_EC2["Statement"]
    role["trust"] = json.dumps(trust)


def test_unlistable_associations_keep_everything() -> None:
    aws = converged_account(workload())
    aws.fail_on("eks:ListPodIdentityAssociations", DENIED)
    found = plan_removal(aws, workload())
    assert names(found) == []
    assert [(failure.target.resource, failure.target.full_name) for failure in found.failures] == [
        ("associations", "my-cluster")
    ]


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


# Tests of resources of other owners


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
    (verified,) = verify(spec, engine(aws, spec).observer().observe(spec), VerificationReads(agent()))
    assert [str(finding.code) for finding in verified.findings] == ["TRUST_STATEMENT_FOREIGN"]
    assert verified.status == "pass"
