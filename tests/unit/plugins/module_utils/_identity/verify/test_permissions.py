# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the permissions of a workload with a session policy, which restricts the session of the role or of the target role."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.checks import (
    UNKNOWN,
    Check,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import (
    Observed,
    RolePermissions,
    VerificationReads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import ObservedRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import (
    Failure,
    Target,
    read_failure,
    role_target,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.permissions import (
    check_permissions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    NamedPolicy,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    HERE,
    TRUST_BARE,
    FakeAws,
    Raw,
    agent,
    create_role,
    desired,
    document,
    engine,
    key,
    policy,
    policy_arn,
    role_arn,
    run,
    workload,
)

TARGET = role_arn("target")
OBJECT = "arn:aws:s3:::bucket/key"
# This session policy allows no action of AWS STS, so it does not allow the session to assume the target role.
SESSION = document("s3:GetObject", resource="arn:aws:s3:::bucket/*")
ASSUMING = ("sts:AssumeRole", "sts:TagSession")


ROOT = f"arn:aws:iam::{HERE.account_id}:root"
FOREIGN = TARGET.replace(HERE.account_id, "444455556666")


def trusting(principal: str, *actions: str, **more: Any) -> Raw:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": actions or ASSUMING, **more}


def check(
    options: Raw,
    attached: dict[str, Raw],
    target: str,
    trust: Raw | Failure | None = None,
    boundary: Raw | None = None,
    *,
    session_tags: bool = False,
) -> Check:
    session = None if session_tags else SESSION
    association: dict[str, Any] = {"disable_session_tags": not session_tags, "session_policy": session}
    if target:
        association["target_role_arn"] = target
    (subject,) = desired(workload(**association, **options)).workloads
    observed = Observed(
        HERE,
        roles={"my-role": ObservedRole("my-role", role_arn("my-role"), "/", TRUST_BARE)},
        associations={
            key(): ObservedAssociation(
                key(),
                "a-1",
                "arn",
                role_arn("my-role"),
                target,
                disable_session_tags=not session_tags,
                session_policy=session,
            )
        },
    )
    reads = VerificationReads(
        None,
        permissions={
            "my-role": RolePermissions(
                tuple(NamedPolicy(name, policy) for name, policy in attached.items()),
                NamedPolicy("boundary", boundary) if boundary else None,
            )
        },
        targets={target: trust or {"Statement": trusting(ROOT)}} if target else {},
    )
    result = check_permissions(subject, observed, reads)
    assert result is not None
    return result


ERROR = AwsError("iam:GetRole", "AccessDenied", "text of AWS.", ErrorKind.DENIED, "What to do.")
UNREAD = read_failure(Target("target role", TARGET), ERROR)


@pytest.mark.parametrize(("unread", "status"), [(False, "fail"), (True, UNKNOWN)])
def test_permissions_of_an_unread_role_are_unknown(unread: bool, status: str) -> None:
    needs = [{"action": "s3:GetObject", "resource": OBJECT}]
    (subject,) = desired(workload(required_permissions=needs)).workloads
    observed = Observed(HERE, failures=(read_failure(role_target("my-role"), ERROR),) * unread)
    assert check_permissions(subject, observed, VerificationReads(None)) == Check("permissions", status)


@pytest.mark.parametrize(
    ("arn", "found"),
    [
        (role_arn("target"), True),
        (role_arn("path/target"), False),
        ("arn:aws:iam::444455556666:role/target", False),
    ],
)
def test_only_the_role_with_the_whole_arn_is_the_target(arn: str, found: bool) -> None:
    aws, spec = FakeAws(), desired(workload(target_role_arn=arn))
    create_role(aws, "target", TRUST_BARE)
    run(aws, spec)
    reads = read_for_verification(aws, spec, engine(aws, spec).observer().observe(spec), 1, agent)
    assert (reads.targets[arn] == TRUST_BARE) is found
    assert isinstance(reads.targets[arn], Failure) is ("444455556666" in arn)


def test_unreadable_target_role_is_unknown() -> None:
    result = check({}, {"way": document(*ASSUMING, resource=TARGET)}, TARGET, UNREAD)
    (finding,) = result.findings
    assert (result.status, finding.code, finding.severity) == (UNKNOWN, "TARGET_ROLE_UNKNOWN", "warning")
    assert finding.message == f"the trust policy of target role {TARGET} could not be checked: text of AWS."
    assert finding.remedy == "What to do."


@pytest.mark.parametrize("options", [True, False])
def test_missing_target_access_follows_from_missing_policy(options: bool) -> None:
    policies = [policy("my-policy", *ASSUMING)] if options else [policy()]
    result = check({"policies": policies}, {policy_arn("other"): document("s3:GetObject")}, TARGET)
    codes = ([finding.code for finding in result.findings], [finding.code for finding in result.follows])
    assert codes == (([], ["TARGET_ROLE_NOT_ALLOWED"]) if options else (["TARGET_ROLE_NOT_ALLOWED"], []))


ANY_DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}
ANY_ALLOW = {**ANY_DENY, "Effect": "Allow"}
NAMED = trusting(role_arn("my-role"))
BY_ADDRESS = trusting(role_arn("my-role"), Condition={"IpAddress": {"aws:SourceIp": "192.0.2.1"}})
SPLIT = [trusting(role_arn("my-role"), "sts:AssumeRole"), trusting(ROOT, "sts:TagSession")]
ONLY_S3, DENIED = document("s3:*")["Statement"], {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}
NO, PERHAPS = "TARGET_ROLE_NOT_ALLOWED", "TARGET_ROLE_UNKNOWN"


# A case has statements: of the role, of its boundary, and of the trust policy of the target role (None if it was not read). Then
# it has the target role, whether the session has tags, and the expected codes.
NAMES = {
    "named": (ONLY_S3, [], NAMED, TARGET, False, []),
    "named, with session tags": (ONLY_S3, [], NAMED, TARGET, True, []),
    "named for one action": (ONLY_S3, [], SPLIT, TARGET, False, []),
    "named for one of two actions": (ONLY_S3, [], SPLIT, TARGET, True, [NO]),
    "one action is allowed": (ONLY_S3, [], SPLIT[0], TARGET, True, [NO, NO]),
    "account": (ONLY_S3, [], trusting(ROOT), TARGET, False, [NO]),
    "another role": (ONLY_S3, [], trusting(role_arn("other")), TARGET, False, [NO, NO]),
    "named under a condition": (ONLY_S3, [], [BY_ADDRESS, trusting(ROOT)], TARGET, False, [PERHAPS]),
    "everyone": (ONLY_S3, [], trusting("*"), TARGET, False, [PERHAPS, "TRUST_OPEN_TO_EVERYONE"]),
    "unread": (ONLY_S3, [], None, TARGET, False, [PERHAPS, PERHAPS]),
    "other account": (ONLY_S3, [], NAMED, FOREIGN, False, [NO]),
    "unread in other account": (ONLY_S3, [], None, FOREIGN, False, [NO, PERHAPS]),
    "Deny": ([*ONLY_S3, DENIED], [], NAMED, TARGET, False, [NO]),
    "Deny and unread": ([*ONLY_S3, DENIED], [], None, TARGET, False, [NO, PERHAPS]),
    "boundary": (ONLY_S3, ONLY_S3, NAMED, TARGET, False, [NO]),
    "boundary that allows": (ONLY_S3, [ANY_ALLOW], NAMED, TARGET, False, []),
}


@pytest.mark.parametrize("case", NAMES)
def test_trust_policy_with_the_role_replaces_its_allow(case: str) -> None:
    statements, boundary, trust, target, tagged, codes = NAMES[case]
    limit = {"Statement": boundary} if boundary else None
    read = {"Statement": trust} if trust else UNREAD
    result = check({}, {"a": {"Statement": statements}}, target, read, limit, session_tags=tagged)
    assert [finding.code for finding in result.findings] == codes


def test_unread_trust_policy_makes_the_permission_unknown() -> None:
    finding, _unread = check({}, {"a": document("s3:*")}, TARGET, UNREAD).findings
    assert (finding.message, finding.remedy) == (
        f"the permission of role {role_arn('my-role')} to perform sts:AssumeRole on target role {TARGET} depends on unknown "
        "values of the trust policy of the target role.",
        "Check that the conditions hold for the Pods, or allow the actions without conditions in the role's policies.",
    )


REQUIRED = {"required_permissions": [{"action": "s3:GetObject", "resource": OBJECT}]}
REMOVE_DENY = "A Deny wins over every Allow: narrow or remove Statement 2 of boundary."
ALLOW_TOO = "Allow sts:AssumeRole and sts:TagSession on the target role in boundary too."


@pytest.mark.parametrize(
    ("options", "target", "boundary", "remedy"),
    [
        (REQUIRED, "", [ANY_ALLOW, ANY_DENY], REMOVE_DENY),
        ({}, TARGET, [ANY_ALLOW, ANY_DENY], REMOVE_DENY),
        ({}, TARGET, ONLY_S3, ALLOW_TOO),
    ],
)
def test_remedy_names_the_boundary(options: Raw, target: str, boundary: list[Raw], remedy: str) -> None:
    limit = {"Version": "2012-10-17", "Statement": boundary}
    (finding,) = check(options, {"all": document("*")}, target, boundary=limit).findings
    assert finding.remedy == remedy


def test_incomparable_wildcards_are_conditional() -> None:
    everything = "arn:aws:s3:::bucket/*"
    pieces = [f"arn:aws:s3:::bucket/*{number}*a{number}*" for number in range(60)]
    attached = document("s3:GetObject", resource=everything)
    attached["Statement"][0]["Resource"] = ["arn:aws:s3:::bucket/?*", *pieces]
    attached["Statement"].append({**attached["Statement"][0], "Resource": "arn:aws:s3:::bucket/"})
    required = [{"action": "s3:GetObject", "resource": everything}]
    (finding,) = check({"required_permissions": required, "policies": []}, {"all": attached}, "").findings
    assert (finding.code, finding.message) == (
        "PERMISSION_CONDITIONAL",
        f"role {role_arn('my-role')}: s3:GetObject on {everything} may be allowed in part or as a whole, by Statement 1 of all; "
        "Statement 2 of all; Statement 1 of the session policy of the association: the evaluation cannot compare the patterns of "
        "these statements with the wildcards. Check single actions and resources instead.",
    )


PART = "arn:aws:s3:::bucket/public/*"
LIMIT = "Statement 1 of the session policy of the association"
DENY_PART = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": PART}


@pytest.mark.parametrize(
    ("policies", "code", "reason", "remedy"),
    [
        pytest.param(
            (PART, [], None),
            "PERMISSION_DENIED",
            f"by Statement 1 of all; {LIMIT}; no statement allows the rest in identity policies.",
            "Allow the rest in a policy of the workload too, or require single actions and resources in required_permissions.",
            id="identity policies",
        ),
        pytest.param(
            ("*", [DENY_PART], None),
            "PERMISSION_DENIED",
            f"by Statement 1 of all; {LIMIT}; Statement 2 of all may deny the rest.",
            "A Deny wins over every Allow: narrow or remove Statement 2 of all.",
            id="deny",
        ),
        pytest.param(
            ("*", [], {**ANY_ALLOW, "Resource": PART}),
            "PERMISSION_TAKEN_AWAY",
            f"by Statement 1 of all; Statement 1 of boundary; {LIMIT}; no statement allows the rest in boundary.",
            "Allow the rest in boundary too, or require single actions and resources in required_permissions.",
            id="boundary",
        ),
    ],
)
def test_partly_allowed_permission_is_an_error(
    policies: tuple[str, list[Raw], Raw | None], code: str, reason: str, remedy: str
) -> None:
    resource, deny, boundary = policies
    attached = document("s3:GetObject", resource=resource)
    attached["Statement"].extend(deny)
    limit = {"Version": "2012-10-17", "Statement": [boundary]} if boundary else None
    required = [{"action": "s3:GetObject", "resource": "arn:aws:s3:::bucket/*"}]
    checked = check({"required_permissions": required, "policies": []}, {"all": attached}, "", boundary=limit)
    (finding,) = checked.findings
    assert (checked.status, finding.code, finding.severity, finding.message, finding.remedy) == (
        "fail",
        code,
        "error",
        f"role {role_arn('my-role')}: s3:GetObject on arn:aws:s3:::bucket/* is allowed only in part, {reason}",
        remedy,
    )


@pytest.mark.parametrize(
    ("names", "reason"),
    [("a", "Statement 1 of a denies it"), ("ab", "Statement 1 of a and Statement 1 of b deny it")],
)
def test_denied_permission_names_each_deny(names: str, reason: str) -> None:
    deny = document("s3:GetObject")
    deny["Statement"][0]["Effect"] = "Deny"
    (finding,) = check(REQUIRED, {"all": document("s3:*"), **dict.fromkeys(names, deny)}, "").findings
    assert finding.code == "PERMISSION_DENIED"
    assert finding.message == (
        f"role {role_arn('my-role')} is not allowed to perform s3:GetObject on {OBJECT}: {reason}."
    )
