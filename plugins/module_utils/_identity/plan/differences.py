# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Roles and policies that the clusters of a run define apart. Within a cluster its input was refused for that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..._findings.codes import Code
from ..._findings.finding import WorkloadKey
from ..model.cluster import Account
from ..model.desired import PolicySpec, RoleSpec, Workload, differing_field
from ..model.targets import Failure, Target, policy_target, role_target


@dataclass(slots=True)
class _Definition:
    """The first definition of a name, with all who use the name and the first who defines it in another way."""

    spec: RoleSpec | PolicySpec
    users: list[WorkloadKey]
    targets: set[Target] = field(default_factory=set)
    differing: str = ""
    other: WorkloadKey | None = None

    def add(self, spec: RoleSpec | PolicySpec, key: WorkloadKey) -> None:
        self.users.append(key)
        if self.other is None and (differing := differing_field(self.spec, spec)):
            self.differing, self.other = differing, key


def find_differences(account: Account, workloads: Sequence[Workload]) -> dict[Target, Failure]:
    """By the role or policy, the failure of all workloads that share it; IAM tells names apart by nothing but letters."""
    roles: dict[str, _Definition] = {}
    policies: dict[str, _Definition] = {}
    for workload in workloads:
        if workload.role is not None:
            name = workload.role.name.lower()
            _define(roles, name, workload.role, workload.key, role_target(name))
        for spec in workload.policies:
            if spec.arn is None:
                target = policy_target(account.policy_arn(spec))
                _define(policies, spec.name.lower(), spec, workload.key, target)
    failures: dict[Target, Failure] = {}
    for kind, definitions in (("role", roles), ("policy", policies)):
        for definition in definitions.values():
            if definition.other is not None:
                failure = _failure(kind, definition, definition.other)
                failures |= dict.fromkeys(definition.targets, failure)
    return failures


def _define(
    definitions: dict[str, _Definition],
    name: str,
    spec: RoleSpec | PolicySpec,
    key: WorkloadKey,
    target: Target,
) -> None:
    known = definitions.get(name)
    if known is None:
        definitions[name] = _Definition(spec, [key], {target})
    else:
        known.targets.add(target)
        known.add(spec, key)


def _failure(kind: str, definition: _Definition, other: WorkloadKey) -> Failure:
    first = definition.users[0]
    return Failure(
        tuple(dict.fromkeys(definition.users)),
        min(definition.targets),
        "update",
        Code.DEFINITIONS_DIFFER,
        f"{kind} '{definition.spec.name}' has another {definition.differing} for {other} of cluster {other.cluster} than for "
        f"{first} of cluster {first.cluster}, and IAM has it once for all clusters of the account.",
        f"Give both the same definition, or the {kind} another name in one of them.",
    )
