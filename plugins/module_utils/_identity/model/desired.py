# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired state as plain data: workloads, options, the input of a run. Pure.

The package ``inputs`` validates the user input and creates this state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from ..._policy.permissions.permissions import Required
from .associations import AssociationSpec
from .policies import DOCUMENT, PolicySpec
from .roles import TRUST_POLICY, RoleSpec, TrustScope

State = Literal["present", "absent"]

STATES: tuple[State, ...] = ("present", "absent")
# The default number of workloads that a purge may remove.
PURGE_LIMIT = 10


@dataclass(frozen=True, slots=True)
class ServiceAccountSpec:
    """The service account of a workload and its namespace.

    With ``create`` a run creates a missing service account, and with ``create_namespace`` a missing namespace.
    """

    create: bool = True
    create_namespace: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Origin:
    """The pattern from which a workload comes, and its place in the input."""

    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A service account with its role, policies and association.

    ``origin`` is None for a workload that the input names. ``conflict`` is a finding that further entries of the input match the
    service account; such a workload is not changed. ``returns`` is true if the rollback of a migration has restored IRSA, so that
    its association may be deleted.
    """

    key: WorkloadKey
    role: RoleSpec | None
    policies: tuple[PolicySpec, ...] = ()
    association: AssociationSpec = field(default_factory=AssociationSpec)
    required_permissions: tuple[Required, ...] = ()
    service_account: ServiceAccountSpec = field(default_factory=ServiceAccountSpec)
    origin: Origin | None = None
    conflict: Finding | None = None
    returns: bool = False


@dataclass(frozen=True, slots=True)
class PurgeScope:
    """The scope of a purge.

    A purge removes at most ``limit`` workloads, or ``percent`` per cent of the managed workloads if ``percent`` is set.
    """

    limit: int = PURGE_LIMIT
    percent: int | None = None

    def allowed(self, count: int) -> int:
        """Return the number of workloads that a purge may remove. ``count`` is the number of managed workloads."""
        return self.limit if self.percent is None else count * self.percent // 100


@dataclass(frozen=True, slots=True)
class ParsedInput:
    """The validated input for one cluster, which the AWS part and the Kubernetes part of a run use.

    ``owner`` is None without an owner, and ``purge`` is None without a purge. The run does not touch the ``unselected`` workloads
    of the list.
    """

    cluster_name: str
    state: State
    workloads: tuple[Workload, ...]
    owner: str | None = None
    purge: PurgeScope | None = None
    unselected: Mapping[WorkloadKey, Workload] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run. plugins/doc_fragments/run.py describes most of them.

    ``owner`` is the owner of all resources that the run creates. ``force`` is for the whole list, or has the workloads to which
    it is limited, like "my-namespace/my-service-account". With ``single``, the user names the only association of the run, so it
    is changed whoever created it, keeps its mark, and other associations are not read.
    """

    trust_scope: TrustScope | None = None
    purge_tags: bool = False
    purge_policies: bool = False
    adopt: bool = False
    force: bool | frozenset[str] = False
    owner: str = ""
    single: bool = False

    def forces(self, keys: Iterable[WorkloadKey]) -> bool:
        """Return whether ``force`` is set for all of these workloads, which share a resource."""
        names = frozenset(map(str, keys))
        return self.force if isinstance(self.force, bool) else bool(names) and names <= self.force

    def changes_shared(self, keys: Iterable[WorkloadKey]) -> bool:
        """Return whether the run changes what these workloads have, even if others use it.

        ``adopt`` is like ``force``, because the run after an adoption that was ended finds its own resources.
        """
        return self.adopt or self.forces(keys)


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of a run on a cluster.

    ``would_break`` has, by workload, the finding that its running Pods would, or may, lose their credentials by a new
    association. ``refused`` has findings about objects in Kubernetes; the run does not change the workloads of these findings.
    With ``purge``, the run also removes what the list does not need. ``unselected`` are listed workloads that the run does not
    touch: they keep what they have of shared roles, and are neither unlisted nor the reason to keep something of a role.
    """

    workloads: tuple[Workload, ...]
    options: Options = field(default_factory=Options)
    would_break: Mapping[WorkloadKey, Finding] = field(default_factory=dict)
    refused: tuple[Finding, ...] = ()
    purge: PurgeScope | None = None
    unselected: Mapping[WorkloadKey, Workload] = field(default_factory=dict)

    def with_kubernetes_findings(self, findings: Collection[Finding]) -> Desired:
        """Return a copy with the findings of checks in Kubernetes before any change.

        A finding that a new association may break Pods prevents the association if its severity is error; otherwise it prevents
        nothing. Any other finding prevents all changes of its workload.
        """
        would_break = {
            finding.workload: finding
            for finding in findings
            if finding.workload
            and finding.code == Code.ASSOCIATION_WOULD_BREAK
            and finding.severity == "error"
        }
        refused = tuple(finding for finding in findings if finding.code != Code.ASSOCIATION_WOULD_BREAK)
        return replace(self, would_break=would_break, refused=refused)


_DOCUMENTS = {attribute.name: attribute for attribute in (TRUST_POLICY, DOCUMENT)}


def differing_field(spec: RoleSpec | PolicySpec, other: RoleSpec | PolicySpec) -> str:
    """Return the name of the first field in which two definitions differ, or "". Documents are compared by meaning."""
    for part in (part for part in fields(spec) if part.compare):
        value, other_value = getattr(spec, part.name), getattr(other, part.name)
        document = _DOCUMENTS.get(part.name)
        if value != other_value and not (document and document.equals(value, other_value)):
            return part.name
    return ""
