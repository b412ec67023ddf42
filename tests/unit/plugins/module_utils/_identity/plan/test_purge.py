# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test purges: their deletions, their limits and their failures."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    OTHER_CLUSTER,
    OWNER,
    REGION,
    create_policy,
    desired,
    engine,
    policy,
    run,
    run_with_purge,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
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
        "list is complete (check mode with diff shows the removals if ⟨purge_limit⟩ allows them), or raise ⟨purge_limit⟩ to 11."
    ]
    assert aws.state() == initial


def test_purge_of_an_owner_keeps_other_owners() -> None:
    aws = FakeAws()
    for owner in ("x", "y"):
        spec = desired(unshared(owner), owner=owner)
        assert engine(aws, spec).run(spec, "present", check_mode=False).failures == ()
    purge(aws, owner="x")
    assert service_accounts(aws) == ["y"]


def test_purge_does_not_touch_another_cluster_of_the_owner() -> None:
    aws = converged_account(unshared("a"), cluster=OTHER_CLUSTER)
    initial = aws.state()
    done = purge(aws)
    assert (done.findings, done.failures, aws.state()) == ((), (), initial)


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


def test_purge_deletes_a_policy_detached_from_a_listed_role() -> None:
    aws = converged_account(unshared("a"))
    purge(aws, {**unshared("a"), "policies": []})
    assert aws.iam.policies == {}


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
