# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The quota of a role's policies, of which those that others attached take up a part. Pure.

Source: IAM User Guide, "IAM and AWS STS quotas": managed policies attached to an IAM role.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..._findings.codes import Code
from ..model.changes import Change, Plan
from ..model.desired import Options
from ..model.errors import listed
from ..model.observed import Observed, ObservedRole
from ..model.shared import POLICIES_OF_A_ROLE, SharedRole
from ..model.targets import Failure, attachment_target, role_target

_ALL = 25


def policy_limit(observed: Observed, role: ObservedRole | None) -> int:
    """Return how many policies the role may have. The number that it has shows the least that the quota allows."""
    return observed.attachment_quota or max(POLICIES_OF_A_ROLE, len(role.attached if role else ()))


def find_overfull(
    observed: Observed,
    options: Options,
    shared: SharedRole,
    role: ObservedRole | None,
    joining: Sequence[Change],
    leaving: Sequence[Change],
) -> Failure | None:
    """The failure of all who ask for a policy, where the role has no room for what is ``joining``.

    ``leaving`` are the policies that the plan detaches. What is listed alone is counted when the input is read.
    """
    count = len(role.attached if role else ()) - len(leaving) + len(joining)
    limit = policy_limit(observed, role)
    if role is None or not joining or count <= limit:
        return None
    gone = {change.target for change in leaving}
    others = [
        arn
        for arn in role.attached
        if arn not in shared.policy_users and attachment_target(role.name, arn) not in gone
    ]
    known = (
        ""
        if observed.attachment_quota
        else " unless the account's quota was raised, which iam:GetAccountSummary would tell"
    )
    purge = (
        ""
        if shared.spec.existing or options.purge_policies
        else " (⟨purge_policies⟩: true does, unless the trust policy of the role names workloads outside the run)"
    )
    return Failure(
        tuple(dict.fromkeys(key for change in joining for key in change.workloads)),
        role_target(role.name),
        "update",
        Code.ROLE_POLICIES_OVER_QUOTA,
        f"role {role.arn} would have {count} policies, {len(others)} of them attached already and not asked for "
        f"({listed(others, _ALL)}); {limit} are allowed{known}.",
        f"Detach those of them that are not needed{purge}, join some of the policies that are asked for, or have the quota "
        "'Managed policies per role' raised.",
    )


def has_overfull(plan: Plan) -> bool:
    """Whether it takes the account's own quota to tell if a role has room."""
    return any(failure.error_code == Code.ROLE_POLICIES_OVER_QUOTA for failure in plan.failures)
