# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Confirmation 1: the role's trust policy lets EKS Pod Identity assume it for this workload. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._policy.trust.trust import check_trust, is_usable, prepare_trust
from ..model.checks import FAIL, PASS, Check, conclude, conclude_unread, find_read_failure
from ..model.desired import TrustScope, Workload
from ..model.observed import Observed, ObservedRole
from ..plan.trust_usability import reasons, subject_of
from .width import check_width

NAME = "trust"


def check_trust_policy(workload: Workload, observed: Observed, scopes: Mapping[str, TrustScope]) -> Check:
    """``scopes`` has the widest scope that is asked for, by lower-case role name."""
    role, end = find_role(workload, observed, NAME)
    if role is None:
        return end
    association = observed.associations.get(workload.key)
    subject = subject_of(observed.cluster, workload.key, role.arn, tags_disabled(workload, observed))
    trust = prepare_trust(role.trust)
    if is_usable(trust, subject):
        return check_width(workload, observed, role, trust, scopes[role.name.lower()])
    verdict = check_trust(trust, subject)
    if verdict.usable == "conditional":
        return conclude(
            NAME,
            Finding(
                Code.TRUST_CONDITIONAL,
                f"whether role {role.arn} can be used depends on {', '.join(verdict.conditional_on)}, "
                "which is not known here.",
                "Check that those conditions hold for the Pods, or remove them from the trust policy.",
                workload.key,
            ),
        )
    if (
        association is not None
        and workload.association.disable_session_tags is None
        and is_usable(trust, replace(subject, session_tags=True))
    ):
        return conclude(
            NAME,
            Finding(
                Code.TRUST_NOT_USABLE,
                f"role {role.arn} cannot be used by {workload.key}: its trust policy asks for session tags, "
                f"which are turned off in association {association.association_id}.",
                "Give the workload disable_session_tags: false and apply it; or let the role be used without "
                "session tags, with disable_session_tags: true and trust_scope: account.",
                workload.key,
            ),
        )
    return conclude(
        NAME,
        Finding(
            Code.TRUST_NOT_USABLE,
            f"role {role.arn} cannot be used by {workload.key}: {reasons(verdict)}",
            "Apply the workload again to restore the trust policy of a role that is managed, or apply the "
            "suggested_trust_policy of workload_identity.aws.iam_trust_policy_check.",
            workload.key,
        ),
    )


def tags_disabled(workload: Workload, observed: Observed) -> bool:
    """Whether session tags are turned off: as asked, else as the association has it."""
    wanted = workload.association.disable_session_tags
    association = observed.associations.get(workload.key)
    if wanted is None and association is not None:
        return association.disable_session_tags
    return bool(wanted)


def find_role(workload: Workload, observed: Observed, check: str) -> tuple[ObservedRole | None, Check]:
    """The role of a workload, or how a check ends that has no role to look at.

    That the role does not exist is a finding of the check of its trust policy alone.
    """
    spec, cluster = workload.role, observed.cluster
    if spec is None:
        return None, Check(check, PASS)
    failure = find_read_failure(observed, "role", spec.name.lower())
    if failure is not None:
        return None, conclude_unread(check, failure, workload.key)
    role = observed.roles.get(spec.name.lower())
    if role is not None and role.arn == cluster.role_arn(spec):
        return role, Check(check, PASS)
    if check != NAME:
        return None, Check(check, FAIL)
    message = f"role {cluster.role_arn(spec)} does not exist in account {cluster.account_id}"
    remedy = "Apply the workload, which creates it; for an existing role correct its ARN."
    if role is not None:
        message += f"; the role of that name is {role.arn}"
        remedy = "Correct the path or the ARN of the workload's role: IAM tells roles apart by name alone."
    return None, conclude(check, Finding(Code.ROLE_MISSING, f"{message}.", remedy, workload.key))
