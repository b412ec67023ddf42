# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Targets of changes, reads and failures, and the failures themselves. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..._findings.finding import WorkloadKey
from .errors import AwsError

# Some types are only the targets of reads: "associations" is the list of a cluster's associations. For a policy, "document" is
# its default version, "owner" its tags, and "users" the entities that use it. The verification reads "target role".
# "namespace" and "service_account" are Kubernetes objects.
Resource = Literal[
    "addon",
    "association",
    "associations",
    "attachment",
    "document",
    "namespace",
    "owner",
    "policy",
    "role",
    "service_account",
    "target role",
    "trust_policy",
    "users",
]
Step = Literal["", "takes"]
Action = Literal["attach", "create", "delete", "detach", "read", "replace", "update"]


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """The identity of a resource in plans, failures and results.

    ``name`` is the name of the role (in some failures its ARN) for a role, its trust policy and its attachments, the ARN for a
    policy, "namespace/service_account" for an association, and the cluster for "associations". ``policy_arn`` is the policy of
    an attachment, ``cluster`` the cluster of an association, add-on or Kubernetes object. ``step`` distinguishes the two changes
    of one trust policy: "takes" removes statements, and "" is any other change.
    """

    resource: Resource
    name: str
    policy_arn: str = ""
    cluster: str = ""
    step: Step = ""

    @property
    def full_name(self) -> str:
        """Return the name in results: for an attachment, the role and the policy."""
        return f"{self.name} {self.policy_arn}" if self.policy_arn else self.name

    @property
    def label(self) -> str:
        """Return the type and name as in results, like "trust_policy my-role"."""
        return f"{self.resource} {self.full_name}"

    @property
    def display(self) -> str:
        """Return the type and name for a sentence, like "trust policy my-role"."""
        if self.policy_arn:
            return f"attachment of policy {self.policy_arn} to role {self.name}"
        return f"{self.resource.replace('_', ' ')} {self.full_name}"

    @property
    def touched(self) -> tuple[str, str]:
        """Return the cluster and the lower-case name; for a trust policy or an attachment, the name is the role's."""
        return self.cluster, self.name.lower()


def association_target(key: WorkloadKey) -> Target:
    return Target("association", str(key), cluster=key.cluster)


def association_key(target: Target) -> WorkloadKey | None:
    """Return the workload key of an association, or None for another type of resource."""
    if target.resource != "association":
        return None
    namespace, _separator, service_account = target.name.partition("/")
    return WorkloadKey(target.cluster, namespace, service_account)


def associations_target(cluster: str) -> Target:
    """Return the target of the list of a cluster's associations, and of failures that concern the whole cluster."""
    return Target("associations", cluster)


def policy_target(arn: str) -> Target:
    return Target("policy", arn)


def role_target(name: str) -> Target:
    return Target("role", name)


def trust_target(role_name: str, takes: bool = False) -> Target:
    return Target("trust_policy", role_name, step="takes" if takes else "")


@dataclass(frozen=True, slots=True)
class Failure:
    """A change or read that failed, and the reason. ``workloads`` are the workloads that need it.

    ``partly`` is true if requests of the change have succeeded, or may have. ``cause`` is the error of the failed request,
    or None if the failure is not due to a request.
    """

    workloads: tuple[WorkloadKey, ...]
    target: Target
    action: Action
    error_code: str
    message: str
    remedy: str
    partly: bool = False
    cause: AwsError | None = field(default=None, compare=False)

    @property
    def error(self) -> AwsError:
        """Return ``cause``. Raises AssertionError if it is None."""
        if self.cause is None:
            raise AssertionError(f"no request failed: {self.message}")
        return self.cause


def read_failure(target: Target, error: AwsError) -> Failure:
    """Return the failure of a read, without the workloads that need its target."""
    return request_failure(error, (), target, "read")


def request_failure(
    error: AwsError,
    workloads: tuple[WorkloadKey, ...],
    target: Target,
    action: Action,
    *,
    prefix: str = "",
    suffix: str = "",
    partly: bool = False,
) -> Failure:
    """Return the failure of an action whose request failed. ``prefix`` and ``suffix`` enclose the message of AWS."""
    operation = f"{error.operation}: " if error.operation else ""
    message = f"{prefix}{operation}{error.text}{suffix}"
    return Failure(workloads, target, action, error.code, message, error.remedy, partly, error)
