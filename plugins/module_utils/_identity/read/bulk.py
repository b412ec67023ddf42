# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read an account's roles and policies in bulk, where that costs fewer requests than one by one.

Source: iam GetAccountAuthorizationDetails. It tells neither the description nor the session duration
of a role (ListRoles does), nor the tags of a policy (only GetPolicy does).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..._aws.concurrency import map_concurrently
from ..model.aws_errors import AwsError
from ..model.observed import ObservedPolicy, ObservedRole
from . import decode

# Below so many requests one by one, the size of the account cannot make bulk reading worth it.
WORTHWHILE = 40
# The most items that a page may hold; IAM may send fewer.
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Roles by lower-case name and policies by ARN, as far as they were read.

    ``complete`` says that what is not in it does not exist. ``denied`` is what AWS said when the
    caller may not read in bulk.
    """

    roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    policies: Mapping[str, ObservedPolicy] = field(default_factory=dict)
    complete: bool = False
    denied: str = ""


def read_account(api: Api, width: int) -> tuple[list[ObservedRole], list[ObservedPolicy]]:
    """Every role of the account, without description and session duration; and, with their tags, the
    policies of the account that nothing has attached, as far as the caller may read them."""
    asked = {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": PAGE_SIZE}
    roles: list[ObservedRole] = []
    idle: list[str] = []
    # Page by page: the documents of all policies of an account need not be held at once.
    for page in answers_by_page(api, "iam", "GetAccountAuthorizationDetails", asked):
        roles += map(decode.role_detail, page.get("RoleDetailList", ()))
        idle += [
            raw["Arn"]
            for raw in page.get("Policies", ())
            if not raw["AttachmentCount"] and not raw.get("PermissionsBoundaryUsageCount")
        ]

    def read(arn: str) -> ObservedPolicy | None:
        try:
            return decode.policy(api.call("iam", "GetPolicy", {"PolicyArn": arn})["Policy"])
        except AwsError as error:
            if error.missing or error.denied:
                return None
            raise

    return roles, [policy for policy in map_concurrently(read, idle, width) if policy is not None]


def read_snapshot(api: Api, singles: int, role_details: bool = False, policies: bool = True) -> Snapshot:
    """The account, unless it is so large that ``singles`` requests one by one are cheaper.

    ``role_details``: whether descriptions and session durations matter; ``policies``: whether managed
    policies do.
    """
    if singles < WORTHWHILE:
        return Snapshot()
    budget = singles // (4 if role_details else 2)
    kinds = {"Filter": ["Role", "LocalManagedPolicy"] if policies else ["Role"]}
    reads = [partial(_pages, api, budget, "GetAccountAuthorizationDetails", kinds)]
    if role_details:
        reads.append(partial(_pages, api, budget, "ListRoles", {}))
    try:
        (pages, all_pages), *details = map_concurrently(lambda read: read(), reads)
    except AwsError as error:
        # Whatever else it is comes back one by one, and is then told of those whom it concerns.
        return Snapshot(denied=error.text if error.denied else "")
    roles = {
        raw["RoleName"].lower(): decode.role_detail(raw)
        for page in pages
        for raw in page.get("RoleDetailList", ())
    }
    complete = all_pages
    for role_pages, all_roles in details:
        complete = complete and all_roles
        roles = _with_details(roles, role_pages)
    found = {raw["Arn"]: decode.policy_detail(raw) for page in pages for raw in page.get("Policies", ())}
    return Snapshot(roles, found, complete)


def _pages(
    api: Api, budget: int, operation: str, parameters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """Pages up to the budget, and whether those are all."""
    pages: list[dict[str, Any]] = []
    for page in answers_by_page(api, "iam", operation, {**parameters, "MaxItems": PAGE_SIZE}):
        pages.append(page)
        if len(pages) == budget:
            return pages, not page.get("IsTruncated")
    return pages, True


def _with_details(roles: Mapping[str, ObservedRole], pages: list[dict[str, Any]]) -> dict[str, ObservedRole]:
    """Roles with description and session duration; those without are left to be read one by one."""
    found = {raw["RoleName"].lower(): raw for page in pages for raw in page["Roles"]}
    return {
        name: replace(
            role,
            description=found[name].get("Description") or "",
            max_session_duration=int(found[name].get("MaxSessionDuration") or 3600),
        )
        for name, role in roles.items()
        if name in found
    }
