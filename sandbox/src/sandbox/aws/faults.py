# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of the embedded AWS, and the error responses for them."""

from __future__ import annotations

from sandbox.aws.model.errors import Refusal
from sandbox.aws.protocol import QUERY_SERVICES
from sandbox.faults import COMMON, THROTTLE, FaultRule

MALFORMED = "malformed"
TRICKLE = "trickle"
ENDLESS_PAGES = "endless_pages"
KINDS = (*COMMON, "custom", MALFORMED, TRICKLE, ENDLESS_PAGES)
_INTERNAL = "Internal server error"
_NOT_FOUND = "The requested entity cannot be found."


def api_error(rule: FaultRule, service: str, account: str, operation: str) -> Refusal | None:
    """Return the error response for a rule, in the style of the service, or None if the kind is not an error response."""
    if rule.kind == "custom":
        return Refusal(rule.code, rule.message or rule.code, rule.status)
    denied = (
        f"User: arn:aws:iam::{account}:root is not authorized to perform: {operation} on "
        f"resource: * because no identity-based policy allows the {operation} action"
    )
    changing = "Another request is modifying this entity; wait a few minutes and try again."
    # The status, code and text in services with XML, and in services with JSON.
    errors = {
        THROTTLE: ((400, "Throttling", "Rate exceeded"), (429, "ThrottlingException", "Rate exceeded")),
        "error500": ((500, "ServiceFailure", _INTERNAL), (500, "ServerException", _INTERNAL)),
        "error503": (
            (503, "ServiceUnavailable", "Service is unavailable"),
            (503, "ServiceUnavailableException", "Service is unavailable"),
        ),
        "access_denied": ((403, "AccessDenied", denied), (403, "AccessDeniedException", denied)),
        "not_found": ((404, "NoSuchEntity", _NOT_FOUND), (404, "ResourceNotFoundException", _NOT_FOUND)),
        "conflict": (
            (409, "ConcurrentModification", changing),
            (409, "ResourceInUseException", "The resource is in use."),
        ),
    }.get(rule.kind)
    if errors is None:
        return None
    status, code, text = errors[service not in QUERY_SERVICES]
    return Refusal(code, text, status)
