# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test findings and checks in the form in which modules return them."""

from __future__ import annotations

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


def test_check_row_has_follows() -> None:
    row = check_row(Check("permissions", "fail", follows=(MISSING,)))
    assert (row["codes"], row["follows"]) == ([], [finding_row(MISSING)])
