# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Observe the AWS resources that the desired workloads use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter

from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..model.associations import ObservedAssociation
from ..model.cluster import Account
from ..model.desired import Desired, Options
from ..model.errors import AwsError
from ..model.names import is_aws_managed, is_own, parse_role_arn
from ..model.observed import Document, Inventory, Observed, UnlistedAssociations, is_new
from ..model.policies import ObservedPolicy, PolicySpec
from ..model.roles import ROLE_DETAILS, ObservedRole, RoleSpec, decode_role
from ..model.shared import (
    SharedRole,
    named_workloads,
    own_grants,
    policies_of_going_workloads,
    shared_policies,
    shared_roles,
)
from ..model.targets import Failure, Target, associations_target, policy_target, role_target
from .account import BULK_THRESHOLD, Snapshot, add_tags, read_account, read_snapshot
from .associations import (
    MAX_DESCRIBED,
    Remainder,
    describe_unlisted,
    has_association,
    read_all_associations,
    read_associations,
)
from .reader import Observation, Reader, attempt
from .roles import REMOVAL_READS, read_document, read_policy, read_policy_users, read_role

AssociationsByKey = Mapping[WorkloadKey, ObservedAssociation]
Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Demand:
    """The resources to read: roles by lower-case name, policies by ARN."""

    roles: Mapping[str, RoleSpec]
    policies: Mapping[str, PolicySpec]

    @property
    def deletable_roles(self) -> list[str]:
        """Return the roles that a removal may delete: all except roles that are configured by ARN."""
        return [name for name, role in self.roles.items() if role.arn is None]

    @property
    def has_role_details(self) -> bool:
        """Return whether the input sets a role's description or maximum session duration, which a bulk read does not return."""
        return any(
            getattr(role, attribute.name) is not None
            for role in self.roles.values()
            for attribute in ROLE_DETAILS
        )


@dataclass(frozen=True, slots=True)
class _Reads:
    """The results of the reads so far. Threads write concurrently, each to different keys."""

    roles: dict[str, ObservedRole | None] = field(default_factory=dict)
    policies: dict[str, ObservedPolicy | None] = field(default_factory=dict)
    associations: dict[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failures: dict[Target, Failure] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    unlisted: dict[str, UnlistedAssociations] = field(default_factory=dict)
    unassociated: set[WorkloadKey] = field(default_factory=set)
    former_roles: dict[str, ObservedRole] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observer(Reader):
    """A reader of the resources of one run."""

    def all_associations(self) -> dict[WorkloadKey, ObservedAssociation]:
        """Return all associations of the clusters. Raises AwsError if a read fails."""
        return read_all_associations(self)

    def read_inventory(self, desired: Desired) -> Inventory:
        """Return all associations of the cluster and all roles and policies of the account, for a purge. Raises AwsError."""
        roles, policies = read_account(self.api)
        inventory = Inventory(read_all_associations(self), roles, policies)
        wanted = policies_of_going_workloads(self.clusters, desired, inventory)
        wanted |= {arn for arn, policy in policies.items() if not policy.user_count}
        return replace(inventory, policies=add_tags(self.api, policies, sorted(wanted), self.width))

    def observe(
        self,
        desired: Desired,
        removal: bool = False,
        planning: bool = True,
        present: AssociationsByKey | None = None,
        unchanged: AssociationsByKey | None = None,
        unlisted: bool = False,
        inline: bool = False,
    ) -> Observed:
        """Observe the resources that a plan or verification of the desired workloads needs.

        :arg removal: read the data for a plan that removes the workloads.
        :arg planning: also read data that a change needs and a verification does not.
        :arg present: associations that were already read. If it is not None, no associations are read.
        :arg unchanged: associations that are listed again, and described again only if their ID has changed.
        :arg unlisted: also read the fields ``unlisted`` and ``unassociated`` of ``Observed``.
        :arg inline: also read the inline policies of the roles, for a verification.
        """
        demand = _read_demand(self.account, desired, removal)
        reads = _Reads(associations=dict(present or {}))
        roles = {
            name: partial(self._read_role, reads, name, demand, removal, inline) for name in demand.roles
        }
        policies = {arn: partial(self._read_policy, reads, arn, demand, removal) for arn in demand.policies}
        requests = 2 * (len(roles) + len(policies))
        if removal:
            requests = REMOVAL_READS * len(demand.deletable_roles)
        jobs: list[Job] = []
        if present is None:
            jobs.append(partial(self._read_associations, reads, desired, unchanged or {}, unlisted))
        if requests < BULK_THRESHOLD:
            jobs += [*roles.values(), *policies.values()]
        else:
            details = removal or demand.has_role_details
            jobs.append(partial(self._read_snapshot, reads, requests, details, not removal))
            if removal:
                # A removal needs the users of each policy, which a bulk read does not return.
                jobs += policies.values()
        self._work(jobs)
        for snapshot in reads.snapshots:
            names = demand.deletable_roles if removal else demand.roles
            reads.roles.update(snapshot.find_roles(names))
            if not removal:
                options = desired.options if planning else None
                reads.policies.update(snapshot.find_policies(demand.policies, options))
            read = {
                *map(role_target, reads.roles),
                *map(policy_target, reads.policies),
                *reads.failures,
            }
            single_jobs = [job for name, job in roles.items() if role_target(name) not in read]
            single_jobs += [job for arn, job in policies.items() if policy_target(arn) not in read]
            self._work(single_jobs)
        if renamed := self._find_renamed(reads, demand):
            account = replace(self.account, renamed={**self.account.renamed, **renamed})
            knowing = replace(self, clusters=replace(self.clusters, account=account))
            return knowing.observe(desired, removal, planning, present, unchanged, unlisted, inline)
        if planning:
            self._read_extra_policies(reads, desired, demand, removal)
        if planning and not removal:
            self._read_detachable(reads, desired)
            self._read_policy_users(reads, desired.options, demand)
        if unlisted:
            reads.unassociated.update(self._read_unassociated(reads, desired, demand))
        if planning:
            reads.former_roles.update(self._read_former_roles(reads, desired, demand, removal))
        return self._observed(reads, demand)

    def _observed(self, reads: _Reads, demand: _Demand) -> Observed:
        associations = {key: reads.associations[key] for key in sorted(reads.associations)}
        snapshot = next(iter(reads.snapshots), Snapshot())
        present = [role for role in reads.roles.values() if role is not None]
        return Observed(
            clusters=self.clusters,
            roles=_in_order(reads.roles, demand.roles),
            policies=_in_order(reads.policies, demand.policies),
            associations=associations,
            failures=tuple(sorted(reads.failures.values(), key=attrgetter("target"))),
            bulk_denied=snapshot.denied,
            documents={**snapshot.find_documents(present), **reads.documents},
            unlisted=reads.unlisted,
            unassociated=frozenset(reads.unassociated),
            former_roles=reads.former_roles,
        )

    def _work(self, jobs: Iterable[Job]) -> None:
        map_concurrently(lambda job: job(), list(jobs), self.width)

    def _read_role(self, reads: _Reads, name: str, demand: _Demand, removal: bool, inline: bool) -> None:
        read = partial(read_role, self.api, self.account, demand.roles[name], removal, inline)
        role = attempt(role_target(name), read)
        if isinstance(role, Failure):
            reads.failures[role.target] = role
        else:
            reads.roles[name] = role

    def _read_policy(self, reads: _Reads, arn: str, demand: _Demand, removal: bool) -> None:
        read = partial(read_policy, self.api, self.account, demand.policies[arn], removal)
        self._keep_policy(reads, arn, attempt(policy_target(arn), read))

    def _keep_policy(self, reads: _Reads, arn: str, policy: ObservedPolicy | Failure | None) -> None:
        if isinstance(policy, Failure):
            reads.failures[policy.target] = policy
        else:
            reads.policies[arn] = policy

    def _find_renamed(self, reads: _Reads, demand: _Demand) -> dict[str, str]:
        """Return the ARNs of policies that exist with another path or letter case than the list has, by the ARN of the list.

        If the caller is not allowed to list policies, the result is empty: IAM refuses to create a policy with an existing name.
        """
        missing = {
            spec.name.lower(): arn
            for arn, spec in demand.policies.items()
            if spec.document is not None and reads.policies.get(arn, spec) is None
        }
        if not missing:
            return {}
        arns = [arn for snapshot in reads.snapshots if snapshot.complete for arn in snapshot.policies]
        try:
            arns = arns or [
                policy["Arn"]
                for policy in self.api.pages("iam", "ListPolicies", {"Scope": "Local"}, "Policies")
            ]
        except AwsError as error:
            if not error.denied:
                raise
        present = {arn.rpartition("/")[2].lower(): arn for arn in arns}
        return {arn: present[name] for name, arn in missing.items() if present.get(name, arn) != arn}

    def _read_snapshot(self, reads: _Reads, singles: int, details: bool, policies: bool) -> None:
        reads.snapshots.append(read_snapshot(self.api, singles, details, policies))

    def _read_extra_policies(self, reads: _Reads, desired: Desired, demand: _Demand, removal: bool) -> None:
        """Read the tags of policies that the plan may detach or attach (see ``_tagged_policies``)."""
        extra = sorted(
            {
                arn
                for shared in shared_roles(self.account, desired.workloads)
                if (role := reads.roles.get(shared.spec.name.lower())) is not None
                for arn in _tagged_policies(shared, role, desired.options)
                if not is_aws_managed(arn)
                if arn not in reads.policies
                or ((policy := reads.policies[arn]) is not None and policy.tags is None)
            }
        )

        def read(arn: str) -> None:
            spec = demand.policies.get(arn) or PolicySpec(arn=arn)
            # A removal deletes only policies in ``demand``, and needs their versions and users.
            request = partial(read_policy, self.api, self.account, spec, removal and arn in demand.policies)
            self._keep_policy(reads, arn, attempt(Target("owner", arn), request))

        map_concurrently(read, extra, self.width)

    def _read_detachable(self, reads: _Reads, desired: Desired) -> None:
        """Read the documents of policies that ``purge_policies`` may detach, because a policy that only denies is kept."""
        present: set[str] = set()
        for snapshot in reads.snapshots:
            present.update(snapshot.find_documents(filter(None, reads.roles.values())))
        options = desired.options
        detachable = sorted(
            {
                arn
                for shared in shared_roles(self.account, desired.workloads)
                if not shared.spec.existing
                if (role := reads.roles.get(shared.spec.name.lower())) is not None
                and (is_own(role.tags, options.owner) or options.adopt)
                for arn in role.attached
                if arn not in shared.policy_users and arn not in present
                if options.purge_policies
                and (
                    (policy := reads.policies.get(arn)) is None
                    or not is_own(policy.tags or {}, options.owner)
                )
            }
        )

        def read(arn: str) -> None:
            policy = reads.policies.get(arn)
            version = policy.default_version if policy is not None else ""
            result = attempt(Target("document", arn), partial(read_document, self.api, arn, version))
            if isinstance(result, Failure):
                reads.failures[result.target] = result
            elif policy is None or policy.document is None:
                reads.documents[arn] = result

        map_concurrently(read, detachable, self.width)

    def _read_policy_users(self, reads: _Reads, options: Options, demand: _Demand) -> None:
        """Read the users of policies that a plan may change, unless all users are known to be roles of the run."""
        roles: dict[str, list[ObservedRole]] = {}
        for role in filter(None, map(reads.roles.get, demand.deletable_roles)):
            for arn in {*role.attached, role.permissions_boundary}:
                roles.setdefault(arn, []).append(role)
        policies = [
            policy
            for arn, spec in demand.policies.items()
            if (policy := reads.policies.get(arn)) is not None
            and _users_matter(spec, policy, options)
            and not policy.is_used_only_by(roles.get(arn, ()))
        ]

        def read(policy: ObservedPolicy) -> None:
            result = attempt(Target("users", policy.arn), partial(read_policy_users, self.api, policy))
            self._keep_policy(reads, policy.arn, result)

        map_concurrently(read, policies, self.width)

    def _read_unassociated(self, reads: _Reads, desired: Desired, demand: _Demand) -> set[WorkloadKey]:
        """Return at most MAX_DESCRIBED unlisted workloads named in trust policies of the run's roles, but without an association.

        A separate request confirms that each of them has no association, because the list of associations may be incomplete or
        older than the trust policy.
        """
        desired_keys = {workload.key for workload in desired.workloads}
        granted = {
            key
            for name, role in reads.roles.items()
            if role is not None
            and name in demand.roles
            and demand.roles[name].trust_policy is None
            and not is_new(role.created_at, self.account.answered_at)
            for key in named_workloads(
                self.clusters, own_grants(self.clusters, desired.options.owner, role.trust)
            )
        }
        missing = sorted(
            key
            for key in granted - desired_keys
            if (unlisted := reads.unlisted.get(key.cluster)) is not None and key not in unlisted
        )
        associated = map_concurrently(partial(has_association, self), missing[:MAX_DESCRIBED], self.width)
        return {key for key, present in zip(missing, associated, strict=False) if present is False}

    def _read_former_roles(
        self, reads: _Reads, desired: Desired, demand: _Demand, removal: bool
    ) -> dict[str, ObservedRole]:
        """Return the unlisted roles that associations leave: their trust policies have statements for the workloads.

        A role that cannot be read is left out: a later purge finds the statements.
        """
        arns = {
            association.role_arn
            for workload in desired.workloads
            if (association := reads.associations.get(workload.key)) is not None and workload.role is not None
            if removal or association.role_arn.lower() != self.account.role_arn(workload.role).lower()
        }
        names = {parts.name.lower() for arn in arns if (parts := parse_role_arn(arn)) is not None}
        roles = {
            name: snapshot.roles[name]
            for snapshot in reads.snapshots
            for name in names
            if name in snapshot.roles
        }
        missing = sorted(names - roles.keys() - demand.roles.keys())

        def read(name: str) -> ObservedRole | Failure:
            request = partial(self.api.call, "iam", "GetRole", {"RoleName": name})
            return attempt(role_target(name), lambda: decode_role(request()["Role"], ()))

        roles |= {
            role.name.lower(): role
            for role in map_concurrently(read, missing, self.width)
            if isinstance(role, ObservedRole)
        }
        return {name: role for name, role in roles.items() if name not in demand.roles}

    def _read_associations(
        self,
        reads: _Reads,
        desired: Desired,
        unchanged: AssociationsByKey,
        unlisted: bool,
    ) -> None:
        keys = [workload.key for workload in desired.workloads]
        remainders: dict[str, Remainder] | None = {} if unlisted else None
        for result in read_associations(self, keys, unchanged, remainders):
            if isinstance(result, Failure):
                reads.failures[result.target] = result
            else:
                reads.associations[result.key] = result
        readable = {
            cluster: remainder
            for cluster, remainder in (remainders or {}).items()
            if associations_target(cluster) not in reads.failures
        }
        namespaces = frozenset(key.namespace for key in keys)
        reads.unlisted.update(describe_unlisted(self, readable, namespaces))


def _tagged_policies(shared: SharedRole, role: ObservedRole, options: Options) -> Iterable[str]:
    """Yield the ARNs of policies whose tags a plan for a role needs: attached policies that no workload lists."""
    if not shared.spec.existing and (is_own(role.tags, options.owner) or options.adopt):
        yield from (arn for arn in role.attached if arn not in shared.policy_users)


def _users_matter(spec: PolicySpec, policy: ObservedPolicy, options: Options) -> bool:
    """Return whether a plan may change the document of a policy, or takes it over.

    The document may change if the versions of the policy were read (see ``read_policy``).
    """
    own = is_own(policy.tags or {}, options.owner)
    if spec.document is None or not (own or options.adopt):
        return False
    return bool(policy.versions) or not own


def _read_demand(account: Account, desired: Desired, removal: bool) -> _Demand:
    roles = {
        workload.role.name.lower(): workload.role
        for workload in desired.workloads
        if workload.role is not None
    }
    shared = shared_policies(account, desired.workloads)
    policies = {arn: spec for arn, (spec, _users) in shared.items()}
    for role in roles.values():
        if role.permissions_boundary and not removal:
            policies.setdefault(role.permissions_boundary, PolicySpec(arn=role.permissions_boundary))
    return _Demand(roles, policies)


def _in_order(reads: Mapping[str, Observation | None], first: Iterable[str]) -> dict[str, Observation | None]:
    """Return the resources that workloads list, in the order of the workloads, then all other resources that were read."""
    names = [name for name in first if name in reads]
    return {name: reads[name] for name in dict.fromkeys((*names, *sorted(reads)))}
