# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whole runs: concurrent changes, propagation delays and partial failures."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import ROUNDS
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    REGION,
    TRUST_BARE,
    Clock,
    FakeAws,
    Raw,
    create_association,
    create_role,
    desired,
    named,
    plan,
    policy_arn,
    role_arn,
    run,
    workload,
)
from sandbox.aws.model.tables import encoded

ALL = [
    f"create policy {policy_arn('my-policy')}",
    "create role my-role",
    f"attach attachment my-role {policy_arn('my-policy')}",
    "create association default/app",
]


def test_repeated_conflicts_fail() -> None:
    aws = FakeAws()
    busy = classify(
        "eks:CreatePodIdentityAssociation", "ResourceInUseException", "Association already exists: a-9"
    )
    aws.fail_on("eks:CreatePodIdentityAssociation", *[busy] * 9)
    outcome = run(aws, desired(workload()))
    assert len(aws.parameters("eks:CreatePodIdentityAssociation")) == ROUNDS
    assert [named(done.change) for done in outcome.done] == ALL[:3]
    assert [(failure.error_code, failure.message) for failure in outcome.failures] == [
        ("ResourceInUseException", "eks:CreatePodIdentityAssociation: Association already exists: a-9")
    ]


def test_conflict_of_one_workload_does_not_retry_another() -> None:
    aws = FakeAws()
    aws.before_request("eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "my-role"))
    denied = classify("iam:AttachRolePolicy", "AccessDenied", "No.")
    aws.fail_on("iam:AttachRolePolicy", *[denied] * 99)
    run(aws, desired(workload(policies=[]), workload("two", role={"name": "two"})))
    assert len(aws.parameters("iam:AttachRolePolicy")) == 1


def test_role_is_kept_if_its_trust_policy_cannot_be_read_again() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    denied = classify("iam:GetRole", "AccessDenied", "No.")
    aws.before_request("eks:DeletePodIdentityAssociation", lambda: aws.fail_on("iam:GetRole", *[denied] * 9))
    outcome = run(aws, desired(workload()), "absent")
    assert {"iam:DetachRolePolicy", "iam:DeleteRole"}.isdisjoint(aws.writes)
    assert "iam:GetRole: No." in {failure.message for failure in outcome.failures}


def test_waits_for_a_young_role_with_another_path() -> None:
    aws, clock = FakeAws(), Clock()
    create_role(aws, "my-role", TRUST_BARE, Path="/team/")
    aws.eks.role_changed("my-role")
    aws.eks.waits["my-role"] = 1
    assert run(aws, desired(workload(policies=[])), clock=clock).failures == ()
    assert [row["roleArn"] for row in aws.state()["associations"]] == [role_arn("team/my-role")]


ONE_PAGE: Raw = {"clusterName": CLUSTER}
NEXT_PAGE = ONE_PAGE | {"nextToken": encoded(f"{99:012d}")}


def filtered(service_account: str) -> Raw:
    return ONE_PAGE | {"namespace": "default", "serviceAccount": service_account}


@pytest.mark.parametrize(
    ("associations", "workloads", "requests"),
    [
        pytest.param(0, ["s0", "s1", "s2"], [ONE_PAGE], id="few workloads, no association"),
        pytest.param(100, ["s0", "s1", "s2"], [ONE_PAGE], id="few workloads, one page"),
        pytest.param(150, ["s0", "s1"], [ONE_PAGE], id="few workloads, all on the first of two pages"),
        pytest.param(150, ["s0", "s140"], [ONE_PAGE, filtered("s140")], id="one is not on the first page"),
        pytest.param(150, ["new"], [ONE_PAGE, filtered("new")], id="one without association"),
        pytest.param(0, ["s0", "s1", "s2", "s3"], [ONE_PAGE], id="many workloads"),
        pytest.param(150, ["s0", "s1", "s2", "s3"], [ONE_PAGE, NEXT_PAGE], id="many workloads, two pages"),
        pytest.param(150, [], [ONE_PAGE], id="no workload"),
    ],
)
def test_list_requests_depend_on_the_number_of_workloads(
    associations: int, workloads: list[str], requests: list[Raw]
) -> None:
    aws = FakeAws()
    aws.eks.page_size = 100
    for number in range(associations):
        create_association(aws, f"s{number}", "x")
    plan(aws, desired(*map(workload, workloads)))
    assert aws.parameters("eks:ListPodIdentityAssociations") == requests


@pytest.mark.parametrize("workloads", [1, 4])
@pytest.mark.parametrize(("unlisted", "described"), [(0, 0), (1, 1), (10, 10), (50, 10)])
def test_describes_up_to_ten_unlisted_associations(workloads: int, unlisted: int, described: int) -> None:
    aws = FakeAws()
    for number in range(unlisted):
        create_association(aws, f"theirs{number}", "x")
    plan(aws, desired(*[workload(f"s{number}") for number in range(workloads)]))
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == described


# Tests of the reads of the cluster


def test_missing_cluster_fails_with_account_and_region() -> None:
    with pytest.raises(AwsError) as caught:
        find_cluster(FakeAws(), "gone", REGION)
    assert str(caught.value) == (
        "eks:DescribeCluster: ResourceNotFoundException: No cluster found for name: gone. Requested in account "
        f"{ACCOUNT}, region {REGION}, as arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session."
    )
    assert caught.value.remedy == "Check the name of the cluster, the account and the region."


@pytest.mark.parametrize("state", ["present", "absent"])
def test_credentials_of_another_account_fail_before_any_eks_request(state: str) -> None:
    aws = FakeAws()
    assert find_cluster(aws, CLUSTER, REGION, state, ACCOUNT).account_id == ACCOUNT
    aws.requests.clear()
    with pytest.raises(AwsError) as caught:
        find_cluster(aws, CLUSTER, REGION, state, "444455556666")
    assert [name for name, _parameters in aws.requests] == ["sts:GetCallerIdentity"]
    assert aws_failure(caught.value, REGION, "pod_identity_") == {
        "msg": f"sts:GetCallerIdentity: ACCOUNT_DIFFERS: cluster {CLUSTER} (region {REGION}) is expected in account "
        "444455556666 (pod_identity_account_id), but the credentials belong to account 111122223333: "
        "arn:aws:sts::111122223333:assumed-role/deployer/session. Use credentials of account 444455556666: another profile, "
        "another AWS credential of the job template, or pod_identity_assume_role_arn with a role of that account. If the "
        "account ID is wrong, correct pod_identity_account_id. Nothing was changed.",
        "error_code": "ACCOUNT_DIFFERS",
        "remedy": "Use credentials of account 444455556666: another profile, another AWS credential of the job template, or "
        "pod_identity_assume_role_arn with a role of that account. If the account ID is wrong, correct "
        "pod_identity_account_id.",
    }


def test_removal_does_not_need_the_cluster() -> None:
    found = find_cluster(FakeAws(), "gone", REGION, "absent")
    assert (found.arn, found.status) == (f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/gone", "")


@pytest.mark.parametrize("status", ["CREATING", "DELETING", "FAILED", "PENDING"])
def test_inactive_cluster_fails(status: str) -> None:
    aws = FakeAws()
    aws.eks.clusters[CLUSTER]["status"] = status
    with pytest.raises(AwsError) as caught:
        find_cluster(aws, CLUSTER, REGION)
    assert str(caught.value) == (
        f"eks:DescribeCluster: ClusterNotActive: cluster {CLUSTER} (account {ACCOUNT}, region {REGION}) is {status}."
    )
    assert caught.value.remedy == (
        "Wait until the cluster is ACTIVE, or find out in the EKS console why it is not."
    )
    assert find_cluster(aws, CLUSTER, REGION, "absent").status == status


def test_other_cluster_errors_are_raised() -> None:
    aws = FakeAws()
    aws.fail_on("eks:DescribeCluster", classify("eks:DescribeCluster", "AccessDeniedException", "No."))
    with pytest.raises(AwsError, match="AccessDeniedException"):
        find_cluster(aws, CLUSTER, REGION, "absent")
