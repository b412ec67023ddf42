# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert errors of botocore to AwsError: find the kind and the remedy, and explain a failed AssumeRole."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from .._findings.codes import Code
from .._findings.text import option
from .._identity.model.accounts import AssumeRole
from .._identity.model.errors import AwsError, ErrorKind, sentence

# Importing this file must not fail without botocore, because AnsibleAWSModule reports the missing package with a better message.
with contextlib.suppress(ImportError):
    from botocore.exceptions import (
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        HTTPClientError,
        ParamValidationError,
        ProxyConnectionError,
        SSLError,
    )
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.parsers import ResponseParserError

# AWS does not send the next three codes; this collection uses them for problems with a response.

# The response was malformed or incomplete. The request may have taken effect.
MALFORMED = "MalformedAnswer"
# Another server, such as a proxy or the sign-in page of a network, sent the response.
NOT_AWS = str(Code.NOT_AWS)
# There was no complete response within the time limit. The request may have taken effect.
TOO_SLOW = "AnswerTooSlow"


class _Meaning(NamedTuple):
    """The kind and the remedy of errors with one of ``codes`` and with the regular expression ``text`` in their message.

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
_CONNECTION_LOST = _Meaning(
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
    _CONNECTION_LOST,
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
    meaning = _CONNECTION_LOST if lost else _meaning(code, text, status)
    return AwsError(operation, code, text, meaning.kind, meaning.remedy, outcome_unknown)


def _find(rows: tuple[_Meaning, ...], code: str, text: str) -> _Meaning | None:
    return next(
        (
            row
            for row in rows
            if re.search(row.text, text) and any(fnmatchcase(code, pattern) for pattern in row.codes)
        ),
        None,
    )


def _meaning(code: str, text: str, status: int) -> _Meaning:
    meaning = _find(MEANINGS, code, text) or _OTHER
    if status == 429:
        return _THROTTLED
    return _SERVER if status >= 500 and meaning is not _THROTTLED else meaning


def as_aws_error(error: Exception, service: str, operation: str) -> AwsError:
    """Convert an error of botocore to an AwsError.

    If the installed botocore is too old for a parameter in ``_BOTOCORE_FLOORS``, the message names the required version.
    """
    name = f"{service}:{operation}"
    if isinstance(error, ClientError):
        reason = error.response.get("Error", {})
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status < 500 and status != 429 and not is_from_aws(error.response):
            return not_aws(service, operation)
        code, text = str(reason.get("Code", "Unknown")), str(reason.get("Message", ""))
        refusal = classify(name, code, text, status=status)
        return refusal.amended(text, outcome_unknown=refusal.kind is ErrorKind.SERVER)
    if isinstance(error, ParamValidationError):
        return classify(name, "ParamValidationError", f"{error}{_botocore_hint(str(error))}")
    if isinstance(error, ResponseParserError):
        return malformed(service, operation, "the response cannot be parsed")
    lost = isinstance(error, (BotoConnectionError, HTTPClientError)) and not isinstance(error, SSLError)
    never_sent = isinstance(error, (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError))
    return classify(name, type(error).__name__, str(error), lost and not never_sent, lost=lost)


def is_from_aws(response: Mapping[str, Any]) -> bool:
    """Return whether AWS sent a response: it has a request ID, and is not a web page, as a proxy might send.

    A response without HTTP metadata counts as a response of AWS, because tests use such responses.
    """
    metadata = response.get("ResponseMetadata", {})
    if "HTTPHeaders" not in metadata:
        return True
    headers = {str(name).lower(): str(value) for name, value in metadata["HTTPHeaders"].items()}
    identifiers = (metadata.get("RequestId"), *map(headers.get, _REQUEST_IDS))
    return any(identifiers) and "html" not in headers.get("content-type", "").lower()


def not_aws(service: str, operation: str) -> AwsError:
    return classify(
        f"{service}:{operation}",
        NOT_AWS,
        "the response is not from AWS: it has no request ID, or is a web page",
        outcome_unknown=True,
    )


def malformed(service: str, operation: str, reason: str) -> AwsError:
    return classify(
        f"{service}:{operation}",
        MALFORMED,
        f"{reason}; possibly a proxy has truncated or repeated a response",
        outcome_unknown=True,
    )


_REQUEST_IDS = ("x-amzn-requestid", "x-amz-request-id")
# The first version of botocore that supports a parameter. Source: the changelog of botocore.
_BOTOCORE_FLOORS = {
    "targetRoleArn": "1.38.35",
    "disableSessionTags": "1.38.35",
    "policy": "1.42.46",
}


def _botocore_hint(text: str) -> str:
    for parameter, version in _BOTOCORE_FLOORS.items():
        if f'Unknown parameter in input: "{parameter}"' in text:
            return f". The installed botocore is too old for {parameter}, which needs {version} or newer."
    return ""


_DENIED = ("AccessDenied", "AccessDeniedException")
# The first matching entry is used. Sources: AWS STS API Reference, errors of AssumeRole; IAM User Guide, "Troubleshoot IAM
# roles" and "Troubleshoot access denied error messages".
_REASONS: tuple[_Meaning, ...] = (
    _Meaning(
        ErrorKind.DENIED,
        _DENIED,
        r"root accounts",
        "Use credentials of an IAM user or of a role: the root user of an account cannot assume a role.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        _DENIED,
        r"with an explicit deny",
        "A policy denies the caller sts:AssumeRole on this role, and an explicit deny overrides every allow: change "
        "that policy, or use other credentials.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        _DENIED,
        r"no (identity-based policy|permissions boundary|session policy|service control policy) allows",
        "Allow the caller sts:AssumeRole on this role in the kind of policy that the message names.",
    ),
    _Meaning(
        ErrorKind.DENIED,
        _DENIED,
        r"no (resource-based policy|role trust policy) allows",
        "Add the caller to the trust policy of the role. {external_id}",
    ),
    _Meaning(
        ErrorKind.DENIED,
        _DENIED,
        r"",
        "Allow the caller sts:AssumeRole on this role, and add the caller to the trust policy of the role. {external_id} "
        "AWS does not report which of these is missing, or whether the role exists: check the ARN as well.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("ValidationError",),
        r"ARN",
        f"Correct {option('assume_role_arn')}: it must be the ARN of an IAM role, with the role's path.",
    ),
    _Meaning(
        ErrorKind.OTHER,
        ("RegionDisabledException",),
        r"",
        "Activate STS for this region in the account settings of IAM, or use another region.",
    ),
)
_WITH_ID = (
    f"If the trust policy requires sts:ExternalId, {option('assume_role_external_id')} must have that value."
)
_WITHOUT_ID = f"If the trust policy requires sts:ExternalId, set {option('assume_role_external_id')}."


def explain_refusal(error: AwsError, role: AssumeRole, region: str) -> AwsError:
    """Return the error of a failed AssumeRole with its role and region, and a remedy if the cause is in ``_REASONS``.

    :arg region: the region of the STS endpoint, or "" if it is unknown.
    """
    meaning = _find(_REASONS, error.code, error.text)
    external_id = _WITH_ID if role.external_id else _WITHOUT_ID
    remedy = meaning.remedy.format(external_id=external_id) if meaning else error.remedy
    place = f"in region {region}, for" if region else "for"
    role_text = "" if role.arn in error.text else f" the role {role.arn} of"
    text = f"{sentence(error.text)} Requested {place}{role_text} account {role.account_id}."
    return error.amended(text, error.outcome_unknown, remedy)
