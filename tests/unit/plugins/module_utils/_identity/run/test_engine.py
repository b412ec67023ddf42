# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test whole runs: concurrent changes, propagation delays and partial failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_failure,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import ROUNDS, Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OWNED,
    OWNER,
    REGION,
    TRUST_BARE,
    Clock,
    FakeAws,
    Raw,
    create_association,
    create_policy,
    create_role,
    desired,
    engine,
    key,
    named,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    wait_policy,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    CREATED,
)

ALL = [
    f"create policy {policy_arn('my-policy')}",
    "create role my-role",
    f"attach attachment my-role {policy_arn('my-policy')}",
    "create association default/app",
]
DENIED = classify("eks:CreatePodIdentityAssociation", "AccessDeniedException", "Not allowed")


def test_run_without_conflicts_takes_one_attempt() -> None:
    aws, clock = FakeAws(), Clock()
    outcome = run(aws, desired(workload()), clock=clock)
    assert [named(done.change) for done in outcome.done] == ALL
    assert (outcome.failures, outcome.findings, outcome.check_mode, clock.pauses) == ((), (), False, [])
    assert len(aws.parameters("iam:GetRole")) == 1


def test_check_mode_plans_the_same_changes_without_writes() -> None:
    aws = FakeAws()
    checked = engine(aws, desired(workload())).run(desired(workload()), "present", check_mode=True)
    assert [named(change) for change in checked.plan.changes] == ALL
    assert (checked.done, checked.check_mode, aws.writes) == ((), True, [])


def test_concurrently_created_association_is_converged() -> None:
    aws, clock = FakeAws(), Clock()
    create_role(aws, "other", TRUST_BARE)
    aws.before_request(
        "eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "other", tags=OWNED)
    )
    outcome = run(aws, desired(workload()), clock=clock)
    assert [named(done.change) for done in outcome.done] == [*ALL[:3], "update association default/app"]
    assert outcome.failures == ()
    assert clock.pauses == [0.5]
    assert [association["roleArn"] for association in aws.state()["associations"]] == [role_arn("my-role")]


def test_role_deleted_before_its_boundary_is_created_again() -> None:
    aws = FakeAws()
    boundary = create_policy(aws, "boundary")
    run(aws, desired(workload(role={"name": "my-role", "permissions_boundary": boundary})))
    aws.before_request("iam:DeleteRolePermissionsBoundary", lambda: aws.iam.roles.pop("my-role"))
    outcome = run(aws, desired(workload(role={"name": "my-role", "permissions_boundary": ""})))
    assert outcome.failures == ()
    assert "create role my-role" in [named(done.change) for done in outcome.done]
    assert "my-role" in aws.iam.roles


def test_association_deleted_before_untagging_is_created_again() -> None:
    aws = FakeAws()
    run(aws, desired(workload(tags={"team": "a"})))
    aws.before_request("eks:UntagResource", lambda: aws.eks.associations.clear())
    outcome = run(aws, desired(workload(), purge_tags=True))
    assert outcome.failures == ()
    assert "create association default/app" in [named(done.change) for done in outcome.done]
    assert len(aws.state()["associations"]) == 1


def test_identical_concurrent_association_is_not_a_change() -> None:
    aws = FakeAws()
    aws.before_request(
        "eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "my-role", tags=OWNED)
    )
    outcome = run(aws, desired(workload()))
    assert [named(done.change) for done in outcome.done] == ALL[:3]
    assert outcome.failures == ()


def test_concurrently_created_role_is_not_adopted() -> None:
    aws = FakeAws()
    aws.before_request("iam:CreateRole", lambda: create_role(aws, "my-role"))
    outcome = run(aws, desired(workload()))
    assert [named(done.change) for done in outcome.done] == ALL[:1]
    assert [failure.error_code for failure in outcome.failures] == ["NOT_OWNED"]


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


def test_conflict_does_not_hide_other_failures() -> None:
    aws = FakeAws()
    aws.before_request("eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "my-role"))
    aws.fail_on("iam:AttachRolePolicy", *[classify("iam:AttachRolePolicy", "AccessDenied", "No.")] * 9)
    raw = [
        workload(policies=[]),
        workload("two", role={"name": "two"}),
    ]
    outcome = run(aws, desired(*raw))
    assert [(failure.error_code, failure.target.full_name) for failure in outcome.failures] == [
        ("AccessDenied", f"two {policy_arn('my-policy')}"),
        ("SKIPPED", "default/two"),
    ]


def test_another_document_of_a_policy_under_another_path_fails() -> None:
    aws = FakeAws()
    create_policy(aws, "my-policy", "s3:PutObject", path="/team/")
    outcome = run(aws, desired(workload()))
    causes = [failure for failure in outcome.failures if failure.error_code != "SKIPPED"]
    assert [(failure.error_code, failure.target.name) for failure in causes] == [
        ("NOT_OWNED", "arn:aws:iam::111122223333:policy/team/my-policy")
    ]
    assert aws.state()["associations"] == []


@pytest.mark.parametrize("lag", [1, 4])
def test_waits_for_a_new_role(lag: int) -> None:
    aws, clock = FakeAws(), Clock()
    aws.eks.lag = lag
    outcome = run(aws, desired(workload()), clock=clock)
    assert outcome.failures == ()
    assert clock.pauses == [0.5, 1, 2, 4][:lag]


def test_waits_for_a_changed_trust_policy() -> None:
    aws, clock = FakeAws(), Clock()
    run(aws, desired(workload()))
    aws.eks.lag = 2
    outcome = run(aws, desired(workload(disable_session_tags=True)), clock=clock)
    assert outcome.failures == ()
    assert clock.pauses[:2] == [0.5, 1]


def test_waits_for_a_role_of_an_earlier_attempt() -> None:
    aws, clock = FakeAws(), Clock()
    aws.eks.lag = 2
    aws.before_request(
        "eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "other", tags=OWNED)
    )
    outcome = run(aws, desired(workload()), clock=clock)
    assert outcome.failures == ()
    assert [named(done.change) for done in outcome.done] == [*ALL[:3], "update association default/app"]
    # The first pause precedes the second attempt. In the other pauses, the run waits until EKS sees the role.
    assert clock.pauses == [0.5, 0.5, 1]


def test_invisible_role_fails_after_the_timeout() -> None:
    aws, clock = FakeAws(), Clock()
    aws.eks.lag = 1000
    outcome = run(aws, desired(workload()), clock=clock)
    (failure,) = outcome.failures
    assert failure.message == (
        "eks:CreatePodIdentityAssociation: Role provided in the request does not exist "
        "(still refused after 60 s)"
    )
    assert failure.remedy == (
        "Check the role's ARN and account. A new role may take some seconds to become visible to EKS: run again."
    )
    assert sum(clock.pauses) <= 60


def test_waits_for_a_new_role_of_an_earlier_run() -> None:
    aws, clock = FakeAws(), Clock()
    aws.fail_on("eks:CreatePodIdentityAssociation", DENIED)
    run(aws, desired(workload()))
    aws.iam.roles["my-role"]["CreateDate"] = datetime.now(timezone.utc)
    aws.eks.waits["my-role"] = 3
    outcome = run(aws, desired(workload()), clock=clock)
    assert outcome.failures == ()
    assert [named(done.change) for done in outcome.done] == ALL[3:]
    # The first pause precedes the second attempt. In the other pauses, the run waits until EKS sees the role.
    assert clock.pauses == [0.5, 0.5, 1]


def test_conflict_of_one_workload_does_not_retry_another() -> None:
    aws = FakeAws()
    aws.before_request("eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "my-role"))
    denied = classify("iam:AttachRolePolicy", "AccessDenied", "No.")
    aws.fail_on("iam:AttachRolePolicy", *[denied] * 99)
    run(aws, desired(workload(policies=[]), workload("two", role={"name": "two"})))
    assert len(aws.parameters("iam:AttachRolePolicy")) == 1


def test_creation_with_a_lost_response_is_a_change() -> None:
    usual = FakeAws()
    usual_run = engine(usual, desired(workload()))
    usual.requests.clear()
    usual_run.run(desired(workload()), "present", check_mode=False)
    number = [name for name, _parameters in usual.requests].index("iam:CreateRole") + 1

    aws = FakeAws()
    lossy_run = engine(aws, desired(workload()))
    conflict = classify("iam:CreateRole", "EntityAlreadyExists", "Exists.", outcome_unknown=True)
    aws.fail_at(number, conflict, took_effect=True)
    outcome = lossy_run.run(desired(workload()), "present", check_mode=False)
    assert outcome.failures == ()
    assert sorted(named(done.change) for done in outcome.done) == sorted(ALL)
    assert len(aws.parameters("iam:CreateRole")) == 1


def test_policy_deleted_since_the_read_is_created_again() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    aws.before_request("iam:AttachRolePolicy", lambda: aws.iam.policies.pop(policy_arn("my-policy")))
    outcome = run(aws, desired(workload("two", role={"name": "two"})))
    assert outcome.failures == ()
    assert [named(done.change) for done in outcome.done] == [
        ALL[0],
        "create role two",
        f"attach attachment two {policy_arn('my-policy')}",
        "create association default/two",
    ]


def test_missing_resource_is_retried_once() -> None:
    aws = FakeAws()
    missing = classify("iam:UpdateAssumeRolePolicy", "NoSuchEntity", "No role.")
    run(aws, desired(workload()))
    aws.fail_on("iam:UpdateAssumeRolePolicy", *[missing] * 9)
    outcome = run(aws, desired(workload(disable_session_tags=True)))
    assert [failure.error_code for failure in outcome.failures] == ["NoSuchEntity", "SKIPPED"]
    assert len(aws.parameters("iam:UpdateAssumeRolePolicy")) == 2


def test_does_not_wait_for_an_old_role() -> None:
    aws, clock = FakeAws(), Clock()
    create_role(aws, "old", TRUST_BARE)
    aws.eks.role_changed("old")
    aws.eks.waits["old"] = 1
    later = {"ResponseMetadata": {"HTTPHeaders": {"date": "Tue, 24 Nov 2026 11:00:00 GMT"}}}
    role = aws.iam.GetRole({"RoleName": "old"})
    aws.replace("iam:GetRole", lambda _asked: {**role, **later})
    outcome = run(aws, desired(workload(role={"arn": role_arn("old")}, policies=[])), clock=clock)
    assert [failure.error_code for failure in outcome.failures] == ["InvalidParameterException"]
    assert clock.pauses == []


def test_rerun_completes_the_missing_changes() -> None:
    aws = FakeAws()
    aws.fail_on("eks:CreatePodIdentityAssociation", DENIED)
    assert [failure.error_code for failure in run(aws, desired(workload())).failures] == [
        "AccessDeniedException"
    ]
    again = run(aws, desired(workload()))
    assert [named(done.change) for done in again.done] == ALL[3:]


def test_reads_each_resource_once() -> None:
    aws = FakeAws()
    raw = [workload("one"), workload("two"), workload("three", role={"name": "other"})]
    run(aws, desired(*raw))
    aws.requests.clear()
    assert names(plan(aws, desired(*raw))) == []
    reads = [(name, str(parameters)) for name, parameters in aws.requests]
    assert len(set(reads)) == len(reads)


ONE_PAGE: Raw = {"clusterName": CLUSTER}
NEXT_PAGE = ONE_PAGE | {"nextToken": "100"}


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


def test_does_not_describe_associations_of_addons() -> None:
    aws = FakeAws()
    for number in range(3):
        create_association(
            aws, f"addon{number}", "x", ownerArn="arn:aws:eks:us-west-2:111122223333:addon/x/y/z"
        )
    assert plan(aws, desired(workload())).findings == ()
    assert aws.parameters("eks:DescribePodIdentityAssociation") == []


def test_describes_unlisted_associations_in_listed_namespaces_first() -> None:
    aws = FakeAws()
    for number in range(20):
        create_association(aws, f"other{number}", "x", "a-namespace")
    identifier = create_association(aws, "gone", "x")
    plan(aws, desired(workload()))
    first, *_rest = aws.parameters("eks:DescribePodIdentityAssociation")
    assert first == {"clusterName": CLUSTER, "associationId": identifier}


def test_observe_after_does_not_read_unlisted_associations() -> None:
    aws = FakeAws()
    create_association(aws, "theirs", "x")
    assert run(aws, desired(workload())).failures == ()
    aws.requests.clear()
    spec = desired(workload(policies=[policy("other")]))
    done = engine(aws, spec)
    done.observe_after(done.run(spec, "present", check_mode=False))
    requests = aws.parameters("eks:ListPodIdentityAssociations")
    assert requests == [ONE_PAGE, filtered("app")]
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 2


SHARED_ROLE: Raw = {"role": {"name": "shared"}, "policies": None}


def grants_without_association(aws: FakeAws, *service_accounts: str) -> None:
    """Create a role "shared" that trusts "app" and these service accounts. Delete all associations except the one of "app"."""
    shared = [workload(name, **SHARED_ROLE) for name in ("app", *service_accounts)]
    assert run(aws, desired(*shared)).failures == ()
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] == "app"
    }
    aws.requests.clear()


def reported(run_: Run) -> list[tuple[str, str, str]]:
    return [(finding.code, finding.severity, str(finding.workload)) for finding in run_.findings]


@pytest.mark.parametrize("check_mode", [False, True])
def test_reports_a_grant_without_association(check_mode: bool) -> None:
    aws = FakeAws()
    grants_without_association(aws, "gone")
    spec = desired(workload(**SHARED_ROLE))
    done = engine(aws, spec).run(spec, "present", check_mode)
    (finding,) = done.findings
    place = f"cluster {CLUSTER} (account {ACCOUNT}, region {REGION})"
    assert (finding.code, finding.severity, finding.workload) == (
        "TRUST_WITHOUT_ASSOCIATION",
        "warning",
        key("gone"),
    )
    assert finding.message == (
        f"the trust policy of role {role_arn('shared')} allows default/gone, which is not in the list and has no association "
        f"with {place}."
    )
    assert finding.remedy == (
        "If another run is about to create the association, no action is needed. Otherwise revoke the "
        "grant: run for this cluster alone, either with ⟨purge⟩: true, or with ⟨state⟩: absent and only that workload with "
        "this role. To look for an "
        "association: aws eks list-pod-identity-associations --cluster-name my-cluster --namespace default --service-account "
        "gone --region us-west-2"
    )
    # The second request lists only the associations of the workload.
    assert aws.parameters("eks:ListPodIdentityAssociations") == [ONE_PAGE, filtered("gone")]


def test_does_not_report_grants_with_associations_on_later_pages() -> None:
    aws = FakeAws()
    grants_without_association(aws, "gone", "there")
    for number in range(120):
        create_association(
            aws, f"s{number:03}", "x", ownerArn="arn:aws:eks:us-west-2:111122223333:addon/x/y/z"
        )
    create_association(aws, "there", "shared", tags=OWNED)
    aws.eks.page_size = 100
    done = run(aws, desired(workload(**SHARED_ROLE)))
    assert reported(done) == [("TRUST_WITHOUT_ASSOCIATION", "warning", "default/gone")]


def test_does_not_report_a_grant_with_a_concurrent_association() -> None:
    aws = FakeAws()
    grants_without_association(aws, "soon")
    aws.before_request("iam:GetRole", lambda: create_association(aws, "soon", "shared", tags=OWNED))
    assert run(aws, desired(workload(**SHARED_ROLE))).findings == ()


@pytest.mark.parametrize(
    ("tags", "owner", "role"),
    [
        pytest.param(OWNED | {OWNER_TAG: "y"}, "x", {}, id="a role of another owner"),
        pytest.param(OWNED, OWNER, {"trust_scope": "namespace"}, id="a grant for the namespace"),
    ],
)
def test_does_not_report_unrelated_grants(tags: dict[str, str], owner: str, role: Raw) -> None:
    aws = FakeAws()
    named = SHARED_ROLE["role"] | role
    assert run(aws, desired(workload(role=named), workload("gone", role=named))).failures == ()
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] == "app"
    }
    aws.iam.roles["shared"]["tags"] = tags
    as_it_is = {"role": {"arn": role_arn("shared")}, "policies": None}
    spec = desired(workload(**as_it_is), owner=owner)
    assert engine(aws, spec).run(spec, "present", check_mode=False).findings == ()


def test_does_not_report_grants_of_a_whole_trust_policy() -> None:
    aws = FakeAws()
    grants_without_association(aws, "gone")
    whole = {"name": "shared", "trust_policy": json.loads(aws.iam.roles["shared"]["trust"])}
    assert run(aws, desired(workload(role=whole, policies=None))).findings == ()


def test_checks_up_to_ten_grants_without_association() -> None:
    aws = FakeAws()
    grants_without_association(aws, *(f"gone{number:02}" for number in range(12)))
    done = run(aws, desired(workload(**SHARED_ROLE)))
    assert len(done.findings) == 10
    assert len(aws.parameters("eks:ListPodIdentityAssociations")) == 1 + 10


@pytest.mark.parametrize(("minutes", "findings"), [(4, 0), (6, 1)])
def test_does_not_report_grants_of_a_new_role(minutes: int, findings: int) -> None:
    aws = FakeAws()
    grants_without_association(aws, "gone")
    spec = desired(workload(**SHARED_ROLE))
    runner = engine(aws, spec)
    cluster = replace(runner.cluster, answered_at=CREATED + timedelta(minutes=minutes))
    runner = replace(runner, cluster=cluster)
    assert len(runner.run(spec, "present", check_mode=True).findings) == findings


def test_unverifiable_grant_is_not_reported() -> None:
    aws = FakeAws()
    grants_without_association(aws, "gone")

    def deny(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if "namespace" in parameters:
            raise classify("eks:ListPodIdentityAssociations", "AccessDeniedException", "Not allowed")
        return aws.eks.ListPodIdentityAssociations(parameters)

    aws.replace("eks:ListPodIdentityAssociations", deny)
    assert run(aws, desired(workload(**SHARED_ROLE))).findings == ()


def test_removal_does_not_report_unlisted_associations() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    create_association(aws, "theirs", "x")
    assert run(aws, desired(workload(), state="absent"), "absent").findings == ()


def test_result_is_independent_of_concurrency() -> None:
    raw = [workload(f"s{number}", role={"name": f"r{number % 5}"}) for number in range(12)]
    serial, many = FakeAws(), FakeAws()
    run(serial, desired(*raw))
    cluster = find_cluster(many, CLUSTER, REGION)
    outcome = Engine(many, cluster, 8, wait_policy()).run(desired(*raw), "present", check_mode=False)
    assert outcome.failures == ()
    assert many.state() == serial.state()


# Tests of the reads of the cluster


def test_find_cluster_returns_cluster_and_account() -> None:
    found = find_cluster(FakeAws(), CLUSTER, "")
    assert (found.arn, found.account_id, found.region, found.partition, found.status) == (
        CLUSTER_ARN,
        ACCOUNT,
        REGION,
        "aws",
        "ACTIVE",
    )
    assert found.caller_arn == f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/session"


def at_the_same_time(aws: FakeAws, *names: str) -> None:
    """Let the next requests of these operations wait for each other. They complete only if they are sent concurrently."""
    meeting = threading.Barrier(len(names), timeout=20)
    for name in names:
        aws.before_request(name, meeting.wait)


def test_caller_and_cluster_are_read_concurrently() -> None:
    aws = FakeAws()
    at_the_same_time(aws, "sts:GetCallerIdentity", "eks:DescribeCluster")
    assert find_cluster(aws, CLUSTER, REGION).arn == CLUSTER_ARN


def test_error_of_the_caller_has_priority_over_the_cluster() -> None:
    aws = FakeAws()
    for name in ("sts:GetCallerIdentity", "eks:DescribeCluster"):
        aws.fail_on(name, classify(name, "AccessDenied", "No."))
    with pytest.raises(AwsError, match=r"^sts:GetCallerIdentity"):
        find_cluster(aws, CLUSTER, REGION)


def test_resources_of_a_workload_are_read_concurrently() -> None:
    aws = FakeAws()
    run(aws, spec := desired(workload()))
    present = replace(engine(aws, spec), width=4)
    at_the_same_time(
        aws,
        "eks:ListPodIdentityAssociations",
        "iam:GetRole",
        "iam:ListAttachedRolePolicies",
        "iam:GetPolicy",
    )
    observed = present.observer().observe(spec)
    assert observed.failures == ()
    aws.replace("eks:DescribeAddon", lambda _: {"addon": {"status": "ACTIVE"}})
    at_the_same_time(aws, "iam:ListRolePolicies", "eks:DescribeAddon")
    assert read_for_verification(aws, spec, observed, 4).inline == {"my-role": {}}


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
    aws.eks.clusters[CLUSTER] = status
    with pytest.raises(AwsError) as caught:
        find_cluster(aws, CLUSTER, REGION)
    assert str(caught.value) == (
        f"eks:DescribeCluster: ClusterNotActive: cluster {CLUSTER} (account {ACCOUNT}, region {REGION}) is "
        f"{status}."
    )
    assert caught.value.remedy == (
        "Wait until the cluster is ACTIVE, or find out in the EKS console why it is not."
    )
    assert find_cluster(aws, CLUSTER, REGION, "absent").status == status


def test_updating_cluster_is_accepted() -> None:
    aws = FakeAws()
    aws.eks.clusters[CLUSTER] = "UPDATING"
    assert find_cluster(aws, CLUSTER, REGION).status == "UPDATING"


def test_other_cluster_errors_are_raised() -> None:
    aws = FakeAws()
    aws.fail_on("eks:DescribeCluster", classify("eks:DescribeCluster", "AccessDeniedException", "No."))
    with pytest.raises(AwsError, match="AccessDeniedException"):
        find_cluster(aws, CLUSTER, REGION, "absent")


def test_observe_after_reads_only_changed_associations() -> None:
    aws = FakeAws()
    workloads = [workload("one"), workload("two"), workload("three"), workload("four")]
    run(aws, desired(*workloads))
    spec = desired(*workloads, workload("five"))
    outcome = run(aws, spec)
    aws.requests.clear()
    seen = engine(aws, spec).observe_after(outcome)
    assert sorted(key.service_account for key in seen.associations) == ["five", "four", "one", "three", "two"]
    new = seen.associations[spec.workloads[4].key].association_id
    assert [request["associationId"] for request in aws.parameters("eks:DescribePodIdentityAssociation")] == [
        new
    ]


def test_observe_after_reads_a_replaced_association() -> None:
    aws = FakeAws()
    workloads = [workload("one"), workload("two"), workload("three"), workload("four")]
    run(aws, desired(*workloads))
    spec = desired(*workloads, workload("five"))
    outcome = run(aws, spec)
    key = spec.workloads[0].key
    old = outcome.observed.associations[key]
    aws.call(
        "eks",
        "DeletePodIdentityAssociation",
        {"clusterName": CLUSTER, "associationId": old.association_id},
    )
    create_association(aws, "one", "other")
    seen = engine(aws, spec).observe_after(outcome)
    assert seen.associations[key].role_arn == role_arn("other")


def test_large_removal_in_bulk_equals_single_reads() -> None:
    aws = FakeAws()
    many = [workload(f"app-{number}", role={"name": f"role-{number}"}) for number in range(10)]
    run(aws, desired(*many))
    aws.requests.clear()
    spec = desired(*many, state="absent")
    planned = engine(aws, spec, "absent").run(spec, "absent", check_mode=True).plan
    assert aws.parameters("iam:GetRole") == []
    assert aws.parameters("iam:GetAccountAuthorizationDetails") == [{"Filter": ["Role"], "MaxItems": 1000}]
    aws.fail_on("iam:GetAccountAuthorizationDetails", classify("iam:X", "AccessDenied", "Not allowed"))
    again = engine(aws, spec, "absent").run(spec, "absent", check_mode=True).plan
    assert len(aws.parameters("iam:GetRole")) == 10
    assert again == planned


def test_large_run_detaches_a_policy_of_other_workloads() -> None:
    aws = FakeAws()
    many = [workload(f"app-{number}", role={"name": f"role-{number}"}) for number in range(20)]
    run(aws, desired(*many))
    # The bulk read of the empty account also shows that no policy has the listed name.
    assert aws.parameters("iam:ListPolicies") == []
    aws.requests.clear()
    outcome = run(aws, desired(*many[1:], {**many[0], "policies": []}))
    assert [named(applied.change) for applied in outcome.done] == [
        f"detach attachment role-0 {policy_arn('my-policy')}"
    ]
    assert (outcome.failures, outcome.findings) == ((), ())
    assert len(aws.parameters("iam:GetAccountAuthorizationDetails")) == 1
    assert len(aws.parameters("iam:GetPolicy")) == 1


def test_policy_with_an_unreadable_owner_is_kept_and_reported() -> None:
    aws = FakeAws()
    many = [workload(f"app-{number}", role={"name": f"role-{number}"}) for number in range(20)]
    run(aws, desired(*many))
    aws.fail_on("iam:GetPolicy", classify("iam:GetPolicy", "AccessDenied", "Not allowed"))
    outcome = run(aws, desired(*many[1:], {**many[0], "policies": []}))
    assert (outcome.done, outcome.failures) == ((), ())
    assert [(str(finding.workload), finding.message, finding.remedy) for finding in outcome.findings] == [
        (
            "default/app-0",
            f"role role-0 also has {policy_arn('my-policy')} attached, which is not part of the role's "
            "configuration. The policy's tags could not be read: iam:GetPolicy: AccessDenied: Not allowed.",
            "Allow the caller this action on this resource. A service control policy or a permissions boundary can also deny "
            "it. Or: list it under policies, detach it, or set ⟨purge_policies⟩: true, which detaches it "
            "unless others use the role.",
        )
    ]
