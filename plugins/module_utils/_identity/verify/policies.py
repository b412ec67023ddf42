# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Confirmations 2 to 4: the policies of a workload exist, say what was asked for, and are attached. Pure."""

from __future__ import annotations

from collections.abc import Callable

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..._policy.language.canonical import same_meaning
from ..model.checks import FAIL, PASS, Check, conclude, conclude_unread, find_read_failure, join_checks
from ..model.desired import PolicySpec, Workload
from ..model.names import is_aws_managed
from ..model.observed import Observed, ObservedPolicy, VerificationReads
from ..model.targets import policy_target
from .trust_policy import find_role


def check_attachment(workload: Workload, observed: Observed) -> Check:
    """Confirmation 2: every policy that was asked for is attached to the role."""
    role, end = find_role(workload, observed, "attachment")
    if role is None:
        return end
    missing = [
        arn for spec in workload.policies if (arn := observed.account.policy_arn(spec)) not in role.attached
    ]
    if not missing:
        return Check("attachment", PASS, str(len(workload.policies) or ""))
    findings = [
        Finding(
            Code.POLICY_NOT_ATTACHED,
            f"policy {arn} is not attached to role {role.arn}.",
            "Apply the workload, which attaches it.",
            workload.key,
        )
        for arn in missing
        # That a policy does not exist is a finding of another check.
        if observed.policies.get(arn) is not None or arn not in observed.policies
    ]
    return Check("attachment", FAIL, findings=tuple(findings))


def check_version(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Confirmation 3: each policy exists, and what was asked for is not another version of it than its default. None where
    no policy was asked for."""

    def judge(spec: PolicySpec) -> Check:
        arn = observed.account.policy_arn(spec)
        policy = observed.policies.get(arn)
        if policy is None:
            return conclude("version", _missing(arn, spec, workload, observed))
        if other := _other_version(spec, policy, workload, reads):
            return conclude("version", other)
        return Check("version", PASS, policy.default_version)

    return _check_policies("version", workload, observed, judge)


def _missing(arn: str, spec: PolicySpec, workload: Workload, observed: Observed) -> Finding:
    message = f"policy {arn} does not exist in account {observed.account.account_id}."
    remedy = "Apply the workload, which creates it."
    if spec.document is None:
        remedy = "Correct its ARN, or give name and document to have it made."
    if is_aws_managed(arn):
        message = f"AWS manages no policy {arn}."
        remedy = "Correct its ARN; the policies that AWS manages: aws iam list-policies --scope AWS"
    return Finding(Code.POLICY_MISSING, message, remedy, workload.key)


def check_contents(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Confirmation 4: the default version of each policy means what was asked for. None where no policy was asked for."""

    def judge(spec: PolicySpec) -> Check:
        arn = observed.account.policy_arn(spec)
        policy = observed.policies.get(arn)
        if spec.document is None:
            return Check("contents", PASS)
        if policy is None or policy.document is None:
            return Check("contents", FAIL)
        if same_meaning(policy.document, spec.document, "identity"):
            return Check("contents", PASS)
        if other := _other_version(spec, policy, workload, reads):
            return conclude("contents", other)
        return conclude(
            "contents",
            Finding(
                Code.POLICY_CONTENTS_DIFFER,
                f"the default version {policy.default_version} of policy {arn} does not mean what was asked for.",
                "Apply the workload in check mode with diff to see the difference, and without to make a new "
                "default version.",
                workload.key,
            ),
        )

    return _check_policies("contents", workload, observed, judge)


def _other_version(
    spec: PolicySpec, policy: ObservedPolicy, workload: Workload, reads: VerificationReads
) -> Finding | None:
    if spec.document is None or policy.document is None or policy.arn not in reads.other_versions:
        return None
    if same_meaning(policy.document, spec.document, "identity"):
        return None
    other = reads.other_versions[policy.arn]
    return Finding(
        Code.POLICY_OTHER_VERSION_DEFAULT,
        f"what was asked for is version {other} of policy {policy.arn}, but its default version is "
        f"{policy.default_version}, which means something else.",
        "Apply the workload, which makes a new default version, or: aws iam "
        f"set-default-policy-version --policy-arn {policy.arn} --version-id {other}",
        workload.key,
    )


def _check_policies(
    name: str, workload: Workload, observed: Observed, judge: Callable[[PolicySpec], Check]
) -> Check | None:
    if not workload.policies:
        return None
    checks = []
    for spec in workload.policies:
        failure = find_read_failure(observed, policy_target(observed.account.policy_arn(spec)))
        checks.append(conclude_unread(name, failure, workload.key) if failure else judge(spec))
    return join_checks(name, checks)
