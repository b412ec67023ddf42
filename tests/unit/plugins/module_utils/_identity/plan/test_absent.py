# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the plan of a teardown: it deletes managed resources without other users, and reports why it keeps a resource."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Plan
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    association_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    TRUST_EC2,
    FakeAws,
    agent,
    codes_and_reasons,
    desired,
    engine,
    key,
    named,
    names,
    plan,
    policy_arn,
    role_arn,
    run,
    workload,
)

MINE = policy_arn("my-policy")
OLD = role_arn("old")
ADDON = "arn:aws:eks:us-west-2:111122223333:addon/my-cluster/vpc-cni/x"
EVERYTHING = [
    "delete association default/app",
    f"detach attachment my-role {MINE}",
    "delete role my-role",
    f"delete policy {MINE}",
]


def plan_removal(aws: FakeAws, *raws: dict[str, Any], **options: Any) -> Plan:
    return plan(aws, desired(*raws, state="absent", **options), "absent")


def remove(aws: FakeAws, *raws: dict[str, Any], **options: Any) -> list[str]:
    outcome = run(aws, desired(*raws, state="absent", **options), "absent")
    assert outcome.failures == ()
    return [named(done.change) for done in outcome.done]


def converged_account(*raws: dict[str, Any], **options: Any) -> FakeAws:
    aws = FakeAws()
    assert run(aws, desired(*raws, **options)).failures == ()
    return aws


def existing(**more: Any) -> dict[str, Any]:
    return workload(role={"arn": OLD, **more}, policies=[])


def codes(found: Plan) -> list[str]:
    return codes_and_reasons(found.findings)


def test_addon_association_is_kept_with_the_trust_of_its_role() -> None:
    aws = converged_account(workload())
    next(iter(aws.eks.associations.values()))["ownerArn"] = ADDON
    found = plan_removal(aws, workload())
    failure = Failure(
        (key(),),
        association_target(key()),
        "delete",
        "ASSOCIATION_OWNED_BY_ADDON",
        f"association a-00000000000000001 of my-cluster default/app is owned by the EKS add-on {ADDON}, which would undo "
        "a direct change.",
        "Remove the service account from the add-on's podIdentityAssociations, or set ⟨force⟩: true.",
    )
    assert (names(found), found.failures) == ([], (failure,))
    assert names(plan_removal(aws, workload(), force=True)) == EVERYTHING


def test_association_without_the_tag_is_kept() -> None:
    aws = converged_account(workload())
    next(iter(aws.eks.associations.values()))["tags"] = {}
    finding = Finding(
        Code.NOT_OWNED,
        "association a-00000000000000001 of default/app is kept: it does not have the tag workload-identity/managed-by, so this "
        "collection may not have created it.",
        "If this collection created it, restore the tag and run again. Otherwise delete it with "
        "workload_identity.aws.eks_pod_identity_association, or set ⟨force⟩: true.",
        key(),
    )
    assert plan_removal(aws, workload()).findings[0] == finding


def test_policy_of_a_user_or_group_is_kept() -> None:
    aws = converged_account(workload())
    aws.iam.policies[MINE] |= {"groups": ["ops"], "users": ["ann"]}
    (finding,) = plan_removal(aws, workload()).findings
    assert finding.message == f"policy {MINE} is kept: it is still used by user ann, group ops."


def test_roles_of_a_deleted_cluster_are_deleted() -> None:
    aws = converged_account(workload())
    aws.eks.associations.clear()
    del aws.eks.clusters["my-cluster"]
    found = plan_removal(aws, workload())
    assert names(found) == EVERYTHING[1:]
    assert found.findings == (
        Finding(
            Code.CLUSTER_MISSING,
            f"cluster my-cluster was not found in account {ACCOUNT}, region us-west-2; only the IAM resources of its workloads "
            "are removed.",
            "If the cluster exists, check its name, the account and the region, and run again.",
        ),
    )
    remove(aws, workload())
    assert aws.state() == FakeAws().state()


def test_verification_reports_other_principals() -> None:
    aws = converged_account(workload())
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"] += TRUST_EC2["Statement"]
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)
    spec = desired(workload())
    (verified,) = verify(spec, engine(aws, spec).observer().observe(spec), VerificationReads(agent()))
    assert [str(finding.code) for finding in verified.findings] == ["TRUST_STATEMENT_FOREIGN"]
    assert verified.status == "pass"
