# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test purges: their deletions, their limits and their failures."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    CLUSTER_TAG,
    OWNER_TAG,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    OWNER,
    POLICY_TAGS,
    REGION,
    TRUST_BARE,
    codes_and_reasons,
    create_association,
    create_policy,
    create_role,
    desired,
    engine,
    named,
    names,
    policy,
    policy_arn,
    role_arn,
    run,
    run_with_purge,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    CREATED,
)

DENIED = classify("x", "AccessDenied", "User is not authorized")


def unshared(name: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    """Return a workload with a role and a policy that no other workload uses."""
    return workload(
        name, namespace, role={"name": f"role-{name}"}, policies=[policy(f"policy-{name}")], **more
    )


def converged_account(*workloads: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    return aws


def purge(
    aws: FakeAws, *workloads: dict[str, Any], check_mode: bool = False, adopt: bool = False, **scope: Any
) -> Run:
    spec = desired(*workloads, owner=scope.pop("owner", OWNER), adopt=adopt)
    return run_with_purge(engine(aws, spec), spec, PurgeScope(**scope), check_mode)


def service_accounts(aws: FakeAws) -> list[str]:
    return sorted(str(association["serviceAccount"]) for association in aws.eks.associations.values())


def test_unlisted_workload_is_deleted_with_role_and_policy() -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    done = purge(aws, unshared("a"))
    assert done.failures == ()
    assert [f"{applied.change.action} {applied.change.target.resource}" for applied in done.done] == [
        "delete association",
        "detach attachment",
        "delete role",
        "delete policy",
    ]
    assert aws.state() == converged_account(unshared("a")).state()


@pytest.mark.parametrize("check_mode", [False, True])
def test_empty_list_over_the_limit_fails_and_names_the_deletions(check_mode: bool) -> None:
    aws = converged_account(*(unshared(f"s{number:02}") for number in range(11)))
    initial = aws.state()
    with pytest.raises(InputError) as caught:
        purge(aws, check_mode=check_mode)
    names = ", ".join(f"default/s{number:02}" for number in range(11))
    assert list(caught.value.problems) == [
        f"purge would remove 11 unlisted workloads of cluster {CLUSTER} (account {ACCOUNT}, region "
        f"{REGION}): {names}. ⟨purge_limit⟩ allows only 10. Check that the "
        "list is complete (check mode with diff shows the removals if ⟨purge_limit⟩ allows them), or raise "
        "⟨purge_limit⟩ to 11."
    ]
    assert aws.state() == initial


def test_lists_the_first_associations_and_counts_the_rest() -> None:
    aws = converged_account(*(unshared(f"s{number:02}") for number in range(33)))
    with pytest.raises(InputError, match=r"default/s28, default/s29 and 3 more\. ⟨purge_limit⟩ allows"):
        purge(aws)


def test_truncated_list_changes_no_listed_workload() -> None:
    aws = converged_account(*(unshared(f"s{number}") for number in range(4)))
    initial = aws.state()
    changed = unshared("s0", tags={"team": "x"})
    with pytest.raises(InputError, match="purge would remove 3 unlisted workloads"):
        purge(aws, changed, limit=2)
    assert aws.state() == initial


def test_purge_up_to_its_limit_is_allowed() -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    assert purge(aws, limit=2).failures == ()
    assert service_accounts(aws) == []


def test_purge_of_an_owner_keeps_other_owners() -> None:
    aws = FakeAws()
    for owner in ("x", "y"):
        spec = desired(unshared(owner), owner=owner)
        assert engine(aws, spec).run(spec, "present", check_mode=False).failures == ()
    purge(aws, owner="x")
    assert service_accounts(aws) == ["y"]


def test_unmanaged_resources_are_kept() -> None:
    aws = converged_account(unshared("a"))
    create_association(aws, "other", "role-a")
    purge(aws)
    assert service_accounts(aws) == ["other"]
    assert "role-a" in str(aws.state())


def test_unlisted_policy_is_deleted_after_its_detachment() -> None:
    aws = converged_account(unshared("a"))
    renamed = unshared("a") | {"policies": [policy("policy-new")]}
    predicted = purge(aws, renamed, check_mode=True)
    done = purge(aws, renamed)
    assert names(predicted.plan) == names(done.plan)
    assert [named(applied.change) for applied in done.done] == [
        f"create policy {policy_arn('policy-new')}",
        f"attach attachment role-a {policy_arn('policy-new')}",
        f"detach attachment role-a {policy_arn('policy-a')}",
        f"delete policy {policy_arn('policy-a')}",
    ]
    assert (done.failures, purge(aws, renamed).plan.changes) == ((), ())


def test_policy_with_a_foreign_attachment_is_kept() -> None:
    aws = converged_account(unshared("a"))
    create_role(aws, "theirs", attached=(policy_arn("policy-a"),))
    renamed = unshared("a") | {"policies": [policy("policy-new")]}
    predicted = purge(aws, renamed, check_mode=True)
    done = purge(aws, renamed)
    assert names(predicted.plan) == names(done.plan)
    assert codes_and_reasons(done.findings) == ["policy used"]
    assert policy_arn("policy-a") in aws.state()["policies"]


@pytest.mark.parametrize(
    ("tags", "scope", "deleted"),
    [
        pytest.param(POLICY_TAGS, {}, True, id="created for this cluster"),
        pytest.param(POLICY_TAGS | {OWNER_TAG: "x"}, {"owner": "x"}, True, id="of this owner"),
        pytest.param(POLICY_TAGS | {OWNER_TAG: "y"}, {"owner": "x"}, False, id="of another owner"),
        pytest.param(
            POLICY_TAGS | {CLUSTER_TAG: OTHER_CLUSTER_ARN}, {}, False, id="created for another cluster"
        ),
        pytest.param({CLUSTER_TAG: CLUSTER_ARN}, {}, False, id="unmanaged"),
    ],
)
def test_deletes_unattached_policies_of_the_cluster_only(
    tags: dict[str, str], scope: dict[str, Any], deleted: bool
) -> None:
    aws = converged_account(unshared("a"))
    idle = create_policy(aws, "idle", tags=tags)
    done = purge(aws, unshared("a"), **scope)
    assert [named(applied.change) for applied in done.done] == ([f"delete policy {idle}"] if deleted else [])
    assert (idle in aws.state()["policies"]) is not deleted


def test_policy_with_unreadable_tags_is_unmanaged() -> None:
    aws = converged_account(unshared("a"))
    create_policy(aws, "idle", tags=POLICY_TAGS)
    aws.fail_on("iam:GetPolicy", DENIED)
    assert purge(aws, unshared("a")).done == ()
    assert len(purge(aws, unshared("a")).done) == 1


def test_purge_survives_the_denial_of_any_request() -> None:
    """Deny one request at a time. The purge would delete a role and detach a policy from another role."""
    shared = policy("shared")
    initial = [
        workload("a", role={"name": "blue"}, policies=[shared]),
        workload("b", role={"name": "green"}, policies=[shared]),
        workload("c", role={"name": "green"}, policies=[]),
    ]
    remaining = workload("b", role={"name": "green"}, policies=[])
    requests = 0
    for number in range(1, 60):
        aws = converged_account(*initial)
        sent = len(aws.requests)
        aws.fail_at(number, DENIED)
        # Without a read that every run needs, the run raises an error.
        with contextlib.suppress(AwsError):
            purge(aws, remaining)
        requests = max(requests, len(aws.requests) - sent)
    assert requests < 60


def test_future_boundary_is_kept() -> None:
    aws = converged_account(unshared("a"))
    edge = create_policy(aws, "edge", tags=POLICY_TAGS)
    bounded = unshared("a") | {"role": {"name": "role-a", "permissions_boundary": edge}}
    assert names(purge(aws, bounded, check_mode=True).plan) == ["update role role-a"]
    assert [named(applied.change) for applied in purge(aws, bounded).done] == ["update role role-a"]


def test_role_of_other_associations_is_kept() -> None:
    aws = converged_account(
        unshared("a"), unshared("b") | {"role": {"name": "role-a"}, "policies": [policy("policy-a")]}
    )
    moved = unshared("a") | {"role": {"name": "role-new"}}
    remaining = unshared("b") | {"role": {"name": "role-a"}, "policies": [policy("policy-a")]}
    assert purge(aws, moved, remaining).findings == ()


@pytest.mark.parametrize("spelt", ["role-b", "Role-B"])
def test_target_role_is_kept_in_any_letter_case(spelt: str) -> None:
    chained = unshared("a") | {"target_role_arn": role_arn(spelt)}
    target = {"name": "role-b", "trust_policy": TRUST_BARE}
    aws = converged_account(unshared("b") | {"role": target}, chained)
    done = purge(aws, chained)
    assert [named(applied.change) for applied in done.done] == ["delete association default/b"]
    assert "role-b" in aws.state()["roles"]


PROOF = (
    "Check whether an association in another cluster of the account uses the role (aws eks "
    "list-pod-identity-associations, describe-pod-identity-association), and when the role was last used (aws "
    "iam get-role). If no association uses it, delete the role, or run with ⟨state⟩: absent and ⟨force⟩: true for "
    "the workloads of the role alone."
)


def test_purge_reads_each_association_once() -> None:
    aws = converged_account(unshared("a"), unshared("b"), unshared("c"), unshared("d"))
    aws.requests.clear()
    done = purge(aws, unshared("a"), unshared("b"), unshared("c"), unshared("d"))
    assert done.plan.changes == ()
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 4


def test_limit_may_be_a_percentage() -> None:
    aws = converged_account(unshared("a"), unshared("b"), unshared("c"), unshared("d"))
    with pytest.raises(InputError) as caught:
        purge(aws, unshared("a"), unshared("b"), percent=49)
    assert (
        ": default/c, default/d. ⟨purge_limit⟩ allows only 49% of the 4 managed workloads, which is 1. "
        in str(caught.value)
    )
    purge(aws, unshared("a"), unshared("b"), percent=50)
    assert service_accounts(aws) == ["a", "b"]


def test_kept_role_is_closed() -> None:
    """Check that a purge keeps a role with an unmanaged attachment, but replaces its trust policy with a Deny statement.

    IAM does not accept a trust policy without statements.
    """
    aws = converged_account(unshared("a"))
    aws.iam.roles["role-a"]["attached"].append(create_policy(aws, "theirs"))
    done = purge(aws)
    assert codes_and_reasons(done.findings) == ["role holds"]
    trust = json.loads(aws.iam.roles["role-a"]["trust"])
    assert [statement["Effect"] for statement in trust["Statement"]] == ["Deny"]
    # A repeated purge plans no changes, but still reports the kept role.
    again = purge(aws)
    assert again.done == ()
    (finding,) = build_result(again, False)["findings"]
    assert (finding["code"], finding["workload"]) == ("RESOURCE_KEPT", "")
    assert finding["message"] == (
        f"role {role_arn('role-a')} is kept: it has resources that this collection does not manage ({policy_arn('theirs')})."
    )
    # Once the policy is detached, a purge deletes the role.
    aws.iam.roles["role-a"]["attached"] = []
    assert [named(applied.change) for applied in purge(aws).done] == ["delete role role-a"]


def test_closed_role_is_opened_for_a_listed_workload() -> None:
    aws = converged_account(unshared("a"))
    aws.iam.roles["role-a"]["attached"].append(create_policy(aws, "theirs"))
    purge(aws)
    entries = desired(unshared("a"))
    assert engine(aws, entries).run(entries, "present", check_mode=False).failures == ()
    trust = json.loads(aws.iam.roles["role-a"]["trust"])
    assert [statement["Effect"] for statement in trust["Statement"]] == ["Allow"]


SHARED = {"role": {"name": "shared"}, "policies": [policy("shared")]}


def granted(aws: FakeAws, role: str) -> list[str]:
    """Return the service accounts that the trust policy of a role allows."""
    names = [
        statement["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"]
        for statement in json.loads(aws.iam.roles[role]["trust"])["Statement"]
        if statement["Effect"] == "Allow"
    ]
    return sorted(name for part in names for name in (part if isinstance(part, list) else [part]))


def without_association(*service_accounts: str, **options: Any) -> FakeAws:
    """Return an account in which the workloads a, b and c share a role. ``service_accounts`` have lost their associations."""
    aws = converged_account(*(unshared(name) | SHARED for name in "abc"), **options)
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] not in service_accounts
    }
    return aws


def test_purge_removes_grants_from_a_role_of_unlisted_workloads() -> None:
    """Check that a purge keeps the statement for workload b, which has an association that was created by hand."""
    aws = without_association("b", "c")
    create_association(aws, "b", "shared")
    done = purge(aws, unshared("d"))
    assert service_accounts(aws) == ["b", "d"]
    assert granted(aws, "shared") == ["b"]
    assert done.failures == ()


@pytest.mark.parametrize(
    ("scope", "remaining"),
    [
        pytest.param({}, ["a"], id="the whole cluster"),
        pytest.param({"owner": "x"}, ["a", "b", "c"], id="another owner than the role's"),
    ],
)
def test_purge_revokes_grants_within_its_scope(scope: dict[str, Any], remaining: list[str]) -> None:
    aws = without_association("b", "c")
    purge(aws, unshared("a") | SHARED, **scope)
    assert granted(aws, "shared") == remaining


def test_input_trust_policy_has_no_grants_to_purge() -> None:
    aws = without_association("b", "c")
    whole = json.loads(aws.iam.roles["shared"]["trust"])
    as_given = unshared("a") | SHARED | {"role": {"name": "shared", "trust_policy": whole}}
    assert purge(aws, as_given).plan.changes == ()


def purge_at(moment: datetime, aws: FakeAws, *workloads: dict[str, Any]) -> Run:
    """Run a purge at the time ``moment`` of AWS."""
    spec = desired(*workloads)
    runner = engine(aws, spec)
    runner = replace(runner, cluster=replace(runner.cluster, answered_at=moment))
    return run_with_purge(runner, spec, PurgeScope(), False)


@pytest.mark.parametrize(("minutes", "remaining"), [(4, ["a", "b", "c"]), (6, ["a"])])
def test_grants_of_a_new_role_are_kept(minutes: int, remaining: list[str]) -> None:
    """Check that a purge keeps the statements of a new role for five minutes: another run may be about to create the
    associations."""
    aws = without_association("b", "c")
    done = purge_at(CREATED + timedelta(minutes=minutes), aws, unshared("a") | SHARED)
    assert granted(aws, "shared") == remaining
    assert (done.failures, done.findings) == ((), ())
