# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a purge removes, and what stops it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.engine import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.fields import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import OWNER_NAME_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.purge import PurgeScope
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    desired,
    engine,
    given_association,
    policy,
    run,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws,
)

DENIED = AwsError("x", "AccessDenied", "User is not authorized")


def own(name: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    """A workload with a role and a policy that nobody else uses."""
    return workload(
        name, namespace, role={"name": f"role-{name}"}, policies=[policy(f"policy-{name}")], **more
    )


def settled(*workloads: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    return aws


def purge(aws: FakeAws, *workloads: dict[str, Any], check_mode: bool = False, **scope: Any) -> Run:
    wanted = desired(*workloads)
    return engine(aws, wanted).run_with_purge(wanted, PurgeScope(**scope), check_mode)


def there(aws: FakeAws) -> list[str]:
    return sorted(str(one["serviceAccount"]) for one in aws.eks.associations.values())


def test_what_is_not_listed_goes_with_its_role_and_policy() -> None:
    aws = settled(own("a"), own("b"))
    done = purge(aws, own("a"))
    assert done.failures == ()
    assert [f"{one.change.action} {one.change.resource}" for one in done.done] == [
        "delete association",
        "detach attachment",
        "delete role",
        "delete policy",
    ]
    assert aws.state() == settled(own("a")).state()


@pytest.mark.parametrize("check_mode", [False, True])
def test_an_empty_list_removes_nothing_over_the_limit_and_says_what_it_would(check_mode: bool) -> None:
    aws = settled(*(own(f"s{number:02}") for number in range(11)))
    before = aws.state()
    with pytest.raises(InputError) as caught:
        purge(aws, check_mode=check_mode)
    names = ", ".join(f"default/s{number:02}" for number in range(11))
    assert list(caught.value.problems) == [
        f"purge would remove 11 workloads that are not listed, but purge_limit is 10: {names}. Check that the "
        "list is complete (check mode with diff shows what would go when purge_limit allows it), or raise "
        "purge_limit to 11."
    ]
    assert aws.state() == before


def test_of_very_many_the_first_are_named_and_the_others_counted() -> None:
    aws = settled(*(own(f"s{number:02}") for number in range(33)))
    with pytest.raises(InputError, match=r"default/s28, default/s29 and 3 more\. Check"):
        purge(aws)


def test_a_truncated_list_changes_nothing_of_what_it_still_holds() -> None:
    aws = settled(*(own(f"s{number}") for number in range(4)))
    before = aws.state()
    changed = own("s0", tags={"team": "x"})
    with pytest.raises(InputError, match="purge would remove 3 workloads"):
        purge(aws, changed, limit=2)
    assert aws.state() == before


def test_the_limit_itself_may_go() -> None:
    aws = settled(own("a"), own("b"))
    assert purge(aws, limit=2).failures == ()
    assert there(aws) == []


def test_a_purge_of_namespaces_leaves_the_others() -> None:
    aws = settled(own("a", "one"), own("b", "two"))
    purge(aws, namespaces=frozenset({"one"}))
    assert there(aws) == ["b"]


def test_a_purge_of_an_owner_leaves_those_of_others() -> None:
    aws = FakeAws()
    for owner in ("x", "y"):
        wanted = desired(own(owner), tags={OWNER_NAME_TAG: owner})
        assert engine(aws, wanted).run(wanted, "present", check_mode=False).failures == ()
    purge(aws, owner="x")
    assert there(aws) == ["y"]


def test_what_is_not_ours_stays() -> None:
    aws = settled(own("a"))
    given_association(aws, "other", "role-a")
    purge(aws)
    assert there(aws) == ["other"]
    assert "role-a" in str(aws.state())


def test_a_purge_reads_each_association_once() -> None:
    aws = settled(own("a"), own("b"), own("c"), own("d"))
    aws.requests.clear()
    done = purge(aws, own("a"), own("b"), own("c"), own("d"))
    assert done.plan.changes == ()
    assert len(aws.parameters("eks:DescribePodIdentityAssociation")) == 4


def test_a_failure_keeps_the_purge_waiting() -> None:
    aws = settled(own("a"), own("b"))

    aws.fail_on("iam:CreateRole", DENIED)
    done = purge(aws, own("a"), own("c"))
    assert [one.code for one in done.findings] == ["PURGE_WAITS"]
    assert there(aws) == ["a", "b"]
