# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What STS refuses before a role's trust policy is looked at; enforced only with --auth."""

from __future__ import annotations

import re

from sandbox.aws.iam_form import Form
from sandbox.aws.iam_state import IamState
from sandbox.aws.model import ApiError, Call

_ROLE_ARN = re.compile(r"arn:aws:iam::(\d{12}):role/(?:.+/)?([^/]+)")


class AssumeRole:
    def __init__(self, iam: IamState) -> None:
        self._iam = iam

    def check(self, call: Call) -> None:
        """Raise ``AccessDenied`` for an account's root, and for a role that does not exist."""
        stock = self._iam.stock
        if not stock.auth or call.operation != "AssumeRole":
            return
        caller = stock.caller_arn(call.headers, call.query)
        if caller.endswith(":root"):
            raise ApiError(403, "AccessDenied", "Roles may not be assumed by root accounts.")
        arn = Form(call.account, call.body).text("RoleArn")
        match = _ROLE_ARN.fullmatch(arn)
        role = self._iam.role(match.group(1), match.group(2)) if match else None
        if match and (role is None or role["Arn"] != arn):
            raise ApiError(
                403,
                "AccessDenied",
                f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {arn}",
            )
