# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that unmanaged, invalid and unreadable resources cause a failure with a message, only for the workloads that use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Origin,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    OWNER_TAG,
    owner_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    association_target,
    policy_target,
    role_target,
    trust_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    trust_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER_ARN,
    OWNED,
    OWNER,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    create_association,
    create_policy,
    create_role,
    desired,
    document,
    key,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

APP = (key("app"),)
OLD = role_arn("old")
DENIED = classify("x", "AccessDenied", "User is not authorized")
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"


def existing(**more: Any) -> dict[str, Any]:
    return workload(role={"arn": OLD, **more}, policies=[])


UNMARKED = "exists without the tag workload-identity/managed-by, so this collection may not have created it."
TAKE_BACK = (
    "Use another name, or the existing resource by its ARN, or set ⟨adopt⟩: true to take it over (check mode with diff shows the "
    "changes)."
)


def conditional() -> dict[str, Any]:
    statement = {
        **TRUST_BARE["Statement"][0],
        "Condition": {"StringEquals": {"aws:SourceOrgId": "o-example"}},
    }
    return {**TRUST_BARE, "Statement": [statement]}


def account(prepare: Callable[[FakeAws], object]) -> FakeAws:
    aws = FakeAws()
    prepare(aws)
    return aws


@pytest.mark.parametrize(
    ("prepare", "raw", "failure"),
    [
        pytest.param(
            lambda aws: create_role(aws, "my-role", TRUST_EC2),
            workload(policies=[]),
            Failure(
                APP,
                role_target("my-role"),
                "update",
                "NOT_OWNED",
                f"role my-role {UNMARKED} It is unchanged, although it would have to change (trust policy).",
                TAKE_BACK,
            ),
            id="unmanaged role",
        ),
        pytest.param(
            FakeAws.state,
            existing(),
            Failure(
                APP,
                role_target(OLD),
                "read",
                "ROLE_MISSING",
                f"role {OLD} does not exist in account {ACCOUNT}.",
                "Correct the ARN, or set role.name instead of role.arn to create the role.",
            ),
            id="missing existing role",
        ),
        pytest.param(
            lambda aws: create_role(aws, "old", TRUST_BARE, Path="/team/"),
            existing(),
            Failure(
                APP,
                role_target(OLD),
                "read",
                "ROLE_MISSING",
                f"role {OLD} does not exist in account {ACCOUNT}; the role of that name is "
                f"arn:aws:iam::{ACCOUNT}:role/team/old.",
                f"Change the ARN to arn:aws:iam::{ACCOUNT}:role/team/old.",
            ),
            id="existing role with another path",
        ),
        pytest.param(
            lambda aws: create_policy(aws, "my-policy", "kms:Decrypt"),
            workload(),
            Failure(
                APP,
                policy_target(policy_arn("my-policy")),
                "update",
                "NOT_OWNED",
                f"policy {policy_arn('my-policy')} {UNMARKED} It is unchanged, although it has another document.",
                TAKE_BACK,
            ),
            id="unmanaged policy",
        ),
        pytest.param(
            FakeAws.state,
            workload(policies=[{"arn": policy_arn("gone")}]),
            Failure(
                APP,
                policy_target(policy_arn("gone")),
                "read",
                "POLICY_MISSING",
                f"policy {policy_arn('gone')} does not exist in account {ACCOUNT}.",
                "Correct the ARN, or set name and document to create the policy.",
            ),
            id="missing existing policy",
        ),
        pytest.param(
            FakeAws.state,
            workload(role={"name": "my-role", "permissions_boundary": policy_arn("edge")}),
            Failure(
                APP,
                policy_target(policy_arn("edge")),
                "read",
                "POLICY_MISSING",
                f"policy {policy_arn('edge')}, the permissions boundary of role my-role, does not exist "
                f"in account {ACCOUNT}.",
                "Correct the ARN, or create that policy first.",
            ),
            id="missing boundary",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other", ownerArn=ADDON),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "ASSOCIATION_OWNED_BY_ADDON",
                "association a-00000000000000001 of my-cluster default/app is owned by the EKS add-on "
                f"{ADDON}, which would undo a direct change.",
                "Change the role in the add-on's podIdentityAssociations, or set ⟨force⟩: true.",
            ),
            id="association of an add-on",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other"),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "NOT_OWNED",
                f"association default/app {UNMARKED} It is unchanged, although the list does not agree with its role "
                f"{role_arn('other')}.",
                "List its role and settings, or set ⟨adopt⟩: true to take it over (check mode with diff shows the changes).",
            ),
            id="unmanaged association",
        ),
        pytest.param(
            lambda aws: create_association(aws, "app", "other", tags=owner_tags("green")),
            workload(policies=[]),
            Failure(
                APP,
                association_target(APP[0]),
                "update",
                "NOT_OWNED",
                f"association default/app belongs to owner 'green', and this run is for owner '{OWNER}'. It is unchanged, "
                f"although the list does not agree with its role {role_arn('other')}.",
                "Change it in a run for owner 'green', or set ⟨adopt⟩: true to take it over (check mode with diff shows the "
                "changes).",
            ),
            id="association of another owner",
        ),
    ],
)
def test_failure_has_cause_and_remedy(
    prepare: Callable[[FakeAws], object], raw: dict[str, Any], failure: Failure
) -> None:
    aws = account(prepare)
    initial = aws.state()
    found = plan(aws, desired(raw))
    assert (names(found), found.failures) == ([], (failure,))
    run(aws, desired(raw))
    assert aws.state() == initial


def test_too_long_trust_policy_suggests_the_wider_scope() -> None:
    raw = [workload(f"service-account-{number}", policies=[]) for number in range(100)]
    (failure,) = plan(FakeAws(), desired(*raw)).failures
    assert failure.error_code == "TRUST_POLICY_TOO_LONG"
    assert failure.message == (
        "the trust policy of role my-role for its 100 workloads has 2533 characters; 2048 are allowed."
    )
    assert failure.remedy == (
        "Use a wider trust_scope for this role (namespace, then cluster), give the workloads separate roles, or request an "
        "increase of the quota 'Role trust policy length'."
    )
    assert len(failure.workloads) == 100
    assert plan(FakeAws(), desired(*raw, trust_scope="namespace")).failures == ()


def test_quota_of_the_account_limits_a_trust_policy() -> None:
    raw = [workload(f"service-account-{number}", policies=[]) for number in range(100)]
    raised, unread = FakeAws(), FakeAws()
    raised.replace(
        "iam:GetAccountSummary", lambda _asked: {"SummaryMap": {"AssumeRolePolicySizeQuota": 4096}}
    )
    assert plan(raised, desired(*raw)).failures == ()
    unread.fail_on("iam:GetAccountSummary", DENIED)
    (failure,) = plan(unread, desired(*raw)).failures
    assert failure.message.endswith(
        " has 2533 characters; 2048 are allowed by default (to use your quota, allow iam:GetAccountSummary)."
    )


# Tests of existing roles that a run uses without changes


@pytest.mark.parametrize(
    ("trust", "more", "expected"),
    [
        pytest.param(TRUST_BARE, {}, ["create association default/app"], id="usable"),
        pytest.param(conditional(), {}, ["create association default/app"], id="conditional"),
        pytest.param(
            TRUST_EC2,
            {"extend_trust": True},
            ["update trust_policy old", "create association default/app"],
            id="extended",
        ),
        pytest.param(
            TRUST_BARE,
            {"extend_trust": True},
            ["update trust_policy old", "create association default/app"],
            id="extended although usable",
        ),
        pytest.param(
            trust_policy([TrustGrant()]),
            {"extend_trust": True},
            ["update trust_policy old", "create association default/app"],
            id="extended although the statement of the guide is enough",
        ),
    ],
)
def test_existing_role_is_unchanged(trust: dict[str, Any], more: dict[str, Any], expected: list[str]) -> None:
    aws = FakeAws()
    create_role(aws, "old", trust, Description="theirs", Tags=[{"Key": "team", "Value": "x"}])
    found = plan(aws, desired(existing(**more)))
    assert (names(found), found.failures) == (expected, ())


def test_extend_trust_adds_a_statement_and_keeps_the_rest() -> None:
    aws = FakeAws()
    create_role(aws, "old", {**TRUST_EC2, "Id": "theirs"})
    spec = desired(existing(extend_trust=True))
    change = plan(aws, spec).changes[0]
    assert change.before == {"trust_policy": {**TRUST_EC2, "Id": "theirs"}}
    assert change.after is not None
    updated: Any = change.after["trust_policy"]
    assert updated["Id"] == "theirs"
    assert updated["Statement"][:-1] == TRUST_EC2["Statement"]
    assert updated["Statement"][-1]["Condition"]["StringEquals"] == {
        "aws:SourceAccount": ACCOUNT,
        "aws:RequestTag/eks-cluster-arn": CLUSTER_ARN,
        "aws:RequestTag/kubernetes-namespace": "default",
        "aws:RequestTag/kubernetes-service-account": "app",
    }
    run(aws, spec)
    assert names(plan(aws, spec)) == []


def test_extending_trust_keeps_the_first_workload() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_EC2)
    run(aws, desired(existing(extend_trust=True)))
    two = {**existing(extend_trust=True), "service_account": "two"}
    run(aws, desired(two))
    assert names(plan(aws, desired(existing(extend_trust=True), two))) == []


def test_unusable_role_fails_with_the_reason() -> None:
    aws = FakeAws()
    create_role(aws, "old", TRUST_EC2)
    (failure,) = plan(aws, desired(existing())).failures
    assert (failure.error_code, failure.target, failure.action) == (
        "TRUST_NOT_USABLE",
        trust_target(OLD),
        "read",
    )
    assert failure.message.startswith(f"role {OLD} cannot be used by default/app: ")
    assert "pods.eks.amazonaws.com" in failure.message
    assert failure.remedy == (
        "Correct the trust policy, or set role.extend_trust: true to add the statement of this collection."
    )


def test_input_trust_policy_is_evaluated() -> None:
    raw = workload(role={"name": "my-role", "trust_policy": TRUST_EC2})
    found = plan(FakeAws(), desired(raw))
    assert names(found) == []
    assert [failure.error_code for failure in found.failures] == ["TRUST_NOT_USABLE"]


def test_too_long_extension_fails() -> None:
    aws = FakeAws()
    long = {
        "ArnLike": {
            "aws:SourceArn": [
                f"arn:aws:ec2:us-west-2:111122223333:instance/{number:05}" for number in range(34)
            ]
        }
    }
    create_role(aws, "old", {**TRUST_EC2, "Statement": [{**TRUST_EC2["Statement"][0], "Condition": long}]})
    found = plan(aws, desired(existing(extend_trust=True)))
    assert names(found) == []
    assert [failure.error_code for failure in found.failures] == ["TRUST_POLICY_TOO_LONG"]


# Tests of unmanaged resources that a run takes over


def test_matching_unmanaged_role_and_policy_are_used_unchanged() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    aws.iam.UntagRole({"RoleName": "my-role", "TagKeys": list(OWNED)})
    aws.iam.UntagPolicy({"PolicyArn": policy_arn("my-policy"), "TagKeys": list(OWNED)})
    found = plan(aws, desired(workload()))
    assert (names(found), found.failures) == ([], ())


def test_adoption_detaches_only_with_purge_policies() -> None:
    aws = FakeAws()
    extra = create_policy(aws, "extra")
    create_role(aws, "my-role", TRUST_EC2, (extra,))
    spec = desired(workload(policies=[]), adopt=True, purge_policies=True)
    assert f"detach attachment my-role {extra}" in names(plan(aws, spec))
    run(aws, spec)
    assert names(plan(aws, spec)) == []


def test_matching_unmanaged_association_is_used_unchanged() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    (association,) = aws.eks.associations.values()
    association["tags"] = {"team": "y"}
    found = plan(aws, desired(workload(tags={"stage": "b"})))
    assert (names(found), found.failures) == ([], ())


# Tests of resources of other owners


def owned_by(owner: str | None, *workloads: dict[str, Any], **options: Any) -> Desired:
    return desired(*workloads, owner=owner if owner else {}, **options)


def test_role_arn_of_another_owner_is_extended() -> None:
    aws = FakeAws()
    run(aws, owned_by("a", workload()))
    guest = workload("guest", role={"arn": role_arn("my-role"), "extend_trust": True}, policies=[])
    assert run(aws, owned_by("b", guest)).failures == ()
    assert aws.iam.roles["my-role"]["tags"][OWNER_TAG] == "a"


def test_force_changes_an_association_of_an_addon() -> None:
    aws = FakeAws()
    create_association(aws, "app", "other", ownerArn=ADDON)
    found = plan(aws, desired(workload(), force=True))
    assert found.failures == ()
    assert names(found)[-1] == "update association default/app"


def test_matching_addon_association_is_accepted() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    next(iter(aws.eks.associations.values()))["ownerArn"] = ADDON
    found = plan(aws, desired(workload()))
    assert (names(found), found.failures) == ([], ())


# Tests of a role that several workloads share


def test_other_workloads_of_a_shared_role_get_their_policies() -> None:
    """Check that only the workload with the unmanaged policy fails. The other workload gets its policies."""
    aws = FakeAws()
    create_policy(aws, "bad", "kms:Decrypt")
    raw = [workload("one", policies=[policy("bad")]), workload("two", policies=[policy("good")])]
    found = plan(aws, desired(*raw))
    assert names(found) == [
        f"create policy {policy_arn('good')}",
        "create role my-role",
        f"attach attachment my-role {policy_arn('good')}",
        "create association default/two",
    ]
    assert [(failure.error_code, failure.workloads) for failure in found.failures] == [
        ("NOT_OWNED", (key("one"),))
    ]
    run(aws, desired(*raw))
    assert aws.state()["roles"]["my-role"]["attached"] == [policy_arn("good")]


def test_policy_of_a_failed_workload_remains_attached() -> None:
    aws = FakeAws()
    raw = [workload("one", policies=[policy("a")]), workload("two", policies=[policy("b")])]
    run(aws, desired(*raw))
    aws.fail_on("iam:GetPolicy", DENIED)
    found = plan(aws, desired(*raw))
    assert names(found) == []
    assert [(failure.error_code, failure.target.full_name) for failure in found.failures] == [
        ("AccessDenied", policy_arn("a"))
    ]


def test_boundary_of_a_failed_workload_is_created() -> None:
    aws = FakeAws()
    create_association(aws, "one", "other", ownerArn=ADDON)
    raw = [
        workload("one", role={"name": "one"}, policies=[policy("edge")]),
        workload("two", role={"name": "two", "permissions_boundary": policy_arn("edge")}, policies=[]),
    ]
    found = plan(aws, desired(*raw))
    assert found.failures[0].error_code == "ASSOCIATION_OWNED_BY_ADDON"
    assert names(found) == [
        f"create policy {policy_arn('edge')}",
        "create role two",
        "create association default/two",
    ]


def test_grants_of_other_clusters_and_plays_are_kept() -> None:
    aws = FakeAws()
    shared = {"name": "my-role"}
    run(aws, desired(workload("one", role=shared), cluster="other-cluster"))
    run(aws, desired(workload("two", role=shared)))
    run(aws, desired(workload("three", namespace="batch", role=shared)))
    trust: Any = aws.state()["roles"]["my-role"]["trust"]
    granted = [
        (
            equals["aws:RequestTag/eks-cluster-arn"].split("/")[1],
            equals["aws:RequestTag/kubernetes-service-account"],
        )
        for equals in (statement["Condition"]["StringEquals"] for statement in trust["Statement"])
    ]
    assert granted == [("my-cluster", "three"), ("my-cluster", "two"), ("other-cluster", "one")]


def test_wider_grant_keeps_other_grants() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one")))
    initial = aws.state()["roles"]["my-role"]["trust"]["Statement"]
    run(aws, desired(workload("two"), trust_scope="namespace"))
    updated = aws.state()["roles"]["my-role"]["trust"]["Statement"]
    assert len(updated) == 2
    assert initial[0] in updated
    kept = plan(aws, desired(workload("two"), trust_scope="workload"))
    assert [finding.code for finding in kept.findings if "trust_scope" in finding.message] == [
        "TRUST_KEPT_FOR_OTHERS"
    ]
    run(aws, desired(workload("two"), trust_scope="workload"))
    assert names(plan(aws, desired(workload("one")))) == []


def test_namespace_grant_of_another_play_is_kept() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one", namespace="batch"), trust_scope="namespace"))
    run(aws, desired(workload("two")))
    assert names(plan(aws, desired(workload("one", namespace="batch"), trust_scope="namespace"))) == []


def test_moved_workload_loses_the_old_role() -> None:
    aws = FakeAws()
    run(aws, desired(workload("one"), workload("two")))
    found = plan(aws, desired(workload("one"), workload("two", role={"name": "other"})))
    trust: Any = next(change for change in found.changes if change.target.resource == "trust_policy").after
    (statement,) = trust["trust_policy"]["Statement"]
    assert statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] == "one"


@pytest.mark.parametrize(
    ("origins", "path", "remedy"),
    [
        (
            {"web": Origin("team-*/web", "list.yml line 3"), "api": None},
            "/",
            "Correct the ARN in list.yml line 3 (team-*/web), or set role.name instead of role.arn to create the role. Correct "
            "the ARN, or set role.name instead of role.arn to create the role.",
        ),
        (
            {"web": Origin("team-*/web", "list.yml line 3")},
            "/team/",
            f"Change the ARN in list.yml line 3 (team-*/web) to arn:aws:iam::{ACCOUNT}:role/team/old.",
        ),
    ],
)
def test_remedy_for_missing_role_of_patterns(
    origins: dict[str, Origin | None], path: str, remedy: str
) -> None:
    wanted = desired(*({**existing(), "service_account": name} for name in origins))
    workloads = tuple(replace(item, origin=origins[item.key.service_account]) for item in wanted.workloads)
    aws = FakeAws()
    if path != "/":
        create_role(aws, "old", TRUST_BARE, Path=path)
    [failure] = plan(aws, replace(wanted, workloads=workloads)).failures
    assert (failure.error_code, failure.remedy) == ("ROLE_MISSING", remedy)


# Tests of resources that cannot be read


def test_unreadable_attached_policy_is_reported() -> None:
    aws = FakeAws()
    run(aws, desired(workload(policies=[])))
    extra = create_policy(aws, "extra", tags=OWNED)
    aws.iam.roles["my-role"]["attached"].append(extra)
    aws.fail_on("iam:GetPolicy", DENIED)
    found = plan(aws, desired(workload(policies=[])))
    assert (names(found), found.failures) == ([], ())
    assert [finding.code for finding in found.findings] == ["POLICY_ATTACHED_EXTRA"]


def test_documents_are_compared_by_meaning() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    aws.iam.policies[policy_arn("my-policy")]["versions"]["v1"] = json.dumps(document("s3:GetObject"))
    assert names(plan(aws, desired(workload()))) == []
