# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Call,
    Change,
    Plan,
    Stage,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Action,
    Failure,
    Resource,
    Target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.apply import (
    ApplyContext,
    apply_plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Done, Refusal
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
) -> list[Done | Refusal]:
    return apply_plan(Plan(changes), ApplyContext(api, wait_policy(clock, timeout), **context))


def done(results: list[Done | Refusal]) -> list[str]:
    return [named(applied.change) for applied in results if isinstance(applied, Done)]


def failures(results: list[Done | Refusal]) -> tuple[Failure, ...]:
    return tuple(refusal.failure for refusal in results if isinstance(refusal, Refusal))


ATTACH: dict[str, Any] = {"stage": Stage.ATTACH, "resource": "attachment", "policy": "p", "action": "attach"}
ATTACHMENT, UPDATE = "creating the attachment of policy p to role r", "updating the role r"
DETACH = {**ATTACH, "stage": Stage.DETACH, "action": "detach"}
GRANT, REVOCATION = (change("r", "Good", stage=stage) for stage in (Stage.TRUST, Stage.REVOKE))
STOPPED: list[tuple[str, Change, Change, str]] = [
    # (name, the change that fails, the later change, and the failed action in the message if it is stopped)
    (
        "a role",
        change("r", "Bad", action="create", stage=Stage.ROLE),
        change("r", "Good", **ATTACH),
        "creating the role r",
    ),
    ("a restriction", change("r", "Bad", stage=Stage.RESTRICT), GRANT, UPDATE),
    ("another role", change("q", "Bad", stage=Stage.RESTRICT), GRANT, ""),
    ("a grant", change("r", "Bad", stage=Stage.TRUST), change("r", "Good", **ATTACH), ""),
    (
        "a policy",
        change("p", "Bad", resource="policy", stage=Stage.POLICY),
        change("r", "Good", **ATTACH),
        "updating the policy p",
    ),
    ("its workload", change("r", "Bad", **ATTACH), change("x", "Good", stage=Stage.ASSOCIATE), ATTACHMENT),
    ("a grant, before taking", change("r", "Bad", **ATTACH), change("r", "Good", **DETACH), ATTACHMENT),
    ("an association", change("r", "Bad", stage=Stage.ASSOCIATE), REVOCATION, UPDATE),
    ("a detachment", change("r", "Bad", **DETACH), REVOCATION, ATTACHMENT.replace("creating", "deleting")),
]


@pytest.mark.parametrize(
    ("failing_change", "later", "stopped"), [case[1:] for case in STOPPED], ids=[case[0] for case in STOPPED]
)
def test_failure_stops_later_stages(failing_change: Change, later: Change, stopped: str) -> None:
    api = Script(Bad=[failing("iam:Bad", "AccessDenied")])
    outcome = apply(api, failing_change, later)
    end = " Until the run succeeds, the resource is not changed." if later.takes else ""
    messages = [f"not done, because {stopped} failed (AccessDenied).{end}"] if stopped else []
    assert [failure.message for failure in failures(outcome)] == ["iam:Bad: No.", *messages]
    assert api.operations == (["Bad"] if stopped else ["Bad", "Good"])


@pytest.mark.parametrize(
    ("operation", "code", "text"),
    [
        pytest.param(
            "CreatePodIdentityAssociation", "InvalidParameterException", UNKNOWN_ROLE, id="create, role"
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


@pytest.mark.parametrize("code", ["ConcurrentModification", "ConcurrentModificationException"])
def test_concurrent_modification_is_retried(code: str) -> None:
    clock = Clock()
    outcome = apply(Script(TagRole=[failing("iam:TagRole", code)] * 2), change("a", "TagRole"), clock=clock)
    assert done(outcome) == ["update role a"]
    assert clock.pauses == [0.5, 1]


@pytest.mark.parametrize(
    "operation",
    ["DeletePodIdentityAssociation", "DeletePolicy", "DeletePolicyVersion", "DeleteRole", "DetachRolePolicy"],
)
@pytest.mark.parametrize("code", ["NoSuchEntity", "ResourceNotFoundException", "NotFoundException"])
def test_deleting_a_missing_resource_succeeds(operation: str, code: str) -> None:
    outcome = apply(Script(**{operation: [failing(f"x:{operation}", code)]}), change("a", operation, "Then"))
    assert done(outcome) == ["update role a"]
    assert failures(outcome) == ()


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


def test_swap_continues_after_a_lost_response_to_the_detachment() -> None:
    lost = classify("iam:DetachRolePolicy", "ReadTimeoutError", "No.", outcome_unknown=True)
    assert done(apply(Script(DetachRolePolicy=[lost]), SWAP)) == ["replace attachment r"]


def test_failed_swap_does_not_attach_a_missing_policy() -> None:
    missing = failing("iam:DetachRolePolicy", "NoSuchEntity")
    api = Script(
        DetachRolePolicy=[missing], AttachRolePolicy=[failing("iam:AttachRolePolicy", "AccessDenied")]
    )
    (failure,) = failures(apply(api, SWAP))
    assert (failure.message, failure.partly) == ("iam:AttachRolePolicy: No.", False)
    assert api.operations == ["DetachRolePolicy", "AttachRolePolicy"]


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


def test_failed_swap_ends_the_swaps_of_its_role() -> None:
    api = Script(AttachRolePolicy=[failing("iam:AttachRolePolicy", "AccessDenied")])
    outcome = apply(api, SWAP, replace(SWAP, target=Target("attachment", "r", "another")))
    assert [failure.error_code for failure in failures(outcome)] == ["AccessDenied", "SKIPPED"]
    assert api.operations == ["DetachRolePolicy", "AttachRolePolicy", "AttachRolePolicy"]
