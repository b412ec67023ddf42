# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Input that only the account can judge: do the given ARNs belong to it? Before anything is changed."""

from __future__ import annotations

from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import Problems
from ..model.names import IamArn, parse_policy_arn, parse_role_arn
from ..model.shared import POLICIES_OF_A_ROLE, shared_roles


def validate_accounts(desired: Desired, cluster: Cluster) -> None:
    """InputError when a role, policy or boundary is of another account or partition."""
    problems = Problems()
    for workload in desired.workloads:
        place = f"workload {workload.key}"
        role = workload.role
        if role is not None and role.arn is not None:
            parts = parse_role_arn(role.arn)
            if parts is not None and parts.account_id != cluster.account_id:
                problems.add(place, foreign_role(role.arn, parts.account_id, cluster))
            _partition(problems, place, "role", role.arn, parts, cluster)
        if role is not None and role.permissions_boundary:
            _policy(problems, place, "permissions_boundary", role.permissions_boundary, cluster)
        for spec in workload.policies:
            if spec.arn is not None:
                _policy(problems, place, "policy", spec.arn, cluster)
    problems.raise_if_any()


def has_many_policies(desired: Desired, cluster: Cluster) -> bool:
    """Whether it takes the account's own quota to tell if a role may have so many."""
    return any(
        len(shared.policy_users) > POLICIES_OF_A_ROLE
        for shared in shared_roles(cluster.account, desired.workloads)
    )


def validate_attachments(desired: Desired, cluster: Cluster, quota: int | None) -> None:
    """InputError when a role is to have more policies than IAM attaches; ``quota`` is None when it is not known."""
    problems = Problems()
    for shared in shared_roles(cluster.account, desired.workloads):
        count = len(shared.policy_users)
        if count > (quota or POLICIES_OF_A_ROLE):
            known = (
                ""
                if quota
                else " unless the account's quota was raised, which iam:GetAccountSummary would tell"
            )
            problems.add(
                f"workload {shared.keys[0]}",
                f"role {shared.spec.name} is to have {count} policies; {quota or POLICIES_OF_A_ROLE} are allowed{known}. Join "
                "some of them, or have the quota 'Managed policies per role' raised.",
            )
    problems.raise_if_any()


def foreign_role(arn: str, account_id: str, cluster: Cluster) -> str:
    return (
        f"role {arn} belongs to account {account_id}, but cluster {cluster.name} is in account "
        f"{cluster.account_id} (region {cluster.region}); EKS refuses that with 'Cross-account pass "
        "role is not allowed'. Give a role of this account, and the other one as target_role_arn."
    )


def _policy(problems: Problems, place: str, what: str, arn: str, cluster: Cluster) -> None:
    parts = parse_policy_arn(arn)
    if parts is not None and parts.account_id not in ("aws", cluster.account_id):
        problems.add(
            place,
            f"{what} {arn} belongs to account {parts.account_id}; only policies of account "
            f"{cluster.account_id} and those that AWS manages can be used on its roles. "
            "Give a policy of this account.",
        )
    _partition(problems, place, what, arn, parts, cluster)


def _partition(
    problems: Problems, place: str, what: str, arn: str, parts: IamArn | None, cluster: Cluster
) -> None:
    if parts is not None and parts.partition != cluster.partition:
        problems.add(
            place,
            f"{what} {arn} belongs to partition {parts.partition}, but the cluster is in "
            f"{cluster.partition}; write arn:{cluster.partition}:… instead.",
        )
