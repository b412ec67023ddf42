# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read all roles and policies of an account in bulk, for a purge, or instead of a large number of individual reads.

Sources: iam GetAccountAuthorizationDetails, GetPolicy, GetAccountSummary. The bulk read does not return the description and
session duration of a role, which ListRoles returns, or the tags and description of a policy, which only GetPolicy returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api, response_pages
from ..._aws.transport import map_concurrently
from ..._policy.language.canonical import same_meaning
from ..model.attributes import decode_attributes
from ..model.desired import Options
from ..model.errors import AwsError
from ..model.names import is_aws_managed
from ..model.observed import Document, Quotas
from ..model.policies import ObservedPolicy, PolicySpec, decode_policy, decode_policy_detail
from ..model.roles import ROLE_DETAILS, ObservedRole, decode_role_detail
from .reader import none_if_missing

# If fewer individual requests than this are enough, there is no bulk read.
BULK_THRESHOLD = 40
# The maximum number of items of a page; IAM may return fewer.
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The result of a bulk read: roles by lower-case name, and customer managed policies by ARN.

    ``complete`` is true if the read returned all requested roles and policies, so that one that is not in the snapshot does not
    exist. ``denied`` is the message of AWS if the caller is not allowed to read in bulk, or "".
    """

    roles: Mapping[str, ObservedRole] = field(default_factory=dict)
    policies: Mapping[str, ObservedPolicy] = field(default_factory=dict)
    complete: bool = False
    denied: str = ""

    def find_roles(self, names: Iterable[str]) -> dict[str, ObservedRole | None]:
        """Return the roles by name, None for a role that does not exist. A role without an entry must be read individually."""
        return {name: self.roles.get(name) for name in names if name in self.roles or self.complete}

    def find_policies(
        self, specs: Mapping[str, PolicySpec], planning: Options | None
    ) -> dict[str, ObservedPolicy | None]:
        """Return the policies by ARN, None for a policy that does not exist.

        A policy without an entry must be read individually, because the snapshot lacks the policy or details that are needed.

        :arg planning: the options of the plan; None for a verification.
        """
        known = {
            arn: self.policies.get(arn)
            for arn in specs
            if arn in self.policies or (self.complete and not is_aws_managed(arn))
        }
        return {
            arn: policy
            for arn, policy in known.items()
            if policy is None or not _details_matter(specs[arn], policy, planning)
        }

    def find_documents(self, roles: Iterable[ObservedRole]) -> dict[str, Document]:
        """Return the available documents of attached policies and permissions boundaries of the roles, by ARN."""
        return {
            arn: policy.document
            for role in roles
            for arn in (*role.attached, role.permissions_boundary)
            if (policy := self.policies.get(arn)) is not None and policy.document is not None
        }


def _details_matter(spec: PolicySpec, policy: ObservedPolicy, options: Options | None) -> bool:
    """Return whether a plan or verification needs the tags or the description of a policy, which a bulk read does not return.

    A plan needs the tags for the owner of a policy that it changes, and to set or purge tags.
    """
    if spec.document is None:
        return False
    if options is None:
        return bool(spec.tags) or spec.description is not None
    same = policy.document is not None and same_meaning(policy.document, spec.document, "identity")
    return not same or bool(spec.tags) or options.purge_tags or options.adopt


def read_snapshot(api: Api, singles: int, role_details: bool = False, policies: bool = True) -> Snapshot:
    """Read the account in bulk. If a request fails, the snapshot is empty.

    :arg singles: the number of individual requests that the bulk read replaces. A bulk read stops at half of this number.
    :arg role_details: read descriptions and session durations of roles as well.
    :arg policies: read managed policies as well.
    """
    # The maximum number of pages of each operation.
    budget = singles // (4 if role_details else 2)
    kinds = {"Filter": ["Role", "LocalManagedPolicy"] if policies else ["Role"]}
    reads = [partial(_pages, api, budget, "GetAccountAuthorizationDetails", kinds)]
    if role_details:
        reads.append(partial(_pages, api, budget, "ListRoles", {}))
    try:
        (pages, all_pages), *details = map_concurrently(lambda read: read(), reads)
    except AwsError as error:
        # Any other error occurs again in the individual reads, which report the error for the workloads concerned.
        return Snapshot(denied=error.text if error.denied else "")
    roles = {
        raw["RoleName"].lower(): decode_role_detail(raw)
        for page in pages
        for raw in page.get("RoleDetailList", ())
    }
    complete = all_pages
    for role_pages, _all in details:
        raw_roles = {raw["RoleName"].lower(): raw for page in role_pages for raw in page["Roles"]}
        # A role that ListRoles does not return is read individually.
        complete = complete and roles.keys() <= raw_roles.keys()
        roles = {
            name: replace(role, **decode_attributes(ROLE_DETAILS, raw_roles[name]))
            for name, role in roles.items()
            if name in raw_roles
        }
    policies_by_arn = {
        raw["Arn"]: decode_policy_detail(raw) for page in pages for raw in page.get("Policies", ())
    }
    return Snapshot(roles, policies_by_arn, complete)


def _pages(
    api: Api, budget: int, operation: str, parameters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """Return at most ``budget`` pages of an operation, and whether these are all pages."""
    pages: list[dict[str, Any]] = []
    for page in response_pages(api, "iam", operation, {**parameters, "MaxItems": PAGE_SIZE}):
        pages.append(page)
        if len(pages) == budget:
            return pages, not page.get("IsTruncated")
    return pages, True


def read_account(api: Api) -> tuple[list[ObservedRole], dict[str, ObservedPolicy]]:
    """Return every role of the account, and every customer managed policy by ARN, without its documents and tags.

    The roles lack their description and session duration. Raises AwsError.
    """
    request = {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": PAGE_SIZE}
    roles: list[ObservedRole] = []
    policies: dict[str, ObservedPolicy] = {}
    # Process each page before the next one, so that the documents of all policies are never in memory together.
    for page in response_pages(api, "iam", "GetAccountAuthorizationDetails", request):
        roles += map(decode_role_detail, page.get("RoleDetailList", ()))
        for policy in map(decode_policy_detail, page.get("Policies", ())):
            versions = tuple(replace(version, document=None) for version in policy.versions)
            policies[policy.arn] = replace(policy, document=None, versions=versions)
    return roles, policies


def add_tags(
    api: Api, policies: Mapping[str, ObservedPolicy], arns: Iterable[str], width: int
) -> dict[str, ObservedPolicy]:
    """Return the policies, with the tags of some of them. Policies that the caller is not allowed to read have no tags."""

    def read(arn: str) -> ObservedPolicy | None:
        try:
            response = none_if_missing(lambda: api.call("iam", "GetPolicy", {"PolicyArn": arn}))
        except AwsError as error:
            if error.denied:
                return None
            raise
        return decode_policy(response["Policy"]) if response is not None else None

    found = map_concurrently(read, [arn for arn in arns if arn in policies], width)
    tagged = {
        policy.arn: replace(policies[policy.arn], tags=policy.tags) for policy in found if policy is not None
    }
    return {**policies, **tagged}


def read_quotas(api: Api) -> Quotas:
    """Return the quotas of the account. A quota that cannot be read is None."""
    try:
        summary = api.call("iam", "GetAccountSummary", {})["SummaryMap"]
    except AwsError:
        return Quotas()
    return Quotas(summary.get("AttachedPoliciesPerRoleQuota"), summary.get("AssumeRolePolicySizeQuota"))
