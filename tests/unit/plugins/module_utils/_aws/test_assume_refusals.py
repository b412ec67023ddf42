# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import (
    already_expired,
    classify,
    explain_refusal,
    unexpected_account,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import with_option_names
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    aws_message,
)

ARN = "arn:aws:iam::444455556666:role/fleet"
CALLER = "arn:aws:iam::111122223333:user/deployer"
DENIED = f"User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {ARN}"
WITH_ID = AssumeRole(ARN, external_id="my-fleet", duration=7200)
IN_PLACE = "Asked in region us-west-2, for account 444455556666."
IN_FULL = f"Asked in region us-west-2, as {CALLER}, for the role {ARN} of account 444455556666."
RENEWED = "A run that takes longer renews the credentials."


def shown(error: AwsError) -> str:
    return str(with_option_names(aws_message(error, "us-west-2"), "pod_identity_"))


@pytest.mark.parametrize(
    ("role", "code", "text", "message"),
    [
        pytest.param(
            AssumeRole(ARN),
            "AccessDenied",
            DENIED,
            f"AccessDenied: {DENIED}. {IN_PLACE} Allow the caller sts:AssumeRole on this role, and let the role's trust "
            "policy name the caller. If that asks for sts:ExternalId, give it in pod_identity_assume_role_external_id. AWS "
            "does not say which of these is missing, nor whether there is such a role: check the ARN as well.",
            id="no reason, no external ID",
        ),
        pytest.param(
            WITH_ID,
            "AccessDenied",
            DENIED,
            f"AccessDenied: {DENIED}. {IN_PLACE} Allow the caller sts:AssumeRole on this role, and let the role's trust "
            "policy name the caller. If that asks for sts:ExternalId, pod_identity_assume_role_external_id must be the "
            "same. AWS does not say which of these is missing, nor whether there is such a role: check the ARN as well.",
            id="no reason, maybe the wrong external ID",
        ),
        pytest.param(
            AssumeRole(ARN),
            "AccessDenied",
            f"{DENIED} because no identity-based policy allows the sts:AssumeRole action",
            f"AccessDenied: {DENIED} because no identity-based policy allows the sts:AssumeRole action. {IN_PLACE} Allow the "
            "caller sts:AssumeRole on this role in the kind of policy that AWS names.",
            id="the caller's policies",
        ),
        pytest.param(
            WITH_ID,
            "AccessDenied",
            f"{DENIED} because no resource-based policy allows the sts:AssumeRole action",
            f"AccessDenied: {DENIED} because no resource-based policy allows the sts:AssumeRole action. {IN_PLACE} Let the "
            "role's trust policy name the caller. If that asks for sts:ExternalId, "
            "pod_identity_assume_role_external_id must be the same.",
            id="the trust policy",
        ),
        pytest.param(
            AssumeRole(ARN),
            "AccessDenied",
            f"{DENIED} with an explicit deny in a service control policy",
            f"AccessDenied: {DENIED} with an explicit deny in a service control policy. {IN_PLACE} A policy denies the "
            "caller sts:AssumeRole on this role, and no other policy can allow it: have that one changed, or use other "
            "credentials.",
            id="denied explicitly",
        ),
        pytest.param(
            AssumeRole(ARN),
            "AccessDenied",
            "Roles may not be assumed by root accounts.",
            f"AccessDenied: Roles may not be assumed by root accounts. {IN_FULL} Use credentials of an IAM user or of a "
            "role: AWS lets the root user of an account assume no role.",
            id="root",
        ),
        pytest.param(
            WITH_ID,
            "ValidationError",
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            "ValidationError: The requested DurationSeconds exceeds the MaxSessionDuration set for this role. "
            f"{IN_FULL} Set pod_identity_assume_role_duration, which is 7200 seconds, to the role's MaxSessionDuration or "
            f"less (3600 unless it was changed), or have that raised. {RENEWED}",
            id="too long for the role",
        ),
        pytest.param(
            WITH_ID,
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining",
            "ValidationError: The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
            f"chaining. {IN_FULL} The job's own credentials are those of a role, and from one role to the next AWS gives an "
            f"hour at most: set pod_identity_assume_role_duration to 3600 or less, or leave it out. {RENEWED}",
            id="too long for a chain",
        ),
        pytest.param(
            AssumeRole(ARN),
            "ValidationError",
            "Request ARN is invalid",
            f"ValidationError: Request ARN is invalid. {IN_FULL} Correct pod_identity_assume_role_arn: it must be the ARN of "
            "an IAM role, with the role's path.",
            id="ARN",
        ),
        pytest.param(
            AssumeRole(ARN),
            "RegionDisabledException",
            "STS is not activated in this region for account:444455556666. Your account administrator can activate STS "
            "in this region using the IAM Console.",
            "RegionDisabledException: STS is not activated in this region for account:444455556666. Your account "
            f"administrator can activate STS in this region using the IAM Console. {IN_FULL} Have STS activated for this "
            "region in the account settings of IAM, or give another region.",
            id="region",
        ),
        pytest.param(
            AssumeRole(ARN),
            "ExpiredToken",
            "The security token included in the request is expired",
            f"ExpiredToken: The security token included in the request is expired. {IN_FULL} The credentials are not valid "
            "(any more): renew them, or check which profile is in use.",
            id="the job's own credentials",
        ),
    ],
)
def test_a_refusal_says_who_where_why_and_what_to_do(
    role: AssumeRole, code: str, text: str, message: str
) -> None:
    error = explain_refusal(classify("sts:AssumeRole", code, text), role, CALLER, "us-west-2")
    assert shown(error) == f"sts:AssumeRole: {message} Nothing was changed."


def test_what_is_not_known_is_left_out() -> None:
    error = explain_refusal(classify("sts:AssumeRole", "Other", "No."), AssumeRole(ARN), "", "")
    assert error.text == f"No. Asked for the role {ARN} of account 444455556666."


def test_a_refusal_keeps_its_kind() -> None:
    error = classify("sts:AssumeRole", "Throttling", "Rate exceeded")
    explained = explain_refusal(error, AssumeRole(ARN), "", "us-west-2")
    assert (explained.transient, explained.remedy) == (True, error.remedy)


def test_credentials_of_another_account() -> None:
    session = "arn:aws:sts::777788889999:assumed-role/fleet/me"
    assert shown(unexpected_account(AssumeRole(ARN), session, "us-west-2")) == (
        f"sts:AssumeRole: UnexpectedAccount: The answer gives credentials of {session}. Asked in region us-west-2, for the "
        f"role {ARN} of account 444455556666. Check endpoint_url (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS), proxy, and "
        "pod_identity_assume_role_arn. Nothing was changed."
    )


def test_credentials_that_have_expired_by_the_clock_here() -> None:
    error = already_expired(AssumeRole(ARN), "2026-11-24T11:00:00+00:00", "2026-11-24T12:00:00+00:00", "")
    assert aws_message(error, "") == (
        "sts:AssumeRole: CredentialsAlreadyExpired: The credentials expire at 2026-11-24T11:00:00+00:00, and by this "
        f"machine's clock it is 2026-11-24T12:00:00+00:00. Asked for the role {ARN} of account 444455556666. Set the clock "
        "of this machine, by NTP for instance. Nothing was changed."
    )
