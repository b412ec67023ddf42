# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED, classify
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import (
    Interrupted,
    stoppable,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    AssociationSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.association import (
    AssociationError,
    AssociationInput,
    Result,
    converge,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    may_become_usable,
)
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
) -> AssociationInput:
    association = AssociationSpec(tags=tags or {}, **spec)
    return AssociationInput(
        key("app", cluster=cluster), absent, role, association, tags is not None, purge_tags, force
    )


def ensure(
    aws: FakeAws, parameters: AssociationInput, check_mode: bool = False, clock: Clock | None = None
) -> Result:
    return converge(aws, parameters, REGION, check_mode, wait_policy(clock))


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


def test_removing_the_session_policy_replaces_the_association() -> None:
    aws = account()
    ensure(
        aws,
        association_input(
            disable_session_tags=True, session_policy=document("a:B"), target_role_arn=TARGET, tags={"a": "1"}
        ),
    )
    cleared = association_input(session_policy={})
    predicted = ensure(aws, cleared, check_mode=True)
    assert predicted.association is not None
    assert (predicted.association["association_id"], predicted.association["association_arn"]) == ("", "")
    outcome = ensure(aws, cleared)
    assert (action(predicted), action(outcome)) == ("replace", "replace")
    assert outcome.association is not None
    assert outcome.association["association_id"] == "a-00000000000000002"
    assert (outcome.association["target_role_arn"], outcome.association["tags"]) == (
        TARGET,
        {"a": "1", **OWNED},
    )
    assert (outcome.association["session_policy"], outcome.association["disable_session_tags"]) == (
        None,
        True,
    )


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


def failed(aws: FakeAws, parameters: AssociationInput = CLEARED) -> AssociationError:
    with pytest.raises(AssociationError) as caught:
        ensure(aws, parameters)
    return caught.value


def test_replacement_tests_the_permission_before_the_deletion() -> None:
    """Check that a create request precedes the deletion. EKS checks the permission first, so the response "already exists" shows
    that the caller may create associations."""
    aws = with_session_policy()
    ensure(aws, CLEARED)
    attempt, creation = aws.parameters(CREATE)
    assert attempt == creation
    names = [name.split(":")[1] for name, _parameters in aws.requests if "PodIdentity" in name]
    assert names[2:6] == [
        "DescribePodIdentityAssociation",
        "CreatePodIdentityAssociation",
        "DeletePodIdentityAssociation",
        "CreatePodIdentityAssociation",
    ]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDeniedException", "not authorized to perform: eks:CreatePodIdentityAssociation"),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole"),
        ("ResourceLimitExceededException", "too many associations"),
        ("InvalidParameterException", "Cross-account pass role is not allowed"),
    ],
)
def test_association_without_permission_to_create_is_not_deleted(code: str, text: str) -> None:
    aws = with_session_policy()
    initial = aws.state()
    aws.fail_on(CREATE, *[classify(CREATE, code, text)] * 9)
    error = failed(aws)
    assert (aws.state(), set(aws.writes), error.changed) == (initial, {CREATE}, False)
    assert error.failure.message == (
        f"{CREATE}: {text.rstrip('.')}. The association is unchanged: it is deleted only after EKS has proved that it can be "
        "created again."
    )


def test_rejected_replacement_restores_the_association() -> None:
    aws = with_session_policy()
    initial = only(aws)
    exists = classify(CREATE, "ResourceInUseException", "Association already exists")
    aws.fail_on(CREATE, exists, classify(CREATE, "AccessDeniedException", "Not allowed"))
    error = failed(aws)
    assert only(aws) == initial
    assert (error.failure.error_code, error.changed) == ("AccessDeniedException", True)
    assert error.failure.message == (
        f"{CREATE}: Not allowed. The association was deleted, then created again unchanged, with a new ID."
    )
    assert action(ensure(aws, CLEARED)) == "replace"


def test_failed_restoration_reports_the_association_in_full() -> None:
    aws = with_session_policy()
    exists = classify(CREATE, "ResourceInUseException", "Association already exists")
    aws.fail_on(CREATE, exists, *[classify(CREATE, "AccessDeniedException", "Not allowed")] * 2)
    error = failed(aws)
    assert (aws.eks.associations, error.changed) == ({}, True)
    parameters = json.dumps(aws.parameters(CREATE)[1], sort_keys=True)
    assert error.failure.message == (
        f"{CREATE}: Not allowed. The association was deleted. Its replacement is missing, and the former association could not "
        f"be created again: {CREATE}: Not allowed. To create the replacement by hand, send "
        "eks:CreatePodIdentityAssociation with these "
        f"parameters: {parameters}."
    )


def test_replacement_keeps_concurrent_changes() -> None:
    aws = with_session_policy()
    described = []

    def change(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        (association,) = aws.eks.associations.values()
        described.append(association)
        if len(described) == 2:
            association["tags"]["added"] = "meanwhile"
        return {"association": json.loads(json.dumps(association, default=str))}

    aws.replace("eks:DescribePodIdentityAssociation", change)
    assert action(ensure(aws, CLEARED)) == "replace"
    assert only(aws)["tags"] == {"team": "a", "added": "meanwhile"}
    assert aws.writes.count(DELETE) == 1


def test_constantly_changing_association_is_not_replaced() -> None:
    aws = with_session_policy()

    def change(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        (association,) = aws.eks.associations.values()
        association["tags"]["turn"] = f"{association['tags'].get('turn', '')}x"
        return {"association": json.loads(json.dumps(association, default=str))}

    aws.replace("eks:DescribePodIdentityAssociation", change)
    error = failed(aws)
    assert (error.failure.error_code, error.changed, aws.writes) == ("AssociationChanged", False, [])
    assert error.failure.message == (
        f"eks:DescribePodIdentityAssociation: association {FIRST} has changed since it was read (tags). Nothing was sent."
    )


@pytest.mark.parametrize("request_", ["DescribePodIdentityAssociation", "CreatePodIdentityAssociation"])
def test_association_deleted_concurrently_is_created(request_: str) -> None:
    aws = with_session_policy()

    def delete() -> None:
        if request_.startswith("Create"):
            aws.eks.associations.clear()
        else:
            aws.before_request(f"eks:{request_}", aws.eks.associations.clear)

    aws.before_request(f"eks:{request_}", delete)
    outcome = ensure(aws, CLEARED)
    assert action(outcome) == ("replace" if request_.startswith("Create") else "create")
    assert (only(aws)["roleArn"], only(aws).get("policy")) == (role_arn("r"), None)


UNKNOWN_FIELD = {"workloadIdentityConfig": {"enabled": True}}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (
            UNKNOWN_FIELD,
            "a field that this version of the collection does not know (workloadIdentityConfig)",
        ),
        (
            {**UNKNOWN_FIELD, "another": False},
            "fields that this version of the collection does not know (another, workloadIdentityConfig)",
        ),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_association_with_an_unknown_field_is_not_replaced(
    more: dict[str, Any], text: str, check_mode: bool
) -> None:
    aws = with_session_policy(**more)
    with pytest.raises(AssociationError) as caught:
        ensure(aws, CLEARED, check_mode)
    assert (caught.value.failure.error_code, caught.value.changed) == ("ASSOCIATION_NOT_REPLACEABLE", False)
    assert str(caught.value) == (
        f"association {FIRST} of my-cluster default/app must be recreated, because EKS does not remove a "
        f"session policy in place. The new association would lack {text}. Set a "
        "session policy that allows everything instead: EKS updates it in place. Or, if the loss is acceptable, delete the "
        "association and run again; Pods that start in between do not get credentials. Nothing was changed."
    )
    assert aws.writes == []


def test_association_with_reserved_tags_is_not_replaced() -> None:
    """Check that the association is not replaced: another tool, such as CloudFormation, refers to it by its ID."""
    aws = account()
    stack = "aws:cloudformation:stack-name"
    create_association(aws, "app", "r", **{**WHOLE, "tags": {stack: "mine", "team": "a"}})
    error = failed(aws)
    assert error.failure.error_code == "ASSOCIATION_NOT_REPLACEABLE"
    assert f"The new association would lack a tag that only AWS can set ({stack})." in error.failure.message


@pytest.mark.parametrize("empty", [None, "", {}, []])
def test_empty_unknown_field_does_not_prevent_replacement(empty: object) -> None:
    assert action(ensure(with_session_policy(workloadIdentityConfig=empty), CLEARED)) == "replace"


def test_association_with_an_unknown_field_is_updated_in_place() -> None:
    aws = with_session_policy(**UNKNOWN_FIELD)
    allow_all = document("*")
    assert action(ensure(aws, association_input(session_policy=allow_all))) == "update"
    assert only(aws)["workloadIdentityConfig"] == {"enabled": True}


@pytest.mark.parametrize("check_mode", [True, False])
def test_replacement_warns_of_the_interruption(check_mode: bool) -> None:
    aws = with_session_policy()
    assert ensure(aws, CLEARED, check_mode).warnings == (
        f"association {FIRST} of my-cluster default/app is deleted and recreated, because EKS does not remove a session "
        "policy in place. The association gets a new ID. Pods that request credentials in between get an error. "
        "Recreate Pods that failed to get credentials. If session tags can remain turned off, a session policy that allows "
        "everything has the same effect, and EKS updates it in place.",
    )
    assert ensure(aws, association_input(), check_mode).warnings == ()


def test_replacement_warns_of_the_lost_addon_ownership() -> None:
    aws = with_session_policy(ownerArn=ADDON)
    (warning,) = ensure(aws, association_input(session_policy={}, force=True), check_mode=True).warnings
    assert f"and the EKS add-on {ADDON} no longer owns it" in warning


DENIED = classify("eks:Test", "AccessDeniedException", "No.")
OOPS = classify("eks:Test", "ServerException", "Oops.")
LOST = OOPS.amended(OOPS.text, outcome_unknown=True)


@pytest.mark.parametrize("late", [False, True], ids=["before it took effect", "after it took effect"])
@pytest.mark.parametrize("error", [DENIED, OOPS, LOST], ids=["denied", "server error", "unknown outcome"])
def test_replacement_survives_one_failed_request(error: AwsError, late: bool) -> None:
    aws = with_session_policy()
    ensure(aws, CLEARED)
    count = len(aws.requests)
    for number in range(1, count + 1):
        aws = with_session_policy()
        if late and error is not LOST:
            continue
        aws.fail_at(number, error, late)
        with contextlib.suppress(AssociationError, AwsError):
            ensure(aws, CLEARED)
        remaining = only(aws)
        assert (remaining["roleArn"], remaining["targetRoleArn"], remaining["tags"]) == (
            role_arn("r"),
            TARGET,
            {"team": "a"},
        )
        aws.clear_faults()
        ensure(aws, CLEARED)
        assert "policy" not in only(aws)


def test_signal_does_not_interrupt_a_replacement() -> None:
    aws = with_session_policy()
    for name in (CREATE, DELETE):
        aws = with_session_policy()
        with stoppable() as stop, contextlib.suppress(Interrupted):
            aws.before_request(name, partial(stop.end, "SIGTERM"))
            ensure(aws, CLEARED)
        assert only(aws)["tags"] == {"team": "a"}


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


def test_replacement_continues_after_a_lost_deletion_response() -> None:
    aws = account()
    target = "arn:aws:iam::444455556666:role/target"
    session_policy = json.dumps(document("s3:GetObject"))
    more = {
        "disableSessionTags": True,
        "policy": session_policy,
        "targetRoleArn": target,
        "tags": {"team": "a"},
    }
    create_association(aws, "app", "r", **more)
    lose_answers(aws, "DeletePodIdentityAssociation")
    outcome = ensure(aws, association_input(session_policy={}))
    assert action(outcome) == "replace"
    (remaining,) = aws.eks.associations.values()
    assert (remaining["targetRoleArn"], remaining["tags"], remaining.get("policy")) == (
        target,
        {"team": "a"},
        None,
    )


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


@pytest.mark.parametrize("readable", [True, False])
def test_replacement_without_a_usable_role_keeps_the_association(readable: bool) -> None:
    aws, clock = account(), Clock()
    ensure(
        aws,
        association_input(
            disable_session_tags=True, session_policy=document("a:B"), target_role_arn=TARGET, tags={"a": "1"}
        ),
    )
    initial = only(aws)
    if readable:
        aws.iam.roles["other"]["CreateDate"] = None
    else:
        aws.fail_on("iam:GetRole", classify("iam:GetRole", "AccessDenied", "No."))
    aws.eks.waits["other"] = 1000
    with pytest.raises(AssociationError) as caught:
        ensure(aws, association_input(role_arn("other"), session_policy={}), clock=clock)
    assert str(caught.value) == (
        f"could not replace the association of my-cluster default/app (account {ACCOUNT}, region {REGION}): "
        "InvalidParameterException: eks:CreatePodIdentityAssociation: Role provided in the request does not "
        "exist (still refused after 60 s). The association was deleted, then created again unchanged, with a new ID. "
        "Check the role's ARN and account. A new role may take some seconds to become visible to EKS: run again."
    )
    assert (caught.value.changed, only(aws)) == (True, initial)
    assert aws.writes.count("eks:DeletePodIdentityAssociation") == 1
    assert sum(clock.pauses) <= 60


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
    # After the first error, the run reads the role. It waits only after the second error.
    assert clock.pauses == [0.5, 1, 2]


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
        f"the association of {CLUSTER} default/app was changed, but reads do not show the change (create) after 60 s. "
        "Run again in a minute."
    )
    assert sum(clock.pauses) <= 60
