# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that a run changes the document or the owner of a policy only if all users of the policy are in the list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    policy_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read import observe
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.account import (
    read_snapshot,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.purge import run_with_purge
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    closed_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    OTHER_CLUSTER,
    OTHER_CLUSTER_ARN,
    OWNED,
    POLICY_TAGS,
    TRUST_BARE,
    TRUST_EC2,
    FakeAws,
    create_policy,
    create_role,
    desired,
    engine,
    key,
    names,
    plan,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

SHARED = policy_arn("shared")
CHANGED = f"update policy {SHARED}"
DENIED = classify("iam:ListEntitiesForPolicy", "AccessDenied", "User is not authorized")
REMEDY = (
    "Give the policy another name here, or apply all lists that use it in one run. To change it for all of these users, set "
    "⟨force⟩: true (check mode with diff shows the change), and define the same document in all lists."
)
OLD = role_arn("old")


def shared(action: str = "s3:GetObject", **more: Any) -> dict[str, Any]:
    return policy("shared", action, **more)


def single(name: str, action: str = "s3:GetObject", **more: Any) -> dict[str, Any]:
    """Return a workload that has its own role and the policy "shared"."""
    return workload(name, **{"role": {"name": name}, "policies": [shared(action)], **more})


def account(*workloads: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    return aws


def attach(aws: FakeAws, role: str) -> None:
    aws.iam.roles[role]["attached"].append(SHARED)


def with_policy(prepare: Callable[[FakeAws], object]) -> FakeAws:
    """Return an account with the policy "shared". ``prepare`` adds the users of the policy."""
    aws = FakeAws()
    create_policy(aws, "shared", "s3:GetObject", tags=POLICY_TAGS)
    prepare(aws)
    return aws


def add_role(aws: FakeAws, trust: dict[str, Any] | None = None, **more: Any) -> None:
    create_role(aws, "one", trust, (SHARED,), **more)


def add_user(kind: str) -> Callable[[FakeAws], object]:
    return lambda aws: aws.iam.policies[SHARED][kind].append("alice")


def attached_nowhere(_aws: FakeAws) -> None:
    """Add no users of the policy."""


def bound_role(aws: FakeAws) -> None:
    create_role(aws, "one", TRUST_EC2, PermissionsBoundary=SHARED)


def shared_role() -> FakeAws:
    aws = account(single("one", role={"name": "both"}))
    assert run(aws, desired(single("two", role={"name": "both"}))).failures == ()
    return aws


def existing_role() -> FakeAws:
    """Return an account in which the policy is attached to an unmanaged role, which the workload names by its ARN."""
    return with_policy(lambda aws: create_role(aws, "old", TRUST_BARE, (SHARED,)))


TWO = single("two", "s3:PutObject")
EC2 = "role one (ec2.amazonaws.com (by the trust policy))"
ONE = "role one (my-cluster default/one)"


@pytest.mark.parametrize(
    ("aws", "raws", "users"),
    [
        pytest.param(account(single("one")), [TWO], ONE, id="another list"),
        pytest.param(
            account(single("one"), trust_scope="namespace"),
            [TWO],
            "role one (my-cluster default/one)",
            id="another list, for its namespace",
        ),
        pytest.param(
            account(single("one"), cluster=OTHER_CLUSTER),
            [TWO],
            "role one (other-cluster default/one)",
            id="another cluster",
        ),
        pytest.param(
            account(single("one"), trust_scope="none"),
            [TWO],
            "role one (my-cluster default/one, every cluster (a trust statement has no condition))",
            id="a role of any cluster",
        ),
        pytest.param(with_policy(add_role), [TWO], EC2, id="a role created elsewhere"),
        pytest.param(with_policy(bound_role), [TWO], EC2, id="the boundary of a role created elsewhere"),
        pytest.param(with_policy(add_user("users")), [TWO], "user alice", id="a user"),
        pytest.param(with_policy(add_user("groups")), [TWO], "group alice", id="a group"),
        pytest.param(
            with_policy(lambda aws: add_role(aws, closed_policy(CLUSTER_ARN))),
            [TWO],
            "role one",
            id="a closed role that is not managed",
        ),
        pytest.param(
            shared_role(),
            [single("two", "s3:PutObject", role={"name": "both"})],
            "role both (my-cluster default/one)",
            id="a listed role with another user",
        ),
        pytest.param(
            existing_role(),
            [TWO, workload("app", role={"arn": OLD}, policies=[])],
            "role old (this run does not list the policy for it)",
            id="a listed existing role without the policy",
        ),
    ],
)
def test_document_is_kept_for_users_outside_the_run(aws: FakeAws, raws: list[Any], users: str) -> None:
    cluster = aws.iam.policies[SHARED]["tags"]["workload-identity/cluster"]
    initial = aws.state()["policies"]
    found = plan(aws, desired(*raws))
    message = (
        f"policy {SHARED} has a different document than this run defines for default/two. It is unchanged because of users "
        f"outside this run: {users}. It was first created for cluster {cluster} (tag workload-identity/cluster)."
    )
    assert found.failures == (
        Failure((key("two"),), policy_target(SHARED), "update", Code.POLICY_USED_ELSEWHERE, message, REMEDY),
    )
    assert CHANGED not in names(found)
    assert run(aws, desired(*raws)).failures == found.failures
    assert aws.state()["policies"] == initial
    # With ``force``, the document changes, and a finding names the users.
    forced = run(aws, desired(*raws, force=True))
    assert forced.failures == ()
    assert [
        (finding.severity, finding.message, finding.remedy)
        for finding in forced.findings
        if finding.code == Code.POLICY_USED_ELSEWHERE
    ] == [
        (
            "warning",
            f"policy {SHARED} gets another document, also for users outside this run: {users}.",
            "Notify the owners of these users, and define the same document in every list with the policy.",
        )
    ]
    assert aws.state()["policies"] != initial


def moved() -> FakeAws:
    return account(single("two", role={"name": "before"}))


def detached() -> FakeAws:
    return account(single("one"), single("two"))


@pytest.mark.parametrize(
    ("aws", "raws"),
    [
        pytest.param(account(single("two")), [TWO], id="one list"),
        pytest.param(with_policy(attached_nowhere), [TWO], id="not attached"),
        pytest.param(
            account(single("one"), single("two")), [single("one", "s3:PutObject"), TWO], id="both lists"
        ),
        pytest.param(moved(), [TWO], id="a role that the workload leaves"),
        pytest.param(
            detached(), [TWO, single("one", policies=[])], id="a role that the policy is detached from"
        ),
        pytest.param(
            with_policy(lambda aws: add_role(aws, closed_policy(CLUSTER_ARN), tags=OWNED)),
            [TWO],
            id="a closed role",
        ),
        pytest.param(
            with_policy(lambda aws: create_role(aws, "old", TRUST_BARE, (SHARED,))),
            [TWO, single("app", "s3:PutObject", role={"arn": OLD})],
            id="a listed existing role with the policy",
        ),
        pytest.param(
            with_policy(attached_nowhere),
            [TWO, workload("app", role={"name": "bound", "permissions_boundary": SHARED}, policies=[])],
            id="the boundary of a listed role",
        ),
    ],
)
def test_document_changes_for_users_in_the_run(aws: FakeAws, raws: list[Any]) -> None:
    found = plan(aws, desired(*raws))
    assert found.failures == ()
    assert CHANGED in names(found)


@pytest.mark.parametrize(
    ("raw", "changed"),
    [
        pytest.param(single("two", policies=[shared("S3:getobject")]), [], id="the same meaning"),
        pytest.param(single("two", policies=[shared(tags={"a": "b"})]), [CHANGED], id="only tags"),
    ],
)
def test_unchanged_document_ignores_other_users(raw: dict[str, Any], changed: list[str]) -> None:
    aws = account(single("one"), single("two"))
    found = plan(aws, desired(raw))
    assert (found.failures, names(found)) == ((), changed)
    assert aws.parameters("iam:ListEntitiesForPolicy") == []


def test_users_are_read_only_if_roles_of_the_run_do_not_explain_the_count() -> None:
    aws = account(single("one"), single("two"))
    plan(aws, desired(single("one", "s3:PutObject"), TWO))
    assert aws.parameters("iam:ListEntitiesForPolicy") == []
    plan(aws, desired(TWO))
    assert aws.parameters("iam:ListEntitiesForPolicy") == [{"PolicyArn": SHARED}]


@pytest.mark.parametrize("scope", ["workload", "namespace", "cluster", "account", "none"])
def test_users_of_one_list_need_no_additional_request(scope: str) -> None:
    """Check that the users of a policy cost no additional requests: a run lists the associations of the cluster in any case."""
    aws = account(single("two"), trust_scope=scope)
    aws.requests.clear()
    assert names(plan(aws, desired(single("two"), trust_scope=scope))) == []
    unchanged = [name for name, _parameters in aws.requests]
    aws.requests.clear()
    found = plan(aws, desired(TWO, trust_scope=scope))
    assert (found.failures, names(found)) == ((), [CHANGED])
    changed = [name for name, _parameters in aws.requests]
    assert sorted(changed) == sorted([*unchanged, "iam:ListPolicyVersions"])


def test_all_pages_of_users_are_read() -> None:
    aws = account(single("one"), single("two"))

    def in_pages(parameters: Any) -> dict[str, Any]:
        if "Marker" not in parameters:
            return {"PolicyRoles": [{"RoleName": "two"}], "IsTruncated": True, "Marker": "m"}
        return {"PolicyUsers": [{"UserName": "alice"}], "IsTruncated": False}

    aws.replace("iam:ListEntitiesForPolicy", in_pages)
    (failure,) = plan(aws, desired(TWO)).failures
    assert "users outside this run: user alice. It was" in failure.message


def test_many_roles_are_not_read_and_the_first_are_named() -> None:
    aws = account(*(single(f"other-{number}") for number in range(6)))
    aws.requests.clear()
    (failure,) = plan(aws, desired(TWO)).failures
    role_names = "role other-0, role other-1, role other-2, role other-3, role other-4 and 1 more"
    assert f"users outside this run: {role_names}. It was" in failure.message
    assert aws.parameters("iam:GetRole") == [{"RoleName": "two"}]


def test_document_is_kept_for_unreadable_users() -> None:
    aws = account(single("one"))
    aws.fail_on("iam:ListEntitiesForPolicy", DENIED)
    found = plan(aws, desired(TWO, single("three", policies=[policy("other")])))
    message = (
        f"policy {SHARED} is unchanged, because its users outside this run could not be read: "
        "iam:ListEntitiesForPolicy: User is not authorized"
    )
    assert found.failures == (
        Failure((key("two"),), policy_target(SHARED), "update", "AccessDenied", message, DENIED.remedy),
    )
    assert {key for change in found.changes for key in change.workloads} == {key("three")}


def test_unreadable_role_outside_the_run_is_named() -> None:
    aws = account(single("one"), single("two"))
    whole = aws.iam.GetRole

    def denied(parameters: Any) -> dict[str, Any]:
        if parameters["RoleName"] == "one":
            raise classify("iam:GetRole", "AccessDenied", "User is not authorized")
        return whole(parameters)

    aws.replace("iam:GetRole", denied)
    (failure,) = plan(aws, desired(TWO)).failures
    assert "users outside this run: role one. It was" in failure.message
    failures = plan(aws, desired(TWO, single("one", "s3:PutObject"))).failures
    assert [failure.error_code for failure in failures] == ["POLICY_USED_ELSEWHERE", "AccessDenied"]
    assert "users outside this run: role one (could not be read). It was" in failures[0].message


def test_bulk_read_supplies_roles_outside_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(observe, "BULK_THRESHOLD", 0)
    monkeypatch.setattr(
        observe, "read_snapshot", lambda api, _singles, *kinds: read_snapshot(api, 1000, *kinds)
    )
    aws = account(single("one"))
    aws.requests.clear()
    (failure,) = plan(aws, desired(TWO)).failures
    assert f"users outside this run: {ONE}. It was" in failure.message
    assert aws.parameters("iam:GetRole") == []


def test_role_deleted_by_purge_does_not_keep_the_document() -> None:
    aws = account(single("one"), single("two"))
    spec = desired(TWO)
    done = run_with_purge(engine(aws, spec), spec, PurgeScope(), False)
    assert done.failures == ()
    assert aws.state() == account(TWO).state()


def test_role_kept_by_purge_keeps_the_document() -> None:
    aws = account(single("one"), single("two"))
    assert run(aws, desired(single("one"), cluster=OTHER_CLUSTER)).failures == ()
    spec = desired(TWO)
    done = run_with_purge(engine(aws, spec), spec, PurgeScope(), False)
    assert [failure.error_code for failure in done.failures] == ["POLICY_USED_ELSEWHERE"]
    assert [finding.code for finding in done.findings] == ["PURGE_WAITS"]


# Tests of owners


def owned_by(owner: str, *workloads: dict[str, Any], **options: Any) -> Desired:
    return desired(*workloads, tags={OWNER_TAG: owner}, **options)


def owner_not_set(reason: str) -> Finding:
    return Finding(
        Code.NOT_OWNED,
        f"policy {SHARED} does not get the tag workload-identity/owner: payments, because {reason}. With the "
        "tag, runs for other owners or without an owner could no longer change it.",
        "If only this owner uses the resource, set ⟨adopt⟩: true, which sets the tag. Otherwise no action is needed.",
        key("two"),
        raised_as="info",
    )


def policy_findings(done: Run) -> tuple[Finding, ...]:
    """Return all findings of a run, except findings about associations that are not in the list."""
    return tuple(finding for finding in done.findings if finding.code != Code.UNLISTED_ASSOCIATIONS)


@pytest.mark.parametrize(
    ("aws", "reason"),
    [
        pytest.param(account(single("one")), f"it has users outside this run ({ONE})", id="another list"),
        pytest.param(
            account(single("one"), cluster=OTHER_CLUSTER),
            f"it was first created for cluster {OTHER_CLUSTER_ARN}, which is not part of this run",
            id="another cluster",
        ),
        pytest.param(
            with_policy(add_user("users")), "it has users outside this run (user alice)", id="a user"
        ),
    ],
)
def test_owner_does_not_claim_a_policy_in_use_elsewhere(aws: FakeAws, reason: str) -> None:
    for _turn in range(2):
        done = run(aws, owned_by("payments", single("two")))
        assert (done.failures, policy_findings(done)) == ((), (owner_not_set(reason),))
        assert OWNER_TAG not in aws.state()["policies"][SHARED]["tags"]
    adopted = run(aws, owned_by("payments", single("two"), adopt=True))
    assert (adopted.failures, policy_findings(adopted)) == ((), ())
    assert aws.state()["policies"][SHARED]["tags"][OWNER_TAG] == "payments"


def test_owner_does_not_claim_a_policy_with_unreadable_users() -> None:
    aws = account(single("one"))
    aws.fail_on("iam:ListEntitiesForPolicy", DENIED)
    done = run(aws, owned_by("payments", single("two")))
    reason = "its users could not be read (iam:ListEntitiesForPolicy: AccessDenied: User is not authorized)"
    assert (done.failures, policy_findings(done)) == ((), (owner_not_set(reason),))
    assert OWNER_TAG not in aws.state()["policies"][SHARED]["tags"]


def test_owner_claims_a_policy_used_by_its_run_only() -> None:
    aws = account(single("two"))
    done = run(aws, owned_by("payments", single("two")))
    assert (done.failures, done.findings) == ((), ())
    assert aws.state()["policies"][SHARED]["tags"][OWNER_TAG] == "payments"
    assert aws.parameters("iam:ListEntitiesForPolicy") == []


def role_findings(done: Run) -> list[str]:
    return [
        finding.message.partition(", because ")[2].partition(". With the tag")[0]
        for finding in done.findings
        if finding.code == "NOT_OWNED" and finding.message.startswith("role ")
    ]


@pytest.mark.parametrize(
    ("aws", "reason"),
    [
        pytest.param(
            account(single("one", role={"name": "two"}), single("two")),
            "it has users outside this run (my-cluster default/one)",
            id="another list",
        ),
        pytest.param(
            account(single("one", role={"name": "two"}), single("two"), trust_scope="cluster"),
            "it has users outside this run (my-cluster default/one)",
            id="another list, for its cluster",
        ),
        pytest.param(
            account(single("one", role={"name": "two"}), cluster=OTHER_CLUSTER),
            "it has users outside this run (other-cluster default/one)",
            id="another cluster",
        ),
        pytest.param(
            account(single("two"), trust_scope="account"),
            "it can be used by every cluster of the account",
            id="any cluster",
        ),
    ],
)
def test_owner_does_not_claim_a_role_in_use_elsewhere(aws: FakeAws, reason: str) -> None:
    for _turn in range(2):
        done = run(aws, owned_by("payments", single("two", policies=[])))
        assert (done.failures, role_findings(done)) == ((), [reason])
        assert OWNER_TAG not in aws.state()["roles"]["two"]["tags"]
    adopted = run(aws, owned_by("payments", single("two", policies=[]), adopt=True))
    assert (adopted.failures, role_findings(adopted)) == ((), [])
    assert aws.state()["roles"]["two"]["tags"][OWNER_TAG] == "payments"


def test_lists_of_two_owners_share_a_role_without_owner() -> None:
    aws = account(single("one", role={"name": "both"}), single("two", role={"name": "both"}))
    lists = [
        owned_by(owner, single(name, role={"name": "both"})) for owner, name in (("a", "one"), ("b", "two"))
    ]
    for spec in lists * 2:
        assert run(aws, spec).failures == ()
    joining = owned_by("b", single("two", role={"name": "both"}), single("three", role={"name": "both"}))
    assert run(aws, joining).failures == ()
    assert OWNER_TAG not in aws.state()["roles"]["both"]["tags"]


def test_lists_of_two_owners_share_resources_without_owner() -> None:
    aws = account(single("one"), single("two"))
    first = owned_by("billing", single("one"))
    second = owned_by("payments", single("two"))
    for spec in (first, second, first, second):
        assert run(aws, spec).failures == ()
    assert OWNER_TAG not in aws.state()["policies"][SHARED]["tags"]
