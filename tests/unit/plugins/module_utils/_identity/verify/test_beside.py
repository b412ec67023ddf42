# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role has beside what was asked for is told of every workload that uses it."""

from __future__ import annotations

import json

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import Verified
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import Desired
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    FakeAws,
    desired,
    document,
    engine,
    given_policy,
    role_arn,
    run,
    workload,
)

BOTH = desired(workload("app"), workload("web"))
ADMIN = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def settled(wanted: Desired = BOTH) -> FakeAws:
    aws = FakeAws()
    run(aws, wanted)
    return aws


def let_in(aws: FakeAws, principal: object) -> None:
    trust = json.loads(aws.iam.roles["my-role"]["trust"])
    trust["Statement"].append(
        {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", "Sid": "Other"}
    )
    aws.iam.roles["my-role"]["trust"] = json.dumps(trust)


def ends(verified: list[Verified], name: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    return [
        (str(one.workload.key), check.status, [(str(each.code), each.severity) for each in check.findings])
        for one in verified
        for check in one.checks
        if check.name == name
    ]


def verified(aws: FakeAws, wanted: Desired = BOTH, **reads: object) -> list[Verified]:
    return verify(
        wanted,
        engine(aws, wanted).observe(wanted),
        VerificationReads({CLUSTER: Agent("ACTIVE", "v1")}, **reads),
    )


@pytest.mark.parametrize("principal", ["*", {"AWS": "*"}])
def test_a_trust_policy_for_everyone_fails_each_workload_of_the_role(principal: object) -> None:
    aws = settled()
    let_in(aws, principal)
    found = verified(aws)
    open_ = [("TRUST_OPEN_TO_EVERYONE", "error")]
    assert ends(found, "trust") == [("default/app", "fail", open_), ("default/web", "fail", open_)]
    (finding,) = found[1].findings
    assert finding.message == (
        f"the trust policy of role {role_arn('my-role')} lets in everyone: Statement 2 (Sid 'Other') allows every principal "
        "of every AWS account, not EKS Pod Identity alone."
    )
    assert (
        finding.remedy == "Remove the statement from the trust policy, or name in it who is to use the role."
    )


def test_a_role_that_is_used_as_it_is_fails_as_well() -> None:
    aws = settled()
    let_in(aws, "*")
    existing = desired(workload("app", role={"arn": role_arn("my-role")}, policies=[]))
    assert ends(verified(aws, existing), "trust") == [
        ("default/app", "fail", [("TRUST_OPEN_TO_EVERYONE", "error")])
    ]


@pytest.mark.parametrize(
    ("principal", "status", "severity"),
    [
        ({"AWS": "arn:aws:iam::999988887777:root"}, "warning", "warning"),
        ({"AWS": "999988887777"}, "warning", "warning"),
        ({"AWS": "arn:aws:sts::999988887777:assumed-role/a/b"}, "warning", "warning"),
        ({"AWS": "arn:aws:iam::*:root"}, "warning", "warning"),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "pass", "info"),
        ({"AWS": ACCOUNT}, "pass", "info"),
        ({"Service": "ec2.amazonaws.com"}, "pass", "info"),
        ({"AWS": "AROAEXAMPLEEXAMPLE"}, "pass", "info"),
    ],
)
def test_principals_of_another_account_are_a_warning(principal: object, status: str, severity: str) -> None:
    aws = settled(desired(workload()))
    let_in(aws, principal)
    assert ends(verified(aws, desired(workload())), "trust") == [
        ("default/app", status, [("TRUST_STATEMENT_FOREIGN", severity)])
    ]


def test_both_kinds_are_told_apart() -> None:
    aws = settled(desired(workload()))
    let_in(aws, {"AWS": ["999988887777"], "Service": "ec2.amazonaws.com"})
    (one,) = verified(aws, desired(workload()))
    assert [finding.message for finding in one.findings] == [
        "role my-role also lets in 999988887777 (by the trust policy), which is of another account and was not asked for; "
        "those statements stay.",
        "role my-role also lets in ec2.amazonaws.com (by the trust policy), which was not asked for; those statements stay.",
    ]


def test_an_attached_policy_of_an_administrator_fails_each_workload_of_the_role() -> None:
    aws = settled()
    arn = given_policy(aws, "admin")
    aws.iam.roles["my-role"]["attached"].append(arn)
    extra = [("POLICY_ATTACHED_EXTRA", "error")]
    assert ends(verified(aws, documents={arn: ADMIN}), "attachment") == [
        ("default/app", "fail", extra),
        ("default/web", "fail", extra),
    ]


@pytest.mark.parametrize(
    ("inline", "status", "severity"), [(ADMIN, "fail", "error"), (document(), "warning", "warning")]
)
def test_an_inline_policy_is_told_of_each_workload_of_the_role(
    inline: object, status: str, severity: str
) -> None:
    found = verified(settled(), inline={"my-role": {"extra": inline}})
    told = [("ROLE_INLINE_POLICY", severity)]
    assert ends(found, "attachment") == [("default/app", status, told), ("default/web", status, told)]
