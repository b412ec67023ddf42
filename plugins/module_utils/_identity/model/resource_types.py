# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The types of AWS resources that a run changes: find them in ``Observed``, and predict and recognise their changes. Pure.

A new type needs an entry in RESOURCE_TYPES. The waits until AWS shows a change and the application of a plan then handle it.
Its reads, its plan and its checks are files of ``read``, ``plan`` and ``verify``, because IAM and EKS have different operations
for each type. Service accounts are not in RESOURCE_TYPES: Kubernetes applies them on the server and returns the result, so this
code does not compare, await or predict them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
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


def _predict_role(role: ObservedRole | None, change: Change) -> ObservedRole | None:
    state: Mapping[str, Any] = change.after or {}
    if change.action == "delete":
        return None
    fields = predicted_fields(ROLE_ATTRIBUTES, state)
    if change.action == "create":
        parts = parse_role_arn(state["arn"])
        path = parts.path if parts else "/"
        return ObservedRole(change.target.name, state["arn"], path, inline_documents={}, **fields)
    return replace(role, **fields) if role is not None else None


def _predict_attachment(role: ObservedRole | None, change: Change) -> ObservedRole | None:
    if role is None:
        return None
    arn = change.target.policy_arn
    changed = {arn, (change.before or {}).get("policy")}
    remaining = tuple(attached for attached in role.attached if attached not in changed)
    return replace(role, attached=remaining if change.action == "detach" else (*remaining, arn))


def _predict_policy(policy: ObservedPolicy | None, change: Change) -> ObservedPolicy | None:
    if change.action == "delete":
        return None
    state, arn = change.after or {}, change.target.name
    policy = policy or ObservedPolicy(arn, arn.rpartition("/")[2], "")
    if "document" in state:
        # The versions are irrelevant here, because they are compared only if the document is not the desired one.
        policy = replace(policy, default_version="", versions=())
    return replace(policy, **predicted_fields(POLICY_ATTRIBUTES, state))


def _predict_association(
    association: ObservedAssociation | None, change: Change
) -> ObservedAssociation | None:
    key = association_key(change.target)
    if change.after is None or key is None:
        return None
    # A prediction has no ID, because EKS assigns the ID.
    association = association or ObservedAssociation(key, "", "", "")
    # EKS generates the external ID for a target role.
    external_id = "" if "target_role_arn" in change.after else association.external_id
    return replace(
        association, external_id=external_id, **predicted_fields(ASSOCIATION_ATTRIBUTES, change.after)
    )


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of AWS resource.

    ``name`` is its name in targets. ``collection`` is the field of ``Observed`` that has resources of this type. In an
    observation, the trust policy and the attachments of a role are parts of the role, so these three types have the same
    ``collection``. ``operation`` is the request that reads one resource, and ``read_target`` returns the target of this read for
    a key of the collection. ``predict`` returns the state of an observed resource after a change, or None if it does not exist
    then.

    ``removals`` are the operations that delete a resource, or a version of it, or detach it. For these operations, a 404 means
    that the resource is already removed. For other operations, such as UntagRole, it means that the resource to change does not
    exist.
    """

    name: Resource
    collection: str
    operation: str
    attributes: tuple[Attribute, ...]
    removals: frozenset[str]
    read_target: Callable[[Any], Target]
    predict: Callable[[Any, Change], Any]

    @property
    def is_listed(self) -> bool:
        """Return whether the resources are read as complete lists, so a resource that an observation lacks does not exist.

        In the other collections, a resource that does not exist has the value None.
        """
        return self.collection == "associations"

    def key(self, target: Target) -> Hashable:
        """Return the key of a target in the field ``collection`` of an observation."""
        if self.is_listed:
            return association_key(target)
        return target.name.lower() if self.collection == "roles" else target.name

    def used_keys(self, workload: Workload, cluster: Cluster) -> Iterable[Hashable]:
        """Return the keys of the resources that a workload lists."""
        if self.is_listed:
            return (workload.key,)
        if self.collection == "policies":
            return map(cluster.policy_arn, workload.policies)
        return (workload.role.name.lower(),) if workload.role is not None else ()

    def has(self, observed: Observed, target: Target) -> bool:
        """Return whether an observation shows if a resource exists."""
        return self.is_listed or self.key(target) in getattr(observed, self.collection)

    def was_read(self, observed: Observed, target: Target) -> bool:
        """Return whether a resource was read without a failure."""
        reads = {observed_target(target), associations_target(target.cluster)}
        return self.has(observed, target) and not reads & observed.unread.keys()

    def find(self, observed: Observed, target: Target) -> Any:
        """Return the observed resource; None if it does not exist or was not read."""
        return getattr(observed, self.collection).get(self.key(target))

    def is_visible(self, resource: Any, change: Change) -> bool:
        """Return whether an observed resource shows the result of a change, so that the wait for the change can end."""
        old_state, new_state = change.before or {}, change.after or {}
        if self.name == "attachment":
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
                self.is_listed and resource.association_id != old_state.get("association_id")
            )
        return resource is not None and not any(
            attribute.equals(old_state[attribute.name], attribute.observed_value(resource))
            and not attribute.equals(new_state[attribute.name], attribute.observed_value(resource))
            for attribute in self.attributes
            if attribute.name in old_state and attribute.name in new_state
        )


ROLE_TYPE = ResourceType(
    "role", "roles", "iam:GetRole", ROLE_ATTRIBUTES, frozenset(("DeleteRole",)), role_target, _predict_role
)
RESOURCE_TYPES: tuple[ResourceType, ...] = (
    ROLE_TYPE,
    # The plan changes the trust policy separately from the other attributes of the role.
    replace(ROLE_TYPE, name="trust_policy", removals=frozenset()),
    replace(
        ROLE_TYPE, name="attachment", removals=frozenset(("DetachRolePolicy",)), predict=_predict_attachment
    ),
    ResourceType(
        "policy",
        "policies",
        "iam:GetPolicy",
        POLICY_ATTRIBUTES,
        frozenset(("DeletePolicy", "DeletePolicyVersion")),
        policy_target,
        _predict_policy,
    ),
    ResourceType(
        "association",
        "associations",
        "eks:DescribePodIdentityAssociation",
        ASSOCIATION_ATTRIBUTES,
        frozenset(("DeletePodIdentityAssociation",)),
        association_target,
        _predict_association,
    ),
)
# The types whose resources are read on their own, not as parts of a role.
READ_TYPES = tuple(
    resource_type
    for resource_type in RESOURCE_TYPES
    if resource_type.name in ("role", "policy", "association")
)
REMOVALS = frozenset[str]().union(*(resource_type.removals for resource_type in RESOURCE_TYPES))
_BY_NAME = {resource_type.name: resource_type for resource_type in RESOURCE_TYPES}


def find_resource_type(target: Target) -> ResourceType:
    return _BY_NAME[target.resource]


def observed_target(target: Target) -> Target:
    """Return the target of the read that returns a resource; for a trust policy or an attachment, this is the role."""
    resource_type = find_resource_type(target)
    return resource_type.read_target(resource_type.key(target))


def of_observed_resources(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of resources that an observation has: all except the changes of add-ons."""
    return [change for change in changes if change.target.resource in _BY_NAME]


class ObservedDraft:
    """A copy of an observation whose resources are replaced one by one."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        names = (resource_type.collection for resource_type in READ_TYPES)
        self.collections: dict[str, dict[Any, Any]] = {name: dict(getattr(observed, name)) for name in names}

    def put(self, target: Target, resource: Any) -> None:
        """Set the state of a resource; None means that it does not exist."""
        resource_type = find_resource_type(target)
        self.collections[resource_type.collection][resource_type.key(target)] = resource

    def drop(self, target: Target) -> None:
        """Drop a resource, as if it had not been read."""
        self.collections[find_resource_type(target).collection].pop(
            find_resource_type(target).key(target), None
        )

    def apply(self, change: Change) -> None:
        """Set a resource to its predicted state after a change."""
        resource_type = find_resource_type(change.target)
        resource = self.collections[resource_type.collection].get(resource_type.key(change.target))
        self.put(change.target, resource_type.predict(resource, change))

    def result(self) -> Observed:
        """Return the observation with the replaced resources."""
        collections: dict[str, Any] = dict(self.collections)
        for name in (resource_type.collection for resource_type in READ_TYPES if resource_type.is_listed):
            present = self.collections[name].items()
            collections[name] = {key: resource for key, resource in present if resource is not None}
        return replace(self.observed, **collections)
