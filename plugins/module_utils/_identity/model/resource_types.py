# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The types of AWS resources that a run changes: find them in ``Observed``, and predict and recognise their changes. Pure.

A new type needs an entry in RESOURCE_TYPES. The waits until AWS shows a change and the application of a plan then handle it.
Its reads, its plan and its checks are files of ``read``, ``plan`` and ``verify``, because IAM and EKS have different operations
for each type. Service accounts are not in RESOURCE_TYPES: Kubernetes applies them on the server and returns the result, so this
code does not compare, await or predict them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from ..._findings.finding import WorkloadKey
from .associations import ASSOCIATION_ATTRIBUTES, ObservedAssociation
from .attributes import Attribute, predicted_fields
from .changes import Change
from .cluster import Account
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


class ResourceType(ABC):
    """A type of AWS resource.

    ``name`` is its name in targets. ``collection`` is the field of ``Observed`` that has resources of this type. ``operation``
    is the request that reads one resource. In an observation, the trust policy and the attachments of a role are parts of
    the role (``is_part``), so these three types have the same ``collection``.

    With ``is_listed``, the resources are read as complete lists, so a resource that an observation lacks does not exist. In the
    other collections, a resource that does not exist has the value None.

    ``removals`` are the operations that delete a resource, or a version of it, or detach it. For these operations, a 404 means
    that the resource is already removed. For other operations, such as UntagRole, it means that the resource to change does not
    exist.
    """

    name: ClassVar[Resource]
    collection: ClassVar[str]
    operation: ClassVar[str]
    attributes: ClassVar[tuple[Attribute, ...]]
    removals: ClassVar[frozenset[str]]
    is_part: ClassVar[bool] = False
    is_listed: ClassVar[bool] = False

    @abstractmethod
    def key(self, target: Target) -> Hashable:
        """Return the key of a target in the field ``collection`` of an observation."""

    @abstractmethod
    def read_target(self, key: Any) -> Target:
        """Return the target of the read that returns the resource with a key of the field ``collection``."""

    @abstractmethod
    def used_keys(self, workload: Workload, account: Account) -> Iterable[Hashable]:
        """Return the keys of the resources that a workload lists."""

    @abstractmethod
    def predict_resource(self, resource: Any, change: Change) -> Any:
        """Return the state of an observed resource after a change; None if it does not exist then."""

    def read_again(self, later: Observed, _keys: Collection[WorkloadKey]) -> Collection[Hashable]:
        """Return the keys of the resources that a later observation of only some workloads has read."""
        return frozenset(getattr(later, self.collection))

    def observed_target(self, target: Target) -> Target:
        """Return the target of the read that returns a resource; for a trust policy or an attachment, this is the role."""
        return self.read_target(self.key(target))

    def has(self, observed: Observed, target: Target) -> bool:
        """Return whether an observation shows if a resource exists."""
        return self.is_listed or self.key(target) in getattr(observed, self.collection)

    def was_read(self, observed: Observed, target: Target) -> bool:
        """Return whether a resource was read without a failure."""
        return self.observed_target(target) not in observed.unread and self.has(observed, target)

    def find(self, observed: Observed, target: Target) -> Any:
        """Return the observed resource; None if it does not exist or was not read."""
        return getattr(observed, self.collection).get(self.key(target))

    def is_visible(self, resource: Any, change: Change) -> bool:
        """Return whether an observed resource shows the result of a change, so that the wait for the change can end."""
        if change.action == "create":
            return resource is not None
        if change.action == "delete":
            return resource is None or not self.is_former(resource, change)
        if resource is None:
            return False
        old_state, new_state = change.before or {}, change.after or {}
        return not any(
            attribute.equals(old_state[attribute.name], attribute.observed_value(resource))
            and not attribute.equals(new_state[attribute.name], attribute.observed_value(resource))
            for attribute in self.attributes
            if attribute.name in old_state and attribute.name in new_state
        )

    def is_former(self, _resource: Any, _change: Change) -> bool:
        """Return whether an observed resource existed before its deletion, unlike a new resource with the same name."""
        return True


class RoleType(ResourceType):
    """An IAM role."""

    name: ClassVar[Resource] = "role"
    collection = "roles"
    operation = "iam:GetRole"
    attributes = ROLE_ATTRIBUTES
    removals = frozenset(("DeleteRole",))

    def key(self, target: Target) -> Hashable:
        return target.name.lower()

    def read_target(self, key: str) -> Target:
        return role_target(key)

    def used_keys(self, workload: Workload, _account: Account) -> Iterable[Hashable]:
        return (workload.role.name.lower(),) if workload.role is not None else ()

    def predict_resource(self, resource: ObservedRole | None, change: Change) -> ObservedRole | None:
        state: Mapping[str, Any] = change.after or {}
        if change.action == "delete":
            return None
        if change.action == "create":
            parts = parse_role_arn(state["arn"])
            path = parts.path if parts else "/"
            fields = predicted_fields(self.attributes, state)
            return ObservedRole(change.target.name, state["arn"], path, inline_documents={}, **fields)
        return replace(resource, **predicted_fields(self.attributes, state)) if resource is not None else None


class TrustPolicyType(RoleType):
    """The trust policy of a role. The plan changes it separately from the other attributes of the role."""

    name = "trust_policy"
    removals = frozenset()
    is_part = True


class AttachmentType(RoleType):
    """The attachment of a managed policy to a role.

    If a change replaces one attached policy by another, ``before`` of the change has the detached policy.
    """

    name = "attachment"
    removals = frozenset(("DetachRolePolicy",))
    is_part = True

    def is_visible(self, resource: ObservedRole | None, change: Change) -> bool:
        attached = resource.attached if resource is not None else ()
        if change.before and change.before["policy"] in attached:
            return False
        return change.action == "detach" or change.target.policy_arn in attached

    def predict_resource(self, resource: ObservedRole | None, change: Change) -> ObservedRole | None:
        if resource is None:
            return None
        arn = change.target.policy_arn
        changed = {arn, (change.before or {}).get("policy")}
        remaining = tuple(attached for attached in resource.attached if attached not in changed)
        return replace(resource, attached=remaining if change.action == "detach" else (*remaining, arn))


class PolicyType(ResourceType):
    """A managed policy."""

    name = "policy"
    collection = "policies"
    operation = "iam:GetPolicy"
    attributes = POLICY_ATTRIBUTES
    removals = frozenset(("DeletePolicy", "DeletePolicyVersion"))

    def key(self, target: Target) -> Hashable:
        return target.name

    def read_target(self, key: str) -> Target:
        return policy_target(key)

    def used_keys(self, workload: Workload, account: Account) -> Iterable[Hashable]:
        return map(account.policy_arn, workload.policies)

    def predict_resource(self, resource: ObservedPolicy | None, change: Change) -> ObservedPolicy | None:
        if change.action == "delete":
            return None
        state, arn = change.after or {}, change.target.name
        policy = resource or ObservedPolicy(arn, arn.rpartition("/")[2], "")
        if "document" in state:
            # The versions are irrelevant here, because they are compared only if the document is not the desired one.
            policy = replace(policy, default_version="", versions=())
        return replace(policy, **predicted_fields(self.attributes, state))


class AssociationType(ResourceType):
    """A Pod Identity association."""

    name = "association"
    collection = "associations"
    operation = "eks:DescribePodIdentityAssociation"
    attributes = ASSOCIATION_ATTRIBUTES
    removals = frozenset(("DeletePodIdentityAssociation",))
    is_listed = True

    def key(self, target: Target) -> Hashable:
        return association_key(target)

    def read_target(self, key: WorkloadKey) -> Target:
        return association_target(key)

    def used_keys(self, workload: Workload, _account: Account) -> Iterable[Hashable]:
        return (workload.key,)

    def read_again(self, _later: Observed, keys: Collection[WorkloadKey]) -> Collection[Hashable]:
        return frozenset(keys)

    def was_read(self, observed: Observed, target: Target) -> bool:
        return not {target, associations_target(target.cluster)} & observed.unread.keys()

    def is_former(self, resource: ObservedAssociation, change: Change) -> bool:
        return resource.association_id == (change.before or {}).get("association_id")

    def predict_resource(
        self, resource: ObservedAssociation | None, change: Change
    ) -> ObservedAssociation | None:
        key = association_key(change.target)
        if change.after is None or key is None:
            return None
        fields = predicted_fields(self.attributes, change.after)
        if resource is None:
            # A prediction has no ID, because EKS assigns the ID.
            fields |= {"association_id": "", "association_arn": "", "external_id": ""}
        return replace(resource or ObservedAssociation(key, "", "", ""), **fields)


RESOURCE_TYPES: tuple[ResourceType, ...] = (
    RoleType(),
    TrustPolicyType(),
    AttachmentType(),
    PolicyType(),
    AssociationType(),
)
# The types whose resources are read on their own, not as parts of a role.
READ_TYPES = tuple(resource_type for resource_type in RESOURCE_TYPES if not resource_type.is_part)
REMOVALS = frozenset[str]().union(*(resource_type.removals for resource_type in RESOURCE_TYPES))
_BY_NAME = {resource_type.name: resource_type for resource_type in RESOURCE_TYPES}


def find_resource_type(target: Target) -> ResourceType:
    return _BY_NAME[target.resource]


def observed_target(target: Target) -> Target:
    """Return the target of the read that returns a resource; for a trust policy or an attachment, this is the role."""
    return find_resource_type(target).observed_target(target)


class ObservedDraft:
    """A copy of an observation whose resources are replaced one by one."""

    def __init__(self, observed: Observed) -> None:
        self.observed = observed
        names = (resource_type.collection for resource_type in READ_TYPES)
        self.collections: dict[str, dict[Any, Any]] = {name: dict(getattr(observed, name)) for name in names}

    def put(self, target: Target, resource: Any) -> None:
        """Set the state of a resource; None means that it does not exist."""
        self.collections[find_resource_type(target).collection][find_resource_type(target).key(target)] = (
            resource
        )

    def drop(self, target: Target) -> None:
        """Drop a resource, as if it had not been read."""
        self.collections[find_resource_type(target).collection].pop(
            find_resource_type(target).key(target), None
        )

    def apply(self, change: Change) -> None:
        """Set a resource to its predicted state after a change."""
        resource_type = find_resource_type(change.target)
        resource = self.collections[resource_type.collection].get(resource_type.key(change.target))
        self.put(change.target, resource_type.predict_resource(resource, change))

    def result(self) -> Observed:
        """Return the observation with the replaced resources."""
        collections: dict[str, Any] = dict(self.collections)
        for name in (resource_type.collection for resource_type in READ_TYPES if resource_type.is_listed):
            present = self.collections[name].items()
            collections[name] = {key: resource for key, resource in present if resource is not None}
        return replace(self.observed, **collections)
