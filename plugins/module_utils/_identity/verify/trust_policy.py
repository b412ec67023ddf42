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
from ..model.checks import FAIL, PASS, WARNING, Check, conclude, conclude_unread, find_read_failure
from ..model.cluster import Account
from ..model.desired import TrustScope, Workload
from ..model.names import parse_role_arn
from ..model.observed import Observed, ObservedRole
from ..model.targets import role_target
from ..plan.associations import find_extra_settings
from ..plan.trust_usability import given_trust_remedy, reasons, subject_of, usable_without_denies
from .width import check_width

NAME = "trust"


def check_trust_policy(workload: Workload, observed: Observed, scopes: Mapping[str, TrustScope]) -> Check:
    """``scopes`` has the widest scope that is asked for, by lower-case role name."""
    role, end = find_role(workload, observed, NAME)
    if role is None:
        return end
    association = observed.associations.get(workload.key)
    subject = subject_of(
        observed.cluster_of(workload.key), workload.key, role.arn, tags_disabled(workload, observed)
    )
    trust = prepare_trust(role.trust)
    if is_usable(trust, subject):
        return check_width(workload, observed, role, trust, scopes[role.name.lower()])
    verdict = check_trust(trust, subject)
    given = workload.role.trust_policy if workload.role is not None else None
    if usable_without_denies(role.trust, given, subject) == "yes":
        # The statements that keep it out are reported beside this check.
        return Check(NAME, FAIL if verdict.usable == "no" else WARNING)
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
        if find_extra_settings(workload.association, association, role_shuts_out=True) is not None:
            # The tags that are turned off are a finding of the check of the association.
            return Check(NAME, FAIL)
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
            _how_to_let_in(workload, role),
            workload.key,
        ),
    )


def is_foreign(workload: Workload, account: Account) -> bool:
    """Whether its role is one of another account, which no association can have."""
    parts = parse_role_arn(workload.role.arn) if workload.role is not None and workload.role.arn else None
    return parts is not None and parts.account_id != account.account_id


def _how_to_let_in(workload: Workload, role: ObservedRole) -> str:
    if workload.role is not None and workload.role.existing:
        return (
            "Set role.extend_trust: true and apply the workload, which adds our statement; or apply the "
            "suggested_trust_policy of workload_identity.aws.iam_trust_policy_check."
        )
    if not role.owned:
        return (
            "Apply the workload with ⟨adopt⟩: true, which takes over the role, as it was not made here; or apply the "
            "suggested_trust_policy of workload_identity.aws.iam_trust_policy_check."
        )
    return given_trust_remedy(workload) or "Apply the workload again, which restores the trust policy."


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
    spec, account = workload.role, observed.account
    if spec is None:
        return None, Check(check, PASS)
    failure = find_read_failure(observed, role_target(spec.name.lower()))
    if failure is not None:
        return None, conclude_unread(check, failure, workload.key)
    role = observed.roles.get(spec.name.lower())
    if role is not None and role.arn == account.role_arn(spec):
        return role, Check(check, PASS)
    if check != NAME:
        return None, Check(check, FAIL)
    message = f"role {account.role_arn(spec)} does not exist in account {account.account_id}"
    remedy = "Apply the workload, which creates it."
    if spec.existing:
        remedy = "Correct role.arn, or give role.name instead to have the role made."
    if is_foreign(workload, account):
        message = f"role {spec.arn} belongs to another account, and EKS takes only roles of the cluster's own"
        message += f", {account.account_id}"
        remedy = "Give a role of this account, and the other one as target_role_arn."
    elif role is not None:
        message += f"; the role of that name is {role.arn}"
        remedy = (
            f"Set role.path to {role.path}, or choose another role name: IAM tells roles apart by name alone."
        )
        if spec.existing:
            remedy = f"Set role.arn to {role.arn}: IAM tells roles apart by name alone."
    return None, conclude(check, Finding(Code.ROLE_MISSING, f"{message}.", remedy, workload.key))
