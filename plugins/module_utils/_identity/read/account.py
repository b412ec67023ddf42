# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a purge looks through: every role of the account, and the policies that nothing has attached.

Source: iam GetAccountAuthorizationDetails, GetPolicy, GetAccountSummary.
"""

from __future__ import annotations

from ..._aws.client import Api, answers_by_page
from ..._aws.transport import map_concurrently
from ..model.errors import AwsError
from ..model.observed import ObservedPolicy, ObservedRole
from .decode import decode_policy, decode_role_detail
from .looks import unless_missing_twice
from .snapshot import PAGE_SIZE


def read_account(api: Api, width: int) -> tuple[list[ObservedRole], list[ObservedPolicy]]:
    """Every role of the account, without description and session duration; and, with their tags, the
    policies of the account that nothing has attached, as far as the caller may read them."""
    request = {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": PAGE_SIZE}
    roles: list[ObservedRole] = []
    idle: list[str] = []
    # Page by page: the documents of all policies of an account need not be held at once.
    for page in answers_by_page(api, "iam", "GetAccountAuthorizationDetails", request):
        roles += map(decode_role_detail, page.get("RoleDetailList", ()))
        idle += [
            raw["Arn"]
            for raw in page.get("Policies", ())
            if not raw["AttachmentCount"] and not raw.get("PermissionsBoundaryUsageCount")
        ]

    def read(arn: str) -> ObservedPolicy | None:
        try:
            answer = unless_missing_twice(lambda: api.call("iam", "GetPolicy", {"PolicyArn": arn}))
        except AwsError as error:
            if error.denied:
                return None
            raise
        return decode_policy(answer["Policy"]) if answer is not None else None

    return roles, [policy for policy in map_concurrently(read, idle, width) if policy is not None]


def read_attachment_quota(api: Api) -> int | None:
    """How many managed policies a role may have in this account; None when the caller is not told."""
    try:
        summary = api.call("iam", "GetAccountSummary", {})["SummaryMap"]
    except AwsError:
        return None
    quota = summary.get("AttachedPoliciesPerRoleQuota")
    return int(quota) if quota else None
