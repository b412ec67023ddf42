# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Plan the removal of workloads: only what is ours, and nothing that is still used. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..._findings.codes import Code
from ..._findings.key import WorkloadKey
from ..model.changes import Call, Change, Draft, Plan
from ..model.desired import Desired, Options
from ..model.findings import Finding
from ..model.observed import Observed, ObservedPolicy, ObservedRole, ReadFailure
from ..model.shared import SharedRole, read_failure, shared_policies, shared_roles, unread_targets
from ..model.targets import Target, association_target, policy_target, role_target
from . import retained, roles, trust
from .associations import addon_owned, delete_association
from .present import without_failed

# Whether a policy that nothing needs any more may go.
Takes = Callable[[ObservedPolicy], bool]

ASSOCIATION_STAGE = 1
DETACHMENT_STAGE = 2
ROLE_STAGE = 3
POLICY_STAGE = 4


@dataclass(frozen=True, slots=True)
class _Removal:
    """What is known once the associations have been planned.

    ``going`` are the workloads whose associations this plan deletes, ``listed`` all that it is about.
    ``takes`` is given for a purge. ``freed`` says, by the ARN of a policy, which roles let go of it and by
    which change.
    """

    observed: Observed
    options: Options
    listed: frozenset[WorkloadKey]
    going: frozenset[WorkloadKey]
    unread: tuple[ReadFailure, ...]
    takes: Takes | None
    freed: dict[str, dict[str, set[Target]]] = field(default_factory=dict)

    def free(self, arn: str, role_name: str, change: Target) -> None:
        self.freed.setdefault(arn, {}).setdefault(f"role {role_name}", set()).add(change)


def make_removal_plan(desired: Desired, observed: Observed, takes: Takes | None = None) -> Plan:
    """Associations first, then attachments, roles and policies, each only if it is ours and free.

    With ``takes`` it is a purge: nobody listed what is to go, and ``takes`` says which policies may.
    """
    draft = Draft()
    unread = unread_targets(observed.failures)
    listed = frozenset(workload.key for workload in desired.workloads)
    removal = _Removal(
        observed,
        desired.options,
        listed,
        frozenset(_plan_associations(draft, desired, observed, listed)),
        tuple(failure for failure in observed.failures if failure.target.resource == "association"),
        takes,
    )
    if desired.workloads and not observed.cluster.status:
        draft.findings.append(retained.cluster_missing(observed.cluster))
    for role in shared_roles(observed.cluster, desired.workloads):
        if failure := unread.get(role_target(role.spec.name.lower())):
            draft.failures.append(read_failure(failure, role.keys))
            continue
        found = observed.roles.get(role.spec.name.lower())
        if found is not None and (not role.spec.existing or found.arn == role.spec.arn):
            _plan_role(draft, removal, role, found)
    for arn, (spec, users) in shared_policies(observed.cluster, desired.workloads).items():
        if failure := unread.get(policy_target(arn)):
            draft.failures.append(read_failure(failure, users))
            continue
        policy = observed.policies.get(arn)
        if policy is not None and spec.document is not None and (takes is None or takes(policy)):
            _plan_policy(draft, policy, users, removal.freed.get(arn, {}))
    return without_failed(draft.plan())


def _plan_associations(
    draft: Draft, desired: Desired, observed: Observed, listed: frozenset[WorkloadKey]
) -> list[WorkloadKey]:
    """The keys of the associations that this plan deletes."""
    cluster = observed.cluster
    going = []
    keys = {association_target(key): key for key in listed}
    for failure in observed.failures:
        if failure.target.resource == "associations":
            draft.failures.append(read_failure(failure, tuple(sorted(listed))))
        elif failure.target in keys:
            draft.failures.append(read_failure(failure, (keys[failure.target],)))
    for workload in desired.workloads:
        found = observed.associations.get(workload.key)
        if found is None:
            continue
        if found.owner_arn and not desired.options.force:
            draft.failures.append(addon_owned(cluster.name, found, "delete"))
        elif not found.owned and not desired.options.force:
            draft.findings.append(
                Finding(
                    Code.ASSOCIATION_NOT_OWNED,
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


def _plan_role(draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole) -> None:
    """Let go of what is attached, delete the role, or at least take our statement out of its trust."""
    part = Draft()
    users = _users(removal, found)
    unsure = not users and _perhaps_used(removal, role, found)
    deleted = not users and not unsure and _may_delete(part, removal, role, found)
    if users and found.owned and not role.spec.existing:
        part.findings.append(retained.still_used("role", found.arn, role.keys, users))
    if unsure:
        part.findings.append(retained.perhaps_used(removal.observed.cluster, found, role.keys))
    elif not users:
        _plan_detachments(part, removal, role, found, deleted)
    if role.spec.existing:
        _note_attached(part, removal, role, found)
    if deleted:
        part.changes.append(_delete_role(part, removal, role, found))
    else:
        _plan_trust(part, removal, role, found)
    if part.changes and removal.unread:
        draft.failures.append(retained.maybe_used(removal.unread[0], role, found))
        return
    for change in part.changes:
        target = change.target
        if target.resource == "attachment" and (deleted or target.policy_arn != found.permissions_boundary):
            removal.free(target.policy_arn, found.name, target)
        elif target.resource == "role" and found.permissions_boundary:
            removal.free(found.permissions_boundary, found.name, target)
    draft.changes += part.changes
    draft.findings += part.findings


def _users(removal: _Removal, found: ObservedRole) -> list[str]:
    """Who still uses a role once the workloads are gone: in this cluster, and by our grants elsewhere."""
    cluster = removal.observed.cluster
    keys = removal.observed.role_users.get(found.arn, ())
    here = [f"{cluster.name} {key}" for key in keys if key not in removal.going]
    return here + trust.granted_elsewhere(cluster, found.trust)


def _perhaps_used(removal: _Removal, role: SharedRole, found: ObservedRole) -> bool:
    """Whether others may use the role who cannot be seen, where nobody named it to be removed, or the
    cluster that was named is not there."""
    cluster = removal.observed.cluster
    if not found.owned or role.spec.existing or removal.options.force:
        return False
    return (not cluster.status or removal.takes is not None) and not trust.tied_to(cluster, found.trust)


def _may_delete(draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole) -> bool:
    """Whether nobody uses the role is known by now; here is asked what it is and what it holds."""
    if not found.owned or role.spec.existing:
        return False
    foreign = [arn for arn in found.attached if not _may_detach(removal.observed, role, found, arn)]
    kept = [*found.inline, *foreign, *found.instance_profiles]
    if kept:
        draft.findings.append(retained.role_holds(found, role.keys, kept))
        return False
    return True


def _plan_detachments(
    draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole, deleted: bool
) -> None:
    for arn in found.attached:
        ours = _owned(removal.observed, arn) and (not role.spec.existing or arn in role.policy_users)
        if ours or deleted:
            needs = _associations(removal, role)
            draft.changes.append(roles.detach(DETACHMENT_STAGE, found.name, arn, role.keys, needs))


def _note_attached(draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole) -> None:
    for arn, keys in role.policy_users.items():
        if arn in found.attached and not _owned(removal.observed, arn):
            draft.findings.append(retained.stays_attached(found, keys[0], arn))


def _plan_trust(draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole) -> None:
    """Our grants to workloads go, except to those whose association stays and names this role."""
    cluster = removal.observed.cluster
    staying = frozenset(
        key for key in removal.observed.role_users.get(found.arn, ()) if key not in removal.going
    )
    narrowed = trust.without(cluster, found.trust, removal.listed - staying, staying)
    if narrowed is not None and narrowed.get("Statement"):
        needs = _associations(removal, role)
        change = roles.update_trust(found, narrowed, role.keys, needs)
        if change is not None:
            draft.changes.append(change)
    elif role.spec.extend_trust and (
        narrowed is not None or trust.still_granted(cluster, found.trust, removal.listed)
    ):
        draft.findings.append(retained.statement_stays(found, role.keys))


def _may_detach(observed: Observed, role: SharedRole, found: ObservedRole, arn: str) -> bool:
    """Never detach what we did not attach: what is listed for our role, or a policy of ours."""
    listed = found.owned and not role.spec.existing and arn in role.policy_users
    return listed or _owned(observed, arn)


def _owned(observed: Observed, arn: str) -> bool:
    policy = observed.policies.get(arn)
    return policy is not None and policy.owned


def _associations(removal: _Removal, role: SharedRole) -> frozenset[Target]:
    """The deletions of associations that come before anything is taken from their role."""
    return frozenset(association_target(key) for key in role.keys if key in removal.going)


def _delete_role(draft: Draft, removal: _Removal, role: SharedRole, found: ObservedRole) -> Change:
    before: dict[str, object] = {
        "arn": found.arn,
        "trust_policy": found.trust,
        "tags": dict(found.tags),
    }
    if found.description:
        before["description"] = found.description
    needs = _associations(removal, role) | {change.target for change in draft.changes}
    call = Call("iam", "DeleteRole", {"RoleName": found.name})
    return Change(ROLE_STAGE, role_target(found.name), "delete", role.keys, before, None, (call,), needs)


def _plan_policy(
    draft: Draft,
    policy: ObservedPolicy,
    users: tuple[WorkloadKey, ...],
    freed: Mapping[str, Iterable[Target]],
) -> None:
    if not policy.owned:
        return
    others = [entity for entity in policy.attached_to if entity not in freed]
    if others:
        draft.findings.append(retained.still_used("policy", policy.arn, users, others))
        return
    identity = {"PolicyArn": policy.arn}
    calls = [
        Call("iam", "DeletePolicyVersion", {**identity, "VersionId": version.version_id})
        for version in policy.versions
        if not version.is_default
    ]
    calls.append(Call("iam", "DeletePolicy", identity))
    needs = frozenset(change for changes in freed.values() for change in changes)
    before = {"arn": policy.arn, "tags": dict(policy.tags or {})}
    draft.changes.append(
        Change(POLICY_STAGE, policy_target(policy.arn), "delete", users, before, None, tuple(calls), needs)
    )
