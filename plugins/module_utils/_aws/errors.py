# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Meaning and remedy of AWS errors, classified once, where the response arrives; refusals of AssumeRole. Pure."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from .._findings.codes import Code
from .._findings.text import option
from .._identity.model.accounts import AssumeRole
from .._identity.model.errors import AwsError, ErrorKind, sentence

# Not codes of AWS. An answer that cannot be used: whether the request took effect is not known.
MALFORMED = "MalformedAnswer"
# An answer that AWS did not give, of a proxy or a portal.
NOT_AWS = str(Code.NOT_AWS)
# An answer that took too long, whatever was done meanwhile.
TOO_SLOW = "AnswerTooSlow"


class _Meaning(NamedTuple):
    """The meaning of some error codes, if the message contains a text. A code may end with "*" or "?"."""

    kind: ErrorKind
    codes: tuple[str, ...]
    text: str
    remedy: str


_OTHER = _Meaning(ErrorKind.OTHER, (), "", "See the message of AWS; run again once the cause is gone.")

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
    "AWS had an internal error and retries did not help. Run again; completed changes are kept.",
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
    "The endpoint cannot be reached: check region, endpoint_url (AWS_ENDPOINT_URL), proxy and "
    "network, then run again.",
)

# The first row that fits counts.
MEANINGS: tuple[_Meaning, ...] = (
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        ("InvalidParameterException",),
        "Role provided in the request does not exist",
        "Check the role's ARN and account. A role made moments ago may need some seconds "
        "until EKS sees it: run again, or raise ⟨propagation_timeout⟩.",
    ),
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        ("InvalidParameterException",),
        "Trust policy of the role provided is invalid",
        "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
        "workload_identity.aws.iam_trust_policy_check says which statement is at fault.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("InvalidParameterException", "InvalidRequestException"),
        "Cross-account pass role is not allowed",
        "The role of an association must be in the cluster's account. For a role of another "
        "account, associate a role of this one and give the other as target_role_arn.",
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
        ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"),
        "",
        "Allow the caller this action on this resource; a service control policy or a permissions "
        "boundary can also be what denies it.",
    ),
    _Meaning(
        ErrorKind.MISSING,
        ("ResourceNotFoundException",),
        "No cluster found",
        "Check the cluster's name, and that account and region are the ones you mean.",
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
        "workloads roles of their own, or have the quota 'Role trust policy length' raised.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("LimitExceeded*",),
        "PolicySize",
        "The policy is too long, and no quota raises that. Split it into several policies, or use wildcards.",
    ),
    _Meaning(
        ErrorKind.FULL,
        ("LimitExceeded*", "ResourceLimitExceededException"),
        "",
        "Have the quota raised in Service Quotas, or remove what is no longer used.",
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
        "Correct the policy document; the message of AWS names the part it rejects.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("UnrecognizedClientException", "InvalidClientTokenId", "ExpiredToken*", "SignatureDoesNotMatch"),
        "",
        "The credentials are not valid (any more): renew them, or check which profile is in use.",
    ),
    _THROTTLED,
    _Meaning(
        ErrorKind.BUSY,
        ("ConcurrentModification", "ConcurrentModificationException"),
        "",
        "Another process keeps modifying it: run again.",
    ),
    _Meaning(
        ErrorKind.EXISTS,
        ("EntityAlreadyExists",),
        "",
        "Something of this name is there already, maybe with another path or in other letter case "
        "(IAM tells names apart without regard to either): give its path and spelling, or another name.",
    ),
    _Meaning(ErrorKind.EXISTS, ("ResourceInUseException",), "", _OTHER.remedy),
    _Meaning(
        ErrorKind.DAMAGED,
        (NOT_AWS,),
        "",
        "Something between here and AWS answers in its place: check the proxy (HTTPS_PROXY, NO_PROXY), a sign-in "
        "page of the network, and endpoint_url (AWS_ENDPOINT_URL). Then run again.",
    ),
    _Meaning(
        ErrorKind.DAMAGED,
        (MALFORMED,),
        "",
        "Check proxy and network; run again, which takes up whatever is missing.",
    ),
    _Meaning(
        ErrorKind.IN_USE,
        ("DeleteConflict",),
        "",
        "Something else still uses it; detach it there first.",
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
        "Give credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY, or the option ⟨profile⟩.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("ProfileNotFound",),
        "",
        "Check the name in the option ⟨profile⟩ or in AWS_PROFILE: it is read from ~/.aws/config and ~/.aws/credentials, or from "
        "the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("NoRegionError",),
        "",
        "Give the region: the option ⟨region⟩, or AWS_REGION.",
    ),
    _LOST,
    # A certificate that does not fit does not fit at the next attempt either.
    _Meaning(ErrorKind.OTHER, ("SSLError",), "", _LOST.remedy),
)


def classify(
    operation: str,
    code: str,
    text: str,
    outcome_unknown: bool = False,
    status: int = 0,
    lost: bool = False,
) -> AwsError:
    """The error of a request. ``status`` is that of the HTTP answer; ``lost`` says that none came.

    Both count more than the code, which something between here and AWS may have made up.
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
# Not codes of AWS.
OTHER_ACCOUNT = "UnexpectedAccount"
ALREADY_EXPIRED = "CredentialsAlreadyExpired"


class _Reason(NamedTuple):
    """``code`` and ``text`` are regular expressions: the whole code, a part of the message."""

    code: str
    text: str
    remedy: str


_DENIED = r"AccessDenied(Exception)?"
_DURATION = option("assume_role_duration")
_RENEWED = "A run that takes longer renews the credentials."
# The first row that fits counts. Sources: the errors of STS AssumeRole; "Troubleshoot IAM roles" and "Troubleshoot
# access denied error messages" in the IAM User Guide.
_REASONS = (
    _Reason(
        _DENIED,
        r"root accounts",
        "Use credentials of an IAM user or of a role: AWS lets the root user of an account assume no role.",
    ),
    _Reason(
        _DENIED,
        r"with an explicit deny",
        "A policy denies the caller sts:AssumeRole on this role, and no other policy can allow it: have that one "
        "changed, or use other credentials.",
    ),
    _Reason(
        _DENIED,
        r"no (identity-based policy|permissions boundary|session policy|service control policy) allows",
        "Allow the caller sts:AssumeRole on this role in the kind of policy that AWS names.",
    ),
    _Reason(
        _DENIED,
        r"no (resource-based policy|role trust policy) allows",
        "Let the role's trust policy name the caller. {external_id}",
    ),
    _Reason(
        _DENIED,
        r"",
        "Allow the caller sts:AssumeRole on this role, and let the role's trust policy name the caller. {external_id} "
        "AWS does not say which of these is missing, nor whether there is such a role: check the ARN as well.",
    ),
    _Reason(
        r"ValidationError",
        r"role chaining",
        "The job's own credentials are those of a role, and from one role to the next AWS gives an hour at most: set "
        f"{_DURATION} to 3600 or less, or leave it out. {_RENEWED}",
    ),
    _Reason(
        r"ValidationError",
        r"MaxSessionDuration",
        f"Set {_DURATION}, which is {{duration}} seconds, to the role's MaxSessionDuration or less (3600 unless it was "
        f"changed), or have that raised. {_RENEWED}",
    ),
    _Reason(
        r"ValidationError",
        r"ARN",
        f"Correct {option('assume_role_arn')}: it must be the ARN of an IAM role, with the role's path.",
    ),
    _Reason(
        r"RegionDisabledException",
        r"",
        "Have STS activated for this region in the account settings of IAM, or give another region.",
    ),
)
_GIVEN_ID = f"If that asks for sts:ExternalId, {option('assume_role_external_id')} must be the same."
_NO_ID = f"If that asks for sts:ExternalId, give it in {option('assume_role_external_id')}."


def explain_refusal(error: AwsError, role: AssumeRole, caller_arn: str, region: str) -> AwsError:
    """The error of an AssumeRole with who asked for which role, where, and with the remedy for it.

    ``caller_arn`` is whose credentials the job has; empty where that is not known.
    """
    reason = next(
        (row for row in _REASONS if re.fullmatch(row.code, error.code) and re.search(row.text, error.text)),
        None,
    )
    remedy = error.remedy
    if reason is not None:
        external_id = _GIVEN_ID if role.external_id else _NO_ID
        remedy = reason.remedy.format(external_id=external_id, duration=role.duration)
    return AwsError(
        error.operation,
        error.code,
        _with_place(error.text, role, caller_arn, region),
        error.kind,
        remedy,
        error.outcome_unknown,
    )


def unexpected_account(role: AssumeRole, session_arn: str, region: str) -> AwsError:
    """The answer names a session of another account: it is not that of AWS."""
    text = f"The answer gives credentials of {session_arn}."
    return AwsError(
        _ASSUME_ROLE,
        OTHER_ACCOUNT,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        f"Check endpoint_url (AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS), proxy, and {option('assume_role_arn')}.",
    )


def already_expired(role: AssumeRole, expires: str, now: str, region: str) -> AwsError:
    """Return the error for new credentials that are expired by the clock of this machine."""
    text = f"The credentials expire at {expires}, and by this machine's clock it is {now}."
    return AwsError(
        _ASSUME_ROLE,
        ALREADY_EXPIRED,
        _with_place(text, role, "", region),
        ErrorKind.OTHER,
        "Set the clock of this machine, by NTP for instance.",
    )


def _with_place(text: str, role: AssumeRole, caller_arn: str, region: str) -> str:
    """The text, and what it does not say of who asked, for which role, where."""
    parts = [f"in region {region}"] if region else []
    parts += [f"as {caller_arn}"] if caller_arn and caller_arn not in text else []
    of_role = "" if role.arn in text else f"the role {role.arn} of "
    parts.append(f"for {of_role}account {role.account_id}")
    return f"{sentence(text)} Asked {', '.join(parts)}."
