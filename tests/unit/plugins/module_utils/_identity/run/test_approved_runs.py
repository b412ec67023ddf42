# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that each round of a run makes only the changes of its approved plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    NOT_APPROVED_REMEDY,
    NotApprovedError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.approval import (
    describe_unapproved,
    digest_changes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    apply_order,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import change_row
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    OWNED,
    TRUST_BARE,
    Desired,
    FakeAws,
    create_association,
    create_role,
    desired,
    engine,
    plan,
    role_arn,
    workload,
)


def run_approved(aws: FakeAws, target: Desired, approved: Desired) -> Run:
    """Plan ``approved``, then apply ``target``."""
    digests = digest_changes(map(change_row, plan(aws, approved).changes))

    def approve(changes: Sequence[Change]) -> None:
        if text := describe_unapproved({"change_digests": digests}, list(map(change_row, changes))):
            raise NotApprovedError(text.splitlines())

    bound = replace(engine(aws, target), approve=approve)
    return apply_order(bound, target, Order("present")).run


def test_repetition_after_a_conflict_keeps_to_the_plan() -> None:
    """Let another process create the association with another role after the plan. A second round would change this role."""
    aws = FakeAws()
    create_role(aws, "other", TRUST_BARE)
    aws.before_request(
        "eks:CreatePodIdentityAssociation", lambda: create_association(aws, "app", "other", tags=OWNED)
    )
    run = run_approved(aws, desired(workload()), desired(workload()))
    (failure,) = [failure for failure in run.failures if failure.error_code == Code.NOT_APPROVED]
    assert (
        '- differs by -role_arn "arn:aws:iam::111122223333:role/other": update association default/app (role arn): '
        in failure.message
    )
    assert failure.remedy == NOT_APPROVED_REMEDY
    assert len(run.done) == 3
    assert [association["roleArn"] for association in aws.state()["associations"]] == [role_arn("other")]
