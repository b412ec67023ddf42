# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The desired state as plain data: workloads, options, the input of a run. Pure.

``inputs`` builds and checks it. Every field holds JSON values, tuples of them, or another of these classes:
``inputs.codec`` writes them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Literal

from ..._findings.codes import Code
from ..._findings.finding import Finding, WorkloadKey
from .associations import AssociationSpec
from .policies import DOCUMENT, PolicySpec
from .roles import TRUST_POLICY, RoleSpec, TrustScope

State = Literal["present", "absent"]

STATES: tuple[State, ...] = ("present", "absent")
PURGE_LIMIT = 10


@dataclass(frozen=True, slots=True)
class RequiredPermission:
    """What the Pod must be allowed to do; judged by the verification.

    ``context`` has condition keys with their values: text, a number, a boolean, null, or a list of them.
    """

    action: str
    resource: str
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceAccountSpec:
    """The Kubernetes half of a workload: its service account, and the namespace of it.

    ``create`` and ``create_namespace`` say whether a missing one is made.
    """

    create: bool = True
    create_namespace: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Workload:
    """One service account and what it needs, end to end."""

    key: WorkloadKey
    role: RoleSpec | None
    policies: tuple[PolicySpec, ...] = ()
    association: AssociationSpec = field(default_factory=AssociationSpec)
    required_permissions: tuple[RequiredPermission, ...] = ()
    service_account: ServiceAccountSpec = field(default_factory=ServiceAccountSpec)


@dataclass(frozen=True, slots=True)
class ParsedInput:
    """What a user wrote for one run on one cluster, checked and read once: both halves act on it.

    ``owner`` is None when no owner is given, and ``purge_namespaces`` is empty when a purge is limited to none.
    ``purge_percent`` is the limit of a purge as a share of what is there; None when it is ``purge_limit``.
    """

    cluster_name: str
    state: State
    workloads: tuple[Workload, ...]
    owner: str | None = None
    purge: bool = False
    purge_namespaces: tuple[str, ...] = ()
    purge_limit: int = PURGE_LIMIT
    purge_percent: int | None = None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The Kubernetes namespaces of the workloads, in alphabetical order."""
        return tuple(sorted({workload.key.namespace for workload in self.workloads}))


def allowed_purge(count: int, limit: int, percent: int | None) -> int:
    """How many may go of those that are there."""
    return limit if percent is None else count * percent // 100


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for the whole run. ``owner`` is None in a run for no owner. ``purge``: the run also removes what is not
    listed."""

    trust_scope: TrustScope | None = None
    purge_tags: bool = False
    purge_policies: bool = False
    adopt: bool = False
    force: bool = False
    owner: str | None = None
    trust_policy_size_limit: int = 2048
    purge: bool = False


# Of credentials that Pods would or may lose by a new association.
_OF_BREAKAGE = (Code.ASSOCIATION_WOULD_BREAK, Code.ASSOCIATION_MAY_BREAK)


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that one run is to apply to clusters of one account. What their workloads share is defined alike.

    ``would_break`` holds workloads whose running Pods would lose credentials by a new association, and why. ``leaving`` are
    the roles, by lower-case name, that a purge deletes after the run, and that nothing else uses. ``unassociated`` are workloads
    that a purge found in trust policies, and that had no association; one that has been created since keeps all that it uses.
    ``refused`` says for which workloads nothing is changed, as they have no place in Kubernetes.
    """

    workloads: tuple[Workload, ...]
    options: Options = field(default_factory=Options)
    would_break: Mapping[WorkloadKey, Finding] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()
    unassociated: frozenset[WorkloadKey] = frozenset()
    refused: tuple[Finding, ...] = ()

    def stopped_by(self, findings: Iterable[Finding]) -> Desired:
        """Apply the findings of a look at Kubernetes before any change."""
        findings = tuple(findings)
        would_break = {
            finding.workload: finding
            for finding in findings
            if finding.workload and finding.code in _OF_BREAKAGE and finding.severity == "error"
        }
        refused = tuple(finding for finding in findings if finding.code not in _OF_BREAKAGE)
        return replace(self, would_break=would_break, refused=refused)


_DOCUMENTS = {attribute.name: attribute for attribute in (TRUST_POLICY, DOCUMENT)}


def differing_field(spec: RoleSpec | PolicySpec, other: RoleSpec | PolicySpec) -> str:
    """The name of the first field in which they differ; "" when they are alike."""
    if spec is other or spec == other:
        return ""
    for part in fields(spec):
        value, other_value = getattr(spec, part.name), getattr(other, part.name)
        document = _DOCUMENTS.get(part.name)
        if not (document.equals(value, other_value) if document else value == other_value):
            return part.name
    return ""
