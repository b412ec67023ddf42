# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Parse the ``assume_role_*`` options, and compare the input with the account of the cluster and its quota. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.accounts import AssumeRole, RoleByName
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import Problems
from ..model.names import ROLE_ARN, IamArn, parse_policy_arn, parse_role_arn
from ..model.policies import PresetScope
from ..model.shared import POLICIES_OF_A_ROLE, shared_roles
from .fields import Fields, number_as_text

ARN = "assume_role_arn"
EXTERNAL_ID = "assume_role_external_id"
ASSUME_ROLE_OPTIONS = (ARN, EXTERNAL_ID)

# Source: the parameters of STS AssumeRole.
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)
_SESSION_ARN = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]+)/.*", re.ASCII)


def assume_role_spec() -> dict[str, dict[str, Any]]:
    """Return the Ansible argument spec of the ``assume_role_*`` options.

    The external ID is not a secret, because the trust policy contains it. With ``no_log: true`` Ansible would mask every
    occurrence of its text in the result of the module.
    """
    return {
        ARN: {"type": "str"},
        EXTERNAL_ID: {"type": "str", "no_log": False},
    }


def read_assume_role(options: Mapping[str, object], prefix: str = "") -> AssumeRole | None:
    """Return the role to assume, or None if ``assume_role_arn`` is not set.

    An empty string counts as not set, because it is the value of an unanswered AWX survey question.

    :arg options: option values by name, without ``prefix``.
    :arg prefix: the text before an option name in messages, such as "pod_identity_" for role variables.
    :raises InputError: with all problems.
    """
    problems = Problems()
    role = parse_assume_role(Fields(dict(options.items()), "", problems, prefix))
    problems.raise_if_any()
    return role


def parse_assume_role(fields: Fields) -> AssumeRole | None:
    """Return the role to assume, or None if ``assume_role_arn`` is not set.

    Problems are added to ``fields.problems``. If it has any, the caller must not use the returned role.
    """
    values = _options_with_values(fields)
    if values.has(ARN):
        return AssumeRole(_read_arn(values), _read_external_id(values))
    for name in values.raw:
        fields.problems.add(
            fields.place,
            f"{fields.prefix}{name} has no effect without {fields.prefix}{ARN}; set the ARN of the role to assume, or "
            f"leave {fields.prefix}{name} out.",
        )
    return None


def parse_role_by_name(fields: Fields, name: str) -> RoleByName:
    """Return the role with this name in several accounts, with the parameters to assume it. Report invalid parameters.

    :arg name: the name of the role, with its path if it has one.
    """
    return RoleByName(name, _read_external_id(_options_with_values(fields)))


def _options_with_values(fields: Fields) -> Fields:
    """Return the ``assume_role_*`` options that have a value."""
    values = {name: number_as_text(fields.raw.get(name)) for name in ASSUME_ROLE_OPTIONS}
    set_values = {name: value for name, value in values.items() if value not in (None, "")}
    return Fields(dict(set_values.items()), fields.place, fields.problems, fields.prefix)


def _read_external_id(fields: Fields) -> str:
    return (
        fields.text(EXTERNAL_ID, "", _EXTERNAL_ID, "2 to 1224 letters, digits and characters of _+=,.@:/-")
        or ""
    )


def _read_arn(fields: Fields) -> str:
    value = fields.raw[ARN]
    session = _SESSION_ARN.fullmatch(value) if isinstance(value, str) else None
    if session is not None:
        partition, account_id, name = session.groups()
        fields.problems.add(
            fields.place,
            f"{fields.prefix}{ARN} is the ARN of a session of the role {name}; set the ARN of the role, such as "
            f"arn:{partition}:iam::{account_id}:role/{name} (with its path, if it has one).",
        )
        return ""
    return (
        fields.text(ARN, "", ROLE_ARN, "the ARN of an IAM role, like arn:aws:iam::111122223333:role/my-role")
        or ""
    )


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
