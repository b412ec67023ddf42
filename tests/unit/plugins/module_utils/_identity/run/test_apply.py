# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED, classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Call,
    Change,
    Plan,
    Stage,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Failure,
    Resource,
    Target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.apply import (
    ApplyContext,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import (
    Journal,
    Outcome,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    Clock,
    key,
    named,
    wait_policy,
)

KEY = (key("app"),)
UNKNOWN_ROLE = "Role provided in the request does not exist."
NOT_TRUSTED = (
    "Trust policy of the role provided is invalid. Follow the official documentation to resolve the issue."
)


def failing(operation: str, code: str, text: str = "No.") -> AwsError:
    return classify(operation, code, text)


class Script:
    """An Api for which each operation raises its ``errors``, one for each request, and then succeeds."""

    def __init__(self, **errors: list[AwsError]) -> None:
        self.errors = errors
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.lock = threading.Lock()

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.requests]

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        with self.lock:
            self.requests.append((operation, dict(parameters)))
            if self.errors.get(operation):
                raise self.errors[operation].pop(0)
        return {"of": f"{service}:{operation}"}

    def in_region(self, _region: str) -> Any:
        return self

    def pages(self, service: str, operation: str, parameters: Mapping[str, Any], *results: str) -> list[Any]:
        raise AssertionError((service, operation, parameters, results))


def change(
    name: str,
    *operations: str,
    stage: int = 1,
    resource: Resource = "role",
    policy: str = "",
    action: Action = "update",
    workloads: tuple[WorkloadKey, ...] = KEY,
) -> Change:
    calls = tuple(
        Call("eks" if "PodIdentity" in operation else "iam", operation, {"RoleName": name})
        for operation in operations
    )
    target, roles = Target(resource, name, policy), frozenset((name,))
    return Change(stage, target, action, workloads, {}, {}, calls, roles)


def apply(
    api: Script, *changes: Change, clock: Clock | None = None, timeout: float = 60, **context: Any
) -> Outcome:
    return apply_plan(Plan(changes), ApplyContext(api, wait_policy(clock, timeout), **context))


def done(outcome: Outcome) -> list[str]:
    return [named(applied.change) for applied in outcome.done]


def failures(outcome: Outcome) -> tuple[Failure, ...]:
    return tuple(refusal.failure for refusal in outcome.refusals)


def test_empty_plan_sends_no_requests() -> None:
    api = Script()
    assert apply(api) == Outcome(())
    assert api.operations == []


def test_stages_run_in_order() -> None:
    api = Script()
    outcome = apply(api, change("c", "C", stage=3), change("a", "A", stage=1), change("b", "B", stage=2))
    assert api.operations == ["A", "B", "C"]
    assert outcome.refusals == ()


def test_keeps_the_last_response_with_the_association() -> None:
    class Eks(Script):
        def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
            answer = super().call(service, operation, parameters)
            return {"association": answer} if "PodIdentity" in operation else answer

    outcome = apply(
        Eks(),
        change("a", "DescribePodIdentityAssociation", "UpdatePodIdentityAssociation", "TagResource"),
        change("b", "TagRole"),
    )
    assert [applied.answer for applied in outcome.done] == [
        {"association": {"of": "eks:UpdatePodIdentityAssociation"}},
        {},
    ]


def test_sends_the_planned_requests() -> None:
    api = Script()
    apply(api, change("a", "One", "Two"))
    assert api.requests == [("One", {"RoleName": "a"}), ("Two", {"RoleName": "a"})]


def test_failure_does_not_stop_other_workloads() -> None:
    api = Script(Bad=[failing("iam:Bad", "AccessDenied")])
    outcome = apply(api, change("a", "Bad"), change("b", "Good"), change("c", "Later", stage=2))
    assert done(outcome) == ["update role b", "update role c"]
    assert failures(outcome) == (
        Failure(
            KEY,
            Target("role", "a"),
            "update",
            "AccessDenied",
            "iam:Bad: No.",
            "Allow the caller this action on this resource. A service control policy or a permissions boundary can also deny it.",
        ),
    )


ATTACH: dict[str, Any] = {"stage": Stage.ATTACH, "resource": "attachment", "policy": "p", "action": "attach"}
STOPPED: list[tuple[str, Change, Change, bool]] = [
    # (name, the change that fails, the later change, whether it is stopped)
    ("a role", change("r", "Bad", action="create", stage=Stage.ROLE), change("r", "Good", **ATTACH), True),
    ("a restriction", change("r", "Bad", stage=Stage.RESTRICT), change("r", "Good", stage=Stage.TRUST), True),
    ("another role", change("q", "Bad", stage=Stage.RESTRICT), change("r", "Good", stage=Stage.TRUST), False),
    ("a grant", change("r", "Bad", stage=Stage.TRUST), change("r", "Good", **ATTACH), False),
    (
        "a policy",
        change("p", "Bad", resource="policy", stage=Stage.POLICY),
        change("r", "Good", **ATTACH),
        True,
    ),
    ("its workload", change("r", "Bad", **ATTACH), change("x", "Good", stage=Stage.ASSOCIATE), True),
    ("a grant, before taking", change("r", "Bad", **ATTACH), change("r", "Good", stage=Stage.DETACH), True),
    (
        "an association",
        change("r", "Bad", stage=Stage.ASSOCIATE),
        change("r", "Good", stage=Stage.REVOKE),
        True,
    ),
    (
        "a detachment",
        change("r", "Bad", stage=Stage.DETACH),
        change("r", "Good", stage=Stage.REVOKE),
        True,
    ),
]


@pytest.mark.parametrize(
    ("failing_change", "later", "stopped"), [case[1:] for case in STOPPED], ids=[case[0] for case in STOPPED]
)
def test_failure_stops_later_stages(failing_change: Change, later: Change, stopped: bool) -> None:
    api = Script(Bad=[failing("iam:Bad", "AccessDenied")])
    outcome = apply(api, failing_change, later)
    assert (api.operations, [failure.error_code for failure in failures(outcome)]) == (
        (["Bad"], ["AccessDenied", "SKIPPED"]) if stopped else (["Bad", "Good"], ["AccessDenied"])
    )


def test_stopped_change_names_the_reason() -> None:
    api = Script(CreateRole=[failing("iam:CreateRole", "LimitExceeded")])
    outcome = apply(
        api, change("r", "CreateRole", action="create", stage=Stage.ROLE), change("r", "A", **ATTACH)
    )
    assert [(failure.message, failure.remedy) for failure in failures(outcome)[1:]] == [
        (
            "not done, because creating the role r failed (LimitExceeded).",
            "Resolve that failure and run again.",
        )
    ]


def test_permanent_failure_is_not_retried_and_stops_later_changes() -> None:
    api = Script()
    first = change("r", "CreateRole", action="create", stage=Stage.ROLE)
    earlier = Failure(KEY, role_target("r"), "create", "AccessDenied", "No.", "Ask.")
    outcome = apply(
        api,
        first,
        change("r", "AttachRolePolicy", **ATTACH),
        journal=Journal(permanent={role_target("r"): earlier}),
    )
    assert api.operations == []
    assert failures(outcome)[0] == earlier
    assert [failure.error_code for failure in failures(outcome)] == ["AccessDenied", "SKIPPED"]
    assert not any(refusal.conflict for refusal in outcome.refusals)


def test_permanent_failure_outside_the_plan_stops_no_change() -> None:
    earlier = Failure(KEY, role_target("r"), "create", "AccessDenied", "No.", "Ask.")
    outcome = apply(
        Script(),
        change("r", "AttachRolePolicy", **ATTACH),
        journal=Journal(permanent={role_target("r"): earlier}),
    )
    assert done(outcome) == ["attach attachment r p"]


def test_missing_resource_after_a_lost_response_counts_as_deleted() -> None:
    missing = classify("iam:DeletePolicyVersion", "NoSuchEntity", "No.", outcome_unknown=True)
    api = Script(DeletePolicyVersion=[missing], CreatePolicyVersion=[failing("iam:C", "LimitExceeded")])
    outcome = apply(api, change("a", "DeletePolicyVersion", "CreatePolicyVersion"))
    assert [failure.partly for failure in failures(outcome)] == [True]


@pytest.mark.parametrize(
    ("operation", "code", "text"),
    [
        pytest.param(
            "CreatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE, id="create, role"
        ),
        pytest.param(
            "UpdatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE, id="update, role"
        ),
        pytest.param(
            "CreatePodIdentityAssociation", "InvalidParameterException", NOT_TRUSTED, id="create, trust"
        ),
        pytest.param(
            "UpdatePodIdentityAssociation", "InvalidParameterException", NOT_TRUSTED, id="update, trust"
        ),
        pytest.param("AttachRolePolicy", "NoSuchEntity", "Policy x does not exist", id="attach"),
        pytest.param("CreateRole", "NoSuchEntity", "Scope ARN", id="role with a new boundary"),
        pytest.param("PutRolePermissionsBoundary", "NoSuchEntity", "Scope ARN", id="boundary"),
    ],
)
def test_waits_for_propagation_of_new_resources(operation: str, code: str, text: str) -> None:
    service = "eks" if "PodIdentity" in operation else "iam"
    errors = [failing(f"{service}:{operation}", code, text) for _ in range(6)]
    clock = Clock()
    outcome = apply(Script(**{operation: errors}), change("a", operation), clock=clock, awaits=True)
    assert done(outcome) == ["update role a"]
    assert clock.pauses == [0.5, 1, 2, 4, 5, 5]


@pytest.mark.parametrize(
    ("operation", "code", "text"),
    [
        pytest.param("AttachRolePolicy", "AccessDenied", "No.", id="denied"),
        pytest.param("CreatePodIdentityAssociation", "InvalidParameterException", "Bad name", id="invalid"),
        pytest.param("UpdateRole", "NoSuchEntity", "gone", id="another operation"),
    ],
)
def test_permanent_error_is_not_retried(operation: str, code: str, text: str) -> None:
    service = "eks" if "PodIdentity" in operation else "iam"
    clock = Clock()
    outcome = apply(
        Script(**{operation: [failing(f"{service}:{operation}", code, text)]}),
        change("a", operation),
        clock=clock,
        awaits=True,
    )
    assert [failure.error_code for failure in failures(outcome)] == [code]
    assert clock.pauses == []


def test_does_not_wait_for_resources_outside_the_plan() -> None:
    clock = Clock()
    error = failing("eks:CreatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE)
    outcome = apply(
        Script(CreatePodIdentityAssociation=[error]), change("a", "CreatePodIdentityAssociation"), clock=clock
    )
    assert [failure.message for failure in failures(outcome)] == [
        f"eks:CreatePodIdentityAssociation: {UNKNOWN_ROLE}"
    ]
    assert clock.pauses == []


@pytest.mark.parametrize(("timeout", "pauses"), [(3.5, [0.5, 1, 2]), (3.4, [0.5, 1]), (0, [])])
def test_waiting_times_out_and_message_names_the_timeout(timeout: float, pauses: list[float]) -> None:
    errors = [failing("iam:AttachRolePolicy", "NoSuchEntity", "Unknown") for _ in range(9)]
    clock = Clock()
    outcome = apply(
        Script(AttachRolePolicy=errors),
        change("a", "AttachRolePolicy"),
        clock=clock,
        awaits=True,
        timeout=timeout,
    )
    assert [failure.message for failure in failures(outcome)] == [
        f"iam:AttachRolePolicy: Unknown (still refused after {timeout:g} s)"
    ]
    assert clock.pauses == pauses


@pytest.mark.parametrize("code", ["ConcurrentModification", "ConcurrentModificationException"])
def test_concurrent_modification_is_retried(code: str) -> None:
    clock = Clock()
    outcome = apply(Script(TagRole=[failing("iam:TagRole", code)] * 2), change("a", "TagRole"), clock=clock)
    assert done(outcome) == ["update role a"]
    assert clock.pauses == [0.5, 1]


@pytest.mark.parametrize(
    "operation",
    [
        "DeletePodIdentityAssociation",
        "DeletePolicy",
        "DeletePolicyVersion",
        "DeleteRole",
        "DetachRolePolicy",
    ],
)
@pytest.mark.parametrize("code", ["NoSuchEntity", "ResourceNotFoundException", "NotFoundException"])
def test_deleting_a_missing_resource_succeeds(operation: str, code: str) -> None:
    outcome = apply(Script(**{operation: [failing(f"x:{operation}", code)]}), change("a", operation, "Then"))
    assert done(outcome) == ["update role a"]
    assert failures(outcome) == ()


@pytest.mark.parametrize(
    "operation",
    ["UpdateRole", "DeleteRolePermissionsBoundary", "UntagPolicy", "UntagResource", "UntagRole"],
)
def test_changing_a_missing_resource_fails(operation: str) -> None:
    outcome = apply(
        Script(**{operation: [failing(f"x:{operation}", "NoSuchEntity")]}), change("a", operation)
    )
    assert [failure.error_code for failure in failures(outcome)] == ["NoSuchEntity"]
    assert [refusal.reason for refusal in outcome.refusals] == [ErrorKind.MISSING]


def test_failure_lists_the_completed_requests() -> None:
    api = Script(TagRole=[failing("iam:TagRole", "AccessDenied", "User is not authorized")])
    outcome = apply(api, change("a", "UpdateRole", "UntagRole", "TagRole", "Never"))
    (failure,) = failures(outcome)
    assert failure.message == (
        "iam:TagRole: User is not authorized. Done before the failure: iam:UpdateRole, iam:UntagRole."
    )
    assert failure.partly
    assert api.operations == ["UpdateRole", "UntagRole", "TagRole"]


def test_failure_of_the_first_request_is_not_partial() -> None:
    outcome = apply(Script(A=[failing("iam:A", "AccessDenied")]), change("a", "A", "B"))
    assert [failure.partly for failure in failures(outcome)] == [False]


def test_deletion_of_a_missing_resource_is_not_a_completed_request() -> None:
    api = Script(
        DeletePolicyVersion=[failing("x", "NoSuchEntity")],
        CreatePolicyVersion=[failing("iam:C", "LimitExceeded")],
    )
    outcome = apply(api, change("a", "DeletePolicyVersion", "CreatePolicyVersion"))
    assert [(failure.message, failure.partly) for failure in failures(outcome)] == [("iam:C: No.", False)]


@pytest.mark.parametrize(
    ("code", "conflict"),
    [("EntityAlreadyExists", True), ("ResourceInUseException", True), ("DeleteConflict", True)],
)
def test_existing_resource_is_a_conflict(code: str, conflict: bool) -> None:
    outcome = apply(Script(CreateRole=[failing("iam:CreateRole", code)]), change("a", "CreateRole"))
    assert [refusal.conflict for refusal in outcome.refusals] == [conflict]


SWAP = replace(
    change(
        "r",
        "DetachRolePolicy",
        "AttachRolePolicy",
        stage=Stage.ATTACH,
        resource="attachment",
        action="replace",
    ),
    calls=(
        Call("iam", "DetachRolePolicy", {"RoleName": "r", "PolicyArn": "old"}),
        Call("iam", "AttachRolePolicy", {"RoleName": "r", "PolicyArn": "new"}),
    ),
)


def test_swap_waits_for_the_room() -> None:
    error, clock = failing("iam:AttachRolePolicy", "LimitExceeded"), Clock()
    outcome = apply(Script(AttachRolePolicy=[error, error]), SWAP, clock=clock)
    assert done(outcome) == ["replace attachment r"]
    assert clock.pauses == [0.5, 1]


@pytest.mark.parametrize(
    ("errors", "note", "partly"),
    [
        (1, "No. old was detached to make room for the new policy, and was attached again.", False),
        (
            2,
            "No. old was detached to make room for the new policy, and could not be attached again: iam:AttachRolePolicy: No.",
            True,
        ),
    ],
)
def test_failed_swap_puts_the_former_policy_back(errors: int, note: str, partly: bool) -> None:
    api = Script(AttachRolePolicy=[failing("iam:AttachRolePolicy", "AccessDenied")] * errors)
    (failure,) = failures(apply(api, SWAP))
    assert (failure.message, failure.partly) == (f"iam:AttachRolePolicy: {note}", partly)
    assert api.requests[-1] == ("AttachRolePolicy", {"RoleName": "r", "PolicyArn": "old"})


def test_swap_continues_after_a_lost_response() -> None:
    lost = failing("iam:DetachRolePolicy", MALFORMED).amended("No.", True)
    assert done(apply(Script(DetachRolePolicy=[lost]), SWAP)) == ["replace attachment r"]


def test_changes_of_one_target_are_serialized() -> None:
    """Let four threads meet at every request. They can only meet if each of them works on another role."""
    together: list[list[str]] = []
    running: list[str] = []

    def meet() -> None:
        together.append(sorted(running))
        running.clear()

    barrier = threading.Barrier(4, meet, timeout=20)

    class Together(Script):
        def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
            running.append(parameters["RoleName"])
            barrier.wait()
            return super().call(service, operation, parameters)

    changes = tuple(
        change(f"r{role}", "AttachRolePolicy", policy=f"p{number}", resource="attachment", action="attach")
        for role in range(4)
        for number in range(3)
    )
    outcome = apply(Together(), *changes, width=4)
    assert together == [["r0", "r1", "r2", "r3"]] * 3
    assert tuple(applied.change for applied in outcome.done) == changes


def test_changes_of_several_targets_run_concurrently() -> None:
    barrier = threading.Barrier(3, timeout=20)

    class Together(Script):
        def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
            barrier.wait()
            return super().call(service, operation, parameters)

    outcome = apply(Together(), *(change(name, "A") for name in "abc"), width=3)
    assert done(outcome) == ["update role a", "update role b", "update role c"]
