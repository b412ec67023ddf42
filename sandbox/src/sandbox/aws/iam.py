# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The IAM operations for roles and managed policies, which the overlay implements.

ministack handles users, groups, access keys, instance profiles, identity providers and the policy simulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox.aws.iam_attachments import Attachments
from sandbox.aws.iam_details import AccountDetails
from sandbox.aws.iam_form import Form
from sandbox.aws.iam_last_accessed import LastAccessed
from sandbox.aws.iam_policies import Policies
from sandbox.aws.iam_roles import Roles
from sandbox.aws.iam_state import IamState
from sandbox.aws.iam_versions import Versions
from sandbox.aws.model import Call, Response
from sandbox.aws.responses import Node, xml_response

Operation = Callable[[Form], Node | None]


class Iam:
    """The IAM operations for roles and managed policies."""

    def __init__(self, state: IamState) -> None:
        self.state = state
        parts = (Roles, Policies, Versions, Attachments, AccountDetails, LastAccessed)
        self._operations = _operations(*(part(state) for part in parts))

    def handle(self, call: Call) -> Response | None:
        """Handle a request, or return None if ministack must handle it. Raise ApiError for an error response."""
        operation = self._operations.get(call.operation)
        if operation is None:
            return None
        result = operation(Form(call.account, call.body))
        return xml_response(call.operation, result)


def _operations(*parts: object) -> Mapping[str, Operation]:
    """Return the public methods of the parts by API operation: the method ``create_role`` handles CreateRole."""
    table: dict[str, Operation] = {}
    for part in parts:
        for name in dir(type(part)):
            if not name.startswith("_"):
                table["".join(word.capitalize() for word in name.split("_"))] = getattr(part, name)
    return table
