# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose session a session policy restricts: the role's, or with a target role that role's only."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import (
    PASS,
    UNKNOWN,
    Check,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import clusters_of
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Agent,
    Observed,
    ReadFailure,
    RolePermissions,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Target
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.permissions import (
    check_permissions,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    HERE,
    TRUST_BARE,
    Raw,
    desired,
    document,
    key,
    policy,
    policy_arn,
    role_arn,
    workload,
)

TARGET = role_arn("target")
OBJECT = "arn:aws:s3:::bucket/key"
# It allows nothing of AWS STS.
SESSION = document("s3:GetObject", resource="arn:aws:s3:::bucket/*")
ASSUMING = ("sts:AssumeRole", "sts:TagSession")


def trusting(actions: list[str]) -> Raw:
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": role_arn("my-role")}, "Action": actions}],
    }


def check(asked: Raw, attached: dict[str, Raw], target: str, trust: Raw | ReadFailure | None = None) -> Check:
    given: dict[str, Any] = {"disable_session_tags": True, "session_policy": SESSION}
    if target:
        given["target_role_arn"] = target
    (wanted,) = desired(workload(**given, **asked)).workloads
    observed = Observed(
        clusters_of(HERE),
        roles={"my-role": ObservedRole("my-role", role_arn("my-role"), "/", TRUST_BARE)},
        associations={
            key(): ObservedAssociation(
                key(),
                "a-1",
                "arn",
                role_arn("my-role"),
                target,
                disable_session_tags=True,
                session_policy=SESSION,
            )
        },
    )
    reads = VerificationReads(
        {CLUSTER: Agent()},
        permissions={"my-role": RolePermissions(tuple(attached.items()))},
        targets={target: trust or trusting(list(ASSUMING))} if target else {},
    )
    found = check_permissions(wanted, observed, reads)
    assert found is not None
    return found


def test_it_restricts_the_session_of_the_target_role_only() -> None:
    found = check({}, {"way": document(*ASSUMING, resource=TARGET)}, TARGET)
    assert (found.status, found.findings) == (PASS, ())


def test_what_a_target_role_that_cannot_be_read_allows_is_unknown() -> None:
    error = AwsError("iam:GetRole", "AccessDenied", "text of AWS.", ErrorKind.DENIED, "What to do.")
    unread = ReadFailure(Target("target role", TARGET), error)
    found = check({}, {"way": document(*ASSUMING, resource=TARGET)}, TARGET, unread)
    (finding,) = found.findings
    assert (found.status, finding.code, finding.severity) == (UNKNOWN, "TARGET_ROLE_NOT_READABLE", "warning")
    assert finding.message == f"the trust policy of target role {TARGET} could not be checked: text of AWS."
    assert finding.remedy == "What to do."


@pytest.mark.parametrize("asked", [True, False])
def test_a_way_that_the_policies_as_asked_open_only_follows_from_theirs(asked: bool) -> None:
    policies = [policy("my-policy", *ASSUMING)] if asked else [policy()]
    found = check({"policies": policies}, {policy_arn("other"): document("s3:GetObject")}, TARGET)
    codes = ([finding.code for finding in found.findings], [finding.code for finding in found.follows])
    assert codes == (([], ["TARGET_ROLE_NOT_ALLOWED"]) if asked else (["TARGET_ROLE_NOT_ALLOWED"], []))


def test_without_session_tags_both_sides_need_to_allow_sts_assumerole_only() -> None:
    found = check(
        {}, {"way": document("sts:AssumeRole", resource=TARGET)}, TARGET, trusting(["sts:AssumeRole"])
    )
    assert (found.status, found.findings) == (PASS, ())


def test_without_a_target_role_it_restricts_the_role() -> None:
    required = [{"action": "s3:PutObject", "resource": OBJECT}]
    found = check({"required_permissions": required}, {"all": document("s3:*")}, "")
    assert [(finding.code, finding.message) for finding in found.findings] == [
        (
            "PERMISSION_TAKEN_AWAY",
            f"role {role_arn('my-role')} is not allowed to perform s3:PutObject on {OBJECT}, although its policies allow"
            " it: the session policy of the association takes it away.",
        )
    ]
