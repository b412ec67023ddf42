# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a change of one setting plans this change and no other, and that the diff contains it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.attributes import (
    Attribute,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Options
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    ROLE_SETTINGS,
    ObservedRole,
    RoleSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    association_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan import roles
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OWNED,
    OWNER,
    POLICY_TAGS,
    TRUST_BARE,
    FakeAws,
    create_policy,
    desired,
    document,
    key,
    named,
    names,
    own_trust,
    plan,
    policy,
    policy_arn,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._policy.grants import grant_for

ROLE = {"RoleName": "my-role"}
POLICY = {"PolicyArn": policy_arn("my-policy")}
ASSOCIATION = {"clusterName": CLUSTER, "associationId": "a-00000000000000001"}
ASSOCIATION_ARN = f"arn:aws:eks:us-west-2:{ACCOUNT}:podidentityassociation/{CLUSTER}/a-00000000000000001"
EDGE = policy_arn("edge")
TARGET = "arn:aws:iam::444455556666:role/one"
REORDERED = {"Resource": ["*"], "Action": ["s3:putObject", "S3:GetObject"], "Effect": "Allow"}
READ, WRITE = document("s3:GetObject"), document("s3:PutObject")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def scoped(scope: str) -> dict[str, object]:
    return own_trust(grant_for(scope, ACCOUNT, CLUSTER_ARN, "default", "app"))


def converged_account(raw: dict[str, Any], **options: Any) -> FakeAws:
    """Return an account in which the workload already has its desired state."""
    aws = FakeAws()
    for name in ("edge", "rim"):
        create_policy(aws, name)
    spec = desired(raw, **options)
    assert run(aws, spec).failures == ()
    assert names(plan(aws, spec)) == []
    return aws


def role(**more: Any) -> dict[str, Any]:
    return workload(role={"name": "my-role", **more})


@pytest.mark.parametrize(
    ("initial", "updated", "change", "diff", "calls"),
    [
        pytest.param(
            role(description="old"),
            role(description="new"),
            "update role my-role",
            ({"description": "old"}, {"description": "new"}),
            [("UpdateRole", {**ROLE, "Description": "new", "MaxSessionDuration": 3600})],
            id="description",
        ),
        pytest.param(
            role(description="old", max_session_duration=7200),
            role(description="", max_session_duration=7200),
            "update role my-role",
            ({"description": "old"}, {"description": ""}),
            [("UpdateRole", {**ROLE, "Description": "", "MaxSessionDuration": 7200})],
            id="description removed, session duration kept",
        ),
        pytest.param(
            role(description="text"),
            role(max_session_duration=7200),
            "update role my-role",
            ({"max_session_duration": 3600}, {"max_session_duration": 7200}),
            [("UpdateRole", {**ROLE, "Description": "text", "MaxSessionDuration": 7200})],
            id="session duration, description kept",
        ),
        pytest.param(
            role(),
            role(permissions_boundary=EDGE),
            "update role my-role",
            ({"permissions_boundary": ""}, {"permissions_boundary": EDGE}),
            [("PutRolePermissionsBoundary", {**ROLE, "PermissionsBoundary": EDGE})],
            id="boundary added",
        ),
        pytest.param(
            role(permissions_boundary=EDGE),
            role(permissions_boundary=""),
            "update role my-role",
            ({"permissions_boundary": EDGE}, {"permissions_boundary": ""}),
            [("DeleteRolePermissionsBoundary", ROLE)],
            id="boundary removed",
        ),
        pytest.param(
            role(tags={"team": "a"}),
            role(tags={"team": "b"}),
            "update role my-role",
            ({"tags": {"team": "a", **OWNED}}, {"tags": {"team": "b", **OWNED}}),
            [("TagRole", {**ROLE, "Tags": [{"Key": "team", "Value": "b"}]})],
            id="tag of a role",
        ),
        pytest.param(
            role(),
            role(trust_policy=TRUST_BARE),
            "update trust_policy my-role",
            ({"trust_policy": scoped("workload")}, {"trust_policy": TRUST_BARE}),
            [("UpdateAssumeRolePolicy", {**ROLE, "PolicyDocument": compact(TRUST_BARE)})],
            id="input trust policy",
        ),
        pytest.param(
            workload(policies=[policy("my-policy", "s3:GetObject")]),
            workload(policies=[policy("my-policy", "s3:PutObject")]),
            f"update policy {policy_arn('my-policy')}",
            ({"document": READ}, {"document": WRITE}),
            [("CreatePolicyVersion", {**POLICY, "PolicyDocument": compact(WRITE), "SetAsDefault": True})],
            id="meaning of a policy",
        ),
        pytest.param(
            workload(policies=[policy(tags={"a": "1"})]),
            workload(policies=[policy(tags={"a": "2"})]),
            f"update policy {policy_arn('my-policy')}",
            ({"tags": {"a": "1", **POLICY_TAGS}}, {"tags": {"a": "2", **POLICY_TAGS}}),
            [("TagPolicy", {**POLICY, "Tags": [{"Key": "a", "Value": "2"}]})],
            id="tag of a policy",
        ),
        pytest.param(
            workload(policies=[]),
            workload(policies=[{"arn": EDGE}]),
            f"attach attachment my-role {EDGE}",
            (None, {"role": "my-role", "policy": EDGE}),
            [("AttachRolePolicy", {**ROLE, "PolicyArn": EDGE})],
            id="one more policy",
        ),
        pytest.param(
            workload(),
            workload(policies=[]),
            f"detach attachment my-role {policy_arn('my-policy')}",
            ({"role": "my-role", "policy": policy_arn("my-policy")}, None),
            [("DetachRolePolicy", {**ROLE, **POLICY})],
            id="one managed policy less",
        ),
        pytest.param(
            workload(),
            workload(target_role_arn=TARGET),
            "update association default/app",
            ({"target_role_arn": ""}, {"target_role_arn": TARGET}),
            [("UpdatePodIdentityAssociation", {**ASSOCIATION, "targetRoleArn": TARGET})],
            id="target role set",
        ),
        pytest.param(
            workload(target_role_arn=TARGET),
            workload(target_role_arn=""),
            "update association default/app",
            ({"target_role_arn": TARGET}, {"target_role_arn": ""}),
            [("UpdatePodIdentityAssociation", {**ASSOCIATION, "targetRoleArn": ""})],
            id="target role cleared",
        ),
        pytest.param(
            workload(role={"name": "my-role", "trust_scope": "account"}),
            workload(role={"name": "my-role", "trust_scope": "account"}, disable_session_tags=True),
            "update association default/app",
            ({"disable_session_tags": False}, {"disable_session_tags": True}),
            [("UpdatePodIdentityAssociation", {**ASSOCIATION, "disableSessionTags": True})],
            id="session tags turned off",
        ),
        pytest.param(
            workload(disable_session_tags=True),
            workload(disable_session_tags=True, session_policy=READ),
            "update association default/app",
            ({"session_policy": None}, {"session_policy": READ}),
            [
                (
                    "UpdatePodIdentityAssociation",
                    {**ASSOCIATION, "policy": compact(READ), "disableSessionTags": True},
                )
            ],
            id="session policy set",
        ),
        pytest.param(
            workload(tags={"a": "1"}),
            workload(tags={"a": "2", "b": "3"}),
            "update association default/app",
            ({"tags": {"a": "1", **OWNED}}, {"tags": {"a": "2", "b": "3", **OWNED}}),
            [("TagResource", {"resourceArn": ASSOCIATION_ARN, "tags": {"a": "2", "b": "3"}})],
            id="tags of an association",
        ),
    ],
)
def test_single_change_has_its_diff_and_requests(
    initial: dict[str, Any],
    updated: dict[str, Any],
    change: str,
    diff: tuple[Any, Any],
    calls: list[tuple[str, dict[str, Any]]],
) -> None:
    aws = converged_account(initial)
    found = plan(aws, desired(updated))
    assert names(found) == [change]
    assert (found.changes[0].before, found.changes[0].after) == diff
    assert [(call.operation, call.parameters) for call in found.changes[0].calls] == calls
    assert found.failures == ()
    outcome = run(aws, desired(updated))
    assert [named(done.change) for done in outcome.done] == [change]
    assert names(plan(aws, desired(updated))) == []


@pytest.mark.parametrize(
    ("initial", "updated"),
    [
        pytest.param(
            workload(policies=[policy("my-policy", "s3:GetObject", "s3:PutObject")]),
            workload(
                policies=[
                    {"document": {"Statement": [REORDERED], "Version": "2012-10-17"}, "name": "my-policy"}
                ]
            ),
            id="policy in another order",
        ),
        pytest.param(
            workload(policies=[policy("a"), policy("b", "kms:Decrypt")]),
            workload(policies=[policy("b", "kms:Decrypt"), policy("a")]),
            id="policies in another order",
        ),
        pytest.param(
            workload(policies=[policy()]),
            workload(policies=[{"name": "my-policy", "document": json.dumps(READ)}]),
            id="document as text",
        ),
        pytest.param(
            workload(disable_session_tags=True, session_policy=document("s3:GetObject", "s3:PutObject")),
            workload(disable_session_tags=True, session_policy=document("s3:PutObject", "s3:GetObject")),
            id="session policy in another order",
        ),
        pytest.param(
            role(description="a", max_session_duration=7200), role(), id="role settings no longer listed"
        ),
        pytest.param(role(permissions_boundary=EDGE), role(), id="boundary no longer listed"),
        pytest.param(role(tags={"a": "1"}), role(), id="tags no longer listed"),
        pytest.param(workload(target_role_arn=TARGET), workload(), id="target role no longer listed"),
        pytest.param(
            workload(policies=[policy(description="a")]),
            workload(policies=[policy(description="b")]),
            id="description of a policy, which IAM cannot change",
        ),
    ],
)
def test_unchanged_input_has_no_changes(initial: dict[str, Any], updated: dict[str, Any]) -> None:
    found = plan(converged_account(initial), desired(updated))
    assert (names(found), found.failures) == ([], ())


@pytest.mark.parametrize(
    ("default", "deleted"),
    [pytest.param(5, "v1", id="oldest"), pytest.param(1, "v2", id="oldest that is not the default")],
)
def test_oldest_version_is_deleted_at_the_quota(default: int, deleted: str) -> None:
    aws = converged_account(workload())
    for number in range(2, 6):
        aws.iam.CreatePolicyVersion(
            {
                **POLICY,
                "PolicyDocument": compact(document(f"s3:Get{number}")),
                "SetAsDefault": number == default,
            }
        )
    found = plan(aws, desired(workload(policies=[policy("my-policy", "s3:PutObject")])))
    (change,) = found.changes
    assert [call.operation for call in change.calls] == ["DeletePolicyVersion", "CreatePolicyVersion"]
    assert change.calls[0].parameters == {**POLICY, "VersionId": deleted}
    assert change.before is not None
    assert change.after is not None
    assert (change.before["oldest_version"], change.after["oldest_version"]) == (deleted, "deleted")


def test_session_policy_needs_disabled_session_tags() -> None:
    aws = converged_account(workload(disable_session_tags=True, session_policy=READ))
    found = plan(aws, desired(workload(disable_session_tags=False)))
    failure = Failure(
        (key(),),
        association_target(key()),
        "update",
        "SESSION_TAGS_CONFLICT",
        "association a-00000000000000001 of my-cluster default/app has a session policy, which EKS allows only with session tags "
        "turned off.",
        "Leave out disable_session_tags: false, because EKS cannot remove the session policy.",
    )
    assert (names(found), found.failures) == ([], (failure,))


def test_session_policy_limits_pods_before_they_get_permissions() -> None:
    limited = {"disable_session_tags": True, "session_policy": READ, "policies": [policy(), {"arn": EDGE}]}
    aws = converged_account(workload(disable_session_tags=True))
    attach, update = f"attach attachment my-role {EDGE}", "update association default/app"
    assert names(plan(aws, desired(workload(**limited)))) == [update, attach]


def test_association_with_an_unknown_field_is_kept_and_fails_alone() -> None:
    aws = converged_account(workload(disable_session_tags=True, session_policy=READ))
    (association,) = aws.eks.associations.values()
    association["workloadIdentityConfig"] = {"enabled": True}
    found = plan(aws, desired(workload(session_policy=""), workload("web")))
    assert [(failure.error_code, list(map(str, failure.workloads))) for failure in found.failures] == [
        ("ASSOCIATION_NOT_REPLACEABLE", ["default/app"])
    ]
    assert "create association default/web" in names(found)
    assert not [name for name in names(found) if name.startswith("replace")]


def test_full_role_detaches_before_it_attaches() -> None:
    full = [policy(f"p{number}") for number in range(10)]
    aws = converged_account(workload(policies=full))
    swapped = desired(workload(policies=[policy("a-new"), *full[1:]]))
    assert run(aws, swapped).failures == ()
    assert names(plan(aws, swapped)) == []


def test_owner_is_not_reported_as_changed_if_the_workload_fails() -> None:
    aws = FakeAws()
    run(aws, desired(workload(disable_session_tags=True), owner="a"))
    failing = workload(role={"name": "my-role", "trust_scope": "namespace"})
    found = plan(aws, desired(failing, owner="b", adopt=True))
    assert [failure.error_code for failure in found.failures] == ["SESSION_TAGS_CONFLICT"]
    assert (names(found), found.findings) == ([], ())


def test_adopt_changes_the_owner_of_a_workload() -> None:
    aws = FakeAws()
    run(aws, desired(workload(), owner="a"))
    found = plan(aws, desired(workload(), owner="b", adopt=True))
    assert {(finding.code, finding.severity, finding.message) for finding in found.findings} == {
        ("OWNER_CHANGED", "warning", f"the owner of {resource} changes from 'a' to 'b'.")
        for resource in (f"policy {policy_arn('my-policy')}", "role my-role", "association default/app")
    }


def test_already_disabled_session_tags_set_the_default_scope() -> None:
    """Check that the plan does not narrow the trust policy: its conditions would need session tags, which the association
    disables."""
    aws = converged_account(workload(disable_session_tags=True))
    found = plan(aws, desired(workload()))
    assert names(found) == []
    assert [finding.code for finding in found.findings] == [
        "ASSOCIATION_SETTINGS_EXTRA",
        "TRUST_SCOPE_WITHOUT_SESSION_TAGS",
    ]


def test_every_difference_of_a_role_has_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check that a setting which is only in ROLE_SETTINGS is sent to AWS, which refuses it, instead of counting as unchanged."""
    monkeypatch.setattr(roles, "ROLE_SETTINGS", (*ROLE_SETTINGS, Attribute("path", "Path")))
    present = ObservedRole("my-role", "arn", "/", TRUST_BARE, tags=OWNED)
    change = roles.update_role(RoleSpec("my-role", path="/team/"), present, Options(owner=OWNER), ())
    details = {"Description": "", "MaxSessionDuration": 3600, "Path": "/team/"}
    assert change is not None
    assert [(call.operation, call.parameters) for call in change.calls] == [
        ("UpdateRole", {**ROLE, **details})
    ]
