# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Classify AWS errors: find the kind and the remedy for an error code, and explain a failed AssumeRole.

This file does not depend on boto3.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from .._findings.codes import Code
from .._findings.text import option
from .._identity.model.accounts import AssumeRole
from .._identity.model.errors import AwsError, ErrorKind, sentence

# AWS does not send the next three codes; this collection uses them for problems with a response.

# The response was malformed or incomplete. The request may have taken effect.
MALFORMED = "MalformedAnswer"
# Another server, such as a proxy or the sign-in page of a network, sent the response.
NOT_AWS = str(Code.NOT_AWS)
# There was no complete response within the time limit. The request may have taken effect.
TOO_SLOW = "AnswerTooSlow"


class _Meaning(NamedTuple):
    """The kind and the remedy of errors with one of ``codes`` and with ``text`` in their message.

    Codes may have the wildcards "*" and "?".
    """

    kind: ErrorKind
    codes: tuple[str, ...]
    text: str
    remedy: str


_OTHER = _Meaning(ErrorKind.OTHER, (), "", "See the message. Correct the cause and run again.")

_THROTTLED = _Meaning(
    ErrorKind.THROTTLED,
    (
        "Throttling",
        "ThrottlingException",
        "Throttled*",
        "RequestThrottl*",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "SlowDown",
    ),
    "",
    "AWS limits the rate of requests of this account and retries did not help. Run again later "
    "or with a lower concurrency; completed changes are kept.",
)
_SERVER = _Meaning(
    ErrorKind.SERVER,
    (
        "InternalError",
        "InternalFailure",
        "RequestTimeout*",
        "ServerException",
        "ServiceFailure",
        "ServiceUnavailable*",
        "50?",
    ),
    "",
    "AWS, or a proxy, had an internal error. Run again; completed changes are kept.",
)
_LOST = _Meaning(
    ErrorKind.CONNECTION,
    (
        "EndpointConnectionError",
        "ConnectTimeoutError",
        "ReadTimeoutError",
        "ConnectionClosedError",
        "ProxyConnectionError",
        "HTTPClientError",
        "ConnectionError",
        TOO_SLOW,
    ),
    "",
    "Check region, endpoint_url (AWS_ENDPOINT_URL), proxy and network, then run again.",
)

# The first matching entry is used.
MEANINGS: tuple[_Meaning, ...] = (
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        ("InvalidParameterException",),
        "Role provided in the request does not exist",
        "Check the role's ARN and account. A new role may take some seconds "
        "to become visible to EKS: run again.",
    ),
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        ("InvalidParameterException",),
        "Trust policy of the role provided is invalid",
        "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
        "workload_identity.aws.iam_trust_policy_check finds the cause.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("InvalidParameterException", "InvalidRequestException"),
        "Cross-account pass role is not allowed",
        "The role of an association must be in the cluster's account. To use a role in another account, associate a role in "
        "the cluster's account and set the other role as target_role_arn.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        ("AccessDenied", "AccessDeniedException"),
        "iam:PassRole",
        "Allow the caller iam:PassRole on this role, with the condition "
        "StringEquals iam:PassedToService pods.eks.amazonaws.com.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        ("AccessDenied", "AccessDeniedException"),
        "perform: iam:Create",
        "Create it under an IAM path for which the caller has this permission: set ⟨path⟩, such as /pod-identity/ for the "
        "policies in docs/iam-permissions.md. If the path is right, the policies of the caller, a service control policy or "
        "a permissions boundary deny the action, or require a boundary: set ⟨permissions_boundary⟩.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"),
        "",
        "Allow the caller this action on this resource. A service control policy or a permissions "
        "boundary can also deny it.",
    ),
    _Meaning(
        ErrorKind.MISSING,
        ("ResourceNotFoundException",),
        "No cluster found",
        "Check the name of the cluster, the account and the region.",
    ),
    _Meaning(
        ErrorKind.MISSING,
        ("NoSuchEntity", "NotFoundException", "ResourceNotFoundException"),
        "",
        _OTHER.remedy,
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("ClusterNotActive",),
        "",
        "Wait until the cluster is ACTIVE, or find out in the EKS console why it is not.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("LimitExceeded*",),
        "ACLSizePerRole",
        "The trust policy is too long. Use a wider trust_scope (namespace or cluster), give the "
        "workloads separate roles, or request an increase of the quota 'Role trust policy length'.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("LimitExceeded*",),
        "PolicySize",
        "The policy is too long, and this quota cannot be increased. Split it into several policies, or use wildcards.",
    ),
    _Meaning(
        ErrorKind.FULL,
        ("LimitExceeded*", "ResourceLimitExceededException"),
        "",
        "Request a quota increase in Service Quotas, or delete unused resources.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("PackedPolicyTooLarge*",),
        "",
        "Session tags and session policy are too large together: shorten the session policy, or "
        "set disable_session_tags: true.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("MalformedPolicyDocument",),
        "",
        "Correct the policy document; see the message from AWS.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken*", "SignatureDoesNotMatch"),
        "",
        "The credentials are invalid or expired: renew them, or check which profile is used.",
    ),
    _THROTTLED,
    _Meaning(
        ErrorKind.BUSY,
        ("ConcurrentModification", "ConcurrentModificationException"),
        "",
        "Another process modifies this resource at the same time: run again.",
    ),
    _Meaning(
        ErrorKind.EXISTS,
        ("EntityAlreadyExists",),
        "",
        "The name is in use. IAM does not distinguish names by their path or letter case. Use the path and the letter case of "
        "the existing resource, or another name.",
    ),
    _Meaning(ErrorKind.EXISTS, ("ResourceInUseException",), "", _OTHER.remedy),
    _Meaning(
        ErrorKind.DAMAGED,
        (NOT_AWS,),
        "",
        "Another server responds in place of AWS: check the proxy (HTTPS_PROXY, NO_PROXY), a sign-in "
        "page of the network, and endpoint_url (AWS_ENDPOINT_URL). Then run again.",
    ),
    _Meaning(
        ErrorKind.DAMAGED,
        (MALFORMED,),
        "",
        "Check proxy and network, then run again: completed changes are kept.",
    ),
    _Meaning(
        ErrorKind.IN_USE,
        ("DeleteConflict",),
        "",
        "This resource is still in use. First detach it from the resources that use it.",
    ),
    _SERVER,
    _Meaning(
        ErrorKind.OTHER,
        (
            "NoCredentialsError",
            "PartialCredentialsError",
            "CredentialRetrievalError",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "SSOTokenLoadError",
            "ConfigNotFound",
        ),
        "",
        "Configure credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY, or the option ⟨profile⟩.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("ProfileNotFound",),
        "",
        "Check the name in the option ⟨profile⟩ or in AWS_PROFILE: the profile is read from ~/.aws/config and "
        "~/.aws/credentials, or from "
        "the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("NoRegionError",),
        "",
        "Set the region: the option ⟨region⟩, or AWS_REGION.",
    ),
    _LOST,
    # The kind OTHER prevents retries, because an invalid certificate remains invalid.
    _Meaning(
        ErrorKind.OTHER,
        ("SSLError",),
        "",
        "Check endpoint_url (AWS_ENDPOINT_URL), the proxy and the CA bundle (AWS_CA_BUNDLE), then run again.",
    ),
)


def classify(
    operation: str,
    code: str,
    text: str,
    outcome_unknown: bool = False,
    status: int = 0,
    lost: bool = False,
) -> AwsError:
    """Build the AwsError for a failed request, with its kind and remedy.

    :arg operation: service and operation, such as "iam:CreateRole".
    :arg code: the error code from AWS or of this collection, or the name of an exception of botocore.
    :arg text: the error message.
    :arg outcome_unknown: whether the request may have taken effect.
    :arg status: the HTTP status of the response, or 0. The statuses 429 and 5xx take precedence over the code, because a
        proxy may have sent them. Only a code for throttling takes precedence over 5xx.
    :arg lost: whether the connection failed before a response arrived. This takes precedence over ``code`` and ``status``.
    """
    meaning = _LOST if lost else _meaning(code, text, status)
    return AwsError(operation, code, text, meaning.kind, meaning.remedy, outcome_unknown)


def _meaning(code: str, text: str, status: int) -> _Meaning:
    by_code = (
        row
        for row in MEANINGS
        if row.text in text and any(fnmatchcase(code, pattern) for pattern in row.codes)
    )
    meaning = next(by_code, _OTHER)
    if status == 429:
        return _THROTTLED
    return _SERVER if status >= 500 and meaning is not _THROTTLED else meaning


_ASSUME_ROLE = "sts:AssumeRole"
# AWS does not send these two codes; this collection uses them for unusable responses to AssumeRole.
OTHER_ACCOUNT = "UnexpectedAccount"
ALREADY_EXPIRED = "CredentialsAlreadyExpired"


class _Reason(NamedTuple):
    """The remedy for a cause of a failed AssumeRole.

    ``code`` and ``text`` are regular expressions. ``code`` must match the whole error code, ``text`` a part of the message.
    """

    code: str
    text: str
    remedy: str


_DENIED = r"AccessDenied(Exception)?"
# The first matching entry is used. Sources: AWS STS API Reference, errors of AssumeRole; IAM User Guide, "Troubleshoot IAM
# roles" and "Troubleshoot access denied error messages".
_REASONS = (
    _Reason(
        _DENIED,
        r"root accounts",
        "Use credentials of an IAM user or of a role: the root user of an account cannot assume a role.",
    ),
    _Reason(
        _DENIED,
        r"with an explicit deny",
        "A policy denies the caller sts:AssumeRole on this role, and an explicit deny overrides every allow: change "
        "that policy, or use other credentials.",
    ),
    _Reason(
        _DENIED,
        r"no (identity-based policy|permissions boundary|session policy|service control policy) allows",
        "Allow the caller sts:AssumeRole on this role in the kind of policy that the message names.",
    ),
    _Reason(
        _DENIED,
        r"no (resource-based policy|role trust policy) allows",
        "Add the caller to the trust policy of the role. {external_id}",
    ),
    _Reason(
        _DENIED,
        r"",
        "Allow the caller sts:AssumeRole on this role, and add the caller to the trust policy of the role. {external_id} "
        "AWS does not report which of these is missing, or whether the role exists: check the ARN as well.",
    ),
    _Reason(
        r"ValidationError",
        r"ARN",
        f"Correct {option('assume_role_arn')}: it must be the ARN of an IAM role, with the role's path.",
    ),
    _Reason(
        r"RegionDisabledException",
        r"",
        "Activate STS for this region in the account settings of IAM, or use another region.",
    ),
)
_WITH_ID = (
    f"If the trust policy requires sts:ExternalId, {option('assume_role_external_id')} must have that value."
)
_WITHOUT_ID = f"If the trust policy requires sts:ExternalId, set {option('assume_role_external_id')}."


def explain_refusal(error: AwsError, role: AssumeRole, caller_arn: str, region: str) -> AwsError:
    """Return the error of a failed AssumeRole with its caller, role and region, and a remedy if the cause is in ``_REASONS``.

    :arg caller_arn: the ARN of the caller of AssumeRole, or "" if it is unknown.
    :arg region: the region of the STS endpoint, or "" if it is unknown.
    """
    reason = next(
        (row for row in _REASONS if re.fullmatch(row.code, error.code) and re.search(row.text, error.text)),
        None,
    )
    remedy = error.remedy
    if reason is not None:
        external_id = _WITH_ID if role.external_id else _WITHOUT_ID
        remedy = reason.remedy.format(external_id=external_id)
    return AwsError(
        error.operation,
        error.code,
        _with_place(error.text, role, caller_arn, region),
        error.kind,
        remedy,
        error.outcome_unknown,
    )


def unexpected_account(role: AssumeRole, session_arn: str, region: str) -> AwsError:
    """Return the error for a response to AssumeRole with a session of another or an unknown account.

    AWS never sends such a response, so a different server must have sent it.
    """
    text = f"The response has credentials of {session_arn}."
    return AwsError(
        _ASSUME_ROLE,
        OTHER_ACCOUNT,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        f"Check endpoint_url (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS), proxy, and {option('assume_role_arn')}.",
    )


def already_expired(role: AssumeRole, expires: str, now: str, region: str) -> AwsError:
    """Return the error for new credentials that are already expired according to the clock of this machine."""
    text = f"The credentials expire at {expires}, but the clock of this machine is at {now}."
    return AwsError(
        _ASSUME_ROLE,
        ALREADY_EXPIRED,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        "Synchronize the clock of this machine, for example with NTP.",
    )


def _with_place(text: str, role: AssumeRole, caller_arn: str, region: str) -> str:
    """Add the region to an error message, and the caller and the role if the message does not contain their ARNs."""
    parts = [f"in region {region}"] if region else []
    parts += [f"as {caller_arn}"] if caller_arn and caller_arn not in text else []
    role_text = "" if role.arn in text else f"the role {role.arn} of "
    parts.append(f"for {role_text}account {role.account_id}")
    return f"{sentence(text)} Requested {', '.join(parts)}."
