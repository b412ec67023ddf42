# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the options that describe a role to assume, and the check that an ARN belongs to the account."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    validate_accounts,
    validate_attachments,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.assume_role import (
    read_assume_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    desired,
    workload,
)

ARN = "arn:aws:iam::444455556666:role/teams/fleet"
ARN_RULE = "must be the ARN of an IAM role, like arn:aws:iam::111122223333:role/my-role, got"
ID_RULE = "must be 2 to 1224 letters, digits and characters of _+=,.@:/-, got"


def session_options(**options: Any) -> dict[str, Any]:
    """Return options, whose names get the prefix assume_role_. Without ``arn``, the options have a default ARN."""
    return {f"assume_role_{name}": value for name, value in {"arn": ARN, **options}.items()}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (session_options(), AssumeRole(ARN, "")),
        (session_options(external_id=""), AssumeRole(ARN)),
        (session_options(external_id="my-fleet:a/b"), AssumeRole(ARN, "my-fleet:a/b")),
        (session_options(external_id=12345), AssumeRole(ARN, external_id="12345")),
        (
            session_options(arn=ARN.replace("arn:aws:", "arn:aws-cn:")),
            AssumeRole(ARN.replace("aws:", "aws-cn:", 1)),
        ),
        (session_options(external_id="b" * 1224), AssumeRole(ARN, "b" * 1224)),
    ],
)
def test_parses_the_role_to_assume(options: dict[str, Any], expected: AssumeRole) -> None:
    assert read_assume_role(options) == expected


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (session_options(arn="fleet"), f"assume_role_arn {ARN_RULE} 'fleet'."),
        (
            session_options(arn="arn:aws:iam::4444:role/fleet"),
            f"assume_role_arn {ARN_RULE} 'arn:aws:iam::4444:role/fleet'.",
        ),
        (
            session_options(arn="arn:aws:iam::444455556666:user/fleet"),
            f"assume_role_arn {ARN_RULE} 'arn:aws:iam::444455556666:user/fleet'.",
        ),
        (session_options(arn=f"{ARN}\n"), rf"assume_role_arn {ARN_RULE} '{ARN}\n'."),
        (session_options(arn=[ARN]), f"assume_role_arn {ARN_RULE} ['{ARN}']."),
        (
            session_options(arn="arn:aws:sts::444455556666:assumed-role/fleet/me"),
            "assume_role_arn is the ARN of a session of the role fleet; set the ARN of the role, such as "
            "arn:aws:iam::444455556666:role/fleet (with its path, if it has one).",
        ),
        (session_options(external_id="x"), f"assume_role_external_id {ID_RULE} 'x'."),
        (session_options(external_id="a b"), f"assume_role_external_id {ID_RULE} 'a b'."),
        (session_options(external_id="b" * 1225), f"assume_role_external_id {ID_RULE} text."),
        (session_options(external_id=True), f"assume_role_external_id {ID_RULE} True."),
        (
            session_options(arn=None, external_id="my-fleet"),
            "assume_role_external_id has no effect without assume_role_arn; set the ARN of the role to assume, or leave "
            "assume_role_external_id out.",
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["", "pod_identity_"])
def test_rejects_invalid_options(options: dict[str, Any], problem: str, prefix: str) -> None:
    with pytest.raises(InputError) as caught:
        read_assume_role(options, prefix)
    assert caught.value.problems == (problem.replace("assume_role_", f"{prefix}assume_role_"),)


FOREIGN = "arn:aws:iam::444455556666:role/team/theirs"
FOREIGN_POLICY = "arn:aws:iam::444455556666:policy/theirs"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param(
            {"role": {"arn": FOREIGN}},
            f"workload default/app: role {FOREIGN} belongs to account 444455556666, but cluster my-cluster is in "
            "account 111122223333 (region us-west-2); EKS rejects such a role with 'Cross-account pass role is not "
            "allowed'. Set a role of account 111122223333, and set the other role as target_role_arn.",
            id="role of another account",
        ),
        pytest.param(
            {"policies": [{"arn": FOREIGN_POLICY}]},
            f"workload default/app: policy {FOREIGN_POLICY} belongs to account 444455556666; only policies of account "
            "111122223333 and AWS managed policies can be used. Set a policy of account 111122223333.",
            id="policy of another account",
        ),
        pytest.param(
            {"role": {"name": "my-role", "permissions_boundary": FOREIGN_POLICY}},
            f"workload default/app: permissions_boundary {FOREIGN_POLICY} belongs to account 444455556666; only "
            "policies of account 111122223333 and AWS managed policies can be used. Set a policy of account 111122223333.",
            id="boundary of another account",
        ),
        pytest.param(
            {"policies": [{"arn": "arn:aws-cn:iam::aws:policy/Any"}]},
            "workload default/app: policy arn:aws-cn:iam::aws:policy/Any belongs to partition aws-cn, but the cluster "
            "is in aws; write arn:aws:… instead.",
            id="policy of another partition",
        ),
        pytest.param(
            {"role": {"arn": "arn:aws-us-gov:iam::111122223333:role/ours"}},
            "workload default/app: role arn:aws-us-gov:iam::111122223333:role/ours belongs to partition aws-us-gov, "
            "but the cluster is in aws; write arn:aws:… instead.",
            id="role of another partition",
        ),
    ],
)
def test_rejects_resources_of_other_accounts(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        validate_accounts(desired(workload(**changes)), HERE)
    assert caught.value.problems == (problem,)


def workload_with_policies(count: int) -> Any:
    policies = [{"arn": f"arn:aws:iam::aws:policy/Any{number}"} for number in range(count)]
    return desired(workload(policies=policies))


@pytest.mark.parametrize(
    ("count", "quota", "problem"),
    [
        (11, 20, ""),
        (
            21,
            20,
            "workload default/app: role my-role would have 21 policies; 20 are allowed. Merge some of them, or request an "
            "increase of the quota 'Managed policies per role'.",
        ),
        (
            11,
            None,
            "workload default/app: role my-role would have 11 policies; 10 are allowed by default (to use the quota of "
            "the account, allow iam:GetAccountSummary). Merge some of them, or request an increase of the quota 'Managed "
            "policies per role'.",
        ),
    ],
)
def test_rejects_more_policies_than_the_quota(count: int, quota: int | None, problem: str) -> None:
    if not problem:
        validate_attachments(workload_with_policies(count), HERE, quota)
        return
    with pytest.raises(InputError) as caught:
        validate_attachments(workload_with_policies(count), HERE, quota)
    assert caught.value.problems == (problem,)
