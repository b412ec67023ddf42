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
    Failure,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Resource,
    Target,
    attachment_target,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.apply import (
    ApplyContext,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Outcome
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
    needs: tuple[Target, ...] = (),
    awaits: bool = False,
    workloads: tuple[WorkloadKey, ...] = KEY,
) -> Change:
    calls = tuple(
        Call("eks" if "PodIdentity" in operation else "iam", operation, {"RoleName": name})
        for operation in operations
    )
    return Change(
        stage, Target(resource, name, policy), action, workloads, {}, {}, calls, frozenset(needs), awaits
    )


def apply(
    api: Script, *changes: Change, clock: Clock | None = None, timeout: float = 60, **context: Any
) -> Outcome:
    return apply_plan(Plan(changes), ApplyContext(api, wait_policy(clock, timeout), **context))


def done(outcome: Outcome) -> list[str]:
    return [named(applied.change) for applied in outcome.done]


def test_empty_plan_sends_no_requests() -> None:
    api = Script()
    assert apply(api) == Outcome(())
    assert api.operations == []


def test_stages_run_in_order() -> None:
    api = Script()
    outcome = apply(api, change("c", "C", stage=3), change("a", "A", stage=1), change("b", "B", stage=2))
    assert api.operations == ["A", "B", "C"]
    assert (outcome.failures, outcome.conflict) == ((), False)


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
    assert outcome.failures == (
        Failure(
            KEY,
            Target("role", "a"),
            "update",
            "AccessDenied",
            "iam:Bad: No.",
            "Allow the caller this action on this resource. A service control policy or a permissions boundary can also deny it.",
        ),
    )


def test_dependent_of_a_failed_change_is_skipped_with_reason() -> None:
    api = Script(CreateRole=[failing("iam:CreateRole", "LimitExceeded")])
    outcome = apply(
        api,
        change("r", "CreateRole", action="create"),
        change(
            "r",
            "AttachRolePolicy",
            policy="p",
            stage=2,
            resource="attachment",
            action="attach",
            needs=(role_target("r"),),
        ),
        change(
            "ns/sa",
            "Create",
            stage=3,
            resource="association",
            action="create",
            needs=(attachment_target("r", "p"),),
        ),
    )
    assert api.operations == ["CreateRole"]
    assert [(failure.error_code, failure.message, failure.remedy) for failure in outcome.failures[1:]] == [
        (
            "SKIPPED",
            "not done, because creating the role r failed (LimitExceeded).",
            "Resolve that failure and run again.",
        ),
        (
            "SKIPPED",
            "not done, because creating the attachment of policy p to role r failed (SKIPPED).",
            "Resolve that failure and run again.",
        ),
    ]


def test_permanent_failure_is_not_retried_and_blocks_dependents() -> None:
    api = Script()
    first = change("r", "CreateRole", action="create")
    then = change(
        "r", "AttachRolePolicy", policy="p", stage=2, resource="attachment", needs=(role_target("r"),)
    )
    earlier = Failure(KEY, role_target("r"), "create", "AccessDenied", "No.", "Ask.")
    outcome = apply(api, first, then, permanent={role_target("r"): earlier})
    assert api.operations == []
    assert outcome.failures[0] == earlier
    assert [failure.error_code for failure in outcome.failures] == ["AccessDenied", "SKIPPED"]
    assert outcome.conflict is False


def test_permanent_failure_outside_the_plan_blocks_no_change() -> None:
    then = change(
        "r", "AttachRolePolicy", policy="p", stage=2, resource="attachment", needs=(role_target("r"),)
    )
    earlier = Failure(KEY, role_target("r"), "create", "AccessDenied", "No.", "Ask.")
    outcome = apply(Script(), then, permanent={role_target("r"): earlier})
    assert done(outcome) == ["update attachment r p"]


def test_missing_resource_after_a_lost_response_counts_as_deleted() -> None:
    missing = classify("iam:DeletePolicyVersion", "NoSuchEntity", "No.", outcome_unknown=True)
    api = Script(DeletePolicyVersion=[missing], CreatePolicyVersion=[failing("iam:C", "LimitExceeded")])
    outcome = apply(api, change("a", "DeletePolicyVersion", "CreatePolicyVersion"))
    assert [failure.partly for failure in outcome.failures] == [True]


def test_replacement_waits_for_any_new_role() -> None:
    """Check that the run waits until EKS sees the role, even if the role is not new: the old association is already deleted."""
    error = failing("eks:CreatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE)
    clock = Clock()
    outcome = apply(
        Script(CreatePodIdentityAssociation=[error, error]),
        change("a", *REPLACED, action="replace"),
        clock=clock,
    )
    assert done(outcome) == ["replace role a"]
    assert clock.pauses == [0.5, 1]


def test_dependency_within_a_stage_blocks_the_same_target() -> None:
    api = Script(First=[failing("iam:First", "AccessDenied")])
    outcome = apply(
        api, change("r", "First"), change("r", "Second", resource="trust_policy", needs=(role_target("r"),))
    )
    assert api.operations == ["First"]
    assert [failure.error_code for failure in outcome.failures] == ["AccessDenied", "SKIPPED"]


def test_dependency_outside_the_plan_is_met() -> None:
    assert done(apply(Script(), change("a", "A", needs=(role_target("elsewhere"),)))) == ["update role a"]


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
    outcome = apply(Script(**{operation: errors}), change("a", operation, awaits=True), clock=clock)
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
        change("a", operation, awaits=True),
        clock=clock,
    )
    assert [failure.error_code for failure in outcome.failures] == [code]
    assert clock.pauses == []


def test_does_not_wait_for_resources_outside_the_plan() -> None:
    clock = Clock()
    error = failing("eks:CreatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE)
    outcome = apply(
        Script(CreatePodIdentityAssociation=[error]), change("a", "CreatePodIdentityAssociation"), clock=clock
    )
    assert [failure.message for failure in outcome.failures] == [
        f"eks:CreatePodIdentityAssociation: {UNKNOWN_ROLE}"
    ]
    assert clock.pauses == []


@pytest.mark.parametrize(("timeout", "pauses"), [(3.5, [0.5, 1, 2]), (3.4, [0.5, 1]), (0, [])])
def test_waiting_times_out_and_message_names_the_timeout(timeout: float, pauses: list[float]) -> None:
    errors = [failing("iam:AttachRolePolicy", "NoSuchEntity", "Unknown") for _ in range(9)]
    clock = Clock()
    outcome = apply(
        Script(AttachRolePolicy=errors),
        change("a", "AttachRolePolicy", awaits=True),
        clock=clock,
        timeout=timeout,
    )
    assert [failure.message for failure in outcome.failures] == [
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
    assert outcome.failures == ()


@pytest.mark.parametrize(
    "operation",
    ["UpdateRole", "DeleteRolePermissionsBoundary", "UntagPolicy", "UntagResource", "UntagRole"],
)
def test_changing_a_missing_resource_fails(operation: str) -> None:
    outcome = apply(
        Script(**{operation: [failing(f"x:{operation}", "NoSuchEntity")]}), change("a", operation)
    )
    assert [failure.error_code for failure in outcome.failures] == ["NoSuchEntity"]
    assert [refusal.vanished for refusal in outcome.refusals] == [True]


def test_failure_lists_the_completed_requests() -> None:
    api = Script(TagRole=[failing("iam:TagRole", "AccessDenied", "User is not authorized")])
    outcome = apply(api, change("a", "UpdateRole", "UntagRole", "TagRole", "Never"))
    (failure,) = outcome.failures
    assert failure.message == (
        "iam:TagRole: User is not authorized. Done before the failure: iam:UpdateRole, iam:UntagRole."
    )
    assert failure.partly
    assert api.operations == ["UpdateRole", "UntagRole", "TagRole"]


def test_failure_of_the_first_request_is_not_partial() -> None:
    outcome = apply(Script(A=[failing("iam:A", "AccessDenied")]), change("a", "A", "B"))
    assert [failure.partly for failure in outcome.failures] == [False]


def test_deletion_of_a_missing_resource_is_not_a_completed_request() -> None:
    api = Script(
        DeletePolicyVersion=[failing("x", "NoSuchEntity")],
        CreatePolicyVersion=[failing("iam:C", "LimitExceeded")],
    )
    outcome = apply(api, change("a", "DeletePolicyVersion", "CreatePolicyVersion"))
    assert [(failure.message, failure.partly) for failure in outcome.failures] == [("iam:C: No.", False)]


@pytest.mark.parametrize(
    ("code", "conflict"),
    [("EntityAlreadyExists", True), ("ResourceInUseException", True), ("DeleteConflict", True)],
)
def test_existing_resource_is_a_conflict(code: str, conflict: bool) -> None:
    outcome = apply(Script(CreateRole=[failing("iam:CreateRole", code)]), change("a", "CreateRole"))
    assert outcome.conflict is conflict


REPLACED = ("DeletePodIdentityAssociation", "CreatePodIdentityAssociation")


def test_replacement_waits_for_the_deletion() -> None:
    error = failing(
        "eks:CreatePodIdentityAssociation", "ResourceInUseException", "Association already exists"
    )
    clock = Clock()
    outcome = apply(
        Script(CreatePodIdentityAssociation=[error, error]),
        change("a", *REPLACED, action="replace"),
        clock=clock,
    )
    assert done(outcome) == ["replace role a"]
    assert clock.pauses == [0.5, 1]


def test_lost_response_is_not_taken_for_a_conflict() -> None:
    """Check that the request is not repeated. The new association may exist, and a second request would only conflict with it."""
    error = failing("eks:CreatePodIdentityAssociation", MALFORMED)
    clock = Clock()
    outcome = apply(
        Script(CreatePodIdentityAssociation=[error]), change("a", *REPLACED, action="replace"), clock=clock
    )
    assert [failure.partly for failure in outcome.failures] == [True]
    assert clock.pauses == []


def test_failed_replacement_reports_the_association_in_full() -> None:
    error = failing("eks:CreatePodIdentityAssociation", "AccessDenied", "Not allowed")
    api = Script(
        CreatePodIdentityAssociation=[error, error],
        CreateRole=[failing("iam:CreateRole", "EntityAlreadyExists")],
    )
    replaced = change("a", *REPLACED, action="replace", resource="association")
    outcome = apply(api, replace(replaced, restoration=replaced.calls[-1]), change("b", "CreateRole"))
    assert outcome.failures[0].message == (
        "eks:CreatePodIdentityAssociation: Not allowed. The association was deleted. Its replacement is missing, and the "
        "former association could not be created again: eks:CreatePodIdentityAssociation: Not allowed. To create the "
        "replacement by hand, send "
        'eks:CreatePodIdentityAssociation with these parameters: {"RoleName": "a"}.'
    )
    # A further attempt would create an association without these parameters, which only this message still contains.
    assert outcome.conflict is False


def test_replacement_with_lost_response_may_exist() -> None:
    lost = failing("eks:CreatePodIdentityAssociation", MALFORMED).amended("No.", True)
    exists = failing(
        "eks:CreatePodIdentityAssociation", "ResourceInUseException", "Association already exists"
    )
    replaced = change("a", *REPLACED, action="replace", resource="association")
    outcome = apply(
        Script(CreatePodIdentityAssociation=[lost, exists]), replace(replaced, restoration=replaced.calls[-1])
    )
    assert " Its replacement may be missing, and the former association " in outcome.failures[0].message


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
