# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that policies exist, have the configured contents and are attached, and that the association exists. Pure.

The EKS User Guide, "Assign an IAM role to a Kubernetes service account", has five steps to confirm a configuration. This file
has steps 2 to 5, and ``trust.py`` has step 1. The checks also compare the attributes and tags of role, policies and association,
with the same functions as the plan, so that a verification finds the differences that a run would correct.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import CheckName, Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import document_statements
from ..._policy.trust.statements import foreign_denies, join_statements
from ..model.associations import ASSOCIATION_SETTINGS, TARGET_ROLE, ObservedAssociation
from ..model.attributes import compare, describe_value
from ..model.checks import FAIL, PASS, Check, conclude, conclude_unread, join_checks
from ..model.desired import Options, Workload
from ..model.errors import listed
from ..model.names import is_aws_managed, is_marked, is_own, parse_policy_arn
from ..model.observed import Observed, VerificationReads
from ..model.policies import DOCUMENT, ObservedPolicy, PolicySpec
from ..model.roles import ROLE_SETTINGS
from ..model.targets import policy_target
from ..plan.associations import find_extra_settings
from ..plan.problems import differing_tags, not_attached
from ..plan.roles import update_role
from .trust import find_observed_role, has_foreign_role


def check_attachment(workload: Workload, observed: Observed) -> Check:
    """Check that every policy of the workload is attached to its role (step 2 of the EKS User Guide)."""
    role, check = find_observed_role(workload, observed, "attachment")
    if role is None:
        return check
    missing = [
        arn for spec in workload.policies if (arn := observed.cluster.policy_arn(spec)) not in role.attached
    ]
    if not missing:
        return Check("attachment", PASS, str(len(workload.policies) or ""))
    findings = [
        not_attached(role, workload.key, arn)
        if workload.role is not None and workload.role.existing
        else Finding(
            Code.POLICY_NOT_ATTACHED,
            f"policy {arn} is not attached to role {role.arn}.",
            "Apply the workload, which attaches it.",
            workload.key,
        )
        for arn in missing
        # The check "version" reports a policy that does not exist.
        if observed.policies.get(arn) is not None or arn not in observed.policies
    ]
    return Check("attachment", FAIL, findings=tuple(findings))


def check_version(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Check that each policy exists, and that its default version is the right one (step 3 of the EKS User Guide).

    The check fails if only another version has the desired document. If no version has it, the check passes, because
    ``check_contents`` reports the difference. Return None for a workload without policies.
    """

    def check_policy_version(spec: PolicySpec) -> Check:
        arn = observed.cluster.policy_arn(spec)
        policy = observed.policies.get(arn)
        if policy is None:
            return conclude("version", _missing_policy(arn, spec, workload, observed))
        if arn in reads.other_versions and (finding := _document_differs(spec, policy, workload, reads)):
            return conclude("version", finding)
        return Check("version", PASS, policy.default_version)

    return _check_policies("version", workload, observed, check_policy_version)


def _missing_policy(arn: str, spec: PolicySpec, workload: Workload, observed: Observed) -> Finding:
    message = f"policy {arn} does not exist in account {observed.cluster.account_id}."
    remedy = "Apply the workload, which creates it."
    if spec.document is None:
        remedy = "Correct its ARN, or set name and document instead of arn to create the policy."
    if is_aws_managed(arn):
        message = f"AWS managed policy {arn} does not exist."
        remedy = "Correct its ARN. To list the AWS managed policies: aws iam list-policies --scope AWS"
    return Finding(Code.POLICY_MISSING, message, remedy, workload.key)


def check_contents(workload: Workload, observed: Observed, reads: VerificationReads) -> Check | None:
    """Check that the default version of each policy is equivalent to its desired document (step 4 of the EKS User Guide).

    Return None for a workload without policies.
    """

    def check_policy_contents(spec: PolicySpec) -> Check:
        arn = observed.cluster.policy_arn(spec)
        policy = observed.policies.get(arn)
        if spec.document is None:
            return Check("contents", PASS)
        if policy is None or policy.document is None:
            return Check("contents", FAIL)
        finding = _document_differs(spec, policy, workload, reads)
        return conclude("contents", finding) if finding is not None else Check("contents", PASS)

    return _check_policies("contents", workload, observed, check_policy_contents)


def _document_differs(
    spec: PolicySpec, policy: ObservedPolicy, workload: Workload, reads: VerificationReads
) -> Finding | None:
    """Return a finding if the default version of a policy is not equivalent to its desired document.

    The finding names another version of the policy that has the desired document.
    """
    if spec.document is None or policy.document is None or DOCUMENT.equals(policy.document, spec.document):
        return None
    arn, version = policy.arn, reads.other_versions.get(policy.arn)
    message, step = (
        (
            f"the default version {policy.default_version} of policy {arn} is not equivalent to the configured document.",
            "Check mode with diff shows the difference."
            + _adoption("policy", policy.tags is None or is_marked(policy.tags)),
        )
        if version is None
        else (
            f"the configured document is version {version} of policy {arn}, but its default version is "
            f"{policy.default_version}, which is not equivalent.",
            f"Or make version {version} the default: aws iam set-default-policy-version --policy-arn {arn} --version-id "
            f"{version}",
        )
    )
    remedy = f"Apply the workload, which creates a new default version. {step}"
    return Finding(Code.POLICY_CONTENTS_DIFFER, message, remedy, workload.key)


def _check_policies(
    name: CheckName, workload: Workload, observed: Observed, judge: Callable[[PolicySpec], Check]
) -> Check | None:
    if not workload.policies:
        return None
    checks = [
        conclude_unread(name, failure, workload.key)
        if (failure := observed.unread.get(policy_target(observed.cluster.policy_arn(spec)))) is not None
        else judge(spec)
        for spec in workload.policies
    ]
    return join_checks(name, checks)


_APPLY = "Apply the workload, which corrects it."


def _adoption(resource: str, is_owned: bool) -> str:
    if is_owned:
        return ""
    return f" The {resource} does not belong to the owner of this list, so the run needs ⟨adopt⟩: true."


def add_findings(check: Check, findings: Iterable[Finding]) -> Check:
    """Return the check with additional findings. Their severities can only make its status worse."""
    return join_checks(check.name, [check, *(conclude(check.name, finding) for finding in findings)])


def differences(present_fields: Mapping[str, object], desired_fields: Mapping[str, object]) -> list[str]:
    """Return a clause for each field that differs, like "description is 'a', not 'b'", and for each tag that differs.

    :arg present_fields: the present value of each field.
    :arg desired_fields: the desired values of the fields that differ.
    """
    texts = []
    for field, desired in desired_fields.items():
        present = present_fields.get(field)
        if field == "tags" and isinstance(desired, Mapping) and isinstance(present, Mapping):
            texts += differing_tags(present, desired)
        else:
            texts.append(f"{field} is {describe_value(present)}, not {describe_value(desired)}")
    return texts


def role_settings(workload: Workload, observed: Observed, owner: str) -> Iterator[Finding]:
    """Yield findings about the attributes and tags of a role that the workload defines.

    Yield nothing for a role that is missing or could not be read, because the check of the trust policy reports that.
    """
    spec = workload.role
    role = observed.roles.get(spec.name.lower()) if spec is not None else None
    if spec is None or spec.existing or role is None:
        return
    own = is_own(role.tags, owner)
    change = update_role(spec, role, Options(owner=owner), (workload.key,))
    present, desired = dict(change.before or {}) if change else {}, dict(change.after or {}) if change else {}
    if not own and "tags" in desired:
        # Without an adoption, the owner of the role stays.
        desired["tags"] = {**role.tags, **spec.tags}
    texts = differences(present, desired)
    limits_sessions = any(
        attribute.limits_sessions and attribute.name in desired for attribute in ROLE_SETTINGS
    )
    if spec.trust_policy is not None:
        denies = foreign_denies(role.trust, spec.trust_policy)
        statements = join_statements(denies, document_statements(spec.trust_policy))
        if not same_meaning(role.trust, {**spec.trust_policy, "Statement": statements}, "trust"):
            texts, limits_sessions = [*texts, "its trust policy is not role.trust_policy"], True
    if texts:
        yield Finding(
            Code.ROLE_SETTINGS_DIFFER,
            f"role {role.arn} differs from its configuration: {'; '.join(texts)}.",
            _APPLY + _adoption("role", own),
            workload.key,
            raised_as=None if limits_sessions else "warning",
        )
    present_names, names = ({"name": part.name, "path": part.path} for part in (role, spec))
    yield from _unchangeable(Code.ROLE_NAME_DIFFERS, ("role", role.arn, workload.key), present_names, names)


def policy_settings(workload: Workload, observed: Observed, owner: str) -> Iterator[Finding]:
    """Yield findings about the tags and the description of the policies that the workload defines."""
    for spec in workload.policies:
        policy = observed.policies.get(observed.cluster.policy_arn(spec))
        if spec.document is None or policy is None or policy.tags is None:
            continue
        own = is_own(policy.tags, owner)
        if texts := differences({"tags": policy.tags}, {"tags": spec.tags}):
            yield Finding(
                Code.POLICY_SETTINGS_DIFFER,
                f"policy {policy.arn} differs from its configuration: {'; '.join(texts)}.",
                _APPLY + _adoption("policy", own),
                workload.key,
            )
        # Source: iam CreatePolicy, "The policy description is immutable".
        parts = parse_policy_arn(policy.arn)
        present = {"name": policy.name, "path": parts.path if parts else spec.path}
        desired: dict[str, object] = {"name": spec.name, "path": spec.path}
        if own and spec.description is not None and policy.description is not None:
            present["description"], desired["description"] = policy.description, spec.description
        yield from _unchangeable(
            Code.POLICY_DESCRIPTION_DIFFERS, ("policy", policy.arn, workload.key), present, desired
        )


def _unchangeable(
    code: Code,
    subject: tuple[str, str, WorkloadKey],
    present: Mapping[str, str],
    desired: Mapping[str, object],
) -> Iterator[Finding]:
    """Yield a finding about each attribute that differs, and that IAM cannot change.

    :arg subject: the type and the ARN of the resource, and its workload.
    """
    kind, arn, key = subject
    for name in [name for name in desired if present[name] != desired[name]]:
        (text,) = differences(present, {name: desired[name]})
        step = f"Set the existing {name} ({present[name]})" if present[name] else f"Leave the {name} out"
        yield Finding(
            code,
            f"{kind} {arn} differs from its configuration: {text}. IAM cannot change the {name} of a {kind}.",
            f"{step}, or give the {kind} another name, so that a new {kind} is created.",
            key,
        )


def find_unmarked(workload: Workload, observed: Observed, matches: bool) -> Iterator[Finding]:
    """Yield one finding about the resources of a workload without the mark of this collection, if there are any.

    :arg matches: the association matches the list. Otherwise another finding has the remedy.
    """
    named, association = workload.role, observed.associations.get(workload.key)
    role = observed.roles.get(named.name.lower()) if named is not None and not named.existing else None
    subjects = [f"role {role.arn}"] if role is not None and not is_marked(role.tags) else []
    subjects += [
        f"policy {policy.arn}"
        for spec in workload.policies
        if spec.document is not None
        and (policy := observed.policies.get(observed.cluster.policy_arn(spec))) is not None
        if policy.tags is not None and not is_marked(policy.tags)
    ]
    if matches and association is not None and not association.owner_arn and not is_marked(association.tags):
        subjects.append(f"association {association.association_id} of {workload.key}")
    if subjects:
        yield Finding(
            Code.NOT_OWNED,
            f"without this collection's tag, teardown and purge keep {listed(subjects)}.",
            "To manage this with the collection, apply the workload with ⟨adopt⟩: true; check mode with diff shows the changes.",
            workload.key,
            raised_as="info",
        )


def check_association(workload: Workload, observed: Observed, reads: VerificationReads, owner: str) -> Check:
    """Check that the association exists and has the configured settings (step 5 of the EKS User Guide).

    Of several faults, only the first one is reported.
    """
    cluster = observed.cluster
    failure = observed.association_failure(workload.key)
    if failure is not None:
        return conclude_unread("association", failure, workload.key)
    association = observed.associations.get(workload.key)
    if association is None and has_foreign_role(workload, cluster):
        # EKS does not accept a role of another account. The check of the trust policy reports that role.
        return Check("association", FAIL)
    if association is None:
        return conclude(
            "association",
            Finding(
                Code.ASSOCIATION_MISSING,
                f"cluster {cluster.name} has no pod identity association for {workload.key} (account "
                f"{cluster.account_id}, region {cluster.region}).{_hint(workload.key, reads.associated)}",
                "Apply the workload, which creates it.",
                workload.key,
            ),
        )
    finding = _find_difference(workload, association, observed, owner)
    return conclude("association", finding) if finding is not None else Check("association", PASS)


def _hint(key: WorkloadKey, associated: Sequence[WorkloadKey]) -> str:
    """Return a sentence that names workloads with an association and a name similar to ``key``; "" if there are none."""
    same = [str(other) for other in associated if other.service_account == key.service_account]
    similar = difflib.get_close_matches(str(key), list(map(str, associated)), 3, 0.8)
    suggestions = list(dict.fromkeys([*same, *similar]))
    noun = "an association" if len(suggestions) == 1 else "associations"
    return f" The cluster has {noun} for {listed(suggestions)}." if suggestions else ""


def _find_difference(
    workload: Workload, association: ObservedAssociation, observed: Observed, owner: str
) -> Finding | None:
    role_arn = observed.cluster.role_arn(workload.role) if workload.role else association.role_arn
    subject = f"association {association.association_id} of {workload.key}"
    spec = workload.association
    if association.owner_arn:
        remedy = f"{_APPLY} An EKS add-on owns the association, so the run needs ⟨force⟩: true."
    else:
        remedy = _APPLY + _adoption("association", is_own(association.tags, owner))
    if association.role_arn != role_arn:
        return Finding(
            Code.ASSOCIATION_OTHER_ROLE,
            f"{subject} names role {association.role_arn}, not {role_arn}.",
            f"{remedy} Running Pods use the former role for up to six hours, unless they are recreated.",
            workload.key,
        )
    present, desired = compare(ASSOCIATION_SETTINGS, spec, association)
    if TARGET_ROLE.name in desired:
        return Finding(
            Code.ASSOCIATION_OTHER_ROLE,
            f"{subject} has the target role {association.target_role_arn or '(none)'}, not "
            f"{spec.target_role_arn or '(none)'}.",
            remedy,
            workload.key,
        )
    if desired:
        return _settings_differ(subject, differences(present, desired), remedy, workload.key)
    if extra := find_extra_settings(workload, observed, owner):
        return extra[0]
    if association.owner_arn:
        return Finding(
            Code.ASSOCIATION_OWNED_BY_ADDON,
            f"{subject} is owned by the EKS add-on {association.owner_arn}.",
            "Manage its role in the add-on's podIdentityAssociations.",
            workload.key,
        )
    if texts := differences({"tags": association.tags}, {"tags": spec.tags}):
        return replace(_settings_differ(subject, texts, remedy, workload.key), raised_as="warning")
    return None


def _settings_differ(subject: str, texts: Sequence[str], remedy: str, key: WorkloadKey) -> Finding:
    return Finding(
        Code.ASSOCIATION_SETTINGS_DIFFER,
        f"{subject} differs from its configuration: {'; '.join(texts)}.",
        remedy,
        key,
    )
