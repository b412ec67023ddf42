# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the role in a request as EKS does: its account, its existence, its trust policy, and iam:PassRole."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.aws.authz import Authorizer
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call
from sandbox.aws.trust import CLUSTER_SERVICE, POD_IDENTITY_SERVICE, trusts, trusts_pod_identity

_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:[\u0021-\u007e]+/)?([\w+=,.@-]{1,64})", re.ASCII)


@dataclass(slots=True)
class Propagation:
    """The time in milliseconds until EKS sees a new role or a changed trust policy."""

    delay_ms: float = 0


class RolePassing:
    """The checks of the role in create and update requests, in the same order as in EKS."""

    def __init__(self, iam: IamState, authorizer: Authorizer, propagation: Propagation) -> None:
        self._iam = iam
        self._authorizer = authorizer
        self._propagation = propagation

    def check(self, call: Call, role_arn: str) -> None:
        """Check that EKS accepts a role for an association. Raise the error of EKS if it does not."""
        match = _ROLE_ARN.fullmatch(role_arn)
        if role_arn and not match:
            raise ApiError(400, "InvalidParameterException", f"Invalid role ARN: {role_arn}")
        # EKS returns the same error for an empty ARN as for a role of another account.
        if match is None or match.group(1) != call.account:
            raise ApiError(403, "AccessDeniedException", "Cross-account pass role is not allowed")
        self._authorizer.check_pass_role(call, role_arn, POD_IDENTITY_SERVICE)
        trust = self._visible_trust(call.account, match.group(2), role_arn)
        if trust is None:
            raise ApiError(
                400,
                "InvalidParameterException",
                "Role provided in the request does not exist",
            )
        if not trusts_pod_identity(trust):
            raise ApiError(
                400,
                "InvalidParameterException",
                "Trust policy of the role provided is invalid. Follow the official "
                "documentation to resolve the issue.",
            )

    def check_cluster_role(self, call: Call, role_arn: str) -> None:
        """Check that EKS accepts a role for a cluster. Raise the error of EKS if it does not."""
        self._authorizer.check_pass_role(call, role_arn, CLUSTER_SERVICE)
        match = _ROLE_ARN.fullmatch(role_arn)
        in_account = match is not None and match.group(1) == call.account
        trust = self._visible_trust(call.account, match.group(2), role_arn) if match and in_account else None
        if trust is None or not trusts(trust, CLUSTER_SERVICE, ("sts:assumerole",)):
            raise ApiError(
                400,
                "InvalidParameterException",
                f"Role with arn: {role_arn}, could not be assumed because it does not exist or the "
                "trusted entity is not correct",
            )

    def _visible_trust(self, account: str, name: str, arn: str) -> str | None:
        """Return the trust policy that EKS sees for a role, or None if the role does not exist or EKS does not see it yet."""
        role = self._iam.role(account, name)
        history = self._iam.trust.get((account, name))
        if role is None or history is None or role["Arn"] != arn:
            return None
        return history.visible(self._propagation.delay_ms)
