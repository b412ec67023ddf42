# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that a trust policy allows EKS Pod Identity to assume the role for a workload, and is not too wide. Pure.

This is the first of the five steps to confirm a configuration in the EKS User Guide (see ``confirmations.py``). To find a trust
policy that is wider than its trust scope, the policy is evaluated for invented workloads with another service account, namespace
or cluster. So the result does not depend on how its statements are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..._findings.codes import CheckName, Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.evaluation.pods import Subject
from ..._policy.trust.statements import read_statement
from ..._policy.trust.trust import TrustPolicy, check_trust, is_usable, prepare_trust
from ..model.checks import FAIL, PASS, WARNING, Check, conclude, conclude_unread
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.names import is_marked, parse_role_arn
from ..model.observed import Observed
from ..model.roles import TRUST_SCOPES, ObservedRole, TrustScope
from ..model.shared import named_workloads, shared_roles
from ..model.targets import role_target
from ..plan.associations import find_extra_settings
from ..plan.problems import missing_role_remedy
from ..plan.trust import (
    effective_scope,
    find_foreign_access,
    find_public_access,
    find_restrictions,
    foreign_statements,
    input_trust_remedy,
    reasons,
    trust_subject,
    usable_without_denies,
)

# A name that no cluster, namespace or service account has. A trust policy that allows it is assumed to allow every name.
STRANGER = "trust-probe-stranger"
_NARROW = (
    "Apply the workload with ⟨force⟩: true, which removes the statements that allow more than the list (check mode with diff "
    "shows the change). Or set the wider trust_scope."
)
_NARROW_WITH_ADOPT = (
    "To keep the trust policy, set the trust_scope that matches it, or use the role by its ARN (role.arn). To narrow the trust "
    "policy, apply the workload with ⟨adopt⟩: true, because this collection did not create the role (check mode with diff shows "
    "the change)."
)
# For each trust scope, the number of ``strangers`` in check_width, from the first on, that a trust policy must not allow.
_EXCLUDED_KINDS = {"workload": 3, "namespace": 2, "cluster": 1, "account": 0, "anyone_in_account": 0}


def widest_scopes(desired: Desired, cluster: Cluster) -> dict[str, TrustScope]:
    """Return the widest trust scope among the workloads of each role, by the lower-case name of the role."""
    return {
        shared.spec.name.lower(): max(
            (effective_scope(shared.spec, desired.options, user) for user in shared.users),
            key=TRUST_SCOPES.index,
        )
        for shared in shared_roles(cluster, desired.workloads)
    }


def check_width(
    workload: Workload, role: ObservedRole, trust: TrustPolicy, scope: TrustScope, subject: Subject
) -> Check:
    """Check that the trust policy of a role does not allow more workloads than its trust scope.

    The check passes for an existing role (``role.arn``) and for ``role.trust_policy``, because the user controls the whole
    trust policy then.

    :arg trust: the parsed trust policy of the role.
    :arg scope: the widest trust scope of the workloads that use the role.
    :arg subject: the request context of the workload.
    """
    spec = workload.role
    if spec is None or spec.existing or spec.trust_policy is not None:
        return Check("trust", PASS)
    subject = replace(subject, session_tags=not workload.association.disable_session_tags)
    other_cluster = f"{str(subject.cluster_arn).rpartition('/')[0]}/{STRANGER}"
    strangers = (
        ("every cluster of the account", replace(subject, cluster_arn=other_cluster)),
        ("every namespace of the cluster", replace(subject, namespace=STRANGER)),
        ("every service account of the namespace", replace(subject, service_account=STRANGER)),
    )
    for caller, stranger in strangers[: _EXCLUDED_KINDS[scope]]:
        key = WorkloadKey(workload.key.cluster, str(stranger.namespace), str(stranger.service_account))
        is_listed = stranger.cluster_arn == subject.cluster_arn and spec.includes(key)
        if not is_listed and is_usable(trust, stranger):
            return conclude(
                "trust",
                Finding(
                    Code.TRUST_WIDER_THAN_ASKED,
                    f"role {role.arn} can be used from {caller}, although its trust_scope is '{scope}'.",
                    _NARROW if is_marked(role.tags) else _NARROW_WITH_ADOPT,
                    workload.key,
                ),
            )
    return Check("trust", PASS)


def check_trust_policy(
    workload: Workload, observed: Observed, scopes: Mapping[str, TrustScope], owner: str
) -> Check:
    """Check that the role exists, and that its trust policy allows the workload and is not wider than its trust scope.

    :arg scopes: the result of ``widest_scopes``.
    """
    role, result = find_observed_role(workload, observed, "trust")
    if role is None:
        return result
    association = observed.associations.get(workload.key)
    subject = trust_subject(observed.cluster, workload.key, role.arn, tags_disabled(workload, observed))
    trust = prepare_trust(role.trust)
    if is_usable(trust, subject):
        return check_width(workload, role, trust, scopes[role.name.lower()], subject)
    verdict = check_trust(trust, subject)
    document = workload.role.trust_policy if workload.role is not None else None
    if usable_without_denies(role.trust, document, subject) == "yes":
        # Only Deny statements keep the workload out. find_unexpected_access reports each of these statements.
        return Check("trust", FAIL if verdict.usable == "no" else WARNING)
    if verdict.usable == "conditional":
        return conclude(
            "trust",
            Finding(
                Code.TRUST_CONDITIONAL,
                f"the use of role {role.arn} depends on unknown values of {', '.join(verdict.conditional_on)}.",
                "Check that the conditions hold for the Pods, or remove the conditions from the trust policy.",
                workload.key,
            ),
        )
    if (
        association is not None
        and workload.association.disable_session_tags is None
        and is_usable(trust, replace(subject, session_tags=True))
    ):
        if find_extra_settings(workload, observed, owner):
            # The check of the association reports that session tags are turned off.
            return Check("trust", FAIL)
        return conclude(
            "trust",
            Finding(
                Code.TRUST_NOT_USABLE,
                f"role {role.arn} cannot be used by {workload.key}: its trust policy requires session tags, which are "
                f"disabled in association {association.association_id}.",
                "Give the workload disable_session_tags: false, and apply the workload. Or, to use the role without session "
                "tags, set disable_session_tags: true and trust_scope: account.",
                workload.key,
            ),
        )
    return conclude(
        "trust",
        Finding(
            Code.TRUST_NOT_USABLE,
            f"role {role.arn} cannot be used by {workload.key}: {reasons(verdict)}",
            _access_remedy(workload, role),
            workload.key,
        ),
    )


def has_foreign_role(workload: Workload, cluster: Cluster) -> bool:
    """Return whether the role of a workload belongs to another account. EKS does not accept such a role in an association."""
    parts = parse_role_arn(workload.role.arn) if workload.role is not None and workload.role.arn else None
    return parts is not None and parts.account_id != cluster.account_id


def _access_remedy(workload: Workload, role: ObservedRole) -> str:
    if workload.role is not None and workload.role.existing:
        return (
            "Set role.extend_trust: true and apply the workload, which adds the statement of this collection; or apply the "
            "suggestion of workload_identity.aws.iam_trust_policy_check."
        )
    if not is_marked(role.tags):
        return (
            "Apply the workload with ⟨adopt⟩: true, because this collection did not create the role. Or apply the "
            "suggestion of workload_identity.aws.iam_trust_policy_check."
        )
    return input_trust_remedy(workload) or "Apply the workload again, which restores the trust policy."


def tags_disabled(workload: Workload, observed: Observed) -> bool:
    """Return ``disable_session_tags`` of the workload or, if the workload does not set it, of its association."""
    disabled = workload.association.disable_session_tags
    association = observed.associations.get(workload.key)
    if disabled is None and association is not None:
        return association.disable_session_tags
    return bool(disabled)


def find_observed_role(
    workload: Workload, observed: Observed, check: CheckName
) -> tuple[ObservedRole | None, Check]:
    """Return the role of a workload and a passed check, or None and the result of the check if there is no role to examine.

    This is the case if the workload has no role, or if the role is missing, could not be read or has another ARN.

    :arg check: the name of the check that examines the role. Only the check "trust" reports a missing role, so that it is
        reported once.
    """
    spec, cluster = workload.role, observed.cluster
    if spec is None:
        return None, Check(check, PASS)
    failure = observed.unread.get(role_target(spec.name.lower()))
    if failure is not None:
        return None, conclude_unread(check, failure, workload.key)
    role = observed.roles.get(spec.name.lower())
    if role is not None and role.arn == cluster.role_arn(spec):
        return role, Check(check, PASS)
    if check != "trust":
        return None, Check(check, FAIL)
    message = f"role {cluster.role_arn(spec)} does not exist in account {cluster.account_id}"
    remedy = "Apply the workload, which creates it."
    if spec.existing:
        remedy = missing_role_remedy([workload], role)
    if has_foreign_role(workload, cluster):
        message = (
            f"role {spec.arn} belongs to another account, and EKS accepts only roles of the cluster's account, "
            f"{cluster.account_id}"
        )
        remedy = f"Set a role of account {cluster.account_id}, and set the other role as target_role_arn."
    elif role is not None:
        message += f"; the role of that name is {role.arn}"
        if workload.origin is None:
            remedy = f"Set role.arn to {role.arn}: IAM identifies roles by name alone."
    return None, conclude(check, Finding(Code.ROLE_MISSING, f"{message}.", remedy, workload.key))


def find_unexpected_access(desired: Desired, observed: Observed) -> dict[WorkloadKey, list[Finding]]:
    """Return, by workload, findings about other principals that its trust policy allows, and about unmanaged Deny statements.

    Public access, and Deny statements that may deny the role to the workload, are reported for every role. Other
    principals are reported only for managed roles without ``role.trust_policy``.
    """
    findings: dict[WorkloadKey, list[Finding]] = {}
    keys = {workload.key for workload in desired.workloads} | desired.unselected.keys()
    for shared in shared_roles(observed.cluster, desired.workloads):
        spec = shared.spec
        role = observed.roles.get(spec.name.lower())
        if role is None or role.arn != observed.cluster.role_arn(spec):
            continue
        is_managed = not spec.existing and is_marked(role.tags)
        foreign = [
            statement
            for statement in foreign_statements(role.trust)
            if (grants := read_statement(statement)) is None
            or not all(named_workloads(observed.cluster, [grant]) & keys for grant in grants)
        ]
        for workload in shared.users:
            key = workload.key
            subject = trust_subject(observed.cluster, key, role.arn, tags_disabled(workload, observed))
            principals = (
                find_foreign_access(role, key, foreign) if is_managed and spec.trust_policy is None else ()
            )
            restrictions = [
                finding
                for finding in find_restrictions(role.arn, role.trust, spec.trust_policy, {key: subject})
                if is_managed or finding.severity != "info"
            ]
            findings[key] = [*find_public_access(role, key), *principals, *restrictions]
    return findings
