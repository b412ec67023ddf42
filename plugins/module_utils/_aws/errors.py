# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What AWS said, as one exception with its cause and what to do about it."""

from __future__ import annotations

import re

THROTTLING_CODES = frozenset(
    (
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
    )
)
DENIED_CODES = frozenset(("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"))
MISSING_CODES = frozenset(("NoSuchEntity", "ResourceNotFoundException", "NotFoundException"))
# Not a code of AWS: an answer that cannot be used. Whether the request took effect is not known.
MALFORMED = "MalformedAnswer"
# After these only a fresh look tells what there is.
CONFLICT_CODES = frozenset(("DeleteConflict", "EntityAlreadyExists", "ResourceInUseException", MALFORMED))
SERVER_CODES = frozenset(
    (
        "InternalError",
        "InternalFailure",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    )
)
# Sent twice, each of these makes a second thing; every other request is the same when repeated.
ONCE_ONLY = frozenset(("iam:CreatePolicyVersion",))

# Why a request failed that may succeed when it is sent again.
THROTTLED = "throttled"
SERVER = "server"
CONNECTION = "connection"
DAMAGED = "damaged"

# Each row: error code, what the message must contain (a regular expression), what to do.
_REMEDIES: tuple[tuple[str, str, str], ...] = (
    (
        r"InvalidParameterException",
        r"Role provided in the request does not exist",
        "Check the role's ARN and account. A role made moments ago may need some seconds "
        "until EKS sees it: run again, or raise propagation_timeout.",
    ),
    (
        r"InvalidParameterException",
        r"Trust policy of the role provided is invalid",
        "The role must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession; "
        "workload_identity.aws.iam_trust_policy_check says which statement is at fault.",
    ),
    (
        r"InvalidParameterException|InvalidRequestException",
        r"Cross-account pass role is not allowed",
        "The role of an association must be in the cluster's account. For a role of another "
        "account, associate a role of this one and give the other as target_role_arn.",
    ),
    (
        r"AccessDenied\w*",
        r"iam:PassRole",
        "Allow the caller iam:PassRole on this role, with the condition "
        "StringEquals iam:PassedToService pods.eks.amazonaws.com.",
    ),
    (
        r"AccessDenied\w*|UnauthorizedOperation",
        r"",
        "Allow the caller this action on this resource; a service control policy or a permissions "
        "boundary can also be what denies it.",
    ),
    (
        r"ResourceNotFoundException",
        r"No cluster found",
        "Check the cluster's name, and that account and region are the ones you mean.",
    ),
    (
        r"ClusterNotActive",
        r"",
        "Wait until the cluster is ACTIVE, or find out in the EKS console why it is not.",
    ),
    (
        r"LimitExceeded\w*",
        r"ACLSizePerRole",
        "The trust policy is too long. Use a wider trust_scope (namespace or cluster), give the "
        "workloads roles of their own, or have the quota 'Role trust policy length' raised.",
    ),
    (
        r"LimitExceeded\w*|ResourceLimitExceededException",
        r"",
        "Have the quota raised in Service Quotas, or remove what is no longer used.",
    ),
    (
        r"PackedPolicyTooLarge\w*",
        r"",
        "Session tags and session policy are too large together: shorten the session policy, or "
        "set disable_session_tags: true.",
    ),
    (
        r"MalformedPolicyDocument",
        r"",
        "Correct the policy document; the message of AWS names the part it rejects.",
    ),
    (
        r"UnrecognizedClientException|InvalidClientTokenId|ExpiredToken\w*|SignatureDoesNotMatch",
        r"",
        "The credentials are not valid (any more): renew them, or check which profile is in use.",
    ),
    (
        r"(Request)?Throttl\w*|TooManyRequestsException|RequestLimitExceeded|SlowDown",
        r"",
        "AWS limits the rate of requests of this account and retries did not help. Run again later "
        "or with a lower concurrency; what is done stays done.",
    ),
    (
        r"ConcurrentModification\w*",
        r"",
        "Another process keeps modifying it: run again.",
    ),
    (
        r"EntityAlreadyExists",
        r"",
        "Something of this name is there already, maybe with another path or in other letter case "
        "(IAM tells names apart without regard to either): give its path and spelling, or another name.",
    ),
    (
        r"MalformedAnswer",
        r"",
        "Check proxy and network; run again, which takes up whatever is missing.",
    ),
    (
        r"DeleteConflict",
        r"",
        "Something else still uses it; detach it there first.",
    ),
    (
        r"ServiceFailure|InternalFailure|ServerException|ServiceUnavailable\w*|InternalError|50\d",
        r"",
        "AWS had an internal error and retries did not help. Run again; what is done stays done.",
    ),
    (
        r"NoCredentialsError|PartialCredentialsError|CredentialRetrievalError|TokenRetrievalError"
        r"|UnauthorizedSSOTokenError|SSOTokenLoadError|ProfileNotFound|ConfigNotFound",
        r"",
        "Give credentials: an AWS credential on the job template, AWS_PROFILE, AWS_ACCESS_KEY_ID "
        "and AWS_SECRET_ACCESS_KEY, or the options profile, access_key and secret_key.",
    ),
    (
        r"NoRegionError",
        r"",
        "Give the region: the option region, or AWS_REGION.",
    ),
    (
        r"EndpointConnectionError|ConnectTimeoutError|ReadTimeoutError|ConnectionClosedError"
        r"|ProxyConnectionError|SSLError|HTTPClientError|ConnectionError",
        r"",
        "The endpoint cannot be reached: check region, endpoint_url (AWS_ENDPOINT_URL), proxy and "
        "network, then run again.",
    ),
)


class AwsError(Exception):
    """A request that AWS refused, or that never got there.

    ``code`` is the error code of the API, or the name of the client's own error.
    ``operation`` is in the form "iam:CreateRole". ``transient`` says why another attempt may succeed
    ("" when none will). ``outcome_unknown``: the request may have taken effect all the same.
    """

    def __init__(
        self, operation: str, code: str, text: str, transient: str = "", outcome_unknown: bool = False
    ) -> None:
        self.operation = operation
        self.code = code
        self.text = text
        self.transient = transient
        self.outcome_unknown = outcome_unknown
        super().__init__(f"{operation}: {code}: {text}")

    @property
    def remedy(self) -> str:
        for code, text, remedy in _REMEDIES:
            if re.fullmatch(code, self.code) and re.search(text, self.text):
                return remedy
        return "See the message of AWS; run again once the cause is gone."

    @property
    def missing(self) -> bool:
        return self.code in MISSING_CODES

    @property
    def denied(self) -> bool:
        return self.code in DENIED_CODES

    @property
    def conflict(self) -> bool:
        """Whether a fresh look has to tell what there is now."""
        return self.code in CONFLICT_CODES or (self.outcome_unknown and self.operation in ONCE_ONLY)
