# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the input with the account of the cluster and its quota. Pure."""

from __future__ import annotations

from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import Problems
from ..model.names import IamArn, parse_policy_arn, parse_role_arn
from ..model.policies import PresetScope
from ..model.shared import POLICIES_OF_A_ROLE, shared_roles


def validate_accounts(desired: Desired, cluster: Cluster) -> None:
    """Check that roles, policies, permissions boundaries and preset documents fit the account, partition and region of a cluster.

    :raises InputError: with all problems.
    """
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
            if spec.preset is not None:
                _preset(problems, place, spec.name, spec.preset, cluster)
    problems.raise_if_any()


def has_many_policies(desired: Desired, cluster: Cluster) -> bool:
    """Return whether a role has more policies than the default quota, so that the quota of the account must be read."""
    return any(
        len(shared.policy_users) > POLICIES_OF_A_ROLE for shared in shared_roles(cluster, desired.workloads)
    )


def validate_attachments(desired: Desired, cluster: Cluster, quota: int | None) -> None:
    """Check that no role gets more managed policies than the quota allows.

    :arg quota: the maximum per role in this account, or None if it is unknown; the default quota then applies.
    :raises InputError: with every role that exceeds the quota.
    """
    problems = Problems()
    for shared in shared_roles(cluster, desired.workloads):
        count = len(shared.policy_users)
        if count > (quota or POLICIES_OF_A_ROLE):
            limit_text = (
                "" if quota else " by default (to use the quota of the account, allow iam:GetAccountSummary)"
            )
            problems.add(
                f"workload {shared.keys[0]}",
                f"role {shared.spec.name} would have {count} policies; {quota or POLICIES_OF_A_ROLE} are allowed{limit_text}. "
                "Merge some of them, or request an increase of the quota 'Managed policies per role'.",
            )
    problems.raise_if_any()


def foreign_role(arn: str, account_id: str, cluster: Cluster) -> str:
    """Return the message for a role whose account is not the account of the cluster."""
    return (
        f"role {arn} belongs to account {account_id}, but cluster {cluster.name} is in account "
        f"{cluster.account_id} (region {cluster.region}); EKS rejects such a role with 'Cross-account pass "
        f"role is not allowed'. Set a role of account {cluster.account_id}, and set the other role as target_role_arn."
    )


def _policy(problems: Problems, place: str, kind: str, arn: str, cluster: Cluster) -> None:
    parts = parse_policy_arn(arn)
    if parts is not None and parts.account_id not in ("aws", cluster.account_id):
        problems.add(
            place,
            f"{kind} {arn} belongs to account {parts.account_id}; only policies of account "
            f"{cluster.account_id} and AWS managed policies can be used. "
            f"Set a policy of account {cluster.account_id}.",
        )
    _partition(problems, place, kind, arn, parts, cluster)


def _preset(problems: Problems, place: str, policy: str, preset: PresetScope, cluster: Cluster) -> None:
    """Report a preset document whose partition, account or region differs from the cluster."""
    for part in ("partition", "account_id", "region"):
        value, expected = getattr(preset, part), getattr(cluster, part)
        if value not in ("", expected):
            problems.add(
                place,
                f"policy {policy}: preset '{preset.name}' has {part} {value} in its document, but cluster {cluster.name} has "
                f'{part} {expected}. Set {part}: "{expected}" '
                "under 'with', or correct the account and region of the run.",
            )


def _partition(
    problems: Problems, place: str, kind: str, arn: str, parts: IamArn | None, cluster: Cluster
) -> None:
    if parts is not None and parts.partition != cluster.partition:
        problems.add(
            place,
            f"{kind} {arn} belongs to partition {parts.partition}, but the cluster is in "
            f"{cluster.partition}; write arn:{cluster.partition}:… instead.",
        )
