# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how errors of AWS, including denials of AssumeRole, get their kind and their remedy."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import (
    MALFORMED,
    classify,
    explain_refusal,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import AssumeRole
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    ErrorKind,
    aws_failure,
)

THROTTLING_CODES = (
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)


@pytest.mark.parametrize(
    ("code", "text", "remedy"),
    [
        (
            "InvalidParameterException",
            "Role provided in the request does not exist",
            "Check the role's ARN and account. A new role may take some seconds to become visible to EKS: run again.",
        ),
        (
            "InvalidParameterException",
            "Trust policy of the role provided is invalid. Follow the official documentation to resolve the issue.",
            "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
            "workload_identity.aws.iam_trust_policy_check finds the cause.",
        ),
        *(
            (
                code,
                "Cross-account pass role is not allowed.",
                "The role of an association must be in the cluster's account. To use a role in another account, "
                "associate a role in the cluster's account and set the other role as target_role_arn.",
            )
            for code in ("InvalidParameterException", "InvalidRequestException")
        ),
        *(
            (
                code,
                "User: a is not authorized to perform: iam:PassRole on resource: b",
                "Allow the caller iam:PassRole on this role, with the condition StringEquals iam:PassedToService "
                "pods.eks.amazonaws.com.",
            )
            for code in ("AccessDenied", "AccessDeniedException")
        ),
        *(
            (
                code,
                "not authorized to perform: eks:DescribeCluster",
                "Allow the caller this action on this resource. A service control policy or a permissions boundary can also "
                "deny it.",
            )
            for code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
        ),
        (
            "ResourceNotFoundException",
            "No cluster found for name: x.",
            "Check the name of the cluster, the account and the region.",
        ),
        (
            "LimitExceeded",
            "Cannot exceed quota for ACLSizePerRole: 2048",
            "The trust policy is too long. Use a wider trust_scope (namespace or cluster), give the "
            "workloads separate roles, or request an increase of the quota 'Role trust policy length'.",
        ),
        *(
            (
                code,
                "Cannot exceed quota for RolesPerAccount: 1000",
                "Request a quota increase in Service Quotas, or delete unused resources.",
            )
            for code in ("LimitExceeded", "LimitExceededException", "ResourceLimitExceededException")
        ),
        (
            "PackedPolicyTooLarge",
            "Packed size of session tags consumes 112% of allotted space.",
            "Session tags and session policy are too large together: shorten the session policy, or set "
            "disable_session_tags: true.",
        ),
        (
            "MalformedPolicyDocument",
            "Syntax errors in policy.",
            "Correct the policy document; see the message from AWS.",
        ),
        *(
            (code, "", "The credentials are invalid or expired: renew them, or check which profile is used.")
            for code in (
                "UnrecognizedClientException",
                "InvalidClientTokenId",
                "ExpiredToken",
                "ExpiredTokenException",
                "SignatureDoesNotMatch",
            )
        ),
        *(
            (
                code,
                "Rate exceeded",
                "AWS limits the rate of requests of this account and retries did not help. Run again later or with a "
                "lower concurrency; completed changes are kept.",
            )
            for code in THROTTLING_CODES
        ),
        ("ConcurrentModification", "", "Another process modifies this resource at the same time: run again."),
        (
            "EntityAlreadyExists",
            "Role with name x already exists.",
            "The name is in use. IAM does not distinguish names by their path or letter case. Use the "
            "path and the letter case of the existing resource, or another name.",
        ),
        (
            "DeleteConflict",
            "",
            "This resource is still in use. First detach it from the resources that use it.",
        ),
        ("503", "", "AWS, or a proxy, had an internal error. Run again; completed changes are kept."),
        *(
            (
                code,
                "",
                "Configure credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or the option ⟨profile⟩.",
            )
            for code in ("NoCredentialsError", "PartialCredentialsError", "SSOTokenLoadError")
        ),
        (
            "ProfileNotFound",
            "",
            "Check the name in the option ⟨profile⟩ or in AWS_PROFILE: the profile is read from ~/.aws/config and "
            "~/.aws/credentials, or from the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.",
        ),
        ("NoRegionError", "", "Set the region: the option ⟨region⟩, or AWS_REGION."),
        *(
            (code, "", "Check region, endpoint_url (AWS_ENDPOINT_URL), proxy and network, then run again.")
            for code in ("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError")
        ),
        (
            "SSLError",
            "",
            "Check endpoint_url (AWS_ENDPOINT_URL), the proxy and the CA bundle (AWS_CA_BUNDLE), then run again.",
        ),
        ("SomethingNew", "", "See the message. Correct the cause and run again."),
        ("XAccessDenied", "", "See the message. Correct the cause and run again."),
    ],
)
def test_each_cause_has_its_remedy(code: str, text: str, remedy: str) -> None:
    assert classify("any:Operation", code, text).remedy == remedy


ROLE_UNKNOWN = "Role provided in the request does not exist."
ROLE_UNTRUSTING = "Trust policy of the role provided is invalid. Follow the official documentation."


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("InvalidParameterException", ROLE_UNKNOWN, ErrorKind.ROLE_NOT_USABLE),
        ("InvalidParameterException", ROLE_UNTRUSTING, ErrorKind.ROLE_NOT_USABLE),
        ("InvalidParameterException", "Cross-account pass role is not allowed.", ErrorKind.OTHER),
        ("InvalidParameterException", "The namespace is too long.", ErrorKind.OTHER),
        ("InvalidRequestException", ROLE_UNKNOWN, ErrorKind.OTHER),
        ("AccessDenied", "", ErrorKind.DENIED),
        ("AccessDeniedException", "not authorized to perform: iam:PassRole", ErrorKind.DENIED),
        ("UnauthorizedOperation", "", ErrorKind.DENIED),
        ("NoSuchEntity", "", ErrorKind.MISSING),
        ("NotFoundException", "", ErrorKind.MISSING),
        ("ResourceNotFoundException", "No cluster found for name: x.", ErrorKind.MISSING),
        ("ResourceNotFoundException", "No association.", ErrorKind.MISSING),
        ("EntityAlreadyExists", "", ErrorKind.EXISTS),
        ("ResourceInUseException", "", ErrorKind.EXISTS),
        ("DeleteConflict", "", ErrorKind.IN_USE),
        ("ConcurrentModification", "", ErrorKind.BUSY),
        ("ConcurrentModificationException", "", ErrorKind.BUSY),
        (MALFORMED, "", ErrorKind.DAMAGED),
        *((code, "Rate exceeded", ErrorKind.THROTTLED) for code in THROTTLING_CODES),
        *(
            (code, "", ErrorKind.SERVER)
            for code in (
                "500",
                "503",
                "InternalError",
                "InternalFailure",
                "RequestTimeout",
                "RequestTimeoutException",
                "ServerException",
                "ServiceFailure",
                "ServiceUnavailable",
                "ServiceUnavailableException",
            )
        ),
        ("EndpointConnectionError", "", ErrorKind.CONNECTION),
        ("SSLError", "", ErrorKind.OTHER),
        ("ClusterNotActive", "", ErrorKind.OTHER),
        ("LimitExceeded", "Cannot exceed quota for PoliciesPerRole: 10", ErrorKind.FULL),
        ("LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048", ErrorKind.OTHER),
        ("ResourceLimitExceededException", "", ErrorKind.FULL),
        ("ExpiredToken", "", ErrorKind.OTHER),
        ("XAccessDenied", "", ErrorKind.OTHER),
        ("", "", ErrorKind.OTHER),
    ],
)
def test_each_code_has_its_kind(code: str, text: str, kind: ErrorKind) -> None:
    assert classify("any:Operation", code, text).kind is kind


@pytest.mark.parametrize(
    ("code", "status", "lost", "kind"),
    [
        ("Whatever", 400, False, ErrorKind.OTHER),
        ("Whatever", 429, False, ErrorKind.THROTTLED),
        ("Whatever", 500, False, ErrorKind.SERVER),
        ("AccessDenied", 403, False, ErrorKind.DENIED),
        ("AccessDenied", 503, False, ErrorKind.SERVER),
        ("Throttling", 503, False, ErrorKind.THROTTLED),
        ("ServiceFailure", 429, False, ErrorKind.THROTTLED),
        ("ResponseStreamingError", 0, True, ErrorKind.CONNECTION),
    ],
)
def test_status_takes_precedence_over_the_code(code: str, status: int, lost: bool, kind: ErrorKind) -> None:
    error = classify("any:Operation", code, "", status=status, lost=lost)
    assert error.kind is kind


@pytest.mark.parametrize("kind", ErrorKind)
def test_properties_of_an_error(kind: ErrorKind) -> None:
    error = AwsError("iam:CreateRole", "Code", "Text.", kind, "Remedy.")
    conflict = kind in (ErrorKind.DAMAGED, ErrorKind.EXISTS, ErrorKind.IN_USE)
    found = error.missing, error.denied, error.conflict
    assert found == (kind is ErrorKind.MISSING, kind is ErrorKind.DENIED, conflict)


ARN = "arn:aws:iam::444455556666:role/fleet"
CALLER = "arn:aws:iam::111122223333:user/deployer"
DENIED = f"User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {ARN}"
WITH_ID = AssumeRole(ARN, external_id="my-fleet")
IN_PLACE = "Requested in region us-west-2, for account 444455556666."
IN_FULL = f"Requested in region us-west-2, for the role {ARN} of account 444455556666."


def error_text(error: AwsError) -> str:
    return str(aws_failure(error, "us-west-2", "pod_identity_")["msg"])


DENIALS = {
    "no reason, no external ID": (
        AssumeRole(ARN),
        "AccessDenied",
        DENIED,
        f"AccessDenied: {DENIED}. {IN_PLACE} Allow the caller sts:AssumeRole on this role, and add the caller to "
        "the trust policy of the role. If the trust policy requires sts:ExternalId, set "
        "pod_identity_assume_role_external_id. AWS does not report which of these is missing, or whether the role exists: "
        "check the ARN as well.",
    ),
    "no reason, with an external ID": (
        WITH_ID,
        "AccessDenied",
        DENIED,
        f"AccessDenied: {DENIED}. {IN_PLACE} Allow the caller sts:AssumeRole on this role, and add the caller to "
        "the trust policy of the role. If the trust policy requires sts:ExternalId, "
        "pod_identity_assume_role_external_id must have that value. AWS does not report which of these is missing, or "
        "whether the role exists: check the ARN as well.",
    ),
    "the caller's policies": (
        AssumeRole(ARN),
        "AccessDenied",
        f"{DENIED} because no identity-based policy allows the sts:AssumeRole action",
        f"AccessDenied: {DENIED} because no identity-based policy allows the sts:AssumeRole action. {IN_PLACE} Allow the "
        "caller sts:AssumeRole on this role in the kind of policy that the message names.",
    ),
    "the trust policy": (
        WITH_ID,
        "AccessDenied",
        f"{DENIED} because no resource-based policy allows the sts:AssumeRole action",
        f"AccessDenied: {DENIED} because no resource-based policy allows the sts:AssumeRole action. {IN_PLACE} Add the "
        "caller to the trust policy of the role. If the trust policy requires sts:ExternalId, "
        "pod_identity_assume_role_external_id must have that value.",
    ),
    "denied explicitly": (
        AssumeRole(ARN),
        "AccessDenied",
        f"{DENIED} with an explicit deny in a service control policy",
        f"AccessDenied: {DENIED} with an explicit deny in a service control policy. {IN_PLACE} A policy denies the "
        "caller sts:AssumeRole on this role, and an explicit deny overrides every allow: change that policy, or use other "
        "credentials.",
    ),
    "caller is the root user": (
        AssumeRole(ARN),
        "AccessDenied",
        "Roles may not be assumed by root accounts.",
        f"AccessDenied: Roles may not be assumed by root accounts. {IN_FULL} Use credentials of an IAM user or of a "
        "role: the root user of an account cannot assume a role.",
    ),
    "malformed ARN": (
        AssumeRole(ARN),
        "ValidationError",
        "Request ARN is invalid",
        f"ValidationError: Request ARN is invalid. {IN_FULL} Correct pod_identity_assume_role_arn: it must be the ARN of "
        "an IAM role, with the role's path.",
    ),
    "disabled region": (
        AssumeRole(ARN),
        "RegionDisabledException",
        "STS is not activated in this region for account:444455556666. Your account administrator can activate STS "
        "in this region using the IAM Console.",
        "RegionDisabledException: STS is not activated in this region for account:444455556666. Your account "
        f"administrator can activate STS in this region using the IAM Console. {IN_FULL} Activate STS for this region in "
        f"the account settings of IAM, or use another region.",
    ),
    "expired credentials of the caller": (
        AssumeRole(ARN),
        "ExpiredToken",
        "The security token included in the request is expired",
        f"ExpiredToken: The security token included in the request is expired. {IN_FULL} The credentials are invalid or "
        f"expired: renew them, or check which profile is used.",
    ),
}


@pytest.mark.parametrize(("role", "code", "text", "message"), DENIALS.values(), ids=DENIALS)
def test_denial_names_caller_region_cause_and_remedy(
    role: AssumeRole, code: str, text: str, message: str
) -> None:
    error = explain_refusal(classify("sts:AssumeRole", code, text), role, "us-west-2")
    assert error_text(error) == f"sts:AssumeRole: {message} Nothing was changed."
