# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Confirmation 1: the role's trust policy lets EKS Pod Identity assume it for this workload; and for no others. Pure.

The width of a trust policy is evaluated with workloads that are not in the list: another service account, another
namespace, another cluster. So it does not depend on the wording of the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.statements import read_grants
from ..._policy.trust.trust import TrustPolicy, check_trust, is_usable, prepare_trust
from ..model.checks import (
    FAIL,
    PASS,
    WARNING,
    Check,
    Verified,
    conclude,
    conclude_unread,
    find_read_failure,
    join_checks,
)
from ..model.cluster import Account
from ..model.desired import Desired, Workload
from ..model.names import parse_role_arn
from ..model.observed import Observed
from ..model.roles import TRUST_SCOPES, ObservedRole, TrustScope
from ..model.shared import shared_roles
from ..model.targets import role_target
from ..plan.associations import find_extra_settings
from ..plan.trust import (
    everyone_let_in,
    find_restrictions,
    given_trust_remedy,
    others_let_in,
    reasons,
    scope_of,
    subject_of,
    usable_without_denies,
)

# Names that no workload has: a role that lets them in lets everybody of that kind in.
STRANGER = "trust-probe-stranger"
_NARROWS = (
    "Apply the workload, which narrows it to what was asked for, unless workloads outside the run use the role (check mode "
    "with diff shows how)."
)
_NARROWS_BY_FORCE = (
    "Where no other cluster uses the role, apply the workload with ⟨force⟩: true, which narrows it to what was asked for "
    "(check mode with diff shows how)."
)
_NARROWS_OURS = (
    "Apply the workload, which narrows the statements that were written here. A statement of others that lets them in "
    "stays: remove it from the trust policy, or give the whole as role.trust_policy."
)
_NARROWS_ADOPTED = (
    "Ask for the trust_scope that it has, or name the role by its ARN, which uses it as it is. To narrow a role that was not "
    "made here, apply the workload with ⟨adopt⟩: true, which takes it over (check mode with diff shows how)."
)
_KEPT = "Do what TRUST_KEPT_FOR_OTHERS says of the role; until then, applying the workload again keeps it as wide."
_KEPT_OUT = {"workload": 3, "namespace": 2, "cluster": 1, "account": 0, "none": 0}


def widest_scopes(desired: Desired) -> dict[str, TrustScope]:
    """The widest scope that any workload of a role asks for, by lower-case role name."""
    scopes: dict[str, TrustScope] = {}
    for workload in desired.workloads:
        if workload.role is not None:
            name = workload.role.name.lower()
            scope = scope_of(workload.role, desired.options, workload)
            scopes[name] = max(scopes.get(name, scope), scope, key=TRUST_SCOPES.index)
    return scopes


def check_width(
    workload: Workload, observed: Observed, role: ObservedRole, trust: TrustPolicy, scope: TrustScope
) -> Check:
    """A warning when the trust policy of a role that we manage lets in more than its scope says."""
    spec = workload.role
    if spec is None or spec.existing or spec.trust_policy is not None:
        return Check("trust", PASS)
    disabled = bool(workload.association.disable_session_tags)
    subject = subject_of(observed.cluster_of(workload.key), workload.key, role.arn, disabled)
    other_cluster = observed.cluster_of(workload.key).arn.rpartition("/")[0] + f"/{STRANGER}"
    strangers = (
        ("every cluster of the account", replace(subject, cluster_arn=other_cluster)),
        ("every namespace of the cluster", replace(subject, namespace=STRANGER)),
        ("every service account of the namespace", replace(subject, service_account=STRANGER)),
    )
    for who, stranger in strangers[: _KEPT_OUT[scope]]:
        if is_usable(trust, stranger):
            return conclude(
                "trust",
                Finding(
                    Code.TRUST_WIDER_THAN_ASKED,
                    f"role {role.arn} can be used from {who}, although its trust_scope is '{scope}'.",
                    _how_to_narrow(role),
                    workload.key,
                ),
            )
    return Check("trust", PASS)


def with_kept(verified: Sequence[Verified], findings: Iterable[Finding]) -> list[Verified]:
    """Let the plan say how a role becomes narrower that it has just kept as wide.

    :arg findings: those of the plan.
    """
    concerned = {finding.workload for finding in findings if finding.code == Code.TRUST_KEPT_FOR_OTHERS}
    kept = {
        role.name.lower()
        for subject in verified
        if subject.workload.key in concerned and (role := subject.workload.role) is not None
    }
    return [
        replace(subject, checks=tuple(map(_with_kept, subject.checks)))
        if (role := subject.workload.role) is not None and role.name.lower() in kept
        else subject
        for subject in verified
    ]


def _with_kept(check: Check) -> Check:
    findings = tuple(
        replace(finding, remedy=_KEPT) if finding.code == Code.TRUST_WIDER_THAN_ASKED else finding
        for finding in check.findings
    )
    return replace(check, findings=findings)


def _how_to_narrow(role: ObservedRole) -> str:
    if not role.owned:
        return _NARROWS_ADOPTED
    grants, others = read_grants(role.trust)
    if others:
        return _NARROWS_OURS
    return _NARROWS if all(grant.cluster_arn for grant in grants) else _NARROWS_BY_FORCE


TRUST_CHECK = "trust"


def check_trust_policy(workload: Workload, observed: Observed, scopes: Mapping[str, TrustScope]) -> Check:
    """``scopes`` has the widest scope that is asked for, by lower-case role name."""
    role, end = find_observed_role(workload, observed, TRUST_CHECK)
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
        return Check(TRUST_CHECK, FAIL if verdict.usable == "no" else WARNING)
    if verdict.usable == "conditional":
        return conclude(
            TRUST_CHECK,
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
            return Check(TRUST_CHECK, FAIL)
        return conclude(
            TRUST_CHECK,
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
        TRUST_CHECK,
        Finding(
            Code.TRUST_NOT_USABLE,
            f"role {role.arn} cannot be used by {workload.key}: {reasons(verdict)}",
            _how_to_let_in(workload, role),
            workload.key,
        ),
    )


def has_foreign_role(workload: Workload, account: Account) -> bool:
    """Return whether the role belongs to another account, which an association does not accept."""
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


def find_observed_role(
    workload: Workload, observed: Observed, check: str
) -> tuple[ObservedRole | None, Check]:
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
    if check != TRUST_CHECK:
        return None, Check(check, FAIL)
    message = f"role {account.role_arn(spec)} does not exist in account {account.account_id}"
    remedy = "Apply the workload, which creates it."
    if spec.existing:
        remedy = "Correct role.arn, or give role.name instead to have the role made."
    if has_foreign_role(workload, account):
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


def let_in_beside(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """By each workload of a role. Everyone, and what keeps the workload out, is told of every role; others of those alone that
    were made here and whose trust policy is not given as a whole."""
    findings: dict[WorkloadKey, list[Finding]] = {}
    for shared in shared_roles(observed.account, desired.workloads):
        spec = shared.spec
        role = observed.roles.get(spec.name.lower())
        if role is None or role.arn != observed.account.role_arn(spec):
            continue
        is_ours = not spec.existing and role.owned
        for workload in shared.users:
            key = workload.key
            others = others_let_in(role, key) if is_ours and spec.trust_policy is None else ()
            restrictions = [
                finding
                for finding in _restrictions(workload, observed, role)
                if is_ours or finding.severity != "info"
            ]
            findings[key] = [*everyone_let_in(role, key), *others, *restrictions]
    return findings


def _restrictions(workload: Workload, observed: Observed, role: ObservedRole) -> list[Finding]:
    key = workload.key
    if key not in observed.clusters:
        return []
    subject = subject_of(observed.cluster_of(key), key, role.arn, tags_disabled(workload, observed))
    given = workload.role.trust_policy if workload.role is not None else None
    return find_restrictions(role.arn, role.trust, given, {key: subject})


def with_others(check: Check, findings: Sequence[Finding]) -> Check:
    """What keeps the workload out comes first, and only errors are told beside it."""
    shown = [finding for finding in findings if check.status != FAIL or finding.severity == "error"]
    return (
        join_checks(check.name, [check, *(conclude(check.name, finding) for finding in shown)])
        if shown
        else check
    )
