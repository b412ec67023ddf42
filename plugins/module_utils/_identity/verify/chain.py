# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Is the chain of a workload as it must be? Desired beside observed gives checks and findings. Pure.

The checks are the five confirmations of the EKS User Guide ("Configure a Kubernetes service account
to assume an IAM role with EKS Pod Identity"), each a small function of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.trust.trust import check_trust, is_usable, prepare_trust
from ..model.arns import parse_role_arn
from ..model.desired import Desired, PolicySpec, RoleSpec, TrustScope, Workload
from ..model.findings import FAIL, PASS, WARNING, Check, Finding, Verified, ended, joined, unread, unreadable
from ..model.observed import Observed, ObservedAssociation, ObservedRole, VerificationReads
from ..model.shared import shared_roles
from ..plan import retained
from ..plan.associations import same_session_policy
from ..plan.trust_usability import reasons, subject_of
from .cluster import check_agent
from .permissions import check_permissions
from .width import check_width, widest_scopes


def verify(desired: Desired, observed: Observed, proof: VerificationReads) -> list[Verified]:
    """The checks of every workload, in the order in which they are shown."""
    agent = check_agent(observed.cluster, proof)
    # What is wrong with the cluster is said once, not for every workload.
    repeated = replace(agent, findings=())
    scopes = widest_scopes(desired)
    extra = _extra_policies(desired, observed)
    verified = []
    for index, workload in enumerate(desired.workloads):
        checks = (
            check_trust_policy(workload, observed, scopes),
            check_attachment(workload, observed, extra.get(workload.key, ())),
            check_version(workload, observed),
            check_contents(workload, observed, proof),
            check_permissions(workload, observed, proof),
            check_association(workload, observed),
            agent if index == 0 else repeated,
        )
        verified.append(Verified(workload, checks))
    return verified


def workloads_of(associations: Iterable[ObservedAssociation]) -> tuple[Workload, ...]:
    """The workloads that associations speak of: each with its role, used as it is."""
    found = []
    for association in sorted(associations, key=lambda one: one.key):
        parts = parse_role_arn(association.role_arn)
        role = RoleSpec(name=parts.name if parts else "", arn=association.role_arn)
        found.append(Workload(association.key, role))
    return tuple(found)


def check_trust_policy(workload: Workload, observed: Observed, scopes: Mapping[str, TrustScope]) -> Check:
    """Confirmation 1: the role's trust policy lets EKS Pod Identity assume it for this workload."""
    role, problem = _role(workload, observed, "trust")
    if role is None:
        return problem
    association = observed.associations.get(workload.key)
    disabled = workload.association.disable_session_tags
    if disabled is None and association is not None:
        disabled = association.disable_session_tags
    subject = subject_of(observed.cluster, workload.key, role.arn, bool(disabled))
    trust = prepare_trust(role.trust)
    if is_usable(trust, subject):
        return check_width(workload, observed, role, trust, scopes[role.name.lower()])
    verdict = check_trust(trust, subject)
    if verdict.usable == "conditional":
        return ended(
            workload.key,
            "trust",
            WARNING,
            Code.TRUST_CONDITIONAL,
            f"whether role {role.arn} can be used depends on "
            f"{', '.join(verdict.conditional_on)}, which is not known here.",
            "Check that those conditions hold for the Pods, or remove them from the trust policy.",
        )
    if (
        association is not None
        and workload.association.disable_session_tags is None
        and is_usable(trust, replace(subject, session_tags=True))
    ):
        return ended(
            workload.key,
            "trust",
            FAIL,
            Code.TRUST_NOT_USABLE,
            f"role {role.arn} cannot be used by {workload.key}: its trust policy asks for session tags, "
            f"which are turned off in association {association.association_id}.",
            "Give the workload disable_session_tags: false and run site.yml; or let the role be used without "
            "them, with disable_session_tags: true and trust_scope: account.",
        )
    return ended(
        workload.key,
        "trust",
        FAIL,
        Code.TRUST_NOT_USABLE,
        f"role {role.arn} cannot be used by {workload.key}: {reasons(verdict)}",
        "Run site.yml to restore the trust policy of a role that is managed, or apply the "
        "suggested_trust_policy of workload_identity.aws.iam_trust_policy_check.",
    )


def _extra_policies(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """What is attached to roles that we made and not asked for, with the first workload of each role."""
    found: dict[WorkloadKey, list[Finding]] = {}
    for shared in shared_roles(observed.cluster, desired.workloads):
        role = observed.roles.get(shared.spec.name.lower())
        if role is None or shared.spec.existing or not role.owned:
            continue
        extra = [arn for arn in role.attached if arn not in shared.policy_users]
        found[shared.keys[0]] = [retained.attached_extra(role, shared.keys[0], arn) for arn in extra]
    return found


def check_attachment(workload: Workload, observed: Observed, extra: Sequence[Finding] = ()) -> Check:
    """Confirmation 2: every policy that was asked for is attached to the role. ``extra`` is said besides."""
    role, problem = _role(workload, observed, "attachment")
    if role is None:
        return problem
    missing = [
        arn for spec in workload.policies if (arn := observed.cluster.policy_arn(spec)) not in role.attached
    ]
    if not missing:
        return Check("attachment", PASS, str(len(workload.policies) or ""), tuple(extra))
    findings = [
        Finding(
            Code.POLICY_NOT_ATTACHED,
            "error",
            workload.key,
            f"policy {arn} is not attached to role {role.arn}.",
            "Run site.yml, which attaches it.",
        )
        for arn in missing
        # That a policy does not exist is what another check says.
        if observed.policies.get(arn) is not None or arn not in observed.policies
    ]
    return Check("attachment", FAIL, "", (*findings, *extra))


def check_version(workload: Workload, observed: Observed) -> Check:
    """Confirmation 3: each policy exists and has a default version."""

    def judge(spec: PolicySpec) -> Check:
        arn = observed.cluster.policy_arn(spec)
        policy = observed.policies.get(arn)
        if policy is not None:
            return Check("version", PASS, policy.default_version)
        return ended(
            workload.key,
            "version",
            FAIL,
            Code.POLICY_MISSING,
            f"policy {arn} does not exist in account {observed.cluster.account_id}.",
            "Run site.yml, which makes it; for an existing policy correct its ARN.",
        )

    return _each_policy("version", workload, observed, judge)


def check_contents(workload: Workload, observed: Observed, proof: VerificationReads) -> Check:
    """Confirmation 4: the default version of each policy says what was asked for."""

    def judge(spec: PolicySpec) -> Check:
        arn = observed.cluster.policy_arn(spec)
        policy = observed.policies.get(arn)
        if spec.document is None:
            return Check("contents", PASS)
        if policy is None or policy.document is None:
            return Check("contents", FAIL)
        if same_meaning(policy.document, spec.document, "identity"):
            return Check("contents", PASS)
        if other := proof.other_versions.get(arn):
            return ended(
                workload.key,
                "contents",
                FAIL,
                Code.POLICY_OTHER_VERSION_DEFAULT,
                f"what was asked for is version {other} of policy {arn}, but its default version is "
                f"{policy.default_version}, which says something else.",
                f"Run site.yml, or: aws iam set-default-policy-version --policy-arn {arn} "
                f"--version-id {other}.",
            )
        return ended(
            workload.key,
            "contents",
            FAIL,
            Code.POLICY_CONTENTS_DIFFER,
            f"the default version {policy.default_version} of policy {arn} does not mean what was asked for.",
            "Run site.yml with --check --diff to see the difference, and without to make a new "
            "default version.",
        )

    return _each_policy("contents", workload, observed, judge)


def check_association(workload: Workload, observed: Observed) -> Check:
    """Confirmation 5: the association is there and names the role."""
    cluster = observed.cluster
    failure = unread(observed, "associations", cluster.name) or unread(
        observed, "association", str(workload.key)
    )
    if failure is not None:
        return unreadable(workload.key, "association", failure)
    found = observed.associations.get(workload.key)
    if found is None:
        return ended(
            workload.key,
            "association",
            FAIL,
            Code.ASSOCIATION_MISSING,
            f"cluster {cluster.name} has no pod identity association for {workload.key} (account "
            f"{cluster.account_id}, region {cluster.region}).",
            "Run site.yml, which creates it.",
        )
    wanted = cluster.role_arn(workload.role) if workload.role else found.role_arn
    if found.role_arn != wanted:
        return ended(
            workload.key,
            "association",
            FAIL,
            Code.ASSOCIATION_OTHER_ROLE,
            f"association {found.association_id} of {workload.key} names role {found.role_arn}, not "
            f"{wanted}.",
            "Run site.yml, which corrects it; Pods see the change after up to six hours, or at once "
            "when they are recreated.",
        )
    spec = workload.association
    if spec.target_role_arn is not None and spec.target_role_arn != found.target_role_arn:
        return ended(
            workload.key,
            "association",
            FAIL,
            Code.ASSOCIATION_OTHER_TARGET_ROLE,
            f"association {found.association_id} of {workload.key} has the target role "
            f"{found.target_role_arn or '(none)'}, not {spec.target_role_arn or '(none)'}.",
            "Run site.yml, which corrects it.",
        )
    differing = [
        name
        for name, differs in (
            ("disable_session_tags", _differs(spec.disable_session_tags, found.disable_session_tags)),
            ("session_policy", not same_session_policy(spec.session_policy, found)),
        )
        if differs
    ]
    if differing:
        return ended(
            workload.key,
            "association",
            FAIL,
            Code.ASSOCIATION_SETTINGS_DIFFER,
            f"association {found.association_id} of {workload.key} differs in {' and '.join(differing)} "
            "from what was asked for.",
            "Run site.yml, which corrects it.",
        )
    if found.owner_arn:
        return ended(
            workload.key,
            "association",
            WARNING,
            Code.ASSOCIATION_OWNED_BY_ADDON,
            f"association {found.association_id} of {workload.key} is owned by the EKS add-on "
            f"{found.owner_arn}.",
            "Manage its role in the add-on's podIdentityAssociations.",
        )
    return Check("association", PASS)


def _differs(wanted: object, present: object) -> bool:
    return wanted is not None and wanted != present


def _role(workload: Workload, observed: Observed, check: str) -> tuple[ObservedRole | None, Check]:
    """The role, or the check that says why there is none to look at."""
    spec, cluster = workload.role, observed.cluster
    if spec is None:
        return None, Check(check, PASS)
    failure = unread(observed, "role", spec.name.lower())
    if failure is not None:
        return None, unreadable(workload.key, check, failure)
    found = observed.roles.get(spec.name.lower())
    if found is not None and found.arn == cluster.role_arn(spec):
        return found, Check(check, PASS)
    if check != "trust":
        return None, Check(check, FAIL)
    if found is not None:
        return None, ended(
            workload.key,
            check,
            FAIL,
            Code.ROLE_MISSING,
            f"role {cluster.role_arn(spec)} does not exist in account {cluster.account_id}; the role of that "
            f"name is {found.arn}.",
            "Correct the path or the ARN of the workload's role: IAM tells roles apart by name alone.",
        )
    return None, ended(
        workload.key,
        check,
        FAIL,
        Code.ROLE_MISSING,
        f"role {cluster.role_arn(spec)} does not exist in account {cluster.account_id}.",
        "Run site.yml, which makes it; for an existing role correct its ARN.",
    )


def _each_policy(
    name: str, workload: Workload, observed: Observed, judge: Callable[[PolicySpec], Check]
) -> Check:
    checks = []
    for spec in workload.policies:
        failure = unread(observed, "policy", observed.cluster.policy_arn(spec))
        checks.append(unreadable(workload.key, name, failure) if failure else judge(spec))
    return joined(name, checks)
