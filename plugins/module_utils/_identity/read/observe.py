# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe the AWS resources that the desired workloads use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from operator import attrgetter
from typing import TypeVar

from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..model.associations import ObservedAssociation
from ..model.desired import Desired, Options
from ..model.errors import AwsError
from ..model.names import is_aws_managed, is_own, parse_role_arn
from ..model.observed import Document, Inventory, Observed, UnlistedAssociations, is_new
from ..model.policies import ObservedPolicy, PolicySpec
from ..model.roles import ROLE_DETAILS, ObservedRole, RoleSpec, decode_role
from ..model.shared import (
    named_workloads,
    own_grants,
    policies_of_going_workloads,
    shared_policies,
    shared_roles,
)
from ..model.targets import (
    Failure,
    Resource,
    Target,
    associations_target,
    policy_target,
    read_failure,
    role_target,
)
from .account import BULK_THRESHOLD, PAGE_SIZE, Snapshot, add_tags, read_account, read_snapshot
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
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class Observer(Reader):
    """A reader of the resources of one run."""

    def read_inventory(self, desired: Desired) -> Inventory:
        """Return all associations of the cluster and all roles and policies of the account, for a purge. Raises AwsError."""
        roles, policies = read_account(self.api)
        inventory = Inventory(read_all_associations(self), roles, policies)
        needed = policies_of_going_workloads(self.cluster, desired, inventory)
        needed |= {arn for arn, policy in policies.items() if not policy.user_count}
        return replace(inventory, policies=add_tags(self.api, policies, sorted(needed), self.width))

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
        specs = {
            workload.role.name.lower(): workload.role
            for workload in desired.workloads
            if workload.role is not None
        }
        shared = shared_policies(self.cluster, desired.workloads)
        policies = {arn: spec for arn, (spec, _users) in shared.items()}
        for role in specs.values():
            if role.permissions_boundary and not removal:
                policies.setdefault(role.permissions_boundary, PolicySpec(arn=role.permissions_boundary))
        look = _Look(self.api, self.cluster, self.width, desired, specs, policies, removal, inline)
        look.associations.update(present or {})
        look.read(planning, unlisted, None if present is not None else unchanged or {})
        look = look.knowing(look.find_renamed_roles())
        if renamed := look.find_renamed_policies():
            return self.knowing(renamed).observe(
                desired, removal, planning, present, unchanged, unlisted, inline
            )
        if planning:
            look.read_extra_policies()
            if not removal:
                look.read_policy_users()
            look.read_former_roles()
        return Observed(
            cluster=look.cluster,
            roles=dict(sorted(look.roles.items())),
            policies=dict(sorted(look.policies.items())),
            associations=dict(sorted(look.associations.items())),
            failures=tuple(sorted(look.failures.values(), key=attrgetter("target"))),
            bulk_denied=next((snapshot.denied for snapshot in look.snapshots), ""),
            documents=look.documents,
            unlisted=next(iter(look.unlisted), None),
            unassociated=look.find_unassociated() if look.unlisted else frozenset(),
            former_roles=look.former_roles,
        )


@dataclass(frozen=True, slots=True)
class _Look(Reader):
    """The reads of one observation, and their results so far. Threads write concurrently, each to different keys.

    ``specs`` are the roles to read, by lower-case name, and ``listed`` the policies to read, by ARN. ``snapshots`` has the
    snapshot of a bulk read, and ``unlisted`` the unlisted associations, if they were read.
    """

    desired: Desired
    specs: Mapping[str, RoleSpec]
    listed: Mapping[str, PolicySpec]
    removal: bool
    inline: bool
    roles: dict[str, ObservedRole | None] = field(default_factory=dict)
    policies: dict[str, ObservedPolicy | None] = field(default_factory=dict)
    associations: dict[WorkloadKey, ObservedAssociation] = field(default_factory=dict)
    failures: dict[Target, Failure] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    unlisted: list[UnlistedAssociations] = field(default_factory=list)
    former_roles: dict[str, ObservedRole] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)

    def read(self, planning: bool, unlisted: bool, unchanged: AssociationsByKey | None) -> None:
        """Read the roles, policies and associations of the workloads.

        :arg unchanged: as for ``Observer.observe``; None to read no associations.
        """
        roles = {role_target(name): partial(self._read_role, name) for name in self.specs}
        policies = {policy_target(arn): partial(self._read_policy, arn) for arn in self.listed}
        # A removal may delete all roles except roles that are configured by ARN.
        own = [name for name, spec in self.specs.items() if not spec.existing]
        requests = REMOVAL_READS * len(own) if self.removal else 2 * (len(roles) + len(policies))
        jobs: list[Job] = [] if unchanged is None else [partial(self._read_associations, unlisted, unchanged)]
        if requests < BULK_THRESHOLD:
            jobs += [*roles.values(), *policies.values()]
        else:
            jobs.append(partial(self._read_snapshot, requests))
            if self.removal:
                # A removal needs the users of each policy, which a bulk read does not return.
                jobs += policies.values()
        self._work(jobs)
        for snapshot in self.snapshots:
            self.roles.update(snapshot.find_roles(own if self.removal else self.specs))
            if not self.removal:
                options = self.desired.options if planning else None
                self.policies.update(snapshot.find_policies(self.listed, options))
            read = {*map(role_target, self.roles), *map(policy_target, self.policies), *self.failures}
            self._work(job for target, job in {**roles, **policies}.items() if target not in read)
            self.documents.update(snapshot.find_documents(filter(None, self.roles.values())))

    def _work(self, jobs: Iterable[Job]) -> None:
        map_concurrently(lambda job: job(), list(jobs), self.width)

    def _keep(self, results: dict[_Key, Observation], key: _Key, result: Observation | Failure) -> None:
        """Add the result of a read to ``results``, or a failure to ``failures``."""
        if isinstance(result, Failure):
            self.failures[result.target] = result
        else:
            results[key] = result

    def _read_role(self, name: str) -> None:
        read = partial(read_role, self.api, self.cluster, self.specs[name], self.removal, self.inline)
        self._keep(self.roles, name, attempt(role_target(name), read))

    def _read_policy(self, arn: str, resource: Resource = "policy") -> None:
        spec = self.listed.get(arn) or PolicySpec(arn=arn)
        # A removal deletes only policies in ``listed``, and needs their versions and users.
        read = partial(read_policy, self.api, self.cluster, spec, self.removal and arn in self.listed)
        self._keep(self.policies, arn, attempt(Target(resource, arn), read))

    def find_renamed_roles(self) -> dict[str, str]:
        """Return the ARNs of roles that exist with another path or letter case than the list has, by the ARN of the list."""
        return {
            arn: role.arn
            for name, spec in self.specs.items()
            if not spec.existing
            if (role := self.roles.get(name)) is not None
            if (arn := self.cluster.role_arn(spec)) != role.arn
        }

    def find_renamed_policies(self) -> dict[str, str]:
        """Return the ARNs of policies that exist with another path or letter case than the list has, by the ARN of the list.

        If the policies cannot be listed, a policy that was not found may exist under another ARN, so its read has failed.
        """
        missing = {
            spec.name.lower(): arn
            for arn, spec in self.listed.items()
            if spec.document is not None and self.policies.get(arn, spec) is None
        }
        # The bulk read for a removal has no policies.
        complete = [snapshot for snapshot in self.snapshots if snapshot.complete and not self.removal]
        arns = [arn for snapshot in complete for arn in snapshot.policies]
        if missing and not complete:
            try:
                request = {"Scope": "Local", "MaxItems": PAGE_SIZE}
                arns = [
                    policy["Arn"] for policy in self.api.pages("iam", "ListPolicies", request, "Policies")
                ]
            except AwsError as error:
                unread = map(policy_target, missing.values())
                self.failures.update((target, read_failure(target, error)) for target in unread)
        present = {arn.rpartition("/")[2].lower(): arn for arn in arns}
        return {arn: present[name] for name, arn in missing.items() if present.get(name, arn) != arn}

    def _read_snapshot(self, singles: int) -> None:
        # A bulk read does not return descriptions and session durations, which the input may set.
        details = self.removal or any(
            getattr(spec, attribute.name) is not None
            for spec in self.specs.values()
            for attribute in ROLE_DETAILS
        )
        self.snapshots.append(read_snapshot(self.api, singles, details, not self.removal))

    def read_extra_policies(self) -> None:
        """Read attached policies that no workload lists, of the roles that the plan may change.

        A plan needs the tags of these policies. With ``purge_policies``, it also needs the documents of the policies that it
        did not create, because a policy that only denies is kept.
        """
        options = self.desired.options
        extra = sorted(
            {
                arn
                for shared in shared_roles(self.cluster, self.desired.workloads)
                if not shared.spec.existing
                if (role := self.roles.get(shared.spec.name.lower())) is not None
                if is_own(role.tags, options.owner) or options.adopt
                for arn in role.attached
                if arn not in shared.policy_users
            }
        )

        def read_text(arn: str) -> None:
            policy = self.policies.get(arn)
            version = policy.default_version if policy is not None else ""
            read = partial(read_document, self.api, arn, version)
            self._keep(self.documents, arn, attempt(Target("document", arn), read))

        untagged = [
            arn
            for arn in extra
            if not is_aws_managed(arn)
            if arn not in self.policies
            or ((policy := self.policies[arn]) is not None and policy.tags is None)
        ]
        map_concurrently(partial(self._read_policy, resource="owner"), untagged, self.width)
        if not options.purge_policies or self.removal:
            return
        detachable = [
            arn
            for arn in extra
            if arn not in self.documents
            if (policy := self.policies.get(arn)) is None or not is_own(policy.tags or {}, options.owner)
        ]
        map_concurrently(read_text, detachable, self.width)

    def read_policy_users(self) -> None:
        """Read the users of policies that a plan may change, unless all users are known to be roles of the run."""
        uses = Counter(
            arn
            for name, role in self.roles.items()
            if role is not None and name in self.specs and not self.specs[name].existing
            for arn in (*role.attached, role.permissions_boundary)
        )
        policies = [
            policy
            for arn, spec in self.listed.items()
            if (policy := self.policies.get(arn)) is not None
            and _users_matter(spec, policy, self.desired.options)
            and policy.user_count != uses[arn]
        ]

        def read(policy: ObservedPolicy) -> None:
            request = partial(read_policy_users, self.api, policy)
            self._keep(self.policies, policy.arn, attempt(Target("users", policy.arn), request))

        map_concurrently(read, policies, self.width)

    def find_unassociated(self) -> frozenset[WorkloadKey]:
        """Return at most MAX_DESCRIBED unlisted workloads named in trust policies of the run's roles, but without an association.

        A separate request confirms that each of them has no association, because the list of associations may be incomplete or
        older than the trust policy.
        """
        owner, cluster = self.desired.options.owner, self.cluster
        granted = {
            key
            for name, spec in self.specs.items()
            if (role := self.roles.get(name)) is not None
            and spec.trust_policy is None
            and not is_new(role.created_at, self.cluster.answered_at)
            for key in named_workloads(cluster, own_grants(cluster, owner, role.trust))
        }
        missing = sorted(
            granted.difference(
                (workload.key for workload in self.desired.workloads),
                self.desired.unselected,
                *((*unlisted.keys, *unlisted.addons) for unlisted in self.unlisted),
            )
        )
        associated = map_concurrently(partial(has_association, self), missing[:MAX_DESCRIBED], self.width)
        return frozenset(key for key, present in zip(missing, associated, strict=False) if present is False)

    def read_former_roles(self) -> None:
        """Read the unlisted roles that associations leave: their trust policies have statements for the workloads.

        A role that cannot be read is a failed read: its statements are kept, and a later purge finds them.
        """
        arns = {
            association.role_arn
            for workload in self.desired.workloads
            if (association := self.associations.get(workload.key)) is not None and workload.role is not None
            if self.removal or association.role_arn.lower() != self.cluster.role_arn(workload.role).lower()
        }
        names = {parts.name.lower() for parts in map(parse_role_arn, arns) if parts} - self.specs.keys()
        for snapshot in self.snapshots:
            self.former_roles.update({name: snapshot.roles[name] for name in names & snapshot.roles.keys()})

        def read(name: str) -> None:
            request = partial(self.api.call, "iam", "GetRole", {"RoleName": name})
            role = attempt(role_target(name), lambda: decode_role(request()["Role"], ()))
            if not isinstance(role, Failure) or not role.error.missing:
                self._keep(self.former_roles, name, role)

        map_concurrently(read, sorted(names - self.former_roles.keys()), self.width)

    def _read_associations(self, unlisted: bool, unchanged: AssociationsByKey) -> None:
        keys = [workload.key for workload in self.desired.workloads]
        remainder = Remainder() if unlisted else None
        for result in read_associations(self, keys, unchanged, remainder):
            if isinstance(result, Failure):
                self.failures[result.target] = result
            else:
                self.associations[result.key] = result
        if remainder is not None and associations_target(self.cluster.name) not in self.failures:
            for key in self.desired.unselected:
                remainder.ids.pop(key, None)
            self.unlisted.append(describe_unlisted(self, remainder, {key.namespace for key in keys}))


def _users_matter(spec: PolicySpec, policy: ObservedPolicy, options: Options) -> bool:
    """Return whether a plan may change the document of a policy, or takes it over.

    The document may change if the versions of the policy were read (see ``read_policy``).
    """
    own = is_own(policy.tags or {}, options.owner)
    if spec.document is None or not (own or options.adopt):
        return False
    return bool(policy.versions) or not own
