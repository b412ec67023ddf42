# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read the roles and policies of a whole account: in bulk, where that costs fewer requests, or for a purge.

Source: iam GetAccountAuthorizationDetails, GetPolicy, GetAccountSummary. The bulk read has neither the description nor
the session duration of a role (ListRoles does), nor tags and description of a policy (only GetPolicy does).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..._aws.transport import map_concurrently
from ..._policy.language.canonical import same_meaning
from ..model.attributes import decode_attributes
from ..model.desired import Options
from ..model.errors import AwsError
from ..model.observed import Document
from ..model.policies import ObservedPolicy, PolicySpec, decode_policy, decode_policy_detail
from ..model.roles import ROLE_DETAILS, ObservedRole, decode_role_detail
from .reader import unless_missing_twice

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

    def find_roles(self, names: Iterable[str]) -> dict[str, ObservedRole | None]:
        """What it says of roles. What it does not hold has to be read one by one."""
        return {name: self.roles.get(name) for name in names if name in self.roles or self.complete}

    def find_policies(
        self, specs: Mapping[str, PolicySpec], planning: Options | None
    ) -> dict[str, ObservedPolicy | None]:
        """What it says of policies, by ARN. What it does not hold, or not well enough, has to be read one by
        one.

        ``planning`` holds the options of the plan that is to be made; None for a verification.
        """
        answers: dict[str, ObservedPolicy | None] = {}
        for arn, spec in specs.items():
            policy = self.policies.get(arn)
            if policy is None:
                if self.complete and ":iam::aws:" not in arn:
                    answers[arn] = None
            elif not _details_matter(spec, policy, planning):
                answers[arn] = policy
        return answers

    def documents_of(self, roles: Iterable[ObservedRole]) -> dict[str, Document]:
        """The documents, by ARN, that it holds of whatever is attached to the roles or bounds them."""
        return {
            arn: policy.document
            for role in roles
            for arn in (*role.attached, role.permissions_boundary)
            if (policy := self.policies.get(arn)) is not None and policy.document is not None
        }


def _details_matter(spec: PolicySpec, policy: ObservedPolicy, options: Options | None) -> bool:
    """Tags are to be compared, set or purged, or a change turns on who owns the policy: they have to be read. So has the
    description, which is only compared."""
    if spec.document is None:
        return False
    if options is None:
        return bool(spec.tags) or spec.description is not None
    same = policy.document is not None and same_meaning(policy.document, spec.document, "identity")
    return not same or bool(spec.tags) or options.purge_tags or options.adopt


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
        raw["RoleName"].lower(): decode_role_detail(raw)
        for page in pages
        for raw in page.get("RoleDetailList", ())
    }
    complete = all_pages
    for role_pages, all_roles in details:
        complete = complete and all_roles
        roles = _with_details(roles, role_pages)
    by_arn = {raw["Arn"]: decode_policy_detail(raw) for page in pages for raw in page.get("Policies", ())}
    return Snapshot(roles, by_arn, complete)


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
    """Add the details of the roles. Roles without them are left out, and read one by one."""
    details = {raw["RoleName"].lower(): raw for page in pages for raw in page["Roles"]}
    return {
        name: replace(
            role,
            **decode_attributes(ROLE_DETAILS, details[name]),
        )
        for name, role in roles.items()
        if name in details
    }


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
