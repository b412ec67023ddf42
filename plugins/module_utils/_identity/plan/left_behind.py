# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Report roles and policies that were created here, and that no workload of the list needs any more. Pure.

A run without purge leaves them. Only those that a purge would remove are reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.statements import TrustGrant, read_grants
from ..model.changes import Change
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import listed
from ..model.names import CLUSTER_TAG, is_of_another, parse_role_arn
from ..model.observed import Observed, ObservedPolicy, ObservedRole, is_new, users_of
from ..model.shared import shared_policies
from ..model.targets import association_target
from .purge import PurgeScope, is_orphan, tied_cluster
from .unlisted import SHOWN, describe_place

_Users = Mapping[str, frozenset[WorkloadKey]]
_PURGE = "run for this cluster alone with ⟨purge⟩: true"


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Return what the ``changes`` of a run leave behind, and the roles without workload that its reads have shown."""
    if desired.options.purge:
        return []
    scope = PurgeScope(desired.options.owner)
    users = _users(observed)
    return [
        *_left_roles(observed, scope, users, changes),
        *_left_policies(desired, observed, changes),
        *_unused_roles(observed, scope, users),
    ]


def _users(observed: Observed) -> _Users:
    """Return, by the ARN of a role in lower case, the workloads whose associations are known to use it."""
    described = {
        key: association
        for unlisted in observed.unlisted.values()
        for key, association in unlisted.described.items()
    }
    users = users_of({**described, **observed.associations})
    return {arn: frozenset(keys) for arn, keys in users.items()}


def _left_roles(
    observed: Observed, scope: PurgeScope, users: _Users, changes: Sequence[Change]
) -> list[Finding]:
    """Return a finding for each role that associations have left."""
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str) and change.after:
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    findings = []
    for arn, keys in sorted(moved.items()):
        parts = parse_role_arn(arn)
        role = observed.unlisted_roles.get(parts.name) if parts is not None else None
        if role is None or users.get(arn, frozenset()) - set(keys):
            continue
        if role.owned and is_orphan(role, observed.cluster_of(keys[0]), scope):
            findings.append(_left_role(role, keys))
    return findings


def _left_role(role: ObservedRole, keys: Sequence[WorkloadKey]) -> Finding:
    return Finding(
        Code.ROLE_LEFT,
        f"role {role.arn} was created here and is left by {listed(map(str, keys), SHOWN)}. It stays, with its trust policy and "
        "its policies.",
        f"Restart the Pods that may still hold its credentials. A later {_PURGE} removes it, where nothing else uses it.",
        keys[0],
    )


def _left_policies(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Return a finding for each policy that has been detached, and that nothing has attached any more."""
    attachments = [change for change in changes if change.target.resource == "attachment"]
    detached: dict[str, list[Change]] = {}
    for change in attachments:
        if change.before:
            detached.setdefault(str(change.before["policy"]), []).append(change)
    joined = Counter(str(change.after["policy"]) for change in attachments if change.after)
    wanted = shared_policies(observed.account, desired.workloads)
    findings = []
    for arn, leavers in sorted(detached.items()):
        policy = observed.policies.get(arn)
        if policy is None or arn in wanted or joined[arn] or policy.user_count != len(leavers):
            continue
        if policy.owned and not is_of_another(policy.tags or {}, desired.options.owner):
            findings.append(_left_policy(observed, policy, leavers[0].workloads[0]))
    return findings


def _left_policy(observed: Observed, policy: ObservedPolicy, key: WorkloadKey) -> Finding:
    arn = (policy.tags or {}).get(CLUSTER_TAG, "")
    here = observed.clusters.with_arn(arn)
    if here is not None and here.key == key.cluster:
        remedy = f"A {_PURGE} deletes it."
    else:
        other = f", or purge cluster {arn}, for which it was created" if arn else ""
        remedy = f"Delete it{other}: aws iam delete-policy --policy-arn {policy.arn}"
    return Finding(
        Code.POLICY_LEFT,
        f"policy {policy.arn} was created here, and nothing has it attached any more: it stays in IAM.",
        remedy,
        key,
    )


def _unused_roles(observed: Observed, scope: PurgeScope, users: _Users) -> list[Finding]:
    """Return at most one finding for each cluster."""
    names: dict[str, list[str]] = {}
    for role in observed.unlisted_roles.values():
        if not role.owned or role.arn.lower() in users:
            continue
        cluster = observed.clusters.with_arn(tied_cluster(role))
        if cluster is None or is_new(role.created_at, observed.account.answered_at):
            continue
        grants, _others = read_grants(role.trust)
        if scope.includes(role.tags, ()) and all(_is_unused(grant, cluster, observed) for grant in grants):
            names.setdefault(cluster.key, []).append(role.name)
    clusters = observed.clusters.members
    return [_unused(cluster, sorted(names[key])) for key, cluster in clusters.items() if key in names]


def _is_unused(grant: TrustGrant, cluster: Cluster, observed: Observed) -> bool:
    """Return whether all associations that a grant allows are known. None that is known uses the role."""
    unlisted = observed.unlisted.get(cluster.key)
    if unlisted is None:
        return False
    if not grant.service_account:
        return not (unlisted.more or unlisted.addons or set(unlisted.keys) - unlisted.described.keys())
    key = WorkloadKey(cluster.key, grant.namespace, grant.service_account)
    if key in observed.associations or key in unlisted.described:
        return True
    return not (unlisted.more or key in unlisted or association_target(key) in observed.unread)


def _unused(cluster: Cluster, names: Sequence[str]) -> Finding:
    count = f"{len(names)} role{'' if len(names) == 1 else 's'}"
    return Finding(
        Code.ROLE_LEFT,
        f"no workload of {describe_place(cluster)} uses {count} created here for it: {listed(names, SHOWN)}.",
        f"A {_PURGE} removes what nothing uses; its check mode shows what goes.",
        raised_as="warning",
        cluster=cluster.key,
    )
