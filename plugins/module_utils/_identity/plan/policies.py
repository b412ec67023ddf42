# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plan customer managed policies. Pure.

A document is the parsed JSON of a policy. Sources: iam CreatePolicy, CreatePolicyVersion (at most five versions), TagPolicy,
DeletePolicy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.language.document import to_json
from ..model.attributes import creation
from ..model.changes import Call, Change, Stage, compare_tags, iam_tag_calls, tags_after
from ..model.cluster import Cluster
from ..model.errors import listed, sentence
from ..model.names import CLUSTER_TAG, is_aws_managed, is_own, owner_tags
from ..model.policies import DOCUMENT, POLICY_ATTRIBUTES, ObservedPolicy, PolicySpec, PolicyVersion
from ..model.roles import ObservedRole
from ..model.shared import SharedRole, shared_policies
from ..model.targets import Failure, Target, policy_target, request_failure
from .problems import refuse_other, tags_kept
from .scene import Scene
from .trust import edit_trust

# The maximum number of versions of a managed policy.
VERSION_LIMIT = 5
_SHOWN = 10


def plan_policies(scene: Scene) -> None:
    """Add the changes, failures and findings of the listed policies to the plan."""
    observed, holders = scene.observed, _find_holders(scene)
    for arn, (spec, users) in shared_policies(observed.cluster, scene.workloads).items():
        failure = observed.unread.get(policy_target(arn))
        policy = observed.policies.get(arn)
        if failure is not None:
            scene.fail(replace(failure, workloads=users))
        elif spec.document is None:
            if policy is None:
                scene.fail(_missing_policy_failure(arn, observed.cluster, users))
        elif policy is None:
            scene.changes.append(_create(scene, spec, arn, users))
        else:
            _plan_present(scene, spec, policy, users, holders)


def _plan_present(
    scene: Scene, spec: PolicySpec, policy: ObservedPolicy, users: tuple[WorkloadKey, ...], holders: _Holders
) -> None:
    options, target, present = scene.options, policy_target(policy.arn), policy.tags or {}
    owned, same = is_own(present, options.owner), _same_document(spec, policy)
    if not owned and not options.adopt:
        # A policy of another owner with the same document is used unchanged.
        if same:
            code, subject = Code.POLICY_SETTINGS_DIFFER, f"policy {policy.arn}"
            scene.findings += tags_kept(code, subject, present, spec.tags, users[0])
        else:
            scene.fail(refuse_other(target, present, options.owner, users, "it has another document"))
        return
    notes: list[Finding] = []
    if not same or not owned:
        other_users = _find_other_users(scene, policy, holders)
        if other_users and not options.changes_shared(users):
            unread = scene.observed.unread.get(Target("users", policy.arn))
            prefix = f"policy {policy.arn} is unchanged, because its users could not be read: "
            scene.fail(
                request_failure(unread.error, users, target, "update", prefix=prefix)
                if unread is not None
                else _refuse_policy(policy, users, other_users)
            )
            return
        if other_users:
            names = sentence(listed(other_users, _SHOWN))
            note = Finding(
                Code.POLICY_USED_ELSEWHERE,
                f"policy {policy.arn} is changed, also for users outside this run: {names}",
                "Notify the owners of these users, and define the same document in every list with the policy.",
                users[0],
                raised_as="warning",
            )
            notes.append(note)
    change = _update_policy(scene, spec, policy, users)
    scene.changes += [replace(change, notes=tuple(notes))] if change is not None else []


_Holders = Mapping[str, Sequence[tuple[SharedRole, ObservedRole]]]


def _find_holders(scene: Scene) -> _Holders:
    """Return the listed roles that have a policy attached or as permissions boundary, by the ARN of the policy."""
    holders: dict[str, list[tuple[SharedRole, ObservedRole]]] = {}
    for shared in scene.roles:
        role = scene.observed.roles.get(shared.spec.name.lower())
        if role is not None and not shared.spec.existing:
            for arn in {*role.attached, role.permissions_boundary} - {None}:
                holders.setdefault(arn, []).append((shared, role))
    return holders


def _find_other_users(scene: Scene, policy: ObservedPolicy, holders: _Holders) -> list[str]:
    """Describe the users of a policy outside the run: entities that are not roles of the run, and users of shared roles."""
    observed, options = scene.observed, scene.options
    if (unread := observed.unread.get(Target("users", policy.arn))) is not None:
        error = unread.error
        return [f"users that could not be read ({error.operation}: {error.code}: {error.text})"]
    other_users: list[str] = []
    names: set[str] = set()
    for shared, role in holders.get(policy.arn, ()):
        names.add(f"role {role.name.lower()}")
        if is_own(role.tags, options.owner):
            edit = edit_trust(scene, shared.spec, shared.users, role, True, options.forces(shared.keys))
            other_users += [f"role {role.name} ({listed(edit.other_users)})"] if edit.other_users else []
        elif not options.adopt:
            other_users.append(f"role {role.name} (of another owner)")
        # A role that the run takes over has its own finding about its other users.
    return [*(entity for entity in policy.attached_to if entity.lower() not in names), *other_users]


def _create(scene: Scene, spec: PolicySpec, arn: str, users: tuple[WorkloadKey, ...]) -> Change:
    values = {attribute.name: getattr(spec, attribute.name) for attribute in POLICY_ATTRIBUTES}
    values["tags"] = _policy_tags(scene, spec)
    if spec.description is None and spec.preset is not None:
        values["description"] = spec.preset.description
    parameters, state = creation(POLICY_ATTRIBUTES, values)
    parameters |= {"PolicyName": spec.name, "Path": spec.path}
    state["arn"] = arn
    call = Call("iam", "CreatePolicy", parameters)
    return Change(
        Stage.POLICY, policy_target(arn), "create", users, None, state, (call,), scene.roles_of(users)
    )


def _policy_tags(scene: Scene, spec: PolicySpec, present: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the desired tags of a policy: the listed tags, the mark, and the cluster by which a purge finds the policy."""
    cluster_arn = (present or {}).get(CLUSTER_TAG) or scene.observed.cluster.arn
    return {**spec.tags, **owner_tags(scene.options.owner), CLUSTER_TAG: cluster_arn}


def _update_policy(
    scene: Scene, spec: PolicySpec, policy: ObservedPolicy, users: tuple[WorkloadKey, ...]
) -> Change | None:
    old: dict[str, object] = {}
    new: dict[str, object] = {}
    calls: list[Call] = []
    identity = {"PolicyArn": policy.arn}
    if not _same_document(spec, policy):
        old["document"], new["document"] = policy.document, spec.document
        oldest = _oldest(policy.versions)
        if oldest is not None:
            old["oldest_version"], new["oldest_version"] = oldest.version_id, "deleted"
            parameters = {**identity, "VersionId": oldest.version_id}
            calls.append(Call("iam", "DeletePolicyVersion", parameters))
        document = {"PolicyDocument": to_json(spec.document), "SetAsDefault": True}
        calls.append(Call("iam", "CreatePolicyVersion", {**identity, **document}))
    present = policy.tags or {}
    tags = compare_tags(present, _policy_tags(scene, spec, present), scene.options.purge_tags)
    if tags:
        old["tags"], new["tags"] = dict(present), tags_after(present, tags)
        calls += iam_tag_calls("Policy", identity, tags)
    if not calls:
        return None
    # The document is set before the policy gets its first user, who would otherwise have the former permissions for a moment.
    stage = Stage.POLICY if policy.user_count == 0 else Stage.DOCUMENT
    roles = scene.roles_of(users)
    return Change(stage, policy_target(policy.arn), "update", users, old, new, tuple(calls), roles)


def _oldest(versions: Sequence[PolicyVersion]) -> PolicyVersion | None:
    """Return the version to delete before a new one: the oldest that is not the default; None if no deletion is necessary."""
    if len(versions) < VERSION_LIMIT:
        return None
    return min(
        (version for version in versions if not version.is_default),
        key=lambda version: int(version.version_id[1:]),
    )


def _same_document(spec: PolicySpec, policy: ObservedPolicy) -> bool:
    return policy.document is not None and DOCUMENT.equals(policy.document, spec.document)


def delete_policy(
    policy: ObservedPolicy, workloads: tuple[WorkloadKey, ...], roles: frozenset[str]
) -> Change:
    """Return the change that deletes a policy with all its versions. ``roles`` are the roles that lose the policy before."""
    identity = {"PolicyArn": policy.arn}
    calls = [
        Call("iam", "DeletePolicyVersion", {**identity, "VersionId": version.version_id})
        for version in policy.versions
        if not version.is_default
    ]
    calls.append(Call("iam", "DeletePolicy", identity))
    old = {"arn": policy.arn, "tags": dict(policy.tags or {})}
    return Change(
        Stage.DELETE_POLICY, policy_target(policy.arn), "delete", workloads, old, None, tuple(calls), roles
    )


def _missing_policy_failure(arn: str, cluster: Cluster, workloads: tuple[WorkloadKey, ...]) -> Failure:
    return Failure(
        workloads,
        policy_target(arn),
        "read",
        Code.POLICY_MISSING,
        f"AWS managed policy {arn} does not exist."
        if is_aws_managed(arn)
        else f"policy {arn} does not exist in account {cluster.account_id}.",
        "Correct its ARN. To list the AWS managed policies: aws iam list-policies --scope AWS"
        if is_aws_managed(arn)
        else "Correct the ARN, or set name and document to create the policy.",
    )


def _refuse_policy(
    policy: ObservedPolicy, workloads: tuple[WorkloadKey, ...], other_users: Sequence[str]
) -> Failure:
    return Failure(
        workloads,
        policy_target(policy.arn),
        "update",
        Code.POLICY_USED_ELSEWHERE,
        f"policy {policy.arn} has a different document than this run defines for {listed(map(str, workloads))}. It is unchanged "
        f"because of users outside this run: {listed(other_users, _SHOWN)}.",
        "Give the policy another name here, or apply all lists that use it in one run. To change it for all of these users, set "
        "⟨force⟩: true (check mode with diff shows the change), and define the same document in all lists.",
    )
