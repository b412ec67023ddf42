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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    group_clusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    CLUSTER_TAG,
    OWNER_TAG,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.purge import run_with_purge
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    failure_message,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    HERE,
    OTHER_CLUSTER_ARN,
    POLICY_TAGS,
    REGION,
    TRUST_BARE,
    codes_and_reasons,
    create_association,
    create_policy,
    create_role,
    desired,
    engine,
    key,
    named,
    names,
    policy,
    policy_arn,
    role_arn,
    run,
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
    spec = desired(*workloads, owner=scope.get("owner"), adopt=adopt)
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
        f"purge would remove 11 unlisted workloads, roles and policies of cluster {CLUSTER} (account {ACCOUNT}, region "
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
        spec = desired(unshared(owner), tags={OWNER_TAG: owner})
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


def test_unattached_policies_count_for_the_limit() -> None:
    aws = converged_account()
    create_policy(aws, "one", tags=POLICY_TAGS)
    create_policy(aws, "two", tags=POLICY_TAGS)
    with pytest.raises(InputError, match=r"\): policy one \(not attached\), policy two.* allows only 1\."):
        purge(aws, limit=1)


def test_future_boundary_is_kept() -> None:
    aws = converged_account(unshared("a"))
    edge = create_policy(aws, "edge", tags=POLICY_TAGS)
    bounded = unshared("a") | {"role": {"name": "role-a", "permissions_boundary": edge}}
    assert names(purge(aws, bounded, check_mode=True).plan) == ["update role role-a"]
    assert [named(applied.change) for applied in purge(aws, bounded).done] == ["update role role-a"]


def test_next_purge_deletes_the_former_role_of_a_workload() -> None:
    aws = converged_account(unshared("a"))
    moved = unshared("a") | {"role": {"name": "role-new"}}
    predicted = purge(aws, moved, check_mode=True)
    done = purge(aws, moved)
    assert names(predicted.plan) == names(done.plan)
    for outcome in (predicted, done):
        assert [(note.code, note.workload, note.message, note.remedy) for note in outcome.findings] == [
            (
                "RESOURCE_KEPT",
                key("a"),
                f"role {role_arn('role-a')} loses its last association with cluster {CLUSTER}, but running Pods may still have "
                "its credentials, so the role is kept for now.",
                "Restart those Pods; the next run with purge removes the role.",
            )
        ]
    again = purge(aws, moved)
    assert [named(applied.change) for applied in again.done] == [
        f"detach attachment role-a {policy_arn('policy-a')}",
        "delete role role-a",
    ]
    assert (again.findings, purge(aws, moved).plan.changes) == ((), ())


def test_role_of_a_moved_and_a_purged_workload_is_kept() -> None:
    shared = {"role": {"name": "role-a"}, "policies": [policy("policy-a")]}
    aws = converged_account(unshared("a"), unshared("b") | shared)
    moved = unshared("a") | {"role": {"name": "role-new"}}
    predicted = purge(aws, moved, check_mode=True)
    done = purge(aws, moved)
    assert names(predicted.plan) == names(done.plan)
    assert codes_and_reasons(done.findings) == ["role left"]
    assert "role-a" in aws.state()["roles"]
    assert "delete role role-a" in names(purge(aws, moved).plan)


def test_role_of_other_associations_is_kept() -> None:
    aws = converged_account(
        unshared("a"), unshared("b") | {"role": {"name": "role-a"}, "policies": [policy("policy-a")]}
    )
    moved = unshared("a") | {"role": {"name": "role-new"}}
    remaining = unshared("b") | {"role": {"name": "role-a"}, "policies": [policy("policy-a")]}
    assert purge(aws, moved, remaining).findings == ()


@pytest.mark.parametrize("adopt", [False, True])
def test_grant_in_a_role_of_another_owner_is_revoked_only_with_adopt(adopt: bool) -> None:
    aws = FakeAws()
    other_spec = desired(unshared("b"), tags={OWNER_TAG: "b"})
    assert engine(aws, other_spec).run(other_spec, "present", check_mode=False).failures == ()
    initial = aws.state()
    guest = {"role": {"arn": role_arn("role-b"), "extend_trust": True}, "policies": []}
    spec = desired(unshared("a") | guest, tags={OWNER_TAG: "a"})
    assert engine(aws, spec).run(spec, "present", check_mode=False).failures == ()
    # The association of the other owner may be missing for a moment, for example while it is replaced.
    aws.eks.associations = {
        key: association
        for key, association in aws.eks.associations.items()
        if association["serviceAccount"] == "a"
    }
    done = purge(aws, owner="a", adopt=adopt)
    narrowed = ["update trust_policy role-b"] if adopt else []
    assert [named(applied.change) for applied in done.done] == ["delete association default/a", *narrowed]
    messages = [(str(finding.code), finding.message, finding.remedy) for finding in done.findings]
    kept_grants = (
        "RESOURCE_KEPT",
        f"role {role_arn('role-b')} belongs to owner 'b', and this run is for owner 'a', so its trust policy is unchanged: it "
        "still allows default/a.",
        "Set ⟨adopt⟩: true to revoke these grants, or remove the workloads in a run for the owner of the role.",
    )
    assert messages == ([] if adopt else [kept_grants])
    assert (aws.state()["roles"] == initial["roles"]) is adopt
    assert aws.state()["policies"] == initial["policies"]


def test_policy_of_another_owner_is_detached_and_kept() -> None:
    aws = FakeAws()
    shared = create_policy(aws, "shared", tags=POLICY_TAGS | {OWNER_TAG: "b"})
    spec = desired(unshared("a") | {"policies": [{"arn": shared}]}, tags={OWNER_TAG: "a"})
    assert engine(aws, spec).run(spec, "present", check_mode=False).failures == ()
    done = purge(aws, owner="a")
    assert [named(applied.change) for applied in done.done] == [
        "delete association default/a",
        f"detach attachment role-a {shared}",
        "delete role role-a",
    ]
    assert list(aws.state()["policies"]) == [shared]


def test_grant_is_removed_from_a_kept_role() -> None:
    shared = {"role": {"name": "shared"}}
    aws = converged_account(unshared("a") | shared, unshared("b") | shared)
    remaining = unshared("a") | shared
    predicted = purge(aws, remaining, check_mode=True)
    done = purge(aws, remaining)
    assert names(predicted.plan) == names(done.plan)
    assert [named(applied.change) for applied in done.done] == [
        "delete association default/b",
        "update trust_policy shared",
        f"detach attachment shared {policy_arn('policy-b')}",
        f"delete policy {policy_arn('policy-b')}",
    ]
    assert aws.state() == converged_account(remaining).state()
    assert purge(aws, remaining).done == ()


def test_moved_policy_is_detached_in_check_mode_too() -> None:
    aws = FakeAws()
    create_role(aws, "legacy", TRUST_BARE)
    initial = [
        workload("app", policies=[], role={"name": "blue"}),
        workload("web", policies=[], role={"name": "blue"}),
        workload("app", "batch", policies=[policy("one")], role={"arn": role_arn("legacy")}),
    ]
    assert run(aws, desired(*initial)).failures == ()
    moved = workload("app", policies=[policy("one")], role={"name": "blue"})
    predicted = purge(aws, moved, check_mode=True)
    assert names(predicted.plan) == names(purge(aws, moved).plan)
    assert f"detach attachment legacy {policy_arn('one')}" in names(predicted.plan)


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


def test_role_for_other_clusters_is_kept() -> None:
    open_to_all = unshared("a") | {"role": {"name": "role-a", "trust_scope": "account"}}
    aws = converged_account(open_to_all)
    done = purge(aws)
    assert [(finding.code, finding.message, finding.remedy) for finding in done.findings] == [
        (
            "RESOURCE_KEPT",
            f"role {role_arn('role-a')} is kept: its trust policy is not limited to cluster {CLUSTER}, and "
            "it is not known whether another cluster uses the role.",
            PROOF,
        ),
        ("RESOURCE_KEPT", done.findings[1].message, done.findings[1].remedy),
    ]
    assert codes_and_reasons(done.findings) == ["role perhaps used", "policy used"]
    assert "role-a" in aws.state()["roles"]


def test_purge_reads_each_association_once() -> None:
    aws = converged_account(unshared("a"), unshared("b"), unshared("c"), unshared("d"))
    aws.requests.clear()
    done = purge(aws, unshared("a"), unshared("b"), unshared("c"), unshared("d"))
    assert done.plan.changes == ()
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 4


def test_failure_delays_the_purge() -> None:
    aws = converged_account(unshared("a"), unshared("b"))

    aws.fail_on("iam:CreateRole", DENIED)
    done = purge(aws, unshared("a"), unshared("c"))
    assert [finding.code for finding in done.findings] == ["PURGE_WAITS"]
    assert service_accounts(aws) == ["a", "b"]


def test_failed_purge_counts_unlisted_workloads() -> None:
    aws = converged_account(unshared("a"), unshared("b"), unshared("c"))
    aws.fail_on("eks:DeletePodIdentityAssociation", DENIED)
    done = purge(aws, unshared("a"))
    first, *_causes, last = failure_message(done, HERE).splitlines()
    assert first == (
        f"1 of 2 unlisted workloads of cluster {CLUSTER} (account {ACCOUNT}, region {REGION}) could "
        "not be purged:"
    )
    assert last == "All listed workloads succeeded; a rerun applies the remaining changes."


def test_purge_without_owner_keeps_the_only_owned_workload() -> None:
    aws = FakeAws()
    run(aws, desired(unshared("x"), tags={OWNER_TAG: "x"}))
    assert [finding.message for finding in purge(aws).findings] == [
        "1 unlisted workload with an owner is kept, because this purge runs without an owner: default/x."
    ]


def test_purge_without_owner_keeps_and_counts_owned_resources() -> None:
    aws = FakeAws()
    for owner in ("x", "y"):
        run(aws, desired(unshared(owner), tags={OWNER_TAG: owner}))
    run(aws, desired(unshared("free")))
    outcome = purge(aws, limit=1)
    assert service_accounts(aws) == ["x", "y"]
    assert [(finding.code, finding.message, finding.remedy) for finding in outcome.findings] == [
        (
            "NOT_OWNED",
            "2 unlisted workloads with owners are kept, because this purge runs without an owner: default/x, default/y.",
            "Purge each workload in a run for its owner.",
        )
    ]


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


def test_describes_role_without_association() -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    aws.eks.associations = {}
    with pytest.raises(
        InputError, match=r"\): role role-a \(no association names it\), role role-b.* allows only 1\."
    ):
        purge(aws, limit=1)
    rows = build_result(purge(aws), False)["changes"]
    assert {row["workload"] for row in rows} == {""}


@pytest.mark.parametrize("check_mode", [False, True])
def test_purge_reports_kept_resources(check_mode: bool) -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    create_association(aws, "hand", "Admin")
    run(aws, desired(unshared("x"), tags={OWNER_TAG: "x"}))
    done = purge(aws, unshared("a"), check_mode=check_mode)
    messages = [(finding.code, finding.severity, finding.message) for finding in done.findings]
    place = f"cluster {CLUSTER} (account {ACCOUNT}, region {REGION})"
    assert messages[0] == (
        "UNLISTED_ASSOCIATIONS",
        "warning",
        f"{place} has 1 association not in the list: 1 not managed (default/hand with role Admin).",
    )
    assert [code for code, _severity, _message in messages[1:]] == ["NOT_OWNED"]


def test_purge_for_an_owner_reports_associations_without_owner() -> None:
    aws = converged_account(unshared("free"))
    run(aws, desired(unshared("a"), unshared("b"), tags={OWNER_TAG: "x"}))
    run(aws, desired(unshared("theirs"), tags={OWNER_TAG: "y"}))
    spec = desired(unshared("a"), tags={OWNER_TAG: "x"})
    (finding,) = run_with_purge(engine(aws, spec), spec, PurgeScope("x"), False).findings
    assert (finding.code, finding.severity) == ("UNLISTED_ASSOCIATIONS", "warning")
    assert finding.message.endswith(
        " has 2 associations not in the list: 1 managed without owner (default/free), 1 of other owners (y)."
    )
    assert service_accounts(aws) == ["a", "free", "theirs"]


def test_waiting_purge_reports_each_kept_resource_once() -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    aws.fail_on("iam:CreateRole", DENIED)
    done = purge(aws, unshared("a"), unshared("c"))
    assert [finding.code for finding in done.findings] == ["PURGE_WAITS"]


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


def test_purge_deletes_a_grant_left_by_an_earlier_purge() -> None:
    aws = converged_account(unshared("a") | SHARED, unshared("b") | SHARED)
    aws.fail_on("iam:UpdateAssumeRolePolicy", DENIED)
    refused = purge(aws, unshared("a") | SHARED)
    assert [failure.error_code for failure in refused.failures] == ["AccessDenied"]
    assert (service_accounts(aws), granted(aws, "shared")) == (["a"], ["a", "b"])
    predicted = purge(aws, unshared("a") | SHARED, check_mode=True)
    done = purge(aws, unshared("a") | SHARED)
    assert names(predicted.plan) == names(done.plan) == ["update trust_policy shared"]
    assert (done.failures, done.findings, done.purged) == ((), (), 1)
    assert granted(aws, "shared") == ["a"]
    assert aws.state() == converged_account(unshared("a") | SHARED).state()
    assert purge(aws, unshared("a") | SHARED).plan.changes == ()


def test_purge_removes_grants_from_a_role_of_unlisted_workloads() -> None:
    """Check that a purge keeps the statement for workload b, which has an association that was created by hand."""
    aws = without_association("b", "c")
    create_association(aws, "b", "shared")
    done = purge(aws, unshared("d"))
    assert service_accounts(aws) == ["b", "d"]
    assert granted(aws, "shared") == ["b"]
    assert done.failures == ()


def test_role_with_foreign_attachments_loses_the_remaining_grant() -> None:
    aws = converged_account(unshared("a"))
    aws.iam.roles["role-a"]["attached"].append(create_policy(aws, "theirs"))
    aws.fail_on("iam:UpdateAssumeRolePolicy", DENIED)
    purge(aws)
    assert granted(aws, "role-a") == ["a"]
    assert [named(applied.change) for applied in purge(aws).done] == ["update trust_policy role-a"]
    assert granted(aws, "role-a") == []
    assert purge(aws).plan.changes == ()


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


def test_grants_count_once_per_workload_for_the_limit() -> None:
    aws = without_association("b", "c")
    two = unshared("b") | {"role": {"name": "second"}}
    run(aws, desired(unshared("a") | {"role": {"name": "second"}}, two))
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] != "b"
    }
    run(aws, desired(unshared("a") | SHARED))
    with pytest.raises(
        InputError,
        match=r"purge would remove 3 unlisted workloads.*: .*default/b, default/c\. .* allows only 2\.",
    ):
        purge(aws, unshared("a") | SHARED, limit=2)


def test_input_trust_policy_has_no_grants_to_purge() -> None:
    aws = without_association("b", "c")
    whole = json.loads(aws.iam.roles["shared"]["trust"])
    as_given = unshared("a") | SHARED | {"role": {"name": "shared", "trust_policy": whole}}
    assert purge(aws, as_given).plan.changes == ()


@pytest.mark.parametrize("moment", range(1, 5))
def test_association_created_during_a_purge_keeps_its_grant(moment: int) -> None:
    """Create an association right before one of the lists that a purge sends. The purge must not remove the statement for it."""
    aws = without_association("b")
    lists = iter(range(moment + 1))

    def appear() -> None:
        if next(lists) == moment:
            create_association(aws, "b", "shared", tags=POLICY_TAGS)
        else:
            aws.before_request("eks:ListPodIdentityAssociations", appear)

    aws.before_request("eks:ListPodIdentityAssociations", appear)
    done = purge(aws, unshared("a") | SHARED, unshared("c") | SHARED)
    assert (service_accounts(aws), granted(aws, "shared")) == (["a", "b", "c"], ["a", "b", "c"])
    assert (done.done, done.failures) == ((), ())


def purge_at(moment: datetime, aws: FakeAws, *workloads: dict[str, Any]) -> Run:
    """Run a purge at the time ``moment`` of AWS."""
    spec = desired(*workloads)
    runner = engine(aws, spec)
    (cluster,) = runner.clusters.members.values()
    runner = replace(runner, clusters=group_clusters(replace(cluster, answered_at=moment)))
    return run_with_purge(runner, spec, PurgeScope(), False)


@pytest.mark.parametrize(("minutes", "remaining"), [(4, ["a", "b", "c"]), (6, ["a"])])
def test_grants_of_a_new_role_are_kept(minutes: int, remaining: list[str]) -> None:
    """Check that a purge keeps the statements of a new role for five minutes: another run may be about to create the
    associations."""
    aws = without_association("b", "c")
    done = purge_at(CREATED + timedelta(minutes=minutes), aws, unshared("a") | SHARED)
    assert granted(aws, "shared") == remaining
    assert (done.failures, done.findings) == ((), ())


def test_new_role_or_policy_without_workload_is_not_reported() -> None:
    aws = converged_account(unshared("a"), unshared("b"))
    aws.eks.associations = {
        identifier: association
        for identifier, association in aws.eks.associations.items()
        if association["serviceAccount"] == "a"
    }
    create_policy(aws, "idle", tags=POLICY_TAGS)
    done = purge_at(CREATED + timedelta(seconds=20), aws, unshared("a"))
    assert (done.failures, done.findings) == ((), ())
    assert {"delete role role-b", f"delete policy {policy_arn('idle')}"} <= set(names(done.plan))
