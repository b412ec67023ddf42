# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Report managed roles and policies that a run without purge leaves unused. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..model.changes import Change
from ..model.desired import Desired
from ..model.errors import as_clause, listed
from ..model.names import CLUSTER_TAG, is_own, parse_role_arn
from ..model.observed import Observed
from ..model.policies import ObservedPolicy
from ..model.shared import shared_policies

_SHOWN = 10
_PURGE = "run for this cluster alone with ⟨purge⟩: true"


def find_left_behind(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    """Report roles from which the changes moved an association, and policies that they detached from all entities."""
    if desired.purge is not None:
        return []
    return [*_left_roles(desired, observed, changes), *_left_policies(desired, observed, changes)]


def _left_roles(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    moved: dict[str, list[WorkloadKey]] = {}
    for change in changes:
        role_arn = (change.before or {}).get("role_arn")
        if change.target.resource == "association" and isinstance(role_arn, str) and change.after:
            moved.setdefault(role_arn.lower(), []).append(change.workloads[0])
    findings = []
    for arn, keys in sorted(moved.items()):
        parts = parse_role_arn(arn)
        role = observed.former_roles.get(parts.name) if parts is not None else None
        if role is not None and is_own(role.tags, desired.options.owner):
            findings.append(
                Finding(
                    Code.RESOURCE_KEPT,
                    f"role {role.arn} is no longer used by {listed(map(str, keys), _SHOWN)}. It is kept, with its policies.",
                    f"Restart the Pods that may still hold its credentials. A later {_PURGE} removes the role if nobody uses it.",
                    keys[0],
                    raised_as="info",
                )
            )
    return findings


def _left_policies(desired: Desired, observed: Observed, changes: Sequence[Change]) -> list[Finding]:
    attachments = [change for change in changes if change.target.resource == "attachment"]
    detached: dict[str, list[Change]] = {}
    for change in attachments:
        if change.before:
            detached.setdefault(str(change.before["policy"]), []).append(change)
    joined = Counter(str(change.after["policy"]) for change in attachments if change.after)
    desired_policies = shared_policies(observed.account, desired.workloads)
    findings = []
    for arn, leavers in sorted(detached.items()):
        policy = observed.policies.get(arn)
        if policy is None or arn in desired_policies or joined[arn] or policy.user_count != len(leavers):
            continue
        if is_own(policy.tags or {}, desired.options.owner):
            findings.append(_left_policy(observed, policy, leavers[0].workloads[0]))
    return findings


def _left_policy(observed: Observed, policy: ObservedPolicy, key: WorkloadKey) -> Finding:
    arn = (policy.tags or {}).get(CLUSTER_TAG, "")
    cluster = observed.clusters.with_arn(arn)
    if cluster is not None and cluster.name == key.cluster:
        remedy = f"A {_PURGE} deletes it."
    else:
        command = f"aws iam delete-policy --policy-arn {policy.arn}"
        remedy = f"Delete the non-default versions of the policy, then the policy itself: {command}"
        if arn:
            remedy = f"The policy was created for cluster {arn}: {_PURGE}. Or {as_clause(remedy)}"
    return Finding(
        Code.RESOURCE_KEPT,
        f"policy {policy.arn} is managed by this collection, and is no longer attached. It is kept in IAM.",
        remedy,
        key,
        raised_as="info",
    )
