# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scene of a plan: the workloads to keep and to remove, the observed state, and the plan under construction. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set

from ..._findings.finding import Finding, WorkloadKey
from ..._policy.trust.statements import TrustGrant, read_statement
from ..model.changes import Change
from ..model.cluster import Cluster
from ..model.desired import Desired, Workload
from ..model.names import is_own, parse_role_arn
from ..model.observed import Observed
from ..model.roles import ObservedRole
from ..model.shared import SharedRole, named_workloads, shared_roles
from ..model.targets import Failure


def selected_roles(
    cluster: Cluster, workloads: Iterable[Workload], unselected: Mapping[WorkloadKey, Workload]
) -> list[SharedRole]:
    """Return the roles of workloads. Their ``policy_users`` also have the unselected workloads that share a role."""
    return [
        remaining
        for shared in shared_roles(cluster, (*workloads, *unselected.values()))
        if (remaining := shared.excluding(unselected.keys())).users
    ]


class Scene:
    """The input of a plan, and the plan under construction: ``changes``, ``failures`` and ``findings``.

    ``workloads`` are the listed workloads; they are empty in a teardown. ``roles`` are their roles. ``gone`` has the workloads to
    remove. With ``everything``, in a purge, the list is the whole truth about the owner's resources of the cluster.
    ``listed_arns`` has the ARNs of listed roles by workload. By lower-case ARN of a role, ``users`` has the workloads that list
    the role, and ``holders`` the workloads whose association has it. ``role_names`` has, by workload, the lower-case names of the
    role that it lists and of the roles that it has, and ``listed_names`` the lower-case names of all listed roles. With adopt,
    ``adopted`` has the workloads of the run, whose statements may be taken over; otherwise it is empty.
    """

    def __init__(self, desired: Desired, observed: Observed, workloads: Sequence[Workload]) -> None:
        self.desired, self.options, self.observed = desired, desired.options, observed
        self.gone, self.everything = frozenset[WorkloadKey](), False
        self.adopted = {workload.key for workload in desired.workloads if desired.options.adopt}
        self.workloads, self.roles = (
            workloads,
            selected_roles(observed.cluster, workloads, desired.unselected),
        )
        self.changes, self.failures, self.findings = list[Change](), list[Failure](), list[Finding]()
        self.listed_arns = {
            workload.key: observed.cluster.role_arn(role)
            if role is not None
            else workload.association.role_arn
            for workload in workloads
            if (role := workload.role) is not None or workload.association.role_arn
        }
        present = {key: found.role_arn for key, found in observed.associations.items()}
        # A teardown lists no workloads: the unselected ones are then a reason to keep a role.
        arns = {
            user.key: observed.cluster.role_arn(user.role)
            for user in desired.unselected.values()
            if user.role is not None and workloads
        }
        self.users, self.holders = _by_role({**arns, **self.listed_arns}), _by_role(present)
        self.role_names: dict[WorkloadKey, set[str]] = {
            workload.key: {workload.role.name.lower()}
            for workload in desired.workloads
            if workload.role is not None
        }
        self.listed_names = set[str]().union(*self.role_names.values())
        inventory = observed.inventory.associations if observed.inventory is not None else {}
        for key, association in {**inventory, **observed.associations}.items():
            names = {parts.name.lower() for arn in association.roles if (parts := parse_role_arn(arn))}
            self.role_names.setdefault(key, set()).update(names)

    def fail(self, *failures: Failure) -> None:
        self.failures.extend(failures)

    def roles_of(self, keys: Iterable[WorkloadKey]) -> frozenset[str]:
        """Return the lower-case names of the roles that these workloads list or have."""
        return frozenset[str]().union(*(self.role_names.get(key, ()) for key in keys))

    def owns_policy(self, arn: str) -> bool:
        """Return whether a policy belongs to the owner of the run. A policy that was not read does not."""
        inventory = self.observed.inventory.policies if self.observed.inventory is not None else {}
        policy = self.observed.policies.get(arn) or inventory.get(arn)
        return policy is not None and is_own(policy.tags or {}, self.options.owner)

    def leaves(self, key: WorkloadKey, role_arn: str) -> bool:
        """Return whether a workload must not be named in the trust policy of a role any more.

        It is removed, or it is listed with another role.
        """
        listed_arn = self.listed_arns.get(key)
        return key in self.gone or (listed_arn is not None and listed_arn.lower() != role_arn.lower())

    def listed_with(self, role_arn: str) -> Set[WorkloadKey]:
        """Return the workloads that the run lists with a role."""
        return self.users.get(role_arn.lower(), set())

    def allows_only(self, keys: Set[WorkloadKey], statement: object) -> bool:
        """Return whether a statement of any form allows only some workloads."""
        grants = read_statement(statement)
        return grants is not None and all(self.is_one_of(keys, grant) for grant in grants)

    def is_one_of(self, keys: Set[WorkloadKey], grant: TrustGrant) -> bool:
        """Return whether a grant allows only one of some workloads."""
        return bool(named_workloads(self.observed.cluster, [grant]) & keys)

    def find_unlisted_users(self, role: ObservedRole, grants: Collection[TrustGrant]) -> list[str]:
        """Describe the unlisted associations that grants allow and that have a role, or whose role was not read."""
        unlisted, inventory, users = self.observed.unlisted, self.observed.inventory, list[str]()
        if unlisted is None or not grants:
            return users
        arn = self.observed.cluster.arn
        described = {**unlisted.described, **(inventory.associations if inventory is not None else {})}
        for key in {*unlisted.keys, *unlisted.addons} - self.gone:
            association = described.get(key)
            allowed = any(grant.includes(arn, key.namespace, key.service_account) for grant in grants)
            if allowed and association is None:
                users.append(f"{key} (with a role that was not read)")
            elif allowed and association is not None and role.arn in association.roles:
                users.append(str(key))
        users += ["associations that were not listed"] if unlisted.more else []
        return sorted(users)


def _by_role(arns: Mapping[WorkloadKey, str]) -> dict[str, set[WorkloadKey]]:
    """Return the workloads by the lower-case ARN of their role."""
    users: dict[str, set[WorkloadKey]] = {}
    for key, arn in arns.items():
        users.setdefault(arn.lower(), set()).add(key)
    return users
