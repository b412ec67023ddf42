# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Target,
    association_target,
    policy_target,
    role_target,
    trust_target,
)

ARN = "arn:aws:iam::111122223333:policy/p"
KEY = WorkloadKey("my-cluster", "default", "app")


@pytest.mark.parametrize(
    ("target", "full_name", "label", "display"),
    [
        (policy_target(ARN), ARN, f"policy {ARN}", f"policy {ARN}"),
        (role_target("r"), "r", "role r", "role r"),
        (trust_target("r"), "r", "trust_policy r", "trust policy r"),
        (
            Target("attachment", "r", ARN),
            f"r {ARN}",
            f"attachment r {ARN}",
            f"attachment of policy {ARN} to role r",
        ),
        (association_target(KEY), "default/app", "association default/app", "association default/app"),
        (Target("target role", "r"), "r", "target role r", "target role r"),
    ],
)
def test_target_has_a_label_and_a_display_name(
    target: Target, full_name: str, label: str, display: str
) -> None:
    assert (target.full_name, target.label, target.display) == (full_name, label, display)
