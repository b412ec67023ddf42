# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the findings about roles that a run without purge no longer uses, but does not delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import OWNER_TAG
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    FakeAws,
    desired,
    engine,
    role_arn,
    run,
    workload,
)

DENIED = classify("x", "AccessDenied", "User is not authorized")


def converged_account(*workloads: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*workloads, **options)).failures == ()
    aws.requests.clear()
    return aws


def left_messages(done: Run) -> list[tuple[str, str, str, str]]:
    return [
        (str(finding.code), finding.severity, finding.message, finding.remedy)
        for finding in done.findings
        if finding.code == "RESOURCE_KEPT"
    ]


def converge(aws: FakeAws, *workloads: dict[str, Any], check_mode: bool = False, **options: Any) -> Run:
    spec = desired(*workloads, **options)
    done = engine(aws, spec).run(spec, "present", check_mode)
    assert done.failures == ()
    return done


OLD = workload(role={"name": "Old"}, policies=None)
NEW = workload(role={"name": "new"}, policies=None)


def another_owner(aws: FakeAws) -> None:
    aws.iam.roles["old"]["tags"] |= {OWNER_TAG: "y"}


def not_managed(aws: FakeAws) -> None:
    aws.iam.roles["old"]["tags"] = {}


def not_readable(aws: FakeAws) -> None:
    def deny(parameters: Any) -> dict[str, Any]:
        if parameters["RoleName"].lower() == "old":
            raise DENIED
        return aws.iam.GetRole(parameters)

    aws.replace("iam:GetRole", deny)


@pytest.mark.parametrize("change", [another_owner, not_managed], ids=lambda one: one.__name__)
def test_does_not_report_a_foreign_role(change: Callable[[FakeAws], None]) -> None:
    aws = converged_account(OLD)
    change(aws)
    assert left_messages(converge(aws, NEW)) == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_reports_an_unread_former_role(state: str) -> None:
    aws, spec = converged_account(OLD), desired(NEW)
    not_readable(aws)
    ((code, severity, message, _remedy),) = left_messages(engine(aws, spec, state).run(spec, state, False))
    assert (code, severity) == ("RESOURCE_KEPT", "warning")
    assert message == (
        f"role {role_arn('Old').lower()} is no longer used by default/app. It could not be read, so its trust policy may still "
        "allow these workloads: x: AccessDenied: User is not authorized"
    )
