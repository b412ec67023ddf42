# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of AWS resources that a run changes. Pure.

A new type needs an entry in RESOURCE_TYPES, its targets in ``used_targets`` (in ``observed_target``, too, if it is a part of
another resource) and its new resource in ``_created``. The waits until AWS shows a change and the application of a plan then
handle it. Its reads, its plan and its checks are files of ``read``, ``plan`` and ``verify``, because IAM and EKS have different
operations for each type. Service accounts are not in RESOURCE_TYPES: Kubernetes applies them on the server and returns the
result, so this code does not compare, await or predict them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .associations import ASSOCIATION_ATTRIBUTES, ObservedAssociation
from .attributes import Attribute, predicted_fields
from .changes import Change
from .cluster import Cluster
from .desired import Workload
from .names import parse_role_arn
from .observed import Observed
from .policies import POLICY_ATTRIBUTES, ObservedPolicy
from .roles import ROLE_ATTRIBUTES, ObservedRole
from .targets import (
    Resource,
    Target,
    association_key,
    association_target,
    associations_target,
    policy_target,
    role_target,
)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of AWS resource.

    ``name`` is its name in targets, and ``operation`` the request that reads one resource. ``removals`` are the operations that
    delete a resource, or a version of it, or detach it. For these operations, a 404 means that the resource is already removed.
    For other operations, such as UntagRole, it means that the resource to change does not exist.
    """

    name: Resource
    operation: str
    attributes: tuple[Attribute, ...]
    removals: frozenset[str]


# In an observation, the trust policy and the attachments of a role are parts of the role. The plan changes them separately.
_TYPES = (
    ResourceType("role", "iam:GetRole", ROLE_ATTRIBUTES, frozenset(("DeleteRole",))),
    ResourceType("trust_policy", "iam:GetRole", ROLE_ATTRIBUTES, frozenset()),
    ResourceType("attachment", "iam:GetRole", ROLE_ATTRIBUTES, frozenset(("DetachRolePolicy",))),
    ResourceType(
        "policy", "iam:GetPolicy", POLICY_ATTRIBUTES, frozenset(("DeletePolicy", "DeletePolicyVersion"))
    ),
    ResourceType(
        "association",
        "eks:DescribePodIdentityAssociation",
        ASSOCIATION_ATTRIBUTES,
        frozenset(("DeletePodIdentityAssociation",)),
    ),
)
RESOURCE_TYPES: Mapping[Resource, ResourceType] = {entry.name: entry for entry in _TYPES}
REMOVALS = frozenset[str]().union(*(entry.removals for entry in _TYPES))


def of_observed_resources(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of resources that an observation has: all except the changes of add-ons."""
    return [change for change in changes if change.target.resource in RESOURCE_TYPES]


def observed_target(target: Target) -> Target:
    """Return the key of a resource in ``Observed.resources``; for a trust policy or an attachment, this is the role."""
    if target.resource in ("role", "trust_policy", "attachment"):
        return role_target(target.name.lower())
    return target


def used_targets(workload: Workload, cluster: Cluster) -> list[Target]:
    """Return the keys, in ``Observed.resources``, of the resources that a workload lists."""
    roles = [role_target(workload.role.name.lower())] if workload.role is not None else []
    policies = [policy_target(cluster.policy_arn(spec)) for spec in workload.policies]
    return [*roles, *policies, association_target(workload.key)]


def is_known(observed: Observed, target: Target) -> bool:
    """Return whether an observation shows if a resource exists.

    Associations are read as complete lists, so an association that an observation lacks does not exist.
    """
    return target.resource == "association" or observed_target(target) in observed.resources


def was_read(observed: Observed, target: Target) -> bool:
    """Return whether a resource was read without a failure."""
    reads = {observed_target(target), associations_target(target.cluster)}
    return is_known(observed, target) and not reads & observed.unread.keys()


def is_visible(resource: Any, change: Change) -> bool:
    """Return whether an observed resource shows the result of a change, so that the wait for the change can end."""
    old_state, new_state = change.before or {}, change.after or {}
    if change.target.resource == "attachment":
        attached = resource.attached if resource is not None else ()
        # A change that replaces an attached policy by another one has the detached policy in ``before``.
        if old_state and old_state["policy"] in attached:
            return False
        return change.action == "detach" or change.target.policy_arn in attached
    if change.action == "create":
        return resource is not None
    if change.action == "delete":
        # A new association for the same workload has another ID.
        return resource is None or (
            isinstance(resource, ObservedAssociation)
            and resource.association_id != old_state.get("association_id")
        )
    return resource is not None and not any(
        attribute.equals(old_state[attribute.name], attribute.observed_value(resource))
        and not attribute.equals(new_state[attribute.name], attribute.observed_value(resource))
        for attribute in RESOURCE_TYPES[change.target.resource].attributes
        if attribute.name in old_state and attribute.name in new_state
    )


def predict_change(resources: dict[Target, Any], change: Change) -> None:
    """Set a resource in ``resources`` (see ``Observed.resources``) to its state after a change."""
    target, state = observed_target(change.target), change.after or {}
    resource = resources.get(target)
    fields = predicted_fields(RESOURCE_TYPES[change.target.resource].attributes, state)
    if change.target.resource == "attachment":
        changed = {change.target.policy_arn, (change.before or {}).get("policy")}
        attached = [arn for arn in resource.attached if arn not in changed] if resource is not None else []
        attached += [] if change.action == "detach" else [change.target.policy_arn]
        fields = {"attached": tuple(attached)}
    if "document" in state:
        # The versions are irrelevant here, because they are compared only if the document is not the desired one.
        fields |= {"default_version": "", "versions": ()}
    if "target_role_arn" in state:
        # EKS generates the external ID for a target role.
        fields["external_id"] = ""
    present = resource or _created(change.target, state)
    resources[target] = replace(present, **fields) if present and change.action != "delete" else None


def _created(target: Target, state: Mapping[str, Any]) -> Any:
    """Return a new resource without its attributes; None unless ``state`` is the state of a new resource."""
    key = association_key(target)
    if key is not None:
        # The ID is empty, because EKS assigns it.
        return ObservedAssociation(key, "", "", "")
    if target.resource == "policy":
        return ObservedPolicy(target.name, target.name.rpartition("/")[2], "")
    parts = parse_role_arn(str(state.get("arn") or ""))
    return ObservedRole(target.name, state["arn"], parts.path, {}, inline_documents={}) if parts else None
