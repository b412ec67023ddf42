# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test findings and checks in the form in which modules return them."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Check
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import (
    check_row,
    finding_row,
)

APP = WorkloadKey("my-cluster", "default", "app")
MISSING = Finding(Code.ROLE_MISSING, "What.", "Do.", APP)


@pytest.mark.parametrize(("key", "named"), [(APP, "default/app"), (None, "")])
def test_row_of_a_finding(key: WorkloadKey | None, named: str) -> None:
    assert finding_row(Finding(Code.BULK_READ_DENIED, "What.", "Do.", key)) == {
        "code": "BULK_READ_DENIED",
        "severity": "info",
        "workload": named,
        "message": "What.",
        "remedy": "Do.",
    }


def test_row_has_raised_severity() -> None:
    raised = Finding(Code.AGENT_NOT_READY, "What.", "Do.", raised_as="warning")
    assert finding_row(raised)["severity"] == "warning"


def test_row_of_a_check() -> None:
    check = Check("trust", "fail", "v1", (MISSING, Finding(Code.NOT_READABLE, "What.", "Do."), MISSING))
    assert check_row(check) == {
        "name": "trust",
        "status": "fail",
        "detail": "v1",
        "codes": ["NOT_READABLE", "ROLE_MISSING"],
    }


def test_check_row_has_follows() -> None:
    row = check_row(Check("permissions", "fail", follows=(MISSING,)))
    assert (row["codes"], row["follows"]) == ([], [finding_row(MISSING)])
