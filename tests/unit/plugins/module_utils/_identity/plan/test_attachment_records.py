# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the records of attachments. A teardown detaches a policy from an unmanaged role only if a record exists.

The record is a tag of the policy. It means that a run for this cluster has attached the policy to the role.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read import observe
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    read_snapshot,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.purge import run_with_purge
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    OTHER_CLUSTER,
    OTHER_CLUSTER_ARN,
    OWNED,
    POLICY_TAGS,
    TRUST_BARE,
    FakeAws,
    codes_and_reasons,
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
    workload,
)

MINE = policy_arn("my-policy")
OLD = role_arn("old")
# The tag key of a record ends with the first digits of the digest of the cluster's ARN.
HERE, THERE = "d89abb76", hashlib.sha256(OTHER_CLUSTER_ARN.encode()).hexdigest()[:8]
RECORD = f"workload-identity/attached-to/old/{HERE}"
DENIED = classify("iam:AttachRolePolicy", "AccessDenied", "User is not authorized")
RAW = workload(role={"arn": OLD})
DETACH = f"detach attachment old {MINE}"


def account(trust: dict[str, Any] = TRUST_BARE, **more: Any) -> FakeAws:
    aws = FakeAws()
    create_role(aws, "old", trust, **more)
    return aws


def record(aws: FakeAws) -> str | None:
    tags: dict[str, str] = aws.iam.policies[MINE]["tags"]
    return tags.get(RECORD)


def remove(aws: FakeAws, raw: dict[str, Any] = RAW, **options: Any) -> tuple[list[str], list[Finding]]:
    done = run(aws, desired(raw, state="absent", **options), "absent")
    assert done.failures == ()
    return [named(applied.change) for applied in done.done], list(done.findings)


def kept_attachment(arn: str = MINE, tag: str = RECORD, role: str = "old") -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"policy {arn} is kept attached to role {role_arn(role)}: the policy does not have the tag "
        f"{tag} with the ID of this role, so another process may have attached it.",
        "If the role does not need the policy, detach it and run again: aws iam detach-role-policy --role-name "
        f"{role} --policy-arn {arn}",
        key("app"),
        raised_as="info",
    )


def still_used(users: str) -> Finding:
    return Finding(
        Code.RESOURCE_KEPT,
        f"policy {MINE} is kept: it is still used by {users}.",
        "If a user is a role of these workloads, follow the remedy of that role's finding. If a user is a role "
        "of another list of workloads, apply that list without the policy, which detaches it. Detach it from all other "
        "users. Then run again.",
        key("app"),
    )


def test_attachment_is_recorded_before_the_request() -> None:
    aws = account()
    found = plan(aws, desired(RAW))
    [change] = [change for change in found.changes if change.action == "attach"]
    identity = f"{aws.iam.roles['old']['RoleId']} {CLUSTER_ARN}"
    assert [(call.operation, call.parameters) for call in change.calls] == [
        ("TagPolicy", {"PolicyArn": MINE, "Tags": [{"Key": RECORD, "Value": identity}]}),
        ("AttachRolePolicy", {"RoleName": "old", "PolicyArn": MINE}),
    ]
    assert change.after == {"role": "old", "policy": MINE, "policy_tags": {RECORD: identity}}
    assert run(aws, desired(RAW)).failures == ()
    assert record(aws) == identity
    assert names(plan(aws, desired(RAW, purge_tags=True))) == []


def test_attachment_to_a_managed_role_is_not_recorded() -> None:
    aws = FakeAws()
    assert run(aws, desired(workload())).failures == ()
    assert aws.state()["policies"][MINE]["tags"] == POLICY_TAGS


def test_recorded_attachment_is_detached_with_its_workload() -> None:
    aws = account()
    initial = aws.state()
    run(aws, desired(RAW))
    assert remove(aws) == (["delete association default/app", DETACH, f"delete policy {MINE}"], [])
    assert aws.state() == initial


@pytest.mark.parametrize("tags", [{}, OWNED], ids=["an unmanaged role", "a role of another list"])
def test_unrecorded_attachment_is_kept_and_reported(tags: dict[str, str]) -> None:
    aws = account(tags=tags)
    create_policy(aws, "my-policy", tags=POLICY_TAGS)
    aws.iam.roles["old"]["attached"].append(MINE)
    run(aws, desired(RAW))
    assert record(aws) is None
    assert remove(aws) == (["delete association default/app"], [kept_attachment(), still_used("role old")])
    # Follow the remedies of the findings.
    aws.iam.roles["old"]["attached"].remove(MINE)
    assert remove(aws) == ([f"delete policy {MINE}"], [])


def test_record_of_an_earlier_role_is_ignored() -> None:
    aws = account()
    run(aws, desired(RAW))
    trust = aws.iam.roles.pop("old")["trust"]
    create_role(aws, "old", attached=(MINE,))
    aws.iam.roles["old"]["trust"] = trust
    outcome, findings = remove(aws)
    assert outcome == ["delete association default/app", f"update policy {MINE}"]
    assert findings == [kept_attachment(), still_used("role old")]
    assert record(aws) is None


def test_role_without_its_tag_keeps_its_attachments() -> None:
    aws = FakeAws()
    run(aws, desired(workload()))
    aws.iam.roles["my-role"]["tags"] = {}
    outcome, findings = remove(aws, workload())
    assert outcome == ["delete association default/app"]
    tag = f"workload-identity/attached-to/my-role/{HERE}"
    assert codes_and_reasons(findings) == ["role without tag", "policy attached", "policy used"]
    assert findings[1] == kept_attachment(tag=tag, role="my-role")


def test_used_role_keeps_a_recorded_attachment() -> None:
    aws = account()
    run(aws, desired(RAW))
    create_association(aws, "two", "old")
    outcome, findings = remove(aws)
    assert outcome == ["delete association default/app"]
    assert findings[0] == Finding(
        Code.RESOURCE_KEPT,
        f"policy {MINE} is kept attached to role {OLD}, which is still used by my-cluster default/two.",
        "If these users do not need the role, remove them first, then run again.",
        key("app"),
        raised_as="info",
    )
    assert record(aws) is not None


def elsewhere(raw: dict[str, Any], state: str = "present") -> Desired:
    """Return a desired state with the workload in the other cluster."""
    return desired(raw, state=state, cluster=OTHER_CLUSTER)


@pytest.mark.parametrize(
    "raw",
    [RAW, workload(role={"arn": OLD}, policies=[{"arn": MINE}])],
    ids=["by its document", "by its ARN"],
)
def test_attachment_is_kept_while_a_cluster_needs_it(raw: dict[str, Any]) -> None:
    aws = account()
    run(aws, desired(RAW))
    joined = run(aws, elsewhere(raw))
    assert [named(applied.change) for applied in joined.done] == [
        f"update policy {MINE}",
        "create association default/app",
    ]
    assert sorted(aws.iam.policies[MINE]["tags"].keys() - POLICY_TAGS.keys()) == [
        f"workload-identity/attached-to/old/{cluster}" for cluster in sorted((HERE, THERE))
    ]
    assert names(plan(aws, elsewhere(raw))) == []
    outcome, findings = remove(aws)
    assert outcome == ["delete association default/app", f"update policy {MINE}"]
    assert findings[0] == Finding(
        Code.RESOURCE_KEPT,
        f"policy {MINE} is kept attached to role {OLD}, which is still used by workloads of cluster {OTHER_CLUSTER_ARN}.",
        "If these users do not need the role, remove them first, then run again.",
        key("app"),
        raised_as="info",
    )
    assert aws.iam.roles["old"]["attached"] == [MINE]
    assert names(plan(aws, elsewhere(raw))) == []
    last = run(aws, elsewhere(RAW, "absent"), "absent")
    assert [named(applied.change) for applied in last.done] == [
        "delete association default/app",
        DETACH,
        f"delete policy {MINE}",
    ]


def test_unrecorded_attachment_is_not_claimed_by_another_cluster() -> None:
    aws = account()
    create_policy(aws, "my-policy", tags=POLICY_TAGS)
    aws.iam.roles["old"]["attached"].append(MINE)
    assert [named(applied.change) for applied in run(aws, elsewhere(RAW)).done] == [
        "create association default/app"
    ]
    assert aws.iam.policies[MINE]["tags"] == POLICY_TAGS


def test_kept_policy_loses_the_record() -> None:
    aws = account()
    run(aws, desired(RAW))
    aws.iam.policies[MINE]["users"].append("alice")
    outcome, findings = remove(aws)
    assert outcome == ["delete association default/app", DETACH, f"update policy {MINE}"]
    assert (findings, record(aws)) == ([still_used("user alice")], None)
    assert aws.iam.policies[MINE]["tags"] == POLICY_TAGS
    assert remove(aws) == ([], [still_used("user alice")])


def test_record_without_attachment_is_removed() -> None:
    aws = account()
    run(aws, desired(RAW))
    aws.iam.policies[MINE]["users"].append("alice")
    aws.iam.roles["old"]["attached"].remove(MINE)
    assert remove(aws)[0] == ["delete association default/app", f"update policy {MINE}"]
    assert record(aws) is None


def test_failed_detachment_keeps_the_record() -> None:
    aws = account()
    run(aws, desired(RAW))
    aws.iam.policies[MINE]["users"].append("alice")
    aws.fail_on("iam:DetachRolePolicy", DENIED)
    done = run(aws, desired(RAW, state="absent"), "absent")
    assert [failure.error_code for failure in done.failures] == ["AccessDenied", "SKIPPED"]
    assert record(aws) is not None
    assert remove(aws)[0] == [DETACH, f"update policy {MINE}"]


def test_next_run_completes_a_rejected_attachment() -> None:
    aws = account()
    aws.fail_on("iam:AttachRolePolicy", DENIED)
    done = run(aws, desired(RAW))
    assert [failure.error_code for failure in done.failures] == ["AccessDenied", "SKIPPED"]
    assert done.failures[0].message.endswith("Done before the failure: iam:TagPolicy.")
    assert aws.iam.roles["old"]["attached"] == []
    again = run(aws, desired(RAW))
    assert again.failures == ()
    assert [named(applied.change) for applied in again.done] == [
        f"attach attachment old {MINE}",
        "create association default/app",
    ]
    # The first run has written the record before it failed.
    assert len(aws.parameters("iam:TagPolicy")) == 1


def test_unrecordable_attachment_is_not_created() -> None:
    aws = account()
    aws.fail_on("iam:TagPolicy", classify("iam:TagPolicy", "AccessDenied", "User is not authorized"))
    done = run(aws, desired(RAW))
    assert [(failure.error_code, failure.target.resource) for failure in done.failures] == [
        ("AccessDenied", "attachment"),
        ("SKIPPED", "association"),
    ]
    assert aws.iam.roles["old"]["attached"] == []


def test_policy_has_at_most_fifty_tags() -> None:
    aws = account()
    create_role(aws, "older", TRUST_BARE)
    tags = {f"tag-{number}": "x" for number in range(47)}
    raws = [
        workload("one", role={"arn": OLD}, policies=[policy(tags=tags)]),
        workload("two", role={"arn": role_arn("older")}, policies=[policy(tags=tags)]),
    ]
    assert run(aws, desired(*raws)).failures == ()
    assert record(aws) is not None
    assert len(aws.iam.policies[MINE]["tags"]) == 50
    assert aws.iam.roles["older"]["attached"] == [MINE]
    done = run(aws, desired(*raws, state="absent"), "absent")
    assert codes_and_reasons(done.findings) == ["policy attached", "policy used"]
    assert "attached-to/older" in done.findings[0].message


@pytest.mark.parametrize(
    ("tags", "owner", "recorded"),
    [
        ({}, None, False),
        (OWNED, None, True),
        ({**OWNED, OWNER_TAG: "a"}, "b", False),
        ({**OWNED, OWNER_TAG: "a"}, "a", True),
    ],
    ids=["unmanaged", "managed", "another owner's", "this owner's"],
)
def test_unmanaged_policy_is_not_tagged(tags: dict[str, str], owner: str | None, recorded: bool) -> None:
    aws = account()
    create_policy(aws, "my-policy", tags=tags)
    raw = workload(role={"arn": OLD}, policies=[{"arn": MINE}])
    assert run(aws, desired(raw, owner=owner)).failures == ()
    assert (record(aws) is not None) is recorded
    assert aws.iam.roles["old"]["attached"] == [MINE]


def test_comma_in_role_name_is_a_colon_in_the_record_key() -> None:
    aws = FakeAws()
    create_role(aws, "a,b", TRUST_BARE)
    raw = workload(role={"arn": role_arn("a,b")})
    run(aws, desired(raw))
    assert f"workload-identity/attached-to/a:b/{HERE}" in aws.iam.policies[MINE]["tags"]
    assert remove(aws, raw)[0][1] == f"detach attachment a,b {MINE}"


@pytest.mark.parametrize(
    "joining", [False, True], ids=["existing attachment", "attachment of another cluster"]
)
def test_bulk_read_records_attachments(joining: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observe, "BULK_THRESHOLD", 0)
    monkeypatch.setattr(
        observe, "read_snapshot", lambda api, _singles, *kinds: read_snapshot(api, 1000, *kinds)
    )
    aws = account()
    # Create the policy first: a plan reads the tags of an existing policy only if it needs them.
    run(aws, elsewhere(RAW) if joining else desired(workload("first", role={"name": "made"})))
    assert run(aws, desired(RAW)).failures == ()
    assert record(aws) is not None
    aws.requests.clear()
    assert names(plan(aws, desired(RAW))) == []
    assert aws.parameters("iam:GetPolicy") == []


def test_purge_detaches_recorded_attachments_and_reports_others() -> None:
    aws = account()
    run(aws, desired(RAW, workload("web", role={"arn": OLD}, policies=[policy("other")])))
    create_policy(aws, "theirs", tags=POLICY_TAGS)
    aws.iam.roles["old"]["attached"].append(policy_arn("theirs"))
    spec = desired(workload("kept", role={"name": "kept"}, policies=[]))
    done = run_with_purge(engine(aws, spec), spec, PurgeScope(), False)
    assert done.failures == ()
    assert aws.iam.roles["old"]["attached"] == [policy_arn("theirs")]
    assert sorted(aws.iam.policies) == [policy_arn("theirs")]
    theirs = [finding for finding in done.findings if policy_arn("theirs") in finding.message]
    assert codes_and_reasons(theirs) == ["policy attached", "policy used"]


@pytest.mark.parametrize("refused", ["iam:DetachRolePolicy", "iam:UpdateAssumeRolePolicy"])
def test_next_purge_completes_a_failed_change_of_an_unmanaged_role(refused: str) -> None:
    """Check that a purge deletes the association last: if an earlier change fails, the next purge needs it to find the role."""
    trust = {
        **TRUST_BARE,
        "Statement": [{**TRUST_BARE["Statement"][0], "Principal": {"Service": "ec2.amazonaws.com"}}],
    }
    aws = account(trust)
    initial = aws.state()
    raw = workload(role={"arn": OLD, "extend_trust": True})
    assert run(aws, desired(raw)).failures == ()
    spec = desired()
    aws.fail_on(refused, DENIED)
    done = run_with_purge(engine(aws, spec), spec, PurgeScope(), False)
    codes = [failure.error_code for failure in done.failures]
    assert (codes[0], set(codes[1:])) == ("AccessDenied", {"SKIPPED"})
    assert [association["serviceAccount"] for association in aws.eks.state()] == ["app"]
    again = run_with_purge(engine(aws, spec), spec, PurgeScope(), False)
    assert again.failures == ()
    assert aws.state() == initial


def test_record_tag_is_reserved() -> None:
    with pytest.raises(InputError) as caught:
        desired(workload(tags={RECORD: "x"}))
    assert caught.value.problems == (
        f"workloads[0] (default/app): tags: tag '{RECORD}' is set by this collection; leave it out.",
    )
