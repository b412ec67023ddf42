# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the findings about trust policies that allow more workloads than their scope, and the remedies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    ObservedRole,
    TrustScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.trust import (
    desired_grants,
    trust_subject,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.trust import check_width
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    trust_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import prepare_trust
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    OWNED,
    desired,
    role_arn,
    workload,
)

OURS = (
    "Apply the workload with ⟨force⟩: true, which removes the statements that allow more than the list (check mode with diff "
    "shows the change). Or set the wider trust_scope."
)


@pytest.mark.parametrize("scope", ["cluster", "account"])
def test_remedy_for_a_wide_trust_policy(scope: TrustScope) -> None:
    (subject,) = desired(workload()).workloads
    assert subject.role is not None
    options = Options(trust_scope=scope)
    trust = trust_policy(desired_grants(HERE, subject.role, options, [subject]))
    assert remedies(trust, OWNED) == [("TRUST_WIDER_THAN_ASKED", OURS)]


def remedies(trust: Mapping[str, object], tags: Mapping[str, str]) -> list[tuple[str, str]]:
    (subject,) = desired(workload()).workloads
    role = ObservedRole("my-role", role_arn("my-role"), "/", trust, tags=tags)
    context = trust_subject(HERE, subject.key, role.arn, disabled=False)
    check = check_width(subject, role, prepare_trust(trust), "workload", context)
    return [(finding.code, finding.remedy) for finding in check.findings]
