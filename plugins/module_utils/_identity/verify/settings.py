# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Beside the confirmations: have role, policies and association the attributes, tags and marks asked for? Pure.

What is compared is what a run would change, by the same code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import compare_tags, tags_after, without_owner
from ..model.checks import Check, conclude, join_checks
from ..model.desired import Options, Workload
from ..model.names import OWNER_TAG, lacks_owner
from ..model.observed import Observed, ObservedPolicy, ObservedRole
from ..model.targets import Target, policy_target, role_target
from ..plan.roles import update_role

# What else is only a matter of order: tags, and the description.
_WEIGHTY = frozenset(("max_session_duration", "permissions_boundary"))
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
                f"tag {key} is {shown(present.get(key))}, not {shown(value)}"
                for key, value in wanted.items()
                if present.get(key) != value
            ]
        else:
            texts.append(f"{field} is {shown(present)}, not {shown(wanted)}")
    return texts


def shown(value: object) -> str:
    return (
        "(none)" if value in (None, "", {}) else str(value).lower() if isinstance(value, bool) else str(value)
    )


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
        yield unmarked(f"role {role.arn}", workload.key)
    if after:
        yield _role_differs(role, differences(before, after), bool(_WEIGHTY & set(after)), workload.key)


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
            yield unmarked(f"policy {policy.arn}", workload.key)
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


def unmarked(what: str, key: WorkloadKey) -> Finding:
    return Finding(
        Code.NOT_MARKED,
        f"{what} is not marked as made here, so that teardown and purge leave it.",
        "Apply the workload with ⟨adopt⟩: true, if it is to be managed here; check mode with diff shows what would change.",
        key,
    )
