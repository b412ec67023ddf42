# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What an error of AWS means and what to do about it: classified once, where the answer arrives. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from .._findings.codes import Code
from .._identity.model.aws_errors import AwsError, ErrorKind

# Not codes of AWS. An answer that cannot be used: whether the request took effect is not known.
MALFORMED = "MalformedAnswer"
# An answer that AWS did not give, of a proxy or a portal.
NOT_AWS = str(Code.NOT_AWS)
# An answer that took too long, whatever was done meanwhile.
TOO_SLOW = "AnswerTooSlow"


class _Meaning(NamedTuple):
    """``codes`` and ``text`` are regular expressions: the whole code, a part of the message."""

    kind: ErrorKind
    codes: str
    text: str
    remedy: str


_OTHER = _Meaning(ErrorKind.OTHER, "", "", "See the message of AWS; run again once the cause is gone.")

_THROTTLED = _Meaning(
    ErrorKind.THROTTLED,
    r"(Request)?Throttl(ing|ed)(Exception)?|TooManyRequestsException|RequestLimitExceeded|SlowDown",
    r"",
    "AWS limits the rate of requests of this account and retries did not help. Run again later "
    "or with a lower concurrency; what is done stays done.",
)
_SERVER = _Meaning(
    ErrorKind.SERVER,
    r"InternalError|InternalFailure|RequestTimeout(Exception)?|ServerException|ServiceFailure"
    r"|ServiceUnavailable(Exception)?|50\d",
    r"",
    "AWS had an internal error and retries did not help. Run again; what is done stays done.",
)
_LOST = _Meaning(
    ErrorKind.CONNECTION,
    r"EndpointConnectionError|ConnectTimeoutError|ReadTimeoutError|ConnectionClosedError"
    r"|ProxyConnectionError|HTTPClientError|ConnectionError|AnswerTooSlow",
    r"",
    "The endpoint cannot be reached: check region, endpoint_url (AWS_ENDPOINT_URL), proxy and "
    "network, then run again.",
)

# The first row that fits counts.
_MEANINGS: tuple[_Meaning, ...] = (
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        r"InvalidParameterException",
        r"Role provided in the request does not exist",
        "Check the role's ARN and account. A role made moments ago may need some seconds "
        "until EKS sees it: run again, or raise ⟨propagation_timeout⟩.",
    ),
    _Meaning(
        ErrorKind.ROLE_NOT_USABLE,
        r"InvalidParameterException",
        r"Trust policy of the role provided is invalid",
        "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
        "workload_identity.aws.iam_trust_policy_check says which statement is at fault.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"InvalidParameterException|InvalidRequestException",
        r"Cross-account pass role is not allowed",
        "The role of an association must be in the cluster's account. For a role of another "
        "account, associate a role of this one and give the other as target_role_arn.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        r"AccessDenied(Exception)?",
        r"iam:PassRole",
        "Allow the caller iam:PassRole on this role, with the condition "
        "StringEquals iam:PassedToService pods.eks.amazonaws.com.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        r"AccessDenied(Exception)?|UnauthorizedOperation",
        r"",
        "Allow the caller this action on this resource; a service control policy or a permissions "
        "boundary can also be what denies it.",
    ),
    _Meaning(
        ErrorKind.MISSING,
        r"ResourceNotFoundException",
        r"No cluster found",
        "Check the cluster's name, and that account and region are the ones you mean.",
    ),
    _Meaning(
        ErrorKind.MISSING,
        r"NoSuchEntity|NotFoundException|ResourceNotFoundException",
        r"",
        _OTHER.remedy,
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"ClusterNotActive",
        r"",
        "Wait until the cluster is ACTIVE, or find out in the EKS console why it is not.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"LimitExceeded\w*",
        r"ACLSizePerRole",
        "The trust policy is too long. Use a wider trust_scope (namespace or cluster), give the "
        "workloads roles of their own, or have the quota 'Role trust policy length' raised.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"LimitExceeded\w*",
        r"PolicySize|InlinePolicySize",
        "The policy is too long, and no quota raises that. Split it into several policies, or use wildcards.",
    ),
    _Meaning(
        ErrorKind.FULL,
        r"LimitExceeded\w*|ResourceLimitExceededException",
        r"",
        "Have the quota raised in Service Quotas, or remove what is no longer used.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"PackedPolicyTooLarge\w*",
        r"",
        "Session tags and session policy are too large together: shorten the session policy, or "
        "set disable_session_tags: true.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"MalformedPolicyDocument",
        r"",
        "Correct the policy document; the message of AWS names the part it rejects.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"UnrecognizedClientException|InvalidClientTokenId|ExpiredToken\w*|SignatureDoesNotMatch",
        r"",
        "The credentials are not valid (any more): renew them, or check which profile is in use.",
    ),
    _THROTTLED,
    _Meaning(
        ErrorKind.BUSY,
        r"ConcurrentModification(Exception)?",
        r"",
        "Another process keeps modifying it: run again.",
    ),
    _Meaning(
        ErrorKind.EXISTS,
        r"EntityAlreadyExists",
        r"",
        "Something of this name is there already, maybe with another path or in other letter case "
        "(IAM tells names apart without regard to either): give its path and spelling, or another name.",
    ),
    _Meaning(ErrorKind.EXISTS, r"ResourceInUseException", r"", _OTHER.remedy),
    _Meaning(
        ErrorKind.DAMAGED,
        NOT_AWS,
        r"",
        "Something between here and AWS answers in its place: check the proxy (HTTPS_PROXY, NO_PROXY), a sign-in "
        "page of the network, and endpoint_url (AWS_ENDPOINT_URL). Then run again.",
    ),
    _Meaning(
        ErrorKind.DAMAGED,
        MALFORMED,
        r"",
        "Check proxy and network; run again, which takes up whatever is missing.",
    ),
    _Meaning(
        ErrorKind.IN_USE,
        r"DeleteConflict",
        r"",
        "Something else still uses it; detach it there first.",
    ),
    _SERVER,
    _Meaning(
        ErrorKind.OTHER,
        r"NoCredentialsError|PartialCredentialsError|CredentialRetrievalError|TokenRetrievalError"
        r"|UnauthorizedSSOTokenError|SSOTokenLoadError|ConfigNotFound",
        r"",
        "Give credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY, or the option ⟨profile⟩.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"ProfileNotFound",
        r"",
        "Check the name in the option ⟨profile⟩ or in AWS_PROFILE: it is read from ~/.aws/config and ~/.aws/credentials, or from "
        "the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        r"NoRegionError",
        r"",
        "Give the region: the option ⟨region⟩, or AWS_REGION.",
    ),
    _LOST,
    # A certificate that does not fit does not fit at the next attempt either.
    _Meaning(ErrorKind.OTHER, r"SSLError", r"", _LOST.remedy),
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
    by_code = (row for row in _MEANINGS if re.fullmatch(row.codes, code) and re.search(row.text, text))
    meaning = next(by_code, _OTHER)
    if status == 429:
        return _THROTTLED
    return _SERVER if status >= 500 and meaning is not _THROTTLED else meaning
