# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)


def verification(*findings: tuple[str, str]) -> dict[str, Any]:
    """Return a verification of one workload with a warning, and these findings, each as (workload, message)."""
    rows = [
        {
            "code": "POLICY_ADMINISTERS",
            "severity": "warning",
            "workload": name,
            "message": message,
            "remedy": "",
        }
        for name, message in findings
    ]
    check = {"name": "contents", "status": "warning", "codes": ["POLICY_ADMINISTERS"]}
    return {
        "workloads": [{"namespace": "default", "service_account": "app", "checks": [check]}],
        "findings": rows,
    }


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([("default/app", "own"), ("default/web", "other")], ["own"]),
        ([("", "cluster")], ["cluster"]),
        # Two workloads list the same policy, and its finding names the first of them.
        ([("default/web", "shared")], ["shared"]),
    ],
)
def test_check_has_the_findings_of_its_codes(findings: list[tuple[str, str]], expected: list[str]) -> None:
    [workload] = parse_aws_result(verification(*findings), "my-cluster").verification.workloads
    assert [finding.message for check in workload.checks for finding in check.findings] == expected


def test_code_without_a_finding_is_an_internal_error() -> None:
    with pytest.raises(KeyError, match="POLICY_ADMINISTERS"):
        parse_aws_result(verification(), "my-cluster")
