# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the findings about trust policies that allow more workloads than their scope, and the remedies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    with_managed_tag,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    group_clusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.trust import desired_trust
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.trust import check_width
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.trust import prepare_trust
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    TRUST_BARE,
    desired,
    role_arn,
    workload,
)

BOTH_SERVICES = {
    **TRUST_BARE,
    "Statement": [
        {
            **TRUST_BARE["Statement"][0],
            "Principal": {"Service": ["pods.eks.amazonaws.com", "ec2.amazonaws.com"]},
        }
    ],
}
OURS = (
    "Apply the workload. The run narrows the trust policy to the trust_scope, but keeps the access of workloads outside "
    "the run (check mode with diff shows the change)."
)
EVERY_CLUSTER = (
    "If no other cluster uses the role, apply the workload with ⟨force⟩: true. The run then narrows the trust policy to "
    "the trust_scope (check mode with diff shows the change)."
)
THEIRS = (
    "Apply the workload. The run narrows the statements that are only for EKS Pod Identity, and keeps all other statements. "
    "Remove each kept statement that allows more than the trust_scope, or set the complete policy in role.trust_policy."
)


@pytest.mark.parametrize(
    ("trust", "remedy"),
    [
        pytest.param("cluster", OURS, id="a wider managed scope"),
        pytest.param("account", EVERY_CLUSTER, id="every cluster"),
        pytest.param(BOTH_SERVICES, THEIRS, id="an unmanaged statement"),
    ],
)
def test_remedy_for_a_wide_trust_policy(trust: object, remedy: str) -> None:
    (subject,) = desired(workload()).workloads
    assert subject.role is not None
    if trust in ("cluster", "account"):
        options = Options(trust_scope=trust)
        trust = desired_trust(group_clusters(HERE), subject.role, options, [subject], frozenset(), None)
    assert isinstance(trust, dict)
    assert remedies(trust, with_managed_tag({})) == [("TRUST_WIDER_THAN_ASKED", remedy)]


def test_wide_trust_policy_of_unmanaged_role_needs_adopt() -> None:
    ((code, remedy),) = remedies(TRUST_BARE, {})
    assert code == "TRUST_WIDER_THAN_ASKED"
    assert remedy == (
        "To keep the trust policy, set the trust_scope that matches it, or use the role by its ARN (role.arn). To narrow the "
        "trust policy, apply the workload with ⟨adopt⟩: true, because this collection did not create the role (check mode "
        "with diff shows the change)."
    )


def remedies(trust: Mapping[str, object], tags: Mapping[str, str]) -> list[tuple[str, str]]:
    (subject,) = desired(workload()).workloads
    role = ObservedRole("my-role", role_arn("my-role"), "/", trust, tags=tags)
    check = check_width(subject, Observed(group_clusters(HERE)), role, prepare_trust(trust), "workload")
    return [(finding.code, finding.remedy) for finding in check.findings]
