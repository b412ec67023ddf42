# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is a trust policy wider than what was asked for? Pure.

Asked of the policy language with workloads that are not meant: another service account, another
namespace, another cluster. No comparison of texts, so it holds for any way of writing the policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._policy.trust.statements import read_grants
from ..._policy.trust.trust import TrustPolicy, is_usable
from ..model.checks import PASS, Check, Verified, conclude
from ..model.desired import TRUST_SCOPES, Desired, TrustScope, Workload
from ..model.observed import Observed, ObservedRole
from ..plan.trust import scope_of
from ..plan.trust_usability import subject_of

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
