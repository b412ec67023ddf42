# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
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
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
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
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
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
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    CREATED,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.late_aws import (
    LateAws,
)

Requested: TypeAlias = "tuple[Desired, State]"
KEY = key("app")
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
IN_CHECK_MODE = {**ROW, "association_id": "", "association_arn": "", "created_at": "", "modified_at": ""}


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


def test_creates_the_association_once() -> None:
    aws = account()
    outcome = ensure(aws, association_input())
    assert (action(outcome), outcome.association) == ("create", ROW)
    again = ensure(aws, association_input())
    assert (action(again), again.association) == ("none", ROW)


def test_check_mode_predicts_a_creation() -> None:
    aws = account()
    requested = association_input(
        target_role_arn=TARGET, disable_session_tags=True, session_policy=document("a:B")
    )
    outcome = ensure(aws, requested, check_mode=True)
    assert outcome.association == {
        **IN_CHECK_MODE,
        "target_role_arn": TARGET,
        "disable_session_tags": True,
        "session_policy": document("a:B"),
    }
    assert (action(outcome), aws.writes) == ("create", [])


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


@pytest.mark.parametrize(
    ("initial", "updated"),
    [
        pytest.param({"target_role_arn": TARGET}, {}, id="target role not set"),
        pytest.param({"disable_session_tags": True}, {}, id="session tags not set"),
        pytest.param({"tags": {"a": "1"}}, {}, id="tags not set"),
        pytest.param({"tags": {"a": "1"}}, {"tags": {}, "purge_tags": False}, id="tags not purged"),
    ],
)
def test_omitted_settings_are_kept(initial: dict[str, Any], updated: dict[str, Any]) -> None:
    aws = account()
    outcome = ensure(aws, association_input(**initial))
    assert ensure(aws, association_input(**updated)) == Result(None, outcome.association)


WHOLE: dict[str, Any] = {
    "disableSessionTags": True,
    "policy": json.dumps(document("s3:GetObject"), separators=(",", ":")),
    "targetRoleArn": TARGET,
    "tags": {"team": "a"},
}
CLEARED = association_input(session_policy={})
CREATE, DELETE = "eks:CreatePodIdentityAssociation", "eks:DeletePodIdentityAssociation"


def with_session_policy(**more: Any) -> FakeAws:
    aws = account()
    create_association(aws, "app", "r", **WHOLE, **more)
    aws.requests.clear()
    return aws


def only(aws: FakeAws) -> dict[str, Any]:
    """Return the only association, without its ID and ARN."""
    (association,) = aws.eks.state()
    return association


def failed(aws: FakeAws, parameters: Requested = CLEARED) -> AssociationError:
    with pytest.raises(AssociationError) as caught:
        ensure(aws, parameters)
    return caught.value


UNKNOWN_FIELD = {"workloadIdentityConfig": {"enabled": True}}


def test_association_with_an_unknown_field_is_updated_in_place() -> None:
    aws = with_session_policy(**UNKNOWN_FIELD)
    allow_all = document("*")
    assert action(ensure(aws, association_input(session_policy=allow_all))) == "update"
    assert only(aws)["workloadIdentityConfig"] == {"enabled": True}


DENIED = classify("eks:Test", "AccessDeniedException", "No.")
OOPS = classify("eks:Test", "ServerException", "Oops.")
LOST = OOPS.amended(OOPS.text, outcome_unknown=True)


def test_existing_association_is_adopted_without_ownership_tag() -> None:
    aws = account()
    create_association(aws, "app", "other", tags={"team": "x"})
    outcome = ensure(aws, association_input())
    assert action(outcome) == "update"
    assert outcome.association == {**ROW, "tags": {"team": "x"}}


def test_deletes_an_association_of_any_creator() -> None:
    aws = account()
    create_association(aws, "app", "other")
    deletion = association_input(absent=True, role="")
    predicted = ensure(aws, deletion, check_mode=True)
    assert (action(predicted), predicted.association) == ("delete", None)
    outcome = ensure(aws, deletion)
    assert (action(outcome), outcome.association) == ("delete", None)
    assert ensure(aws, deletion) == Result(None, None)


def test_deleted_cluster_needs_no_deletion() -> None:
    assert ensure(account(), association_input(absent=True, cluster="gone")) == Result(None, None)


def test_concurrently_created_association_is_converged() -> None:
    aws = account()
    aws.before_request("eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "other"))
    outcome = ensure(aws, association_input())
    assert (action(outcome), outcome.association) == ("update", {**ROW, "tags": {}})


def test_identical_concurrent_creation_is_not_a_change() -> None:
    aws = account()
    aws.before_request("eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "r"))
    assert action(ensure(aws, association_input())) == "none"


def lose_answers(aws: FakeAws, operation: str, code: str = MALFORMED) -> None:
    """Let AWS execute every request of an operation, but lose the response."""

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        getattr(aws.eks, operation)(parameters)
        raise classify(f"eks:{operation}", code, "Cut off.", outcome_unknown=True)

    aws.replace(f"eks:{operation}", answer)


@pytest.mark.parametrize(
    ("operation", "code", "initial", "updated", "expected", "tags"),
    [
        pytest.param("CreatePodIdentityAssociation", MALFORMED, None, {}, "create", OWNED, id="create"),
        # The second attempt conflicts with the association that the first attempt has created.
        pytest.param(
            "CreatePodIdentityAssociation",
            "ResourceInUseException",
            None,
            {},
            "create",
            OWNED,
            id="create, twice",
        ),
        pytest.param(
            "UpdatePodIdentityAssociation",
            MALFORMED,
            {"role": role_arn("other")},
            {},
            "update",
            OWNED,
            id="update",
        ),
        # Only the response to TagResource, the second request of the update, is lost.
        pytest.param(
            "TagResource",
            MALFORMED,
            {"role": role_arn("other")},
            {"tags": {"a": "1"}},
            "update",
            {"a": "1", **OWNED},
            id="last part of an update",
        ),
        pytest.param(
            "DeletePodIdentityAssociation", MALFORMED, {}, {"absent": True}, "delete", None, id="delete"
        ),
    ],
)
def test_change_with_a_lost_response_is_a_change(
    operation: str,
    code: str,
    initial: dict[str, Any] | None,
    updated: dict[str, Any],
    expected: str,
    tags: dict[str, str] | None,
) -> None:
    aws = account()
    if initial is not None:
        ensure(aws, association_input(**initial))
    lose_answers(aws, operation, code)
    outcome = ensure(aws, association_input(**updated))
    assert (action(outcome), outcome.association) == (
        expected,
        None if tags is None else {**ROW, "tags": tags},
    )
    assert aws.writes.count(f"eks:{operation}") == 1
    assert action(ensure(aws, association_input(**updated))) == "none"


def test_two_parts_of_an_update_are_one_change() -> None:
    aws = account()
    ensure(aws, association_input(role_arn("other")))
    aws.fail_on("eks:TagResource", classify("eks:TagResource", MALFORMED, "Cut off.", outcome_unknown=True))
    outcome = ensure(aws, association_input(tags={"a": "1"}))
    assert outcome.change is not None
    assert (outcome.change.before, outcome.change.after) == (
        {"role_arn": role_arn("other"), "tags": OWNED},
        {"role_arn": role_arn("r"), "tags": {"a": "1", **OWNED}},
    )


def test_partial_update_is_a_change() -> None:
    aws = account()
    ensure(aws, association_input(role_arn("other")))
    lost = classify("eks:TagResource", MALFORMED, "Cut off.", outcome_unknown=True)
    aws.fail_on("eks:TagResource", lost, classify("eks:TagResource", "AccessDeniedException", "No."))
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(tags={"a": "1"}))
    assert (caught.value.failure.error_code, caught.value.changed) == ("AccessDeniedException", True)


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


def test_association_deleted_before_tagging_is_created_again() -> None:
    aws = account()
    create_association(aws, "app", "r")
    aws.before_request("eks:TagResource", lambda: aws.eks.associations.clear())
    outcome = ensure(aws, association_input(tags={"team": "a"}))
    assert action(outcome) == "create"
    assert [association["tags"] for association in aws.eks.associations.values()] == [{"team": "a", **OWNED}]


@pytest.mark.parametrize(("outcome_unknown", "end"), [(False, " Nothing was changed."), (True, "")])
def test_concurrent_addon_association_reports_no_change_only_if_certain(
    outcome_unknown: bool, end: str
) -> None:
    aws = account()
    aws.before_request(
        "eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "other", ownerArn=ADDON)
    )
    conflict = classify(
        "eks:CreatePodIdentityAssociation",
        "ResourceInUseException",
        "Taken.",
        outcome_unknown=outcome_unknown,
    )
    aws.fail_on("eks:CreatePodIdentityAssociation", conflict)
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input())
    assert str(caught.value) == (
        f"association {FIRST} of my-cluster default/app is owned by the EKS add-on {ADDON}, which would "
        "undo a direct change. Change the role in the add-on's podIdentityAssociations, or set ⟨force⟩: true."
        f"{end}"
    )
    assert (caught.value.failure.error_code, caught.value.changed) == ("ASSOCIATION_OWNED_BY_ADDON", False)


@pytest.mark.parametrize("absent", [False, True])
def test_addon_association_requires_force(absent: bool) -> None:
    aws = account()
    create_association(aws, "app", "other", ownerArn=ADDON)
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(absent=absent))
    start = "Remove the service account from" if absent else "Change the role in"
    assert str(caught.value) == (
        f"association {FIRST} of my-cluster default/app is owned by the EKS add-on {ADDON}, which would "
        "undo a "
        f"direct change. {start} the add-on's podIdentityAssociations, or set ⟨force⟩: true. "
        "Nothing was "
        "changed."
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


@pytest.mark.parametrize(
    ("role", "problem"),
    [
        pytest.param(
            "my-role",
            f"role_arn must be the ARN of an IAM role (arn:aws:iam::{ACCOUNT}:role/name), got 'my-role'.",
            id="not an ARN",
        ),
        pytest.param(
            "arn:aws:iam::444455556666:role/r",
            "role arn:aws:iam::444455556666:role/r belongs to account 444455556666, but cluster my-cluster is in "
            f"account {ACCOUNT} (region {REGION}); EKS rejects such a role with 'Cross-account pass role is not "
            "allowed'. Set a role of account 111122223333, and set the other role as target_role_arn.",
            id="another account",
        ),
    ],
)
def test_invalid_role_fails_before_any_change(role: str, problem: str) -> None:
    aws = account()
    with pytest.raises(InputError) as caught:
        ensure(aws, association_input(role))
    assert caught.value.problems == (problem,)
    assert aws.writes == []


def test_failure_names_association_cause_and_remedy() -> None:
    aws = account()
    text = "User: x is not authorized to perform: iam:PassRole on resource: y"
    aws.fail_on(
        "eks:CreatePodIdentityAssociation",
        classify("eks:CreatePodIdentityAssociation", "AccessDeniedException", text),
    )
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input())
    assert str(caught.value) == (
        f"could not create the association of my-cluster default/app (account {ACCOUNT}, region {REGION}): "
        f"AccessDeniedException: eks:CreatePodIdentityAssociation: {text}. Allow the caller "
        "iam:PassRole on this "
        "role, with the condition StringEquals iam:PassedToService pods.eks.amazonaws.com."
    )
    assert (caught.value.failure.error_code, caught.value.changed) == ("AccessDeniedException", False)


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


def test_does_not_wait_for_a_role_without_trust_in_eks() -> None:
    aws, clock = account(), Clock()
    create_role(aws, "ec2", TRUST_EC2)
    aws.iam.roles["ec2"]["CreateDate"] = None
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(role_arn("ec2")), clock=clock)
    assert caught.value.failure.remedy == (
        "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
        "workload_identity.aws.iam_trust_policy_check finds the cause."
    )
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
    ],
)
def test_waits_only_for_a_new_usable_role(role: str, age: timedelta, answer: bool) -> None:
    aws = account()
    create_role(aws, "ec2", TRUST_EC2)
    assert may_become_usable(aws, role_arn(role), SUBJECT, CREATED + age) is answer


def test_role_under_another_path_does_not_match() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/team/r"
    assert may_become_usable(account(), arn, SUBJECT, CREATED) is False


@pytest.mark.parametrize(("code", "answer"), [("AccessDenied", True), ("ServiceFailure", False)])
def test_role_with_a_denied_read_may_be_new(code: str, answer: bool) -> None:
    aws = account()
    aws.fail_on("iam:GetRole", classify("iam:GetRole", code, "No."))
    assert may_become_usable(aws, role_arn("r"), SUBJECT, CREATED) is answer


def test_invalid_role_arn_is_not_read() -> None:
    aws = account()
    assert may_become_usable(aws, "r", SUBJECT) is False
    assert aws.requests == []


@pytest.mark.parametrize(
    ("headers", "answer"),
    [
        pytest.param({"date": "Tue, 24 Nov 2026 10:04:59 GMT"}, True, id="young by the clock of AWS"),
        pytest.param({"date": "Tue, 24 Nov 2026 10:05:00 GMT"}, False, id="old by the clock of AWS"),
        pytest.param({"date": "soon"}, True, id="no time"),
        pytest.param({}, True, id="no date"),
    ],
)
def test_role_age_uses_the_clock_of_aws(headers: dict[str, str], answer: bool) -> None:
    """Check that the age of a role depends on the date in the response of AWS, because the local clock may be wrong."""
    aws = account()
    role = aws.iam.GetRole({"RoleName": "r"})
    aws.replace("iam:GetRole", lambda _asked: {**role, "ResponseMetadata": {"HTTPHeaders": headers}})
    assert may_become_usable(aws, role_arn("r"), SUBJECT) is answer


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


@pytest.mark.parametrize(
    ("trust", "spec"),
    [
        (TRUST_SCOPED, {"disable_session_tags": False}),
        (TRUST_SCOPED, {}),
        (TRUST_BARE, {"disable_session_tags": True}),
        # The workload could not use this role with session tags either.
        (TRUST_EC2, {"disable_session_tags": True}),
    ],
    ids=["session tags enabled", "session tags not set", "no conditions", "role for EC2"],
)
def test_other_associations_have_no_warning(trust: dict[str, Any], spec: dict[str, Any]) -> None:
    aws = account()
    create_role(aws, "scoped", trust)
    assert ensure(aws, association_input(role=role_arn("scoped"), **spec), check_mode=True).warnings == ()


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


@pytest.mark.parametrize("lag", [0.5, 2, 5, 15])
def test_waits_until_an_existing_association_is_visible(lag: float) -> None:
    """Start with an association that exists, but that reads do not show yet, as after a killed run."""
    clock = Clock()
    aws = late(clock, lag)
    aws.freeze()
    aws.call("eks", "CreatePodIdentityAssociation", {**ASKED, "tags": OWNED})
    outcome = ensure(aws, association_input(), clock=clock)
    assert (action(outcome), outcome.association) == ("none", ROW)


ASKED = {
    "clusterName": CLUSTER,
    "namespace": "default",
    "serviceAccount": "app",
    "roleArn": role_arn("r"),
}


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
