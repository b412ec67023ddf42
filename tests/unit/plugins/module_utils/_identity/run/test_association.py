# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED, classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    AssociationSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    State,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.association import (
    AssociationError,
    Result,
    converge,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    may_become_usable,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import Order
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import Subject
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OWNED,
    REGION,
    TRUST_BARE,
    TRUST_EC2,
    Clock,
    FakeAws,
    create_association,
    create_role,
    document,
    key,
    role_arn,
    wait_policy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    CREATED,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.late_aws import (
    LateAws,
)

Requested: TypeAlias = "tuple[Desired, State]"
TARGET = "arn:aws:iam::444455556666:role/target"
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"
FIRST = "a-00000000000000001"
ROW: dict[str, Any] = {
    "cluster_name": CLUSTER,
    "namespace": "default",
    "service_account": "app",
    "association_id": FIRST,
    "association_arn": f"arn:aws:eks:{REGION}:{ACCOUNT}:podidentityassociation/{CLUSTER}/{FIRST}",
    "role_arn": role_arn("r"),
    "target_role_arn": "",
    "external_id": "",
    "disable_session_tags": False,
    "session_policy": None,
    "tags": OWNED,
    "owner_arn": "",
    "created_at": "2026-11-24T10:15:30+00:00",
    "modified_at": "2026-11-24T10:15:30+00:00",
}


def account() -> FakeAws:
    aws = FakeAws()
    create_role(aws, "r", TRUST_BARE)
    create_role(aws, "other", TRUST_BARE)
    return aws


def association_input(
    role: str = role_arn("r"),
    tags: dict[str, str] | None = None,
    purge_tags: bool = True,
    force: bool = False,
    absent: bool = False,
    cluster: str = CLUSTER,
    **spec: Any,
) -> Requested:
    association = AssociationSpec(tags=tags or {}, role_arn=role, **spec)
    options = Options(purge_tags=tags is not None and purge_tags, force=force)
    workload = Workload(key("app", cluster=cluster), None, association=association)
    return Desired((workload,), options), "absent" if absent else "present"


def ensure(
    aws: FakeAws, parameters: Requested, check_mode: bool = False, clock: Clock | None = None
) -> Result:
    desired, state = parameters
    return converge(aws, desired, Order(state, check_mode), REGION, wait_policy(clock))


def action(result: Result) -> str:
    return result.change.action if result.change else "none"


@pytest.mark.parametrize(
    ("initial", "updated", "expected"),
    [
        pytest.param({}, {"role": role_arn("other")}, {"role_arn": role_arn("other")}, id="role"),
        pytest.param(
            {},
            {"target_role_arn": TARGET},
            {"target_role_arn": TARGET, "external_id": f"{REGION}/{ACCOUNT}/{CLUSTER}/default/app"},
            id="target role",
        ),
        pytest.param({"target_role_arn": TARGET}, {"target_role_arn": ""}, {}, id="target role cleared"),
        pytest.param(
            {}, {"disable_session_tags": True}, {"disable_session_tags": True}, id="session tags turned off"
        ),
        pytest.param(
            {"disable_session_tags": True}, {"disable_session_tags": False}, {}, id="session tags turned on"
        ),
        pytest.param(
            {"disable_session_tags": True},
            {"disable_session_tags": True, "session_policy": document("a:B")},
            {"disable_session_tags": True, "session_policy": document("a:B")},
            id="session policy",
        ),
        pytest.param({}, {"tags": {"a": "1"}}, {"tags": {"a": "1", **OWNED}}, id="tag added"),
        pytest.param({"tags": {"a": "1"}}, {"tags": {}}, {}, id="tag purged"),
    ],
)
def test_updates_the_association(
    initial: dict[str, Any], updated: dict[str, Any], expected: dict[str, Any]
) -> None:
    aws = account()
    ensure(aws, association_input(**initial))
    predicted = ensure(aws, association_input(**updated), check_mode=True)
    outcome = ensure(aws, association_input(**updated))
    assert (action(predicted), action(outcome)) == ("update", "update")
    assert outcome.association == {**ROW, **expected}
    # Check mode cannot know the external ID, because EKS creates it.
    assert predicted.association == {**ROW, **expected, "external_id": ""}
    assert action(ensure(aws, association_input(**updated))) == "none"


def only(aws: FakeAws) -> dict[str, Any]:
    """Return the only association, without its ID and ARN."""
    (association,) = aws.eks.state()
    return association


def test_deleted_cluster_needs_no_deletion() -> None:
    assert ensure(account(), association_input(absent=True, cluster="gone")) == Result(None, None)


def lose_answers(aws: FakeAws, operation: str, code: str = MALFORMED) -> None:
    """Let AWS execute every request of an operation, but lose the response."""

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        getattr(aws.eks, operation)(parameters)
        raise classify(f"eks:{operation}", code, "Cut off.", outcome_unknown=True)

    aws.replace(f"eks:{operation}", answer)


@pytest.mark.parametrize(
    ("tags", "message", "changed"),
    [
        pytest.param(
            None,
            f"could not update the association of my-cluster default/app (account {ACCOUNT}, region {REGION}): "
            "MalformedAnswer: eks:UpdatePodIdentityAssociation: Cut off. The present state of the association cannot be read: "
            "eks:ListPodIdentityAssociations: ServerException: Oops. Check proxy and network, then run again: completed changes "
            "are kept.",
            False,
            id="unknown outcome",
        ),
        pytest.param(
            {"a": "1"},
            f"could not update the association of my-cluster default/app (account {ACCOUNT}, region {REGION}): "
            "MalformedAnswer: eks:TagResource: Cut off. Done before the failure: eks:UpdatePodIdentityAssociation. "
            "The present state of the association cannot be read: eks:ListPodIdentityAssociations: ServerException: Oops. Check "
            "proxy and network, then run again: completed changes are kept.",
            True,
            id="partly done",
        ),
    ],
)
def test_failed_second_read_keeps_the_first_failure(
    tags: dict[str, str] | None, message: str, changed: bool
) -> None:
    aws = account()
    ensure(aws, association_input(role_arn("other")))
    operation = "TagResource" if tags else "UpdatePodIdentityAssociation"
    lose_answers(aws, operation)
    unreadable = classify("eks:ListPodIdentityAssociations", "ServerException", "Oops")
    aws.before_request(f"eks:{operation}", lambda: aws.fail_on("eks:ListPodIdentityAssociations", unreadable))
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(tags=tags))
    assert (str(caught.value), caught.value.changed) == (message, changed)


@pytest.mark.parametrize("absent", [False, True])
def test_addon_association_requires_force(absent: bool) -> None:
    aws = account()
    create_association(aws, "app", "other", ownerArn=ADDON)
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(absent=absent))
    start = "Remove the service account from" if absent else "Change the role in"
    assert str(caught.value) == (
        f"association {FIRST} of my-cluster default/app is owned by the EKS add-on {ADDON}, which would undo a "
        f"direct change. {start} the add-on's podIdentityAssociations, or set ⟨force⟩: true. Nothing was changed."
    )
    assert (caught.value.failure.error_code, caught.value.changed) == ("ASSOCIATION_OWNED_BY_ADDON", False)
    assert action(ensure(aws, association_input(absent=absent, force=True))) == (
        "delete" if absent else "update"
    )


def test_tags_of_an_addon_association_need_no_force() -> None:
    aws = account()
    create_association(aws, "app", "r", ownerArn=ADDON)
    outcome = ensure(aws, association_input(tags={"team": "a"}))
    assert (action(outcome), outcome.association) == (
        "update",
        {**ROW, "owner_arn": ADDON, "tags": {"team": "a"}},
    )
    assert aws.writes == ["eks:TagResource"]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        pytest.param({}, ["List", "Create", "List", "Describe"], id="create"),
        pytest.param({"present": True}, ["List", "Describe"], id="unchanged"),
        pytest.param(
            {"present": True, "role": role_arn("other")},
            ["List", "Describe", "Update", "List", "Describe"],
            id="update",
        ),
        pytest.param({"present": True, "absent": True}, ["List", "Describe", "Delete", "List"], id="delete"),
    ],
)
def test_reads_only_the_association(operation: dict[str, Any], expected: list[str]) -> None:
    aws = account()
    if operation.pop("present", False):
        ensure(aws, association_input())
    aws.requests.clear()
    ensure(aws, association_input(**operation))
    names = [name.partition(":")[2].partition("PodIdentity")[0] for name, _parameters in aws.requests]
    assert [name for name in names if name not in ("DescribeCluster", "GetCallerIdentity")] == expected


def test_change_counts_if_the_read_back_fails() -> None:
    aws = account()
    aws.before_request(
        "eks:CreatePodIdentityAssociation",
        lambda: aws.fail_on(
            "eks:ListPodIdentityAssociations",
            classify("eks:ListPodIdentityAssociations", "ServerException", "Oops"),
        ),
    )
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input())
    assert str(caught.value) == (
        "the association of my-cluster default/app was changed, but could not be read back: "
        "eks:ListPodIdentityAssociations: ServerException: Oops. AWS, or a proxy, had an "
        "internal error. Run again; completed changes are kept."
    )
    assert (caught.value.failure.error_code, caught.value.changed) == ("ServerException", True)


def test_waits_for_a_new_role() -> None:
    aws, clock = account(), Clock()
    aws.iam.roles["r"]["CreateDate"] = None
    aws.eks.waits["r"] = 4
    assert action(ensure(aws, association_input(), clock=clock)) == "create"
    # After the first error, the run reads the role, and plans again after a pause. It waits only after the second error.
    assert clock.pauses == [0.5, 0.5, 1, 2]


def test_does_not_wait_for_an_old_role() -> None:
    aws, clock = account(), Clock()
    aws.eks.waits["r"] = 4
    later = {"ResponseMetadata": {"HTTPHeaders": {"date": "Tue, 24 Nov 2026 11:00:00 GMT"}}}
    role = aws.iam.GetRole({"RoleName": "r"})
    aws.replace("iam:GetRole", lambda _asked: {**role, **later})
    with pytest.raises(AssociationError, match="Role provided in the request does not exist"):
        ensure(aws, association_input(), clock=clock)
    assert clock.pauses == []


# Tests of the decision whether to wait for a role


SUBJECT = Subject(cluster_arn=CLUSTER_ARN, namespace="default", service_account="app", account_id=ACCOUNT)


@pytest.mark.parametrize(
    ("role", "age", "answer"),
    [
        pytest.param("r", timedelta(0), True, id="new"),
        pytest.param("r", timedelta(minutes=4, seconds=59), True, id="young"),
        pytest.param("r", timedelta(minutes=5), False, id="old"),
        pytest.param("ec2", timedelta(0), False, id="new, but without trust"),
        pytest.param("gone", timedelta(0), False, id="missing"),
        pytest.param("team/r", timedelta(0), False, id="new, but with another path"),
    ],
)
def test_waits_only_for_a_new_usable_role(role: str, age: timedelta, answer: bool) -> None:
    aws = account()
    create_role(aws, "ec2", TRUST_EC2)
    assert may_become_usable(aws, role_arn(role), SUBJECT, CREATED + age) is answer


TRUST_SCOPED = {
    "Version": "2012-10-17",
    "Statement": [
        {
            **TRUST_BARE["Statement"][0],
            "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "default"}},
        }
    ],
}


@pytest.mark.parametrize("check_mode", [False, True])
def test_disabled_session_tags_warn_about_the_trust_policy(check_mode: bool) -> None:
    aws = account()
    create_role(aws, "scoped", TRUST_SCOPED)
    disabled = association_input(role=role_arn("scoped"), disable_session_tags=True)
    (warning,) = ensure(aws, disabled, check_mode).warnings
    assert warning.startswith(
        f"Role {role_arn('scoped')} cannot be used by default/app while disable_session_tags is true: "
    )
    assert "session tags are disabled for this association" in warning
    assert warning.endswith(
        "Leave session tags on, or give the role a trust policy without conditions on aws:RequestTag."
    )


def test_unreadable_role_has_no_warning() -> None:
    aws = account()
    aws.fail_on("iam:GetRole", classify("iam:GetRole", "AccessDenied", "no"))
    assert ensure(aws, association_input(disable_session_tags=True)).warnings == ()


def late(clock: Clock, lag: float, replicas: int = 1) -> LateAws:
    aws = LateAws(clock, lag, replicas)
    create_role(aws, "r", TRUST_BARE)
    create_role(aws, "other", TRUST_BARE)
    return aws


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("lag", [0.5, 2, 5, 15])
def test_reads_back_the_written_association(lag: float, replicas: int) -> None:
    clock = Clock()
    aws = late(clock, lag, replicas)
    outcome = ensure(aws, association_input(), clock=clock)
    assert (action(outcome), outcome.association) == ("create", ROW)
    # The next task may read the replica whose state is older.
    clock.sleep(lag if replicas > 1 else 0)
    changed = ensure(
        aws, association_input(role_arn("other"), tags={"team": "a"}, purge_tags=False), clock=clock
    )
    assert changed.association is not None
    assert changed.association["role_arn"] == role_arn("other")
    assert changed.association["tags"] == {**OWNED, "team": "a"}
    clock.sleep(lag if replicas > 1 else 0)
    removed = ensure(aws, association_input(absent=True), clock=clock)
    assert (action(removed), removed.association) == ("delete", None)
    assert aws.writes == [
        "eks:CreatePodIdentityAssociation",
        "eks:UpdatePodIdentityAssociation",
        "eks:TagResource",
        "eks:DeletePodIdentityAssociation",
    ]


def test_invisible_change_is_a_change_and_a_failure() -> None:
    clock = Clock()
    aws = late(clock, 300)
    with pytest.raises(AssociationError) as raised:
        ensure(aws, association_input(), clock=clock)
    assert (raised.value.changed, raised.value.failure.error_code) == (True, "NOT_YET_VISIBLE")
    assert str(raised.value) == (
        f"the association of {CLUSTER} default/app was changed, but could not be read back: "
        "eks:DescribePodIdentityAssociation: NOT_YET_VISIBLE: this run made the change (create association default/app), but "
        "reads do not show it after 60 s. Run again in a minute."
    )
    assert sum(clock.pauses) <= 60
