# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read from AWS the resources that the desired workloads use. Reads only; each resource is read once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter

from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..model.associations import ObservedAssociation, users_of
from ..model.cluster import Account
from ..model.desired import Desired, Options
from ..model.errors import AwsError
from ..model.names import is_of_another, lacks_owner, parse_role_arn
from ..model.observed import Document, Observed, Reach, ReadFailure, UnlistedAssociations, is_new
from ..model.policies import ObservedPolicy, PolicySpec
from ..model.roles import ROLE_DETAILS, ObservedRole, RoleSpec, decode_role
from ..model.shared import SharedRole, granted_workloads, shared_policies, shared_roles
from ..model.targets import Target, associations_target, policy_target, role_target
from .account import WORTHWHILE, Snapshot, read_snapshot
from .associations import (
    MOST_DESCRIBED,
    Remainder,
    describe_unlisted,
    has_association,
    read_all_associations,
    read_associations,
    read_outside,
)
from .reader import Observation, Reader
from .roles import REMOVAL_READS, read_document, read_policy, read_policy_users, read_role

# The most roles outside the run that are read for one policy: a change that concerns more of them is not made anyway.
MOST_OTHER_ROLES = 5

AssociationsByKey = Mapping[WorkloadKey, ObservedAssociation]
Job = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Demand:
    """What is to be read: roles by lower-case name, policies by ARN."""

    roles: Mapping[str, RoleSpec]
    policies: Mapping[str, PolicySpec]

    @property
    def made_roles(self) -> list[str]:
        """What a removal may touch: a role that is given by its ARN stays."""
        return [name for name, role in self.roles.items() if role.arn is None]

    @property
    def has_role_details(self) -> bool:
        """Return whether a definition has a detail of a role, which a bulk read does not return."""
        return any(
            getattr(role, attribute.name) is not None
            for role in self.roles.values()
            for attribute in ROLE_DETAILS
        )


@dataclass(frozen=True, slots=True)
class _Answers:
    """What has been read so far. Threads write to it: each the keys of its own."""

    roles: dict[str, ObservedRole | None] = field(default_factory=dict)
    policies: dict[str, ObservedPolicy | None] = field(default_factory=dict)
    associations: dict[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failures: dict[Target, ReadFailure] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    unlisted: dict[str, UnlistedAssociations] = field(default_factory=dict)
    unassociated: set[WorkloadKey] = field(default_factory=set)
    unlisted_roles: dict[str, ObservedRole] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observer(Reader):
    """Reads what the workloads of one run touch. ``unread`` says why further clusters of the run cannot be read."""

    unread: Mapping[str, AwsError] = field(default_factory=dict)

    def all_associations(self) -> dict[WorkloadKey, ObservedAssociation]:
        """Every association of the clusters. Raises AwsError when one cannot be read."""
        return read_all_associations(self)

    def observe_outside(self, desired: Desired, observed: Observed, reaches: Collection[Reach]) -> Observed:
        """Read the associations of some reaches, too, whose workloads are not desired."""
        keys = frozenset(workload.key for workload in desired.workloads)
        known = replace(observed.outside, associations=observed.outside_associations)
        return replace(observed, outside=read_outside(self, reaches, keys, known))

    def observe(
        self,
        desired: Desired,
        removal: bool = False,
        planning: bool = True,
        known: AssociationsByKey | None = None,
        unchanged: AssociationsByKey | None = None,
        unlisted: bool = False,
    ) -> Observed:
        """Everything that planning the desired workloads needs; with ``removal``, their removal.

        Without ``planning`` what only a change would need is not read. Associations that are
        ``known`` are not read again; ``unchanged`` ones are listed again, and read only when there
        is another in their place. With ``unlisted``, the clusters' other associations are read as well.
        """
        demand = _demand_of(self.account, desired, removal)
        failures = [ReadFailure(associations_target(key), error) for key, error in self.unread.items()]
        answers = _Answers(
            associations=dict(known or {}), failures={failure.target: failure for failure in failures}
        )
        roles = {name: partial(self._read_role, answers, name, demand, removal) for name in demand.roles}
        policies = {arn: partial(self._read_policy, answers, arn, demand, removal) for arn in demand.policies}
        requests = 2 * (len(roles) + len(policies))
        if removal:
            requests = REMOVAL_READS * len(demand.made_roles)
        jobs: list[Job] = []
        if known is None:
            jobs.append(
                partial(self._read_associations, answers, desired, removal, unchanged or {}, unlisted)
            )
        if requests < WORTHWHILE:
            jobs += [*roles.values(), *policies.values()]
        else:
            details = removal or demand.has_role_details
            jobs.append(partial(self._read_snapshot, answers, requests, details, not removal))
            if removal:
                # Who uses a policy is not in a snapshot, and a removal has to know it.
                jobs += policies.values()
        self._work(jobs)
        for snapshot in answers.snapshots:
            names = demand.made_roles if removal else demand.roles
            answers.roles.update(snapshot.find_roles(names))
            if not removal:
                options = desired.options if planning else None
                answers.policies.update(snapshot.find_policies(demand.policies, options))
            read = {
                *map(role_target, answers.roles),
                *map(policy_target, answers.policies),
                *answers.failures,
            }
            rest = [job for name, job in roles.items() if role_target(name) not in read]
            rest += [job for arn, job in policies.items() if policy_target(arn) not in read]
            self.progress.expect(self.stage, len(rest))
            self._work(rest)
        if planning:
            self._read_extra_policies(answers, desired, demand, removal)
        if planning and not removal:
            self._read_detachable(answers, desired)
            self._read_policy_users(answers, desired.options, demand)
        if unlisted:
            answers.unassociated.update(self._read_unassociated(answers, desired, demand))
            answers.unlisted_roles.update(self._read_unlisted_roles(answers, desired, demand, planning))
        return self._observed(answers, demand)

    def _observed(self, answers: _Answers, demand: _Demand) -> Observed:
        associations = {key: answers.associations[key] for key in sorted(answers.associations)}
        snapshot = next(iter(answers.snapshots), Snapshot())
        present = [role for role in answers.roles.values() if role is not None]
        return Observed(
            clusters=self.clusters,
            roles=_in_order(answers.roles, demand.roles),
            policies=_in_order(answers.policies, demand.policies),
            associations=associations,
            role_users=users_of(associations),
            failures=tuple(sorted(answers.failures.values(), key=attrgetter("target"))),
            bulk_denied=snapshot.denied,
            documents={**snapshot.documents_of(present), **answers.documents},
            unlisted=answers.unlisted,
            unassociated=frozenset(answers.unassociated),
            unlisted_roles=answers.unlisted_roles,
        )

    def _work(self, jobs: Iterable[Job]) -> None:
        map_concurrently(lambda job: job(), list(jobs), self.width)

    def _read_role(self, answers: _Answers, name: str, demand: _Demand, removal: bool) -> None:
        read = partial(read_role, self.api, self.account, demand.roles[name], removal)
        role = self.attempt(role_target(name), read)
        if isinstance(role, ReadFailure):
            answers.failures[role.target] = role
        else:
            answers.roles[name] = role

    def _read_policy(self, answers: _Answers, arn: str, demand: _Demand, removal: bool) -> None:
        read = partial(read_policy, self.api, self.account, demand.policies[arn], removal)
        self._keep_policy(answers, arn, self.attempt(policy_target(arn), read))

    def _keep_policy(self, answers: _Answers, arn: str, policy: ObservedPolicy | ReadFailure | None) -> None:
        if isinstance(policy, ReadFailure):
            answers.failures[policy.target] = policy
        else:
            answers.policies[arn] = policy

    def _read_snapshot(self, answers: _Answers, singles: int, details: bool, policies: bool) -> None:
        answers.snapshots.append(read_snapshot(self.api, singles, details, policies))

    def _read_extra_policies(
        self, answers: _Answers, desired: Desired, demand: _Demand, removal: bool
    ) -> None:
        """Read the tags of the policies that are attached to our roles but not asked for there, and of those that workloads are
        to have by roles of other people."""
        extra = sorted(
            {
                arn
                for shared in shared_roles(self.account, desired.workloads)
                if (role := answers.roles.get(shared.spec.name.lower())) is not None
                for arn in _tagged_policies(shared, role, desired.options, answers.associations)
                if ":iam::aws:" not in arn
                if arn not in answers.policies
                or ((policy := answers.policies[arn]) is not None and policy.tags is None)
            }
        )

        def read(arn: str) -> None:
            spec = demand.policies.get(arn) or PolicySpec(arn=arn)
            # A purge gives policies without a document to compare.
            ask = partial(read_policy, self.api, self.account, spec, removal and arn in demand.policies)
            self._keep_policy(answers, arn, self.attempt(Target("owner", arn), ask))

        map_concurrently(read, extra, self.width)

    def _read_detachable(self, answers: _Answers, desired: Desired) -> None:
        """Read the documents of the policies that a plan may detach: one that denies restricts the role."""
        known: set[str] = set()
        for snapshot in answers.snapshots:
            known.update(snapshot.documents_of(filter(None, answers.roles.values())))
        detachable = sorted(
            {
                arn
                for shared in shared_roles(self.account, desired.workloads)
                if not shared.spec.existing
                if (role := answers.roles.get(shared.spec.name.lower())) is not None
                and (role.owned or desired.options.adopt)
                for arn in role.attached
                if arn not in shared.policy_users and arn not in known
                if desired.options.purge_policies
                or ((policy := answers.policies.get(arn)) is not None and policy.owned)
            }
        )
        self.progress.expect(self.stage, len(detachable))

        def read(arn: str) -> None:
            policy = answers.policies.get(arn)
            version = policy.default_version if policy is not None else ""
            result = self.attempt(Target("document", arn), partial(read_document, self.api, arn, version))
            if isinstance(result, ReadFailure):
                answers.failures[result.target] = result
            elif policy is None or policy.document is None:
                answers.documents[arn] = result

        map_concurrently(read, detachable, self.width)

    def _read_policy_users(self, answers: _Answers, options: Options, demand: _Demand) -> None:
        """Read the entities that have a policy which is to change, unless the roles of the run account for all of them."""
        roles: dict[str, list[ObservedRole]] = {}
        for role in filter(None, map(answers.roles.get, demand.roles)):
            for arn in {*role.attached, role.permissions_boundary}:
                roles.setdefault(arn, []).append(role)
        policies = [
            policy
            for arn, spec in demand.policies.items()
            if (policy := answers.policies.get(arn)) is not None
            and _users_matter(spec, policy, options)
            and not policy.is_used_only_by(roles.get(arn, ()))
        ]
        self.progress.expect(self.stage, len(policies))

        def read(policy: ObservedPolicy) -> Iterable[str]:
            result = self.attempt(Target("users", policy.arn), partial(read_policy_users, self.api, policy))
            self._keep_policy(answers, policy.arn, result)
            users = result.attached_to if isinstance(result, ObservedPolicy) else ()
            parts = (user.partition(" ") for user in users)
            names = {name for kind, _separator, name in parts if kind == "role"}
            others = {name for name in names if name.lower() not in demand.roles}
            return others if len(others) <= MOST_OTHER_ROLES else ()

        others = {name for names in map_concurrently(read, policies, self.width) for name in names}
        map_concurrently(partial(self._read_other_role, answers), sorted(others), self.width)

    def _read_other_role(self, answers: _Answers, name: str) -> None:
        """Read a role outside the run. Without it, a plan concludes nothing from the role."""
        for snapshot in answers.snapshots:
            if name.lower() in snapshot.roles:
                answers.roles[name.lower()] = snapshot.roles[name.lower()]
                return
        self.progress.expect(self.stage, 1)
        read = partial(read_role, self.api, self.account, RoleSpec(name=name), removal=False)
        role = self.attempt(role_target(name), read)
        if isinstance(role, ObservedRole):
            answers.roles[name.lower()] = role

    def _read_unassociated(self, answers: _Answers, desired: Desired, demand: _Demand) -> set[WorkloadKey]:
        """Find the workloads that roles of the run let in and that have no association. They are looked for once more, each
        by its name: the list may not have been complete, and the trust policy may be younger than it."""
        listed = {workload.key for workload in desired.workloads}
        granted = {
            key
            for name, role in answers.roles.items()
            if role is not None and role.owned and not is_of_another(role.tags, desired.options.owner)
            if name in demand.roles
            and demand.roles[name].trust_policy is None
            and not is_new(role.created_at, self.account.answered_at)
            for key in granted_workloads(self.clusters, role.trust)
        }
        missing = sorted(
            key
            for key in granted - listed
            if (unlisted := answers.unlisted.get(key.cluster)) is not None and key not in unlisted
        )
        found = map_concurrently(partial(has_association, self), missing[:MOST_DESCRIBED], self.width)
        return {key for key, present in zip(missing, found, strict=False) if present is False}

    def _read_unlisted_roles(
        self, answers: _Answers, desired: Desired, demand: _Demand, planning: bool
    ) -> dict[str, ObservedRole]:
        """Return the roles of a bulk read that the run does not list. Without one, read those that its associations are to leave,
        at most MOST_DESCRIBED; one that cannot be read is left out, for it would only be reported."""
        roles = {
            name: role
            for snapshot in answers.snapshots
            for name, role in snapshot.roles.items()
            if name not in demand.roles
        }
        moving = [
            association.role_arn
            for workload in desired.workloads
            if (association := answers.associations.get(workload.key)) is not None
            and workload.role is not None
            if association.role_arn.lower() != self.account.role_arn(workload.role).lower()
        ]
        names = {parts.name.lower() for arn in moving if (parts := parse_role_arn(arn)) is not None}
        missing = sorted(names - roles.keys() - demand.roles.keys()) if planning else []

        def read(name: str) -> ObservedRole | ReadFailure:
            request = partial(self.api.call, "iam", "GetRole", {"RoleName": name})
            return self.attempt(role_target(name), lambda: decode_role(request()["Role"], ()))

        self.progress.expect(self.stage, len(missing[:MOST_DESCRIBED]))
        for role in map_concurrently(read, missing[:MOST_DESCRIBED], self.width):
            if isinstance(role, ObservedRole):
                roles[role.name.lower()] = role
        return roles

    def _read_associations(
        self,
        answers: _Answers,
        desired: Desired,
        removal: bool,
        unchanged: AssociationsByKey,
        unlisted: bool,
    ) -> None:
        keys = [workload.key for workload in desired.workloads]
        remainders: dict[str, Remainder] | None = {} if unlisted else None
        for result in read_associations(self, keys, removal, unchanged, remainders):
            if isinstance(result, ReadFailure):
                answers.failures[result.target] = result
            else:
                answers.associations[result.key] = result
        readable = {
            cluster: remainder
            for cluster, remainder in (remainders or {}).items()
            if associations_target(cluster) not in answers.failures
        }
        namespaces = frozenset(key.namespace for key in keys)
        answers.unlisted.update(describe_unlisted(self, readable, namespaces))


def _tagged_policies(
    shared: SharedRole, role: ObservedRole, options: Options, associations: AssociationsByKey
) -> Iterable[str]:
    """Return the policies of one role on whose tags a plan turns."""
    if role.owned or options.adopt:
        yield from (arn for arn in role.attached if arn not in shared.policy_users)
    if shared.spec.existing:
        present = map(associations.get, shared.keys)
        joined = all(one is not None and one.role_arn == role.arn for one in present)
        yield from (arn for arn in shared.policy_users if arn not in role.attached or not joined)


def _users_matter(spec: PolicySpec, policy: ObservedPolicy, options: Options) -> bool:
    """Return whether a plan may change the document, whose versions were read then, or add an owner."""
    if spec.document is None or not (policy.owned or options.adopt):
        return False
    return bool(policy.versions) or (not options.adopt and lacks_owner(policy.tags or {}, spec.tags))


def _demand_of(account: Account, desired: Desired, removal: bool) -> _Demand:
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


def _in_order(
    answers: Mapping[str, Observation | None], first: Iterable[str]
) -> dict[str, Observation | None]:
    """Those that were asked for in the order of the workloads, then the others."""
    names = [name for name in first if name in answers]
    return {name: answers[name] for name in dict.fromkeys((*names, *sorted(answers)))}
