# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authorization, enforced only where the sandbox was started with it.

ministack checks signatures and evaluates policies; what it lacks is iam:PassRole for the roles an
EKS request hands over, the ARN of an association as a resource, and messages that name it.
"""

from __future__ import annotations

from sandbox.aws.model import ApiError, Call
from sandbox.aws.stock import Stock


class Authorizer:
    """Asks ministack's evaluator about actions that ministack itself does not ask about."""

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def check_pass_role(self, call: Call, role_arn: str, service: str) -> None:
        """``AccessDeniedException`` unless the caller may pass the role to the service."""
        self.check(call, "iam:PassRole", role_arn, {"iam:PassedToService": service})

    def check(self, call: Call, action: str, resource: str, context: dict[str, str] | None = None) -> None:
        if not self._stock.auth:
            return
        key = self._stock.access_key_id(call.headers, call.query)
        refused = self._stock.evaluator.enforce(
            key,
            action,
            action.partition(":")[0],
            call.region,
            resource_arn=resource,
            service_context=context,
        )
        if refused is not None:
            raise ApiError(
                403,
                "AccessDeniedException",
                denial(refused.principal_arn, action, resource, explicit=refused.decision == "Deny"),
            )


def denial(principal: str, action: str, resource: str, *, explicit: bool) -> str:
    """AWS's sentence for a denied action."""
    reason = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}"
