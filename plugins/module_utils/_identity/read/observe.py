# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read from AWS what the wanted workloads touch. Reads only; each thing is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import TypeVar

from ..._aws.client import Api, answers_by_page
from ..._aws.concurrency import map_concurrently
from ..._findings.key import WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.language.text import load
from ..model.arns import parse_role_arn
from ..model.aws_errors import AwsError
from ..model.cluster import Cluster
from ..model.desired import Desired, Options, PolicySpec, RoleSpec
from ..model.observed import (
    Observed,
    ObservedAssociation,
    ObservedPolicy,
    ObservedRole,
    ReadFailure,
    users_of,
)
from ..model.progress import NullProgress, Progress
from ..model.shared import shared_policies, shared_roles
from ..model.targets import Target, association_target, policy_target, role_target
from . import decode
from .associations import describe_association, list_associations
from .bulk import WORTHWHILE, Snapshot, read_snapshot

Found = TypeVar("Found")

# Requests that tell all that the removal of a role has to know.
ROLE_READS = 4
# Up to so many workloads it is cheaper to ask for each association than to list the cluster's.
FEW_WORKLOADS = 3


class Observer:
    """Reads for one run. ``width`` bounds the requests under way at once; ``stage`` is what ``progress``
    is told that they are for."""

    def __init__(
        self,
        api: Api,
        cluster: Cluster,
        width: int,
        progress: Progress | None = None,
        stage: str = "read",
    ) -> None:
        self.api = api
        self.cluster = cluster
        self.width = width
        self.progress = progress or NullProgress()
        self.stage = stage

    def all_associations(self) -> dict[WorkloadKey, ObservedAssociation]:
        """Every association of the cluster. Raises AwsError when one cannot be read."""

        def ids() -> Iterator[str]:
            for summary in list_associations(self.api, self.cluster.name):
                self.progress.expect(self.stage, 1)
                yield str(summary["associationId"])

        def read(association_id: str) -> ObservedAssociation | None:
            found = describe_association(self.api, self.cluster.name, association_id)
            self.progress.done(self.stage)
            return found

        return {one.key: one for one in map_concurrently(read, ids(), self.width) if one is not None}

    def observe(
        self,
        desired: Desired,
        removal: bool = False,
        planning: bool = True,
        known: Mapping[WorkloadKey, ObservedAssociation] | None = None,
        unchanged: Mapping[WorkloadKey, ObservedAssociation] | None = None,
    ) -> Observed:
        """Everything that planning the desired workloads needs; with ``removal``, their removal.

        Without ``planning`` what only a change would need is not read. Associations that are
        ``known`` are not read again; ``unchanged`` ones are listed again, and read only when there
        is another in their place.
        """
        roles = {w.role.name.lower(): w.role for w in desired.workloads if w.role is not None}
        specs = {
            arn: spec for arn, (spec, _users) in shared_policies(self.cluster, desired.workloads).items()
        }
        for role in roles.values():
            if role.permissions_boundary and not removal:
                boundary = role.permissions_boundary
                specs.setdefault(boundary, PolicySpec(arn=boundary))
        # What a removal may touch: a role that is given by its ARN stays.
        named = {name: role for name, role in roles.items() if role.arn is None}
        singles = [("role", name) for name in roles] + [("policy", arn) for arn in specs]
        snapshot = Snapshot()

        def work(item: tuple[str, str]) -> object:
            kind, key = item
            if kind == "role":
                return self._guard(role_target(key), lambda: self._role(roles[key], removal))
            if kind == "policy":
                return self._guard(policy_target(key), lambda: self.policy(specs[key], removal))
            if kind == "snapshot":
                if removal:
                    return read_snapshot(self.api, ROLE_READS * len(named), True, policies=False)
                details = planning and any(_has_details(role) for role in roles.values())
                return read_snapshot(self.api, 2 * len(singles), details)
            read = partial(self._associations, desired, removal, unchanged or {})
            return self._guard(Target("associations", self.cluster.name), read)

        first = [("associations", "")] if known is None else []
        if (ROLE_READS * len(named) if removal else 2 * len(singles)) < WORTHWHILE:
            first += singles
        else:
            # Who uses a policy is not in a snapshot, and a removal has to know it.
            first += [("snapshot", ""), *(one for one in singles if removal and one[0] == "policy")]
        results = dict(zip(first, map_concurrently(work, first, self.width), strict=True))
        if isinstance(found := results.pop(("snapshot", ""), None), Snapshot):
            snapshot = found
            answered = (named, {}) if removal else (roles, specs)
            results.update(_from_snapshot(snapshot, *answered, desired.options if planning else None))
            rest = [item for item in singles if item not in results]
            self.progress.expect(self.stage, len(rest))
            results.update(zip(rest, map_concurrently(work, rest, self.width), strict=True))
        failures = [found for found in results.values() if isinstance(found, ReadFailure)]
        found_roles = _kept(results, "role", ObservedRole)
        found_policies = _kept(results, "policy", ObservedPolicy)
        if planning:
            self._extra_policies(desired, specs, found_roles, found_policies, failures)
        associations = dict(known or {})
        listed = results.get(("associations", ""))
        if isinstance(listed, list):
            failures += [one for one in listed if isinstance(one, ReadFailure)]
            there = (one for one in listed if isinstance(one, ObservedAssociation))
            associations.update({one.key: one for one in sorted(there, key=attrgetter("key"))})
        return Observed(
            cluster=self.cluster,
            roles=found_roles,
            policies=found_policies,
            associations=associations,
            role_users=users_of(associations),
            failures=tuple(failures),
            bulk_denied=snapshot.denied,
            documents=_attached_documents(snapshot, found_roles),
        )

    def _guard(self, target: Target, read: Callable[[], Found]) -> Found | ReadFailure:
        try:
            return read()
        except AwsError as error:
            return ReadFailure(target, error)
        finally:
            if target.resource != "associations":
                self.progress.done(self.stage)

    def _role(self, spec: RoleSpec, removal: bool) -> ObservedRole | None:
        if spec.arn is not None:
            parts = parse_role_arn(spec.arn)
            if parts is not None and parts.account_id != self.cluster.account_id:
                return None
        name = {"RoleName": spec.name}
        try:
            role = self.api.call("iam", "GetRole", name)["Role"]
            attached = self.api.pages("iam", "ListAttachedRolePolicies", name, "AttachedPolicies")
            found = decode.role(role, attached)
            if removal and found.owned:
                inline = self.api.pages("iam", "ListRolePolicies", name, "PolicyNames")
                profiles = self.api.pages("iam", "ListInstanceProfilesForRole", name, "InstanceProfiles")
                names = tuple(str(profile["InstanceProfileName"]) for profile in profiles)
                found = replace(found, inline=tuple(inline), instance_profiles=names)
        except AwsError as error:
            if error.missing:
                return None
            raise
        return found

    def policy(self, spec: PolicySpec, removal: bool = False) -> ObservedPolicy | None:
        """A managed policy, with its default version's document when ``spec`` has one to compare."""
        arn = {"PolicyArn": self.cluster.policy_arn(spec)}
        try:
            found = decode.policy(self.api.call("iam", "GetPolicy", arn)["Policy"])
            if removal:
                if found.owned:
                    found = self._with_versions(found)
                    found = replace(found, attached_to=self._entities(found.arn))
            elif spec.document is not None:
                version = self.api.call(
                    "iam", "GetPolicyVersion", {**arn, "VersionId": found.default_version}
                )["PolicyVersion"]
                found = replace(found, document=load(version["Document"]))
                if not same_meaning(found.document, spec.document, "identity"):
                    found = self._with_versions(found)
        except AwsError as error:
            if error.missing:
                return None
            raise
        return found

    def _entities(self, arn: str) -> tuple[str, ...]:
        """Who uses a policy, as a permissions policy or as a boundary. Source: iam ListEntitiesForPolicy."""
        found: list[str] = []
        for page in answers_by_page(self.api, "iam", "ListEntitiesForPolicy", {"PolicyArn": arn}):
            for kind in ("Role", "User", "Group"):
                found += [f"{kind.lower()} {one[f'{kind}Name']}" for one in page.get(f"Policy{kind}s", ())]
        return tuple(found)

    def _with_versions(self, policy: ObservedPolicy) -> ObservedPolicy:
        versions = self.api.pages("iam", "ListPolicyVersions", {"PolicyArn": policy.arn}, "Versions")
        return replace(policy, versions=tuple(map(decode.policy_version, versions)))

    def _extra_policies(
        self,
        desired: Desired,
        specs: Mapping[str, PolicySpec],
        roles: Mapping[str, ObservedRole | None],
        policies: dict[str, ObservedPolicy | None],
        failures: list[ReadFailure],
    ) -> None:
        """Read who owns the policies that are attached to our roles but not asked for there."""
        unknown = {arn for arn, policy in policies.items() if policy is not None and policy.tags is None}
        extra = sorted(
            {
                arn
                for shared in shared_roles(self.cluster, desired.workloads)
                if (role := roles.get(shared.spec.name.lower())) is not None
                and (role.owned or desired.options.adopt)
                for arn in role.attached
                if arn not in shared.policy_users
                and (arn not in policies or arn in unknown)
                and ":iam::aws:" not in arn
            }
        )

        def read(arn: str) -> ObservedPolicy | ReadFailure | None:
            spec = specs.get(arn) or PolicySpec(arn=arn)
            return self._guard(Target("owner", arn), lambda: self.policy(spec))

        for arn, policy in zip(extra, map_concurrently(read, extra, self.width), strict=True):
            if isinstance(policy, ReadFailure):
                failures.append(policy)
            else:
                policies[arn] = policy

    def _listed(self, desired: Desired, removal: bool) -> Iterator[tuple[WorkloadKey, str]]:
        """Keys and IDs of associations. A removal needs all: any may still use a role."""
        if not self.cluster.status:
            return
        wanted = {workload.key for workload in desired.workloads}
        few = not removal and len(wanted) <= FEW_WORKLOADS
        asked = [(key.namespace, key.service_account) for key in sorted(wanted)] if few else [("", "")]
        for namespace, service_account in asked:
            for summary in list_associations(self.api, self.cluster.name, namespace, service_account):
                key = WorkloadKey(self.cluster.name, summary["namespace"], summary["serviceAccount"])
                if removal or key in wanted:
                    self.progress.expect(self.stage, 1)
                    yield key, str(summary["associationId"])

    def _associations(
        self, desired: Desired, removal: bool, unchanged: Mapping[WorkloadKey, ObservedAssociation]
    ) -> list[ObservedAssociation | ReadFailure | None]:
        """The first are read while the others are still being listed. Raises AwsError when they cannot
        be listed."""

        def describe(item: tuple[WorkloadKey, str]) -> ObservedAssociation | ReadFailure | None:
            key, association_id = item
            before = unchanged.get(key)
            if before is not None and before.association_id == association_id:
                self.progress.done(self.stage)
                return before
            read = partial(describe_association, self.api, self.cluster.name, association_id)
            return self._guard(association_target(key), read)

        return map_concurrently(describe, self._listed(desired, removal), self.width)


def _attached_documents(
    snapshot: Snapshot, roles: Mapping[str, ObservedRole | None]
) -> dict[str, Mapping[str, object]]:
    """The documents that a snapshot holds of whatever is attached to the roles or bounds them."""
    return {
        arn: document
        for role in roles.values()
        if role is not None
        for arn in (*role.attached, role.permissions_boundary)
        if (policy := snapshot.policies.get(arn)) is not None and (document := policy.document) is not None
    }


def _has_details(role: RoleSpec) -> bool:
    """Whether something of the role is asked for that bulk reading does not tell."""
    return role.description is not None or role.max_session_duration is not None


def _from_snapshot(
    snapshot: Snapshot,
    roles: Mapping[str, RoleSpec],
    specs: Mapping[str, PolicySpec],
    planning: Options | None,
) -> dict[tuple[str, str], object]:
    """What a snapshot answers. What it does not hold, or not well enough, is read one by one.

    ``planning`` holds the options of the plan that is to be made, if one is.
    """
    answers: dict[tuple[str, str], object] = {}
    for name in roles:
        if name in snapshot.roles or snapshot.complete:
            answers["role", name] = snapshot.roles.get(name)
    for arn, spec in specs.items():
        found = snapshot.policies.get(arn)
        if found is None:
            if snapshot.complete and ":iam::aws:" not in arn:
                answers["policy", arn] = None
        elif planning is None or not _tags_matter(spec, found, planning):
            answers["policy", arn] = found
    return answers


def _tags_matter(spec: PolicySpec, found: ObservedPolicy, options: Options) -> bool:
    """Tags are to be set or purged, or a change turns on who owns the policy: they have to be read."""
    if spec.document is None:
        return False
    same = found.document is not None and same_meaning(found.document, spec.document, "identity")
    return not same or bool(spec.tags) or options.purge_tags or options.adopt


def _kept(
    results: Mapping[tuple[str, str], object], kind: str, wanted: type[Found]
) -> dict[str, Found | None]:
    return {
        key: found
        for (of, key), found in results.items()
        if of == kind and (found is None or isinstance(found, wanted))
    }
