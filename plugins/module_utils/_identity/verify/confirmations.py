# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Confirmations 2 to 5: policies and association exist, have the requested contents, and are attached. Pure.

Beside them: attributes, tags and marks of role, policies and association. The comparison is that of a run, by the same
code.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.associations import ASSOCIATION_SETTINGS, TARGET_ROLE, ObservedAssociation
from ..model.attributes import compare, describe_value, split_states
from ..model.changes import compare_tags, tags_after, without_owner
from ..model.checks import FAIL, PASS, Check, conclude, conclude_unread, find_read_failure, join_checks
from ..model.desired import Options, Workload
from ..model.errors import listed
from ..model.names import OWNER_TAG, is_aws_managed, lacks_owner
from ..model.observed import Observed, VerificationReads
from ..model.policies import DOCUMENT, ObservedPolicy, PolicySpec
from ..model.roles import ROLE_SETTINGS, ObservedRole
from ..model.targets import Target, association_target, associations_target, policy_target, role_target
from ..plan.associations import find_extra_settings
from ..plan.roles import update_role
from ..plan.trust import is_shut_out
from .trust import find_observed_role, has_foreign_role


def check_attachment(workload: Workload, observed: Observed) -> Check:
    """Confirmation 2: every policy that was asked for is attached to the role."""
    role, end = find_observed_role(workload, observed, "attachment")
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
        if DOCUMENT.equals(policy.document, spec.document):
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
    if DOCUMENT.equals(policy.document, spec.document):
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


_APPLY = "Apply the workload, which corrects it."


def with_settings(check: Check, findings: Iterable[Finding]) -> Check:
    """A check together with what its settings say."""
    others = [conclude(check.name, finding) for finding in findings]
    return join_checks(check.name, [check, *others]) if others else check


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """Like "description is 'a', not 'b'", for each field that a change would alter; tags one by one."""
    texts = []
    for field, wanted in after.items():
        present = before.get(field)
        if field == "tags" and isinstance(wanted, Mapping) and isinstance(present, Mapping):
            texts += [
                f"tag {key} is {describe_value(present.get(key))}, not {describe_value(value)}"
                for key, value in wanted.items()
                if present.get(key) != value
            ]
        else:
            texts.append(f"{field} is {describe_value(present)}, not {describe_value(wanted)}")
    return texts


def _limits_sessions(after: Mapping[str, object]) -> bool:
    """Return whether sessions of the role depend on what a change alters. The description and tags are only a matter of order."""
    return any(attribute.limits_sessions and attribute.name in after for attribute in ROLE_SETTINGS)


def role_settings(workload: Workload, observed: Observed) -> Iterator[Finding]:
    """That the role could not be read, or is not there, is a finding of another check."""
    spec = workload.role
    role = observed.roles.get(spec.name.lower()) if spec is not None else None
    if spec is None or spec.existing or role is None or role.arn != observed.account.role_arn(spec):
        return
    if lacks_owner(role.tags, spec.tags):
        yield _without_owner(role_target(role.name), spec.tags, workload.key)
        spec = replace(spec, tags=without_owner(spec.tags))
    change = update_role(spec, role, Options(), (workload.key,))
    before, after = dict(change.before or {}) if change else {}, dict(change.after or {}) if change else {}
    if not role.owned:
        # A role of others is used as it is, its tags too.
        after.pop("tags", None)
        yield _unmarked(f"role {role.arn}", workload.key)
    if after:
        yield _role_differs(role, differences(before, after), _limits_sessions(after), workload.key)


def _role_differs(role: ObservedRole, texts: Sequence[str], weighty: bool, key: WorkloadKey) -> Finding:
    return Finding(
        Code.ROLE_SETTINGS_DIFFER,
        f"role {role.arn} is not as asked for: {', '.join(texts)}.",
        _APPLY if role.owned else f"{_APPLY} The role was not made here, so that takes ⟨adopt⟩: true.",
        key,
        raised_as=None if weighty else "warning",
    )


def policy_settings(workload: Workload, observed: Observed) -> Iterator[Finding]:
    for spec in workload.policies:
        policy = observed.policies.get(observed.account.policy_arn(spec))
        if spec.document is None or policy is None or policy.tags is None:
            continue
        if not policy.owned:
            yield _unmarked(f"policy {policy.arn}", workload.key)
            continue
        wanted = spec.tags
        if lacks_owner(policy.tags, wanted):
            yield _without_owner(policy_target(policy.arn), wanted, workload.key)
            wanted = without_owner(wanted)
        if texts := _tag_texts(policy, wanted):
            yield Finding(
                Code.POLICY_SETTINGS_DIFFER,
                f"policy {policy.arn} is not as asked for: {', '.join(texts)}.",
                _APPLY,
                workload.key,
            )
        if spec.description is not None and policy.description not in (None, spec.description):
            yield _described(policy, policy.description or "", spec.description, workload.key)


def _described(policy: ObservedPolicy, present: str, wanted: str, key: WorkloadKey) -> Finding:
    """Source: iam CreatePolicy, "The policy description is immutable"."""
    (text,) = differences({"description": present}, {"description": wanted})
    has = f"ask for the description that it has ({present})" if present else "leave the description out"
    return Finding(
        Code.POLICY_DESCRIPTION_DIFFERS,
        f"policy {policy.arn} is not as asked for: {text}. IAM cannot change it: a policy keeps the description with which it "
        "was created.",
        f"{has[0].upper()}{has[1:]}, or give the policy another name, under which it is created anew.",
        key,
    )


def _tag_texts(policy: ObservedPolicy, wanted: Mapping[str, str]) -> list[str]:
    present = policy.tags or {}
    return differences({"tags": present}, {"tags": tags_after(present, compare_tags(present, wanted, False))})


def _without_owner(target: Target, wanted: Mapping[str, str], key: WorkloadKey) -> Finding:
    return Finding(
        Code.OWNER_NOT_SET,
        f"{target.display} does not have the tag {OWNER_TAG}: {wanted[OWNER_TAG]}, nor another owner.",
        "Apply the workload, which sets the tag unless others use it as well.",
        key,
    )


def _unmarked(what: str, key: WorkloadKey) -> Finding:
    return Finding(
        Code.NOT_MARKED,
        f"{what} is not marked as made here, so that teardown and purge leave it.",
        "Apply the workload with ⟨adopt⟩: true, if it is to be managed here; check mode with diff shows what would change.",
        key,
    )


ASSOCIATION_CHECK = "association"


def check_association(workload: Workload, observed: Observed, reads: VerificationReads) -> Check:
    """One finding, for the first thing that is wrong with it."""
    cluster = observed.cluster_of(workload.key)
    failure = find_read_failure(observed, associations_target(cluster.key)) or find_read_failure(
        observed, association_target(workload.key)
    )
    if failure is not None:
        return conclude_unread(ASSOCIATION_CHECK, failure, workload.key)
    association = observed.associations.get(workload.key)
    if association is None and has_foreign_role(workload, cluster.account):
        # That the role is of another account is a finding of another check.
        return Check(ASSOCIATION_CHECK, FAIL)
    if association is None:
        return conclude(
            ASSOCIATION_CHECK,
            Finding(
                Code.ASSOCIATION_MISSING,
                f"cluster {cluster.name} has no pod identity association for {workload.key} (account "
                f"{cluster.account_id}, region {cluster.region}).{_hint(workload.key, reads.others)}",
                "Apply the workload, which creates it.",
                workload.key,
            ),
        )
    role_arn = observed.account.role_arn(workload.role) if workload.role else association.role_arn
    role = observed.roles.get(workload.role.name.lower()) if workload.role is not None else None
    shut_out = is_shut_out(workload, association, role, observed.clusters)
    finding = _find_difference(workload, association, role_arn, shut_out)
    return conclude(ASSOCIATION_CHECK, finding) if finding is not None else Check(ASSOCIATION_CHECK, PASS)


def _hint(key: WorkloadKey, others: Sequence[WorkloadKey]) -> str:
    """Others that may have been meant: the same service account elsewhere, and similar names."""
    same = [str(other) for other in others if other.service_account == key.service_account]
    similar = difflib.get_close_matches(str(key), list(map(str, others)), 3, 0.8)
    near = list(dict.fromkeys([*same, *similar]))
    return f" It has one for {listed(near)}." if near else ""


def _find_difference(
    workload: Workload, association: ObservedAssociation, role_arn: str, shut_out: bool
) -> Finding | None:
    subject = f"association {association.association_id} of {workload.key}"
    spec = workload.association
    if association.role_arn != role_arn:
        return Finding(
            Code.ASSOCIATION_OTHER_ROLE,
            f"{subject} names role {association.role_arn}, not {role_arn}.",
            "Apply the workload, which corrects it; Pods see the change after up to six hours, or at once "
            "when they are recreated.",
            workload.key,
        )
    differing = compare(ASSOCIATION_SETTINGS, spec, association)
    if any(difference.attribute == TARGET_ROLE for difference in differing):
        return Finding(
            Code.ASSOCIATION_OTHER_TARGET_ROLE,
            f"{subject} has the target role {association.target_role_arn or '(none)'}, not "
            f"{spec.target_role_arn or '(none)'}.",
            "Apply the workload, which corrects it.",
            workload.key,
        )
    if differing:
        return _settings_differ(subject, differences(*split_states(differing)), workload.key)
    extra = find_extra_settings(spec, association, shut_out)
    if extra is not None:
        return extra
    if association.owner_arn:
        return Finding(
            Code.ASSOCIATION_OWNED_BY_ADDON,
            f"{subject} is owned by the EKS add-on {association.owner_arn}.",
            "Manage its role in the add-on's podIdentityAssociations.",
            workload.key,
        )
    if not association.owned:
        return _unmarked(subject, workload.key)
    change = compare_tags(association.tags, spec.tags, False)
    if change:
        after = tags_after(association.tags, change)
        texts = differences({"tags": association.tags}, {"tags": after})
        return replace(_settings_differ(subject, texts, workload.key), raised_as="warning")
    return None


def _settings_differ(subject: str, texts: Sequence[str], key: WorkloadKey) -> Finding:
    return Finding(
        Code.ASSOCIATION_SETTINGS_DIFFER,
        f"{subject} is not as asked for: {', '.join(texts)}.",
        "Apply the workload, which corrects it.",
        key,
    )
