# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the removal of workloads: only what is ours, and nothing that is still used. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.workload_identity.aws.plugins.module_utils._identity import plan_role, trust
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.change import (
    Call,
    Change,
    Draft,
    Finding,
    Plan,
    label,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model import (
    Cluster,
    Desired,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.observed import (
    Observed,
    ObservedPolicy,
    ObservedRole,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan import (
    SharedRole,
    read_failure,
    shared_policies,
    shared_roles,
    unread_resources,
    without_failed,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan_association import (
    addon_owned,
    delete_association,
)

ASSOCIATION_STAGE = 1
DETACHMENT_STAGE = 2
ROLE_STAGE = 3
POLICY_STAGE = 4


def make_removal_plan(desired: Desired, observed: Observed) -> Plan:
    """Associations first, then attachments, roles and policies, each only if it is ours and free."""
    draft = Draft()
    unread = unread_resources(observed.failures)
    listed = frozenset(workload.key for workload in desired.workloads)
    going = frozenset(_plan_associations(draft, desired, observed, listed))
    detached: dict[str, set[str]] = {}
    for role in shared_roles(observed.cluster, desired.workloads):
        if failure := unread.get(("role", role.spec.name.lower())):
            draft.failures.append(read_failure(failure, role.keys))
            continue
        found = observed.roles.get(role.spec.name.lower())
        if found is not None and (not role.spec.existing or found.arn == role.spec.arn):
            _plan_role(draft, observed, role, found, going, listed, detached)
    for arn, (spec, users) in shared_policies(observed.cluster, desired.workloads).items():
        if failure := unread.get(("policy", arn)):
            draft.failures.append(read_failure(failure, tuple(users)))
            continue
        policy = observed.policies.get(arn)
        if policy is not None and spec.document is not None:
            _plan_policy(draft, policy, users, detached.get(arn, set()))
    return without_failed(draft.plan())


def _plan_associations(
    draft: Draft, desired: Desired, observed: Observed, listed: frozenset[WorkloadKey]
) -> list[WorkloadKey]:
    """The keys of the associations that this plan deletes."""
    cluster = observed.cluster
    going = []
    for failure in observed.failures:
        if failure.resource == "associations":
            draft.failures.append(read_failure(failure, tuple(sorted(listed))))
        elif failure.resource == "association":
            key = WorkloadKey(*failure.name.split("/", 1))
            draft.failures.append(read_failure(failure, (key,)))
    for workload in desired.workloads:
        found = observed.associations.get(workload.key)
        if found is None:
            continue
        if found.owner_arn and not desired.options.force:
            draft.failures.append(addon_owned(cluster.name, found, "delete"))
        elif not found.owned and not desired.options.force:
            draft.findings.append(
                Finding(
                    "ASSOCIATION_NOT_OWNED",
                    "warning",
                    workload.key,
                    f"association {found.association_id} was not made by this collection and stays.",
                    "Delete it with workload_identity.aws.eks_pod_identity_association, or set force: true.",
                )
            )
        else:
            draft.changes.append(delete_association(ASSOCIATION_STAGE, cluster.name, found))
            going.append(workload.key)
    return going


def _plan_role(
    draft: Draft,
    observed: Observed,
    role: SharedRole,
    found: ObservedRole,
    going: frozenset[WorkloadKey],
    listed: frozenset[WorkloadKey],
    detached: dict[str, set[str]],
) -> None:
    cluster, keys = observed.cluster, role.keys
    users = _users(cluster, observed, found, going)
    foreign = [arn for arn in found.attached if not _may_detach(observed, role, found, arn)]
    deleted = False
    if users:
        if found.owned:
            draft.findings.append(_still_used("role", found.arn, keys, users))
    elif found.owned and not role.spec.existing:
        kept = [*found.inline, *foreign, *found.instance_profiles]
        if kept:
            draft.findings.append(_role_holds(found, keys, kept))
        else:
            deleted = True
    if not users:
        for arn in found.attached:
            if arn in foreign or (not deleted and not _owned(observed, arn)):
                continue
            draft.changes.append(plan_role.detach(DETACHMENT_STAGE, found.name, arn, keys))
            detached.setdefault(arn, set()).add(f"role {found.name}")
    if deleted:
        draft.changes.append(_delete_role(draft, found, keys))
        return
    narrowed = trust.without(cluster, found.trust, listed)
    if narrowed is not None and narrowed.get("Statement"):
        change = plan_role.update_trust(found, narrowed, keys)
        if change is not None:
            draft.changes.append(change)


def _users(
    cluster: Cluster, observed: Observed, found: ObservedRole, going: frozenset[WorkloadKey]
) -> list[str]:
    here = [f"{cluster.name} {key}" for key in observed.role_users.get(found.arn, ()) if key not in going]
    elsewhere = trust.granted_elsewhere(cluster, found.trust) if found.owned else []
    return here + elsewhere


def _may_detach(observed: Observed, role: SharedRole, found: ObservedRole, arn: str) -> bool:
    """Never detach what we did not attach: what is listed for our role, or a policy of ours."""
    listed = found.owned and not role.spec.existing and arn in role.policy_arns
    return listed or _owned(observed, arn)


def _owned(observed: Observed, arn: str) -> bool:
    policy = observed.policies.get(arn)
    return policy is not None and policy.owned


def _delete_role(draft: Draft, found: ObservedRole, keys: tuple[WorkloadKey, ...]) -> Change:
    before: dict[str, object] = {
        "arn": found.arn,
        "trust_policy": found.trust,
        "tags": dict(found.tags),
    }
    if found.description:
        before["description"] = found.description
    needs = frozenset(
        change.label
        for change in draft.changes
        if set(change.workloads) & set(keys) and change.stage < ROLE_STAGE
    )
    call = Call("iam", "DeleteRole", {"RoleName": found.name})
    return Change(ROLE_STAGE, "role", "delete", found.name, keys, before, None, (call,), needs)


def _plan_policy(
    draft: Draft, policy: ObservedPolicy, users: Sequence[WorkloadKey], detached: set[str]
) -> None:
    keys = tuple(users)
    if not policy.owned:
        return
    others = [entity for entity in policy.attached_to if entity not in detached]
    if others:
        draft.findings.append(_still_used("policy", policy.arn, keys, others))
        return
    identity = {"PolicyArn": policy.arn}
    calls = [
        Call("iam", "DeletePolicyVersion", {**identity, "VersionId": version.version_id})
        for version in policy.versions
        if not version.is_default
    ]
    calls.append(Call("iam", "DeletePolicy", identity))
    needs = frozenset(label("attachment", f"{role.removeprefix('role ')} {policy.arn}") for role in detached)
    before = {"arn": policy.arn, "tags": dict(policy.tags)}
    draft.changes.append(
        Change(POLICY_STAGE, "policy", "delete", policy.arn, keys, before, None, tuple(calls), needs)
    )


def _still_used(kind: str, arn: str, keys: tuple[WorkloadKey, ...], users: Sequence[str]) -> Finding:
    shown = ", ".join(users[:10]) + (f" and {len(users) - 10} more" if len(users) > 10 else "")
    return Finding(
        f"{kind.upper()}_STILL_USED",
        "warning",
        keys[0],
        f"{kind} {arn} stays: it is still used by {shown}.",
        "Remove those first, then run again.",
    )


def _role_holds(found: ObservedRole, keys: tuple[WorkloadKey, ...], kept: Sequence[str]) -> Finding:
    return Finding(
        "ROLE_HOLDS_FOREIGN",
        "warning",
        keys[0],
        f"role {found.arn} stays: it holds what this collection did not put there ({', '.join(kept)}).",
        "Detach or delete those, then run again.",
    )
