# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan the roles of a run: their attributes, trust policies and attachments. Pure.

Sources: iam CreateRole, UpdateRole, PutRolePermissionsBoundary, UpdateAssumeRolePolicy, DeleteRole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import to_json
from ..._policy.trust.statements import TrustGrant, read_grants
from ..model.attributes import changed_from_default, compare, creation, update_parameters
from ..model.changes import Call, Change, Stage, compare_tags, iam_tag_calls, tags_after
from ..model.cluster import Cluster
from ..model.desired import Options
from ..model.errors import listed
from ..model.names import is_marked, is_own, owner_tags
from ..model.roles import (
    PERMISSIONS_BOUNDARY,
    ROLE_ATTRIBUTES,
    ROLE_DETAILS,
    ROLE_SETTINGS,
    TRUST_POLICY,
    ObservedRole,
    RoleSpec,
)
from ..model.shared import SharedRole
from ..model.targets import (
    Failure,
    Target,
    associations_target,
    policy_target,
    role_target,
    trust_target,
)
from . import problems
from .attachments import attach_policy, detach_policy, find_overfull, make_room, only_denies
from .scene import Scene
from .trust import (
    TAGGED_SCOPES,
    TrustPlan,
    desired_grants,
    edit_trust,
    find_foreign_access,
    find_kept_scopes,
    find_public_access,
    find_restrictions,
    trust_failures,
    trust_subject,
)


def create_role(
    cluster: Cluster,
    spec: RoleSpec,
    owner: str,
    trust: Mapping[str, object],
    workloads: tuple[WorkloadKey, ...],
) -> Change:
    """Return the change that creates a role."""
    values = {attribute.name: getattr(spec, attribute.name) for attribute in ROLE_SETTINGS}
    values |= {"trust_policy": trust, "tags": {**spec.tags, **owner_tags(owner)}}
    parameters, state = creation(ROLE_ATTRIBUTES, values)
    parameters |= {"RoleName": spec.name, "Path": spec.path}
    state["arn"] = cluster.role_arn(spec)
    call = Call("iam", "CreateRole", parameters)
    target, roles = role_target(spec.name), frozenset((spec.name.lower(),))
    return Change(Stage.ROLE, target, "create", workloads, None, state, (call,), roles)


def update_role(
    spec: RoleSpec, role: ObservedRole, options: Options, workloads: tuple[WorkloadKey, ...]
) -> Change | None:
    """Return the update of all attributes of a role except its trust policy, or None if they have their desired values."""
    old, new = compare(ROLE_SETTINGS, spec, role)
    # UpdateRole has every attribute except the boundary, so that each difference has a request.
    details = update_parameters([part for part in ROLE_SETTINGS if part != PERMISSIONS_BOUNDARY], new)
    calls: list[Call] = []
    identity = {"RoleName": role.name}
    boundary = new.get(PERMISSIONS_BOUNDARY.name)
    if isinstance(boundary, str):
        operation = "PutRolePermissionsBoundary" if boundary else "DeleteRolePermissionsBoundary"
        parameters = {PERMISSIONS_BOUNDARY.parameter: boundary} if boundary else {}
        calls.append(Call("iam", operation, {**identity, **parameters}))
    if details:
        # UpdateRole sets the session duration to one hour if the request does not have it, so send the present values, too.
        present = {part.parameter: part.encode(part.observed_value(role)) for part in ROLE_DETAILS}
        calls.append(Call("iam", "UpdateRole", {**identity, **present, **details}))
    change = compare_tags(role.tags, {**spec.tags, **owner_tags(options.owner)}, options.purge_tags)
    if change:
        old["tags"], new["tags"] = dict(role.tags), tags_after(role.tags, change)
        calls += iam_tag_calls("Role", identity, change)
    if not calls:
        return None
    stage = Stage.RESTRICT if boundary else Stage.ROLE
    return Change(
        stage,
        role_target(role.name),
        "update",
        workloads,
        old,
        new,
        tuple(calls),
        frozenset((role.name.lower(),)),
    )


def differing_limits(
    spec: RoleSpec, role: ObservedRole, purge_tags: bool
) -> list[tuple[str, object, object]]:
    """Return the attributes whose change would affect the users of a role, each as (name, present value, desired value).

    These are the attributes that limit the sessions of the role, and tags with another value: policies can compare a tag of the
    role as aws:PrincipalTag.

    :arg purge_tags: whether the run removes unlisted tags.
    """
    limits = [attribute for attribute in ROLE_SETTINGS if attribute.limits_sessions]
    old, new = compare(limits, spec, role)
    change = compare_tags(role.tags, spec.tags, purge_tags)
    tags: list[tuple[str, object, object]] = [
        (f"tag {key}", role.tags[key], spec.tags.get(key))
        for key in sorted((*change.set, *change.remove))
        if key in role.tags
    ]
    return [*((name, old[name], new[name]) for name in new), *tags]


def plan_roles(scene: Scene) -> None:
    """Add the changes, failures and findings of the listed roles to the plan."""
    for shared in scene.roles:
        unread = frozenset(
            shared.keys if associations_target(scene.observed.cluster.name) in scene.observed.unread else ()
        )
        name = shared.spec.name.lower()
        if failure := scene.observed.unread.get(role_target(name)):
            scene.fail(replace(failure, workloads=shared.keys))
            continue
        while (shared := shared.excluding(unread)).users:
            failures = _RolePlan(scene, shared).add()
            if not failures:
                break
            # The role is planned again for the workloads without a failure.
            scene.fail(*failures)
            unread = frozenset(key for failure in failures for key in failure.workloads)


class _RolePlan:
    """The plan of one listed role for all workloads that share it.

    There are four cases: the role is created; it is used by its ARN, so that only the statements of the owner change; it belongs
    to the owner, or ``adopt`` takes it over, so that it is updated; or it belongs to another owner, and must match the list.
    """

    def __init__(self, scene: Scene, shared: SharedRole) -> None:
        self.scene, self.shared, self.spec, self.options = scene, shared, shared.spec, scene.options
        self.keys, self.name = shared.keys, shared.spec.name.lower()
        self.role = scene.observed.roles.get(self.name)
        tags = self.role.tags if self.role is not None else {}
        self.is_own = is_own(tags, self.options.owner)
        self.changes_role = not self.spec.existing and (self.is_own or self.options.adopt)
        forced = self.options.forces(self.keys)
        self.trust = edit_trust(scene, self.spec, shared.users, self.role, self.changes_role, forced)
        self.other_users = self.trust.other_users
        self.used_by = f"the role can also be used by {listed(self.other_users, 5)}"
        self.changes_shared = self.options.changes_shared(self.keys)
        # Failures of the workloads that leave the role prevent that something is taken from it.
        arn = self.role.arn.lower() if self.role is not None else ""
        leavers = [key for key in scene.holders.get(arn, ()) if scene.leaves(key, arn)]
        self.concerned = frozenset((self.name,)) | scene.roles_of(leavers)

    def add(self) -> list[Failure]:
        """Add the changes and findings of the role to the plan, or return failures of some of its workloads and add nothing."""
        role = self.role
        if obstacle := self._find_obstacle():
            return [obstacle]
        if self.spec.existing and role is not None:
            return self._use(role)
        if failures := [*self._tags_turned_off(), *self._misfits()]:
            return failures
        if role is None:
            cluster = self.scene.observed.cluster
            created = create_role(cluster, self.spec, self.options.owner, self.trust.granted, self.keys)
            self.scene.changes += [created, *self._attachments(())]
            return []
        return self._update(role) if self.changes_role else self._match(role)

    def _find_obstacle(self) -> Failure | None:
        """Return the failure that prevents any change of the role, or None."""
        spec, role, observed = self.spec, self.role, self.scene.observed
        if spec.existing and (role is None or role.arn != spec.arn):
            path = f"; the role of that name is {role.arn}" if role is not None else ""
            return Failure(
                self.keys,
                role_target(spec.arn or spec.name),
                "read",
                Code.ROLE_MISSING,
                f"role {spec.arn} does not exist in account {observed.cluster.account_id}{path}.",
                problems.missing_role_remedy(self.shared.users, role),
            )
        boundary = spec.permissions_boundary
        if not boundary or (role is not None and role.permissions_boundary == boundary):
            return None
        created = any(change.target == policy_target(boundary) for change in self.scene.changes)
        if not created and boundary in observed.policies and observed.policies[boundary] is None:
            return Failure(
                self.shared.keys,
                policy_target(str(self.shared.spec.permissions_boundary)),
                "read",
                Code.POLICY_MISSING,
                f"policy {self.shared.spec.permissions_boundary}, the permissions boundary of role {self.shared.spec.name}, "
                f"does not exist in account {observed.cluster.account_id}.",
                "Correct the ARN, or create that policy first.",
            )
        return None

    def _tags_turned_off(self) -> list[Failure]:
        return [
            Failure(
                (user.key,),
                trust_target(self.spec.name),
                "update",
                Code.SESSION_TAGS_CONFLICT,
                f"the association of {user.key} has session tags turned off, but trust_scope '{self.spec.trust_scope}' needs "
                "them: without them, its aws:RequestTag conditions never match.",
                "Set disable_session_tags: false for the workload, or trust_scope: account for its role.",
            )
            for user in self.shared.users
            if user.association.disable_session_tags and self.spec.trust_scope in TAGGED_SCOPES
        ]

    def _misfits(self) -> list[Failure]:
        """Return failures if the new trust policy is too long, or does not allow a workload."""
        observed, role_arn = self.scene.observed, self.scene.observed.cluster.role_arn(self.spec)
        changes = self.changes_role or self.role is None
        failures = problems.too_long(self.shared, self.trust.granted, self.scene.observed) if changes else []
        if self.spec.trust_policy is not None:
            document = self.spec.trust_policy
            failures += trust_failures(observed.cluster, self.shared.users, document, role_arn)
        return failures

    def _use(self, role: ObservedRole) -> list[Failure]:
        """Plan a role that the list gives by its ARN: nothing changes but the statements of the owner."""
        scene, trust, users = self.scene, self.trust, self.shared.users
        failures = [
            *(self._tags_turned_off() if self.spec.extend_trust else ()),
            *trust_failures(scene.observed.cluster, users, trust.granted, role.arn),
        ]
        if not TRUST_POLICY.equals(trust.present, trust.granted):
            failures += problems.too_long(self.shared, trust.granted, self.scene.observed)
        if failures:
            return failures
        scene.findings += [
            problems.not_attached(role, key, arn)
            for arn, keys in self.shared.policy_users.items()
            if arn not in role.attached
            for key in keys
            if key in self.keys
        ]
        wide = find_kept_scopes(role, self.keys[0], trust)
        changes = change_trust(role, trust, self.keys, self.concerned)
        scene.changes += [replace(change, notes=tuple(wide)) for change in changes]
        scene.findings += wide
        return []

    def _match(self, role: ObservedRole) -> list[Failure]:
        """Check that a role of another owner matches the list. It is used unchanged then."""
        differences = list(compare(ROLE_SETTINGS, self.spec, role)[1])
        if self._attachments(role.attached):
            differences.append("attached_policies")
        users, cluster = self.shared.users, self.scene.observed.cluster
        whole = self.spec.trust_policy
        if trust_failures(cluster, users, role.trust, role.arn) or (
            whole is not None and not TRUST_POLICY.equals(role.trust, self.trust.final)
        ):
            differences.append("trust_policy")
        if not differences:
            self.scene.findings += problems.tags_kept(
                Code.ROLE_SETTINGS_DIFFER, f"role {role.arn}", role.tags, self.spec.tags, self.keys[0]
            )
            return []
        names = ", ".join(sorted(name.replace("_", " ") for name in differences))
        reason = f"it would have to change ({names})"
        return [
            problems.refuse_other(role_target(role.name), role.tags, self.options.owner, self.keys, reason)
        ]

    def _update(self, role: ObservedRole) -> list[Failure]:
        """Plan a role of the owner, or a role that ``adopt`` takes over."""
        scene, options = self.scene, self.options
        limits = differing_limits(self.spec, role, options.purge_tags)
        if self.other_users and limits and not self.changes_shared:
            texts = [
                f"its {name.replace('_', ' ')} is {present or 'none'}, not {desired or 'none'}"
                for name, present, desired in limits
            ]
            return [
                Failure(
                    self.keys,
                    role_target(role.name),
                    "update",
                    Code.ROLE_USED_ELSEWHERE,
                    f"role {role.arn} differs from the definition of this run for {listed(map(str, self.keys))}: "
                    f"{' and '.join(texts)}. It is unchanged, because {self.used_by}.",
                    "Use the same definition in all lists with the role, list all its workloads in one run, or give these "
                    "workloads a separate role. To change the role for all of its users, set ⟨force⟩: true (check mode with diff "
                    "shows the change).",
                )
            ]
        joining, (leaving, findings) = self._attachments(role.attached), self._detachments(role)
        overfull = find_overfull(self.scene.observed, options, self.shared, role, joining, leaving)
        if overfull is not None:
            return [overfull]
        update = update_role(self.spec, role, options, self.keys)
        notes = [*self._find_unlisted_access(role)]
        if not self.trust.forced:
            findings, notes = [*findings, *notes], []
        if self.other_users and (limits or leaving or not self.is_own):
            notes.append(
                Finding(
                    Code.ROLE_USED_ELSEWHERE,
                    f"this run changes role {role.arn}, which also affects others: {self.used_by}.",
                    "Notify the owners of these users, and use the same definition in every list with the role.",
                    self.keys[0],
                    raised_as="warning",
                )
            )
        changes = [
            *([update] if update else []),
            *change_trust(role, self.trust, self.keys, self.concerned),
            *make_room(self.scene.observed, role, joining, leaving),
        ]
        scene.changes += [replace(change, notes=tuple(notes)) for change in changes]
        scene.findings += [*self._find_restrictions(role), *findings]
        return []

    def _find_unlisted_access(self, role: ObservedRole) -> Iterable[Finding]:
        """Report the statements that allow more than the list. With ``force``, the run removes them."""
        key = self.keys[0]
        if self.spec.trust_policy is None:
            yield from find_foreign_access(role, key, self.trust.foreign, self.trust.forced)
            yield from find_kept_scopes(role, key, self.trust)

    def _find_restrictions(self, role: ObservedRole) -> Iterable[Finding]:
        key, cluster, spec = self.keys[0], self.scene.observed.cluster, self.spec
        subjects = {
            user.key: trust_subject(cluster, user.key, role.arn, bool(user.association.disable_session_tags))
            for user in self.shared.users
        }
        yield from find_restrictions(role.arn, self.trust.final, spec.trust_policy, subjects)
        if spec.trust_policy is None:
            yield from find_public_access(role, key)

    def _attachments(self, attached: Collection[str]) -> list[Change]:
        """Return the attachment of each listed policy that the role lacks.

        An attachment belongs only to the workloads that list the policy. So if a change of the policy fails, only these workloads
        fail, and the policy is not attached.
        """
        documents = {
            self.scene.observed.cluster.policy_arn(policy): policy.document
            for user in self.shared.users
            for policy in user.policies
        }
        changes, present = [], frozenset(self.keys)
        name = self.role.name if self.role is not None else self.spec.name
        for arn, requesters in self.shared.policy_users.items():
            keys = tuple(key for key in requesters if key in present)
            document = documents.get(arn)
            restricts = self.role is not None and document is not None and only_denies(document)
            if keys and arn not in attached:
                stage = Stage.RESTRICT if restricts else Stage.ATTACH
                changes.append(attach_policy(name, arn, keys, stage))
        return changes

    def _detachments(self, role: ObservedRole) -> tuple[list[Change], list[Finding]]:
        """Return the detachments of policies that no workload lists, and a finding for each such policy that is kept.

        Without ``purge_policies`` only policies of the owner are detached. A policy that only denies, or that could not be read,
        is kept, and so is every policy of a role that others use, unless ``force`` is set.
        """
        observed, options = self.scene.observed, self.options
        changes, findings = [], []
        for arn in (arn for arn in role.attached if arn not in self.shared.policy_users):
            policy = observed.policies.get(arn)
            owned = self.scene.owns_policy(arn)
            unread = observed.unread.get(Target("owner", arn)) or observed.unread.get(Target("document", arn))
            document = (
                policy.document if policy is not None and policy.document else observed.documents.get(arn)
            )
            if not owned and document is not None and only_denies(document):
                findings.append(problems.restricted_by_policy(role, self.keys[0], arn))
            elif unread is not None or not (owned or options.purge_policies):
                findings.append(problems.attached_extra(role, self.keys[0], arn, unread))
            elif self.other_users and not self.changes_shared:
                findings.append(
                    Finding(
                        Code.ROLE_USED_ELSEWHERE,
                        f"policy {arn} is no longer listed for role {role.name}, but it is kept: {self.used_by}, and may need "
                        "it.",
                        "List these users in this run, or give these workloads a separate role. If no other user needs the "
                        "policy, set ⟨force⟩: true, which detaches it.",
                        self.keys[0],
                        raised_as="warning",
                    )
                )
            else:
                changes.append(detach_policy(role.name, arn, self.keys, self.concerned))
        return changes, findings


def change_trust(
    role: ObservedRole, trust: TrustPlan, workloads: tuple[WorkloadKey, ...], roles: frozenset[str]
) -> list[Change]:
    """Return the changes of a trust policy: one that adds statements, and one that removes statements at the end of the run.

    :arg roles: the roles whose failures prevent that statements are removed.
    """
    changes = []
    for stage, old, new, concerned in (
        (Stage.TRUST, trust.present, trust.granted, frozenset((role.name.lower(),))),
        (Stage.REVOKE, trust.granted, trust.final, roles),
    ):
        # A statement of another writer may go, so an own statement with the same meaning is written, too.
        if not TRUST_POLICY.equals(old, new) or read_grants(old)[0] != read_grants(new)[0]:
            target = trust_target(role.name, takes=stage is Stage.REVOKE)
            parameters = {"RoleName": role.name, "PolicyDocument": to_json(new)}
            states = {"trust_policy": old}, {"trust_policy": new}
            call = Call("iam", "UpdateAssumeRolePolicy", parameters)
            changes.append(Change(stage, target, "update", workloads, *states, (call,), concerned))
    return changes


def plan_left_role(
    scene: Scene,
    role: ObservedRole,
    keys: tuple[WorkloadKey, ...],
    may_delete: bool,
    torn_down: SharedRole | None = None,
) -> list[str]:
    """Plan a role that the list does not have: take back its statements, and delete it if it has no other user.

    Return the ARNs of the policies that the role loses.

    :arg keys: the workloads to remove that used the role.
    :arg may_delete: whether the run may delete the role.
    :arg torn_down: the role in the list of a teardown, with its policies and patterns.
    """
    options, name = scene.options, frozenset((role.name.lower(),))
    adopted = options.adopt and is_marked(role.tags) and not scene.everything
    owned = adopted or is_own(role.tags, options.owner)
    forced = options.forces(keys)
    listed_arns: Collection[str] = torn_down.policy_users if torn_down is not None else ()
    patterns = set[TrustGrant]()
    if (
        torn_down is not None
        and scene.gone.issuperset(torn_down.keys)
        and not any(user.role == torn_down.spec for user in scene.desired.unselected.values())
    ):
        # A pattern allows only workloads that the list matches.
        grants = desired_grants(scene.observed.cluster, torn_down.spec, options, torn_down.users)
        patterns = {grant for grant in grants if grant.is_pattern}
    trust = edit_trust(scene, None, (), role, owned, forced, patterns)
    roles = name | scene.roles_of(keys)
    if not (owned and may_delete) or (trust.other_users and not forced):
        scene.changes += change_trust(role, trust, keys, roles)
        if owned and may_delete:
            scene.findings.append(
                Finding(
                    Code.RESOURCE_KEPT,
                    f"role {role.arn} is kept: its trust policy still allows {listed(trust.other_users, 10)}.",
                    "If these users belong to another list of workloads, no action is needed: the teardown of that list removes "
                    "the role. Otherwise remove them first, then run again; or set ⟨force⟩: true, which deletes the role.",
                    next(iter(keys), None),
                )
            )
        elif may_delete:
            scene.findings.append(problems.not_own(f"role {role.arn}", role.tags, options.owner, keys))
        elif keys:
            scene.findings += find_kept_scopes(role, keys[0], trust)
        return []
    foreign = [
        arn
        for arn in role.attached
        if not (options.purge_policies or arn in listed_arns or scene.owns_policy(arn))
    ]
    leaving = [arn for arn in role.attached if arn not in foreign]
    scene.changes += [detach_policy(role.name, arn, keys, roles) for arn in leaving]
    contents = [*role.inline, *foreign, *role.instance_profiles]
    if contents:
        scene.changes += change_trust(role, trust, keys, roles)
        scene.findings.append(
            Finding(
                Code.RESOURCE_KEPT,
                f"role {role.arn} is kept: it has resources that this collection does not manage ({', '.join(contents)}).",
                "Detach or delete them, or set ⟨purge_policies⟩: true, which detaches the policies. Then run again.",
                next(iter(keys), None),
            )
        )
        return leaving
    old = {"arn": role.arn, **changed_from_default(ROLE_ATTRIBUTES, role)}
    call = Call("iam", "DeleteRole", {"RoleName": role.name})
    target = role_target(role.name)
    scene.changes.append(Change(Stage.DELETE_ROLE, target, "delete", keys, old, None, (call,), roles))
    return [*role.attached, *([role.permissions_boundary] if role.permissions_boundary else [])]
